"""Instructions → LLVM: one table entry each, for any number of lanes.

Floating-point instructions that are more than a few of the machine's are in ``math.py``. Integers behave as NumPy's do,
on every machine: they wrap, what is divided by zero is 0, and nothing is undefined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import math
from .builder import I1, Builder, Type, Value, number
from .casts import FLOATS, HALVES, WIDTH, cast, signed, smallest
from .target import Target

Emission = Callable[[Builder, Target, str, "list[Value]"], Value]  # the str is the dtype of the arguments


def emit(f: Builder, target: Target, instruction: str, dtype: str, args: list[Value]) -> Value:
    """An instruction on arguments of this dtype and of as many lanes; the condition of a select stands apart."""
    if dtype in FLOATS and instruction in math.INSTRUCTIONS:
        return math.emit(f, target, instruction, args)
    return TABLE[instruction](f, target, dtype, args)


def fold(f: Builder, target: Target, reducer: str, dtype: str, a: Value, b: Value) -> Value:
    """a and b reduced to one; for 16-bit floats by way of float32."""
    if dtype in HALVES:
        wide = [cast(f, target, x, dtype, "float32") for x in (a, b)]
        return cast(f, target, fold(f, target, reducer, "float32", *wide), "float32", dtype)
    name = {"and": "logical_and", "or": "logical_or"}.get(reducer, reducer)
    return emit(f, target, name, dtype, [a, b])


# The same for all dtypes, or nearly


def _arithmetic(floats: str, integers: str, bools: str = "") -> Emission:
    """One LLVM instruction, which differs between floats, integers and bools."""

    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        code = floats if dtype in FLOATS else bools or integers if dtype == "bool" else integers
        return f.op(code, args[0], args[1])

    return run


def _comparison(floats: str, integers: str) -> Emission:
    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        if dtype in FLOATS:
            return f.compare(f"fcmp {floats}", args[0], args[1])
        prefix = "" if integers in ("eq", "ne") else "s" if signed(dtype) else "u"
        return f.compare(f"icmp {prefix}{integers}", args[0], args[1])

    return run


def _intrinsic(name: str) -> Emission:
    """An LLVM intrinsic on floats; integers are rounded already."""

    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        return f.intrinsic(name, args[0].type, *args) if dtype in FLOATS else args[0]

    return run


def _fma(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    a, b, c = args
    if dtype not in FLOATS:
        return f.op("add", f.op("mul", a, b), c)
    return f.fma(a, b, c) if target.fma else f.op("fadd", f.op("fmul", a, b), c)


def _extreme(greatest: bool, nan_wins: bool) -> Emission:
    """maximum, minimum, fmax, fmin. ``a > b ? a : b`` is one machine instruction, and gives b where either is NaN."""

    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        a, b = args
        code = "gt" if greatest else "lt"
        if dtype not in FLOATS:
            return f.select(f.compare(f"icmp {'s' if signed(dtype) else 'u'}{code}", a, b), a, b)
        other = f.select(f.compare(f"fcmp o{code}", a, b), a, b)
        lost = a if nan_wins else b  # the operand whose being NaN that has missed
        return f.select(f.compare("fcmp uno", lost, lost), a, other)

    return run


def _negative(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    (x,) = args
    return f.fneg(x) if dtype in FLOATS else f.op("sub", number(0, x.type), x)


def _absolute(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    (x,) = args
    if dtype in FLOATS:
        return f.intrinsic("fabs", x.type, x)
    if not signed(dtype):
        return x
    zero = number(0, x.type)
    return f.select(f.compare("icmp slt", x, zero), f.op("sub", zero, x), x)


def _sign(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    """-1, 0 or 1; NaN of NaN, 0.0 of -0.0."""
    (x,) = args
    zero, one = number(0, x.type), number(1, x.type)
    if dtype not in FLOATS:
        above = f.select(f.compare("icmp ne", x, zero), one, zero)
        return f.select(f.compare("icmp slt", x, zero), number(-1, x.type), above) if signed(dtype) else above
    ones = f.intrinsic("copysign", x.type, one, x)
    still = f.select(f.compare("fcmp uno", x, x), x, zero)
    return f.select(f.compare("fcmp one", x, zero), ones, still)


def _select(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    return f.select(*args)


# Questions about floats


def _isnan(f: Builder, x: Value) -> Value:
    return f.compare("fcmp uno", x, x)


def _isinf(f: Builder, x: Value) -> Value:
    return f.compare("fcmp oeq", f.intrinsic("fabs", x.type, x), number(np.inf, x.type))


def _isfinite(f: Builder, x: Value) -> Value:
    return f.compare("fcmp olt", f.intrinsic("fabs", x.type, x), number(np.inf, x.type))


def _signbit(f: Builder, x: Value) -> Value:
    bits = f.convert("bitcast", x, f"i{WIDTH[x.type.scalar]}")
    return f.compare("icmp slt", bits, number(0, bits.type))


def _question(ask: Callable[[Builder, Value], Value], of_integers: bool) -> Emission:
    """A test of floats; integers all have the same answer."""

    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        (x,) = args
        return ask(f, x) if dtype in FLOATS else number(of_integers, Type("i1", x.type.lanes))

    return run


def _below_zero(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    (x,) = args
    if dtype in FLOATS:
        return _signbit(f, x)
    return _comparison("", "lt")(f, target, dtype, [x, number(0, x.type)])


# Integers


def _safe_divisor(f: Builder, dtype: str, a: Value, b: Value) -> tuple[Value, Value]:
    """b, or 1 where machines trap: at 0 and, dividing the smallest number, at -1. And whether b is 0."""
    zero = f.compare("icmp eq", b, number(0, b.type))
    unsafe = zero
    if signed(dtype):
        least = f.compare("icmp eq", a, number(smallest(dtype), a.type))
        unsafe = f.op("or", zero, f.op("and", least, f.compare("icmp eq", b, number(-1, b.type))))
    return f.select(unsafe, number(1, b.type), b), zero


def _fmod(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    """a - b trunc(a / b): the sign of a."""
    a, b = args
    divisor, zero = _safe_divisor(f, dtype, a, b)
    return f.select(zero, number(0, a.type), f.op("srem" if signed(dtype) else "urem", a, divisor))


def _remainder(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    """a - b ⌊a / b⌋: the sign of b."""
    rest, b = _fmod(f, target, dtype, args), args[1]
    return f.select(_signs_differ(f, rest, b), f.op("add", rest, b), rest) if signed(dtype) else rest


def _floor_divide(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    """⌊a / b⌋"""
    a, b = args
    divisor, zero = _safe_divisor(f, dtype, a, b)
    whole = f.op("sdiv" if signed(dtype) else "udiv", a, divisor)
    if signed(dtype):
        rest = f.op("sub", a, f.op("mul", whole, divisor))
        lower = f.op("add", whole, number(-1, a.type))
        whole = f.select(_signs_differ(f, rest, divisor), lower, whole)
    return f.select(zero, number(0, a.type), whole)


def _signs_differ(f: Builder, rest: Value, b: Value) -> Value:
    """Whether a remainder is not 0 and its sign is not that of the divisor."""
    zero = number(0, b.type)
    return f.op("and", f.compare("icmp ne", rest, zero), f.compare("icmp slt", f.op("xor", rest, b), zero))


def _power(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    """aᵇ by squaring, wrapping; the loop ends when no lane has bits of the exponent left."""
    a, b = args
    zero, one = number(0, a.type), number(1, a.type)
    product, square, rest = (f.local(a.type) for _ in range(3))
    for place, start in ((product, one), (square, a), (rest, b)):
        f.store(start, place)
    head, body, done = f.labels("head", "body", "done")
    f.line(f"br label %{head}")
    f.block(head)
    left = f.load(rest, a.type)
    more = anywhere(f, f.compare("icmp ne", left, zero))
    f.line(f"br i1 {more.text}, label %{body}, label %{done}")
    f.block(body)
    odd = f.compare("icmp ne", f.op("and", left, one), zero)
    factor = f.load(square, a.type)
    so_far = f.load(product, a.type)
    f.store(f.select(odd, f.op("mul", so_far, factor), so_far), product)
    f.store(f.op("mul", factor, factor), square)
    f.store(f.op("lshr", left, one), rest)
    f.line(f"br label %{head}")
    f.block(done)
    return f.load(product, a.type)


def anywhere(f: Builder, condition: Value) -> Value:
    """Whether a condition holds in any lane."""
    if not condition.type.lanes:
        return condition
    return f.intrinsic("vector.reduce.or", I1, condition, overload=[condition.type])


def _shift(code: str) -> Emission:
    """Shifts by more than the width, or by negative numbers, shift everything out."""

    def run(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
        a, b = args
        width = WIDTH[a.type.scalar]
        inside = f.compare("icmp ult", b, number(width, b.type))
        if code == "ashr" and signed(dtype):
            return f.op("ashr", a, f.select(inside, b, number(width - 1, b.type)))
        shifted = f.op("lshr" if code == "ashr" else code, a, b)
        return f.select(inside, shifted, number(0, a.type))

    return run


def _not(f: Builder, target: Target, dtype: str, args: list[Value]) -> Value:
    return f.op("xor", args[0], number(-1 if dtype != "bool" else True, args[0].type))


_AND, _OR, _XOR = _arithmetic("", "and"), _arithmetic("", "or"), _arithmetic("", "xor")

TABLE: dict[str, Emission] = {
    "add": _arithmetic("fadd", "add", "or"),
    "subtract": _arithmetic("fsub", "sub"),
    "multiply": _arithmetic("fmul", "mul"),
    "divide": _arithmetic("fdiv", ""),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "power": _power,
    "fma": _fma,
    "negative": _negative,
    "absolute": _absolute,
    "sign": _sign,
    "maximum": _extreme(greatest=True, nan_wins=True),
    "minimum": _extreme(greatest=False, nan_wins=True),
    "fmax": _extreme(greatest=True, nan_wins=False),
    "fmin": _extreme(greatest=False, nan_wins=False),
    **{name: _intrinsic(name) for name in ("sqrt", "floor", "ceil", "trunc", "rint", "copysign")},
    "greater": _comparison("ogt", "gt"),
    "greater_equal": _comparison("oge", "ge"),
    "less": _comparison("olt", "lt"),
    "less_equal": _comparison("ole", "le"),
    "equal": _comparison("oeq", "eq"),
    "not_equal": _comparison("une", "ne"),
    "isnan": _question(_isnan, False),
    "isinf": _question(_isinf, False),
    "isfinite": _question(_isfinite, True),
    "signbit": _below_zero,
    "logical_and": _AND,
    "logical_or": _OR,
    "logical_xor": _XOR,
    "logical_not": _not,
    "bitwise_and": _AND,
    "bitwise_or": _OR,
    "bitwise_xor": _XOR,
    "bitwise_not": _not,
    "left_shift": _shift("shl"),
    "right_shift": _shift("ashr"),
    "select": _select,
}
