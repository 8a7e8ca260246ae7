"""Linear algebra made of the factorisations: pseudo-inverse, least squares, powers, exponential, products.

Norms are in norm.py, determinants in determinant.py, matrix equations in solve.py, factorisations in factor.py and
spectrum.py; everything public is importable here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype_of, finfo, floating_dtype, real_dtype
from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of, value_of
from ..graph.origin import here
from ..graph.primitive import Opaque, Samples
from ..lazy import scipy_function
from . import elementwise as ew
from . import indexing, logic, reduction, view
from .contraction import matmul
from .determinant import SlogdetResult, det, slogdet
from .factor import QRResult, cholesky, from_triangle, qr
from .norm import cond, matrix_norm, norm, vector_norm
from .solve import adjoint, check_matrix, check_square, common_dtype, inv, solve, solve_triangular, well_posed
from .spectrum import EighResult, EigResult, SVDResult, eig, eigh, eigvals, eigvalsh, svd, svdvals
from .view import matrix_transpose

__all__ = [
    "EigResult", "EighResult", "QRResult", "SVDResult", "SlogdetResult",
    "inv", "solve", "solve_triangular", "pinv", "lstsq", "tensorinv", "tensorsolve",
    "cholesky", "qr", "eig", "eigh", "eigvals", "eigvalsh", "svd", "svdvals",
    "det", "slogdet", "matrix_rank", "cond", "norm", "vector_norm", "matrix_norm", "trace", "diagonal",
    "matmul", "multi_dot", "matrix_power", "expm", "cross", "outer", "vecdot", "matrix_transpose",
]  # fmt: skip


class Pinv(Opaque):
    """P = A⁺, the Moore-Penrose inverse, with singular values below ``rcond`` times the largest taken as 0.

    While the rank is constant, dP = -P dA P + P Pᴴ dAᴴ (I - A P) + (I - P A) dAᴴ Pᴴ P: G. H. Golub and V. Pereyra,
    "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables separate" (1973).
    """

    eval = staticmethod(lambda a, rcond: np.linalg.pinv(a, rcond))

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], a: Value, rcond: Value) -> Value:
        whole = a if over[0] else view.repeated(a, size)
        return apply(Pinv, tuple(view.aligned((whole, rcond), (True, over[1]), (2, 0))))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        *lead, m, n = specs[0].shape
        return Spec((*lead, n, m), common_dtype(specs[0]))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value, rcond: Value) -> tuple[Value, None]:
        p, ph, gh = y, adjoint(y), adjoint(g)
        left = matmul(gh, matmul(p, ph))  # [M, N] @ [N, N]
        right = matmul(matmul(ph, p), gh)  # [M, M] @ [M, N]
        away = left - matmul(a, matmul(p, left)) + right - matmul(matmul(right, p), a)
        return away - matmul(matmul(ph, g), ph), None

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3), 1e-15), {}),
            ((well_posed(rng, 4, 2), 1e-15), {}),
            ((well_posed(rng, 2, 2, 3), 1e-15), {}),
            ((well_posed(rng, 3, 2) + 1j * rng.normal(size=(3, 2)), 1e-15), {}),
        ]
    )


class Expm(Opaque):
    """Y = e^A = Σ Aᵏ/k!.

    The exponential of [[A, E], [0, A]] holds the derivative of e^A along E in its upper right corner: R. Mathias, "A
    chain rule for matrix functions and applications" (1996). The VJP is the derivative at Aᴴ along Ȳ.
    """

    eval = staticmethod(lambda a: scipy_function("linalg", "expm")(a))
    batch = (2,)
    infer = classmethod(lambda cls, a: Spec(a.shape, common_dtype(a)))
    vjp = (lambda g, y, a: _expm_along(adjoint(a), g),)

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value) -> Value:
        return _expm_along(a, ts[0])

    samples = Samples(
        cases=lambda rng: [
            ((rng.normal(size=(3, 3)),), {}),
            ((rng.normal(size=(2, 2, 2)),), {}),
            ((rng.normal(size=(2, 2)) + 1j,), {}),
        ]
    )


def _expm_along(a: Value, direction: Value) -> Value:
    n, last = shape_of(a)[-1], len(shape_of(a)) - 1
    upper = view.concatenate([a, direction], last)
    lower = view.concatenate([logic.zeros_like(a), a], last)
    return apply(Expm, (view.concatenate([upper, lower], last - 1),))[..., :n, n:]


def pinv(a: Value, rcond: Any = None, hermitian: bool = False, *, rtol: Any = 1e-15) -> Value:
    """The Moore-Penrose inverse.  [..., M, N] -> [..., N, M]

    Parameters
    ----------
    a : the gradient holds while its rank does not change
    rcond, rtol : singular values at most this times the largest count as 0; with ``rtol=None`` max(M, N) · eps
    hermitian : a is Hermitian, and only its lower triangle is read
    """
    check_matrix("pinv", a)
    if hermitian:
        a = from_triangle("pinv", a)
    if rcond is None:
        rcond = max(shape_of(a)[-2:]) * _eps(a) if rtol is None else rtol
    return apply(Pinv, (a, rcond))


def _eps(a: Value) -> float:
    return float(finfo(floating_dtype(dtype_of(a))).eps)


def lstsq(a: Value, b: Value, rcond: float | None = None) -> tuple[Value, Value, Value, Value]:
    """The x that makes |a x - b| smallest, and of those the shortest; sums of squared residuals; rank; singular values.

    Parameters
    ----------
    a : (M, N)
    b : (M,) or (M, K)
    rcond : singular values at most this times the largest count as 0; max(M, N) · eps by default
    """
    left, right = shape_of(a), shape_of(b)
    if len(left) != 2 or len(right) not in (1, 2) or left[0] != right[0]:
        raise ShapeError(
            f"lstsq: shapes do not fit: got a {left} and b {right}, expected (M, N) and (M,) or (M, K) at {here(2)}"
        )
    rows, columns = left
    cut = max(rows, columns) * _eps(a) if rcond is None else _eps(a) if rcond == -1 else rcond
    x = matmul(pinv(a, cut), b)
    s = svdvals(a)
    rank = logic.astype(reduction.sum(s > cut * s[0], -1), np.intc) if min(left) else np.intc(0)  # LAPACK's int
    known = value_of(rank)
    if rows <= columns or (known is not None and known < columns):
        residuals: Value = np.zeros(0, real_dtype(dtype_of(x)))
    else:
        away = b - matmul(a, x)
        residuals = reduction.sum(ew.real(away * ew.conj(away)), 0, keepdims=len(right) == 1)
    return x, residuals, rank, s


def matrix_power(a: Value, n: int) -> Value:
    """a multiplied with itself n times; of its inverse for negative n, the identity for 0."""
    check_square("matrix_power", a)
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: exponent must be an integer: got {type(n).__name__} at {here(2)}")
    if n == 0:
        return view.broadcast_to(np.eye(shape_of(a)[-1], dtype=dtype_of(a)), shape_of(a))
    base, power = (inv(a) if n < 0 else a), abs(int(n))
    result = None
    while power:
        if power & 1:
            result = base if result is None else matmul(result, base)
        power >>= 1
        base = matmul(base, base) if power else base
    return result


def matrix_rank(a: Value, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Value:
    """How many singular values exceed ``tol``, by default max(M, N) · eps times the largest: an integer."""
    if len(shape_of(a)) < 2:
        return logic.astype(reduction.any(a != 0), np.intp)
    s = svd(a, compute_uv=False, hermitian=hermitian)
    if tol is None:
        share = max(shape_of(a)[-2:]) * _eps(a) if rtol is None else np.asarray(rtol)[..., None]
        tol = reduction.max(s, -1, keepdims=True) * share
    else:
        tol = np.asarray(tol)[..., None]
    return reduction.sum(s > tol, -1)


def multi_dot(arrays: Sequence[Value]) -> Value:
    """The product of several matrices in the order of multiplications that costs least; the ends may be vectors."""
    count = len(arrays)
    if count < 2:
        raise ShapeError(f"multi_dot: got {count} arrays, expected at least 2")
    shapes = [shape_of(x) for x in arrays]
    if any(len(s) != 2 for s in shapes[1:-1]) or any(len(s) not in (1, 2) for s in (shapes[0], shapes[-1])):
        raise ShapeError(f"multi_dot: got shapes {shapes}, expected matrices, and vectors only at the ends")
    sizes = [1 if len(shapes[0]) == 1 else shapes[0][0], *(s[0] for s in shapes[1:]), 1]
    if len(shapes[0]) == 1:
        sizes[1] = shapes[0][0]
    sizes[-1] = shapes[-1][1] if len(shapes[-1]) == 2 else 1
    cost = [[0] * count for _ in range(count)]  # cost[i][j] of the product of arrays i to j, split after split[i][j]
    split = [[0] * count for _ in range(count)]
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = [(cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)]
            cost[i][j], split[i][j] = min(options)

    def product(i: int, j: int) -> Value:
        return arrays[i] if i == j else matmul(product(i, split[i][j]), product(split[i][j] + 1, j))

    return product(0, count - 1)


def cross(x1: Value, x2: Value, /, *, axis: int = -1) -> Value:
    """The vector product of 3-vectors along ``axis``."""
    if shape_of(x1)[axis] != 3 or shape_of(x2)[axis] != 3:
        raise ShapeError(
            f"cross: both must hold 3-vectors along axis {axis}: got {shape_of(x1)} and {shape_of(x2)} at {here(2)}"
        )
    a, b = view.moveaxis(x1, axis, -1), view.moveaxis(x2, axis, -1)
    following, last = np.array([1, 2, 0]), np.array([2, 0, 1])
    return view.moveaxis(a[..., following] * b[..., last] - a[..., last] * b[..., following], -1, axis)


def outer(x1: Value, x2: Value, /) -> Value:
    """All products of an element of one vector with one of another.  [M], [N] -> [M, N]"""
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ShapeError(f"outer: both must be vectors: got {shape_of(x1)} and {shape_of(x2)}; use x.ravel()")
    return view.expand_dims(x1, 1) * x2


def vecdot(x1: Value, x2: Value, /, *, axis: int = -1) -> Value:
    """Σ conj(x1) x2 along ``axis``, the rest broadcasting."""
    a, b = view.moveaxis(x1, axis, -1), view.moveaxis(x2, axis, -1)
    if shape_of(a)[-1] != shape_of(b)[-1]:
        raise ShapeError(f"vecdot: sizes differ along axis {axis}: got {shape_of(x1)} and {shape_of(x2)} at {here(2)}")
    return matmul(view.expand_dims(ew.conj(a), -2), view.expand_dims(b, -1))[..., 0, 0]


def diagonal(x: Value, /, *, offset: int = 0) -> Value:
    """The diagonal of each matrix.  [..., M, N] -> [..., K]"""
    check_matrix("diagonal", x)
    return indexing.diagonal(x, offset, -2, -1)


def trace(x: Value, /, *, offset: int = 0, dtype: Any = None) -> Value:
    """The sum of the diagonal of each matrix.  [..., M, N] -> [...]"""
    check_matrix("trace", x)
    return reduction.sum(indexing.diagonal(x if dtype is None else logic.astype(x, dtype), offset, -2, -1), -1)


def tensorinv(a: Value, ind: int = 2) -> Value:
    """The inverse of a as the linear map from its last axes to its first ``ind``."""
    if ind <= 0:
        raise ValueError(f"tensorinv: got ind={ind}, expected a positive number of axes")
    shape = shape_of(a)
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if rows != columns:
        raise ShapeError(
            f"tensorinv: got shape {shape}, whose first {ind} axes hold {rows} elements and the rest {columns}"
        )
    return view.reshape(inv(view.reshape(a, (rows, columns))), shape[ind:] + shape[:ind])


def tensorsolve(a: Value, b: Value, axes: Sequence[int] | None = None) -> Value:
    """x with tensordot(a, x, x.ndim) = b; ``axes`` of a are moved to its end first."""
    if axes is not None:
        ndim = len(shape_of(a))
        last = [i % ndim for i in axes]
        a = view.transpose(a, [i for i in range(ndim) if i not in last] + last)
    shape = shape_of(a)[len(shape_of(b)) :]
    size = math.prod(shape)
    if math.prod(shape_of(b)) != size or math.prod(shape_of(a)) != size * size:
        raise ShapeError(
            f"tensorsolve: a must be square as a map of x to b: got a {shape_of(a)} and b {shape_of(b)} at {here(2)}"
        )
    return view.reshape(solve(view.reshape(a, (size, size)), view.reshape(b, (-1,))), shape)


def expm(a: Value) -> Value:
    """The matrix exponential Σ aᵏ/k!, evaluated by SciPy.  [..., M, M] -> [..., M, M]"""
    check_square("expm", a)
    return apply(Expm, (a,))
