"""What a pass over the data consists of: rows of arrays in a drawn order, or the batches of an iterable."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..data.batches import minibatches, shuffled
from ..data.frame import frame_numbers
from ..dtypes import NUMERIC, kind_of
from ..errors import DataError
from ..graph.node import Node

Batches: TypeAlias = Iterable[Any] | Callable[[int], Iterable[Any]]


class Part(NamedTuple):
    """Steps that are taken in one native call.

    ``data`` is a tree of arrays, ``rows`` [steps, batch] says which of their rows each step takes; None for one step on
    all of them. ``sizes`` is the number of rows of each step.
    """

    data: Any
    rows: NDArray[np.int64] | None
    sizes: list[int]


class Rows(NamedTuple):
    """Arrays in memory: (x, y) or (x, y, weights), each an array or a tree of arrays of as many rows.

    ``given`` is the data before a part was held out: its rows are the ones that messages name.
    """

    data: tuple[Any, ...]
    total: int
    batch_size: int
    given: tuple[Any, ...]

    @property
    def share(self) -> bool:
        """Whether a part of what was given was held out."""
        return self.given is not self.data

    @classmethod
    def of(cls, data: tuple[Any, ...], batch_size: int | None) -> Rows:
        """Checked."""
        count = rows_of(data)
        minibatches(count, batch_size, 0)  # refuses a bad size
        return cls(data, count, count if batch_size is None else min(batch_size, count), data)

    def parts(self, epoch: int, order: np.random.Generator, done: int, most: int | None) -> Iterator[Part]:
        """The epoch's steps after the first ``done``, at most ``most`` in a part."""
        n, size = self.total, self.batch_size
        if size == n:  # a sum over all rows has no order
            if not done:
                yield Part(self.data, None, [n])
            return
        rows = shuffled(n, order)
        full = n // size
        for start in range(done, full, most or full):
            chosen = rows[start * size : min(start + (most or full), full) * size].reshape(-1, size)
            yield Part(self.data, chosen, [size] * len(chosen))
        if n % size and done <= full:
            yield Part(self.data, rows[None, full * size :], [n % size])

    def split(self, fraction: float, order: np.random.Generator) -> tuple[Rows, tuple[Any, ...]]:
        """All but a drawn part of the rows, and that part."""
        if not 0 < fraction < 1 or self.total < 2:
            raise DataError(
                f"fit: bad validation: got {fraction!r} of {self.total} rows, expected a share of the rows between 0 "
                f"and 1 that leaves some to learn from, or (x, y)"
            )
        held = min(max(round(self.total * fraction), 1), self.total - 1)
        rows = shuffled(self.total, order)
        kept, out = (_chosen(self.data, np.sort(part)) for part in (rows[held:], rows[:held]))
        return Rows.of(kept, self.batch_size)._replace(given=self.data), out


class Stream(NamedTuple):
    """Batches (x, y) that something hands out, such as a loader; or a function of the epoch's number that makes it."""

    source: Batches

    def parts(self, epoch: int, order: np.random.Generator, done: int, most: int | None) -> Iterator[Part]:
        """The epoch's batches after the first ``done``, one step each."""
        batches = self.source(epoch) if callable(self.source) else self.source
        for batch in islice(batches, done, None):
            arrays = arrays_of(batch, "a batch")
            yield Part(arrays, None, [rows_of(arrays, "a batch")])


def feed_of(data: Any, batch_size: int | None) -> Rows | Stream:
    """What ``fit`` was given, as something that has ``parts``."""
    if isinstance(data, list) and data and isinstance(data[0], (tuple, list, dict)):
        return Stream(data)
    if isinstance(data, (tuple, list)):
        return Rows.of(arrays_of(data, "data"), batch_size)
    if callable(data) or (isinstance(data, Iterable) and not isinstance(data, (np.ndarray, Node, str, bytes, dict))):
        return Stream(data)
    raise DataError(
        f"fit: data must be a pair (x, y): got {type(data).__name__}; pass data=(x, y), or an iterable of such batches"
    )


def _chosen(data: tuple[Any, ...], rows: NDArray[np.int64]) -> tuple[Any, ...]:
    chosen: tuple[Any, ...] = tree.map(lambda column: column[rows], data)
    return chosen


def arrays_of(data: Any, what: str) -> tuple[Any, ...]:
    """(x, y) or (x, y, weights) with NumPy's arrays as leaves."""
    if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
        raise DataError(f"fit: {what} must be a pair (x, y): got {type(data).__name__}; pass {what}=(x, y)")
    return tuple(tree.map(_array, part) if isinstance(part, (dict, tuple)) else _array(part) for part in data)


def _array(leaf: Any) -> NDArray[Any]:
    if isinstance(leaf, np.ma.MaskedArray):
        raise DataError("fit: data have masked entries: got a masked array; fill them, or leave their rows out")
    if hasattr(leaf, "toarray"):
        raise DataError(f"fit: data are sparse: got {type(leaf).__name__} {leaf.shape}; pass its .toarray()")
    array = np.asarray(leaf.value if isinstance(leaf, Node) else leaf)
    if array.dtype.kind == "O" and hasattr(leaf, "dtypes"):
        array = frame_numbers(leaf, array)
    if kind_of(array.dtype) not in NUMERIC:
        raise DataError(
            f"fit: data must be numbers: got an array of {array.dtype}; encode names as whole numbers, and tables by "
            f"glassgrad.data.prepare"
        )
    return array


def rows_of(data: tuple[Any, ...], what: str = "data") -> int:
    """How many rows all arrays have; refuses those that differ."""
    leaves = tree.leaves(data)
    counts = {leaf.shape[0] if leaf.ndim else None for leaf in leaves}
    if len(counts) == 1 and (count := counts.pop()):
        return int(count)
    shapes = " and ".join(
        f"{name} {', '.join(str(leaf.shape) for leaf in tree.leaves(part))}"
        for name, part in zip("xyw", data, strict=False)
    )
    raise DataError(f"fit: {what} does not fit: got {shapes}, expected as many rows of all, at least one")


def not_finite(data: tuple[Any, ...], what: str = "") -> str:
    """What to expect instead of the first NaN or infinity of the data, and where that is; empty where all is finite."""
    for name, part in zip(("x", "y", "weights"), data, strict=False):
        for leaf in tree.leaves(part):
            if leaf.dtype.kind in "fc" and not np.isfinite(leaf).all():
                row, *rest = np.argwhere(~np.isfinite(leaf))[0].tolist()
                column = f", column {', '.join(map(str, rest))}" if rest else ""
                return (
                    f"expected finite data, but {name}{what} has {leaf[(row, *rest)]} in row {row}{column}, counted "
                    f"from 0; fill such entries, or leave their rows out"
                )
    return ""
