"""Learning rates that change from step to step: any function of the step's number, which is 1 at the first.

In a compiled step the number is traced, and a schedule has to be made of NumPy's or Glassgrad's functions. Those here
are formulas in t = number - 1, the steps already taken. ``Plateau`` depends on losses besides.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..graph.node import is_symbolic
from .limits import require

Schedule = Callable[[Any], Any]


def rate(lr: float | Schedule, count: Any) -> Any:
    """The learning rate of one step, before ``State.scale``."""
    return lr(count) if callable(lr) else lr


def require_rate(lr: float | Schedule, name: str = "lr") -> None:
    """Raise unless the first learning rate is a number of at least 0."""
    require(name, rate(lr, 1), 0)


class Timed(abc.ABC):
    """A schedule that is a formula in t, the number of steps already taken."""

    @abc.abstractmethod
    def after(self, t: Any) -> Any:
        """The learning rate after t steps, of NumPy's functions."""

    def __call__(self, count: Any) -> Any:
        found = self.after(count - 1)
        return found if is_symbolic(found) else float(found)

    def require(self, **limits: float) -> None:
        """Raise unless each field named is a number of at least its limit."""
        for name, low in limits.items():
            require(name, getattr(self, name), low)


@dataclass(frozen=True)
class Step(Timed):
    """peak · factor^⌊t / every⌋.

    Examples
    --------
    >>> rate = Step(0.1, every=30)
    >>> rate(1), rate(30), round(rate(31), 6), round(rate(61), 6)
    (0.1, 0.1, 0.01, 0.001)
    """

    peak: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        self.require(peak=0, every=1, factor=0)

    def after(self, t: Any) -> Any:
        return self.peak * self.factor ** (t // self.every)


@dataclass(frozen=True)
class MultiStep(Timed):
    """peak · factorⁿ, where n is how many of the steps ``at`` have been taken.

    Examples
    --------
    >>> rate = MultiStep(0.1, at=(30, 80))
    >>> rate(30), round(rate(31), 6), round(rate(81), 6)
    (0.1, 0.01, 0.001)
    """

    peak: float
    at: tuple[int, ...]
    factor: float = 0.1

    def __post_init__(self) -> None:
        self.require(peak=0, factor=0)
        for step in self.at:
            require("at", step, 0)

    def after(self, t: Any) -> Any:
        return self.peak * self.factor ** sum((t >= step) * 1 for step in self.at)


@dataclass(frozen=True)
class Exponential(Timed):
    """peak · factorᵗ.

    Examples
    --------
    >>> rate = Exponential(0.1, factor=0.5)
    >>> rate(1), rate(2), rate(3)
    (0.1, 0.05, 0.025)
    """

    peak: float
    factor: float

    def __post_init__(self) -> None:
        self.require(peak=0, factor=0)

    def after(self, t: Any) -> Any:
        return self.peak * self.factor**t


@dataclass(frozen=True)
class Polynomial(Timed):
    """floor + (peak - floor) · (1 - t / steps)^power down to ``floor`` after ``steps``; a line for power 1.

    A ``floor`` above ``peak`` makes it rise.

    Examples
    --------
    >>> rate = Polynomial(0.1, steps=100)
    >>> rate(1), rate(51), rate(101), rate(500)
    (0.1, 0.05, 0.0, 0.0)
    """

    peak: float
    steps: int
    floor: float = 0.0
    power: float = 1.0

    def __post_init__(self) -> None:
        self.require(peak=0, steps=1, floor=0, power=0)

    def after(self, t: Any) -> Any:
        left = 1 - np.minimum(t / self.steps, 1.0)
        return self.floor + (self.peak - self.floor) * left**self.power


@dataclass(frozen=True)
class Cosine(Timed):
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

    def __post_init__(self) -> None:
        self.require(peak=0, steps=0, floor=0)

    def after(self, t: Any) -> Any:
        return between(self.peak, self.floor, t / max(self.steps, 1))


@dataclass(frozen=True)
class OneCycle(Timed):
    """Up to ``peak`` and down to nearly nothing in ``steps``, by halves of cosines: Smith & Topin 2018, section 3.

    It begins at peak / ``div``, is at ``peak`` when the part ``rise`` of the steps is over, and ends, at the last of
    them, at peak / div / ``final``: PyTorch's form.

    Examples
    --------
    >>> rate = OneCycle(0.1, steps=101)
    >>> [f"{rate(n):.1e}" for n in (1, 31, 101)]
    ['4.0e-03', '1.0e-01', '4.0e-07']
    """

    peak: float
    steps: int
    rise: float = 0.3
    div: float = 25.0
    final: float = 1e4

    def __post_init__(self) -> None:
        self.require(peak=0, steps=2, div=1, final=1)
        require("rise", self.rise, 0, 1)

    def after(self, t: Any) -> Any:
        first = self.peak / self.div
        top, last = self.rise * self.steps - 1, self.steps - 1
        down = between(self.peak, first / self.final, (t - top) / (last - top))
        return np.where(t <= top, between(first, self.peak, t / top), down) if top > 0 else down


@dataclass(frozen=True)
class WarmUp(Timed):
    """Before any other schedule or constant ``lr``: ``steps`` that rise in a line to its first learning rate.

    It begins at the part ``start`` of that. The other schedule's first step comes after the warm-up: Goyal et al. 2017,
    section 2.2.

    Examples
    --------
    >>> rate = WarmUp(Cosine(0.1, steps=100), steps=4)
    >>> rate(1), rate(2), rate(3), rate(5), rate(105)
    (0.0, 0.025, 0.05, 0.1, 0.0)
    """

    lr: float | Schedule
    steps: int
    start: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.lr, Plateau):
            raise TypeError("WarmUp: of a Plateau, which is told losses; write Plateau(WarmUp(0.1, steps=100)) instead")
        require_rate(self.lr)
        self.require(steps=1, start=0)

    def after(self, t: Any) -> Any:
        rising = self.start + (1 - self.start) * t / self.steps
        later = rate(self.lr, np.maximum(t - self.steps, 0) + 1)
        return np.where(t < self.steps, rate(self.lr, 1) * rising, later)


