"""Products of arrays, and statistics made of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import result_type
from ..errors import ShapeError
from ..graph.node import Node, Value
from ..ops import contraction, logic, view
from ..ops import convolve as sequences
from ..ops import elementwise as ew
from ..ops import reduction as red
from .arguments import array_of, cast, no_out
from .averaging import mean

__all__ = [
    "dot", "vdot", "inner", "outer", "kron", "tensordot", "einsum", "einsum_path", "cross", "average", "cov",
    "corrcoef", "convolve", "correlate",
]  # fmt: skip


def dot(a: Any, b: Any, out: None = None) -> Any:
    """Scalars multiply; otherwise the last axis of a is contracted with the second-to-last of b."""
    no_out("dot", out)
    return contraction.dot(array_of(a), array_of(b))


def vdot(a: Any, b: Any, /) -> Any:
    """Σ conj(a) b over the flattened arrays."""
    return contraction.vdot(array_of(a), array_of(b))


def inner(a: Any, b: Any, /) -> Any:
    """Sum of products over the last axes of both."""
    return contraction.inner(array_of(a), array_of(b))


def outer(a: Any, b: Any, out: None = None) -> Any:
    """All products of an element of a with one of b.  [M], [N] -> [M, N]"""
    no_out("outer", out)
    return contraction.outer(array_of(a), array_of(b))


def kron(a: Any, b: Any) -> Any:
    """Kronecker product: each element of a times the whole of b."""
    return contraction.kron(array_of(a), array_of(b))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over the last ``axes`` axes of a and the first of b, or over the listed pairs."""
    return contraction.tensordot(array_of(a), array_of(b), axes)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(*operands: Any, out: None = None, optimize: Any = False, dtype: Any = None, **kwargs: Any) -> Any:
    """Sum of products by index letters.

    Parameters
    ----------
    operands : subscripts such as ``"ij,jk->ik"`` and the arrays; or arrays and lists of axis numbers in turn,
        ``einsum(a, [0, 1], b, [1, 2], [0, 2])``

    Examples
    --------
    >>> import glassgrad as gg
    >>> gg.numpy.einsum("ij,j->i", [[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0])
    Array([3., 7.])
    """
    no_out("einsum", out)
    if isinstance(operands[0], str):
        subscripts, arrays = operands[0], operands[1:]
    else:
        pairs = list(zip(operands[0::2], operands[1::2], strict=False))
        arrays = tuple(a for a, _ in pairs)
        subscripts = ",".join(_spelled(axes) for _, axes in pairs)
        if len(operands) % 2:
            subscripts += "->" + _spelled(operands[-1])
    return contraction.einsum(subscripts, *(cast(array_of(a), dtype) for a in arrays))


def _spelled(axes: Any) -> str:
    return "".join("..." if axis is Ellipsis else _LETTERS[axis] for axis in axes)


def einsum_path(*operands: Any, optimize: Any = "greedy", **kwargs: Any) -> Any:
    """NumPy's order of contraction for these shapes."""
    plain = [np.empty(x.shape, x.dtype) if isinstance(x, Node) else x for x in operands]
    return np.einsum_path(*plain, optimize=optimize)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The vector at right angles to two vectors of three elements."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = view.moveaxis(array_of(a), axisa, -1), view.moveaxis(array_of(b), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError(f"cross: vectors have three elements: got {x.shape} and {y.shape}; append a 0 to plane ones")
    following, last = np.array([1, 2, 0]), np.array([2, 0, 1])
    result = x[..., following] * y[..., last] - x[..., last] * y[..., following]
    return view.moveaxis(result, -1, axisc)


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False) -> Any:
    """Mean weighted by ``weights``, which have the shape of ``a`` or of the axes averaged over.

    Raises
    ------
    ZeroDivisionError
        where the weights sum to 0.
    """
    x, kept = array_of(a), keepdims is True
    if weights is None:
        result = mean(x, axis, keepdims=kept)
        total: Value = x.size / max(result.size, 1)
        spread = np.full(result.shape, total, result.dtype)
        return (result, array_of(spread)) if returned else result
    w = array_of(weights)
    if w.shape != x.shape:
        axes = np.lib.array_utils.normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
        if axis is None or w.shape != tuple(x.shape[i] for i in axes):
            raise ValueError(
                f"average: shape of weights must be consistent with shape of a along axis: got {w.shape} "
                f"for {x.shape} along {axis}"
            )
        w = view.transpose(w, np.argsort(axes).tolist())
        w = view.reshape(w, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
    dtype = result_type(x.dtype, w.dtype, *([float] if x.dtype.kind in "biu" else []))
    x, w = logic.astype(x, dtype), logic.astype(w, dtype)
    total = red.sum(view.broadcast_to(w, x.shape), axis, kept)
    if total.value is not None and np.any(total.value == 0):
        raise ZeroDivisionError("average: weights sum to zero, can't be normalized")
    result = red.sum(x * w, axis, kept) / total
    return (result, total) if returned else result


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: float | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """Covariance matrix of variables, one per row (per column without ``rowvar``).  [V, N] -> [V, V]"""
    x = _variables(m, rowvar, dtype)
    if y is not None:
        x = view.concatenate([x, _variables(y, rowvar, dtype)], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = None if fweights is None else array_of(fweights)
    if aweights is not None:
        weights = array_of(aweights) if weights is None else weights * array_of(aweights)
    if weights is None:
        count: Value = x.shape[1]
        away = x - red.sum(x, 1, True) / count
        return _square(contraction.matmul(away, ew.conj(away.T)) / max(count - ddof, 0))
    total = red.sum(weights)
    away = x - red.sum(x * weights, 1, True) / total
    squares = total if aweights is None else red.sum(weights * array_of(aweights)) / total
    count = total - ddof * (1 if aweights is None else squares) if ddof else total
    return _square(contraction.matmul(away * weights, ew.conj(away.T)) / count)


def _variables(m: Any, rowvar: bool, dtype: Any) -> Value:
    x = array_of(m)
    if x.ndim > 2:
        raise ValueError(f"cov: m has more than 2 dimensions: got shape {x.shape}")
    x = cast(x, result_type(x.dtype, float) if dtype is None else dtype)
    x = view.reshape(x, (1, -1)) if x.ndim < 2 else x
    return x.T if not rowvar and x.shape[0] != 1 else x


def _square(matrix: Value) -> Value:
    """A matrix, or the number in it where it has only one."""
    return view.reshape(matrix, ()) if matrix.shape == (1, 1) else matrix


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Matrix of correlation coefficients, covariances divided by standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = ew.sqrt(ew.real(view.reshape(c[np.arange(len(c)), np.arange(len(c))], (-1,))))
    scaled = c / deviation[:, None] / deviation[None, :]
    return logic.clip(scaled, -1, 1) if scaled.dtype.kind != "c" else scaled


def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Sum of products of a with v reversed and shifted, in one dimension."""
    return sequences.convolve(array_of(a), array_of(v), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Sum of products of a with conj(v) shifted, in one dimension."""
    return sequences.correlate(array_of(a), array_of(v), mode)
