"""Every float instruction that is more than one instruction of the machine, as straight-line code for any lane count.

Errors measured in units in the last place: exp and log below 1, powers 1.2, the other elementary functions below 2.3,
erf 1.2, erfc 4.5, ln Γ and ψ 3 (beside their zeros and below 0 that of a number near 1); half of one where float32 goes
by way of double. Special values are NumPy's and SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from . import exponential, special, trigonometry
from .builder import Builder, Value
from .formula import Term, choose, exact_product, in_double, library, mul_add, polynomial, where_rare
from .target import Target

# ∛m on 1 ≤ m ≤ 2; within 2^-16
CBRT = (0.5069824288712242, 0.718145282792951, -0.3006025879196005, 0.08608730903647563, -0.01060322883853578)
CBRT_OF_2, CBRT_OF_4 = 1.2599210498948732, 1.5874010519681996


def _cbrt(x: Term) -> Term:
    """∛(m 2ⁿ) = 2^⌊n/3⌋ ∛(m 2^(n mod 3)); two steps of Halley's, each of which triples the digits."""
    a = x.absolute()
    y, away = exponential.normal(a)
    bits = y.bits()
    n = exponential.unbiased(bits >> 52, away)
    m = ((bits & ((1 << 52) - 1)) | a.format.one).as_float()
    third = mul_add(n, 1 / 3, 1 / 6 - 0.5).rint()  # ⌊n/3⌋, and no n/3 is near enough to a half to mislead
    left = n - third * 3.0
    one, two = left.equals(1.0), left.equals(2.0)
    root = polynomial(m, CBRT) * choose(two, a.constant(CBRT_OF_4), choose(one, a.constant(CBRT_OF_2), 1.0))
    m = m * choose(two, a.constant(4.0), choose(one, a.constant(2.0), 1.0))
    for _ in range(2):
        cube = root * root * root
        root = mul_add(root, (m - cube) / mul_add(cube, 2.0, m), root)
    _, exponent = exponential.whole(third, plus=third.format.bias)
    finite = choose((a > 0.0) & (a < float("inf")), root * exponential.power_of_two(exponent), a)
    return finite.copysign(x)


def _hypot(x: Term, y: Term) -> Term:
    a, b = x.absolute(), y.absolute()
    large, small = choose(a > b, a, b), choose(a > b, b, a)
    up, down = large < 2.0**-400, large > 2.0**500  # squares would leave the range
    scale = choose(up, a.constant(2.0**600), choose(down, a.constant(2.0**-600), 1.0))
    back = choose(up, a.constant(2.0**-600), choose(down, a.constant(2.0**600), 1.0))
    large, small = large * scale, small * scale
    length = mul_add(small, small, large * large).root() * back
    infinite = a.equals(float("inf")) | b.equals(float("inf"))  # beside NaN too
    return choose(infinite, float("inf"), length)


def _fmod(x: Term, y: Term) -> Term:
    """x - y trunc(x / y), exactly: the quotient's rounding moves it by one at most while it is below 2^52."""
    a, b = x.absolute(), y.absolute()
    quotient = a / b
    product, error = exact_product(quotient.trunc(), b)
    rest = (a - product) - error
    rest = choose(rest < 0.0, rest + b, rest)
    rest = choose(rest >= b, rest - b, rest)
    rest = choose(b > a, a, rest)
    hard = quotient >= 2.0**52
    if not x.target.fma:  # halves of numbers overflow and underflow before they do
        hard = hard | ((b > 2.0**900) & (a >= b)) | ((b < 2.0**-900) & (a >= b))
    return where_rare(hard, rest, lambda: library("fmod", a, b)).copysign(x)


fmod, cbrt, hypot = in_double(_fmod), in_double(_cbrt), in_double(_hypot)


def remainder(x: Term, y: Term) -> Term:
    """With the sign of y, zeros too."""
    rest = fmod(x, y)
    opposite = (rest < 0.0) ^ (y < 0.0)
    signed = choose(opposite, rest + y, rest)
    return choose(rest.equals(0.0) & y.equals(y), rest.copysign(y), signed)


def floor_divide(x: Term, y: Term) -> Term:
    """⌊x / y⌋ by way of the remainder, NumPy's steps in its order: x / y itself may have been rounded up."""
    rest = fmod(x, y)
    quotient = (x - rest) / y
    opposite = ~rest.equals(0.0) & ((rest < 0.0) ^ (y < 0.0))
    quotient = choose(opposite, quotient - 1.0, quotient)
    whole = quotient.floor()
    whole = choose(quotient - whole > 0.5, whole + 1.0, whole)
    ratio = x / y
    whole = choose(quotient.equals(0.0), quotient.constant(0.0).copysign(ratio), whole)
    return choose(y.equals(0.0), ratio, whole)


def _named(module: ModuleType, names: str) -> dict[str, Callable[..., Term]]:
    return {name: getattr(module, name) for name in names.split()}


INSTRUCTIONS: dict[str, Callable[..., Term]] = {
    **_named(exponential, "exp expm1 exp2 log log1p log2 log10 logaddexp logaddexp2 power sigmoid"),
    **_named(exponential, "sinh cosh tanh arcsinh arccosh arctanh"),
    **_named(trigonometry, "sin cos tan arcsin arccos arctan arctan2"),
    **_named(special, "erf erfc erfinv lgamma digamma"),
    **{"cbrt": cbrt, "hypot": hypot, "fmod": fmod, "remainder": remainder, "floor_divide": floor_divide},
}


def emit(f: Builder, target: Target, instruction: str, args: Sequence[Value]) -> Value:
    """The result of one of ``INSTRUCTIONS``.

    Parameters
    ----------
    f : where the code goes; it may stand in another block afterwards, since a few functions branch to C's library for
        rare arguments
    target : the machine
    instruction : a key of ``INSTRUCTIONS``
    args : one or two values of one type: float or double, scalar or any number of lanes

    Returns
    -------
    a value of that type, of which no bit depends on the number of lanes
    """
    return INSTRUCTIONS[instruction](*(Term(f, target, a) for a in args)).value
