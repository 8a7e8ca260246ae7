"""The arena: when each value is alive, and a place for it where nothing is that is alive at the same time."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from .instructions import nbytes
from .ir import Branch, Call, Region, Repeat, Step, While, inside
from .read import Memory

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


def room(memory: Memory) -> int:
    """The bytes that a value takes of the arena."""
    return -(-nbytes(memory) // ALIGNMENT) * ALIGNMENT


class Lives:
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
            for buffer in touched(step) if not inside(step) else looked_at(step):
                self.use(buffer)
            for steps in inside(step):
                self.walk(steps)
                for buffer in looked_at(step):
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
        within = set(touched(step))
        parents = {p for b in within for p in self.parents(b)}
        return (within & before) | parents | {b for b in within if self.memory[b].loop}


def touched(step: Step) -> list[int]:
    if isinstance(step, Call):
        return list(step.buffers)
    if isinstance(step, Region):
        return [b for launch in step.launches for b in launch.buffers]
    return [*looked_at(step), *(b for steps in inside(step) for inner in steps for b in touched(inner))]


def looked_at(step: Step) -> list[int]:
    """The buffer by which a step decides where to go."""
    return [step.buffer] if isinstance(step, (While, Branch)) else []


def together(alive: Lives) -> int:
    """The bytes of values that are alive at once, at most."""
    change = [0] * (alive.time + 2)
    for buffer, born in alive.born.items():
        if alive.memory[buffer].kind == "value":
            size = room(alive.memory[buffer])
            change[born] += size
            change[alive.dies[buffer] + 1] -= size
    return max(itertools.accumulate(change))


def tight(values: Sequence[int], alive: Lives) -> tuple[dict[int, int], int]:
    """The best of several orders; in each, what ends last is put first, again and again, as long as that helps."""
    least = together(alive)
    best: tuple[dict[int, int], int] = {}, 1 << 62
    for key in ORDERS:
        order = sorted(values, key=lambda b: (key(room(alive.memory[b]), alive.born[b], alive.dies[b]), b))
        for _ in range(TRIES):
            found = offsets(order, alive)
            if found[1] < best[1]:
                best = found
            if best[1] <= least:
                return best
            last = {b for b, at in found[0].items() if at + room(alive.memory[b]) > found[1] - ALIGNMENT}
            order = [*(b for b in order if b in last), *(b for b in order if b not in last)]
    return best


def offsets(order: Sequence[int], alive: Lives) -> tuple[dict[int, int], int]:
    """Each value at the first place where none is that is alive when it is, taken in this order; and the end."""
    found: dict[int, int] = {}
    taken: list[tuple[int, int, int, int]] = []  # offset, end, born, dies
    for buffer in order:
        size = room(alive.memory[buffer])
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
