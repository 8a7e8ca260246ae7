"""Arrays stacked only to be folded or taken apart again, as pooling does with the places of a window: never stacked.

A sum over the stack adds its layers in order, which may round differently; all else gives the same bits.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from ..graph.node import Node
from ..ops import elementwise as ew
from ..ops import logic, reduction, view
from .rules import Rule, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

LAYERS = 9  # the highest stack that is taken apart: a window of 3 by 3


def stacked(x: Node) -> bool:
    """Whether x is a stack of few layers, each of size 1 along the axis of the stack."""
    if x.value is not None or x.op is not view.Concatenate or len(x.inputs) > LAYERS:
        return False
    axis = x.params["axis"]
    return all(y.shape[axis] == 1 for y in x.inputs)


def by_layer(b: Rewriter, node: Node) -> Node | None:
    """f(stack(x, y), z) -> stack(f(x, z), f(y, z))"""
    stacks = [x for x in node.inputs if stacked(x) and x.shape == node.shape]
    if not stacks:
        return None
    axis, count = stacks[0].params["axis"], len(stacks[0].inputs)
    columns = [_layers(x, axis, len(node.shape), count) for x in node.inputs]
    if any(c is None for c in columns):
        return None
    layers = [b.make(node, node.op, *row, **node.params) for row in zip(*columns, strict=True)]  # type: ignore[arg-type]
    return b.make(node, view.Concatenate, *layers, axis=axis)


def _layers(x: Node, axis: int, ndim: int, count: int) -> tuple[Node, ...] | None:
    """What an operand holds for each layer: one layer of a like stack, or the same for all."""
    if stacked(x) and len(x.shape) == ndim and x.params["axis"] == axis and len(x.inputs) == count:
        return x.inputs
    place = axis - (ndim - len(x.shape))
    return (x,) * count if place < 0 or x.shape[place] == 1 else None


def _folded(op: Any) -> Any:
    """Σ stack(x, y) -> x + y, and the like"""

    def rule(b: Rewriter, n: Node, x: Node, *, axis: tuple[int, ...], keepdims: bool) -> Node | None:
        if axis != (x.params["axis"],) or not stacked(x) or x.dtype != n.dtype:
            return None
        return b.reshape(n, reduce(lambda y, z: b.make(n, op, y, z), x.inputs), n.shape)

    return rule


RULES: dict[Any, tuple[Rule, ...]] = {
    reduction.Sum: (first(view.Concatenate, _folded(ew.Add)),),
    reduction.Max: (first(view.Concatenate, _folded(logic.Maximum)),),
    reduction.Min: (first(view.Concatenate, _folded(logic.Minimum)),),
}

