"""First weights: random numbers scaled so that signals neither die out nor blow up on their way through the layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.floating]
Initialiser = Callable[[np.random.Generator, int, int], Weights]


def glorot_uniform(rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """Uniform in ±√(6 / (inputs + outputs)), float64 [inputs, outputs]: Glorot & Bengio 2010, equation 16."""
    bound = math.sqrt(6 / (inputs + outputs))
    return rng.uniform(-bound, bound, (inputs, outputs))


def glorot_normal(rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """Normal of variance 2 / (inputs + outputs), float64 [inputs, outputs]: Glorot & Bengio 2010, equation 12."""
    return rng.normal(0.0, math.sqrt(2 / (inputs + outputs)), (inputs, outputs))


def he_uniform(rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """Uniform of variance 2 / inputs, float64 [inputs, outputs]: He et al. 2015, equation 10."""
    bound = math.sqrt(6 / inputs)
    return rng.uniform(-bound, bound, (inputs, outputs))


def he_normal(rng: np.random.Generator, inputs: int, outputs: int) -> Weights:
    """Normal of variance 2 / inputs, float64 [inputs, outputs]: He et al. 2015, equation 10."""
    return rng.normal(0.0, math.sqrt(2 / inputs), (inputs, outputs))
