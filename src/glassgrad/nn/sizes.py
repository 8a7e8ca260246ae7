"""Sizes and dtypes that layers are made with, checked."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dtypes import is_inexact
from ..errors import DtypeError, ShapeError


def whole(size: int, layer: str) -> int:
    """A size of at least 1; ``ShapeError`` for anything else."""
    try:
        number = operator.index(size)
    except TypeError:
        number = 0
    if number < 1:
        raise ShapeError(f"{layer}: bad size: got {size!r}, expected a whole number of at least 1")
    return number


def floating(dtype: DTypeLike, layer: str) -> np.dtype[Any]:
    """A dtype parameters can have; ``DtypeError`` for integers."""
    kind = np.dtype(dtype)
    if not is_inexact(kind):
        raise DtypeError(f"{layer}: parameters must vary continuously: got dtype {kind}, expected a floating one")
    return kind
