"""Nests merged: a value that is used where it is made never goes through memory.

First maps join the nest whose results they read at the same place: an elementwise chain, the epilogue of a matrix
product, what follows a fold. Then nests that go over the same rows share the loop over them: softmax or layer norm
touches each row once, while it is in the first-level cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import index as ix
from .index import Axis
from .ir import Affine, Let, Load, Name, Store
from .lower import Holding, Lowered, Outside
from .nest import Names, Nest, aligned, renamed_axes, with_atoms

NEAR = 4  # how many groups that read the same arrays a nest tries to join
MOST = 1000  # statements with which a nest no longer takes others in


@dataclass
class Group:
    """Nests that share a loop over ``rows``; one nest alone has no rows. Or one step of another kind."""

    nests: list[Nest]
    rows: list[Axis]
    outside: Outside | Holding | None = None

    def reads(self) -> set[int]:
        if self.outside:
            return set(self.outside.inputs)
        return {load.buffer for nest in self.nests for load in nest.loads()}

    def writes(self) -> set[int]:
        if self.outside:
            return set(self.outside.outputs)
        return {store.buffer for nest in self.nests for store in nest.stores()}


def fuse(lowered: Lowered) -> list[Group]:
    """Groups in an order that computes everything before it is used."""
    groups = _Fusion(lowered).run()
    outputs = set(lowered.outputs)
    return _without_dead(groups, outputs)


class _Fusion:
    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.names: Names = lowered.names
        self.groups: list[Group] = []
        self.writer: dict[int, int] = {}  # buffer -> the last group that writes it
        self.readers: dict[int, list[int]] = {}  # buffer -> groups that read it
        self.uses: dict[int, int] = {}  # buffer -> by how many nests it is read
        if lowered.frugal:
            for nest in lowered.nests:
                for buffer in Group([nest], []).reads() if isinstance(nest, Nest) else nest.inputs:
                    self.uses[buffer] = self.uses.get(buffer, 0) + 1

    def run(self) -> list[Group]:
        for nest in self.lowered.nests:
            if not isinstance(nest, Nest):
                self.add(Group([], [], nest))
                continue
            if nest.fixed is None and not self.touches_rewritten(nest) and (self.join(nest) or self.share_rows(nest)):
                continue
            self.add(Group([nest], []))
        return self.groups

    def add(self, group: Group) -> None:
        self.groups.append(group)
        self.note(len(self.groups) - 1)

    def note(self, number: int) -> None:
        """Remember what a group reads and writes."""
        group = self.groups[number]
        for buffer in group.writes():  # never back: a loop later on may write what this group has begun
            self.writer[buffer] = max(number, self.writer.get(buffer, -1))
        for buffer in group.reads():
            found = self.readers.setdefault(buffer, [])
            if number not in found[-3:]:
                found.append(number)

    def touches_rewritten(self, nest: Nest) -> bool:
        return any(s.buffer in self.lowered.rewritten for s in nest.stores())

    def earliest(self, nest: Nest) -> int:
        """The first group after which everything the nest reads is there, or which makes the last of it."""
        return max((self.writer.get(load.buffer, -1) for load in nest.loads()), default=-1)

    # Maps into the nest before them

    def join(self, nest: Nest) -> bool:
        """Put a map into a nest it takes values from, or shares large arguments with."""
        if not nest.is_map:
            return False
        first = self.earliest(nest)
        for at in self.candidates(nest, first):
            group = self.groups[at]
            if group.outside or group.nests[-1].fixed is not None or len(group.nests) > 1:
                continue
            merged = self.merged(group.nests[0], nest)
            if merged is not None:
                self.groups[at] = Group([merged], group.rows)
                self.note(at)
                return True
        return False

    def candidates(self, nest: Nest, first: int) -> list[int]:
        """The groups that a nest may join; frugally only where it does not make its result long before it is used."""
        if not self.lowered.frugal:
            return ([first] if first >= 0 else []) + self.sharing(nest, first)
        last = len(self.groups) - 1
        ends = any(self.writer.get(load.buffer) == first and self.uses[load.buffer] == 1 for load in nest.loads())
        return [first] if first >= 0 and (first == last or ends) else []

    def sharing(self, nest: Nest, first: int) -> list[int]:
        """Groups from number ``first`` on that read an array which the nest reads too."""
        wanted = {load.buffer for load in nest.loads() if self.lowered.memory[load.buffer].size > 1}
        found = {at for buffer in wanted for at in self.readers.get(buffer, ())[-NEAR:] if at >= first and at != first}
        return sorted(found)[-NEAR:]

    def merged(self, into: Nest, nest: Nest) -> Nest | None:
        """Both in one, or None if an element of ``nest`` needs other elements of what ``into`` makes."""
        if len(into.statements()) + len(nest.statements()) > MOST:
            return None
        both = self.on_same_axes(into, nest)
        if both is None:
            return None
        into, nest = both
        stores = [s for s in into.stores() if s.buffer not in self.lowered.shared]
        made = {s.buffer: s for s in stores if s.reducer is None}
        if len(made) < len(stores) or any(b in self.lowered.rewritten for b in made):
            return None
        if self.reads_part(into.stores(), nest):
            return None
        forwarded: dict[Any, Any] = {}
        kept = []
        for statement in nest.body:
            if isinstance(statement, Let) and isinstance(statement.value, Load) and statement.value.buffer in made:
                store = made[statement.value.buffer]
                if statement.value.index != store.index:
                    return None
                forwarded[Name(statement.name)] = store.value
            else:
                kept.append(statement)
        read = {load.buffer for load in into.loads()}
        if any(isinstance(s, Store) and s.buffer in read for s in kept):
            return None
        moved = [with_atoms(s, forwarded) for s in kept]
        known = into.known if into.known is not None else {}
        tail = into.tail if into.known is not None else _once(into.tail, known)
        tail = [*tail, *_once(moved, known)]
        if into.is_map:
            return replace(into, body=tail, known=known)
        return replace(into, after=tail, known=known)

    def reads_part(self, stores: Sequence[Store], nest: Nest) -> bool:
        """Whether a nest reads what these stores make a part of only."""
        parts = {s.buffer for s in stores} & self.lowered.shared
        return any(load.buffer in parts for load in nest.loads())

    def on_same_axes(self, into: Nest, nest: Nest) -> tuple[Nest, Nest] | None:
        """Both nests over the axes of the first, or of the second where only the first can be split."""
        split = aligned(nest, [a.extent for a in into.axes], self.names)
        if split is None and into.product is None:
            other = aligned(into, [a.extent for a in nest.axes], self.names)
            if other is None:
                return None
            into, split = other, nest
        if split is None:
            return None
        self.learn(split)
        self.learn(into)
        values = {old.name: ix.axis(own.name) for old, own in zip(split.axes, into.axes, strict=True)}
        return into, renamed_axes(split, into.axes, values)

    def learn(self, nest: Nest) -> None:
        self.lowered.extents.update({a.name: a.extent for a in (*nest.axes, *nest.inner)})

    # Nests over the same rows

    def share_rows(self, nest: Nest) -> bool:
        if nest.product is not None:
            return False
        first = self.earliest(nest)
        for at in self.candidates(nest, first):
            group = self.groups[at]
            if group.outside or any(n.fixed is not None or n.product is not None for n in group.nests):
                continue
            joined = self.same_rows(group, nest)
            if joined is not None:
                self.groups[at] = joined
                self.note(at)
                return True
        return False

    def same_rows(self, group: Group, nest: Nest) -> Group | None:
        rows = group.rows
        if not rows:
            # The folds decide what a row is.
            deciding = next((n for n in (*group.nests, nest) if n.folds), None)
            if deciding is None or not deciding.axes or not self.folds_along_rows(deciding):
                return None
            rows = deciding.axes
        if nest.folds and (not self.folds_along_rows(nest) or len(nest.axes) != len(rows)):
            return None
        extents = [a.extent for a in rows]
        lined = []
        for member in (*group.nests, nest):
            split = aligned(member, extents, self.names, prefix=not member.folds)
            if split is None:
                return None
            self.learn(split)
            values = {old.name: ix.axis(row.name) for old, row in zip(split.axes, rows, strict=False)}
            lined.append(renamed_axes(split, [*rows, *split.axes[len(rows) :]], values))
        if sum(len(n.statements()) for n in lined) > 2 * MOST or not self.rowwise(lined[:-1], lined[-1], rows):
            return None
        return Group(lined, rows)

    def folds_along_rows(self, nest: Nest) -> bool:
        """Whether what is folded is contiguous, so that lanes lie along it."""
        last = nest.inner[-1].name
        straight = [ix.coefficient(load.index, last) for load in nest.loads() if isinstance(load.index, Affine)]
        return not straight or min((abs(c) for c in straight if c), default=1) == 1

    def rowwise(self, before: Sequence[Nest], nest: Nest, rows: Sequence[Axis]) -> bool:
        """Whether the nest needs, of what the nests before it make, the same row only; and overwrites none of it."""
        stores = [s for n in before for s in n.stores()]
        made = {s.buffer: s.index for s in stores}
        read = {load.buffer for n in before for load in n.loads()}
        if any(s.buffer in read or (s.buffer in made and s.buffer not in self.lowered.shared) for s in nest.stores()):
            return False
        if self.reads_part(stores, nest):
            return False
        names = {r.name for r in rows}
        for load in nest.loads():
            if load.buffer not in made:
                continue
            store = made[load.buffer]
            if not isinstance(load.index, Affine) or not isinstance(store, Affine):
                return False
            if [t for t in load.index.terms if t[0] in names] != [t for t in store.terms if t[0] in names]:
                return False
            if not self.within_row(load.index, names, store):
                return False
        return True

    def within_row(self, index: Affine, rows: set[str], store: Affine) -> bool:
        """Whether an index stays in the row that the store fills."""
        size = min((abs(c) for a, c in store.terms if a in rows), default=0)
        for candidate in (index, store):
            inside = Affine(candidate.offset, tuple(t for t in candidate.terms if t[0] not in rows))
            low, high = ix.limits(inside, self.lowered.extents)
            if low < 0 or high >= max(size, 1):
                return False
        return True


def _once(statements: Iterable[Any], known: dict[Any, Any]) -> list[Any]:
    """Statements without a second Let of a value that one has already; ``known`` remembers, from call to call.

    A buffer that has been written since is not read from memory: what was stored is at hand.
    """
    same: dict[Any, Any] = {}
    kept = []
    for statement in statements:
        statement = with_atoms(statement, same) if same else statement
        if isinstance(statement, Let):
            key = (statement.dtype, type(statement.value), statement.value)
            if key in known:
                same[Name(statement.name)] = known[key]
                continue
            known[key] = Name(statement.name)
        kept.append(statement)
    return kept


def _without_dead(groups: list[Group], outputs: set[int]) -> list[Group]:
    """Groups without stores that nothing reads, and without what only those needed."""
    needed = set(outputs)
    kept: list[Group] = []
    for group in reversed(groups):
        if group.outside:
            if group.writes() & needed:
                needed |= group.reads()
                kept.append(group)
            continue
        inside = {load.buffer for nest in group.nests for load in nest.loads()}
        nests = [_trimmed(nest, needed | inside) for nest in group.nests]
        group = Group([n for n in nests if n.stores() or _checks(n)], group.rows)
        if group.nests:
            needed |= group.reads()
            kept.append(group)
    return kept[::-1]


def _checks(nest: Nest) -> bool:
    return any(type(s).__name__ == "Check" for s in nest.statements())


def _trimmed(nest: Nest, needed: set[int]) -> Nest:
    if nest.fixed is not None:
        return nest if any(s.buffer in needed for s in nest.stores()) else Nest([], fixed=())
    after = live(nest.after, needed, set())
    wanted = {f.value.id for f in nest.folds if isinstance(f.value, Name)}
    return replace(nest, body=live(nest.body, needed, wanted | _names(after)), after=after)


def _names(statements: Sequence[Any]) -> set[str]:
    return {a.id for s in statements for a in atoms(s) if isinstance(a, Name)}


def atoms(statement: Any) -> list[Any]:
    """What a statement uses."""
    if isinstance(statement, Let):
        value = statement.value
        if isinstance(value, Load):
            return [a for a in (value.index, value.mask) if isinstance(a, Name)]
        return list(getattr(value, "args", ()))
    if isinstance(statement, Store):
        return [a for a in (statement.index, statement.value, statement.mask) if isinstance(a, Name)]
    return [getattr(statement, "condition", None) or getattr(statement, "value", None)]


def live(statements: Sequence[Any], buffers: set[int], names: set[str]) -> list[Any]:
    """The statements that something needs: stores to these buffers, checks, and what gives these names."""
    kept = []
    names = set(names)
    for statement in reversed(statements):
        if isinstance(statement, Let) and statement.name not in names:
            continue
        if isinstance(statement, Store) and statement.buffer not in buffers:
            continue
        names |= {a.id for a in atoms(statement) if isinstance(a, Name)}
        kept.append(statement)
    return kept[::-1]
