"""Batches of data that is there, of data that comes as it goes, and loading while the model learns."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import numpy as np

from .. import tree
from ..errors import DataError
from .batches import Seed, generator, minibatches, shuffled

T = TypeVar("T")


class Batches:
    """Batches of equally long arrays, in a new order every time they are gone through.

    Parameters
    ----------
    data : a tree of arrays [rows, ...], such as ``(x, y)``; files that ``numpy.memmap`` opens are read as needed
    batch_size : rows per batch; the last batch is smaller when rows are left over
    rng : a seed or a generator that decides the order of the rows; None keeps them as they are
    drop_last : leave out a smaller last batch, unless it is the only one

    Raises
    ------
    DataError
        No arrays, no rows, or arrays of different lengths.

    Examples
    --------
    >>> batches = Batches((np.arange(10), np.arange(10) ** 2), 4, rng=0)
    >>> [len(x) for x, y in batches], len(batches)
    ([4, 4, 2], 3)
    >>> all((y == x**2).all() for x, y in batches)
    True
    """

    def __init__(self, data: Any, batch_size: int, *, rng: Seed | None, drop_last: bool = False) -> None:
        self.data, self.rows = data, _rows(data, "Batches")
        minibatches(self.rows, batch_size, 0)  # says what is wrong with batch_size
        self.batch_size, self.drop_last = batch_size, drop_last
        self.rng = None if rng is None else generator(rng)

    def __len__(self) -> int:
        whole, rest = divmod(self.rows, self.batch_size)
        return max(1, whole + (rest > 0 and not self.drop_last))

    def __iter__(self) -> Iterator[Any]:
        if self.rng is None:
            starts = range(0, self.rows, self.batch_size)
            for start in list(starts)[: len(self)]:
                yield _slice(self.data, start, start + self.batch_size)
        else:
            for rows in minibatches(self.rows, self.batch_size, self.rng, drop_last=self.drop_last):
                yield tree.map(lambda array, rows=rows: np.asarray(array[rows]), self.data)


class Stream:
    """Batches of one size from a source that gives rows in pieces of any length.

    Parameters
    ----------
    source : called with no argument each time the stream is gone through; returns an iterable of trees of arrays
        [rows, ...], such as a generator of ``(x, y)``
    batch_size : rows per batch; None leaves the pieces as they come
    buffer : shuffle by drawing batches from this many rows at a time; 0 keeps the order
    rng : a seed or a generator for the shuffling

    Raises
    ------
    DataError
        ``source`` cannot be called, a piece's arrays differ in length, or pieces in their columns.

    Examples
    --------
    >>> def pieces():
    ...     for start in (0, 5, 10):
    ...         yield np.arange(start, start + 5)
    >>> [batch.tolist() for batch in Stream(pieces, 6)]
    [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 14]]
    >>> sorted(int(x) for batch in Stream(pieces, 4, buffer=10, rng=0) for x in batch) == list(range(15))
    True
    """

    def __init__(
        self, source: Callable[[], Iterable[Any]], batch_size: int | None = None, *, buffer: int = 0, rng: Seed = 0
    ) -> None:
        if not callable(source):
            raise DataError(
                f"Stream: the source must be a function: got {type(source).__name__}, expected one that returns a new "
                f"iterator each time it is called; pass lambda: ..."
            )
        if batch_size is not None and batch_size < 1:
            raise DataError(f"Stream: bad batch size: got {batch_size}, expected at least 1; or None for the pieces")
        self.source, self.batch_size, self.buffer, self.rng = source, batch_size, buffer, generator(rng)

    def __iter__(self) -> Iterator[Any]:
        size = self.batch_size
        if size is None:
            for piece in self.source():
                if not all(np.shape(leaf)[:1] == (0,) for leaf in tree.leaves(piece)):
                    yield piece
            return
        waiting: list[Any] = []
        widths: list[Any] = []
        rows = 0
        for piece in self.source():
            shapes = [np.shape(leaf) for leaf in tree.leaves(piece)]
            if shapes and all(shape[:1] == (0,) for shape in shapes):
                continue
            rows += _rows(piece, "Stream")
            widths = widths or [shape[1:] for shape in shapes]
            if [shape[1:] for shape in shapes] != widths:
                raise DataError(
                    f"Stream: pieces do not fit together: got rows of shapes {[shape[1:] for shape in shapes]}, "
                    f"expected {widths} as in the first piece; give every piece the same columns"
                )
            waiting.append(piece)
            if rows >= max(size, self.buffer):
                whole = rows - rows % size
                joined = self._joined(waiting, rows)
                yield from (_slice(joined, start, start + size) for start in range(0, whole, size))
                rows -= whole
                waiting = [_slice(joined, whole, whole + rows)] if rows else []
        if rows:
            joined = self._joined(waiting, rows)
            yield from (_slice(joined, start, start + size) for start in range(0, rows, size))

    def _joined(self, pieces: list[Any], rows: int) -> Any:
        joined = pieces[0] if len(pieces) == 1 else tree.map(lambda *parts: np.concatenate(parts), *pieces)
        if not self.buffer:
            return joined
        order = shuffled(rows, self.rng)
        return tree.map(lambda array: np.asarray(array)[order], joined)


class Prefetch(Generic[T]):
    """What an iterable gives, made on a thread of its own while the last ones are being used; see :func:`prefetch`."""

    def __init__(self, iterable: Iterable[T], size: int) -> None:
        self.iterable, self.size = iterable, size

    def __iter__(self) -> Iterator[T]:
        ready: SimpleQueue[tuple[bool, Any]] = SimpleQueue()  # (is it an item?, the item, an error or None at the end)
        room, abandoned = threading.Semaphore(self.size), threading.Event()

        def produce() -> None:
            source: Any = None
            try:
                source = iter(self.iterable)
                while room.acquire() and not abandoned.is_set():
                    ready.put((True, next(source)))
            except StopIteration:
                ready.put((False, None))
            except BaseException as error:
                ready.put((False, error))
            finally:
                if abandoned.is_set() and hasattr(source, "close"):
                    with contextlib.suppress(Exception):  # nobody is left to tell
                        source.close()

        threading.Thread(target=produce, name="glassgrad-prefetch", daemon=True).start()
        try:
            while (item := ready.get())[0]:
                room.release()
                yield item[1]
            if item[1] is not None:
                raise item[1]
        finally:
            abandoned.set()
            room.release()


def prefetch(iterable: Iterable[T], size: int = 2) -> Prefetch[T]:
    """Make up to ``size`` items of a slow iterable ahead, on a background thread, while the last one is being used.

    Order is kept. An error in the source is raised where its item would have come. When the loop over it is left
    early, the thread ends after the item it is making, and a generator is closed. Each loop starts the iterable anew.
    It pays where loading waits for a disk or network, or is spent in libraries that release the interpreter.

    Parameters
    ----------
    iterable : such as a :class:`Stream`, :class:`Batches`, or a list; a generator can be gone through only once
    size : most items waiting, at least 1

    Examples
    --------
    >>> list(prefetch(range(5)))
    [0, 1, 2, 3, 4]
    """
    if size < 1:
        raise DataError(f"prefetch: bad size: got {size}, expected at least 1 item; the default is 2")
    return Prefetch(iterable, size)


def _rows(data: Any, op: str) -> int:
    """The length all arrays of a tree have."""
    shapes = [np.shape(leaf) for leaf in tree.leaves(data)]
    if not shapes or () in shapes or len({shape[0] for shape in shapes}) != 1 or shapes[0][0] == 0:
        raise DataError(
            f"{op}: arrays of different lengths, or none: got shapes {', '.join(map(str, shapes[:8])) or 'none'}, "
            f"expected as many rows in each, at least one"
        )
    return int(shapes[0][0])


def _slice(data: Any, start: int, stop: int) -> Any:
    return tree.map(lambda array: array[start:stop], data)
