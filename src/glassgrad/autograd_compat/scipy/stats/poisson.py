"""The Poisson distribution of mean ``mu``."""

from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp, floor
from .standard import scipys

__getattr__ = scipys("poisson")


def logpmf(k: Any, mu: Any) -> Any:
    """k ln μ - μ - ln k!"""
    return special.xlogy(k, mu) - mu - special.gammaln(as_array(k) + 1)


def pmf(k: Any, mu: Any) -> Any:
    """P(X = k)"""
    return exp(logpmf(k, mu))


def cdf(k: Any, mu: Any) -> Any:
    """P(X ≤ k)"""
    return special.gammaincc(floor(k) + 1, mu)
