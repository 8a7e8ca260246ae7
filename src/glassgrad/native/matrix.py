"""Matrices in memory, for code between buffers and LAPACK: copies from one order to the other, and calls.

Buffers are in C order and LAPACK's matrices in Fortran order, so most inputs and results are copied; nothing here is
more than a copy's work. A complex number is its two parts, side by side.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import real_dtype
from ..kernel.lower import Outside
from . import lapack, scalars
from .access import add, times
from .builder import I1, I8, I32, Type, Value, integer, number
from .casts import MEMORY, cast
from .frame import Frame
from .target import Target

Number = tuple[Value, ...]  # the real part, and the imaginary one of what is complex
TILE = 16  # rows and columns that a transposing copy does at once, so that both sides stay in cache

INT = np.dtype(np.int32)


class Matrix(NamedTuple):
    """Element (i, j) is ``i · down + j · right`` elements from where the matrix begins. A vector is one column."""

    pointer: Value
    dtype: np.dtype[Any]
    rows: int
    columns: int
    down: int
    right: int

    def part(self, rows: int, columns: int) -> Matrix:
        """Its upper left corner."""
        return self._replace(rows=rows, columns=columns)

    @property
    def transposed(self) -> Matrix:
        """The same elements with rows for columns."""
        return self._replace(rows=self.columns, columns=self.rows, down=self.right, right=self.down)

    @property
    def in_fortran_order(self) -> bool:
        return self.rows == 1 or self.columns == 1 or (self.down == 1 and self.right == self.rows)


class Stack(NamedTuple):
    """Matrices of one shape, in a buffer in C order, the axes of the stack before those of the matrix."""

    pointer: Value
    dtype: np.dtype[Any]
    lead: tuple[int, ...]
    rows: int
    columns: int


class Glue(Frame):
    """The routine of an op on matrices: the code for one matrix of a stack, which recipes write, and what is around it.

    Attributes
    ----------
    given : the dtype that the op is of
    dtype, real : what is computed in, and the dtype of its real part
    inputs, outputs : matrices of the buffers, those of this turn of the loop over the stack
    params : of the op
    called, symbols : names of the functions called so far, and addresses by the name that the text gives them
    """

    def __init__(
        self, target: Target, outside: Outside, ranks: tuple[int, ...], given: np.dtype[Any], dtype: np.dtype[Any]
    ) -> None:
        super().__init__()
        self.target = target
        self.given, self.dtype, self.real = given, dtype, real_dtype(dtype)
        self.params = outside.params
        self.called: list[str] = []
        self.symbols: dict[str, int] = {}
        self.inputs: list[Matrix] = []
        self.outputs: list[Matrix] = []
        shapes = list(zip(outside.shapes, outside.dtypes, ranks, strict=True))
        self.stacks = [self.stack(i, *described) for i, described in enumerate(shapes)]
        self.input_count = len(outside.inputs)
        self.lead = self.stacks[self.input_count].lead

    def stack(self, position: int, shape: tuple[int, ...], dtype: np.dtype[Any], rank: int) -> Stack:
        """A buffer of matrices, of vectors or of scalars, by rank."""
        lead, core = shape[: len(shape) - rank], shape[len(shape) - rank :]
        rows, columns = (*core, 1, 1)[:2]
        return Stack(self.buffer(position), dtype, lead, rows, columns)

    @contextlib.contextmanager
    def every(self) -> Iterator[None]:
        """The loop over the stack."""
        with self.span(math.prod(self.lead)) as turn:
            matrices = [self.matrix(stack, turn) for stack in self.stacks]
            self.inputs, self.outputs = matrices[: self.input_count], matrices[self.input_count :]
            yield

    def matrix(self, stack: Stack, turn: Value) -> Matrix:
        """The matrix that a stack has for a turn, its own lead broadcast."""
        offset = self.place(stack.lead, turn)
        size = stack.rows * stack.columns * parts(stack.dtype)
        pointer = self.address(stack.pointer, element(stack.dtype), times(self, offset, size))
        return Matrix(pointer, stack.dtype, stack.rows, stack.columns, stack.columns, 1)

    def place(self, lead: tuple[int, ...], turn: Value) -> Value:
        """The number in a stack of the matrix for a turn."""
        if lead == self.lead:
            return turn
        offset, step, below = integer(0), 1, 1
        padded = (1,) * (len(self.lead) - len(lead)) + lead
        for own, size in zip(reversed(padded), reversed(self.lead), strict=True):
            if own > 1:
                index = self.op("urem", self.op("udiv", turn, integer(below)), integer(size))
                offset, step = add(self, offset, times(self, index, step)), step * own
            below *= size
        return offset

    # Loops

    @contextlib.contextmanager
    def span(self, extent: int) -> Iterator[Value]:
        if extent == 1:
            yield integer(0)
            return
        with self.loop(integer(0), integer(extent)) as index:
            yield index

    @contextlib.contextmanager
    def grid(self, outer: int, inner: int, tiled: bool) -> Iterator[tuple[Value, Value]]:
        """Pairs of indices, row by row, or tile by tile."""
        if not tiled or min(outer, inner) <= TILE:
            with self.span(outer) as p, self.span(inner) as q:
                yield p, q
            return
        with (
            self.loop(integer(0), integer(outer), TILE) as top,
            self.loop(integer(0), integer(inner), TILE) as left,
            self.loop(top, self.least(self.op("add nsw", top, integer(TILE)), outer)) as p,
            self.loop(left, self.least(self.op("add nsw", left, integer(TILE)), inner)) as q,
        ):
            yield p, q

    # Elements

    def load_number(self, m: Matrix, i: Value, j: Value, dtype: np.dtype[Any] | None = None) -> Number:
        """An element, as one of another dtype if that is given."""
        base, name = self.element_address(m, i, j), element(m.dtype)
        found = [self.load(self.address(base, name, integer(p)), Type(name)) for p in range(parts(m.dtype))]
        if m.dtype == np.bool_:
            found = [self.compare("icmp ne", found[0], number(0, found[0].type))]
        if dtype is None:
            return tuple(found)
        source, to = part_dtype(m.dtype), part_dtype(dtype)
        found = [cast(self, self.target, x, source, to) for x in found]
        return tuple(found) if len(found) == parts(dtype) else (*found, number(0, found[0].type))

    def load_real(self, m: Matrix, i: Value, dtype: np.dtype[Any] | None = None) -> Value:
        """An element of a vector of real numbers."""
        return self.load_number(m, i, integer(0), dtype)[0]

    def store_number(self, m: Matrix, i: Value, j: Value, value: Number) -> None:
        base, name = self.element_address(m, i, j), element(m.dtype)
        for p, x in enumerate(value):
            self.store(self.to_real(x, part_dtype(m.dtype)), self.address(base, name, integer(p)))

    def to_real(self, x: Value, dtype: str) -> Value:
        """A float as one of another dtype."""
        return cast(self, self.target, x, {"float": "float32", "double": "float64"}[x.type.scalar], dtype)

    def element_address(self, m: Matrix, i: Value, j: Value) -> Value:
        width = parts(m.dtype)
        return self.address(
            m.pointer, element(m.dtype), add(self, times(self, i, m.down * width), times(self, j, m.right * width))
        )

    def fill(self, m: Matrix, value: Callable[[Value, Value], Number], tiled: bool = False) -> None:
        """Make every element what ``value`` says for its row and column, neighbours in memory together."""
        turned = m.down < m.right
        outer, inner = (m.columns, m.rows) if turned else (m.rows, m.columns)
        with self.grid(outer, inner, tiled) as (p, q):
            i, j = (q, p) if turned else (p, q)
            self.store_number(m, i, j, value(i, j))

    def assign(self, m: Matrix, source: Matrix, conjugate: bool = False) -> None:
        """Copy a matrix of the same shape, of whatever order and dtype."""
        if m != source:
            change = self.conjugate if conjugate else tuple
            across = (m.down < m.right) != (source.down < source.right)
            self.fill(m, lambda i, j: change(self.load_number(source, i, j, m.dtype)), across)

    def conjugate(self, x: Number) -> Number:
        return (x[0], self.fneg(x[1])) if len(x) == 2 else tuple(x)

    def product(self, x: Number, y: Number) -> Number:
        if len(x) == 1:
            return (self.op("fmul", x[0], y[0]),)
        (a, b), (c, d) = x, y
        ac, bd, ad, bc = (self.op("fmul", p, q) for p, q in ((a, c), (b, d), (a, d), (b, c)))
        return self.op("fsub", ac, bd), self.op("fadd", ad, bc)

    def instruction(self, name: str, *args: Value) -> Value:
        """One of the kernels' instructions, on real numbers of the dtype computed in."""
        return scalars.emit(self, self.target, name, self.real.name, list(args))

    def number(self, value: float, dtype: np.dtype[Any] | None = None) -> Number:
        """A constant of the dtype computed in, or of another."""
        dtype = dtype or self.dtype
        scalar = Type(element(dtype))
        return (number(value, scalar), number(0, scalar))[: parts(dtype)]

    # Memory

    def scratch(self, rows: int, columns: int = 1, dtype: np.dtype[Any] | None = None) -> Matrix:
        """A matrix in the workspace, in Fortran order."""
        dtype = dtype or self.dtype
        return Matrix(self.reserve(rows * columns * dtype.itemsize), dtype, rows, columns, 1, rows)

    def fortran(self, source: Matrix, conjugate: bool = False) -> Matrix:
        """A copy in Fortran order, of the dtype computed in."""
        copied = self.scratch(source.rows, source.columns)
        self.assign(copied, source, conjugate)
        return copied

    def result(self, output: Matrix) -> Matrix:
        """Where a result can be computed in Fortran order: the output itself, if that is no different."""
        dtype = np.result_type(output.dtype, self.real)
        if output.in_fortran_order and output.dtype == dtype:
            return output._replace(down=1, right=output.rows)
        return self.scratch(output.rows, output.columns, dtype)

    def deliver(self, output: Matrix, result: Matrix) -> None:
        """Copy what was computed in Fortran order, unless it is there."""
        if output.pointer != result.pointer:
            self.assign(output, result)

    def vector(self, *value: Value) -> Matrix:
        """One number in memory."""
        held = self.scratch(1)
        self.store_number(held, integer(0), integer(0), value)
        return held

    # Calls

    def lapack(self, stem: str, *args: Matrix | int | str, checked: bool = True) -> Value:
        """Call a routine, giving it workspace; what it says of success, which is required unless ``checked`` is not."""
        found = lapack.function(stem, self.dtype)
        asked = iter(lapack.lengths(found, self.dtype, args) if set(found.arguments) & set("WRN") else ())
        given, info = iter(args), self.local(I32, align=4)
        pointers = []
        for letter in found.arguments:
            if letter in "WRN":
                length = next(asked)
                kind = {"W": self.dtype, "R": self.real, "N": INT}[letter]
                pointers += [self.scratch(length, 1, kind).pointer, self.pointer_to(length)]
            else:
                pointers.append(info if letter == "x" else self.pointer_to(next(given)))
        self.called.append(found.name)
        self.symbols[f"scipy_{found.name}"] = found.address
        self.call("void", f"scipy_{found.name}", *pointers)
        if "x" not in found.arguments:
            return info
        status = self.load(info, I32)
        if checked:
            size = self.intrinsic("abs", I32, status, number(False, I1), overload=[I32])
            self.require(self.compare("icmp eq", status, number(0, I32)), size)
        return status

    def pointer_to(self, value: Matrix | int | str) -> Value:
        """The address of an argument; characters and integers are constants of the module."""
        if isinstance(value, Matrix):
            return value.pointer
        if isinstance(value, str):
            name, held = f"char_{value}", number(ord(value), I8)
        else:
            name, held = f"int_{value}", number(value, I32)
        self.module.globals[name] = f"@{name} = internal constant {held.type} {held.text}"
        return Value(f"@{name}", Type("ptr"))


def part_dtype(dtype: np.dtype[Any]) -> str:
    """The kernels' name for the parts of a number."""
    return real_dtype(dtype).name if dtype.kind == "c" else dtype.name


def parts(dtype: np.dtype[Any]) -> int:
    return 2 if dtype.kind == "c" else 1


def element(dtype: np.dtype[Any]) -> str:
    """The LLVM type of a part in memory."""
    return MEMORY[part_dtype(dtype)]
