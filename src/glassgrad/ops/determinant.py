"""Determinants and their logarithms, with gradients that are right for singular matrices too."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype_of, finfo, real_dtype
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of, value_of
from ..graph.primitive import Opaque, Samples
from . import elementwise as ew
from . import logic, reduction, view
from .contraction import matmul
from .indexing import diag_embed, diagonal
from .solve import adjoint, check_square, common_dtype, inv, well_posed
from .spectrum import svd


class SlogdetResult(NamedTuple):
    """Sign, or phase for a complex matrix, and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


def _adjugate(a: Any) -> Any:
    u, s, vh = np.linalg.svd(a)
    phase = np.linalg.det(u) * np.linalg.det(vh)
    n = s.shape[-1]
    others = np.prod(np.where(np.eye(n, dtype=bool), 1, s[..., None, :]), axis=-1)  # Π_{k ≠ i} sₖ
    scaled = np.conjugate(np.swapaxes(vh, -1, -2)) * others[..., None, :]
    return (phase[..., None, None] * (scaled @ np.conjugate(np.swapaxes(u, -1, -2)))).astype(u.dtype)


class Adjugate(Opaque):
    """adj A = det(A) A⁻¹, continued to singular matrices: the transposed cofactors.

    With A = U S Vᴴ, adj A = det(U Vᴴ) V adj(S) Uᴴ, and the adjugate of S + E is, to first order in E,
    -P[i, j] E[i, j] off the diagonal and Π_{k≠i} sₖ + Σⱼ P[i, j] E[j, j] on it, where P[i, j] is the product of all
    singular values but sᵢ and sⱼ. Nothing is divided by, so the rank does not matter.
    """

    eval = staticmethod(_adjugate)
    batch = (2,)
    infer = classmethod(lambda cls, a: Spec(a.shape, common_dtype(a)))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value) -> tuple[Value]:
        u, s, vh = svd(a)
        n = shape_of(s)[-1]
        phase = (det(u) * det(vh))[..., None, None]
        same = np.eye(n, dtype=bool)
        pairs = logic.where(same, 0, _products_of_others(logic.where(same, 1, view.expand_dims(s, -2))))
        inner = matmul(matmul(vh, ew.conj(phase) * g), u)
        crossed = matmul(pairs, view.expand_dims(diagonal(inner, 0, -2, -1), -1))[..., 0]
        return (matmul(matmul(u, diag_embed(crossed) - pairs * inner), vh),)

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]]),), {}),
            ((rng.normal(size=(2, 2, 2)) + 1j,), {}),
        ]
    )


def _products_of_others(x: Value) -> Value:
    """Along the last axis, the product of all the other elements, without dividing."""
    first = np.ones((*shape_of(x)[:-1], 1), dtype_of(x))
    before = reduction.cumprod(view.concatenate([first, x[..., :-1]], len(shape_of(x)) - 1), -1)
    after = reduction.cumprod(view.concatenate([first, view.flip(x, -1)[..., :-1]], len(shape_of(x)) - 1), -1)
    return before * view.flip(after, -1)


def _cofactors(y: Value, a: Value) -> Value:
    """det(A) A⁻ᵀ, conjugated: from the inverse, which can be differentiated again and again, while that is accurate."""
    value = value_of(a)
    if value is not None:
        try:
            inverse = inv(a)
        except np.linalg.LinAlgError:
            pass
        else:
            sizes = [np.max(np.sum(np.abs(m), -2), -1, initial=0) for m in (value, value_of(inverse))]
            if np.all(sizes[0] * sizes[1] < 0.1 / math.sqrt(finfo(value_of(inverse).dtype).eps)):
                return adjoint(y[..., None, None] * inverse)
    return adjoint(apply(Adjugate, (a,)))


class Det(Opaque):
    """y = det A.  Ā = ȳ conj(adj A)ᵀ, Jacobi's formula; Giles 2.2.4 for matrices that have an inverse."""

    eval = np.linalg.det
    batch = (2,)
    infer = classmethod(lambda cls, a: Spec(a.shape[:-2], common_dtype(a)))
    vjp = (lambda g, y, a: g[..., None, None] * _cofactors(y, a),)
    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]]),), {}),  # singular
            ((well_posed(rng, 2, 2, 2)[::-1] + 1j,), {}),
            ((rng.normal(size=(1, 1)),), {}),
        ]
    )


class Slogdet(Opaque):
    """s, l with det A = s eˡ, |s| = 1.  Ā = (l̄ + i Im(s̄ conj s)) A⁻ᴴ, since d ln det A = tr(A⁻¹ dA)."""

    outputs = 2
    eval = staticmethod(lambda a: tuple(np.linalg.slogdet(a)))
    batch = (2,)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        lead, dtype = specs[0].shape[:-2], common_dtype(*specs)
        return Spec(lead, dtype), Spec(lead, real_dtype(dtype))

    @staticmethod
    def vjp(g: Any, y: Any, a: Value) -> tuple[Value]:
        turn, stretch = g
        weight = stretch + 1j * ew.imag(turn * ew.conj(y[0])) if logic.is_complex(a) else stretch
        return (weight[..., None, None] * adjoint(inv(a)),)

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((-well_posed(rng, 2, 3, 3),), {}),
            ((well_posed(rng, 2, 2) + 1j * rng.normal(size=(2, 2)),), {}),
        ]
    )


def det(a: Value) -> Value:
    """The determinant of each matrix.  [..., M, M] -> [...]  Its gradient is right for singular matrices too."""
    check_square("det", a)
    return apply(Det, (a,))


def slogdet(a: Value) -> SlogdetResult:
    """Sign and ln |det a|, where the determinant itself would overflow."""
    check_square("slogdet", a)
    return SlogdetResult(*apply(Slogdet, (a,)))
