"""What is handed to a function that is being differentiated: here one class, the Array."""

from __future__ import annotations

from typing import Any

from ..array import Array
from ..graph.node import Node, value_of

Box = Array
Array._value = property(value_of, doc="The plain array, under autograd's name.")  # type: ignore[attr-defined]


def isbox(x: Any) -> bool:
    """Whether x is being differentiated or traced, and no plain array."""
    return isinstance(x, Node) and (x.tracked or x.value is None)


def getval(x: Any) -> Any:
    """The plain array in x."""
    return value_of(x)
