"""Exponentials, logarithms, powers and hyperbolic functions, as formulas over one float type.

The method throughout: take out the power of two with integer arithmetic on the bits, approximate what is left on a
short interval by a polynomial, put the power of two back. The polynomials are minimax fits made for this file
(Remez's exchange, 60 digits, then rounded); each says on which interval and with what relative error.
"""

from __future__ import annotations

from .formula import (
    Format,
    Pair,
    Term,
    choose,
    exact_product,
    exact_sum,
    in_double,
    mul_add,
    ordered_sum,
    polynomial,
)

LOG2E = 1.4426950408889634
LN2 = 0.6931471805599453
# ln 2 in two parts, the first with so few bits that any exponent times it is exact
LN2_PARTS = {"float": (0.693359375, -2.1219444005469057e-4), "double": (0.6931471803691238, 1.9082149292705877e-10)}

# (eʳ - 1 - r)/r² on |r| ≤ ln2/2, so that r + r²q is eʳ - 1 within 2^-26 and 2^-61
EXP = {
    "float": (0.49999997, 0.16666543, 0.041667204, 0.008366578, 0.0013882456),
    "double": (
        0.5, 0.16666666666666677, 0.041666666666666505, 0.008333333333321591, 0.0013888888888964708,
        0.00019841269886255875, 2.4801587167874874e-05, 2.755724405068738e-06, 2.7557406654433096e-07,
        2.5109101558294502e-08, 2.087408610708977e-09,
    ),
}  # fmt: skip

# (2ʳ - 1)/r on |r| ≤ 1/2, so that 1 + r q is 2ʳ within 2^-28 and 2^-58
EXP2 = {
    "float": (0.6931472, 0.24022648, 0.05550332, 0.009618442, 0.0013399019, 0.00015352292),
    "double": (
        0.6931471805599453, 0.24022650695910133, 0.05550410866482005, 0.0096181291075938, 0.001333355814678171,
        0.00015403530457555449, 1.5252733486982219e-05, 1.321543504465772e-06, 1.0178201862887253e-07,
        7.073826624217892e-09, 4.4344645725932393e-10,
    ),
}  # fmt: skip

# (ln(1 + f) - f + f²/2)/f³ for √½ ≤ 1 + f ≤ √2; the logarithm within 2^-27
LOG_FLOAT = (0.3333333, -0.25000823, 0.2000125, -0.16623335, 0.14201191, -0.13159826, 0.12765528, -0.07640511)

# (ln((1 + s)/(1 - s)) - 2s)/s³ in s², for the same 1 + f = (1 + s)/(1 - s); the logarithm within 2^-59
LOG_DOUBLE = (
    0.6666666666666734, 0.3999999999941637, 0.285714287420198, 0.22222198610134675, 0.1818356244787328,
    0.15314097524056586, 0.14795490348412016,
)  # fmt: skip

# log₂((1 + s)/(1 - s)) = s (2/ln2 + 2/(3 ln2) s² + s⁴ q(s²)) on the same: the two coefficients in two parts each, and
# q; within 2^-36 and 2^-66
LOG2 = {
    "float": ((2.88539, 3.851926e-08), (0.9617967, -7.028462e-09), (0.5770802, 0.41184777, 0.3378677)),
    "double": (
        (2.8853900817779268, 4.0710547481862066e-17),
        (0.9617966939259756, 5.0577616648125907e-17),
        (
            0.5770780163556181, 0.41219858309189106, 0.32059890228341886, 0.2623077001666672, 0.22198404619521642,
            0.1912539385847406, 0.19039760208442263,
        ),
    ),
}  # fmt: skip

# (sinh x - x)/x³ in x², |x| ≤ 1; sinh within 2^-63
SINH = (
    0.16666666666666669, 0.008333333333333148, 0.00019841269841431894, 2.7557319157065843e-06,
    2.505212313755343e-08, 1.6057259712342593e-10, 7.758750296800359e-13,
)  # fmt: skip

