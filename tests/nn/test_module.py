"""Modules: state that moves on, keys for children, which leaves are learnt, classes of one's own, files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, tree
from glassgrad.errors import DtypeError, ModelFileError, RandomnessError, ShapeError
from glassgrad.train import load, save

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Twice(nn.Module):
    """One layer used two times, between an array and a choice of its own."""

    inner: nn.Sequential
    extra: dict[str, Any]
    scale: Any
    gain: float = field(default=1.0, metadata=nn.STATIC)

    def apply(self, x: Any, shift: Any = 0.0) -> Any:
        return self.inner(self.extra["norm"](self.inner(x))) * self.scale * self.gain + shift


def twice(rate: float = 0.5) -> Twice:
    inner = nn.Sequential(nn.Linear(3, 3, rng=0), "relu", nn.BatchNorm(3), nn.Dropout(rate))
    return Twice(inner, {"norm": nn.BatchNorm(3)}, np.float32(2.0), 0.5)


def test_a_module_of_modules_need_not_say_how_it_learns() -> None:
    model = twice(0.0)
    y, moved = model.learn(X, shift=1.0)
    w, b = model.inner[0].W, model.inner[0].b
    x, statistics = X, []
    for step in range(3):  # inner, norm, inner: batch statistics by hand
        x = np.maximum(x @ w + b, 0) if step != 1 else x
        statistics.append((x.mean(0), x.var(0, ddof=1)))
        x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
    np.testing.assert_allclose(y, x + 1, rtol=2e-5, atol=1e-5)
    (m0, v0), (m1, v1), (m2, v2) = statistics
    np.testing.assert_allclose(moved.extra["norm"].mean, 0.1 * m1, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(moved.extra["norm"].variance, 0.9 + 0.1 * v1, rtol=1e-5)
    np.testing.assert_allclose(moved.inner[2].mean, 0.09 * m0 + 0.1 * m2, rtol=1e-5, atol=1e-7)  # moved on twice
    np.testing.assert_allclose(moved.inner[2].variance, 0.9 * (0.9 + 0.1 * v0) + 0.1 * v2, rtol=1e-5)
    assert tree.structure(moved) == tree.structure(model)
    assert not model.inner[2].mean.any()  # nothing changed in place


def test_every_call_of_a_child_has_a_key_of_its_own() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    x = np.ones(2000)
    y, same = model.learn(x, rng=gg.random.key(3))
    np.testing.assert_array_equal(y, model.learn(x, rng=gg.random.key(3))[0])
    keys = [gg.random.fold_in(gg.random.key(3), i) for i in (0, 1)]
    expected = nn.Dropout(0.5).learn(nn.Dropout(0.5).learn(x, rng=keys[0])[0], rng=keys[1])[0]
    np.testing.assert_array_equal(y, expected)
    assert abs(float((np.asarray(y.value) == 4).mean()) - 0.25) < 0.04  # kept by both, independently
    np.testing.assert_array_equal(same(x), x)
    with pytest.raises(RandomnessError, match="Dropout: nothing decides"):
        model.learn(x)


def test_learn_of_anything_that_can_be_called() -> None:
    y, same = nn.learn(np.sin, 1.0)
    assert (y, same) == (np.sin(1.0), np.sin)
    y, moved = nn.learn(twice(0.0), X, shift=3.0)
    assert moved.inner[2].mean.any()


def test_what_is_learnt() -> None:
    model = {"a": twice(), "n": np.arange(3), "w": np.ones(2)}
    flags = nn.learnt(model)
    assert tree.structure(flags) == tree.structure(model)
    assert (flags["n"], flags["w"], flags["a"].scale) == (False, True, True)
    assert tree.leaves(flags["a"].extra) == [True, True, False, False]
    old, new = twice(), tree.map(lambda leaf: leaf + 1, twice())
    mixed = nn.with_state(old, new)
    assert mixed.inner[2].mean[0] == 1
    assert mixed.inner[2].scale is old.inner[2].scale


def training_step(optimizer: Any) -> Any:
    def loss(model: Any, x: Any, y: Any, key: Any) -> Any:
        out, moved = model.learn(x, rng=key)
        return nn.squared_error(out, y), moved

    def step(model: Any, state: Any, x: Any, y: Any, key: Any) -> Any:
        (value, moved), slope = gg.value_and_grad(loss, has_aux=True)(model, x, y, key)
        model, state = optimizer.step(model, slope, state)
        return nn.with_state(model, moved), state, value

    return step


def test_whole_training_steps_compile() -> None:
    sgd = optim.SGD(0.1)
    eager, compiled = training_step(sgd), gg.jit(training_step(sgd))
    a = b = twice()
    state_a, state_b = sgd.init(a), sgd.init(b)
    for i in range(3):
        a, state_a, loss_a = eager(a, state_a, X, X, gg.random.key(i))
        b, state_b, loss_b = compiled(b, state_b, X, X, gg.random.key(i))
        np.testing.assert_allclose(loss_a, loss_b, rtol=1e-5)
    for one, other in zip(tree.leaves(a), tree.leaves(b), strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert len(compiled.signatures) == 1


def test_scopes_have_names() -> None:
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.relu, nn.Linear(4, 2, rng=1, name="head"), name="net")
    y = tree.map(gg.variable, model)(X)
    assert y.origin.scope == "net/head"
    assert y.inputs[0].inputs[0].origin.scope == "net"
    y, _ = tree.map(gg.variable, twice()).learn(X, rng=0)
    assert y.origin.scope == "twice"
    numbered = nn.Sequential(*[nn.Linear(1, 1, rng=i) for i in (0, 1)])
    assert [layer.name for layer in numbered.layers] == ["linear1", "linear2"]


def test_classes_of_ones_own_are_saved(tmp_path: Path) -> None:
    model = twice().learn(X, rng=0)[1]
    save(tmp_path / "m", model)
    again = load(tmp_path / "m").model
    assert tree.structure(again) == tree.structure(model)
    np.testing.assert_array_equal(again(X), model(X))
    assert nn.MODULES[f"{__name__}:Twice"] is Twice
    with pytest.raises(DtypeError, match="cannot save function at model"):
        save(tmp_path / "m", nn.Sequential(lambda x: x))
    bad = nn.Sequential(nn.BatchNorm(3))
    bad[0].fill(scale=np.ones(2))
    save(tmp_path / "m", bad)
    with pytest.raises(ModelFileError, match="BatchNorm: parameters do not fit"):
        load(tmp_path / "m")


def test_lists_of_arrays_are_the_modules_own_affair() -> None:
    @dataclass(frozen=True, eq=False)
    class Longest(nn.Module):
        def apply(self, x: Any) -> Any:
            return max(map(len, x))

    assert Longest()([X, X[:2]]) == 6
    assert Longest()(["a", "abc"]) == 3
    assert Longest()([[1, 2], [3]]) == 2
    assert Longest()({"a": 1, "of": 2}) == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Sequential(nn.Linear), TypeError, "not a layer: got <class"),
        (lambda: nn.Sequential("rellu"), TypeError, "not a layer: got 'rellu'"),
        (lambda: nn.Dropout(1.0), ValueError, "bad rate: got 1.0"),
        (lambda: nn.Conv2d(2, 3, 2.5, rng=0), ShapeError, "Conv2d: got kernel 2.5, expected a whole number"),
        (lambda: nn.Conv2d(2, 3, 2, padding=0.5, rng=0), ShapeError, "Conv2d: got padding 0.5, expected one whole"),
        (lambda: nn.Conv1d(2, 3, 2, padding=[(0, 0.5)], rng=0), ShapeError, r"Conv1d: got padding \[\(0, 0.5\)\]"),
        (lambda: nn.MaxPool((2, 2.5)), ShapeError, "MaxPool: bad size: got 2.5, expected whole numbers"),
        (lambda: nn.BatchNorm(3)(np.ones((2, 4))), ShapeError, r"got shape \(2, 4\), expected size 3 along axis 1"),
        (lambda: nn.BatchNorm(3).learn(np.ones((1, 3))), ShapeError, "at least two values"),
        (lambda: type("Empty", (nn.Module,), {})()(1.0), NotImplementedError, "Empty says in apply"),
    ],
)
def test_mistakes_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
