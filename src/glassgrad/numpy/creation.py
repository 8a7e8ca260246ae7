"""Making arrays: from Python's numbers and lists, from ranges and shapes, from other libraries."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import as_array
from ..errors import UnsupportedError
from ..graph.node import Node, Value, shape_of, value_of
from ..ops import elementwise as ew
from ..ops import indexing, logic, view
from .arguments import array_of, cast, constants, gathered, numbers, on_cpu, operand, row_major, theirs

__all__ = [
    "array", "asarray", "asanyarray", "ascontiguousarray", "asarray_chkfinite", "copy", "astype", "from_dlpack",
    "frombuffer", "fromiter", "fromfunction", "zeros", "ones", "empty", "full", "zeros_like", "ones_like",
    "empty_like", "full_like", "eye", "identity", "tri", "arange", "linspace", "geomspace", "logspace",
    "meshgrid", "indices", "diag", "diagflat", "tril", "triu", "vander", "tril_indices", "triu_indices",
    "diag_indices", "mask_indices", "unravel_index", "ix_", "tril_indices_from", "triu_indices_from",
    "diag_indices_from", "mgrid", "ogrid", "r_", "c_", "s_", "index_exp",
]  # fmt: skip

Shape = int | Sequence[int]


def array(
    object: Any, dtype: Any = None, *, copy: bool | None = True, order: str | None = "K", subok: bool = False,
    ndmin: int = 0, ndmax: int = 0, like: Any = None,
) -> Any:
    """An Array of numbers, nested lists, ndarrays or Arrays; Arrays inside lists are stacked and keep their gradient.

    Parameters
    ----------
    object : anything ``numpy.array`` takes, with Arrays anywhere in it
    dtype : dtype of the result; NumPy's choice by default
    ndmin : least number of axes; axes of size 1 are put in front

    Raises
    ------
    ShapeError
        for parts whose shapes differ.

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.grad(lambda x: (gg.numpy.array([x, x * x]) * [1.0, 10.0]).sum())(3.0)
    np.float64(61.0)
    """
    row_major("array", order)
    value = gathered(object)
    if isinstance(value, Node):
        result = cast(value, dtype)
    else:
        result = as_array(np.array(value, dtype, copy=copy))
    missing = ndmin - len(result.shape)
    return view.reshape(result, (1,) * missing + result.shape) if missing > 0 else result


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None, copy: bool | None = None,
    like: Any = None,
) -> Any:
    """``a`` as an Array; an ndarray is not copied unless ``copy=True`` or another dtype is asked for."""
    on_cpu("asarray", device)
    return array(a, dtype, copy=copy, order=order)


asanyarray = ascontiguousarray = asarray


def asarray_chkfinite(a: Any, dtype: Any = None, order: str | None = None) -> Any:
    """``a`` as an Array, after checking that it holds no infinity and no NaN."""
    result = asarray(a, dtype, order)
    if not np.isfinite(numbers("asarray_chkfinite", result)).all():
        raise ValueError("asarray_chkfinite: array must not contain infs or NaNs; find them with np.isfinite(a)")
    return result


def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """``a`` as an Array of its own; Arrays are immutable, so an Array is its own copy."""
    return array(a, order=order)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """x in another dtype. Casts between floating and complex dtypes keep the gradient."""
    on_cpu("astype", device)
    return logic.astype(array_of(x), dtype)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Any:
    """An Array of another library's array, without copying where it lies in this machine's memory."""
    on_cpu("from_dlpack", device)
    if isinstance(x, Node):
        return x
    return as_array(np.from_dlpack(x, copy=copy))


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0, *, like: Any = None) -> Any:
    """A one-dimensional Array over a buffer."""
    return as_array(np.frombuffer(buffer, dtype, count, offset))


def fromiter(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Any:
    """A one-dimensional Array of what an iterable yields, Arrays without axes included."""
    items = list(iter) if count < 0 else [item for item, _ in zip(iter, range(count), strict=False)]
    return array(items, dtype)


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any) -> Any:
    """What ``function`` gives for the coordinates of every place of an array of ``shape``."""
    return function(*indices(shape, dtype), **kwargs)


def _filled(name: str, maker: Any) -> Any:
    def filled(shape: Shape, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None) -> Any:
        row_major(name, order)
        on_cpu(name, device)
        return as_array(maker(_sizes(shape), float if dtype is None else dtype))

    filled.__name__ = filled.__qualname__ = name
    filled.__doc__ = f"An Array of {'ones' if name == 'ones' else 'zeros'} of this shape; float64 by default."
    return filled


def _sizes(shape: Any) -> Any:
    if isinstance(shape, Node):
        return tuple(numbers("shape", shape).reshape(-1).tolist())
    return shape if isinstance(shape, (builtins.int, np.integer)) else tuple(builtins.int(n) for n in shape)


zeros = _filled("zeros", np.zeros)
ones = _filled("ones", np.ones)
empty = _filled("empty", np.zeros)


def full(shape: Shape, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None,
         like: Any = None) -> Any:
    """An Array of this shape, each element ``fill_value``; the fill value keeps its gradient."""
    row_major("full", order)
    on_cpu("full", device)
    sizes = _sizes(shape)
    value = gathered(fill_value)
    if isinstance(value, Node) and (value.tracked or value.value is None):
        return view.broadcast_to(cast(value, dtype), sizes)
    return as_array(np.full(sizes, numbers("full", value), dtype))


def _filled_like(name: str, maker: Any) -> Any:
    def filled_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
                    device: Any = None) -> Any:
        row_major(name, order)
        on_cpu(name, device)
        like = gathered(a)
        sizes = shape_of(like) if shape is None else _sizes(shape)
        return as_array(maker(sizes, like.dtype if dtype is None else dtype))

    filled_like.__name__ = filled_like.__qualname__ = name
    filled_like.__doc__ = f"An Array of {name.removesuffix('_like')} with the shape and dtype of ``a``."
    return filled_like


zeros_like = _filled_like("zeros_like", np.zeros)
ones_like = _filled_like("ones_like", np.ones)
empty_like = _filled_like("empty_like", np.zeros)


def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
              device: Any = None) -> Any:
    """An Array with the shape and dtype of ``a``, each element ``fill_value``."""
    like = gathered(a)
    sizes = shape_of(like) if shape is None else shape
    return full(sizes, fill_value, like.dtype if dtype is None else dtype, order, device=device)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: str = "C", *, device: Any = None,
        like: Any = None) -> Any:
    """A matrix with ones on diagonal ``k`` and zeros elsewhere.  [N, M]"""
    row_major("eye", order)
    on_cpu("eye", device)
    return as_array(np.eye(N, M, k, float if dtype is None else dtype))


def identity(n: int, dtype: Any = None, *, like: Any = None) -> Any:
    """The n by n matrix that changes nothing."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Any:
    """A matrix with ones on and below diagonal ``k``.  [N, M]"""
    return as_array(np.tri(N, M, k, dtype))


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
           like: Any = None) -> Any:
    """Numbers from ``start`` (0 if only one number is given) to just before ``stop`` by ``step``."""
    on_cpu("arange", device)
    ends = [x if not isinstance(x, Node) else constants("arange", x, "write start + step * np.arange(n)")
            for x in (start, stop, step)]
    return as_array(np.arange(*ends, dtype=dtype))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
             axis: int = 0, *, device: Any = None) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``; both ends keep their gradient."""
    on_cpu("linspace", device)
    first, last = operand(start), operand(stop)
    if not _varies(first, last):
        ends = value_of(first), value_of(last)
        made = theirs.linspace(*ends, num, endpoint, retstep, dtype, axis)
        return tuple(map(as_array, made)) if retstep else as_array(made)
    first, last = _floating(first), _floating(last)
    intervals = num - 1 if endpoint else num
    share = np.arange(num) / intervals if intervals > 0 else np.zeros(num)
    result = _between(first, last, share, lambda a, b, t: a * (1 - t) + b * t, axis, dtype)
    return (result, (last - first) / intervals if intervals > 0 else as_array(np.nan)) if retstep else result


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """``num`` numbers at equal ratios from ``start`` to ``stop``."""
    first, last = operand(start), operand(stop)
    if not _varies(first, last):
        return as_array(np.geomspace(value_of(first), value_of(last), num, endpoint, dtype, axis))
    intervals = num - 1 if endpoint else num
    share = np.arange(num) / builtins.max(intervals, 1)
    return _between(_floating(first), _floating(last), share, lambda a, b, t: a * ew.power(b / a, t), axis, dtype)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None,
             axis: int = 0) -> Any:
    """``base`` to the power of ``num`` numbers at equal distances from ``start`` to ``stop``."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    return cast(ew.power(base if np.isscalar(base) else array_of(base), exponents), dtype)


