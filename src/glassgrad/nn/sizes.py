"""Sizes and dtypes that layers are made with, checked."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dtypes import dtype_of, is_inexact, named
from ..errors import DtypeError, ShapeError
from ..graph.node import shape_of


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
    kind: np.dtype[Any] = np.dtype(named(dtype))
    if not is_inexact(kind):
        raise DtypeError(f"{layer}: parameters must vary continuously: got dtype {kind}, expected a floating one")
    return kind


def called(layer: Any) -> str:
    """A layer in an error: its class, and its name where it has one of its own."""
    kind = type(layer).__name__
    return kind if layer.name in ("", kind.lower()) else f"{kind} {layer.name}"


def check_last(layer: Any, x: Any, size: int) -> None:
    """Raise ``ShapeError`` unless the last axis has this size, ``DtypeError`` for what are no numbers."""
    if dtype_of(x).kind in "USO":
        raise DtypeError(f"{called(layer)}: input must be numbers: got {dtype_of(x)}; encode text as numbers first")
    if shape_of(x)[-1:] != (size,):
        raise ShapeError(f"{called(layer)}: input does not fit: got shape {shape_of(x)}, expected (..., {size})")


def drawing(initialiser: Any, layer: str) -> Any:
    """An initialiser; ``TypeError`` for what is no function."""
    if not callable(initialiser):
        raise TypeError(f"{layer}: bad initialiser: got {initialiser!r:.60}, expected a function, such as nn.he_normal")
    return initialiser


def check_parameters(module: Any, **ranks: int) -> None:
    """Raise ``ShapeError`` unless these fields are None, or floating arrays of so many axes and of one dtype."""
    found = {name: getattr(module, name) for name in ranks if getattr(module, name) is not None}
    fits = all(len(shape_of(x)) == ranks[name] and 0 not in shape_of(x) for name, x in found.items())
    kinds = {dtype_of(x) for x in found.values()} if fits else set()
    if len(kinds) != 1 or not is_inexact(kinds.pop()):
        shapes = ", ".join(f"{name} {shape_of(x)}" for name, x in found.items())
        raise ShapeError(
            f"{type(module).__name__}: parameters do not fit: got {shapes or 'none'}, expected floating arrays of one "
            f"dtype, with {', '.join(f'{n} axes for {name}' for name, n in ranks.items())}"
        )
