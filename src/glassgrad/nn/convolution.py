"""Convolution and pooling as layers. Channels come before the spatial axes, as in PyTorch: [N, C, *S]."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..data.batches import Seed, generator
from ..errors import ShapeError
from ..graph.node import Value, shape_of
from ..ops import conv, pool, view
from ..ops.conv import Padding, Sizes, pads_of, per_axis
from .initialisers import Initialiser, fans, he_uniform
from .module import STATIC, Module
from .sizes import check_last, check_parameters, drawing, floating, whole


@dataclass(frozen=True, eq=False, init=False, repr=False)
class _Convolution(Module):
    """What convolutions share: kernels W [O, C / groups, *K] and a bias b [O], added to every place."""

    W: Any
    b: Any
    stride: tuple[int, ...] = field(metadata=STATIC)
    padding: Any = field(metadata=STATIC)
    dilation: tuple[int, ...] = field(metadata=STATIC)
    groups: int = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    dimensions: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Sizes,
        *,
        rng: Seed,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        initialiser: Initialiser = he_uniform,
        dtype: DTypeLike = np.float32,
        name: str = "conv",
    ) -> None:
        layer, d = type(self).__name__, self.dimensions
        inputs, outputs, groups = (whole(n, layer) for n in (inputs, outputs, groups))
        if inputs % groups or outputs % groups:
            raise ShapeError(
                f"{layer}: channels do not fit: got {inputs} and {outputs} in {groups} groups, expected multiples of it"
            )
        first, second = (inputs, outputs) if self.transposed else (outputs, inputs)
        shape = (first, second // groups, *per_axis(layer, "kernel", kernel, d))
        kind = floating(dtype, layer)
        self.fill(
            W=drawing(initialiser, layer)(generator(rng), *fans(shape), shape).astype(kind),
            b=np.zeros(outputs, kind) if bias else None,
            stride=per_axis(layer, "stride", stride, d),
            padding=self._pads(layer, padding),
            dilation=per_axis(layer, "dilation", dilation, d),
            groups=groups,
            name=name,
        )

    def _pads(self, layer: str, padding: Padding) -> Any:
        pads_of(layer, padding, *((1,) * self.dimensions,) * 3)  # refuses what is none
        return _plain(layer, padding)

    def _biased(self, y: Value) -> Value:
        return y if self.b is None else y + view.reshape(self.b, (-1, *(1,) * self.dimensions))

    def check(self) -> None:
        super().check()
        check_parameters(self, W=self.dimensions + 2, b=1)
        self._pads(type(self).__name__, self.padding)
        w, b = shape_of(self.W), None if self.b is None else shape_of(self.b)
        first, second = w[0], w[1] * self.groups
        if b not in (None, (second if self.transposed else first,)) or self.groups < 1 or first % self.groups:
            raise ShapeError(f"{type(self).__name__}: parameters do not fit: got W {w}, b {b}, groups {self.groups}")

    def __repr__(self) -> str:
        first, second, *kernel = shape_of(self.W)
        inputs, outputs = (first, second * self.groups) if self.transposed else (second * self.groups, first)
        return f"{type(self).__name__}({inputs} -> {outputs}, {'×'.join(map(str, kernel))})"


class _Direct(_Convolution):
    def apply(self, x: Value) -> Value:
        return self._biased(conv.conv(x, self.W, self.stride, self.padding, self.dilation, self.groups))


class Conv1d(_Direct):
    """Cross-correlation with learnt kernels over one axis.  [N, C, S] -> [N, O, P]

    Parameters
    ----------
    inputs, outputs : channels C and O
    kernel : size of the kernels
    rng : seed or generator for the kernels; the bias starts at 0
    stride, dilation : steps between windows, and between elements of a kernel
    padding : zeros around: a number, (low, high) per axis, "valid" for none, or "same" for ceil(S / stride) windows
    groups : parts into which the channels are divided, each with kernels of its own
    bias : whether there is a b
    initialiser : draws W from its fans; He's uniform rule by default
    dtype, name : of the parameters; of the scope

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> layer = nn.Conv1d(3, 8, 5, rng=0, padding="same", stride=2)
    >>> layer, layer(np.zeros((2, 3, 15), np.float32)).shape
    (Conv1d(3 -> 8, 5), (2, 8, 8))
    """

    dimensions = 1


class Conv2d(_Direct):
    """Cross-correlation with learnt kernels over two axes.  [N, C, H, W] -> [N, O, P, Q]

    Parameters as for ``Conv1d``; sizes are one number, or one per axis.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> depthwise = nn.Conv2d(4, 4, (3, 1), rng=0, padding=(1, 0), groups=4)
    >>> depthwise.W.shape, depthwise(np.zeros((2, 4, 6, 6), np.float32)).shape
    ((4, 1, 3, 1), (2, 4, 6, 6))
    """

    dimensions = 2


class _Transpose(_Convolution):
    transposed = True

    def _pads(self, layer: str, padding: Any) -> Any:
        return per_axis(layer, "padding", padding, self.dimensions, 0)

    def apply(self, x: Value) -> Value:
        return self._biased(conv.conv_transpose(x, self.W, self.stride, self.padding, 0, self.dilation, self.groups))


class ConvTranspose1d(_Transpose):
    """The transpose of ``Conv1d``: each element lays down a scaled kernel.  [N, C, S] -> [N, O, P]

    P is (S - 1) stride - 2 padding + (K - 1) dilation + 1; kernels are [C, O / groups, K], as in PyTorch.
    """

    dimensions = 1


class ConvTranspose2d(_Transpose):
    """The transpose of ``Conv2d``: each element lays down a scaled kernel.  [N, C, H, W] -> [N, O, P, Q]

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.ConvTranspose2d(4, 2, 2, rng=0, stride=2)(np.zeros((1, 4, 3, 3), np.float32)).shape
    (1, 2, 6, 6)
    """

    dimensions = 2


@dataclass(frozen=True, eq=False, init=False, repr=False)
class _Pool(Module):
    window: int | tuple[int, ...] = field(metadata=STATIC)
    stride: int | tuple[int, ...] | None = field(metadata=STATIC)
    padding: Any = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    def __init__(self, window: Sizes, stride: Sizes | None = None, padding: Padding = 0, *, name: str = "pool") -> None:
        plain = partial(_plain, type(self).__name__)
        self.fill(window=plain(window), stride=plain(stride), padding=plain(padding), name=name)

    def __repr__(self) -> str:
        stride = "" if self.stride is None else f", stride={self.stride}"
        padding = "" if self.padding == 0 else f", padding={self.padding!r}"
        return f"{type(self).__name__}({self.window}{stride}{padding})"


class MaxPool(_Pool):
    """The largest element of each window; elements that tie share the gradient.  [N, C, *S] -> [N, C, *P]

    Parameters
    ----------
    window : its size, one number or one per axis
    stride : steps between windows, the window's size by default
    padding : as for ``Conv1d``; what is added never is the largest

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.MaxPool(2)(np.arange(16.0).reshape(1, 1, 4, 4))
    array([[[[ 5.,  7.],
             [13., 15.]]]])
    """

    def apply(self, x: Value) -> Value:
        return pool.max_pool(x, self.window, self.stride, self.padding)


class AvgPool(_Pool):
    """The mean of each window, zeros of the padding included.  [N, C, *S] -> [N, C, *P]"""

    def apply(self, x: Value) -> Value:
        return pool.avg_pool(x, self.window, self.stride, self.padding)


@dataclass(frozen=True, eq=False)
class Flatten(Module):
    """All axes but the first as one.  [N, ...] -> [N, features]"""

    name = ""

    def apply(self, x: Value) -> Value:
        shape = shape_of(x)
        return view.reshape(x, (shape[0], int(np.prod(shape[1:]))))


@dataclass(frozen=True, eq=False, repr=False)
class Unflatten(Module):
    """The last axis as several, such as columns of a table as images.  [..., features] -> [..., *shape]

    Parameters
    ----------
    shape : of what a row becomes, [C, H, W] for images

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.Unflatten((1, 8, 8))(np.zeros((5, 64), np.float32)).shape
    (5, 1, 8, 8)
    """

    shape: tuple[int, ...] = field(metadata=STATIC)
    name = ""

    def apply(self, x: Value) -> Value:
        check_last(self, x, int(np.prod(self.shape)))
        return view.reshape(x, (*shape_of(x)[:-1], *self.shape))

    def __repr__(self) -> str:
        return f"Unflatten({'×'.join(map(str, self.shape))})"


def _plain(layer: str, value: Any) -> Any:
    """A size or padding as text, Python ints and tuples, which compare and go into files."""
    if value is None or isinstance(value, str):
        return value
    if np.iterable(value):
        return tuple(_plain(layer, part) for part in value)
    if not isinstance(value, (int, np.integer)):
        raise ShapeError(f"{layer}: bad size: got {value!r}, expected whole numbers")
    return int(value)
