"""Making Arrays from lists that hold Arrays, ends that vary, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad.errors import ShapeError, TracedValueError, UnsupportedError


def test_lists_of_variables_are_stacked_and_keep_their_gradient() -> None:
    def made(x: Any, y: Any) -> Any:
        return np.array([[x, 2.0], [y * x, np.ones(2)[0]]])

    x, y = gg.variable(3.0), gg.variable(5.0)
    got = made(x, y)
    onp.testing.assert_array_equal(got.value, [[3.0, 2.0], [15.0, 1.0]])
    weights = onp.array([[1.0, 10.0], [100.0, 1000.0]])
    grads = (got * weights).sum().backward()
    assert (grads[x], grads[y]) == (501.0, 300.0)


def test_lists_anywhere_an_array_may_stand() -> None:
    def loss(a: Any) -> Any:
        return np.sum([a, 2 * a]) + np.dot([a, a], [1.0, 2.0]) + np.max([a, 0.5]) + np.tanh([a, a]).sum()

    slope = (float(loss(1.3 + 1e-6)) - float(loss(1.3 - 1e-6))) / 2e-6
    assert gg.grad(loss)(1.3) == pytest.approx(slope, rel=1e-8)


def test_dtypes_of_lists_are_numpys() -> None:
    for items in ([1, 2], [1, 2.0], [True, 2], [1j, 2], [], [[1], [2]], [onp.float32(1), 2.0]):
        assert np.array(items).dtype == onp.array(items).dtype
    x = gg.variable(onp.float32(1))
    assert np.array([x, x]).dtype == onp.float32
    assert np.array([x, x], dtype=onp.float64).dtype == onp.float64


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        np.array([gg.variable(1.0), gg.variable([1.0, 2.0])])


def test_array_copies_and_asarray_shares() -> None:
    data = onp.ones(3)
    shared, copied = np.asarray(data), np.array(data)
    data[0] = 5.0
    assert shared[0].item() == 5.0 and copied[0].item() == 1.0
    v = gg.variable(data)
    assert np.asarray(v) is v
    assert np.array(v, ndmin=3).shape == (1, 1, 3)


def test_every_maker_gives_arrays() -> None:
    for made in (
        np.zeros(2), np.ones((2, 3)), np.empty(2), np.full(2, 1.0), np.eye(2), np.arange(3), np.linspace(0, 1, 3),
        np.logspace(0, 1, 3), np.geomspace(1, 2, 3), np.identity(2), np.tri(2), np.array(1.0), np.asarray([1]),
        np.zeros_like([1.0]), np.full_like([1.0], 2), np.indices((2,)), np.frombuffer(b"12345678"), np.add(1, 2),
        np.fromiter([1.0, 2.0], float), np.diag([1.0]), np.vander([1.0, 2.0]), np.mgrid[0:2], np.sum(3.0), np.sin(0.5),
        np.r_[1:3, 5.0], np.c_[[1.0, 2.0], [3.0, 4.0]], np.asarray_chkfinite([1.0]), np.where(True, 1, 2), np.real(1.0),
    ):  # fmt: skip
        assert isinstance(made, gg.Array)


def test_joining_by_brackets() -> None:
    a, b = onp.array([1.0, 2.0]), onp.array([3.0, 4.0])
    onp.testing.assert_array_equal(onp.asarray(np.r_[a, 0, 1:4, b]), onp.r_[a, 0, 1:4, b])
    onp.testing.assert_array_equal(onp.asarray(np.c_[a, b]), onp.c_[a, b])
    onp.testing.assert_array_equal(gg.grad(lambda x: (np.r_[x, x[:1]] * np.r_[1.0:4.0]).sum())(a), [4.0, 2.0])
    with pytest.raises(UnsupportedError, match="concatenate"):
        _ = np.r_["0,2", a, b]


@pytest.mark.parametrize("maker", [np.zeros, np.ones, np.empty])
def test_memory_layout_is_refused_with_the_way_out(maker: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"order='F'.*transpose"):
        maker((2, 3), order="F")
    with pytest.raises(UnsupportedError, match="order='F'"):
        np.array([[1.0]], order="F")


def test_sizes_and_ranges_must_not_vary() -> None:
    with pytest.raises(UnsupportedError, match="arange: no gradient flows"):
        np.arange(gg.variable(3.0))
    with pytest.raises(TracedValueError):
        gg.trace(lambda n: np.zeros(n), onp.array(3))
    assert np.zeros(np.asarray(3)).shape == (3,)
    assert np.zeros(np.array([2, 3])).shape == (2, 3)


def test_whole_numbers_are_checked() -> None:
    with pytest.raises(ValueError):
        np.asarray_chkfinite([onp.nan])
    with pytest.raises(TypeError):
        np.tanh("text")


def test_ends_of_ranges_vary() -> None:
    got = gg.grad(lambda a: np.linspace(a, 5.0, 3).sum() + np.full((2, 2), a).sum())(1.0)
    assert got == pytest.approx(1.5 + 4)


@pytest.mark.parametrize(("axis1", "axis2"), [(-1, -2), (-2, -1), (0, 1)])
def test_make_diagonal_is_the_opposite_of_diagonal(axis1: int, axis2: int) -> None:
    d = onp.arange(1.0, 7.0).reshape(2, 3)
    made = np.make_diagonal(d, axis1=axis1, axis2=axis2)
    onp.testing.assert_array_equal(onp.asarray(np.diagonal(made, axis1=axis1, axis2=axis2)), d)
    assert made.shape == ((2, 3, 3) if axis1 < 0 else (3, 3, 2)) and np.count_nonzero(made).item() == 6


def test_casting_to_whole_numbers_needs_no_gradient() -> None:
    x = gg.variable([1.7, 2.2])
    assert onp.int64(x).tolist() == [1, 2] and x.astype(int).tolist() == [1, 2]
    with pytest.raises(TracedValueError):
        onp.float64(x)
