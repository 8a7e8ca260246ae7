"""Buffers written part by part: padded, joined, scattered to, updated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from ..ops import indexing, view
from . import index as ix
from .folds import folded
from .gather import chosen_axis, gathered, plan
from .index import Axis
from .ir import Affine, Atom, Literal, Load, Loop, Statement, Store
from .nest import Block, Nest
from .read import broadcast
from .write import Rule, Written, as_stored, copied, fill, placed, simple_map, store

if TYPE_CHECKING:
    from .lower import Lowering

LONG = 1 << 14  # a sum of fewer elements at places that are data is not cut into parts
MOST = 16  # such parts, at most


def _pad(lowering: Lowering, node: Node) -> Written:
    (x,) = node.inputs
    if 0 in x.shape:
        return [fill(lowering, node)]
    steps = ix.strides(node.shape)
    start = sum(a * s for (a, _), s in zip(node.params["width"], steps, strict=True))
    lowering.rewritten.add(lowering.place[node])
    inside = placed(lowering, node, x.shape, lambda index: ix.add(list(zip(index, steps, strict=True)), start), x)
    return [fill(lowering, node), inside]


def _concatenate(lowering: Lowering, node: Node) -> Written:
    axis, steps = node.params["axis"], ix.strides(node.shape)
    nests, start = [], 0
    for x in node.inputs:
        if 0 not in x.shape:
            at = start * steps[axis]
            place = lambda index, at=at: ix.add(list(zip(index, steps, strict=True)), at)
            nests.append(placed(lowering, node, x.shape, place, x))
        start += x.shape[axis]
    if len(nests) > 1:
        lowering.shared.add(lowering.place[node])
    return nests


def _scattered(
    lowering: Lowering, node: Node, source: Node, arrays: Sequence[Node], reducer: str | None, parts: int = 1
) -> Written:
    """Elements written at places that are data: in order, because two may be the same.

    Where the first axis is no such place, what its values write is apart. With several ``parts``, each has a buffer.
    """
    found = plan(node.params["index"], node.shape, arrays)
    assert found is not None
    target = _target(node, source)
    if 0 in target:
        return [Nest([], fixed=())]
    axes, index = lowering.domain(target)
    block = Block(lowering.names)
    place, steps, size = lowering.place[node], ix.strides(node.shape), math.prod(node.shape)
    number = lowering.axis(parts)
    if parts > 1:
        place = lowering.buffer(node.dtype, parts * size, "value")
        lowering.rewritten.add(place)
        inside = lowering.axis(axes[0].extent // parts)
        value = ix.add([(lowering.value(number), inside.extent), (lowering.value(inside), 1)])
        index = tuple([ix.substitute(i, {axes[0].name: value}) for i in index])
        axes = [inside, *axes[1:]]
    where = gathered(lowering, block, found, arrays, node.shape, index, node)
    element = as_stored(block, lowering.read(block, source, broadcast(index, source.shape)), node.dtype)
    at = lowering.flat(block, (*where, lowering.value(number)), (*steps, size))
    store(lowering, block, place, at, element, reducer)
    if not arrays:
        block.statements = [s._replace(reducer=None) if isinstance(s, Store) else s for s in block.statements]
        return [lowering.finish(Nest(axes, body=block.statements))]
    body: tuple[Statement, ...] = tuple(block.statements)
    for axis in reversed(axes):
        own = parts == 1 and axis is axes[0] and any(s.kind == "slice" and s.output == 0 for s in found.steps)
        body = (Loop(axis.name, axis.extent, "parallel" if own and target[0] > 1 else "serial", body),)
    if parts == 1:
        return [Nest([], fixed=body)]
    return [_each_from_zero(lowering, place, number, size, body), *_together(lowering, node, place, parts)]


def _target(node: Node, source: Node) -> tuple[int, ...]:
    """The shape of what is written at places of a node."""
    if node.op is indexing.Scatter:
        return source.shape
    arrays = [np.zeros(a.shape, np.intp) for a in node.inputs[2:]]
    chosen: tuple[int, ...] = np.broadcast_to(np.zeros(()), node.shape)[
        indexing.decode(node.params["index"], arrays)
    ].shape
    return chosen


def _each_from_zero(lowering: Lowering, buffer: int, number: Axis, size: int, body: tuple[Statement, ...]) -> Nest:
    """Parts that each begin with zeros."""
    dtype = lowering.memory[buffer].dtype
    element = lowering.axis(size)
    where = ix.add([(ix.axis(number.name), size), (lowering.value(element), 1)])
    zero = Store(buffer, where, Literal(0.0, dtype))
    zeros = Loop(element.name, size, "vector", (zero,))
    return Nest([], fixed=(Loop(number.name, number.extent, "parallel", (zeros, *body)),))


def _together(lowering: Lowering, node: Node, buffer: int, parts: int) -> Written:
    """The sum of the parts, in order."""
    size, dtype = math.prod(node.shape), lowering.memory[buffer].dtype
    part, element = lowering.axis(parts), lowering.axis(size)
    at = lowering.value(element)

    def value(block: Block, values: dict[str, Affine]) -> list[Atom]:
        where = ix.substitute(ix.add([(lowering.value(part), size), (at, 1)]), values)
        return [block.let(dtype, Load(buffer, where))]

    def finish(block: Block, results: list[Atom]) -> None:
        block.store(lowering.place[node], at, results[0])

    return folded(lowering, [element] if size > 1 else [], [part], value, [("add", dtype)], finish)


def _scatter(lowering: Lowering, node: Node) -> Written:
    if chosen_axis(node) is not None:
        return simple_map(lowering, node)
    source, *arrays = node.inputs
    parts = _parts(lowering, node, source, arrays)
    if parts > 1:
        return _scattered(lowering, node, source, arrays, "add", parts)
    lowering.rewritten.add(lowering.place[node])
    return [fill(lowering, node), *_scattered(lowering, node, source, arrays, "add")]


def _parts(lowering: Lowering, node: Node, source: Node, arrays: Sequence[Node]) -> int:
    """In how many parts many elements are summed, each in a buffer of its own: all together no more than those."""
    count, size = math.prod(source.shape), max(math.prod(node.shape), 1)
    found = plan(node.params["index"], node.shape, arrays)
    assert found is not None
    if lowering.frugal or not arrays or count < LONG or node.dtype.name not in ("float32", "float64"):
        return 1
    if source.shape[0] == 1 or any(s.kind == "slice" and s.output == 0 for s in found.steps):
        return 1
    return next(n for n in range(max(1, min(MOST, count // size)), 0, -1) if source.shape[0] % n == 0)


def _update(lowering: Lowering, node: Node) -> Written:
    x, value, *arrays = node.inputs
    lowering.rewritten.add(lowering.place[node])
    written = _scattered(lowering, node, value, arrays, None)
    return [copied(lowering, lowering.place[node], node.dtype, x), *written]


RULES: dict[Any, Rule] = {
    view.Pad: _pad,
    view.Concatenate: _concatenate,
    indexing.Scatter: _scatter,
    indexing.Update: _update,
}
