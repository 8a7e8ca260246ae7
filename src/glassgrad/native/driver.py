"""The function that runs a program: launches of kernels, calls of library functions, repetitions, branches.

Regions cut into parts become functions of their own, which threads are given: ``glassgrad_parallel(task, context,
chunks)`` calls ``task(context, first, end)`` until every chunk is done, in any order and on any thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..kernel import ir
from ..kernel.regions import cuts
from .builder import I8, I32, I64, PTR, Builder, Module, Value, integer, number
from .threads import SHORT, TOGETHER

PARALLEL = "glassgrad_parallel"
CODES = 1 << 24  # functions report failures by numbers below this
LAST = 127  # the last function whose number is told; those after it share it
SOUND = -1  # the status, as the largest unsigned number: no Check has failed


class Layout(NamedTuple):
    """What the table given to ``run`` holds: pointers to arguments, outputs and constants, in order of their numbers,
    then to the program's functions, then to the arena."""

    arguments: int
    outputs: int
    constants: int
    functions: int

    def slot(self, kind: str, number: int = 0) -> int:
        before = ("argument", "output", "constant", "function", "arena").index(kind)
        return sum(self[:before]) + number

    @property
    def length(self) -> int:
        return sum(self) + 1


def layout(program: ir.Program) -> Layout:
    """As many of each kind as the program says, or as the largest number in use."""

    def count(kind: str, given: int) -> int:
        return max([given, *(b.place.number + 1 for b in program.buffers if b.place.kind == kind)])

    arguments, outputs, constants = program.given
    return Layout(
        count("argument", arguments),
        count("output", outputs),
        count("constant", constants),
        len(program.functions),
    )


def failed(code: int) -> tuple[int, int]:
    """The function, and its own code, that a negative code of ``run`` stands for."""
    return divmod(-code, CODES)


class Frame(NamedTuple):
    """What launches need in one function: ``run``, or the task of a region."""

    f: Builder
    table: Value
    status: Value
    arena: Value
    iterations: dict[str, Value]


