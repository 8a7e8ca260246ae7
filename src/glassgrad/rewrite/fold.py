"""Constants: computed once instead of at every call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import PYTHON_SCALARS
from ..graph.apply import is_weak
from ..graph.bfloat16 import evaluate
from ..graph.node import Node, constant
from ..graph.primitive import Elementwise, View
from ..ops import indexing

if TYPE_CHECKING:
    from .rewriter import Rewriter

LIMIT = 1 << 16  # bytes that a constant may take, where what it is made from takes less

# What an op says of inputs that it cannot take; the program says it again when it is run.
REFUSED = (ValueError, TypeError, IndexError, ArithmeticError)


def folded(b: Rewriter, node: Node) -> Node | None:
    """The constant that a node of constants is, unless it is large.

    Of a large view only what it is of is kept: kernels read through views.
    """
    values = [x.value for x in node.inputs]
    size = math.prod(node.shape) * node.dtype.itemsize
    alone = issubclass(node.op, View) or (node.op is indexing.Gather and len(values) == 1)
    try:
        with np.errstate(all="ignore"):
            numbers = [b.number(x) for x in node.inputs] if issubclass(node.op, Elementwise) else [None]
            if all(n is not None for n in numbers):
                operands = [_as_operand(n, v) for n, v in zip(numbers, values, strict=True)]
                single = evaluate(node.op, operands, node.params)
                value = np.broadcast_to(np.asarray(single, node.dtype), node.shape)
            elif size <= max(LIMIT, 0 if alone else sum(map(_memory, values))):
                value = np.asarray(evaluate(node.op, values, node.params))
            else:
                return None
    except REFUSED:
        return None
    if value.shape != node.shape or value.dtype != node.dtype:
        return None
    found: Node = constant(value.item() if is_weak(node) else value)
    return found


def _as_operand(number: Any, value: Any) -> Any:
    """One element in place of all: a Python scalar stays one, an element of an array must promote as the array."""
    return number if isinstance(value, PYTHON_SCALARS) else np.asarray(number, value.dtype)


def _memory(value: Any) -> int:
    """Bytes that a value takes, an element that is repeated by a stride of 0 counted once."""
    if not isinstance(value, np.ndarray):
        return 8
    sizes = [n for n, step in zip(value.shape, value.strides, strict=True) if step]
    found: int = value.itemsize * math.prod(sizes)
    return found


def uniform(value: Any) -> Any:
    """The one value of all elements, which have the same bits; None where they differ or there are none."""
    if not isinstance(value, np.ndarray):
        return value if isinstance(value, (*PYTHON_SCALARS, np.generic)) else None
    if not value.size:
        return None
    first = value[(0,) * value.ndim]
    if not any(value.strides) or value.size == 1:
        return first
    ends = (first, value[(-1,) * value.ndim])
    if ends[0].tobytes() != ends[1].tobytes():
        return None
    rows = np.ascontiguousarray(value).reshape(-1).view(np.uint8).reshape(value.size, value.itemsize)
    return first if bool((rows == rows[0]).all()) else None
