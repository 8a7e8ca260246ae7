"""Putting arrays together and taking them apart: concatenate, stack, block, split."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops import view
from .arguments import array_of, arrays_of, cast_safely, no_out, numbers
from .shaping import atleast_1d, atleast_2d, atleast_3d, ndim, shape

__all__ = [
    "concatenate", "concat", "stack", "hstack", "vstack", "row_stack", "dstack", "column_stack", "append", "block",
    "array_split", "split", "hsplit", "vsplit", "dsplit", "unstack",
]  # fmt: skip


def _joined(name: str, xs: list[Any], axis: int | None, dtype: Any, casting: str) -> Any:
    if axis is None:
        xs, axis = [view.reshape(x, (-1,)) for x in xs], 0
    return view.concatenate([cast_safely(name, x, dtype, casting) for x in xs], axis)


def concatenate(
    arrays: Any, /, axis: int | None = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Arrays joined along an existing axis; flattened first with ``axis=None``."""
    no_out("concatenate", out)
    return _joined("concatenate", arrays_of(arrays), axis, dtype, casting)


concat = concatenate


def stack(arrays: Any, axis: int = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays of one shape joined along a new axis."""
    no_out("stack", out)
    return view.stack([cast_safely("stack", x, dtype, casting) for x in arrays_of(arrays)], axis)


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays side by side: joined along the second axis, or along the only one."""
    xs = [atleast_1d(x) for x in arrays_of(tup)]
    return _joined("hstack", xs, 0 if not xs or xs[0].ndim == 1 else 1, dtype, casting)


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays one below the other: joined along the first axis, after making rows of vectors."""
    return _joined("vstack", [atleast_2d(x) for x in arrays_of(tup)], 0, dtype, casting)


row_stack = vstack


def dstack(tup: Any) -> Any:
    """Arrays joined along the third axis."""
    return view.concatenate([atleast_3d(x) for x in arrays_of(tup)], 2)


def column_stack(tup: Any) -> Any:
    """Vectors as the columns of a matrix; matrices side by side."""
    return view.concatenate([x if x.ndim > 1 else view.reshape(x, (-1, 1)) for x in arrays_of(tup)], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``values`` after the elements of ``arr``, both flattened unless an axis is given."""
    return concatenate([arr, values], axis)


def block(arrays: Any) -> Any:
    """One array from nested lists of blocks: the innermost lists are joined along the last axis, and so on outwards."""
    depth = _depth(arrays)
    ndim = builtins.max(depth, _most_axes(arrays))

    def join(part: Any, level: int) -> Any:
        if level == depth:
            x = array_of(part)
            return view.reshape(x, (1,) * (ndim - x.ndim) + x.shape)
        return view.concatenate([join(item, level + 1) for item in part], level - depth)

    return join(arrays, 0)


def _depth(part: Any) -> int:
    if not isinstance(part, list):
        return 0
    depths = {_depth(item) for item in part}
    if len(depths) != 1:
        raise ValueError("block: lists of different depths, or an empty one; nest every block equally deep")
    return depths.pop() + 1


def _most_axes(part: Any) -> int:
    return builtins.max(map(_most_axes, part)) if isinstance(part, list) else ndim(part)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """The array cut along an axis at these places, or into this many parts of nearly equal size."""
    x = array_of(ary)
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    size = x.shape[axis]
    cuts = numbers("split", indices_or_sections)
    if cuts.ndim == 0:
        count = int(cuts)
        if count <= 0:
            raise ValueError("array_split: number sections must be larger than 0")
        each, extra = builtins.divmod(size, count)
        cuts = np.cumsum([0] + extra * [each + 1] + (count - extra) * [each])
    else:
        cuts = np.array([0, *cuts.tolist(), size])
    lead = (slice(None),) * axis
    return [x[(*lead, slice(a, b))] for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """The array cut along an axis at these places, or into this many parts of equal size."""
    count = numbers("split", indices_or_sections)
    sizes = shape(ary)
    if count.ndim == 0 and sizes[np.lib.array_utils.normalize_axis_index(axis, len(sizes))] % int(count):
        raise ShapeError(
            f"split: array split does not result in an equal division: got {sizes} along axis {axis} into "
            f"{int(count)} parts; use array_split for parts of different sizes"
        )
    return array_split(ary, indices_or_sections, axis)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """The array cut along its second axis, or its only one."""
    if ndim(ary) == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ndim(ary) > 1 else 0)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """The array cut along its first axis."""
    if ndim(ary) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """The array cut along its third axis."""
    if ndim(ary) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The parts along an axis, without that axis."""
    x = array_of(x)
    if x.ndim == 0:
        raise ValueError("unstack: input array must be at least 1-d")
    moved = view.moveaxis(x, axis, 0)
    return tuple(moved[i] for i in range(moved.shape[0]))
