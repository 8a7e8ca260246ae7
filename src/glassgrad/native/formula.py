"""Formulas as formulas: LLVM values with operators, polynomials, sums and products in double the precision.

What ``exponential.py``, ``trigonometry.py`` and ``special.py`` are written in. Everything here is straight-line code
on scalars or vectors alike; only ``where_rare`` branches.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .builder import FLOATS, I1, Builder, Type, Value, integer, number
from .target import Target


class Format(NamedTuple):
    """A binary floating-point format: its type and the integer of its size, stored mantissa bits, exponent bias."""

    scalar: str
    integer: str
    mantissa: int
    bias: int

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return float(2.0 ** (1 - self.bias))

    @property
    def rounder(self) -> float:
        """1.5 · 2^mantissa: adding it leaves the nearest whole number in the low bits of the sum."""
        return 1.5 * 2.0**self.mantissa


SINGLE, DOUBLE = Format("float", "i32", 23, 127), Format("double", "i64", 52, 1023)
FORMATS = {"float": SINGLE, "i32": SINGLE, "double": DOUBLE, "i64": DOUBLE}

Number = float | int


class Term:
    """A value and the place where its arithmetic is emitted: floats, the integers of their bits, or conditions.

    Numbers on either side of an operator become constants of the term's type. Comparisons are false for NaN.
    """

    __slots__ = ("f", "target", "value")

    def __init__(self, f: Builder, target: Target, value: Value) -> None:
        self.f = f
        self.target = target
        self.value = value

    @property
    def type(self) -> Type:
        return self.value.type

    @property
    def format(self) -> Format:
        """Of a float, or of the float an integer holds the bits of."""
        return FORMATS[self.type.scalar]

    def like(self, value: Value) -> Term:
        """Another value at the same place."""
        return Term(self.f, self.target, value)

    def constant(self, x: Term | Number) -> Term:
        return x if isinstance(x, Term) else self.like(number(x, self.type))

    def _operation(self, of_floats: str, of_integers: str, b: Term | Number) -> Term:
        code = of_floats if self.type.scalar in FLOATS else of_integers
        return self.like(self.f.op(code, self.value, self.constant(b).value))

    def __add__(self, b: Term | Number) -> Term:
        return self._operation("fadd", "add", b)

    def __sub__(self, b: Term | Number) -> Term:
        return self._operation("fsub", "sub", b)

    def __mul__(self, b: Term | Number) -> Term:
        return self._operation("fmul", "mul", b)

    def __truediv__(self, b: Term | Number) -> Term:
        return self._operation("fdiv", "", b)

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, a: Number) -> Term:
        return self.constant(a) - self

    def __rtruediv__(self, a: Number) -> Term:
        return self.constant(a) / self

    def __neg__(self) -> Term:
        return self.like(self.f.fneg(self.value))

    def __and__(self, b: Term | Number) -> Term:
        return self._operation("", "and", b)

    def __or__(self, b: Term | Number) -> Term:
        return self._operation("", "or", b)

    def __xor__(self, b: Term | Number) -> Term:
        return self._operation("", "xor", b)

    def __lshift__(self, places: int) -> Term:
        return self._operation("", "shl", places)

    def __rshift__(self, places: int) -> Term:
        """Zeros come in from the left."""
        return self._operation("", "lshr", places)

    def __invert__(self) -> Term:
        return self ^ True

    def _compare(self, of_floats: str, of_integers: str, b: Term | Number) -> Term:
        code = "fcmp o" + of_floats if self.type.scalar in FLOATS else "icmp " + of_integers
        return self.like(self.f.compare(code, self.value, self.constant(b).value))

    def __lt__(self, b: Term | Number) -> Term:
        return self._compare("lt", "slt", b)

    def __le__(self, b: Term | Number) -> Term:
        return self._compare("le", "sle", b)

    def __gt__(self, b: Term | Number) -> Term:
        return self._compare("gt", "sgt", b)

    def __ge__(self, b: Term | Number) -> Term:
        return self._compare("ge", "sge", b)

    def equals(self, b: Term | Number) -> Term:
        return self._compare("eq", "eq", b)

    def _intrinsic(self, name: str, *others: Term) -> Term:
        return self.like(self.f.intrinsic(name, self.type, self.value, *(o.value for o in others)))

    def absolute(self) -> Term:
        return self._intrinsic("fabs")

    def root(self) -> Term:
        return self._intrinsic("sqrt")

    def floor(self) -> Term:
        return self._intrinsic("floor")

    def trunc(self) -> Term:
        return self._intrinsic("trunc")

    def rint(self) -> Term:
        return self._intrinsic("rint")

    def copysign(self, sign: Term) -> Term:
        return self._intrinsic("copysign", sign)

    def bits(self) -> Term:
        """A float's bits as an integer."""
        return self.like(self.f.convert("bitcast", self.value, self.format.integer))

    def as_float(self) -> Term:
        """The float with these bits."""
        return self.like(self.f.convert("bitcast", self.value, self.format.scalar))

    def to(self, scalar: str) -> Term:
        """Rounded, or extended, to another float type; the low bits of an integer."""
        code = "trunc" if scalar in ("i8", "i16", "i32") else "fpext" if scalar == "double" else "fptrunc"
        return self if scalar == self.type.scalar else self.like(self.f.convert(code, self.value, scalar))

    def times_power_of_two(self, exponent: Term) -> Term:
        """x · 2ⁿ for an integer n."""
        types = [self.type, exponent.type]
        return self.like(self.f.intrinsic("ldexp", self.type, self.value, exponent.value, overload=types))

    def at_least(self, low: Term | Number) -> Term:
        """The larger one; NaN stays NaN."""
        return choose(self < low, low, self)

    def at_most(self, high: Term | Number) -> Term:
        """The smaller one; NaN stays NaN."""
        return choose(self > high, high, self)


