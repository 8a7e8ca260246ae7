"""sin πx / πx and all its derivatives, to full precision everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.apply import apply
from ..graph.node import Value
from ..graph.primitive import Elementwise, Samples
from . import elementwise as ew


def _sinc(x: Any, *, n: int) -> Any:
    """The n-th derivative of s(t) = sin t / t at t = πx, times πⁿ.

    Near 0, where the terms of the quotient would cancel, it is the series Σ (-1)ᵏ tᵐ / (m! (2k + 1)) with m = 2k - n;
    elsewhere t s⁽ⁿ⁾ = sin⁽ⁿ⁾ t - n s⁽ⁿ⁻¹⁾, step by step.
    """
    t = np.pi * np.asarray(x)
    near = np.abs(t) < max(2, n)
    small, large = np.where(near, t, 0), np.where(near, 1, t)
    sides = [np.sin(large), np.cos(large), -np.sin(large), -np.cos(large)]
    quotient = sides[0] / large
    for order in range(1, n + 1):
        quotient = (sides[order % 4] - order * quotient) / large
    square, first = small * small, -(-n // 2)
    total = np.zeros_like(t)
    for k in range(first + 12 + n, first - 1, -1):  # the highest power first
        total = total * square + (-1) ** k / (math.factorial(2 * k - n) * (2 * k + 1))
    return (np.where(near, total * small if n % 2 else total, quotient) * np.pi**n).astype(t.dtype)[()]


def _sinc_scalar(b: Any, x: Any, *, n: int) -> Any:
    t = x * math.pi
    near = b.absolute(t) < max(2, n)
    small, large = b.select(near, t, 0), b.select(near, 1, t)
    sine, cosine = b.sin(large), b.cos(large)
    sides = [sine, cosine, -sine, -cosine]
    quotient = sine / large
    for order in range(1, n + 1):
        quotient = (sides[order % 4] - order * quotient) / large
    square, first = small * small, -(-n // 2)
    total = b.constant(0, t)
    for k in range(first + 12 + n, first - 1, -1):
        total = total * square + (-1) ** k / (math.factorial(2 * k - n) * (2 * k + 1))
    return b.select(near, total * small if n % 2 else total, quotient) * math.pi**n


class Sinc(Elementwise):
    """The n-th derivative of sin πx / πx, which is 1 at 0."""

    eval = staticmethod(_sinc)
    scalar = _sinc_scalar
    vjp = (lambda g, y, x, *, n: g * ew.conj(sinc(x, n + 1)),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, n: int) -> Value:
        return ts[0] * sinc(x, n + 1)

    samples = Samples(
        cases=lambda rng: [
            *(((np.array([-3.3, -0.6, 0.0, 1e-8, 0.2, 0.7, 1.0]),), {"n": n}) for n in (0, 1, 4)),
            ((rng.normal(size=(2, 3)) + 1j * rng.normal(size=3),), {"n": 0}),
        ]
    )


def sinc(x: Value, n: int = 0, /) -> Value:
    """sin πx / πx, and 1 at 0; or its n-th derivative."""
    return apply(Sinc, (x,), {"n": n})
