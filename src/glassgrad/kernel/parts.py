"""Buffers written part by part: padded, joined, scattered to, updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from ..ops import indexing, view
from . import index as ix
from .gather import chosen_axis, gathered, plan
from .ir import Loop, Statement, Store
from .nest import Block, Nest
from .read import broadcast
from .write import Rule, Written, as_stored, copied, fill, placed, simple_map, store

if TYPE_CHECKING:
    from .lower import Lowering


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
    where = gathered(lowering, block, found, arrays, node.shape, index, node)
    value = as_stored(block, lowering.read(block, source, broadcast(index, source.shape)), node.dtype)
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
    return [fill(lowering, node), written]


def _update(lowering: Lowering, node: Node) -> Written:
    x, value, *arrays = node.inputs
    lowering.rewritten.add(lowering.place[node])
    written = _scattered(lowering, node, value, arrays, None)
    return [copied(lowering, lowering.place[node], node.dtype, x), written]


RULES: dict[Any, Rule] = {
    view.Pad: _pad,
    view.Concatenate: _concatenate,
    indexing.Scatter: _scatter,
    indexing.Update: _update,
}
