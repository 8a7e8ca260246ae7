"""Groups as loops: which axis lies along the lanes, which is shared out, what stays in a row's scratch memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import index as ix
from .cost import product_time
from .fuse import Group, fuse
from .index import Axis
from .instructions import itemsize
from .ir import Accumulate, Affine, Kernel, Let, Load, Loop, MatMul, Name, Reset, Statement, Store
from .lower import Again, Holding, Lowered, Outside
from .nest import Nest, aligned, moved, opened, renamed_axes, with_atoms, with_axes
from .products import LARGE_FACTOR

BLOCK = 4096  # elements of a long map that are one piece of work
STRIP = 64  # columns of a fold over rows that are one piece of work
LARGE_PRODUCT = 100_000.0  # nanoseconds of a matrix product that is shared out by columns
MOST = 8  # ... and into how many strips at most
FEW = 8  # rows of a product that is no more than reading the right factor, best in long rows
TALL = 4  # times as many rows as columns: the rows are shared out instead
STREAMS = 2  # arrays that are read as a product is finished, from which long rows of them matter more
SCRATCH = 1 << 16  # bytes of a row that may stay in its own memory


@dataclass(frozen=True)
class Piece:
    """A kernel's body over buffers of the program; ``local`` ones with their size are its scratch memory."""

    body: tuple[Statement, ...]
    local: dict[int, int]


@dataclass(frozen=True)
class Round:
    """A step that holds steps, and the pieces of each of its parts."""

    holding: Holding
    parts: list[list[Work]]


Work = Piece | Outside | Round


def schedule(groups: Sequence[Group], lowered: Lowered, repeated: bool = False) -> list[Work]:
    """The bodies of kernels, in order.

    In what is ``repeated``, maps over one long axis are cut by the same rows as all the rest, if that has one number of
    them: each part of the work can then go through the rounds by itself.
    """
    scheduler = _Scheduler(lowered)
    if repeated and not any(group.outside for group in groups):
        rest = [group for group in groups if len(group.nests) > 1 or not _flat(group.nests[0])]
        scheduler.cut = rows_of(schedule(rest, lowered))
    readers: dict[int, set[int]] = {}
    for number, group in enumerate(groups):
        for buffer in group.reads() | group.writes():
            readers.setdefault(buffer, set()).add(number)
    found: list[Work] = []
    for number, group in enumerate(groups):
        if isinstance(group.outside, Holding):
            again = isinstance(group.outside, Again)
            parts = [schedule(fuse(part), part, again) for part, _ in group.outside.parts]
            found.append(Round(group.outside, parts))
        elif group.outside:
            found.append(group.outside)
        elif group.rows:
            inside = {
                b
                for b in group.writes()
                if readers[b] == {number} and lowered.memory[b].kind == "value" and b not in lowered.outputs
            }
            found.append(scheduler.rows(group, inside))
        else:
            found += [Piece(body, {}) for body in scheduler.alone(group.nests[0])]
    return found


def rows_of(pieces: Sequence[Work]) -> int:
    """How far the outermost axis of all these goes, where that is one number; else 1."""
    extents = {Kernel((), piece.body).extent for piece in pieces if isinstance(piece, Piece)}
    return extents.pop() if len(extents) == 1 else 1


