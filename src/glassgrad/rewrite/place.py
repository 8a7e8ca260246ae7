"""Zeros with something at a place in them: sums of Scatters, and what is done to one.

Scatters come from derivatives of indexing. The zeros they fill in have no sign that means anything: a rewrite here
gives the same bits but for the sign of a zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..graph.node import Constant, Node
from ..ops import elementwise as ew
from ..ops import indexing, view
from .rearrange import Span, covers, sliced, spans
from .rules import Rule, always, either, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

PENDING = 16  # how many Scatters of a sum wait for others that they make a whole with


class Piece(NamedTuple):
    """A Scatter to slices: the elements, and where they go along each axis."""

    node: Node
    taken: tuple[Span, ...]


class Total(NamedTuple):
    """What is known of a sum: ``rest``, if anything, and pieces that share no place with each other."""

    rest: Node | None
    pieces: tuple[Piece, ...]


def _added(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """(x + scatter(g, i)) + scatter(h, j) -> x + scatter(join(g, h), i ∪ j), where i and j lie side by side.

    At each place one of the two is 0, so that the order of the sum does not matter.
    """
    total = _total(b, x)
    piece = _piece(b, y)
    if piece is None:
        piece, total = _piece(b, x), _total(b, y)
    if piece is None or y.dtype != x.dtype or x.shape != y.shape:
        return None
    pieces = [*total.pieces]
    joined = _joined(b, n, pieces, piece)
    if joined is None:
        waits = len(pieces) < PENDING and all(_apart(p.taken, piece.taken) for p in pieces)
        b.known[n] = Total(total.rest, (*pieces, piece)) if waits else Total(x if piece.node is y else y, (piece,))
        return None
    result = total.rest
    for p in (*pieces, joined):
        result = p.node if result is None else b.make(n, ew.Add, result, p.node)
    return result


def _total(b: Rewriter, x: Node) -> Total:
    known = b.known.get(x)
    if not isinstance(known, Total):
        piece = _piece(b, x)
        known = Total(x, ()) if piece is None else Total(None, (piece,))
    return known


def _piece(b: Rewriter, x: Node) -> Piece | None:
    if x.value is not None or x.op is not indexing.Scatter or len(x.inputs) != 1:
        return None
    taken = spans(x.params["index"], x.shape)
    if taken is None or math.prod(s.size for s in taken) != math.prod(x.inputs[0].shape):
        return None
    return Piece(x, taken)


def _apart(left: Sequence[Span], right: Sequence[Span]) -> bool:
    """Whether no place is in both."""
    return any(
        p.start + (p.size - 1) * p.step < q.start
        or q.start + (q.size - 1) * q.step < p.start
        or (p.step == q.step and (p.start - q.start) % p.step)
        for p, q in zip(left, right, strict=True)
    )


def _joined(b: Rewriter, n: Node, pieces: list[Piece], piece: Piece) -> Piece | None:
    """The piece with what it makes a longer one with, which is taken out of ``pieces``; again and again."""
    found = None
    k = 0
    while k < len(piece.taken):
        group = _side_by_side(pieces, piece, k) or _interleaved(pieces, piece, k)
        if group is None:
            k += 1
            continue
        pieces[:] = [p for p in pieces if not any(p is q for q in group)]
        found = piece = _one(b, n, group, k)
        k = 0
    return found


def _along(pieces: Sequence[Piece], piece: Piece, axis: int) -> list[Piece]:
    """Those that differ along this axis only."""
    others = piece.taken[:axis], piece.taken[axis + 1 :]
    return [p for p in pieces if (p.taken[:axis], p.taken[axis + 1 :]) == others]


def _side_by_side(pieces: Sequence[Piece], piece: Piece, axis: int) -> list[Piece] | None:
    own = piece.taken[axis]
    for other in _along(pieces, piece, axis) if own.step == 1 else ():
        span = other.taken[axis]
        if span.step == 1 and span.start + span.size == own.start:
            return [other, piece]
        if span.step == 1 and own.start + own.size == span.start:
            return [piece, other]
    return None


def _interleaved(pieces: Sequence[Piece], piece: Piece, axis: int) -> list[Piece] | None:
    """As many pieces as their step is long, which begin one after another: every step-th place, and those between."""
    own = piece.taken[axis]
    if own.step == 1:
        return None
    fit = [p for p in _along(pieces, piece, axis) if p.taken[axis][1:] == own[1:]]
    group = sorted([*fit, piece], key=lambda p: p.taken[axis].start)
    starts = [p.taken[axis].start for p in group]
    return group if starts == list(range(starts[0], starts[0] + own.step)) else None


def _one(b: Rewriter, n: Node, group: Sequence[Piece], axis: int) -> Piece:
    """Neighbouring or interleaved pieces as one."""
    spans_of = [p.taken[axis] for p in group]
    step, start, size = spans_of[0].step, spans_of[0].start, sum(s.size for s in spans_of)
    taken = [*group[0].taken[:axis], Span(start, 1, size), *group[0].taken[axis + 1 :]]
    parts = [b.reshape(n, p.node.inputs[0], tuple(s.size for s in p.taken)) for p in group]
    if step > 1:
        lead, tail = parts[0].shape[: axis + 1], parts[0].shape[axis + 1 :]
        parts = [b.reshape(n, x, (*lead, 1, *tail)) for x in parts]
    whole = b.make(n, view.Concatenate, *parts, axis=axis + (step > 1))
    whole = b.reshape(n, whole, tuple(s.size for s in taken))
    return Piece(b.make(n, indexing.Scatter, whole, index=sliced(taken), shape=n.shape), tuple(taken))


def _scatter(b: Rewriter, n: Node, g: Node, *arrays: Node, index: Any, shape: tuple[int, ...]) -> Node | None:
    """scatter(g, [:]) -> g, where all places are written"""
    taken = None if arrays else spans(index, shape)
    return b.reshape(n, g, shape) if taken is not None and covers(taken, shape) else None


def _scaled(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
    """scatter(g, i) * c -> scatter(g * c, i), where c is finite: 0 · c is 0"""
    number = b.number(c)
    if number is None or not math.isfinite(abs(number)) or n.dtype.kind == "c" or x.value is not None:
        return None
    if x.op is not indexing.Scatter:
        return None
    g, *arrays = x.inputs
    single = c if not c.shape else b.constant(number)
    return b.make(n, indexing.Scatter, b.make(n, ew.Mul, g, single), *arrays, **x.params)


def _negated(b: Rewriter, n: Node, x: Node) -> Node:
    """-scatter(g, i) -> scatter(-g, i)"""
    g, *arrays = x.inputs
    return b.make(n, indexing.Scatter, b.make(n, ew.Neg, g), *arrays, **x.params)


RULES: dict[Any, tuple[Rule, ...]] = {
    ew.Add: (always(_added),),
    ew.Neg: (first(indexing.Scatter, _negated),),
    ew.Mul: (either(Constant, _scaled),),
    indexing.Scatter: (always(_scatter),),
}
