"""Choosing, comparing, casting and complex parts: elementwise ops whose derivative is a selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import NUMERIC, dtype_of, is_inexact, kind_of, named, not_numbers
from ..errors import DtypeError
from ..graph.apply import apply
from ..graph.node import Value, shape_of
from ..graph.primitive import Elementwise, Primitive, Samples

Unary = Callable[[Value], Value]
Binary = Callable[[Value, Value], Value]


def is_complex(x: Value) -> bool:
    """Whether x has a complex dtype."""
    return dtype_of(x).kind == "c" if not isinstance(x, (float, int)) else False


def _named(function: Callable[..., Value], op: type[Primitive]) -> Callable[..., Value]:
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = op.__doc__
    function.op = op  # type: ignore[attr-defined]
    return function


def unary(op: type[Primitive]) -> Unary:
    """The function of one argument that applies ``op``."""
    return _named(lambda x, /: apply(op, (x,)), op)


def binary(op: type[Primitive]) -> Binary:
    """The function of two arguments that applies ``op``."""
    return _named(lambda x1, x2, /: apply(op, (x1, x2)), op)


class Where(Elementwise):
    """y = a where c, else b. What c discards contributes nothing to a gradient, even where it is inf or NaN."""

    eval = np.where
    scalar = lambda b, c, x, y: b.select(c, x, y)
    unpromoted = (0,)
    masks = True
    vjp = (None, lambda g, y, c, a, b: where(c, g, 0), lambda g, y, c, a, b: where(c, 0, g))

    @staticmethod
    def jvp(ts: Any, y: Value, c: Value, a: Value, b: Value) -> Value:
        return where(c, 0 if ts[1] is None else ts[1], 0 if ts[2] is None else ts[2])

    samples = Samples(cases=lambda rng: _where_cases(rng))


class WhereIEEE(Where):
    """y = a where c, else b, with the zero cotangent of what c discards multiplied on: 0·inf is NaN again."""

    masks = False


def _where_cases(rng: np.random.Generator) -> list[Any]:
    c = rng.random((3, 4)) > 0.5
    a, b = rng.normal(size=(3, 4)), rng.normal(size=4)
    return [((c, a, b), {}), ((c[0], a, 2.0), {}), ((True, a, b), {}), ((c[:, :1], a + 1j, b - 2j), {})]


class Relu(Elementwise):
    """y = max(x, 0); derivative 1 for x > 0, 0 for x < 0, and 0 at the kink."""

    eval = staticmethod(lambda x: np.maximum(x, 0))
    partials = (lambda y, x: astype(y > 0, dtype_of(y)),)
    scalar = lambda b, x: b.maximum(x, 0)


def _share(a: Value, b: Value, y: Value) -> Value:
    """1 where a > b, 1/2 where they tie, else 0."""
    dtype = dtype_of(y)
    return astype(a > b, dtype) + astype(a == b, dtype) * 0.5


class Maximum(Elementwise):
    """y = the larger; a tie splits the gradient evenly."""

    eval = np.maximum
    partials = (lambda y, a, b: _share(a, b, y), lambda y, a, b: _share(b, a, y))


class Minimum(Elementwise):
    """y = the smaller; a tie splits the gradient evenly."""

    eval = np.minimum
    partials = (lambda y, a, b: _share(b, a, y), lambda y, a, b: _share(a, b, y))


class Fmax(Elementwise):
    """y = the larger, passing over NaN."""

    eval = np.fmax
    partials = (
        lambda y, a, b: where(isnan(b), astype(~isnan(a), dtype_of(y)), _share(a, b, y)),
        lambda y, a, b: where(isnan(a), astype(~isnan(b), dtype_of(y)), _share(b, a, y)),
    )


class Fmin(Elementwise):
    """y = the smaller, passing over NaN."""

    eval = np.fmin
    partials = (
        lambda y, a, b: where(isnan(b), astype(~isnan(a), dtype_of(y)), _share(b, a, y)),
        lambda y, a, b: where(isnan(a), astype(~isnan(b), dtype_of(y)), _share(a, b, y)),
    )


def _clip_scalar(b: Any, x: Any, low: Any, high: Any) -> Any:
    above = x if low.known == -np.inf else b.maximum(x, low)  # no bound, which machines would compare with
    return above if high.known == np.inf else b.minimum(above, high)


class Clip(Elementwise):
    """y = x held between low and high; the gradient passes at the bounds themselves."""

    eval = np.clip
    scalar = _clip_scalar
    partials = (
        lambda y, x, low, high: astype((x >= low) & (x <= high), dtype_of(y)),
        lambda y, x, low, high: astype((x < low) & (low <= high), dtype_of(y)),
        lambda y, x, low, high: astype((x > high) | (low > high), dtype_of(y)),
    )
    samples = Samples(domain=((-3.0, 3.0), (-1.5, -1.0), (1.0, 1.5)), special=())


def _cast(x: Any, *, dtype: np.dtype[Any]) -> Any:
    x = np.asarray(x)
    return (x.real if x.dtype.kind == "c" and dtype.kind != "c" else x).astype(dtype)[()]


def _cast_scalar(b: Any, x: Any, *, dtype: np.dtype[Any]) -> Any:
    return b.cast(x if dtype.kind == "c" else x.re, dtype)


class Cast(Elementwise):
    """y = x in another floating or complex dtype; the walks cast cotangents and tangents back."""

    moves = True
    eval = staticmethod(_cast)
    scalar = _cast_scalar
    unpromoted = (0,)
    vjp = (lambda g, y, x, *, dtype: g,)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, dtype: np.dtype[Any]) -> Value:
        return astype(ts[0], dtype)

    samples = Samples(
        cases=lambda rng: [
            ((rng.normal(size=3).astype(np.float32),), {"dtype": np.dtype(np.float64)}),
            ((rng.normal(size=3),), {"dtype": np.dtype(np.complex128)}),
            ((rng.normal(size=3) + 1j,), {"dtype": np.dtype(np.float64)}),
        ]
    )


class ToInteger(Elementwise):
    """y = x in an integer or boolean dtype."""

    moves = True
    eval = staticmethod(_cast)
    scalar = _cast_scalar
    unpromoted = (0,)
    nondifferentiable = "integers and booleans cannot vary continuously"
    samples = Samples(cases=lambda rng: [((rng.normal(size=3) * 9,), {"dtype": np.dtype(np.int64)})])


class Real(Elementwise):
    """y = Re x"""

    eval = staticmethod(lambda x: np.real(x))
    scalar = lambda b, x: x.re
    vjp = (lambda g, y, x: g,)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value) -> Value:
        return apply(Real, (ts[0],))

    samples = Samples(cases=lambda rng: [((rng.normal(size=(2, 3)) + 1j * rng.normal(size=3),), {})])


class Imag(Elementwise):
    """y = Im x"""

    eval = staticmethod(lambda x: np.imag(x))
    scalar = lambda b, x: x.im
    vjp = (lambda g, y, x: g * 1j,)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value) -> Value:
        return apply(Imag, (ts[0],))

    samples = Real.samples


class Conj(Elementwise):
    """y = Re x - i Im x"""

    eval = np.conjugate
    vjp = (lambda g, y, x: apply(Conj, (g,)),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value) -> Value:
        return apply(Conj, (ts[0],))

    samples = Real.samples


_BOOLEAN = "its result is true or false"


class Greater(Elementwise):
    """a > b"""

    eval = np.greater
    nondifferentiable = _BOOLEAN


class GreaterEqual(Elementwise):
    """a ≥ b"""

    eval = np.greater_equal
    nondifferentiable = _BOOLEAN


class Less(Elementwise):
    """a < b"""

    eval = np.less
    nondifferentiable = _BOOLEAN


class LessEqual(Elementwise):
    """a ≤ b"""

    eval = np.less_equal
    nondifferentiable = _BOOLEAN


class Equal(Elementwise):
    """a = b"""

    eval = np.equal
    nondifferentiable = _BOOLEAN


class NotEqual(Elementwise):
    """a ≠ b"""

    eval = np.not_equal
    nondifferentiable = _BOOLEAN


class Isnan(Elementwise):
    """Whether x is not a number."""

    eval = np.isnan
    nondifferentiable = _BOOLEAN


class Isinf(Elementwise):
    """Whether x is infinite."""

    eval = np.isinf
    nondifferentiable = _BOOLEAN


class Isfinite(Elementwise):
    """Whether x is neither infinite nor NaN."""

    eval = np.isfinite
    nondifferentiable = _BOOLEAN


class Signbit(Elementwise):
    """Whether x is negative, -0.0 included."""

    eval = np.signbit
    nondifferentiable = _BOOLEAN


class LogicalNot(Elementwise):
    """Whether x is zero or false."""

    eval = np.logical_not
    nondifferentiable = _BOOLEAN


class LogicalAnd(Elementwise):
    """Whether both are true."""

    eval = np.logical_and
    nondifferentiable = _BOOLEAN


class LogicalOr(Elementwise):
    """Whether either is true."""

    eval = np.logical_or
    nondifferentiable = _BOOLEAN


class LogicalXor(Elementwise):
    """Whether exactly one is true."""

    eval = np.logical_xor
    nondifferentiable = _BOOLEAN


_INTEGER = "it works on the bits of integers"
_BITS = Samples(
    cases=lambda rng: [
        ((rng.integers(0, 50, (2, 3)), rng.integers(0, 5, 3)), {}),
        ((rng.integers(0, 50, (2, 3)), 3), {}),
    ]
)


class BitwiseNot(Elementwise):
    """All bits turned over; logical not on booleans."""

    eval = np.invert
    scalar = lambda b, x: b.bitwise_not(x)
    nondifferentiable = _INTEGER
    samples = Samples(cases=lambda rng: [((rng.integers(0, 50, 3),), {}), ((rng.random(3) > 0.5,), {})])


class BitwiseAnd(Elementwise):
    """Bits set in both."""

    eval = np.bitwise_and
    nondifferentiable = _INTEGER
    samples = _BITS


class BitwiseOr(Elementwise):
    """Bits set in either."""

    eval = np.bitwise_or
    nondifferentiable = _INTEGER
    samples = _BITS


class BitwiseXor(Elementwise):
    """Bits set in one only."""

    eval = np.bitwise_xor
    nondifferentiable = _INTEGER
    samples = _BITS


class LeftShift(Elementwise):
    """a · 2ᵇ on integers."""

    eval = np.left_shift
    nondifferentiable = _INTEGER
    samples = _BITS


class RightShift(Elementwise):
    """⌊a / 2ᵇ⌋ on integers."""

    eval = np.right_shift
    nondifferentiable = _INTEGER
    samples = _BITS


relu: Unary = unary(Relu)
isnan: Unary = unary(Isnan)
isinf: Unary = unary(Isinf)
isfinite: Unary = unary(Isfinite)
signbit: Unary = unary(Signbit)
logical_not: Unary = unary(LogicalNot)
invert: Unary = unary(BitwiseNot)
maximum: Binary = binary(Maximum)
minimum: Binary = binary(Minimum)
fmax: Binary = binary(Fmax)
fmin: Binary = binary(Fmin)
greater: Binary = binary(Greater)
greater_equal: Binary = binary(GreaterEqual)
less: Binary = binary(Less)
less_equal: Binary = binary(LessEqual)
equal: Binary = binary(Equal)
not_equal: Binary = binary(NotEqual)
logical_and: Binary = binary(LogicalAnd)
logical_or: Binary = binary(LogicalOr)
logical_xor: Binary = binary(LogicalXor)
bitwise_and: Binary = binary(BitwiseAnd)
bitwise_or: Binary = binary(BitwiseOr)
bitwise_xor: Binary = binary(BitwiseXor)
left_shift: Binary = binary(LeftShift)
right_shift: Binary = binary(RightShift)


def where(condition: Value, x: Value, y: Value, /, *, ieee: bool = False) -> Value:
    """x where the condition holds, else y. With ``ieee`` a discarded branch's inf or NaN reaches the gradient."""
    return apply(WhereIEEE if ieee else Where, (condition, x, y))


def clip(x: Value, low: Value | None, high: Value | None) -> Value:
    """x held between low and high; None means no bound."""
    dtype = dtype_of(x)
    limits: Any = (-np.inf, np.inf) if is_inexact(dtype) else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return apply(Clip, (x, limits[0] if low is None else low, limits[1] if high is None else high))


def astype(x: Value, dtype: Any) -> Value:
    """x in another dtype; x itself where it has that dtype already."""
    dtype = np.dtype(named(dtype))
    if getattr(x, "dtype", None) == dtype:
        return x
    if kind_of(dtype) not in NUMERIC:
        raise DtypeError(not_numbers(x, dtype))
    return apply(Cast if is_inexact(dtype) else ToInteger, (x,), {"dtype": dtype})


def ratio(a: Value, b: Value) -> Value:
    """a / b, and 0 where b is 0, differentiably: the division is done on a denominator without zeros."""
    zero = b == 0
    return where(zero, 0, a / where(zero, 1, b))


def zeros_like(x: Value) -> Any:
    """Zeros of the shape and dtype of x, an ndarray."""
    return np.zeros(shape_of(x), dtype_of(x))
