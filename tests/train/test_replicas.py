"""Many trainings at once: each is what it would be alone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, DivergedError, ModelFileError
from glassgrad.train import Callback, Checkpoint, Diagnose, Epoch, Replicas, TensorBoard, Training, fit, load
from tests.train.test_checkpoint import Killed

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


def test_a_share_held_out_is_that_of_the_first_alone() -> None:
    x = np.append(X, HELD[0], axis=0), np.append(Y, HELD[1])
    given: Any = {"data": x, "rng": 10, "patience": 3}
    _, histories = run(validation=0.2, **given)
    _, alone = run(network(0), None, validation=0.2, **given)
    for name in ("loss", "gradient_norm", "validation_loss"):
        np.testing.assert_allclose(getattr(histories[0], name), getattr(alone, name), rtol=1e-8)


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
    _, histories = fit(
        layer,
        nn.squared_error,
        data,
        optimizer=[optim.SGD(0.1), optim.SGD(1e200)],
        epochs=9,
        replicas=2,
        validation=data,
        patience=2,
    )
    assert len(histories[0].loss) == 9 > len(histories[1].loss)
    with pytest.raises(DivergedError, match="every replica"):
        fit(layer, nn.squared_error, data, optimizer=optim.SGD(1e200), epochs=3, replicas=2)
    x = X.copy()
    x[7, 2] = np.nan
    with pytest.raises(DivergedError, match="every replica .* x has nan in row 7, column 2"):
        fit(layer, nn.squared_error, (x, X[:, :1]), optimizer=optim.SGD(0.1), epochs=3, replicas=2)


class Cooling(Callback):
    """Remembers something of its training, lowers its rate, and ends it by its own measure."""

    def __init__(self) -> None:
        self.least = np.inf

    def on_epoch(self, epoch: Epoch, training: Training) -> None:
        self.least = min(self.least, epoch.loss)
        if epoch.number == 2:
            training.lr /= 2
        if epoch.loss > self.least + 0.05:
            training.stop()


def test_callbacks_look_on_each() -> None:
    seen: list[tuple[int, int | None]] = []
    given: Any = {
        "callbacks": [Cooling(), lambda epoch, training: seen.append((epoch.number, training.replica))],
        "epochs": 9,
        "optimizer": optim.Adam(0.3),
        "validation": HELD,
        "metrics": "accuracy",
    }
    models, histories = run(**given)
    lengths = [len(history.loss) for history in histories]
    assert len(set(lengths)) > 1
    assert sorted(seen) == sorted((n, i) for i, length in enumerate(lengths) for n in range(1, length + 1))
    for i, (model, history) in enumerate(zip(models, histories, strict=True)):
        alone, expected = run(network(i), None, **given | {"callbacks": Cooling()}, rng=i)
        np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-6)
        np.testing.assert_allclose(history.lr, expected.lr)
        assert (history.steps, history.best_epoch) == (expected.steps, expected.best_epoch)
        np.testing.assert_allclose(model(X), alone(X), rtol=1e-5, atol=1e-7)


def test_what_remembers_them_all() -> None:
    class All(Callback):
        def __init__(self) -> None:
            self.told: list[Any] = []

        def on_start(self, training: Training) -> None:
            self.told.append(training.replica)

        def on_epoch(self, epoch: Epoch, training: Training) -> None:
            raise ArithmeticError

        def on_error(self, error: BaseException, training: Training) -> None:
            self.told.append((training.replica, type(error)))

        def for_replica(self, index: int) -> Callback:
            return self

    watcher = All()
    with pytest.raises(ArithmeticError):
        run(callbacks=watcher)
    assert watcher.told == [0, 1, 2, *((i, ArithmeticError) for i in range(3))]


def test_what_cannot_be_copied_is_named(tmp_path: Path) -> None:
    watcher = Cooling()
    with (
        (tmp_path / "f").open("w") as watcher.stream,
        pytest.raises(TypeError, match="Cooling cannot be copied for each"),
    ):
        run(callbacks=watcher)


def test_logs_and_reports_of_each(tmp_path: Path) -> None:
    board, watch = TensorBoard(tmp_path / "runs"), Diagnose(warn=False)
    _, histories = run(log=tmp_path / "log.jsonl", report=tmp_path / "page.html", callbacks=[board, watch])
    names = [f"log-{i}.jsonl" for i in range(3)] + [f"page-{i}.html" for i in range(3)] + ["runs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["0", "1", "2"]
    for i, history in enumerate(histories):
        lines = (tmp_path / f"log-{i}.jsonl").read_text().splitlines()
        assert [json.loads(line)["loss"] for line in lines] == history.loss
        assert f"<title>training, replica {i}</title>" in (tmp_path / f"page-{i}.html").read_text()


@pytest.mark.parametrize(("killed", "patience"), [(1, None), (4, 2), (7, None)])
def test_going_on_gives_the_bits_of_an_unbroken_run(tmp_path: Path, killed: int, patience: int | None) -> None:
    given: Any = {"validation": 0.3, "patience": patience, "epochs": 10, "batch_size": 8}
    given["optimizer"] = [optim.Adam(optim.Cosine(0.1, 60)) if patience else optim.Adam(lr) for lr in (0.1, 0.01, 0.3)]
    models, histories = run(**given)
    path = tmp_path / "c"

    def kill(epoch: Epoch, training: Training) -> None:
        if epoch.number == killed:
            raise Killed

    with contextlib.suppress(Killed):
        run(**given, checkpoint=path, callbacks=kill)
    if killed > 1:
        before = load(path).model
        assert [type(model) for model in before] == [nn.Sequential] * 3
    again, found = run(**given, checkpoint=path, resume=True)
    for one, other in zip(tree.leaves(again.model), tree.leaves(models.model), strict=True):
        np.testing.assert_array_equal(one, other)
    for history, expected in zip(found, histories, strict=True):
        assert dataclasses.asdict(history) | {"seconds": 0} == dataclasses.asdict(expected) | {"seconds": 0}
    for model, expected in zip(load(path).model, models, strict=True):
        np.testing.assert_array_equal(model(X), expected(X))


def test_one_that_stopped_stays_so(tmp_path: Path) -> None:
    def stop(epoch: Epoch, training: Training) -> None:
        if training.replica == 1 and epoch.number == 2:
            training.stop()

    first, _ = run(callbacks=stop, checkpoint=tmp_path / "c")
    models, histories = run(checkpoint=tmp_path / "c", resume=True, epochs=6)
    assert [len(history.loss) for history in histories] == [6, 2, 6]
    np.testing.assert_array_equal(models[1](X), first[1](X))
    np.testing.assert_allclose(first[1](X), run(network(1), None, rng=1, epochs=2)[0](X), rtol=1e-6, atol=1e-8)
    assert (first[0](X) != models[0](X)).any()


def test_a_checkpoint_of_others_is_refused(tmp_path: Path) -> None:
    run(checkpoint=tmp_path / "c", epochs=1)
    run(network(0), None, checkpoint=tmp_path / "one", epochs=1)
    options: Any = {"checkpoint": tmp_path / "c", "resume": True}
    with pytest.raises(ModelFileError, match="of other replicas: got replicas 2, expected 3"):
        run(replicas=2, **options)
    with pytest.raises(ModelFileError, match="of other replicas: got replicas None, expected 3"):
        run(network(0), None, **options)
    with pytest.raises(ModelFileError, match="of other replicas: got replicas 3, expected None"):
        run(checkpoint=tmp_path / "one", resume=True)
    clipped = optim.Clipped(optim.Adam(0.02), global_norm=1.0)
    with pytest.raises(ModelFileError, match="of other optimizer: got optimizer Clipped, expected Adam"):
        run(optimizer=clipped, **options)
    with pytest.raises(ModelFileError, match="of other rng: got rng 7, expected 0"):
        run(rng=7, **options)
    with pytest.raises(ModelFileError, match="got optimizer.lr 0.1, 0.02, 0.02, expected 0.02;"):
        run(optimizer=[optim.Adam(0.1), optim.Adam(0.02), optim.Adam(0.02)], **options)


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
        ({"compile": False}, ValueError, "one native function: got compile=False; leave it out"),
        ({"checkpoint": Checkpoint("c", steps=2)}, ValueError, r"got Checkpoint\(steps=2\); pass every="),
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
