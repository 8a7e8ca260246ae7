"""One element of a node's value at an index, as kernel statements: how operations vanish into those that use them.

``Reader.read`` loads the element where the node has a buffer, and otherwise writes what computes it, from elements of
the inputs: by the rules of ``rearrange.py``, ``gather.py`` and ``randomness.py``, or, for elementwise ops, by what they
say themselves (``scalars.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..dtypes import result_type
from ..graph.apply import Output, is_weak
from ..graph.node import Node, constant
from ..graph.primitive import Elementwise
from ..ops import control, elementwise, view
from . import index as ix
from . import scalars
from .ir import Affine, Index, Literal, Load, Name, Scalar
from .nest import Block, Names
from .scalars import Complex, Number, Real

Indices = tuple[Index, ...]
_LARGE = 1 << 15  # bytes from which comparing two positions is cheaper than reading a constant

# What hands on the value of its first input
PASSED_ON = (control.Alias, control.Named, control.StopGradient, control.Override, control.Implicit)


class Memory(NamedTuple):
    """A buffer of the program being lowered: kind is argument, output, constant, value or slice.

    A slice is ``size`` elements of buffer ``number``, ``start + stride · iteration`` bytes on.
    """

    dtype: str
    size: int
    kind: str
    number: int = 0
    start: int = 0
    stride: int = 0
    loop: str = ""


@cache
def storage_dtype(dtype: np.dtype[Any]) -> tuple[str, int]:
    """The kernel's dtype for elements of this one, and how many of them make one."""
    if dtype.kind == "c":
        return f"float{dtype.itemsize * 4}", 2
    return dtype.name, 1


