"""Factorisations: Cholesky, QR, eigenvalues of Hermitian and general matrices, singular values.

Where a factor is not unique (eigenvectors of equal eigenvalues, singular vectors of equal or zero singular values) its
derivative does not exist; the rules leave such pairs out, so that whatever does not depend on the choice, a sum of
eigenvalues or a nuclear norm, has its finite gradient. Complex eigenvectors and singular vectors are unique only up to
a phase: their gradient is right for functions that do not depend on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..dtypes import complex_dtype, dtype_of, real_dtype
from ..errors import NonDifferentiableError
from ..graph.apply import apply
from ..graph.node import Value, shape_of
from ..graph.primitive import Opaque, Samples, Spec, View
from . import logic, reduction, view
from . import elementwise as ew
from .contraction import matmul
from .indexing import diag_embed, diagonal
from .solve import SolveTriangular, adjoint, band, check_matrix, check_square, common_dtype, solve, vanishes, well_posed


class QRResult(NamedTuple):
    """Orthonormal columns and a triangle with Q @ R equal to the matrix."""

    Q: Any
    R: Any


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


def _complete(a: Any, *, lower: bool) -> Any:
    kept = np.tril(a) if lower else np.triu(a)
    other = np.tril(a, -1) if lower else np.triu(a, 1)
    whole = kept + np.conjugate(np.swapaxes(other, -1, -2))
    if whole.dtype.kind == "c":
        steps = np.arange(a.shape[-1])
        whole[..., steps, steps] = whole[..., steps, steps].real
    return whole


class Hermitian(View):
    """The Hermitian matrix that one triangle of A describes.

    Its cotangent passes as it is, by convention: the argument stands for a Hermitian matrix both of whose triangles
    vary together, and what follows gives a Hermitian cotangent, as PyTorch's eigh and cholesky do.
    """

    private = True  # the convention is no derivative by single elements, so the tests of every op do not apply
    eval = staticmethod(_complete)
    infer = classmethod(lambda cls, a, *, lower: a)
    vjp = (lambda g, y, a, *, lower: g,)

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value, *, lower: bool) -> Value:
        return ts[0]


def from_triangle(op: str, a: Value, uplo: str = "L") -> Value:
    """The Hermitian matrix described by the lower (L) or upper (U) triangle of a."""
    check_square(op, a)
    if not isinstance(uplo, str) or uplo.upper() not in ("L", "U"):
        raise ValueError(f"{op}: UPLO argument must be 'L' or 'U': got {uplo!r}")
    return apply(Hermitian, (a,), {"lower": uplo.upper() == "L"})


def _mean(a: Any) -> Any:
    """(A + Aᴴ)/2, A itself for a Hermitian one: the function of all elements that the rules differentiate."""
    return a / 2 + np.conjugate(np.swapaxes(a, -1, -2)) / 2


def _definite(rng: np.random.Generator, *shape: int) -> Any:
    a = rng.normal(size=shape)
    return a @ np.swapaxes(a, -1, -2) + 2.0 * np.eye(shape[-1])


class Cholesky(Opaque):
    """L lower triangular with A = L Lᴴ.

    Ā = ½ (S + Sᴴ), S = L⁻ᴴ Φ(Lᴴ L̄) L⁻¹, where Φ takes the lower triangle and halves its diagonal: I. Murray,
    "Differentiation of the Cholesky decomposition" (2016), equation 10.
    """

    eval = staticmethod(lambda a: np.linalg.cholesky(_mean(a)))
    infer = classmethod(lambda cls, a: Spec(a.shape, common_dtype(a)))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value) -> tuple[Value]:
        n = shape_of(y)[-1]
        halved = (np.tri(n) - np.eye(n) / 2).astype(real_dtype(dtype_of(y)))
        phi = matmul(adjoint(y), band(g, True)) * halved
        upper = {"lower": False, "unit_diagonal": False}
        right = apply(SolveTriangular, (adjoint(y), adjoint(phi)), upper)  # (Φ L⁻¹)ᴴ
        s = apply(SolveTriangular, (adjoint(y), adjoint(right)), upper)
        return ((s + adjoint(s)) / 2,)

    samples = Samples(
        cases=lambda rng: [
            ((_definite(rng, 3, 3),), {}),
            ((_definite(rng, 2, 2, 2)[::-1],), {}),
            ((_definite(rng, 2, 2) + np.array([[0, 0.5j], [-0.5j, 0]]),), {}),
        ]
    )


def _qr_backward(gq: Value, gr: Value, q: Value, r: Value) -> Value:
    """(Q̄ + Q H) R⁻ᴴ by substitution."""
    n = shape_of(r)[-1]
    x = band(matmul(gr, adjoint(r)) - matmul(adjoint(q), gq), False)
    h = (x + adjoint(x)) * (1 - np.eye(n) / 2).astype(real_dtype(dtype_of(r)))
    whole = gq + matmul(q, h)  # [M, N]
    # whole R⁻ᴴ = (R⁻¹ wholeᴴ)ᴴ
    return adjoint(apply(SolveTriangular, (r, adjoint(whole)), {"lower": False, "unit_diagonal": False}))


class Qr(Opaque):
    """Q, R of a matrix with at least as many rows as columns.  [..., M, N] -> [..., M, N], [..., N, N]

    Ā = (Q̄ + Q H) R⁻ᴴ, H the Hermitian matrix whose upper triangle is that of R̄ Rᴴ - Qᴴ Q̄: S. F. Walter and
    L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum experimental
    design" (2010); M. Seeger et al., "Auto-differentiating linear algebra" (2017).
    """

    outputs = 2
    eval = staticmethod(lambda a: tuple(np.linalg.qr(a)))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        return Spec(a.shape, dtype), Spec((*a.shape[:-2], a.shape[-1], a.shape[-1]), dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        return (_qr_backward(*g, *y),)

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((well_posed(rng, 4, 2),), {}),
            ((well_posed(rng, 2, 3, 2)[::-1],), {}),
        ]
    )


class CompleteQr(Opaque):
    """Q square and R with zeros below, of a matrix with more rows than columns.

    The columns of Q beyond those of the matrix are any basis of the rest of the space, so only the others have a
    derivative: that of Qr.
    """

    outputs = 2
    private = True  # the extra columns have no derivative to test
    eval = staticmethod(lambda a: tuple(np.linalg.qr(a, "complete")))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        return Spec((*a.shape[:-1], a.shape[-2]), dtype), Spec(a.shape, dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        n = shape_of(a)[-1]
        _refuse_extra("qr", "mode='reduced'", g[0][..., n:])
        return (_qr_backward(g[0][..., :n], g[1][..., :n, :], y[0][..., :n], y[1][..., :n, :]),)



def _refuse_extra(op: str, instead: str, *extra: Value) -> None:
    if not all(vanishes(g) for g in extra):
        raise NonDifferentiableError(
            f"{op}: the vectors that complete a basis are not unique and have no derivative; use {instead}"
        )


def inverse_gaps(values: Value) -> Value:
    """1 / (λⱼ - λᵢ) at [i, j], and 0 where the two are equal up to rounding."""
    gaps = view.expand_dims(values, -2) - view.expand_dims(values, -1)
    size = shape_of(values)[-1]
    if size == 0:
        return gaps
    largest = reduction.max(ew.absolute(values), -1, keepdims=True)[..., None]
    equal = ew.absolute(gaps) <= largest * (size * float(np.finfo(dtype_of(values)).eps))
    return logic.where(equal, 0, 1 / logic.where(equal, 1, gaps))


class Eigh(Opaque):
    """λ, V of a Hermitian matrix with A V = V diag(λ).

    Ā = V (diag(λ̄) + S ∘ E) Vᴴ, S the skew-Hermitian part of Vᴴ V̄, E[i, j] = 1/(λⱼ - λᵢ): Giles 3.1, Seeger et al.
    """

    outputs = 2
    eval = staticmethod(lambda a: tuple(np.linalg.eigh(_mean(a))))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        return Spec(a.shape[:-1], real_dtype(dtype)), Spec(a.shape, dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        (gw, gv), (w, v) = g, y
        inner = diag_embed(gw)
        if not vanishes(gv):
            x = matmul(adjoint(v), gv)
            inner = inner + (x - adjoint(x)) / 2 * inverse_gaps(w)
        return (matmul(matmul(v, inner), adjoint(v)),)

    samples = Samples(
        cases=lambda rng: [((_definite(rng, 3, 3),), {}), ((_definite(rng, 2, 2, 2)[::-1],), {})]
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
    v = adjoint(vh)
    inner = diag_embed(gs)
    if vanishes(gu) and vanishes(gvh):
        return matmul(matmul(u, inner), vh)
    rows, k, columns = shape_of(u)[-2], shape_of(s)[-1], shape_of(vh)[-1]
    column, row = view.expand_dims(s, -1), view.expand_dims(s, -2)
    squares = inverse_gaps(s) * logic.ratio(1.0, column + row)  # 1/(sⱼ² - sᵢ²)
    largest = reduction.max(s, -1, keepdims=True) if k else s
    tiny = s <= largest * (k * float(np.finfo(dtype_of(s)).eps))
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

    J. Townsend, "Differentiating the singular value decomposition" (2016); for values alone Ā = U diag(S̄) Vᴴ, Giles 3.2.
    """

    outputs = 3
    eval = staticmethod(lambda a: tuple(np.linalg.svd(a, full_matrices=False)))

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

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        *lead, m, n = a.shape
        return Spec((*lead, m, m), dtype), Spec((*lead, min(m, n)), real_dtype(dtype)), Spec((*lead, n, n), dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        k = min(shape_of(a)[-2:])
        _refuse_extra("svd", "full_matrices=False", g[0][..., k:], g[2][..., k:, :])
        return (_svd_backward(g[0][..., :k], g[1], g[2][..., :k, :], y[0][..., :k], y[1], y[2][..., :k, :]),)


def cholesky(a: Value, /, *, upper: bool = False) -> Value:
    """L with A = L Lᴴ, or U with A = Uᴴ U. Reads one triangle; the gradient is Hermitian.

    Raises ``numpy.linalg.LinAlgError`` if a is not positive definite.
    """
    lower = apply(Cholesky, (from_triangle("cholesky", a, "U" if upper else "L"),))
    return adjoint(lower) if upper else lower


def qr(a: Value, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and R upper triangular, a = Q R.

    Parameters
    ----------
    a : (..., M, N), of full rank where a gradient is wanted
    mode : 'reduced', 'complete' (no derivative of the columns of Q beyond N), or 'r' for R alone
    """
    check_matrix("qr", a)
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr: got mode={mode!r}, expected 'reduced', 'complete' or 'r'")
    rows, columns = shape_of(a)[-2:]
    if rows < columns:  # Q is that of the first square block, and R = Qᴴ A
        q, r = apply(Qr, (a[..., :rows],))
        r = view.concatenate([r, matmul(adjoint(q), a[..., rows:])], len(shape_of(a)) - 1)
    else:
        q, r = apply(CompleteQr if mode == "complete" and rows > columns else Qr, (a,))
    return r if mode == "r" else QRResult(q, r)


def eigh(a: Value, UPLO: str = "L") -> EighResult:  # noqa: N803
    """Eigenvalues, ascending, and orthonormal eigenvectors of a Hermitian matrix, of which one triangle is read.

    The gradient is Hermitian: both triangles of a vary together. Equal eigenvalues are allowed as long as the result
    does not depend on which of their eigenvectors are taken.
    """
    return EighResult(*apply(Eigh, (from_triangle("eigh", a, UPLO),)))


def eigvalsh(a: Value, UPLO: str = "L") -> Value:  # noqa: N803
    """Eigenvalues of a Hermitian matrix, ascending and real."""
    return apply(Eigh, (from_triangle("eigvalsh", a, UPLO),))[0]


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

