"""Matrix products with an epilogue.

Columns are taken a panel at a time, as wide as a tile of registers; a panel of b that memory would serve badly is
packed first. A block of rows of the panel is summed up in memory of the call's own and handed to the epilogue. Shapes
are static, so all of this is decided once, in ``tiling.py``. The way of thinking is that of Goto and van de Geijn,
"Anatomy of high-performance matrix multiplication" (ACM TOMS 34, 2008).

The sum over k is taken in order within parts of a fixed length, and the parts are added in order: an element has the
same bits whatever rows it is computed with, and long sums lose less than they would in one piece.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .builder import PTR, SIZES, Builder, Type, Value, integer, number
from .target import Target
from .tiles import Dot, Strides, Tile, at, emit_dot, emit_pack, emit_tile, least, multiply_add, panel_pitch
from .tiling import STACK, Plan, choose

Epilogue = Callable[[Value, Value, Value], None]


@dataclass(frozen=True)
class Operand:
    """A matrix in memory: the address of its first element, and elements from one row or column to the next."""

    pointer: Value
    rows: int
    columns: int


@dataclass
class Product:
    """What the parts of an emission share: a block of the result, its ``pitch``, and where b and a are packed."""

    f: Builder
    target: Target
    scalar: str
    sizes: tuple[int, int, int]
    a: Operand
    b: Operand
    plan: Plan
    pitch: int
    result: Value
    panel: Value
    rows: Value
    heap: Callable[[int], Value]

    @property
    def edge(self) -> int:
        """Where the panels end that are as wide as a tile."""
        n = self.sizes[1]
        return n // self.plan.width * self.plan.width

    @property
    def along(self) -> int:
        """Elements from one row of a packed panel to the next: whole registers, unless panels are narrower tiles."""
        width = self.plan.width
        return width if width < self.sizes[1] else panel_pitch(self.target, self.scalar, width)

    def at(self, base: Value, *terms: tuple[Value, int]) -> Value:
        return at(self.f, base, self.scalar, *terms)

    def local(self, count: int) -> Value:
        """Memory for so many elements: on the stack what the smallest stacks have room for."""
        size = count * SIZES[self.scalar]
        return self.f.local(Type(self.scalar), count) if size <= STACK else self.heap(size)


def product(
    f: Builder,
    target: Target,
    scalar: str,
    sizes: tuple[int, int, int],
    a: Operand,
    b: Operand,
    begin: Value,
    end: Value,
    epilogue: Epilogue,
) -> None:
    """Emit rows [begin, end) of a @ b, [M,K] @ [K,N] -> [M,N], each finished piece given to ``epilogue``.

    Parameters
    ----------
    sizes : M, N, K
    begin, end : i64, 0 ≤ begin ≤ end ≤ M; rows of ``a`` beyond them may be read, and are not used
    epilogue : called with row, first column (i64) and a value: a scalar, or a vector whose lanes are columns
    """
    m, n, k = sizes
    if not m or not n:
        return
    # the stride of an axis of length 1 says nothing
    a = Operand(a.pointer, a.rows, 1 if k == 1 else a.columns)
    b = Operand(b.pointer, 1 if k == 1 else b.rows, 1 if n == 1 else b.columns)
    plan = choose(target, SIZES[scalar], sizes, Strides(a.rows, a.columns), Strides(b.rows, b.columns))
    pitch = plan.width if plan.way == "dot" else panel_pitch(target, scalar, plan.span)
    with f.heap() as heap:
        p = Product(f, target, scalar, sizes, a, b, plan, pitch, b.pointer, b.pointer, a.pointer, heap)
        {"direct": direct, "column": column}.get(plan.way, blocked)(p, begin, end, epilogue)


def column(p: Product, begin: Value, end: Value, epilogue: Epilogue) -> None:
    """A narrow result as the tiles of its transpose, so that lanes are rows."""
    f, plan, (m, n, k) = p.f, p.plan, p.sizes
    p.result = p.local(n * plan.rows)
    strides = Strides(p.b.columns, p.b.rows)
    tile = Tile(p.scalar, plan.width, plan.rows, strides, p.a.columns, plan.rows, plan.depth < k, False)
    name = "@" + emit_tile(f.module, p.target, tile)
    with f.loop(begin, end, plan.rows) as i:
        start = least(f, i, integer(m - plan.rows))
        if plan.depth < k:
            clear(p, n * plan.rows)
        with steps(f, k, plan.depth) as k0, steps(f, n, plan.width) as j:
            b = p.at(p.b.pointer, (k0, p.b.rows), (j, p.b.columns))
            a = p.at(p.a.pointer, (start, 1), (k0, p.a.columns))
            call(f, name, b, a, p.at(p.result, (j, plan.rows)), until(f, k0, k, plan.depth))
        with f.loop(i, least(f, f.op("add nsw", i, integer(plan.rows)), end)) as row:
            line = p.at(p.result, (row, 1), (start, -1))
            lanes = [f.load(p.at(line, (integer(column), plan.rows)), Type(p.scalar)) for column in range(n)]
            value = lanes[0] if n == 1 else Value("poison", Type(p.scalar, n))
            for place, lane in enumerate(lanes if n > 1 else []):
                value = f.insert(value, lane, place)
            epilogue(row, integer(0), value)


def direct(p: Product, begin: Value, end: Value, epilogue: Epilogue) -> None:
    """A row at a time, straight to the epilogue. What fits a register of b stays there."""
    f, (_, n, k) = p.f, p.sizes
    if p.plan.packed:
        p.panel = p.local(k * p.pitch)

    def panel(j: Value, width: int) -> None:
        type = Type(p.scalar, width if width > 1 else 0)
        if p.plan.packed:
            pack(p, j, j, integer(0), integer(k))

        def row_of_b(i: int) -> Value:
            if p.plan.packed:
                return f.load(p.at(p.panel, (integer(i), p.pitch)), type)
            return f.load(p.at(p.b.pointer, (integer(i), p.b.rows), (j, 1)), type)

        kept = [row_of_b(i) for i in range(k)] if width <= p.target.lanes(SIZES[p.scalar]) else []
        with f.loop(begin, end) as row:
            line = p.at(p.a.pointer, (row, p.a.rows))
            total = number(0, type)
            for i in range(k):
                x = f.load(p.at(line, (integer(i), p.a.columns)), Type(p.scalar))
                total = multiply_add(f, p.target, f.splat(x, type.lanes), kept[i] if kept else row_of_b(i), total)
            epilogue(row, j, total)

    if p.edge:
        with steps(f, p.edge, p.plan.width) as j:
            panel(j, p.plan.width)
    if p.edge < n:
        panel(integer(p.edge), n - p.edge)


def blocked(p: Product, begin: Value, end: Value, epilogue: Epilogue) -> None:
    f, plan, (_, n, k) = p.f, p.plan, p.sizes
    p.result = p.local(plan.height * p.pitch)
    if plan.packed:
        elements = plan.depth if plan.packed == "part" else k * -(-plan.span // plan.width)
        p.panel = p.local(elements * p.along + p.target.lanes(SIZES[p.scalar]))  # rows are copied in whole registers
    if plan.rows_packed:
        p.rows = p.local(plan.height * plan.depth + panel_pitch(p.target, p.scalar, plan.rows) - plan.rows)
    with steps(f, n, plan.span) as j:
        if plan.packed == "whole":
            with panels(p, j) as j1:
                pack(p, j, j1, integer(0), integer(k))
        with f.loop(begin, end, plan.height) as first:
            last = least(f, f.op("add nsw", first, integer(plan.height)), end)
            if plan.depth < k:
                clear(p, plan.height * p.pitch)
            with steps(f, k, plan.depth) as k0:
                depth = until(f, k0, k, plan.depth)
                if plan.rows_packed:
                    pack_rows(p, first, last, k0, depth)
                with panels(p, j) as j1:
                    if plan.packed == "part":
                        pack(p, j1, j1, k0, depth)
                    add(p, first, last, j, j1, k0, depth)
            sweep(p, first, last, j, epilogue)


@contextlib.contextmanager
def panels(p: Product, j: Value) -> Iterator[Value]:
    """The first columns of the panels of a block."""
    f, plan = p.f, p.plan
    if plan.span == plan.width:
        yield j
    else:
        right = least(f, f.op("add nsw", j, integer(plan.span)), integer(p.sizes[1]))
        with f.loop(j, right, plan.width) as j1:
            yield j1


@contextlib.contextmanager
def steps(f: Builder, end: int, step: int) -> Iterator[Value]:
    """A loop from 0, or none where it would run once."""
    if end <= step:
        yield integer(0)
    else:
        with f.loop(integer(0), integer(end), step) as index:
            yield index


def until(f: Builder, begin: Value, end: int, step: int) -> Value:
    """How far a step of ``steps`` goes: ``step``, or what is left to the end."""
    if end <= step:
        return integer(end)
    return integer(step) if end % step == 0 else least(f, integer(step), f.op("sub nsw", integer(end), begin))


def by_width(p: Product, j: Value, name: Callable[[int], str]) -> str:
    """The function for the panel at column j: the one for whole panels, or that for what is left at the end.

    Chosen by address, so that the code around the call is there once.
    """
    n, width = p.sizes[1], p.plan.width
    names = ["@" + name(w) for w in (width if p.edge else 0, n - p.edge) if w]
    if len(set(names)) == 1:
        return names[0]
    whole = p.f.compare("icmp slt", j, integer(p.edge))
    return p.f.select(whole, Value(names[0], PTR), Value(names[1], PTR)).text


def call(f: Builder, name: str, *args: Value) -> None:
    f.line(f"call void {name}({', '.join(f'{v.type} {v.text}' for v in args)})")


def panel_at(p: Product, j: Value, j1: Value) -> Value:
    """Where the panel at column j1 is packed, the first of its block being at column j."""
    return p.panel if j is j1 else p.at(p.panel, (j1, p.sizes[2]), (j, -p.sizes[2]))


def pack(p: Product, j: Value, j1: Value, k0: Value, depth: Value) -> None:
    """Copy the panel of b at column j1: its rows, or for dot products its columns, one after the other."""
    f, b, k = p.f, p.b, p.sizes[2]
    width = until(f, j1, p.sizes[1], p.plan.width)
    source, panel = p.at(b.pointer, (k0, b.rows), (j1, b.columns)), panel_at(p, j, j1)
    if p.plan.way == "dot":
        name = "@" + emit_pack(f.module, p.target, p.scalar, 0, k, Strides(b.columns, b.rows))
        call(f, name, source, panel, width, integer(k))
    else:
        strides = Strides(b.rows, b.columns)
        name = by_width(p, j1, lambda w: emit_pack(f.module, p.target, p.scalar, w, p.along, strides))
        call(f, name, source, panel, depth, width)


def pack_rows(p: Product, first: Value, last: Value, k0: Value, depth: Value) -> None:
    """Copy what the tiles of a block need of a, in the order they need it.

    Where a's columns lie in memory they are read whole, for all tiles: from one to the next may be a page or more.
    """
    f, rows = p.f, p.plan.rows
    if p.a.rows == 1:
        with f.loop(integer(0), depth) as k, f.loop(first, last, rows) as i:
            values = f.load(p.at(rows_at(p, i, k0), (k, p.a.columns)), Type(p.scalar, rows if rows > 1 else 0))
            f.store(values, p.at(p.rows, (i, p.plan.depth), (first, -p.plan.depth), (k, rows)))
        return
    name = "@" + emit_pack(f.module, p.target, p.scalar, rows, rows, Strides(p.a.columns, p.a.rows))
    with f.loop(first, last, rows) as i:
        to = p.at(p.rows, (i, p.plan.depth), (first, -p.plan.depth))
        call(f, name, rows_at(p, i, k0), to, depth, integer(rows))


def rows_at(p: Product, i: Value, k0: Value) -> Value:
    """Where a tile's rows of a begin. The last tile is moved up to end at row M."""
    return p.at(p.a.pointer, (least(p.f, i, integer(p.sizes[0] - p.plan.rows)), p.a.rows), (k0, p.a.columns))


