"""A byte budget for the memory a program works in: a family of programs of more and more work, and the first that fits.

The family does not depend on the budget, and a budget takes the first of it, in order of work, whose arena fits. So a
smaller budget never gives a larger arena, nor less work, and every budget from the smallest arena on is met.
"""

from __future__ import annotations

import copy
import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MemoryBudgetError
from ..kernel import overwrite, place, recompute, units
from ..kernel.arena import ALIGNMENT
from ..kernel.cost import Cost
from ..kernel.ir import Program
from ..kernel.versions import Versions
from ..lazy import lazy
from ..rewrite import rescan
from .plan import Loop, Part, Plan, in_words

if TYPE_CHECKING:
    from .pipeline import Executable

UNITS = {"b": 1, "": 1}
UNITS |= {f"{prefix}b": 1000 ** (k + 1) for k, prefix in enumerate("kmgt")}
UNITS |= {f"{prefix}ib": 1024 ** (k + 1) for k, prefix in enumerate("kmgt")}
NEVER = 1 << 62  # bytes
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
            number, unit = Fraction(found[1]), UNITS[found[2].lower()]
            given = math.floor(number * unit) if unit > 1 or number.denominator == 1 else 0
    elif hasattr(memory, "__index__") and not isinstance(memory, bool):
        given = memory.__index__()
    if given is None or given < 1:
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
        """Jobs at which a forward pass may be over: that of most memory, and the first that is part of a gradient."""
        found = {recompute.fullest(self.problem)}
        made = self.executable.lowered.made
        for number, unit in enumerate(self.units):
            nodes = [made[b] for piece in unit.pieces for b in overwrite.writes(piece) if b in made]
            if any(node.origin is not None and node.origin.forward is not None for node in nodes):
                return {*found, number}
        return found

    def again(self, unit: int, wanted: int) -> Cost:
        """What it costs to run a unit again for some of what it makes."""
        alone = units.alone(self.units[unit], self.buffers(wanted))
        return self.units[unit].cost if alone is None else place.measured([alone], self.executable.lowered)[0]

    def buffers(self, mask: int) -> tuple[int, ...]:
        return tuple([self.values[v] for v in recompute.ones(mask)])


def _weight(cost: Cost) -> float:
    """By what plans are compared: operations, and where there are none, time."""
    return cost.operations + 1e-6 * cost.nanoseconds


class Source:
    """A program that candidates are plans for, made when it is asked for."""

    def __init__(self, make: Callable[[], Executable], loops: Sequence[Loop] = ()) -> None:
        self.make, self.loops = make, loops

    @lazy
    def analysis(self) -> Analysis:
        return Analysis.of(self.make())

    @lazy
    def versions(self) -> Versions:
        """What its outputs are made of."""
        executable = self.analysis.executable
        return Versions(executable.pieces, executable.lowered.memory)

    @lazy
    def everything(self) -> recompute.Outcome:
        """Nothing is computed again."""
        problem = self.analysis.problem
        return recompute.outcome(problem, problem.everything())

    def takes(self, kept: Sequence[int]) -> bool:
        """Whether a plan that was made for another program may be one for this."""
        return len(kept) == len(self.analysis.problem.jobs)

    def followed(self, kept: Sequence[int]) -> recompute.Outcome:
        """What a plan comes to that was made for a program which differs in sizes only."""
        return recompute.outcome(self.analysis.problem, kept) if self.takes(kept) else self.everything


@dataclass(frozen=True)
class Candidate:
    """A program that the budget may choose.

    Attributes
    ----------
    source : the program it is a plan for
    plan : what it comes to, or what is kept after each job; None to keep everything
    extra, time : operations more than without a budget, and nanoseconds
    bound : its arena has so many bytes at least
    usual : whether it is the program as it is without a budget
    """

    source: Source
    plan: recompute.Outcome | Sequence[int] | None
    extra: float
    time: float
    bound: int
    usual: bool = False

    @lazy
    def outcome(self) -> recompute.Outcome:
        if isinstance(self.plan, recompute.Outcome):
            return self.plan
        return self.source.everything if self.plan is None else self.source.followed(self.plan)

    @lazy
    def placed(self) -> tuple[list[Any], Any, Program]:
        """Pieces, what was lowered with their buffers, and the program."""
        analysis = self.source.analysis
        executable = analysis.executable
        if self.usual:
            return executable.pieces, executable.lowered, executable.program
        runs = [units.Run(number, analysis.buffers(made)) for number, made in self.outcome.runs]
        pieces, memory = units.in_sequence(analysis.units, runs, executable.lowered)
        lowered = replace(executable.lowered, memory=memory)
        return pieces, lowered, place.place(pieces, lowered, executable.donated, apart=True)

    @lazy
    def arena(self) -> int:
        """Bytes; without end for a plan that was made for another program and does not fit this one, or is wrong."""
        plan = self.plan
        if plan is not None and not isinstance(plan, recompute.Outcome) and not self.source.takes(plan):
            return NEVER
        pieces, lowered, program = self.placed
        return program.arena if self.source.versions.kept(pieces, lowered.memory) else NEVER

    def parts(self) -> tuple[list[Part], list[Part]]:
        """What is in memory at the peak, and what is computed again."""
        analysis, outcome = self.source.analysis, self.outcome
        made, sizes = analysis.executable.lowered.made, analysis.problem.sizes
        kept = [Part.of(made.get(analysis.values[v]), sizes[v]) for v in recompute.ones(outcome.busy(analysis.problem))]
        often: dict[tuple[int, int], int] = {}
        for run in outcome.again():
            often[run] = often.get(run, 0) + 1
        again = []
        for (unit, wanted), times in sorted(often.items()):
            flops = times * analysis.again(unit, wanted).operations
            nodes = [made.get(b) for b in analysis.buffers(wanted)]
            again.append(Part.of(nodes[0], sum(sizes[v] for v in recompute.ones(wanted)), times, flops))
        return kept, again


