"""Every layer against its formula in plain NumPy; gradients against numerical ones; whole training steps compiled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, tree
from glassgrad.train import load, save

D = np.float64
RNG = np.random.default_rng(0)


def draw(*shape: int) -> Any:
    return RNG.normal(size=shape)


def shaken(layer: Any) -> Any:
    """The layer with every parameter moved, so that none is 0 or 1."""
    rng = np.random.default_rng(1)
    return tree.map(lambda a: a + 0.3 * np.abs(rng.normal(size=a.shape)), layer)


def sigma(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def conv(x: Any, w: Any, stride: Any, pad: Any, dilation: Any, groups: int) -> Any:
    """Sums written out, one window at a time; x and w have two spatial axes."""
    x = np.pad(x, ((0, 0), (0, 0), *pad))
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    sizes = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    out = np.zeros((len(x), len(w), *sizes))
    c, per = w.shape[1], len(w) // groups
    for o in range(len(w)):
        g = o // per
        for p, q in np.ndindex(*sizes):
            i, j = p * stride[0], q * stride[1]
            window = x[:, g * c : (g + 1) * c, i : i + reach[0] : dilation[0], j : j + reach[1] : dilation[1]]
            out[:, o, p, q] = (window * w[o]).sum((1, 2, 3))
    return out


def conv2d(m: Any, x: Any) -> Any:
    return conv(x, m.W, (2, 1), ((1, 1), (0, 2)), (1, 2), 2) + m.b[:, None, None]


def conv1d(m: Any, x: Any) -> Any:
    y = conv(x[..., None], m.W[..., None], (2, 1), ((1, 2), (0, 0)), (1, 1), 1)  # same: 4 windows of 8 by 5
    return y[..., 0] + m.b[:, None]


def transposed(m: Any, x: Any) -> Any:
    """Each element lays down its kernel, one at a time."""
    n, _, size = x.shape
    out = np.zeros((n, m.W.shape[1], (size - 1) * 2 + 3))
    for t in range(size):
        out[:, :, 2 * t : 2 * t + 3] += np.einsum("nc,cok->nok", x[:, :, t], m.W)
    return out[:, :, 1:-1] + m.b[:, None]


def pooled(x: Any, fold: Any) -> Any:
    return np.array([[[fold(c[i : i + 3]) for i in (0, 2)] for c in s] for s in x])


def standardised(x: Any, axes: Any, epsilon: float = 1e-5) -> Any:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def groupnorm(m: Any, x: Any) -> Any:
    y = np.concatenate([standardised(part, (1, 2, 3)) for part in np.split(x, 2, 1)], 1)
    return y * m.scale[:, None, None] + m.shift[:, None, None]


def batchnorm(m: Any, x: Any) -> Any:
    wide = lambda p: p[:, None]
    return (x - wide(m.mean)) / np.sqrt(wide(m.variance) + 1e-5) * wide(m.scale) + wide(m.shift)


def rnn(m: Any, x: Any) -> Any:
    h, out = np.zeros((len(x), m.units)), []
    for t in range(x.shape[1])[::-1]:
        h = np.tanh(x[:, t] @ m.W + h @ m.U + m.b)
        out.insert(0, h)
    return np.stack(out, 1), h


def lstm(m: Any, x: Any) -> Any:
    h = c = np.zeros((len(x), m.units))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ m.W + h @ m.U + m.b, 4, 1)
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
        out.append(h)
    return np.stack(out, 1), (h, c)


def gru(m: Any, x: Any) -> Any:
    h, out = np.zeros((len(x), m.units)), []
    for t in range(x.shape[1]):
        (xr, xz, xn), (hr, hz, hn) = np.split(x[:, t] @ m.W + m.b, 3, 1), np.split(h @ m.U, 3, 1)
        z = sigma(xz + hz)
        h = (1 - z) * np.tanh(xn + sigma(xr + hr) * (hn + m.c)) + z * h
        out.append(h)
    return np.stack(out, 1), h


def unbiased(layer: Any) -> Any:
    return lambda m, x: layer(SimpleNamespace(W=m.W, U=m.U, units=m.units, b=0.0, c=0.0), x)


def turned(x: Any, base: float) -> Any:
    """Pairs as complex numbers, times e^(i t θ)."""
    t, d = x.shape[-2:]
    z = (x[..., ::2] + 1j * x[..., 1::2]) * np.exp(1j * np.outer(np.arange(t), base ** (-np.arange(0, d, 2) / d)))
    return np.stack([z.real, z.imag], -1).reshape(x.shape)


def attend(m: Any, x: Any, allowed: Any, base: float | None = None) -> Any:
    """One sample, one head, one query at a time."""
    q, k, v = (x @ part.W + part.b for part in (m.query, m.key, m.value))
    size = q.shape[-1] // m.heads
    mixed = np.zeros_like(q)
    for n in range(len(x)):
        for s in range(0, q.shape[-1], size):
            one, two, three = (a[n, :, s : s + size] for a in (q, k, v))
            one, two = (one, two) if base is None else (turned(one, base), turned(two, base))
            for i in range(x.shape[1]):
                e = np.exp(one[i] @ two.T / np.sqrt(size)) * allowed[n, i]
                mixed[n, i, s : s + size] = e / max(e.sum(), 1e-300) @ three
    return mixed @ m.output.W + m.output.b


def causal(x: Any) -> Any:
    return np.broadcast_to(np.tril(np.ones((x.shape[1],) * 2)), (len(x), x.shape[1], x.shape[1]))


def layernorm(m: Any, x: Any) -> Any:
    return standardised(x, -1) * m.scale + m.shift


def mlp(m: Any, x: Any) -> Any:
    h = x @ m.layers[0].W + m.layers[0].b
    h = h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return h @ m.layers[1].W + m.layers[1].b


def before(m: Any, x: Any) -> Any:
    x = x + attend(m.attention, layernorm(m.norms[0], x), causal(x))
    return x + mlp(m.mlp, layernorm(m.norms[1], x))


def after(m: Any, x: Any) -> Any:
    x = layernorm(m.norms[0], x + attend(m.attention, x, np.ones((2, 5, 5))))
    return layernorm(m.norms[1], x + mlp(m.mlp, x))


# A layer, what it is given, and what it is to give.
CASES: dict[str, tuple[Any, Any, Callable[[Any, Any], Any]]] = {
    "Linear": (nn.Linear(3, 4, rng=0, dtype=D), draw(2, 5, 3), lambda m, x: x @ m.W + m.b),
    "Conv1d": (nn.Conv1d(3, 4, 5, rng=0, stride=2, padding="same", dtype=D), draw(2, 3, 8), conv1d),
    "Conv2d": (
        nn.Conv2d(4, 6, 3, rng=0, stride=(2, 1), padding=(1, (0, 2)), dilation=(1, 2), groups=2, dtype=D),
        draw(2, 4, 6, 7),
        conv2d,
    ),
    "ConvTranspose1d": (nn.ConvTranspose1d(3, 2, 3, rng=0, stride=2, padding=1, dtype=D), draw(2, 3, 4), transposed),
    "MaxPool": (nn.MaxPool(3, 2), draw(2, 3, 6), lambda m, x: pooled(x, np.max)),
    "AvgPool": (nn.AvgPool((3,), 2), draw(2, 3, 6), lambda m, x: pooled(x, np.mean)),
    "Unflatten": (nn.Unflatten((2, 2)), draw(2, 3, 4), lambda m, x: x.reshape(2, 3, 2, 2)),
    "Flatten": (nn.Flatten(), draw(2, 3, 4), lambda m, x: x.reshape(2, 12)),
    "BatchNorm": (nn.BatchNorm(3, dtype=D), draw(4, 3, 5), batchnorm),
    "LayerNorm": (nn.LayerNorm(6, dtype=D), draw(2, 3, 6), layernorm),
    "RMSNorm": (
        nn.RMSNorm(6, dtype=D),
        draw(2, 3, 6),
        lambda m, x: x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * m.scale,
    ),
    "GroupNorm": (nn.GroupNorm(2, 4, dtype=D), draw(2, 4, 3, 3), groupnorm),
    "Embedding": (nn.Embedding(5, 3, rng=0, dtype=D), np.array([[0, 4], [4, 2]]), lambda m, x: m.W[x]),
    "RNN": (nn.RNN(3, 4, rng=0, reverse=True, dtype=D), draw(2, 5, 3), rnn),
    "RNN, no bias": (nn.RNN(3, 4, rng=0, reverse=True, bias=False, dtype=D), draw(2, 5, 3), unbiased(rnn)),
    "LSTM": (nn.LSTM(3, 4, rng=0, dtype=D), draw(2, 5, 3), lstm),
    "LSTM, no bias": (nn.LSTM(3, 4, rng=0, bias=False, dtype=D), draw(2, 5, 3), unbiased(lstm)),
    "GRU": (nn.GRU(3, 4, rng=0, dtype=D), draw(2, 5, 3), gru),
    "GRU, no bias": (nn.GRU(3, 4, rng=0, bias=False, dtype=D), draw(2, 5, 3), unbiased(gru)),
    "MultiHeadAttention": (
        nn.MultiHeadAttention(8, 2, rng=0, causal=True, rotary=100.0, dtype=D),
        draw(2, 5, 8),
        lambda m, x: attend(m, x, causal(x), 100.0),
    ),
    "TransformerBlock": (nn.TransformerBlock(8, 2, rng=0, causal=True, dtype=D), draw(2, 5, 8), before),
    "TransformerBlock, post-norm": (nn.TransformerBlock(8, 2, rng=0, post_norm=True, dtype=D), draw(2, 5, 8), after),
    "Residual": (nn.Residual(nn.Linear(4, 4, rng=0, dtype=D)), draw(2, 4), lambda m, x: x + x @ m.inner.W + m.inner.b),
}


def test_no_layer_is_forgotten() -> None:
    exemplary = {"Gated"}  # of a docstring, when that has run in this process
    own = {name for name in nn.MODULES if ":" not in name and not name.startswith("_")} - exemplary
    elsewhere = {"MLP", "Sequential", "Function", "Dropout", "ConvTranspose2d"}  # tests of their own, or as 1d
    assert own == {name.partition(",")[0] for name in CASES} | elsewhere


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    layer, x, expected = CASES[name]
    layer = shaken(layer)
    for ours, theirs in zip(tree.leaves(layer(x)), tree.leaves(expected(layer, x)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


class Foreign:
    """An array of another library, which NumPy can read."""

    def __init__(self, array: Any) -> None:
        self.array, self.dtype = array, f"foreign.{array.dtype}"

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.array


@pytest.mark.parametrize("name", [*CASES, "MLP", "Sequential", "Function", "Dropout"])
def test_lists_and_foreign_arrays(name: str) -> None:
    others = {"MLP": nn.MLP((3, 2), rng=0), "Sequential": nn.Sequential("silu"), "Function": nn.Function("sigmoid")}
    layer, x = CASES[name][:2] if name in CASES else (others.get(name, nn.Dropout(0.5)), draw(2, 3))
    for given in (x.tolist(), Foreign(x)):
        key = gg.random.key(0)
        for ours, expected in ((layer(given), layer(x)), (layer.learn(given, rng=key)[0], layer.learn(x, rng=key)[0])):
            for a, b in zip(tree.leaves(ours), tree.leaves(expected), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    layer, x, _ = CASES[name]
    point = (shaken(layer), x)
    for seed in (1, 2):  # along a line through all parameters and inputs at once, which is quick
        rng = np.random.default_rng(seed)
        away = tree.map(lambda a: rng.normal(size=a.shape) if a.dtype == D else 0, point)  # noqa: B023

        def along(t: Any, away: Any = away) -> Any:
            model, x = tree.map(lambda a, d: a + t * d if a.dtype == D else a, point, away)
            return nn.learn(model, x)[0]  # through the batch's statistics too

        gg.check_grads(along, (0.0,), order=1)


@pytest.mark.parametrize("name", CASES)
def test_training_steps_in_float32_compile(name: str) -> None:
    layer, x, _ = CASES[name]
    single = lambda a: a.astype(np.float32) if a.dtype == D else a
    model, x = tree.map(single, shaken(layer)), single(x)
    if not tree.leaves(model):
        model = nn.Sequential(model, nn.BatchNorm(3) if x.ndim == 3 and name != "Flatten" else nn.LayerNorm(12))
    sgd = optim.SGD(0.01)

    def step(model: Any, x: Any) -> Any:
        def loss(model: Any) -> Any:
            y, moved = model.learn(x)
            return sum(gg.numpy.mean(part * part) for part in tree.leaves(y)), moved

        (value, moved), slope = gg.value_and_grad(loss, has_aux=True)(model)
        model, _ = sgd.step(model, slope, sgd.init(model))
        return nn.with_state(model, moved), value

    fast = gg.jit(step)
    a = b = model
    for _ in range(2):
        (a, one), (b, two) = step(a, x), fast(b, x)
        np.testing.assert_allclose(one, two, rtol=1e-5)
    for p, q in zip(tree.leaves(a), tree.leaves(b), strict=True):
        assert p.dtype == q.dtype == np.float32
        np.testing.assert_allclose(p, q, rtol=2e-4, atol=2e-6)
    assert len(fast.signatures) == 1


def test_every_layer_comes_back_from_a_file(tmp_path: Path) -> None:
    layers = {name: layer for name, (layer, _, _) in CASES.items()}
    save(tmp_path / "m", layers)
    again = load(tmp_path / "m").model
    assert tree.structure(again) == tree.structure(layers)
    for name, (_, x, _) in CASES.items():
        for one, two in zip(tree.leaves(again[name](x)), tree.leaves(layers[name](x)), strict=True):
            np.testing.assert_array_equal(one, two)