def _varies(*xs: Value) -> bool:
    return any(isinstance(x, Node) and (x.tracked or x.value is None) for x in xs)


def _floating(x: Value) -> Value:
    """An end in a floating dtype; a Python number stays one, because it promotes weakly."""
    if isinstance(x, (int, float)):
        return float(x)
    return x if isinstance(x, complex) or x.dtype.kind in "fc" else logic.astype(x, float)


def _between(first: Value, last: Value, share: Any, rule: Any, axis: int, dtype: Any) -> Value:
    """A rule applied to two ends and each share of the way between, along a new axis."""
    ndim = len(np.broadcast_shapes(shape_of(first), shape_of(last)))
    weak = (x if isinstance(x, (float, complex)) else x.dtype for x in (first, last))
    share = share.reshape((-1,) + (1,) * ndim).astype(np.result_type(*weak, 0.0))
    result = rule(first, last, share)
    return cast(view.moveaxis(result, 0, axis) if axis else result, dtype)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate arrays of a grid from the coordinates along each axis.

    ``indexing="ij"`` keeps the order of the axes, ``"xy"`` exchanges the first two.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: got indexing={indexing!r}, expected 'xy' or 'ij'")
    arrays = [array_of(x) for x in xi]
    ndim = len(arrays)
    order = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        order[:2] = [1, 0]
    spread = [view.reshape(x, tuple(-1 if i == place else 1 for i in range(ndim))) if ndim > 1 else
              view.reshape(x, (-1,)) for x, place in zip(arrays, order, strict=True)]
    if sparse:
        return tuple(spread)
    shape = np.broadcast_shapes(*(x.shape for x in spread)) if spread else ()
    return tuple(view.broadcast_to(x, shape) for x in spread)


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The coordinates of every place of an array of these sizes, one array per axis, stacked."""
    made = theirs.indices(_sizes(dimensions), dtype, sparse)
    return tuple(as_array(m) for m in made) if sparse else as_array(made)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with ``v`` on diagonal ``k``, or that diagonal of a matrix ``v``."""
    x = array_of(v)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: input must be 1- or 2-d: got shape {x.shape}; use diagonal for more axes")
    return indexing.diag_embed(x, k) if x.ndim == 1 else indexing.diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with the elements of ``v`` on diagonal ``k``."""
    return indexing.diag_embed(view.reshape(array_of(v), (-1,)), k)


def _triangle(m: Any, keep: Any) -> Any:
    x = array_of(m)
    shape = x.shape if x.ndim > 1 else (*x.shape * 2,)
    return logic.where(keep(shape), x, np.zeros((), x.dtype))


def tril(m: Any, k: int = 0) -> Any:
    """``m`` with zeros above diagonal ``k`` of its last two axes."""
    return _triangle(m, lambda shape: theirs.tri(*shape[-2:], k=k, dtype=builtins.bool))


def triu(m: Any, k: int = 0) -> Any:
    """``m`` with zeros below diagonal ``k`` of its last two axes."""
    return _triangle(m, lambda shape: ~theirs.tri(*shape[-2:], k=k - 1, dtype=builtins.bool))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of the elements of x, one column per power, falling unless ``increasing``.  [n] -> [n, N]"""
    base = array_of(x)
    if base.ndim != 1:
        raise ValueError(f"vander: x must be a one-dimensional array or sequence: got shape {base.shape}")
    powers = np.arange(base.shape[0] if N is None else N)
    dtype = np.result_type(base.dtype, int)
    table = ew.power(cast(base, dtype)[:, None], (powers if increasing else powers[::-1]))
    return cast(table, dtype)


