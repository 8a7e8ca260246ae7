"""Lion: steps of one length, along the sign of the momentum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Averages, Buffer
from .formula import Formula, Now, factor, into
from .schedule import Schedule


@dataclass(frozen=True)
class Lion(Formula):
    """p ← p - lr · (sign(β₁ m + (1 - β₁) g) + weight_decay · p), then m ← β₂ m + (1 - β₂) g.

    Chen et al. 2023, algorithm 2. All elements move equally far, so ``lr`` is 3 to 10 times smaller than Adam's, and
    ``weight_decay`` as much larger. ``lr`` may be a schedule. Complex parameters are pairs of real ones.

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, p = Lion(lr=0.1), np.array([1.0, 2.0, 3.0])
    >>> optimizer.step(p, np.array([3.0, -0.01, 0.0]), optimizer.init(p))[0]
    array([0.9, 2.1, 3. ])
    """

    lr: float | Schedule = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0
    decoupled = True

    @property
    def starts(self) -> tuple[float, ...]:
        return (0.0,)

    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        (m,) = averages
        beta1, beta2 = self.betas
        work = g * (1 - beta1)
        work += m * beta1
        work = into(work, np.sign, work)
        work *= factor(now.lr, p)
        p -= work
        m *= beta2
        m += g * (1 - beta2)
        return p, (m,)
