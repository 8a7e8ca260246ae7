"""Choosing elements: where and its relatives, take, boolean masks, diagonals; and comparing within a tolerance."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import finfo, is_inexact, kind_of, real_dtype
from ..errors import UnsupportedError
from ..ops import control, indexing, logic, special, view
from ..ops import elementwise as ew
from ..ops import reduction as red
from ..ops.sinc import sinc as sinc_of
from .arguments import absent, array_of, arrays_of, cast, gathered, no_out, numbers, operand

__all__ = [
    "where", "nonzero", "flatnonzero", "argwhere", "select", "piecewise", "choose", "take", "take_along_axis",
    "compress", "extract", "diagonal", "trace", "put", "place", "putmask", "copyto", "fill_diagonal",
    "put_along_axis", "isclose", "allclose", "array_equal", "array_equiv", "real", "imag", "angle",
    "real_if_close", "iscomplex", "isreal", "iscomplexobj", "isrealobj", "isneginf", "isposinf", "clip",
    "nan_to_num", "round", "around", "fix", "sinc", "i0",
]  # fmt: skip


def where(condition: Any, x: Any = absent, y: Any = absent, *, ieee: bool = False) -> Any:
    """x where the condition holds, else y; with the condition alone, the places where it holds.

    What the condition discards contributes nothing to a gradient, even where it is infinite or NaN.

    Parameters
    ----------
    ieee : multiply the discarded branch's derivative by 0 instead, as other libraries do: then 0 · inf is NaN

    Examples
    --------
    >>> import glassgrad as gg
    >>> float(gg.grad(lambda x: gg.numpy.where(x > 0, gg.numpy.sqrt(x), x))(0.0))
    1.0
    >>> float(gg.grad(lambda x: gg.numpy.where(x > 0, gg.numpy.sqrt(x), x, ieee=True))(0.0))
    nan
    """
    if x is absent and y is absent:
        return nonzero(condition)
    if x is absent or y is absent:
        raise ValueError("where: either both or neither of x and y should be given")
    return as_array(logic.where(array_of(condition), operand(x), operand(y), ieee=ieee))


def nonzero(a: Any) -> tuple[Any, ...]:
    """Places of the elements that are not zero, one index array per axis."""
    return tuple(as_array(i) for i in np.nonzero(numbers("nonzero", a)))


def flatnonzero(a: Any) -> Any:
    """Places in the flattened array of the elements that are not zero."""
    return as_array(np.flatnonzero(numbers("flatnonzero", a)))


def argwhere(a: Any) -> Any:
    """Places of the elements that are not zero, one row each."""
    return as_array(np.argwhere(numbers("argwhere", a)))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Elements of the first choice whose condition holds, else of the default."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError("select: list of cases must be same length as list of conditions, and not empty")
    result = operand(default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        mask = gathered(condition)
        if mask.dtype.kind != "b":
            raise TypeError(f"select: conditions must be boolean: got {mask.dtype}; compare with != 0")
        result = logic.where(mask, operand(choice), result)
    return as_array(result)


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Any:
    """Each element by the function (or number) of the last condition that holds for it, in the dtype of x.

    One function more than there are conditions is for where none holds; otherwise the result is 0 there. Each
    function is called on the whole of x, and what it gives elsewhere is discarded, with its gradient.
    """
    x = array_of(x)
    if not isinstance(condlist, (list, tuple)) or (condlist and np.ndim(gathered(condlist[0])) == 0 and x.ndim):
        condlist = [condlist]
    masks = [array_of(c) for c in condlist]
    functions = list(funclist)
    if len(functions) not in (len(masks), len(masks) + 1):
        raise ValueError(
            f"piecewise: with {len(masks)} condition(s), either {len(masks)} or {len(masks) + 1} functions"
            f" are expected: got {len(functions)}"
        )

    def value(function: Any) -> Any:
        return function(x, *args, **kw) if callable(function) else operand(function)

    result: Any = np.zeros((), x.dtype)
    if len(functions) > len(masks):
        result = value(functions[-1])
    for mask, function in zip(masks, functions, strict=False):
        result = logic.where(logic.astype(mask, builtins.bool), value(function), result)
    return view.broadcast_to(logic.astype(array_of(result), x.dtype), x.shape)


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """For each place, the element there of the choice that ``a`` names."""
    no_out("choose", out)
    options = arrays_of(choices)
    picks = _in_bounds("choose", array_of(a), len(options), mode)
    shape = np.broadcast_shapes(picks.shape, *(x.shape for x in options))
    table = view.stack([view.broadcast_to(x, shape) for x in options])
    return indexing.take_along_axis(table, view.broadcast_to(picks, shape)[None], 0)[0]


def _in_bounds(name: str, places: Any, n: int, mode: str) -> Any:
    if mode == "wrap":
        return ew.remainder(places, n)
    if mode == "clip":
        return logic.minimum(logic.maximum(places, 0), n - 1)
    if mode != "raise":
        raise ValueError(f"{name}: got mode={mode!r}, expected 'raise', 'wrap' or 'clip'")
    if name == "choose" and places.value is not None and ((places.value < 0) | (places.value >= n)).any():
        raise ValueError("choose: invalid entry in choice array")
    return places


def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    """Elements along an axis by position, of the flattened array by default."""
    no_out("take", out)
    x, places = array_of(a), array_of(indices)
    if places.dtype.kind not in "iu":
        if places.size or places.dtype.kind != "f":
            raise TypeError(f"take: indices must be integers: got {places.dtype}; use x[mask] for a boolean mask")
        places = logic.astype(places, np.intp)
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    return indexing.take(x, _in_bounds("take", places, x.shape[axis], mode), axis)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """Elements at positions given for every place along one axis, as argsort gives them."""
    places = array_of(indices)
    if places.dtype.kind not in "iu":
        raise IndexError(f"take_along_axis: `indices` must be an integer array: got {places.dtype}")
    return indexing.take_along_axis(array_of(arr), places, axis)


def compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Any:
    """Slices along an axis where a vector of conditions holds."""
    no_out("compress", out)
    mask = numbers("compress", condition)
    if mask.ndim != 1:
        raise ValueError("compress: condition must be a 1-d array")
    return take(a, np.flatnonzero(mask), axis)


def extract(condition: Any, arr: Any) -> Any:
    """The elements where the condition holds."""
    return take(arr, np.flatnonzero(numbers("extract", condition)))


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as a last axis."""
    x = array_of(a)
    if x.ndim < 2:
        raise ValueError(f"diagonal: requires an array of at least two dimensions: got shape {x.shape}")
    return indexing.diagonal(x, offset, axis1, axis2)


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    """Sum of a diagonal."""
    no_out("trace", out)
    return cast(red.sum(cast(diagonal(a, offset, axis1, axis2), dtype), -1), dtype)