class _Scheduler:
    def __init__(self, lowered: Lowered) -> None:
        self.names = lowered.names
        self.memory = lowered.memory
        self.extents = lowered.extents
        self.cut = 1  # into how many rows a map over one axis is cut

    def axis(self, extent: int) -> Axis:
        axis = Axis(self.names("a"), extent)
        self.extents[axis.name] = extent
        return axis

    # One nest

    def alone(self, nest: Nest) -> list[tuple[Statement, ...]]:
        if nest.fixed is not None:
            return [nest.fixed]
        if nest.product is not None:
            return [self.product(nest)]
        lanes = _along_lanes(nest, [*nest.axes, *nest.inner])
        if lanes is None:
            return [tuple(nest.body)] if nest.is_map else [self.fold(nest, nest.inner[-1])]
        if nest.is_map:
            return self.map(nest, lanes)
        if lanes in nest.inner:
            return [self.fold(nest, lanes)]
        return self.columns(nest, lanes)

    def map(self, nest: Nest, lanes: Axis) -> list[tuple[Statement, ...]]:
        split = aligned(nest, [self.cut], self.names, prefix=True) if self.cut > 1 and _flat(nest) else None
        if split is not None and len(split.axes) == 2:
            nest, lanes = split, split.axes[1]
            self.extents.update(split.axes)
        others = [a for a in nest.axes if a != lanes]
        if math.prod(a.extent for a in others) > 1 or lanes.extent <= 2 * BLOCK:
            body = (Loop(lanes.name, lanes.extent, "vector", tuple(nest.body)),)
            return [_around(body, others)]
        return self.blocks(lanes, BLOCK, lambda inner, values: _vector(inner, nest.body, values), nest)

    def blocks(self, lanes: Axis, size: int, body: Any, nest: Nest) -> list[tuple[Statement, ...]]:
        """A long axis as blocks that are shared out, and one block for what is left."""
        size = next((s for s in range(size, size // 4, -1) if lanes.extent % s == 0), size)
        whole, left = divmod(lanes.extent, size)
        number, inside = self.axis(whole), self.axis(size)
        value = ix.add([(ix.axis(number.name), size), (ix.axis(inside.name), 1)])
        found: list[tuple[Statement, ...]] = [
            (Loop(number.name, whole, "parallel", body(inside, {lanes.name: value})),)
        ]
        if left:
            rest = self.axis(left)
            found.append(body(rest, {lanes.name: ix.add([(ix.axis(rest.name), 1)], whole * size)}))
        return found

    def fold(self, nest: Nest, lanes: Axis) -> tuple[Statement, ...]:
        """Lanes along what is folded."""
        return _around(_fold(nest, lanes), nest.axes)

    def columns(self, nest: Nest, lanes: Axis) -> list[tuple[Statement, ...]]:
        """Lanes along what is kept, each with its own fold."""
        others = [a for a in nest.axes if a != lanes]

        def strip(inside: Axis, values: Any) -> tuple[Statement, ...]:
            own = renamed_axes(nest, nest.axes, values) if values else nest
            body: tuple[Statement, ...] = (*own.body, *[Accumulate(f.name, f.value) for f in own.folds])
            for axis in reversed(own.inner):
                body = (Loop(axis.name, axis.extent, "serial", body),)
            begin = [Reset(f.name, f.reducer, f.dtype) for f in own.folds]
            return (Loop(inside.name, inside.extent, "vector", (*begin, *body, *own.after)),)

        if others or lanes.extent <= STRIP:
            return [_around(strip(lanes, {}), others)]
        return self.blocks(lanes, STRIP, strip, nest)

    def product(self, nest: Nest) -> tuple[Statement, ...]:
        product = nest.product
        assert product is not None
        *others, rows, columns = nest.axes
        a, b = product.a, product.b
        first = next(s for s in nest.after if isinstance(s, Store))
        assert isinstance(first.index, Affine)
        if ix.coefficient(first.index, columns.name) != 1 and ix.coefficient(first.index, rows.name) == 1:
            rows, columns, a, b = columns, rows, b, a  # (a b)ᵀ = bᵀ aᵀ
        sizes = rows.extent, columns.extent, product.inner.extent
        width = 0 if others else _strips(*sizes, itemsize(product.dtype), _streams(nest, rows))
        after = tuple(nest.after)
        if width:
            number, inside = self.axis(columns.extent // width), self.axis(width)
            values = {columns.name: ix.add([(ix.axis(number.name), width), (ix.axis(inside.name), 1)])}
            others, columns = [number], inside
            a, b = (moved(load, values) for load in (a, b))
            after = tuple([with_axes(s, values) for s in after])
        body = MatMul(rows, columns, product.inner, a, b, product.name, product.dtype, after)
        return _around((body,), others)

    # Nests over the same rows

    def rows(self, group: Group, inside: set[int]) -> Piece:
        """One loop over rows; in it, phases that each go along the row once."""
        local = self.scratch(group, inside)
        rows = {r.name for r in group.rows}
        phases: list[_Phase] = []
        known: dict[Any, Any] = {}  # what has been stored for the whole row, by buffer and index
        for nest in group.nests:
            nest = _rowless(nest, group.rows)
            inner = nest.inner if nest.folds else nest.axes
            phase = phases[-1] if phases else None
            if phase is None or not phase.takes(nest, inner):
                phase = _Phase(inner)
                phases.append(phase)
            phase.add(nest, inner, known)
        body = [s for phase in phases for s in phase.statements()]
        found = [_contracted(s, local, rows) for s in body]
        used = {s.value.buffer for s in opened(found) if isinstance(s, Let) and isinstance(s.value, Load)}
        found = _without_stores(found, {b for b in local if b not in used})
        return Piece(_around(tuple(found), group.rows), {b: n for b, n in local.items() if b in used})

    def scratch(self, group: Group, inside: set[int]) -> dict[int, int]:
        """The buffers that can be kept for one row at a time, with the elements of a row."""
        rows = math.prod(r.extent for r in group.rows)
        sizes = {b: self.memory[b].size // rows for b in inside}
        total = sum(n * itemsize(self.memory[b].dtype) for b, n in sizes.items())
        return sizes if total <= SCRATCH else {}


class _Phase:
    """Nests that go along the row together."""

    def __init__(self, inner: Sequence[Axis]) -> None:
        self.inner = list(inner)
        self.body: list[Any] = []
        self.folds: list[Any] = []
        self.after: list[Any] = []
        self.made: dict[int, Any] = {}  # buffer -> index and value stored in this phase's loop

    def takes(self, nest: Nest, inner: Sequence[Axis]) -> bool:
        """Whether a nest needs nothing that this phase has only at its end."""
        if [a.extent for a in inner] != [a.extent for a in self.inner]:
            return False
        late = {s.buffer for s in self.after if isinstance(s, Store)}
        values = self.renamed(inner)
        for load in nest.loads():
            if load.buffer in late:
                return False
            if load.buffer in self.made:
                if not isinstance(load.index, Affine):
                    return False
                if ix.substitute(load.index, values) != self.made[load.buffer][0]:
                    return False
        return True

    def renamed(self, inner: Sequence[Axis]) -> dict[str, Affine]:
        return {old.name: ix.axis(own.name) for old, own in zip(inner, self.inner, strict=True)}

    def add(self, nest: Nest, inner: Sequence[Axis], known: dict[Any, Any]) -> None:
        values = self.renamed(inner)
        forwarded: dict[Any, Any] = {}
        for statement in nest.body:
            statement = with_atoms(with_axes(statement, values), forwarded)
            if isinstance(statement, Let) and isinstance(statement.value, Load):
                load = statement.value
                made = self.made.get(load.buffer)
                found = made[1] if made is not None and made[0] == load.index else known.get((load.buffer, load.index))
                if found is not None:
                    forwarded[Name(statement.name)] = found
                    continue
            if isinstance(statement, Store) and statement.reducer is None:
                if self.inner:
                    self.made[statement.buffer] = (statement.index, statement.value)
                else:
                    known[statement.buffer, statement.index] = statement.value
            self.body.append(statement)
        self.folds += [f._replace(value=forwarded.get(f.value, f.value)) for f in nest.folds]
        for statement in nest.after:
            statement = with_atoms(statement, forwarded)
            if isinstance(statement, Let) and isinstance(statement.value, Load):
                found = known.get((statement.value.buffer, statement.value.index))
                if found is not None:
                    forwarded[Name(statement.name)] = found
                    continue
            if isinstance(statement, Store) and statement.reducer is None:
                known[statement.buffer, statement.index] = statement.value
            self.after.append(statement)

    def statements(self) -> tuple[Statement, ...]:
        if not self.inner:
            return tuple(self.body)
        nest = Nest([], self.inner, self.body, self.folds, self.after)
        lanes = _along_lanes(nest, self.inner) or self.inner[-1]
        return _fold(nest, lanes)


def _flat(nest: Nest) -> bool:
    return nest.is_map and len(nest.axes) == 1


def _fold(nest: Nest, lanes: Axis) -> tuple[Statement, ...]:
    """Lanes along ``lanes``, the other inner axes around it, accumulators around them."""
    body: tuple[Statement, ...] = (*nest.body, *[Accumulate(f.name, f.value) for f in nest.folds])
    body = (Loop(lanes.name, lanes.extent, "vector", body),)
    for axis in reversed([a for a in nest.inner if a != lanes]):
        body = (Loop(axis.name, axis.extent, "serial", body),)
    return (*[Reset(f.name, f.reducer, f.dtype) for f in nest.folds], *body, *nest.after)


def _vector(inner: Axis, body: Sequence[Any], values: Any) -> tuple[Statement, ...]:
    return (Loop(inner.name, inner.extent, "vector", tuple([with_axes(s, values) for s in body])),)


def _around(body: tuple[Statement, ...], axes: Sequence[Axis]) -> tuple[Statement, ...]:
    """Loops over axes around a body, the first shared out."""
    for i, axis in enumerate(reversed(axes)):
        body = (Loop(axis.name, axis.extent, "parallel" if i == len(axes) - 1 else "serial", body),)
    return body


def _along_lanes(nest: Nest, axes: Sequence[Axis]) -> Axis | None:
    """The axis along which most of what is loaded and stored is contiguous; None without axes."""
    if not axes:
        return None
    indices: list[tuple[Any, int]] = [(load.index, 2) for load in nest.loads()]
    indices += [(store.index, 3) for store in nest.stores()]

    def score(number: int) -> tuple[int, int]:
        axis = axes[number]
        points = 0
        for index, weight in indices:
            if not isinstance(index, Affine):
                continue
            step = abs(ix.coefficient(index, axis.name))
            points += weight if step == 1 else 0 if step == 0 else -weight
        return (points if axis.extent > 4 else min(points, 0), number)

    return axes[max(range(len(axes)), key=score)]


def _streams(nest: Nest, rows: Axis) -> int:
    """How many arrays as long as the result what follows a product reads."""
    loads = [s.value for s in nest.after if isinstance(s, Let) and isinstance(s.value, Load)]
    return sum(isinstance(x.index, Affine) and ix.coefficient(x.index, rows.name) != 0 for x in loads)


def _strips(rows: int, columns: int, inner: int, size: int, streams: int) -> int:
    """The width of the strips of columns that a product is shared out by; 0 to share out its rows.

    Every part of the work packs what it needs of the right factor: cut by columns, each element is packed once, and
    the rows fill their tiles. But the left factor is read by every part, and other arrays in short pieces of rows: a
    tall product is cut by rows, and one with such arrays if it is taller than wide. The width keeps vectors whole.
    """
    small = product_time(rows, columns, inner, size) < LARGE_PRODUCT and inner * columns < LARGE_FACTOR
    if rows > (TALL if streams < STREAMS else 1) * columns or small:
        return 0
    least = max(columns // MOST, 2 * STRIP if rows > columns else 8 * STRIP if rows <= FEW else 0)
    fits = (w for w in range(STRIP // 4, columns // 2 + 1, STRIP // 4) if columns % w == 0 and w >= least)
    return next(fits, 0)


def _rowless(nest: Nest, rows: Sequence[Axis]) -> Nest:
    """The nest inside the loop over rows."""
    return replace(nest, axes=nest.axes[len(rows) :])


def _contracted(statement: Any, local: dict[int, int], rows: set[str]) -> Any:
    """A statement that finds scratch buffers without their rows."""
    drop: Any = lambda i: Affine(i.offset, tuple(t for t in i.terms if t[0] not in rows))
    if isinstance(statement, Loop):
        return statement._replace(body=tuple([_contracted(s, local, rows) for s in statement.body]))
    if isinstance(statement, Let) and isinstance(statement.value, Load) and statement.value.buffer in local:
        return statement._replace(value=statement.value._replace(index=drop(statement.value.index)))
    if isinstance(statement, Store) and statement.buffer in local:
        return statement._replace(index=drop(statement.index))
    return statement


def _without_stores(statements: Sequence[Any], buffers: set[int]) -> list[Any]:
    kept = []
    for statement in statements:
        if isinstance(statement, Store) and statement.buffer in buffers:
            continue
        if isinstance(statement, Loop):
            statement = statement._replace(body=tuple(_without_stores(statement.body, buffers)))
        kept.append(statement)
    return kept
