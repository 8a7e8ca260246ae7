"""Arithmetic, powers, exponentials, trigonometry: one output element per input element.

``partials`` are local derivatives ``(y, *xs)``. Where a formula uses ``y`` it is because that is cheaper or does not
overflow. Formulas are those of NIST's Digital Library of Mathematical Functions, chapters 4 to 7.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..graph.apply import apply
from ..graph.node import Value, value_of
from ..graph.primitive import Elementwise, Samples
from . import logic
from .logic import Binary, Unary, binary, unary

LN2 = math.log(2.0)
LN10 = math.log(10.0)

# A few instructions: cheaper to compute again than to keep. Every other elementwise op is like an exponential.
CHEAP = {
    *("add", "sub", "mul", "neg", "abs", "sign", "relu", "maximum", "minimum", "clip", "where", "where_i_e_e_e"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "isnan", "isfinite", "isinf"),
    *("logical_and", "logical_or", "logical_not", "bitwise_and", "bitwise_or", "real", "imag", "conj"),
    *("cast", "to_integer"),
    *("div", "sqrt"),
}

POSITIVE = Samples(domain=(0.2, 3.0), complex=True)
ANYWHERE = Samples(complex=True)


class Neg(Elementwise):
    """y = -x"""

    eval = np.negative
    partials = (-1,)
    samples = ANYWHERE


class Add(Elementwise):
    """y = a + b"""

    eval = np.add
    partials = (1, 1)
    samples = ANYWHERE


class Sub(Elementwise):
    """y = a - b"""

    eval = np.subtract
    partials = (1, -1)
    samples = ANYWHERE


class Mul(Elementwise):
    """y = a b"""

    eval = np.multiply
    partials = (lambda y, a, b: b, lambda y, a, b: a)
    samples = ANYWHERE


class Div(Elementwise):
    """y = a / b.  ∂y/∂b = -a/b² = -y/b"""

    eval = np.true_divide
    partials = (lambda y, a, b: divide(1.0, b), lambda y, a, b: -y / b)
    samples = Samples(domain=((-3.0, 3.0), (0.3, 3.0)), complex=True)


class FloorDiv(Elementwise):
    """y = ⌊a / b⌋, constant between jumps."""

    eval = np.floor_divide
    partials = (0, 0)
    samples = Samples(domain=((0.3, 0.7), (0.8, 0.95)))


class Mod(Elementwise):
    """y = a - b ⌊a / b⌋, with the sign of b."""

    eval = np.remainder
    partials = (1, lambda y, a, b: -floor_divide(a, b))
    samples = Samples(domain=((1.1, 1.9), (1.95, 2.0)))


class Fmod(Elementwise):
    """y = a - b trunc(a / b), with the sign of a."""

    eval = np.fmod
    partials = (1, lambda y, a, b: -trunc(a / b))
    samples = Samples(domain=((1.1, 1.9), (1.95, 2.0)))


def _power(a: Any, b: Any) -> Any:
    # ndarray ** 2 is one multiplication in NumPy, np.power(x, 2) is not.
    return a**b if isinstance(b, (int, float)) and not isinstance(a, (int, float, complex)) else np.power(a, b)


# NumPy too takes arrays to these powers by arithmetic; cubes and fourth powers are within a rounding or two.
_POWERS: dict[float, Any] = {
    0: lambda b, x: b.constant(1, x),
    1: lambda b, x: x,
    2: lambda b, x: x * x,
    3: lambda b, x: x * x * x,
    4: lambda b, x: (x * x) * (x * x),
}
_FLOAT_POWERS = _POWERS | {-1: lambda b, x: 1 / x, 0.5: lambda b, x: b.sqrt(x)}


def _power_scalar(b: Any, x: Any, exponent: Any) -> Any:
    powers = _FLOAT_POWERS if x.dtype.startswith("float") else _POWERS
    return powers[exponent.known](b, x) if exponent.known in powers else b.power(x, exponent)


def _power_base(y: Value, a: Value, b: Value) -> Value:
    """b a^(b-1); zero at a = b = 0, where the formula says 0·∞."""
    if type(value_of(b)) in (int, float):  # a number, or its node in a graph
        b = value_of(b)
        return b * power(a, b - 1) if b else 0 * y
    return logic.where((a == 0) & (b == 0), 0, b * power(a, b - 1))


def _power_exponent(y: Value, a: Value, b: Value) -> Value:
    """a^b log a; zero at a = 0 for b ≥ 0, its limit for b > 0."""
    return logic.where((a == 0) & (real(b) >= 0), 0, y * log(a))


class Power(Elementwise):
    """y = aᵇ"""

    eval = staticmethod(_power)
    partials = (_power_base, _power_exponent)
    scalar = _power_scalar
    samples = Samples(domain=((0.3, 3.0), (-2.0, 2.0)), complex=True)


class Abs(Elementwise):
    """y = |x|; dy/dx = sign x, 0 at the kink. For complex x the steepest direction is x/|x|."""

    eval = np.abs
    vjp = (lambda g, y, x: g * sign(x),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value) -> Value:
        return real(ts[0] * conj(sign(x)))

    samples = Samples(domain=(0.3, 3.0), complex=True)


class Sign(Elementwise):
    """y = -1, 0 or 1: constant except at the jump. (Complex arguments go through ``sign``.)"""

    eval = np.sign
    partials = (0,)
    samples = Samples(domain=(0.3, 3.0))


class Floor(Elementwise):
    """Largest whole number ≤ x."""

    eval = np.floor
    partials = (0,)
    samples = Samples(domain=(0.3, 0.7))


class Ceil(Elementwise):
    """Smallest whole number ≥ x."""

    eval = np.ceil
    partials = (0,)
    samples = Samples(domain=(0.3, 0.7))


class Trunc(Elementwise):
    """Whole part, towards zero."""

    eval = np.trunc
    partials = (0,)
    samples = Samples(domain=(0.3, 0.7))


class Rint(Elementwise):
    """Nearest whole number, halves to even."""

    eval = np.rint
    partials = (0,)
    samples = Samples(domain=(0.1, 0.4))


class Exp(Elementwise):
    """y = eˣ"""

    eval = np.exp
    partials = (lambda y, x: y,)
    samples = ANYWHERE


class Expm1(Elementwise):
    """y = eˣ - 1, exact near 0."""

    eval = np.expm1
    partials = (lambda y, x: y + 1,)
    samples = ANYWHERE


class Exp2(Elementwise):
    """y = 2ˣ"""

    eval = np.exp2
    partials = (lambda y, x: y * LN2,)


class Log(Elementwise):
    """y = ln x"""

    eval = np.log
    partials = (lambda y, x: divide(1.0, x),)
    samples = POSITIVE


class Log2(Elementwise):
    """y = log₂ x"""

    eval = np.log2
    partials = (lambda y, x: 1 / (x * LN2),)
    samples = POSITIVE


class Log10(Elementwise):
    """y = log₁₀ x"""

    eval = np.log10
    partials = (lambda y, x: 1 / (x * LN10),)
    samples = POSITIVE


class Log1p(Elementwise):
    """y = ln(1 + x), exact near 0."""

    eval = np.log1p
    partials = (lambda y, x: 1 / (1 + x),)
    samples = POSITIVE


class Sqrt(Elementwise):
    """y = √x.  dy/dx = 1/(2y), infinite at 0."""

    eval = np.sqrt
    partials = (lambda y, x: divide(0.5, y),)
    samples = POSITIVE


class Cbrt(Elementwise):
    """y = ∛x.  dy/dx = 1/(3y²)"""

    eval = np.cbrt
    partials = (lambda y, x: 1 / (3 * y * y),)
    samples = Samples(domain=(0.2, 3.0))


class Sin(Elementwise):
    """y = sin x"""

    eval = np.sin
    partials = (lambda y, x: cos(x),)
    samples = ANYWHERE


class Cos(Elementwise):
    """y = cos x"""

    eval = np.cos
    partials = (lambda y, x: -sin(x),)
    samples = ANYWHERE


class Tan(Elementwise):
    """y = tan x.  dy/dx = 1 + y²"""

    eval = np.tan
    partials = (lambda y, x: 1 + y * y,)
    samples = Samples(domain=(-1.2, 1.2), complex=True)


class Arcsin(Elementwise):
    """y = arcsin x.  dy/dx = 1/√((1-x)(1+x)), which keeps its digits near ±1 where 1-x² loses them."""

    eval = np.arcsin
    partials = (lambda y, x: 1 / sqrt((1 - x) * (1 + x)),)
    samples = Samples(domain=(-0.8, 0.8), complex=True)


class Arccos(Elementwise):
    """y = arccos x"""

    eval = np.arccos
    partials = (lambda y, x: -1 / sqrt((1 - x) * (1 + x)),)
    samples = Samples(domain=(-0.8, 0.8), complex=True)


class Arctan(Elementwise):
    """y = arctan x"""

    eval = np.arctan
    partials = (lambda y, x: 1 / (1 + x * x),)
    samples = ANYWHERE


class Sinh(Elementwise):
    """y = sinh x"""

    eval = np.sinh
    partials = (lambda y, x: cosh(x),)
    samples = ANYWHERE


class Cosh(Elementwise):
    """y = cosh x"""

    eval = np.cosh
    partials = (lambda y, x: sinh(x),)
    samples = ANYWHERE


class Tanh(Elementwise):
    """y = tanh x.  dy/dx = 1 - y²; uses y because cosh x overflows for large |x|."""

    eval = np.tanh
    partials = (lambda y, x: 1 - y * y,)
    samples = ANYWHERE


def _arcsinh(y: Value, x: Value) -> Value:
    """1/√(1+x²), without squaring a large real x."""
    return 1 / (sqrt(1 + x * x) if logic.is_complex(x) else hypot(1.0, x))


class Arcsinh(Elementwise):
    """y = arcsinh x"""

    eval = np.arcsinh
    partials = (_arcsinh,)
    samples = Samples(domain=(-0.8, 0.8), complex=True)


class Arccosh(Elementwise):
    """y = arccosh x.  dy/dx = 1/(√(x-1) √(x+1)), right on every branch."""

    eval = np.arccosh
    partials = (lambda y, x: 1 / (sqrt(x - 1) * sqrt(x + 1)),)
    samples = Samples(domain=(1.3, 3.0), complex=True)


class Arctanh(Elementwise):
    """y = arctanh x"""

    eval = np.arctanh
    partials = (lambda y, x: 1 / ((1 - x) * (1 + x)),)
    samples = Samples(domain=(-0.8, 0.8), complex=True)


def _over_square(y: Value, a: Value, b: Value) -> Value:
    """b / (a² + b²), without squaring what may be tiny or huge."""
    radius = hypot(a, b)
    return b / radius / radius


class Arctan2(Elementwise):
    """y = the angle of the point (b, a).  ∂y/∂a = b/(a² + b²), ∂y/∂b = -a/(a² + b²)"""

    eval = np.arctan2
    partials = (_over_square, lambda y, a, b: -_over_square(y, b, a))
    samples = Samples(domain=(0.3, 3.0))


class Hypot(Elementwise):
    """y = √(a² + b²); derivative 0 at the origin, as for every norm."""

    eval = np.hypot
    partials = (lambda y, a, b: logic.ratio(a, y), lambda y, a, b: logic.ratio(b, y))
    samples = Samples(domain=(0.3, 3.0))


class Logaddexp(Elementwise):
    """y = ln(eᵃ + eᵇ)"""

    eval = np.logaddexp
    partials = (lambda y, a, b: sigmoid(a - b), lambda y, a, b: sigmoid(b - a))


class Logaddexp2(Elementwise):
    """y = log₂(2ᵃ + 2ᵇ)"""

    eval = np.logaddexp2
    partials = (lambda y, a, b: sigmoid((a - b) * LN2), lambda y, a, b: sigmoid((b - a) * LN2))


class Copysign(Elementwise):
    """y = |a| with the sign of b"""

    eval = np.copysign
    partials = (lambda y, a, b: sign(a) * copysign(1.0, b), 0)
    samples = Samples(domain=(0.3, 3.0))


# By dtype: the least and greatest exponent of normal numbers, and the largest step down after which one more step,
# if it makes the number subnormal, makes it zero or is the only one that rounds.
_EXPONENTS = {"float32": (-126, 127, -126 + 24), "float64": (-1022, 1023, -1022 + 53)}


def _ldexp_scalar(b: Any, x: Any, exponent: Any) -> Any:
    """In three steps, each by a power of two that is a normal number, as musl's scalbn."""
    low, high, step = _EXPONENTS[x.dtype]
    left = b.convert(exponent, "int64")
    for _ in range(2):
        part = b.select(left < low, step, b.minimum(left, high))
        x, left = x * b.exp2(b.convert(part, x.dtype)), left - part
    return x * b.exp2(b.convert(b.minimum(b.maximum(left, low), high), x.dtype))


