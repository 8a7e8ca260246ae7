"""Learning rates that change from step to step: any function of the step's number, which is 1 at the first."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``peak`` at the first step down to ``floor`` after ``steps``: Loshchilov & Hutter 2017, eq. 5.

    Examples
    --------
    >>> rate = Cosine(0.1, steps=100)
    >>> rate(1), round(rate(51), 6), rate(101), rate(500)
    (0.1, 0.05, 0.0, 0.0)
    """

    peak: float
    steps: int
    floor: float = 0.0

    def __call__(self, count: int) -> float:
        done = min((count - 1) / max(self.steps, 1), 1.0)
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * done)) / 2


def rate(lr: float | Schedule, count: int) -> float:
    """The learning rate of one step."""
    return lr(count) if callable(lr) else lr
