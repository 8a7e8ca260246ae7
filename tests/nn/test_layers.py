"""Layers as trees: structure, initial weights, values and gradients against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, tree
from glassgrad.errors import DtypeError, ShapeError


def test_a_model_is_a_tree_of_float32_arrays() -> None:
    model = nn.MLP((4, 8, 3), rng=0)
    leaves, structure = tree.flatten(model)
    assert [(a.shape, a.dtype.name) for a in leaves] == [(s, "float32") for s in [(4, 8), (8,), (8, 3), (3,)]]
    again = tree.unflatten(structure, leaves)
    assert repr(again) == repr(model) == "MLP(4 -> 8 -> 3, relu)"
    assert again.sizes == (4, 8, 3)
    assert tree.structure(nn.MLP((4, 8, 3), "tanh", rng=0)) != structure  # the activation is part of the structure
    assert len(tree.leaves(nn.Linear(2, 3, rng=0, bias=False))) == 1


def test_a_seed_decides_the_weights() -> None:
    first, again, other = (nn.MLP((4, 8, 3), rng=seed).layers[0].W for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    one, two = (nn.MLP((4, 4, 4), rng=0).layers[i].W for i in (0, 1))
    assert (one != two).all()


@pytest.mark.parametrize(
    ("initialiser", "variance", "bound"),
    [
        (nn.glorot_uniform, 2 / 900, np.sqrt(6 / 900)),
        (nn.glorot_normal, 2 / 900, np.inf),
        (nn.he_uniform, 2 / 300, np.sqrt(6 / 300)),
        (nn.he_normal, 2 / 300, np.inf),
    ],
)
def test_initial_weights_have_the_published_variance(initialiser: Any, variance: float, bound: float) -> None:
    w = nn.Linear(300, 600, rng=0, initialiser=initialiser).W
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)
    assert bound * 0.999 < np.abs(w).max() <= bound if np.isfinite(bound) else np.abs(w).max() > 3 * np.sqrt(variance)


def test_signals_keep_their_size_through_many_rectified_layers() -> None:
    model = nn.MLP((200,) * 12, rng=0)
    x = np.random.default_rng(0).normal(size=(50, 200)).astype(np.float32)
    assert 0.2 < float(np.std(model(x))) < 5


@pytest.mark.parametrize("name", sorted(nn.ACTIVATIONS))
def test_values_and_gradients_equal_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    theirs = {
        "identity": lambda x: x,
        "gelu": lambda x: functional.gelu(x, approximate="tanh"),
        "gelu_exact": functional.gelu,
        "hard_sigmoid": functional.hardsigmoid,
        "hard_swish": functional.hardswish,
        "hard_tanh": functional.hardtanh,
        "log_sigmoid": functional.logsigmoid,
        "softmax": lambda x: functional.softmax(x, -1),
        "log_softmax": lambda x: functional.log_softmax(x, -1),
    }
    rng = np.random.default_rng(0)
    model = nn.MLP((5, 7, 6, 3), name, rng=0, dtype=np.float64)
    x, labels = rng.normal(size=(11, 5)), rng.integers(0, 3, 11)
    value, slope = gg.value_and_grad(lambda m: nn.cross_entropy(m(x), labels))(model)

    weights = [torch.tensor(a, requires_grad=True) for a in tree.leaves(model)]
    h = torch.tensor(x)
    for i in range(0, 6, 2):
        h = h @ weights[i] + weights[i + 1]
        h = theirs.get(name, getattr(functional, name, None))(h) if i < 4 else h
    loss = functional.cross_entropy(h, torch.tensor(labels))
    loss.backward()
    np.testing.assert_allclose(value, loss.item(), rtol=1e-12)
    for ours, w in zip(tree.leaves(slope), weights, strict=True):
        # PyTorch's slope of hard_sigmoid is 1/6 rounded to float32
        np.testing.assert_allclose(ours, w.grad.numpy(), rtol=1e-7 if name == "hard_sigmoid" else 1e-10, atol=1e-12)


LISTED = [[-4.0, -0.5, 0.0], [0.5, 2, 7]]


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("silu", lambda x: x / (1 + np.exp(-x))),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("log_sigmoid", lambda x: -np.log1p(np.exp(-x))),
        ("relu6", lambda x: np.minimum(np.maximum(x, 0), 6)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
        ("hard_tanh", lambda x: np.clip(x, -1, 1)),
    ],
)
def test_activations_of_lists(name: str, formula: Any) -> None:
    np.testing.assert_allclose(getattr(nn, name)(LISTED), formula(np.array(LISTED)), rtol=1e-12)


@pytest.mark.parametrize("name", sorted(nn.ACTIVATIONS))
def test_activations_of_lists_equal_those_of_arrays(name: str) -> None:
    function = nn.ACTIVATIONS[name]
    for x in LISTED, tuple(LISTED):
        np.testing.assert_array_equal(function(x), function(np.array(LISTED)))


def test_activations_of_lists_of_nodes() -> None:
    slope = gg.grad(lambda x: nn.silu([x, 2 * x]).sum())(1.5)
    numerical = [np.array([1.5 + e, 3 + 2 * e]) for e in (1e-6, -1e-6)]
    above, below = (np.sum(x / (1 + np.exp(-x))) for x in numerical)
    np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=1e-8)


def test_float32_stays_float32() -> None:
    for name in nn.ACTIVATIONS:
        model = nn.MLP((5, 7, 3), name, rng=0)
        x, y = np.ones((4, 5), np.float32), np.zeros((4, 3), np.float32)
        value, slope = gg.value_and_grad(lambda m, x=x, y=y: nn.squared_error(m(x), y))(model)
        assert {a.dtype.name for a in [value, *tree.leaves(slope)]} == {"float32"}


def test_values_know_their_layer() -> None:
    model = tree.map(gg.variable, nn.MLP((5, 7, 3), rng=0))
    with gg.scope("net"):
        y = model(np.ones((1, 5), np.float32))
    assert y.origin.scope == "net/output"
    assert y.inputs[0].inputs[0].origin.scope == "net/hidden1"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.MLP((4,), rng=0), ShapeError, "too few sizes"),
        (lambda: nn.MLP((4, 0, 2), rng=0), ShapeError, "bad size: got 0"),
        (lambda: nn.MLP((4, 2.5), rng=0), ShapeError, "bad size: got 2.5"),
        (lambda: nn.MLP((4, 2), "rellu", rng=0), ValueError, "unknown activation: got 'rellu', expected one of relu"),
        (lambda: nn.Linear(4, 2, rng=0, dtype=int), DtypeError, "got dtype int64"),
        (lambda: nn.MLP((4, 2), rng=0)(np.ones((3, 5))), ShapeError, r"input does not fit: got shape \(3, 5\)"),
    ],
)
def test_mistakes_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("labels", [np.array([True, False]), np.array([1.0, 0.0])])
def test_class_numbers_that_are_not_integers(labels: Any) -> None:
    logits = np.array([[1.0, 2.0], [3.0, 5.0]])
    with pytest.raises(DtypeError, match=rf"got labels of {labels.dtype}; use labels\.astype\(int\)"):
        nn.cross_entropy(logits, labels)
    one_hot = np.array([[False, True], [True, False]])
    assert nn.cross_entropy(logits, one_hot) == nn.cross_entropy(logits, labels.astype(int))