def _written(name: str, way_out: str) -> Any:
    def written(*args: Any, **kwargs: Any) -> Any:
        raise UnsupportedError(f"{name}: it writes into its argument, and an Array is immutable; write {way_out}")

    written.__name__ = written.__qualname__ = name
    written.__doc__ = f"Refused, because an Array is immutable: write ``{way_out}``."
    return written


put = _written("put", "x = x.ravel().at[indices].set(v).reshape(x.shape)")
place = _written("place", "x = x.at[mask].set(values)")
putmask = _written("putmask", "x = np.where(mask, values, x)")
copyto = _written("copyto", "x = np.where(mask, source, x), or x = np.broadcast_to(source, x.shape)")
fill_diagonal = _written("fill_diagonal", "x = x.at[np.diag_indices_from(x)].set(v)")
put_along_axis = _written("put_along_axis", "x = x.at[i, indices].set(v), with i = np.arange(n)[:, None] for axis 1")


# Comparing


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether |a - b| ≤ atol + rtol |b|."""
    x, y = array_of(a), array_of(b)
    with np.errstate(invalid="ignore"):
        if x.dtype.kind in "bu":
            x = logic.astype(x, float)
        near = ew.absolute(x - y) <= operand(atol) + operand(rtol) * ew.absolute(y)
        result = logic.where(logic.isfinite(y), near, x == y)
    return result | (logic.isnan(x) & logic.isnan(y)) if equal_nan else result


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as True or False."""
    return builtins.bool(red.all(isclose(a, b, rtol, atol, equal_nan)))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and all elements agree, as True or False."""
    x, y = array_of(a1), array_of(a2)
    return x.shape == y.shape and builtins.bool(
        np.array_equal(numbers("array_equal", x), numbers("array_equal", y), equal_nan=equal_nan)
    )


def array_equiv(a1: Any, a2: Any) -> bool:
    """Whether all elements agree after broadcasting, as True or False."""
    return builtins.bool(np.array_equiv(numbers("array_equiv", a1), numbers("array_equiv", a2)))


# Parts and kinds of numbers


def real(val: Any) -> Any:
    """The real part; a real argument as it is."""
    return ew.real(array_of(val))


def imag(val: Any) -> Any:
    """The imaginary part; zeros for a real argument."""
    return as_array(ew.imag(array_of(val)))


def angle(z: Any, deg: bool = False) -> Any:
    """The angle of a complex number from the positive real axis, in radians or degrees; derivative 0 at 0."""
    x = array_of(z)
    if x.dtype.kind == "c":
        known, away = control.stop_gradient(x), logic.where(x == 0, 1, x)  # a zero has no direction to turn
        result = ew.arctan2(ew.imag(away), ew.real(away))
        result = logic.where(x == 0, ew.arctan2(ew.imag(known), ew.real(known)), result)
    elif x.dtype.kind in "biu":
        result = ew.arctan2(0, x)
    else:
        turned = ew.arctan2(0, ew.copysign(1.0, x))  # 0 or π, whatever the size of x
        result = logic.where(logic.isnan(x), x, turned)
    return result * (180 / np.pi) if deg else result


def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part where all imaginary parts are within ``tol`` times the precision of 0, else the argument."""
    x = array_of(a)
    if x.dtype.kind != "c":
        return x
    bound = tol if tol <= 1 else tol * finfo(real_dtype(x.dtype)).eps
    return ew.real(x) if (np.abs(numbers("real_if_close", x).imag) < bound).all() else x


