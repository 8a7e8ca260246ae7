"""Kernels and memory: equal pieces become one kernel, values get places in one arena, launches are cut and grouped."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from . import index as ix
from .cost import Cost, steps_cost
from .instructions import itemsize
from .ir import (
    Affine,
    Branch,
    Buffer,
    Call,
    Formal,
    Kernel,
    Launch,
    Let,
    Load,
    Loop,
    MatMul,
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
from .nest import opened
from .read import Memory
from .regions import alone, grouped, in_rounds
from .schedule import Piece, Round, Work, rows_of

ALIGNMENT = 64
TRIES = 20  # rearrangements of an order
# In which values get their places, by bytes, first and last use: intervals of equal sizes then take no more than are
# alive at once.
ORDERS: tuple[Callable[[int, int, int], Any], ...] = (
    lambda size, born, dies: (-size, born),
    lambda size, born, dies: (born, -size),
    lambda size, born, dies: -size * (dies - born + 1),
    lambda size, born, dies: (born - dies, -size),
)
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

    # Results written over what they replace: donated arguments, and the carry of a loop

    def in_place(self, pieces: Sequence[Work], pairs: Sequence[tuple[int, int]]) -> list[Work]:
        """Each first of a pair in the memory of the second: at once if no old value is needed after it, else last."""
        late = []
        writers: dict[int, list[int]] = {}
        users: dict[int, list[int]] = {}
        for number, piece in enumerate(pieces):
            written = writes(piece)
            for buffer in written:
                writers.setdefault(buffer, []).append(number)
            for buffer in written | reads(piece):
                users.setdefault(buffer, []).append(number)
        dropped: set[int] = set()
        targets = {target for target, _ in pairs}
        earlier: dict[int, int] = {}  # a piece -> the one that it goes before
        for target, source in pairs:
            begun = copies(pieces, writers.get(target, []), target, source)
            if begun and max(users[source]) <= begun[-1]:
                self.same[target] = source  # what is written to a part of it afterwards stays in its place
                dropped.update(begun)
                continue
            (last,) = writers.get(target, [-1])[-1:]
            after = [number for number in users.get(source, ()) if number > last]
            alone = len(writers.get(target, ())) == 1 and all(
                self.may_go(pieces, number, last) and not writes(pieces[number]) & targets for number in after
            )
            if alone and _overwrites(pieces[last], target, source):
                self.same[target] = source
                earlier.update({number: min(last, earlier.get(number, last)) for number in after})
            else:
                late.append((target, source))
        order = sorted(range(len(pieces)), key=lambda number: (earlier.get(number, number), number not in earlier))
        found = [pieces[number] for number in order if number not in dropped]
        for target, source in late:
            memory = self.memory[target]
            self.memory[target] = memory._replace(kind="value")
            if not memory.size:
                continue
            row, axis, name = (self.lowered.names(kind) for kind in "aav")
            rows = rows_of(pieces)
            rows, size = (rows, memory.size // rows) if memory.size % rows == 0 else (1, memory.size)
            where = ix.add([(ix.axis(row), size), (ix.axis(axis), 1)]) if rows > 1 else ix.axis(axis)
            copy = (Let(name, memory.dtype, Load(target, where)), Store(source, where, Name(name)))
            body: tuple[Statement, ...] = (Loop(axis, size, "vector", copy),)
            found.append(Piece((Loop(row, rows, "parallel", body),) if rows > 1 else body, {}))
        return found

    def may_go(self, pieces: Sequence[Work], number: int, before: int) -> bool:
        """Whether a piece may as well run before an earlier one."""
        storage, moved = self.storage(), pieces[number]
        roots: Any = lambda buffers: {storage[b] for b in buffers}
        passed = pieces[before:number]
        made = roots(b for piece in passed for b in writes(piece))
        used = roots(b for piece in passed for b in reads(piece)) | made
        return isinstance(moved, Piece) and not (roots(reads(moved)) & made or roots(writes(moved)) & used)

    # Kernels

    def launch(self, piece: Piece) -> Launch:
        kernel, buffers = self.kernel(piece)
        return Launch(self.kernels.setdefault(kernel, len(self.kernels)), buffers)

    def kernel(self, piece: Piece) -> tuple[Kernel, tuple[int, ...]]:
        """The piece with names, axes and buffers numbered as they appear, and the buffers it is launched on."""
        numbering = _Numbering(self.real, piece.local)
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
        alive = _Lives(self.memory)
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
        order = sorted(values, key=lambda b: (-self.bytes(b), b))
        offsets, arena = self.tight(values, alive) if self.apart else self.offsets(order, alive)
        for buffer, offset in offsets.items():
            found[buffer] = Buffer(self.memory[buffer].dtype, self.memory[buffer].size, Place("arena", offset))
        return found, arena

    def together(self, steps: Sequence[Step], before: Sequence[int], after: Sequence[int]) -> int:
        """The same for steps of which it is known what is there before, and what is used afterwards."""
        alive = _Lives(self.memory)
        for buffer in before:
            alive.use(self.real(buffer))
        alive.walk(steps)
        for buffer in after:
            alive.use(self.real(buffer))
        return self.most(alive)

    def most(self, alive: _Lives) -> int:
        """The bytes of values that are alive at once, at most."""
        change = [0] * (alive.time + 2)
        for buffer, born in alive.born.items():
            if self.memory[buffer].kind == "value":
                size = -(-self.bytes(buffer) // ALIGNMENT) * ALIGNMENT
                change[born] += size
                change[alive.dies[buffer] + 1] -= size
        return max(itertools.accumulate(change))

    def tight(self, values: Sequence[int], alive: _Lives) -> tuple[dict[int, int], int]:
        """The best of several orders; in each, what ends last is put first, again and again, as long as that helps."""
        least = self.most(alive)
        best: tuple[dict[int, int], int] = {}, 1 << 62
        for key in ORDERS:
            order = sorted(values, key=lambda b: (key(self.bytes(b), alive.born[b], alive.dies[b]), b))
            for _ in range(TRIES):
                found = self.offsets(order, alive)
                if found[1] < best[1]:
                    best = found
                if best[1] <= least:
                    return best
                last = {b for b, at in found[0].items() if at + self.bytes(b) > found[1] - ALIGNMENT}
                order = [*(b for b in order if b in last), *(b for b in order if b not in last)]
        return best

    def offsets(self, order: Sequence[int], alive: _Lives) -> tuple[dict[int, int], int]:
        """Each value at the first place where none is that is alive when it is, taken in this order; and the end."""
        found: dict[int, int] = {}
        taken: list[tuple[int, int, int, int]] = []  # offset, end, born, dies
        for buffer in order:
            size = -(-self.bytes(buffer) // ALIGNMENT) * ALIGNMENT
            begin, end = alive.born[buffer], alive.dies[buffer]
            offset = 0
            for low, high, first, last in taken:
                if low >= offset + size:
                    break
                if high > offset and first <= end and begin <= last:
                    offset = high
            bisect.insort(taken, (offset, offset + size, begin, end))
            found[buffer] = offset
        return found, max((high for _, high, _, _ in taken), default=0)

    def bytes(self, buffer: int) -> int:
        return self.memory[buffer].size * itemsize(self.memory[buffer].dtype)


def copies(pieces: Sequence[Work], writers: Sequence[int], target: int, source: int) -> list[int]:
    """The pieces by which a buffer begins as a copy of another, where others write to it later."""
    found = []
    for number in writers:
        piece = pieces[number]
        if not isinstance(piece, Piece) or writes(piece) != {target} or reads(piece) != {source}:
            break
        statements = opened(piece.body)
        loaded = {s.name: s.value.index for s in statements if isinstance(s, Let) and isinstance(s.value, Load)}
        stores = [s for s in statements if isinstance(s, Store)]
        if not all(isinstance(s.value, Name) and not s.reducer and loaded.get(s.value.id) == s.index for s in stores):
            break
        found.append(number)
    return found if len(found) < len(writers) else []


def _overwrites(piece: Work, target: int, source: int) -> bool:
    """Whether a piece reads the old value only where, and before, it writes the new one."""
    if not isinstance(piece, Piece) or source in writes(piece):
        return False
    statements = opened(piece.body)
    stores = [s for s in statements if isinstance(s, Store) and s.buffer == target]
    if len(stores) != 1 or stores[0].reducer is not None:
        return False
    written = statements.index(stores[0])
    at = stores[0].index
    if not isinstance(at, Affine):
        return False
    for number, s in enumerate(statements):
        if isinstance(s, MatMul) and source in (s.a.buffer, s.b.buffer):
            return False
        read = s.value if isinstance(s, Let) and isinstance(s.value, Load) and s.value.buffer == source else None
        if read is not None and (read.index != at or number > written):
            return False
    return True


class _Numbering:
    """Names, axes and buffers by order of appearance, so that equal bodies become equal."""

    def __init__(self, real: Callable[[int], int], local: dict[int, int]) -> None:
        self.real = real
        self.names: dict[str, str] = {}
        self.buffers: dict[int, int] = {}
        self.axes: dict[str, str] = {}

    def buffer(self, number: int) -> int:
        return self.buffers.setdefault(self.real(number), len(self.buffers))

    def name(self, name: str) -> str:
        return self.names.setdefault(name, f"x{len(self.names)}")

    def axis(self, name: str) -> str:
        return self.axes.setdefault(name, f"i{len(self.axes):03d}")

    def atom(self, atom: Any) -> Any:
        if isinstance(atom, Affine):
            return Affine(atom.offset, tuple(sorted([(self.axis(a), c) for a, c in atom.terms])))
        return type(atom)(self.name(atom.id)) if hasattr(atom, "id") else atom

    def load(self, load: Load) -> Load:
        return Load(self.buffer(load.buffer), self.atom(load.index), load.mask and self.atom(load.mask))

    def statement(self, s: Any) -> Any:
        kind = type(s)
        if kind is Let:
            value = s.value
            if type(value) is Load:
                value = self.load(value)
            elif hasattr(value, "args"):
                value = value._replace(args=tuple([self.atom(a) for a in value.args]))
            else:
                value = value._replace(index=self.atom(value.index))
            return Let(self.name(s.name), s.dtype, value)
        if kind is Store:
            return Store(
                self.buffer(s.buffer), self.atom(s.index), self.atom(s.value), s.reducer, s.mask and self.atom(s.mask)
            )
        if kind is Loop:
            return Loop(self.axis(s.axis), s.extent, s.kind, tuple([self.statement(x) for x in s.body]))
        if kind is MatMul:
            rows, columns, inner = ((self.axis(a), n) for a, n in (s.rows, s.columns, s.inner))
            a, b, name = self.load(s.a), self.load(s.b), self.name(s.name)
            return MatMul(rows, columns, inner, a, b, name, s.dtype, tuple([self.statement(x) for x in s.body]))
        if hasattr(s, "condition"):
            return s._replace(condition=self.atom(s.condition))
        if hasattr(s, "value"):
            return s._replace(name=self.name(s.name), value=self.atom(s.value))
        return s._replace(name=self.name(s.name))


class _Lives:
    """When each buffer is first and last used, in steps counted through loops.

    What a loop finds from before it, or leaves for after it or for its next round, is alive from its begin to its end.
    """

    def __init__(self, memory: Sequence[Memory]) -> None:
        self.memory = memory
        self.time = 0
        self.born: dict[int, int] = {}
        self.dies: dict[int, int] = {}

    def walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.time += 1
            begin, before = self.time, set(self.born)
            for buffer in _touched(step) if not inside(step) else _looked_at(step):
                self.use(buffer)
            for steps in inside(step):
                self.walk(steps)
                for buffer in _looked_at(step):
                    self.use(buffer)
            if not isinstance(step, (Repeat, While)):
                continue
            self.time += 1
            for buffer in self.crossing(step, before):
                self.born[buffer] = min(self.born[buffer], begin)
                self.dies[buffer] = self.time

    def use(self, buffer: int) -> None:
        self.born.setdefault(buffer, self.time)
        self.dies[buffer] = self.time
        if self.memory[buffer].kind == "slice":
            self.use(self.memory[buffer].number)

    def parents(self, buffer: int) -> list[int]:
        """The buffers that a slice is in, from the inside out."""
        found = []
        while self.memory[buffer].kind == "slice":
            buffer = self.memory[buffer].number
            found.append(buffer)
        return found

    def crossing(self, step: Step, before: set[int]) -> set[int]:
        """The buffers that are alive on the border of a loop's round: used before it, or sliced in it."""
        touched = set(_touched(step))
        parents = {p for b in touched for p in self.parents(b)}
        return (touched & before) | parents | {b for b in touched if self.memory[b].loop}


def reads(piece: Work) -> set[int]:
    if isinstance(piece, Outside):
        return set(piece.inputs)
    if isinstance(piece, Round):
        return set(piece.holding.inputs).union(*(reads(p) for part in piece.parts for p in part))
    statements = opened(piece.body)
    found = {s.value.buffer for s in statements if isinstance(s, Let) and isinstance(s.value, Load)}
    return found | {load.buffer for s in statements if isinstance(s, MatMul) for load in (s.a, s.b)}


def writes(piece: Work) -> set[int]:
    if isinstance(piece, Outside):
        return set(piece.outputs)
    if isinstance(piece, Round):
        return set(piece.holding.outputs).union(*(writes(p) for part in piece.parts for p in part))
    return {s.buffer for s in opened(piece.body) if isinstance(s, Store)}


def _touched(step: Step) -> list[int]:
    if isinstance(step, Call):
        return list(step.buffers)
    if isinstance(step, Region):
        return [b for launch in step.launches for b in launch.buffers]
    return [*_looked_at(step), *(b for steps in inside(step) for inner in steps for b in _touched(inner))]


def _looked_at(step: Step) -> list[int]:
    """The buffer by which a step decides where to go."""
    return [step.buffer] if isinstance(step, (While, Branch)) else []


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
