"""Order and sets: sorting, searching, counting, unique elements."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..array import as_array
from ..dtypes import is_inexact, kind_of, result_type
from ..errors import DtypeError, UnsupportedError
from ..graph.node import Node, is_symbolic
from ..ops import indexing, logic, sorting, view
from ..ops import reduction as red
from .arguments import array_of, arrays_of, gathered, no_out, numbers, theirs
from .creation import linspace

__all__ = [
    "sort", "argsort", "partition", "argpartition", "sort_complex", "lexsort", "searchsorted", "digitize",
    "bincount", "histogram_bin_edges", "histogram", "unique", "unique_all", "unique_counts", "unique_inverse",
    "unique_values", "isin", "quantile", "percentile", "median", "nanquantile", "nanpercentile", "nanmedian",
]  # fmt: skip


def _no_fields(name: str, order: Any) -> None:
    if order is not None:
        raise UnsupportedError(f"{name}: got order=, which names fields of a structured array; an Array has no fields")


def sort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """A sorted copy along an axis, of the flattened array if None. Always stable; NaN stands last.

    Examples
    --------
    >>> import glassgrad as gg
    >>> x = gg.variable([3.0, 1.0, 2.0])
    >>> print(gg.numpy.sort(x)[0].backward()[x])
    [0. 1. 0.]
    """
    _no_fields("sort", order)
    return sorting.sort(array_of(a), axis, descending)


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> Any:
    """Positions that would sort along an axis, of the flattened array if None. Always stable."""
    _no_fields("argsort", order)
    return sorting.argsort(array_of(a), axis, descending)


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """The array with the k-th element where sorting would put it; here, the sorted array."""
    _check_kth("partition", a, kth, axis)
    return sort(a, axis, order=order)


def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """Positions that put the k-th element where sorting would; here, those that sort."""
    _check_kth("argpartition", a, kth, axis)
    return argsort(a, axis, order=order)


def _check_kth(name: str, a: Any, kth: Any, axis: int | None) -> None:
    x = gathered(a)
    n = int(np.prod(x.shape)) if axis is None else x.shape[np.lib.array_utils.normalize_axis_index(axis, len(x.shape))]
    places = numbers(name, kth)
    if n and ((places < -n) | (places >= n)).any():
        raise ValueError(f"{name}: kth(={places}) out of bounds ({n})")


def sort_complex(a: Any) -> Any:
    """A sorted copy of all elements as complex numbers."""
    x = array_of(a)
    return sorting.sort(x if x.dtype.kind == "c" else logic.astype(x, complex), -1)


def lexsort(keys: Any, axis: int = -1) -> Any:
    """Positions that sort by the last key, ties by the one before it, and so on."""
    return as_array(np.lexsort([numbers("lexsort", key) for key in arrays_of(keys)], axis))


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    """Places at which ``v`` would be put into the sorted ``a`` to keep it sorted.

    >>> import glassgrad as gg
    >>> int(gg.jit(searchsorted)(np.array([1.0, 2.0, 4.0]), 3.0))
    2
    """
    row, wanted = gathered(a), gathered(v)
    if not (is_symbolic(row) or is_symbolic(wanted) or is_symbolic(sorter)):
        order = None if sorter is None else numbers("searchsorted", sorter)
        return as_array(np.searchsorted(numbers("searchsorted", row), numbers("searchsorted", wanted), side, order))
    if side not in ("left", "right") or row.ndim != 1:
        raise ValueError(f"searchsorted: a must be 1-D, and side 'left' or 'right': got shape {row.shape} and {side!r}")
    row, wanted = as_array(row), as_array(wanted)
    return _searched(row if sorter is None else row[array_of(sorter)], wanted, side == "right")


def _searched(row: Any, wanted: Any, right: bool) -> Any:
    """How many elements of a sorted row come before each that is wanted: by halving, NaN being the greatest."""

    def before(x: Any, y: Any) -> Any:
        return (x < y) | (logic.isnan(y) & ~logic.isnan(x)) if is_inexact(x.dtype) else x < y

    count = np.zeros(wanted.shape, np.intp)
    size = row.shape[0]
    for power in range(size.bit_length() - 1, -1, -1):
        further = count + (1 << power)
        element = row[logic.minimum(further, size) - 1]
        passed = ~before(wanted, element) if right else before(element, wanted)
        count = logic.where((further <= size) & passed, further, count)
    return as_array(count)


def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The number of the bin that each element falls into."""
    edges = numbers("digitize", bins)
    if not is_symbolic(gathered(x)):
        return as_array(np.digitize(numbers("digitize", x), edges, right))
    np.digitize(np.zeros(0), edges)  # refuses bins that neither rise nor fall
    side = "left" if right else "right"
    falls = len(edges) > 1 and edges[0] > edges[-1]
    return len(edges) - searchsorted(edges[::-1], x, side) if falls else searchsorted(edges, x, side)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each whole number occurs, or the sum of the weights of its places, which keeps their gradient."""
    places = numbers("bincount", x)
    if not (isinstance(weights, Node) and (weights.tracked or weights.value is None)):
        given = None if weights is None else numbers("bincount", weights)
        return as_array(np.bincount(places, given, minlength))
    size = len(np.bincount(places, minlength=minlength))
    if weights.shape != places.shape:
        raise ValueError(f"bincount: one weight per element: got {weights.shape} for {places.shape}")
    return indexing.additem(as_array(np.zeros(size, result_type(weights.dtype, float))), places, weights)


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of the bins that ``histogram`` uses; they move with the least and the largest element."""
    if not isinstance(bins, (str, int, np.integer)):
        return array_of(bins)
    x = array_of(a)
    edges = np.histogram_bin_edges(numbers("histogram", x), bins, range)
    if not x.tracked or range is not None or edges[0] != np.min(x.value):
        return as_array(edges)
    return linspace(red.min(x), red.max(x), len(edges))


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Any, Any]:
    """How many elements fall between neighbouring edges, and the edges; weights keep their gradient."""
    edges = histogram_bin_edges(a, bins, range)
    limits = numbers("histogram", edges)
    values = numbers("histogram", a).reshape(-1)
    if isinstance(weights, Node) and (weights.tracked or weights.value is None):
        place = np.searchsorted(limits, values, "right") - 1
        place[values == limits[-1]] -= 1
        inside = np.flatnonzero((place >= 0) & (place < len(limits) - 1))
        counts = bincount(place[inside], view.reshape(weights, (-1,))[inside], len(limits) - 1)
    else:
        given = None if weights is None else numbers("histogram", weights).reshape(-1)
        counts = as_array(np.histogram(values, limits, weights=given)[0])
    return (counts / (edges[1:] - edges[:-1]) / red.sum(counts) if density else counts), edges