class Ldexp(Elementwise):
    """y = x · 2ⁿ, rounded once, for whole n"""

    eval = np.ldexp
    scalar = _ldexp_scalar
    unpromoted = (1,)
    vjp = (lambda g, y, x, n: ldexp(g, n), None)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, n: Value) -> Value:
        return ldexp(ts[0], n)

    samples = Samples(cases=lambda rng: [((rng.normal(size=(2, 3)), rng.integers(-4, 5, 3)), {})])


def _sigmoid(x: Any) -> Any:
    # One exponential of a non-positive number: no overflow on either side.
    if np.iscomplexobj(x):
        return 1 / (1 + np.exp(-x))
    decay = np.exp(-np.abs(1.0 * x))  # of a float: the negative of an integer may wrap
    return np.where(np.greater_equal(x, 0), 1, decay)[()] / (1 + decay)


class Sigmoid(Elementwise):
    """y = 1/(1 + e⁻ˣ).  dy/dx = y(1 - y), at most 1/4: why deep sigmoid networks lose their gradient."""

    eval = staticmethod(_sigmoid)
    partials = (lambda y, x: y * (1 - y),)
    scalar = lambda b, x: b.sigmoid(x)
    samples = ANYWHERE


negative: Unary = unary(Neg)
exp: Unary = unary(Exp)
expm1: Unary = unary(Expm1)
exp2: Unary = unary(Exp2)
log: Unary = unary(Log)
log2: Unary = unary(Log2)
log10: Unary = unary(Log10)
log1p: Unary = unary(Log1p)
sqrt: Unary = unary(Sqrt)
cbrt: Unary = unary(Cbrt)
absolute: Unary = unary(Abs)
sin: Unary = unary(Sin)
cos: Unary = unary(Cos)
tan: Unary = unary(Tan)
arcsin: Unary = unary(Arcsin)
arccos: Unary = unary(Arccos)
arctan: Unary = unary(Arctan)
sinh: Unary = unary(Sinh)
cosh: Unary = unary(Cosh)
tanh: Unary = unary(Tanh)
arcsinh: Unary = unary(Arcsinh)
arccosh: Unary = unary(Arccosh)
arctanh: Unary = unary(Arctanh)
floor: Unary = unary(Floor)
ceil: Unary = unary(Ceil)
trunc: Unary = unary(Trunc)
rint: Unary = unary(Rint)
sigmoid: Unary = unary(Sigmoid)
add: Binary = binary(Add)
subtract: Binary = binary(Sub)
multiply: Binary = binary(Mul)
divide: Binary = binary(Div)
floor_divide: Binary = binary(FloorDiv)
remainder: Binary = binary(Mod)
fmod: Binary = binary(Fmod)
power: Binary = binary(Power)
arctan2: Binary = binary(Arctan2)
hypot: Binary = binary(Hypot)
copysign: Binary = binary(Copysign)
ldexp: Binary = binary(Ldexp)
logaddexp: Binary = binary(Logaddexp)
logaddexp2: Binary = binary(Logaddexp2)


def sign(x: Value, /) -> Value:
    """-1, 0 or 1; for complex x the point x/|x| on the unit circle, 0 at 0."""
    return logic.ratio(x, absolute(x)) if logic.is_complex(x) else apply(Sign, (x,))


def square(x: Value, /) -> Value:
    """x · x"""
    return x * x


def real(x: Value, /) -> Value:
    """The real part; a real argument as it is."""
    return apply(logic.Real, (x,)) if logic.is_complex(x) else x


def imag(x: Value, /) -> Value:
    """The imaginary part; zeros for a real argument."""
    return apply(logic.Imag, (x,)) if logic.is_complex(x) else logic.zeros_like(x)[()]


def conj(x: Value, /) -> Value:
    """The complex conjugate; a real argument as it is."""
    return apply(logic.Conj, (x,)) if logic.is_complex(x) else x