def add(p: Product, first: Value, last: Value, j: Value, j1: Value, k0: Value, depth: Value) -> None:
    """Sum a part of the inner axis for a block of rows of the panel at column j1."""
    f, plan, k = p.f, p.plan, p.sizes[2]
    pitch = p.along if plan.packed else p.b.rows
    padded = bool(plan.packed) and p.b.columns == 1
    strides = Strides(1, plan.rows) if plan.rows_packed else Strides(p.a.rows, p.a.columns)

    def name(width: int) -> str:
        if plan.way == "dot":
            columns = k if plan.packed else p.b.columns
            return emit_dot(f.module, p.target, Dot(p.scalar, plan.rows, width, p.a.rows, columns, p.pitch, k))
        tile = Tile(p.scalar, plan.rows, width, strides, pitch, p.pitch, plan.depth < k, padded)
        return emit_tile(f.module, p.target, tile)

    function = by_width(p, j1, name)
    b = p.at(p.b.pointer, (k0, p.b.rows), (j1, p.b.columns))
    if plan.packed:
        b = p.panel if plan.packed == "part" else p.at(panel_at(p, j, j1), (k0, pitch))
    right = ((j1, 1), (j, -1)) if plan.span > plan.width else ()
    with f.loop(first, last, plan.rows) as i:
        if plan.rows_packed:
            a = p.at(p.rows, (i, plan.depth), (first, -plan.depth))
        else:
            a = rows_at(p, i, k0)
        call(f, function, a, b, p.at(p.result, (i, p.pitch), (first, -p.pitch), *right), depth)


