"""Order: argsort is the only primitive; sorting and quantiles take elements by the positions it gives."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Indexing, Samples
from . import indexing, logic, view
from .reduction import Axis, any, normalize


class Argsort(Indexing):
    """Positions that would sort along ``axis``; equal elements stay in order."""

    eval = staticmethod(lambda x, *, axis: np.argsort(x, axis=axis, kind="stable"))
    infer = classmethod(lambda cls, x, *, axis: Spec(x.shape, np.dtype(np.intp)))
    nondifferentiable = "a position is an integer"
    samples = Samples(cases=lambda rng: [((rng.normal(size=(3, 4)),), {"axis": 0})])


def argsort(x: Value, axis: int | None = -1) -> Value:
    """Positions that would sort x along an axis, of the flattened array if None. Stable."""
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    return apply(Argsort, (x,), {"axis": np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))})


def sort(x: Value, axis: int | None = -1) -> Value:
    """x in ascending order along an axis, of the flattened array if None."""
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    return indexing.take_along_axis(x, argsort(x, axis), axis)


def quantile(x: Value, q: Any, axis: Axis = None, keepdims: bool = False) -> Value:
    """The value below which a share ``q`` of the elements lies, by linear interpolation between neighbours."""
    shape = shape_of(x)
    axes = normalize(axis, len(shape))
    kept = tuple(i for i in range(len(shape)) if i not in axes)
    size = math.prod(shape[i] for i in axes)
    flat = view.reshape(view.transpose(x, kept + axes), (*(shape[i] for i in kept), size))
    ordered = sort(flat, -1)
    share = np.asarray(q)
    place = share * (size - 1)
    low = np.floor(place).astype(np.intp)
    high = np.minimum(low + 1, size - 1)
    weight = (place - low).astype(
        logic.zeros_like(ordered).dtype if logic.zeros_like(ordered).dtype.kind == "f" else float
    )
    result = ordered[..., low] * (1 - weight) + ordered[..., high] * weight
    if ordered is not None and logic.zeros_like(ordered).dtype.kind == "f":
        result = logic.where(
            any(logic.isnan(flat), -1, keepdims=share.ndim > 0) if share.ndim < 2 else False, np.nan, result
        )
    if share.ndim:
        result = view.moveaxis(result, range(-share.ndim, 0), range(share.ndim))
    if keepdims:
        ones = tuple(1 if i in axes else n for i, n in enumerate(shape))
        result = view.reshape(result, (*share.shape, *ones))
    return result


def median(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """The middle of the sorted elements, or the mean of the two middle ones."""
    return quantile(x, 0.5, axis, keepdims)
