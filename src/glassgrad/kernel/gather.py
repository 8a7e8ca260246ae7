"""Elements found by an index: slices, fixed places and index arrays, by NumPy's rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..graph.node import Node
from ..ops import indexing, logic
from . import index as ix
from . import scalars
from .ir import Affine, Index, Literal, Scalar
from .nest import Block
from .read import Indices, Reader, Rule, broadcast, is_constant, line_of
from .scalars import Number, Real

SHORT = 64  # an axis along which comparing every place is cheaper than writing to one


class Step(NamedTuple):
    """How an input axis of a Gather is found: a fixed place, a slice of an output axis, or an index array."""

    kind: str
    start: int = 0
    step: int = 0
    output: int = 0
    array: int = 0


class Plan(NamedTuple):
    """A Gather's index worked out: one Step per input axis, and the output axes that the index arrays share."""

    steps: tuple[Step, ...]
    shared: tuple[int, ...]


def plan(index: Any, shape: tuple[int, ...], arrays: Sequence[Node]) -> Plan | None:
    """NumPy's rules for an encoded index; None for one with boolean arrays."""
    if any(a.dtype.kind == "b" for a in arrays):
        return None
    entries, first, shared = indexing.layout(index, len(shape), [a.shape for a in arrays])
    steps: list[Step] = []
    others = axis = 0  # axes of the result that are no array's, axes of what is read
    for entry in entries:
        if entry is None:
            others += 1
            continue
        size = shape[axis]
        if isinstance(entry, int):
            steps.append(Step("fixed", entry + size if entry < 0 else entry))
        elif entry[0] == "slice":
            start, _, step = slice(*entry[1:]).indices(size)
            steps.append(Step("slice", start, step, others if others < first else others + shared))
            others += 1
        else:
            steps.append(Step("array", array=entry[1]))
        axis += 1
    return Plan(tuple(steps), tuple(range(first, first + shared)))


def gathered(
    reader: Reader,
    block: Block,
    found: Plan,
    arrays: Sequence[Node],
    shape: tuple[int, ...],
    index: Indices,
    user: Node,
) -> Indices:
    """The index into an array of this shape at an index of the result."""
    shared = tuple([index[k] for k in found.shared])
    where: list[Index] = []
    for step, size in zip(found.steps, shape, strict=True):
        if step.kind == "fixed":
            where.append(Affine(step.start, ()))
        elif step.kind == "slice":
            where.append(reader.flat(block, (index[step.output],), (step.step,), step.start))
        else:
            array = arrays[step.array]
            where.append(reader.position_in(block, array, broadcast(shared, array.shape), size, user))
    return tuple([ix.ZERO if n == 1 and isinstance(w, Affine) else w for w, n in zip(where, shape, strict=True)])


def _gather(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    x, *arrays = node.inputs
    found = plan(node.params["index"], x.shape, arrays)
    assert found is not None
    return reader.read(block, x, gathered(reader, block, found, arrays, x.shape, index, node))


def chosen_axis(node: Node) -> int | None:
    """The axis along which a Scatter puts one element per line at a place given by data, all others being its own.

    The transpose of ``take_along_axis`` with one index per line: what cross-entropy does with labels.
    """
    g, *arrays = node.inputs
    index, shape = node.params["index"], node.shape
    if any(not (isinstance(e, tuple) and e[0] == "array") for e in index):
        return None
    if len(index) != len(shape) or len(g.shape) != len(shape):
        return None
    free = []
    for k, (_, number) in enumerate(index):
        array = arrays[number]
        line = line_of(array.value) if is_constant(array) and array.shape else None
        own = [int(i == k and shape[k] > 1) for i in range(len(shape))]
        if line != (0, tuple(own[len(own) - len(array.shape) :])) or g.shape[k] != shape[k]:
            free.append(k)
    if len(free) != 1 or g.shape[free[0]] != 1 or shape[free[0]] > SHORT:
        return None
    return free[0]


def _scatter(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """An element of a Scatter with a ``chosen_axis``: the cotangent where the place is the one, else 0."""
    axis = chosen_axis(node)
    assert axis is not None
    g, *arrays = node.inputs
    line = tuple([ix.ZERO if k == axis else i for k, i in enumerate(index)])
    array = arrays[node.params["index"][axis][1]]
    place = reader.position_in(block, array, broadcast(line, array.shape), node.shape[axis], node)
    here = Scalar("equal", (block.position(index[axis]), block.position(place)))
    condition = Real(block.let("bool", here), "bool")
    zero = scalars.cast(block.let, Real(Literal(0, "int64"), "int64"), g.dtype)
    value = reader.read(block, g, line)
    return scalars.apply(logic.Where, block.let, [condition, value, zero], node.dtype, {}, [False, False, True])


RULES: dict[Any, Rule] = {indexing.Gather: _gather, indexing.Scatter: _scatter}
