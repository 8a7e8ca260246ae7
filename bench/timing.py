"""Interleaved timing: every contender runs in every round, so that a change in the machine's speed meets all alike.

A round gives each contender one slice of time, in an order that rotates. Before a slice come a pause, until the
spinning threads of the one before sleep, and one call that is not counted. Reported are medians over rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def nothing(*_: Any) -> None:
    """What a contender without state does to reset, and a synchronous one to wait."""


@dataclass(frozen=True)
class Contender:
    """One library's way to do what a row measures.

    Attributes
    ----------
    run : one call, the thing timed
    result : a tree of arrays that must agree between contenders
    wait : blocks until what ``run`` returned is there; called once after the last call of a slice
    reset : back to the initial state, not timed
    most : calls allowed between two resets
    """

    run: Callable[[], Any]
    result: Callable[[], Any]
    wait: Callable[[Any], Any] = nothing
    reset: Callable[[], Any] = nothing
    most: int = 1_000_000


@dataclass(frozen=True)
class Effort:
    """Rounds, seconds in a slice, seconds of pause before it at least."""

    rounds: int
    seconds: float
    pause: float


FULL = Effort(rounds=15, seconds=0.06, pause=0.03)
QUICK = Effort(rounds=5, seconds=0.01, pause=0.005)


@dataclass(frozen=True)
class Timing:
    """Median seconds of a call; half the distance between the quartiles over the median; calls in a slice."""

    seconds: float
    spread: float
    calls: int


def rest(least: float, most: float = 0.5) -> None:
    """Sleep so many seconds, and on until no thread of this process computes: OpenBLAS's spin for 0.1 s."""
    end, glance = time.perf_counter() + most, 0.01
    time.sleep(least)
    busy = glance
    while busy > 0.1 * glance and time.perf_counter() < end:
        busy = time.process_time()
        time.sleep(glance)
        busy = time.process_time() - busy


def timed(contender: Contender, calls: int) -> float:
    """Seconds per call over ``calls`` calls after a reset and one call that is not counted."""
    contender.reset()
    contender.wait(contender.run())
    run, last = contender.run, None
    start = time.perf_counter()
    for _ in range(calls):
        last = run()
    contender.wait(last)
    return (time.perf_counter() - start) / calls


def calls_in_a_slice(contender: Contender, effort: Effort) -> int:
    """Calls that fill a slice, found by doubling."""
    calls = 1
    while True:
        per_call = timed(contender, calls)
        if calls * per_call >= effort.seconds / 4 or calls >= contender.most:
            return max(1, min(contender.most, round(effort.seconds / per_call)))
        calls = min(2 * calls, contender.most)


def measure(contenders: dict[str, Contender], effort: Effort) -> dict[str, Timing]:
    """The timing of each contender, all measured in turn."""
    counts = {name: calls_in_a_slice(contender, effort) for name, contender in contenders.items()}
    samples: dict[str, list[float]] = {name: [] for name in contenders}
    order = list(contenders)
    for _ in range(effort.rounds):
        for name in order:
            rest(effort.pause)
            samples[name].append(timed(contenders[name], counts[name]))
        order = order[1:] + order[:1]
    return {name: _summary(samples[name], counts[name]) for name in contenders}


def _summary(samples: list[float], calls: int) -> Timing:
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Timing(middle, (high - low) / 2 / middle, calls)
