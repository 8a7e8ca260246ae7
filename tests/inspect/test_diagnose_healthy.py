"""Healthy models, in which nothing may be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, train
from glassgrad import numpy as gnp

Case = tuple[Any, ...]  # model, loss, data, options of diagnose
F32 = np.float32


def table(rng: Any, rows: int = 200, columns: int = 8) -> Any:
    return rng.normal(size=(rows, columns)).astype(F32)


def classes(rng: Any, x: Any, count: int) -> Any:
    """Labels that a linear map of x decides, with some noise."""
    scores = x.reshape(len(x), -1) @ rng.normal(size=(x[0].size, count)) + rng.normal(size=(len(x), count))
    return scores.argmax(1)


def trained(model: Any, loss: Any, data: Any, optimizer: Any = None, epochs: int = 30, **settings: Any) -> Any:
    return train.fit(
        model, loss, data, optimizer=optimizer or optim.Adam(0.01), epochs=epochs, progress=False, **settings
    )[0]


def mlp(sizes: Any, activation: str = "relu", **options: Any) -> Callable[[int], Case]:
    """A fresh perceptron that classifies a table."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = table(rng, columns=sizes[0])
        return nn.MLP(sizes, activation, rng=seed), nn.cross_entropy, (x, classes(rng, x, sizes[-1])), options

    return make


def regression(sizes: Any, activation: str = "relu", **options: Any) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = table(rng, columns=sizes[0])
        y = np.sin(x[:, :1]) + 0.1 * rng.normal(size=(len(x), 1))
        return nn.MLP(sizes, activation, rng=seed), nn.squared_error, (x, y.astype(F32)), options

    return make


def after_training(sizes: Any, activation: str = "relu", epochs: int = 60, lr: float = 0.01) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        model, loss, data, _ = mlp(sizes, activation)(seed)
        return trained(model, loss, data, optim.Adam(lr), epochs), loss, data, {}

    return make


def mature_xor(activation: str) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], F32)
        y = np.array([[0], [1], [1], [0]], F32)
        model = nn.MLP((2, 8, 1), activation, rng=seed)
        return (
            trained(model, nn.binary_cross_entropy, (x, y), optim.Adam(0.1), 400, batch_size=None),
            nn.binary_cross_entropy,
            (x, y),
            {},
        )

    return make


def separated(seed: int) -> Case:
    """Two clouds far apart, learnt until the loss has no slope left in float32."""
    rng = np.random.default_rng(seed)
    x = table(rng, 100, 4)
    y = (np.arange(100) % 2).astype(int)
    x[:, 0] += 6 * (2 * y - 1)
    model = nn.MLP((4, 16, 2), rng=seed)
    return trained(model, nn.cross_entropy, (x, y), optim.Adam(0.1), 200), nn.cross_entropy, (x, y), {}


def digits(seed: int) -> Case:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(F32)
    model = trained(nn.MLP((64, 64, 10), rng=seed), nn.cross_entropy, (x, y), optim.Adam(1e-3), 10)
    return model, nn.cross_entropy, (x, y), {"optimizer": optim.Adam(1e-3), "rows": 100}


def images(seed: int, layers: int = 2) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.random((80, 1, 12, 12)).astype(F32) * (rng.random((80, 1, 12, 12)) > 0.4)
    return x.astype(F32), rng.integers(0, 4, 80)


def cnn(norm: bool = False, activation: Any = nn.relu) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, y = images(seed)
        between = (nn.BatchNorm(8),) if norm else ()
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, rng=seed),
            *between,
            activation,
            nn.MaxPool(2),
            nn.Conv2d(8, 16, 3, rng=seed + 1),
            activation,
            nn.Flatten(),
            nn.Linear(16 * 3 * 3, 4, rng=seed + 2),
        )
        return model, nn.cross_entropy, (x, y), {"optimizer": optim.Adam(1e-3)}

    return make


def batch_norm(depth: int) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = table(rng, columns=16)
        layers: list[Any] = []
        for k in range(depth):
            layers += [nn.Linear(16, 16, bias=False, rng=seed + k), nn.BatchNorm(16), nn.relu]
        return nn.Sequential(*layers, nn.Linear(16, 3, rng=seed)), nn.cross_entropy, (x, classes(rng, x, 3)), {}

    return make


