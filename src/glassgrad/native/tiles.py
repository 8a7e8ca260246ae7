"""The inner functions of a matrix product: a tile of the result held in registers, a dot product, packing.

Each is a function of its own in the module, named after its parameters, so that products that need the same one share
it: what they cost to compile is paid once. Strides are constants, which makes every address of a tile one register
plus a displacement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from .builder import FLOATS, I32, I64, PTR, SIZES, Builder, Module, Type, Value, integer, number
from .target import Target

ATTRIBUTES = "nounwind noinline"


class Strides(NamedTuple):
    """Elements from one row, and from one column, to the next."""

    rows: int
    columns: int


def pieces(target: Target, scalar: str, width: int) -> list[Type]:
    """The registers that hold ``width`` elements: full ones, then one of what is left, a scalar if that is 1."""
    lanes = target.lanes(SIZES[scalar])
    full, rest = divmod(width, lanes)
    return [Type(scalar, lanes)] * full + ([Type(scalar, rest if rest > 1 else 0)] if rest else [])


def multiply_add(f: Builder, target: Target, a: Value, b: Value, c: Value) -> Value:
    """a · b + c: rounded once where the machine does so in one instruction, twice elsewhere."""
    if a.type.scalar not in FLOATS:
        return f.op("add", f.op("mul", a, b), c)
    return f.fma(a, b, c) if target.fma else f.op("fadd", f.op("fmul", a, b), c)


def at(f: Builder, base: Value, scalar: str, *terms: tuple[Value, int]) -> Value:
    """The address Σ index · stride elements after ``base``; constant indices are folded."""
    known, total = 0, None
    for index, stride in terms:
        if index.text[0] != "%":
            known += int(index.text) * stride
        elif stride:
            step = index if stride == 1 else f.op("mul nsw", index, integer(stride))
            total = step if total is None else f.op("add nsw", total, step)
    if total is not None:
        base = f.address(base, scalar, total)
    return f.address(base, scalar, integer(known)) if known else base


def least(f: Builder, a: Value, b: Value) -> Value:
    """min(a, b) of two i64."""
    if a.text[0] != "%" and b.text[0] != "%":
        return integer(min(int(a.text), int(b.text)))
    return f.intrinsic("smin", I64, a, b)


def repeat(
    f: Builder, count: Value, values: Sequence[Value], body: Callable[[list[Value]], list[Value]]
) -> list[Value]:
    """values = body(values), ``count`` ≥ 1 times. Carried as phis, tested at the end: nothing is left to optimise."""
    before = f.label
    (again, done) = f.labels("again", "done")
    f.line(f"br label %{again}")
    f.block(again)
    place = len(f.lines)
    carried = [f.define(v.type, "phi") for v in (*values, integer(0))]
    after = body(carried[:-1])
    after.append(f.op("add nsw", carried[-1], integer(1)))
    more = f.compare("icmp slt", after[-1], count)
    f.line(f"br i1 {more.text}, label %{again}, label %{done}")
    for i, (old, begun, changed) in enumerate(zip(carried, (*values, integer(0)), after, strict=True)):
        f.lines[place + i] = (
            f"  {old.text} = phi {old.type} [ {begun.text}, %{before} ], [ {changed.text}, %{f.label} ]"
        )
    f.block(done)
    return after[:-1]


@contextmanager
def shared(module: Module, name: str, parameters: Sequence[tuple[Type, str, str]]) -> Iterator[Builder | None]:
    """The body of a function of this name, or None if the module has it already."""
    if any(text.startswith(f"define internal void @{name}(") for text in module.functions):
        yield None
        return
    f = Builder(module, name, parameters, linkage="internal", attributes=ATTRIBUTES)
    yield f
    f.line("ret void")
    f.finish()


READ, WRITE = "noalias nocapture readonly", "noalias nocapture"


class Tile(NamedTuple):
    """A part of the result that is held in registers while k runs.

    ``rows`` by ``width`` elements of a · b, where element (i, k) of a is at ``a.rows`` · i + ``a.columns`` · k and
    (k, j) of b at ``pitch`` · k + j; ``into`` is the row stride of the result. ``added``: to what is there.
    ``padded``: rows of b have 0 up to whole registers.
    """

    scalar: str
    rows: int
    width: int
    a: Strides
    pitch: int
    into: int
    added: bool
    padded: bool

    def held(self, lanes: int) -> list[tuple[tuple[int, ...], int]]:
        """What each register that is summed in belongs to: rows, and which register of theirs."""
        full, rest = divmod(self.width, lanes)
        together = rows_together(lanes, self.rows, self.width)
        whole = full + (rest > 0 and together == 1)
        found: list[tuple[tuple[int, ...], int]] = []
        for first in range(0, self.rows, together):
            group = tuple(range(first, first + together))
            found += [((row,), p) for row in group for p in range(whole)]
            if together > 1:
                found.append((group, full))
        return found

    @property
    def name(self) -> str:
        flags = "_added" * self.added + "_padded" * self.padded
        return "_".join(map(str, ("tile", self.scalar, self.rows, self.width, *self.a, self.pitch, self.into))) + flags


def rows_together(lanes: int, rows: int, width: int) -> int:
    """How many rows share a register for what they have beyond whole registers.

    A product takes as long for two lanes as for eight. To have the lanes of several rows side by side, their elements
    of a are blended, which other units do.
    """
    rest = width % lanes
    return math.gcd(rows, lanes // rest) if width > lanes and rest > 1 and lanes % rest == 0 else 1


def emit_tile(module: Module, target: Target, tile: Tile) -> str:
    """The function ``void name(ptr a, ptr b, ptr c, i64 depth)`` of a tile; c's rows hold whole registers.

    One step of k in a round: of two, LLVM reads b ahead, and tiles that take nearly all registers lose some to memory.
    """
    scalar = tile.scalar
    parameters = [(PTR, "a", READ), (PTR, "b", READ), (PTR, "c", WRITE), (I64, "depth", "")]
    with shared(module, tile.name, parameters) as f:
        if f is None:
            return tile.name
        lanes = target.lanes(SIZES[scalar])
        vector = Type(scalar, lanes)
        exact = pieces(target, scalar, tile.width)
        held = tile.held(lanes)
        beside = any(len(rows) > 1 for rows, _ in held)  # rows share registers
        full = [vector] * len(exact)
        inside = full if tile.padded and not beside else exact  # what of each register is there
        wide = full if (tile.padded or (target.masks and tile.width > 1)) and not beside else exact

        def step(carried: list[Value]) -> list[Value]:
            a, b, *sums = carried
            row = [
                load_lanes(f, target, at(f, b, scalar, (integer(lanes * p), 1)), t, there.lanes)
                for p, (t, there) in enumerate(zip(wide, inside, strict=True))
            ]
            if beside:
                row[-1] = f.shuffle(row[-1], None, [lane % exact[-1].lanes for lane in range(lanes)])
            xs: dict[int, Value] = {}
            for i, (rows, p) in enumerate(held):
                for r in rows:
                    if r not in xs:
                        xs[r] = f.load(at(f, a, scalar, (integer(r), tile.a.rows)), Type(scalar))
                x = blended(f, [f.splat(xs[r], row[p].type.lanes) for r in rows])
                sums[i] = multiply_add(f, target, x, row[p], sums[i])
            return [f.address(a, scalar, integer(tile.a.columns)), f.address(b, scalar, integer(tile.pitch)), *sums]

        zeros = [number(0, wide[p] if len(rows) == 1 else vector) for rows, p in held]
        _, _, *sums = repeat(f, f.arguments["depth"], [f.arguments["a"], f.arguments["b"], *zeros], step)
        for (rows, p), total in zip(held, sums, strict=True):
            for i, r in enumerate(rows):
                begin, count = lanes // len(rows) * i, exact[p].lanes
                own = total if len(rows) == 1 else f.shuffle(total, None, range(begin, begin + count))
                place = at(f, f.arguments["c"], scalar, (integer(r), tile.into), (integer(p * lanes), 1))
                if tile.added:
                    own = f.op("fadd" if scalar in FLOATS else "add", f.load(place, own.type), own)
                f.store(own, place)
    return tile.name


def blended(f: Builder, values: list[Value]) -> Value:
    """One vector, of each value in turn as many lanes as all have room for."""
    lanes = values[0].type.lanes
    total = values[0]
    for i, value in enumerate(values[1:], 1):
        begin = lanes // len(values) * i
        total = f.shuffle(total, value, [lane if lane < begin else lanes + lane for lane in range(lanes)])
    return total


class Dot(NamedTuple):
    """Rows of a by columns of b, both of which lie along k: ``rows`` by ``width`` of them at once.

    Row i of a begins at ``a`` · i, column j of b at ``b`` · j, row i of the result at ``into`` · i; k runs to
    ``depth``.
    """

    scalar: str
    rows: int
    width: int
    a: int
    b: int
    into: int
    depth: int

    @property
    def name(self) -> str:
        return "_".join(["dot", *map(str, self)])


def emit_dot(module: Module, target: Target, dot: Dot) -> str:
    """``void name(ptr a, ptr b, ptr c, i64 unused)``; what c has between its rows is overwritten."""
    scalar, pairs = dot.scalar, [(r, j) for r in range(dot.rows) for j in range(dot.width)]
    with shared(module, dot.name, [(PTR, "a", READ), (PTR, "b", READ), (PTR, "c", WRITE), (I64, "unused", "")]) as f:
        if f is None:
            return dot.name
        lanes = target.lanes(SIZES[scalar])
        vector = Type(scalar, lanes)

        def step(carried: list[Value], have: int = lanes) -> list[Value]:
            a, b, *sums = carried
            xs = [load_lanes(f, target, at(f, a, scalar, (integer(r), dot.a)), vector, have) for r in range(dot.rows)]
            ys = [load_lanes(f, target, at(f, b, scalar, (integer(j), dot.b)), vector, have) for j in range(dot.width)]
            sums = [multiply_add(f, target, xs[r], ys[j], total) for (r, j), total in zip(pairs, sums, strict=True)]
            return [f.address(a, scalar, integer(lanes)), f.address(b, scalar, integer(lanes)), *sums]

        carried = [f.arguments["a"], f.arguments["b"], *[number(0, vector)] * len(pairs)]
        if dot.depth >= lanes:
            carried = repeat(f, integer(dot.depth // lanes), carried, step)
        if dot.depth % lanes:
            carried = step(carried, dot.depth % lanes)
        sums = [carried[2 + r * dot.width + min(j, dot.width - 1)] for r in range(dot.rows) for j in range(dot.into)]
        for i in range(0, len(sums), lanes):
            f.store(across(f, sums[i : i + lanes]), at(f, f.arguments["c"], scalar, (integer(i), 1)))
    return dot.name


def across(f: Builder, sums: list[Value]) -> Value:
    """The lanes of each vector added up, as the lanes of one: neighbours first, two vectors at a time."""
    code = "fadd" if sums[0].type.scalar in FLOATS else "add"
    wanted = len(sums)
    count = 1 << (wanted - 1).bit_length()
    sums = sums + sums[-1:] * (count - wanted)
    lanes = sums[0].type.lanes
    while len(sums) > 1:
        even, odd = range(0, 2 * lanes, 2), range(1, 2 * lanes, 2)
        pairs = zip(sums[::2], sums[1::2], strict=True)
        sums = [f.op(code, f.shuffle(a, b, even), f.shuffle(a, b, odd)) for a, b in pairs]
    total = sums[0]
    while lanes > count:
        total = f.op(code, f.shuffle(total, None, range(0, lanes, 2)), f.shuffle(total, None, range(1, lanes, 2)))
        lanes //= 2
    if wanted == 1:
        return f.extract(total, 0)
    return total if wanted == lanes else f.shuffle(total, None, range(wanted))


def load_lanes(f: Builder, target: Target, pointer: Value, type: Type, have: int) -> Value:
    """Lanes of this type of which only the first ``have`` are in memory; the others are 0."""
    if have == type.lanes:
        return f.load(pointer, type)
    have = max(have, 1)
    if not target.masks:
        known = f.splat(f.load(pointer, Type(type.scalar, have if have > 1 else 0)), have)
        return f.shuffle(known, number(0, known.type), [min(i, have) for i in range(type.lanes)])
    bits = ", ".join(f"i1 {'true' if i < have else 'false'}" for i in range(type.lanes))
    mask = Value(f"<{bits}>", Type("i1", type.lanes))
    align = Value(str(SIZES[type.scalar]), I32)
    return f.intrinsic("masked.load", type, pointer, align, mask, number(0, type), overload=[type, PTR])


def panel_pitch(target: Target, scalar: str, width: int) -> int:
    """Elements from one row of a panel of this width to the next: whole registers."""
    lanes = target.lanes(SIZES[scalar])
    return -(-width // lanes) * lanes


def emit_pack(module: Module, target: Target, scalar: str, width: int, pitch: int, strides: Strides) -> str:
    """``void name(ptr from, ptr to, i64 depth, i64 width)``: ``depth`` rows of ``width`` elements, ``pitch`` apart.

    Rows that are not rows in memory are gathered; the function is then one for every width.
    """
    together = strides.columns == 1
    name = "_".join(map(str, ("pack", scalar, pitch, *strides, *([width] if together else []))))
    with shared(module, name, [(PTR, "from", READ), (PTR, "to", WRITE), (I64, "depth", ""), (I64, "width", "")]) as f:
        if f is None:
            return name
        size = SIZES[scalar]
        high = 16 // size  # rows of a block: what every machine interleaves in one instruction
        wide = min(high * min(32, target.vector) // 16, max(high, pitch // high * high))
        if together:
            copy_rows(f, target, scalar, width, strides.rows, pitch)
        elif strides.rows == 1 and size in (4, 8):
            gather_blocks(f, scalar, high, wide, strides, pitch)
        else:
            gather(f, scalar, strides, pitch)
    return name


def copy_rows(f: Builder, target: Target, scalar: str, width: int, stride: int, pitch: int) -> None:
    """Rows that are rows in memory, with 0 up to whole registers."""
    vector = Type(scalar, target.lanes(SIZES[scalar]))

    def row(carried: list[Value]) -> list[Value]:
        source, to = carried
        for j in range(0, width, vector.lanes):
            value = load_lanes(f, target, at(f, source, scalar, (integer(j), 1)), vector, min(vector.lanes, width - j))
            f.store(value, at(f, to, scalar, (integer(j), 1)))
        return [f.address(source, scalar, integer(stride)), f.address(to, scalar, integer(pitch))]

    repeat(f, f.arguments["depth"], [f.arguments["from"], f.arguments["to"]], row)


def gather(f: Builder, scalar: str, strides: Strides, pitch: int) -> None:
    """Element by element."""
    source, to, depth, width = f.arguments.values()
    with f.loop(integer(0), width) as j, f.loop(integer(0), depth) as k:
        value = f.load(at(f, source, scalar, (k, strides.rows), (j, strides.columns)), Type(scalar))
        f.store(value, at(f, to, scalar, (k, pitch), (j, 1)))


def gather_blocks(f: Builder, scalar: str, high: int, wide: int, strides: Strides, pitch: int) -> None:
    """Transpose blocks in registers. The last ones overlap those before, which spares a second kind of block."""
    source, to, depth, width = f.arguments.values()
    blocks, elements, after = f.labels("blocks", "elements", "after")
    last = f.op("sub", depth, integer(high)), f.op("sub", width, integer(wide))
    few = f.compare("icmp slt", least(f, *last), integer(0))
    f.line(f"br i1 {few.text}, label %{elements}, label %{blocks}")
    f.block(elements)
    gather(f, scalar, strides, pitch)
    f.line(f"br label %{after}")
    f.block(blocks)
    with f.loop(integer(0), width, wide) as begin:
        j = least(f, begin, last[1])
        with f.loop(integer(0), depth, high) as row:
            k = least(f, row, last[0])
            block = at(f, source, scalar, (j, strides.columns), (k, 1))
            for r, value in enumerate(transposed(f, scalar, block, strides.columns, high, wide)):
                f.store(value, at(f, to, scalar, (k, pitch), (j, 1), (integer(r), pitch)))
    f.line(f"br label %{after}")
    f.block(after)


def transposed(f: Builder, scalar: str, source: Value, stride: int, high: int, wide: int) -> list[Value]:
    """``high`` vectors of ``wide`` lanes; lane j of vector k is element ``stride`` · j + k.

    Parts of 16 bytes never leave their place in the register: they are loaded where they belong, so that what is left
    is interleaving inside them, one instruction each.
    """
    part = Type(scalar, high)
    rows = []
    for i in range(high):
        first, *others = (f.load(at(f, source, scalar, (integer(j), stride)), part) for j in range(i, wide, high))
        rows.append(f.shuffle(first, others[0], range(wide)) if others else first)
    halves = [
        [base + half + lane for base in range(0, wide, high) for t in range(high // 2) for lane in (t, wide + t)]
        for half in (0, high // 2)
    ]
    for _ in range(high.bit_length() - 1):
        pairs = zip(rows[: high // 2], rows[high // 2 :], strict=True)
        rows = [f.shuffle(a, b, half) for a, b in pairs for half in halves]
    return rows
