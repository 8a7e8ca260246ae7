"""Elements of what only rearranges: reshape, transpose, flip, broadcast, one triangle completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph.apply import Output
from ..graph.node import Node
from ..ops import factor, logic, view
from . import index as ix
from . import scalars
from .ir import Index, Literal, Scalar
from .nest import Block
from .read import PASSED_ON, Indices, Reader, Rule, broadcast, passed_on
from .scalars import Complex, Number, Real


def _reshape(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    (x,) = node.inputs
    return reader.read(block, x, reshaped(reader, block, index, node.shape, x.shape))


def reshaped(reader: Reader, block: Block, index: Indices, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Indices:
    """The index under another shape of the same element."""
    result: list[Index] = []
    for outer, inner in factors(shape, wanted):
        where = reader.flat(block, [index[i] for i in outer], ix.strides([shape[i] for i in outer]))  # type: ignore[arg-type]
        sizes = [wanted[i] for i in inner]
        parts: list[Index] = []
        for size in reversed(sizes[1:]):
            where, rest = reader.divided(block, where, size)
            parts.append(rest)
        if sizes:
            parts.append(where)
        result += [ix.ZERO if n == 1 else p for n, p in zip(sizes, reversed(parts), strict=True)]
    return tuple(result)


def factors(shape: Sequence[int], wanted: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Runs of axes of two shapes that hold the same elements, as short as possible."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    if 0 in shape:
        return [(list(range(len(shape))), list(range(len(wanted))))]
    while i < len(shape) or j < len(wanted):
        left, right = [], []
        m = n = 1
        if i < len(shape):
            left, m, i = [i], shape[i], i + 1
        if j < len(wanted):
            right, n, j = [j], wanted[j], j + 1
        while m != n:
            if (m < n and i < len(shape)) or j == len(wanted):
                left.append(i)
                m, i = m * shape[i], i + 1
            else:
                right.append(j)
                n, j = n * wanted[j], j + 1
        found.append((left, right))
    return found


def _transpose(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    inner: list[Any] = [None] * len(index)
    for out, source in enumerate(node.params["axes"]):
        inner[source] = index[out]
    return reader.read(block, node.inputs[0], tuple(inner))


def _flip(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    flipped = [
        reader.flat(block, (i,), (-1,), n - 1) if k in node.params["axis"] else i
        for k, (i, n) in enumerate(zip(index, node.shape, strict=True))
    ]
    return reader.read(block, node.inputs[0], tuple(flipped))


def _broadcast_to(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    return reader.read(block, node.inputs[0], broadcast(index, node.inputs[0].shape))


def _passed_on(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    before = passed_on(node)
    assert before is not None
    return reader.read(block, before, index)


def _hermitian(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """A complete matrix from one triangle: the other holds conjugates, and the diagonal is real."""
    *lead, i, j = index
    (a,) = node.inputs
    kept = reader.read(block, a, index)
    turned = reader.read(block, a, (*lead, j, i))
    order = "greater_equal" if node.params["lower"] else "less_equal"
    inside = Real(block.let("bool", Scalar(order, (block.position(i), block.position(j)))), "bool")
    if isinstance(turned, Complex) and isinstance(kept, Complex):
        turned = scalars.apply(logic.Conj, block.let, [turned], node.dtype, {}, [False])
        assert isinstance(turned, Complex)
        edge = block.let("bool", Scalar("equal", (block.position(i), block.position(j))))
        zero = Literal(0.0, kept.im.dtype)
        imaginary = block.let(kept.im.dtype, Scalar("select", (edge, zero, kept.im.atom)))
        kept = Complex(kept.re, Real(imaginary, kept.im.dtype))
    return scalars.apply(logic.Where, block.let, [inside, kept, turned], node.dtype, {}, [False] * 3)


RULES: dict[Any, Rule] = {
    view.Reshape: _reshape,
    view.Transpose: _transpose,
    view.Flip: _flip,
    view.BroadcastTo: _broadcast_to,
    factor.Hermitian: _hermitian,
    **{op: _passed_on for op in (*PASSED_ON, Output)},
}
