"""What autograd's users ask of a value that is being differentiated."""

from __future__ import annotations

from typing import Any

from ..graph.node import Node, value_of
from .extend import primitive

__all__ = ["getval", "isbox", "primitive"]


def isbox(x: Any) -> bool:
    """Whether x is being differentiated or traced, and no plain array."""
    return isinstance(x, Node) and (x.tracked or x.value is None)


def getval(x: Any) -> Any:
    """The plain array in x."""
    return value_of(x)