def between(first: float, last: float, part: Any) -> Any:
    """Half a cosine from first, at part 0, to last, from part 1 on."""
    return last + (first - last) * (1 + np.cos(math.pi * np.minimum(part, 1.0))) / 2


class Seen(NamedTuple):
    """What a plateau remembers: the least loss, how many losses in a row were no better, and how many not to count."""

    least: Any
    worse: Any
    rest: Any


@dataclass(frozen=True)
class Plateau:
    """A learning rate that is multiplied by ``factor`` when ``patience`` losses in a row, and one more, are no better.

    Losses are told to ``Optimizer.observe``, which changes ``State.scale``; ``train.fit`` does it after every epoch.

    Parameters
    ----------
    lr : a number, or a schedule whose every rate is scaled
    factor : below 1
    patience : how many losses in a row may be no better
    threshold : better is below (1 - threshold) times the least so far
    cooldown : how many losses after a change are not counted
    least : the scale does not go below

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad.optim import SGD
    >>> optimizer = SGD(lr=Plateau(0.1, factor=0.5, patience=1))
    >>> state = optimizer.init(np.zeros(3))
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     state = optimizer.observe(state, loss)
    ...     print(optimizer.rate(state), end=" ")
    0.1 0.1 0.1 0.05
    """

    lr: float | Schedule
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    least: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.lr, Plateau):
            raise TypeError("Plateau: of a Plateau, of which one only is told losses; give one of them a number")
        require_rate(self.lr)
        require("factor", self.factor, 0, 1)
        require("patience", self.patience, 0)
        require("threshold", self.threshold, 0, 1)
        require("cooldown", self.cooldown, 0)
        require("least", self.least, 0)

    def __call__(self, count: Any) -> Any:
        return rate(self.lr, count)

    def begin(self) -> Seen:
        """Before any loss."""
        return Seen(np.float64(np.inf), np.int64(0), np.int64(0))

    def after(self, seen: Seen, scale: Any, loss: Any) -> tuple[Seen, Any]:
        """What is remembered, and the scale, after one more loss; elementwise, for arrays of losses too."""
        better = loss < seen.least * (1 - self.threshold)
        resting = seen.rest > 0
        worse = np.where(better | resting, 0, seen.worse + 1)
        lower = worse > self.patience
        rest = np.where(lower, self.cooldown, np.maximum(seen.rest - 1, 0))
        scale = np.where(lower, np.maximum(scale * self.factor, self.least), scale)
        found = (np.where(better, loss, seen.least), np.where(lower, 0, worse), rest, scale)
        least, worse, rest, scale = (x if is_symbolic(x) else np.asarray(x)[()] for x in found)
        return Seen(least, worse, rest), scale
