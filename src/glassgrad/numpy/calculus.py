"""Differences, integrals and interpolation of sampled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import is_inexact, real_dtype, result_type
from ..errors import DtypeError
from ..graph.node import Value
from ..ops import control, logic, sorting, view
from ..ops import elementwise as ew
from ..ops import reduction as red
from .arguments import absent, array_of, numbers, operand
from .ordering import searchsorted

__all__ = [
    "diff", "ediff1d", "trapezoid", "gradient", "interp", "unwrap",
]  # fmt: skip


def _part(axis: int, start: int | None, stop: int | None) -> tuple[Any, ...]:
    return (*(slice(None),) * axis, slice(start, stop))


def _place(axis: int, ndim: int) -> int:
    return int(np.lib.array_utils.normalize_axis_index(axis, ndim))


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = absent, append: Any = absent) -> Any:
    """Differences of neighbours along an axis, taken n times; ``prepend`` and ``append`` are joined on first."""
    x = array_of(a)
    if n < 0:
        raise ValueError(f"diff: order must be non-negative: got {n}")
    if n == 0:
        return x
    if x.ndim == 0:
        raise ValueError("diff: requires input that is at least one dimensional")
    axis = _place(axis, x.ndim)
    ends: list[list[Value]] = []
    for end in (prepend, append):
        if end is absent or end is None:
            ends.append([])
        else:
            end = array_of(end)
            sizes = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
            ends.append([view.broadcast_to(end, sizes) if end.ndim == 0 else end])
    if ends[0] or ends[1]:
        x = view.concatenate([*ends[0], x, *ends[1]], axis)
    for _ in range(n):
        later, earlier = x[_part(axis, 1, None)], x[_part(axis, None, -1)]
        x = later != earlier if x.dtype.kind == "b" else later - earlier
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of the flattened array, with what is given joined on at both ends."""
    x = view.reshape(array_of(ary), (-1,))
    parts = [x[1:] - x[:-1]]
    for where, extra in ((0, to_begin), (len(parts) + 1, to_end)):
        if extra is not None:
            end = view.reshape(array_of(extra), (-1,))
            if not np.can_cast(end.dtype, x.dtype, "same_kind"):
                raise DtypeError(f"ediff1d: ends of {end.dtype} do not fit an array of {x.dtype}; use astype")
            parts.insert(where, logic.astype(end, x.dtype))
    return view.concatenate(parts, 0) if len(parts) > 1 else parts[0]


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integral along an axis by the trapezoidal rule, over points ``x`` or at distances ``dx``."""
    values = array_of(y)
    axis = _place(axis, values.ndim)
    if x is None:
        width: Value = operand(dx)
    else:
        points = array_of(x)
        width = diff(points, axis=-1 if points.ndim == 1 else axis)
        if points.ndim == 1:
            width = view.reshape(width, tuple(-1 if i == axis else 1 for i in range(values.ndim)))
    pairs = values[_part(axis, 1, None)] + values[_part(axis, None, -1)]
    return red.sum(width * pairs / 2.0, axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Derivatives of sampled values by central differences, one-sided at the edges.

    Parameters
    ----------
    varargs : nothing, one distance for all axes, or for each axis a distance or the coordinates of the samples
    axis : axes to differentiate along, all by default
    edge_order : 1 or 2, of the one-sided differences

    Returns
    -------
    One Array for one axis, else a tuple of one for each.
    """
    x = array_of(f)
    axes = tuple(range(x.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, x.ndim)
    if edge_order not in (1, 2):
        raise ValueError("gradient: 'edge_order' greater than 2 not supported")
    steps = [array_of(v) for v in varargs] or [as_array(np.float64(1))]
    if len(steps) == 1 and steps[0].ndim == 0:
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise TypeError(f"gradient: invalid number of arguments: got {len(steps)} spacings for {len(axes)} axes")
    x = x if is_inexact(x.dtype) else logic.astype(x, float)
    made = tuple(_slopes(x, step, place, edge_order) for place, step in zip(axes, steps, strict=True))
    return made[0] if len(made) == 1 else made


def _slopes(x: Value, step: Value, axis: int, edge_order: int) -> Value:
    n = x.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            f"gradient: shape of array too small: (edge_order + 1) = {edge_order + 1} elements are required, got {n}"
        )
    if step.ndim == 0:
        distances = view.broadcast_to(step, (n - 1,))
    elif step.ndim == 1 and step.shape[0] == n:
        distances = diff(step)
    else:
        raise ValueError(f"gradient: distances must be scalars or 1d of length {n}: got shape {step.shape}")
    distances = logic.astype(distances, real_dtype(x.dtype))
    moved = view.moveaxis(x, axis, -1)
    rises = moved[..., 1:] - moved[..., :-1]
    secants = rises / distances
    before, after = distances[:-1], distances[1:]
    middle = (secants[..., :-1] * after + secants[..., 1:] * before) / (before + after)
    if edge_order == 1:
        first, last = secants[..., :1], secants[..., -1:]
    else:
        first = _edge(secants[..., 0], secants[..., 1], distances[0], distances[1])[..., None]
        last = _edge(secants[..., -1], secants[..., -2], distances[-1], distances[-2])[..., None]
    return view.moveaxis(view.concatenate([first, middle, last], -1), -1, axis)


