"""A convolutional network of LeNet's size: two convolutions with max-pooling and three linear layers.

Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition" (1998), with
relu and max-pooling as is usual today.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from training import Loss, Model

SHAPES = {"K1": (6, 1, 5, 5), "K2": (16, 6, 5, 5), "W1": (400, 120), "W2": (120, 84), "W3": (84, 10)}
BIAS = {"K1": "a1", "K2": "a2", "W1": "b1", "W2": "b2", "W3": "b3"}


def _head(lib: Library, p: dict[str, Any], x: Any, labels: Any) -> Any:
    x = lib.relu(x @ p["W1"] + p["b1"])
    x = lib.relu(x @ p["W2"] + p["b2"])
    return lib.cross_entropy(x @ p["W3"] + p["b3"], labels)


def glassgrad_loss() -> Loss:
    import glassgrad as gg

    lib = glassgrad_library()
    relu, conv, max_pool = gg.nn.relu, gg.nn.conv, gg.nn.max_pool

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        x = max_pool(relu(conv(x, p["K1"], padding=2) + p["a1"][:, None, None]), 2)
        x = max_pool(relu(conv(x, p["K2"]) + p["a2"][:, None, None]), 2)
        return _head(lib, p, x.reshape(len(x), -1), labels)

    return loss


def jax_loss() -> Loss:
    """With channels last, which was measured to be XLA's better layout; so was reduce_window, beside a reshape."""
    import jax

    lib = jax_library()
    lax, relu = jax.lax, jax.nn.relu

    def conv(x: Any, kernel: Any, padding: Any) -> Any:
        return lax.conv_general_dilated(x, kernel, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def max_pool(x: Any) -> Any:
        return lax.reduce_window(x, -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        x = x.reshape(len(x), 28, 28, 1)  # one channel: first or last is the same
        x = max_pool(relu(conv(x, p["K1"], ((2, 2), (2, 2))) + p["a1"]))
        x = max_pool(relu(conv(x, p["K2"], "VALID") + p["a2"]))
        return _head(lib, p, x.reshape(len(x), -1), labels)

    return loss


def channels_last(p: dict[str, Any]) -> dict[str, Any]:
    kernels = {name: p[name].transpose(2, 3, 1, 0) for name in ("K1", "K2")}  # [O, I, H, W] -> [H, W, I, O]
    return {**p, **kernels, "W1": p["W1"].reshape(16, 5, 5, -1).transpose(1, 2, 0, 3).reshape(400, -1)}


def channels_first(p: dict[str, Any]) -> dict[str, Any]:
    kernels = {name: p[name].transpose(3, 2, 0, 1) for name in ("K1", "K2")}
    return {**p, **kernels, "W1": p["W1"].reshape(5, 5, 16, -1).transpose(2, 0, 1, 3).reshape(400, -1)}


def torch_loss() -> Loss:
    F = torch_module().nn.functional

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        x = F.max_pool2d(F.relu(F.conv2d(x, p["K1"], p["a1"], padding=2)), 2)
        x = F.max_pool2d(F.relu(F.conv2d(x, p["K2"], p["a2"])), 2).flatten(1)
        x = F.relu(F.linear(x, p["W1"].T, p["b1"]))
        x = F.relu(F.linear(x, p["W2"].T, p["b2"]))
        return F.cross_entropy(F.linear(x, p["W3"].T, p["b3"]), labels)

    return loss


def model(batch: int = 32) -> Model:
    rng = np.random.default_rng(0)
    params = {}
    for name, shape in SHAPES.items():
        kernel = len(shape) == 4
        inputs = int(np.prod(shape[1:])) if kernel else shape[0]
        params[name] = normal(rng, *shape, scale=(2 / inputs) ** 0.5)
        params[BIAS[name]] = normal(rng, shape[0] if kernel else shape[1], scale=0.01)
    losses = {"Glassgrad": glassgrad_loss, "JAX": jax_loss, "PyTorch": torch_loss}
    data = normal(rng, batch, 1, 28, 28), rng.integers(0, 10, batch)
    return Model(params, data, losses, {"JAX": channels_last}, {"JAX": channels_first})
