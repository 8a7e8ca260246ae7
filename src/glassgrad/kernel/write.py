"""The nests that compute a node which has a buffer; ``RULES`` has one entry per op that is more than a map."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from ..ops import contraction, conv, indexing, reduction, view
from . import index as ix
from . import scalars
from .index import Axis
from .ir import Accumulate, Affine, Atom, Index, Let, Literal, Load, Loop, Name, Reset, Scalar, Statement, Store
from .nest import Block, Fold, Nest, Product
from .read import Indices, broadcast, chosen_axis, gathered, plan, storage_dtype
from .scalars import Complex, Number, Real

if TYPE_CHECKING:
    from .lower import Lowering

LONG = 4096  # a longer fold is made of parts, so that they can be shared out and rounding errors stay small

EMPTY = {"add": 0, "multiply": 1, "or": False, "and": True}  # what folding nothing gives

Written = list[Nest]
Rule = Callable[["Lowering", Node], Written]


def number_at(lowering: Lowering, node: Node, index: Indices, block: Block) -> Number:
    return lowering.read(block, node, index)


def store(
    lowering: Lowering, block: Block, buffer: int, where: Index, value: Number, reducer: str | None = None
) -> None:
    """Write an element as the buffer's dtype."""
    dtype = lowering.memory[buffer].dtype
    if isinstance(value, Complex):
        for part, x in enumerate((value.re, value.im)):
            block.store(buffer, lowering.flat(block, (where,), (2,), part), x.atom, reducer)
        return
    if value.dtype != dtype:
        value = Real(block.let(dtype, Scalar("cast", (value.atom,))), dtype)
    block.store(buffer, where, value.atom, reducer)


def as_stored(lowering: Lowering, block: Block, value: Number, dtype: np.dtype[Any]) -> Number:
    """A number of the dtype of a node, or float32 for 16-bit floats."""
    return scalars.cast(block.let, value, np.dtype(np.float32) if dtype == np.float16 else dtype)


def simple_map(lowering: Lowering, node: Node, element: Callable[[Block, Indices], Number] | None = None) -> Written:
    """Every element of the node by itself."""
    axes, index = lowering.domain(node.shape)
    block = Block(lowering.names)
    if element is None:
        # Not read(), which would find the buffer being written.
        value = lowering.compute(block, node, index)
    else:
        value = element(block, index)
    value = as_stored(lowering, block, value, node.dtype)
    store(lowering, block, lowering.place[node], lowering.flat(block, index, ix.strides(node.shape)), value)
    return [lowering.finish(Nest(axes, body=block.statements))]


# Folds


