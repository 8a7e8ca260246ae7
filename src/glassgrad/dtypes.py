"""Dtype questions in one place. Promotion itself is NumPy's (NEP 50): Python scalars are weak, nothing is narrowed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from .lazy import extra_module

FLOATING = "fc"  # NumPy kind letters
NUMERIC = "biufc"

PYTHON_SCALARS = (bool, int, float, complex)


def dtype_of(value: Any) -> np.dtype[Any]:
    """The dtype of an array, a NumPy scalar or a Python scalar (``float`` is float64, ``int`` int64)."""
    dtype = getattr(value, "dtype", None)
    return dtype if isinstance(dtype, np.dtype) else np.asarray(value).dtype


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    """Whether this is the 16-bit float that NumPy has not and ``ml_dtypes`` adds to it."""
    return dtype.kind == "V" and dtype.name == "bfloat16"


@cache
def bfloat16() -> np.dtype[Any]:
    """The dtype of 16-bit floats with float32's exponents.

    Raises
    ------
    MissingExtraError
        without the package that defines it.
    """
    ml_dtypes = extra_module(
        "ml_dtypes", "bfloat16: needs the package ml_dtypes, which is not installed; pip install 'glassgrad[bfloat16]'"
    )
    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def named(dtype: Any) -> Any:
    """A dtype as NumPy takes it, which knows the name "bfloat16" only once ``ml_dtypes`` is imported."""
    return bfloat16() if isinstance(dtype, str) and dtype == "bfloat16" else dtype


def kind_of(dtype: np.dtype[Any]) -> str:
    """NumPy's kind letter; bfloat16, which NumPy takes for bytes, is an f as well."""
    return "f" if dtype.kind == "V" and is_bfloat16(dtype) else dtype.kind


def is_inexact(dtype: np.dtype[Any]) -> bool:
    """Whether values of this dtype can be varied continuously: real or complex floating point."""
    return kind_of(dtype) in FLOATING


def finfo(dtype: Any) -> Any:
    """Limits of a floating-point dtype, or of that of an array or a number."""
    own = _dtype(dtype)
    if isinstance(own, np.dtype) and is_bfloat16(own):
        from ml_dtypes import finfo as limits  # NumPy's refuses it

        return limits(own)  # type: ignore[no-untyped-call]
    return np.finfo(dtype)


def result_type(*values: Any) -> np.dtype[Any]:
    """The dtype of what is computed from arrays, scalars and dtypes.

    bfloat16 promotes as float32 does, and remains itself where it can. (By itself NumPy finds no dtype for it and a
    wide integer, and float64 for it and a Python number.)
    """
    dtypes = [_dtype(x) for x in values]
    narrow = [isinstance(x, np.dtype) and is_bfloat16(x) for x in dtypes]
    found = np.result_type(*(np.float32 if n else x for x, n in zip(values, narrow, strict=True)))
    return bfloat16() if any(narrow) and found == np.float32 and stays_bfloat16(dtypes) else found


def stays_bfloat16(dtypes: Iterable[Any]) -> bool:
    """Whether float32 as the result is bfloat16's doing: nothing else here is a float of 32 bits or fewer."""
    return not any(isinstance(x, np.dtype) and x.kind in FLOATING and real_dtype(x).itemsize <= 4 for x in dtypes)


def _dtype(x: Any) -> Any:
    """The dtype of an array, or that a type or name stands for; what has none, such as a Python number, as it is."""
    return np.dtype(named(x)) if isinstance(x, (type, str)) else getattr(x, "dtype", x)


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real part: complex64 -> float32, complex128 -> float64, others unchanged."""
    return np.empty(0, dtype).real.dtype


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The complex dtype of the same precision: float32 -> complex64, float64 -> complex128."""
    return result_type(dtype, np.complex64)


def floating_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype NumPy's floating functions give for this input: integers and booleans become float64."""
    return dtype if is_inexact(dtype) else np.dtype(np.float64)


def not_numbers(value: Any, dtype: np.dtype[Any]) -> str:
    """What is wrong with an argument whose elements are not numbers, and the way out."""
    way = {
        "O": "use .toarray() for a sparse matrix, .astype(float) for objects that are numbers, stack for arrays",
        "U": "convert the text to numbers first, with .astype(float) or by numbering its kinds",
        "M": "subtract a date and divide by a unit: (t - t[0]) / numpy.timedelta64(1, 's')",
    }.get({"S": "U", "m": "M"}.get(dtype.kind, dtype.kind), "take a field of it")
    kind = type(value).__name__
    return f"array: an Array holds numbers: got {kind} of dtype {dtype}, expected bool, int, float or complex; {way}"
