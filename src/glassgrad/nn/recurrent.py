"""Recurrent layers: one step repeated along the time axis of [batch, time, features], by ``gg.scan``.

Gates are in PyTorch's order, so its weights fit transposed: W is ``weight_ih_l0.T``, U is ``weight_hh_l0.T``, b the
sum of its two biases; a GRU's c is the last third of ``bias_hh_l0``, the rest of which is in b. Its ``num_layers`` are
layers of a ``Sequential`` here. ``nn.from_torch`` does all that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..autodiff.loops import scan
from ..data.batches import Seed, generator
from ..dtypes import dtype_of
from ..errors import ShapeError
from ..graph.node import Value, shape_of
from ..ops import contraction, view
from ..ops import elementwise as ew
from .initialisers import Initialiser, glorot_uniform, orthogonal
from .module import STATIC, Module
from .sizes import called, check_parameters, drawing, floating, whole


@dataclass(frozen=True, eq=False, init=False, repr=False)
class _Recurrent(Module):
    """What recurrent layers share; a subclass says what one step is.

    Attributes
    ----------
    W : weights of the inputs [inputs, gates · units]
    U : weights of the last output [units, gates · units]
    b : [gates · units], or None
    """

    W: Any
    U: Any
    b: Any
    reverse: bool = field(metadata=STATIC)
    return_state: bool = field(metadata=STATIC)
    name: str = field(metadata=STATIC)

    gates: ClassVar[int]

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        rng: Seed,
        reverse: bool = False,
        return_state: bool = True,
        bias: bool = True,
        initialiser: Initialiser = glorot_uniform,
        recurrent_initialiser: Initialiser = orthogonal,
        dtype: DTypeLike = np.float32,
        name: str = "",
    ) -> None:
        layer = type(self).__name__
        i, n, kind, source = whole(inputs, layer), whole(units, layer), floating(dtype, layer), generator(rng)
        # Gate by gate, since each is a map of its own.
        first, second = (
            np.concatenate([drawing(rule, layer)(source, rows, n) for _ in range(self.gates)], 1).astype(kind)
            for rule, rows in ((initialiser, i), (recurrent_initialiser, n))
        )
        self.fill(
            W=first,
            U=second,
            b=np.zeros(self.gates * n, kind) if bias else None,
            reverse=bool(reverse),
            return_state=bool(return_state),
            name=name or layer.lower(),
        )

    @property
    def units(self) -> int:
        """Size of the output of a step."""
        return shape_of(self.U)[0]

    def apply(self, x: Value, state: Any = None) -> Any:
        """Outputs [batch, time, units] and the last state, from inputs [batch, time, inputs] and a first state."""
        layer, shape, inputs = called(self), shape_of(x), shape_of(self.W)[0]
        if len(shape) != 3 or shape[2] != inputs:
            raise ShapeError(f"{layer}: input does not fit: got shape {shape}, expected (batch, time, {inputs})")
        mapped = contraction.matmul(view.swapaxes(x, 0, 1), self.W)  # all times at once
        mapped = mapped if self.b is None else mapped + self.b
        state = self.start(shape[0], dtype_of(mapped)) if state is None else state
        self._check_state(state, shape[0])
        state, outputs = scan(self.step, state, mapped, reverse=self.reverse)
        outputs = view.swapaxes(outputs, 0, 1)
        return (outputs, state) if self.return_state else outputs

    def start(self, batch: int, dtype: Any = np.float32) -> Any:
        """A state of zeros: [batch, units], or a pair of them."""
        return np.zeros((batch, self.units), dtype)

    def step(self, state: Any, mapped: Value) -> tuple[Any, Value]:
        """The next state and the output, from a state and x W + b of one time."""
        raise NotImplementedError

    def _check_state(self, state: Any, batch: int) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if shape_of(part) != (batch, self.units):
                raise ShapeError(
                    f"{type(self).__name__}: state does not fit: got {shape_of(part)}, expected {(batch, self.units)}"
                )

    def check(self) -> None:
        super().check()
        check_parameters(self, W=2, U=2, b=1)
        wide, b = self.gates * self.units, None if self.b is None else shape_of(self.b)
        if shape_of(self.W)[1] != wide or shape_of(self.U)[1] != wide or b not in (None, (wide,)):
            raise ShapeError(f"{type(self).__name__}: parameters do not fit: expected {wide} columns for all gates")

    def __repr__(self) -> str:
        inputs, units = shape_of(self.W)[0], self.units
        return f"{type(self).__name__}({inputs} -> {units}{'' if self.b is not None else ', no bias'})"


class RNN(_Recurrent):
    """h = tanh(x W + h' U + b): J. L. Elman 1990.

    Parameters
    ----------
    inputs, units : sizes of x and of h
    rng : seed or generator for the weights; b starts at 0
    reverse : whether to go from the last time to the first
    return_state : whether a call returns (outputs, last state), or outputs alone, as a layer of ``Sequential`` should
    bias : whether there is a b
    initialiser, recurrent_initialiser : draw W and U, gate by gate
    dtype, name : of the parameters; of the scope

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> outputs, last = nn.RNN(3, 5, rng=0)(np.ones((2, 7, 3), np.float32))
    >>> outputs.shape, last.shape, bool((outputs[:, -1] == last).all())
    ((2, 7, 5), (2, 5), True)
    """

    gates = 1

    def step(self, state: Any, mapped: Value) -> tuple[Any, Value]:
        h = ew.tanh(mapped + contraction.matmul(state, self.U))
        return h, h


class LSTM(_Recurrent):
    """c = f c' + i g, h = o tanh c, with gates i, f, g, o = σ, σ, tanh, σ of x W + h' U + b; the state is (h, c).

    S. Hochreiter & J. Schmidhuber 1997, with the forget gate of F. A. Gers et al. 2000, whose bias starts at 1 as R.
    Jozefowicz et al. 2015 advise. Parameters as for ``RNN``.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> layer = nn.LSTM(3, 5, rng=0)
    >>> outputs, state = layer(np.ones((2, 7, 3), np.float32))
    >>> later, (h, c) = layer(np.ones((2, 1, 3), np.float32), state)
    >>> later.shape, h.shape, c.shape
    ((2, 1, 5), (2, 5), (2, 5))
    """

    gates = 4

    def __init__(self, inputs: int, units: int, **options: Any) -> None:
        super().__init__(inputs, units, **options)
        if self.b is not None:
            self.b[units : 2 * units] = 1

    def start(self, batch: int, dtype: Any = np.float32) -> Any:
        zeros = np.zeros((batch, self.units), dtype)
        return zeros, zeros

    def step(self, state: Any, mapped: Value) -> tuple[Any, Value]:
        h, c = state
        z, n = mapped + contraction.matmul(h, self.U), self.units
        i, f, o = (ew.sigmoid(z[:, k * n : (k + 1) * n]) for k in (0, 1, 3))
        c = f * c + i * ew.tanh(z[:, 2 * n : 3 * n])
        h = o * ew.tanh(c)
        return (h, c), h


@dataclass(frozen=True, eq=False, init=False, repr=False)
class GRU(_Recurrent):
    """h = (1 - z) n + z h', with r, z = σ of x W + h' U + b, and n = tanh(x W + b + r (h' U + c)).

    K. Cho et al. 2014, with the reset gate after the product, as in PyTorch and cuDNN. Parameters as for ``RNN``.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.GRU(3, 5, rng=0, return_state=False)(np.ones((2, 7, 3), np.float32)).shape
    (2, 7, 5)
    """

    c: Any

    gates = 3

    def __init__(self, inputs: int, units: int, **options: Any) -> None:
        super().__init__(inputs, units, **options)
        self.fill(c=None if self.b is None else np.zeros(units, self.b.dtype))

    def step(self, state: Any, mapped: Value) -> tuple[Any, Value]:
        n = self.units
        past = contraction.matmul(state, self.U)
        r, z = (ew.sigmoid((mapped + past)[:, k * n : (k + 1) * n]) for k in (0, 1))
        inner = past[:, 2 * n :]
        new = ew.tanh(mapped[:, 2 * n :] + r * (inner if self.c is None else inner + self.c))
        h = new + z * (state - new)
        return h, h

    def check(self) -> None:
        super().check()
        check_parameters(self, W=2, c=1)
        if self.c is not None and shape_of(self.c) != (self.units,):
            raise ShapeError(f"GRU: parameters do not fit: got c {shape_of(self.c)}, expected ({self.units},)")
