"""Pieces as steps: equal ones become one kernel, launches are grouped, buffers get their places."""

from __future__ import annotations

import math
from collections.abc import Sequence

from . import index as ix
from .arena import Lives, offsets, room, tight, together
from .cost import Cost, steps_cost
from .ir import (
    Branch,
    Buffer,
    Call,
    Formal,
    Kernel,
    Launch,
    Let,
    Load,
    Loop,
    Name,
    Place,
    Program,
    Region,
    Repeat,
    Statement,
    Step,
    Store,
    While,
    inside,
)
from .lower import Again, AsLong, Lowered, Outside
from .numbering import Numbering
from .overwrite import overwritten
from .regions import alone, grouped, in_rounds
from .schedule import Piece, Round, Work, rows_of

LONG = 3e8  # nanoseconds of a loop in which Python looks for signals
ATTENTION = 5e7  # ... about as often as this


class Signals:
    """A step in which Python does nothing but what it does between any two steps of its own: handle signals."""

    name = "signals"

    def __call__(self) -> None:
        """For the interpreter of loops, which is Python."""

    def __repr__(self) -> str:
        return self.name


SIGNALS = Signals()


def place(pieces: Sequence[Work], lowered: Lowered, donated: dict[int, int], apart: bool = False) -> Program:
    """The whole program. ``donated`` says which outputs may be written over which arguments, by number.

    Where launches stay ``apart``, each is a region of its own, in the order of the pieces: values then live as briefly
    as they can.
    """
    return _Placing(lowered, donated, apart).run(list(pieces))


def measured(
    pieces: Sequence[Work], lowered: Lowered, before: Sequence[int] = (), after: Sequence[int] = ()
) -> tuple[Cost, int]:
    """What these pieces cost, and the bytes of the values that are alive at once, at most: those used, among them those
    that are there before, and those used afterwards."""
    placing = _Placing(lowered, {}, apart=True)
    steps = placing.steps(list(pieces))
    return steps_cost(steps, list(placing.kernels)), placing.together(steps, before, after)


