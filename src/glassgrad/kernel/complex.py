"""Arithmetic and functions of complex numbers in terms of real ones.

``RULES`` has one entry per instruction that complex numbers have: a function of a ``Writer`` and complex terms. The
formulas keep their digits where the textbook's cancel or overflow; infinite and NaN arguments get no special care.
Sources: C99 annex G for branch cuts; Kahan, "Branch cuts for complex elementary functions" (1987), for the inverse
functions; Smith, "Algorithm 116" (1962), for division.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .scalars import Term, Writer


def _multiply(b: Writer, x: Term, y: Term) -> Term:
    if x.im.known == 0:  # a real number cast to complex
        return b.complex(x.re * y.re, x.re * y.im)
    if y.im.known == 0:
        return b.complex(x.re * y.re, x.im * y.re)
    return b.complex(x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re)


def _divide(b: Writer, x: Term, y: Term) -> Term:
    """x / y, scaled by the larger part of y."""
    if y.im.known == 0:
        return b.complex(x.re / y.re, x.im / y.re)
    flat = b.absolute(y.re) >= b.absolute(y.im)
    large, small = b.select(flat, y.re, y.im), b.select(flat, y.im, y.re)
    ratio = b.select(b.equal(large, 0), 0, small / large)
    scale = 1 / (large + small * ratio)
    p, q = b.select(flat, x.re, x.im), b.select(flat, x.im, x.re)
    im = (q - p * ratio) * scale
    return b.complex((p + q * ratio) * scale, b.select(flat, im, -im))


def _absolute(b: Writer, z: Term) -> Term:
    return b.hypot(z.re, z.im)


def _exp(b: Writer, z: Term) -> Term:
    size = b.exp(z.re)
    return b.complex(size * b.cos(z.im), size * b.sin(z.im))


def _expm1(b: Writer, z: Term) -> Term:
    """eˣ cos y - 1 = (eˣ - 1) cos y - 2 sin²(y/2)"""
    half = b.sin(z.im * 0.5)
    return b.complex(b.expm1(z.re) * b.cos(z.im) - 2 * half * half, b.exp(z.re) * b.sin(z.im))


def _log(b: Writer, z: Term) -> Term:
    """ln |z| + i arg z. Near the unit circle ln |z| = ½ ln(1 + (|z|² - 1)), the bracket without cancellation."""
    radius = _absolute(b, z)
    large = b.maximum(b.absolute(z.re), b.absolute(z.im))
    small = b.minimum(b.absolute(z.re), b.absolute(z.im))
    near = 0.5 * b.log1p((large - 1) * (large + 1) + small * small)
    far = (radius < 0.5) | (radius > 2)
    return b.complex(b.select(far, b.log(radius), near), b.arctan2(z.im, z.re))


def _log1p(b: Writer, z: Term) -> Term:
    """ln |1 + z| = ½ ln(1 + (2x + x² + y²))"""
    radius = b.hypot(z.re + 1, z.im)
    near = 0.5 * b.log1p(z.re * (z.re + 2) + z.im * z.im)
    far = (radius < 0.5) | (radius > 2)
    return b.complex(b.select(far, b.log(radius), near), b.arctan2(z.im, z.re + 1))


def _sqrt(b: Writer, z: Term) -> Term:
    """±(t + i y/2t) with t = √((|z| + |x|)/2), or the parts exchanged for x < 0."""
    t = b.sqrt(0.5 * _absolute(b, z) + 0.5 * b.absolute(z.re))
    u = b.select(b.equal(t, 0), 0, b.absolute(z.im) / (2 * t))
    right = z.re >= 0
    return b.complex(b.select(right, t, u), b.copysign(b.select(right, u, t), z.im))


def _sin(b: Writer, z: Term) -> Term:
    return b.complex(b.sin(z.re) * b.cosh(z.im), b.cos(z.re) * b.sinh(z.im))


def _cos(b: Writer, z: Term) -> Term:
    return b.complex(b.cos(z.re) * b.cosh(z.im), -(b.sin(z.re) * b.sinh(z.im)))


def _sinh(b: Writer, z: Term) -> Term:
    return b.complex(b.sinh(z.re) * b.cos(z.im), b.cosh(z.re) * b.sin(z.im))


def _cosh(b: Writer, z: Term) -> Term:
    return b.complex(b.cosh(z.re) * b.cos(z.im), b.sinh(z.re) * b.sin(z.im))


def _tanh(b: Writer, z: Term) -> Term:
    """(sinh x cosh x + i sin y cos y) / (sinh² x + cos² y)"""
    limit = 300 if z.dtype == "float64" else 40  # its square does not overflow, and tanh is 1 long before
    x = b.minimum(b.maximum(z.re, -limit), limit)
    sinh, sine, cosine = b.sinh(x), b.sin(z.im), b.cos(z.im)
    divisor = sinh * sinh + cosine * cosine
    return b.complex(sinh * b.cosh(x) / divisor, sine * cosine / divisor)


def _arcsin(b: Writer, z: Term) -> Term:
    minus, plus = _roots(b, z)
    return b.complex(
        b.arctan2(z.re, minus.re * plus.re - minus.im * plus.im), b.arcsinh(minus.re * plus.im - minus.im * plus.re)
    )


def _arccos(b: Writer, z: Term) -> Term:
    minus, plus = _roots(b, z)
    return b.complex(2 * b.arctan2(minus.re, plus.re), b.arcsinh(plus.re * minus.im - plus.im * minus.re))


def _roots(b: Writer, z: Term) -> tuple[Term, Term]:
    """√(1 - z) and √(1 + z). The sign of a zero imaginary part says on which side of the cut z is."""
    return _sqrt(b, b.complex(1 - z.re, -z.im)), _sqrt(b, b.complex(1 + z.re, z.im))


def _arccosh(b: Writer, z: Term) -> Term:
    minus, plus = _sqrt(b, b.complex(z.re - 1, z.im)), _sqrt(b, b.complex(z.re + 1, z.im))
    return b.complex(b.arcsinh(minus.re * plus.re + minus.im * plus.im), 2 * b.arctan2(minus.im, plus.re))


def _arctanh(b: Writer, z: Term) -> Term:
    """¼ ln(1 + 4x/((1-x)² + y²)) + ½ i arg((1-x)(1+x) - y² + 2iy), with |x| where the logarithm would cancel.

    Far out, where the squares overflow, the angle is ±π/2 to the last digit.
    """
    x = b.absolute(z.re)
    gap = 1 - x
    distance = b.hypot(gap, z.im)
    size = b.log1p(4 * b.select(b.isinf(distance), 0, x / distance) / distance) * 0.25
    angle = 0.5 * b.arctan2(2 * z.im, gap * (1 + x) - z.im * z.im)
    far = distance > (1e20 if z.dtype == "float64" else 1e10)
    return b.complex(b.copysign(size, z.re), b.select(far, b.copysign(0.5 * math.pi, z.im), angle))


Function = Callable[["Writer", "Term"], "Term"]


def _turned(function: Function) -> Function:
    """f(iz)/i, which makes tan of tanh and arcsinh of arcsin."""

    def turned(b: Writer, z: Term) -> Term:
        value = function(b, b.complex(-z.im, z.re))
        return b.complex(value.im, -value.re)

    return turned


def _scaled(function: Function, factor: float) -> Function:
    return lambda b, z: function(b, z) * factor


def _power(b: Writer, x: Term, y: Term) -> Term:
    """exp(y ln x), its size as a real power; 1 for y = 0, and at x = 0 otherwise 0 where Re y > 0, else NaN."""
    radius, angle = _absolute(b, x), b.arctan2(x.im, x.re)
    size, turn = b.power(radius, y.re), y.re * angle
    if y.im.known != 0:
        size, turn = size * b.exp(-(y.im * angle)), turn + y.im * b.log(radius)
    value = b.complex(size * b.cos(turn), size * b.sin(turn))
    nowhere = b.constant(complex(math.nan, math.nan), y)
    at_zero = b.select(y.re > 0, b.constant(0, y), nowhere)
    return b.select(b.equal(y, 0), 1, b.select(b.equal(radius, 0), at_zero, value))


def _sigmoid(b: Writer, z: Term) -> Term:
    return 1 / (1 + b.exp(-z))


def _ordered(compare: str) -> Callable[[Writer, Term, Term], Term]:
    """By real part, and by imaginary part where those are equal; never where one is NaN."""
    strict = compare.removesuffix("_equal")

    def ordered(b: Writer, x: Term, y: Term) -> Term:
        first = b.write(strict, x.re, y.re) & b.equal(x.im, x.im) & b.equal(y.im, y.im)
        return first | (b.equal(x.re, y.re) & b.write(compare, x.im, y.im))

    return ordered


def _extreme(compare: str, nan_wins: bool) -> Callable[[Writer, Term, Term], Term]:
    return lambda b, x, y: b.select(b.isnan(x if nan_wins else y) | b.write(compare, x, y), x, y)


def _parts(instruction: str) -> Callable[..., Term]:
    """The same for real and imaginary part."""
    return lambda b, *z: b.complex(b.write(instruction, *(x.re for x in z)), b.write(instruction, *(x.im for x in z)))


RULES: dict[str, Callable[..., Term]] = {
    "add": _parts("add"),
    "subtract": _parts("subtract"),
    "negative": _parts("negative"),
    "rint": _parts("rint"),
    "conjugate": lambda b, z: b.complex(z.re, -z.im),
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "absolute": _absolute,
    "sqrt": _sqrt,
    "exp": _exp,
    "exp2": lambda b, z: _exp(b, z * math.log(2)),
    "expm1": _expm1,
    "log": _log,
    "log2": _scaled(_log, 1 / math.log(2)),
    "log10": _scaled(_log, 1 / math.log(10)),
    "log1p": _log1p,
    "sin": _sin,
    "cos": _cos,
    "tan": _turned(_tanh),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arctan": _turned(_arctanh),
    "arcsinh": _turned(_arcsin),
    "arccosh": _arccosh,
    "arctanh": _arctanh,
    "sigmoid": _sigmoid,
    "equal": lambda b, x, y: b.equal(x.re, y.re) & b.equal(x.im, y.im),
    "not_equal": lambda b, x, y: b.not_equal(x.re, y.re) | b.not_equal(x.im, y.im),
    "greater": _ordered("greater"),
    "greater_equal": _ordered("greater_equal"),
    "less": _ordered("less"),
    "less_equal": _ordered("less_equal"),
    "maximum": _extreme("greater_equal", True),
    "minimum": _extreme("less_equal", True),
    "fmax": _extreme("greater_equal", False),
    "fmin": _extreme("less_equal", False),
    "isnan": lambda b, z: b.isnan(z.re) | b.isnan(z.im),
    "isinf": lambda b, z: b.isinf(z.re) | b.isinf(z.im),
    "isfinite": lambda b, z: b.isfinite(z.re) & b.isfinite(z.im),
}
