"""Folds over axes: sums, products, extremes and their places, in parts where they are long; and running ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from ..ops import reduction
from . import index as ix
from .index import Axis
from .ir import Accumulate, Affine, Atom, Literal, Load, Loop, Name, Reset, Scalar, Statement
from .nest import Block, Fold, Nest
from .read import storage_dtype
from .scalars import Complex, Number, Real
from .write import Rule, Written, as_stored, store

if TYPE_CHECKING:
    from .lower import Lowering

LONG = 4096  # a longer fold is made of parts, so that they can be shared out and rounding errors stay small
MANY = 16  # numbers in a row, at least, if rows are folded in parts
EMPTY = {"add": 0, "multiply": 1, "or": False, "and": True}  # what folding nothing gives
Element = Callable[[Block, dict[str, Affine]], list[Atom]]
Finish = Callable[[Block, list[Atom]], None]


def folded(
    lowering: Lowering,
    outer: list[Axis],
    inner: list[Axis],
    element: Element,
    folds: Sequence[tuple[str, str]],
    finish: Finish,
    size: int = 0,
) -> Written:
    """Nests that fold elements over the inner axes, in two stages where that is long or ``size`` is given.

    ``element(block, values)`` gives the atoms to fold, one per (reducer, dtype) of ``folds``, with axes replaced by
    ``values``; ``finish(block, results)`` stores.
    """
    length = math.prod(a.extent for a in inner)
    if length > LONG or size:
        return _in_parts(lowering, outer, inner, element, folds, finish, size)
    block = Block(lowering.names)
    if not length and any(reducer not in EMPTY for reducer, _ in folds):
        name = folds[0][0]
        raise ValueError(f"{name}: zero-size array to reduction operation {name} which has no identity")
    if length < 2:
        finish(block, element(block, {}) if length else [Literal(EMPTY[r], d) for r, d in folds])
        return [lowering.finish(Nest(outer, body=block.statements))]
    atoms = element(block, {})
    names = [lowering.names("s") for _ in folds]
    after = Block(lowering.names)
    finish(after, [Name(n) for n in names])
    found = [Fold(n, r, d, a) for n, (r, d), a in zip(names, folds, atoms, strict=True)]
    return [lowering.finish(Nest(outer, inner, block.statements, found, after.statements))]


def _in_parts(
    lowering: Lowering,
    outer: list[Axis],
    inner: list[Axis],
    element: Element,
    folds: Sequence[tuple[str, str]],
    finish: Finish,
    size: int,
) -> Written:
    first, *rest = inner
    behind = math.prod(a.extent for a in rest)
    if not size:
        size = min(max(LONG // behind, 1), first.extent)
        # A divisor leaves no remainder, which would need a nest of its own.
        size = next((s for s in range(size, max(size // 4, 1) - 1, -1) if first.extent % s == 0), size)

    def piece(axes: list[Axis], inside: Axis, value: dict[str, Affine], keep: Finish) -> Written:
        within = [a for a in (inside, *rest) if a.extent > 1]
        of_part: Element = lambda block, values: element(
            block, {**values, first.name: ix.substitute(value[first.name], values)}
        )
        return folded(lowering, axes, within, of_part, folds, keep)

    return parted(lowering, outer, first, size, piece, folds, finish)


def parted(
    lowering: Lowering,
    outer: list[Axis],
    first: Axis,
    size: int,
    piece: Callable[[list[Axis], Axis, dict[str, Affine], Finish], Written],
    folds: Sequence[tuple[str, str]],
    finish: Finish,
) -> Written:
    """Nests that fold an axis ``size`` values at a time, and those that fold what the parts gave, in order.

    ``piece(axes, inside, values, keep)`` gives the nests that fold the axis ``inside`` for all of ``axes``, where
    ``values`` says what to put for the axis ``first``, and hand the results to ``keep``.
    """
    whole, left = divmod(first.extent, size)
    rows = math.prod(a.extent for a in outer)
    parts = whole + (left > 0)
    buffers = [lowering.buffer(np.dtype(d), parts * rows, "value") for _, d in folds]
    nests: Written = []
    steps = ix.strides([parts, *(a.extent for a in outer)])

    def part(begin: int, count: int, extent: int) -> None:
        number, inside = lowering.axis(count), lowering.axis(extent)
        value = ix.add([(lowering.value(number), size), (lowering.value(inside), 1)], begin * size)
        where = ix.add([(lowering.value(a), s) for a, s in zip([number, *outer], steps, strict=True)], begin * steps[0])

        def keep(block: Block, results: list[Atom]) -> None:
            for buffer, result in zip(buffers, results, strict=True):
                block.store(buffer, where, result)

        axes = [a for a in (number, *outer) if a.extent > 1]
        nests.extend(piece(axes, inside, {first.name: value}, keep))

    part(0, whole, size)
    if left:
        part(whole, 1, left)
    together = lowering.axis(parts)

    def partial(block: Block, values: dict[str, Affine]) -> list[Atom]:
        where = ix.add([(lowering.value(a), s) for a, s in zip([together, *outer], steps, strict=True)])
        where = ix.substitute(where, values)
        return [block.let(d, Load(b, where)) for b, (_, d) in zip(buffers, folds, strict=True)]

    return nests + folded(lowering, outer, [together], partial, folds, finish)


_FOLDS = {
    reduction.Sum: "add",
    reduction.Prod: "multiply",
    reduction.Max: "maximum",
    reduction.Min: "minimum",
    reduction.Any_: "or",
    reduction.All: "and",
}


def _reduction(lowering: Lowering, node: Node) -> Written:
    (x,) = node.inputs
    reducer = _FOLDS[node.op]
    folded_axes = node.params["axis"]
    axes, whole = lowering.domain(x.shape)
    names = {i.terms[0][0]: k for k, i in enumerate(whole) if i.terms}
    outer = [a for a in axes if names[a.name] not in folded_axes]
    inner = [a for a in axes if names[a.name] in folded_axes]
    dtype = lowering.compute_dtype(node.dtype)
    _, parts = storage_dtype(node.dtype)

    def element(block: Block, values: dict[str, Affine]) -> list[Atom]:
        index = tuple([ix.substitute(i, values) for i in whole])
        value = as_stored(block, lowering.read(block, x, index), node.dtype)
        return [value.re.atom, value.im.atom] if isinstance(value, Complex) else [value.atom]

    kept = [i for k, i in enumerate(whole) if k not in folded_axes]
    sizes = [n for k, n in enumerate(x.shape) if k not in folded_axes]
    where = ix.add(list(zip(kept, ix.strides(sizes), strict=True)))

    def finish(block: Block, results: list[Atom]) -> None:
        value: Number = Real(results[0], dtype)
        if parts == 2:
            value = Complex(Real(results[0], dtype), Real(results[1], dtype))
        store(lowering, block, lowering.place[node], where, value)

    down = len(inner) == 1 and inner[0] == axes[0] and math.prod(a.extent for a in outer) >= MANY
    size = lowering.rows_at_once(inner[0].extent) if down else 0
    return folded(lowering, outer, inner, element, [(reducer, dtype)] * parts, finish, size)


def _arg_extreme(lowering: Lowering, node: Node) -> Written:
    """The first place of the extreme, or of the first NaN: a fold for the extreme, then one for the place."""
    (x,) = node.inputs
    (along,) = node.params["axis"]
    n = x.shape[along]
    dtype = lowering.compute_dtype(x.dtype)
    axes, whole = lowering.domain(x.shape)
    name = whole[along].terms[0][0] if whole[along].terms else ""
    outer = [a for a in axes if a.name != name]
    inner = [a for a in axes if a.name == name]
    sizes = [m for k, m in enumerate(x.shape) if k != along]
    where = ix.add(list(zip([i for k, i in enumerate(whole) if k != along], ix.strides(sizes), strict=True)))
    extreme = lowering.buffer(np.dtype(dtype), math.prod(sizes), "value")

    def element(block: Block, values: dict[str, Affine]) -> list[Atom]:
        value = lowering.read(block, x, tuple([ix.substitute(i, values) for i in whole]))
        assert isinstance(value, Real)
        return [value.atom]

    def place(block: Block, values: dict[str, Affine]) -> list[Atom]:
        (value,) = element(block, values)
        found = block.let("bool", Scalar("equal", (value, block.let(dtype, Load(extreme, where)))))
        if np.dtype(dtype).kind == "f":
            broken = block.let("bool", Scalar("isnan", (value,)))
            found = block.let("bool", Scalar("logical_or", (found, broken)))
        here = block.position(ix.substitute(whole[along], values))
        return [block.let("int64", Scalar("select", (found, here, Literal(n, "int64"))))]

    reducer = "maximum" if node.op is reduction.Argmax else "minimum"
    first = folded(
        lowering, outer, inner, element, [(reducer, dtype)], lambda block, r: block.store(extreme, where, r[0])
    )
    second = folded(
        lowering,
        outer,
        inner,
        place,
        [("minimum", "int64")],
        lambda block, r: block.store(lowering.place[node], where, r[0]),
    )
    return first + second


def _running(lowering: Lowering, node: Node) -> Written:
    """Running sums and products: in order along one axis, any order along the others."""
    (x,) = node.inputs
    along = node.params["axis"]
    reducer = "add" if node.op is reduction.Cumsum else "multiply"
    axes, index = lowering.domain(x.shape)
    name = index[along].terms[0][0] if index[along].terms else ""
    block = Block(lowering.names)
    value = as_stored(block, lowering.read(block, x, index), node.dtype)
    reals = [value.re, value.im] if isinstance(value, Complex) else [value]
    sums = [lowering.names("s") for _ in reals]
    block.statements += [Accumulate(s, r.atom) for s, r in zip(sums, reals, strict=True)]
    so_far: Number = Real(Name(sums[0]), reals[0].dtype)
    if isinstance(value, Complex):
        so_far = Complex(Real(Name(sums[0]), reals[0].dtype), Real(Name(sums[1]), reals[0].dtype))
    store(lowering, block, lowering.place[node], lowering.flat(block, index, ix.strides(x.shape)), so_far)
    body: tuple[Statement, ...] = tuple(block.statements)
    extent = {a.name: a.extent for a in axes}
    if name:
        body = (Loop(name, extent[name], "serial", body),)
    body = (*[Reset(s, reducer, r.dtype) for s, r in zip(sums, reals, strict=True)], *body)
    others = [a for a in axes if a.name != name]
    for i, axis in enumerate(reversed(others)):
        body = (Loop(axis.name, axis.extent, "parallel" if i == len(others) - 1 else "serial", body),)
    return [Nest([], fixed=body)]


RULES: dict[Any, Rule] = {
    **dict.fromkeys(_FOLDS, _reduction),
    reduction.Argmax: _arg_extreme,
    reduction.Argmin: _arg_extreme,
    reduction.Cumsum: _running,
    reduction.Cumprod: _running,
}
REAL = (*(op for op in RULES if op not in (reduction.Sum, reduction.Any_, reduction.All, reduction.Cumsum)),)
