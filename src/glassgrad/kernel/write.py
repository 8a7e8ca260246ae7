"""What fills a buffer: an element stored as its dtype, a map over all elements, a copy, zeros."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Node
from . import index as ix
from . import scalars
from .ir import Affine, Index, Literal, Scalar
from .nest import Block, Nest
from .scalars import Complex, Number, Real

if TYPE_CHECKING:
    from .lower import Lowering

Written = list[Nest]
Rule = Callable[["Lowering", Node], Written]  # the nests that fill a node's buffer


def store(
    lowering: Lowering, block: Block, buffer: int, where: Index, value: Number, reducer: str | None = None
) -> None:
    """Write an element as the buffer's dtype."""
    dtype = lowering.memory[buffer].dtype
    if isinstance(value, Complex):
        for part, x in enumerate((value.re, value.im)):
            block.store(buffer, lowering.flat(block, (where,), (2,), part), x.atom, reducer)
        return
    if value.dtype != dtype:
        value = Real(block.let(dtype, Scalar("cast", (value.atom,))), dtype)
    block.store(buffer, where, value.atom, reducer)


def as_stored(block: Block, value: Number, dtype: np.dtype[Any]) -> Number:
    """A number of the dtype of a node, or float32 for 16-bit floats."""
    return scalars.cast(block.let, value, np.dtype(np.float32) if dtype.name in scalars.HALVES else dtype)


def simple_map(lowering: Lowering, node: Node) -> Written:
    """Every element of the node by itself."""
    axes, index = lowering.domain(node.shape)
    block = Block(lowering.names)
    # Not read(), which would find the buffer being written.
    value = as_stored(block, lowering.compute(block, node, index), node.dtype)
    store(lowering, block, lowering.place[node], lowering.flat(block, index, ix.strides(node.shape)), value)
    return [lowering.finish(Nest(axes, body=block.statements))]


def placed(
    lowering: Lowering,
    node: Node,
    shape: tuple[int, ...],
    where: Callable[[tuple[Affine, ...]], Affine],
    source: Node | None,
) -> Nest:
    """Elements of ``source``, or zeros, written at places of the node's buffer."""
    return written(lowering, lowering.place[node], node.dtype, shape, where, source)


def written(
    lowering: Lowering,
    buffer: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    where: Callable[[tuple[Affine, ...]], Affine],
    source: Node | None,
) -> Nest:
    axes, index = lowering.domain(shape)
    block = Block(lowering.names)
    value: Number = Real(Literal(0, "int64"), "int64")
    if source is not None:
        value = lowering.read(block, source, index)
    store(lowering, block, buffer, where(index), as_stored(block, value, dtype))
    return lowering.finish(Nest(axes, body=block.statements))


def copied(lowering: Lowering, buffer: int, dtype: np.dtype[Any], source: Node) -> Nest:
    """A node's elements in another buffer."""
    steps = ix.strides(source.shape)
    return written(
        lowering, buffer, dtype, source.shape, lambda index: ix.add(list(zip(index, steps, strict=True))), source
    )


def fill(lowering: Lowering, node: Node) -> Nest:
    return placed(lowering, node, (math.prod(node.shape),), lambda index: index[0], None)
