"""Dtype questions in one place. Promotion itself is NumPy's (NEP 50): Python scalars are weak, nothing is narrowed."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATING = "fc"  # NumPy kind letters
NUMERIC = "biufc"

PYTHON_SCALARS = (bool, int, float, complex)


def dtype_of(value: Any) -> np.dtype[Any]:
    """The dtype of an array, a NumPy scalar or a Python scalar (``float`` is float64, ``int`` int64)."""
    dtype = getattr(value, "dtype", None)
    return dtype if isinstance(dtype, np.dtype) else np.asarray(value).dtype


def is_inexact(dtype: np.dtype[Any]) -> bool:
    """Whether values of this dtype can be varied continuously: real or complex floating point."""
    return dtype.kind in FLOATING


def real_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of the real part: complex64 -> float32, complex128 -> float64, others unchanged."""
    return np.empty(0, dtype).real.dtype


def complex_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The complex dtype of the same precision: float32 -> complex64, float64 -> complex128."""
    return np.result_type(dtype, np.complex64)


def floating_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype NumPy's floating functions give for this input: integers and booleans become float64."""
    return dtype if dtype.kind in FLOATING else np.dtype(np.float64)


def not_numbers(value: Any, dtype: np.dtype[Any]) -> str:
    """What is wrong with an argument whose elements are not numbers, and the way out."""
    way = {
        "O": "use .toarray() for a sparse matrix, .astype(float) for objects that are numbers, stack for arrays",
        "U": "convert the text to numbers first, with .astype(float) or by numbering its kinds",
        "M": "subtract a date and divide by a unit: (t - t[0]) / numpy.timedelta64(1, 's')",
    }.get({"S": "U", "m": "M"}.get(dtype.kind, dtype.kind), "take a field of it")
    kind = type(value).__name__
    return f"array: an Array holds numbers: got {kind} of dtype {dtype}, expected bool, int, float or complex; {way}"
