"""Matrix equations: inverse, solve, triangular solve; and the few matrix words every factorisation uses.

Formulas: M. B. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation"
(2008), sections 2.2.3 and 2.3.1, with conjugate transposes for complex matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import floating_dtype
from ..errors import MissingExtraError, ShapeError
from ..graph.apply import apply
from ..graph.node import Node, Spec, Value, shape_of
from ..graph.origin import here
from ..graph.primitive import Opaque, Samples
from ..lazy import scipy_function
from . import elementwise as ew
from . import logic, view
from .contraction import matmul


def adjoint(a: Value) -> Value:
    """Aᴴ, the conjugate transpose of the last two axes."""
    return ew.conj(view.matrix_transpose(a))


def band(a: Value, lower: bool, offset: int = 0) -> Value:
    """The lower or upper triangle of the last two axes, from the diagonal ``offset`` outwards; zeros elsewhere."""
    rows, columns = shape_of(a)[-2:]
    inside = np.tri(rows, columns, offset, bool) if lower else ~np.tri(rows, columns, offset - 1, bool)
    return logic.where(inside, a, 0)


def check_matrix(op: str, a: Value) -> None:
    """Raise ShapeError unless a has the two axes of a matrix."""
    shape = shape_of(a)
    if len(shape) < 2:
        raise ShapeError(
            f"{op}: needs a matrix or a stack of them: got shape {shape}, expected (..., M, N) at {here(2)}; "
            f"reshape a vector with x[:, None]"
        )


def check_square(op: str, a: Value) -> None:
    """Raise ShapeError unless the last two axes of a are of one size."""
    check_matrix(op, a)
    shape = shape_of(a)
    if shape[-1] != shape[-2]:
        raise ShapeError(
            f"{op}: matrices must be square: got shape {shape}, expected (..., M, M) at {here(2)}; use pinv, lstsq, qr "
            f"or svd for a rectangular matrix"
        )


def common_dtype(*specs: Any) -> np.dtype[Any]:
    """The dtype NumPy's linear algebra computes in."""
    return np.result_type(np.float32, *(floating_dtype(s.dtype) for s in specs))


def vanishes(g: Value) -> bool:
    """Whether a cotangent is zero and stays zero: nothing used this output, so its part of a rule is skipped."""
    if isinstance(g, Node):
        return not g.tracked and g.value is not None and not np.any(g.value)
    return not np.any(g)


def well_posed(rng: np.random.Generator, *shape: int) -> Any:
    """A random matrix far from singular, for samples."""
    return rng.normal(size=shape) + 3.0 * np.eye(shape[-2], shape[-1])


class Inv(Opaque):
    """Y = A⁻¹.  dY = -Y dA Y, Ā = -Yᴴ Ȳ Yᴴ  (Giles 2.2.3)"""

    eval = np.linalg.inv
    batch = (2,)
    infer = classmethod(lambda cls, a: Spec(a.shape, common_dtype(a)))
    vjp = (lambda g, y, a: -matmul(matmul(adjoint(y), g), adjoint(y)),)

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value) -> Value:
        return -matmul(matmul(y, ts[0]), y)

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3),), {}),
            ((well_posed(rng, 2, 2, 2)[::-1],), {}),
            ((well_posed(rng, 2, 2) + 1j * rng.normal(size=(2, 2)),), {}),
            ((np.zeros((0, 2, 2)),), {}),
        ]
    )


def _solved(a: Any, b: Any) -> Spec:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return Spec((*lead, *b.shape[-2:]), common_dtype(a, b))


def _solve(a: Any, b: Any) -> Any:
    """NumPy's solve, which factorises one matrix for a stack of right sides once for each of them; this does once."""
    if a.ndim > 2 or b.ndim < 3 or not b.size:
        return np.linalg.solve(a, b)
    rows = np.moveaxis(b, -2, 0)
    return np.moveaxis(np.linalg.solve(a, rows.reshape(len(rows), -1)).reshape(rows.shape), 0, -2)


class Solve(Opaque):
    """X with A X = B.  B̄ = A⁻ᴴ X̄, Ā = -B̄ Xᴴ  (Giles 2.3.1).  [..., M, M], [..., M, K] -> [..., M, K]"""

    eval = staticmethod(_solve)
    batch = (2, 2)
    infer = classmethod(lambda cls, a, b: _solved(a, b))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value, b: Value) -> tuple[Value, Value]:
        back = apply(Solve, (adjoint(a), g))
        return -matmul(back, adjoint(y)), back

    @staticmethod
    def jvp(ts: Any, y: Value, a: Value, b: Value) -> Value:
        moved = 0 if ts[1] is None else ts[1]
        return apply(Solve, (a, moved if ts[0] is None else moved - matmul(ts[0], y)))

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3), rng.normal(size=(3, 2))), {}),
            ((well_posed(rng, 2, 1, 2, 2), rng.normal(size=(3, 2, 1))), {}),
            ((well_posed(rng, 2, 2) + 1j * rng.normal(size=(2, 2)), rng.normal(size=(2, 2))), {}),
            ((well_posed(rng, 2, 2), rng.normal(size=(2, 0))), {}),
        ]
    )


