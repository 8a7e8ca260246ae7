"""Arrays stacked only to be folded or taken apart again, as pooling does with the places of a window: never stacked.

A sum over the stack adds its layers in order, which may round differently; all else gives the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from ..graph.node import Node
from ..graph.primitive import Elementwise
from ..ops import control, indexing, logic, reduction, view
from ..ops import elementwise as ew
from .rearrange import spans
from .rules import Rule, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

_PASSING = (control.Alias, control.Named, control.StopGradient)
LAYERS = 9  # the highest stack that is taken apart: a window of 3 by 3


def stacked(x: Node) -> bool:
    """Whether x is a stack of few layers, each of size 1 along the axis of the stack and of its dtype."""
    if x.value is not None or x.op is not view.Concatenate or len(x.inputs) > LAYERS:
        return False
    axis = x.params["axis"]
    return all(y.shape[axis] == 1 and y.dtype == x.dtype for y in x.inputs)


def taken_apart(nodes: Sequence[Node]) -> dict[Node, set[int]]:
    """The axes, counted from the last, along which something folds a node or takes single places of it.

    Perhaps only after elementwise operations, so that layers of a stack never need to meet.
    """
    found: dict[Node, set[int]] = {}
    for node in reversed(nodes):
        if node.value is not None or not node.inputs:
            continue
        x = node.inputs[0]
        if node.op in _FOLDS and len(node.params["axis"]) == 1:
            found.setdefault(x, set()).add(node.params["axis"][0] - len(x.shape))
        elif node.op is indexing.Gather and len(node.inputs) == 1:
            taken = spans(node.params["index"], x.shape) or ()
            single = {k - len(x.shape) for k, s in enumerate(taken) if s.size == 1 < x.shape[k]}
            if single:
                found.setdefault(x, set()).update(single)
        elif node in found and (issubclass(node.op, Elementwise) or node.op in _PASSING):
            for y in node.inputs:
                found.setdefault(y, set()).update(found[node])
    return found


def by_layer(b: Rewriter, node: Node) -> Node | None:
    """f(stack(x, y), z) -> stack(f(x, z), f(y, z)), where what comes of it is taken apart"""
    stacks = [x for x in node.inputs if stacked(x) and x.shape == node.shape]
    if not stacks:
        return None
    axis, count = stacks[0].params["axis"], len(stacks[0].inputs)
    columns = [_layers(x, axis, len(node.shape), count) for x in node.inputs]
    if axis - len(node.shape) not in b.layers or any(c is None for c in columns):
        return None
    layers = [b.make(node, node.op, *row, **node.params) for row in zip(*columns, strict=True)]
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


_FOLDS = {reduction.Sum: ew.Add, reduction.Max: logic.Maximum, reduction.Min: logic.Minimum}

RULES: dict[Any, tuple[Rule, ...]] = {fold: (first(view.Concatenate, _folded(op)),) for fold, op in _FOLDS.items()}
