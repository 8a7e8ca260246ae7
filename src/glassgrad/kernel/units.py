"""Work that can be done again: pieces as units, and a sequence of units, some of them more than once, as pieces.

A unit that runs again is the same kernels on other buffers, so it gives the same bits. What nobody wants of it this
time is not stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .arena import room
from .cost import Cost
from .fuse import atoms
from .ir import Accumulate, Let, Load, Loop, MatMul, Name, Reset, Statement, Store
from .lower import AsLong, Either, Lowered, Outside
from .overwrite import copies, reads, writes
from .place import measured
from .read import Memory
from .schedule import Piece, Round, Work

NEAR = 4  # pieces within so many that write one buffer are one unit


class Unit(NamedTuple):
    """Pieces that run together.

    Attributes
    ----------
    pieces : in order
    needs, makes : the values it finds in the arena, and those it leaves there for others
    room : bytes of the arena that it uses beside those values; negative where not all of them are there at once
    cost : of running it once
    repeatable : whether it may run again
    """

    pieces: tuple[Work, ...]
    needs: tuple[int, ...]
    makes: tuple[int, ...]
    room: int
    cost: Cost
    repeatable: bool


class Run(NamedTuple):
    """Unit number ``unit``, run for these values."""

    unit: int
    wanted: tuple[int, ...]


class Values:
    """The buffers of a program being placed: which are values in the arena, and their bytes there."""

    def __init__(self, memory: Sequence[Memory]) -> None:
        self.memory = memory

    def root(self, buffer: int) -> int:
        """The buffer that a slice is part of."""
        while self.memory[buffer].kind == "slice":
            buffer = self.memory[buffer].number
        return buffer

    def among(self, buffers: Iterable[int]) -> set[int]:
        """The values that these buffers are, or are parts of."""
        roots = {self.root(b) for b in buffers}
        return {b for b in roots if self.memory[b].kind == "value" and self.memory[b].size}

    def bytes(self, buffer: int) -> int:
        return room(self.memory[buffer])


def _reads(piece: Work) -> set[int]:
    return reads(piece) - scratch(piece)


def _writes(piece: Work) -> set[int]:
    return writes(piece) - scratch(piece)


def scratch(piece: Work) -> set[int]:
    """The memory that kernels have of their own."""
    if isinstance(piece, Round):
        return {b for part in piece.parts for p in part for b in scratch(p)}
    return set(piece.local) if isinstance(piece, Piece) else set()


def _parts(piece: Work) -> list[list[Work]]:
    return piece.parts if isinstance(piece, Round) else []


def _here(piece: Work) -> set[int]:
    """The buffers a piece uses, of those in a Round the ones that are used throughout."""
    if not isinstance(piece, Round):
        return _reads(piece) | _writes(piece)
    held = piece.holding
    carried = {b for _, pairs in held.parts for pair in pairs for b in pair}
    return {*held.inputs, *held.outputs, *carried}


def units(pieces: Sequence[Work], lowered: Lowered) -> list[Unit]:
    """The pieces as units, in the same order."""
    values = Values(lowered.memory)
    looked_at = [{values.root(b) for b in _reads(piece)} for piece in pieces]
    changed = [{values.root(b) for b in _writes(piece)} for piece in pieces]
    read, written = [[values.among(buffers) for buffers in each] for each in (looked_at, changed)]
    spans: dict[int, tuple[int, int]] = {}
    for number, buffers in enumerate(written):
        for b in buffers:
            spans[b] = (spans.get(b, (number, 0))[0], number)
    groups = _joined(len(pieces), [s for s in spans.values() if 0 < s[1] - s[0] < NEAR])
    owner = {number: k for k, group in enumerate(groups) for number in group}
    apart = {b for b, (first, last) in spans.items() if owner[first] != owner[last]}  # written in several units
    users: dict[int, set[int]] = {}
    makers: dict[int, set[int]] = {}
    for number in owner:
        for who, buffers in ((users, read[number]), (makers, changed[number])):
            for b in buffers:
                who.setdefault(b, set()).add(owner[number])
    found = []
    for k, group in enumerate(groups):
        made: set[int] = set()
        needed: set[int] = set()
        for number in group:
            needed |= {b for b in read[number] - made if makers[b] != {k}}
            made |= written[number]
        makes = {b for b in made if users.get(b, set()) - {k} or b in apart}
        own = [pieces[number] for number in group]
        found_here = {b for number in group for b in looked_at[number]}
        # What others write to from here on, such as the start of a loop's carry, is not there to be read again
        lasting = all(makers.get(b) == {k} or max(makers.get(b, ()), default=-1) < k for b in found_here)
        outside = any(isinstance(piece, Outside) for piece in _all(own))
        again = lasting and not outside and not (makes & (apart | needed))
        cost, room = measured(own, lowered, sorted(needed), sorted(makes))
        room -= sum(map(values.bytes, needed | makes))
        found.append(Unit(tuple(own), tuple(sorted(needed)), tuple(sorted(makes)), room, cost, again))
    return found


def _joined(count: int, spans: Iterable[tuple[int, int]]) -> list[range]:
    """0 … count - 1 as ranges, none of which cuts a span."""
    ends = list(range(count))
    for first, last in spans:
        for number in range(first, last + 1):
            ends[number] = max(ends[number], last)
    found, begin = [], 0
    while begin < count:
        end = begin
        number = begin
        while number <= end:
            end = max(end, ends[number])
            number += 1
        found.append(range(begin, end + 1))
        begin = end + 1
    return found


def _all(pieces: Sequence[Work]) -> Iterator[Work]:
    for piece in pieces:
        yield piece
        for part in _parts(piece):
            yield from _all(part)


# A sequence of runs as pieces


def in_sequence(found: Sequence[Unit], runs: Sequence[Run], lowered: Lowered) -> tuple[list[Work], list[Memory]]:
    """The pieces of these runs, each reading the latest copy of what it needs; and the buffers with the copies."""
    copies = _Copies(lowered)
    done: set[int] = set()
    pieces: list[Work] = []
    for run in runs:
        unit = found[run.unit]
        again = run.unit in done
        done.add(run.unit)
        if again:
            pieces += copies.again(unit, run.wanted)
        else:
            pieces += copies.once(unit)
    return pieces, copies.memory


class _Copies:
    """The buffers of a program with copies of some of them; ``latest`` has, for a buffer, the copy to read."""

    def __init__(self, lowered: Lowered) -> None:
        self.memory = list(lowered.memory)
        self.names = lowered.names
        self.latest: dict[int, int] = {}

    def once(self, unit: Unit) -> Sequence[Work]:
        """The pieces of a unit that runs for the first time, where its results have the buffers they had."""
        return [self.renamed(piece, {}, {}) for piece in unit.pieces] if self.latest else unit.pieces

    def again(self, unit: Unit, wanted: Collection[int]) -> list[Work]:
        """The pieces of a unit that has run before, with new buffers for its results."""
        single = alone(unit, wanted)
        pieces = unit.pieces if single is None else (single,)
        held = [piece.holding for piece in _all(pieces) if isinstance(piece, Round)]
        loops = {h.loop: self.names("l") for h in held if not isinstance(h, Either)}
        own: set[int] = set()
        for piece in pieces:
            own |= _written(piece) | {b for b in _within(piece) if self.memory[b].loop in loops}
        values = Values(self.memory)
        names = self.copied(own | {values.root(b) for b in own if self.memory[b].loop not in loops}, loops)
        found = [self.renamed(piece, names, loops) for piece in pieces]
        self.latest.update({b: names[b] for b in wanted})
        return found

    def copied(self, buffers: Collection[int], loops: Mapping[str, str]) -> dict[int, int]:
        """A further buffer for each; a slice is of the copy of what it is part of, if there is one."""
        names: dict[int, int] = {}
        for b in sorted(buffers):
            names[b] = len(self.memory)
            self.memory.append(self.memory[b])
        for new in names.values():
            memory = self.memory[new]
            if memory.kind == "slice":
                whole = names.get(memory.number, self.latest.get(memory.number, memory.number))
                self.memory[new] = memory._replace(number=whole, loop=loops.get(memory.loop, memory.loop))
            else:
                self.memory[new] = memory._replace(kind="value", number=0)
        return names

    def renamed(self, piece: Work, names: Mapping[int, int], loops: Mapping[str, str]) -> Work:
        """A piece on other buffers: those given, else the latest copies."""
        names = {**self.latest, **names}
        if isinstance(piece, Round):
            stale = [b for b in _within(piece) if b not in names and self.memory[b].kind == "slice"]
            names = {**names, **self.copied([b for b in stale if self.memory[b].number in names], loops)}
        return on(piece, names, loops)


def on(piece: Work, names: Mapping[int, int], loops: Mapping[str, str]) -> Work:
    """A piece on other buffers, in other loops; those without another stay."""
    if isinstance(piece, Piece):
        return Piece(tuple([_renamed(s, names) for s in piece.body]), piece.local)
    every: Any = lambda buffers: tuple([names.get(b, b) for b in buffers])
    pairs: Any = lambda carried: tuple([every(pair) for pair in carried])
    if isinstance(piece, Outside):
        return replace(piece, inputs=every(piece.inputs), outputs=every(piece.outputs))
    held: Any = replace(piece.holding, inputs=every(piece.holding.inputs), outputs=every(piece.holding.outputs))
    if isinstance(held, Either):
        held = replace(held, index=names.get(held.index, held.index), parts=[(x, pairs(p)) for x, p in held.parts])
    else:
        held = replace(held, carried=pairs(held.carried), loop=loops.get(held.loop, held.loop))
    if isinstance(held, AsLong):
        held = replace(held, more=names.get(held.more, held.more))
    return Round(held, [[on(p, names, loops) for p in part] for part in piece.parts])


def _written(piece: Work) -> set[int]:
    """What a piece writes, or uses inside only, but for a kernel's scratch memory."""
    if not isinstance(piece, Round):
        return _writes(piece)
    carried = {b for _, pairs in piece.holding.parts for pair in pairs for b in pair}
    return {*piece.holding.outputs, *carried}.union(*(_written(p) for part in piece.parts for p in part))


