"""Sine, cosine, tangent and their inverses, as formulas over one float type.

The polynomials are minimax fits made for this file (Remez's exchange, 60 digits, then rounded); each says on which
interval and with what relative error.
"""

from __future__ import annotations

from .builder import SIZES
from .exponential import whole
from .formula import (
    Pair,
    Term,
    choose,
    exact_product,
    exact_sum,
    in_double,
    library,
    mul_add,
    polynomial,
    where_rare,
)

TWO_OVER_PI = 0.6366197723675814
# π/2 in parts of 33 bits, whose products with a whole number below 2^20 are exact, and a remainder
HALF_PI_PARTS = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32)
REDUCIBLE = 2.0**20  # beyond it C's library reduces the argument

# (sin r - r)/r³ and (cos r - 1 + r²/2)/r⁴ in r², |r| ≤ π/4: sine within 2^-28 and 2^-57, cosine 2^-33 and 2^-63
SIN = {
    "float": (-0.16666654, 0.008332151, -0.00019513993),
    "double": (
        -0.1666666666666663, 0.008333333333321893, -0.00019841269829400768, 2.755731355356975e-06,
        -2.5050736808348872e-08, 1.5895576989622002e-10,
    ),
}  # fmt: skip
COS = {
    "float": (0.041666646, -0.0013887304, 2.4431636e-05),
    "double": (
        0.04166666666666659, -0.0013888888888872733, 2.4801587288644384e-05, -2.7557314117965493e-07,
        2.0875692316379075e-09, -1.1358085647442362e-11,
    ),
}  # fmt: skip

# (arcsin x - x)/x³ in x², x² ≤ 1/4; within 2^-59
ARCSIN = (
    0.1666666666666676, 0.07499999999970812, 0.0446428571746014, 0.030381942708265934, 0.022372214974455344,
    0.0173516122430673, 0.013980817908234041, 0.011398932704416396, 0.010780145272280137, 0.003706784675475525,
    0.021706609545170348, -0.020997988667753126, 0.032628021941423134,
)  # fmt: skip

# (arctan t - t)/t³ in t², |t| ≤ tan(π/8); within 2^-59
ARCTAN = (
    -0.3333333333333319, 0.19999999999952817, -0.14285714280121173, 0.11111110779800185, -0.09090897655310366,
    0.07692058436985909, -0.06663084266297356, 0.0584774798385329, -0.050386779545929655, 0.03804885492137048,
    -0.017890215972545472,
)  # fmt: skip

PI, PI_REST = 3.141592653589793, 1.2246467991473532e-16
HALF_PI, HALF_PI_REST = PI / 2, PI_REST / 2
TAN_PI_8, TAN_3PI_8 = 0.41421356237309503, 2.414213562373095


def _reduced(x: Term) -> tuple[Term, Pair]:
    """x = n π/2 + r for 0 ≤ x < 2^20, a double: n's bits, and r in two parts."""
    n, bits = whole(x, TWO_OVER_PI)
    first, second, third, fourth = HALF_PI_PARTS
    r, rest = exact_sum(x - n * first, -(n * second))
    r, error = exact_sum(r, -(n * third))
    rest = mul_add(n, -fourth, rest + error)
    total = r + rest
    return bits, (total, (r - total) + rest)


def _reduced_single(x: Term) -> tuple[Term, Pair]:
    """The same for a float, in doubles; one float is enough for r."""
    wide = x.to("double")
    n, bits = whole(wide, TWO_OVER_PI)
    first, second = HALF_PI_PARTS[0], HALF_PI_PARTS[1] + HALF_PI_PARTS[2]
    r = mul_add(n, -second, mul_add(n, -first, wide)).to("float")
    return bits.to("i32"), (r, r.constant(0.0))


def _sin_cos(x: Term) -> tuple[Term, Term, Term]:
    """The quadrant n of |x|, as the end of an integer, with sine and cosine of what is left."""
    kind = x.type.scalar
    a = x.absolute()
    if kind == "float":
        bits, (r, rest) = _reduced_single(a)
    else:
        bits, (r, rest) = _reduced(a)
    square = r * r
    half = square * 0.5
    sine, cosine = polynomial(square, SIN[kind]), polynomial(square, COS[kind])
    if kind == "float":
        return bits, mul_add(r * square, sine, r), mul_add(square * square, cosine, 1.0 - half)
    near_one = 1.0 - half
    lost = (1.0 - near_one) - half
    sine = r + mul_add(r * square, sine, rest * near_one)
    cosine = near_one + (lost + mul_add(square * square, cosine, -(r * rest)))
    return bits, sine, cosine


