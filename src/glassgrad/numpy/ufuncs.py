"""NumPy's ufuncs: functions of elements, with ``where=`` and ``dtype=`` as there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import dtype_of, is_inexact, kind_of, result_type
from ..errors import DtypeError
from ..graph.apply import apply
from ..graph.node import Node
from ..ops import contraction, library, logic, view
from ..ops import elementwise as ew
from .arguments import absent, array_of, cast_safely, no_out, numbers, operand
from .methods import with_methods

__all__ = [
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "remainder", "mod", "fmod",
    "divmod", "power", "pow", "float_power", "negative", "positive", "absolute", "abs", "fabs", "sign",
    "square", "sqrt", "cbrt", "reciprocal", "conjugate", "conj", "exp", "exp2", "expm1", "log", "log2", "log10",
    "log1p", "logaddexp", "logaddexp2", "sin", "cos", "tan", "arcsin", "asin", "arccos", "acos", "arctan",
    "atan", "sinh", "cosh", "tanh", "arcsinh", "asinh", "arccosh", "acosh", "arctanh", "atanh", "arctan2",
    "atan2", "hypot", "degrees", "rad2deg", "radians", "deg2rad", "greater", "greater_equal", "less",
    "less_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_xor", "logical_not", "maximum",
    "minimum", "fmax", "fmin", "isnan", "isinf", "isfinite", "signbit", "bitwise_and", "bitwise_or",
    "bitwise_xor", "invert", "bitwise_invert", "bitwise_not", "left_shift", "bitwise_left_shift", "right_shift",
    "bitwise_right_shift", "bitwise_count", "gcd", "lcm", "floor", "ceil", "trunc", "rint", "copysign", "modf",
    "frexp", "ldexp", "heaviside", "nextafter", "spacing", "matmul", "vecdot", "matvec", "vecmat",
]  # fmt: skip

Ufunc = Callable[..., Any]


def _unary(name: str, function: Callable[[Any], Any], doc: str | None = None) -> Ufunc:
    """The ufunc of one argument that computes ``function``, which works on whatever ops work on."""
    op = getattr(function, "op", None)

    def ufunc(
        x: Any,
        /,
        out: None = None,
        *,
        where: Any = True,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        if isinstance(x, Node) and where is True and out is None and dtype is None:
            return apply(op, (x,)) if op is not None else function(x)
        return _in_general(name, function, (x,), out, where, dtype, casting)

    return _signed(ufunc, name, function, doc)


def _binary(name: str, function: Callable[[Any, Any], Any], doc: str | None = None) -> Ufunc:
    """The ufunc of two arguments that computes ``function``."""

    def ufunc(
        x1: Any,
        x2: Any,
        /,
        out: None = None,
        *,
        where: Any = True,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        if isinstance(x1, Node) and isinstance(x2, _READY) and where is True and out is None and dtype is None:
            return function(x1, x2)
        return _in_general(name, function, (x1, x2), out, where, dtype, casting)

    return _signed(ufunc, name, function, doc)


_READY = (Node, float, int)
_UFUNC_DOC = """One result element per element of the arguments, whose shapes broadcast; 0 where the mask ``where`` is
false. Takes Arrays, ndarrays, numbers and nested lists of them, and returns an Array."""


def _signed(ufunc: Any, name: str, function: Any, doc: str | None) -> Ufunc:
    ufunc.__name__ = ufunc.__qualname__ = name
    ufunc.__doc__ = f"{(doc or function.__doc__ or '').strip()}\n\n{_UFUNC_DOC}"
    return with_methods(ufunc, name)  # type: ignore[no-any-return]


def _in_general(
    name: str, function: Callable[..., Any], inputs: tuple[Any, ...], out: Any, where: Any, dtype: Any, casting: str
) -> Any:
    """The ufunc's call with any kind of argument and any option."""
    no_out(name, out)
    xs = [cast_safely(name, operand(x), dtype, casting) for x in inputs]
    result = function(*xs)
    if isinstance(result, tuple):
        return tuple(_masked(as_array(r), where) for r in result)
    return _masked(as_array(result), where)


