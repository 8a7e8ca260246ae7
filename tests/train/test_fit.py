"""The training loop: what it computes, what it decides, and how it stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, DivergedError
from glassgrad.train import Epoch, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3
DATA = (X, Y)


def linear() -> nn.Linear:
    return nn.Linear(3, 1, rng=0, dtype=np.float64)


def run(**options: Any) -> Any:
    settings = {"optimizer": optim.SGD(0.1), "epochs": 5, "batch_size": 7, **options}
    return fit(linear(), nn.squared_error, settings.pop("data", DATA), **settings)


def test_batch_descent_is_the_formula_by_hand() -> None:
    model, history = run(batch_size=None, epochs=4)
    w, b = linear().W, linear().b
    losses, norms = [], []
    for _ in range(4):
        away = X @ w + b - Y  # residual r, loss mean r²
        gw, gb = 2 * X.T @ away / 60, 2 * away.mean(0)
        losses.append(float((away**2).mean()))
        norms.append(float(np.sqrt((gw**2).sum() + (gb**2).sum())))
        w, b = w - 0.1 * gw, b - 0.1 * gb
    np.testing.assert_allclose(model.W, w, rtol=1e-12)
    np.testing.assert_allclose(model.b, b, rtol=1e-12)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    np.testing.assert_allclose(history.gradient_norm, norms, rtol=1e-12)


@pytest.mark.parametrize(("batch_size", "steps"), [(None, 5), (60, 5), (1000, 5), (7, 45), (1, 300)])
def test_all_batch_sizes_descend(batch_size: int | None, steps: int) -> None:
    _, history = run(batch_size=batch_size, optimizer=optim.SGD(0.05))
    assert history.steps == steps
    assert history.loss[-1] < history.loss[0]
    assert len(history.loss) == len(history.seconds) == history.best_epoch == 5
    assert type(history.loss) is list
    assert {type(value) for value in history.loss + history.gradient_norm} == {float}


def test_least_squares_is_found() -> None:
    model, _ = run(epochs=100, optimizer=optim.SGD(0.05, momentum=0.9))
    np.testing.assert_allclose(model.W, [[1], [-2], [0.5]], atol=1e-6)
    np.testing.assert_allclose(model.b, [0.3], atol=1e-6)


def test_a_seed_decides_everything() -> None:
    (first, one), (again, two), (other, _) = (run(rng=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.W, again.W)
    assert one.loss == two.loss
    assert (first.W != other.W).any()


def test_the_given_model_is_not_changed() -> None:
    model = linear()
    before = [a.copy() for a in tree.leaves(model)]
    fit(model, nn.squared_error, DATA, optimizer=optim.Adam(0.1), epochs=2)
    for a, b in zip(tree.leaves(model), before, strict=True):
        np.testing.assert_array_equal(a, b)
    same, history = run(epochs=0)
    np.testing.assert_array_equal(same.W, model.W)
    assert history.loss == []


def test_validation_is_measured_after_each_epoch() -> None:
    seen: list[Epoch] = []
    metrics = {"worst": lambda out, y: float(np.abs(out - y).max())}
    _, history = run(validation=DATA, metrics=metrics, progress=seen.append)
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4, 5]
    assert history.validation_loss == [epoch.validation_loss for epoch in seen]
    assert history.metrics["worst"] == [epoch.metrics["worst"] for epoch in seen]
    model, _ = run(epochs=3)
    assert history.validation_loss[2] == pytest.approx(float(nn.squared_error(model(X), Y)))
    assert history.metrics["worst"][2] == pytest.approx(float(np.abs(model(X) - Y).max()))


def test_patience_keeps_the_best_model() -> None:
    noisy = (X[:10], RNG.normal(size=(10, 1)))  # nothing to learn: validation soon gets worse
    held = (X[10:], np.zeros((50, 1)))
    first = nn.MLP((3, 30, 1), rng=0, dtype=np.float64)
    model, history = fit(
        first, nn.squared_error, noisy, optimizer=optim.Adam(0.01), epochs=200, validation=held, patience=5
    )
    best = history.best_epoch
    assert len(history.loss) == best + 5 < 200
    assert history.validation_loss[best - 1] == min(history.validation_loss)
    assert float(nn.squared_error(model(held[0]), held[1])) == pytest.approx(min(history.validation_loss))


def test_divergence_names_epoch_and_step() -> None:
    with pytest.raises(DivergedError, match=r"fit: the loss became (inf|nan) at epoch \d+, step \d+: .*got 1e\+30"):
        run(optimizer=optim.SGD(1e30), epochs=50)
    bad = X.copy()
    bad[X[:, 0].argmax()] = np.nan
    with pytest.raises(DivergedError, match=r"the loss became nan at epoch 1, step [1-9]: "):
        run(data=(bad, Y))
    with pytest.raises(DivergedError, match="a parameter is no longer finite at epoch 1, step 1"):
        run(optimizer=optim.SGD(1e308), epochs=1, batch_size=None, data=(X * 1e3, Y))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (optim.SGD, r"got the class SGD, .*optimizer=optim\.SGD\(\)"),
        (optim.AdamW, r"optimizer=optim\.AdamW\(\)"),
        (None, "got None"),
    ],
)
def test_what_is_no_optimiser(optimizer: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"fit: not an optimiser: .*{message}"):
        run(optimizer=optimizer)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": (X, Y[:-1])}, r"data does not fit: got x \(60, 3\) and y \(59, 1\)"),
        ({"data": (X[:0], Y[:0])}, "data does not fit"),
        ({"data": X}, r"data must be a pair \(x, y\): got ndarray"),
        ({"validation": (X, 3.0)}, "validation does not fit"),
        ({"patience": 3}, "patience needs something to watch"),
        ({"batch_size": 0}, "bad batch size"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(**options)


def test_any_callable_tree_can_be_trained() -> None:
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class Parabola:
        a: Any
        steps: Any  # an integer: not learnt

        def __call__(self, x: Any) -> Any:
            return self.a * x * x

    x = np.linspace(-1, 1, 20)
    model, _ = fit(Parabola(0.0, 7), nn.squared_error, (x, 3 * x * x), optimizer=optim.SGD(0.5), epochs=60)
    assert model.a == pytest.approx(3.0)
    assert model.steps == 7
    assert gg.tree.structure(model) == gg.tree.structure(Parabola(1.0, 1))
