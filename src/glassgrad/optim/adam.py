"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Averages, Buffer
from .formula import Formula, Now, factor, into
from .schedule import Schedule


@dataclass(frozen=True)
class Adam(Formula):
    """Steps along the running mean of the gradient, divided by the root of the running mean of its square.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²,  p ← p - lr · m̂ / (√v̂ + eps)  with  m̂ = m / (1 - β₁ᵗ) and
    v̂ = v / (1 - β₂ᵗ), which undo that both start at 0: Kingma & Ba 2015, algorithm 1. With ``amsgrad`` the largest v so
    far takes v's place: Reddi et al. 2018, algorithm 2, with the corrections as PyTorch makes them. ``weight_decay``
    adds weight_decay · p to g; ``lr`` may be a schedule, such as ``Cosine``. Complex parameters are pairs of real ones.

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

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
    amsgrad: bool = False

    @property
    def starts(self) -> tuple[float, ...]:
        return (0.0, 0.0, 0.0) if self.amsgrad else (0.0, 0.0)

    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        m, v, *largest = averages
        beta1, beta2 = self.betas
        work = g * (1 - beta1)  # the one array made here; every further line writes into it or into what is kept
        m *= beta1
        m += work
        work = into(work, np.multiply, g, g)
        work *= 1 - beta2
        v *= beta2
        v += work
        if largest:
            largest = [into(largest[0], np.maximum, largest[0], v)]
        # m̂ / (√v̂ + eps) with both corrections taken out of the arrays: c m / (√v + eps √(1 - β₂ᵗ))
        root = np.sqrt(1 - beta2**now.count)
        work = into(work, np.sqrt, *(largest or [v]))
        work += factor(self.eps * root, p)
        work = into(work, np.divide, m, work)
        work *= factor(now.lr * root / (1 - beta1**now.count), p)
        p -= work
        return p, (m, v, *largest)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves: p ← p - lr · weight_decay · p.

    Loshchilov & Hutter 2019, algorithm 2. ``decays`` chooses the parameters, as for every optimiser with a decay.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, p = AdamW(lr=0.1, weight_decay=0.5), np.array([2.0])
    >>> optimizer.step(p, np.array([0.0]), optimizer.init(p))[0]
    array([1.9])
    """

    weight_decay: float = 0.01
    decoupled = True
