"""Optimisers around optimisers: what is done to gradients before a step, and to parameters after it.

Each is an ``Optimizer`` with the learning rate of the one inside. What it remembers lies on top of ``State.kept``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..dtypes import dtype_of
from ..graph.node import is_symbolic, shape_of
from ..ops import control, logic
from .base import Optimizer, State, learns, working_dtype
from .formula import as_buffer, factor, in_kind, matched, own_buffer
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


class Sums(NamedTuple):
    """Sums of gradients, and how many calls they are made of."""

    calls: Any
    sums: tuple[Any, ...]


@dataclass(frozen=True)
class Accumulated(Around):
    """One step with the mean of the gradients of ``steps`` calls; the calls between leave the parameters as they are.

    For a loss that is a mean over rows, ``steps`` batches of one size make the step of one large batch. In a compiled
    step both outcomes are computed and one is chosen. Other wrappers inside see the mean, those outside every call.

    Raises
    ------
    ValueError, TypeError
        ``steps`` is no number of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad.optim import SGD
    >>> optimizer, p = Accumulated(SGD(lr=1.0), steps=2), np.zeros(1)
    >>> state = optimizer.init(p)
    >>> for g in (1.0, 2.0, 5.0, 6.0):
    ...     p, state = optimizer.step(p, np.array([g]), state)
    ...     print(p)
    [0.]
    [-1.5]
    [-1.5]
    [-7.]
    """

    steps: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require("steps", self.steps, 1)

    def init(self, params: Any) -> State:
        sums = [np.zeros(shape_of(p), working_dtype(p)) if learns(p) else None for p in tree.leaves(params)]
        return _pushed(self.optimizer.init(params), Sums(np.int64(0), tuple(sums)))

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        inner, (calls, sums) = _popped(state)
        _, slopes, shape = matched(self, params, grads, len(sums))
        sums = [_blend(total, 1.0, g, 1.0, donate) for total, g in zip(sums, slopes, strict=True)]
        means = [None if g is None else total / self.steps for total, g in zip(sums, slopes, strict=True)]
        calls = (calls + 1) % self.steps
        full = calls == 0
        before = params, inner
        if is_symbolic(full):
            after = self.optimizer.step(params, tree.unflatten(shape, means), inner)
            params, inner = tree.map(lambda a, b: a if a is b else np.where(full, a, b), after, before)
            sums = [None if total is None else np.where(full, 0, total) for total in sums]
        elif full:
            params, inner = self.optimizer.step(params, tree.unflatten(shape, means), inner, donate=donate)
            sums = [None if total is None else np.zeros(total.shape, total.dtype) for total in sums]
        elif not donate:  # what is returned may be donated next, and what was given may be looked at still
            params, inner = tree.map(lambda a: a.copy() if isinstance(a, np.ndarray) else a, before)
        return params, _pushed(inner, Sums(calls, tuple(sums)))

    def result(self, params: Any, state: State) -> Any:
        return self.optimizer.result(params, _popped(state)[0])


class Means(NamedTuple):
    """Running means of the parameters, and how many steps they are made of."""

    updates: Any
    means: tuple[Any, ...]


@dataclass(frozen=True)
class Averaged(Around):
    """The parameters' exponential moving average, kept beside them: e ← decay · e + (1 - decay) · p after every step.

    ``result(params, state)`` is the average, to predict with: Polyak & Juditsky 1992, with the weights of Kingma & Ba
    2015, section 7.2. With ``corrected`` it starts at 0 and is divided by 1 - decayᵗ; without, it starts at the first
    parameters.

    Raises
    ------
    ValueError, TypeError
        ``decay`` is no number of at least 0 and below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad.optim import SGD
    >>> optimizer, p = Averaged(SGD(lr=1.0), decay=0.5), np.zeros(1)
    >>> state = optimizer.init(p)
    >>> for g in (-1.0, -1.0):
    ...     p, state = optimizer.step(p, np.array([g]), state)
    >>> p, optimizer.result(p, state)  # (0.5 · 1 + 1 · 2) / 1.5
    (array([2.]), array([1.66666667]))
    """

    decay: float = 0.999
    corrected: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require("decay", self.decay, 0, 1)

    def init(self, params: Any) -> State:
        def begin(p: Any) -> Any:
            if self.corrected:
                return np.zeros(shape_of(p), working_dtype(p))
            return as_buffer(p) if is_symbolic(p) else np.array(as_buffer(p))

        means = [begin(p) if learns(p) else None for p in tree.leaves(params)]
        return _pushed(self.optimizer.init(params), Means(np.int64(0), tuple(means)))

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        inner, (updates, means) = _popped(state)
        params, inner = self.optimizer.step(params, grads, inner, donate=donate)
        leaves = tree.leaves(params)
        means = [_blend(e, self.decay, p, 1 - self.decay, donate) for e, p in zip(means, leaves, strict=True)]
        return params, _pushed(inner, Means(updates + 1, tuple(means)))

    def result(self, params: Any, state: State) -> Any:
        """The average; before the first step, the parameters themselves."""
        updates, means = _popped(state)[1]
        share = 1 - self.decay**updates if self.corrected else 1.0
        fresh = updates == 0

        def read(p: Any, e: Any) -> Any:
            if e is None:
                return p
            if any(map(is_symbolic, (p, e, share))):
                return logic.astype(np.where(fresh, p, e / factor(share, e)), dtype_of(p))
            return in_kind(p)(np.array(as_buffer(p) if fresh else e / factor(share, e), dtype_of(p)))

        leaves, shape = tree.flatten(params)
        with np.errstate(all="ignore"):
            return tree.unflatten(shape, [read(p, e) for p, e in zip(leaves, means, strict=True)])


def _pushed(state: State, kept: Any) -> State:
    return state._replace(kept=(*state.kept, kept))


def _popped(state: State) -> tuple[State, Any]:
    return state._replace(kept=state.kept[:-1]), state.kept[-1]


def _blend(kept: Any, keep: float, other: Any, weight: float, donate: bool) -> Any:
    """keep · kept + weight · other, in place if donated, of the dtype of what is kept; None stays, and counts as 0."""
    if kept is None:
        return None
    other = 0.0 if other is None else as_buffer(other)
    if is_symbolic(kept) or is_symbolic(other):
        return control.stop_gradient(logic.astype(keep * kept + weight * other, dtype_of(kept)))
    kept = own_buffer(kept, donate)
    with np.errstate(all="ignore"):  # as in a step
        kept *= keep
        kept += weight * other
    return kept


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
