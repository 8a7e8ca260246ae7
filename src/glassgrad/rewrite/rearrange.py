"""Rearranging: views of views, and parts of what was joined. Every rewrite here gives the same bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph.node import Node
from ..ops import indexing, reduction, view
from .rules import Rule, always, first
from .stretch import only_leads

if TYPE_CHECKING:
    from .rewriter import Rewriter

PARTS = 128  # how many arrays are joined at once at most


# Reshape, transpose, broadcast, flip


def _sum_without_axes(b: Rewriter, n: Node, x: Node, *, shape: tuple[int, ...]) -> Node | None:
    """reshape(Σ x with axes kept as 1s) -> Σ x, where nothing else needs the 1s"""
    axis, inner = x.params["axis"], x.inputs[0]
    without = tuple(m for i, m in enumerate(inner.shape) if i not in axis)
    if not x.params["keepdims"] or shape != without or b.uses.get(x, 1) > 1:
        return None
    return b.make(x, reduction.Sum, inner, axis=axis, keepdims=False)


def _transpose(b: Rewriter, n: Node, x: Node, *, axes: tuple[int, ...]) -> Node | None:
    moved = [i for i in axes if x.shape[i] != 1]
    if moved == sorted(moved):
        return b.reshape(n, x, n.shape)  # transpose(x) -> reshape(x), where only axes of size 1 change places
    if x.value is None and x.op is view.Transpose:
        before = x.params["axes"]  # transpose(transpose(x)) -> transpose(x)
        return b.make(n, view.Transpose, x.inputs[0], axes=tuple(before[i] for i in axes))
    return None


def _transpose_of_reshaped(b: Rewriter, n: Node, x: Node, *, axes: tuple[int, ...]) -> Node | None:
    """transpose(reshape(x)) -> reshape(transpose(x)), where the first reshape only put in axes of size 1"""
    inner, real = x.inputs[0], [i for i, m in enumerate(x.shape) if m != 1]
    if inner.shape != tuple(x.shape[i] for i in real):
        return None
    order = tuple(real.index(i) for i in axes if i in real)
    return b.reshape(n, b.make(n, view.Transpose, inner, axes=order), n.shape)


def _broadcast(b: Rewriter, n: Node, x: Node, *, shape: tuple[int, ...]) -> Node | None:
    if x.shape == shape:
        return x  # broadcast(x, its shape) -> x
    if math.prod(x.shape) == math.prod(shape):
        return b.reshape(n, x, shape)  # broadcast(x) -> reshape(x), where only axes of size 1 are put in front
    if x.value is None and (x.op is view.BroadcastTo or (x.op is view.Reshape and only_leads(x, x.inputs[0]))):
        return b.make(n, view.BroadcastTo, x.inputs[0], shape=shape)  # broadcast(broadcast(x)) -> broadcast(x)
    return None


def _flip(b: Rewriter, n: Node, x: Node, *, axis: tuple[int, ...]) -> Node | None:
    turned = tuple(i for i in axis if x.shape[i] > 1)
    if not turned:
        return x  # flip(x) -> x, where there is one element to turn over
    if x.value is None and x.op is view.Flip:
        both = tuple(sorted(set(turned) ^ set(x.params["axis"])))  # flip(flip(x)) -> flip(x)
        return b.make(n, view.Flip, x.inputs[0], axis=both) if both else x.inputs[0]
    return b.make(n, view.Flip, x, axis=turned) if turned != axis else None


# Slices


class Span(NamedTuple):
    """What an index takes of one axis: ``size`` places from ``start`` on, ``step`` apart."""

    start: int
    step: int
    size: int


def spans(index: Sequence[Any], shape: tuple[int, ...]) -> tuple[Span, ...] | None:
    """What an index without arrays takes of each axis, a single place like a slice of one; None for steps back."""
    entries = [e for e in index if e is not None]
    missing = len(shape) - sum(e is not Ellipsis for e in entries)
    found: list[Span] = []
    for entry in entries if Ellipsis in entries else (*entries, Ellipsis):
        if entry is Ellipsis:
            found += [Span(0, 1, m) for m in shape[len(found) : len(found) + missing]]
        elif isinstance(entry, int):
            found.append(Span(entry % shape[len(found)], 1, 1))
        else:
            start, stop, step = slice(*entry[1:]).indices(shape[len(found)])
            if step < 0:
                return None
            size = len(range(start, stop, step))
            found.append(Span(start, step if size > 1 else 1, size))
    return tuple(found)


def sliced(taken: Sequence[Span]) -> tuple[Any, ...]:
    """The index that takes these spans, as ops keep it."""
    return tuple(("slice", s.start, s.start + (s.size - 1) * s.step + 1, s.step) for s in taken)


def covers(taken: Sequence[Span], shape: tuple[int, ...]) -> bool:
    """Whether all elements are taken, in order."""
    return all(s.size == m for s, m in zip(taken, shape, strict=True))


def part(b: Rewriter, like: Node, x: Node, taken: Sequence[Span]) -> Node:
    """These spans of x, all axes kept."""
    return b.make(like, indexing.Gather, x, index=sliced(taken))


def _gather(b: Rewriter, n: Node, x: Node, *arrays: Node, index: Any) -> Node | None:
    if arrays:
        return None
    taken = spans(index, x.shape)
    if taken is None:
        return None
    if covers(taken, x.shape):
        return b.reshape(n, x, n.shape)  # x[:] -> x, x[None] -> reshape(x)
    if x.value is not None:
        return None
    if x.op is view.Concatenate:
        return _part_of_joined(b, n, x, taken)
    if x.op is indexing.Scatter and len(x.inputs) == 1 and spans(x.params["index"], x.shape) == taken:
        return b.reshape(n, x.inputs[0], n.shape)  # scatter(g, i)[i] -> g
    return None


def _part_of_joined(b: Rewriter, n: Node, x: Node, taken: Sequence[Span]) -> Node | None:
    """concatenate(x, y)[i] -> x[i], where i is within x"""
    axis = x.params["axis"]
    wanted, begin = taken[axis], 0
    last = wanted.start + (wanted.size - 1) * wanted.step
    for y in x.inputs:
        size = y.shape[axis]
        if begin <= wanted.start and last < begin + size and wanted.size:
            inside = wanted._replace(start=wanted.start - begin)
            return b.reshape(n, part(b, n, y, [*taken[:axis], inside, *taken[axis + 1 :]]), n.shape)
        begin += size
    return None


# Joining


def _concatenate(b: Rewriter, n: Node, *xs: Node, axis: int) -> Node | None:
    parts = [x for x in xs if x.shape[axis]]  # concatenate(x, empty) -> x
    if not parts or any(x.dtype != n.dtype for x in parts):
        return None
    joined: list[Node] = []
    for k, x in enumerate(parts):
        inner = x.inputs if x.op is view.Concatenate and x.value is None and x.params["axis"] == axis else (x,)
        if len(joined) + len(inner) + len(parts) - k > PARTS:
            inner = (x,)  # else concatenate(concatenate(x, y), z) -> concatenate(x, y, z)
        both = _both(b, n, joined[-1], inner[0], axis) if joined else None  # concatenate(x[:i], x[i:]) -> x
        joined[-1:] = [*joined[-1:], *inner] if both is None else [both, *inner[1:]]
    if len(joined) == 1:
        return joined[0]  # concatenate(x) -> x
    return None if len(joined) == len(xs) else b.make(n, view.Concatenate, *joined, axis=axis)


def _both(b: Rewriter, n: Node, x: Node, y: Node, axis: int) -> Node | None:
    """One slice in place of two that lie side by side along an axis of the same array."""
    rows = _rows(b, n, x, y) if axis == 0 else None
    if rows is not None:
        return rows
    if not all(z.value is None and z.op is indexing.Gather and len(z.inputs) == 1 for z in (x, y)):
        return None
    whole = x.inputs[0]
    if whole is not y.inputs[0] or len(whole.shape) != len(n.shape):
        return None
    left, right = (spans(z.params["index"], whole.shape) for z in (x, y))
    if left is None or right is None or any(tuple(s.size for s in t) != z.shape for t, z in ((left, x), (right, y))):
        return None
    p, q = left[axis], right[axis]
    if [*left[:axis], *left[axis + 1 :]] != [*right[:axis], *right[axis + 1 :]]:
        return None
    if (p.step, q.step) != (1, 1) or p.start + p.size != q.start:
        return None
    return part(b, n, whole, [*left[:axis], Span(p.start, 1, p.size + q.size), *left[axis + 1 :]])


def _rows(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """One run of rows in place of two that follow one another in the same array, under whatever shape."""
    left, right = _run(x), _run(y)
    if left is None or right is None or left[0] is not right[0] or left[1].stop != right[1].start:
        return None
    whole, rows = left[0], range(left[1].start, right[1].stop)
    taken = [Span(rows.start, 1, len(rows)), *(Span(0, 1, m) for m in whole.shape[1:])]
    return b.reshape(n, part(b, n, whole, taken), (x.shape[0] + y.shape[0], *x.shape[1:]))


def _run(x: Node) -> tuple[Node, range] | None:
    """The array, and which of its rows, that x is a reshaped run of."""
    if x.value is None and x.op is view.Reshape:
        x = x.inputs[0]
    if x.value is not None or x.op is not indexing.Gather or len(x.inputs) > 1:
        return None
    whole = x.inputs[0]
    taken = spans(x.params["index"], whole.shape)
    if not taken or taken[0].step != 1 or not covers(taken[1:], whole.shape[1:]):
        return None
    return whole, range(taken[0].start, taken[0].start + taken[0].size)


RULES: dict[Any, tuple[Rule, ...]] = {
    view.Reshape: (
        always(lambda b, n, x, *, shape: x if x.shape == shape else None),  # reshape(x, its shape) -> x
        # reshape(reshape(x)) -> reshape(x)
        first(view.Reshape, lambda b, n, x, *, shape: b.reshape(n, x.inputs[0], shape)),
        first(reduction.Sum, _sum_without_axes),
    ),
    view.Transpose: (first(view.Reshape, _transpose_of_reshaped), always(_transpose)),
    view.BroadcastTo: (always(_broadcast),),
    view.Flip: (always(_flip),),
    # pad(x, 0) -> x
    view.Pad: (always(lambda b, n, x, *, width: None if any(map(any, width)) else x),),
    view.Concatenate: (always(_concatenate),),
    indexing.Gather: (always(_gather),),
}
