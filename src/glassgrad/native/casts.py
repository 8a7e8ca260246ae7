"""Dtypes as LLVM types, their numbers, and from one to another.

A 16-bit float is kept in registers as the i16 it is in memory, since nothing is computed with it: the dtype's name says
what its bits mean.
"""

from __future__ import annotations

import struct

import numpy as np

from .builder import Builder, Type, Value, number
from .target import Target

REGISTER = {
    **{"bool": "i1", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64"},
    **{"uint8": "i8", "uint16": "i16", "uint32": "i32", "uint64": "i64"},
    **{"float16": "i16", "bfloat16": "i16", "float32": "float", "float64": "double"},
}
MEMORY = {**REGISTER, "bool": "i8"}
FLOATS = ("float32", "float64")
HALVES = ("float16", "bfloat16")
WIDTH = {"i1": 1, "i8": 8, "i16": 16, "i32": 32, "i64": 64, "float": 32, "double": 64}


def literal(value: float | int | bool, dtype: str) -> Value:
    """A number of a dtype; for a 16-bit float, its bits."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            value = int(np.float16(value).view(np.int16))
    elif dtype == "bfloat16":
        (bits,) = struct.unpack("I", np.float32(value).tobytes())
        value = bits + 0x7FFF + (bits >> 16 & 1) >> 16 if value == value else 0x7FC0
    return number(value, Type(REGISTER[dtype]))


def signed(dtype: str) -> bool:
    return dtype.startswith("int")


def smallest(dtype: str) -> int:
    """The least number of an integer dtype, or of bool."""
    return -(1 << WIDTH[REGISTER[dtype]] - 1) if signed(dtype) else 0


def cast(f: Builder, target: Target, x: Value, source: str, to: str) -> Value:
    """As ``astype``: towards zero from float to integer, wrapping between integers, ≠ 0 to bool."""
    if source == to:
        return x
    if source in HALVES:
        return cast(f, target, _widen(f, target, x, source), "float32", to)
    if to in HALVES:
        x = _odd(f, x) if source == "float64" else cast(f, target, x, source, "float32")
        return _narrow(f, target, x, to)
    if source in FLOATS:
        return _from_float(f, x, to)
    if to == "bool":
        return f.compare("icmp ne", x, number(0, x.type))
    if to in FLOATS:
        return f.convert("sitofp" if signed(source) else "uitofp", x, REGISTER[to])
    more, fewer = WIDTH[REGISTER[to]], WIDTH[x.type.scalar]
    if more == fewer:
        return x
    return f.convert("trunc" if more < fewer else "sext" if signed(source) else "zext", x, REGISTER[to])


def _from_float(f: Builder, x: Value, to: str) -> Value:
    if to == "bool":
        return f.compare("fcmp une", x, number(0, x.type))
    if to in FLOATS:
        return f.convert("fpext" if to == "float64" else "fptrunc", x, REGISTER[to])
    if to == "uint64":
        half = number(2.0**63, x.type)
        low, high = _truncate(f, x, "i64"), _truncate(f, f.op("fsub", x, half), "i64")
        top = f.op("xor", high, number(-(1 << 63), high.type))
        return f.select(f.compare("fcmp oge", x, half), top, low)
    whole = _truncate(f, x, "i64" if to in ("int64", "uint32") else "i32")
    return whole if whole.type.scalar == REGISTER[to] else f.convert("trunc", whole, REGISTER[to])


def _truncate(f: Builder, x: Value, scalar: str) -> Value:
    """Towards zero; the smallest integer where the result does not fit, as x86 says, and NumPy there."""
    bound = 2.0 ** (WIDTH[scalar] - 1)
    fits = f.compare("fcmp olt", f.intrinsic("fabs", x.type, x), number(bound, x.type))
    whole = f.convert("fptosi", x, scalar)
    return f.select(fits, whole, number(-int(bound), whole.type))


# 16-bit floats. Machines with fused multiply-add, and no others, have instructions for float16; to and from bfloat16 it
# is integer arithmetic everywhere.


def _widen(f: Builder, target: Target, x: Value, source: str) -> Value:
    if source == "bfloat16":
        wide = f.convert("zext", x, "i32")
        return f.convert("bitcast", f.op("shl", wide, number(16, wide.type)), "float")
    if target.fma:
        return f.convert("fpext", f.convert("bitcast", x, "half"), "float")
    # Exponent and fraction move into place; multiplying by 2¹¹² corrects the exponent's bias, of subnormals too.
    bits = f.convert("zext", x, "i32")
    sign = f.op("shl", f.op("and", bits, number(0x8000, bits.type)), number(16, bits.type))
    size = f.op("shl", f.op("and", bits, number(0x7FFF, bits.type)), number(13, bits.type))
    near = f.convert("bitcast", size, "float")
    scaled = f.convert("bitcast", f.op("fmul", near, number(2.0**112, near.type)), "i32")
    special = f.compare("icmp uge", size, number(0x7C00 << 13, bits.type))
    top = f.op("or", size, number(0x7F800000, bits.type))
    return f.convert("bitcast", f.op("or", sign, f.select(special, top, scaled)), "float")


def _narrow(f: Builder, target: Target, x: Value, to: str) -> Value:
    """float32 to a 16-bit float, to nearest, ties to even."""
    if to == "float16" and target.fma:
        if not x.type.lanes:  # or LLVM rounds a double once, by a routine that is not there
            x = f.intrinsic("arithmetic.fence", x.type, x)
        return f.convert("bitcast", f.convert("fptrunc", x, "half"), "i16")
    bits = f.convert("bitcast", x, "i32")
    if to == "float16":
        return f.convert("trunc", _float16(f, x, bits), "i16")
    high = f.op("lshr", bits, number(16, bits.type))
    even = f.op("and", high, number(1, bits.type))
    carry = f.op("add", f.op("add", bits, number(0x7FFF, bits.type)), even)
    quiet = f.op("or", high, number(0x40, bits.type))
    rounded = f.op("lshr", carry, number(16, bits.type))
    return f.convert("trunc", f.select(f.compare("fcmp uno", x, x), quiet, rounded), "i16")


def _float16(f: Builder, x: Value, bits: Value) -> Value:
    """The bits of float16 in an i32. Adding ½ rounds a subnormal at its last place, which is the last place of ½."""

    def n(value: int) -> Value:
        return number(value, bits.type)

    sign = f.op("and", f.op("lshr", bits, n(16)), n(0x8000))
    size = f.op("and", bits, n(0x7FFFFFFF))
    even = f.op("and", f.op("lshr", bits, n(13)), n(1))
    carry = f.op("add", f.op("add", size, n(0xFFF - (112 << 23))), even)
    normal = f.op("lshr", carry, n(13))
    half = number(0.5, x.type)
    shifted = f.convert("bitcast", f.op("fadd", f.convert("bitcast", size, "float"), half), "i32")
    small = f.select(f.compare("icmp ult", size, n(113 << 23)), f.op("sub", shifted, n(0x3F000000)), normal)
    large = f.select(f.compare("icmp uge", size, n(143 << 23)), n(0x7C00), small)
    nan = f.select(f.compare("icmp ugt", size, n(0x7F800000)), n(0x7E00), large)
    return f.op("or", sign, nan)


def _odd(f: Builder, x: Value) -> Value:
    """float64 to float32, rounded to odd, so that rounding once more to 16 bits is as if rounded once.

    S. Boldo and G. Melquiond, Emulation of a FMA and correctly rounded sums, IEEE Trans. Computers 57 (2008).
    """
    near = f.convert("fptrunc", x, "float")
    back = f.convert("fpext", near, "double")
    bits = f.convert("bitcast", near, "i32")
    size, wanted = (f.intrinsic("fabs", v.type, v) for v in (back, x))
    over = f.convert("zext", f.compare("fcmp ogt", size, wanted), "i32")
    inexact = f.convert("zext", f.compare("fcmp one", back, x), "i32")
    return f.convert("bitcast", f.op("or", f.op("sub", bits, over), inexact), "float")
