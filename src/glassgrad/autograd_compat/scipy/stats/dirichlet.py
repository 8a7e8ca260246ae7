"""The Dirichlet distribution."""

from typing import Any

from .... import special
from ....array import as_array
from ....numpy import exp
from .standard import scipys

__getattr__ = scipys("dirichlet")


def logpdf(x: Any, alpha: Any) -> Any:
    """Σ (αᵢ - 1) ln xᵢ + ln Γ(Σ αᵢ) - Σ ln Γ(αᵢ), of points x: (n,) or (n, points)"""
    alpha = as_array(alpha)
    constant = special.gammaln(alpha.sum()) - special.gammaln(alpha).sum()
    return special.xlogy(alpha - 1, as_array(x).T).T.sum(0) + constant


def pdf(x: Any, alpha: Any) -> Any:
    """The density."""
    return exp(logpdf(x, alpha))