# Below the first the result is 0, or -1 for expm1; above the last it is infinite: ln and log₂ of the ends of the range
EXP_RANGE = {"float": (-104.0, -20.0, 89.0), "double": (-746.0, -40.0, 710.0)}
EXP2_RANGE = {"float": (-151.0, 129.0), "double": (-1076.0, 1025.0)}


# Powers of two


def whole(x: Term, factor: float = 1.0, plus: int = 0) -> tuple[Term, Term]:
    """The whole number n nearest to factor · x, below 2^(mantissa - 2), and an integer that ends in n + ``plus``."""
    rounder = x.format.rounder + plus
    shifted = x + rounder if factor == 1.0 else mul_add(x, factor, rounder)
    return shifted - rounder, shifted.bits()


def power_of_two(exponent: Term) -> Term:
    """2ⁿ where n + bias is at the end of these bits, and 2ⁿ is a normal number."""
    return (exponent << exponent.format.mantissa).as_float()


def spare(form: Format, below: bool) -> int:
    """What stands beside n in the integer that ``scaled`` takes."""
    return 2 * form.bias - below


def scaled(x: Term, exponent: Term, *, below: bool = False) -> Term:
    """x · 2ⁿ, the integer ending in n + ``spare(…, below)``; ``below`` promises n ≤ 0.

    Two factors, normal numbers both: one alone could overflow, or lose a subnormal result's rounding.
    """
    form = x.format
    if x.target.masks:  # machines with masks, AVX-512 and SVE, do it in one instruction
        return x.times_power_of_two(exponent - x.constant(form.rounder + spare(form, below)).bits())
    if below:
        return x * power_of_two(exponent) * form.smallest
    half = power_of_two(exponent >> 1)
    return x * ((exponent << form.mantissa) - half.bits()).as_float() * half


def split(x: Term) -> tuple[Term, Term]:
    """(n, m) with x = 2ⁿ m, √½ ≤ m < √2, for a positive normal x; n + bias is an integer."""
    form = x.format
    root_half = {"float": 0x3F3504F3, "double": 0x3FE6A09E667F3BCD}[x.type.scalar]
    moved = x.bits() + (form.one - root_half)
    return moved >> form.mantissa, ((moved & ((1 << form.mantissa) - 1)) + root_half).as_float()


def offset(x: Term) -> float:
    """What ``unbiased`` takes away from the exponent of a number of this type."""
    return float(x.format.bias + 2.0**x.format.mantissa)


def unbiased(exponent: Term, away: Term | float) -> Term:
    """The first of ``split`` as a float, without the bias: as the last bits of a mantissa they count ones."""
    form = exponent.format
    return (exponent | (form.bias + form.mantissa) << form.mantissa).as_float() - away


def normal(x: Term) -> tuple[Term, Term]:
    """x, or x 2^k where x is subnormal, and the offset that makes up for k."""
    places = x.format.mantissa + 2
    small = x < x.format.smallest
    return choose(small, x * 2.0**places, x), choose(small, x.constant(offset(x) + places), offset(x))


# Exponentials


def _reduced(x: Term, plus: int, rest: Term | None = None) -> tuple[Term, Term]:
    """x + rest = n ln2 + r: an integer that ends in n + plus, and r."""
    n, bits = whole(x, LOG2E, plus)
    upper, lower = LN2_PARTS[x.type.scalar]
    r = mul_add(n, -lower, mul_add(n, -upper, x))
    return bits, r if rest is None else r + rest


def _grown(r: Term) -> Term:
    """eʳ - 1"""
    return mul_add(r * r, polynomial(r, EXP[r.type.scalar]), r)


def _exp(x: Term, rest: Term | None = None, *, times: float = 1.0, below: bool = False) -> Term:
    """times · e^(x + rest) for x in the range, the rest a rounding error of x; ``below`` promises x ≤ 0."""
    bits, r = _reduced(x, spare(x.format, below), rest)
    slope = mul_add(r, polynomial(r, [c * times for c in EXP[x.type.scalar]]), times)
    return scaled(mul_add(r, slope, times), bits, below=below)


