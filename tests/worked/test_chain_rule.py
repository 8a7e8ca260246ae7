"""The chain rule for vectors: Jacobians, collapse of linear layers, softmax, Hessians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.nn import cross_entropy, softmax

RNG = np.random.default_rng(0)


def difference_jacobian(f: Any, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    columns = [(np.asarray(f(x + step * e)) - np.asarray(f(x - step * e))) / (2 * step) for e in np.eye(len(x))]
    return np.stack(columns, 1)


class TestCollapse:
    def test_two_linear_layers_are_one(self, example: Any) -> None:
        m = example("03_linear_layers_collapse")
        for x in RNG.normal(size=(5, 2)):
            np.testing.assert_allclose(m.linear(x), (m.W2 @ m.W1) @ x, rtol=1e-13)
            np.testing.assert_allclose(m.jacobian(m.linear, x), m.W2 @ m.W1, rtol=1e-13)

    def test_not_with_a_sigmoid_between(self, example: Any) -> None:
        m = example("03_linear_layers_collapse")
        a, b = np.array([1.0, 2.0]), np.array([-3.0, 0.5])
        assert np.abs(m.jacobian(m.bent, a) - m.jacobian(m.bent, b)).max() > 0.1
        assert np.abs(m.bent(a + b) - m.bent(a) - m.bent(b)).max() > 0.1
        np.testing.assert_allclose(m.jacobian(m.bent, a), difference_jacobian(m.bent, a), rtol=1e-7, atol=1e-9)


class TestVectorChainRule:
    def test_entry_by_entry(self, example: Any) -> None:
        m = example("04_vector_chain_rule")
        x = np.array([0.3, -0.2, 0.1])
        y = np.tanh(m.W @ x)
        by_engine = m.jacobian(m.inner, x)
        after = gg.grad(m.outer)(y)
        before = gg.grad(lambda x: m.outer(m.inner(x)))(x)
        for j in range(2):
            np.testing.assert_allclose(after[j], 2 * (y[j] - m.TARGET[j]), rtol=1e-14)
            for i in range(3):
                np.testing.assert_allclose(by_engine[j, i], (1 - y[j] ** 2) * m.W[j, i], rtol=1e-14)
        for i in range(3):
            np.testing.assert_allclose(before[i], sum(by_engine[j, i] * after[j] for j in range(2)), rtol=1e-14)

    def test_a_cotangent_times_the_jacobian_is_the_vjp(self, example: Any) -> None:
        m = example("04_vector_chain_rule")
        x, v = RNG.normal(size=3), RNG.normal(size=2)
        _, pullback = gg.vjp(m.inner, x)
        np.testing.assert_allclose(pullback(v)[0], m.jacobian(m.inner, x).T @ v, rtol=1e-14)


class TestSoftmax:
    def test_jacobian(self, example: Any) -> None:
        m = example("07_softmax_cross_entropy")
        for z in RNG.normal(size=(4, 5)) * 3:
            s = np.exp(z) / np.exp(z).sum()
            np.testing.assert_allclose(m.jacobian(softmax, z), np.diag(s) - np.outer(s, s), atol=1e-15)

    def test_cross_entropy_is_prediction_minus_target(self) -> None:
        z, labels = RNG.normal(size=(6, 4)) * 3, RNG.integers(0, 4, 6)
        s = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        one_hot = np.eye(4)[labels]
        np.testing.assert_allclose(gg.grad(cross_entropy)(z, labels), (s - one_hot) / 6, atol=1e-15)
        np.testing.assert_allclose(gg.grad(cross_entropy)(z, one_hot), (s - one_hot) / 6, atol=1e-15)

    def test_far_logits(self) -> None:
        z, target = np.array([1000.0, -1000.0, 0.0]), np.array([0.0, 1.0, 0.0])
        assert cross_entropy(z, target) == 2000.0
        np.testing.assert_array_equal(gg.grad(cross_entropy)(z, target), [1, -1, 0])


class TestSecondOrder:
    def test_polar_jacobian(self, example: Any) -> None:
        m = example("10_jacobian_and_hessian")
        r, t = 2.0, np.pi / 6
        expected = [[np.cos(t), -r * np.sin(t)], [np.sin(t), r * np.cos(t)]]
        np.testing.assert_allclose(gg.jacobian(m.polar)(np.array([r, t])), expected, rtol=1e-14)

    @pytest.mark.parametrize("x", [(1.0, 1.0), (-1.2, 1.0), (0.3, -2.0)])
    def test_rosenbrock_hessian(self, example: Any, x: tuple[float, float]) -> None:
        m = example("10_jacobian_and_hessian")
        a, b = x
        expected = [[2 - 400 * b + 1200 * a * a, -400 * a], [-400 * a, 200]]
        np.testing.assert_allclose(gg.hessian(m.rosenbrock)(np.array(x)), expected, rtol=1e-13)

    def test_newton_reaches_the_minimum(self, example: Any) -> None:
        m = example("10_jacobian_and_hessian")
        np.testing.assert_allclose(m.newton(m.rosenbrock, np.array([-1.2, 1.0]), 7), [1, 1], rtol=1e-10)
