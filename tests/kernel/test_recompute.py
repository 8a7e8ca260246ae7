"""What is computed again: counts on chains against the recurrence they are defined by and against exhaustive search."""

from __future__ import annotations

import functools
import heapq
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from glassgrad.kernel.recompute import Job, Outcome, Problem, by_peaks, by_stages, outcome


@functools.cache
def steps(length: int, places: int) -> int:
    """Steps forward that reversing a chain takes at least: Griewank's recurrence."""
    if length == 1:
        return 0
    if places == 1:
        return length * (length - 1) // 2
    return min(k + steps(length - k, places - 1) + steps(k, places) for k in range(1, length))


def chain(sizes: Sequence[int], costs: Sequence[float], cotangent: int) -> Problem:
    """h_i from h_(i-1), then from the last on d_i from d_(i+1) and h_i. The last h has a d before it too."""
    count = len(sizes)
    jobs = [Job(1 << i - 1 if i else 0, 1 << i, 0, cost, True) for i, cost in enumerate(costs)]
    jobs.append(Job(1 << count - 1, 1 << count, 0, 1.0, False))
    for i in reversed(range(count)):
        jobs.append(Job(1 << i | 1 << jobs[-1].makes.bit_length() - 1, 1 << len(jobs), 0, 1.0, False))
    return Problem(jobs, [*sizes, *[cotangent] * (len(jobs) - count)])


def cheapest(problem: Problem, turn: int, most: int) -> float:
    """The least cost of running all jobs within so many bytes, by trying everything (Dijkstra over what is there)."""
    first, seen = (0.0, 0, 0), set()
    waiting = [first]
    jobs, sizes = problem.jobs, problem.sizes
    while waiting:
        cost, done, there = heapq.heappop(waiting)
        if done == len(jobs):
            return cost
        if (done, there) in seen:
            continue
        seen.add((done, there))
        for v in range(len(sizes)):
            if there >> v & 1:
                heapq.heappush(waiting, (cost, done, there & ~(1 << v)))
        for number in {*range(min(done, turn)), done}:
            job = jobs[number]
            after = there | job.makes
            if job.needs & ~there or problem.size(after) > most or (after == there and number < done):
                continue
            again = number < done
            heapq.heappush(waiting, (cost + job.cost * again, max(done, number + 1), after))
    return float("inf")


def best(outcomes: Sequence[Outcome], most: int) -> float:
    return min((o.cost for o in outcomes if o.peak <= most), default=float("inf"))


@pytest.mark.parametrize("length", [2, 5, 10, 33])
def test_equal_steps_are_done_again_as_often_as_the_recurrence_says(length: int) -> None:
    """Of h_1 … h_(l-1), all of one size, s - 1 are kept beside the one at hand and two cotangents; h_0 is given."""
    outcomes = list(by_stages(chain([64] * (length - 1), [1.0] * (length - 1), 64), length - 1))
    for places in range(1, length):
        expected = steps(length, places) - (length - 1)
        assert best(outcomes, 64 * (places + 2)) == expected, places
    assert steps(10, 3) == 15  # published


@pytest.mark.parametrize("seed", range(4))
def test_unequal_steps_cost_what_trying_everything_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 5
    problem = chain([64 * int(n) for n in rng.integers(1, 5, count)], [float(n) for n in rng.integers(1, 9, count)], 64)
    outcomes = list(by_stages(problem, count))
    peaks = sorted({o.peak for o in outcomes})
    assert len(peaks) > 1
    for most in peaks:
        assert best(outcomes, most) == cheapest(problem, count, most), most


def random_problem(rng: Any, count: int) -> Problem:
    """Jobs that each make a value of some earlier ones."""
    jobs = []
    for number in range(count):
        needs = rng.choice(number, min(number, int(rng.integers(1, 4))), replace=False) if number else []
        jobs.append(Job(sum(1 << int(v) for v in needs), 1 << number, 0, float(rng.integers(1, 9)), True))
    return Problem(jobs, [64 * int(n) for n in rng.integers(1, 6, count)])


@pytest.mark.parametrize("seed", range(10))
def test_plans_for_any_graph_are_what_they_claim(seed: int) -> None:
    """Each run finds what it needs, among values of no more bytes than the peak."""
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, 24)
    start = outcome(problem, problem.everything())
    found = [*by_peaks(problem, problem.everything()), *by_stages(problem, 12), *by_stages(problem, 18)]
    assert any(o.peak < start.peak for o in found)
    for o in found:
        last: dict[int, list[int]] = {}
        for at, (number, _) in enumerate(o.runs):
            for v in range(24):
                if problem.jobs[number].needs >> v & 1:
                    last.setdefault(v, []).append(at)
        there: set[int] = set()
        peak = 0
        for at, (number, made) in enumerate(o.runs):
            needs = {v for v in range(24) if problem.jobs[number].needs >> v & 1}
            assert needs <= there, at
            there |= {v for v in range(24) if made >> v & 1}
            peak = max(peak, sum(problem.sizes[v] for v in there))
            remade = {v: [k for k, run in enumerate(o.runs) if run[1] >> v & 1 and k > at] for v in there}
            there = {v for v in there if any(k > at and (not remade[v] or k <= remade[v][0]) for k in last.get(v, []))}
        assert peak == o.peak
        assert o.cost == sum(problem.jobs[number].cost for number, _ in o.again())
