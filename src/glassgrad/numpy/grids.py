"""Coordinates, diagonals and triangles: arrays made from a pattern of places."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..array import as_array
from ..dtypes import result_type
from ..errors import UnsupportedError
from ..graph.node import Node, shape_of
from ..ops import elementwise as ew
from ..ops import indexing, logic, view
from .arguments import array_of, cast, gathered, numbers, theirs
from .creation import sizes_of

__all__ = [
    "meshgrid", "indices", "fromfunction", "diag", "diagflat", "make_diagonal", "tril", "triu", "vander",
    "tril_indices", "triu_indices", "diag_indices", "mask_indices", "unravel_index", "ix_", "tril_indices_from",
    "triu_indices_from", "diag_indices_from", "mgrid", "ogrid", "r_", "c_", "s_", "index_exp",
]  # fmt: skip


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Coordinate arrays of a grid from the coordinates along each axis.

    ``indexing="ij"`` keeps the order of the axes, ``"xy"`` exchanges the first two.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: got indexing={indexing!r}, expected 'xy' or 'ij'")
    arrays = [array_of(x) for x in xi]
    ndim = len(arrays)
    order = list(range(ndim))
    if indexing == "xy" and ndim > 1:
        order[:2] = [1, 0]
    spread = [
        view.reshape(x, tuple(-1 if i == place else 1 for i in range(ndim))) if ndim > 1 else view.reshape(x, (-1,))
        for x, place in zip(arrays, order, strict=True)
    ]
    if sparse:
        return tuple(spread)
    shape = np.broadcast_shapes(*(x.shape for x in spread)) if spread else ()
    return tuple(view.broadcast_to(x, shape) for x in spread)


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """The coordinates of every place of an array of these sizes, one array per axis, stacked."""
    made = theirs.indices(sizes_of(dimensions), dtype, sparse)
    return tuple(as_array(m) for m in made) if sparse else as_array(made)


def make_diagonal(D: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Matrices with the last axis of D on a diagonal of two axes of the result; the opposite of ``diagonal``."""
    return view.moveaxis(indexing.diag_embed(array_of(D), offset), (-2, -1), (axis1, axis2))


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any) -> Any:
    """What ``function`` gives for the coordinates of every place of an array of ``shape``."""
    return function(*indices(shape, dtype), **kwargs)


def diag(v: Any, k: int = 0) -> Any:
    """A matrix with ``v`` on diagonal ``k``, or that diagonal of a matrix ``v``."""
    x = array_of(v)
    if x.ndim not in (1, 2):
        raise ValueError(f"diag: input must be 1- or 2-d: got shape {x.shape}; use diagonal for more axes")
    return indexing.diag_embed(x, k) if x.ndim == 1 else indexing.diagonal(x, k)


def diagflat(v: Any, k: int = 0) -> Any:
    """A matrix with the elements of ``v`` on diagonal ``k``."""
    return indexing.diag_embed(view.reshape(array_of(v), (-1,)), k)


def _triangle(m: Any, keep: Any) -> Any:
    x = array_of(m)
    shape = x.shape if x.ndim > 1 else (*x.shape * 2,)
    return logic.where(keep(shape), x, np.zeros((), x.dtype))


def tril(m: Any, k: int = 0) -> Any:
    """``m`` with zeros above diagonal ``k`` of its last two axes."""
    return _triangle(m, lambda shape: theirs.tri(*shape[-2:], k=k, dtype=builtins.bool))


def triu(m: Any, k: int = 0) -> Any:
    """``m`` with zeros below diagonal ``k`` of its last two axes."""
    return _triangle(m, lambda shape: ~theirs.tri(*shape[-2:], k=k - 1, dtype=builtins.bool))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Powers of the elements of x, one column per power, falling unless ``increasing``.  [n] -> [n, N]"""
    base = array_of(x)
    if base.ndim != 1:
        raise ValueError(f"vander: x must be a one-dimensional array or sequence: got shape {base.shape}")
    powers = np.arange(base.shape[0] if N is None else N)
    dtype = result_type(base.dtype, int)
    table = ew.power(cast(base, dtype)[:, None], (powers if increasing else powers[::-1]))
    return cast(table, dtype)


def _positions(name: str) -> Any:
    function = getattr(np, name)

    def positions(*args: Any, **kwargs: Any) -> tuple[Any, ...]:
        plain = [numbers(name, a) if isinstance(a, Node) else a for a in args]
        return tuple(as_array(i) for i in function(*plain, **kwargs))

    positions.__name__ = positions.__qualname__ = name
    positions.__doc__ = f"Index arrays, as ``numpy.{name}`` gives them."
    return positions


tril_indices, triu_indices = _positions("tril_indices"), _positions("triu_indices")
diag_indices, mask_indices = _positions("diag_indices"), _positions("mask_indices")
unravel_index, ix_ = _positions("unravel_index"), _positions("ix_")


def _positions_from(name: str, plain: str) -> Any:
    def positions_from(arr: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        shape = shape_of(gathered(arr))
        return tuple(as_array(i) for i in getattr(np, name)(np.empty(shape, builtins.bool), *args, **kwargs))

    positions_from.__name__ = positions_from.__qualname__ = name
    positions_from.__doc__ = f"``{plain}`` for the shape of an array."
    return positions_from


tril_indices_from = _positions_from("tril_indices_from", "tril_indices")
triu_indices_from = _positions_from("triu_indices_from", "triu_indices")
diag_indices_from = _positions_from("diag_indices_from", "diag_indices")


class _Grid:
    """``mgrid[0:3, 0:2]``: coordinate arrays by slices."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        made = self._grid[key]
        return tuple(as_array(m) for m in made) if isinstance(made, tuple) else as_array(made)


mgrid, ogrid = _Grid(np.mgrid), _Grid(np.ogrid)


class _Joined:
    """``r_[a, 0, 1:4]``: arrays, numbers and slices joined along the first axis; ``c_`` along the last, as columns."""

    def __init__(self, columns: bool) -> None:
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, str) for part in parts):
            raise UnsupportedError("r_: got a string, which says how to join; use concatenate or stack with axis=")
        arrays = [as_array(np.r_[part]) if isinstance(part, slice) else array_of(part) for part in parts]
        if self._columns:
            arrays = [view.reshape(x, (-1, 1)) if x.ndim < 2 else x for x in arrays]
            return view.concatenate(arrays, -1)
        return view.concatenate([view.reshape(x, (1,)) if x.ndim == 0 else x for x in arrays], 0)


r_, c_ = _Joined(columns=False), _Joined(columns=True)
s_, index_exp = np.s_, np.index_exp
