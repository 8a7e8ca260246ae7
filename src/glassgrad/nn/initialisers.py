"""First weights: random numbers scaled so that signals neither die out nor blow up on their way through the layers.

An initialiser is a function of a generator, the numbers of inputs and outputs of one unit (its fans), and the shape of
the weights, [inputs, outputs] if left out. It returns float64. ``fans`` counts them for convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .activations import RECTIFIERS

Weights = NDArray[np.floating]
Shape = tuple[int, ...]
Initialiser = Callable[..., Weights]


def _uniform(rng: np.random.Generator, variance: float, shape: Shape) -> Weights:
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)


def _normal(rng: np.random.Generator, variance: float, shape: Shape) -> Weights:
    return rng.normal(0.0, math.sqrt(variance), shape)


def glorot_uniform(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Uniform in ±√(6 / (inputs + outputs)): X. Glorot & Y. Bengio 2010, equation 16."""
    return _uniform(rng, 2 / (inputs + outputs), shape or (inputs, outputs))


def glorot_normal(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Normal of variance 2 / (inputs + outputs): X. Glorot & Y. Bengio 2010, equation 12."""
    return _normal(rng, 2 / (inputs + outputs), shape or (inputs, outputs))


def he_uniform(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Uniform of variance 2 / inputs: K. He et al. 2015, equation 10."""
    return _uniform(rng, 2 / inputs, shape or (inputs, outputs))


def he_normal(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Normal of variance 2 / inputs: K. He et al. 2015, equation 10."""
    return _normal(rng, 2 / inputs, shape or (inputs, outputs))


def lecun_uniform(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Uniform of variance 1 / inputs: Y. LeCun et al., "Efficient BackProp" (1998), equation 16."""
    return _uniform(rng, 1 / inputs, shape or (inputs, outputs))


def lecun_normal(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """Normal of variance 1 / inputs: Y. LeCun et al., "Efficient BackProp" (1998), equation 16."""
    return _normal(rng, 1 / inputs, shape or (inputs, outputs))


def orthogonal(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """A random matrix with orthonormal rows or columns, whichever are fewer: A. M. Saxe et al. 2013, section 3.

    Rows are the first axis of the shape, columns all others. The Q of a normal matrix, with the signs that make it
    uniform among all such: F. Mezzadri 2007, section 5.
    """
    shape = shape or (inputs, outputs)
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diagonal(r))
    return (q if rows >= columns else q.T).reshape(shape)


def zeros(rng: np.random.Generator, inputs: int, outputs: int, shape: Shape | None = None) -> Weights:
    """All 0: for a layer whose outputs are added to something, so that it starts as nothing."""
    return np.zeros(shape or (inputs, outputs))


def constant(value: float) -> Initialiser:
    """An initialiser that gives one value everywhere."""
    return lambda rng, inputs, outputs, shape=None: np.full(shape or (inputs, outputs), float(value))


def normal(deviation: float = 1.0) -> Initialiser:
    """An initialiser that draws from a normal distribution of this standard deviation, whatever the fans."""
    return lambda rng, inputs, outputs, shape=None: _normal(rng, deviation**2, shape or (inputs, outputs))


def uniform(bound: float) -> Initialiser:
    """An initialiser that draws evenly from ±bound, whatever the fans."""
    return lambda rng, inputs, outputs, shape=None: _uniform(rng, bound**2 / 3, shape or (inputs, outputs))


def fans(shape: Shape) -> tuple[int, int]:
    """Inputs and outputs of a unit of a convolution with kernels [O, C / groups, *K]: C / groups and O, times ΠK.

    >>> fans((16, 3, 5, 5))
    (75, 400)
    """
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def for_activation(name: str) -> Initialiser:
    """He's rule before rectifiers; LeCun's before "selu", as its paper says; Glorot's before all others."""
    return he_normal if name in RECTIFIERS else lecun_normal if name == "selu" else glorot_uniform
