"""Shuffling beside NumPy's own: the same order, and the same bits used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.native.shuffle import shuffler


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.PCG64, np.random.Philox])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 16, 17, 255, 256, 257, 1437, 70_000])
def test_as_random_state(n: int, bits: Any) -> None:
    own, other = (np.random.RandomState(bits(n)) for _ in range(2))
    found, expected = np.arange(n)[::-1].copy(), np.arange(n)[::-1].copy()
    shuffle = shuffler(own, found)
    for _ in range(3):
        shuffle(), other.shuffle(expected)
        np.testing.assert_array_equal(found, expected)
    assert own.randint(1 << 30) == other.randint(1 << 30)


def test_the_known_order() -> None:
    """As NumPy's own tests of the frozen stream have it."""
    order = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    shuffler(np.random.RandomState(1234567890), order)()
    assert order.tolist() == [0, 1, 9, 6, 2, 4, 5, 8, 7, 3]


def test_what_is_shuffled_is_kept() -> None:
    shuffle = shuffler(np.random.RandomState(0), np.arange(1000))
    for _ in range(100):
        np.zeros(1000, np.int64)
        shuffle()
