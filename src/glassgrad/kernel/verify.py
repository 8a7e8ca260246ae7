"""What must hold of every program: no buffer is read before it is written, or after its place was given to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .index import add, affine, limits
from .instructions import DTYPES, itemsize, nbytes
from .ir import Affine, Branch, Buffer, Call, Launch, Program, Region, Repeat, Step, While, inside
from .scope import KernelError, Use, text_of, uses, verify_kernel

__all__ = ["KernelError", "uses", "verify", "verify_kernel"]


def verify(program: Program) -> None:
    """Check a program and its kernels.

    Raises
    ------
    KernelError
        Names the step or the statement and what is wrong.
    """
    for number, kernel in enumerate(program.kernels):
        verify_kernel(kernel, number, len(program.failures))
    _Memory(program).check()


class _Span(NamedTuple):
    """The bytes of a buffer: inside ``root``, an array or the arena, from ``start``, which moves with the Repeats.

    ``owner`` is the buffer that is no slice; what is written is known of those.
    """

    root: tuple[str, int]
    start: Affine
    size: int
    owner: int


class _Memory:
    """A walk through a program's steps, knowing what has been written.

    Attributes
    ----------
    names : of the loops
    counts : iterations of each Repeat, and of each Region's loop
    spans : of each buffer
    ever : roots that were written at any time
    written : owners that hold what was last written to them
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.where: list[str] = []
        self.names: set[str] = set()
        self.counts: dict[str, int] = {}
        self.spans: list[_Span] = []
        self.written: set[int] = set()
        self.ever: set[tuple[str, int]] = set()

    def demand(self, condition: bool, problem: str) -> None:
        if not condition:
            raise KernelError(f"verify: {', '.join(self.where)}: {problem}")

    def check(self) -> None:
        self.count(self.program.steps)
        for number, buffer in enumerate(self.program.buffers):
            self.where = [f"buffer {number}"]
            self.spans.append(self.span(number, buffer))
        self.where = []
        self.steps(self.program.steps)
        for span in self.spans:
            self.where = [f"buffer {span.owner}"]
            self.demand(span.root[0] != "output" or not span.size or span.root in self.ever, "is never written")

    def count(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, (Repeat, While, Region)) and step.loop:
                self.where = [f"{type(step).__name__.lower()} {step.loop}"]
                self.demand(step.loop not in self.names, "the name is taken")
                self.names.add(step.loop)
            if isinstance(step, (Repeat, Region)) and step.loop:
                self.demand(step.count > 0, f"{step.count} times")
                self.counts[step.loop] = step.count
            for steps in inside(step):
                self.count(steps)

    # Buffers

    def span(self, number: int, buffer: Buffer) -> _Span:
        self.demand(buffer.dtype in DTYPES and buffer.size >= 0, f"{buffer.size} elements of {buffer.dtype}")
        size, place = nbytes(buffer), buffer.place
        if place.kind == "slice":
            return self.slice(number, buffer, size)
        self.demand(place.kind in ("argument", "output", "constant", "arena"), f"no place {place.kind!r}")
        self.demand(place.number >= 0, f"{place.kind} {place.number}")
        if place.kind != "arena":
            return _Span((place.kind, place.number), Affine(0, ()), size, number)
        self.demand(place.number % 64 == 0, f"arena byte {place.number} is no multiple of 64")
        end = place.number + size
        self.demand(end <= self.program.arena, f"ends at byte {end} of an arena of {self.program.arena}")
        return _Span(("arena", 0), Affine(place.number, ()), size, number)

    def slice(self, number: int, buffer: Buffer, size: int) -> _Span:
        _, outer, start, stride, loop = buffer.place
        self.demand(0 <= outer < number, f"a slice of buffer {outer}, which does not come before it")
        self.demand(loop in self.counts or not (loop or stride), f"a slice in {loop!r}, which is no repeat")
        parent, offset = self.spans[outer], affine(start, {loop: stride})
        low, high = limits(offset, self.counts)
        fits = low >= 0 and high + size <= parent.size
        self.demand(fits, f"bytes {low} … {high + size} of buffer {outer}, which has {parent.size}")
        whole = all(bytes_ % itemsize(buffer.dtype) == 0 for bytes_ in (start, stride))
        self.demand(whole, f"from {start} by {stride} bytes, of {buffer.dtype}")
        return parent._replace(start=add([(parent.start, 1), (offset, 1)]), size=size)

    def overlap(self, a: _Span, b: _Span) -> bool:
        """Whether they may have bytes in common, in one iteration of the Repeats."""
        low, high = limits(add([(a.start, 1), (b.start, -1)]), self.counts)
        return a.root == b.root and low < b.size and high > -a.size and min(a.size, b.size) > 0

    # Steps

    def steps(self, steps: Sequence[Step], loops: frozenset[str] = frozenset()) -> None:
        outside = self.where
        for number, step in enumerate(steps):
            self.where = [*outside, f"step {number}"]
            if isinstance(step, Repeat):
                for _ in range(min(step.count, 2)):  # the second time with what the first has overwritten
                    self.steps(step.steps, loops | {step.loop})
            elif isinstance(step, While):
                self.rounds(step, loops)
            elif isinstance(step, Branch):
                self.arms(step, loops)
            elif isinstance(step, Call):
                self.call(step, loops)
            else:
                self.region(step, loops)
        self.where = outside

    def rounds(self, step: While, loops: frozenset[str]) -> None:
        """There may be none: what a round has written may not have been, and what it overwrote may have been."""
        self.steps(step.test, loops)
        self.decides(step.buffer, "bool", loops)
        for _ in range(2):
            before = set(self.written)
            self.steps(step.steps, loops)
            self.steps(step.test, loops)
            self.decides(step.buffer, "bool", loops)
            self.written &= before

    def arms(self, step: Branch, loops: frozenset[str]) -> None:
        """What is written after it is what every arm leaves written."""
        self.decides(step.buffer, "int64", loops)
        self.demand(bool(step.arms), "no arms")
        before, after = set(self.written), list[set[int]]()
        for arm in step.arms:
            self.written = set(before)
            self.steps(arm, loops)
            after.append(self.written)
        self.written = set.intersection(*after)

    def decides(self, number: int, dtype: str, loops: frozenset[str]) -> None:
        buffer = self.reach(number, loops)
        self.demand(buffer[:2] == (dtype, 1), f"buffer {number} is {text_of(buffer)}, not {dtype}[1]")
        self.filled(number)

    def filled(self, number: int) -> None:
        span = self.spans[number]
        held = span.root[0] in ("argument", "constant") or span.owner in self.written or not span.size
        self.demand(held, f"buffer {number} is read, but was not written before, or is overwritten")

    def call(self, call: Call, loops: frozenset[str]) -> None:
        """The first buffers are read. The others may be, and are written."""
        self.demand(0 <= call.function < len(self.program.functions), f"no function {call.function}")
        for number in call.buffers:
            self.reach(number, loops)
        for number in call.buffers[call.inputs :]:
            self.write(number)

    def region(self, region: Region, loops: frozenset[str]) -> None:
        self.demand(region.chunks > 0, f"{region.chunks} chunks")
        outside, used = self.where, dict[int, bool]()
        within = loops | {region.loop} if region.loop else loops
        for launch in region.launches * min(region.count, 2):  # the second time with what the first has overwritten
            self.where = [*outside, f"launch of kernel {launch.kernel}"]
            own = dict[int, bool]()
            for number, use in self.launch(launch, within):
                owner = self.spans[number].owner
                own[owner] = own.get(owner, False) or use.written
            for owner, written in own.items():
                clash = region.separate and owner in used and (written or used[owner])
                self.demand(not clash, f"buffer {owner} is not its own")
                used[owner] = used.get(owner, False) or written
        self.where = outside
        if region.chunks > 1:  # while one part is at the last launch, another is at the first
            self.apart(list(used.items()))

    def launch(self, launch: Launch, loops: frozenset[str]) -> list[tuple[int, Use]]:
        self.demand(0 <= launch.kernel < len(self.program.kernels), "there is no such kernel")
        kernel = self.program.kernels[launch.kernel]
        formals = [(f, use) for f, use in zip(kernel.formals, uses(kernel), strict=True) if not f.local]
        given = len(launch.buffers)
        self.demand(given == len(formals), f"{given} buffers for {len(formals)} formals that are not local")
        used = [(number, use) for number, (_, use) in zip(launch.buffers, formals, strict=True)]
        for number, (formal, use) in zip(launch.buffers, formals, strict=True):
            buffer = self.reach(number, loops)
            fits = buffer.dtype == formal.dtype and buffer.size >= formal.size
            self.demand(fits, f"buffer {number} is {text_of(buffer)}, not {text_of(formal)}")
            if use.read_first:
                self.filled(number)
        self.apart([(number, use.written) for number, use in used])
        for number, use in used:
            if use.written:
                self.write(number)
        return used

    def apart(self, used: Sequence[tuple[int, bool]]) -> None:
        """Buffers, and whether they are written: none of those shares memory with another."""
        for i, (a, a_written) in enumerate(used):
            for b, b_written in used[:i]:
                if a_written or b_written:
                    self.demand(not self.overlap(self.spans[a], self.spans[b]), f"buffers {b} and {a} share memory")

    def reach(self, number: int, loops: frozenset[str]) -> Buffer:
        """A buffer that can be used inside these Repeats."""
        self.demand(0 <= number < len(self.program.buffers), f"there is no buffer {number}")
        moving = {loop for loop, _ in self.spans[number].start.terms}
        self.demand(moving <= loops, f"buffer {number} is a slice in {', '.join(sorted(moving - loops))}, used outside")
        return self.program.buffers[number]

    def write(self, number: int) -> None:
        """What shared memory with the buffer no longer holds what was written to it."""
        span = self.spans[number]
        self.demand(span.root[0] != "constant", f"constant {span.root[1]} is written")
        owner = self.spans[span.owner]
        self.written -= {b for b in self.written if b != span.owner and self.overlap(self.spans[b], owner)}
        self.written.add(span.owner)
        self.ever.add(span.root)
