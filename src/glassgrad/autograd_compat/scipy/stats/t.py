"""Student's t distribution with ``df`` degrees of freedom."""

import math
from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp, log, log1p
from .standard import scipys

__getattr__ = scipys("t")


def logpdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln Γ((n+1)/2) - ln Γ(n/2) - ln(nπ)/2 - ln scale - (n+1)/2 ln(1 + z²/n), n = df, z = (x - loc)/scale"""
    z, half = (as_array(x) - loc) / scale, (as_array(df) + 1) / 2
    constant = special.gammaln(half) - special.gammaln(as_array(df) / 2) - log(df) / 2 - math.log(math.pi) / 2
    return constant - log(scale) - half * log1p(z**2 / df)


def pdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """The density."""
    return exp(logpdf(x, df, loc, scale))


def cdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """P(X ≤ x), with derivatives by x, ``loc`` and ``scale``."""
    return special.stdtr(df, (as_array(x) - loc) / scale)


def logcdf(x: Any, df: Any, loc: Any = 0.0, scale: Any = 1.0) -> Any:
    """ln P(X ≤ x), with derivatives by x, ``loc`` and ``scale``."""
    return log(cdf(x, df, loc, scale))
