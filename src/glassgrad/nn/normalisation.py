"""Layers that bring their inputs to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import random
from ..dtypes import dtype_of
from ..errors import ShapeError
from ..graph.node import Value, shape_of
from ..ops import composite, logic, view
from ..ops import elementwise as ew
from ..ops.control import stop_gradient
from .module import STATE, STATIC, Module, given
from .sizes import check_last, check_parameters, floating, whole


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
        with self._scope():
            return self._learn(given(x))

    def _learn(self, x: Value) -> tuple[Value, BatchNorm]:
        axes = self._others(x)
        count = math.prod(shape_of(x)[i] for i in axes)
        if count < 2:
            raise ShapeError(
                f"BatchNorm: nothing to take a variance over: got shape {shape_of(x)}, expected at least two values "
                f"of each feature in training; "
                f"take a batch_size that leaves no single row, or batches from data.Batches(..., drop_last=True)"
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
        super().check()
        check_parameters(self, scale=1, shift=1, mean=1, variance=1)
        if len({shape_of(p) for p in (self.scale, self.shift, self.mean, self.variance) if p is not None}) != 1:
            raise ShapeError("BatchNorm: parameters do not fit: expected one size for all")

    def __repr__(self) -> str:
        return f"BatchNorm({shape_of(self.mean)[0]})"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class LayerNorm(Module):
    """γ (x - μ) / √(σ² + ε) + β over the last axis: J. L. Ba et al., "Layer normalization" (2016), equation 4.

    Parameters
    ----------
    features : size of the last axis
    epsilon : ε
    bias : whether there is a β
    dtype, name : of the parameters; of the scope

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0], [5.0, 5.0]])).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """

    scale: Any
    shift: Any
    epsilon: float = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        features: int,
        *,
        epsilon: float = 1e-5,
        bias: bool = True,
        dtype: DTypeLike = np.float32,
        name: str = "layernorm",
    ) -> None:
        n, kind = whole(features, "LayerNorm"), floating(dtype, "LayerNorm")
        self.fill(scale=np.ones(n, kind), shift=np.zeros(n, kind) if bias else None, epsilon=float(epsilon), name=name)

    def apply(self, x: Value) -> Value:
        check_last(self, x, shape_of(self.scale)[-1])
        y = _standardised(x, -1, self.epsilon) * self.scale
        return y if self.shift is None else y + self.shift

    def check(self) -> None:
        super().check()
        check_parameters(self, scale=1, shift=1)
        if self.shift is not None and shape_of(self.shift) != shape_of(self.scale):
            raise ShapeError("LayerNorm: parameters do not fit: expected one size for both")

    def __repr__(self) -> str:
        return f"LayerNorm({shape_of(self.scale)[0]})"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class RMSNorm(Module):
    """γ x / √(mean x² + ε) over the last axis: B. Zhang & R. Sennrich 2019, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.RMSNorm(2)(np.array([3.0, 3.0])).round(3)
    array([1., 1.])
    """

    scale: Any
    epsilon: float = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self, features: int, *, epsilon: float = 1e-6, dtype: DTypeLike = np.float32, name: str = "rmsnorm"
    ) -> None:
        n, kind = whole(features, "RMSNorm"), floating(dtype, "RMSNorm")
        self.fill(scale=np.ones(n, kind), epsilon=float(epsilon), name=name)

    def apply(self, x: Value) -> Value:
        check_last(self, x, shape_of(self.scale)[-1])
        return x / ew.sqrt(composite.mean(x * x, -1, keepdims=True) + self.epsilon) * self.scale

    def check(self) -> None:
        super().check()
        check_parameters(self, scale=1)

    def __repr__(self) -> str:
        return f"RMSNorm({shape_of(self.scale)[0]})"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class GroupNorm(Module):
    """Mean 0 and variance 1 over groups of channels and all places, for each sample: Y. Wu & K. He 2018, equation 7.

    Parameters
    ----------
    groups : into how many the channels are divided; 1 is a layer norm over all, ``channels`` an instance norm
    channels : size of axis 1
    epsilon, dtype, name : as for ``LayerNorm``

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.GroupNorm(2, 4)(np.zeros((1, 4, 3, 3), np.float32)).shape
    (1, 4, 3, 3)
    """

    scale: Any
    shift: Any
    groups: int = field(metadata=STATIC)
    epsilon: float = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        groups: int,
        channels: int,
        *,
        epsilon: float = 1e-5,
        dtype: DTypeLike = np.float32,
        name: str = "groupnorm",
    ) -> None:
        n, kind = whole(channels, "GroupNorm"), floating(dtype, "GroupNorm")
        self.fill(
            scale=np.ones(n, kind),
            shift=np.zeros(n, kind),
            groups=whole(groups, "GroupNorm"),
            epsilon=float(epsilon),
            name=name,
        )
        self.check()

    def apply(self, x: Value) -> Value:
        shape, (n,) = shape_of(x), shape_of(self.scale)
        if len(shape) < 2 or shape[1] != n:
            raise ShapeError(f"GroupNorm: input does not fit: got shape {shape}, expected (N, {n}, ...)")
        parts = view.reshape(x, (shape[0], self.groups, -1))
        y = view.reshape(_standardised(parts, -1, self.epsilon), shape)
        wide = (n, *(1,) * (len(shape) - 2))
        return y * view.reshape(self.scale, wide) + view.reshape(self.shift, wide)

    def check(self) -> None:
        super().check()
        check_parameters(self, scale=1, shift=1)
        n = shape_of(self.scale)
        if shape_of(self.shift) != n or self.groups < 1 or n[0] % self.groups:
            raise ShapeError(f"GroupNorm: got {n[0]} channels in {self.groups} groups, expected a multiple of it")

    def __repr__(self) -> str:
        return f"GroupNorm({self.groups}, {shape_of(self.scale)[0]})"


def _standardised(x: Value, axis: int, epsilon: float) -> Value:
    away = x - composite.mean(x, axis, keepdims=True)
    return away / ew.sqrt(composite.mean(away * away, axis, keepdims=True) + epsilon)