def _within(piece: Work) -> set[int]:
    """Every buffer that steps inside of a step use."""
    if not isinstance(piece, Round):
        return set()
    found = _here(piece)
    for part in piece.parts:
        for inner in part:
            found |= _reads(inner) | _writes(inner) | _within(inner)
    return found


def _renamed(s: Any, names: Mapping[int, int]) -> Any:
    if isinstance(s, Store):
        return s._replace(buffer=names.get(s.buffer, s.buffer))
    if isinstance(s, Let) and isinstance(s.value, Load):
        return s._replace(value=_load(s.value, names))
    if isinstance(s, Loop):
        return s._replace(body=tuple([_renamed(x, names) for x in s.body]))
    if isinstance(s, MatMul):
        body = tuple([_renamed(x, names) for x in s.body])
        return s._replace(a=_load(s.a, names), b=_load(s.b, names), body=body)
    return s


def _load(load: Load, names: Mapping[int, int]) -> Load:
    return load._replace(buffer=names.get(load.buffer, load.buffer))


def alone(unit: Unit, wanted: Collection[int]) -> Piece | None:
    """The kernel of a unit that is only one, for some of what it makes."""
    if len(unit.pieces) > 1 or not isinstance(unit.pieces[0], Piece):
        return None
    piece = unit.pieces[0]
    return Piece(trimmed(piece.body, whole(piece, wanted)), piece.local)


