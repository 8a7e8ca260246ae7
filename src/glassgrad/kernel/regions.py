"""Launches put together into regions, so that threads meet seldom.

A launch is cut along its outermost axis. Where part c of a launch needs, of what an earlier one makes, the same rows
only, both can be one region: a thread that has done its rows of one goes on with its rows of the next. All layers of a
network go over the rows of a batch in this way. The gradients of all its weights, which need each other not at all, are
another region: laid end to end, and cut like one long launch, so that nearly all of them are done in one piece. What is
large is cut into parts whose rows stay in cache from one launch to the next.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from . import index as ix
from .cost import work
from .instructions import nbytes
from .ir import Affine, Index, Kernel, Launch, Let, Load, Loop, MatMul, Region, Store
from .nest import opened

PART = 12_000.0  # nanoseconds of work that are worth another thread's while
SHORT = 24_000.0  # a region of less is shared with threads that are awake only, in two parts
LEAST = 1_500.0  # ... of at least so much each
PARTS = (1, 2, 4, 6, 8, 12, 16)  # numbers of parts of which most numbers of threads get as many each
LARGE_PARTS = 8  # ... that is one large product: every part packs what it needs
LONG = 96_000.0  # nanoseconds that a part may take where launches can share rows in few parts only
ROWS = 16  # fewer rows of a matrix product are not worth a part of their own
TRIVIAL = 250.0  # a launch of less that is not cut goes first: in a region, what needs it would wait for the next
LARGE = 100_000.0  # a launch of so many nanoseconds shares a region only for the sake of rows in cache
CACHED = 256 << 10  # bytes of the rows of a part that stay in cache
WANTED = 128 << 10  # ... beside what every part needs all of
EXCHANGED = 20.0  # ... of which so many bytes a nanosecond come from the caches of other threads


class Rows(NamedTuple):
    """How a launch uses a buffer: ``stride`` elements for each value of an axis of ``extent``, or no rows (0)."""

    extent: int
    stride: int


class Use(NamedTuple):
    """The uses of a kernel's formals that are read, and that are written, by number."""

    reads: dict[int, Rows]
    writes: dict[int, Rows]


WHOLE = Rows(0, 0)  # every part uses all of it
SOME = Rows(0, 1)  # each part uses something else, as rows of several matrices, that is not together


@functools.lru_cache(maxsize=4096)
def uses(kernel: Kernel) -> Use:
    """Which rows of each formal part c of a kernel touches."""
    first = kernel.body[0]
    name = ""
    if len(kernel.body) == 1 and isinstance(first, Loop) and first.kind == "parallel":
        name = first.axis
    elif len(kernel.body) == 1 and isinstance(first, MatMul):
        name = first.rows[0]
    found = Use({}, {})
    extents: dict[str, int] = {}

    def note(kind: dict[int, Rows], formal: int, index: Index) -> None:
        rows = _rows(index, name, kernel.extent, extents)
        kind[formal] = rows if kind.get(formal, rows) == rows else WHOLE

    for statement in opened(kernel.body):
        if isinstance(statement, Loop):
            extents[statement.axis] = statement.extent
        elif isinstance(statement, MatMul):
            extents.update((statement.rows, statement.columns, statement.inner))
            for load in (statement.a, statement.b):
                note(found.reads, load.buffer, load.index)
        elif isinstance(statement, Let) and isinstance(statement.value, Load):
            note(found.reads, statement.value.buffer, statement.value.index)
        elif isinstance(statement, Store):
            note(found.writes, statement.buffer, statement.index)
            if statement.reducer:
                note(found.reads, statement.buffer, statement.index)
    return found


def _rows(index: Index, name: str, extent: int, extents: dict[str, int]) -> Rows:
    if not name or not isinstance(index, Affine):
        return WHOLE
    stride = ix.coefficient(index, name)
    rest = Affine(index.offset, tuple(t for t in index.terms if t[0] != name))
    low, high = ix.limits(rest, extents)
    return Rows(extent, stride) if low >= 0 and high < stride else SOME if stride else WHOLE


