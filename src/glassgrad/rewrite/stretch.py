"""Elementwise operations before stretching: on the elements there are, not on their copies. The same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..graph.apply import is_weak
from ..graph.node import Node
from ..ops import view

if TYPE_CHECKING:
    from .rewriter import Rewriter


def before_stretching(b: Rewriter, node: Node) -> Node | None:
    """f(broadcast(x), y) -> f(x, y), broadcast afterwards where y does not stretch x already"""
    if not any(x.op in _STRETCHING and x.value is None for x in node.inputs):
        return None
    inputs = tuple([_unstretched(x) for x in node.inputs])
    if all(a is x for a, x in zip(inputs, node.inputs, strict=True)):
        return None
    if tuple(np.broadcast_shapes(*[x.shape for x in inputs])) == node.shape or len(inputs) > 1:
        # Where only leading axes of size 1 are missing, nothing is gained by putting them back later.
        whole = tuple(np.broadcast_shapes(*[x.shape for x in inputs]))
        if whole != node.shape and not _smaller(whole, node.shape):
            return None
    return b.fitted(node, b.make(node, node.op, *inputs, **node.params))