def _substitute(a: Any, b: Any, *, lower: bool, unit_diagonal: bool) -> Any:
    """Substitution by LAPACK through SciPy where it is there; else a general solve of the triangle."""
    if a.ndim == b.ndim == 2 and b.size:
        try:
            substitute = scipy_function("linalg", "solve_triangular")
        except MissingExtraError:
            pass
        else:
            return substitute(a, b, lower=lower, unit_diagonal=unit_diagonal, check_finite=False)
    triangle = np.tril(a) if lower else np.triu(a)
    if unit_diagonal:
        steps = np.arange(a.shape[-1])
        triangle[..., steps, steps] = 1
    return np.linalg.solve(triangle, b)


class SolveTriangular(Opaque):
    """X with T X = B, T one triangle of A.  B̄ = T⁻ᴴ X̄, Ā = the same triangle of -B̄ Xᴴ  (Giles 2.3.1)."""

    eval = staticmethod(_substitute)
    batch = (2, 2)
    infer = classmethod(lambda cls, a, b, **params: _solved(a, b))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value, b: Value, *, lower: bool, unit_diagonal: bool) -> tuple[Value, Value]:
        flipped = {"lower": not lower, "unit_diagonal": unit_diagonal}
        back = apply(SolveTriangular, (adjoint(a), g), flipped)
        offset = (-1 if lower else 1) if unit_diagonal else 0
        return band(-matmul(back, adjoint(y)), lower, offset), back

    samples = Samples(
        cases=lambda rng: [
            ((well_posed(rng, 3, 3), rng.normal(size=(3, 2))), {"lower": True, "unit_diagonal": False}),
            ((well_posed(rng, 3, 3), rng.normal(size=(3, 2))), {"lower": False, "unit_diagonal": True}),
            ((well_posed(rng, 2, 2, 2), rng.normal(size=(2, 1))), {"lower": True, "unit_diagonal": True}),
            (
                (well_posed(rng, 2, 2) + 1j * rng.normal(size=(2, 2)), rng.normal(size=(2, 1)) + 1j),
                {"lower": False, "unit_diagonal": False},
            ),
        ]
    )


def inv(a: Value) -> Value:
    """The inverse of a square matrix, or of each of a stack.  [..., M, M] -> [..., M, M]

    Raises ShapeError for a matrix that is not square, ``numpy.linalg.LinAlgError`` for a singular one.
    """
    check_square("inv", a)
    return apply(Inv, (a,))


def _rows_agree(op: str, a: Value, b: Value) -> None:
    check_square(op, a)
    left, right = shape_of(a), shape_of(b)
    rows = right[-2] if len(right) > 1 else right[0] if right else None
    if rows != left[-1]:
        raise ShapeError(
            f"{op}: right side does not fit the matrix: got a {left} and b {right}, expected b ({left[-1]},) or "
            f"(..., {left[-1]}, K) at {here(3)}; for a stack of vectors solve with b[..., None]"
        )
    try:
        np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        raise ShapeError(
            f"{op}: stacks do not broadcast: got a {left} and b {right}, expected equal leading sizes or 1 at {here(3)}"
        ) from None


def solve(a: Value, b: Value) -> Value:
    """x with a x = b.  By NumPy's rule b is a vector only if it has one axis, else a stack of matrices.

    Raises ShapeError where the sizes differ, ``numpy.linalg.LinAlgError`` for a singular matrix.
    """
    _rows_agree("solve", a, b)
    if len(shape_of(b)) == 1:
        return apply(Solve, (a, view.expand_dims(b, -1)))[..., 0]
    return apply(Solve, (a, b))


def solve_triangular(
    a: Value, b: Value, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False
) -> Value:
    """x with op(T) x = b, where T is one triangle of a; the other is never read.

    Parameters
    ----------
    a : (..., M, M)
    b : (M,) or (..., M, K)
    trans : 0 or 'N' for T x = b, 1 or 'T' for Tᵀ x = b, 2 or 'C' for Tᴴ x = b
    lower : whether T is the lower triangle
    unit_diagonal : whether to take the diagonal of T as 1 without reading it
    """
    _rows_agree("solve_triangular", a, b)
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ValueError(f"solve_triangular: got trans={trans!r}, expected 0, 1, 2, 'N', 'T' or 'C'")
    if trans not in (0, "N"):
        a, lower = (adjoint(a) if trans in (2, "C") else view.matrix_transpose(a)), not lower
    params = {"lower": bool(lower), "unit_diagonal": bool(unit_diagonal)}
    if len(shape_of(b)) == 1:
        return apply(SolveTriangular, (a, view.expand_dims(b, -1)), params)[..., 0]
    return apply(SolveTriangular, (a, b), params)
