"""Functions of whole numbers and of the parts of floating-point numbers: NumPy computes them, in compiled code too."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph.primitive import Elementwise, Opaque, Samples

WHOLE = "it is of whole numbers"
JUMPS = "it is constant between the places where it jumps"


def _whole(rng: np.random.Generator) -> list[Any]:
    return [((rng.integers(-30, 30, (3, 4)), rng.integers(1, 30, 4)), {})]


def _floating(rng: np.random.Generator) -> list[Any]:
    return [((rng.normal(size=(3, 4)) * 1e3,), {})]


class Gcd(Opaque):
    """Greatest common divisor."""

    eval = np.gcd
    nondifferentiable = WHOLE
    batch = (0, 0)
    samples = Samples(cases=_whole)


class Lcm(Opaque):
    """Least common multiple."""

    eval = np.lcm
    nondifferentiable = WHOLE
    batch = (0, 0)
    samples = Samples(cases=_whole)


class BitwiseCount(Opaque):
    """Number of bits set in |x|."""

    eval = np.bitwise_count
    nondifferentiable = WHOLE
    batch = (0,)
    samples = Samples(cases=lambda rng: [((rng.integers(-30, 30, (3, 4)),), {})])


class Spacing(Opaque):
    """Distance to the next floating-point number."""

    eval = np.spacing
    nondifferentiable = JUMPS
    batch = (0,)
    samples = Samples(cases=_floating)


class Exponent(Opaque):
    """The exponent e of x = m·2^e with m in [½, 1)."""

    eval = staticmethod(lambda x: np.frexp(x)[1])
    nondifferentiable = JUMPS
    batch = (0,)
    samples = Samples(cases=_floating)


class Nextafter(Elementwise):
    """The next floating-point number after x on the way to another; it moves along with x."""

    eval = np.nextafter
    partials = (1, 0)
    called = True
    samples = Samples(cases=lambda rng: [((rng.normal(size=(3, 4)), rng.normal(size=4)), {})])
