"""Linear algebra on Glassgrad arrays: ``numpy.linalg`` by the same names and arguments, always giving Arrays.

Beside NumPy's functions there are ``solve_triangular``, ``solve_sylvester``, ``expm`` and ``sqrtm``. Gradients of
``cholesky``, ``eigh`` and ``eigvalsh`` are Hermitian, as PyTorch's; ``eig``, ``eigvals`` and ``sqrtm`` always give a
complex dtype; a norm has derivative 0 at the origin.

>>> import glassgrad as gg
>>> import glassgrad.numpy as np
>>> gg.grad(np.linalg.det)(np.array([[1.0, 2.0], [3.0, 4.0]]))
Array([[ 4., -3.],
       [-2.,  1.]])
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from numpy.linalg import LinAlgError

from ..graph.node import Node
from ..ops import contraction, sylvester
from ..ops import linalg as ops
from ..ops.linalg import EighResult, EigResult, QRResult, SlogdetResult, SVDResult
from .arguments import array_of, arrays_of, no_out

__all__ = [
    "EigResult", "EighResult", "LinAlgError", "QRResult", "SVDResult", "SlogdetResult",
    "inv", "solve", "solve_triangular", "solve_sylvester", "pinv", "lstsq", "tensorinv", "tensorsolve",
    "cholesky", "qr", "eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals",
    "det", "slogdet", "matrix_rank", "cond", "norm", "vector_norm", "matrix_norm", "trace", "diagonal",
    "matmul", "multi_dot", "matrix_power", "expm", "sqrtm", "cross", "outer", "tensordot", "vecdot", "matrix_transpose",
]  # fmt: skip


def in_arrays(result: Any) -> Any:
    """A result with Arrays for ndarrays, in its tuple."""
    if isinstance(result, tuple):
        return type(result)(*map(array_of, result)) if hasattr(result, "_fields") else tuple(map(array_of, result))
    return array_of(result)


def public(function: Callable[..., Any], count: int = 1) -> Callable[..., Any]:
    """An op as a function of this namespace: its first ``count`` arguments may be anything array-like."""
    names = tuple(inspect.signature(function).parameters)[:count]

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if "out" in kwargs:
            no_out(function.__name__, kwargs.pop("out"))
        for name in names:
            if name in kwargs:
                kwargs[name] = array_of(kwargs[name])
        return in_arrays(function(*map(array_of, args[:count]), *map(_plain, args[count:]), **kwargs))

    return wrapped


def _plain(option: Any) -> Any:
    """An option given as an Array, such as a tolerance, as the numbers inside."""
    return option.value if isinstance(option, Node) and option.value is not None else option


inv, pinv, det, slogdet = public(ops.inv), public(ops.pinv), public(ops.det), public(ops.slogdet)
solve, solve_triangular, lstsq = public(ops.solve, 2), public(ops.solve_triangular, 2), public(ops.lstsq, 2)
tensorinv, tensorsolve = public(ops.tensorinv), public(ops.tensorsolve, 2)
cholesky, qr, svd, svdvals = public(ops.cholesky), public(ops.qr), public(ops.svd), public(ops.svdvals)
eig, eigh, eigvals, eigvalsh = public(ops.eig), public(ops.eigh), public(ops.eigvals), public(ops.eigvalsh)
cond, norm = public(ops.cond), public(ops.norm)
vector_norm, matrix_norm = public(ops.vector_norm), public(ops.matrix_norm)
matrix_rank, matrix_power, expm = public(ops.matrix_rank), public(ops.matrix_power), public(ops.expm)
sqrtm, solve_sylvester = public(sylvester.sqrtm), public(sylvester.solve_sylvester, 3)
trace, diagonal, matrix_transpose = public(ops.trace), public(ops.diagonal), public(ops.matrix_transpose)
matmul, cross, outer, vecdot = public(ops.matmul, 2), public(ops.cross, 2), public(ops.outer, 2), public(ops.vecdot, 2)


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum of products over the last ``axes`` axes of x1 and the first of x2, or over the listed pairs."""
    return contraction.tensordot(array_of(x1), array_of(x2), axes)


@functools.wraps(ops.multi_dot)
def multi_dot(arrays: Any, *, out: None = None) -> Any:
    no_out("multi_dot", out)
    return array_of(ops.multi_dot(arrays_of(arrays)))
