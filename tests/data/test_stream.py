"""Batches of arrays and of streams, and items made ahead on a thread."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glassgrad.data import Batches, Characters, Stream, minibatches, prefetch, windows
from glassgrad.errors import DataError


def test_batches_are_the_rows_minibatches_names() -> None:
    x, y = np.arange(23) * 10, {"label": np.arange(23)}
    batches = Batches((x, y), 5, rng=3)
    rng = np.random.Generator(np.random.Philox(3))
    for _ in range(2):  # a new order each time
        expected = [rows.tolist() for rows in minibatches(23, 5, rng)]
        assert [b[1]["label"].tolist() for b in batches] == expected
    assert all((b[0] == b[1]["label"] * 10).all() for b in batches)


@given(st.integers(1, 40), st.integers(1, 45), st.booleans(), st.booleans())
def test_every_row_comes_once(n: int, size: int, shuffle: bool, drop: bool) -> None:
    batches = Batches(np.arange(n), size, rng=0 if shuffle else None, drop_last=drop)
    got = list(batches)
    assert len(got) == len(batches)
    rows = np.concatenate(got)
    whole = n - n % size if drop and n >= size else n
    assert len(set(rows.tolist())) == len(rows) == whole
    if not shuffle:
        assert rows.tolist() == list(range(whole))


def test_a_memory_map_is_read_batch_by_batch(tmp_path: Any) -> None:
    array = np.memmap(tmp_path / "a", dtype=np.int32, mode="w+", shape=(20, 3))
    array[:] = np.arange(60).reshape(20, 3)
    batch = next(iter(Batches(array, 4, rng=0)))
    assert type(batch) is np.ndarray
    assert batch.shape == (4, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Batches((np.arange(3), np.arange(4)), 2, rng=0), r"got shapes \(3,\), \(4,\)"),
        (lambda: Batches((), 2, rng=0), "got shapes none"),
        (lambda: Batches(np.zeros((0, 2)), 2, rng=0), "at least one"),
        (lambda: Batches(np.float64(3), 2, rng=0), "expected as many rows"),
        (lambda: Batches(np.arange(3), 0, rng=0), "bad batch size: got 0"),
        (lambda: Stream([1, 2], 2), "the source must be a function: got list"),  # type: ignore[arg-type]
        (lambda: Stream(lambda: [], 0), "bad batch size: got 0"),
        (lambda: list(Stream(lambda: [(np.arange(2), np.arange(3))], 2)), "Stream: arrays of different lengths"),
        (lambda: prefetch([], 0), "prefetch: bad size: got 0"),
    ],
)
def test_what_is_refused(make: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make()


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=8), st.integers(1, 12), st.integers(0, 20))
def test_a_stream_cuts_pieces_of_any_length(lengths: list[int], size: int, buffer: int) -> None:
    total = sum(lengths)
    every = np.arange(total)

    def pieces() -> Iterator[Any]:
        at = 0
        for length in lengths:
            yield every[at : at + length], every[at : at + length] * 2
            at += length

    stream = Stream(pieces, size, buffer=buffer, rng=1)
    for _ in range(2):
        got = list(stream)
        assert [len(x) for x, _ in got] == [size] * (total // size) + [total % size] * (total % size > 0)
        rows = np.concatenate([x for x, _ in got]) if got else np.arange(0)
        assert sorted(rows.tolist()) == every.tolist()
        assert all((y == 2 * x).all() for x, y in got)
        if not buffer:
            assert rows.tolist() == every.tolist()


def test_a_streams_shuffling_is_its_seeds() -> None:
    def orders(seed: int) -> list[list[int]]:
        stream = Stream(lambda: [np.arange(50), np.arange(50, 100)], 10, buffer=100, rng=seed)
        return [np.concatenate(list(stream)).tolist() for _ in range(2)]

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)
    assert orders(1)[0] != orders(1)[1]
    assert [b.tolist() for b in Stream(lambda: [np.arange(3), np.arange(2)])] == [[0, 1, 2], [0, 1]]


# prefetch


def settled(condition: Any) -> bool:
    """Whether something becomes true soon."""
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return bool(condition())


def workers() -> int:
    return sum(thread.name == "glassgrad-prefetch" for thread in threading.enumerate())


@pytest.mark.parametrize("size", [1, 3, 100])
def test_order_is_kept_and_loops_start_anew(size: int) -> None:
    items = prefetch(range(50), size)
    assert list(items) == list(items) == list(range(50))
    assert settled(lambda: workers() == 0)


def test_only_so_many_are_made_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(100):
            made.append(i)
            yield i

    items = iter(prefetch(source(), 3))
    assert next(items) == 0
    assert settled(lambda: len(made) == 4)
    time.sleep(0.02)
    assert len(made) == 4  # one in use, three waiting
    assert threading.current_thread().name != "glassgrad-prefetch"


def test_the_source_runs_on_another_thread() -> None:
    names = list(prefetch(threading.current_thread().name for _ in range(3)))
    assert set(names) == {"glassgrad-prefetch"}


def test_an_error_comes_in_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise KeyError("lost")

    seen = []
    with pytest.raises(KeyError, match="lost") as caught:
        for item in prefetch(source(), 5):
            seen.append(item)
    assert seen == [1, 2]
    assert "source" in [frame.name for frame in caught.traceback]
    with pytest.raises(TypeError, match="not iterable"):
        list(prefetch(3))  # type: ignore[arg-type]


def test_a_loop_left_early_ends_thread_and_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    for item in prefetch(source(), 2):
        if item == 5:
            break
    gc.collect()
    assert closed.wait(30)
    assert settled(lambda: workers() == 0)


# Text


@given(st.text(max_size=60))
def test_characters_there_and_back(text: str) -> None:
    characters = Characters.of(text + "ab")
    numbers = characters.encode(text)
    assert numbers.dtype == np.int32
    assert [characters.alphabet[i] for i in numbers] == list(text)
    assert characters.decode(numbers) == text


def test_unknown_characters() -> None:
    with pytest.raises(DataError, match="unknown character: got 'z' at offset 2, expected one of the 2 in 'ab'"):
        Characters("ab").encode("abz")
    with pytest.raises(DataError, match="unknown character"):
        Characters("").encode("a")
    assert Characters("").encode("").tolist() == []


def test_windows_are_views() -> None:
    sequence = np.arange(100)
    x, y = windows(sequence, 8)
    assert x.shape == y.shape == (92, 8)
    assert np.shares_memory(x, sequence)
    np.testing.assert_array_equal(x[1:], y[:-1])
    for bad in (100, 101, 0):
        with pytest.raises(DataError, match=f"got 100 items for windows of {bad}"):
            windows(sequence, bad)


def test_pieces_without_rows_are_passed_over_and_others_must_fit() -> None:
    pieces = [np.ones((0, 2)), np.ones((2, 2)), np.ones((0, 2)), np.ones((1, 2))]
    assert [len(batch) for batch in Stream(lambda: pieces, 2)] == [2, 1]
    assert [len(batch) for batch in Stream(lambda: pieces)] == [2, 1]
    with pytest.raises(DataError, match=r"Stream: pieces do not fit together: got rows of shapes \[\(3,\)\], expected"):
        list(Stream(lambda: [np.ones((1, 2)), np.ones((1, 3))], 4))


@pytest.mark.parametrize("number", [-1, 3])
def test_a_number_of_no_character_is_refused(number: int) -> None:
    with pytest.raises(DataError, match=f"decode: unknown number: got {number}, expected 0 to 2"):
        Characters.of("abc").decode([0, number])
