"""The chi-squared distribution with ``df`` degrees of freedom."""

from typing import Any

from ....array import as_array
from . import gamma
from .standard import scipys

__getattr__ = scipys("chi2")


def logpdf(x: Any, df: Any) -> Any:
    """The logarithm of the density: the gamma distribution's of shape df/2 and scale 2."""
    return gamma.logpdf(as_array(x) / 2, as_array(df) / 2) - 0.6931471805599453


def pdf(x: Any, df: Any) -> Any:
    """The density."""
    return gamma.pdf(as_array(x) / 2, as_array(df) / 2) / 2


def cdf(x: Any, df: Any) -> Any:
    """P(X ≤ x), with a derivative by x."""
    return gamma.cdf(as_array(x) / 2, as_array(df) / 2)