def folded(
    lowering: Lowering,
    outer: list[Axis],
    inner: list[Axis],
    element: Callable[[Block, dict[str, Affine]], list[Atom]],
    folds: Sequence[tuple[str, str]],
    finish: Callable[[Block, list[Atom]], None],
) -> Written:
    """Nests that fold elements over the inner axes, in two stages where that is long.

    ``element(block, values)`` gives the atoms to fold, one per (reducer, dtype) of ``folds``, with axes replaced by
    ``values``; ``finish(block, results)`` stores.
    """
    length = math.prod(a.extent for a in inner)
    if length > LONG:
        return _in_parts(lowering, outer, inner, element, folds, finish)
    block = Block(lowering.names)
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
    element: Callable[[Block, dict[str, Affine]], list[Atom]],
    folds: Sequence[tuple[str, str]],
    finish: Callable[[Block, list[Atom]], None],
) -> Written:
    first, *rest = inner
    behind = math.prod(a.extent for a in rest)
    size = max(LONG // behind, 1)
    size = min(size, first.extent)
    # A divisor leaves no remainder, which would need a nest of its own.
    size = next((s for s in range(size, max(size // 4, 1) - 1, -1) if first.extent % s == 0), size)
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
        nests.extend(
            folded(
                lowering,
                axes,
                [a for a in (inside, *rest) if a.extent > 1],
                lambda block, values: element(block, {**values, first.name: ix.substitute(value, values)}),
                folds,
                keep,
            )
        )

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
        value = as_stored(lowering, block, lowering.read(block, x, index), node.dtype)
        return [value.re.atom, value.im.atom] if isinstance(value, Complex) else [value.atom]

    kept = [i for k, i in enumerate(whole) if k not in folded_axes]
    sizes = [n for k, n in enumerate(x.shape) if k not in folded_axes]
    where = ix.add(list(zip(kept, ix.strides(sizes), strict=True)))

    def finish(block: Block, results: list[Atom]) -> None:
        value: Number = Real(results[0], dtype)
        if parts == 2:
            value = Complex(Real(results[0], dtype), Real(results[1], dtype))
        store(lowering, block, lowering.place[node], where, value)

    return folded(lowering, outer, inner, element, [(reducer, dtype)] * parts, finish)


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
    value = as_stored(lowering, block, lowering.read(block, x, index), node.dtype)
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


# Products


def _matmul(lowering: Lowering, node: Node) -> Written:
    a, b = node.inputs
    letters = "abcdefghijklmnopqrstuvwxyz"
    lead = len(node.shape) - (a.ndim > 1) - (b.ndim > 1)  # type: ignore[attr-defined]
    batch = letters[:lead]
    left = batch[lead - max(len(a.shape) - 2, 0) :] + ("y" if len(a.shape) > 1 else "") + "x"
    right = batch[lead - max(len(b.shape) - 2, 0) :] + "x" + ("z" if len(b.shape) > 1 else "")
    out = batch + ("y" if len(a.shape) > 1 else "") + ("z" if len(b.shape) > 1 else "")
    return _contract(lowering, node, [left, right], out)


def _einsum(lowering: Lowering, node: Node) -> Written:
    terms, out = node.params["subscripts"].split("->")
    return _contract(lowering, node, terms.split(","), out)


def _contract(lowering: Lowering, node: Node, terms: list[str], out: str) -> Written:
    """Σ of products by index letters: a matrix product where the letters make one, else a fold."""
    sizes: dict[str, int] = {}
    for term, x in zip(terms, node.inputs, strict=True):
        for letter, n in zip(term, x.shape, strict=True):
            sizes[letter] = n if sizes.get(letter, 1) == 1 else sizes[letter]
    if 0 in sizes.values():
        return [_fill(lowering, node)]
    axes = {letter: lowering.axis(n) for letter, n in sizes.items() if n != 1}
    value = {letter: lowering.value(axes[letter]) if letter in axes else ix.ZERO for letter in sizes}
    where = ix.add(list(zip([value[c] for c in out], ix.strides(node.shape), strict=True)))
    rows = [c for c in out if c in axes and len(terms) == 2 and c in terms[0] and c not in terms[1]]
    columns = [c for c in out if c in axes and len(terms) == 2 and c in terms[1] and c not in terms[0]]
    inner = [c for c in sizes if c not in out and sizes[c] != 1]
    made: Written | None = None
    if len(terms) == 2 and node.dtype.kind == "f" and rows and columns and len(inner) == 1:
        made = _product(lowering, node, terms, (rows[-1], columns[-1], inner[0]), out, axes, value, where)
    if made is not None:
        return made
    dtype = lowering.compute_dtype(node.dtype)
    _, parts = storage_dtype(node.dtype)

    def element(block: Block, values: dict[str, Affine]) -> list[Atom]:
        factors = []
        for term, x in zip(terms, node.inputs, strict=True):
            index = tuple([ix.substitute(value[c], values) for c in term])
            factors.append(as_stored(lowering, block, lowering.read(block, x, broadcast(index, x.shape)), node.dtype))
        total = factors[0]
        for factor in factors[1:]:
            total = scalars.multiply(block.let, total, factor)
        return [total.re.atom, total.im.atom] if isinstance(total, Complex) else [total.atom]

    def finish(block: Block, results: list[Atom]) -> None:
        whole: Number = Real(results[0], dtype)
        if parts == 2:
            whole = Complex(Real(results[0], dtype), Real(results[1], dtype))
        store(lowering, block, lowering.place[node], where, whole)

    outer = [axes[c] for c in out if c in axes]
    reducer = "or" if node.dtype.kind == "b" else "add"
    return folded(lowering, outer, [axes[c] for c in inner], element, [(reducer, dtype)] * parts, finish)


def _product(
    lowering: Lowering,
    node: Node,
    terms: list[str],
    letters: tuple[str, str, str],
    out: str,
    axes: dict[str, Axis],
    value: dict[str, Affine],
    where: Affine,
) -> Written | None:
    """A matrix product over the last row and the last column letter, in loops over the other letters."""
    row, column, inner = letters
    dtype = node.dtype.name
    loads = []
    block = Block(lowering.names)
    for term, x in zip(terms, node.inputs, strict=True):
        if x.dtype != node.dtype or dtype not in ("float32", "float64"):
            return None
        index = broadcast(tuple([value[c] for c in term]), x.shape)
        found = lowering.read(block, x, index)
        statement = block.statements[-1] if block.statements else None
        if not isinstance(found, Real) or not isinstance(statement, Let) or not isinstance(statement.value, Load):
            return None
        if statement.name != getattr(found.atom, "id", None) or not isinstance(statement.value.index, Affine):
            return None
        loads.append(statement.value)
    if len(block.statements) != len(set(loads)):
        return None
    names = {axes[c].name for c in letters}
    if len(names) < 3:
        return None
    outer = [axes[c] for c in out if c in axes and c not in (row, column)]
    name = lowering.names("s")
    after = Block(lowering.names)
    after.store(lowering.place[node], where, Name(name))
    product = Product(axes[inner], loads[0], loads[1], name, dtype)
    return [lowering.finish(Nest([*outer, axes[row], axes[column]], after=after.statements, product=product))]


def _convolution(lowering: Lowering, node: Node) -> Written:
    """Windows laid out as columns, then one matrix product per sample and group: [O, C K] @ [C K, P] -> [O, P]

    Where windows are shorter than the kernel, as in the gradient of a kernel, the columns are laid out as rows.
    """
    x, w = node.inputs
    if 0 in x.shape or 0 in w.shape:
        return [_fill(lowering, node)]
    geometry = conv._geometry(x.shape, w.shape, node.params)
    groups, counts, kernel = node.params["groups"], node.shape[2:], w.shape[2:]
    samples, channels = x.shape[:2]
    inside, d = channels // groups, len(kernel)
    turned = d > 0 and counts[-1] < kernel[-1]
    shape = (samples, groups, *((*counts, inside, *kernel) if turned else (inside, *kernel, *counts)))
    columns = lowering.buffer(node.dtype, math.prod(shape), "value")
    nests, source, sizes = _laid_out(lowering, node, geometry)
    axes, index = lowering.domain(shape)
    block = Block(lowering.names)
    n, g = index[:2]
    windows, (c, *taps) = (index[2 : 2 + d], index[2 + d :]) if turned else (index[3 + d :], index[2 : 3 + d])
    where = [n, ix.add([(g, inside), (c, 1)])]
    where += [
        ix.add([(window, a.stride), (tap, a.dilation)], max(a.low, 0) - a.low)
        for a, tap, window in zip(geometry, taps, windows, strict=True)
    ]
    if source is None:
        found = lowering.read(block, x, tuple(where))
    else:
        at = lowering.flat(block, tuple(where), ix.strides((samples, channels, *sizes)))
        found = lowering.load(block, source, at, node.dtype)
    found = as_stored(lowering, block, found, node.dtype)
    store(lowering, block, columns, lowering.flat(block, index, ix.strides(shape)), found)
    nests.append(lowering.finish(Nest(axes, body=block.statements)))
    depth, places = inside * math.prod(kernel), math.prod(counts)
    return nests + _columns_product(lowering, node, columns, groups, depth, places, turned)


def _laid_out(lowering: Lowering, node: Node, geometry: Sequence[Any]) -> tuple[Written, int | None, tuple[int, ...]]:
    """The input spread and with zeros around it, in a buffer of these sizes; None where it can be read as it is."""
    x = node.inputs[0]
    sizes = tuple([a.spread_size + max(a.low, 0) + max(a.high, 0) for a in geometry])
    if all(a.spread == 1 and a.low <= 0 and a.high <= 0 for a in geometry):
        return [], None, sizes
    shape = (*x.shape[:2], *sizes)
    buffer = lowering.buffer(node.dtype, math.prod(shape), "value")
    lowering.rewritten.add(buffer)
    steps = ix.strides(shape)
    start = sum(max(a.low, 0) * s for a, s in zip(geometry, steps[2:], strict=True))
    spread = [s * k for s, k in zip(steps, (1, 1, *(a.spread for a in geometry)), strict=True)]

    def place(index: tuple[Affine, ...]) -> Affine:
        return ix.add(list(zip(index, spread, strict=True)), start)

    zeros = _written(lowering, buffer, node.dtype, (math.prod(shape),), lambda index: index[0], None)
    return [zeros, _written(lowering, buffer, node.dtype, x.shape, place, x)], buffer, sizes


def _columns_product(
    lowering: Lowering, node: Node, columns: int, groups: int, depth: int, windows: int, turned: bool
) -> Written:
    x, w = node.inputs
    samples, outputs = x.shape[0], w.shape[0] // groups
    n, g, o, k, p = (lowering.axis(m) for m in (samples, groups, outputs, depth, windows))
    at: Callable[[list[tuple[Axis, int]]], Affine] = lambda pairs: ix.add([(lowering.value(a), s) for a, s in pairs])
    kernel = lowering.held(w)
    left = at([(g, outputs * depth), (o, depth), (k, 1)])
    along_k, along_p = (1, depth) if turned else (windows, 1)
    right = at([(n, groups * depth * windows), (g, depth * windows), (k, along_k), (p, along_p)])
    where = at([(n, groups * outputs * windows), (g, outputs * windows), (o, windows), (p, 1)])
    dtype = node.dtype.name
    if node.dtype.kind == "f" and min(o.extent, p.extent, k.extent) > 1 and dtype in ("float32", "float64"):
        after = Block(lowering.names)
        name = lowering.names("s")
        after.store(lowering.place[node], where, Name(name))
        product = Product(k, Load(kernel, left), Load(columns, right), name, dtype)
        outer = [a for a in (n, g) if a.extent > 1]
        return [lowering.finish(Nest([*outer, o, p], after=after.statements, product=product))]
    outer = [a for a in (n, g, o, p) if a.extent > 1]

    def element(block: Block, values: dict[str, Affine]) -> list[Atom]:
        factors = [
            lowering.load(block, buffer, ix.substitute(index, values), x.dtype)
            for buffer, index, x in ((kernel, left, w), (columns, right, node))
        ]
        factors = [as_stored(lowering, block, f, node.dtype) for f in factors]
        total = scalars.multiply(block.let, *factors)
        return [total.re.atom, total.im.atom] if isinstance(total, Complex) else [total.atom]

    dtype = lowering.compute_dtype(node.dtype)
    _, parts = storage_dtype(node.dtype)

    def finish(block: Block, results: list[Atom]) -> None:
        whole: Number = Real(results[0], dtype)
        if parts == 2:
            whole = Complex(Real(results[0], dtype), Real(results[1], dtype))
        store(lowering, block, lowering.place[node], where, whole)

    return folded(lowering, outer, [k] if k.extent > 1 else [], element, [("add", dtype)] * parts, finish)


# Parts of a buffer written one after another


def _placed(
    lowering: Lowering,
    node: Node,
    shape: tuple[int, ...],
    where: Callable[[tuple[Affine, ...]], Affine],
    source: Node | None,
) -> Nest:
    """Elements of ``source``, or zeros, written at places of the node's buffer."""
    return _written(lowering, lowering.place[node], node.dtype, shape, where, source)


def _written(
    lowering: Lowering,
    buffer: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    where: Callable[[tuple[Affine, ...]], Affine],
    source: Node | None,
) -> Nest:
    axes, index = lowering.domain(shape)
    block = Block(lowering.names)
    value: Number = Real(Literal(0, "int64"), "int64")
    if source is not None:
        value = lowering.read(block, source, index)
    store(lowering, block, buffer, where(index), as_stored(lowering, block, value, dtype))
    return lowering.finish(Nest(axes, body=block.statements))


def copied(lowering: Lowering, buffer: int, dtype: np.dtype[Any], source: Node) -> Nest:
    """A node's elements in another buffer."""
    steps = ix.strides(source.shape)
    return _written(
        lowering, buffer, dtype, source.shape, lambda index: ix.add(list(zip(index, steps, strict=True))), source
    )


def _fill(lowering: Lowering, node: Node) -> Nest:
    return _placed(lowering, node, (math.prod(node.shape),), lambda index: index[0], None)


def _pad(lowering: Lowering, node: Node) -> Written:
    (x,) = node.inputs
    steps = ix.strides(node.shape)
    start = sum(a * s for (a, _), s in zip(node.params["width"], steps, strict=True))
    lowering.rewritten.add(lowering.place[node])
    inside = _placed(lowering, node, x.shape, lambda index: ix.add(list(zip(index, steps, strict=True)), start), x)
    return [_fill(lowering, node), inside]


def _concatenate(lowering: Lowering, node: Node) -> Written:
    axis, steps = node.params["axis"], ix.strides(node.shape)
    nests, start = [], 0
    for x in node.inputs:
        if 0 not in x.shape:
            at = start * steps[axis]
            place = lambda index, at=at: ix.add(list(zip(index, steps, strict=True)), at)
            nests.append(_placed(lowering, node, x.shape, place, x))
        start += x.shape[axis]
    if len(nests) > 1:
        lowering.rewritten.add(lowering.place[node])
    return nests


def _scattered(lowering: Lowering, node: Node, source: Node, arrays: Sequence[Node], reducer: str | None) -> Nest:
    """Elements written at places that are data: in order, because two may be the same."""
    found = plan(node.params["index"], node.shape, arrays)
    assert found is not None
    target = source.shape
    if node.op is indexing.Update:
        target = np.broadcast_to(np.zeros(()), node.shape)[
            indexing.decode(node.params["index"], [np.zeros(a.shape, np.intp) for a in arrays])
        ].shape
    if 0 in target:
        return Nest([], fixed=())
    axes, index = lowering.domain(target)
    block = Block(lowering.names)
    where = gathered(lowering, block, found, arrays, node.shape, index)
    value = as_stored(lowering, block, lowering.read(block, source, broadcast(index, source.shape)), node.dtype)
    store(lowering, block, lowering.place[node], lowering.flat(block, where, ix.strides(node.shape)), value, reducer)
    if not arrays:
        block.statements = [s._replace(reducer=None) if isinstance(s, Store) else s for s in block.statements]
        return lowering.finish(Nest(axes, body=block.statements))
    body: tuple[Statement, ...] = tuple(block.statements)
    for axis in reversed(axes):
        body = (Loop(axis.name, axis.extent, "serial", body),)
    return Nest([], fixed=body)


def _scatter(lowering: Lowering, node: Node) -> Written:
    if chosen_axis(node) is not None:
        return simple_map(lowering, node)
    lowering.rewritten.add(lowering.place[node])
    source, *arrays = node.inputs
    written = _scattered(lowering, node, source, arrays, "add")
    return [_fill(lowering, node), written]


def _update(lowering: Lowering, node: Node) -> Written:
    x, value, *arrays = node.inputs
    lowering.rewritten.add(lowering.place[node])
    written = _scattered(lowering, node, value, arrays, None)
    return [copied(lowering, lowering.place[node], node.dtype, x), written]


RULES: dict[Any, Rule] = {
    **{op: _reduction for op in _FOLDS},
    reduction.Argmax: _arg_extreme,
    reduction.Argmin: _arg_extreme,
    reduction.Cumsum: _running,
    reduction.Cumprod: _running,
    contraction.Matmul: _matmul,
    contraction.Einsum: _einsum,
    conv.Conv: _convolution,
    view.Pad: _pad,
    view.Concatenate: _concatenate,
    indexing.Scatter: _scatter,
    indexing.Update: _update,
}


def native(node: Node) -> bool:
    """Whether there are loops for this node; the others are run by Python."""
    if node.op in (indexing.Scatter, indexing.Update):
        arrays = node.inputs[1 if node.op is indexing.Scatter else 2 :]
        return plan(node.params["index"], node.shape, arrays) is not None
    if node.op in _REAL_ONLY:
        return node.inputs[0].dtype.kind != "c"
    return node.op in RULES


_REAL_ONLY = (
    reduction.Prod,
    reduction.Max,
    reduction.Min,
    reduction.Argmax,
    reduction.Argmin,
    reduction.Cumprod,
)
