"""Broken models, in which exactly what is wrong must be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim
from glassgrad import numpy as gnp

Case = tuple[Any, ...]  # model, loss, data, options of diagnose
F32 = np.float32


def table(seed: int, columns: int = 8, rows: int = 200, count: int = 3) -> tuple[Any, Any, Any]:
    """x, class numbers that a linear map of it decides, and a number to predict."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)).astype(F32)
    labels = (x @ rng.normal(size=(columns, count)) + 0.5 * rng.normal(size=(rows, count))).argmax(1)
    return x, labels, np.sin(x[:, :1]).astype(F32)


def classifier(model: Callable[[int], Any], **options: Any) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, labels, _ = table(seed)
        return model(seed), nn.cross_entropy, (x, labels), options

    return make


def regressor(model: Callable[[int], Any], loss: Any = nn.squared_error, **options: Any) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, _, y = table(seed)
        return model(seed), loss, (x, y), options

    return make


def mlp(*sizes: int, activation: str = "relu") -> Callable[[int], Any]:
    return lambda seed: nn.MLP(sizes, activation, rng=seed)


def drawn(*sizes: int, initialiser: Any, activation: Any = nn.relu) -> Callable[[int], Any]:
    """A perceptron whose weights are all drawn by one rule."""

    def make(seed: int) -> Any:
        layers: list[Any] = []
        for k in range(len(sizes) - 1):
            layers += [nn.Linear(sizes[k], sizes[k + 1], rng=seed + k, initialiser=initialiser), activation]
        return nn.Sequential(*layers[:-1])

    return make


def scaled(factor: float, *sizes: int, activation: str = "relu", layer: int | None = None) -> Callable[[int], Any]:
    """A perceptron with weights so many times as large, of one layer or of all."""

    def make(seed: int) -> Any:
        model = nn.MLP(sizes, activation, rng=seed)
        for k, one in enumerate(model.layers):
            if layer in (None, k):
                one.W[:] *= factor
        return model

    return make


def with_bias(bias: float, layer: int, share: float = 1.0, activation: str = "relu") -> Callable[[int], Any]:
    def make(seed: int) -> Any:
        model = nn.MLP((8, 32, 32, 3), activation, rng=seed)
        model.layers[layer].b[: int(32 * share)] = bias
        return model

    return make


def oversized_step(seed: int) -> Case:
    """What one step of descent with a rate of 100 leaves of a model."""
    x, _, y = table(seed)
    y = y + 3
    model = nn.MLP((8, 32, 32, 1), rng=seed)
    sgd = optim.SGD(100.0)
    slopes = gg.grad(lambda m: nn.squared_error(m(x), y))(model)
    model, _ = sgd.step(model, slopes, sgd.init(model))
    return model, nn.squared_error, (x, y), {}


