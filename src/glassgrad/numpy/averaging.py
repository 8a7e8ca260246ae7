"""Means, variances and standard deviations, with masks and passing over NaN."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..dtypes import is_inexact, named, real_dtype
from ..graph.node import Value
from ..ops import composite, logic, view
from ..ops import elementwise as ew
from ..ops import reduction as red
from ..ops.reduction import normalize
from .arguments import absent, array_of, no_out
from .reducing import Axis, given, kept, only, warn_if

__all__ = [
    "mean", "var", "std", "nanmean", "nanvar", "nanstd",
]  # fmt: skip


# Mean and spread


def _working(x: Value, dtype: Any) -> tuple[Value, Any]:
    """x in the dtype to average in, and the dtype of the result: whole numbers become floats, halves use singles."""
    if dtype is not None:
        return logic.astype(x, dtype), np.dtype(named(dtype))
    if x.dtype.kind in "biu":
        return logic.astype(x, float), np.dtype(float)
    return (logic.astype(x, np.float32), x.dtype) if x.dtype.itemsize == 2 else (x, x.dtype)


def _count(x: Value, axis: Axis, keepdims: bool, where: Any) -> Any:
    """How many elements each result is made of: a Python int, or an Array where a mask decides."""
    if where is True or where is absent or where is None:
        return math.prod(x.shape if axis is None else (x.shape[i] for i in normalize(axis, x.ndim)))
    mask = view.broadcast_to(array_of(where), x.shape)
    return logic.astype(red.sum(mask, axis, keepdims), real_dtype(x.dtype))


def _divided(total: Value, count: Any) -> Value:
    if not isinstance(count, (int, float)) or count:
        return total / count
    return total / np.zeros((), real_dtype(total.dtype))


def mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """Arithmetic mean over ``axis``, all axes by default.

    Examples
    --------
    >>> import glassgrad as gg
    >>> print(gg.grad(lambda x: gg.numpy.mean(x, axis=0)[0])(gg.numpy.ones((2, 3))))
    [[0.5 0.  0. ]
     [0.5 0.  0. ]]
    """
    no_out("mean", out)
    x, final = _working(array_of(a), dtype)
    total = red.sum(only(x, where, 0), axis, kept(keepdims))
    result = _divided(total, _count(x, axis, kept(keepdims), where))
    return result if final is x.dtype else logic.astype(result, final)


def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = absent,
    correction: Any = absent,
) -> Any:
    """Mean squared distance from the mean over ``axis``.

    ``ddof``, which the array API calls ``correction``, is subtracted from the count: 1 for an unbiased estimate.
    """
    no_out("var", out)
    if given(correction):
        if ddof:
            raise ValueError("var: ddof and correction can't be provided simultaneously; they are the same thing")
        ddof = correction
    x, final = _working(array_of(a), dtype)
    if where is not True and where is not absent:
        where = view.broadcast_to(array_of(where), x.shape)
    count = _count(x, axis, True, where)
    center = array_of(mean) if given(mean) else _divided(red.sum(only(x, where, 0), axis, True), count)
    away = only(x - center, where, 0)
    squares = red.sum(ew.real(away * ew.conj(away)), axis, kept(keepdims))
    left = count - ddof
    if not isinstance(left, (int, float)):
        left = left if kept(keepdims) else view.squeeze(left, normalize(axis, x.ndim))
        left = logic.maximum(left, 0)
    return logic.astype(
        _divided(squares, builtins.max(left, 0) if isinstance(left, (int, float)) else left), real_dtype(final)
    )


def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = absent,
    correction: Any = absent,
) -> Any:
    """Square root of the variance; its derivative is taken as 0 where the variance is 0."""
    return composite.safe_sqrt(var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def _not_nan(x: Value, where: Any) -> Any:
    valid = logic.logical_not(logic.isnan(x))
    return valid if where is True or where is absent else valid & array_of(where)


def _passing_over(name: str, function: Any) -> Any:
    def nan_function(a: Any, *args: Any, where: Any = True, **kwargs: Any) -> Any:
        x = array_of(a)
        if not is_inexact(x.dtype):
            return function(x, *args, where=where, **kwargs)
        valid = _not_nan(x, where)
        with np.errstate(invalid="ignore", divide="ignore"):
            return function(logic.where(valid, x, np.zeros((), x.dtype)), *args, where=valid, **kwargs)

    nan_function.__name__ = nan_function.__qualname__ = name
    return nan_function


_nanmean, _nanvar, _nanstd = _passing_over("nanmean", mean), _passing_over("nanvar", var), _passing_over("nanstd", std)


def nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, *, where: Any = True
) -> Any:
    """Mean over ``axis`` of the elements that are not NaN."""
    result = _nanmean(a, axis, dtype, out, keepdims, where=where)
    warn_if(logic.isnan(result), "Mean of empty slice")
    return result


def nanvar(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = absent,
    correction: Any = absent,
) -> Any:
    """Variance over ``axis`` of the elements that are not NaN."""
    return _spread(_nanvar(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def nanstd(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = absent,
    correction: Any = absent,
) -> Any:
    """Standard deviation over ``axis`` of the elements that are not NaN."""
    return _spread(_nanstd(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


def _spread(result: Value) -> Value:
    """0 / 0 and x / 0, where too few elements are left, are NaN."""
    warn_if(logic.logical_not(logic.isfinite(result)), "Degrees of freedom <= 0 for slice.")
    return logic.where(logic.isinf(result), np.asarray(np.nan, result.dtype), result)
