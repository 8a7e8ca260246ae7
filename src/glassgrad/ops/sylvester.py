"""Sylvester's equation, and the square root of a matrix, whose derivative it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import complex_dtype
from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Opaque, Samples
from ..lazy import scipy_function
from .contraction import matmul
from .solve import adjoint, check_square, common_dtype, well_posed


def _each(name: str, *matrices: Any, dtype: Any) -> Any:
    """SciPy's function of each matrix of stacks of one length."""
    function = scipy_function("linalg", name)
    lead = np.broadcast_shapes(*(m.shape[:-2] for m in matrices))
    stacks = [np.broadcast_to(m, (*lead, *m.shape[-2:])) for m in matrices]
    result = np.empty((*lead, *stacks[-1].shape[-2:]), dtype)
    for i in np.ndindex(*lead):
        result[i] = function(*(s[i] for s in stacks))
    return result


class Sylvester(Opaque):
    """X with A X + X B = Q.  Q̄ solves Aᴴ Q̄ + Q̄ Bᴴ = X̄, Ā = -Q̄ Xᴴ, B̄ = -Xᴴ Q̄.  [M, M], [N, N], [M, N] -> [M, N]

    From dA X + A dX + dX B + X dB = dQ.
    """

    eval = staticmethod(lambda a, b, q: _each("solve_sylvester", a, b, q, dtype=common_dtype(a, b, q)))
    batch = (2, 2, 2)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        lead = np.broadcast_shapes(*(s.shape[:-2] for s in specs))
        return Spec((*lead, *specs[2].shape[-2:]), common_dtype(*specs))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value, b: Value, q: Value) -> tuple[Value, Value, Value]:
        back = apply(Sylvester, (adjoint(a), adjoint(b), g))
        return -matmul(back, adjoint(y)), -matmul(adjoint(y), back), back

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value, b: Value, q: Value) -> Value:
        moved = 0 if ts[2] is None else ts[2]
        if ts[0] is not None:
            moved = moved - matmul(ts[0], y)
        return apply(Sylvester, (a, b, moved if ts[1] is None else moved - matmul(y, ts[1])))

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3), well_posed(rng, 2, 2), rng.normal(size=(3, 2))), {}),
            ((well_posed(rng, 2, 2, 2), well_posed(rng, 2, 2) + 1j, rng.normal(size=(2, 2))), {}),
        ]
    )


class Sqrtm(Opaque):
    """S with S S = A, the principal root.  Ā solves Sᴴ Ā + Ā Sᴴ = S̄

    From S dS + dS S = dA.
    """

    eval = staticmethod(lambda a: _each("sqrtm", a, dtype=complex_dtype(common_dtype(a))))
    batch = (2,)
    infer = classmethod(lambda cls, a: Spec(a.shape, complex_dtype(common_dtype(a))))
    vjp = (lambda g, y, a: apply(Sylvester, (adjoint(y), adjoint(y), g)),)

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value) -> Value:
        return apply(Sylvester, (y, y, ts[0]))

    samples = Samples(
        cases=lambda rng: [((well_posed(rng, 3, 3),), {}), ((well_posed(rng, 2, 2, 2) + 1j * rng.normal(size=2),), {})]
    )


def solve_sylvester(a: Value, b: Value, q: Value) -> Value:
    """X with A X + X B = Q, as ``scipy.linalg.solve_sylvester``.

    Parameters
    ----------
    a : (..., M, M)
    b : (..., N, N); no eigenvalue of ``a`` may be the negative of one of ``b``
    q : (..., M, N)
    """
    check_square("solve_sylvester", a)
    check_square("solve_sylvester", b)
    if shape_of(q)[-2:] != (shape_of(a)[-1], shape_of(b)[-1]):
        raise ShapeError(
            f"solve_sylvester: q does not fit: got {shape_of(q)}, expected (..., {shape_of(a)[-1]}, {shape_of(b)[-1]})"
        )
    return apply(Sylvester, (a, b, q))


def sqrtm(a: Value) -> Value:
    """The principal square root of a matrix, always of a complex dtype.  [..., M, M] -> [..., M, M]"""
    check_square("sqrtm", a)
    return apply(Sqrtm, (a,))
