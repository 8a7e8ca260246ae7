"""Making arrays: from Python's numbers and lists, from ranges and shapes, from other libraries."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import is_inexact, named, result_type
from ..graph.node import Node, Value, shape_of, value_of
from ..ops import elementwise as ew
from ..ops import logic, view
from .arguments import array_of, cast, checked, constants, gathered, numbers, on_cpu, operand, row_major, theirs

__all__ = [
    "array", "asarray", "asanyarray", "ascontiguousarray", "asarray_chkfinite", "copy", "astype", "from_dlpack",
    "frombuffer", "fromiter", "zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like",
    "full_like", "eye", "identity", "tri", "arange", "linspace", "geomspace", "logspace",
]  # fmt: skip

Shape = int | Sequence[int]


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: str | None = "K",
    subok: bool = False,
    ndmin: int = 0,
    ndmax: int = 0,
    like: Any = None,
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
    >>> float(gg.grad(lambda x: (gg.numpy.array([x, x * x]) * [1.0, 10.0]).sum())(3.0))
    61.0
    """
    row_major("array", order)
    value = gathered(object)
    if copy is False:
        _shared(object, value.dtype, dtype)
    if isinstance(value, Node):
        result = cast(value, dtype)
    else:
        result = as_array(checked(np.array(value, named(dtype), copy=copy), object))
    missing = ndmin - len(result.shape)
    return view.reshape(result, (1,) * missing + result.shape) if missing > 0 else result


def _shared(value: Any, own: np.dtype[Any], dtype: Any) -> None:
    """Refuse ``copy=False`` where the elements would have to be copied."""
    if dtype is not None and np.dtype(named(dtype)) != own:
        raise ValueError(f"array: got copy=False, but a cast from {own} to {np.dtype(dtype)} copies; leave copy out")
    if not isinstance(value, (Node, np.ndarray)) and not hasattr(value, "__array__") and not _buffer(value):
        raise ValueError(f"array: got copy=False, but a {type(value).__name__} can only be copied; leave copy out")


def _buffer(value: Any) -> builtins.bool:
    try:
        memoryview(value)
    except TypeError:
        return False
    return True


def asarray(
    a: Any,
    dtype: Any = None,
    order: str | None = None,
    *,
    device: Any = None,
    copy: bool | None = None,
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


def _filled(name: str, maker: Any) -> Any:
    def filled(shape: Shape, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None) -> Any:
        row_major(name, order)
        on_cpu(name, device)
        return as_array(maker(sizes_of(shape), float if dtype is None else named(dtype)))

    filled.__name__ = filled.__qualname__ = name
    filled.__doc__ = f"An Array of {'ones' if name == 'ones' else 'zeros'} of this shape; float64 by default."
    return filled


def sizes_of(shape: Any) -> Any:
    if isinstance(shape, Node):
        return tuple(numbers("shape", shape).reshape(-1).tolist())
    return shape if isinstance(shape, (builtins.int, np.integer)) else tuple(builtins.int(n) for n in shape)


zeros = _filled("zeros", np.zeros)
ones = _filled("ones", np.ones)
empty = _filled("empty", np.zeros)


def full(
    shape: Shape, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Any:
    """An Array of this shape, each element ``fill_value``; the fill value keeps its gradient."""
    row_major("full", order)
    on_cpu("full", device)
    sizes = sizes_of(shape)
    value = gathered(fill_value)
    if isinstance(value, Node) and (value.tracked or value.value is None):
        return view.broadcast_to(cast(value, dtype), sizes)
    return as_array(np.full(sizes, numbers("full", value), named(dtype)))


def _filled_like(name: str, maker: Any) -> Any:
    def filled_like(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        row_major(name, order)
        on_cpu(name, device)
        like = gathered(a)
        sizes = shape_of(like) if shape is None else sizes_of(shape)
        return as_array(maker(sizes, like.dtype if dtype is None else named(dtype)))

    filled_like.__name__ = filled_like.__qualname__ = name
    filled_like.__doc__ = f"An Array of {name.removesuffix('_like')} with the shape and dtype of ``a``."
    return filled_like


zeros_like = _filled_like("zeros_like", np.zeros)
ones_like = _filled_like("ones_like", np.ones)
empty_like = _filled_like("empty_like", np.zeros)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """An Array with the shape and dtype of ``a``, each element ``fill_value``."""
    like = gathered(a)
    sizes = shape_of(like) if shape is None else shape
    return full(sizes, fill_value, like.dtype if dtype is None else dtype, order, device=device)


def eye(
    N: int,
    M: int | None = None,
    k: int = 0,
    dtype: Any = float,
    order: str = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    """A matrix with ones on diagonal ``k`` and zeros elsewhere.  [N, M]"""
    row_major("eye", order)
    on_cpu("eye", device)
    return as_array(np.eye(N, M, k, float if dtype is None else named(dtype)))


def identity(n: int, dtype: Any = None, *, like: Any = None) -> Any:
    """The n by n matrix that changes nothing."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float, *, like: Any = None) -> Any:
    """A matrix with ones on and below diagonal ``k``.  [N, M]"""
    return as_array(np.tri(N, M, k, named(dtype)))


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, like: Any = None
) -> Any:
    """Numbers from ``start`` (0 if only one number is given) to just before ``stop`` by ``step``."""
    on_cpu("arange", device)
    ends = [
        x if not isinstance(x, Node) else constants("arange", x, "write start + step * np.arange(n)")
        for x in (start, stop, step)
    ]
    return as_array(np.arange(*ends, dtype=named(dtype)))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``; both ends keep their gradient."""
    on_cpu("linspace", device)
    first, last = operand(start), operand(stop)
    if not _varies(first, last):
        ends = value_of(first), value_of(last)
        made = theirs.linspace(*ends, num, endpoint, retstep, named(dtype), axis)
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
        return as_array(np.geomspace(value_of(first), value_of(last), num, endpoint, named(dtype), axis))
    intervals = num - 1 if endpoint else num
    share = np.arange(num) / builtins.max(intervals, 1)
    return _between(_floating(first), _floating(last), share, lambda a, b, t: a * ew.power(b / a, t), axis, dtype)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """``base`` to the power of ``num`` numbers at equal distances from ``start`` to ``stop``."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    return cast(ew.power(base if np.isscalar(base) else array_of(base), exponents), dtype)


def _varies(*xs: Value) -> bool:
    return any(isinstance(x, Node) and (x.tracked or x.value is None) for x in xs)


def _floating(x: Value) -> Value:
    """An end in a floating dtype; a Python number stays one, because it promotes weakly."""
    if isinstance(x, (int, float)):
        return float(x)
    return x if isinstance(x, complex) or is_inexact(x.dtype) else logic.astype(x, float)


def _between(first: Value, last: Value, share: Any, rule: Any, axis: int, dtype: Any) -> Value:
    """A rule applied to two ends and each share of the way between, along a new axis."""
    ndim = len(np.broadcast_shapes(shape_of(first), shape_of(last)))
    weak = (x if isinstance(x, (float, complex)) else x.dtype for x in (first, last))
    share = share.reshape((-1,) + (1,) * ndim).astype(result_type(*weak, 0.0))
    result = rule(first, last, share)
    return cast(view.moveaxis(result, 0, axis) if axis else result, dtype)