def dead_cnn(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.random((40, 1, 8, 8)).astype(F32)
    conv = nn.Conv2d(1, 6, 3, rng=seed)
    conv.b[:] = -20
    model = nn.Sequential(conv, nn.relu, nn.Flatten(), nn.Linear(6 * 36, 2, rng=seed))
    return model, nn.cross_entropy, (x, rng.integers(0, 2, 40)), {}


def large_inputs(activation: str, factor: float = 3000) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, labels, _ = table(seed)
        return nn.MLP((8, 32, 3), activation, rng=seed), nn.cross_entropy, (x * F32(factor), labels), {}

    return make


def unequal_columns(seed: int) -> Case:
    x, labels, _ = table(seed)
    return nn.MLP((8, 32, 3), rng=seed), nn.cross_entropy, (x * np.array([1e6, 1e-3] + [1] * 6, F32), labels), {}


def raw_table(seed: int) -> Case:
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return nn.MLP((30, 32, 2), rng=seed), nn.cross_entropy, (x.astype(F32), y), {}


def years(seed: int) -> Case:
    x, labels, _ = table(seed)
    x[:, 2] = 2000 + 5 * x[:, 2]
    return nn.MLP((8, 32, 3), rng=seed), nn.cross_entropy, (x, labels), {}


def bytes_of_images(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (60, 1, 8, 8)).astype(F32)
    model = nn.Sequential(nn.Conv2d(1, 6, 3, rng=seed), nn.relu, nn.Flatten(), nn.Linear(6 * 36, 2, rng=seed))
    return model, nn.cross_entropy, (x, rng.integers(0, 2, 60)), {}


def tiny_columns(seed: int) -> Case:
    x, labels, _ = table(seed)
    return nn.MLP((8, 32, 3), rng=seed), nn.cross_entropy, (x * F32(1e-5), labels), {}


def relabelled(change: Callable[[Any], Any], loss: Any = nn.cross_entropy, outputs: int = 3) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, labels, _ = table(seed, count=outputs)
        return nn.MLP((8, 16, outputs), rng=seed), loss, (x, change(labels)), {}

    return make


def one_output(change: Callable[[Any], Any], loss: Any, *after: Any) -> Callable[[int], Case]:
    """A model of one output for targets made of the sine of the first column."""

    def make(seed: int) -> Case:
        x, _, y = table(seed)
        model = nn.Sequential(nn.Linear(8, 16, rng=seed), nn.tanh, nn.Linear(16, 1, rng=seed), *after)
        return model, loss, (x, change(y)), {}

    return make


def own(f: Callable[[Any, Any], Any], change: Callable[[dict[str, Any]], None] | None = None) -> Callable[[int], Case]:
    """A function of parameters in a dict: W1, b1, W2, b2."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x, labels, _ = table(seed)
        p = {
            "W1": rng.normal(size=(8, 16)) / 3,
            "b1": 0.1 * rng.normal(size=16),
            "W2": rng.normal(size=(16, 3)) / 4,
            "b2": np.zeros(3),
        }
        if change is not None:
            change(p)
        return (f, p), nn.cross_entropy, (x, labels), {}

    return make


def plain(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]


def detached(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ gg.stop_gradient(p["W1"]) + p["b1"]) @ p["W2"] + p["b2"]


def detached_hidden(p: Any, x: Any) -> Any:
    h = gnp.tanh(x @ p["W1"] + p["b1"])
    return gg.stop_gradient(h) @ p["W2"] + p["b2"]


def taken_out(p: Any, x: Any) -> Any:
    w = p["W1"].value if isinstance(p["W1"], gg.Array) else p["W1"]
    return gnp.tanh(x @ w + p["b1"]) @ p["W2"] + p["b2"]


def unused(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"]) @ p["W2"] + p["b2"]


def masked(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"] + gnp.where(gnp.zeros(16) > 0, p["b1"], 0.0)) @ p["W2"] + p["b2"]


def times_zero(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"] + np.zeros(16) * p["b1"]) @ p["W2"] + p["b2"]


def rounded(p: Any, x: Any) -> Any:
    return gnp.rint(4 * gnp.tanh(x @ p["W1"] + p["b1"])) @ p["W2"] + p["b2"]


def signs(p: Any, x: Any) -> Any:
    return gnp.sign(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]


def chosen(p: Any, x: Any) -> Any:
    h = gnp.argmax(x @ p["W1"] + p["b1"], -1)
    return p["W2"][h] + p["b2"]


def clipped(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"] + gnp.clip(p["b1"] + 10, -1, 1)) @ p["W2"] + p["b2"]


def at_the_kink(p: Any, x: Any) -> Any:
    return gnp.tanh(x @ p["W1"]) @ p["W2"] + p["b2"] + nn.relu(p["b1"])[:3]


def cast(p: Any, x: Any) -> Any:
    return (x @ p["W1"]).astype(int) @ p["W2"] + p["b2"] + p["b1"][:3]


def compared(p: Any, x: Any) -> Any:
    return gnp.where(x[:, :3] > p["b1"][:3], 1.0, 0.0) + gnp.tanh(x @ p["W1"]) @ p["W2"] + p["b2"]


def zeroed(*names: str) -> Callable[[dict[str, Any]], None]:
    def change(p: dict[str, Any]) -> None:
        for name in names:
            p[name] = np.zeros_like(p[name])

    return change


def whole(name: str) -> Callable[[dict[str, Any]], None]:
    def change(p: dict[str, Any]) -> None:
        p[name] = np.round(3 * p[name]).astype(int)

    return change


def integer_slope(seed: int) -> Case:
    x = np.linspace(-1, 1, 50)
    return (lambda p, x: p["w"] * x + p["b"], {"w": 2, "b": 0.5}), nn.squared_error, (x, 3 * x + 1), {}


def whole_alone(seed: int) -> Case:
    x = np.linspace(0, 1, 20)
    return (lambda p, x: p["w"] * x, {"w": 3}), nn.squared_error, (x, 2 * x), {}


def hard_predictions(seed: int) -> Case:
    """A loss of class numbers found by argmax: it has no derivative at all."""
    x, labels, _ = table(seed)
    return nn.MLP((8, 16, 3), rng=seed), lambda o, y: (gnp.argmax(o, -1) != y).mean(), (x, labels), {}


def rounded_predictions(seed: int) -> Case:
    x, _, y = table(seed)
    return nn.MLP((8, 16, 1), rng=seed), lambda o, y: ((gnp.rint(o) - y) ** 2).mean(), (x, y), {}


def deep_by_hand(factor: float, depth: int = 30) -> Callable[[int], Case]:
    """The same weights again and again, as a recurrence has them."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x, labels, _ = table(seed)
        q, _ = np.linalg.qr(rng.normal(size=(16, 16)))
        p = {"V": rng.normal(size=(8, 16)) / 3, "U": factor * q, "W": rng.normal(size=(16, 3)) / 4}

        def f(p: Any, x: Any) -> Any:
            h = x @ p["V"]
            for _ in range(depth):
                h = h @ p["U"]
            return h @ p["W"]

        return (f, p), nn.cross_entropy, (x, labels), {}

    return make


@dataclass(frozen=True, eq=False)
class Last(nn.Module):
    inner: Any
    head: nn.Linear

    def apply(self, x: Any) -> Any:
        return self.head(self.inner(x)[:, -1])


def recurrent(factor: float, kind: Any = nn.RNN, steps: int = 40) -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = 0.001 * rng.normal(size=(32, steps, 4)) if factor > 1 else rng.normal(size=(32, steps, 4))
        inner = kind(4, 16, rng=seed, return_state=False)
        inner.U[:] *= factor
        model = Last(inner, nn.Linear(16, 2, rng=seed))
        return model, nn.cross_entropy, (x.astype(F32), rng.integers(0, 2, 32)), {}

    return make


def by_hand_over_time(factor: float, activation: Any, how: str = "last", steps: int = 24) -> Callable[[int], Case]:
    """A recurrence by ``scan`` or ``fori_loop`` with the product with the inputs inside of its body."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(64, steps, 6)).astype(F32)
        p = {"u": rng.normal(size=(6, 16)), "w": rng.normal(size=(16, 16)) * factor, "o": rng.normal(size=(16, 2))}
        p = {**p, "u": 0.3 * p["u"], "o": 0.3 * p["o"], "h": 0.1 * rng.normal(size=16)}

        def f(p: Any, x: Any) -> Any:
            def step(h: Any, t: Any) -> Any:
                h = activation(t @ p["u"] + h @ p["w"])
                return h, h

            first = gnp.zeros((len(x), 16)) + p["h"]
            if how == "fori":
                return (
                    gnp.asarray(gg.fori_loop(0, steps, lambda i, h: step(h, gnp.asarray(x)[:, i])[0], first)) @ p["o"]
                )
            if how == "first":
                return gg.fori_loop(0, steps, lambda i, h: activation(h @ p["w"]), x[:, 0] @ p["u"] + p["h"]) @ p["o"]
            with gg.scope("memory"):
                last, hs = gg.scan(step, first, gnp.swapaxes(x, 0, 1))
            return (last if how == "last" else hs[-2]) @ p["o"]

        return (f, p), nn.cross_entropy, (x, (x[:, -4:, 0].sum(1) > 0).astype(int)), {}

    return make


def stacked(activation: Any, factor: float, how: str = "for") -> Callable[[int], Case]:
    """The weights of 20 layers in one parameter."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x, labels, _ = table(seed)
        p = {"V": rng.normal(size=(8, 16)) / 3, "W": factor * rng.normal(size=(20, 16, 16)) / 4}
        p["o"] = rng.normal(size=(16, 3)) / 4

        def f(p: Any, x: Any) -> Any:
            h = x @ p["V"]
            if how == "scan":
                return gg.scan(lambda h, w: (activation(h @ w), None), h, p["W"])[0] @ p["o"]
            for k in range(20):
                h = activation(h @ (p["W"][k].T if how == "turned" else p["W"][k]))
            return h @ p["o"]

        return (f, p), nn.cross_entropy, (x, labels), {}

    return make


def far_targets(seed: int) -> Case:
    x, _, y = table(seed)
    return nn.MLP((8, 32, 1), rng=seed), nn.squared_error, (x, y * F32(1e6)), {"optimizer": optim.Adam(1e-3)}


def missing(value: float, part: str = "x") -> Callable[[int], Case]:
    def make(seed: int) -> Case:
        x, _, y = table(seed)
        (x if part == "x" else y)[17, 0] = value
        return nn.MLP((8, 16, 1), rng=seed), nn.squared_error, (x, y), {}

    return make


def damaged_parameter(seed: int) -> Case:
    x, labels, _ = table(seed)
    model = nn.MLP((8, 16, 3), rng=seed)
    model.layers[0].W[1, 2] = np.nan
    return model, nn.cross_entropy, (x, labels), {}


def norm_at_zero(seed: int) -> Case:
    x, _, y = table(seed)
    x[0] = 0
    p = {"W": np.random.default_rng(seed).normal(size=(8, 4))}
    return (lambda p, x: gnp.sqrt(((x @ p["W"]) ** 2).sum(1, keepdims=True)), p), nn.squared_error, (x, abs(y)), {}


def log_of_zero(seed: int) -> Case:
    x, _, y = table(seed)
    x[0] = -100
    p = {"W": np.ones((8, 1), F32)}
    return (lambda p, x: gnp.log(nn.relu(x @ p["W"])), p), nn.squared_error, (x, y), {}


def ignores_x(seed: int) -> Case:
    x, _, y = table(seed)
    return (
        nn.Sequential(lambda x: 0 * x, nn.Linear(8, 16, rng=seed), nn.tanh, nn.Linear(16, 1, rng=seed)),
        nn.squared_error,
        (x, y),
        {},
    )


def one_softmax(seed: int) -> Case:
    x, _, y = table(seed)
    return nn.Sequential(nn.Linear(8, 1, rng=seed), nn.softmax), nn.squared_error, (x, (y > 0).astype(F32)), {}


def relu_at_the_end(seed: int) -> Case:
    """Logits behind a rectifier that is off for all rows."""
    x, labels, _ = table(seed)
    last = nn.Linear(16, 3, rng=seed)
    last.b[:] = -30
    return nn.Sequential(nn.Linear(8, 16, rng=seed), nn.tanh, last, nn.relu), nn.cross_entropy, (x, labels), {}


CONSTANT = ("constant_output",)


def rectified(function: Callable[[Any], Any], bias: float = -15) -> Callable[[int], Case]:
    """One hidden layer by hand, all of whose units are off."""

    def make(seed: int) -> Case:
        rng = np.random.default_rng(seed)
        x, _, y = table(seed)
        p = {"W": rng.normal(size=(8, 16)) / 3, "b": np.full(16, float(bias)), "V": rng.normal(size=(16, 1)), "c": 0.0}
        return (lambda p, x: function(x @ p["W"] + p["b"]) @ p["V"] + p["c"], p), nn.squared_error, (x, y), {}

    return make


def tiny_cnn(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.random((10, 1, 8, 8)).astype(F32)
    layers: list[Any] = []
    for k in range(10):
        layers += [nn.Conv2d(1 if k == 0 else 6, 6, 3, padding=1, rng=seed + k, initialiser=nn.normal(0.01)), nn.tanh]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 64, 2, rng=seed))
    return model, nn.cross_entropy, (x, np.arange(10) % 2), {}


