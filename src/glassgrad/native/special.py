"""The error function and its relatives, log-gamma and digamma, as formulas over one float type.

Formulas are those of NIST's Digital Library of Mathematical Functions, chapters 5 and 7. The polynomials are minimax
fits made for this file (Remez's exchange, 70 digits, then rounded); each says on which interval and with what
relative error.
"""

from __future__ import annotations

from .exponential import exp_below_zero, expm1_below_zero, log
from .formula import Term, choose, exact_product, exact_sum, in_double, mul_add, polynomial

# (erf x - x)/x in x², |x| ≤ 1; erf within 2^-29 and 2^-62
ERF = {
    "float": (0.12837917, -0.37612626, 0.112835854, -0.026853813, 0.00518833, -0.0008010213, 7.85392e-05),
    "double": (
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072907, 0.005223977624780995,
        -0.0008548326978749446, 0.00012055331037158009, -1.4925593512932627e-05, 1.6460972910964623e-06,
        -1.6350026184894835e-07, 1.4657886082196737e-08, -1.1365689182764113e-09, 5.945299532929758e-11,
    ),
}  # fmt: skip

# ln erfc x on 1 ≤ x ≤ 4; erf within 2^-29
LOG_ERFC = (-0.0003537204, -1.12704, -0.63822585, -0.10303713, 0.021805162, -0.002939558, 0.000185568)

# (x + k) e^(x²) erfc x in t = (x - k)/(x + k), 0 ≤ x ≤ 27.3; within 2^-58
ERFC_CENTRE = 3.75
ERFC = (
    1.0919229095627891, -0.9587415766529096, 0.7363189252217509, -0.49047029120767627, 0.27906204903382514,
    -0.1319554011786218, 0.04911877861431226, -0.012535880039545458, 0.0009863380915398326, 0.0007948230859449994,
    -0.0003486469445976391, 1.0594059637489273e-05, 3.747215931626208e-05, -8.90414802708301e-06,
    -3.2909042291162698e-06, 1.6563523466309924e-06, 2.828904723706155e-07, -2.63720948565569e-07,
    -3.0809950210904705e-08, 3.956903595095931e-08, 6.03175395406946e-09, -4.3563323897185225e-09,
    -1.1840789333045294e-09,
)  # fmt: skip

# erfinv x / x in w = -ln(1 - x²) for w ≤ 5, and in √w - 4 for 5 ≤ w ≤ 37; within 2^-21 and 2^-19
ERFINV_CENTRE = (
    0.8862266890088877, 0.2320213614252284, 0.011509288376432173, -0.0022567793644299714, -0.00020276462669028395,
    8.511808428356455e-05, -8.709093496841145e-06, 3.156145301579344e-07,
)  # fmt: skip
ERFINV_TAIL = (
    3.8397814746018413, 1.009510947436263, 0.0012929081397060717, -0.0009421079654688042, 0.00025629395827806513,
    -2.768646628768427e-05, 9.0509655727193e-05, -7.891743110662774e-05, 1.782419911124773e-05,
)  # fmt: skip

# ln Γ(2 + t)/t in t + 1/2, on -3/4 ≤ t ≤ 1/2; within 2^-58
LGAMMA = (
    0.24156447527049044, 0.41014900258382786, -0.11450419537702318, 0.047257157324063916, -0.022909938185493483,
    0.01208428740663523, -0.006702393520740225, 0.003840420809008775, -0.002250616193211567, 0.001340709255856935,
    -0.000808650603413075, 0.0004925125936382397, -0.00030235911678190656, 0.00018695414728183026,
    -0.00011638902647296039, 7.249363010738767e-05, -4.390843745886577e-05, 2.428304717737727e-05,
    -1.1193747265699485e-05, 3.8527761159468495e-06, -8.533223383969745e-07, 8.963183376357505e-08,
)  # fmt: skip

