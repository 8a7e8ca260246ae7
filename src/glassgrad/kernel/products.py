"""Sums of products: matrix products where index letters make one, else folds; convolutions by columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..graph.node import Node
from ..ops import contraction, conv
from . import index as ix
from . import scalars
from .batches import MOST
from .folds import Finish, folded, parted
from .index import Axis
from .ir import Affine, Atom, Let, Load, Name
from .nest import Block, Nest, Product, moved
from .read import broadcast, storage_dtype
from .scalars import Complex, Number, Real
from .write import Rule, Written, as_stored, fill, store, written

if TYPE_CHECKING:
    from .lower import Lowering

SMALL = 4096  # elements of a result of which each part of a long sum may have its own
ONE = "row"  # the letter of a row that is the only one
LARGE_FACTOR = 1 << 18  # elements of a factor that takes as long to read as a large product does to compute


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
        return [fill(lowering, node)]
    axes = {letter: lowering.axis(n) for letter, n in sizes.items() if n != 1}
    value = {letter: lowering.value(axes[letter]) if letter in axes else ix.ZERO for letter in sizes}
    where = ix.add(list(zip([value[c] for c in out], ix.strides(node.shape), strict=True)))
    rows = [c for c in out if c in axes and len(terms) == 2 and c in terms[0] and c not in terms[1]]
    columns = [c for c in out if c in axes and len(terms) == 2 and c in terms[1] and c not in terms[0]]
    inner = [c for c in sizes if c not in out and sizes[c] != 1]
    if columns and not rows and len(inner) == 1 and sizes[inner[0]] * sizes[columns[-1]] >= LARGE_FACTOR:
        axes[ONE] = lowering.axis(1)  # a matrix product reads a few rows of the factor together, a fold one at a time
        rows = [ONE]
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
            factors.append(as_stored(block, lowering.read(block, x, broadcast(index, x.shape)), node.dtype))
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
    loads, steps = [], []  # steps: of a row, and of a column, in the memory of its factor
    block = Block(lowering.names)
    for term, x, letter in zip(terms, node.inputs, (row, column), strict=True):
        if x.dtype != node.dtype or dtype not in ("float32", "float64"):
            return None
        index = broadcast(tuple([value[c] for c in term]), x.shape)
        lowering.factor(x)
        found = lowering.read(block, x, index)
        statement = block.statements[-1] if block.statements else None
        if not isinstance(found, Real) or not isinstance(statement, Let) or not isinstance(statement.value, Load):
            return None
        if statement.name != getattr(found.atom, "id", None) or not isinstance(statement.value.index, Affine):
            return None
        loads.append(statement.value)
        steps.append(ix.coefficient(statement.value.index, axes[letter].name))
    if len(block.statements) != len(set(loads)):
        return None
    names = {axes[c].name for c in letters}
    if len(names) < 3:
        return None
    outer = [axes[c] for c in out if c in axes and c not in (row, column)]

    def piece(around: list[Axis], inside: Axis, values: dict[str, Affine], finish: Finish) -> Written:
        name = lowering.names("s")
        after = Block(lowering.names)
        finish(after, [Name(name)])
        a, b = (moved(load, values) for load in loads)
        return [lowering.finish(Nest(around, after=after.statements, product=Product(inside, a, b, name, dtype)))]

    def finish(block: Block, results: list[Atom]) -> None:
        block.store(lowering.place[node], where, results[0])

    around = [*outer, axes[row], axes[column]]
    length = axes[inner].extent
    small = row != ONE and axes[row].extent * axes[column].extent <= SMALL
    apart = small if length >= MOST else not outer and steps == [1, 1]  # the factors lie one row after the other
    size = lowering.rows_at_once(length) if apart else 0
    if size:
        return parted(lowering, around, axes[inner], size, piece, [("add", dtype)], finish)
    return piece(around, axes[inner], {}, finish)


def _convolution(lowering: Lowering, node: Node) -> Written:
    """Windows laid out as columns, then one matrix product per sample and group: [O, C K] @ [C K, P] -> [O, P]

    Where windows are shorter than the kernel, as in the gradient of a kernel, the columns are laid out as rows.
    """
    x, w = node.inputs
    if 0 in x.shape or 0 in w.shape:
        return [fill(lowering, node)]
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
    found = as_stored(block, found, node.dtype)
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

    zeros = written(lowering, buffer, node.dtype, (math.prod(shape),), lambda index: index[0], None)
    return [zeros, written(lowering, buffer, node.dtype, x.shape, place, x)], buffer, sizes


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
        factors = [as_stored(block, f, node.dtype) for f in factors]
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


RULES: dict[Any, Rule] = {
    contraction.Matmul: _matmul,
    contraction.Einsum: _einsum,
    conv.Conv: _convolution,
}
