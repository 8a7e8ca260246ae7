"""How a matrix product is done: which way, in which tiles of registers, and what is copied for the caches' sake.

Measured on Zen 3 and Zen 4, but what decides is the target's numbers.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from .target import Target
from .tiles import Strides, rows_together

PART = 256  # of the inner axis, about: what is summed before it is added to the rest
NEAR = 16 << 10  # bytes of a panel's part: it stays in the first-level cache while rows go by
FIRST = 32 << 10  # bytes of the first-level cache: if a panel stays there, tiles are finished one by one
LINE = 64  # bytes of a line of the caches
PANEL = 400 << 10  # bytes of a packed panel of b: it stays in the second-level cache
STACK = 16 << 10  # bytes that a product takes from a thread's stack at once; threads may have 64 KiB in all
STRIP = 256 << 10  # bytes of panels of b that are packed together, so that rows are finished along many columns
BLOCK = 300 << 10  # bytes of a block of the result that is more than a row of tiles, panels being packed one by one
SMALL_BLOCK = 64 << 10  # ... if none are packed
NARROW = 12  # columns of a result of which tiles of the transpose may be fuller
FEW = 8  # rows of a result for which so many rows of a large b are read together, as they lie in memory
PAGE = 4 << 10  # bytes of a row of b that are read before the next row
OUTSIDE = 1 << 20  # bytes of a b that the second-level cache does not hold
CACHE = 16 << 20  # bytes of a that can be read again for every panel
WAYS, FIRST_WAY, SECOND_WAY = 8, 4 << 10, 64 << 10  # of the caches: lines that are a way apart share WAYS places


class Plan(NamedTuple):
    """How a product is done.

    way : "direct": a row at a time, the inner axis written out; "tile"; "dot": both operands lie along k; or
        "column": tiles of the result's transpose, whose rows are ``width`` of its columns
    rows, width : what is held in registers at once
    height, span, depth : the block of the result that is summed over a part of the inner axis before the next is begun
    packed : what of b is copied before it is used: the "whole" of a block's panels, "part" of one panel, or ""
    rows_packed : whether as much of a block's rows of a is copied as is summed at once
    lanes : what the epilogue is given at once
    """

    way: str
    rows: int
    width: int
    height: int
    span: int
    depth: int
    packed: str
    rows_packed: bool
    lanes: int


@functools.cache
def choose(target: Target, size: int, sizes: tuple[int, int, int], a: Strides, b: Strides) -> Plan:
    """The plan for elements of ``size`` bytes."""
    m, n, k = sizes
    lanes = target.lanes(size)
    registers = -(-n // lanes)  # of a row of the result
    if n <= NARROW and a.rows == 1 and m >= lanes and m * k > 256:
        columns, wide = narrow(target, m, n, lanes)
        if columns:
            rows = wide * lanes
            return Plan("column", rows, columns, rows, n, parts(k, k / PART), "", False, n)
    if k <= 16:
        likely = (4, 3, 2) if b.columns == 1 else (8, 4, 2)
        most = min(likely[0], registers)
        wide = next((c for c in likely if registers % c == 0), most) if n % lanes == 0 else most
        width = min(n, wide * lanes)
        return Plan("direct", 1, width, 1, width, k, "" if b.columns == 1 else "whole", False, width)
    if k >= lanes and a.columns == 1:
        if n <= 4 and (b.rows == 1 or (m >= 32 and n * k * size <= PANEL)):
            rows = min(m, 8 // n)
            return Plan("dot", rows, n, rows, n, k, "" if b.rows == 1 else "whole", False, n)
        if m <= 2 and b.rows == 1:
            width = min(n, 8 // m)
            return Plan("dot", m, width, m, width, k, "", False, width)
    return choose_tile(target, size, sizes, a, b)


def choose_tile(target: Target, size: int, sizes: tuple[int, int, int], a: Strides, b: Strides) -> Plan:
    m, n, k = sizes
    lanes = target.lanes(size)
    rows, width = shape(target, m, n, lanes)
    wide = -(-width // lanes)
    depth = parts(k, k / PART)
    whole = depth == k
    height, span, packed, rows_packed = rows, width, "", False
    strip = max(1, min(STRIP // k, STACK // rows) // (width * size)) * width if width < n else n
    touched = width * size + LINE - math.gcd(b.rows * size, LINE)  # bytes of the lines that a row of a panel lies in
    if b.columns != 1 or serves_badly(m, k, depth, b.rows * size, width * size, touched):
        packed = "whole"
        if k * wide * lanes * size > PANEL or m * k * size > (CACHE if a.columns == 1 else CACHE // 8):
            packed, rows_packed, height = "part", True, 192 // rows * rows
            span = max(1, BLOCK // (height * wide * lanes * size)) * width
        else:
            span, depth = strip, parts(k, k * width * size / NEAR)
            if (width < n or width % lanes == 0) and a.columns != 1 and places(a.columns * size, SECOND_WAY) <= depth:
                rows_packed, height = True, 48 // rows * rows
    elif m <= rows <= FEW and n * size >= PAGE // 2 and k * n * size >= OUTSIDE:
        depth, span = FEW, max(1, PAGE // (width * size)) * width
    elif a.columns != 1 and n > width and places(a.columns * size) < depth:
        span, rows_packed, height = strip, True, 24 // rows * rows
        depth = parts(k, k * touched / NEAR)
    elif m > rows and k * n * size > 3 * NEAR // 2:
        height = 48 // rows * rows
        depth = parts(k, k * (touched + (height * size if a.columns != 1 else 0)) / NEAR)
        span = max(1, SMALL_BLOCK // height // (width * size)) * width if width < n else n
    else:
        span = strip
    near = k * ((width * size if packed else touched) + (3 * LINE if a.columns != 1 else 0))  # a's lines go by
    if m > rows and whole and near <= FIRST and not rows_packed:
        height, span, depth = rows, width, k
    shares = [c * lanes for c in (4, 2, 3, 1) if wide % c == 0]
    share = width if n == width or width % lanes else next((c for c in shares if n % c == 0), shares[0])
    return Plan("tile", rows, width, height, min(span, n), depth, packed, rows_packed, share)


def serves_badly(m: int, k: int, depth: int, step: int, used: int, touched: int) -> bool:
    """Whether memory serves panels of b badly, and a copy is read often enough: by m rows of a, ``depth`` of k at once.

    Of each row of b, ``step`` bytes from the last, a panel has ``used`` bytes in lines of ``touched``.
    """
    apart = step >= min(2048, 16 * used) or (step > used and places(step) < 2 * depth)
    if depth == k and m < 128:
        return apart and m >= 32 and m * k >= 128 * places(step)
    return m >= 32 and (apart or (depth == k and k * touched > FIRST))


def parts(k: int, wanted: float) -> int:
    """How long the parts of the inner axis are if they are about so many."""
    return -(-k // max(1, round(wanted)))


def places(stride: int, way: int = FIRST_WAY) -> int:
    """How many lines that are this many bytes apart a cache can hold."""
    return WAYS * way // math.gcd(stride, way)


def shape(target: Target, m: int, n: int, lanes: int) -> tuple[int, int]:
    """Rows and columns of the tile that does m rows of n elements soonest.

    Cycles of a step over k: one for each multiply-add, of which so many must be under way at once, and a little for
    each load. A second kind of tile for the last columns costs time to compile: it has to gain something. Columns are
    whole registers, or go into n without rest and rows share what is left of a register. Threads cut the rows too, at
    multiples of ``target.tile`` where they can.
    """

    def cycles(tile: tuple[int, int]) -> float:
        rows, width = tile
        full, rest = divmod(n, width)
        step = full * step_of(target, lanes, rows, width)
        step += rest and step_of(target, lanes, rows, rest)
        return -(-min(m, 64) // rows) * step * (1.05 if rest else 1.0)

    widths = {min(n, wide * lanes) for wide in range(1, 9)} | {n // d for d in range(1, n // lanes + 1) if n % d == 0}
    fitting = [
        (rows, width)
        for rows in ([m] if m <= 8 else [8, 6, 4, -(-min(m, 16) // 2)])
        for width in sorted(widths)
        if width == n or width % lanes == 0 or rows_together(lanes, rows, width) > 1
        if registers_of(lanes, rows, width) <= target.registers
    ]
    return min(fitting, key=cycles)


def held_in(lanes: int, rows: int, width: int) -> int:
    """Registers that a tile is summed in."""
    full, rest = divmod(width, lanes)
    return rows * full + (rows // rows_together(lanes, rows, width) if rest else 0)


def registers_of(lanes: int, rows: int, width: int) -> int:
    """Registers that a tile takes: for its sums, a row of b and an element of a, and to put elements of a together."""
    held, wide = held_in(lanes, rows, width), -(-width // lanes)
    return held + wide + 1 + (held < rows * wide)


def step_of(target: Target, lanes: int, rows: int, width: int) -> float:
    """About how many cycles a step over k takes in a tile."""
    held, wide = held_in(lanes, rows, width), -(-width // lanes)
    return max(target.busy, held) + 0.2 * rows + 0.4 * wide + 0.6 * (rows * wide - held)


def narrow(target: Target, m: int, n: int, lanes: int) -> tuple[int, int]:
    """Columns, and registers along them, of the tile that does n columns soonest; (0, 0) where rows are as good.

    With fewer than two registers along, loads take longer than multiply-adds.
    """

    def cycles(tile: tuple[int, int]) -> float:
        columns, wide = tile
        return n // columns * -(-m // (wide * lanes)) * step_of(target, lanes, columns, wide * lanes)

    fitting = [
        (columns, wide)
        for columns in (n, n // 2)
        for wide in range(min(m // lanes, 2), min(m // lanes, 8) + 1)
        if columns and n % columns == 0 and registers_of(lanes, columns, wide * lanes) <= target.registers
    ]
    if not fitting:
        return 0, 0
    best = min(fitting, key=cycles)
    rows, width = shape(target, m, n, lanes)
    step = step_of(target, lanes, rows, width)
    return best if 1.1 * cycles(best) < -(-m // rows) * -(-n // width) * step else (0, 0)