# What Stirling's formula leaves, times x, in 1/x² for x ≥ 5: of ln Γ within 2^-56, absolutely
STIRLING = (
    0.08333333333333331, -0.0027777777777384773, 0.0007936507723810306, -0.0005952336874329465, 0.0008412975786227331,
    -0.001891697339025322, 0.00555919640726584, -0.01330633301884478,
)  # fmt: skip
# and of -ψ, times x², within 2^-56
STIRLING_SLOPE = (
    0.08333333333333333, -0.008333333333288388, 0.00396825393722499, -0.004166658382193145, 0.007574639466671824,
    -0.021006607066220862, 0.07930623367093215, -0.32621778772812426, 0.9065840139851196,
)  # fmt: skip

# ψ(x)/(x - x₀) in x - 13/8 for 1 ≤ x ≤ 9/4, x₀ the zero of ψ in two parts; within 2^-58
DIGAMMA_ZERO, DIGAMMA_ZERO_REST = 1.4616321449683622, 9.549995429965697e-17
DIGAMMA = (
    0.9015925158282158, -0.36977496445741076, 0.1927201246014621, -0.10919698588599186, 0.06426251743363671,
    -0.03855782679362607, 0.023380439933495145, -0.014262521426423574, 0.008730867791663486, -0.005355729070374469,
    0.003289428697318868, -0.00202187759764817, 0.001243328087359156, -0.0007645891686743195, 0.0004703524112275859,
    -0.00029046175523426336, 0.00017886219404799212, -0.00010605820214651268, 6.490148043575896e-05,
    -5.000585477717356e-05, 3.1387664907742684e-05, -3.1182907518571527e-06, 1.318897552568949e-06,
    -1.5886991724904658e-05, 1.003259153973342e-05,
)  # fmt: skip

# (sin πr - πr)/r³ and (cos πr - 1)/r² in r², |r| ≤ 1/2; within 2^-61, and 2^-57 absolutely
SIN_PI = (
    -5.167712780049969, 2.550164039877303, -0.5992645293189612, 0.08214588657282909, -0.00737043050070307,
    0.0004662997822170566, -2.190339679860753e-05, 7.696698103278873e-07,
)  # fmt: skip
COS_PI = (
    -4.934802200544677, 4.058712126416545, -1.3352627688446645, 0.23533063014598915, -0.025806888862697816,
    0.0019295568179582398, -0.0001045678074207364, 4.150750116136902e-06,
)  # fmt: skip

PI, LN_PI = 3.141592653589793, 1.1447298858494002
HALF_ROOT_PI = 0.886226925452758
HALF_LN_2PI = 0.9189385332046727
FROM_STIRLING = 5.0  # the formulas for large arguments begin here


# The error function


def _erf_near_zero(x: Term) -> Term:
    """erf x for |x| ≤ 1."""
    return mul_add(x, polynomial(x * x, ERF[x.type.scalar]), x)


def _gauss(a: Term) -> Term:
    """e^(-a²), the square in twice the precision; a ≥ 0 below 2^500."""
    square, rest = exact_product(a, a)
    return exp_below_zero(-square, -rest)


def _erfcx(a: Term) -> Term:
    """e^(a²) erfc a for a ≥ 0."""
    under, lost = exact_sum(a, a.constant(ERFC_CENTRE))
    w = 1.0 / under
    w = mul_add(w, mul_add(-w, under, 1.0) - w * lost, w)
    return w * polynomial((a - ERFC_CENTRE) * w, ERFC)


def erf(x: Term) -> Term:
    a = x.absolute()
    if x.type.scalar == "float":
        far = -expm1_below_zero(polynomial(a.at_most(4.0), LOG_ERFC))
    else:
        near_one = a.at_most(6.0)  # where erf is 1
        far = 1.0 - _gauss(near_one) * _erfcx(near_one)
    return choose(a < 1.0, _erf_near_zero(a), far).copysign(x)


def _erfc(x: Term) -> Term:
    a = x.absolute().at_most(28.0)  # where erfc is 0
    right = _gauss(a) * _erfcx(a)
    return choose(x < 0.0, 2.0 - right, right)


