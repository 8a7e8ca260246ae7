"""Keeping rows aside to measure a model on data it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .batches import Seed, generator, shuffled

MIN_ROWS = 10  # fewer leave a held-out part on which a score says nothing


def held_out_split(
    n: int, *, fraction: float = 0.2, rng: Seed = 0, labels: Sequence[Any] | NDArray[Any] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split row numbers into a training and a held-out part.

    Parameters
    ----------
    n : number of rows
    fraction : share of rows held out, between 0 and 1
    rng : a seed or a generator; the same seed gives the same split in every NumPy version
    labels : [n] class of each row; when given, each class is held out in the same share, and a class of one row
        stays in training

    Returns
    -------
    training, held_out : int64, ascending, together 0..n-1, neither empty

    Raises
    ------
    DataError
        Too few rows, a bad fraction, labels of another length, or only classes of one row.

    Examples
    --------
    >>> training, held_out = held_out_split(10, fraction=0.2, labels=["a"] * 5 + ["b"] * 5)
    >>> training.size, held_out.size, sorted(held_out // 5)  # one of each class
    (8, 2, [np.int64(0), np.int64(1)])
    """
    if not 0 < fraction < 1:
        raise DataError(f"held_out_split: bad fraction: got {fraction}, expected a number between 0 and 1; e.g. 0.2")
    if n < MIN_ROWS:
        raise DataError(f"held_out_split: too few rows: got {n}, expected at least {MIN_ROWS}; add data")
    order = shuffled(n, generator(rng))
    if labels is None:
        held_out = order[: max(1, min(n - 1, round(fraction * n)))]
    else:
        held_out = _stratified(order, _class_numbers(labels, n), fraction)
    mask = np.zeros(n, dtype=np.bool_)
    mask[held_out] = True
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _class_numbers(labels: Sequence[Any] | NDArray[Any], n: int) -> NDArray[np.int64]:
    if len(labels) != n:
        raise DataError(f"held_out_split: labels do not fit: got {len(labels)}, expected one per row, {n}")
    numbers: NDArray[np.int64] = np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64, copy=False)
    return numbers


def _stratified(order: NDArray[np.int64], classes: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """The first rows of each class in shuffled order, as many as the class's quota."""
    quota = _quotas(np.bincount(classes), fraction)
    shuffled_classes = classes[order]
    by_class = np.argsort(shuffled_classes, kind="stable")  # rows of a class together, each class in shuffled order
    first = np.concatenate(([0], np.cumsum(np.bincount(classes))[:-1]))
    rank = np.arange(order.size) - first[shuffled_classes[by_class]]  # position of a row within its class
    held_out: NDArray[np.int64] = order[by_class[rank < quota[shuffled_classes[by_class]]]]
    return held_out


def _quotas(counts: NDArray[np.int64], fraction: float) -> NDArray[np.int64]:
    """How many rows of each class to hold out: largest remainders, always leaving one to learn from."""
    exact = fraction * counts
    quota: NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), counts - 1)
    wanted = max(1, round(fraction * int(counts.sum())))
    by_remainder = np.argsort(quota - exact, kind="stable")  # most missing first
    open_classes = by_remainder[quota[by_remainder] < counts[by_remainder] - 1]
    quota[open_classes[: max(0, wanted - int(quota.sum()))]] += 1
    if not quota.any():
        raise DataError(
            f"held_out_split: nothing can be held out: got {counts.size} classes of one row each, expected classes "
            "with several rows; if the target is a number, use regression"
        )
    return quota