def exp(x: Term) -> Term:
    """eˣ"""
    low, _, high = EXP_RANGE[x.type.scalar]
    return _exp(x.at_least(low).at_most(high))


def exp_below_zero(x: Term, rest: Term | None = None) -> Term:
    """e^(x + rest) for x ≤ 0, the rest a rounding error of x."""
    return _exp(x.at_least(EXP_RANGE[x.type.scalar][0]), rest, below=True)


def _half_exp(x: Term) -> Term:
    """eˣ/2 for x ≥ 0: finite for a little longer than eˣ."""
    return _exp(x.at_most(EXP_RANGE[x.type.scalar][2] + 2), times=0.5)


def exp2(x: Term) -> Term:
    """2ˣ"""
    low, high = EXP2_RANGE[x.type.scalar]
    return _exp2_sum(x.at_least(low).at_most(high), None)


def _exp2_sum(x: Term, rest: Term | None) -> Term:
    """2^(x + rest) for x in the range."""
    n, bits = whole(x, plus=spare(x.format, False))
    r = x - n if rest is None else (x - n) + rest
    return scaled(mul_add(r, polynomial(r, EXP2[x.type.scalar]), 1.0), bits)


def expm1(x: Term) -> Term:
    """eˣ - 1 = 2ⁿ (eʳ - 1) + (2ⁿ - 1)"""
    _, low, high = EXP_RANGE[x.type.scalar]
    bits, r = _reduced(x.at_least(low).at_most(high), x.format.bias - 1)
    half = power_of_two(bits)  # 2ⁿ itself may overflow where the result does not
    half_result = mul_add(half, _grown(r), half - 0.5)
    tiny = 2.0 ** -(x.format.mantissa + 2)  # there the result is x, of which a half may be no number
    return choose(x.absolute() < tiny, x, half_result + half_result)


def sigmoid(x: Term) -> Term:
    """1/(1 + e⁻ˣ) = eˣ/(1 + eˣ): the exponential of what is not positive, for accuracy on both sides."""
    decay = exp_below_zero(-x.absolute())
    return choose(x < 0.0, decay, 1.0) / (decay + 1.0)


def expm1_below_zero(x: Term) -> Term:
    """eˣ - 1 for -80 ≤ x ≤ 0."""
    bits, r = _reduced(x, x.format.bias)
    scale = power_of_two(bits)
    return mul_add(scale, _grown(r), scale - 1.0)


def tanh(x: Term) -> Term:
    """-d/(2 + d) with d = e^(-2|x|) - 1; 2 + d has a sum of its own, or it would hold d's rounding."""
    a = x.absolute().at_most({"float": 10.0, "double": 20.0}[x.type.scalar])  # where tanh is 1
    bits, r = _reduced(a * -2.0, x.format.bias)
    grown, scale = _grown(r), power_of_two(bits)
    return (mul_add(scale, grown, scale - 1.0) / mul_add(scale, grown, scale + 1.0)).copysign(x)


def _sinh(x: Term) -> Term:
    a, square = x.absolute(), x * x
    half = _half_exp(a)
    small = mul_add(a * square, polynomial(square, SINH), a)
    return choose(a < 1.0, small, half - 0.25 / half).copysign(x)


def _cosh(x: Term) -> Term:
    half = _half_exp(x.absolute())
    return half + 0.25 / half


# Logarithms


