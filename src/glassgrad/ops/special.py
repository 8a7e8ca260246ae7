"""Special functions, evaluated by SciPy: erf and its relatives, log-gamma and its derivatives, Bessel's Iₙ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of, floating_dtype
from ..errors import UnsupportedError
from ..graph.apply import apply
from ..graph.node import Value
from ..graph.primitive import Elementwise, Samples
from ..lazy import scipy_function
from . import elementwise as ew
from .logic import Unary, unary

ROOT_PI = math.sqrt(math.pi)


def evaluated(name: str, *arguments: Any) -> Any:
    """SciPy's function of this name."""
    return scipy_function("special", name)(*arguments)


class Erf(Elementwise):
    """y = 2/√π ∫₀ˣ e^(-t²) dt"""

    eval = staticmethod(lambda x: evaluated("erf", x))
    partials = (lambda y, x: 2 / ROOT_PI * ew.exp(-x * x),)
    scalar = lambda b, x: b.erf(x)


class Erfc(Elementwise):
    """y = 1 - erf x, exact for large x."""

    eval = staticmethod(lambda x: evaluated("erfc", x))
    partials = (lambda y, x: -2 / ROOT_PI * ew.exp(-x * x),)
    scalar = lambda b, x: b.erfc(x)


class Erfinv(Elementwise):
    """y such that erf y = x.  dy/dx = √π/2 e^(y²)"""

    eval = staticmethod(lambda x: evaluated("erfinv", x))
    partials = (lambda y, x: ROOT_PI / 2 * ew.exp(y * y),)
    scalar = lambda b, x: b.erfinv(x)
    samples = Samples(domain=(-0.8, 0.8))


class Lgamma(Elementwise):
    """y = ln |Γ(x)|"""

    eval = staticmethod(lambda x: evaluated("gammaln", x))
    partials = (lambda y, x: digamma(x),)
    scalar = lambda b, x: b.lgamma(x)
    samples = Samples(domain=(0.3, 5.0))


class Digamma(Elementwise):
    """y = d/dx ln Γ(x)"""

    eval = staticmethod(lambda x: evaluated("digamma", x))
    partials = (lambda y, x: polygamma(1, x),)
    scalar = lambda b, x: b.digamma(x)
    samples = Samples(domain=(0.3, 5.0))


# Formulas for compiled code: without branches, in double precision as SciPy's are


def _in_double(b: Any, x: Any, n: int, highest: int) -> Any:
    if x.complex or not 0 <= n <= highest:
        raise UnsupportedError(f"compiling: there is a formula for order n = 0 … {highest} and real x, got n = {n}")
    return b.cast(x, "float64")


