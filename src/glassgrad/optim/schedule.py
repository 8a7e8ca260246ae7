"""Learning rates that change from step to step: any function of the step's number, which is 1 at the first.

In a compiled step the number is traced, and a schedule has to be made of NumPy's or Glassgrad's functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.node import is_symbolic

Schedule = Callable[[Any], Any]


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

    def __call__(self, count: Any) -> Any:
        cos, minimum = (np.cos, np.minimum) if is_symbolic(count) else (math.cos, min)
        done = minimum((count - 1) / max(self.steps, 1), 1.0)
        return self.floor + (self.peak - self.floor) * (1 + cos(math.pi * done)) / 2


def rate(lr: float | Schedule, count: Any) -> Any:
    """The learning rate of one step."""
    return lr(count) if callable(lr) else lr