def _streams(kernel: Kernel) -> bool:
    """Whether what each part needs all of leaves room in the cache."""
    found = uses(kernel).reads.items()
    return sum(nbytes(kernel.formals[f]) for f, n in found if n == WHOLE) <= WANTED


class _Open:
    """A region being filled.

    ``common`` divides the extents of launches that share rows though one takes several of the other's at once, and so
    must the number of parts; 0 if there are none.
    """

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.separate = True  # so far none uses what another writes
        self.reads: dict[int, Rows] = {}
        self.writes: dict[int, Rows] = {}
        self.common = 0
        self.large = False
        self.streams = True
        self.bytes: dict[int, int] = {}  # of each buffer of which a part uses its rows
        self.whole: dict[int, int] = {}  # ... and of which every part reads all

    def takes(self, kernel: Kernel, buffers: Sequence[int], large: bool, total: float = math.inf) -> bool:
        """Whether it fits: what is large must find rows in cache. ``total`` is the work of the region with it."""
        if large or self.large:
            reads = uses(kernel).reads
            linked = any(buffers[n] in self.writes for f, n in _numbers(kernel).items() if f in reads)
            if not (linked and self.streams and _streams(kernel)):
                return False
        common = self.common_with(kernel, buffers)
        return common is not None and (not common or common >= min(PARTS[-1], max(2.0, total / LONG)))

    def common_with(self, kernel: Kernel, buffers: Sequence[int]) -> int | None:
        """The common divisor with a launch; None if its part c shares more with those before than with their part c."""
        common = self.common
        reads, writes = uses(kernel)
        local = _numbers(kernel)
        for kind, before in ((reads, (self.writes,)), (writes, (self.writes, self.reads))):
            for formal, rows in kind.items():
                if formal not in local:
                    continue
                for earlier in before:
                    found = earlier.get(buffers[local[formal]])
                    if found is None:
                        continue
                    if not rows.extent or not _cover(found, rows):
                        return None
                    if found != rows:
                        common = math.gcd(common, found.extent, rows.extent)
        return common

    def add(self, launch: Launch, kernel: Kernel, buffers: Sequence[int], large: bool) -> None:
        self.common = self.common_with(kernel, buffers) or 0
        self.launches.append(launch)
        self.large |= large
        self.streams &= _streams(kernel)
        local = _numbers(kernel)
        reads, writes = ({buffers[local[formal]] for formal in kind if formal in local} for kind in uses(kernel))
        self.separate &= self.writes.keys().isdisjoint(reads | writes) and self.reads.keys().isdisjoint(writes)
        for kind, seen in zip(uses(kernel), (self.reads, self.writes), strict=True):
            for formal, rows in kind.items():
                if formal in local:
                    buffer = buffers[local[formal]]
                    before = seen.get(buffer, rows)
                    same = before == rows or (buffer in self.writes and _cover(before, rows))  # then ``common`` holds
                    seen[buffer] = rows if same else WHOLE
                    size = nbytes(kernel.formals[formal])
                    if rows != WHOLE:
                        self.bytes[buffer] = size
                    elif kernel.extent > 1 and seen is self.reads:
                        self.whole[buffer] = size

    def chunks(self, kernels: Sequence[Kernel], total: float, separate: bool) -> int:
        """Into how many parts it is cut: small ones where rows are to stay in cache."""
        own = [kernels[n.kernel] for n in self.launches]
        wanted = parts(own, total, separate, sum(self.whole.values()) / EXCHANGED)
        if self.large and len(own) > 1:
            most = min(k.extent // (ROWS if k.is_product else 1) for k in own)
            wanted = max(wanted, min(most, -(-sum(self.bytes.values()) // CACHED)))
        if not self.common or wanted == 1:
            return wanted
        divisors = [n for n in range(1, self.common + 1) if self.common % n == 0]
        return min(divisors, key=lambda n: max(n / wanted, wanted / n))


def _cover(a: Rows, b: Rows) -> bool:
    """Whether equal parts of both are the same elements."""
    return a == b or (a.extent * a.stride == b.extent * b.stride > 0)


@functools.lru_cache(maxsize=4096)
def _numbers(kernel: Kernel) -> dict[int, int]:
    """Which argument each formal that is not local is."""
    shared = [i for i, formal in enumerate(kernel.formals) if not formal.local]
    return {formal: number for number, formal in enumerate(shared)}


def grouped(launches: Sequence[Launch], kernels: Sequence[Kernel], storage: Sequence[int]) -> list[Region]:
    """The launches as regions, in an order that keeps what depends on what.

    ``storage`` says, for each buffer, the one that its memory is part of.
    """
    waiting = _Dependencies(launches, kernels, storage)
    times = [work(kernels[launch.kernel]) for launch in launches]
    found: list[Region] = []
    while waiting.ready:
        trivial = sorted(
            n
            for n in waiting.ready
            if times[n] < TRIVIAL and waiting.after[n] and kernels[launches[n].kernel].extent == 1
        )
        if trivial:
            found.append(Region(tuple([launches[n] for n in trivial]), 1))
            for number in trivial:
                waiting.done(number)
            continue
        region, total = _Open(), 0.0
        refused: set[int] = set()  # a region only grows, so that what it once refused it refuses for good
        chosen = min(waiting.ready, key=lambda number: (times[number] >= LARGE, number))
        while chosen >= 0:
            launch = launches[chosen]
            region.add(launch, kernels[launch.kernel], [storage[b] for b in launch.buffers], times[chosen] >= LARGE)
            total += times[chosen]
            waiting.done(chosen)
            chosen = -1
            for number in sorted(waiting.ready - refused):
                launch = launches[number]
                stored = [storage[b] for b in launch.buffers]
                if region.takes(kernels[launch.kernel], stored, times[number] >= LARGE, total + times[number]):
                    chosen = number
                    break
                refused.add(number)
        separate = region.separate and len(region.launches) > 1 and total >= SHORT
        chunks = region.chunks(kernels, total, separate)
        found.append(Region(tuple(region.launches), chunks, chunks > 1 and total < SHORT, chunks > 1 and separate))
    return found


def in_rounds(
    region: Region, loop: str, count: int, kernels: Sequence[Kernel], storage: Sequence[int], sizes: Sequence[int]
) -> Region | None:
    """A loop over this region as one region: if part c of a round needs, of the rounds before it, part c only.

    ``sizes`` says how many elements each buffer has. Rows of slices of one array are the same rows only if these are of
    one size.
    """
    rounds = _Open()
    lengths: dict[int, set[int]] = {}
    for launch in region.launches * 2:
        kernel, whole = kernels[launch.kernel], [storage[b] for b in launch.buffers]
        if not rounds.takes(kernel, whole, large=False):
            return None
        rounds.add(launch, kernel, whole, large=False)
        for buffer in launch.buffers:
            lengths.setdefault(storage[buffer], set()).add(sizes[buffer])
    if any(len(lengths[b]) > 1 for b in rounds.writes):
        return None
    total = count * sum(work(kernels[launch.kernel]) for launch in region.launches)
    chunks = rounds.chunks(kernels, total, separate=False)
    return Region(region.launches, chunks, chunks > 1 and total < SHORT, loop=loop, count=count)


def alone(launches: Sequence[Launch], kernels: Sequence[Kernel], storage: Sequence[int]) -> list[Region]:
    """Each launch as a region, in the order given."""
    found = []
    for launch in launches:
        kernel = kernels[launch.kernel]
        total = work(kernel)
        chunks = parts([kernel], total)
        found.append(Region((launch,), chunks, chunks > 1 and total < SHORT))
    return found


def parts(kernels: Sequence[Kernel], nanoseconds: float, separate: bool = False, waiting: float = 0.0) -> int:
    """Into how many parts a region is cut: by its work, never by the number of threads.

    A short one is not where threads would wait too long for what others have written.
    """
    products = [kernel.extent / ROWS for kernel in kernels if kernel.is_product]
    pieces = products or [kernel.extent for kernel in kernels]
    longest = sum(map(math.ceil, pieces)) if separate else max(pieces)  # end to end, what else there is goes beside
    worthwhile = nanoseconds / PART if nanoseconds >= SHORT else min((nanoseconds - waiting) / LEAST, 2)
    most = LARGE_PARTS if products and len(kernels) == 1 and nanoseconds >= LARGE else PARTS[-1]
    return max(n for n in PARTS if n <= max(1, min(worthwhile, most, longest)))


def cuts(region: Region, kernels: Sequence[Kernel], tile: int = 1) -> list[tuple[int, ...]]:
    """For each launch of a region where its parts begin, and where the last one ends.

    Matrix products, and what shares rows with them, are cut at multiples of ``tile`` rows where that can be.
    """
    chunks, own = range(region.chunks + 1), [kernels[launch.kernel] for launch in region.launches]
    if not region.separate:
        # Launches share rows though one takes several of the other's at once.
        long = {kernel.extent for kernel in own if kernel.extent >= PARTS[-1]}
        products = any(kernel.is_product for kernel in own)
        few = [kernel.extent for kernel in own if 1 < kernel.extent < PARTS[-1]]
        if any(math.gcd(n, k) % region.chunks == 0 and n // region.chunks % tile for k in few for n in long):
            tile = 1
        steps = [tile if products and long == {kernel.extent} else 1 for kernel in own]
        return [
            tuple([min(-(-(-(-k.extent // step) * c) // region.chunks) * step, k.extent) for c in chunks])
            for k, step in zip(own, steps, strict=True)
        ]
    times = [max(work(kernel), 1e-3) for kernel in own]
    found, before, total = [], 0.0, sum(times)
    for kernel, time in zip(own, times, strict=True):
        extent, step = kernel.extent, 2 * tile if kernel.is_product else 1
        done = [min(max((total * c / region.chunks - before) / time, 0.0), 1.0) for c in chunks[1:-1]]
        borders = [extent if share == 1.0 else min(round(share * extent / step) * step, extent) for share in done]
        found.append((0, *borders, extent))
        before += time
    return found


class _Dependencies:
    """Which launches may go next."""

    def __init__(self, launches: Sequence[Launch], kernels: Sequence[Kernel], storage: Sequence[int]) -> None:
        self.after: list[set[int]] = [set() for _ in launches]
        self.missing = [0] * len(launches)
        written: dict[int, int] = {}
        read: dict[int, list[int]] = {}
        for number, launch in enumerate(launches):
            kernel = kernels[launch.kernel]
            reads, writes = uses(kernel)
            local = _numbers(kernel)
            needs: set[int] = set()
            for formal in (*reads, *writes):
                if formal in local:
                    needs.add(written.get(storage[launch.buffers[local[formal]]], -1))
            for formal in writes:
                if formal in local:
                    buffer = storage[launch.buffers[local[formal]]]
                    needs.update(read.pop(buffer, ()))
                    written[buffer] = number
            for formal in reads:
                if formal in local:
                    read.setdefault(storage[launch.buffers[local[formal]]], []).append(number)
            for needed in needs - {-1, number}:
                self.after[needed].add(number)
            self.missing[number] = len(needs - {-1, number})
        self.ready = {i for i, n in enumerate(self.missing) if not n}

    def done(self, number: int) -> None:
        self.ready.remove(number)
        for later in self.after[number]:
            self.missing[later] -= 1
            if not self.missing[later]:
                self.ready.add(later)
