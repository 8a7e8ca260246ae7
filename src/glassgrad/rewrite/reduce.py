"""Folds over axes along which there is nothing to fold.

The same bits but for two things: a sum of n equal numbers becomes n times the number, one rounding in place of many;
and a sum that is zero may have the other sign.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import finfo, kind_of
from ..graph.node import Node
from ..ops import elementwise as ew
from ..ops import indexing, reduction, view
from .rules import Rule, always, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

Axes = tuple[int, ...]


def _over_single(b: Rewriter, n: Node, x: Node, *, axis: Axes, keepdims: bool) -> Node | None:
    """Σ x -> reshape(x) over axes of size 1, the same for products, extremes, any and all"""
    real = tuple(i for i in axis if x.shape[i] != 1)
    if real and (len(real) == len(axis) or not keepdims):
        return None  # something is folded, and dropping other axes with those is as good as a reshape
    total = b.make(n, n.op, x, axis=real, keepdims=keepdims) if real else b.cast(n, x, n.dtype)
    return b.reshape(n, total, n.shape)


def _without_copies(b: Rewriter, n: Node, x: Node, axis: Axes, keepdims: bool) -> tuple[Node, int] | None:
    """A fold over one of each element that a broadcast repeats along the folded axes, and how often it does."""
    lead = len(x.shape) - len(x.inputs[0].shape)
    inner = (1,) * lead + x.inputs[0].shape
    copied = [i for i in axis if inner[i] == 1 < x.shape[i]]
    if not copied or 0 in x.shape:
        return None
    shape = tuple(1 if i in copied else m for i, m in enumerate(x.shape))
    once = b.reshape(n, x.inputs[0], inner)
    once = once if inner == shape else b.make(n, view.BroadcastTo, once, shape=shape)
    return b.make(n, n.op, once, axis=axis, keepdims=keepdims), math.prod(x.shape[i] for i in copied)


def _sum_of_copies(b: Rewriter, n: Node, x: Node, *, axis: Axes, keepdims: bool) -> Node | None:
    """Σ broadcast(x) -> count · Σ x"""
    if n.dtype.kind == "c":
        return None  # the product with a real number holds 0 · inf
    found = _without_copies(b, n, x, axis, keepdims)
    if found is None:
        return None
    total, count = found
    if kind_of(n.dtype) != "f":
        return b.make(n, ew.Mul, total, b.constant(count))
    return b.make(n, ew.Mul, total, b.constant(float(count))) if count >> finfo(n.dtype).nmant == 0 else None


def _extreme_of_copies(b: Rewriter, n: Node, x: Node, *, axis: Axes, keepdims: bool) -> Node | None:
    """max broadcast(x) -> max x"""
    found = _without_copies(b, n, x, axis, keepdims)
    return None if found is None else found[0]


def _sum_of_placed(b: Rewriter, n: Node, x: Node, *, axis: Axes, keepdims: bool) -> Node | None:
    """Σ scatter(g, i) -> Σ g, over the axis along which each line has one place: Σⱼ onehotⱼ · g = g.

    That a place is out of range is found by the gather whose transpose this is.
    """
    along = line_axis(x)
    if along is None or along not in axis:
        return None
    return b.make(n, reduction.Sum, x.inputs[0], axis=axis, keepdims=keepdims)


def line_axis(x: Node) -> int | None:
    """The axis of a Scatter that puts one element on each line along it, at a place that is data."""
    g, *arrays = x.inputs
    index, shape = x.params["index"], x.shape
    if len(index) != len(shape) or len(g.shape) != len(shape):
        return None
    free = []
    for k, entry in enumerate(index):
        if not (isinstance(entry, tuple) and entry[0] == "array") or arrays[entry[1]].dtype.kind == "b":
            return None
        if g.shape[k] != shape[k] or not _counts_along(arrays[entry[1]], k, shape):
            free.append(k)
    return free[0] if len(free) == 1 and g.shape[free[0]] == 1 else None


def _counts_along(array: Node, axis: int, shape: tuple[int, ...]) -> bool:
    """Whether an index array is 0, 1, 2 ... along an axis of this shape, and the same along the others."""
    value, behind = array.value, len(shape) - axis - 1
    if value is None:
        return False
    value = np.asarray(value)
    expected = (shape[axis],) + (1,) * behind
    return value.size == shape[axis] and value.shape[-behind - 1 :] == expected and _is_range(value)


def _is_range(value: np.ndarray[Any, Any]) -> bool:
    return bool(np.array_equal(value.reshape(-1), np.arange(value.size)))


_SINGLE = always(_over_single)
_EXTREME = (_SINGLE, first(view.BroadcastTo, _extreme_of_copies))

RULES: dict[Any, tuple[Rule, ...]] = {
    reduction.Sum: (_SINGLE, first(view.BroadcastTo, _sum_of_copies), first(indexing.Scatter, _sum_of_placed)),
    reduction.Prod: (_SINGLE,),
    reduction.Max: _EXTREME,
    reduction.Min: _EXTREME,
    reduction.Any_: _EXTREME,
    reduction.All: _EXTREME,
}
