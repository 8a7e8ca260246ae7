"""Folding axes: sums, products, extremes, logic, running sums; and the same passing over NaN."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from ..dtypes import is_inexact
from ..graph.node import Value
from ..ops import logic, view
from ..ops import reduction as red
from ..ops.reduction import normalize
from .arguments import absent, array_of, cast, no_out, operand

__all__ = [
    "sum", "prod", "max", "amax", "min", "amin", "ptp", "any", "all", "argmax", "argmin", "count_nonzero",
    "cumsum", "cumprod", "cumulative_sum", "cumulative_prod", "nansum", "nanprod", "nancumsum", "nancumprod",
    "nanmax", "nanmin", "nanargmax", "nanargmin",
]  # fmt: skip

Axis = Any


def given(x: Any) -> bool:
    return x is not None and x is not absent


def kept(keepdims: Any) -> bool:
    return keepdims is not absent and builtins.bool(keepdims)


def only(x: Value, where: Any, neutral: Any) -> Value:
    """x with the elements that a mask leaves out replaced by one that changes nothing."""
    if where is absent or where is True or where is None:
        return x
    mask, x = view.broadcast_to(array_of(where), np.broadcast_shapes(x.shape, np.shape(where))), x
    return logic.where(mask, x, np.asarray(neutral, x.dtype))


def sum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = False,
    initial: Any = absent,
    where: Any = True,
) -> Any:
    """Sum over ``axis``, all axes by default; whole numbers are summed in the machine's word size as NumPy does.

    Parameters
    ----------
    axis : int, tuple of ints, or None for all
    dtype : dtype to sum in, and of the result
    keepdims : keep the summed axes, with size 1
    initial : a number to start from
    where : mask of the elements to take

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.numpy.sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Array([4., 6.])
    """
    no_out("sum", out)
    total = red.sum(only(cast(array_of(a), dtype), where, 0), axis, kept(keepdims))
    return cast(total + operand(initial) if given(initial) else total, dtype)


def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = False,
    initial: Any = absent,
    where: Any = True,
) -> Any:
    """Product over ``axis``, all axes by default."""
    no_out("prod", out)
    total = red.prod(only(cast(array_of(a), dtype), where, 1), axis, kept(keepdims))
    return cast(total * operand(initial) if given(initial) else total, dtype)


def _extreme(name: str, fold: Any, pair: Any) -> Any:
    def extreme(
        a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: Any = absent, where: Any = True
    ) -> Any:
        no_out(name, out)
        x = array_of(a)
        if not given(initial):
            if where is not True and where is not absent:
                raise ValueError(f"{name}: a mask may leave no element, so it needs initial=, the value to give then")
            return fold(x, axis, kept(keepdims))
        bound = operand(initial)
        masked = x if where is True or where is absent else logic.where(array_of(where), x, bound)
        if masked.size == 0:
            sizes = [1 if i in normalize(axis, x.ndim) else n for i, n in enumerate(masked.shape)]
            filled = view.broadcast_to(logic.astype(array_of(bound), x.dtype), tuple(sizes))
            return filled if kept(keepdims) else view.squeeze(filled, normalize(axis, x.ndim))
        return pair(fold(masked, axis, kept(keepdims)), bound)

    extreme.__name__ = extreme.__qualname__ = name
    which = "largest" if name == "max" else "smallest"
    extreme.__doc__ = f"The {which} element over ``axis``; elements that tie share the gradient evenly."
    return extreme


max = amax = _extreme("max", red.max, logic.maximum)
min = amin = _extreme("min", red.min, logic.minimum)


def ptp(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False) -> Any:
    """From the smallest to the largest: max - min."""
    no_out("ptp", out)
    x = array_of(a)
    return red.max(x, axis, kept(keepdims)) - red.min(x, axis, kept(keepdims))


def any(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether any element is true over ``axis``."""
    no_out("any", out)
    return red.any(only(array_of(a), where, 0), axis, kept(keepdims))


