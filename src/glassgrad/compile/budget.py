"""A byte budget for the memory a program works in: a family of programs of more and more work, and the first that fits.

The family does not depend on the budget, and a budget takes the first of it, in order of work, whose arena fits. So a
smaller budget never gives a larger arena, nor less work, and every budget from the smallest arena on is met.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MemoryBudgetError
from ..kernel import place, recompute, units
from ..kernel.cost import Cost
from ..kernel.ir import Program
from ..lazy import lazy
from .plan import Part, Plan, in_words

if TYPE_CHECKING:
    from .pipeline import Executable

UNITS = {"b": 1, "": 1}
UNITS |= {f"{prefix}b": 1000 ** (k + 1) for k, prefix in enumerate("kmgt")}
UNITS |= {f"{prefix}ib": 1024 ** (k + 1) for k, prefix in enumerate("kmgt")}
MEETING = 1000.0  # nanoseconds that a region of its own costs, in which threads meet


def budget_of(memory: Any) -> int | None:
    """Bytes, from bytes or words.

    >>> budget_of("64MB"), budget_of("1.5 KiB"), budget_of(1000)
    (64000000, 1536, 1000)
    """
    if memory is None:
        return None
    given: Any = None
    if isinstance(memory, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", memory)
        if found and found[2].lower() in UNITS:
            given = math.floor(float(found[1]) * UNITS[found[2].lower()])
    elif hasattr(memory, "__index__") and not isinstance(memory, bool):
        given = memory.__index__()
    if given is None or given < 0:
        error = TypeError if not isinstance(memory, str) and given is None else ValueError
        raise error(
            f"jit: memory must be a number of bytes: got {memory!r}, expected a positive int or text such as '64MB' "
            f"(kB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024)"
        )
    return int(given)


class Analysis(NamedTuple):
    """A program's units, and which plans there are for them.

    Attributes
    ----------
    values : the buffer that each value's bit in a plan stands for
    """

    executable: Executable
    units: list[units.Unit]
    values: list[int]
    problem: recompute.Problem

    @classmethod
    def of(cls, executable: Executable) -> Analysis:
        found = units.units(executable.pieces, executable.lowered)
        values = sorted({b for unit in found for b in (*unit.needs, *unit.makes)})
        number = {b: k for k, b in enumerate(values)}
        mask: Any = lambda buffers: sum(1 << number[b] for b in buffers)
        sizes = units.Values(executable.lowered.memory)
        jobs = [recompute.Job(mask(u.needs), mask(u.makes), u.room, _weight(u.cost), u.repeatable) for u in found]
        return cls(executable, found, values, recompute.Problem(jobs, [sizes.bytes(b) for b in values]))

    def outcomes(self) -> Iterator[recompute.Outcome]:
        """Plans of all kinds, most of them of little use."""
        everything = self.problem.everything()
        smallest = None
        for turn in sorted(self.turns()):
            for found in recompute.by_stages(self.problem, turn):
                yield found
                if smallest is None or found.peak < smallest.peak:
                    smallest = found
        yield from recompute.by_peaks(self.problem, everything)
        if smallest is not None:
            yield from recompute.by_peaks(self.problem, smallest.kept)

    def turns(self) -> set[int]:
        """Jobs at which a forward pass may be over: the one of most memory, and the first that is part of a gradient."""
        found = {recompute.fullest(self.problem)}
        made = self.executable.lowered.made
        for number, unit in enumerate(self.units):
            nodes = [made[b] for piece in unit.pieces for b in place.writes(piece) if b in made]
            if any(node.origin is not None and node.origin.forward is not None for node in nodes):
                return {*found, number}
        return found

    def again(self, unit: int, wanted: int) -> Cost:
        """What it costs to run a unit again for some of what it makes."""
        alone = units.alone(self.units[unit], self.buffers(wanted))
        return self.units[unit].cost if alone is None else place.cost_of([alone], self.executable.lowered)

    def buffers(self, mask: int) -> tuple[int, ...]:
        return tuple([self.values[v] for v in recompute.ones(mask)])


def _weight(cost: Cost) -> float:
    """By what plans are compared: operations, and where there are none, time."""
    return cost.operations + 1e-6 * cost.nanoseconds


@dataclass(frozen=True)
class Candidate:
    """A program that the budget may choose.

    Attributes
    ----------
    analysis : of the program it is a plan for
    outcome : the plan; None for the program as it is without a budget
    extra, time : operations more than without a budget, and nanoseconds
    bound : its arena has so many bytes at least
    """

    analysis: Analysis
    outcome: recompute.Outcome | None
    extra: float
    time: float
    bound: int

    @lazy
    def placed(self) -> tuple[list[Any], Any, Program]:
        """Pieces, what was lowered with their buffers, and the program."""
        executable = self.analysis.executable
        if self.outcome is None:
            return executable.pieces, executable.lowered, executable.program
        runs = [units.Run(number, self.analysis.buffers(made)) for number, made in self.outcome.runs]
        pieces, memory = units.in_sequence(self.analysis.units, runs, executable.lowered)
        lowered = replace(executable.lowered, memory=memory)
        return pieces, lowered, place.place(pieces, lowered, executable.donated, apart=True)

    @property
    def arena(self) -> int:
        return self.placed[2].arena

    def parts(self) -> tuple[list[Part], list[Part]]:
        """What is in memory at the peak, and what is computed again."""
        if self.outcome is None:
            return [], []
        made, sizes = self.analysis.executable.lowered.made, self.analysis.problem.sizes
        jobs = self.analysis.problem.jobs
        number, results = self.outcome.runs[self.outcome.at]
        there = self.outcome.idle | jobs[number].needs | results
        kept = [Part.of(made.get(self.analysis.values[v]), sizes[v]) for v in recompute.ones(there)]
        seen: set[int] = set()
        often: dict[tuple[int, int], int] = {}
        for run in self.outcome.runs:
            if run[0] in seen:
                often[run] = often.get(run, 0) + 1
            seen.add(run[0])
        again = []
        for (unit, wanted), times in sorted(often.items()):
            first = next(recompute.ones(wanted))
            flops = times * self.analysis.again(unit, wanted).operations
            bytes_ = sum(sizes[v] for v in recompute.ones(wanted))
            again.append(Part.of(made.get(self.analysis.values[first]), bytes_, times, flops))
        return kept, again


class Family:
    """The candidates for one program, in the order in which a budget takes them."""

    def __init__(self, usual: Executable, frugal: Executable) -> None:
        self.usual = usual
        flops = usual.cost.operations
        found = [Candidate(Analysis.of(usual), None, 0.0, usual.cost.nanoseconds, usual.program.arena)]
        for analysis in (found[0].analysis, Analysis.of(frugal)):
            once = [unit.cost for unit in analysis.units]
            base = math.fsum(cost.operations for cost in once)
            time = math.fsum(cost.nanoseconds + MEETING for cost in once)
            costs: dict[tuple[int, int], Cost] = {}
            for outcome in _useful(analysis.outcomes()):
                again = []
                seen: set[int] = set()
                for run in outcome.runs:
                    if run[0] in seen:
                        if run not in costs:
                            costs[run] = analysis.again(*run)
                        again.append(costs[run])
                    seen.add(run[0])
                extra = max(base - flops + math.fsum(cost.operations for cost in again), 0.0)
                spent = time + math.fsum(cost.nanoseconds + MEETING for cost in again)
                found.append(Candidate(analysis, outcome, extra, spent, outcome.peak))
        self.candidates = sorted(found, key=lambda c: (c.extra, c.time, c.bound))

    def within(self, budget: int) -> Candidate:
        """The candidate of least work whose arena has so many bytes at most."""
        for candidate in self.candidates:
            if candidate.bound <= budget and candidate.arena <= budget:
                return candidate
        raise MemoryBudgetError(
            f"jit: memory={in_words(budget)} is not enough: the smallest possible is {in_words(self.minimum)}; pass "
            f"that much, or make the arrays smaller",
            self.minimum,
        )

    @lazy
    def minimum(self) -> int:
        """The smallest arena."""
        least: int = self.usual.program.arena
        for candidate in sorted(self.candidates, key=lambda c: c.bound):
            if candidate.bound >= least:
                break
            least = min(least, candidate.arena)
        return least


def _useful(outcomes: Iterator[recompute.Outcome]) -> Sequence[recompute.Outcome]:
    """Those that no other beats in both bytes and cost."""
    found: list[recompute.Outcome] = []
    for outcome in sorted(outcomes, key=lambda o: (o.cost, o.peak, o.often, len(o.runs))):
        if not found or outcome.peak < found[-1].peak:
            found.append(outcome)
    return found


def meet(executable: Executable, budget: int, frugal: Callable[[], Executable]) -> Plan:
    """Make of a program one that works in so many bytes.

    Raises
    ------
    MemoryBudgetError
        if there is none, naming the smallest budget.
    """
    usual = executable.program.arena
    flops = executable.cost.operations
    family = Family(executable, frugal())
    chosen = family.within(budget)
    kept, again = chosen.parts()
    executable.pieces, executable.lowered, executable.program = chosen.placed
    executable.outputs = chosen.analysis.executable.outputs
    executable.__dict__.pop("cost", None)
    extra = max(executable.cost.operations - flops, 0.0)
    return Plan(budget, executable.program.arena, usual, flops, extra, kept, again, lambda: family.minimum)
