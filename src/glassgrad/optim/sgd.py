"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .base import Averages, Buffer, Optimizer, factor, require
from .schedule import Schedule, rate


@dataclass(frozen=True)
class SGD(Optimizer):
    """p ← p - lr · v, where v is the gradient g, or its running sum v ← momentum · v + g.

    With ``nesterov`` the step goes along g + momentum · v (Sutskever et al. 2013, in PyTorch's form). ``weight_decay``
    adds weight_decay · p to g, the gradient of weight_decay/2 · |p|². ``lr`` may be a schedule, such as ``Cosine``.

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

    def __post_init__(self) -> None:
        require("lr", rate(self.lr, 1), 0)
        require("momentum", self.momentum, 0)
        require("weight_decay", self.weight_decay, 0)
        if self.nesterov and not self.momentum:
            raise ValueError("optim: nesterov looks ahead along the momentum: got momentum=0; give one, such as 0.9")

    @property
    def averages(self) -> int:
        return 1 if self.momentum else 0

    def update(self, p: Buffer, g: Buffer, averages: Averages, count: Any) -> tuple[Buffer, Averages]:
        if self.weight_decay:
            g = g + self.weight_decay * p
        if averages:
            (v,) = averages
            v *= self.momentum
            v += g
            averages = (v,)
            g = g + self.momentum * v if self.nesterov else v
        p -= factor(rate(self.lr, count), p) * g
        return p, averages
