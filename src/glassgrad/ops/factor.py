"""Factorisations into triangles: Cholesky and QR; and Hermitian matrices given by one triangle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype_of, real_dtype
from ..errors import NonDifferentiableError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Opaque, Samples, View
from . import view
from .contraction import matmul
from .solve import SolveTriangular, adjoint, band, check_matrix, check_square, common_dtype, vanishes, well_posed


class QRResult(NamedTuple):
    """Orthonormal columns and a triangle with Q @ R equal to the matrix."""

    Q: Any
    R: Any


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

    By convention the argument stands for a Hermitian matrix both of whose triangles vary together, so its cotangent is
    Hermitian, as in PyTorch's eigh and cholesky.
    """

    private = True  # the convention is no derivative by single elements, so the tests of every op do not apply
    eval = staticmethod(_complete)
    batch = (2,)
    infer = classmethod(lambda cls, a, *, lower: a)
    vjp = (lambda g, y, a, *, lower: (g + adjoint(g)) / 2,)

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value, *, lower: bool) -> Value:
        return (ts[0] + adjoint(ts[0])) / 2


def from_triangle(op: str, a: Value, uplo: str = "L") -> Value:
    """The Hermitian matrix described by the lower (L) or upper (U) triangle of a."""
    check_square(op, a)
    if not isinstance(uplo, str) or uplo.upper() not in ("L", "U"):
        raise ValueError(f"{op}: UPLO argument must be 'L' or 'U': got {uplo!r}")
    return apply(Hermitian, (a,), {"lower": uplo.upper() == "L"})


def mean_with_adjoint(a: Any) -> Any:
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

    eval = staticmethod(lambda a: np.linalg.cholesky(mean_with_adjoint(a)))
    batch = (2,)
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
    batch = (2,)

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
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (a,), dtype = specs, common_dtype(*specs)
        return Spec((*a.shape[:-1], a.shape[-2]), dtype), Spec(a.shape, dtype)

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        n = shape_of(a)[-1]
        refuse_extra("qr", "mode='reduced'", g[0][..., n:])
        return (_qr_backward(g[0][..., :n], g[1][..., :n, :], y[0][..., :n], y[1][..., :n, :]),)


def refuse_extra(op: str, instead: str, *extra: Value) -> None:
    if not all(vanishes(g) for g in extra):
        raise NonDifferentiableError(
            f"{op}: the vectors that complete a basis are not unique and have no derivative; use {instead}"
        )


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