def choose(condition: Term, a: Term | Number, b: Term | Number) -> Term:
    """a where the condition holds, b elsewhere; one of them at least is a term."""
    model = a if isinstance(a, Term) else b
    assert isinstance(model, Term)
    return model.like(model.f.select(condition.value, model.constant(a).value, model.constant(b).value))


def mul_add(a: Term, b: Term | Number, c: Term | Number) -> Term:
    """a b + c, rounded once where the machine can do that in one instruction, twice elsewhere."""
    if not a.target.fma:
        return a * b + c
    return a.like(a.f.fma(a.value, a.constant(b).value, a.constant(c).value))


LONG = 8  # coefficients from which a polynomial is two chains


def polynomial(x: Term, coefficients: Sequence[float]) -> Term:
    """Σ cᵢ xⁱ by Horner's rule, with fewest instructions and errors.

    A long one is the sum of its even and its odd powers: in one chain each step waits for the one before, and there are
    too few other lanes to fill the waiting.
    """
    if len(coefficients) < LONG:
        return _horner(x, coefficients)
    square = x * x
    return mul_add(_horner(square, coefficients[1::2]), x, _horner(square, coefficients[::2]))


def _horner(x: Term, coefficients: Sequence[float]) -> Term:
    total = x.constant(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = mul_add(total, x, c)
    return total


# Twice the precision: pairs whose exact sum is the value (T. J. Dekker, Numer. Math. 18 (1971) 224)

Pair = tuple[Term, Term]


def ordered_sum(a: Term, b: Term) -> Pair:
    """a + b exactly, for |a| ≥ |b|."""
    total = a + b
    return total, b - (total - a)


def exact_sum(a: Term, b: Term) -> Pair:
    """a + b exactly."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def exact_product(a: Term, b: Term) -> Pair:
    """a b exactly, short of overflow and underflow."""
    product = a * b
    if a.target.fma:
        return product, mul_add(a, b, -product)
    (a1, a0), (b1, b0) = _halves(a), _halves(b)
    return product, a0 * b0 - (((product - a1 * b1) - a0 * b1) - a1 * b0)


def _halves(a: Term) -> Pair:
    """a in two parts of half its bits each."""
    scaled = a * (2.0 ** ((a.format.mantissa + 2) // 2) + 1)
    upper = scaled - (scaled - a)
    return upper, a - upper


# What not every element takes the same way


def where_rare(condition: Term, usual: Term, rare: Callable[[], Term]) -> Term:
    """``rare()`` where the condition holds; that code is entered only if it holds in some lane."""
    f, place = usual.f, usual.f.local(usual.type)
    f.store(usual.value, place)
    anywhere = condition.value
    if usual.type.lanes:
        anywhere = f.intrinsic("vector.reduce.or", I1, anywhere, overload=[anywhere.type])
    with f.when(anywhere):
        f.store(choose(condition, rare(), usual).value, place)
    return usual.like(f.load(place, usual.type))


def library(name: str, *args: Term) -> Term:
    """C's function of this name, of doubles, one lane after the other."""
    first, f = args[0], args[0].f
    parameters = ", ".join("double" for _ in args)
    f.module.declarations[name] = f"declare double @{name}({parameters}) nounwind memory(none)"

    def call(values: Sequence[Value]) -> Value:
        listed = ", ".join(f"double {v.text}" for v in values)
        return f.define(Type("double"), f"call double @{name}({listed})")

    if not first.type.lanes:
        return first.like(call([a.value for a in args]))
    scalar = Type("double")
    places = [f.local(scalar, first.type.lanes) for _ in args]
    for a, place in zip(args, places, strict=True):
        f.store(a.value, place)
    with f.loop(integer(0), integer(first.type.lanes)) as lane:
        result = call([f.load(f.address(place, "double", lane), scalar) for place in places])
        f.store(result, f.address(places[0], "double", lane))
    return first.like(f.load(places[0], first.type))


def in_double(function: Callable[..., Term]) -> Callable[..., Term]:
    """The function, computed in double and rounded for float: half an ulp at twice the work."""

    @functools.wraps(function)
    def rounded(*args: Term) -> Term:
        return function(*(a.to("double") for a in args)).to(args[0].type.scalar)

    return rounded