class _Placing:
    def __init__(self, lowered: Lowered, donated: dict[int, int], apart: bool = False) -> None:
        self.lowered = lowered
        self.apart = apart
        self.memory = list(lowered.memory)
        self.donated = donated
        self.kernels: dict[Kernel, int] = {}
        self.functions: list[Outside | Signals] = []
        self.same: dict[int, int] = {}  # a buffer -> the one whose memory it is written over

    def run(self, pieces: list[Work]) -> Program:
        outputs = {m.number: b for b, m in enumerate(self.memory) if m.kind == "output"}
        arguments = {m.number: b for b, m in enumerate(self.memory) if m.kind == "argument"}
        pairs = [(outputs[o], arguments[a]) for o, a in self.donated.items()]
        steps = self.steps(self.in_place(pieces, pairs))
        for number, memory in enumerate(self.memory):
            if memory.kind == "slice":
                self.memory[number] = memory._replace(number=self.real(memory.number))
        buffers, arena = self.arena(steps)
        used = sorted(buffers)
        numbers = {b: i for i, b in enumerate(used)}
        return Program(
            tuple(self.kernels),
            tuple([_in_parent(buffers[b], numbers) for b in used]),
            tuple([_renumbered(step, numbers) for step in steps]),
            arena,
            tuple(self.functions),
            tuple(self.lowered.failures),
            (len(arguments), len(outputs), len(self.lowered.constants)),
        )

    def steps(self, pieces: Sequence[Work]) -> list[Step]:
        found: list[Step] = []
        launches: list[Launch] = []

        def close() -> None:
            found.extend((alone if self.apart else grouped)(launches, list(self.kernels), self.storage()))
            launches.clear()

        for piece in pieces:
            if isinstance(piece, Piece):
                launches.append(self.launch(piece))
                continue
            close()
            if isinstance(piece, Outside):
                self.functions.append(piece)
                buffers = tuple(map(self.real, (*piece.inputs, *piece.outputs)))
                found.append(Call(len(self.functions) - 1, buffers, inputs=len(piece.inputs)))
            else:
                found += self.round(piece)
        close()
        return found

    def round(self, piece: Round) -> Sequence[Step]:
        """A step that holds steps; a branch that is the only one is no step of its own."""
        held = piece.holding
        parts = [
            self.steps(self.in_place(pieces, taken)) for pieces, (_, taken) in zip(piece.parts, held.parts, strict=True)
        ]
        if isinstance(held, Again):
            (body,) = parts
            return [self.repeated(held, (*body, *self.attentive(body, held.count)))]
        if isinstance(held, AsLong):
            test, body = parts
            more = self.real(held.more)
            body = [*body, *self.attentive([*test, *body], math.inf)]
            return [While(held.loop, tuple(test), more, tuple(body), held.rounds)]
        return [Branch(self.real(held.index), tuple(map(tuple, parts)))] if len(parts) > 1 else parts[0]

    def repeated(self, held: Again, body: tuple[Step, ...]) -> Step:
        """The steps of a loop, as one region if its parts can go round by themselves."""
        if len(body) == 1 and isinstance(body[0], Region) and not body[0].loop and not self.apart:
            sizes = [memory.size for memory in self.memory]
            found = in_rounds(body[0], held.loop, held.count, list(self.kernels), self.storage(), sizes)
            if found:
                return found
        return Repeat(held.loop, held.count, body)

    def attentive(self, steps: Sequence[Step], count: float) -> list[Call]:
        """What lets Python see, now and then in a long loop, whether the user wants to end it."""
        each = max(steps_cost(steps, list(self.kernels)).nanoseconds, 1.0)
        if each * count < LONG:
            return []
        if SIGNALS not in self.functions:
            self.functions.append(SIGNALS)
        return [Call(self.functions.index(SIGNALS), (), max(1, int(ATTENTION / each)))]

    def real(self, buffer: int) -> int:
        """The buffer whose memory this one is written over, if it is."""
        while buffer in self.same:
            buffer = self.same[buffer]
        return buffer

    def storage(self) -> list[int]:
        """The buffer that each buffer's memory is part of."""
        found: list[int] = []
        for number, memory in enumerate(self.memory):
            while memory.kind == "slice":
                number = self.real(memory.number)
                memory = self.memory[number]
            found.append(number)
        return found

    def in_place(self, pieces: Sequence[Work], pairs: Sequence[tuple[int, int]]) -> list[Work]:
        """Each first of a pair, a result, in the memory of the second, which it replaces: at once, or copied last."""
        found, late = overwritten(pieces, pairs, self.same, self.storage, self.memory)
        for target, source in late:
            self.memory[target] = self.memory[target]._replace(kind="value")
            if self.memory[target].size:
                found.append(self.copied(target, source, rows_of(pieces)))
        return found

    def copied(self, target: int, source: int, rows: int) -> Piece:
        memory = self.memory[target]
        row, axis, name = (self.lowered.names(kind) for kind in "aav")
        rows, size = (rows, memory.size // rows) if memory.size % rows == 0 else (1, memory.size)
        where = ix.add([(ix.axis(row), size), (ix.axis(axis), 1)]) if rows > 1 else ix.axis(axis)
        copy = (Let(name, memory.dtype, Load(target, where)), Store(source, where, Name(name)))
        body: tuple[Statement, ...] = (Loop(axis, size, "vector", copy),)
        return Piece((Loop(row, rows, "parallel", body),) if rows > 1 else body, {})

    # Kernels

    def launch(self, piece: Piece) -> Launch:
        kernel, buffers = self.kernel(piece)
        return Launch(self.kernels.setdefault(kernel, len(self.kernels)), buffers)

    def kernel(self, piece: Piece) -> tuple[Kernel, tuple[int, ...]]:
        """The piece with names, axes and buffers numbered as they appear, and the buffers it is launched on."""
        numbering = Numbering(self.real, piece.local)
        body = tuple([numbering.statement(s) for s in piece.body])
        formals = []
        for buffer in numbering.buffers:
            local = buffer in piece.local
            size = piece.local[buffer] if local else self.memory[buffer].size
            formals.append(Formal(self.memory[buffer].dtype, size, local))
        launched = tuple([b for b in numbering.buffers if b not in piece.local])
        return Kernel(tuple(formals), body), launched

    # Memory

    def arena(self, steps: Sequence[Step]) -> tuple[dict[int, Buffer], int]:
        """A place for every buffer; values that are not alive at once may share bytes."""
        alive = Lives(self.memory)
        alive.walk(steps)
        found: dict[int, Buffer] = {}
        values = []
        for buffer in alive.born:
            memory = self.memory[buffer]
            if memory.kind == "value":
                values.append(buffer)
            else:
                at = Place(memory.kind, memory.number, memory.start, memory.stride, memory.loop)
                found[buffer] = Buffer(memory.dtype, memory.size, at)
        order = sorted(values, key=lambda b: (-room(self.memory[b]), b))
        places, end = tight(values, alive) if self.apart else offsets(order, alive)
        for buffer, offset in places.items():
            found[buffer] = Buffer(self.memory[buffer].dtype, self.memory[buffer].size, Place("arena", offset))
        return found, end

    def together(self, steps: Sequence[Step], before: Sequence[int], after: Sequence[int]) -> int:
        """The bytes of values alive at once, at most; some are there before these steps, or are used afterwards."""
        alive = Lives(self.memory)
        for buffer in before:
            alive.use(self.real(buffer))
        alive.walk(steps)
        for buffer in after:
            alive.use(self.real(buffer))
        return together(alive)


def _in_parent(buffer: Buffer, numbers: dict[int, int]) -> Buffer:
    at = buffer.place
    return buffer._replace(place=at._replace(number=numbers[at.number])) if at.kind == "slice" else buffer


def _renumbered(step: Step, numbers: dict[int, int]) -> Step:
    if isinstance(step, Call):
        return step._replace(buffers=tuple([numbers[b] for b in step.buffers]))
    if isinstance(step, Region):
        launches = [launch._replace(buffers=tuple([numbers[b] for b in launch.buffers])) for launch in step.launches]
        return step._replace(launches=tuple(launches))
    within = [tuple([_renumbered(s, numbers) for s in steps]) for steps in inside(step)]
    if isinstance(step, Repeat):
        return step._replace(steps=within[0])
    at = numbers[step.buffer]
    if isinstance(step, Branch):
        return Branch(at, tuple(within))
    return step._replace(test=within[0], buffer=at, steps=within[1])
