"""Rearranging without computing: shapes, axes, flips, joins and splits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import as_array
from ..graph.node import Node, shape_of
from ..ops import indexing, logic, view
from ..ops import reduction as red
from .arguments import array_of, gathered, numbers

__all__ = [
    "shape", "ndim", "size", "reshape", "ravel", "transpose", "permute_dims", "matrix_transpose", "moveaxis",
    "rollaxis", "swapaxes", "squeeze", "expand_dims", "broadcast_to", "broadcast_arrays", "atleast_1d",
    "atleast_2d", "atleast_3d", "flip", "flipud", "fliplr", "rot90", "roll", "tile", "repeat", "resize",
    "insert", "delete", "trim_zeros", "apply_along_axis", "apply_over_axes",
]  # fmt: skip

Axis = Any


def shape(a: Any) -> tuple[int, ...]:
    """Sizes of the axes."""
    return shape_of(gathered(a))


def ndim(a: Any) -> int:
    """Number of axes."""
    return len(shape(a))


def size(a: Any, axis: Axis = None) -> int:
    """Number of elements, or of those along an axis."""
    sizes = shape(a)
    return math.prod(sizes[i] for i in red.normalize(axis, len(sizes)))


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """The same elements under another shape; one size may be -1. ``order="F"`` reads and writes columns first.

    With ``copy=False`` it raises ValueError where NumPy would have to copy the elements.
    """
    x = array_of(a)
    sizes = tuple(numbers("reshape", shape).tolist()) if isinstance(shape, (Node, np.ndarray)) else shape
    if copy is False and x.value is not None:
        _in_place(x.value, sizes, order)
    if order in ("C", "A"):
        return view.reshape(x, sizes)
    if order != "F":
        raise ValueError(f"reshape: got order={order!r}, expected 'C', 'F' or 'A'")
    sizes = (sizes,) if isinstance(sizes, (int, np.integer)) else tuple(sizes)
    return view.transpose(view.reshape(view.transpose(x), sizes[::-1]))


def _in_place(value: Any, sizes: Any, order: Any) -> None:
    """Refuse a reshape that cannot be a view."""
    if not np.shares_memory(np.reshape(value, sizes, order), value) and np.size(value) and np.ndim(value):
        raise ValueError(
            f"reshape: got copy=False, but elements of shape {np.shape(value)} with strides {value.strides} do not lie "
            f"in the order that shape {sizes} needs; leave copy out"
        )


def ravel(a: Any, order: str = "C") -> Any:
    """All elements along one axis."""
    return reshape(a, -1, "C" if order == "K" else order)


def transpose(a: Any, axes: Any = None) -> Any:
    """Axes in the order given, reversed by default."""
    return view.transpose(array_of(a), axes)


def permute_dims(a: Any, axes: Any = None) -> Any:
    """Axes in the order given."""
    return view.transpose(array_of(a), axes)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return view.matrix_transpose(array_of(x))


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places, the rest in order."""
    return view.moveaxis(array_of(a), source, destination)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """An axis moved back until it stands before ``start``."""
    x = array_of(a)
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    start = start + x.ndim if start < 0 else start
    if not 0 <= start <= x.ndim:
        raise np.exceptions.AxisError(start, x.ndim + 1, "start")
    return view.moveaxis(x, axis, start - 1 if axis < start else start)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = array_of(a)
    first, second = (np.lib.array_utils.normalize_axis_index(i, x.ndim) for i in (axis1, axis2))
    return view.swapaxes(x, first, second)


def squeeze(a: Any, axis: Axis = None) -> Any:
    """Without axes of size 1: all of them, or those named."""
    return view.squeeze(array_of(a), axis)


def expand_dims(a: Any, axis: Any) -> Any:
    """New axes of size 1 at these places of the result."""
    return view.expand_dims(array_of(a), axis)


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """The array stretched to a shape by NumPy's rules."""
    return view.broadcast_to(array_of(array), shape)


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """The arrays stretched to their common shape."""
    arrays = [array_of(a) for a in args]
    common = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(view.broadcast_to(x, common) for x in arrays)


def _at_least(name: str, count: int, grow: Any) -> Any:
    def at_least(*arys: Any) -> Any:
        result = tuple(grow(array_of(a)) for a in arys)
        return result[0] if len(result) == 1 else result

    at_least.__name__ = at_least.__qualname__ = name
    at_least.__doc__ = f"Arrays with {count} axes or more; axes of size 1 are added."
    return at_least


atleast_1d = _at_least("atleast_1d", 1, lambda x: view.reshape(x, (1,)) if x.ndim == 0 else x)
atleast_2d = _at_least("atleast_2d", 2, lambda x: view.reshape(x, (1,) * (2 - x.ndim) + x.shape) if x.ndim < 2 else x)
atleast_3d = _at_least(
    "atleast_3d",
    3,
    lambda x: view.reshape(x, {0: (1, 1, 1), 1: (1, *x.shape, 1), 2: (*x.shape, 1)}[x.ndim]) if x.ndim < 3 else x,
)


