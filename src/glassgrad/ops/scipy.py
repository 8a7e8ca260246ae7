"""Functions of SciPy's ``special`` as ops, one for each row of a table: its name there, and its derivatives.

Compiled code calls SciPy for them. Formulas: NIST Digital Library of Mathematical Functions (DLMF), by section.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph.apply import apply
from ..graph.node import Value
from ..graph.origin import here
from ..graph.primitive import Elementwise, Samples
from . import elementwise as ew
from . import logic, special

Function = Callable[..., Value]
ROOT_2PI = math.sqrt(2 * math.pi)
ROOT_PI = math.sqrt(math.pi)


def _unknown(name: str, parameter: str) -> Function:
    def partial(*_: Any) -> Value:
        raise UnsupportedError(
            f"{name}: no derivative by {parameter} at {here(2)}: there is no formula for it; pass "
            f"gg.stop_gradient({parameter}), or differentiate by the last argument only"
        )

    return partial


def _function(name: str, *partials: Any, domain: tuple[float, float] = (0.3, 4.0)) -> Function:
    """The op that SciPy evaluates, and the function that applies it.

    Parameters
    ----------
    partials : derivatives by each argument ``(y, *xs)``; a string names an argument that has none
    domain : where it is tested by the arguments that have
    """

    def cases(rng: np.random.Generator) -> list[Any]:
        return [([np.array([1, 2, 3]) if isinstance(p, str) else rng.uniform(*domain, 3) for p in partials], {})]

    rules = {
        "eval": staticmethod(lambda *xs: special.evaluated(name, *xs)),
        "partials": tuple(_unknown(name, p) if isinstance(p, str) else p for p in partials),
        "called": True,
        "samples": Samples(cases=cases),
        "name": name,
    }
    op: Any = type(name.title().replace("_", ""), (Elementwise,), rules)
    return lambda *xs: apply(op, xs)


def _neighbours(f: str, sign: int) -> Function:
    """(f₋ + sign f₊)/2 of the orders below and above. DLMF 10.6.1, 10.29.1"""
    return lambda y, n, x: (FUNCTIONS[f](n - 1, x) + sign * FUNCTIONS[f](n + 1, x)) / 2


def _beta_density(y: Value, a: Value, b: Value, x: Value) -> Value:
    """x^(a-1) (1-x)^(b-1) / B(a, b), the slope of the incomplete beta function. DLMF 8.17.7"""
    return ew.exp(xlogy(a - 1, x) + xlogy(b - 1, 1 - x) - betaln(a, b))


def _gamma_density(y: Value, a: Value, x: Value) -> Value:
    """x^(a-1) e^(-x) / Γ(a), the slope of the incomplete gamma function. DLMF 8.8.13"""
    return ew.exp(xlogy(a - 1, x) - x - special.lgamma(a))


def _t_density(y: Value, n: Value, x: Value) -> Value:
    """Student's t density with n degrees of freedom."""
    half = (n + 1) / 2
    scale = special.lgamma(half) - special.lgamma(n / 2) - 0.5 * ew.log(n * math.pi)
    return ew.exp(scale - half * ew.log1p(x * x / n))


def _rgamma_slope(y: Value, x: Value) -> Value:
    """-ψ(x)/Γ(x), and (-1)ⁿ n! at x = -n, where ψ has a pole. DLMF 5.5.3"""
    pole = (x <= 0) & (x == ew.floor(x))
    there = FUNCTIONS["gamma"](logic.where(pole, 1 - x, 1)) * ew.cos(math.pi * x)
    return logic.where(pole, there, -y * special.digamma(logic.where(pole, 1, x)))


def xlogy(x: Value, y: Value, /) -> Value:
    """x ln y, and 0 where x is 0 whatever y is."""
    zero = (x == 0) & ((y <= 0) | logic.isinf(y))
    return logic.where(zero, 0, x * ew.log(logic.where(zero, 1, y)))


def betaln(a: Value, b: Value, /) -> Value:
    """ln B(a, b) = ln Γ(a) + ln Γ(b) - ln Γ(a + b)"""
    return special.lgamma(a) + special.lgamma(b) - special.lgamma(a + b)


FUNCTIONS: dict[str, Function] = {}
_ROWS: list[tuple[str, list[Any], tuple[float, float]]] = [
    ("gamma", [lambda y, x: y * special.digamma(x)], (0.3, 4.0)),
    ("rgamma", [_rgamma_slope], (0.3, 4.0)),
    ("gammasgn", [0], (0.3, 4.0)),
    ("gammainc", ["a", _gamma_density], (0.3, 4.0)),
    ("gammaincc", ["a", lambda *xs: -_gamma_density(*xs)], (0.3, 4.0)),
    ("betainc", ["a", "b", _beta_density], (0.1, 0.9)),
    ("stdtr", ["df", _t_density], (-3.0, 3.0)),
    ("erfcinv", [lambda y, x: -ROOT_PI / 2 * ew.exp(y * y)], (0.2, 1.8)),
    ("ndtr", [lambda y, x: ew.exp(-x * x / 2) / ROOT_2PI], (-3.0, 3.0)),
    ("log_ndtr", [lambda y, x: ew.exp(-x * x / 2 - y) / ROOT_2PI], (-3.0, 3.0)),
    ("ndtri", [lambda y, x: ROOT_2PI * ew.exp(y * y / 2)], (0.1, 0.9)),
    ("dawsn", [lambda y, x: 1 - 2 * x * y], (-3.0, 3.0)),
    ("exp1", [lambda y, x: -ew.exp(-x) / x], (0.3, 4.0)),
    ("expi", [lambda y, x: ew.exp(x) / x], (0.3, 4.0)),
    ("jv", ["v", _neighbours("jv", -1)], (0.3, 4.0)),
    ("yv", ["v", _neighbours("yv", -1)], (0.3, 4.0)),
    ("iv", ["v", _neighbours("iv", 1)], (0.3, 4.0)),
    ("kv", ["v", lambda y, n, x: -_neighbours("kv", 1)(y, n, x)], (0.3, 4.0)),
    ("ive", ["v", lambda y, n, x: _neighbours("ive", 1)(y, n, x) - ew.sign(x) * y], (0.3, 4.0)),
    ("kve", ["v", lambda y, n, x: y - _neighbours("kve", 1)(y, n, x)], (0.3, 4.0)),
]
FUNCTIONS |= {name: _function(name, *partials, domain=domain) for name, partials, domain in _ROWS}
