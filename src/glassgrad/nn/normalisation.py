"""Layers that bring their inputs to mean 0 and variance 1, or to length 1, and dropout."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import random
from ..dtypes import dtype_of
from ..errors import RandomnessError, ShapeError
from ..graph.node import Value, shape_of
from ..graph.origin import scope
from ..ops import composite, logic, view
from ..ops import elementwise as ew
from ..ops.control import stop_gradient
from .module import STATE, STATIC, Module
from .sizes import floating, whole


@dataclass(frozen=True, eq=False, init=False, repr=False)
class BatchNorm(Module):
    """γ (x - μ) / √(σ² + ε) + β, with mean and variance of each feature over the batch and all other axes.

    In training μ and σ² are those of the batch, and a running mean of them moves on; inference uses the running ones.
    S. Ioffe and C. Szegedy, "Batch normalization" (2015), algorithms 1 and 2. As in PyTorch the running variance is the
    unbiased one.

    Parameters
    ----------
    features : size of the axis that is kept
    axis : 1 for [N, C] and [N, C, ...]; -1 for features last
    momentum : share of the batch in the running statistics
    epsilon : ε
    affine : whether γ and β are there, and learnt
    dtype : of all four

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> layer = nn.BatchNorm(1, momentum=0.5)
    >>> y, moved = layer.learn(np.array([[1.0], [3.0]], np.float32))
    >>> y.round(3).tolist(), moved.mean, moved.variance
    ([[-1.0], [1.0]], array([1.], dtype=float32), array([1.5], dtype=float32))
    """

    scale: Any
    shift: Any
    mean: Any = field(metadata=STATE)
    variance: Any = field(metadata=STATE)
    axis: int = field(metadata=STATIC)
    momentum: float = field(metadata=STATIC)
    epsilon: float = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        features: int,
        *,
        axis: int = 1,
        momentum: float = 0.1,
        epsilon: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike = np.float32,
        name: str = "batchnorm",
    ) -> None:
        n, kind = whole(features, "BatchNorm"), floating(dtype, "BatchNorm")
        self.fill(
            scale=np.ones(n, kind) if affine else None,
            shift=np.zeros(n, kind) if affine else None,
            mean=np.zeros(n, kind),
            variance=np.ones(n, kind),
            axis=axis,
            momentum=float(momentum),
            epsilon=float(epsilon),
            name=name,
        )

    def apply(self, x: Value) -> Value:
        return self._normalised(x, self.mean, self.variance)

    def learn(self, x: Value, *, rng: random.Rng = None) -> tuple[Value, BatchNorm]:
        with scope(self.name):
            return self._learn(x)

    def _learn(self, x: Value) -> tuple[Value, BatchNorm]:
        axes = self._others(x)
        count = math.prod(shape_of(x)[i] for i in axes)
        if count < 2:
            raise ShapeError(
                f"BatchNorm: nothing to take a variance over: got shape {shape_of(x)}, expected at least two values "
                f"of each feature in training; use larger batches"
            )
        mean, variance = composite.mean(x, axes), composite.var(x, axes)
        y = self._normalised(x, mean, variance)
        mean, variance = stop_gradient(mean), stop_gradient(variance) * (count / (count - 1))
        moved = copy.copy(self)
        moved.fill(mean=self._moved(self.mean, mean), variance=self._moved(self.variance, variance))
        return y, moved

    def _moved(self, old: Value, batch: Value) -> Value:
        return logic.astype((1 - self.momentum) * old + self.momentum * batch, dtype_of(old))

    def _others(self, x: Value) -> tuple[int, ...]:
        shape, (n,) = shape_of(x), shape_of(self.mean)
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] != n:
            raise ShapeError(
                f"BatchNorm: input does not fit: got shape {shape}, expected size {n} along axis {self.axis}"
            )
        return tuple(i for i in range(len(shape)) if i != self.axis % len(shape))

    def _normalised(self, x: Value, mean: Value, variance: Value) -> Value:
        axes = self._others(x)
        shape = tuple(1 if i in axes else n for i, n in enumerate(shape_of(x)))
        factor = 1 / ew.sqrt(variance + self.epsilon)
        if self.scale is not None:
            factor = self.scale * factor
        y = (x - view.reshape(mean, shape)) * view.reshape(factor, shape)
        return y if self.shift is None else y + view.reshape(self.shift, shape)

    def check(self) -> None:
        shapes = {shape_of(p) for p in (self.scale, self.shift, self.mean, self.variance) if p is not None}
        if len(shapes) != 1 or len(shapes.pop()) != 1:
            raise ShapeError("BatchNorm: parameters do not fit: expected one size for all")

    def __repr__(self) -> str:
        return f"BatchNorm({shape_of(self.mean)[0]})"


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
        self.fill(rate=rate, name=name)
        self.check()
        self.fill(rate=float(rate))

    def apply(self, x: Value) -> Value:
        return x

    def learn(self, x: Value, *, rng: random.Rng = None) -> tuple[Value, Dropout]:
        if not self.rate:
            return x, self
        if rng is None:
            raise RandomnessError("Dropout: nothing decides what to drop: got rng=None; pass rng=gg.random.key(0)")
        with scope(self.name):
            keep = random.uniform(size=shape_of(x), rng=rng, dtype=np.float32) >= self.rate
            return logic.where(keep, x / (1 - self.rate), 0), self

    def check(self) -> None:
        if isinstance(self.rate, bool) or not isinstance(self.rate, (int, float)) or not 0 <= self.rate < 1:
            raise ValueError(f"Dropout: bad rate: got {self.rate!r}, expected a probability from 0, below 1")

    def __repr__(self) -> str:
        return f"Dropout({self.rate:g})"
