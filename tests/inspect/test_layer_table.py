"""The table of layers against a forward and backward pass written out in NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, tree
from glassgrad.inspect import LayerTable, layer_table
from glassgrad.inspect.layers import rows_of, statistics


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_every_number_is_what_numpy_says(compiled: bool) -> None:
    rng = np.random.default_rng(0)
    model = nn.MLP((3, 6, 2), rng=0, dtype=np.float64)
    w1, b1, w2, b2 = tree.leaves(model)
    b1[4] = -100.0  # a unit that is never on
    x, labels = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    z = x @ w1 + b1
    h = np.maximum(z, 0)
    out = h @ w2 + b2
    p = np.exp(out) / np.exp(out).sum(1, keepdims=True)
    delta = (p - np.eye(2)[labels]) / 20
    g2, g1 = h.T @ delta, x.T @ ((delta @ w2.T) * (z > 0))

    def step(g: Any) -> Any:
        return tree.map(lambda p, slope: p - 0.1 * slope, model, g)

    facts = []

    def measure(model: Any, x: Any, y: Any) -> Any:
        facts[:], numbers, loss = statistics(model, nn.cross_entropy, x, y, step)
        return numbers, loss

    numbers, loss = (gg.jit(measure) if compiled else measure)(model, x, labels)
    table = LayerTable(rows_of(facts, np.asarray(numbers)), float(loss))
    assert table.loss == pytest.approx(-np.log(p[np.arange(20), labels]).mean())
    for name, w, a, g in (("hidden1", w1, h, g1), ("output", w2, out, g2)):
        row = table[name]
        assert row.shape == w.shape
        assert row.parameters == w.size + w.shape[1]
        expected = [w.mean(), w.std(), a.mean(), a.std(), (a == 0).mean(), (a == 0).all(0).mean()]
        expected += [np.linalg.norm(g), g.mean(), g.std(), (z <= 0).mean() if name == "hidden1" else 0]
        np.testing.assert_allclose(
            row[3:], [*expected, 0.1 * np.linalg.norm(g) / np.linalg.norm(w), w.shape[1]], rtol=1e-10, atol=1e-15
        )
    assert table["hidden1"].dead >= 1 / 6


def test_it_prints_one_line_per_layer() -> None:
    table = layer_table(nn.MLP((3, 4, 5, 1), "tanh", rng=0), nn.squared_error, np.ones((2, 3)), np.ones((2, 1)))
    lines = str(table).splitlines()
    assert [line.split()[:2] for line in lines[3:]] == [["hidden1", "3×4"], ["hidden2", "4×5"], ["output", "5×1"]]
    assert len({len(line) for line in lines[3:]}) == 1
    with pytest.raises(KeyError, match="no layer is named 'x': got"):
        table["x"]


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "mish", "softplus"])
def test_an_activation_beside_its_layer_counts_as_in_it(name: str) -> None:
    mlp = nn.MLP((3, 5, 2), name, rng=0)
    beside = nn.Sequential(mlp.layers[0], name, nn.Dropout(0.5), mlp.layers[1])
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    one, other = (layer_table(m, nn.squared_error, x, x[:, :2]).rows for m in (mlp, beside))
    assert [row[:-2] for row in one] == [row[:-2] for row in other]


def test_arrays_without_scopes_are_layers_with_their_biases() -> None:
    mlp = nn.MLP((3, 5, 2), "tanh", rng=0)
    w1, b1, w2, b2 = tree.leaves(mlp)
    x = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    integers = np.arange(3)  # are nobody's layer
    plain = layer_table(
        _Plain({"W1": w1, "b1": b1, "W2": w2, "b2": b2, "k": integers}), nn.squared_error, x, x[:, :2]
    ).rows
    assert [row.name for row in plain] == ["p.W1", "p.W2"]
    assert [row[1:-2] for row in plain] == [row[1:-2] for row in layer_table(mlp, nn.squared_error, x, x[:, :2]).rows]


def test_channels_of_images_are_the_units() -> None:
    conv, dense = nn.Conv2d(1, 3, 3, rng=0), nn.Linear(3, 1, rng=0)
    conv.b[1] = -100.0
    model = nn.Sequential(conv, nn.BatchNorm(3), "relu", nn.Function(lambda z: z.mean((2, 3))), dense)
    x = np.random.default_rng(0).normal(size=(6, 1, 5, 5)).astype(np.float32)
    model.layers[1].shift[:] = (0, 100, 0)
    rows = layer_table(model, nn.squared_error, x, x[:, :, 0, 0]).rows
    assert [(row.name, row.units, row.dead) for row in rows] == [
        ("conv", 3, 0.0),
        ("batchnorm", 3, pytest.approx(1 / 3 * (conv(x)[:, 1] + 100 <= 0).all())),
        ("linear", 1, 0.0),
    ]


@dataclass(frozen=True)
class _Plain:
    p: Any

    def __call__(self, x: Any) -> Any:
        return np.tanh(x @ self.p["W1"] + self.p["b1"]) @ self.p["W2"] + self.p["b2"]
