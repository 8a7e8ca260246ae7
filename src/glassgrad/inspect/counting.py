"""How many paths lead from number to number, and how many edges: exact, by dynamic programming on whole integers.

An edge joins two numbers, one of which is an operand of the other: a product of an 8×8 matrix with a vector has 64
edges to the matrix and 64 to the vector. The number of paths to a number is the sum of the numbers of paths to those it
is an operand of, which is the recursion of backpropagation with 1 for each local derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph.apply import Output
from ..graph.node import Node
from ..graph.primitive import Elementwise, View


class Counts(NamedTuple):
    """Paths to one element, or to all elements together.

    Attributes
    ----------
    paths, edges : how many
    operations : products and additions of backpropagation, which goes over each edge once
    naive : those of recursion, which goes over each path on its own
    """

    paths: int
    edges: int
    operations: int
    naive: int


def count(
    uses: Mapping[Node, Sequence[tuple[Node, int]]], order: Sequence[Node], output: Node, target: Node, element: Any
) -> Counts:
    """Count from the output down; ``uses`` says which nodes on the way use a node, and as which input."""
    paths = {output: _ones(output)}
    steps = {output: _ones(output) * 0}
    edges = additions = 0
    for node in reversed(order):
        if node is output:
            continue
        found, walked, incoming = [_ones(node) * 0 for _ in range(3)]
        for user, position in uses[node]:
            found = found + pulled(user, position, paths[user])
            walked = walked + pulled(user, position, steps[user] + paths[user])
            incoming = incoming + pulled(user, position, _ones(user))
        paths[node], steps[node] = found, walked
        edges += int(np.sum(incoming))
        additions += int(np.sum(np.maximum(incoming - 1, 0)))
    chosen = (lambda a: a[element]) if element is not None else np.sum
    total = int(chosen(paths[target])) if target in paths else 0
    naive = int(chosen(steps[target])) + max(total - 1, 0) if target in steps else 0
    return Counts(total, edges, edges + additions, naive)


def _ones(node: Node) -> Any:
    """A 1 for each number of a node; one for all outputs of a node with several."""
    ones = np.empty(() if isinstance(node.value, tuple) else node.shape, object)
    ones[...] = 1
    return ones


def pulled(user: Node, position: int, g: Any) -> Any:
    """The pattern of a node's Jacobian, 1 where it may differ from 0, transposed, times g."""
    x, op = user.inputs[position], user.op
    shape = () if isinstance(x.value, tuple) else x.shape
    if op is Output or isinstance(user.value, tuple):
        return _full(shape, np.sum(g))
    if issubclass(op, Elementwise):
        return _summed(g, shape)
    if op.name == "matmul":
        return _factor(user, position, g)
    if op.name == "einsum":
        terms, out = user.params["subscripts"].split("->")
        own = terms.split(",")[position]
        kept = np.asarray(g, object).sum(axis=tuple(i for i, c in enumerate(out) if c not in own))
        left = [c for c in out if c in own]
        ordered = np.asarray(kept, object).transpose([left.index(c) for c in own if c in left])
        return np.broadcast_to(ordered[tuple(slice(None) if c in left else None for c in own)], shape)
    if "keepdims" in user.params and "axis" in user.params:
        kept = g if user.params["keepdims"] else np.expand_dims(g, user.params["axis"])
        return np.broadcast_to(kept, shape)
    if issubclass(op, View) or op.name in ("named", "alias", "gather"):
        given = [i.value if not i.tracked else _ones(i) for i in user.inputs]
        rule = op.vjp
        back = rule[position] if isinstance(rule, tuple) else lambda *a, **k: rule(*a, **k)[position]
        return _summed(np.asarray(back(g, None, *given, **user.params), object), shape)
    return _full(shape, np.sum(g))  # a library call: every number of its value depends on every operand


def _full(shape: tuple[int, ...], value: Any) -> Any:
    full = np.empty(shape, object)
    full[...] = value
    return full


def _summed(g: Any, shape: tuple[int, ...]) -> Any:
    """g summed over the axes along which it was stretched."""
    g = np.asarray(g, object)
    g = g.sum(axis=tuple(range(g.ndim - len(shape)))) if g.ndim > len(shape) else g
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and np.shape(g)[i] != 1)
    return np.asarray(g.sum(axis=axes, keepdims=True) if axes else g, object)


def _factor(user: Node, position: int, g: Any) -> Any:
    """For a matrix product: each number of a row is an operand of each number of the result's row."""
    a, b = (x.shape for x in user.inputs)
    g = np.asarray(g, object)
    if len(a) > 1 and len(b) > 1:
        full = g.sum(axis=-1 - position, keepdims=True)
        stretched = list(full.shape)
        stretched[-1 - position] = a[-1]
        return _summed(np.broadcast_to(full, stretched), (a, b)[position])
    if position == 0:
        rows = np.asarray(g.sum(axis=-1) if len(b) > 1 else g, object)
        return _summed(np.broadcast_to(rows[..., None], (*rows.shape, a[-1])), a)
    columns = np.asarray(g.sum(axis=-1) if len(a) > 1 else g, object)
    if len(b) == 1:
        return _summed(np.broadcast_to(columns[..., None], (*columns.shape, b[0])), b)
    return _summed(np.broadcast_to(columns[..., None, :], (*columns.shape[:-1], b[-2], columns.shape[-1])), b)