class Reader:
    """What is known of where nodes are while a graph is lowered; ``rules`` compute what has no buffer."""

    rules: ClassVar[dict[Any, Rule]]

    def __init__(self, around: Reader | None = None) -> None:
        self.names: Names = around.names if around else Names()
        self.memory: list[Memory] = around.memory if around else []
        self.extents: dict[str, int] = around.extents if around else {}
        self.failures: list[str] = around.failures if around else []
        self.constants: list[np.ndarray[Any, Any]] = around.constants if around else []
        self.place: dict[Node, int] = {}  # nodes that have a buffer
        self.lines: dict[Node, tuple[int, tuple[int, ...]] | None] = {}
        self.diagonals: dict[Node, tuple[int, tuple[int, ...]] | None] = {}
        self.alike: dict[Node, Any] = {}
        self.checked: dict[tuple[Node, int], Node] = {}

    # Buffers

    def buffer(self, dtype: np.dtype[Any], size: int, kind: str, number: int = 0) -> int:
        name, parts = storage_dtype(dtype)
        self.memory.append(Memory(name, size * parts, kind, number))
        return len(self.memory) - 1

    def constant(self, node: Node) -> int:
        """The buffer of a constant array."""
        if node not in self.place:
            value = np.array(node.value, order="C")  # what it holds later is no concern of ours
            self.constants.append(value)
            self.place[node] = self.buffer(value.dtype, value.size, "constant", len(self.constants) - 1)
        return self.place[node]

    def where(self, node: Node) -> int | None:
        """The buffer that holds a node's elements in C order, if one does."""
        while node not in self.place:
            if is_constant(node):
                return None if self.uniform(node) is not None else self.constant(node)
            before = passed_on(node)
            if before is None and node.op is not view.Reshape:
                return None
            node = node.inputs[0] if before is None else before
        return self.place[node]

    # Elements

    def read(self, block: Block, node: Node, index: Indices) -> Number:
        key = (id(node), index)
        found: Number | None = block.read.get(key)
        if found is None:
            found = block.read[key] = self._read(block, node, index)
        return found

    def _read(self, block: Block, node: Node, index: Indices) -> Number:
        if is_constant(node) and self.uniform(node) is not None:
            return literal(self.uniform(node))
        if is_constant(node) and self.line(node) is not None:
            offset, steps = self.line(node)  # type: ignore[misc]
            where = self.flat(block, index, steps, offset)
            return scalars.cast(block.let, Real(block.position(where), "int64"), node.dtype)
        if is_constant(node) and node not in self.place and self.ones(node) is not None:
            offset, steps = self.ones(node)  # type: ignore[misc]
            own = block.position(self.flat(block, index[1:], steps, offset))
            there = block.let("bool", Scalar("equal", (block.position(index[0]), own)))
            return scalars.cast(block.let, Real(there, "bool"), node.dtype)
        held = self.where(node)
        if held is not None:
            return self.load(block, held, self.flat(block, index, ix.strides(node.shape)), node.dtype)
        return self.compute(block, node, index)

    def compute(self, block: Block, node: Node, index: Indices) -> Number:
        """An element as its op makes it from elements of the inputs, wherever the node itself may be."""
        if issubclass(node.op, Elementwise):
            return self.elementwise(block, node, index)
        return self.rules[node.op](self, block, node, index)

    def load(self, block: Block, buffer: int, where: Index, dtype: np.dtype[Any]) -> Number:
        """The element at a flat position of a buffer, as what kernels compute with."""
        name, parts = storage_dtype(dtype)
        if parts == 1:
            found = Real(block.let(name, Load(buffer, where)), name)
            return scalars.cast(block.let, found, "float32") if name in scalars.HALVES else found
        both = [block.let(name, Load(buffer, self.flat(block, (where,), (2,), part))) for part in (0, 1)]
        return Complex(Real(both[0], name), Real(both[1], name))

    def elementwise(self, block: Block, node: Node, index: Indices) -> Number:
        inputs = [self.read(block, x, broadcast(index, x.shape)) for x in node.inputs]
        if scalars.compares(node.op):  # as memory would have them
            inputs = [
                scalars.narrowed(block.let, number, x.dtype) if x.dtype.name in scalars.HALVES else number
                for x, number in zip(node.inputs, inputs, strict=True)
            ]
        weak = [is_weak(x) for x in node.inputs]
        self.check_numbers(block, node, inputs, weak)
        return scalars.apply(node.op, block.let, inputs, node.dtype, node.params, weak)

    def check_numbers(self, block: Block, node: Node, inputs: Sequence[Number], weak: Sequence[bool]) -> None:
        """What NumPy refuses of integers that are known only when the program runs."""
        strong = [x.dtype for x, number in zip(node.inputs, weak, strict=True) if not number]
        wanted = result_type(*strong) if strong else np.dtype(np.int64)
        narrow = wanted.kind in "iu" and wanted != np.int64 and not scalars.compares(node.op)
        for k, (x, found, number) in enumerate(zip(node.inputs, inputs, weak, strict=True)):
            if not number or k in node.op.unpromoted or is_constant(x) or x.dtype.kind != "i" or not narrow:
                continue
            limits = np.iinfo(wanted)
            text = f"overflow: Python integer out of bounds for {wanted} in {node.op.name}"
            self.demand(block, "greater_equal", found, int(limits.min), node, text)
            if limits.max < np.iinfo(np.int64).max:
                self.demand(block, "less_equal", found, int(limits.max), node, text)
        if node.op is elementwise.Power and node.dtype.kind in "iu":
            text = "power: Integers to negative integer powers are not allowed"
            if is_constant(node.inputs[1]):
                if np.any(np.less(node.inputs[1].value, 0)):
                    raise ValueError(f"{text} at {node.origin}; use floating numbers")
                return
            self.demand(block, "greater_equal", inputs[1], 0, node, text)

    def demand(self, block: Block, comparison: str, value: Number, limit: int, node: Node, text: str) -> None:
        """Fail the program where a whole number is on the wrong side of a limit."""
        assert isinstance(value, Real)
        if value.dtype[0] == "i":
            condition = block.let("bool", Scalar(comparison, (value.atom, Literal(limit, value.dtype))))
            self.failures.append(f"{text} at {node.origin}; use floating numbers, or a wider dtype")
            block.check(condition, len(self.failures))

    # Positions

    def flat(self, block: Block, index: Indices, steps: Sequence[int], offset: int = 0) -> Index:
        """offset + Σ step · component."""
        straight = [(i, s) for i, s in zip(index, steps, strict=True) if isinstance(i, Affine)]
        where = ix.add(straight, offset)
        gathered = [(i, s) for i, s in zip(index, steps, strict=True) if isinstance(i, Name)]
        if not gathered:
            return where
        total: Any = None if where == ix.ZERO else block.position(where)
        for name, step in gathered:
            part: Any = name if step == 1 else integer(block, "multiply", name, step)
            total = part if total is None else integer(block, "add", total, part)
        assert isinstance(total, Name)
        return total

    def divided(self, block: Block, where: Index, size: int) -> tuple[Index, Index]:
        """Quotient and remainder of a position by a size."""
        if isinstance(where, Affine):
            whole = ix.affine(where.offset // size, {a: c // size for a, c in where.terms if c % size == 0})
            rest = ix.affine(where.offset % size, {a: c for a, c in where.terms if c % size})
            low, high = ix.limits(rest, self.extents)
            if low >= 0 and high < size:
                return whole, rest
        atom = block.position(where)
        quotient = integer(block, "floor_divide", atom, size)
        return as_index(quotient), as_index(integer(block, "remainder", atom, size))

    def uniform(self, node: Node) -> Any:
        """The one value of all elements of a constant; None if they differ."""
        if node not in self.alike:
            value = np.asarray(node.value)
            first = value.reshape(-1)[:1].tobytes()
            same = value.size == 1 or (value.size > 1 and value.tobytes() == first * value.size)
            self.alike[node] = value.reshape(-1)[0] if same else None
        return self.alike[node]

    def line(self, node: Node) -> tuple[int, tuple[int, ...]] | None:
        """Offset and steps of a constant array of integers that is linear in its indices."""
        if node not in self.lines:
            self.lines[node] = line_of(node.value)
        return self.lines[node]

    def ones(self, node: Node) -> tuple[int, tuple[int, ...]] | None:
        """Of a large constant: the place along axis 0 of the only 1 among zeros, where it is linear in the others."""
        if node not in self.diagonals:
            self.diagonals[node] = ones_of(node.value)
        return self.diagonals[node]

    def position_in(self, block: Block, node: Node, index: Indices, size: int, user: Node) -> Index:
        """An element of an index array as a position on an axis of this size; one out of range fails the program."""
        if is_constant(node):
            node = self._host_checked(node, size)
            line = self.line(node)
            if line is not None:
                return self.flat(block, index, line[1], line[0])
            return as_index(scalars.cast(block.let, self.read(block, node, index), np.dtype(np.int64)).atom)  # type: ignore[union-attr]
        atom = scalars.cast(block.let, self.read(block, node, index), np.dtype(np.int64)).atom  # type: ignore[union-attr]
        if isinstance(atom, Literal):
            return Affine(int(atom.value) % size, ())
        if node.dtype.kind != "u":
            negative = block.let("bool", Scalar("less", (atom, Literal(0, "int64"))))
            wrapped = integer(block, "add", atom, size)
            atom = block.let("int64", Scalar("select", (negative, wrapped, atom)))
        high = block.let("int64", Scalar("minimum", (atom, Literal(size - 1, "int64"))))
        safe = block.let("int64", Scalar("maximum", (high, Literal(0, "int64"))))
        block.check(block.let("bool", Scalar("equal", (safe, atom))), self.failure(user, size))
        return as_index(safe)

    def failure(self, node: Node, size: int) -> int:
        """The code of an index out of range, in this node."""
        where = f" at {node.origin}" if node.origin else ""
        self.failures.append(f"index: out of range for an axis of size {size}{where}; check the index")
        return len(self.failures)

    def _host_checked(self, node: Node, size: int) -> Node:
        """A constant index array with negative positions counted from the end; NumPy's error for one out of range."""
        known = self.checked.get((node, size))
        if known is None:
            value = np.asarray(node.value, np.int64)
            if value.size and (value.min() < -size or value.max() >= size):
                raise IndexError(f"index {value.min()} … {value.max()} is out of bounds for an axis of size {size}")
            known = self.checked[node, size] = constant(np.where(value < 0, value + size, value))
        return known


def passed_on(node: Node) -> Node | None:
    """The input whose value a node passes on unchanged."""
    if node.op in PASSED_ON:
        return node.inputs[0]
    if node.op is Output and node.inputs[0].op is control.OverrideMany:
        return node.inputs[0].inputs[node.params["index"]]
    return None


def is_constant(node: Node) -> bool:
    return node.value is not None


def literal(value: Any) -> Number:
    number = np.asarray(value)
    name, parts = ("int64", 1) if number.dtype == object else storage_dtype(number.dtype)  # an int of more bits
    name = "float32" if name in scalars.HALVES else name
    item = number.reshape(()).item()
    if parts == 2:
        return Complex(Real(Literal(item.real, name), name), Real(Literal(item.imag, name), name))
    return Real(Literal(item, name), name)


def integer(block: Block, instruction: str, a: Any, b: Any) -> Any:
    """An int64 instruction on atoms, indices or ints."""
    args = [Literal(x, "int64") if isinstance(x, int) else x for x in (a, b)]
    return block.let("int64", Scalar(instruction, tuple(args)))


def as_index(atom: Any) -> Index:
    """An int64 atom as a position."""
    return Affine(int(atom.value), ()) if isinstance(atom, Literal) else atom


def line_of(value: Any) -> tuple[int, tuple[int, ...]] | None:
    value = np.asarray(value)
    if value.dtype.kind not in "iu" or not value.size:
        return None
    first = int(value[(0,) * value.ndim])
    steps = []
    expected: Any = first
    for i, n in enumerate(value.shape):
        step = int(value[(*(0,) * i, 1, *(0,) * (value.ndim - i - 1))]) - first if n > 1 else 0
        steps.append(step)
        expected = expected + step * np.arange(n).reshape([-1 if k == i else 1 for k in range(value.ndim)])
    return (first, tuple(steps)) if np.array_equal(value, expected) else None


def ones_of(value: Any) -> tuple[int, tuple[int, ...]] | None:
    """Of a basis, or a slice of one: line_of the places of its ones; None for other arrays, and small ones."""
    value = np.asarray(value)
    if value.dtype.kind != "f" or value.ndim < 2 or value.nbytes < _LARGE or 1 in value.shape[:1]:
        return None
    if np.count_nonzero(value) != value[0].size:
        return None
    places = value.argmax(0)
    return line_of(places) if bool((np.take_along_axis(value, places[None], 0) == 1).all()) else None


def broadcast(index: Indices, shape: tuple[int, ...]) -> Indices:
    """The index of an operand of this shape at an index of the result it was stretched to."""
    kept = index[len(index) - len(shape) :]
    return tuple([ix.ZERO if n == 1 else i for i, n in zip(kept, shape, strict=True)])


Rule = Callable[[Reader, Block, Node, Indices], Number]  # an element of a node at an index
