"""Which rows go together in one descent step."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Seed: TypeAlias = int | np.random.Generator


def generator(rng: Seed) -> np.random.Generator:
    """A Philox generator for a seed; a generator is passed on, and moves forward as it is used."""
    return rng if isinstance(rng, np.random.Generator) else np.random.Generator(np.random.Philox(rng))


def shuffled(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The numbers 0..n-1 in random order.

    NumPy freezes the raw bits of a generator but not its ``permutation``; sorting raw bits keeps a seed's order the
    same in every NumPy version.
    """
    return np.argsort(rng.bit_generator.random_raw(n), kind="stable").astype(np.int64, copy=False)


def minibatches(
    n: int, batch_size: int | None, rng: Seed, *, drop_last: bool = False
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each batch of one epoch; every row comes exactly once.

    Parameters
    ----------
    n : number of rows
    batch_size : rows per batch. ``None`` or n and above: one batch of all rows (batch descent). 1: single rows
        (stochastic descent). The last batch is smaller when n is not a multiple.
    rng : a seed, or a generator; give the same generator to each epoch for a new order each time
    drop_last : leave out a smaller last batch, unless it is the only one

    Raises
    ------
    DataError
        No rows, or a batch size below 1.

    Examples
    --------
    >>> [batch.size for batch in minibatches(10, 4, rng=0)]
    [4, 4, 2]
    >>> sorted(int(row) for batch in minibatches(5, 2, rng=0) for row in batch)
    [0, 1, 2, 3, 4]
    """
    if n < 1:
        raise DataError(f"minibatches: no rows: got n={n}, expected at least 1; check the data")
    if batch_size is not None and operator.index(batch_size) < 1:
        raise DataError(
            f"minibatches: bad batch size: got {batch_size}, expected at least 1; use None for one batch of all rows"
        )
    # checked at the call, not at the first batch: a generator function would wait
    return _cut(n, n if batch_size is None else min(batch_size, n), generator(rng), drop_last)


def _cut(n: int, size: int, rng: np.random.Generator, drop_last: bool) -> Iterator[NDArray[np.int64]]:
    order = shuffled(n, rng) if size < n else np.arange(n, dtype=np.int64)  # a sum over all rows has no order
    last = n - n % size if drop_last else n
    for start in range(0, last, size):
        yield order[start : start + size]
