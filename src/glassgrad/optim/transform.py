"""Optimisers around optimisers: what is done to gradients before a step, and to parameters after it.

Each is an ``Optimizer`` with the learning rate of the one inside. What it remembers lies on top of ``State.kept``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import dtype_of
from ..graph.node import is_symbolic
from ..ops import logic
from .base import Optimizer, State
from .formula import as_buffer, factor
from .limits import require
from .schedule import Schedule


@dataclass(frozen=True)
class Around(Optimizer):
    """An optimiser that passes on what it does not change."""

    optimizer: Optimizer

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: not an optimiser: got {self.optimizer!r:.60}, expected one, such as Adam()"
            )

    @property
    def lr(self) -> float | Schedule:
        return self.optimizer.lr

    def init(self, params: Any) -> State:
        return self.optimizer.init(params)

    def result(self, params: Any, state: State) -> Any:
        return self.optimizer.result(params, state)


@dataclass(frozen=True)
class Clipped(Around):
    """Limits of the gradient, kept before every step: of each element, of each parameter's, of all together.

    Parameters
    ----------
    optimizer : takes the step
    value : elements are limited to -value ... value; of a complex number, both parts
    norm : a parameter's gradient g longer than this is shortened to it: g · norm / |g|
    global_norm : the same of all gradients as one vector: Pascanu, Mikolov & Bengio 2013, algorithm 1

    Several limits are kept in this order. Lengths are computed in float64.

    Raises
    ------
    ValueError, TypeError
        No limit, or one that is no positive number.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad.optim import SGD
    >>> optimizer, params = Clipped(SGD(lr=1.0), global_norm=1.0), [np.zeros(1), np.zeros(1)]
    >>> optimizer.step(params, [np.array([-30.0]), np.array([-40.0])], optimizer.init(params))[0]
    [array([0.6]), array([0.8])]
    """

    value: float | None = None
    norm: float | None = None
    global_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = {"value": self.value, "norm": self.norm, "global_norm": self.global_norm}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if not given:
            raise ValueError("Clipped: no limit: got none, expected value=, norm= or global_norm=")
        for name, limit in given.items():
            require(name, limit, np.finfo(np.float64).tiny)

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        leaves, shape = tree.flatten(grads)
        slopes = [as_buffer(g) for g in leaves]
        with np.errstate(all="ignore"):
            if self.value is not None:
                slopes = [_limited(g, self.value) for g in slopes]
            if self.norm is not None:
                slopes = [g * factor(_shrink(_squares(g), self.norm), g) for g in slopes]
            if self.global_norm is not None and slopes:
                shrink = _shrink(sum(map(_squares, slopes)), self.global_norm)
                slopes = [g * factor(shrink, g) for g in slopes]
        return self.optimizer.step(params, tree.unflatten(shape, slopes), state, donate=donate)


def _limited(g: Any, limit: float) -> Any:
    if dtype_of(g).kind == "c":
        return np.clip(g.real, -limit, limit) + 1j * np.clip(g.imag, -limit, limit)
    return np.clip(g, -limit, limit)


def _squares(g: Any) -> Any:
    """Σ|g|², in float64, where it neither overflows nor loses digits for float32."""
    parts = [g.real, g.imag] if dtype_of(g).kind == "c" else [g]
    wide = [logic.astype(x, np.dtype(np.float64)) if is_symbolic(x) else x.astype(np.float64) for x in parts]
    return sum((x * x).sum() for x in wide)


def _shrink(squares: Any, limit: float) -> Any:
    """limit / length where that is below 1, else exactly 1."""
    return limit / np.maximum(np.sqrt(squares), limit)
