"""Loops → LLVM IR. Each kernel becomes a function over buffers and a range of its outermost axis.

Nothing here is left for LLVM to vectorise: in a vector loop of extent N every value that differs from lane to lane is a
vector of L lanes, and the N mod L elements left are one more copy of the body, without a loop, on vectors of exactly
that many lanes. L may be several registers: that interleaves independent work, and LLVM splits it. What does not
depend on the vector axis stays a scalar until it meets a vector.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..kernel import ir
from ..kernel.instructions import identity
from ..kernel.nest import opened
from . import access, math, matmul, scalars
from .access import Accumulator, Buffer, Line, Scope, Spot
from .builder import I64, PTR, SIZES, Builder, Module, Type, Value, integer, number
from .casts import FLOATS, MEMORY, REGISTER, cast, literal
from .driver import Driver
from .lanes import apart, choose_lanes
from .target import Target
from .traffic import fetched_ahead


def module(program: ir.Program, target: Target) -> str:
    """One LLVM module: a function for each kernel, and ``i32 run(ptr table)``, which does the program's steps.

    What the table holds is said by ``driver.layout``; ``run`` returns 0, or the code of a failure.
    """
    out = Module()
    attributes = attributes_of(target)
    for index, kernel in enumerate(program.kernels):
        KernelEmitter(out, target, kernel, f"k{index}", attributes).emit()
    Driver(out, program, attributes, target.tile).emit()
    return str(out)


def attributes_of(target: Target) -> str:
    """Kernels are not inlined: one body serves all its launches."""
    words = ["noinline", "nounwind", '"frame-pointer"="none"']
    if target.vector == 64:
        # Unless told, LLVM keeps to half of the widest registers.
        words += ['"prefer-vector-width"="512"', '"min-legal-vector-width"="512"']
    return " ".join(words)


# Loops


@contextlib.contextmanager
def repeated(f: Builder, begin: int, end: int, step: int) -> Iterator[Value]:
    """for index in range(begin, end, step), run at least once. Tested at the end, so that LLVM may hoist loads."""
    if end - begin <= step:
        yield integer(begin)
        return
    place = f.local(I64, align=8)
    body, done = f.labels("body", "done")
    f.store(integer(begin), place)
    f.line(f"br label %{body}")
    f.block(body)
    index = f.load(place, I64)
    yield index
    following = f.op("add nuw nsw", index, integer(step))
    f.store(following, place)
    more = f.compare("icmp ult", following, integer(end))
    f.line(f"br i1 {more.text}, label %{body}, label %{done}")
    f.block(done)


def empty(reducer: str, dtype: str, lanes: int) -> Value:
    """What changes nothing when it is folded in, in every lane."""
    value = literal(identity(reducer, dtype), dtype)
    return Value(f"splat ({value.type} {value.text})", Type(value.type.scalar, lanes)) if lanes else value


EXTREMES = {"maximum": "fcmp ogt", "minimum": "fcmp olt"}  # reducers, and when they keep what they have
OFTEN = 12  # more of one mathematical function in a kernel are calls of one copy


class KernelEmitter:
    """One kernel: its buffers, and one method for each kind of statement."""

    def __init__(self, out: Module, target: Target, kernel: ir.Kernel, name: str, attributes: str) -> None:
        self.target = target
        self.kernel = kernel
        given = [(PTR, f"b{i}", "noalias") for i, formal in enumerate(kernel.formals) if not formal.local]
        parameters = [*given, (PTR, "status", ""), (I64, "begin", ""), (I64, "end", "")]
        self.f = f = Builder(out, name, parameters, linkage="internal", attributes=attributes)
        self.buffers = [self.buffer(i, formal) for i, formal in enumerate(kernel.formals)]
        said = [s.value for s in opened(kernel.body) if isinstance(s, ir.Let) and isinstance(s.value, ir.Scalar)]
        self.often = Counter(s.instruction for s in said if s.instruction in math.INSTRUCTIONS)
        self.ahead: dict[str, int] = {}
        self.status, self.begin, self.end = (f.arguments[name] for name in ("status", "begin", "end"))

    def buffer(self, index: int, formal: ir.Formal) -> Buffer:
        if formal.local:
            place = self.f.local(Type(MEMORY[formal.dtype]), max(formal.size, 1))
            return Buffer(place, formal.dtype, formal.size)
        return Buffer(self.f.arguments[f"b{index}"], formal.dtype, formal.size)

    def emit(self) -> None:
        scope = Scope({}, {}, {}, {}, {})
        body = self.kernel.body
        first = body[0]
        if len(body) == 1 and isinstance(first, ir.MatMul):
            self.product(first, scope, self.begin, self.end)
        else:
            self.run(body, scope)
        self.f.line("ret void")
        self.f.finish()

    def run(self, body: Sequence[ir.Statement], scope: Scope) -> None:
        for statement in body:
            EMIT[type(statement)](self, statement, scope)

    # Values

    def atom(self, atom: ir.Atom, scope: Scope) -> tuple[Value, str]:
        """Its value and dtype; an accumulator's value is what it holds now."""
        if isinstance(atom, ir.Literal):
            return literal(atom.value, atom.dtype), atom.dtype
        accumulator = scope.accumulators.get(atom.id)
        if accumulator is not None:
            return self.f.load(accumulator.place, accumulator.type), accumulator.dtype
        return scope.names[atom.id]

    def spot(self, buffer: int, index: ir.Index, mask: ir.Name | None, scope: Scope) -> Spot:
        if isinstance(index, ir.Name):
            where: ir.Affine | Line | Value = scope.lines.get(index.id) or self.atom(index, scope)[0]
        else:
            where = index
        return Spot(self.buffers[buffer], where, self.atom(mask, scope)[0] if mask else None)

    def let(self, let: ir.Let, scope: Scope) -> None:
        said = let.value
        if isinstance(said, ir.Load):
            spot = self.spot(said.buffer, said.index, said.mask, scope)
            value = access.load(self.f, scope, spot)
            if let.name in self.ahead:
                access.fetch(self.f, scope, spot.moved(self.f, self.ahead[let.name]))
        elif isinstance(said, ir.Position):
            value = access.positions(self.f, scope, said.index)
        else:
            value = self.scalar(said, let.dtype, scope)
        scope.names[let.name] = (value, let.dtype)
        line = self.line(said, scope)
        if line:
            scope.lines[let.name] = line

    def line(self, said: ir.Load | ir.Scalar | ir.Position, scope: Scope) -> Line | None:
        """What is said as positions that go up evenly, if it is: those of an index, or such ones moved."""
        if isinstance(said, ir.Position) and scope.step(said.index):
            return Line(access.position(self.f, scope, said.index), scope.step(said.index))
        if isinstance(said, ir.Scalar) and said.instruction == "add":
            for one, other in (said.args, said.args[::-1]):
                line, distance = scope.lines.get(getattr(one, "id", "")), self.atom(other, scope)[0]
                if line and not distance.type.lanes:
                    return Line(access.add(self.f, line.first, distance), line.step)
        return None

    def scalar(self, said: ir.Scalar, dtype: str, scope: Scope) -> Value:
        """An instruction, on vectors if any argument is one."""
        f = self.f
        values, dtypes = zip(*(self.atom(arg, scope) for arg in said.args), strict=True)
        if said.instruction == "cast":
            return cast(f, self.target, values[0], dtypes[0], dtype)
        lanes = max(value.type.lanes for value in values)
        given = [f.splat(value, lanes) for value in values]
        if self.often[said.instruction] > OFTEN and dtype in FLOATS:
            return self.called(said.instruction, given)
        return scalars.emit(f, self.target, said.instruction, dtypes[-1], given)

    def called(self, instruction: str, args: list[Value]) -> Value:
        """A mathematical function that the kernel has many of, by a call: code for each would take long to make."""
        f, type = self.f, args[0].type
        name = f"{instruction}_{type.mangled}"
        if name not in f.module.names:
            f.module.names.add(name)
            parameters = [(type, f"x{i}", "") for i in range(len(args))]
            own = Builder(
                f.module, name, parameters, result=str(type), linkage="internal", attributes=attributes_of(self.target)
            )
            value = math.emit(own, self.target, instruction, list(own.arguments.values()))
            own.line(f"ret {value.type} {value.text}")
            own.finish()
        return f.define(type, f"call {type} @{name}({', '.join(f'{a.type} {a.text}' for a in args)})")

    def check(self, check: ir.Check, scope: Scope) -> None:
        """The smallest code of all that fail is kept, so that threads report the same whatever their order."""
        f = self.f
        holds, _ = self.atom(check.condition, scope)
        fails = scalars.anywhere(f, f.op("xor", holds, number(True, holds.type)))
        with f.when(fails):
            f.line(f"atomicrmw umin ptr {self.status.text}, i32 {check.code} monotonic")

    # Memory

    def store(self, store: ir.Store, scope: Scope) -> None:
        spot = self.spot(store.buffer, store.index, store.mask, scope)
        value, _ = self.atom(store.value, scope)
        if store.reducer is None:
            access.store(self.f, scope, spot, value)
        else:
            access.store_folded(self.f, self.target, scope, spot, value, store.reducer)

    def reset(self, reset: ir.Reset, scope: Scope) -> None:
        scope.accumulators[reset.name] = self.accumulator(reset.reducer, reset.dtype, scope.lanes)

    def accumulator(self, reducer: str, dtype: str, lanes: int) -> Accumulator:
        """One with a place for each lane, in which nothing is yet."""
        type = Type(REGISTER[dtype], lanes)
        place = self.f.local(type)
        self.f.store(empty(reducer, dtype, lanes), place)
        return Accumulator(place, type, reducer, dtype)

    def partial(self, whole: Accumulator, lanes: int) -> Accumulator:
        """One for parts of another, that is put together from its lanes.

        To keep NaN in a maximum takes four instructions. To lose it takes one, and two more to see in two registers
        whether there was any.
        """
        made = self.accumulator(whole.reducer, whole.dtype, lanes)
        if whole.reducer not in EXTREMES or whole.dtype not in FLOATS:
            return made
        size = SIZES[made.type.scalar]
        pairs = lanes % 2 == 0 and lanes * size >= 2 * self.target.vector
        return made._replace(lost=self.accumulator("or", f"int{8 * size}", lanes // 2 if pairs else lanes))

    def accumulate(self, accumulate: ir.Accumulate, scope: Scope) -> None:
        value, _ = self.atom(accumulate.value, scope)
        self.fold(scope.accumulators[accumulate.name], value)

    def fold(self, a: Accumulator, value: Value) -> None:
        f = self.f
        value = f.splat(value, a.type.lanes)
        f.store(self.folded(a, f.load(a.place, a.type), value), a.place)
        if a.lost:
            pair = (value, value) if a.lost.type.lanes == value.type.lanes else self.halves(value)
            self.fold(a.lost, f.convert("sext", f.compare("fcmp uno", *pair), a.lost.type.scalar))

    def folded(self, a: Accumulator, before: Value, value: Value) -> Value:
        if a.lost:
            return self.f.select(self.f.compare(EXTREMES[a.reducer], before, value), before, value)
        return scalars.fold(self.f, self.target, a.reducer, a.dtype, before, value)

    def halves(self, value: Value) -> list[Value]:
        half = value.type.lanes // 2
        return [self.f.shuffle(value, None, range(start, start + half)) for start in (0, half)]

    # Loops

    def loop(self, loop: ir.Loop, scope: Scope) -> None:
        self.compute_outside(loop, scope)
        if loop.kind == "vector":
            self.vector_loop(loop, scope)
            return
        self.ahead |= fetched_ahead(loop, self.kernel.formals)
        parallel = loop.kind == "parallel"
        span = self.f.loop(self.begin, self.end) if parallel else repeated(self.f, 0, loop.extent, 1)
        with span as index:
            self.run(loop.body, scope.inside(loop.axis, index))

    def compute_outside(self, loop: ir.Loop, scope: Scope) -> None:
        """The part of every index in the loop that it leaves alone."""
        for statement in opened(loop.body):
            for index in indices(statement):
                terms = tuple(term for term in index.terms if term[0] in scope.axes)
                access.without_offset(self.f, scope, ir.Affine(0, terms))

    def vector_loop(self, loop: ir.Loop, scope: Scope) -> None:
        before, body = apart(loop)  # so that LLVM need not find it in each copy of the body
        scope = replace(scope, names=dict(scope.names), lines=dict(scope.lines), offsets=dict(scope.offsets))
        self.run(before, scope)
        inner = {s.name for s in opened(loop.body) if isinstance(s, ir.Reset)}
        folded = {s.name for s in opened(loop.body) if isinstance(s, ir.Accumulate)} - inner
        outside = {name: a for name, a in scope.accumulators.items() if name in folded}
        parts: dict[str, list[Accumulator]] = {name: [] for name in outside}
        for begin, end, step in choose_lanes(self.target, self.kernel.formals, loop):
            count = step if step > 1 else 0
            partial = {name: self.partial(a, count) for name, a in outside.items()}
            with repeated(self.f, begin, end, step) as base:
                inside = scope.inside(loop.axis, base, count)
                inside.accumulators.update(partial)
                self.run(body, inside)
            for name, a in partial.items():
                parts[name].append(a)
        for name, a in outside.items():
            self.fold(a, self.together(parts[name]))

    def together(self, parts: list[Accumulator]) -> Value:
        """The lanes of all parts folded to one value: the second part into the first, then halves into halves."""
        f, a = self.f, parts[0]
        length = 1 << (max(a.type.lanes, 1) - 1).bit_length()
        total, *others = (self.padded(a, f.load(part.place, part.type), length) for part in parts)
        for other in others:
            total = self.folded(a, total, other)
        while total.type.lanes > 2:
            total = self.folded(a, *self.halves(total))
        if total.type.lanes:
            total = self.folded(a, f.extract(total, 0), f.extract(total, 1))
        for lost in (part.lost for part in parts if part.lost):
            seen = f.load(lost.place, lost.type)
            there = scalars.anywhere(f, f.compare("icmp ne", seen, number(0, seen.type)))
            total = f.select(there, number(float("nan"), total.type), total)
        return total

    def padded(self, a: Accumulator, value: Value, length: int) -> Value:
        """As many lanes as that, the ones added being of no effect."""
        lanes = value.type.lanes
        if length == max(lanes, 1):
            return value
        nothing = empty(a.reducer, a.dtype, lanes or length)
        if not lanes:
            return self.f.insert(nothing, value, 0)
        return self.f.shuffle(value, nothing, [min(lane, lanes) for lane in range(length)])

    # Products

    def product(self, statement: ir.MatMul, scope: Scope, begin: Value | None = None, end: Value | None = None) -> None:
        (rows, m), (columns, n), (inner, k) = statement.rows, statement.columns, statement.inner
        a = self.operand(statement.a, rows, inner, scope)
        b = self.operand(statement.b, inner, columns, scope)

        def epilogue(row: Value, column: Value, value: Value) -> None:
            inside = scope.inside(rows, row).inside(columns, column, value.type.lanes)
            inside.names[statement.name] = (value, statement.dtype)
            self.run(statement.body, inside)

        scalar = REGISTER[statement.dtype]
        matmul.product(self.f, self.target, scalar, (m, n, k), a, b, begin or integer(0), end or integer(m), epilogue)

    def operand(self, load: ir.Load, rows: str, columns: str, scope: Scope) -> matmul.Operand:
        assert isinstance(load.index, ir.Affine)
        strides = dict(load.index.terms)
        terms = tuple(term for term in load.index.terms if term[0] not in (rows, columns))
        offset = access.position(self.f, scope, load.index._replace(terms=terms))
        buffer = self.buffers[load.buffer]
        pointer = self.f.address(buffer.pointer, MEMORY[buffer.dtype], offset)
        return matmul.Operand(pointer, strides.get(rows, 0), strides.get(columns, 0))


def indices(statement: ir.Statement) -> list[ir.Affine]:
    """The affine indices of a statement."""
    found: list[Any] = []
    if isinstance(statement, ir.Store):
        found = [statement.index]
    elif isinstance(statement, ir.Let) and isinstance(statement.value, ir.Load | ir.Position):
        found = [statement.value.index]
    return [index for index in found if isinstance(index, ir.Affine)]


EMIT: dict[type, Callable[[KernelEmitter, Any, Scope], None]] = {
    ir.Let: KernelEmitter.let,
    ir.Reset: KernelEmitter.reset,
    ir.Accumulate: KernelEmitter.accumulate,
    ir.Store: KernelEmitter.store,
    ir.Check: KernelEmitter.check,
    ir.Loop: KernelEmitter.loop,
    ir.MatMul: KernelEmitter.product,
}