# Sets. Unique elements are taken from the array by position, so they keep their gradient.


class UniqueAll(NamedTuple):
    """Distinct values, where each first occurs, which of them each element is, and how often each occurs."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """Distinct values and how often each occurs."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """Distinct values and which of them each element is."""

    values: Any
    inverse_indices: Any


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The distinct elements in order, or distinct slices along an axis, and what else is asked for."""
    x = array_of(ar)
    _, index, *rest = theirs.unique(
        numbers("unique", x), True, return_inverse, return_counts, axis, equal_nan=equal_nan
    )
    values = indexing.take(x, index, axis)
    found = [values, *([as_array(index)] if return_index else []), *(as_array(r) for r in rest)]
    return tuple(found) if len(found) > 1 else values


def unique_all(x: Any, /) -> UniqueAll:
    """Distinct values with first places, inverse and counts; each NaN counts as distinct."""
    return UniqueAll(*unique(x, True, True, True, equal_nan=False))


def unique_counts(x: Any, /) -> UniqueCounts:
    """Distinct values with counts; each NaN counts as distinct."""
    return UniqueCounts(*unique(x, return_counts=True, equal_nan=False))


def unique_inverse(x: Any, /) -> UniqueInverse:
    """Distinct values and which of them each element is; each NaN counts as distinct."""
    return UniqueInverse(*unique(x, return_inverse=True, equal_nan=False))


def unique_values(x: Any, /) -> Any:
    """Distinct values; each NaN counts as distinct."""
    return unique(x, equal_nan=False)


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:
    """Whether each element is among the test elements."""
    return as_array(np.isin(numbers("isin", element), numbers("isin", test_elements), assume_unique, invert, kind=kind))


# Quantiles


def _quantile(
    name: str,
    a: Any,
    q: Any,
    axis: Any,
    out: Any,
    method: str,
    keepdims: Any,
    weights: Any,
    scale: float = 1.0,
    skip_nan: bool = False,
) -> Any:
    no_out(name, out)
    if weights is not None:
        raise UnsupportedError(f"{name}: weights= is not supported; sort, and take where the running sum of weights is")
    x = array_of(a)
    given = array_of(q)
    if x.dtype.kind == "c" and "median" not in name:
        raise DtypeError(f"{name}: complex numbers have no order to take shares of; take real or imaginary parts")
    if kind_of(x.dtype) == "f" and method in sorting.MIXING:  # a Python number q is weak, an array of them is not
        x = logic.astype(x, x.dtype if isinstance(q, (int, float)) else result_type(x.dtype, given.dtype))
    shares = logic.astype(given, float) / scale if given.tracked or given.value is None else given.value / scale
    return sorting.quantile(x, shares, axis, keepdims is True, method, skip_nan)


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """The value below which a share ``q`` of the elements lies.

    Parameters
    ----------
    q : shares from 0 to 1; its axes come first in the result. Its gradient is the slope to the right of q
    method : how to choose between two neighbours, by NumPy's names
    """
    return _quantile("quantile", a, q, axis, out, method, keepdims, weights)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """The value below which ``q`` per cent of the elements lie."""
    return _quantile("percentile", a, q, axis, out, method, keepdims, weights, 100.0)


def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle of the sorted elements, or the mean of the two middle ones."""
    return _quantile("median", a, 0.5, axis, out, "linear", keepdims, None)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    """As ``quantile``, passing over NaN."""
    return _quantile("nanquantile", a, q, axis, out, method, keepdims, weights, 1.0, True)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Any:
    """As ``percentile``, passing over NaN."""
    return _quantile("nanpercentile", a, q, axis, out, method, keepdims, weights, 100.0, True)


def nanmedian(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: Any = False) -> Any:
    """As ``median``, passing over NaN."""
    return _quantile("nanmedian", a, 0.5, axis, out, "linear", keepdims, None, 1.0, True)
