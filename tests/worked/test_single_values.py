"""One product, one line, one kink: gradients a reader can do in the head."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.nn import relu


def test_product(example: Any) -> None:
    x, w = gg.variable(2.0), gg.variable(3.0)
    f = example("01_product").product(x, w)
    grads = f.backward()
    assert (f.item(), grads[x], grads[w]) == (6.0, 3.0, 2.0)


class TestLinearRegression:
    def test_residual_and_its_gradients(self, example: Any) -> None:
        regression = example("02_linear_regression")
        x, y, params = np.array([3.0]), np.array([6.8]), {"w": 1.0, "b": 0.5}
        r = 1.0 * 3.0 + 0.5 - 6.8
        value, grads = gg.value_and_grad(regression.loss)(params, x, y)
        named = gg.named_grads(regression.loss, params, x, y)
        np.testing.assert_allclose(value, r**2, rtol=1e-15)
        np.testing.assert_allclose(named["residual"], [2 * r], rtol=1e-15)
        np.testing.assert_allclose(named["prediction"], [2 * r], rtol=1e-15)
        np.testing.assert_allclose([grads["w"], grads["b"]], [2 * r * 3.0, 2 * r], rtol=1e-15)

    def test_gradient_on_many_points_is_the_normal_equations(self, example: Any) -> None:
        regression = example("02_linear_regression")
        design = np.stack([regression.X, np.ones_like(regression.X)], 1)
        p = np.array([0.7, -0.3])
        expected = 2 / len(regression.X) * design.T @ (design @ p - regression.Y)
        grads = gg.grad(regression.loss)({"w": p[0], "b": p[1]}, regression.X, regression.Y)
        np.testing.assert_allclose([grads["w"], grads["b"]], expected, rtol=1e-14)

    def test_descent_finds_least_squares(self, example: Any) -> None:
        regression = example("02_linear_regression")
        found, history = regression.fit()
        slope, offset = np.polyfit(regression.X, regression.Y, 1)
        np.testing.assert_allclose([found["w"], found["b"]], [slope, offset], rtol=1e-7)
        assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(history))


class TestRelu:
    def test_slopes(self) -> None:
        x = np.array([-2.0, -1e-30, -0.0, 0.0, 1e-30, 2.0])
        np.testing.assert_array_equal(gg.grad(lambda x: relu(x).sum())(x), [0, 0, 0, 0, 1, 1])

    def test_dead_unit(self) -> None:
        w, x = np.array([-1.0, -2.0]), np.array([[1.0, 0.5], [0.3, 2.0]])
        np.testing.assert_array_equal(gg.grad(lambda w: (relu(x @ w) ** 2).sum())(w), [0, 0])

    @pytest.mark.parametrize("x", [-1.5, 0.7])
    def test_away_from_the_kink_it_is_the_difference_quotient(self, x: float) -> None:
        quotient = (relu(x + 1e-6) - relu(x - 1e-6)) / 2e-6
        np.testing.assert_allclose(gg.grad(relu)(x), quotient, rtol=1e-9)
