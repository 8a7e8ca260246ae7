"""What is kept and what is computed again, so that little memory is needed: a family of plans, whatever the budget.

A plan says which values stay in memory from each job to the next. What a job finds missing is computed again just
before it, from what is there (Jain et al., "Checkmate", MLSys 2020, describe plans in this way). Two searches make
plans:

``by_stages`` is exact on chains. Jobs before a turning point are the forward pass; those after it, in groups that ask
for ever earlier values, the backward pass. A checkpoint is a cut: all values that work beyond it needs. Dynamic
programming over pairs of cuts and over bytes finds which to keep: on a chain of equal steps these are the binomial
checkpoints of Griewank & Walther ("Algorithm 799: revolve", ACM Trans. Math. Softw. 26, 2000), on others the optimal
persistent ones of Beaumont et al. ("Optimal checkpointing for heterogeneous chains", RR-9302, Inria, 2019).

``by_peaks`` is for any graph: at the moment of most memory, the value is dropped whose bytes cost least to have again,
as long as that helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

LEVELS = 400  # of memory, that dynamic programming tells apart
CUTS = 120  # ... and the cuts that it chooses among
ALIKE = 0.05  # of jobs and bytes that two problems may differ by, not to be worth planning for both
EFFORT = 20_000  # jobs run in looking for what to drop, about
TRIES = 4  # values that are tried at a peak before it is given up


class Job(NamedTuple):
    """A part of the work.

    Attributes
    ----------
    needs, makes : values, as bit masks
    room : bytes that it uses besides; negative where not all of those values are there at once
    cost : of running it once
    repeatable : whether it may run again
    """

    needs: int
    makes: int
    room: int
    cost: float
    repeatable: bool


class Problem:
    """Jobs in an order in which they can run, and the bytes of each value."""

    def __init__(self, jobs: Sequence[Job], sizes: Sequence[int]) -> None:
        self.jobs, self.sizes = jobs, sizes
        self.maker: dict[int, int] = {}
        self.fixed = 0  # values that cannot be made again
        self.needs = [tuple(ones(job.needs)) for job in jobs]
        self.makes = [tuple(ones(job.makes)) for job in jobs]
        for number, job in enumerate(jobs):
            for v in ones(job.makes):
                if v in self.maker or not job.repeatable:
                    self.fixed |= 1 << v
                self.maker[v] = number

    def size(self, values: int) -> int:
        return sum(self.sizes[v] for v in ones(values))

    def like(self, other: Problem) -> bool:
        """Whether plans for one are hardly better than plans for the other."""
        ours, theirs = (np.array([len(p.jobs), sum(p.sizes)]) for p in (self, other))
        return bool(np.all(abs(ours - theirs) <= ALIKE * ours))

    def everything(self) -> list[int]:
        """The plan that keeps all."""
        return [-1] * len(self.jobs)


class Outcome(NamedTuple):
    """What a plan comes to.

    Attributes
    ----------
    kept : the plan
    runs : (job, the values it is run for), in order
    stages : of each run, the job it is run for, or is
    peak, often : the most bytes, and at how many runs
    cost : of what runs again
    at : the first run with the most bytes
    idle : values in memory then that it does not use
    """

    kept: Sequence[int]
    runs: list[tuple[int, int]]
    stages: list[int]
    peak: int
    often: int
    cost: float
    at: int
    idle: int

    def again(self) -> list[tuple[int, int]]:
        """The runs of jobs that have run before."""
        seen: set[int] = set()
        found = []
        for run in self.runs:
            if run[0] in seen:
                found.append(run)
            seen.add(run[0])
        return found

    def busy(self, problem: Problem) -> int:
        """The values in memory at the run with the most bytes."""
        if not self.runs:
            return 0
        number, made = self.runs[self.at]
        return self.idle | problem.jobs[number].needs | made


def ones(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def outcome(problem: Problem, kept: Sequence[int]) -> Outcome:
    """Run a plan: ``kept`` are the values that stay after each job, if they are there."""
    jobs, maker, fixed = problem.jobs, problem.maker, problem.fixed
    runs: list[tuple[int, int]] = []
    stages: list[int] = []
    there = 0
    cost = 0.0
    for number, job in enumerate(jobs):
        again: dict[int, int] = {}
        missing = list(ones(job.needs & ~there))
        while missing:
            v = missing.pop()
            at = maker[v]
            if at not in again:
                missing += ones(jobs[at].needs & ~there)
            again[at] = again.get(at, 0) | 1 << v
        for at in sorted(again):
            runs.append((at, again[at]))
            stages.append(number)
            there |= again[at]
            cost += jobs[at].cost
        runs.append((number, job.makes))
        stages.append(number)
        there = (there | job.makes) & (kept[number] | fixed)
    alive, lives = _bytes(problem, runs)
    peak = int(alive.max(initial=0))
    at = int(np.argmax(alive)) if runs else 0
    idle = sum(1 << v for v, first, end in lives if first < at < end)
    if runs:
        idle &= ~(jobs[runs[at][0]].needs | runs[at][1])
    return Outcome(kept, runs, stages, peak, int(np.count_nonzero(alive == peak)), cost, at, idle)


def _bytes(problem: Problem, runs: Sequence[tuple[int, int]]) -> tuple[Any, list[tuple[int, int, int]]]:
    """Bytes in use at each run; of each copy of a value, the run that makes it and the last that needs it."""
    jobs, sizes, fixed = problem.jobs, problem.sizes, problem.fixed
    born: dict[int, int] = {}
    last: dict[int, int] = {}
    lives: list[tuple[int, int, int]] = []
    for at, (number, made) in enumerate(runs):
        for v in problem.needs[number]:
            last[v] = at
        for v in problem.makes[number] if made == jobs[number].makes else ones(made):
            if v in born and not fixed >> v & 1:
                lives.append((v, born.pop(v), last[v]))
            born.setdefault(v, at)
            last[v] = at
    lives += [(v, first, last[v]) for v, first in born.items()]
    change = [0] * (len(runs) + 1)
    for v, first, end in lives:
        change[first] += sizes[v]
        change[end + 1] -= sizes[v]
    rooms = [jobs[number].room for number, _ in runs]
    return np.cumsum(np.array(change[:-1], np.int64)) + np.array(rooms, np.int64), lives


def fullest(problem: Problem) -> int:
    """The job of most memory where everything is kept."""
    alive, _ = _bytes(problem, [(number, job.makes) for number, job in enumerate(problem.jobs)])
    return int(np.argmax(alive)) if len(alive) else 0


# Any graph


def by_peaks(problem: Problem, kept: Sequence[int]) -> Iterator[Outcome]:
    """Plans of less and less memory: at the peak, what is cheapest to have again, by its bytes, is dropped."""
    now = outcome(problem, kept)
    left = EFFORT // max(len(problem.jobs), 1) + 20
    while left > 0:
        yield now
        windows = {v: _window(problem, now, v) for v in ones(now.idle & ~problem.fixed)}
        dear = {
            v: _again(problem, now, v, end) / problem.sizes[v] for v, (first, end) in windows.items() if first < end
        }
        found = None
        for v in sorted(dear, key=lambda v: (dear[v], v))[:TRIES]:
            left -= 1
            first, end = windows[v]
            without = [mask & ~(1 << v) if first <= k < end else mask for k, mask in enumerate(now.kept)]
            tried = outcome(problem, without)
            if (tried.peak, tried.often) < (now.peak, now.often):
                found = tried
                break
        if found is None:
            return
        now = found


def _window(problem: Problem, now: Outcome, v: int) -> tuple[int, int]:
    """The jobs between which a value lies idle at the peak: the last that used it, and the next that does."""
    before = next(k for k in range(now.at, -1, -1) if (problem.jobs[now.runs[k][0]].needs | now.runs[k][1]) >> v & 1)
    after = next(k for k in range(now.at, len(now.runs)) if problem.jobs[now.runs[k][0]].needs >> v & 1)
    return now.stages[before], now.stages[after]


def _again(problem: Problem, now: Outcome, v: int, stage: int) -> float:
    """What it costs to have a value again at a stage, from what is kept until then."""
    there = (now.kept[stage - 1] | problem.fixed) & ~(1 << v)
    cost, missing, done = 0.0, [v], set()
    while missing:
        at = problem.maker[missing.pop()]
        if at not in done:
            done.add(at)
            cost += problem.jobs[at].cost
            missing += ones(problem.jobs[at].needs & ~there)
    return cost


# Chains


def by_stages(problem: Problem, turn: int) -> Iterator[Outcome]:
    """Plans for every level of memory, cheapest first, where jobs from ``turn`` on use the values of those before."""
    chain = _Chain(problem, turn)
    if chain.last:
        for level in chain.levels():
            yield outcome(problem, chain.plan(level))


class _Chain:
    """The jobs before a turning point as a chain of cuts, and what the jobs after it ask of them.

    Attributes
    ----------
    places : after how many jobs each cut is. There may be two at a place: what is needed from there on, and, where that
        is less, what is needed without the group of this place
    cuts : the values made before a place that jobs, or groups of later ones, need from there on
    groups : of each place, the later jobs, a range, that use values made before it, but none made after it
    last : the number of the last cut
    """

    def __init__(self, problem: Problem, turn: int) -> None:
        self.problem, self.turn = problem, turn
        jobs = problem.jobs
        self.own = 0
        for job in jobs[:turn]:
            self.own |= job.makes
        self.own &= ~problem.fixed
        stage = self.asked()
        self.useful()
        ahead: dict[int, int] = {}  # the last of the earlier jobs that needs a value
        for number in range(turn):
            for v in ones(jobs[number].needs & self.own if self.used[number] else 0):
                ahead[v] = number
        chosen = self.chosen(stage)
        groups: dict[int, list[int]] = {place: [] for place in chosen}
        behind: dict[int, int] = {}  # the last place with a group that needs a value
        for number, s in enumerate(stage, turn):
            place = next(p for p in chosen if p >= s)
            groups[place].append(number)
            for v in ones(jobs[number].needs & self.own):
                behind[v] = max(behind.get(v, 0), place)
        self.places: list[int] = []
        self.cuts: list[int] = []
        self.groups: list[list[int]] = []
        for place in chosen:
            before = [v for v in {*ahead, *behind} if problem.maker[v] < place]
            for least, group in ((place, groups[place]), (place + 1, [])):
                needed = [v for v in before if ahead.get(v, -1) >= place or behind.get(v, -1) >= least]
                cut = sum(1 << v for v in needed)
                if group or least == place or (cut != self.cuts[-1] and len(self.places) < CUTS):
                    self.places.append(place)
                    self.cuts.append(cut)
                    self.groups.append(group)
        self.last = max((k for k, group in enumerate(self.groups) if group), default=0)

    def asked(self) -> list[int]:
        """Of each later job, after how many of the earlier ones all is there that it, or one behind it, asks for."""
        stage, far = [], 0
        for job in reversed(self.problem.jobs[self.turn :]):
            far = max([far, *(self.problem.maker[v] + 1 for v in ones(job.needs & self.own))])
            stage.append(far)
        return stage[::-1]

    def useful(self) -> None:
        """Which of the earlier jobs make what later ones need, if not at once; what those after each of them need."""
        needed = 0
        for job in self.problem.jobs[self.turn :]:
            needed |= job.needs
        self.used = [False] * self.turn
        self.ahead = [0] * self.turn
        for number in reversed(range(self.turn)):
            job = self.problem.jobs[number]
            if job.makes & needed & self.own:
                self.used[number] = True
                needed |= job.needs
            if number:
                self.ahead[number - 1] = self.ahead[number] | job.needs

    def chosen(self, stage: Sequence[int]) -> list[int]:
        """Where there may be a cut: where a group begins, and between; not too many."""
        asked = sorted({0, *stage})
        if len(asked) > CUTS:
            return sorted({0, asked[-1], *asked[:: len(asked) // CUTS + 1]})
        others = [p for p in range(1, asked[-1]) if p not in set(asked)]
        free = CUTS - len(asked)
        step = len(others) // max(free, 1) + 1
        return sorted({*asked, *(others[::step] if free else ())})

    def levels(self) -> Iterator[int]:
        """The levels of memory at which less has to run again, from the most on."""
        self.solve()
        total = self.total[0, self.last]
        for level in range(len(total) - 1, -1, -1):
            if np.isfinite(total[level]) and (level == 0 or total[level - 1] > total[level]):
                yield level

    def solve(self) -> None:
        """``total[i, j, m]``: the least cost of serving groups j … i with cut i in memory, in m levels of it.

        Among the cuts between is one, k, to go on to and keep while groups j … k are served; then come k - 1 … i.
        """
        problem, count = self.problem, len(self.places)
        size = [problem.size(cut) for cut in self.cuts]
        cost, within = self.forward()
        crossing, busy = self.beside()
        most = max(size) * count + int(max(busy, default=0)) + int(within.max(initial=0))
        most = min(most, sum(problem.sizes) + max((job.room for job in problem.jobs), default=0))
        units = [s for s in problem.sizes if s] or [1]
        unit = max(int(np.gcd.reduce(units)), -(-most // LEVELS))
        levels = np.arange(most // unit + 2)
        up: Any = lambda x: -(-np.asarray(x) // unit)
        beyond = np.array([[problem.size(a & ~b) for b in self.cuts] for a in self.cuts])
        self.drop = up(beyond)
        self.total = np.full((count, count, len(levels)), np.inf)
        self.choice = np.zeros((count, count, len(levels)), np.int16)
        for i in range(count):
            need = size[i] + (busy[i] if self.groups[i] else 0)
            self.total[i, i, levels >= up(need)] = 0.0
        for distance in range(1, count):
            for i in range(count - distance):
                j = i + distance
                if not self.groups[j]:
                    self.total[i, j], self.choice[i, j] = self.total[i, j - 1], -1
                    continue
                ks = np.arange(i + 1, j + 1)
                left = levels[None, :] - self.drop[i, ks][:, None]
                ahead = np.where(left >= 0, self.total[ks[:, None], j, np.maximum(left, 0)], np.inf)
                here = cost[i, ks][:, None] + ahead + self.total[i, ks - 1]
                room = up(size[i] + within[i, ks] + crossing[j])
                here[levels[None, :] < room[:, None]] = np.inf
                best = np.argmin(here, axis=0)
                self.total[i, j] = here[best, np.arange(len(levels))]
                self.choice[i, j] = ks[best]

    def forward(self) -> tuple[Any, Any]:
        """Cost, and bytes beside cut i, of going on from cut i to cut k."""
        problem, jobs, maker = self.problem, self.problem.jobs, self.problem.maker
        count = len(self.places)
        cost, within = np.zeros((count, count)), np.zeros((count, count), np.int64)
        for k in range(1, count):
            end, needed, spent = self.places[k], self.cuts[k], 0.0
            bytes_ = np.zeros((end, end + 1), np.int64)
            spends = np.zeros(end + 1)
            for number in reversed(range(end)):
                job = jobs[number]
                if job.makes & needed:
                    alive = needed | job.needs & self.own
                    for v in ones(alive):
                        bytes_[number, maker[v]] += problem.sizes[v]
                    bytes_[number, -1] = job.room
                    needed = alive & ~job.makes
                    spent += job.cost
                spends[number] = spent
            bytes_ = np.cumsum(bytes_[:, ::-1], axis=1)[:, ::-1]
            for i in range(k):
                place = self.places[i]
                cost[i, k] = spends[place]
                within[i, k] = bytes_[place:, place].max(initial=0)
        return cost, within

    def beside(self) -> tuple[list[int], list[int]]:
        """Bytes of other values than the chain's: before each group, and at most while it is served."""
        problem, jobs = self.problem, self.problem.jobs
        born: dict[int, int] = {}
        last: dict[int, int] = {}
        for number, job in enumerate(jobs):
            for v in ones((job.needs | job.makes) & ~self.own):
                born.setdefault(v, number)
                last[v] = number
        over, at = np.zeros(len(jobs) + 1, np.int64), np.zeros(len(jobs) + 1, np.int64)
        for v, first in born.items():
            at[first : last[v] + 1] += problem.sizes[v]
            over[first + 1 : last[v] + 1] += problem.sizes[v]
        for number, job in enumerate(jobs):
            at[number] += job.room
        crossing = [int(over[g[0]]) if g else 0 for g in self.groups]
        return crossing, [int(at[g[0] : g[-1] + 1].max()) if g else 0 for g in self.groups]

    def plan(self, level: int) -> list[int]:
        """What is kept after each job, with so much memory."""
        stacks: dict[int, tuple[int, ...]] = {}
        waiting: list[tuple[int, int, int, tuple[int, ...]]] = [(0, self.last, level, (0,))]
        while waiting:
            i, j, m, stack = waiting.pop()
            while j > i and self.choice[i, j, m] < 0:
                j -= 1
            if i == j:
                stacks[i] = stack
                continue
            k = int(self.choice[i, j, m])
            waiting.append((i, k - 1, m, stack))
            waiting.append((k, j, m - int(self.drop[i, k]), (*stack, k)))
        others = ~self.own
        kept = []
        first = stacks[self.last]
        for number in range(self.turn):
            held = others | self.ahead[number]
            reached = [k for k in first if self.places[k] <= number + 1]
            for k in first[: len(reached) + 1]:
                held |= self.cuts[k]
            kept.append(held)
        of = {number: k for k, group in enumerate(self.groups) for number in group}
        for number in range(self.turn, len(self.problem.jobs)):
            k = of[number]
            stack = stacks[k] if number != self.groups[k][-1] else stacks[k][:-1]
            kept.append(others | self.union(stack))
        return kept

    def union(self, stack: Sequence[int]) -> int:
        found = 0
        for k in stack:
            found |= self.cuts[k]
        return found
