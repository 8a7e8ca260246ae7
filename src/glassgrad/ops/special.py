"""Special functions, evaluated by SciPy: erf and its relatives, log-gamma and its derivatives, Bessel's Iₙ."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of, floating_dtype
from ..errors import MissingExtraError
from ..graph.apply import apply
from ..graph.node import Value
from ..graph.primitive import Elementwise, Samples
from . import elementwise as ew
from .logic import Unary, unary

ROOT_PI = math.sqrt(math.pi)


def _scipy(name: str, *arguments: Any) -> Any:
    try:
        import scipy.special
    except ImportError:
        raise MissingExtraError(
            f"{name}: SciPy evaluates this function and is not installed; pip install 'glassgrad[scipy]'"
        ) from None
    return getattr(scipy.special, name)(*arguments)


class Erf(Elementwise):
    """y = 2/√π ∫₀ˣ e^(-t²) dt"""

    eval = staticmethod(lambda x: _scipy("erf", x))
    partials = (lambda y, x: 2 / ROOT_PI * ew.exp(-x * x),)


class Erfc(Elementwise):
    """y = 1 - erf x, exact for large x."""

    eval = staticmethod(lambda x: _scipy("erfc", x))
    partials = (lambda y, x: -2 / ROOT_PI * ew.exp(-x * x),)


class Erfinv(Elementwise):
    """y such that erf y = x.  dy/dx = √π/2 e^(y²)"""

    eval = staticmethod(lambda x: _scipy("erfinv", x))
    partials = (lambda y, x: ROOT_PI / 2 * ew.exp(y * y),)
    samples = Samples(domain=(-0.8, 0.8))


class Lgamma(Elementwise):
    """y = ln |Γ(x)|"""

    eval = staticmethod(lambda x: _scipy("gammaln", x))
    partials = (lambda y, x: digamma(x),)
    samples = Samples(domain=(0.3, 5.0))


class Digamma(Elementwise):
    """y = d/dx ln Γ(x)"""

    eval = staticmethod(lambda x: _scipy("digamma", x))
    partials = (lambda y, x: polygamma(1, x),)
    samples = Samples(domain=(0.3, 5.0))


class Polygamma(Elementwise):
    """y = the n-th derivative of digamma."""

    # SciPy computes in double precision
    eval = staticmethod(lambda x, *, n: _scipy("polygamma", n, x).astype(floating_dtype(dtype_of(x)))[()])
    vjp = (lambda g, y, x, *, n: g * polygamma(n + 1, x),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, n: int) -> Value:
        return ts[0] * polygamma(n + 1, x)

    samples = Samples(cases=lambda rng: [((rng.uniform(0.5, 4.0, 5),), {"n": n}) for n in (1, 2)])


class Bessel(Elementwise):
    """y = Iₙ(x), the modified Bessel function of the first kind.  dIₙ/dx = (Iₙ₋₁ + Iₙ₊₁)/2"""

    eval = staticmethod(lambda x, *, n: _scipy("iv", n, x) if n else np.i0(x)[()])
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
