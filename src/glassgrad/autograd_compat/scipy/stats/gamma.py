"""The gamma distribution of shape ``a`` and scale 1."""

from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp
from .standard import scipys

__getattr__ = scipys("gamma")


def logpdf(x: Any, a: Any) -> Any:
    """(a - 1) ln x - x - ln Γ(a)"""
    return special.xlogy(as_array(a) - 1, x) - x - special.gammaln(a)


def pdf(x: Any, a: Any) -> Any:
    """The density."""
    return exp(logpdf(x, a))


def cdf(x: Any, a: Any) -> Any:
    """P(X ≤ x), with a derivative by x."""
    return special.gammainc(a, x)