def clear(p: Product, count: int) -> None:
    lanes = p.target.lanes(SIZES[p.scalar])
    with p.f.loop(integer(0), integer(count), lanes) as i:
        p.f.store(number(0, Type(p.scalar, lanes)), p.at(p.result, (i, 1)))


def sweep(p: Product, first: Value, last: Value, j: Value, epilogue: Epilogue) -> None:
    """Hand a finished block to the epilogue. Where a tile was moved up, its rows are that much further down."""
    f, plan, (m, n, _) = p.f, p.plan, p.sizes
    lanes = min(plan.lanes, n)
    whole = n // lanes * lanes
    with f.loop(first, last, plan.rows) as i:
        moved = f.op("sub nsw", i, least(f, i, integer(m - plan.rows)))
        down = f.op("sub nsw", moved, first)
        with f.loop(i, least(f, f.op("add nsw", i, integer(plan.rows)), last)) as row:
            line = p.at(p.result, (f.op("add nsw", row, down), p.pitch))

            def piece(column: Value, count: int, line: Value = line, row: Value = row) -> None:
                value = f.load(p.at(line, (column, 1), (j, -1)), Type(p.scalar, count if count > 1 else 0))
                epilogue(row, column, value)

            if n <= plan.span and whole == lanes:
                piece(j, lanes)
            else:
                right = least(f, f.op("add nsw", j, integer(plan.span)), integer(whole))
                with f.loop(j, right, lanes) as column:
                    piece(column, lanes)
            if whole < n:
                at_edge = f.compare("icmp sge", j, integer(n - plan.span))
                with f.when(at_edge) if n > plan.span else contextlib.nullcontext():
                    piece(integer(whole), n - whole)
