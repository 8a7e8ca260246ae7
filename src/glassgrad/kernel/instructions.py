"""What kernels can compute with: dtypes, scalar instructions and reducers, and what each means in NumPy.

The names are the contract between lowering, the interpreter and native code; most are those of NumPy's ufuncs. The
functions are exact in dtype, and silent only under ``numpy.errstate(all="ignore")``, where the interpreter calls them:
integers wrap, and what is divided by zero is 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..ops.elementwise import Sigmoid
from ..ops.special import Digamma, Erf, Erfc, Erfinv, Lgamma

Evaluate = Callable[..., Any]


class Dtype(NamedTuple):
    """A dtype of the loop level.

    Attributes
    ----------
    kind : b, i, u, f as in NumPy, or h for a 16-bit float, which is stored and cast but not computed with
    memory : what NumPy calls it in memory; NumPy has no bfloat16, whose bits are a uint16
    register : what NumPy calculates with; a bfloat16 is a float32 that has been rounded
    """

    kind: str
    memory: np.dtype[Any]
    register: np.dtype[Any]


def _same(name: str, kind: str) -> Dtype:
    return Dtype(kind, np.dtype(name), np.dtype(name))


DTYPES: dict[str, Dtype] = {
    "bool": _same("bool", "b"),
    **{f"{name}{bits}": _same(f"{name}{bits}", name[0]) for name in ("int", "uint") for bits in (8, 16, 32, 64)},
    "float16": _same("float16", "h"),
    "bfloat16": Dtype("h", np.dtype("uint16"), np.dtype("float32")),
    "float32": _same("float32", "f"),
    "float64": _same("float64", "f"),
}


def itemsize(dtype: str) -> int:
    """Bytes of an element in memory."""
    return DTYPES[dtype].memory.itemsize


class Flat(Protocol):
    """So many elements in memory."""

    @property
    def dtype(self) -> str: ...

    @property
    def size(self) -> int: ...


def nbytes(memory: Flat) -> int:
    """Bytes of all of its elements."""
    return memory.size * itemsize(memory.dtype)


class Instruction(NamedTuple):
    """One scalar operation.

    Attributes
    ----------
    arity : number of arguments
    evaluate : the NumPy function, on scalars or arrays of one dtype; that of ``cast`` takes the target's name as well
    kinds : the dtypes its arguments may have, by ``Dtype.kind``
    result : "same" as the arguments, "bool", or "given" by the ``Let``
    condition : whether a bool comes before the arguments of one dtype, as in ``select``
    """

    arity: int
    evaluate: Evaluate
    kinds: str
    result: str = "same"
    condition: bool = False


# Where NumPy has no function of this name, or not quite the same


def cast(x: Any, dtype: str) -> Any:
    """``astype``: towards zero from float to integer, ≠ 0 to bool, rounded to nearest and ties to even otherwise.

    >>> cast(np.float32(1.0) + np.float32(2.0**-7), "bfloat16"), cast(np.float32(1.0 + 2.0**-8), "bfloat16")
    (np.float32(1.0078125), np.float32(1.0))
    """
    return _to_bfloat16(x) if dtype == "bfloat16" else x.astype(DTYPES[dtype].register)


def _to_bfloat16(x: Any) -> Any:
    """The nearest number of 8 significant bits, or of fewer where the last bit would be less than 2⁻¹³³."""
    if x.dtype != np.float64:
        x = x.astype(np.float32)
    _, exponent = np.frexp(x)
    last = np.maximum(exponent, -125) - 8
    # In float64: 2⁻¹³³ and 2¹²⁸ are not near its limits, as they are near float32's.
    return np.ldexp(np.rint(np.ldexp(x.astype(np.float64), -last)), last).astype(np.float32)


def _power(a: Any, b: Any) -> Any:
    """aᵇ; a negative exponent of integers, an error in NumPy, counts as the unsigned number with its bits."""
    if a.dtype.kind != "i":
        return np.power(a, b)
    unsigned = np.dtype(f"u{a.dtype.name}")
    return np.power(a.view(unsigned), b.view(unsigned)).view(a.dtype)


def _rint(x: Any) -> Any:
    return np.rint(x) if x.dtype.kind == "f" else x


def _fma(a: Any, b: Any, c: Any) -> Any:
    # Native code rounds once where the machine can; nothing may depend on which.
    return a * b + c


def _select(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)[()]


def _table() -> dict[str, Instruction]:
    table = {
        "power": Instruction(2, _power, "iuf"),
        "rint": Instruction(1, _rint, "iuf"),
        "fma": Instruction(3, _fma, "iuf"),
        "select": Instruction(3, _select, "biuf", condition=True),
        "cast": Instruction(1, cast, "biufh", "given"),
    }
    for arity, kinds, result, names in (
        (1, "iuf", "same", "negative absolute sign floor ceil trunc"),
        (2, "biuf", "same", "add multiply maximum minimum fmax fmin"),
        (2, "iuf", "same", "subtract floor_divide remainder fmod"),
        (2, "f", "same", "divide copysign arctan2 hypot logaddexp logaddexp2"),
        (1, "f", "same", "sqrt cbrt exp expm1 exp2 log log1p log2 log10"),
        (1, "f", "same", "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh"),
        (2, "biuf", "bool", "greater greater_equal less less_equal equal not_equal"),
        (1, "iuf", "bool", "isnan isinf isfinite signbit"),
        (2, "b", "same", "logical_and logical_or logical_xor"),
        (1, "b", "same", "logical_not"),
        (2, "biu", "same", "bitwise_and bitwise_or bitwise_xor"),
        (1, "biu", "same", "bitwise_not"),
        (2, "iu", "same", "left_shift right_shift"),
    ):
        table.update({name: Instruction(arity, getattr(np, name), kinds, result) for name in names.split()})
    ops = {"sigmoid": Sigmoid, "erf": Erf, "erfc": Erfc, "erfinv": Erfinv, "lgamma": Lgamma, "digamma": Digamma}
    table.update({name: Instruction(1, op.eval, "f") for name, op in ops.items()})
    return table


INSTRUCTIONS: dict[str, Instruction] = _table()


class Reducer(NamedTuple):
    """How two values become one.

    Attributes
    ----------
    ufunc : NumPy's function of two arguments
    kinds : the dtypes it folds, by ``Dtype.kind``; 16-bit floats by way of float32, rounded each time
    identity : of a dtype's name, the number that changes nothing
    """

    ufunc: np.ufunc
    kinds: str
    identity: Callable[[str], float | int | bool]


def _bounds(dtype: str) -> tuple[float | int | bool, float | int | bool]:
    """The least and the greatest value."""
    kind, _, register = DTYPES[dtype]
    if kind == "b":
        return False, True
    return (-np.inf, np.inf) if kind in "fh" else (int(np.iinfo(register).min), int(np.iinfo(register).max))


REDUCERS: dict[str, Reducer] = {
    # 0.0 + -0.0 is 0.0: only -0.0 leaves a sum of floats as it is.
    "add": Reducer(np.add, "iufh", lambda dtype: -0.0 if DTYPES[dtype].kind in "fh" else 0),
    "multiply": Reducer(np.multiply, "iufh", lambda dtype: 1),
    "maximum": Reducer(np.maximum, "biufh", lambda dtype: _bounds(dtype)[0]),
    "minimum": Reducer(np.minimum, "biufh", lambda dtype: _bounds(dtype)[1]),
    "and": Reducer(np.logical_and, "b", lambda dtype: True),
    "or": Reducer(np.logical_or, "b", lambda dtype: False),
}


def identity(reducer: str, dtype: str) -> Any:
    """The number, as a NumPy scalar, with which an accumulator begins.

    >>> identity("maximum", "int8"), identity("minimum", "float32"), identity("and", "bool")
    (np.int8(-128), np.float32(inf), np.True_)
    """
    return DTYPES[dtype].register.type(REDUCERS[reducer].identity(dtype))
