"""Questions about dtypes that may be asked of an Array, and the type that ``isinstance`` asks for."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..array import Array
from ..graph.node import Constant, Node

__all__ = [
    "finfo", "iinfo", "result_type", "can_cast", "ndarray",
]  # fmt: skip


def _plain(value: Any) -> Any:
    """An Array's dtype; a weak Python number stays one."""
    if not isinstance(value, Node):
        return value
    return value.value if value.op is Constant and isinstance(value.value, (int, float, complex)) else value.dtype


def finfo(dtype: Any) -> Any:
    """Limits of a floating-point dtype, or of an array's."""
    return dtypes.finfo(_plain(dtype))


def iinfo(int_type: Any) -> Any:
    """Limits of an integer dtype, or of an array's."""
    return np.iinfo(_plain(int_type))


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that an operation on these arrays and dtypes gives."""
    return dtypes.result_type(*map(_plain, arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    """Whether a dtype, or an array's, can be cast to another by NumPy's rules."""
    return np.can_cast(_plain(from_), to, casting)


class _Arrays(type):
    """``isinstance(x, ndarray)`` holds for NumPy's arrays and for Arrays."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, (np.ndarray, Array))


class ndarray(metaclass=_Arrays):
    """What ``isinstance(x, ndarray)`` asks for: an Array, or NumPy's ndarray. Make one with ``array`` or ``zeros``."""
