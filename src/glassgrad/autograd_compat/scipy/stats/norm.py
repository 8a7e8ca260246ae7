"""The normal distribution."""

import math
from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp, log
from .standard import scipys

__getattr__ = scipys("norm")


def _standard(x: Any, loc: Any, scale: Any) -> Any:
    return (as_array(x) - loc) / scale


def logpdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """-((x - loc)/scale)²/2 - ln(scale √2π)"""
    return -(_standard(x, loc, scale) ** 2) / 2 - log(scale) - math.log(2 * math.pi) / 2


def pdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The density.

    >>> round(float(pdf(0.0)), 4)
    0.3989
    """
    return exp(logpdf(x, loc, scale))


def cdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """P(X ≤ x)"""
    return special.ndtr(_standard(x, loc, scale))


def logcdf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln P(X ≤ x)"""
    return special.log_ndtr(_standard(x, loc, scale))


def sf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """P(X > x)"""
    return special.ndtr(-_standard(x, loc, scale))


def logsf(x: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln P(X > x)"""
    return special.log_ndtr(-_standard(x, loc, scale))
