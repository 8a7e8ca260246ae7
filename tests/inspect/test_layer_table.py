"""The table of layers against a forward and backward pass written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from glassgrad import nn, tree
from glassgrad.inspect import layer_table


def test_every_number_is_what_numpy_says() -> None:
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

    table = layer_table(model, nn.cross_entropy, x, labels)
    assert table.loss == pytest.approx(-np.log(p[np.arange(20), labels]).mean())
    for name, w, a, g in (("hidden1", w1, h, g1), ("output", w2, out, g2)):
        row = table[name]
        assert row.shape == w.shape
        assert row.parameters == w.size + w.shape[1]
        expected = [w.mean(), w.std(), a.mean(), a.std(), (a == 0).mean(), (a == 0).all(0).mean()]
        expected += [np.linalg.norm(g), g.mean(), g.std()]
        np.testing.assert_allclose(row[3:], expected, rtol=1e-10, atol=1e-15)
    assert table["hidden1"].dead >= 1 / 6


def test_it_prints_one_line_per_layer() -> None:
    table = layer_table(nn.MLP((3, 4, 5, 1), "tanh", rng=0), nn.squared_error, np.ones((2, 3)), np.ones((2, 1)))
    lines = str(table).splitlines()
    assert [line.split()[:2] for line in lines[3:]] == [["hidden1", "3×4"], ["hidden2", "4×5"], ["output", "5×1"]]
    assert len({len(line) for line in lines[3:]}) == 1
    with pytest.raises(KeyError, match="no layer is named 'x': got"):
        table["x"]
