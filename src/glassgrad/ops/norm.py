"""Norms of vectors and matrices of every order, and condition numbers: composites.

Where a norm has a kink its derivative is the smallest subgradient: 0 at the origin, shared by elements that tie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import dtype_of, is_inexact
from ..errors import ShapeError
from ..graph.node import Value, shape_of, value_of
from ..graph.origin import here
from . import elementwise as ew
from . import logic, reduction, view
from .composite import safe_sqrt
from .control import stop_gradient
from .reduction import Axis, normalize
from .solve import check_square, inv
from .spectrum import svdvals


def _floating(x: Value) -> Value:
    return x if is_inexact(dtype_of(x)) else logic.astype(x, np.float64)


def _length(x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """√ Σ |x|², the Euclidean and the Frobenius norm."""
    return safe_sqrt(reduction.sum(ew.real(x * ew.conj(x)), axis, keepdims))


def _power_sum(x: Value, p: float, axis: tuple[int, ...], keepdims: bool) -> Value:
    """(Σ |x|ᵖ)^(1/p), not differentiated at elements and sums that are 0."""
    size = ew.absolute(x)
    zero = size == 0
    with np.errstate(divide="ignore"):
        at_zero = float(np.float64(0.0) ** p)
    total = reduction.sum(logic.where(zero, at_zero, logic.where(zero, 1, size) ** p), axis, keepdims)
    flat = (total == 0) | logic.isinf(total)
    with np.errstate(divide="ignore"):
        return logic.where(flat, stop_gradient(total) ** (1 / p), logic.where(flat, 1, total) ** (1 / p))


def _along(x: Value, order: Any, axis: tuple[int, ...], keepdims: bool) -> Value:
    """The vector norm of an order over these axes."""
    if order is None or order == 2:
        return _length(x, axis, keepdims)
    if order == np.inf:
        return reduction.max(ew.absolute(x), axis, keepdims)
    if order == -np.inf:
        return reduction.min(ew.absolute(x), axis, keepdims)
    if order == 0:
        size = ew.absolute(x)
        return reduction.sum(logic.astype(size != 0, dtype_of(size)), axis, keepdims)
    if order == 1:
        return reduction.sum(ew.absolute(x), axis, keepdims)
    if not isinstance(order, (int, float, np.integer, np.floating)):
        raise ValueError(f"norm: got ord={order!r}, expected a number, inf, -inf or None for vectors")
    return _power_sum(x, float(order), axis, keepdims)


def _nuclear(s: Value) -> Value:
    # A singular value is an absolute value: its derivative is 0 where it is 0.
    return reduction.sum(logic.where(s == 0, 0, s), -1)


_OF_SINGULAR_VALUES: dict[Any, Callable[[Value], Value]] = {
    "nuc": _nuclear,
    2: lambda s: reduction.max(logic.where(s == 0, 0, s), -1),
    -2: lambda s: reduction.min(logic.where(s == 0, 0, s), -1),
}
_OF_SUMS: dict[Any, tuple[int, Callable[..., Value]]] = {
    1: (-2, reduction.max),
    -1: (-2, reduction.min),
    np.inf: (-1, reduction.max),
    -np.inf: (-1, reduction.min),
}


def _matrix(x: Value, order: Any, axis: tuple[int, int], keepdims: bool) -> Value:
    """The matrix norm of an order, rows along axis[0] and columns along axis[1]."""
    ndim = len(shape_of(x))
    row, column = np.lib.array_utils.normalize_axis_tuple(axis, ndim)
    if order in (None, "fro", "f"):
        return _length(x, (row, column), keepdims)
    moved = view.moveaxis(x, (row, column), (-2, -1))
    if order in _OF_SINGULAR_VALUES:
        result = _OF_SINGULAR_VALUES[order](svdvals(moved))
    elif order in _OF_SUMS:
        summed, fold = _OF_SUMS[order]
        result = fold(reduction.sum(ew.absolute(moved), summed), -1)
    else:
        raise ValueError(f"norm: got ord={order!r}, expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf for matrices")
    if keepdims:
        result = view.reshape(result, tuple(1 if i in (row, column) else n for i, n in enumerate(shape_of(x))))
    return result


def norm(x: Value, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Value:
    """A norm of vectors or matrices, as ``numpy.linalg.norm``.

    Parameters
    ----------
    x : any shape
    ord : for vectors any number, inf or -inf; for matrices 'fro', 'nuc', 1, -1, 2, -2, inf, -inf; None for the square
        root of the sum of squares
    axis : one axis for vectors, two for matrices; by default all of x as one vector or, with an ``ord``, as its
        number of axes says
    """
    x = _floating(x)
    ndim = len(shape_of(x))
    axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    if axis is None and ord is None:
        return _along(x, None, axes, keepdims)
    if len(axes) == 1:
        return _along(x, ord, normalize(axes, ndim), keepdims)
    if len(axes) == 2:
        return _matrix(x, ord, (axes[0], axes[1]), keepdims)
    raise ShapeError(
        f"norm: a norm of order {ord!r} is defined over one axis or two: got {len(axes)} of shape {shape_of(x)} at "
        f"{here(2)}; choose with axis=, or flatten with x.ravel()"
    )


def vector_norm(x: Value, /, *, axis: Axis = None, keepdims: bool = False, ord: Any = 2) -> Value:
    """The vector norm of any order over the axes taken as one, all by default."""
    x = _floating(x)
    return _along(x, ord, normalize(axis, len(shape_of(x))), keepdims)


def matrix_norm(x: Value, /, *, keepdims: bool = False, ord: Any = "fro") -> Value:
    """The matrix norm of each matrix in the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: Value, p: Any = None) -> Value:
    """The condition number |x| |x⁻¹| in a norm, by default the ratio of the largest to the smallest singular value.

    A singular matrix has condition number inf, without derivative.
    """
    x = _floating(x)
    value = value_of(x)
    singular: Any = False
    if value is not None:
        with np.errstate(all="ignore"):
            singular = np.isinf(np.linalg.cond(value, p))
        if np.any(singular):
            x = logic.where(singular[..., None, None], np.eye(*shape_of(x)[-2:], dtype=dtype_of(x)), x)
    if p in (None, 2, -2):
        s = svdvals(x)
        ratio = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    else:
        check_square("cond", x)
        ratio = norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))
    return logic.where(singular, np.inf, ratio) if np.any(singular) else ratio
