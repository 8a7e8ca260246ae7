"""The beta distribution."""

from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp, log1p
from .standard import scipys

__getattr__ = scipys("beta")


def logpdf(x: Any, a: Any, b: Any) -> Any:
    """(a - 1) ln x + (b - 1) ln(1 - x) - ln B(a, b)"""
    x, a, b = as_array(x), as_array(a), as_array(b)
    return special.xlogy(a - 1, x) + (b - 1) * log1p(-x) - special.betaln(a, b)


def pdf(x: Any, a: Any, b: Any) -> Any:
    """The density."""
    return exp(logpdf(x, a, b))


def cdf(x: Any, a: Any, b: Any) -> Any:
    """P(X ≤ x), with a derivative by x."""
    return special.betainc(a, b, x)