def one_large_input(seed: int) -> Case:
    x = np.linspace(1000, 5000, 50)
    return (lambda p, x: p["w"] * x + p["b"], {"w": 0.1, "b": 0.0}), nn.squared_error, (x, x / 1000), {}


def whole_millions(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10**6, (100, 3))
    return nn.MLP((3, 8, 1), rng=seed), nn.squared_error, (x, rng.normal(size=(100, 1))), {}


def shares_for_fives(seed: int) -> Case:
    x, _, _ = table(seed)
    model = nn.Sequential(nn.Linear(8, 3, rng=seed), nn.softmax)
    return model, nn.squared_error, (x, 5 * np.random.default_rng(seed).random((200, 3))), {}


BROKEN: dict[str, tuple[Callable[[int], Case], Any]] = {
    "20 layers of sigmoids": (classifier(mlp(8, *[32] * 20, 3, activation="sigmoid")), "vanishing_gradients"),
    "10 layers of sigmoids": (classifier(mlp(8, *[16] * 10, 3, activation="sigmoid")), "vanishing_gradients"),
    "100 layers of sigmoids": (classifier(mlp(8, *[16] * 100, 3, activation="sigmoid")), "vanishing_gradients"),
    "10 layers of tiny weights": (
        classifier(drawn(8, *[32] * 10, 3, initialiser=nn.normal(0.01), activation=nn.tanh)),
        "vanishing_gradients",
    ),
    "8 layers of tiny weights, relu": (regressor(scaled(0.1, 8, *[32] * 8, 1)), "vanishing_gradients"),
    "a recurrence that shrinks": (deep_by_hand(0.5), "vanishing_gradients"),
    "a recurrence that grows": (deep_by_hand(2.0), "exploding_gradients"),
    "20 layers of large weights": (classifier(scaled(3.0, 8, *[32] * 20, 3)), "exploding_gradients"),
    "5 layers of normal weights": (
        regressor(drawn(8, *[64] * 5, 1, initialiser=nn.normal(1.0))),
        "exploding_gradients",
    ),
    "leaky relu, large weights": (
        regressor(scaled(5.0, 8, *[32] * 8, 1, activation="leaky_relu")),
        "exploding_gradients",
    ),
    "rnn of large weights": (recurrent(3.0), "exploding_gradients"),
    "rnn of small weights": (recurrent(0.1), "vanishing_gradients"),
    "stacked sigmoids": (stacked(nn.sigmoid, 1.0), "vanishing_gradients"),
    "stacked sigmoids, turned": (stacked(nn.sigmoid, 1.0, "turned"), "vanishing_gradients"),
    "stacked sigmoids, scanned": (stacked(nn.sigmoid, 1.0, "scan"), "vanishing_gradients"),
    "stacked rectifiers": (stacked(nn.relu, 5.0), "exploding_gradients"),
    "targets of millions": (far_targets, "unscaled_targets"),
    "scan, small weights": (by_hand_over_time(0.03, gnp.tanh), "vanishing_gradients"),
    "scan, 80 steps": (by_hand_over_time(0.03, gnp.tanh, steps=80), "vanishing_gradients"),
    "scan of sigmoids, one but last row": (by_hand_over_time(0.2, nn.sigmoid, "row"), "vanishing_gradients"),
    "fori_loop, small weights": (by_hand_over_time(0.03, gnp.tanh, "fori"), "vanishing_gradients"),
    "fori_loop from x": (by_hand_over_time(0.03, gnp.tanh, "first"), ("vanishing_gradients", "constant_output")),
    "scan, linear cell": (by_hand_over_time(0.5, lambda z: z), "exploding_gradients"),
    "scan, linear cell, one but last row": (by_hand_over_time(1.0, lambda z: z, "row"), "exploding_gradients"),
    "fori_loop, linear cell": (by_hand_over_time(0.5, lambda z: z, "fori"), "exploding_gradients"),
    "biases of -10": (classifier(with_bias(-10, 0)), "dead_relu"),
    "biases of -10, second layer": (classifier(with_bias(-10, 1)), "dead_relu"),
    "biases of -50, three in four": (classifier(with_bias(-50, 1, 0.75)), "dead_relu"),
    "after an oversized step": (oversized_step, ("dead_relu", "exploding_gradients")),
    "dead cnn": (dead_cnn, "dead_relu"),
    "logits behind a dead relu": (relu_at_the_end, "dead_relu"),
    "sigmoids of thousands": (large_inputs("sigmoid"), "unscaled_inputs"),
    "tanh of thousands": (large_inputs("tanh"), "unscaled_inputs"),
    "relu of thousands": (large_inputs("relu"), "unscaled_inputs"),
    "tanh, large weights": (classifier(scaled(40.0, 8, 32, 3, activation="tanh", layer=0)), "saturated"),
    "sigmoid, large biases": (classifier(with_bias(30.0, 1, activation="sigmoid")), "saturated"),
    "unequal columns": (unequal_columns, "unscaled_inputs"),
    "raw table": (raw_table, "unscaled_inputs"),
    "years": (years, "unscaled_inputs"),
    "bytes of images": (bytes_of_images, "unscaled_inputs"),
    "tiny columns": (tiny_columns, "unscaled_inputs"),
    "all weights 0": (classifier(drawn(8, 16, 16, 3, initialiser=nn.zeros)), "symmetric_units"),
    "all weights 0, sigmoid": (
        classifier(drawn(8, 16, 3, initialiser=nn.zeros, activation=nn.sigmoid)),
        "symmetric_units",
    ),
    "all weights 0.5": (
        regressor(drawn(8, 16, 16, 1, initialiser=nn.constant(0.5), activation=nn.tanh)),
        ("symmetric_units", "saturated"),
    ),
    "x times 0": (ignores_x, ("constant_output", "no_gradient")),
    "softmax of one output": (one_softmax, ("constant_output", "no_gradient")),
    "sgd, 1000 times too fast": (classifier(mlp(8, 32, 3), learning_rate=100.0), "learning_rate_too_large"),
    "sgd, too fast, regression": (regressor(mlp(8, 32, 1), learning_rate=50.0), "learning_rate_too_large"),
    "sgd, too slow": (classifier(mlp(8, 32, 3), learning_rate=1e-6), "learning_rate_too_small"),
    "sgd, too slow, regression": (regressor(mlp(8, 32, 1), learning_rate=1e-6), "learning_rate_too_small"),
    "adam, 1000 times too fast": (classifier(mlp(8, 32, 32, 3), optimizer=optim.Adam(1.0)), "learning_rate_too_large"),
    "adam, too fast, regression": (
        regressor(mlp(8, 32, 1), optimizer="adam", learning_rate=3.0),
        "learning_rate_too_large",
    ),
    "adam, too slow": (classifier(mlp(8, 32, 3), optimizer="adam", learning_rate=1e-7), "learning_rate_too_small"),
    "momentum, too fast": (
        regressor(mlp(8, 32, 32, 1), optimizer=optim.SGD(10.0, momentum=0.9)),
        "learning_rate_too_large",
    ),
    "labels from 1": (relabelled(lambda y: y + 1), "labels_out_of_range"),
    "labels of -1 and 1": (relabelled(lambda y: 2 * y - 1, outputs=2), "labels_out_of_range"),
    "labels of -1": (relabelled(lambda y: np.where(y == 2, -1, y)), "labels_out_of_range"),
    "labels too many": (relabelled(lambda y: np.where(np.arange(len(y)) == 150, 9, y)), "labels_out_of_range"),
    "labels as floats": (relabelled(lambda y: y.astype(F32)), "labels_out_of_range"),
    "labels in halves": (relabelled(lambda y: y + 0.5), "labels_out_of_range"),
    "labels from 1, own loss": (
        relabelled(lambda y: y + 1, lambda o, y: -nn.log_softmax(o)[np.arange(len(y)), y].mean()),
        "labels_out_of_range",
    ),
    "labels from 1, in a lambda": (
        relabelled(lambda y: y + 1, lambda o, y: nn.cross_entropy(o, y)),
        "labels_out_of_range",
    ),
    "targets of -1 and 1, binary": (one_output(np.sign, nn.binary_cross_entropy), "labels_out_of_range"),
    "targets of 0 and 1, hinge": (one_output(lambda y: (y > 0).astype(F32), nn.hinge), "labels_out_of_range"),
    "tanh for targets of hundreds": (one_output(lambda y: 200 * y, nn.squared_error, nn.tanh), "targets_out_of_reach"),
    "sigmoid for -1 and 1": (one_output(np.sign, nn.squared_error, nn.sigmoid), "targets_out_of_reach"),
    "relu for negative targets": (one_output(lambda y: y, nn.squared_error, nn.relu), "targets_out_of_reach"),
    "softplus for negative targets": (
        one_output(lambda y: y - 1, nn.absolute_error, nn.softplus),
        "targets_out_of_reach",
    ),
    "targets without an axis": (one_output(lambda y: y[:, 0], nn.squared_error), "target_shape"),
    "targets without an axis, own loss": (
        one_output(lambda y: y[:, 0], lambda o, y: ((o - y) ** 2).mean()),
        "target_shape",
    ),
    "labels in a column": (relabelled(lambda y: y[:, None]), "target_shape"),
    "softmax twice": (
        classifier(lambda seed: nn.Sequential(nn.MLP((8, 16, 3), rng=seed), nn.softmax)),
        "double_softmax",
    ),
    "sigmoid twice": (one_output(lambda y: (y > 0).astype(F32), nn.binary_cross_entropy, nn.sigmoid), "double_softmax"),
    "stop_gradient around W1": (own(detached), "no_gradient"),
    "stop_gradient around the hidden layer": (own(detached_hidden), "no_gradient"),
    "value taken out": (own(taken_out), "no_gradient"),
    "b1 unused": (own(unused), "no_gradient"),
    "b1 masked": (own(masked), "no_gradient"),
    "b1 times 0": (own(times_zero), "no_gradient"),
    "rounded": (own(rounded), "no_gradient"),
    "signs": (own(signs), "no_gradient"),
    "argmax inside": (own(chosen), "no_gradient"),
    "clipped": (own(clipped), "no_gradient"),
    "at the kink": (own(at_the_kink, zeroed("b1")), "no_gradient"),
    "compared": (own(compared), "no_gradient"),
    "whole W1": (own(plain, whole("W1")), "no_gradient"),
    "whole b2": (own(plain, whole("b2")), "no_gradient"),
    "a whole number": (integer_slope, "no_gradient"),
    "nothing but whole numbers": (whole_alone, "no_gradient"),
    "argmax in the loss": (hard_predictions, "no_gradient"),
    "rounded in the loss": (rounded_predictions, "no_gradient"),
    "dead by maximum": (rectified(lambda z: gnp.maximum(z, 0)), "dead_relu"),
    "dead by where": (rectified(lambda z: gnp.where(z > 0, z, 0.0)), "dead_relu"),
    "gelu, biases of -30": (rectified(nn.gelu, -30), "saturated"),
    "relu6, biases of 50": (rectified(nn.relu6, 50), "saturated"),
    "cnn of tiny weights": (tiny_cnn, ("vanishing_gradients", "constant_output")),
    "15 layers of hard sigmoids": (
        classifier(mlp(8, *[32] * 15, 3, activation="hard_sigmoid")),
        "vanishing_gradients",
    ),
    "one large input": (one_large_input, "unscaled_inputs"),
    "whole numbers of millions": (whole_millions, "unscaled_inputs"),
    "softmax for fives": (shares_for_fives, "targets_out_of_reach"),
    "relu6 for hundreds": (one_output(lambda y: 100 * abs(y), nn.squared_error, nn.relu6), "targets_out_of_reach"),
    "no learning rate at all": (classifier(mlp(8, 16, 3), learning_rate=0.0), "learning_rate_too_small"),
    "value cast to integers": (own(cast), "no_gradient"),
    "gradient stopped in the loss": (
        regressor(mlp(8, 16, 1), lambda o, y: ((gg.stop_gradient(o) - y) ** 2).mean()),
        "no_gradient",
    ),
    "nan in x": (missing(np.nan), "nan_in_data"),
    "infinity in x": (missing(np.inf), "nan_in_data"),
    "nan in y": (missing(np.nan, "y"), "nan_in_data"),
    "nan in W": (damaged_parameter, "nan_in_parameters"),
    "norm at 0": (norm_at_zero, "nan_in_gradients"),
    "log of 0": (log_of_zero, "nan_in_loss"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found_and_nothing_else(name: str) -> None:
    make, expected = BROKEN[name]
    model, loss, data, options = make(sum(map(ord, name)))
    found = gg.diagnose(model, loss, data, **options)
    allowed = expected if isinstance(expected, tuple) else (expected,)
    assert allowed[0] in found.problems, str(found)
    assert set(found.problems) <= set(allowed), str(found)
