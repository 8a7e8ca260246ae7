"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Averages, Buffer, Optimizer, factor, into, require
from .schedule import Schedule, rate


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps along the running mean of the gradient, divided by the root of the running mean of its square.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - lr · m̂ / (√v̂ + eps)  with  m̂ = m / (1 - β₁ᵗ) and
    v̂ = v / (1 - β₂ᵗ), which undo that both start at 0: Kingma & Ba 2015, algorithm 1. ``weight_decay`` adds
    weight_decay · p to g; ``lr`` may be a schedule, such as ``Cosine``. Complex parameters are pairs of real ones.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, params = Adam(lr=0.1), [np.array([1.0, 2.0])]
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, [np.array([3.0, -0.01])], state)
    >>> params[0].round(6)  # the first step has length lr, however large the gradient
    array([0.9, 2.1])
    """

    lr: float | Schedule = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        require("lr", rate(self.lr, 1), 0)
        for beta in self.betas:
            require("beta", beta, 0, 1)
        require("eps", self.eps, 0)
        require("weight_decay", self.weight_decay, 0)

    @property
    def averages(self) -> int:
        return 2

    def update(self, p: Buffer, g: Buffer, averages: Averages, count: Any) -> tuple[Buffer, Averages]:
        return self.follow(p, g + self.weight_decay * p if self.weight_decay else g, averages, count)

    def follow(self, p: Buffer, g: Buffer, averages: Averages, count: Any) -> tuple[Buffer, Averages]:
        """The update without weight decay."""
        m, v = averages
        beta1, beta2 = self.betas
        work = g * (1 - beta1)  # the one array made here; every further line writes into it or into what is kept
        m *= beta1
        m += work
        work = into(work, np.multiply, g, g)
        work *= 1 - beta2
        v *= beta2
        v += work
        # m̂ / (√v̂ + eps) with both corrections taken out of the arrays: c m / (√v + eps √(1 - β₂ᵗ))
        root = np.sqrt(1 - beta2**count)
        work = into(work, np.sqrt, v)
        work += factor(self.eps * root, p)
        work = into(work, np.divide, m, work)
        work *= factor(rate(self.lr, count) * root / (1 - beta1**count), p)
        p -= work
        return p, (m, v)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves: p ← p - lr · weight_decay · p.

    Loshchilov & Hutter 2019, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, p = AdamW(lr=0.1, weight_decay=0.5), np.array([2.0])
    >>> optimizer.step(p, np.array([0.0]), optimizer.init(p))[0]
    array([1.9])
    """

    weight_decay: float = 0.01

    def update(self, p: Buffer, g: Buffer, averages: Averages, count: Any) -> tuple[Buffer, Averages]:
        p *= factor(1 - rate(self.lr, count) * self.weight_decay, p)
        return self.follow(p, g, averages, count)