def whole(piece: Piece, wanted: Collection[int]) -> set[int]:
    """The buffers that a kernel must write for these: them, its scratch memory, and what it reads of its own."""
    written, found = writes(piece), {*wanted, *piece.local}
    while True:
        more = written & reads(Piece(trimmed(piece.body, found), piece.local)) - found
        if not more:
            return found
        found |= more


def trimmed(body: Sequence[Statement], buffers: Collection[int]) -> tuple[Statement, ...]:
    """A kernel's body that writes these buffers only, without what it needed for others and without checks."""
    return tuple(_trimmed(body, buffers, set()))


def _trimmed(body: Sequence[Statement], buffers: Collection[int], used: set[str]) -> list[Statement]:
    kept: list[Statement] = []
    for s in reversed(body):
        if isinstance(s, (Loop, MatMul)):
            inner = _trimmed(s.body, buffers, used)
            if inner:
                kept.append(s._replace(body=tuple(inner)))
            if inner and isinstance(s, MatMul):
                used |= {a.id for load in (s.a, s.b) for a in (load.index, load.mask) if isinstance(a, Name)}
        elif isinstance(s, Store):
            if s.buffer in buffers:
                kept.append(s)
                used |= {a.id for a in atoms(s) if isinstance(a, Name)}
        elif isinstance(s, (Let, Reset, Accumulate)) and s.name in used:
            kept.append(s)
            if not isinstance(s, Reset):
                used |= {a.id for a in atoms(s) if isinstance(a, Name)}
    return kept[::-1]


# Copies


def without_copies(pieces: Sequence[Work], lowered: Lowered) -> list[Work]:
    """The pieces where what begins as a copy of a value that nobody needs any more is that value itself."""
    found = list(pieces)
    memory = lowered.memory
    writers: dict[int, list[int]] = {}
    last: dict[int, int] = {}
    for number, piece in enumerate(found):
        for b in writes(piece):
            writers.setdefault(b, []).append(number)
        last.update(dict.fromkeys(reads(piece) | writes(piece), number))
    names: dict[int, int] = {}
    dropped: set[int] = set()
    for number, piece in enumerate(found):
        if not isinstance(piece, Piece) or len(reads(piece)) != 1 or len(writes(piece)) != 1:
            continue
        (source,), (target,) = reads(piece), writes(piece)
        alike = memory[source]._replace(number=0) == memory[target]._replace(number=0)
        if not alike or memory[source].kind != "value" or target in lowered.outputs or source in lowered.outputs:
            continue
        begun = copies(found, writers[target], target, source)
        if begun and number == begun[0] and last[source] <= begun[-1] and max(writers.get(source, [0])) < number:
            dropped.update(begun)
            names[target] = names.get(source, source)
    return [on(piece, names, {}) if names else piece for k, piece in enumerate(found) if k not in dropped]