def flip(m: Any, axis: Axis = None) -> Any:
    """Elements in reverse order along the axes, all by default."""
    return view.flip(array_of(m), axis)


def flipud(m: Any) -> Any:
    """Rows in reverse order."""
    return view.flip(array_of(m), 0)


def fliplr(m: Any) -> Any:
    """Columns in reverse order."""
    return view.flip(array_of(m), 1)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """The plane of two axes turned k times by 90 degrees, from the first axis towards the second."""
    x = array_of(m)
    first, second = np.lib.array_utils.normalize_axis_tuple(axes, x.ndim)
    k %= 4
    if k == 2:
        return view.flip(x, (first, second))
    if k == 1:
        return view.swapaxes(view.flip(x, second), first, second)
    return view.flip(view.swapaxes(x, first, second), second) if k else x


def roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    """Elements moved along axes, those pushed out coming in at the other end."""
    x = array_of(a)
    shift = tuple(shift) if isinstance(shift, (list, tuple)) else shift
    if axis is not None and isinstance(shift, tuple) and not isinstance(axis, int) and len(shift) == 1:
        shift = shift[0]
    return view.roll(x, shift, axis)


def tile(A: Any, reps: Any) -> Any:
    """A laid side by side ``reps`` times along each axis."""
    return view.tile(array_of(A), numbers("tile", reps).tolist() if isinstance(reps, (Node, np.ndarray)) else reps)


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element ``repeats`` times in a row along an axis."""
    return indexing.repeat(array_of(a), numbers("repeat", repeats), axis)


def resize(a: Any, new_shape: Any) -> Any:
    """The elements, over again as often as needed, under a new shape."""
    x = view.reshape(array_of(a), (-1,))
    sizes = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    count = math.prod(sizes)
    if not x.size:
        return as_array(np.zeros(sizes, x.dtype))
    return view.reshape(x[np.arange(count) % x.size], sizes)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``values`` put in before the places ``obj`` along an axis, of the flattened array by default."""
    x, new = array_of(arr), array_of(values)
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    n = x.shape[axis]
    places = np.arange(n)[obj] if isinstance(obj, slice) else numbers("insert", obj)
    new = logic.astype(new, x.dtype)
    if places.ndim == 0 and new.ndim:  # one place takes all the values, whose first axis is the one put in
        new = view.moveaxis(view.reshape(new, (1,) * (x.ndim - new.ndim) + new.shape), 0, axis)
    count = (
        (new.shape[axis] if new.ndim else 1)
        if places.ndim == 0
        else int(places.sum() if places.dtype.kind == "b" else places.size)
    )
    if places.size == 1 and places.ndim and new.ndim == x.ndim:
        count = new.shape[axis]
    new = view.broadcast_to(new, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    where = places if places.dtype.kind == "b" or places.size else places.astype(int)
    order = np.insert(np.arange(n), where, n + np.arange(count))
    return indexing.take(view.concatenate([x, new], axis), order, axis)


def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Without the elements at the places ``obj`` along an axis, of the flattened array by default."""
    x = array_of(arr)
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    left = np.delete(np.arange(x.shape[axis]), obj if isinstance(obj, slice) else numbers("delete", obj))
    return indexing.take(x, left, axis)


def trim_zeros(filt: Any, trim: str = "fb", axis: Axis = None) -> Any:
    """Without the zeros at the front and the back."""
    x = array_of(filt)
    found = np.argwhere(numbers("trim_zeros", x))
    if not len(found):
        return x[(slice(0, 0),) * x.ndim]
    axes = red.normalize(axis, x.ndim)
    low, high = found.min(0), found.max(0) + 1
    key = [
        slice(int(low[i]) if "f" in trim.lower() else 0, int(high[i]) if "b" in trim.lower() else None)
        if i in axes
        else slice(None)
        for i in range(x.ndim)
    ]
    return x[tuple(key)]


def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function of vectors gives for every vector along an axis, put where the vector was."""
    x = array_of(arr)
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    rows = view.moveaxis(x, axis, -1)
    lead = rows.shape[:-1]
    results = [array_of(func1d(rows[place], *args, **kwargs)) for place in np.ndindex(lead)]
    if not results:
        raise ValueError("apply_along_axis: cannot apply along an axis when any other axis has size 0")
    made = results[0].shape
    whole = view.reshape(view.stack(results), (*lead, *made))
    return view.moveaxis(whole, tuple(range(len(lead), len(lead) + len(made))), tuple(range(axis, axis + len(made))))


def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """A reduction applied over one axis after another, each kept with size 1."""
    x = array_of(a)
    for axis in red.normalize(axes, x.ndim):
        result = func(x, axis)
        x = result if result.ndim == x.ndim else view.expand_dims(result, axis)
    return x
