"""One element of a node's value at an index, as kernel statements: how operations vanish into those that use them.

``Reader.read`` loads the element where the node has a buffer, and otherwise writes what computes it, from elements of
the inputs. ``RULES`` has one entry per op that rearranges or makes elements; elementwise ops say themselves which
instructions they are (``kernel/scalars.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph.apply import Output, is_weak
from ..graph.node import Node, constant
from ..graph.primitive import Elementwise
from ..ops import control, factor, indexing, logic, random, view
from . import index as ix
from . import scalars
from .ir import Affine, Index, Literal, Load, Name, Scalar
from .nest import Block, Names
from .scalars import Complex, Number, Real

Indices = tuple[Index, ...]

SHORT = 64  # an axis along which comparing every place is cheaper than writing to one

PASSED_ON = (control.Alias, control.Named, control.StopGradient, control.Override)  # the value of the first input


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


def storage_dtype(dtype: np.dtype[Any]) -> tuple[str, int]:
    """The kernel's dtype for elements of this one, and how many of them make one."""
    if dtype.kind == "c":
        return f"float{dtype.itemsize * 4}", 2
    return dtype.name, 1


class Reader:
    """What is known of where nodes are while a graph is lowered."""

    def __init__(self, around: Reader | None = None) -> None:
        self.names: Names = around.names if around else Names()
        self.memory: list[Memory] = around.memory if around else []
        self.extents: dict[str, int] = around.extents if around else {}
        self.failures: list[str] = around.failures if around else []
        self.constants: list[np.ndarray[Any, Any]] = around.constants if around else []
        self.place: dict[Node, int] = {}  # nodes that have a buffer
        self.lines: dict[Node, tuple[int, tuple[int, ...]] | None] = {}
        self.alike: dict[Node, Any] = {}
        self.checked: dict[Node, Node] = {}

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
        held = self.where(node)
        if held is not None:
            return self.load(block, held, self.flat(block, index, ix.strides(node.shape)), node.dtype)
        return self.compute(block, node, index)

    def compute(self, block: Block, node: Node, index: Indices) -> Number:
        """An element as its op makes it from elements of the inputs, wherever the node itself may be."""
        if issubclass(node.op, Elementwise):
            return self.elementwise(block, node, index)
        return RULES[node.op](self, block, node, index)

    def load(self, block: Block, buffer: int, where: Index, dtype: np.dtype[Any]) -> Number:
        """The element at a flat position of a buffer, as what kernels compute with."""
        name, parts = storage_dtype(dtype)
        if parts == 1:
            atom = block.let(name, Load(buffer, where))
            return (
                scalars.cast(block.let, Real(atom, name), "float32")
                if dtype.itemsize == 2 and dtype.kind == "f"
                else Real(atom, name)
            )
        both = [block.let(name, Load(buffer, self.flat(block, (where,), (2,), part))) for part in (0, 1)]
        return Complex(Real(both[0], name), Real(both[1], name))

    def elementwise(self, block: Block, node: Node, index: Indices) -> Number:
        inputs = [self.read(block, x, broadcast(index, x.shape)) for x in node.inputs]
        weak = [is_weak(x) for x in node.inputs]
        return scalars.apply(node.op, block.let, inputs, node.dtype, node.params, weak)

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
        return _index(quotient), _index(integer(block, "remainder", atom, size))

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
            self.lines[node] = _line(node.value)
        return self.lines[node]

    def position_in(self, block: Block, node: Node, index: Indices, size: int) -> Index:
        """An element of an index array as a position on an axis of this size; one out of range fails the program."""
        if is_constant(node):
            node = self._host_checked(node, size)
            line = self.line(node)
            if line is not None:
                return self.flat(block, index, line[1], line[0])
            return _index(scalars.cast(block.let, self.read(block, node, index), np.dtype(np.int64)).atom)  # type: ignore[union-attr]
        atom = scalars.cast(block.let, self.read(block, node, index), np.dtype(np.int64)).atom  # type: ignore[union-attr]
        if isinstance(atom, Literal):
            return Affine(int(atom.value) % size, ())
        if node.dtype.kind != "u":
            negative = block.let("bool", Scalar("less", (atom, Literal(0, "int64"))))
            wrapped = integer(block, "add", atom, size)
            atom = block.let("int64", Scalar("select", (negative, wrapped, atom)))
        high = block.let("int64", Scalar("minimum", (atom, Literal(size - 1, "int64"))))
        safe = block.let("int64", Scalar("maximum", (high, Literal(0, "int64"))))
        block.check(block.let("bool", Scalar("equal", (safe, atom))), self.failure(node, size))
        return _index(safe)

    def failure(self, node: Node, size: int) -> int:
        """The code of an index out of range."""
        where = f" at {node.origin}" if node.origin else ""
        self.failures.append(f"index: out of range for an axis of size {size}{where}; check the index array")
        return len(self.failures)

    def _host_checked(self, node: Node, size: int) -> Node:
        """A constant index array with negative positions counted from the end; NumPy's error for one out of range."""
        known = self.checked.get(node)
        if known is None:
            value = np.asarray(node.value, np.int64)
            if value.size and (value.min() < -size or value.max() >= size):
                raise IndexError(f"index {value.min()} … {value.max()} is out of bounds for an axis of size {size}")
            known = self.checked[node] = constant(np.where(value < 0, value + size, value))
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
    name, parts = storage_dtype(number.dtype)
    name = "float32" if name == "float16" else name
    item = number.reshape(()).item()
    if parts == 2:
        return Complex(Real(Literal(item.real, name), name), Real(Literal(item.imag, name), name))
    return Real(Literal(item, name), name)


