"""Special functions under SciPy's names: error functions, gamma functions, logistic functions, sums of exponentials.

They take arrays and numbers and return Arrays. SciPy evaluates erf, erfc, erfinv, gammaln, digamma and polygamma;
without it those name the extra to install.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .array import as_array
from .ops import composite, logic
from .ops import elementwise as ew
from .ops import special as ops
from .ops.reduction import Axis, sum

__all__ = [
    "erf",
    "erfc",
    "erfinv",
    "gammaln",
    "digamma",
    "psi",
    "polygamma",
    "betaln",
    "expit",
    "logit",
    "log_expit",
    "softplus",
    "logsumexp",
    "softmax",
    "log_softmax",
    "xlogy",
    "entr",
]


def _function(name: str, compute: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def function(x: Any, /) -> Any:
        return compute(as_array(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = compute.__doc__
    return function


erf = _function("erf", ops.erf)
erfc = _function("erfc", ops.erfc)
erfinv = _function("erfinv", ops.erfinv)
gammaln = _function("gammaln", ops.lgamma)
digamma = psi = _function("digamma", ops.digamma)
expit = _function("expit", ew.sigmoid)
log_expit = _function("log_expit", composite.log_sigmoid)
softplus = _function("softplus", composite.softplus)


def polygamma(n: int, x: Any, /) -> Any:
    """The n-th derivative of the digamma function."""
    return ops.polygamma(n, as_array(x)) if n else digamma(x)


def betaln(a: Any, b: Any, /) -> Any:
    """ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b)"""
    a, b = as_array(a), as_array(b)
    return ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)


def logit(p: Any, /) -> Any:
    """ln(p / (1 - p)), the inverse of ``expit``."""
    p = as_array(p)
    return ew.log(p) - ew.log1p(-p)


def xlogy(x: Any, y: Any, /) -> Any:
    """x ln y, and 0 where x is 0 whatever y is."""
    x, y = as_array(x), as_array(y)
    zero = (x == 0) & ~logic.isnan(y)
    return logic.where(zero, 0, x * ew.log(logic.where(zero, 1, y)))


def entr(x: Any, /) -> Any:
    """-x ln x, 0 at 0: one term of an entropy."""
    return -xlogy(x, x)


def logsumexp(a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False) -> Any:
    """ln Σ b eᵃ along ``axis``, without overflow; ``b`` are weights, 1 by default.

    >>> round(float(logsumexp([1000.0, 1000.0]) - 1000.0), 9)
    0.693147181
    """
    a = as_array(a)
    if b is None:
        return composite.logsumexp(a, axis, keepdims)
    top = composite.peak(a, axis)
    total = ew.log(sum(as_array(b) * ew.exp(a - top), axis, keepdims=True)) + top
    return total if keepdims else composite.without_axes(total, a, axis)


def softmax(x: Any, axis: Axis = None) -> Any:
    """eˣ / Σ eˣ over ``axis``, over all elements by default as in SciPy."""
    return composite.softmax(as_array(x), axis)


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """ln softmax x, without underflow."""
    return composite.log_softmax(as_array(x), axis)