def _positions(name: str) -> Any:
    function = getattr(np, name)

    def positions(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        plain = [numbers(name, a) if isinstance(a, Node) else a for a in args]
        return tuple(as_array(i) for i in function(*plain, **kwargs))

    positions.__name__ = positions.__qualname__ = name
    positions.__doc__ = f"Index arrays, as ``numpy.{name}`` gives them."
    return positions


tril_indices, triu_indices = _positions("tril_indices"), _positions("triu_indices")
diag_indices, mask_indices = _positions("diag_indices"), _positions("mask_indices")
unravel_index, ix_ = _positions("unravel_index"), _positions("ix_")


def _positions_from(name: str, plain: str) -> Any:
    def positions_from(arr: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        shape = shape_of(gathered(arr))
        return tuple(as_array(i) for i in getattr(np, name)(np.empty(shape, builtins.bool), *args, **kwargs))

    positions_from.__name__ = positions_from.__qualname__ = name
    positions_from.__doc__ = f"``{plain}`` for the shape of an array."
    return positions_from


tril_indices_from = _positions_from("tril_indices_from", "tril_indices")
triu_indices_from = _positions_from("triu_indices_from", "triu_indices")
diag_indices_from = _positions_from("diag_indices_from", "diag_indices")


class _Grid:
    """``mgrid[0:3, 0:2]``: coordinate arrays by slices."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        made = self._grid[key]
        return tuple(as_array(m) for m in made) if isinstance(made, tuple) else as_array(made)


mgrid, ogrid = _Grid(np.mgrid), _Grid(np.ogrid)


class _Joined:
    """``r_[a, 0, 1:4]``: arrays, numbers and slices joined along the first axis; ``c_`` along the last, as columns."""

    def __init__(self, columns: bool) -> None:
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, str) for part in parts):
            raise UnsupportedError("r_: got a string, which says how to join; use concatenate or stack with axis=")
        arrays = [as_array(np.r_[part]) if isinstance(part, slice) else array_of(part) for part in parts]
        if self._columns:
            arrays = [view.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in arrays]
            return view.concatenate(arrays, -1)
        return view.concatenate([view.reshape(x, (1,)) if x.ndim == 0 else x for x in arrays], 0)


r_, c_ = _Joined(columns=False), _Joined(columns=True)
s_, index_exp = np.s_, np.index_exp
