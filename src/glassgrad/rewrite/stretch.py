"""Elementwise operations before stretching: on the elements there are, not on their copies. The same bits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ..graph.apply import is_weak
from ..graph.node import Node
from ..ops import view

if TYPE_CHECKING:
    from .rewriter import Rewriter


def before_stretching(b: Rewriter, node: Node) -> Node | None:
    """f(broadcast(x), y) -> f(x, y), and broadcast(f(x, y)) where y is not as large as the result"""
    inputs = tuple([unstretched(b, x) for x in node.inputs])
    if all(a is x for a, x in zip(inputs, node.inputs, strict=True)):
        return None
    shape = np.broadcast_shapes(*[x.shape for x in inputs])
    if shape != node.shape and math.prod(shape) == math.prod(node.shape):
        return None  # only axes of size 1 are missing, which something has to put back anyway
    return b.fitted(node, b.make(node, node.op, *inputs, **node.params))


def unstretched(b: Rewriter, x: Node) -> Node:
    """What gives the same elements where it is stretched to the shape of x."""
    while x.value is None and x.op in (view.BroadcastTo, view.Reshape):
        inner = x.inputs[0]
        if is_weak(inner) or (x.op is view.Reshape and not only_leads(x, inner)):
            break
        x = inner
    return x if x.value is None else _without_copies(b, x)


def only_leads(x: Node, inner: Node) -> bool:
    """Whether x has the axes of another, and further ones of size 1 in front."""
    lead = len(x.shape) - len(inner.shape)
    return lead > 0 and x.shape == (1,) * lead + inner.shape


def _without_copies(b: Rewriter, x: Node) -> Node:
    """A constant without the axes along which one element is repeated by a stride of 0."""
    value = x.value
    if not isinstance(value, np.ndarray) or value.size < 2:
        return x
    repeated = [n > 1 and not step for n, step in zip(value.shape, value.strides, strict=True)]
    if not any(repeated):
        return x
    kept = value[tuple(slice(0, 1) if again else slice(None) for again in repeated)]
    lead = next((i for i, n in enumerate(kept.shape) if n > 1), kept.ndim)
    return b.constant(kept.reshape(kept.shape[lead:]))
