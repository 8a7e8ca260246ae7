"""Special functions under SciPy's names: error functions, gamma functions, logistic functions, sums of exponentials.

They take arrays and numbers and return Arrays. SciPy evaluates most of them; without it those name the extra to
install. Compiled code has formulas for erf, erfc, erfinv, gammaln, digamma, polygamma, i0 and i1, and calls SciPy for
the others.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

from .array import as_array
from .ops import composite, logic, scipy
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
    "gamma",
    "rgamma",
    "gammasgn",
    "gammainc",
    "gammaincc",
    "multigammaln",
    "beta",
    "betainc",
    "stdtr",
    "erfcinv",
    "ndtr",
    "log_ndtr",
    "ndtri",
    "dawsn",
    "exp1",
    "expi",
    "jv",
    "jn",
    "yv",
    "yn",
    "iv",
    "ive",
    "kv",
    "kn",
    "kve",
    "j0",
    "j1",
    "y0",
    "y1",
    "i0",
    "i1",
    "i0e",
    "i1e",
    "k0",
    "k1",
    "k0e",
    "k1e",
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


def _scipys(name: str, *orders: float) -> Callable[..., Any]:
    """SciPy's function of this name; with given first arguments."""
    compute = scipy.FUNCTIONS[name]

    def function(*arguments: Any) -> Any:
        given: list[Any] = [*orders, *arguments]
        *first, x = given  # whose dtype decides where the others are plain numbers
        return compute(*(v if isinstance(v, int | float) else as_array(v) for v in first), as_array(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"``scipy.special.{name}``" + "".join(f", of order {n}" for n in orders)
    return function


gamma, rgamma, gammasgn = _scipys("gamma"), _scipys("rgamma"), _scipys("gammasgn")
gammainc, gammaincc, betainc, stdtr = _scipys("gammainc"), _scipys("gammaincc"), _scipys("betainc"), _scipys("stdtr")
erfcinv, ndtr, log_ndtr, ndtri = _scipys("erfcinv"), _scipys("ndtr"), _scipys("log_ndtr"), _scipys("ndtri")
dawsn, exp1, expi = _scipys("dawsn"), _scipys("exp1"), _scipys("expi")
jv = jn = _scipys("jv")
yv = yn = _scipys("yv")
kv = kn = _scipys("kv")
iv, ive, kve = _scipys("iv"), _scipys("ive"), _scipys("kve")
j0, j1, y0, y1 = _scipys("jv", 0), _scipys("jv", 1), _scipys("yv", 0), _scipys("yv", 1)
i0, i1 = _function("i0", lambda x: ops.bessel_i(0, x)), _function("i1", lambda x: ops.bessel_i(1, x))
k0, k1, i0e, i1e = _scipys("kv", 0), _scipys("kv", 1), _scipys("ive", 0), _scipys("ive", 1)
k0e, k1e = _scipys("kve", 0), _scipys("kve", 1)


def beta(a: Any, b: Any, /) -> Any:
    """B(a, b) = Γ(a) Γ(b) / Γ(a + b)"""
    signs = gammasgn(a) * gammasgn(b) * gammasgn(as_array(a) + b)
    return signs * ew.exp(betaln(a, b))


def multigammaln(a: Any, d: int, /) -> Any:
    """ln Γ_d(a) = d(d - 1)/4 ln π + Σⱼ ln Γ(a + (1 - j)/2), j = 1 … d"""
    terms = [ops.lgamma(as_array(a) - j / 2) for j in range(d)]
    return functools.reduce(operator.add, terms, d * (d - 1) / 4 * math.log(math.pi))


def betaln(a: Any, b: Any, /) -> Any:
    """ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b)"""
    return scipy.betaln(as_array(a), as_array(b))


def logit(p: Any, /) -> Any:
    """ln(p / (1 - p)), the inverse of ``expit``."""
    p = as_array(p)
    return ew.log(p) - ew.log1p(-p)


def xlogy(x: Any, y: Any, /) -> Any:
    """x ln y, and 0 where x is 0 whatever y is."""
    return scipy.xlogy(as_array(x), as_array(y))


def entr(x: Any, /) -> Any:
    """-x ln x, 0 at 0 and -inf below: one term of an entropy."""
    x = as_array(x)
    return logic.where(x < 0, -math.inf, -xlogy(x, logic.where(x < 0, 1, x)))


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