def all(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether all elements are true over ``axis``."""
    no_out("all", out)
    return red.all(only(array_of(a), where, 1), axis, kept(keepdims))


def argmax(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
    """Place of the first largest element along an axis, in the flattened array by default."""
    no_out("argmax", out)
    return red.argmax(array_of(a), axis, kept(keepdims))


def argmin(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
    """Place of the first smallest element along an axis, in the flattened array by default."""
    no_out("argmin", out)
    return red.argmin(array_of(a), axis, kept(keepdims))


def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """How many elements are not zero."""
    return red.sum(array_of(a) != 0, axis, keepdims)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum along an axis, of the flattened array by default."""
    no_out("cumsum", out)
    return cast(red.cumsum(cast(array_of(a), dtype), axis), dtype)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product along an axis, of the flattened array by default."""
    no_out("cumprod", out)
    return cast(red.cumprod(cast(array_of(a), dtype), axis), dtype)


def _cumulative(name: str, running: Any, first: float) -> Any:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
    ) -> Any:
        no_out(name, out)
        x = cast(array_of(x), dtype)
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"{name}: axis is required where there is not exactly one: got shape {x.shape}")
            axis = 0
        result = cast(running(x, axis), dtype)
        if not include_initial:
            return result
        (place,) = normalize(axis, x.ndim)
        start = np.full((*x.shape[:place], 1, *x.shape[place + 1 :]), first, result.dtype)
        return view.concatenate([start, result], place)

    cumulative.__name__ = cumulative.__qualname__ = name
    cumulative.__doc__ = f"Running {name[11:]} along an axis; starts with {first:g} if ``include_initial``."
    return cumulative


cumulative_sum = _cumulative("cumulative_sum", red.cumsum, 0)
cumulative_prod = _cumulative("cumulative_prod", red.cumprod, 1)


# Passing over NaN


def _filled(x: Value, neutral: float) -> Value:
    return logic.where(logic.isnan(x), np.asarray(neutral, x.dtype), x) if is_inexact(x.dtype) else x


def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = False,
    initial: Any = absent,
    where: Any = True,
) -> Any:
    """Sum over ``axis`` of the elements that are not NaN."""
    return sum(_filled(array_of(a), 0), axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    keepdims: Any = False,
    initial: Any = absent,
    where: Any = True,
) -> Any:
    """Product over ``axis`` of the elements that are not NaN."""
    return prod(_filled(array_of(a), 1), axis, dtype, out, keepdims, initial, where)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum, NaN counting as 0."""
    return cumsum(_filled(array_of(a), 0), axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product, NaN counting as 1."""
    return cumprod(_filled(array_of(a), 1), axis, dtype, out)


def _nan_extreme(name: str, fold: Any, filler: float) -> Any:
    def nan_extreme(
        a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: Any = absent, where: Any = True
    ) -> Any:
        x = array_of(a)
        if not is_inexact(x.dtype):
            return fold(x, axis, out, keepdims, initial, where)
        result = fold(_filled(x, filler), axis, out, keepdims, initial, where)
        empty = red.all(only(logic.isnan(x), where, 1), axis, kept(keepdims))
        if given(initial):
            return result
        warn_if(empty, "All-NaN slice encountered")
        return logic.where(empty, np.asarray(np.nan, x.dtype), result)

    nan_extreme.__name__ = nan_extreme.__qualname__ = name
    which = "largest" if name == "nanmax" else "smallest"
    nan_extreme.__doc__ = f"The {which} element over ``axis`` that is not NaN; NaN where there is none."
    return nan_extreme


nanmax = _nan_extreme("nanmax", max, -math.inf)
nanmin = _nan_extreme("nanmin", min, math.inf)


def warn_if(condition: Value, message: str) -> None:
    if condition.value is not None and np.any(condition.value):
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _nan_place(name: str, fold: Any, filler: float) -> Any:
    def nan_place(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
        x = array_of(a)
        if is_inexact(x.dtype):
            empty = red.all(logic.isnan(x), axis)
            if empty.value is not None and np.any(empty.value):
                raise ValueError(f"{name}: All-NaN slice encountered; there is no place to give")
            x = _filled(x, filler)
        return fold(x, axis, out, keepdims=keepdims)

    nan_place.__name__ = nan_place.__qualname__ = name
    nan_place.__doc__ = f"As ``{name[3:]}``, passing over NaN. Raises ValueError where all are NaN."
    return nan_place


nanargmax = _nan_place("nanargmax", argmax, -math.inf)
nanargmin = _nan_place("nanargmin", argmin, math.inf)