class Driver:
    """The functions of one program, and what they have in common."""

    def __init__(self, module: Module, program: ir.Program, attributes: str, tile: int) -> None:
        self.module = module
        self.program = program
        self.attributes = attributes
        self.tile = tile
        self.layout = layout(program)
        self.loops = [step.loop for step in every(program.steps) if isinstance(step, (ir.Repeat, ir.While))]
        self.regions = 0

    def emit(self) -> None:
        """Add ``i32 run(ptr table)`` to the module, which has the kernels."""
        f = Builder(self.module, "run", [(PTR, "table", "")], result="i32", attributes=self.attributes)
        table, status = f.arguments["table"], f.local(I32, align=4)
        f.store(number(SOUND, I32), status)
        frame = Frame(f, table, status, self.entry(f, table, "arena"), {})
        context = f.local(PTR, 2 + len(self.loops), align=8)
        f.store(table, slot(f, context, 0))
        f.store(status, slot(f, context, 1))
        self.run(self.program.steps, frame, context)
        f.line(f"ret i32 {self.result(frame, number(0, I32)).text}")
        f.finish()

    def run(self, steps: Sequence[ir.Step], frame: Frame, context: Value) -> None:
        for step in steps:
            STEPS[type(step)](self, step, frame, context)

    # Addresses

    def entry(self, f: Builder, table: Value, kind: str, number: int = 0) -> Value:
        return f.load(slot(f, table, self.layout.slot(kind, number)), PTR)

    def address(self, buffer: int, frame: Frame) -> Value:
        place, f = self.program.buffers[buffer].place, frame.f
        if place.kind == "arena":
            return f.address(frame.arena, "i8", integer(place.number))
        if place.kind == "slice":
            moved = f.op("mul nsw", frame.iterations[place.loop], integer(place.stride))
            offset = f.op("add nsw", moved, integer(place.start))
            return f.address(self.address(place.number, frame), "i8", offset)
        return self.entry(f, frame.table, place.kind, place.number)

    # Steps

    def launch(self, launch: ir.Launch, frame: Frame, begin: Value, end: Value) -> None:
        pointers = [self.address(buffer, frame) for buffer in launch.buffers]
        args = ", ".join(f"{v.type} {v.text}" for v in (*pointers, frame.status, begin, end))
        frame.f.line(f"call void @k{launch.kernel}({args})")

    def region(self, region: ir.Region, frame: Frame, context: Value) -> None:
        if region.chunks == 1:
            self.part(region, frame, integer(0), integer(1))
            return
        task = self.task(region)
        self.module.declarations[PARALLEL] = f"declare void @{PARALLEL}(ptr, ptr, i64)"
        # What is packed for one part of a product serves the next.
        together = len(region.launches) == 1 and self.program.kernels[region.launches[0].kernel].is_product
        chunks = region.chunks | SHORT * region.short | TOGETHER * together
        frame.f.line(f"call void @{PARALLEL}(ptr @{task}, ptr {context.text}, i64 {chunks})")

    def task(self, region: ir.Region) -> str:
        """A function that does some parts of every launch; returns its name. What it needs is in the context."""
        name = f"region{self.regions}"
        self.regions += 1
        parameters = [(PTR, "context", ""), (I64, "first", ""), (I64, "following", "")]
        f = Builder(self.module, name, parameters, linkage="internal", attributes=self.attributes)
        context, first, following = f.arguments.values()
        table, status = (f.load(slot(f, context, i), PTR) for i in range(2))
        iterations = {loop: f.load(slot(f, context, 2 + i), I64) for i, loop in enumerate(self.loops)}
        frame = Frame(f, table, status, self.entry(f, table, "arena"), iterations)
        self.part(region, frame, first, following)
        f.line("ret void")
        f.finish()
        return name

    def part(self, region: ir.Region, frame: Frame, chunk: Value, following: Value) -> None:
        """The parts from ``chunk`` to ``following`` of every launch, as often as the region goes round."""
        f = frame.f
        if region.loop:
            with f.loop(integer(0), integer(region.count)) as iteration:
                within = frame._replace(iterations={**frame.iterations, region.loop: iteration})
                self.part(region._replace(loop=""), within, chunk, following)
            return
        for launch, at in zip(region.launches, cuts(region, self.program.kernels, self.tile), strict=True):
            if region.chunks == 1:
                self.launch(launch, frame, integer(0), integer(at[-1]))
                continue
            begin, end = (f.load(slot(f, self.constant(at), c), I64) for c in (chunk, following))
            # A kernel without a range does all its work each time it is called.
            some = f.when(f.compare("icmp slt", begin, end)) if len(set(at)) < len(at) else contextlib.nullcontext()
            with some:
                self.launch(launch, frame, begin, end)

    def constant(self, numbers: tuple[int, ...]) -> Value:
        """A constant array."""
        name = f"cut_{'_'.join(map(str, numbers))}"
        held = ", ".join(f"i64 {number}" for number in numbers)
        self.module.globals[name] = f"@{name} = internal constant [{len(numbers)} x i64] [{held}]"
        return Value(f"@{name}", PTR)

    def call(self, call: ir.Call, frame: Frame, context: Value) -> None:
        """``i32 function(ptr buffers)``. What it returns other than 0 ends the run, with the code of ``failed``."""
        f = frame.f
        if call.every > 1:
            (*_, iteration) = frame.iterations.values()
            rest = f.op("urem", iteration, integer(call.every))
            with f.when(f.compare("icmp eq", rest, integer(call.every - 1))):  # not in every loop that is short
                self.call(call._replace(every=1), frame, context)
            return
        buffers = f.local(PTR, max(len(call.buffers), 1), align=8)
        for i, buffer in enumerate(call.buffers):
            f.store(self.address(buffer, frame), slot(f, buffers, i))
        function = self.entry(f, frame.table, "function", call.function)
        code = f.define(I32, f"call i32 {function.text}(ptr {buffers.text})")
        with f.when(f.compare("icmp ne", code, number(0, I32))):
            code = f.op("and", code, number(CODES - 1, I32))
            code = f.op("or", code, number(min(call.function, LAST) * CODES, I32))
            code = f.op("sub", number(0, I32), code)
            f.line(f"ret i32 {self.result(frame, code).text}")
            f.block(*f.labels("unreached"))

    def repeat(self, repeat: ir.Repeat, frame: Frame, context: Value) -> None:
        f = frame.f
        with f.loop(integer(0), integer(repeat.count)) as iteration:
            f.store(iteration, slot(f, context, 2 + self.loops.index(repeat.loop)))
            inside = frame._replace(iterations={**frame.iterations, repeat.loop: iteration})
            self.run(repeat.steps, inside, context)

    def as_long(self, step: ir.While, frame: Frame, context: Value) -> None:
        f, rounds = frame.f, frame.f.local(I64, align=8)
        head, body, done = f.labels("test", "round", "done")
        f.store(integer(0), rounds)
        f.line(f"br label %{head}")
        f.block(head)
        iteration = f.load(rounds, I64)
        f.store(iteration, slot(f, context, 2 + self.loops.index(step.loop)))
        within = frame._replace(iterations={**frame.iterations, step.loop: iteration})
        self.run(step.test, within, context)
        more = f.compare("icmp ne", f.load(self.address(step.buffer, frame), I8), number(0, I8))
        f.line(f"br i1 {more.text}, label %{body}, label %{done}")
        f.block(body)
        self.run(step.steps, within, context)
        f.store(f.op("add", iteration, integer(1)), rounds)
        f.line(f"br label %{head}")
        f.block(done)

    def branch(self, step: ir.Branch, frame: Frame, context: Value) -> None:
        f = frame.f
        chosen = f.load(self.address(step.buffer, frame), I64)
        *arms, after = f.labels(*(f"arm{i}_" for i in range(len(step.arms))), "after")
        cases = " ".join(f"i64 {i}, label %{arm}" for i, arm in enumerate(arms[:-1]))
        f.line(f"switch i64 {chosen.text}, label %{arms[-1]} [{cases}]")
        for arm, steps in zip(arms, step.arms, strict=True):
            f.block(arm)
            self.run(steps, frame, context)
            f.line(f"br label %{after}")
        f.block(after)

    def result(self, frame: Frame, otherwise: Value) -> Value:
        """The code of the Checks that failed; it goes before a failure they may have led to."""
        f = frame.f
        status = f.load(frame.status, I32)
        return f.select(f.compare("icmp eq", status, number(SOUND, I32)), otherwise, status)


STEPS: dict[type, Callable[[Driver, Any, Frame, Value], None]] = {
    ir.Region: Driver.region,
    ir.Call: Driver.call,
    ir.Repeat: Driver.repeat,
    ir.While: Driver.as_long,
    ir.Branch: Driver.branch,
}


def slot(f: Builder, base: Value, index: int | Value) -> Value:
    """Place number ``index`` of eight bytes."""
    return f.address(base, "ptr", index if isinstance(index, Value) else integer(index))


def every(steps: Sequence[ir.Step]) -> Iterator[ir.Step]:
    """All steps, those that others hold too."""
    for step in steps:
        yield step
        for within in ir.inside(step):
            yield from every(within)