def _whole_power(b: Any, x: Any, n: int) -> Any:
    """xⁿ by squaring."""
    if n == 0:
        return b.constant(1, x)
    half = _whole_power(b, x, n // 2)
    return half * half * x if n % 2 and n > 1 else half * half if n > 1 else x


BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _hurwitz(b: Any, x: Any, s: int) -> Any:
    """ζ(s, x) = Σ (x + k)⁻ˢ for x > 0 and whole s > 1: the first terms, and Euler and Maclaurin's for the rest.

    DLMF 25.11.7. The first term left out is less than 10⁻¹⁶ of the sum.
    """
    count = 9 + s
    inverse = 1 / (x + count)
    square, rest = inverse * inverse, b.constant(0, x)
    for j in range(len(BERNOULLI), 0, -1):
        rest = rest * square + BERNOULLI[j - 1] * math.comb(s + 2 * j - 2, 2 * j - 1) / (2 * j)
    total = _whole_power(b, inverse, s - 1) * (1 / (s - 1) + inverse * (0.5 + inverse * rest))
    for k in range(count - 1, -1, -1):  # the smallest first
        total = total + _whole_power(b, 1 / (x + k), s)
    return total


def _polygamma_scalar(b: Any, x: Any, *, n: int) -> Any:
    """(-1)ⁿ⁺¹ n! ζ(n + 1, x); for x ≤ 0 from 1 - x, by the n-th derivative of π cot πx. DLMF 25.11.12, 5.15.6."""
    if n == 0:
        return b.digamma(x)
    x = _in_double(b, x, n, 30)
    left, nearest = x <= 0, b.rint(x)
    value = (-1) ** (n + 1) * math.factorial(n) * _hurwitz(b, b.select(left, 1 - x, x), n + 1)
    rest = x - nearest
    # This sine is the cosine of π rest, but exactly 0 midway between the poles, where other terms are far larger.
    cotangent = b.sin(math.pi * (0.5 - b.absolute(rest))) / b.sin(math.pi * rest)
    powers = [0, 1]  # the derivative as a polynomial in the cotangent c, for c' = -(1 + c²)
    for _ in range(n):
        slope = [k * c for k, c in enumerate(powers)][1:]
        powers = [-(c + d) for c, d in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    derivative = b.constant(0, x)
    for c in reversed(powers):
        derivative = derivative * cotangent + c
    mirrored = (-1) ** n * value - math.pi ** (n + 1) * derivative
    return b.select(left, b.select(b.equal(x, nearest), (-1) ** (n + 1) * math.inf, mirrored), value)


def _bessel_scalar(b: Any, x: Any, *, n: int) -> Any:
    """The power series, whose terms are all positive; Hankel's expansion where x is large. DLMF 10.25.2, 10.40.1."""
    x = _in_double(b, x, n, 20)
    size = b.absolute(x)
    border = max(30.0, n * n / 2)
    near = size < border
    half = b.select(near, size / 2, 0)
    square, series = half * half, b.constant(1, x)
    for k in range(_series_length(border / 2, n), 0, -1):
        series = series * square * (1 / (k * (k + n))) + 1
    # Iₙ(1000) has overflowed, and infinity would make NaN of the quotient. The power is halved to overflow no sooner.
    large = b.minimum(b.select(near, border, size), 1000)
    inverse, growth, expansion = 1 / large, b.exp(large / 2), b.constant(1, x)
    for k in range(_expansion_length(border, n), 0, -1):
        expansion = expansion * inverse * (((2 * k - 1) ** 2 - 4 * n * n) / (8 * k)) + 1
    far = growth / b.sqrt(2 * math.pi * large) * expansion * growth
    value = b.select(near, _whole_power(b, half, n) / math.factorial(n) * series, far)
    return b.copysign(value, x) if n % 2 else value


def _series_length(half: float, n: int) -> int:
    """How many terms Π (half² / k(k + n)) are needed at this argument and below."""
    term, total, k = 1.0, 1.0, 0
    while term > 1e-17 * total:
        k += 1
        term *= half * half / (k * (k + n))
        total += term
    return k


def _expansion_length(x: float, n: int) -> int:
    """How many terms Π ((2k - 1)² - 4n²) / 8kx are needed at this argument and above."""
    term, k = 1.0, 0
    while abs(term) > 1e-17:
        k += 1
        term *= ((2 * k - 1) ** 2 - 4 * n * n) / (8 * k * x)
    return k


class Polygamma(Elementwise):
    """y = the n-th derivative of digamma."""

    # SciPy computes in double precision
    eval = staticmethod(lambda x, *, n: evaluated("polygamma", n, x).astype(floating_dtype(dtype_of(x)))[()])
    scalar = _polygamma_scalar
    vjp = (lambda g, y, x, *, n: g * polygamma(n + 1, x),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, n: int) -> Value:
        return ts[0] * polygamma(n + 1, x)

    samples = Samples(cases=lambda rng: [((rng.uniform(0.5, 4.0, 5),), {"n": n}) for n in (1, 2)])


class Bessel(Elementwise):
    """y = Iₙ(x), the modified Bessel function of the first kind.  dIₙ/dx = (Iₙ₋₁ + Iₙ₊₁)/2"""

    eval = staticmethod(lambda x, *, n: evaluated("iv", n, x) if n else np.i0(x)[()])
    scalar = _bessel_scalar
    vjp = (lambda g, y, x, *, n: g * _bessel_slope(x, n),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, n: int) -> Value:
        return ts[0] * _bessel_slope(x, n)

    samples = Samples(cases=lambda rng: [((rng.uniform(-4.0, 4.0, 5),), {"n": n}) for n in (0, 1, 2)])


def _bessel_slope(x: Value, n: int) -> Value:
    return (bessel_i(n - 1, x) + bessel_i(n + 1, x)) / 2 if n else bessel_i(1, x)


erf: Unary = unary(Erf)
erfc: Unary = unary(Erfc)
erfinv: Unary = unary(Erfinv)
lgamma: Unary = unary(Lgamma)
digamma: Unary = unary(Digamma)


def polygamma(n: int, x: Value, /) -> Value:
    """The n-th derivative of the digamma function, n ≥ 1."""
    return apply(Polygamma, (x,), {"n": int(n)})


def bessel_i(n: int, x: Value, /) -> Value:
    """The modified Bessel function of the first kind of order n ≥ 0."""
    return apply(Bessel, (x,), {"n": n})