def _flipped(x: Term, sign: Term) -> Term:
    """x, negated where the second lowest bit of an integer is set."""
    return (x.bits() ^ ((sign & 2) << (8 * SIZES[x.type.scalar] - 2))).as_float()


def _odd(x: Term, result: Term) -> Term:
    """The result for |x|, negated for negative x, zeros included."""
    return (result.bits() ^ (x.bits() & -(1 << (8 * SIZES[x.type.scalar] - 1)))).as_float()


def _by_library(name: str, x: Term, result: Term) -> Term:
    """The result, but C's function of arguments too large to reduce here, infinities among them."""
    kind = x.type.scalar
    return where_rare(x.absolute() > REDUCIBLE, result, lambda: library(name, x.to("double")).to(kind))


def sin(x: Term) -> Term:
    quadrant, sine, cosine = _sin_cos(x)
    result = _flipped(choose((quadrant & 1).equals(0), sine, cosine), quadrant)
    return _by_library("sin", x, _odd(x, result))


def cos(x: Term) -> Term:
    quadrant, sine, cosine = _sin_cos(x)
    result = _flipped(choose((quadrant & 1).equals(0), cosine, sine), quadrant + 1)
    return _by_library("cos", x, result)


def _tan(x: Term) -> Term:
    quadrant, sine, cosine = _sin_cos(x)
    even = (quadrant & 1).equals(0)
    return _by_library("tan", x, _odd(x, choose(even, sine, -cosine) / choose(even, cosine, sine)))


def _arcsin_parts(x: Term) -> tuple[Term, Term, Term]:
    """(|x| > ½, r, arcsin of r less r) with r = √((1 - |x|)/2) there and r = |x| elsewhere."""
    a = x.absolute()
    large = a > 0.5
    square = choose(large, (1.0 - a) * 0.5, a * a)
    r = choose(large, square.root(), a)
    product, error = exact_product(r, r)
    lost = choose(large & (r > 0.0), ((square - product) - error) / (r + r), 0.0)  # by the root
    return large, r, mul_add(r * square, polynomial(square, ARCSIN), lost)


def _arcsin(x: Term) -> Term:
    """arcsin x = π/2 - 2 arcsin √((1 - x)/2)"""
    large, r, tail = _arcsin_parts(x)
    return choose(large, (HALF_PI - (r + r)) - ((tail + tail) - HALF_PI_REST), r + tail).copysign(x)


def _arccos(x: Term) -> Term:
    large, r, tail = _arcsin_parts(x)
    twice, twice_tail = r + r, tail + tail
    left, right = (PI - twice) - (twice_tail - PI_REST), twice + twice_tail
    middle = HALF_PI - (x - (HALF_PI_REST - tail.copysign(x)))
    return choose(large, choose(x < 0.0, left, right), middle)


def _arctan_ratio(a: Term, b: Term) -> Term:
    """arctan(a/b) for a, b ≥ 0, as arctan t, π/4 + arctan t or π/2 + arctan t with |t| ≤ tan(π/8)."""
    upper, middle = a > b * TAN_3PI_8, a > b * TAN_PI_8
    t = choose(upper, -b, choose(middle, a - b, a)) / choose(upper, a, choose(middle, a + b, b))
    turn = choose(upper, a.constant(HALF_PI), choose(middle, a.constant(HALF_PI / 2), 0.0))
    turn_rest = choose(upper, a.constant(HALF_PI_REST), choose(middle, a.constant(HALF_PI_REST / 2), 0.0))
    square = t * t
    return turn + (t + mul_add(t * square, polynomial(square, ARCTAN), turn_rest))


def _arctan(x: Term) -> Term:
    return _arctan_ratio(x.absolute(), x.constant(1.0)).copysign(x)


def _arctan2(y: Term, x: Term) -> Term:
    a, b = y.absolute(), x.absolute()
    scale = choose((a > 2.0**1000) | (b > 2.0**1000), a.constant(2.0**-100), 1.0)  # a + b must not overflow
    same = a.equals(b)  # infinities have no ratio, and zeros stand for 0/1
    angle = _arctan_ratio(choose(same, choose(a.equals(0.0), a, 1.0), a * scale), choose(same, 1.0, b * scale))
    return choose(x.bits() < 0, PI - (angle - PI_REST), angle).copysign(y)


tan, arcsin, arccos = in_double(_tan), in_double(_arcsin), in_double(_arccos)
arctan, arctan2 = in_double(_arctan), in_double(_arctan2)