def _edge(outer: Value, inner: Value, width: Value, following: Value) -> Value:
    """Slope at the end of the parabola through three points, from its two secants and their widths."""
    return outer + (outer - inner) * (width / (width + following))


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Piecewise linear interpolation through points (xp, fp), of which xp must rise.

    The gradient flows to ``x``, ``xp``, ``fp``, ``left`` and ``right``; at a point of ``xp`` it takes the slope to its
    right.

    Parameters
    ----------
    left, right : values below ``xp[0]`` and above ``xp[-1]``; ``fp[0]`` and ``fp[-1]`` by default
    period : if given, x and xp are taken modulo the period, and left and right are not used

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.grad(lambda x, fp: interp(x, [0.0, 1.0, 3.0], fp), argnums=(0, 1))(1.5, np.array([0.0, 2.0, 8.0]))
    (np.float64(3.0), array([0.  , 0.75, 0.25]))
    """
    values, at = array_of(fp), array_of(x)
    values = values if is_inexact(values.dtype) else logic.astype(values, float)
    points, at = logic.astype(array_of(xp), float), logic.astype(at, float)
    size = values.shape[0] if values.ndim == 1 else 0
    if points.shape != (size,) or not size:
        raise ValueError(
            f"interp: xp and fp must be 1-D, not empty and of one length: got {points.shape} and {values.shape}"
        )
    if period is not None:
        length = abs(float(numbers("interp", period)))
        if not length:
            raise ValueError("interp: period must be a non-zero value")
        at, points = ew.remainder(at, length), ew.remainder(points, length)
        order = sorting.argsort(points)
        points, values = points[order], values[order]
        points = view.concatenate([points[-1:] - length, points, points[:1] + length], 0)
        values = view.concatenate([values[-1:], values, values[:1]], 0)
        left, right, size = None, None, size + 2
    values = logic.astype(values, result_type(values.dtype, float))
    place = logic.clip(searchsorted(points, control.stop_gradient(at), "right") - 1, 0, max(size - 2, 0))
    following = logic.minimum(place + 1, size - 1)
    begin, below = points[place], values[place]
    width = points[following] - begin
    share = (at - begin) / logic.where(width == 0, 1.0, width)
    result = below + share * (values[following] - below)
    first, last = points[0], points[-1]
    result = logic.where(at < first, values[0] if left is None else operand(left), result)
    return logic.where(
        at > last,
        values[-1] if right is None else operand(right),
        logic.where(at == last, result if size > 1 else values[-1], result),
    )


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * np.pi) -> Any:
    """Angles with jumps of half a period or more replaced by the shorter way round."""
    x = array_of(p)
    axis = _place(axis, x.ndim)
    steps = np.diff(numbers("unwrap", x), axis=axis)
    half = period / 2
    bound = half if discont is None else discont
    whole = x.dtype.kind in "iu" and isinstance(period, int)
    low, boundary_ambiguous = (-(period // 2), period % 2 == 0) if whole else (-half, True)
    folded = np.mod(steps - low, period) + low
    if boundary_ambiguous:
        folded = np.where((folded == low) & (steps > 0), -low, folded)
    turns = np.where(np.abs(steps) < bound, 0, folded - steps)
    start = np.zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :]), turns.dtype)
    added = np.concatenate([start, np.cumsum(turns, axis)], axis)
    return x + (added if whole else added.astype(x.dtype if is_inexact(x.dtype) else result_type(x.dtype, np.float16)))
