"""Deep networks: the δ-recursion, vanishing gradients, sharing of subproblems, ways of descent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg


class TestDeltaRecursion:
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_every_layer(self, example: Any, seed: int) -> None:
        m = example("05_deep_sigmoid_network")
        layers, x, y = m.network(seed)
        a, gains = m.forward(layers, x)
        deltas = m.reverse(layers, gains, a[-1] - y)
        engine, at_z = gg.grad(m.cost)(layers, x, y), gg.named_grads(m.cost, layers, x, y)
        for i in range(len(layers)):
            np.testing.assert_allclose(at_z[f"z{i + 1}"], deltas[i], rtol=1e-12)
            np.testing.assert_allclose(engine[i]["b"], deltas[i], rtol=1e-12)
            np.testing.assert_allclose(engine[i]["W"], np.outer(deltas[i], a[i]), rtol=1e-12)

    def test_the_reverse_network_is_linear_in_the_error(self, example: Any) -> None:
        m = example("05_deep_sigmoid_network")
        layers, x, _ = m.network()
        _, gains = m.forward(layers, x)
        e, f = np.array([0.3, -1.0]), np.array([2.0, 0.5])
        for mixed, first, second in zip(
            *(m.reverse(layers, gains, v) for v in (2 * e - 3 * f, e, f)), strict=True
        ):
            np.testing.assert_allclose(mixed, 2 * first - 3 * second, rtol=1e-12)

    def test_against_differences(self, example: Any) -> None:
        m = example("05_deep_sigmoid_network")
        layers, x, y = m.network()
        gg.check_grads(lambda layers: m.cost(layers, x, y), (layers,))


def test_vanishing_gradients(example: Any) -> None:
    norms = example("06_vanishing_gradients").gradient_norms
    sigmoid, relu = norms("sigmoid", 12), norms("relu", 12)
    assert sigmoid[0] / sigmoid[-1] < 1e-6
    assert 0.05 < relu[0] / relu[-1] < 20
    assert norms("sigmoid", 16)[0] < norms("sigmoid", 8)[0] < norms("sigmoid", 4)[0]


class TestSharedSubproblems:
    @pytest.mark.parametrize("depth", [1, 3, 6, 10])
    def test_paths_double_edges_do_not(self, example: Any, depth: int) -> None:
        m = example("09_shared_subproblems")
        x = gg.variable(1.5)
        output = m.network(x, depth)
        assert m.count(output, x) == (2 ** (depth + 1), 6 * depth + 4)

    @pytest.mark.parametrize("depth", [1, 3, 6, 10])
    def test_work_follows_edges(self, example: Any, depth: int) -> None:
        m = example("09_shared_subproblems")
        x = gg.variable(1.5)
        output = m.network(x, depth)
        naive = m.Naive()
        by_recursion = naive.derivative(output, x)
        np.testing.assert_allclose(output.backward()[x], by_recursion, rtol=1e-12)
        assert naive.products >= 2 ** (depth + 1)
        assert m.operations(output, x) <= 2 * (6 * depth + 4)

    def test_paths_by_listing_them(self, example: Any) -> None:
        m = example("09_shared_subproblems")
        x = gg.variable(1.5)
        output = m.network(x, 5)

        def listed(node: Any) -> int:
            return 1 if node is x else sum(listed(i) for i in node.inputs if i.tracked)

        assert listed(output) == m.count(output, x)[0]

    def test_a_depth_no_recursion_could_walk(self, example: Any) -> None:
        m = example("09_shared_subproblems")
        x = gg.variable(1.5)
        output = m.network(x, 2000)  # 2²⁰⁰¹ paths
        assert m.count(output, x) == (2**2001, 12004)
        assert np.isfinite(output.backward()[x])

    def test_tracing_computes_a_shared_part_once(self) -> None:
        def f(x: Any) -> Any:
            return gg.numpy.sin(x * 2.0) + gg.numpy.sin(x * 2.0)

        program = gg.trace(f, 1.0)
        assert [n.op.name for n in program.nodes].count("sin") == 1


class TestDescent:
    @pytest.mark.parametrize(("batch", "epochs", "near"), [(256, 400, 1e-5), (32, 30, 0.02), (1, 10, 0.1)])
    def test_each_way_comes_near_the_solution(self, example: Any, batch: int, epochs: int, near: float) -> None:
        m = example("11_batch_and_stochastic")
        w, history = m.descend(batch, epochs)
        best = np.linalg.lstsq(*m.data())[0]
        np.testing.assert_allclose(w, best, atol=near)
        assert history[-1] < 0.02

    def test_the_batch_gradient_is_the_mean_of_the_examples(self, example: Any) -> None:
        m = example("11_batch_and_stochastic")
        x, y = m.data()
        w = np.array([0.5, -1.0, 2.0])
        one_by_one = [gg.grad(m.loss)(w, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
        np.testing.assert_allclose(gg.grad(m.loss)(w, x, y), np.mean(one_by_one, 0), rtol=1e-12)

    def test_an_epoch_meets_every_example_once(self, example: Any) -> None:
        m = example("11_batch_and_stochastic")
        order = gg.random.permutation(len(m.data()[0]), rng=gg.random.fold_in(1, 0)).value
        assert sorted(order.tolist()) == list(range(256))
