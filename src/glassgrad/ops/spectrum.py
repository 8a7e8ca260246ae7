"""Eigenvalues of Hermitian and general matrices, singular values, and their vectors.

Where vectors are not unique (of equal eigenvalues, of equal or zero singular values) their derivative does not exist;
the rules leave such pairs out, so that whatever does not depend on the choice, a sum of eigenvalues or a nuclear norm,
has its finite gradient. Complex eigenvectors and singular vectors are unique only up to a phase: their gradient is
right for functions that do not depend on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..dtypes import complex_dtype, dtype_of, finfo, real_dtype
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Opaque, Samples
from . import elementwise as ew
from . import logic, reduction, view
from .contraction import matmul
from .factor import from_triangle, mean_with_adjoint, refuse_extra
from .indexing import diag_embed, diagonal
from .solve import adjoint, check_matrix, check_square, common_dtype, solve, vanishes, well_posed


class EighResult(NamedTuple):
    """Real eigenvalues in ascending order, and orthonormal eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class EigResult(NamedTuple):
    """Complex eigenvalues, and eigenvectors of length 1 as columns."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """Singular vectors and descending singular values with U @ diag(S) @ Vh equal to the matrix."""

    U: Any
    S: Any
    Vh: Any


def inverse_gaps(values: Value) -> Value:
    """1 / (λⱼ - λᵢ) at [i, j], and 0 where the two are equal up to rounding."""
    gaps = view.expand_dims(values, -2) - view.expand_dims(values, -1)
    size = shape_of(values)[-1]
    if size == 0:
        return gaps
    largest = reduction.max(ew.absolute(values), -1, keepdims=True)[..., None]
    equal = ew.absolute(gaps) <= largest * (size * float(finfo(dtype_of(values)).eps))
    return logic.where(equal, 0, 1 / logic.where(equal, 1, gaps))


class Eigh(Opaque):
    """λ, V of a Hermitian matrix with A V = V diag(λ).

    Ā = V (diag(λ̄) + S ∘ E) Vᴴ, S the skew-Hermitian part of Vᴴ V̄, E[i, j] = 1/(λⱼ - λᵢ): Giles 3.1, Seeger et al.
    """

    outputs = 2
    eval = staticmethod(lambda a, *, uplo: tuple(np.linalg.eigh(mean_with_adjoint(a), uplo)))
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        return Spec(a.shape[:-1], real_dtype(dtype)), Spec(a.shape, dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value, *, uplo: str) -> tuple[Value]:
        (gw, gv), (w, v) = g, y
        inner = diag_embed(gw)
        if not vanishes(gv):
            x = matmul(adjoint(v), gv)
            inner = inner + (x - adjoint(x)) / 2 * inverse_gaps(w)
        return (matmul(matmul(v, inner), adjoint(v)),)

    samples = Samples(
        cases=lambda rng: [
            ((np.diag([1.0, 2.0, 4.0]) + rng.uniform(0.1, 0.3, (3, 3)),), {"uplo": "L"}),
            ((np.diag([1.0, -2.0]) + rng.uniform(0.1, 0.3, (2, 2, 2)),), {"uplo": "U"}),
        ]
    )


def _eig(a: Any) -> tuple[Any, Any]:
    w, v = np.linalg.eig(a)
    dtype = complex_dtype(v.dtype)  # always complex: whether the imaginary parts are zero depends on the values
    return w.astype(dtype), v.astype(dtype)


class Eig(Opaque):
    """λ, V of a general matrix with A V = V diag(λ), columns of length 1.

    Ā = V⁻ᴴ (diag(λ̄) + (Vᴴ V̄ - Vᴴ V diag(Re Vᴴ V̄)) / conj(λⱼ - λᵢ)) Vᴴ: Giles 3.1, with the length of the eigenvectors
    held at 1: C. Boeddeker et al., "On the computation of complex-valued gradients with application to statistically
    optimum beamforming" (2017).
    """

    outputs = 2
    eval = staticmethod(_eig)
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, complex_dtype(common_dtype(*specs))
        return Spec(a.shape[:-1], dtype), Spec(a.shape, dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        (gw, gv), (w, v) = g, y
        inner = diag_embed(gw)
        if not vanishes(gv):
            x = matmul(adjoint(v), gv)
            lengths = ew.real(diagonal(x, 0, -2, -1))
            stretch = matmul(adjoint(v), v * view.expand_dims(lengths, -2))
            inner = inner + (x - stretch) * ew.conj(inverse_gaps(w))
        return (solve(adjoint(v), matmul(inner, adjoint(v))),)

    samples = Samples(
        cases=lambda rng: [
            ((np.diag([1.0, 2.0, 4.0]) + rng.uniform(0, 0.3, (3, 3)),), {}),
            ((np.diag([1.0, -2.0]) + rng.uniform(0, 0.3, (2, 2, 2)),), {}),
        ]
    )


def _svd_backward(gu: Value, gs: Value, gvh: Value, u: Value, s: Value, vh: Value) -> Value:
    inner = diag_embed(gs)
    if vanishes(gu) and vanishes(gvh):
        return matmul(matmul(u, inner), vh)
    rows, k, columns = shape_of(u)[-2], shape_of(s)[-1], shape_of(vh)[-1]
    column, row = view.expand_dims(s, -1), view.expand_dims(s, -2)
    squares = inverse_gaps(s) * logic.ratio(1.0, column + row)  # 1/(sⱼ² - sᵢ²)
    largest = reduction.max(s, -1, keepdims=True) if k else s
    tiny = s <= largest * (k * float(finfo(dtype_of(s)).eps))
    inverse = logic.where(tiny, 0, 1 / logic.where(tiny, 1, s))
    left, right = matmul(adjoint(u), gu), matmul(vh, adjoint(gvh))
    skew_left, skew_right = left - adjoint(left), right - adjoint(right)
    inner = inner + skew_left * squares * row + column * (skew_right * squares)
    if logic.is_complex(u):  # the phase, as far as the function does not depend on it
        inner = inner + diag_embed(diagonal(skew_left, 0, -2, -1) * (inverse / 2))
    result = matmul(matmul(u, inner), vh)
    if rows > k:
        result = result + matmul((gu - matmul(u, left)) * view.expand_dims(inverse, -2), vh)
    if columns > k:
        result = result + matmul(u, view.expand_dims(inverse, -1) * (gvh - matmul(adjoint(right), vh)))
    return result


class Svd(Opaque):
    """U, S, Vᴴ with A = U diag(S) Vᴴ, K = min(M, N).  [..., M, N] -> [..., M, K], [..., K], [..., K, N]

    J. Townsend, "Differentiating the singular value decomposition" (2016); for S alone Ā = U diag(S̄) Vᴴ, Giles 3.2.
    """

    outputs = 3
    eval = staticmethod(lambda a: tuple(np.linalg.svd(a, full_matrices=False)))
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        (*lead, m, n), k = a.shape, min(a.shape[-2:])
        return Spec((*lead, m, k), dtype), Spec((*lead, k), real_dtype(dtype)), Spec((*lead, k, n), dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        return (_svd_backward(*g, *y),)

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((well_posed(rng, 4, 2),), {}),
            ((well_posed(rng, 2, 2, 3)[::-1],), {}),
        ]
    )


class FullSvd(Opaque):
    """U and Vᴴ square. What completes the bases has no derivative; the rest has that of Svd."""

    outputs = 3
    private = True  # as CompleteQr
    eval = staticmethod(lambda a: tuple(np.linalg.svd(a)))
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        *lead, m, n = a.shape
        return Spec((*lead, m, m), dtype), Spec((*lead, min(m, n)), real_dtype(dtype)), Spec((*lead, n, n), dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        k = min(shape_of(a)[-2:])
        refuse_extra("svd", "full_matrices=False", g[0][..., k:], g[2][..., k:, :])
        return (_svd_backward(g[0][..., :k], g[1], g[2][..., :k, :], y[0][..., :k], y[1], y[2][..., :k, :]),)


def eigh(a: Value, UPLO: str = "L") -> EighResult:
    """Eigenvalues, ascending, and orthonormal eigenvectors of a Hermitian matrix, of which one triangle is read.

    The gradient is Hermitian: both triangles of a vary together. Equal eigenvalues are allowed as long as the result
    does not depend on which of their eigenvectors are taken.
    """
    return EighResult(*apply(Eigh, (from_triangle("eigh", a, UPLO),), {"uplo": UPLO.upper()}))


def eigvalsh(a: Value, UPLO: str = "L") -> Value:
    """Eigenvalues of a Hermitian matrix, ascending and real."""
    return apply(Eigh, (from_triangle("eigvalsh", a, UPLO),), {"uplo": UPLO.upper()})[0]


def eig(a: Value) -> EigResult:
    """Eigenvalues and eigenvectors of a general square matrix, always of a complex dtype."""
    check_square("eig", a)
    return EigResult(*apply(Eig, (a,)))


def eigvals(a: Value) -> Value:
    """Eigenvalues of a general square matrix, always of a complex dtype."""
    check_square("eigvals", a)
    return apply(Eig, (a,))[0]


def svd(a: Value, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """U, S, Vᴴ with a = U diag(S) Vᴴ, or S alone with ``compute_uv=False``.

    Parameters
    ----------
    a : (..., M, N)
    full_matrices : whether U and Vᴴ are square. Of a rectangular matrix what is beyond min(M, N) has no derivative.
    hermitian : a is Hermitian, and only its lower triangle is read
    """
    check_matrix("svd", a)
    if hermitian:
        a = from_triangle("svd", a)
    rows, columns = shape_of(a)[-2:]
    full = full_matrices and compute_uv and rows != columns
    result = SVDResult(*apply(FullSvd if full else Svd, (a,)))
    return result if compute_uv else result.S


def svdvals(a: Value, /) -> Value:
    """Singular values, descending."""
    return svd(a, compute_uv=False)
