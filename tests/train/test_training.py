"""What surrounds the steps: callbacks, rates, random models, weights, batches from elsewhere, Ctrl-C."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, optim, tree
from glassgrad.errors import DataError, TracedValueError
from glassgrad.train import Callback, EarlyStopping, Training, evaluate, fit
from glassgrad.train.epoch import eager_epoch, native_epoch
from glassgrad.train.training import training_step

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.3
BOTH = pytest.mark.parametrize("compile", [True, False])


def linear() -> nn.Linear:
    return nn.Linear(3, 1, rng=0, dtype=np.float64)


def run(**options: Any) -> Any:
    settings = {"optimizer": optim.SGD(0.1), "epochs": 4, "batch_size": 7, "compile": False, **options}
    model = settings.pop("model", None) or linear()
    return fit(model, settings.pop("loss", nn.squared_error), settings.pop("data", (X, Y)), **settings)


def equal(one: Any, other: Any) -> None:
    for a, b in zip(tree.leaves(one), tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


# Native and eager


@pytest.mark.parametrize("batch_size", [1, 7, 60, None])
def test_native_training_is_eager_training(batch_size: Any) -> None:
    given: Any = {"batch_size": batch_size, "optimizer": optim.Adam(0.02), "validation": (X, Y)}
    (fast, one), (slow, two) = run(compile=True, **given), run(**given)
    for a, b in zip(tree.leaves(fast), tree.leaves(slow), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    for name in ("loss", "gradient_norm", "validation_loss", "lr"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9)


@BOTH
def test_dropout_and_statistics_move_on(compile: bool) -> None:
    """One layer of statistics: after k whole batches its running mean is the mean of the data, times 1 - 0.9^k."""
    model = nn.Sequential(nn.BatchNorm(3, momentum=0.1), nn.Dropout(0.5), nn.Linear(3, 1, rng=0))
    x, y = X.astype(np.float32), Y.astype(np.float32)
    after, history = run(model=model, data=(x, y), batch_size=None, epochs=5, compile=compile, validation=(x, y))
    moved = after.layers[0]
    np.testing.assert_allclose(moved.mean, x.mean(0) * (1 - 0.9**5), rtol=1e-4, atol=1e-6)
    assert (model.layers[0].mean == 0).all()
    assert history.validation_loss[-1] == pytest.approx(float(nn.squared_error(after(x), y)), rel=1e-5)
    assert len(set(history.loss)) == 5  # other units are dropped at every step


@BOTH
def test_dropout_is_drawn_from_the_seed(compile: bool) -> None:
    def trained(rng: Any) -> Any:
        model = nn.Sequential(nn.Linear(3, 8, rng=0), nn.Dropout(0.5), nn.Linear(8, 1, rng=1))
        return run(model=model, batch_size=None, rng=rng, compile=compile)[0]

    equal(trained(1), trained(1))
    equal(trained(np.random.default_rng(2)), trained(np.random.default_rng(2)))
    assert any((a != b).any() for a, b in zip(tree.leaves(trained(1)), tree.leaves(trained(2)), strict=True))


def test_the_number_of_threads_changes_no_bit() -> None:
    x = RNG.normal(size=(600, 64)).astype(np.float32)
    y = RNG.integers(0, 10, 600)
    found = []
    for threads in (1, 3):
        gg.set_threads(threads)
        try:
            model = nn.MLP((64, 256, 10), rng=0)
            found.append(fit(model, nn.cross_entropy, (x, y), optimizer=optim.Adam(), epochs=2, batch_size=256)[0])
        finally:
            gg.set_threads(None)
    equal(*found)


def test_what_cannot_be_compiled_says_so() -> None:
    def loss(out: Any, y: Any) -> Any:
        return nn.squared_error(out, y) if out.sum() > 0 else nn.absolute_error(out, y)

    with pytest.raises(TracedValueError) as caught:
        run(loss=loss, compile=True)
    assert "pass compile=False" in caught.value.__notes__[0]
    run(loss=loss)


# Data


@BOTH
def test_weights_of_rows(compile: bool) -> None:
    """A row of weight 2 counts as two rows, one of weight 0 as none."""

    def weighted(out: Any, y: Any, w: Any) -> Any:
        return (w * (out - y)[:, 0] ** 2).sum() / w.sum()

    w = RNG.integers(0, 3, 60).astype(float)
    twice = np.repeat(np.arange(60), w.astype(int))
    one, history = run(loss=weighted, data=(X, Y, w), batch_size=None, compile=compile, validation=(X, Y, w))
    other, plain = run(data=(X[twice], Y[twice]), batch_size=None, compile=compile)
    np.testing.assert_allclose(one.W, other.W, rtol=1e-12)
    np.testing.assert_allclose(history.loss, plain.loss, rtol=1e-12)
    np.testing.assert_allclose(history.validation_loss[:-1], history.loss[1:], rtol=1e-12)


@BOTH
def test_trees_of_arrays(compile: bool) -> None:
    @dataclasses.dataclass(frozen=True)
    class Sum:
        first: Any
        second: Any

        def __call__(self, x: Any) -> Any:
            return self.first(x["left"]) + self.second(x["right"][0])

    model = Sum(nn.Linear(2, 1, rng=0, dtype=np.float64), nn.Linear(1, 1, rng=1, dtype=np.float64))
    data = ({"left": X[:, :2], "right": (X[:, 2:],)}, Y)
    after, _ = run(model=model, data=data, epochs=60, compile=compile, validation=0.25)
    np.testing.assert_allclose(after.first.W, [[1], [-2]], atol=1e-3)
    np.testing.assert_allclose(after.second.W, [[0.5]], atol=1e-3)


@BOTH
def test_batches_from_elsewhere(compile: bool) -> None:
    parts = [(X[i : i + 20], Y[i : i + 20]) for i in (0, 20, 40)]

    class Loader:
        def __iter__(self) -> Any:
            return iter(parts)

    seen: list[int] = []

    def made(epoch: int) -> Any:
        seen.append(epoch)
        return (part for part in parts)

    found = [run(data=data, compile=compile, epochs=3) for data in (parts, Loader(), made)]
    assert seen == [1, 2, 3]
    for model, history in found:
        equal(model, found[0][0])
        assert history.steps == 9
    w, b = linear().W, linear().b
    for x, y in parts * 3:
        away = x @ w + b - y
        w, b = w - 0.1 * 2 * x.T @ away / 20, b - 0.1 * 2 * away.mean(0)
    np.testing.assert_allclose(found[0][0].W, w, rtol=1e-12)


def test_mistakes_in_data_are_named() -> None:
    with pytest.raises(DataError, match="no batches in epoch 2: .* used up by one epoch"):
        run(data=iter([(X, Y)]))
    with pytest.raises(DataError, match="a batch does not fit: got x .60, 3. and y .59, 1."):
        run(data=[(X, Y[1:])])
    with pytest.raises(DataError, match="data must be numbers: got an array of <U1"):
        run(data=(np.array(["a", "b"]), Y[:2]))
    for share in (1.5, float("nan")):
        with pytest.raises(DataError, match=rf"bad validation: got {share} of 60 rows"):
            run(validation=share)
    with pytest.raises(DataError, match="held out of arrays only"):
        run(data=[(X, Y)], validation=0.5)
    with pytest.raises(DataError, match=r"got x \(60, 3\) and y \(60, 1\) and w \(3,\)"):
        run(data=(X, Y, np.ones(3)))


def test_a_share_is_held_out() -> None:
    rows: list[Any] = []
    x = np.arange(20.0)[:, None]

    def metric(out: Any, y: Any) -> float:
        rows.append(y[:, 0].tolist())
        return 0.0

    model = nn.Linear(1, 1, rng=0, dtype=np.float64)
    _, history = run(model=model, data=(x, x), optimizer=optim.SGD(1e-4), validation=0.25, metrics=metric, batch_size=4)
    assert len(rows[0]) == 5
    assert rows == [rows[0]] * 4
    assert history.steps == 4 * 4  # 15 rows
    assert history.metrics == {"metric": [0.0] * 4}


def test_large_validation_goes_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run(validation=(X, Y), metrics={"worst": lambda out, y: np.abs(out - y).max()}, compile=True)[1]
    monkeypatch.setattr("glassgrad.train.measure.CHUNK", 16)
    parts = run(validation=(X, Y), metrics={"worst": lambda out, y: np.abs(out - y).max()}, compile=True)[1]
    np.testing.assert_allclose(parts.validation_loss, whole.validation_loss, rtol=1e-12)
    np.testing.assert_allclose(parts.metrics["worst"], whole.metrics["worst"], rtol=1e-12)
    found = evaluate(linear(), nn.squared_error, (X, Y), lambda out, y: len(out))
    assert found.loss == pytest.approx(((linear()(X) - Y) ** 2).mean())
    assert found.metrics == {"metric": 60.0}


# Callbacks and rates


def test_callbacks_see_everything_in_order() -> None:
    seen: list[Any] = []

    class Watcher(Callback):
        def on_start(self, training: Training) -> None:
            seen.append(("start", len(training.history.loss), training.epochs))

        def on_epoch(self, epoch: Any, training: Training) -> None:
            seen.append((epoch.number, training.history.loss[-1] == epoch.loss))

        def on_end(self, training: Training) -> None:
            seen.append("end")

    def stop(epoch: Any, training: Training) -> None:
        if epoch.number == 2:
            training.stop()

    model, history = run(callbacks=[Watcher(), stop], epochs=9)
    assert seen == [("start", 0, 9), (1, True), (2, True), "end"]
    assert len(history.loss) == history.best_epoch == 2
    equal(model, run(epochs=2)[0])
    with pytest.raises(TypeError, match="not a callback: got 'yes'"):
        run(callbacks=["yes"])
    with pytest.raises(TypeError, match="not a callback"):
        run(callbacks=[Watcher])


@BOTH
def test_a_callback_sets_the_rate_and_nothing_is_compiled_again(compile: bool, monkeypatch: Any) -> None:
    made: list[Any] = []

    def watched(loss: Any, optimizer: Any, compiled: bool, code: Any) -> Any:
        made.append((native_epoch if compiled else eager_epoch)(training_step(loss, optimizer)))
        return made[-1]

    monkeypatch.setattr("glassgrad.train.training._epoch", watched)

    def halve(epoch: Any, training: Training) -> None:
        training.lr /= 2

    model, history = run(callbacks=[halve], compile=compile, batch_size=None)
    assert history.lr == [0.1, 0.05, 0.025, 0.0125]
    w, b = linear().W, linear().b
    for lr in history.lr:
        away = X @ w + b - Y
        w, b = w - lr * 2 * X.T @ away / 60, b - lr * 2 * away.mean(0)
    np.testing.assert_allclose(model.W, w, rtol=1e-12)
    if compile:
        assert len(made[0].signatures) == 1


def test_plateau_and_schedules_are_in_the_history() -> None:
    _, history = run(optimizer=optim.SGD(optim.Cosine(0.1, 36)), epochs=5)  # 9 steps an epoch
    np.testing.assert_allclose(history.lr, [0.1 * (1 + np.cos(np.pi * t / 36)) / 2 for t in (0, 9, 18, 27, 36)])
    plateau = optim.Plateau(1e-9, patience=1, factor=0.5)
    _, history = run(optimizer=optim.SGD(plateau), epochs=8, validation=(X, Y * 0 + 1e3))
    assert history.lr[0] == 1e-9
    assert history.lr[-1] < 1e-9


def test_early_stopping_watches_what_it_is_told() -> None:
    def never_better(out: Any, y: Any) -> float:
        return -float(len(seen))

    seen: list[int] = []
    stopper = EarlyStopping(3, "accuracy", largest=True)
    model, history = run(
        epochs=20,
        validation=(X, Y),
        metrics={"accuracy": never_better},
        callbacks=[stopper, lambda e, t: seen.append(1)],
    )
    assert (len(history.loss), history.best_epoch) == (4, 1)
    equal(model, run(epochs=1)[0])
    model, history = run(epochs=20, callbacks=[EarlyStopping(2, "loss", least_change=1e9, restore=False)])
    assert (len(history.loss), history.best_epoch) == (3, 3)
    equal(model, run(epochs=3)[0])
    with pytest.raises(DataError, match="nothing to watch: got monitor='f1', expected one of epoch, loss"):
        run(callbacks=[EarlyStopping(2, "f1")])


# Ctrl-C


def test_ctrl_c_between_epochs() -> None:
    def press(epoch: Any, training: Training) -> None:
        if epoch.number == 3:
            signal.raise_signal(signal.SIGINT)

    model, history = run(epochs=9, callbacks=[press])
    assert history.interrupted
    assert len(history.loss) == 3
    equal(model, run(epochs=3)[0])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not run()[1].interrupted


@BOTH
def test_ctrl_c_within_batches_from_elsewhere_keeps_the_last_one(compile: bool, tmp_path: Path) -> None:
    def batches(epoch: int) -> Any:
        for i in range(0, 60, 10):
            if pressed and (epoch, i) == (2, 30):
                signal.raise_signal(signal.SIGINT)
            yield X[i : i + 10], Y[i : i + 10]

    given: Any = {"data": batches, "compile": compile, "checkpoint": tmp_path / "c"}
    pressed = True
    model, history = run(epochs=3, **given)
    assert (history.interrupted, history.steps, len(history.loss)) == (True, 6 + 3, 1)
    first, _ = run(data=list(batches(1)), compile=compile, epochs=1)
    equal(model, run(model=first, data=[(X[i : i + 10], Y[i : i + 10]) for i in (0, 10, 20)], epochs=1)[0])
    pressed = False
    again, history = run(epochs=3, resume=True, **given)
    assert (history.interrupted, history.steps, len(history.loss)) == (False, 18, 3)
    equal(again, run(data=batches, compile=compile, epochs=3)[0])


@BOTH
def test_ctrl_c_within_an_epoch_goes_back_to_its_beginning(compile: bool, tmp_path: Path) -> None:
    """A loss that presses it while the third epoch runs, or is traced."""
    count = [0]

    def loss(out: Any, y: Any) -> Any:
        count[0] += 1
        if count[0] == (1 if compile else 2 * 9 + 4):
            signal.raise_signal(signal.SIGINT)
        return nn.squared_error(out, y)

    model, history = run(loss=loss, epochs=9, compile=compile, checkpoint=tmp_path / "c", optimizer=optim.Adam(0.01))
    done = 0 if compile else 2
    assert history.interrupted
    assert len(history.loss) == done
    equal(model, run(epochs=done, optimizer=optim.Adam(0.01))[0])
    given: Any = {"checkpoint": tmp_path / "c", "resume": True, "optimizer": optim.Adam(0.01)}
    again, history = run(loss=loss, epochs=9, compile=compile, **given)
    equal(again, run(epochs=9, compile=compile, optimizer=optim.Adam(0.01))[0])
    assert not history.interrupted


def test_ctrl_c_again_raises() -> None:
    def press(epoch: Any, training: Training) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(callbacks=[press])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_gives_the_best_model() -> None:
    pressed = EarlyStopping(50)

    def press(epoch: Any, training: Training) -> None:
        if epoch.number == 6:
            signal.raise_signal(signal.SIGINT)

    noisy = (X[:10], RNG.normal(size=(10, 1)))
    first = nn.MLP((3, 30, 1), rng=0, dtype=np.float64)
    model, history = run(
        model=first,
        data=noisy,
        optimizer=optim.Adam(0.05),
        epochs=90,
        validation=(X, Y * 0),
        callbacks=[pressed, press],
    )
    assert history.validation_loss[history.best_epoch - 1] == min(history.validation_loss)
    assert float(nn.squared_error(model(X), Y * 0)) == pytest.approx(min(history.validation_loss))


def test_somebody_elses_handler_is_left_alone() -> None:
    def handler(number: int, frame: Any) -> None:
        seen.append(number)

    seen: list[int] = []
    before = signal.signal(signal.SIGINT, handler)
    try:
        _, history = run(callbacks=[lambda epoch, training: signal.raise_signal(signal.SIGINT)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == len(history.loss) == 4


def test_ctrl_c_in_a_long_native_epoch(tmp_path: Path) -> None:
    """Which takes a minute, and is left within a second or so."""
    program = """
import numpy as np
from glassgrad import nn, optim
from glassgrad.train import fit

def loss(out, y):
    print("tracing", flush=True)
    return nn.squared_error(out, y)

x = np.ones((1_000_000, 16), np.float32)
model = nn.MLP((16, 512, 512, 1), rng=0)
model, history = fit(model, loss, (x, x[:, :1]), optimizer=optim.Adam(), epochs=3, batch_size=8)
print(history.interrupted, len(history.loss), all(np.isfinite(layer.W).all() for layer in model.layers), flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "tracing\n"
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert out.splitlines()[-1] == "True 0 True"
    assert process.returncode == 0
