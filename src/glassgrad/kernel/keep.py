"""Which nodes get a buffer.

A node gets one if something must have it in memory (an output, a factor of a matrix product, a library call), or if
computing it anew wherever it is used would cost more than keeping it. Everything else vanishes into its users.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..graph.apply import Output
from ..graph.node import Input, Node, creation_order
from ..graph.primitive import Elementwise
from ..ops import contraction, control, conv, indexing, random, reduction, view
from ..ops.elementwise import CHEAP
from . import folds, gather, parts, products, randomness, rearrange, write
from .read import is_constant, passed_on

# Every elementwise op that is not CHEAP, nor here, weighs as much as an exponential.
WEIGHTS = {"div": 4, "sqrt": 4, "random_bits": 100, "fold_in": 100, "inverse_cdf": 30}
DEAR = 12  # weight of an exponential and its like
TWICE = 11  # what costs more is not computed once per user
SPREAD = 6  # what costs more is not computed once per element it is stretched to
LONGEST = 40  # what costs more is not written into one expression

# Ops whose elements can be computed where they are used, beside elementwise ones; and those that are more than a map.
INLINE = {**rearrange.RULES, **gather.RULES, **randomness.RULES}
RULES: dict[Any, write.Rule] = {**folds.RULES, **products.RULES, **parts.RULES}
_TWICE_READ = (reduction.Argmax, reduction.Argmin)


def native(node: Node) -> bool:
    """Whether there are nests for this node; the others are run by Python."""
    if node.op in (indexing.Scatter, indexing.Update):
        arrays = node.inputs[1 if node.op is indexing.Scatter else 2 :]
        return gather.plan(node.params["index"], node.shape, arrays) is not None
    if node.op in folds.REAL:
        return node.inputs[0].dtype.kind != "c"
    return node.op in RULES


def inlines(node: Node) -> bool:
    """Whether an element of a node can be computed where it is used."""
    if node.op is indexing.Gather:
        return gather.plan(node.params["index"], node.inputs[0].shape, node.inputs[1:]) is not None
    if node.op is indexing.Scatter:
        return gather.chosen_axis(node) is not None
    if node.op is Output:
        return passed_on(node) is not None
    return (issubclass(node.op, Elementwise) and not node.op.called) or node.op in INLINE


def needed_nodes(outputs: Sequence[Node]) -> list[Node]:
    """What the outputs are made from, inputs first; a node with a value is a constant, whatever it was made from."""
    found: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            stack.extend(() if is_constant(node) else node.inputs)
    return sorted(found, key=creation_order)


def choose(nodes: Sequence[Node], outputs: Sequence[Node], frugal: bool = False) -> list[Node]:
    """The nodes that get a buffer, in order; a frugal choice keeps what takes the place of several others."""
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    live = [node for node in nodes if not is_constant(node)]
    for node in live:
        for x in node.inputs:
            users[x].append(node)
    asked = {behind(node) for node in outputs} | {x for node in live for x in _needed(node)}
    cost: dict[Node, int] = {}
    sources: dict[Node, frozenset[Node]] = {}  # the large arrays that computing a node anew would read
    roots = []
    for node in nodes:
        if is_constant(node) or node.op is Input or node.op is control.OverrideMany:
            cost[node], sources[node] = 0, frozenset() if is_constant(node) else frozenset([node])
            continue
        passes = passed_on(node)
        if passes is not None and node not in asked:
            cost[node], sources[node] = cost[passes], sources[passes]
            continue
        cost[node] = _weight(node) + sum(cost[x] for x in node.inputs)
        size = math.prod(node.shape) if hasattr(node.spec, "shape") else 0
        sources[node] = frozenset([s for x in node.inputs for s in sources[x] if 2 * math.prod(s.shape) >= size])
        replaces = frugal and sum(s.op is not Input for s in sources[node]) > 1
        if (
            node in asked
            or replaces
            or not inlines(node)
            or cost[node] > LONGEST
            or _kept(node, users[node], cost, sources)
        ):
            roots.append(node)
            cost[node], sources[node] = 0, frozenset([node] if size else [])
    return roots


def _weight(node: Node) -> int:
    elementwise = issubclass(node.op, Elementwise)
    return WEIGHTS.get(node.op.name, DEAR if elementwise and node.op.name not in CHEAP else int(elementwise))


def _kept(node: Node, users: list[Node], cost: dict[Node, int], sources: dict[Node, frozenset[Node]]) -> bool:
    """Whether it is better to keep a node than to compute it anew for each of its users."""
    count, reads = len(set(users)), len(sources[node])
    if count > 1 and (cost[node] > TWICE or count * reads > reads + 1 + count):
        return True
    size = math.prod(node.shape)
    return cost[node] > SPREAD and any(_reads_more(user, node, size) for user in users)


def _reads_more(user: Node, node: Node, size: int) -> bool:
    """Whether a user may read an element of a node more than once."""
    if user.op in (indexing.Gather, contraction.Einsum, contraction.Matmul, *_TWICE_READ):
        return True
    return hasattr(user.spec, "shape") and math.prod(user.shape) > size


def behind(node: Node) -> Node:
    """The node whose buffer this one can share: behind what only passes on or reshapes."""
    while not is_constant(node):
        before = node.inputs[0] if node.op is view.Reshape else passed_on(node)
        if before is None:
            break
        node = before
    return node


def _needed(node: Node) -> list[Node]:
    """The inputs that this node must find in memory."""
    if node.op in (contraction.Matmul, contraction.Einsum):
        folds = node.op is contraction.Matmul and any(len(x.shape) == 1 for x in node.inputs)
        several = math.prod(node.shape) > 1  # a matrix times a vector reads the vector once for each of its rows
        return [behind_views(x) for x in node.inputs if not folds or (several and len(x.shape) == 1)]
    if node.op is conv.Conv:
        return [behind_views(node.inputs[0]), behind(node.inputs[1])]
    if node.op is view.Reshape:
        pairs = rearrange.factors(node.inputs[0].shape, node.shape)
        sizes = node.inputs[0].shape
        if any(sum(sizes[i] > 1 for i in inner) > 1 for inner, _ in pairs):
            return [behind(node.inputs[0])]
    if node.op is random.InverseCdf:
        return [behind(node.inputs[0])]
    if not inlines(node) and not native(node) and node.op is not control.OverrideMany:
        return [behind(x) for x in node.inputs]
    return []


def behind_views(node: Node) -> Node:
    """The node a factor of a product is a view of."""
    while not is_constant(node):
        before = passed_on(node)
        if node.op in (view.Transpose, view.BroadcastTo, view.Reshape) or (
            node.op is indexing.Gather and len(node.inputs) == 1
        ):
            before = node.inputs[0]
        if before is None:
            break
        node = before
    return node


def order(nodes: Sequence[Node], roots: Sequence[Node]) -> Any:
    """Scalars that need nothing large come first, so that loops which use them can join earlier ones."""
    early: dict[Node, bool] = {}
    for node in nodes:
        small = (
            is_constant(node)
            or node.op is Input
            or (hasattr(node.spec, "shape") and math.prod(node.shape) <= 1 and inlines(node))
        )
        early[node] = small and (is_constant(node) or all(early[x] for x in node.inputs))
    return lambda node: (not early[node], node.index)
