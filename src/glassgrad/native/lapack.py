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

from ..dtypes import real_dtype
from ..lazy import undivided

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

    def of(self, dtype: str) -> tuple[str, str]:
        """The name for a dtype, and the arguments."""
        if dtype.startswith("c"):
            return PREFIXES[dtype] + self.complex, self.complex_arguments or self.arguments
        return PREFIXES[dtype] + self.real, self.arguments


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


def function(stem: str, dtype: np.dtype[Any]) -> Function:
    name, arguments = ROUTINES[stem].of(dtype.name)
    return Function(name, arguments, addresses()[name])


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
    with undivided:
        from scipy.linalg import cython_blas, cython_lapack

    found = {**cython_blas.__pyx_capi__, **cython_lapack.__pyx_capi__}
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    result = {}
    for name, arguments in [row.of(dtype) for row in ROUTINES.values() for dtype in PREFIXES]:
        declared = name_of(found[name])
        if _kinds(declared.decode()) != "".join(KINDS[letter] for letter in arguments):
            raise LookupError(f"{name}: SciPy declares {declared.decode()!r}, expected arguments {arguments}")
        result[name] = pointer_of(found[name], declared)
    return result


# What a declaration tells apart: characters, integers of 32 bits, and the rest
KINDS = {"c": "c", "i": "i", "n": "i", "x": "i", "a": "-", "r": "-", "W": "-i", "R": "-i", "N": "ii"}


def _kinds(declaration: str) -> str:
    """Of the arguments of a C function, as in ``void (char *, int *, double *)``."""
    types = declaration.partition("(")[2].rstrip(")").split(", ")
    return "".join({"char *": "c", "int *": "i"}.get(t, "-") for t in types)


def lengths(called: Function, dtype: np.dtype[Any], values: Sequence[Any]) -> list[int]:
    """How long the workspaces should be, in order. ``values`` are the other arguments; matrices are not looked at."""
    kinds = {"W": dtype, "R": real_dtype(dtype), "N": np.dtype(np.int32)}
    given, asked = iter(values), []
    arguments: list[Any] = []
    for letter in called.arguments:
        if letter in kinds:
            asked.append(np.zeros(1, kinds[letter]))
            arguments += [asked[-1], np.array(-1, np.int32)]
        else:
            arguments.append(_in_memory(letter, next(given) if letter != "x" else None))
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arguments]
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(pointers))(called.address)(*pointers)
    # A length in float32 may have been rounded down.
    return [max(1, math.ceil(float(a[0].real) * (1 if a.dtype.kind == "i" else 1 + 2.0**-23))) for a in asked]


def _in_memory(letter: str, value: Any) -> Any:
    if letter == "c":
        return np.frombuffer(value.encode(), np.uint8)
    return np.array(value, np.int32) if letter == "i" else np.zeros(1, np.complex128)
