"""Activations against their formulas in NumPy, and in PyTorch where there is one: values, slopes, far out, at kinks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn

sigma = lambda x: 1 / (1 + np.exp(-x))
erf = np.vectorize(math.erf)
SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)  # α and λ as published

FORMULAS: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "celu": lambda x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "selu": lambda x: SELU[1] * np.where(x > 0, x, SELU[0] * (np.exp(np.minimum(x, 0)) - 1)),
    "gelu": lambda x: x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu_exact": lambda x: x / 2 * (1 + erf(x / np.sqrt(2))),
    "silu": lambda x: x * sigma(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "sigmoid": sigma,
    "log_sigmoid": lambda x: np.log(sigma(x)),
    "hard_sigmoid": lambda x: np.clip((x + 3) / 6, 0, 1),
    "hard_swish": lambda x: x * np.clip((x + 3) / 6, 0, 1),
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "identity": lambda x: x,
}
X = np.random.default_rng(0).normal(size=(4, 9)) * 3


def test_every_activation_has_a_formula_here() -> None:
    assert set(FORMULAS) == set(nn.ACTIVATIONS)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_and_slopes(name: str) -> None:
    if name == "gelu_exact":
        pytest.importorskip("scipy")
    f = nn.ACTIVATIONS[name]
    np.testing.assert_allclose(f(X), FORMULAS[name](X), rtol=1e-12, atol=1e-14)
    gg.check_grads(f, (X,))
    slope = lambda x: gg.grad(lambda x: gg.numpy.sum(f(x) * X))(x)
    np.testing.assert_allclose(gg.jit(f)(X), f(X), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(gg.jit(slope)(X), slope(X), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_and_undefined(name: str, dtype: Any) -> None:
    if name == "gelu_exact":
        pytest.importorskip("scipy")
    f = nn.ACTIVATIONS[name]
    far = np.array([[-1e4, -800.0, -90.0, 0.0, 90.0, 800.0, 1e4]], dtype)
    with np.errstate(under="ignore", invalid="ignore"):
        value, slope = f(far), gg.grad(lambda x: gg.numpy.sum(f(x)))(far)
        assert np.isnan(f(np.array([np.nan, np.nan], dtype))).all()
    assert value.dtype == slope.dtype == dtype
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(
    ("name", "x", "slope"),
    [
        ("relu", 0.0, 0.0),
        ("relu6", 0.0, 0.0),
        ("relu6", 6.0, 0.0),
        ("leaky_relu", 0.0, 0.01),
        ("elu", 0.0, 1.0),
        ("celu", 0.0, 1.0),
        ("softsign", 0.0, 1.0),
        ("hard_tanh", -1.0, 0.0),
        ("hard_tanh", 1.0, 0.0),
        ("hard_sigmoid", -3.0, 0.0),
        ("hard_sigmoid", 3.0, 0.0),
        ("hard_swish", 0.0, 0.5),
    ],
)
def test_kinks(name: str, x: float, slope: float) -> None:
    assert gg.grad(nn.ACTIVATIONS[name])(x) == slope


def test_kinks_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    for ours, theirs in (("relu6", "relu6"), ("leaky_relu", "leaky_relu"), ("hard_tanh", "hardtanh"),
                         ("hard_sigmoid", "hardsigmoid"), ("elu", "elu"), ("softsign", "softsign")):  # fmt: skip
        for x in (-3.0, -1.0, 0.0, 1.0, 3.0, 6.0):
            t = torch.tensor(x, requires_grad=True)
            getattr(torch.nn.functional, theirs)(t).backward()
            assert float(gg.grad(nn.ACTIVATIONS[ours])(x)) == pytest.approx(t.grad.item(), rel=1e-6), (ours, x)


def test_options() -> None:
    x = np.array([-2.0, 3.0])
    np.testing.assert_allclose(nn.leaky_relu(x, 0.2), [-0.4, 3])
    np.testing.assert_allclose(nn.elu(x, 0.5), [0.5 * (np.exp(-2) - 1), 3])
    np.testing.assert_allclose(nn.celu(x, 0.5), [0.5 * (np.exp(-4) - 1), 3])
    np.testing.assert_allclose(nn.softmax(np.outer(x, x), 0).sum(0), 1)
