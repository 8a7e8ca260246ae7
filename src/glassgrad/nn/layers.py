"""Linear maps, and the multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..data.batches import Seed, generator
from ..errors import ShapeError
from ..graph.node import Value, shape_of
from ..graph.origin import scope
from ..ops import contraction
from .activations import ACTIVATIONS
from .dropout import Dropout
from .initialisers import Initialiser, for_activation, glorot_uniform
from .module import STATIC, Module
from .sizes import check_last, check_parameters, drawing, floating, whole


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Linear(Module):
    """y = x W + b.  # [..., inputs] @ [inputs, outputs] + [outputs] -> [..., outputs]

    Parameters
    ----------
    inputs, outputs : sizes of the last axis
    rng : seed or generator for the weights; the bias starts at 0
    bias : whether there is a b
    initialiser : draws W; Glorot's uniform rule by default
    dtype : of W and b
    name : the scope its values are made in

    Examples
    --------
    >>> import numpy as np
    >>> layer = Linear(3, 2, rng=0)
    >>> layer, layer(np.zeros((5, 3), np.float32)).shape
    (Linear(3 -> 2), (5, 2))
    """

    W: Any
    b: Any
    name: str = field(metadata=STATIC)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: Seed,
        bias: bool = True,
        initialiser: Initialiser = glorot_uniform,
        dtype: DTypeLike = np.float32,
        name: str = "linear",
    ) -> None:
        inputs, outputs = whole(inputs, "Linear"), whole(outputs, "Linear")
        kind = floating(dtype, "Linear")
        W = drawing(initialiser, "Linear")(generator(rng), inputs, outputs).astype(kind)
        self.fill(W=W, b=np.zeros(outputs, kind) if bias else None, name=name)

    def apply(self, x: Value) -> Value:
        check_last(self, x, shape_of(self.W)[-2])
        y = contraction.matmul(x, self.W)
        return y if self.b is None else y + self.b

    def check(self) -> None:
        super().check()
        check_parameters(self, W=2, b=1)
        w, b = shape_of(self.W), None if self.b is None else shape_of(self.b)
        if b not in (None, w[1:]):
            raise ShapeError(f"Linear: parameters do not fit: got W {w} and b {b}, expected [i, o] and [o]")

    def __repr__(self) -> str:
        inputs, outputs = shape_of(self.W)
        return f"Linear({inputs} -> {outputs}{'' if self.b is not None else ', no bias'})"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class MLP(Module):
    """Linear layers with an activation between each two: a multi-layer perceptron.

    Parameters
    ----------
    sizes : inputs, widths of the hidden layers, outputs; two sizes make one linear layer
    activation : a name in ``ACTIVATIONS``
    rng : seed or generator. Hidden layers of rectifiers are drawn by He's rule, everything else by Glorot's.
    dropout : share of the hidden units left out in training
    dtype : of the parameters

    Examples
    --------
    >>> import numpy as np, glassgrad as gg, glassgrad.nn
    >>> model = MLP((4, 8, 3), "tanh", rng=0)
    >>> model
    MLP(4 -> 8 -> 3, tanh)
    >>> x, labels = np.ones((2, 4), np.float32), np.array([0, 2])
    >>> loss, slope = gg.value_and_grad(lambda m: gg.nn.cross_entropy(m(x), labels))(model)
    >>> slope.layers[0].W.shape
    (4, 8)
    """

    layers: tuple[Linear, ...]
    dropout: Dropout | None
    activation: str = field(metadata=STATIC)
    name = ""

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str = "relu",
        *,
        rng: Seed,
        dropout: float = 0.0,
        dtype: DTypeLike = np.float32,
    ) -> None:
        if len(sizes) < 2:
            raise ShapeError(f"MLP: too few sizes: got {tuple(sizes)}, expected inputs and outputs at least: (64, 10)")
        _activation(activation)
        source, last = generator(rng), len(sizes) - 2
        hidden = for_activation(activation)
        layers = tuple(
            Linear(
                sizes[i],
                sizes[i + 1],
                rng=source,
                initialiser=glorot_uniform if i == last else hidden,
                dtype=dtype,
                name="output" if i == last else f"hidden{i + 1}",
            )
            for i in range(last + 1)
        )
        self.fill(layers=layers, dropout=Dropout(dropout) if dropout else None, activation=activation)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, widths of the hidden layers, outputs."""
        return (shape_of(self.layers[0].W)[0], *(shape_of(layer.W)[1] for layer in self.layers))

    def apply(self, x: Value) -> Value:
        """Outputs [..., outputs] for inputs [..., inputs]; no activation on the last layer."""
        check_last(self, x, shape_of(self.layers[0].W)[0])
        activation = ACTIVATIONS[self.activation]
        *hidden, output = self.layers
        for layer in hidden:
            with scope(layer.name):
                x = activation(layer.apply(x))
                x = x if self.dropout is None else self.dropout(x)
        return output(x)

    def check(self) -> None:
        super().check()
        _activation(self.activation)
        sizes = [shape_of(layer.W) for layer in self.layers]
        if not sizes or any(a[1] != b[0] for a, b in pairwise(sizes)):
            raise ShapeError(f"MLP: layers do not fit: got {sizes}, expected each to start where the last one ends")

    def __repr__(self) -> str:
        return f"MLP({' -> '.join(map(str, self.sizes))}, {self.activation})"


def _activation(name: str) -> None:
    if name not in ACTIVATIONS:
        raise ValueError(f"MLP: unknown activation: got {name!r}, expected one of {', '.join(ACTIVATIONS)}")
