"""Python's containers, and ``isinstance`` and ``type`` that see the array in what is being differentiated."""

import builtins
from typing import Any

from ..graph.node import value_of

dict, list, tuple = builtins.dict, builtins.list, builtins.tuple


def isinstance(x: Any, classes: Any) -> bool:
    """Whether x, or the plain array in it, is of one of these classes."""
    return builtins.isinstance(x, classes) or builtins.isinstance(value_of(x), classes)


def type(x: Any) -> Any:
    """The class of x, or of the plain array in it."""
    return builtins.type(value_of(x))