def _erfinv(x: Term) -> Term:
    """One step of Halley's on erf y = x, from a fit to six digits."""
    a = x.absolute()
    w = -log((1.0 - a) * (a + 1.0))
    y = a * choose(w < 5.0, polynomial(w, ERFINV_CENTRE), polynomial(w.root() - 4.0, ERFINV_TAIL))
    bell = _gauss(y)
    beyond = (1.0 - a) - bell * _erfcx(y)
    step = choose(a < 0.8, _erf_near_zero(y) - a, beyond) / bell * HALF_ROOT_PI
    y = y - step / mul_add(y, step, 1.0)
    y = choose(a.equals(1.0), float("inf"), y)
    return choose(x < 0.0, -y, y)  # SciPy has no -0 here


# The gamma function


def _sin_pi(r: Term) -> Term:
    square = r * r
    return mul_add(r * square, polynomial(square, SIN_PI), r * PI)


def _cos_pi(r: Term) -> Term:
    square = r * r
    return mul_add(square, polynomial(square, COS_PI), 1.0)


def _lgamma(x: Term) -> Term:
    """By Γ(x + 1) = x Γ(x) on 2 + t with t near 0; Stirling's formula above 5; Γ(x) Γ(1 - x) = π/sin πx below 0."""
    negative = x < 0.0
    z = choose(negative, 1.0 - x, x)
    lowest, below, far = z < 0.25, z < 1.25, z >= FROM_STIRLING
    t = choose(lowest, z, z - choose(below, z.constant(1.0), 2.0))
    product = choose(lowest, mul_add(z, z, z), choose(below, z, 1.0))
    for _ in range(3):
        above = t > 0.5
        product, t = choose(above, product * (t + 1.0), product), choose(above, t - 1.0, t)
    logarithm = log(choose(far, z, product))
    near = mul_add(t, polynomial(t + 0.5, LGAMMA), choose(below, -logarithm, logarithm))
    inverse = 1.0 / z
    rest = mul_add(inverse, polynomial(inverse * inverse, STIRLING), HALF_LN_2PI - 0.5)
    positive = choose(far, mul_add(z - 0.5, logarithm - 1.0, rest), near)
    r, infinity = x - x.rint(), float("inf")
    reflected = (LN_PI - log(_sin_pi(r).absolute())) - positive
    reflected = choose(r.equals(0.0), infinity, choose(x.equals(-infinity), -infinity, reflected))  # as SciPy has it
    return choose(negative, reflected, positive)


def _digamma(x: Term) -> Term:
    """By ψ(x + 1) = ψ(x) + 1/x on 1 ≤ x ≤ 9/4; the expansion at ∞ above 5; ψ(1 - x) = ψ(x) + π cot πx below 0."""
    negative = x < 0.0
    z = choose(negative, 1.0 - x, x)
    below = z < 1.0
    t = choose(below, z + 1.0, z)
    above, under = choose(below, z.constant(-1.0), 0.0), choose(below, z, 1.0)  # the sum of the reciprocals
    for _ in range(3):
        far = t > 2.25
        t = choose(far, t - 1.0, t)
        above, under = choose(far, mul_add(above, t, under), above), choose(far, under * t, under)
    distance = (t - DIGAMMA_ZERO) - DIGAMMA_ZERO_REST
    near = mul_add(distance, polynomial(t - 1.625, DIGAMMA), above / under)
    inverse = 1.0 / z
    square = inverse * inverse
    rest = mul_add(square, polynomial(square, STIRLING_SLOPE), inverse * 0.5)
    positive = choose(z >= FROM_STIRLING, log(z) - rest, near)
    r = x - x.rint()
    reflected = positive - _cos_pi(r) / _sin_pi(r) * PI
    return choose(negative, choose(r.equals(0.0), float("nan"), reflected), positive)


erfc, erfinv, lgamma, digamma = in_double(_erfc), in_double(_erfinv), in_double(_lgamma), in_double(_digamma)
