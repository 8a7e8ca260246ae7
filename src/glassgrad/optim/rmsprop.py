"""Steps divided by the root of what the gradient's square was so far: its running mean, or its sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Averages, Buffer
from .formula import Formula, Now, factor, into
from .schedule import Schedule


@dataclass(frozen=True)
class RMSProp(Formula):
    """p ← p - lr · g / (√v + eps), where v ← alpha · v + (1 - alpha) · g² is the running mean of the gradient's square.

    Hinton, Srivastava & Swersky 2012, lecture 6e. With ``centered`` the variance v - m² takes v's place, for
    m ← alpha · m + (1 - alpha) · g: Graves 2013, equations 38 to 40, with eps outside of the root as PyTorch has it.
    With ``momentum`` the step is lr · b for b ← momentum · b + g / (√v + eps). ``weight_decay`` adds weight_decay · p
    to g; ``lr`` may be a schedule.

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, p = RMSProp(lr=0.1, alpha=0.75), np.array([1.0, 2.0])
    >>> optimizer.step(p, np.array([3.0, -0.01]), optimizer.init(p))[0].round(5)
    array([0.8, 2.2])
    """

    lr: float | Schedule = 0.01
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    @property
    def starts(self) -> tuple[float, ...]:
        return (0.0,) * (1 + self.centered + bool(self.momentum))

    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        v, *more = averages
        work = g * g
        work *= 1 - self.alpha
        v *= self.alpha
        v += work
        if self.centered:
            m = more.pop(0)
            m *= self.alpha
            m += g * (1 - self.alpha)
            work = into(work, np.multiply, m, m)
            work = into(work, np.subtract, v, work)
            work = into(work, np.maximum, work, 0.0)  # rounding may leave less than nothing of a steady gradient's
            work = into(work, np.sqrt, work)
            kept: Averages = (v, m)
        else:
            work = into(work, np.sqrt, v)
            kept = (v,)
        work += self.eps
        work = into(work, np.divide, g, work)
        if self.momentum:
            (b,) = more
            b *= self.momentum
            b += work
            work, kept = b * factor(now.lr, p), (*kept, b)
        else:
            work *= factor(now.lr, p)
        p -= work
        return p, kept


@dataclass(frozen=True)
class Adagrad(Formula):
    """p ← p - lr · g / (√s + eps), where s ← s + g² is the sum of the gradient's squares, ``initial`` at first.

    Duchi, Hazan & Singer 2011, section 1.1 with diagonal matrices. ``weight_decay`` adds weight_decay · p to g; ``lr``
    may be a schedule.

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, p = Adagrad(lr=0.1), np.array([1.0, 2.0])
    >>> state = optimizer.init(p)
    >>> for _ in range(2):
    ...     p, state = optimizer.step(p, np.array([3.0, -0.01]), state)
    >>> p.round(5)  # 0.1 + 0.1 / √2 on the way
    array([0.82929, 2.17071])
    """

    lr: float | Schedule = 0.01
    eps: float = 1e-10
    weight_decay: float = 0.0
    initial: float = 0.0

    @property
    def starts(self) -> tuple[float, ...]:
        return (self.initial,)

    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        (s,) = averages
        work = g * g
        s += work
        work = into(work, np.sqrt, s)
        work += self.eps
        work = into(work, np.divide, g, work)
        work *= factor(now.lr, p)
        p -= work
        return p, (s,)