class Family:
    """The candidates for one program, in the order in which a budget takes them."""

    def __init__(self, usual: Executable) -> None:
        self.flops = usual.cost.operations
        self.usual = usual.program.arena
        plain = Source(lambda: usual)
        found = [Candidate(plain, None, 0.0, usual.cost.nanoseconds, self.usual, True)]
        frugal: Any = lambda places=None: replace(usual, frugal=True, budget=None, places=places, passes={})
        found.append(self.candidate(plain, plain.everything, [unit.cost for unit in plain.analysis.units]))
        other = Source(frugal)
        found += self.plans(other)
        if not plain.analysis.problem.like(other.analysis.problem):
            found += self.plans(plain)
        scans = rescan.every(other.analysis.executable.outputs)
        if scans:
            found += self.scanned(scans, frugal)
        self.candidates = sorted(found, key=lambda c: (c.extra, c.time, c.bound))

    def plans(self, source: Source) -> Iterator[Candidate]:
        """All plans for a program that are of use."""
        analysis = source.analysis
        once = [unit.cost for unit in analysis.units]
        costs: dict[tuple[int, int], Cost] = {}
        for outcome in _useful(analysis.outcomes()):
            runs = outcome.again()
            costs.update({run: analysis.again(*run) for run in runs if run not in costs})
            yield self.candidate(source, outcome, [*once, *(costs[run] for run in runs)])

    def candidate(self, source: Source, outcome: recompute.Outcome, costs: Sequence[Cost]) -> Candidate:
        extra = max(math.fsum(cost.operations for cost in costs) - self.flops, 0.0)
        time = math.fsum(cost.nanoseconds + MEETING for cost in costs)
        return Candidate(source, outcome, extra, time, outcome.peak)

    def scanned(self, scans: Sequence[rescan.Pair], make: Callable[[int], Executable]) -> Iterator[Candidate]:
        """Programs whose scans keep fewer and fewer carries: the ends of the row as they are, the others foretold."""
        longest = max(pair.length for pair in scans)
        places = rescan.choices(longest)
        again = {p: sum(len(rescan.schedule(pair.length, min(p, pair.length)).moves) for pair in scans) for p in places}
        source = {p: Source(functools.partial(make, p), [Loop.of(pair, p) for pair in scans]) for p in places}
        most, least = places[0], places[-1]
        ends = {}
        for p in (most, least):
            costs = [unit.cost for unit in source[p].analysis.units]
            ends[p] = self.candidate(source[p], source[p].everything, costs)
        row = sum(pair.carried for pair in scans)
        slack = ALIGNMENT * sum(len(pair.forward.inputs) for pair in scans)
        steps = max(again[least] - again[most], 1)
        high, low = ends[most], ends[least]
        yield high
        plans = list(self.plans(source[least]))
        yield from plans
        for plan in plans:
            peak = source[most].followed(plan.outcome.kept).peak
            for p in places[1:-1]:
                part = (again[p] - again[most]) / steps
                extra = plan.extra - (1.0 - part) * (low.extra - high.extra)
                time = plan.time - (1.0 - part) * (low.time - high.time)
                bound = max(plan.arena, peak - (most - p) * row - slack)  # fewer carries never take more
                kept = plan.outcome.kept if plan.outcome.again() else None
                yield Candidate(source[p], kept, max(extra, 0.0), time, bound)

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
        least = self.usual
        for candidate in sorted(self.candidates, key=lambda c: c.bound):
            if candidate.bound >= least:
                break
            least = min(least, max(candidate.bound, candidate.arena))
        return least


def _useful(outcomes: Iterator[recompute.Outcome]) -> Sequence[recompute.Outcome]:
    """Those that no other beats in both bytes and cost."""
    found: list[recompute.Outcome] = []
    for outcome in sorted(outcomes, key=lambda o: (o.cost, o.peak, o.often, len(o.runs))):
        if not found or outcome.peak < found[-1].peak:
            found.append(outcome)
    return found


def meet(executable: Executable, budget: int) -> Plan:
    """Make of a program one that works in so many bytes.

    Raises
    ------
    MemoryBudgetError
        if there is none, naming the smallest budget.
    """
    family = Family(copy.copy(executable))  # its candidates are plans for the program as it is now
    chosen = family.within(budget)
    kept, again = chosen.parts()
    pieces, executable.lowered, executable.program = chosen.placed
    executable.pieces, executable.outputs = pieces, chosen.source.analysis.executable.outputs
    executable.__dict__.pop("cost", None)
    extra = max(executable.cost.operations - family.flops, 0.0)
    arena = executable.program.arena
    return Plan(
        budget, arena, family.usual, family.flops, extra, kept, again, chosen.source.loops, lambda: family.minimum
    )
