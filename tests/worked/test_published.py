"""Numbers that others worked out by hand and published."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg

# CS231n, "Backpropagation, Intuitions": circuit, arguments, value, gradients, decimals printed.
# Baydin et al., "Automatic differentiation in machine learning: a survey", table 3; micrograd's README.
MATRIX = [[0.1, 0.5], [-0.3, 0.8]]
PUBLISHED = [
    ("sum_times", (-2.0, 5.0, -4.0), -12.0, (-4.0, -4.0, 3.0), 12),
    ("neuron", ([2.0, -3.0, -3.0], [-1.0, -2.0]), 0.73, ([-0.20, -0.39, 0.20], [0.39, -0.59]), 2),
    ("gates", (3.0, -4.0, 2.0, -1.0), -20.0, (-8.0, 6.0, 2.0, 0.0), 12),
    ("square_norm", (MATRIX, [0.2, 0.4]), 0.116, ([[0.088, 0.176], [0.104, 0.208]], [-0.112, 0.636]), 12),
    ("survey", (2.0, 5.0), 11.652, (5.5, 1.716), 3),
    ("micrograd", (-4.0, 2.0), 24.7041, (138.8338, 645.5773), 4),
]


@pytest.mark.parametrize(("name", "at", "value", "gradients", "decimals"), PUBLISHED, ids=[p[0] for p in PUBLISHED])
def test_circuit(example: Any, name: str, at: Any, value: float, gradients: Any, decimals: int) -> None:
    f = getattr(example("12_published_circuits"), name)
    arguments = tuple(np.asarray(a, float) for a in at)
    got, grads = gg.value_and_grad(f, argnums=tuple(range(len(at))))(*arguments)
    np.testing.assert_allclose(np.round(got, decimals), value, rtol=1e-12)
    for g, expected in zip(grads, gradients, strict=True):
        np.testing.assert_allclose(np.round(g, decimals), expected, rtol=1e-12, atol=1e-12)


def test_neuron_gate_by_gate() -> None:
    """CS231n draws the neuron as six gates and writes the gradient under each wire."""

    def circuit(dot: Any) -> Any:
        minus = gg.name(-dot, "·(-1)")
        power = gg.name(gg.numpy.exp(minus), "exp")
        below = gg.name(power + 1.0, "+1")
        return 1.0 / below

    drawn = {"+1": -0.53, "exp": -0.53, "·(-1)": -0.20}
    assert {k: float(np.round(v, 2)) for k, v in gg.named_grads(circuit, 1.0).items()} == drawn
    assert round(float(gg.grad(circuit)(1.0)), 2) == 0.20


class TestTwoTwoTwoNetwork:
    """Matt Mazur, "A Step by Step Backpropagation Example" (2015)."""

    def test_forward(self, example: Any) -> None:
        m = example("13_two_two_two_network")
        np.testing.assert_allclose(m.forward([m.HIDDEN, m.OUTPUT]), [0.75136507, 0.772928465], atol=5e-9)
        np.testing.assert_allclose(m.error([m.HIDDEN, m.OUTPUT]), 0.298371109, atol=5e-10)

    def test_published_gradients(self, example: Any) -> None:
        m = example("13_two_two_two_network")
        _, _, (hidden, output) = m.step([m.HIDDEN, m.OUTPUT])
        np.testing.assert_allclose(output[0, 0], 0.082167041, atol=5e-10)  # ∂E/∂w5
        np.testing.assert_allclose(hidden[0, 0], 0.000438568, atol=5e-10)  # ∂E/∂w1

    def test_weights_after_one_step(self, example: Any) -> None:
        m = example("13_two_two_two_network")
        (hidden, output), _, _ = m.step([m.HIDDEN, m.OUTPUT])
        np.testing.assert_allclose(output, [[0.35891648, 0.408666186], [0.511301270, 0.561370121]], atol=5e-9)
        np.testing.assert_allclose(hidden, [[0.149780716, 0.19956143], [0.24975114, 0.29950229]], atol=5e-9)

    def test_error_in_the_ten_thousandth_step(self, example: Any) -> None:
        m = example("13_two_two_two_network")
        _, last = m.train(10_000)
        assert f"{last:.10f}" == "0.0000351085"
