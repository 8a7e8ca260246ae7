"""One node at a time: its local derivative, and its Jacobian transposed times a cotangent."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import NonDifferentiableError, ShapeError
from ..graph.apply import Output
from ..graph.node import Node, Value
from ..graph.primitive import Elementwise
from .vjp import Walk, local_products

LARGEST = 10_000_000  # elements of a Jacobian that is formed


def derivative(node: Node, position: int) -> Any:
    """The derivative of a node by one of its inputs.

    Of an elementwise op the derivative of each element by the element it is made from, in the shape of the output; of
    any other the Jacobian, of the shape of the output and then of the input.
    """
    x = node.inputs[position]
    if not x.tracked or not node.op.differentiable:
        why = node.op.nondifferentiable if not node.op.differentiable else "the input is a constant"
        raise NonDifferentiableError(f"{node.op.name}: no local derivative by input {position}: {why}")
    if issubclass(node.op, Elementwise):
        found = product(node, np.ones(node.shape, node.dtype)[()], position)
        return np.broadcast_to(found, node.shape)[()] if np.shape(found) != node.shape else found
    if node.op is Output or node.op.outputs > 1:
        raise NonDifferentiableError(f"{node.op.name}: has several outputs; ask for the gradient of what uses them")
    count = int(np.prod(node.shape, dtype=int))
    size = int(np.prod(x.shape, dtype=int))
    if count * size > LARGEST:
        raise ShapeError(
            f"{node.op.name}: its Jacobian has {node.shape} + {x.shape} elements, expected at most {LARGEST}; use "
            f"gg.vjp, which multiplies with it"
        )
    rows = np.empty((count, *x.shape), np.result_type(node.dtype, x.dtype))
    for k in range(count):
        seed = np.zeros(node.shape, node.dtype)
        seed.reshape(-1)[k] = 1
        rows[k] = fitted(node, seed[()], position)
    return rows.reshape((*node.shape, *x.shape))[()]


def product(node: Node, g: Value, position: int) -> Any:
    """The Jacobian transposed times g, by one input, as the op's rule gives it."""
    products = local_products(node, g, node.value, [x.value for x in node.inputs], {node.inputs[position].index})
    found = products[position]
    return np.zeros(node.shape, node.dtype)[()] if found is None else found


def fitted(node: Node, g: Value, position: int) -> Any:
    """The Jacobian transposed times g, of the shape and dtype of the input."""
    x = node.inputs[position]
    walk = Walk({x.index}, False)
    walk.receive(x, np.asarray(product(node, g, position)), None)
    return walk.cotangents[x.index]