@dataclass(frozen=True, eq=False)
class Last(nn.Module):
    """A recurrent layer whose last output is classified."""

    inner: Any
    head: nn.Linear

    def apply(self, x: Any) -> Any:
        return self.head(self.inner(x)[:, -1])


def rectified_lstm(seed: int) -> Case:
    model, loss, data, options = recurrent(nn.LSTM)(seed)
    return nn.Sequential(model.inner, nn.relu, lambda h: h[:, -1], model.head), loss, data, options


def recurrent(kind: Any, steps: int = 12) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(64, steps, 5)).astype(F32)
        y = classes(rng, x, 3)
        model = Last(kind(5, 16, rng=seed, return_state=False), nn.Linear(16, 3, rng=seed))
        return model, nn.cross_entropy, (x, y), {}

    return make


def prices(seed: int) -> Case:
    """Descent takes steps as long as the targets are large."""
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = (3e5 + 1e5 * x[:, :1]).astype(F32)
    return nn.Linear(8, 1, rng=seed), nn.squared_error, (x, y), {"learning_rate": 0.1}


def own_recurrence(step: Any, gates: int) -> Callable[[int], Case]:
    """One by hand, drawn as PyTorch draws, over 60 steps."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(32, 60, 5)).astype(F32)
        p = {k: rng.uniform(-0.25, 0.25, s) for k, s in {"u": (5, 16 * gates), "w": (16, 16 * gates)}.items()}
        p["o"] = rng.normal(size=(16, 3)) / 4

        def f(p: Any, x: Any) -> Any:
            zero = np.zeros((len(x), 16))
            first = (zero, zero)
            (h, _), _ = gg.scan(lambda s, t: (step(*s, t @ p["u"], s[0], p["w"]), None), first, gnp.swapaxes(x, 0, 1))
            return h @ p["o"]

        return (f, p), nn.cross_entropy, (x, rng.integers(0, 3, 32)), {}

    return make


def lstm_step(h: Any, c: Any, z: Any, _: Any, w: Any) -> Any:
    i, f, g, o = gnp.split(z + h @ w, 4, axis=1)
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * gnp.tanh(g)
    return nn.sigmoid(o) * gnp.tanh(c), c


def leaky_step(h: Any, c: Any, z: Any, _: Any, w: Any) -> Any:
    return 0.9 * h + 0.1 * gnp.tanh(z + h @ w), c


def fixed_point(seed: int) -> Case:
    """h = tanh(x U + h W), iterated from 0: where it begins is forgotten, and is to be."""
    rng = np.random.default_rng(seed)
    x = table(rng)
    p = {"u": rng.normal(size=(8, 16)) / 3, "w": 0.03 * rng.normal(size=(16, 16)), "o": rng.normal(size=(16, 1)) / 4}

    def f(p: Any, x: Any) -> Any:
        start = np.zeros((len(x), 16))
        return gg.fori_loop(0, 40, lambda i, h: gnp.tanh(x @ p["u"] + h @ p["w"]), start) @ p["o"]

    return (f, p), nn.squared_error, (x, x[:, :1]), {}


def running_sum(seed: int) -> Case:
    """The loss asks for every one of 1500 sums: gradients add up, and none grows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, 1500, 3))
    p = {"u": rng.normal(size=(3, 4)), "o": rng.normal(size=(4, 1)) / 40}

    def f(p: Any, x: Any) -> Any:
        def step(total: Any, t: Any) -> Any:
            total = total + t @ p["u"]
            return total, total

        return gg.scan(step, np.zeros((len(x), 4)), gnp.swapaxes(x, 0, 1))[1].mean(0) @ p["o"]

    return (f, p), nn.squared_error, (x, x[:, 0, :1]), {}


