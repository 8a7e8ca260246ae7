"""LAPACK and BLAS as SciPy brings them: where they are, what arguments they take, how much workspace they want.

SciPy publishes them for compiled code in the capsules of ``scipy.linalg.cython_lapack`` and ``cython_blas``, each
named by its C declaration. Every argument is an address; matrices are in Fortran order.
"""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

PREFIXES = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}


class Row(NamedTuple):
    """A routine: its name for real and for complex matrices, and its arguments.

    One letter each: c a character, i an integer, a elements of the matrix' dtype, r of its real one, n integers, x
    the integer that says what failed. W, R and N are two arguments, a workspace of a, r or n and its length, and it
    is the routine itself that says which length is best.
    """

    real: str
    complex: str
    arguments: str
    complex_arguments: str = ""  # where they differ


ROUTINES = {
    "potrf": Row("potrf", "potrf", "ciaix"),
    "getrf": Row("getrf", "getrf", "iiainx"),
    "gesv": Row("gesv", "gesv", "iiainaix"),
    "trtrs": Row("trtrs", "trtrs", "ccciiaiaix"),
    "geqrf": Row("geqrf", "geqrf", "iiaiaWx"),
    "orgqr": Row("orgqr", "ungqr", "iiiaiaWx"),
    "syevd": Row("syevd", "heevd", "cciairWNx", "cciairWRNx"),
    "geev": Row("geev", "geev", "cciairraiaiWx", "cciaiaaiaiWrx"),
    "gesdd": Row("gesdd", "gesdd", "ciiairaiaiWnx", "ciiairaiaiWrnx"),
    "gemm": Row("gemm", "gemm", "cciiiaaiaiaai"),
}


class Function(NamedTuple):
    """A routine for one dtype."""

    name: str
    arguments: str
    address: int

    @property
    def letters(self) -> str:
        """One for each argument of the C function."""
        return "".join({"W": "ai", "R": "ri", "N": "ni"}.get(letter, letter) for letter in self.arguments)


def function(stem: str, dtype: np.dtype[Any]) -> Function:
    row = ROUTINES[stem]
    spelled, arguments = (row.complex, row.complex_arguments) if dtype.kind == "c" else (row.real, "")
    name = PREFIXES[dtype.name] + spelled
    return Function(name, arguments or row.arguments, addresses()[name])


def available() -> bool:
    """Whether SciPy is there, with what we know how to call."""
    try:
        addresses()
    except (ImportError, LookupError):
        return False
    return True


@functools.cache
def addresses() -> dict[str, int]:
    """All functions by name. ImportError without SciPy; LookupError if one is missing or not declared as expected."""
    from scipy.linalg import cython_blas, cython_lapack

    found = {**cython_blas.__pyx_capi__, **cython_lapack.__pyx_capi__}
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    result = {}
    for row in ROUTINES.values():
        for dtype, prefix in PREFIXES.items():
            spelled, arguments = (row.complex, row.complex_arguments) if dtype[0] == "c" else (row.real, "")
            name = prefix + spelled
            declared = name_of(found[name])
            expected = Function(name, arguments or row.arguments, 0).letters
            if _letters(declared.decode()) != _coarse(expected):
                raise LookupError(f"{name}: SciPy declares {declared.decode()!r}, expected arguments {expected}")
            result[name] = pointer_of(found[name], declared)
    return result


def _coarse(letters: str) -> str:
    """What a declaration tells apart: characters, integers of 32 bits, and the rest."""
    return "".join({"c": "c", "i": "i", "n": "i", "x": "i"}.get(letter, "a") for letter in letters)


def _letters(declaration: str) -> str:
    """The same from C: ``void (char *, int *, double *)``."""
    types = declaration.partition("(")[2].rstrip(")").split(", ")
    return "".join({"char *": "c", "int *": "i"}.get(t, "a") for t in types)


def lengths(found: Function, dtype: np.dtype[Any], values: Sequence[Any]) -> list[int]:
    """How long the workspaces should be, in order, for these characters and integers; what is no number is an array."""
    given, asked, arguments = iter(values), [], []
    for letter in found.arguments:
        if letter in "WRN":
            kind = {"W": dtype, "R": _real(dtype), "N": np.dtype(np.int32)}[letter]
            asked.append(np.zeros(1, kind))
            arguments += [asked[-1], np.array(-1, np.int32)]
        elif letter == "x":
            arguments.append(np.zeros(1, np.int32))
        else:
            value = next(given)
            text = isinstance(value, str)
            arguments.append(
                np.array(ord(value), np.uint8) if text else np.array(value if type(value) is int else 0, np.int64)
            )
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arguments]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(found.address)(*pointers)
    # A float32 may have been rounded down to what fits it.
    return [max(1, math.ceil(float(a[0].real) * (1 + (a.dtype.kind != "i") * 2.0**-23))) for a in asked]


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.zeros(0, dtype).real.dtype