def _masked(result: Any, where: Any) -> Any:
    return result if where is True else logic.where(array_of(where), result, np.zeros((), result.dtype))


def _real_only(name: str, x: Any) -> Any:
    if logic.is_complex(x):
        raise DtypeError(f"{name}: not defined for complex numbers: got {dtype_of(x)}; take its real or imaginary part")
    return x


def _positive(x: Any) -> Any:
    """+x"""
    if dtype_of(x).kind == "b":
        raise DtypeError("positive: not defined for booleans: cast them with astype(int)")
    return x


def _reciprocal(x: Any) -> Any:
    """1 / x; whole numbers divide as NumPy's do."""
    return as_array(np.reciprocal(numbers("reciprocal", x))) if dtype_of(x).kind in "biu" else ew.divide(1.0, x)


def _counted(x: Any) -> Any:
    """Booleans as NumPy squares and conjugates them: as small whole numbers."""
    return logic.astype(array_of(x), np.int8)


def _conjugate(x: Any) -> Any:
    """The complex conjugate; a real argument as it is."""
    return _counted(x) if dtype_of(x).kind == "b" else ew.conj(x)


def _square(x: Any) -> Any:
    """x · x"""
    return _counted(x) if dtype_of(x).kind == "b" else ew.square(x)


def _power(x: Any, exponent: Any) -> Any:
    """xⁿ"""
    if dtype_of(x).kind == "b":
        exponent = exponent if isinstance(exponent, Node) else np.asarray(exponent)  # bool ** 2 is np.square, of int8
        x = logic.astype(x, exponent.dtype) if is_inexact(exponent.dtype) else x
    return ew.power(x, exponent)


def _varies(x: Any) -> bool:
    return isinstance(x, Node) and (x.tracked or x.value is None)


def _inexact(name: str, x: Any) -> Any:
    """x in the floating dtype in which NumPy's ufunc computes."""
    dtype = dtype_of(_real_only(name, x))
    if kind_of(dtype) == "f":
        return x
    result = getattr(np, name)(np.ones(1, dtype))
    return logic.astype(x, (result[0] if isinstance(result, tuple) else result).dtype)


def _fabs(x: Any) -> Any:
    """|x| as a floating-point number"""
    return ew.absolute(_inexact("fabs", x))


def _degrees(x: Any) -> Any:
    """Radians as degrees."""
    return _real_only("degrees", x) * (180 / math.pi)


def _radians(x: Any) -> Any:
    """Degrees as radians."""
    return _real_only("radians", x) * (math.pi / 180)


def _modf(x: Any) -> tuple[Any, Any]:
    """Fractional and whole part, both with the sign of x."""
    x = _inexact("modf", x)
    whole = ew.trunc(x)
    return logic.where(logic.isinf(whole), ew.copysign(0.0, whole), x - whole), whole


def _frexp(x: Any) -> tuple[Any, Any]:
    """Mantissa in [½, 1) and exponent of 2."""
    exponent = as_array(apply(library.Exponent, (x,)))
    return as_array(ew.ldexp(x, -exponent)), exponent


def _heaviside(x: Any, at_zero: Any) -> Any:
    """0 for x < 0, 1 for x > 0, and the second argument at 0."""
    step = logic.where(x < 0, 0.0, logic.where(x > 0, 1.0, logic.where(x == 0, at_zero, np.nan)))
    return logic.astype(step, _dtype_of_two("heaviside", x, at_zero))


def _dtype_of_two(name: str, *xs: Any) -> np.dtype[Any]:
    """The dtype of NumPy's ufunc of these; Python numbers promote weakly."""
    plain_ones = (x if isinstance(x, (bool, int, float)) else np.ones(1, dtype_of(x)) for x in xs)
    dtype: np.dtype[Any] = getattr(np, name)(*plain_ones).dtype
    return dtype


def _float_power(x: Any, exponent: Any) -> Any:
    """xⁿ in double precision at least"""
    dtype = result_type(dtype_of(x), dtype_of(exponent), np.float64)
    base, n = (logic.astype(v, dtype) if isinstance(v, Node) else np.asarray(v, dtype) for v in (x, exponent))
    return ew.power(base, n)


