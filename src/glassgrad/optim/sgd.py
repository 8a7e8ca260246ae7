"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import Averages, Buffer
from .formula import Formula, Now, factor
from .schedule import Schedule


@dataclass(frozen=True)
class SGD(Formula):
    """p ← p - lr · v, where v is the gradient g, or its running sum v ← momentum · v + (1 - dampening) · g.

    The running sum starts as the first g (Sutskever et al. 2013, in PyTorch's form, where lr is outside of v). With
    ``nesterov`` the step goes along g + momentum · v. ``weight_decay`` adds weight_decay · p to g, the gradient of
    weight_decay/2 · |p|², for the parameters that ``decays`` chooses. ``lr`` may be a schedule, such as ``Cosine``.

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> optimizer, params = SGD(lr=0.1), {"w": np.array([1.0, 2.0])}
    >>> state = optimizer.init(params)
    >>> params, state = optimizer.step(params, {"w": np.array([1.0, -1.0])}, state)
    >>> params
    {'w': array([0.9, 2.1])}
    """

    lr: float | Schedule = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    dampening: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (not self.momentum or self.dampening):
            raise ValueError(
                f"optim: nesterov looks ahead along the momentum: got momentum={self.momentum:g}, "
                f"dampening={self.dampening:g}; give a momentum, such as 0.9, and no dampening"
            )

    @property
    def starts(self) -> tuple[float, ...]:
        return (0.0,) if self.momentum else ()

    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        if averages:
            (v,) = averages
            v *= self.momentum
            v += g * factor(1 - self.dampening * np.minimum(now.count - 1, 1), p) if self.dampening else g
            averages = (v,)
            g = g + self.momentum * v if self.nesterov else v
        p -= factor(now.lr, p) * g
        return p, averages
