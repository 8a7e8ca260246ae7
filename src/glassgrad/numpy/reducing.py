"""Folding axes: sums, products, extremes, logic, running sums; and the same passing over NaN."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from ..dtypes import real_dtype
from ..graph.node import Value
from ..ops import composite, logic, view
from ..ops import elementwise as ew
from ..ops import reduction as red
from ..ops.reduction import normalize
from .arguments import absent, array_of, cast, no_out, operand

__all__ = [
    "sum", "prod", "max", "amax", "min", "amin", "ptp", "any", "all", "argmax", "argmin", "count_nonzero",
    "cumsum", "cumprod", "cumulative_sum", "cumulative_prod", "nansum", "nanprod", "nancumsum", "nancumprod",
    "nanmax", "nanmin", "nanargmax", "nanargmin", "mean", "var", "std", "nanmean", "nanvar", "nanstd",
]  # fmt: skip

Axis = Any


def _given(x: Any) -> bool:
    return x is not None and x is not absent


def _kept(keepdims: Any) -> bool:
    return keepdims is not absent and builtins.bool(keepdims)


def _only(x: Value, where: Any, neutral: Any) -> Value:
    """x with the elements that a mask leaves out replaced by one that changes nothing."""
    if where is absent or where is True or where is None:
        return x
    mask, x = view.broadcast_to(array_of(where), np.broadcast_shapes(x.shape, np.shape(where))), x
    return logic.where(mask, x, np.asarray(neutral, x.dtype))


def sum(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = absent,
        where: Any = True) -> Any:
    """Sum over ``axis``, all axes by default; whole numbers are summed in the machine's word size as NumPy does.

    Parameters
    ----------
    axis : int, tuple of ints, or None for all
    dtype : dtype to sum in
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
    total = red.sum(_only(cast(array_of(a), dtype), where, 0), axis, _kept(keepdims))
    return total + operand(initial) if _given(initial) else total


def prod(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = absent,
         where: Any = True) -> Any:
    """Product over ``axis``, all axes by default."""
    no_out("prod", out)
    total = red.prod(_only(cast(array_of(a), dtype), where, 1), axis, _kept(keepdims))
    return total * operand(initial) if _given(initial) else total


def _extreme(name: str, fold: Any, pair: Any) -> Any:
    def extreme(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: Any = absent,
                where: Any = True) -> Any:
        no_out(name, out)
        x = array_of(a)
        if not _given(initial):
            if where is not True and where is not absent:
                raise ValueError(f"{name}: a mask may leave no element, so it needs initial=, the value to give then")
            return fold(x, axis, _kept(keepdims))
        bound = operand(initial)
        masked = x if where is True or where is absent else logic.where(array_of(where), x, bound)
        if masked.size == 0:
            sizes = [1 if i in normalize(axis, x.ndim) else n for i, n in enumerate(masked.shape)]
            filled = view.broadcast_to(logic.astype(array_of(bound), x.dtype), tuple(sizes))
            return filled if _kept(keepdims) else view.squeeze(filled, normalize(axis, x.ndim))
        return pair(fold(masked, axis, _kept(keepdims)), bound)

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
    return red.max(x, axis, _kept(keepdims)) - red.min(x, axis, _kept(keepdims))