@dataclass(frozen=True, eq=False)
class Reader(nn.Module):
    """An embedding, transformer blocks, a head."""

    embedding: nn.Embedding
    blocks: tuple[Any, ...]
    head: nn.Linear

    def apply(self, x: Any) -> Any:
        h = self.embedding(x) + nn.sinusoidal(x.shape[1], 16)
        for block in self.blocks:
            h = block(h)
        return self.head(h.mean(1))


def transformer(seed: int, blocks: int = 2, dropout: float = 0.0) -> Case:
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 500, (48, 10)), rng.integers(0, 3, 48)
    model = Reader(
        nn.Embedding(500, 16, rng=seed),
        tuple(nn.TransformerBlock(16, 4, rng=seed + k, dropout=dropout) for k in range(blocks)),
        nn.Linear(16, 3, rng=seed),
    )
    return model, nn.cross_entropy, (x, y), {"optimizer": optim.Adam(1e-3)}


def mixed_columns(seed: int) -> Case:
    """Standardised numbers, yes and no, one-hot, rare ones, counts."""
    rng = np.random.default_rng(seed)
    n = 300
    x = np.column_stack(
        [
            rng.normal(size=(n, 3)),
            rng.random((n, 2)) < 0.5,
            np.eye(6)[rng.integers(0, 6, n)],
            rng.random((n, 2)) < 0.01,
            rng.poisson(4, (n, 2)),
            rng.poisson(0.05, n),
        ]
    )
    return nn.MLP((x.shape[1], 32, 2), rng=seed), nn.cross_entropy, (x, rng.integers(0, 2, n)), {}


def imbalance(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng, 400)
    y = (rng.random(400) < 0.03).astype(F32)[:, None]
    return nn.MLP((8, 16, 1), rng=seed), nn.binary_cross_entropy, (x, y), {"optimizer": optim.Adam(1e-3)}


