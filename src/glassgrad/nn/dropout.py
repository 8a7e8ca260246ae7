"""Dropout: in training, parts of a layer are left out at random."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .. import random
from ..errors import RandomnessError
from ..graph.node import Value, shape_of
from ..ops import logic
from .module import STATIC, Module, given


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Dropout(Module):
    """In training each element is 0 with probability ``rate``, else divided by 1 - rate; otherwise x itself.

    N. Srivastava et al., "Dropout" (2014), in the form that leaves inference as it is (their section 10).

    Parameters
    ----------
    rate : probability to drop, 0 ≤ rate < 1

    Examples
    --------
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad import nn
    >>> layer, x = nn.Dropout(0.5), np.ones(6, np.float32)
    >>> layer(x)
    array([1., 1., 1., 1., 1., 1.], dtype=float32)
    >>> y, _ = layer.learn(x, rng=gg.random.key(1))
    >>> set(y.tolist()) <= {0.0, 2.0}
    True
    """

    rate: float = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(self, rate: float, *, name: str = "dropout") -> None:
        self.fill(rate=float(rate), name=name)
        self.check()

    def apply(self, x: Value) -> Value:
        return x

    def learn(self, x: Value, *, rng: random.Rng = None) -> tuple[Value, Dropout]:
        if not self.rate:
            return x, self
        if rng is None:
            raise RandomnessError("Dropout: nothing decides what to drop: got rng=None; pass rng=gg.random.key(0)")
        x = given(x)
        with self._scope():
            keep = random.uniform(size=shape_of(x), rng=rng, dtype=np.float32) >= self.rate
            return logic.where(keep, x / (1 - self.rate), 0), self

    def check(self) -> None:
        super().check()
        if not 0 <= self.rate < 1:
            raise ValueError(f"Dropout: bad rate: got {self.rate!r}, expected a probability from 0, below 1")

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
