"""A graph as a better graph: the same values in fewer or safer operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def simplify(outputs: Sequence[Any]) -> list[Any]:
    """The outputs, from a simpler graph."""
    return list(outputs)
