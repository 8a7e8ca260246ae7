"""Polynomials, given by their coefficients from the highest power down."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import finfo, is_inexact, result_type
from ..graph.node import Value, value_of
from ..ops import contraction, linalg, logic, view
from ..ops import elementwise as ew
from ..ops import reduction as red
from .arguments import array_of, numbers
from .grids import vander
from .products import convolve

__all__ = ["polyval", "polyadd", "polysub", "polymul", "polyder", "polyint", "polyfit", "poly"]


def polyval(p: Any, x: Any) -> Any:
    """A polynomial with coefficients ``p``, the highest power first, at x, by Horner's rule."""
    coefficients, at = array_of(p), array_of(x)
    result: Value = np.zeros((), result_type(coefficients.dtype, at.dtype))
    for i in range(coefficients.shape[0]):
        result = result * at + coefficients[i]
    return view.broadcast_to(as_array(result), np.broadcast_shapes(at.shape, coefficients.shape[1:]))


def polyadd(a1: Any, a2: Any) -> Any:
    """Sum of two polynomials."""
    a, b = _aligned(a1, a2)
    return a + b


def polysub(a1: Any, a2: Any) -> Any:
    """Difference of two polynomials."""
    a, b = _aligned(a1, a2)
    return a - b


def _aligned(a1: Any, a2: Any) -> tuple[Value, Value]:
    a, b = (view.reshape(array_of(p), (-1,)) for p in (a1, a2))
    size = max(a.size, b.size)
    return view.pad(a, [(size - a.size, 0)]), view.pad(b, [(size - b.size, 0)])


def polymul(a1: Any, a2: Any) -> Any:
    """Product of two polynomials."""
    return convolve(a1, a2)


def polyder(p: Any, m: int = 1) -> Any:
    """Derivative of a polynomial, taken m times."""
    x = array_of(p)
    for _ in range(m):
        x = x[:-1] * np.arange(x.shape[0] - 1, 0, -1)
    return x


def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Integral of a polynomial, taken m times, with the constants ``k``, 0 by default."""
    if m < 0:
        raise ValueError(f"polyint: order of integral must be non-negative: got {m}; use polyder to differentiate")
    x, constants = array_of(p), view.reshape(array_of(0.0 if k is None else k), (-1,))
    if constants.size == 1:
        constants = view.broadcast_to(constants, (m,))
    if constants.size < m:
        raise ValueError(f"polyint: k must be one constant or m = {m} of them: got {constants.size}")
    for i in range(m):
        x = view.concatenate([x / np.arange(x.shape[0], 0, -1), constants[i : i + 1]], 0)
    return x


def polyfit(
    x: Any, y: Any, deg: Any, rcond: float | None = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Coefficients of the polynomial of degree ``deg`` nearest to the points (x, y) by least squares.

    Parameters
    ----------
    x : (N,), where the points lie
    y : (N,) or (N, K), the values there
    rcond : singular values at most this times the largest count as 0; N · eps by default
    full : give residuals, rank, singular values and rcond as well
    w : (N,), weights of the points, multiplied on the residuals before squaring
    cov : give the covariance matrix of the coefficients as well; ``"unscaled"`` takes the weights as exact

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.grad(lambda y: gg.numpy.polyfit([0.0, 1.0, 2.0], y, 1)[0])(gg.numpy.array([1.0, 3.0, 4.0])).round(6)
    Array([-0.5,  0. ,  0.5])
    """
    degree, at, values = int(deg), array_of(x), array_of(y)
    if degree < 0:
        raise ValueError(f"polyfit: expected deg >= 0: got {deg}")
    if at.ndim != 1 or not at.size or values.ndim not in (1, 2) or values.shape[0] != at.shape[0]:
        raise TypeError(
            f"polyfit: expected x of shape (N,) and y of shape (N,) or (N, K): got {at.shape} and {values.shape}"
        )
    at = at if is_inexact(at.dtype) else logic.astype(at, float)
    cut = len(at) * float(finfo(at.dtype).eps) if rcond is None else rcond
    powers = vander(at, degree + 1)
    if w is not None:
        weights = array_of(w)
        if weights.shape != at.shape:
            raise TypeError(f"polyfit: expected a weight for each of {len(at)} points: got shape {weights.shape}")
        powers, values = powers * weights[:, None], values * view.reshape(weights, (-1,) + (1,) * (values.ndim - 1))
    scale = ew.sqrt(ew.real(red.sum(powers * ew.conj(powers), 0)))
    solution, residuals, rank, singular = linalg.lstsq(powers / scale, values, cut)
    found = as_array(solution / view.reshape(scale, (-1,) + (1,) * (values.ndim - 1)))
    known = value_of(rank)
    if not full and known is not None and known < degree + 1:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if full:
        return found, as_array(residuals), as_array(rank), as_array(singular), cut
    return (found, _covariance(powers / scale, scale, residuals, values, cov)) if cov else found


def _covariance(powers: Value, scale: Value, residuals: Value, values: Value, cov: Any) -> Value:
    """(VᵀV)⁻¹, unscaled or times the variance of the residuals.  [D, D], or [D, D, K] for K sets of values"""
    rows, columns = powers.shape
    base = linalg.inv(contraction.matmul(powers.T, powers)) / contraction.outer(scale, scale)
    if cov == "unscaled":
        return base if values.ndim == 1 else base[:, :, None]
    if rows <= columns:
        raise ValueError(f"polyfit: {rows} points are too few to scale the covariance of {columns} coefficients by")
    variance = residuals / (rows - columns)
    return base * variance if values.ndim == 1 else base[:, :, None] * variance


def poly(seq_of_zeros: Any) -> Any:
    """Coefficients of the polynomial with these zeros, or of a matrix's characteristic polynomial."""
    zeros = array_of(seq_of_zeros)
    if not zeros.size:
        return as_array(np.float64(1))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1]:
        zeros = linalg.eigvals(zeros)
    elif zeros.ndim > 1:
        raise ValueError(f"poly: expected one axis, or a square matrix: got shape {zeros.shape}")
    zeros = view.reshape(zeros, (-1,))
    zeros = zeros if is_inexact(zeros.dtype) else logic.astype(zeros, float)
    result: Value = as_array(np.ones(1, zeros.dtype))
    for i in range(zeros.shape[0]):
        result = view.pad(result, [(0, 1)]) - zeros[i] * view.pad(result, [(1, 0)])
    if zeros.dtype.kind == "c":
        roots = numbers("poly", zeros)  # zeros in conjugate pairs have real coefficients
        if np.all(np.sort(roots) == np.sort(roots.conj())):
            return ew.real(result)
    return result