def _log(x: Term, away: Term | float, rest: Term | None = None) -> Term:
    """ln(x + rest) for 0 < x < ∞, x normal and |rest| a rounding error of x; ``away`` is the exponent's offset."""
    kind = x.type.scalar
    exponent, m = split(x)
    n = unbiased(exponent, away)
    f = m - 1.0
    if rest is not None:
        shrink = ((2 * x.format.bias + 1 - exponent) << x.format.mantissa).as_float()  # 2^(1 - n): 2^-n may be none
        f = mul_add(rest * 0.5, shrink, f)
    upper, lower = LN2_PARTS[kind]
    square = f * f
    if kind == "float":
        tail = mul_add(square * f, polynomial(f, LOG_FLOAT), n * lower)
        return mul_add(n, upper, f + mul_add(square, -0.5, tail))
    half = square * 0.5
    return mul_add(n, upper, f - (half - mul_add(n, lower, _log_tail(f, half))))


def _log_tail(f: Term, half: Term) -> Term:
    """ln(1 + f) - f + half for half = f²/2, through s = f/(2 + f), in which the series is odd."""
    s = f / (f + 2.0)
    square = s * s
    return s * mul_add(square, polynomial(square, LOG_DOUBLE), half)


def _at_edges(x: Term, result: Term) -> Term:
    """A logarithm's values outside 0 < x < ∞: -∞ at 0, ∞ at ∞, NaN below 0 and for NaN."""
    infinity = float("inf")
    outside = choose(x.equals(0.0), x.constant(-infinity), float("nan"))
    return choose(x > 0.0, choose(x < infinity, result, x), outside)


def log(x: Term) -> Term:
    """ln x"""
    return _at_edges(x, _log(*normal(x)))


def log1p(x: Term) -> Term:
    """ln(1 + x), by ln of the rounded sum and what rounding left"""
    total, rest = _one_plus(x)
    return _at_edges(total, _log(total, offset(x), rest)).copysign(x)


def _one_plus(x: Term) -> Pair:
    """1 + x exactly, for x > -1."""
    total = x + 1.0
    return total, choose(x < 1.0, x - (total - 1.0), 1.0 - (total - x))


# 1/ln b and log_b 2, each in two parts, the first short enough for exact products: bases 2 and 10
LOG2_PARTS = ((1.442695040255785, 6.331784189566044e-10), (1.0, 0.0))
LOG10_PARTS = ((0.43429448176175356, 1.414982685385801e-10), (0.30102999566361177, 3.694239077158931e-13))


def _log_to_base(x: Term, parts: tuple[tuple[float, float], tuple[float, float]]) -> Term:
    """n log_b 2 + ln m / ln b, with the large terms free of rounding: exact at whole powers of 2, as after fdlibm."""
    (upper, lower), (two_upper, two_lower) = parts
    y, away = normal(x)
    exponent, m = split(y)
    n = unbiased(exponent, away)
    f = m - 1.0
    half = f * f * 0.5
    short = ((f - half).bits() & -(1 << 32)).as_float()
    rest = (f - short) - half + _log_tail(f, half)
    total, error = ordered_sum(n * two_upper, short * upper)
    tail = mul_add(n, two_lower, mul_add(rest + short, lower, rest * upper)) + error
    return _at_edges(x, total + tail)


def _log2(x: Term) -> Term:
    return _log_to_base(x, LOG2_PARTS)


def _log10(x: Term) -> Term:
    return _log_to_base(x, LOG10_PARTS)


def logaddexp(a: Term, b: Term) -> Term:
    """ln(eᵃ + eᵇ); equal infinities have no difference, so equals stand apart."""
    larger = choose(a > b, a, b)
    return choose(a.equals(b), a + LN2, larger + log1p(exp_below_zero(-(a - b).absolute())))


def logaddexp2(a: Term, b: Term) -> Term:
    """log₂(2ᵃ + 2ᵇ)"""
    larger = choose(a > b, a, b)
    return choose(a.equals(b), a + 1.0, larger + log1p(exp2(-(a - b).absolute())) * LOG2E)


# Above this √(1 + x²) is x in double, and x² may overflow
LARGE = 2.0**28


def _arcsinh(x: Term) -> Term:
    """sign x · ln(1 + v), v = |x| + x²/(1 + √(1 + x²)); ln 2|x| for large |x|."""
    a = x.absolute()
    square = a * a
    return _log_of(a, mul_add(square, 1.0 / ((square + 1.0).root() + 1.0), a)).copysign(x)


