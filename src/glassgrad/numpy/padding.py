"""Putting elements around an array."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import is_inexact
from ..errors import UnsupportedError
from ..ops import composite, indexing, logic, sorting, view
from ..ops import reduction as red
from .arguments import array_of, numbers, theirs

__all__ = ["pad"]

_STATISTICS = {"maximum": red.max, "minimum": red.min, "mean": composite.mean, "median": sorting.median}
_MIRRORS = ("edge", "reflect", "symmetric", "wrap")


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array with more elements around it; every mode keeps the gradient but ``"empty"`` and a function.

    Parameters
    ----------
    pad_width : (before, after) for each axis, one such pair for all, one number for all, or a dict from axis to either
    mode : ``"constant"`` (with ``constant_values=0``), ``"edge"``, ``"linear_ramp"`` (``end_values=0``),
        ``"maximum"``, ``"mean"``, ``"median"``, ``"minimum"`` (``stat_length=None``), ``"reflect"``, ``"symmetric"``
        (``reflect_type="even"``) or ``"wrap"``

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.numpy.pad([1.0, 2.0, 4.0], 1, "reflect", reflect_type="odd")
    Array([0., 1., 2., 4., 6.])
    """
    x = array_of(array)
    widths = _pairs(pad_width, x.ndim, "pad_width")
    if (widths < 0).any():
        raise ValueError("pad: index can't contain negative values; cut with a slice to make an array smaller")
    if mode == "constant":
        return _pad_constant(x, widths, **kwargs)
    if is_inexact(x.dtype) and mode == "linear_ramp":
        return _pad_ramp(x, widths, **kwargs)
    if is_inexact(x.dtype) and mode in _STATISTICS:
        return _pad_statistic(x, widths, mode, **kwargs)
    if mode in _MIRRORS:
        return _pad_mirror(x, widths, mode, **kwargs)
    if x.tracked or x.value is None:
        raise UnsupportedError(f"pad: mode={mode!r} has no gradient here; concatenate what is to stand around")
    return as_array(np.pad(numbers("pad", x), widths, mode, **kwargs))


def _pairs(value: Any, ndim: int, what: str) -> Any:
    if isinstance(value, dict):
        pairs = np.zeros((ndim, 2), int)
        for axis, pair in value.items():
            pairs[axis] = pair
        return pairs
    given = np.asarray(numbers(what, value))
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"pad: `{what}` must be of integral type: got {given.dtype}")
    return np.broadcast_to(given.astype(int), (ndim, 2))


def _around(x: Any, axis: int, before: Any, after: Any) -> Any:
    parts = [part for part in (before, x, after) if part is x or part.shape[axis]]
    return view.concatenate(parts, axis) if len(parts) > 1 else x


def _part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return x[(*(slice(None),) * axis, slice(start, stop))]


def _pad_constant(x: Any, widths: Any, constant_values: Any = 0) -> Any:
    if isinstance(constant_values, (int, float)) and constant_values == 0:
        return view.pad(x, widths.tolist())
    values = view.broadcast_to(logic.astype(array_of(constant_values), x.dtype), (x.ndim, 2))
    for axis, pair in enumerate(widths.tolist()):
        sizes = [(*x.shape[:axis], width, *x.shape[axis + 1 :]) for width in pair]
        x = _around(x, axis, *(view.broadcast_to(values[axis, side], sizes[side]) for side in (0, 1)))
    return x


def _pad_ramp(x: Any, widths: Any, end_values: Any = 0) -> Any:
    """From the edges in equal steps to the end values."""
    ends = view.broadcast_to(logic.astype(array_of(end_values), x.dtype), (x.ndim, 2))
    for axis, (before, after) in enumerate(widths.tolist()):
        column = (-1,) + (1,) * (x.ndim - 1 - axis)
        sides = []
        for end, edge, width in (
            (ends[axis, 0], _part(x, axis, None, 1), before),
            (ends[axis, 1], _part(x, axis, -1, None), after),
        ):
            share = (np.arange(width) / max(width, 1)).astype(x.dtype).reshape(column)
            sides.append(end + (edge - end) * share)
        x = _around(x, axis, sides[0], view.flip(sides[1], axis))
    return x


def _pad_statistic(x: Any, widths: Any, mode: str, stat_length: Any = None) -> Any:
    """Everywhere the largest, smallest, mean or median of the ``stat_length`` elements nearest to the edge."""
    lengths = None if stat_length is None else _pairs(stat_length, x.ndim, "stat_length")
    if lengths is not None and (lengths < 1).any():
        raise ValueError(f"pad: stat_length must be positive: got {stat_length}")
    for axis, pair in enumerate(widths.tolist()):
        size = x.shape[axis]
        first, last = (size, size) if lengths is None else np.minimum(lengths[axis], size).tolist()
        sides = []
        for chosen, width in zip((_part(x, axis, None, first), _part(x, axis, size - last, None)), pair, strict=True):
            found = _STATISTICS[mode](chosen, axis, True)
            sides.append(view.broadcast_to(found, (*x.shape[:axis], width, *x.shape[axis + 1 :])))
        x = _around(x, axis, *sides)
    return x


def _pad_mirror(x: Any, widths: Any, mode: str, reflect_type: str = "even") -> Any:
    """The array's own elements over again: the last one, mirrored, or from the other end."""
    if reflect_type not in ("even", "odd"):
        raise ValueError(f"pad: got reflect_type={reflect_type!r}, expected 'even' or 'odd'")
    for axis, pair in enumerate(widths.tolist()):
        if not any(pair):
            continue
        size = x.shape[axis]
        if reflect_type == "even" or mode in ("edge", "wrap") or (mode == "reflect" and size == 1):
            x = indexing.take(x, theirs.pad(np.arange(size), pair, mode), axis)
            continue
        inner = 1 if mode == "reflect" else 0  # whether the edge itself is left out of its mirror image
        while any(pair):  # each round mirrors the array once at most
            before, after = (min(width, size - inner) for width in pair)
            start = 2 * _part(x, axis, None, 1) - view.flip(_part(x, axis, inner, inner + before), axis)
            length = x.shape[axis] - inner
            end = 2 * _part(x, axis, -1, None) - view.flip(_part(x, axis, length - after, length), axis)
            x = _around(x, axis, start, end)
            pair = [pair[0] - before, pair[1] - after]
    return x