def integer(block: Block, instruction: str, a: Any, b: Any) -> Any:
    """An int64 instruction on atoms, indices or ints."""
    args = [Literal(x, "int64") if isinstance(x, int) else x for x in (a, b)]
    return block.let("int64", Scalar(instruction, tuple(args)))


def _index(atom: Any) -> Index:
    return Affine(int(atom.value), ()) if isinstance(atom, Literal) else atom


def _line(value: Any) -> tuple[int, tuple[int, ...]] | None:
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


def broadcast(index: Indices, shape: tuple[int, ...]) -> Indices:
    """The index of an operand of this shape at an index of the result it was stretched to."""
    kept = index[len(index) - len(shape) :]
    return tuple([ix.ZERO if n == 1 else i for i, n in zip(kept, shape, strict=True)])


# Rules: (reader, block, node, index of the output) -> Number

Rule = Callable[[Reader, Block, Node, Indices], Number]


def _reshape(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    (x,) = node.inputs
    return reader.read(block, x, reshaped(reader, block, index, node.shape, x.shape))


def reshaped(reader: Reader, block: Block, index: Indices, shape: tuple[int, ...], wanted: tuple[int, ...]) -> Indices:
    """The index under another shape of the same element."""
    result: list[Index] = []
    for outer, inner in factors(shape, wanted):
        where = reader.flat(block, [index[i] for i in outer], ix.strides([shape[i] for i in outer]))  # type: ignore[arg-type]
        sizes = [wanted[i] for i in inner]
        parts: list[Index] = []
        for size in reversed(sizes[1:]):
            where, rest = reader.divided(block, where, size)
            parts.append(rest)
        if sizes:
            parts.append(where)
        result += [ix.ZERO if n == 1 else p for n, p in zip(sizes, reversed(parts), strict=True)]
    return tuple(result)


def factors(shape: Sequence[int], wanted: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Runs of axes of two shapes that hold the same elements, as short as possible."""
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    if 0 in shape:
        return [(list(range(len(shape))), list(range(len(wanted))))]
    while i < len(shape) or j < len(wanted):
        left, right = [], []
        m = n = 1
        if i < len(shape):
            left, m, i = [i], shape[i], i + 1
        if j < len(wanted):
            right, n, j = [j], wanted[j], j + 1
        while m != n:
            if (m < n and i < len(shape)) or j == len(wanted):
                left.append(i)
                m, i = m * shape[i], i + 1
            else:
                right.append(j)
                n, j = n * wanted[j], j + 1
        found.append((left, right))
    return found


def _transpose(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    inner: list[Any] = [None] * len(index)
    for out, source in enumerate(node.params["axes"]):
        inner[source] = index[out]
    return reader.read(block, node.inputs[0], tuple(inner))


def _flip(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    flipped = [
        reader.flat(block, (i,), (-1,), n - 1) if k in node.params["axis"] else i
        for k, (i, n) in enumerate(zip(index, node.shape, strict=True))
    ]
    return reader.read(block, node.inputs[0], tuple(flipped))


def _broadcast_to(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    return reader.read(block, node.inputs[0], broadcast(index, node.inputs[0].shape))


def _passed_on(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    before = passed_on(node)
    assert before is not None
    return reader.read(block, before, index)


def _hermitian(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """A complete matrix from one triangle: the other holds conjugates, and the diagonal is real."""
    *lead, i, j = index
    (a,) = node.inputs
    kept = reader.read(block, a, index)
    turned = reader.read(block, a, (*lead, j, i))
    order = "greater_equal" if node.params["lower"] else "less_equal"
    inside = Real(block.let("bool", Scalar(order, (block.position(i), block.position(j)))), "bool")
    if isinstance(turned, Complex) and isinstance(kept, Complex):
        turned = scalars.apply(logic.Conj, block.let, [turned], node.dtype, {}, [False])
        assert isinstance(turned, Complex)
        edge = block.let("bool", Scalar("equal", (block.position(i), block.position(j))))
        zero = Literal(0.0, kept.im.dtype)
        imaginary = block.let(kept.im.dtype, Scalar("select", (edge, zero, kept.im.atom)))
        kept = Complex(kept.re, Real(imaginary, kept.im.dtype))
    return scalars.apply(logic.Where, block.let, [inside, kept, turned], node.dtype, {}, [False] * 3)


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
    entries = list(index)
    consumed = sum(1 for e in entries if e is not None and e is not Ellipsis)
    missing = [("slice", None, None, None)] * (len(shape) - consumed)
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        entries[at : at + 1] = missing
    else:
        entries += missing
    advanced = [k for k, e in enumerate(entries) if isinstance(e, int) or (isinstance(e, tuple) and e[0] == "array")]
    has_array = any(isinstance(e, tuple) and e[0] == "array" for e in entries)
    ndim = len(np.broadcast_shapes(*(a.shape for a in arrays))) if has_array else 0
    together = has_array and advanced == list(range(advanced[0], advanced[0] + len(advanced)))
    shared_at = (
        0
        if not together
        else sum(1 for e in entries[: advanced[0]] if e is None or (isinstance(e, tuple) and e[0] == "slice"))
    )
    steps: list[Step] = []
    output, axis = (0 if together or not has_array else ndim), 0
    for entry in entries:
        if together and output == shared_at:
            output += ndim
            together = False
        if entry is None:
            output += 1
            continue
        size = shape[axis]
        if isinstance(entry, int):
            steps.append(Step("fixed", entry + size if entry < 0 else entry))
        elif entry[0] == "slice":
            start, _, step = slice(*entry[1:]).indices(size)
            steps.append(Step("slice", start, step, output))
            output += 1
        else:
            steps.append(Step("array", array=entry[1]))
        axis += 1
    return Plan(tuple(steps), tuple(range(shared_at, shared_at + ndim)))


def gathered(
    reader: Reader, block: Block, found: Plan, arrays: Sequence[Node], shape: tuple[int, ...], index: Indices
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
            where.append(reader.position_in(block, array, broadcast(shared, array.shape), size))
    return tuple([ix.ZERO if n == 1 and isinstance(w, Affine) else w for w, n in zip(where, shape, strict=True)])


def _gather(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    x, *arrays = node.inputs
    found = plan(node.params["index"], x.shape, arrays)
    assert found is not None
    return reader.read(block, x, gathered(reader, block, found, arrays, x.shape, index))


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
        line = _line(array.value) if is_constant(array) and array.shape else None
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
    place = reader.position_in(block, array, broadcast(line, array.shape), node.shape[axis])
    here = Scalar("equal", (block.position(index[axis]), block.position(place)))
    condition = Real(block.let("bool", here), "bool")
    zero = scalars.cast(block.let, Real(Literal(0, "int64"), "int64"), g.dtype)
    value = reader.read(block, g, line)
    return scalars.apply(logic.Where, block.let, [condition, value, zero], node.dtype, {}, [False, False, True])


_U64 = "uint64"


def _u64(block: Block, instruction: str, a: Any, b: Any) -> Any:
    args = [Literal(x, _U64) if isinstance(x, int) else x for x in (a, b)]
    return block.let(_U64, Scalar(instruction, tuple(args)))


def _as_u64(block: Block, atom: Any) -> Any:
    return block.let(_U64, Scalar("cast", (atom,)))


def philox(block: Block, counter: Sequence[Any], key: Sequence[Any]) -> list[Any]:
    """``ops.random.philox`` as instructions: four words of 32 bits, each in a uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    low: Callable[..., Any] = lambda x: _u64(block, "bitwise_and", x, random.WORD)
    high: Callable[..., Any] = lambda x: _u64(block, "right_shift", x, 32)
    xor: Callable[..., Any] = lambda a, b: _u64(block, "bitwise_xor", a, b)
    for _ in range(random.ROUNDS):
        p0, p1 = (_u64(block, "multiply", c, m) for c, m in zip((c0, c2), random.MULTIPLIERS, strict=True))
        c0, c1, c2, c3 = xor(xor(high(p1), c1), k0), low(p1), xor(xor(high(p0), c3), k1), low(p0)
        k0, k1 = (low(_u64(block, "add", k, w)) for k, w in zip((k0, k1), random.WEYL, strict=True))
    return [c0, c1, c2, c3]


def _key(reader: Reader, block: Block, node: Node, lead: Indices) -> list[Any]:
    words = []
    for word in (0, 1):
        value = reader.read(block, node, (*lead, Affine(word, ())))
        assert isinstance(value, Real)
        words.append(_as_u64(block, value.atom))
    return words


def _random_bits(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """Element i of 32 bits is word i mod 4 of block i div 4; one of 64 bits is two words, the first the lower."""
    key = node.inputs[0]
    shape, width, stream = node.params["shape"], node.params["width"], node.params["stream"]
    lead = len(key.shape) - 1
    where = reader.flat(block, index[lead:], ix.strides(shape))
    element = _as_u64(block, block.position(where))
    shift = 2 if width == 32 else 1
    count = _u64(block, "right_shift", element, shift)
    counter = [_u64(block, "bitwise_and", count, random.WORD), _u64(block, "right_shift", count, 32)]
    words = philox(
        block, [*counter, Literal(0, _U64), Literal(stream, _U64)], _key(reader, block, key, tuple(index[:lead]))
    )
    word = _u64(block, "bitwise_and", element, (1 << shift) - 1)
    if width == 64:
        both = [
            _u64(block, "bitwise_or", words[2 * i], _u64(block, "left_shift", words[2 * i + 1], 32)) for i in (0, 1)
        ]
        return Real(_pick(block, word, both), _U64)
    chosen = _pick(block, word, words)
    return scalars.cast(block.let, Real(chosen, _U64), node.dtype)


def _pick(block: Block, number: Any, options: Sequence[Any]) -> Any:
    result = options[0]
    for k, option in enumerate(options[1:], 1):
        here = block.let("bool", Scalar("equal", (number, Literal(k, _U64))))
        result = block.let(_U64, Scalar("select", (here, option, result)))
    return result


def _fold_in(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    key, data = node.inputs
    lead = index[:-1]
    value = scalars.cast(block.let, reader.read(block, data, broadcast(lead, data.shape)), np.dtype(np.uint64))
    assert isinstance(value, Real)
    counter = [_u64(block, "bitwise_and", value.atom, random.WORD), _u64(block, "right_shift", value.atom, 32)]
    words = philox(
        block,
        [*counter, Literal(0, _U64), Literal(random.FOLD, _U64)],
        _key(reader, block, key, broadcast(lead, key.shape[:-1])),
    )
    word = _as_u64(block, block.position(index[-1]))
    return scalars.cast(block.let, Real(_pick(block, word, words[:2]), _U64), node.dtype)


def _inverse_cdf(reader: Reader, block: Block, node: Node, index: Indices) -> Number:
    """Bisection: the largest power of two that still leads to entries ≤ u, again and again."""
    cdf, draw = node.inputs
    size = cdf.shape[0]
    common = np.result_type(cdf.dtype, draw.dtype)
    u = scalars.cast(block.let, reader.read(block, draw, index), common)
    assert isinstance(u, Real)
    count: Any = Literal(0, "int64")
    for power in reversed(range(size.bit_length())):
        beyond = integer(block, "add", count, 1 << power)
        inside = integer(block, "minimum", beyond, size)
        entry = scalars.cast(
            block.let, reader.read(block, cdf, (_index(integer(block, "subtract", inside, 1)),)), common
        )
        assert isinstance(entry, Real)
        small = block.let("bool", Scalar("less_equal", (entry.atom, u.atom)))
        fits = block.let("bool", Scalar("less_equal", (beyond, Literal(size, "int64"))))
        both = block.let("bool", Scalar("logical_and", (small, fits)))
        count = block.let("int64", Scalar("select", (both, beyond, count)))
    return Real(count, "int64")


RULES: dict[Any, Rule] = {
    view.Reshape: _reshape,
    view.Transpose: _transpose,
    view.Flip: _flip,
    view.BroadcastTo: _broadcast_to,
    factor.Hermitian: _hermitian,
    indexing.Gather: _gather,
    indexing.Scatter: _scatter,
    random.RandomBits: _random_bits,
    random.FoldIn: _fold_in,
    random.InverseCdf: _inverse_cdf,
    **{op: _passed_on for op in (*PASSED_ON, Output)},
}
