"""What may be given for an array: arrays, numbers, and nested lists of them that may hold nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..dtypes import NUMERIC, kind_of, not_numbers
from ..errors import DtypeError
from ..graph.node import Node, borrowed
from . import view

PLAIN = (Node, np.generic, bool, int, float, complex)


def holds_node(items: Iterable[Any]) -> bool:
    """Whether a node stands somewhere in nested lists and tuples."""
    kinds = set(map(type, items))
    if any(issubclass(kind, Node) for kind in kinds):
        return True
    return not kinds.isdisjoint((list, tuple)) and any(holds_node(i) for i in items if isinstance(i, (list, tuple)))


def gathered(value: Any) -> Any:
    """A node, or an ndarray of whatever NumPy makes arrays of; lists holding nodes are stacked."""
    if isinstance(value, Node):
        return value if hasattr(value.value, "dtype") or value.value is None else borrowed(np.asarray(value.value))
    if isinstance(value, (list, tuple)) and holds_node(value):
        return view.stack([gathered(item) for item in value])
    return checked(np.asarray(value), value)


def checked(array: Any, value: Any) -> Any:
    """An array made from a value, if its elements are numbers."""
    if kind_of(array.dtype) not in NUMERIC:
        raise DtypeError(not_numbers(value, array.dtype))
    return array


def operand(value: Any) -> Any:
    """An argument of an elementwise function: Python numbers stay as they are, because they promote weakly."""
    return value if isinstance(value, PLAIN) else gathered(value)