def any(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether any element is true over ``axis``."""
    no_out("any", out)
    return red.any(_only(array_of(a), where, 0), axis, _kept(keepdims))


def all(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, *, where: Any = True) -> Any:
    """Whether all elements are true over ``axis``."""
    no_out("all", out)
    return red.all(_only(array_of(a), where, 1), axis, _kept(keepdims))


def argmax(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
    """Place of the first largest element along an axis, in the flattened array by default."""
    no_out("argmax", out)
    return red.argmax(array_of(a), axis, _kept(keepdims))


def argmin(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
    """Place of the first smallest element along an axis, in the flattened array by default."""
    no_out("argmin", out)
    return red.argmin(array_of(a), axis, _kept(keepdims))


def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """How many elements are not zero."""
    return red.sum(array_of(a) != 0, axis, keepdims)


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum along an axis, of the flattened array by default."""
    no_out("cumsum", out)
    return red.cumsum(cast(array_of(a), dtype), axis)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product along an axis, of the flattened array by default."""
    no_out("cumprod", out)
    return red.cumprod(cast(array_of(a), dtype), axis)


def _cumulative(name: str, running: Any, first: float) -> Any:
    def cumulative(x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None,
                   include_initial: bool = False) -> Any:
        no_out(name, out)
        x = cast(array_of(x), dtype)
        if axis is None:
            if x.ndim != 1:
                raise ValueError(f"{name}: axis is required where there is not exactly one: got shape {x.shape}")
            axis = 0
        result = running(x, axis)
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
    return logic.where(logic.isnan(x), np.asarray(neutral, x.dtype), x) if x.dtype.kind in "fc" else x


def nansum(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False,
           initial: Any = absent, where: Any = True) -> Any:
    """Sum over ``axis`` of the elements that are not NaN."""
    return sum(_filled(array_of(a), 0), axis, dtype, out, keepdims, initial, where)


def nanprod(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False,
            initial: Any = absent, where: Any = True) -> Any:
    """Product over ``axis`` of the elements that are not NaN."""
    return prod(_filled(array_of(a), 1), axis, dtype, out, keepdims, initial, where)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running sum, NaN counting as 0."""
    return cumsum(_filled(array_of(a), 0), axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """Running product, NaN counting as 1."""
    return cumprod(_filled(array_of(a), 1), axis, dtype, out)


def _nan_extreme(name: str, fold: Any, filler: float) -> Any:
    def nan_extreme(a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: Any = absent,
                    where: Any = True) -> Any:
        x = array_of(a)
        if x.dtype.kind != "f":
            return fold(x, axis, out, keepdims, initial, where)
        result = fold(_filled(x, filler), axis, out, keepdims, initial, where)
        empty = red.all(_only(logic.isnan(x), where, 1), axis, _kept(keepdims))
        if _given(initial):
            return result
        _warn_if(empty, "All-NaN slice encountered")
        return logic.where(empty, np.asarray(np.nan, x.dtype), result)

    nan_extreme.__name__ = nan_extreme.__qualname__ = name
    which = "largest" if name == "nanmax" else "smallest"
    nan_extreme.__doc__ = f"The {which} element over ``axis`` that is not NaN; NaN where there is none."
    return nan_extreme


nanmax = _nan_extreme("nanmax", max, -math.inf)
nanmin = _nan_extreme("nanmin", min, math.inf)


def _warn_if(condition: Value, message: str) -> None:
    if condition.value is not None and np.any(condition.value):
        warnings.warn(message, RuntimeWarning, stacklevel=4)


def _nan_place(name: str, fold: Any, filler: float) -> Any:
    def nan_place(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
        x = array_of(a)
        if x.dtype.kind == "f":
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


# Mean and spread


def _working(x: Value, dtype: Any) -> tuple[Value, Any]:
    """x in the dtype to average in, and the dtype of the result: whole numbers become floats, halves use singles."""
    if dtype is not None:
        return logic.astype(x, dtype), np.dtype(dtype)
    if x.dtype.kind in "biu":
        return logic.astype(x, float), np.dtype(float)
    return (logic.astype(x, np.float32), x.dtype) if x.dtype == np.float16 else (x, x.dtype)


def _count(x: Value, axis: Axis, keepdims: bool, where: Any) -> Any:
    """How many elements each result is made of: a Python int, or an Array where a mask decides."""
    if where is True or where is absent or where is None:
        return math.prod(x.shape[i] for i in normalize(axis, x.ndim))
    mask = view.broadcast_to(array_of(where), x.shape)
    return logic.astype(red.sum(mask, axis, keepdims), real_dtype(x.dtype))


def _divided(total: Value, count: Any) -> Value:
    if not isinstance(count, (int, float)) or count:
        return total / count
    return total / np.zeros((), real_dtype(total.dtype))


def mean(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, *,
         where: Any = True) -> Any:
    """Arithmetic mean over ``axis``, all axes by default.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.grad(lambda x: gg.numpy.mean(x, axis=0)[0])(gg.numpy.ones((2, 3)))
    array([[0.5, 0. , 0. ],
           [0.5, 0. , 0. ]])
    """
    no_out("mean", out)
    x, final = _working(array_of(a), dtype)
    total = red.sum(_only(x, where, 0), axis, _kept(keepdims))
    return logic.astype(_divided(total, _count(x, axis, _kept(keepdims), where)), final)


def var(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False, *,
        where: Any = True, mean: Any = absent, correction: Any = absent) -> Any:
    """Mean squared distance from the mean over ``axis``.

    ``ddof``, which the array API calls ``correction``, is subtracted from the count: 1 for an unbiased estimate.
    """
    no_out("var", out)
    if _given(correction):
        if ddof:
            raise ValueError("var: ddof and correction can't be provided simultaneously; they are the same thing")
        ddof = correction
    x, final = _working(array_of(a), dtype)
    if where is not True and where is not absent:
        where = view.broadcast_to(array_of(where), x.shape)
    count = _count(x, axis, True, where)
    center = array_of(mean) if _given(mean) else _divided(red.sum(_only(x, where, 0), axis, True), count)
    away = _only(x - center, where, 0)
    squares = red.sum(ew.real(away * ew.conj(away)), axis, _kept(keepdims))
    left = count - ddof
    if not isinstance(left, (int, float)):
        left = left if _kept(keepdims) else view.squeeze(left, normalize(axis, x.ndim))
        left = logic.maximum(left, 0)
    return logic.astype(_divided(squares, builtins.max(left, 0) if isinstance(left, (int, float)) else left),
                        real_dtype(final))


def std(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False, *,
        where: Any = True, mean: Any = absent, correction: Any = absent) -> Any:
    """Square root of the variance; its derivative is taken as 0 where the variance is 0."""
    return composite.safe_sqrt(
        var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)
    )


def _not_nan(x: Value, where: Any) -> Any:
    valid = logic.logical_not(logic.isnan(x))
    return valid if where is True or where is absent else valid & array_of(where)


def _passing_over(name: str, function: Any) -> Any:
    def nan_function(a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
        x = array_of(a)
        if x.dtype.kind not in "fc":
            return function(x, *args, where=where, **kwargs)
        valid = _not_nan(x, where)
        with np.errstate(invalid="ignore", divide="ignore"):
            return function(logic.where(valid, x, np.zeros((), x.dtype)), *args, where=valid, **kwargs)

    nan_function.__name__ = nan_function.__qualname__ = name
    return nan_function


_nanmean, _nanvar, _nanstd = _passing_over("nanmean", mean), _passing_over("nanvar", var), _passing_over("nanstd", std)


def nanmean(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, *,
            where: Any = True) -> Any:
    """Mean over ``axis`` of the elements that are not NaN."""
    result = _nanmean(a, axis, dtype, out, keepdims, where=where)
    _warn_if(logic.isnan(result), "Mean of empty slice")
    return result


def nanvar(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False, *,
           where: Any = True, mean: Any = absent, correction: Any = absent) -> Any:
    """Variance over ``axis`` of the elements that are not NaN."""
    return _spread(_nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def nanstd(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False, *,
           where: Any = True, mean: Any = absent, correction: Any = absent) -> Any:
    """Standard deviation over ``axis`` of the elements that are not NaN."""
    return _spread(_nanstd(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def _spread(result: Value) -> Value:
    """0 / 0 and x / 0, where too few elements are left, are NaN."""
    _warn_if(logic.logical_not(logic.isfinite(result)), "Degrees of freedom <= 0 for slice.")
    return logic.where(logic.isinf(result), np.asarray(np.nan, result.dtype), result)