def no_biases(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    model = nn.Sequential(
        nn.Linear(8, 32, bias=False, rng=seed, initialiser=nn.he_normal),
        nn.relu,
        nn.Linear(32, 3, bias=False, rng=seed),
    )
    return model, nn.cross_entropy, (x, classes(rng, x, 3)), {}


@dataclass(frozen=True, eq=False)
class Tuned(nn.Module):
    """A body that is not to be learnt any more, and a new head that begins at 0."""

    body: nn.MLP = field(metadata=nn.STATE)
    head: nn.Linear

    def apply(self, x: Any) -> Any:
        return self.head(nn.relu(self.body(x)))


def fine_tuned(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    head = nn.Linear(16, 3, rng=seed, initialiser=nn.zeros)
    return Tuned(nn.MLP((8, 32, 16), rng=seed), head), nn.cross_entropy, (x, classes(rng, x, 3)), {}


def zero_head(seed: int) -> Case:
    """The last layer begins at 0, as is often done: hidden layers have no gradient at the first step."""
    rng = np.random.default_rng(seed)
    x = table(rng)
    model = nn.Sequential(nn.Linear(8, 16, rng=seed), nn.tanh, nn.Linear(16, 3, rng=seed, initialiser=nn.zeros))
    return model, nn.cross_entropy, (x, classes(rng, x, 3)), {}


@dataclass(frozen=True, eq=False)
class Gate(nn.Module):
    """x + a f(x) with a = 0 at first."""

    inner: nn.Linear
    a: Any

    def apply(self, x: Any) -> Any:
        return x + self.a * nn.relu(self.inner(x))


def rezero(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    gates = [Gate(nn.Linear(8, 8, rng=seed + k), np.zeros(1, F32)) for k in range(6)]
    return nn.Sequential(*gates, nn.Linear(8, 3, rng=seed)), nn.cross_entropy, (x, classes(rng, x, 3)), {}


def low_rank(seed: int) -> Case:
    """W + A B with B = 0 at first; W is kept as it is."""
    rng = np.random.default_rng(seed)
    x = table(rng)
    w = rng.normal(size=(8, 3)).astype(F32)
    p = {"A": rng.normal(size=(8, 2)).astype(F32), "B": np.zeros((2, 3), F32)}
    return (lambda p, x: x @ w + x @ p["A"] @ p["B"], p), nn.cross_entropy, (x, classes(rng, x, 3)), {}


def residual(depth: int) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = table(rng, columns=16)
        blocks = [
            nn.Residual(nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 16, rng=seed + k), nn.relu)) for k in range(depth)
        ]
        return nn.Sequential(*blocks, nn.Linear(16, 3, rng=seed)), nn.cross_entropy, (x, classes(rng, x, 3)), {}

    return make


def by_hand(seed: int) -> Case:
    """A dict of parameters, a function, and an objective of one's own."""
    rng = np.random.default_rng(seed)
    x = table(rng).astype(float)
    p = {"W1": rng.normal(size=(8, 16)) / 3, "b1": np.zeros(16), "W2": rng.normal(size=(16, 1)) / 4, "b2": np.zeros(1)}

    def f(p: Any, x: Any) -> Any:
        return gnp.tanh(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]

    return (f, p), lambda out, y: gnp.mean((out - y) ** 2), (x, np.sin(x[:, :1])), {"learning_rate": 0.05}


def objective(seed: int) -> Case:
    (f, p), loss, (x, y), _ = by_hand(seed)
    return p, lambda p, x, y: loss(f(p, x), y), (x, y), {}


def logistic_from_zero(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = (x[:, :1] > 0).astype(F32)
    return nn.Linear(8, 1, rng=0, initialiser=nn.zeros), nn.binary_cross_entropy, (x, y), {"learning_rate": 0.1}


def sigmoid_and_error(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = (x[:, :1] > 0).astype(F32)
    model = nn.Sequential(nn.Linear(8, 8, rng=seed), nn.sigmoid, nn.Linear(8, 1, rng=seed), nn.sigmoid)
    return model, nn.squared_error, (x, y), {"learning_rate": 0.5}


def own_likelihood(seed: int) -> Case:
    """Softmax in the model, and the logarithm of what it gives: nothing is done twice."""
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = classes(rng, x, 4)
    model = nn.Sequential(nn.Linear(8, 16, rng=seed), nn.tanh, nn.Linear(16, 4, rng=seed), nn.softmax)
    return model, lambda p, y: -gnp.log(p[np.arange(len(y)), y]).mean(), (x, y), {}


def left_out_labels(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = classes(rng, x, 3)
    y[::5] = -100
    return nn.MLP((8, 16, 3), rng=seed), lambda o, y: nn.cross_entropy(o, y, ignore_index=-100), (x, y), {}


def missing_values_handled(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    x[rng.random(x.shape) < 0.1] = np.nan
    p = {"W": rng.normal(size=(8, 3)), "b": np.zeros(3)}
    y = rng.integers(0, 3, len(x))
    return (lambda p, x: gnp.where(gnp.isnan(x), 0, x) @ p["W"] + p["b"], p), nn.cross_entropy, (x, y), {}


def scaled_inside(seed: int) -> Case:
    """Raw columns, which the model itself brings to one scale first."""
    rng = np.random.default_rng(seed)
    x = table(rng) * np.array([1e6, 1, 1e-3, 1, 50, 1, 1, 1e4], F32)
    model = nn.Sequential(nn.BatchNorm(8), nn.Linear(8, 16, rng=seed), nn.relu, nn.Linear(16, 2, rng=seed))
    return model, nn.cross_entropy, (x, rng.integers(0, 2, len(x))), {}


def small_weights_for_the_policy(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    model = nn.Sequential(
        nn.Linear(8, 32, rng=seed, initialiser=nn.orthogonal),
        nn.tanh,
        nn.Linear(32, 32, rng=seed, initialiser=nn.orthogonal),
        nn.tanh,
        nn.Linear(32, 2, rng=seed, initialiser=nn.normal(1e-3)),
    )
    return model, nn.squared_error, (x, x[:, :2]), {"optimizer": optim.Adam(3e-4)}


def with_dropout(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    return nn.MLP((8, 64, 64, 3), rng=seed, dropout=0.5), nn.cross_entropy, (x, classes(rng, x, 3)), {}


def warm_up(seed: int) -> Case:
    model, loss, data, _ = mlp((8, 32, 3))(seed)
    return model, loss, data, {"optimizer": optim.Adam(optim.WarmUp(optim.Cosine(1e-3, 10000), 1000))}


def autoencoder(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.random((100, 36)).astype(F32)
    model = nn.Sequential(nn.Linear(36, 8, rng=seed), nn.relu, nn.Linear(8, 36, rng=seed), nn.sigmoid)
    return model, nn.squared_error, (x, x), {"optimizer": optim.Adam(1e-3)}


def counts_by_exp(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = rng.poisson(np.exp(x[:, :1] / 2)).astype(F32)
    model = nn.Sequential(nn.Linear(8, 1, rng=seed), gnp.exp)
    return model, lambda m, y: gnp.mean(m - y * gnp.log(m)), (x, y), {}


def contrastive(seed: int) -> Case:
    """Each row beside all: the labels are numbers of rows, and there are more rows than outputs."""
    x = table(np.random.default_rng(seed), 32)
    return nn.Linear(8, 4, rng=seed), lambda z, y: nn.cross_entropy(z @ z.T / 2, y), (x, np.arange(32)), {}


def many_dead_but_good(seed: int) -> Case:
    """Positive inputs and a brisk rate turn up to half of the units off, and the rest do very well."""
    rng = np.random.default_rng(seed)
    x = rng.random((300, 30)).astype(F32)
    y = (x[:, :3].sum(1) > 1.5).astype(int)
    return trained(nn.MLP((30, 128, 128, 2), rng=seed), nn.cross_entropy, (x, y)), nn.cross_entropy, (x, y), {}


def targets_left_out(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    y = x[:, :1].copy()
    y[::3] = np.nan

    def loss(o: Any, y: Any) -> Any:
        known = ~np.isnan(y)
        return gnp.where(known, (o - np.where(known, y, 0)) ** 2, 0).mean()

    return nn.Linear(8, 1, rng=seed), loss, (x, y), {}


def complex_weights(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 16))
    p = {"F": rng.normal(size=9) + 1j * rng.normal(size=9), "w": rng.normal(size=(16, 1)) / 4}

    def f(p: Any, x: Any) -> Any:
        return gnp.tanh(gnp.fft.irfft(gnp.fft.rfft(x) * p["F"], 16)) @ p["w"]

    return (f, p), nn.squared_error, (x, x[:, :1]), {"learning_rate": 0.05}


def half_precision(seed: int) -> Case:
    x = np.random.default_rng(seed).normal(size=(60, 6)).astype(np.float16)
    return nn.MLP((6, 16, 1), rng=seed, dtype=np.float16), nn.squared_error, (x, x[:, :1]), {"learning_rate": 0.05}


def derivative_inside(seed: int) -> Case:
    """A network whose slope is to be that of the sine: the objective holds a gradient."""
    model = nn.MLP((1, 16, 1), "tanh", rng=seed, dtype=np.float64)
    x = np.linspace(0, 1, 20)

    def objective(m: Any, x: Any, y: Any) -> Any:
        def u(t: Any) -> Any:
            return m(gnp.reshape(t, (1, 1)))[0, 0]

        return ((gg.vmap(gg.grad(u))(x) - y) ** 2).mean() + u(gnp.zeros(())) ** 2

    return model, objective, (x, np.cos(x)), {}


def balanced(seed: int) -> Case:
    """As many of each class, and outputs that begin equal: sums over rows cancel to exactly 0."""
    x = table(np.random.default_rng(seed), 10)
    p = {"W": np.zeros((8, 2)), "b": np.zeros(2)}
    return (lambda p, x: x @ p["W"] + p["b"], p), nn.cross_entropy, (x, np.arange(10) % 2), {}


def weighted(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = table(rng)
    return nn.MLP((8, 16, 3), rng=seed), "cross_entropy", (x, classes(rng, x, 3), rng.random(len(x))), {}


HEALTHY: dict[str, Callable[[int], Case]] = {
    "linear": mlp((8, 3)),
    "width 4": mlp((8, 4, 3)),
    "width 512": mlp((8, 512, 3), optimizer="adam", learning_rate=1e-3),
    "relu, 8 layers": mlp((8, *[32] * 8, 3)),
    "relu, 30 layers of 32": mlp((8, *[32] * 30, 3)),
    "tanh": mlp((8, 32, 32, 3), "tanh", learning_rate=0.1),
    "tanh, 30 layers": mlp((8, *[32] * 30, 3), "tanh"),
    "gelu": mlp((8, 32, 32, 3), "gelu", optimizer="adam"),
    "silu, 6 layers": mlp((8, *[32] * 6, 3), "silu"),
    "elu": mlp((8, 32, 32, 3), "elu"),
    "selu, 10 layers": mlp((8, *[32] * 10, 3), "selu"),
    "leaky relu": mlp((8, 32, 32, 3), "leaky_relu"),
    "mish": mlp((8, 32, 32, 3), "mish"),
    "one layer of sigmoids": mlp((8, 16, 3), "sigmoid", learning_rate=0.5),
    "two layers of sigmoids": mlp((8, 16, 16, 3), "sigmoid"),
    "2 classes": mlp((8, 16, 2)),
    "100 classes": mlp((8, 64, 100), optimizer="adam"),
    "regression": regression((8, 32, 1), learning_rate=0.05),
    "regression by tanh": regression((8, 32, 32, 1), "tanh", optimizer="adam", learning_rate=1e-2),
    "relu, trained": after_training((8, 64, 64, 3)),
    "tanh, trained": after_training((8, 32, 32, 3), "tanh"),
    "gelu, trained": after_training((8, 32, 32, 3), "gelu"),
    "sigmoid, trained": after_training((8, 32, 3), "sigmoid", 150),
    "4 units, trained": after_training((8, 4, 3), epochs=200),
    "xor by sigmoids, learnt": mature_xor("sigmoid"),
    "xor by tanh, learnt": mature_xor("tanh"),
    "separated clouds, learnt": separated,
    "digits, trained": digits,
    "cnn": cnn(),
    "cnn with batch norm": cnn(True),
    "cnn of tanh": cnn(activation=nn.tanh),
    "batch norm, 3 layers": batch_norm(3),
    "batch norm, 12 layers": batch_norm(12),
    "lstm": recurrent(nn.LSTM),
    "lstm, 40 steps": recurrent(nn.LSTM, 40),
    "lstm behind a rectifier": rectified_lstm,
    "gru": recurrent(nn.GRU),
    "rnn": recurrent(nn.RNN),
    "prices by descent": prices,
    "own lstm": own_recurrence(lstm_step, 4),
    "own leaky cell": own_recurrence(leaky_step, 1),
    "fixed point": fixed_point,
    "running sum": running_sum,
    "transformer": transformer,
    "transformer with dropout": lambda seed: transformer(seed, 3, 0.1),
    "columns of all kinds": mixed_columns,
    "class imbalance": imbalance,
    "no biases": no_biases,
    "fine-tuned": fine_tuned,
    "zero head": zero_head,
    "gates that begin at 0": rezero,
    "low-rank update": low_rank,
    "residual, 20 blocks": residual(20),
    "by hand": by_hand,
    "objective": objective,
    "logistic regression from 0": logistic_from_zero,
    "sigmoid output, squared error": sigmoid_and_error,
    "own likelihood": own_likelihood,
    "labels left out": left_out_labels,
    "missing values handled": missing_values_handled,
    "scaled inside": scaled_inside,
    "small last layer": small_weights_for_the_policy,
    "dropout": with_dropout,
    "warm-up": warm_up,
    "autoencoder of pixels": autoencoder,
    "counts": counts_by_exp,
    "weights of rows": weighted,
    "contrastive": contrastive,
    "many dead but good": many_dead_but_good,
    "targets left out": targets_left_out,
    "complex weights": complex_weights,
    "half precision": half_precision,
    "derivative inside": derivative_inside,
    "balanced": balanced,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_found(name: str) -> None:
    seed = sum(map(ord, name))
    model, loss, data, options = HEALTHY[name](seed)
    found = gg.diagnose(model, loss, data, **options)
    assert not found, str(found)