def _divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Floored quotient and remainder."""
    return ew.floor_divide(x, y), ew.remainder(x, y)


def _library(name: str, op: Any) -> Ufunc:
    """A ufunc of whole numbers, or one whose derivative is zero wherever it has one: computed by NumPy."""
    wrap = _unary if getattr(np, name).nin == 1 else _binary
    return wrap(name, lambda *xs: as_array(apply(op, xs)), op.__doc__)


def _vecdot(x1: Any, x2: Any) -> Any:
    """Σ conj(x1) x2 over the last axis."""
    return contraction.matmul(view.expand_dims(ew.conj(x1), -2), view.expand_dims(x2, -1))[..., 0, 0]


def _matvec(x1: Any, x2: Any) -> Any:
    """Matrix times vector.  [..., M, N], [..., N] -> [..., M]"""
    return contraction.matmul(x1, view.expand_dims(x2, -1))[..., 0]


def _vecmat(x1: Any, x2: Any) -> Any:
    """Conjugated vector times matrix.  [..., N], [..., N, M] -> [..., M]"""
    return contraction.matmul(view.expand_dims(ew.conj(x1), -2), x2)[..., 0, :]


def _contraction(name: str, function: Callable[[Any, Any], Any]) -> Ufunc:
    def ufunc(
        x1: Any,
        x2: Any,
        /,
        out: None = None,
        *,
        dtype: Any = None,
        casting: Any = "same_kind",
        order: str = "K",
        subok: bool = True,
        axes: Any = absent,
        axis: int = -1,
    ) -> Any:
        no_out(name, out)
        xs = [cast_safely(name, array_of(x), dtype, casting) for x in (x1, x2)]
        if axes is not absent:
            return _along_axes(name, function, xs, axes)
        if axis != -1 and name == "vecdot":
            xs = [view.moveaxis(x, axis, -1) for x in xs]
        return function(*xs)

    return _signed(ufunc, name, function, None)


def _along_axes(name: str, function: Callable[[Any, Any], Any], xs: list[Any], axes: Any) -> Any:
    """The core axes of each operand moved to the end, and those of the result to where they are wanted."""
    places = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    xs = [view.moveaxis(x, place, tuple(range(-len(place), 0))) for x, place in zip(xs, places, strict=False)]
    result = function(*xs)
    if len(places) > 2 and places[2]:
        result = view.moveaxis(result, tuple(range(-len(places[2]), 0)), places[2])
    return result


# Arithmetic
add = _binary("add", ew.add)
subtract = _binary("subtract", ew.subtract)
multiply = _binary("multiply", ew.multiply)
divide = true_divide = _binary("divide", ew.divide)
floor_divide = _binary("floor_divide", ew.floor_divide)
remainder = mod = _binary("remainder", ew.remainder)
fmod = _binary("fmod", ew.fmod)
divmod = _binary("divmod", _divmod)
power = pow = _binary("power", _power)
float_power = _binary("float_power", _float_power)
negative = _unary("negative", ew.negative)
positive = _unary("positive", _positive)
absolute = abs = _unary("absolute", ew.absolute)
fabs = _unary("fabs", _fabs)
sign = _unary("sign", ew.sign)
square = _unary("square", _square)
sqrt = _unary("sqrt", ew.sqrt)
cbrt = _unary("cbrt", ew.cbrt)
reciprocal = _unary("reciprocal", _reciprocal)
conjugate = conj = _unary("conjugate", _conjugate)

# Exponentials and logarithms
exp = _unary("exp", ew.exp)
exp2 = _unary("exp2", ew.exp2)
expm1 = _unary("expm1", ew.expm1)
log = _unary("log", ew.log)
log2 = _unary("log2", ew.log2)
log10 = _unary("log10", ew.log10)
log1p = _unary("log1p", ew.log1p)
logaddexp = _binary("logaddexp", ew.logaddexp)
logaddexp2 = _binary("logaddexp2", ew.logaddexp2)

# Trigonometry
sin = _unary("sin", ew.sin)
cos = _unary("cos", ew.cos)
tan = _unary("tan", ew.tan)
arcsin = asin = _unary("arcsin", ew.arcsin)
arccos = acos = _unary("arccos", ew.arccos)
arctan = atan = _unary("arctan", ew.arctan)
sinh = _unary("sinh", ew.sinh)
cosh = _unary("cosh", ew.cosh)
tanh = _unary("tanh", ew.tanh)
arcsinh = asinh = _unary("arcsinh", ew.arcsinh)
arccosh = acosh = _unary("arccosh", ew.arccosh)
arctanh = atanh = _unary("arctanh", ew.arctanh)
arctan2 = atan2 = _binary("arctan2", ew.arctan2)
hypot = _binary("hypot", ew.hypot)
degrees = _unary("degrees", _degrees)
rad2deg = _unary("rad2deg", _degrees)
radians = _unary("radians", _radians)
deg2rad = _unary("deg2rad", _radians)

# Comparisons and logic
greater = _binary("greater", logic.greater)
greater_equal = _binary("greater_equal", logic.greater_equal)
less = _binary("less", logic.less)
less_equal = _binary("less_equal", logic.less_equal)
equal = _binary("equal", logic.equal)
not_equal = _binary("not_equal", logic.not_equal)
logical_and = _binary("logical_and", logic.logical_and)
logical_or = _binary("logical_or", logic.logical_or)
logical_xor = _binary("logical_xor", logic.logical_xor)
logical_not = _unary("logical_not", logic.logical_not)
maximum = _binary("maximum", logic.maximum)
minimum = _binary("minimum", logic.minimum)
fmax = _binary("fmax", logic.fmax)
fmin = _binary("fmin", logic.fmin)
isnan = _unary("isnan", logic.isnan)
isinf = _unary("isinf", logic.isinf)
isfinite = _unary("isfinite", logic.isfinite)
signbit = _unary("signbit", logic.signbit)

# Bits and whole numbers
bitwise_and = _binary("bitwise_and", logic.bitwise_and)
bitwise_or = _binary("bitwise_or", logic.bitwise_or)
bitwise_xor = _binary("bitwise_xor", logic.bitwise_xor)
invert = bitwise_invert = bitwise_not = _unary("invert", logic.invert)
left_shift = bitwise_left_shift = _binary("left_shift", logic.left_shift)
right_shift = bitwise_right_shift = _binary("right_shift", logic.right_shift)
bitwise_count = _library("bitwise_count", library.BitwiseCount)
gcd = _library("gcd", library.Gcd)
lcm = _library("lcm", library.Lcm)

# Rounding and parts of floating-point numbers
floor = _unary("floor", ew.floor)
ceil = _unary("ceil", ew.ceil)
trunc = _unary("trunc", ew.trunc)
rint = _unary("rint", ew.rint)
copysign = _binary("copysign", ew.copysign)
modf = _unary("modf", _modf)
frexp = _unary("frexp", _frexp)
ldexp = _binary("ldexp", ew.ldexp)
heaviside = _binary("heaviside", _heaviside)
nextafter = _library("nextafter", library.Nextafter)
spacing = _library("spacing", library.Spacing)

# Products of vectors and matrices
matmul = _contraction("matmul", contraction.matmul)
vecdot = _contraction("vecdot", _vecdot)
matvec = _contraction("matvec", _matvec)
vecmat = _contraction("vecmat", _vecmat)


def extreme_accumulated(name: str, x: Any, axis: int) -> Any:
    """Running maximum or minimum, over 2, 4, 8, ... elements; of equal ones the later has the gradient."""
    stands = logic.greater_equal if name == "maximum" else logic.less_equal
    x, step = view.moveaxis(x, axis, -1), 1
    while step < x.shape[-1]:
        earlier, later = x[..., :-step], x[..., step:]
        later = logic.where(stands(later, earlier) | logic.isnan(later), later, earlier)
        x, step = view.concatenate([x[..., :step], later], -1), 2 * step
    return view.moveaxis(x, -1, axis)