def iscomplex(x: Any) -> Any:
    """Whether the imaginary part of each element is not 0."""
    return as_array(ew.imag(array_of(x)) != 0)


def isreal(x: Any) -> Any:
    """Whether the imaginary part of each element is 0."""
    return as_array(ew.imag(array_of(x)) == 0)


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return builtins.bool(gathered(x).dtype.kind == "c")


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def isneginf(x: Any, /, out: None = None) -> Any:
    """Whether each element is -∞."""
    no_out("isneginf", out)
    return array_of(x) == -np.inf


def isposinf(x: Any, /, out: None = None) -> Any:
    """Whether each element is +∞."""
    no_out("isposinf", out)
    return array_of(x) == np.inf


def clip(
    a: Any,
    a_min: Any = absent,
    a_max: Any = absent,
    out: None = None,
    *,
    min: Any = absent,
    max: Any = absent,
    dtype: Any = None,
    **kwargs: Any,
) -> Any:
    """Elements held between two bounds; the gradient passes at the bounds themselves. None means no bound."""
    no_out("clip", out)
    low = min if a_min is absent else a_min
    high = max if a_max is absent else a_max
    low, high = (None if bound is absent or bound is None else operand(bound) for bound in (low, high))
    x = array_of(a) if dtype is None else logic.astype(array_of(a), dtype)
    if x.dtype.kind in "iu":  # a bound beyond what the dtype holds is none
        low = None if type(low) is int and low < np.iinfo(x.dtype).min else low
        high = None if type(high) is int and high > np.iinfo(x.dtype).max else high
    if x.dtype.kind in "biu" or low is None or high is None or x.dtype.kind == "c":
        # One bound after the other, so that the bound which is not there has no influence on the dtype.
        x = x if low is None else logic.maximum(x, low) if kind_of(x.dtype) != "f" else _bounded(x, low, -1)
        return x if high is None else logic.minimum(x, high) if kind_of(x.dtype) != "f" else _bounded(x, high, 1)
    return logic.clip(x, low, high)


def _bounded(x: Any, bound: Any, side: int) -> Any:
    return logic.clip(x, bound, None) if side < 0 else logic.clip(x, None, bound)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN replaced by 0 and infinities by the largest numbers of the dtype, or by what is given."""
    x = array_of(x)
    if x.dtype.kind == "c":
        return nan_to_num(ew.real(x), copy, nan, posinf, neginf) + 1j * nan_to_num(
            ew.imag(x), copy, nan, posinf, neginf
        )
    if kind_of(x.dtype) != "f":
        return x
    limits = finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    for mask, value in ((logic.isnan(x), nan), (x == np.inf, high), (x == -np.inf, low)):
        x = logic.where(mask, logic.astype(array_of(value), x.dtype), x)
    return x


def round(a: Any, decimals: int = 0, out: None = None) -> Any:
    """The nearest number with this many decimals, halves to even."""
    no_out("round", out)
    x = array_of(a)
    if x.dtype.kind == "c":
        return round(ew.real(x), decimals) + 1j * round(ew.imag(x), decimals)
    if x.dtype.kind in "biu":
        return as_array(np.round(numbers("round", x), decimals))
    if decimals == 0:
        return ew.rint(x)
    scale = 10.0 ** builtins.abs(decimals)
    return ew.rint(x * scale) / scale if decimals > 0 else ew.rint(x / scale) * scale


around = round


def fix(x: Any, out: None = None) -> Any:
    """The whole part, towards zero."""
    no_out("fix", out)
    return ew.trunc(array_of(x))


def sinc(x: Any) -> Any:
    """sin πx / πx, and 1 at 0."""
    x = array_of(x)
    if x.dtype.kind in "biu":
        x = logic.astype(x, float)
    return sinc_of(x)


def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind and order 0. Its gradient needs SciPy."""
    x = array_of(x)
    return special.bessel_i(0, x if is_inexact(x.dtype) else logic.astype(x, float))