def _arccosh(x: Term) -> Term:
    """ln(1 + v), v = t + √(t² + 2t), t = x - 1."""
    t = x - 1.0
    return choose(x >= 1.0, _log_of(x, t + mul_add(t, t, t + t).root()), float("nan"))


def _log_of(x: Term, v: Term) -> Term:
    """ln(1 + v), or ln 2x for large x ≥ 0."""
    large = x > LARGE
    total, rest = _one_plus(v)
    total = choose(large, x, total)
    away = choose(large, x.constant(offset(x) - 1.0), offset(x))
    return _at_edges(total, _log(total, away, choose(large, 0.0, rest)))


def _arctanh(x: Term) -> Term:
    """½ ln((1 + x)/(1 - x)) = ½ ln(1 + 2x/(1 - x))"""
    a = x.absolute()
    return (log1p((a + a) / (1.0 - a)) * 0.5).copysign(x)


# Powers


def _log2_pair(x: Term) -> Pair:
    """log₂ x with half as many bits again, as a sum of two, for 0 < x < ∞."""
    linear, cubic, rest = LOG2[x.type.scalar]
    y, away = normal(x)
    exponent, m = split(y)
    n = unbiased(exponent, away)
    # s = (m - 1)/(m + 1)
    above, (below, below_rest) = m - 1.0, exact_sum(m, m.constant(1.0))
    inverse = 1.0 / below
    s = above * inverse
    product, error = exact_product(s, below)
    s_rest = (((above - product) - error) - s * below_rest) * inverse
    square, square_rest = exact_product(s, s)
    square_rest = mul_add(s + s, s_rest, square_rest)
    # 2/ln2 + (2/(3 ln2) s² + s⁴ q)
    term, term_rest = exact_product(square, x.constant(cubic[0]))
    term_rest = mul_add(square, cubic[1], mul_add(square_rest, cubic[0], term_rest))
    term_rest = mul_add(square * square, polynomial(square, rest), term_rest)
    slope, slope_rest = ordered_sum(x.constant(linear[0]), term)
    slope_rest = slope_rest + (term_rest + linear[1])
    upper, lower = exact_product(s, slope)
    lower = lower + mul_add(s, slope_rest, s_rest * slope)
    total, error = exact_sum(n, upper)
    return ordered_sum(total, error + lower)


def _magnitude(a: Term, y: Term) -> Term:
    """a^y = 2^(y log₂ a) for a ≥ 0, other than 0^0, ∞^0 and 1^∞."""
    low, high = EXP2_RANGE[a.type.scalar]
    upper, lower = _log2_pair(a)
    _, rest = exact_product(y, upper)
    rest = mul_add(y, lower, rest)
    product = (y * _at_edges(a, upper)).at_least(low).at_most(high)
    # What is beyond the range, or no number, has no rest
    return _exp2_sum(product, choose((product > low) & (product < high), rest, 0.0))


def power(x: Term, y: Term) -> Term:
    """x to the y as C defines it: 1 for y = 0 and for x = 1, NaN for finite x < 0 unless y is whole."""
    a, half_y = x.absolute(), y * 0.5
    is_whole = y.trunc().equals(y)
    odd = is_whole & ~half_y.trunc().equals(half_y)
    result = choose(a.equals(1.0) & y.equals(y), 1.0, _magnitude(a, y))
    result = choose(odd, result.copysign(x), result)
    invalid = (x < 0.0) & (x > -float("inf")) & ~is_whole
    return choose(y.equals(0.0) | x.equals(1.0), 1.0, choose(invalid, float("nan"), result))


sinh, cosh = in_double(_sinh), in_double(_cosh)
arcsinh, arccosh, arctanh = in_double(_arcsinh), in_double(_arccosh), in_double(_arctanh)
log2, log10 = in_double(_log2), in_double(_log10)
