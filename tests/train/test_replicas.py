"""Many trainings at once: each is what it would be alone."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, DivergedError
from glassgrad.train import Replicas, fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4))
Y = RNG.integers(0, 3, 50)
HELD = (RNG.normal(size=(20, 4)), RNG.integers(0, 3, 20))


def network(seed: int) -> Any:
    layers = (nn.Linear(4, 8, rng=seed, dtype=np.float64), nn.BatchNorm(8, dtype=np.float64), nn.relu, nn.Dropout(0.3))
    return nn.Sequential(*layers, nn.Linear(8, 3, rng=seed + 1, dtype=np.float64))


def run(model: Any = network, replicas: int | None = 3, **options: Any) -> Any:
    given = {"optimizer": optim.Adam(0.02), "epochs": 4, "batch_size": 8, **options}
    return fit(model, nn.cross_entropy, given.pop("data", (X, Y)), replicas=replicas, **given)


@pytest.mark.parametrize("batch_size", [8, 50, None])
def test_each_is_what_it_would_be_alone(batch_size: Any) -> None:
    metrics = {"accuracy": lambda out, y: (out.argmax(-1) == y).mean()}
    given: Any = {"batch_size": batch_size, "validation": HELD, "metrics": metrics, "rng": 5}
    models, histories = run(**given)
    assert isinstance(models, Replicas)
    assert len(models) == len(histories) == 3
    for i, (model, history) in enumerate(zip(models, histories, strict=True)):
        alone, expected = run(network(i), None, **given | {"rng": 5 + i})
        for a, b in zip(tree.leaves(model), tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
        for name in ("loss", "gradient_norm", "validation_loss", "lr"):
            np.testing.assert_allclose(getattr(history, name), getattr(expected, name), rtol=1e-8)
        assert history.metrics == expected.metrics
        assert (history.steps, history.best_epoch) == (expected.steps, expected.best_epoch)
        np.testing.assert_allclose(models(X)[i], alone(X), rtol=1e-6, atol=1e-8)


def test_learning_rates_side_by_side() -> None:
    rates = (1e-3, 1e-2, 1e-1)
    models, histories = run([network(0)] * 3, optimizer=[optim.AdamW(lr) for lr in rates], rng=np.random.default_rng(1))
    assert [history.lr[0] for history in histories] == pytest.approx(rates)
    orders = np.random.default_rng(1).spawn(3)
    for model, lr, order in zip(models, rates, orders, strict=True):
        alone, _ = run(network(0), None, optimizer=optim.AdamW(lr), rng=order)
        np.testing.assert_allclose(model.layers[0].W, alone.layers[0].W, rtol=1e-8)


def test_one_model_for_all_begins_alike() -> None:
    _, histories = run(network(0), epochs=1)
    assert len({history.loss[0] for history in histories}) == 3  # other orders, other units dropped
    assert not run(network(0), epochs=0)[1][0].loss


def test_each_stops_when_it_has_to() -> None:
    given: Any = {"validation": HELD, "patience": 2, "epochs": 30, "optimizer": optim.Adam(0.1)}
    models, histories = run(**given)
    assert len({len(history.loss) for history in histories}) > 1
    for i, (model, history) in enumerate(zip(models, histories, strict=True)):
        alone, expected = run(network(i), None, **given, rng=i)
        assert (len(history.loss), history.best_epoch) == (len(expected.loss), expected.best_epoch)
        np.testing.assert_allclose(model(X), alone(X), rtol=1e-6, atol=1e-8)


def test_plateaus_are_each_ones_own() -> None:
    given: Any = {"optimizer": optim.SGD(optim.Plateau(0.5, patience=0, factor=0.5)), "epochs": 8, "validation": HELD}
    _, histories = run(**given)
    assert len({tuple(history.lr) for history in histories}) > 1
    for i, history in enumerate(histories):
        np.testing.assert_allclose(history.lr, run(network(i), None, **given, rng=i)[1].lr)


def test_a_lost_replica_does_not_take_the_others_along() -> None:
    layer = [nn.Linear(4, 1, rng=0, dtype=np.float64)] * 2
    data = (X, X[:, :1])
    models, histories = fit(
        layer, nn.squared_error, data, optimizer=[optim.SGD(0.1), optim.SGD(1e200)], epochs=3, replicas=2
    )
    assert np.isfinite(histories[0].loss).all()
    assert not np.isfinite(histories[1].loss).all()
    assert np.isfinite(models[0].W).all()
    with pytest.raises(DivergedError, match="every replica"):
        fit(layer, nn.squared_error, data, optimizer=optim.SGD(1e200), epochs=3, replicas=2)


def test_ctrl_c() -> None:
    def press(epoch: Any) -> None:
        if epoch.number == 2:
            signal.raise_signal(signal.SIGINT)

    models, histories = run(progress=press)
    assert [(len(h.loss), h.interrupted) for h in histories] == [(2, True)] * 3
    np.testing.assert_array_equal(models(X), run(epochs=2)[0](X))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": [network(0)] * 2}, ValueError, "got 2 models for replicas=3"),
        ({"optimizer": [optim.Adam()] * 2}, ValueError, "got 2 optimisers for replicas=3"),
        ({"optimizer": [optim.Adam(), optim.Adam(), optim.SGD()]}, ValueError, "differ in a number lr only"),
        ({"optimizer": [optim.Adam(), optim.Adam(), optim.Adam(eps=1.0)]}, ValueError, "differ in a number lr only"),
        ({"optimizer": [optim.Adam(), "adam", None]}, TypeError, "not an optimiser: got None"),
        ({"callbacks": [print]}, ValueError, "trained without callbacks"),
        ({"checkpoint": "c"}, ValueError, "trained without checkpoint"),
        ({"data": [(X, Y)]}, DataError, "replicas learn from arrays"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        run(**options)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda i: nn.MLP((4, 8, 3), ["relu", "relu", "tanh"][i], rng=i),
            r"activation\S* 'tanh' of replica 2, expected 'relu'",
        ),
        (lambda i: nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(i / 10)), "0.1 of replica 1, expected 0.0"),
        (lambda i: nn.Linear(4, 3, rng=0, dtype=["f4", "f8", "f4"][i]), r"model.W float64 \(4, 3\) of replica 1"),
        (lambda i: nn.MLP((4, 8 + i, 3), rng=0), r"float32 \(4, 9\) of replica 1, expected float32 \(4, 8\)"),
        ([nn.Linear(4, 3, rng=0)] * 2 + [nn.MLP((4, 3), rng=0)], "model MLP of replica 2, expected Linear"),
    ],
)
def test_other_structure_is_refused(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(model)
