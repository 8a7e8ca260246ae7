"""Order: argsort is the only primitive; sorting and quantiles take elements by the positions it gives."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of, is_inexact, real_dtype
from ..graph.apply import apply
from ..graph.node import Node, Spec, Value, shape_of, value_of
from ..graph.primitive import Indexing, Samples
from . import elementwise as ew
from . import indexing, logic, view
from .reduction import Axis, any, normalize, sum


class Argsort(Indexing):
    """Positions that would sort along ``axis``; equal elements stay in order."""

    eval = staticmethod(lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"))
    infer = classmethod(lambda cls, x, *, axis: Spec(x.shape, np.dtype(np.intp)))
    nondifferentiable = "a position is an integer"
    batch = staticmethod(lambda size, over, x, *, axis: apply(Argsort, (x,), {"axis": axis + 1}))
    samples = Samples(cases=lambda rng: [((rng.normal(size=(3, 4)),), {"axis": 0})])


def argsort(x: Value, axis: int | None = -1, descending: bool = False) -> Value:
    """Positions that would sort x along an axis, of the flattened array if None. Equal elements stay in order."""
    if axis is None or not shape_of(x):
        x, axis = view.reshape(x, (-1,)), 0
    axis = int(np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x))))
    if not descending:
        return apply(Argsort, (x,), {"axis": axis})
    # Sorting the reversed array and reading the result backwards keeps the order of equal elements.
    places = apply(Argsort, (view.flip(x, axis),), {"axis": axis})
    return shape_of(x)[axis] - 1 - view.flip(places, axis)


def sort(x: Value, axis: int | None = -1, descending: bool = False) -> Value:
    """x in ascending order along an axis, of the flattened array if None."""
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    return indexing.take_along_axis(x, argsort(x, axis, descending), axis)


# Where a quantile lies among n ordered elements counted from 0, by method: Hyndman & Fan (1996), "Sample quantiles in
# statistical packages". The continuous ones are α, β of  n q + α + q (1 - α - β) - 1.
_PLOTTING = {
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "linear": (1.0, 1.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
_STEPS = ("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest")
METHODS = (*_PLOTTING, *_STEPS)
MIXING = (*_PLOTTING, "averaged_inverted_cdf", "midpoint")  # those whose result may lie between two elements


def _places(count: Value, q: Value, method: str) -> tuple[Value, Value]:
    """The position below a quantile, and how far it lies on the way to the next."""
    if method in _PLOTTING:
        alpha, beta = _PLOTTING[method]
        place = (count - 1) * q if method == "linear" else count * q + (alpha + q * (1 - alpha - beta)) - 1
        low = ew.floor(place)
        return low, place - low
    if method in ("inverted_cdf", "averaged_inverted_cdf", "closest_observation"):
        place = count * q - (1.5 if method == "closest_observation" else 1)
        low = ew.floor(place)
        whole = place == low
        if method == "inverted_cdf":
            return low, logic.where(whole, 0.0, 1.0)
        if method == "averaged_inverted_cdf":
            return low, logic.where(whole, 0.5, 1.0)
        return low, logic.where(whole & (ew.remainder(low, 2) == 1), 0.0, 1.0)  # halves go to the even position
    place = (count - 1) * q
    low = ew.floor(place)
    share = {
        "lower": lambda: 0.0 * low,
        "higher": lambda: logic.where(place == low, 0.0, 1.0),
        "midpoint": lambda: logic.where(place == low, 0.0, 0.5),
        "nearest": lambda: ew.rint(place) - low,
    }
    return low, share[method]()


def quantile(
    x: Value, q: Any, axis: Axis = None, keepdims: bool = False, method: str = "linear", skip_nan: bool = False
) -> Value:
    """The value below which a share ``q`` of the elements lies.

    Parameters
    ----------
    q : shares from 0 to 1, of any shape, whose axes come first in the result
    axis : axes to order along, together
    method : how to choose between two neighbours, one of ``METHODS``, by NumPy's names
    skip_nan : pass over NaN; by default one NaN makes the result NaN
    """
    shape, share = shape_of(x), q if isinstance(q, Node) else np.asarray(q)
    if method not in METHODS:
        raise ValueError(f"quantile: got method={method!r}, expected one of {', '.join(METHODS)}")
    known: Any = value_of(share)
    if known is not None and not np.all((known >= 0) & (known <= 1)):
        raise ValueError(f"quantile: quantiles must be in the range [0, 1]: got {known}; divide percentages by 100")
    axes = normalize(axis, len(shape))
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    size = math.prod(shape[i] for i in axes)
    flat = view.reshape(view.transpose(x, kept + axes), (*(shape[i] for i in kept), size))
    flat = flat if is_inexact(dtype_of(flat)) else logic.astype(flat, float)
    shares = view.reshape(share, (-1,))
    if size:
        result = _chosen(sort(flat, -1), flat, shares, method, skip_nan)
    else:
        result = np.full((*shape_of(flat)[:-1], shape_of(shares)[0]), np.nan)
    result = view.moveaxis(result, -1, 0)
    lead = tuple(1 if i in axes else n for i, n in enumerate(shape) if keepdims or i not in axes)
    return view.reshape(result, (*shape_of(share), *lead))


def _chosen(ordered: Value, flat: Value, shares: Any, method: str, skip_nan: bool) -> Value:
    """Quantiles of the last axis.  [..., N], [Q] -> [..., Q]"""
    size, dtype = shape_of(ordered)[-1], dtype_of(ordered)
    missing = logic.isnan(flat)
    count: Value = size - sum(missing, -1, keepdims=True) if skip_nan else size
    low, weight = _places(count, shares, method)
    top = count - 1
    low_place = logic.astype(logic.minimum(logic.maximum(low, 0), logic.maximum(top, 0)), np.intp)
    high_place = logic.astype(logic.minimum(logic.maximum(low + 1, 0), logic.maximum(top, 0)), np.intp)
    weight = logic.astype(logic.where((low < 0) | (low >= top), 0.0, weight), real_dtype(dtype))
    if skip_nan:
        below = indexing.take_along_axis(ordered, low_place, -1)
        above = indexing.take_along_axis(ordered, high_place, -1)
        none = count == 0
        return logic.where(
            none & np.ones(shape_of(below), builtins.bool), np.asarray(np.nan, dtype), _between(below, above, weight)
        )
    below, above = (indexing.getitem(ordered, (Ellipsis, place)) for place in (low_place, high_place))
    broken = any(missing, -1, keepdims=True)
    return logic.where(broken, np.asarray(np.nan, dtype), _between(below, above, weight))


def _between(below: Value, above: Value, weight: Value) -> Value:
    """below + weight · (above - below), exact at both ends and where the two are equally infinite."""
    known = (weight > 0) & (logic.isfinite(below) | (below != above))
    inside = (weight < 1) & (known | (logic.isfinite(below) & logic.isfinite(above)))
    mixed = below + weight * (above - below)
    return logic.where(inside, mixed, logic.where(weight < 0.5, below, above))


def median(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """The middle of the sorted elements, or the mean of the two middle ones."""
    return quantile(x, 0.5, axis, keepdims)
