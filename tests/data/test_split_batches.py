"""Which rows are held out, and which go together in a batch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassgrad.data import held_out_split, minibatches
from glassgrad.errors import DataError


@given(st.integers(10, 200), st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_a_split_is_a_partition(n: int, fraction: float, seed: int) -> None:
    train, test = held_out_split(n, fraction=fraction, rng=seed)
    assert sorted([*train, *test]) == list(range(n))
    assert train.size > 0
    assert abs(test.size - fraction * n) <= 1
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()


@given(st.lists(st.integers(0, 4), min_size=10, max_size=80), st.floats(0.05, 0.5), st.integers(0, 99))
def test_each_class_is_held_out_in_the_same_share(labels: list[int], fraction: float, seed: int) -> None:
    train, test = held_out_split(len(labels), fraction=fraction, rng=seed, labels=labels)
    assert sorted([*train, *test]) == list(range(len(labels)))
    held_out = Counter(labels[row] for row in test)
    for label, count in Counter(labels).items():
        assert abs(held_out[label] - fraction * count) <= 1
        assert held_out[label] < count  # something is left to learn from


def test_shares_equal_scikit_learn() -> None:
    selection = pytest.importorskip("sklearn.model_selection")
    labels = ["a"] * 61 + ["b"] * 27 + ["c"] * 12
    train, test = held_out_split(100, fraction=0.25, labels=labels)
    oracle_train, oracle_test = selection.train_test_split(labels, test_size=0.25, stratify=labels, random_state=0)
    assert Counter(labels[row] for row in train) == Counter(oracle_train)
    assert Counter(labels[row] for row in test) == Counter(oracle_test)


FROZEN = [3, 4, 6, 8]  # raw Philox bits, sorted


def test_a_seed_means_one_split_for_ever() -> None:
    assert held_out_split(12, fraction=0.3, rng=7)[1].tolist() == FROZEN
    assert held_out_split(12, fraction=0.3, rng=8)[1].tolist() != FROZEN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 9}, "too few rows: got 9, expected at least 10"),
        ({"n": 20, "fraction": 0.0}, "bad fraction: got 0.0"),
        ({"n": 20, "fraction": 1.5}, "bad fraction"),
        ({"n": 20, "labels": [1, 2]}, "labels do not fit: got 2, expected one per row, 20"),
        ({"n": 20, "labels": range(20)}, "20 classes of one row each"),
    ],
)
def test_splits_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        held_out_split(**arguments)


@given(st.integers(1, 60), st.integers(1, 70) | st.none(), st.booleans())
def test_every_row_comes_once(n: int, batch_size: int | None, drop_last: bool) -> None:
    batches = list(minibatches(n, batch_size, 0, drop_last=drop_last))
    size = min(n, batch_size or n)
    rows = [int(row) for batch in batches for row in batch]
    assert len(set(rows)) == len(rows) == (n - n % size if drop_last else n)
    assert all(batch.size == size for batch in batches[:-1])
    assert all(batch.dtype == np.int64 for batch in batches)


def test_batch_and_stochastic_descent() -> None:
    (batch,) = minibatches(5, None, 0)
    assert batch.tolist() == [0, 1, 2, 3, 4]
    single = [batch.tolist() for batch in minibatches(5, 1, 0)]
    assert all(len(batch) == 1 for batch in single)
    assert sorted(single) == [[0], [1], [2], [3], [4]]


def test_one_generator_gives_each_epoch_its_own_order() -> None:
    def epochs(rng: np.random.Generator) -> list[list[int]]:
        return [np.concatenate(list(minibatches(50, 8, rng))).tolist() for _ in range(2)]

    first, second = epochs(np.random.default_rng(1))
    assert first != second
    assert epochs(np.random.default_rng(1)) == [first, second]


@pytest.mark.parametrize("bad", [{"n": 0, "batch_size": 1}, {"n": 5, "batch_size": 0}, {"n": 5, "batch_size": -2}])
def test_batches_that_are_refused_at_the_call(bad: dict[str, int]) -> None:
    with pytest.raises(DataError, match="expected at least 1"):
        minibatches(**bad, rng=0)
