"""What ``fit`` does not take is named before training begins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim
from glassgrad.errors import DataError, DivergedError, ShapeError
from glassgrad.train import EarlyStopping, evaluate, fit
from glassgrad.train.names import accuracy

X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def run(**options: Any) -> Any:
    given: dict[str, Any] = {"data": (X, Y), "optimizer": optim.Adam(0.01), "epochs": 2, "compile": False} | options
    return fit(nn.MLP((4, 2), rng=0), given.pop("loss", nn.cross_entropy), **given)


def test_losses_optimisers_and_metrics_by_name() -> None:
    metrics = {"accuracy": lambda o, y: (o.argmax(-1) == y).mean(), "cross_entropy": nn.cross_entropy}
    functions = run(optimizer=optim.Adam(), validation=(X, Y), metrics=metrics)
    names = run(loss="cross_entropy", optimizer="Adam", validation=(X, Y), metrics=["accuracy", "cross_entropy"])
    np.testing.assert_array_equal(names[0].layers[0].W, functions[0].layers[0].W)
    assert names[1].metrics == functions[1].metrics
    assert names[1].metrics["cross_entropy"] == names[1].validation_loss
    found = evaluate(names[0], "cross_entropy", (X, Y), "accuracy").metrics
    assert found["accuracy"] == names[1].metrics["accuracy"][-1]
    models, _ = run(loss="cross_entropy", optimizer=["adam"] * 2, replicas=2, compile=True)
    np.testing.assert_allclose(models[0].layers[0].W, names[0].layers[0].W, rtol=1e-5)


def test_losses_are_pytorchs_by_name() -> None:
    torch = pytest.importorskip("torch")
    names = {"mse": "mse_loss", "mae": "l1_loss", "huber": "huber_loss", "cross_entropy": "cross_entropy"}
    for name, theirs in names.items():
        y = Y if name == "cross_entropy" else X[:, :2]
        expected = getattr(torch.nn.functional, theirs)(*map(torch.from_numpy, (X[:, 2:], y))).item()
        assert float(nn.LOSSES[name](X[:, 2:], y)) == pytest.approx(expected, rel=1e-5)


def test_frames_of_numbers_are_arrays_as_scikit_learn_takes_them() -> None:
    pandas, sklearn = pytest.importorskip("pandas"), pytest.importorskip("sklearn.utils")
    frame = pandas.DataFrame(X).assign(b=Y > 0, c=pandas.array(range(20), dtype="Int64"))
    frame["d"] = pandas.array(Y > 0, dtype="boolean")
    labels = pandas.Series(Y, dtype="Int64")
    fitted = [
        fit(nn.MLP((7, 2), rng=0), nn.cross_entropy, data, optimizer=optim.SGD(0.01), epochs=2)[0].layers[0].W
        for data in ((frame, labels), (sklearn.check_array(frame), Y))
    ]
    np.testing.assert_array_equal(*fitted)
    frame.loc[3, "c"] = None
    with pytest.raises(DivergedError, match="x has nan in row 3, column 2"):
        run(data=(frame[[0, 1, "c", "b"]], labels))
    with pytest.raises(DataError, match="data must be numbers: got an array of object"):
        run(data=(frame.assign(name="a"), labels))


def test_sparse_data_are_named() -> None:
    scipy = pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match=r"data are sparse: got csr_matrix \(20, 4\); pass its .toarray\(\)"):
        run(data=(scipy.csr_matrix(X), Y))


@pytest.mark.parametrize("shape", [(30,), (30, 1)])
def test_accuracy_is_scikit_learns(shape: tuple[int, ...]) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    scores, labels = rng.normal(size=(30, 3)), rng.integers(0, 3, 30)
    expected = sklearn.accuracy_score(labels, scores.argmax(1))
    assert accuracy(scores, labels) == accuracy(scores, np.eye(3)[labels]) == pytest.approx(expected)
    one, two = rng.normal(size=shape), rng.integers(0, 2, shape)
    expected = sklearn.accuracy_score(two.ravel(), one.ravel() > 0)
    assert accuracy(one, two) == accuracy(one, 2 * two - 1) == accuracy(one, 0.1 + 0.8 * two) == expected
    assert accuracy(one.reshape(30, 1), two.ravel()) == expected
    with pytest.raises(ShapeError, match=r"accuracy: .*got \(30, 3\) and \(30, 1\), .*reshape"):
        accuracy(scores, labels[:, None])


def zero(outputs: Any, y: Any) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"validation": 0.5, "patience": 0}, ValueError, "bad patience: got 0"),
        ({"validation": 0.5, "patience": -1}, ValueError, "bad patience: got -1"),
        ({"validation": 0.5, "metrics": [zero, zero]}, ValueError, "two metrics are called 'zero'"),
        ({"metrics": zero}, DataError, "metrics need something to measure"),
        ({"metrics": "acuracy", "validation": 0.5}, ValueError, "unknown metric: .* did you mean 'accuracy'"),
        ({"metrics": [3], "validation": 0.5}, TypeError, "not a metric: got 3, expected a function .* accuracy, "),
        ({"metrics": 3, "validation": 0.5}, TypeError, "not a metric: got 3"),
        ({"metrics": lambda o, y: None, "validation": 0.5}, TypeError, "metric 'metric' gave nothing: got None"),
        (
            {"data": (X, Y, np.ones(20)), "loss": lambda o, y: nn.cross_entropy(o, y)},
            TypeError,
            r"loss cannot take weights: got \(x, y, weights\) as data, and <lambda>\(o, y\); give it a",
        ),
        (
            {"data": [(X, Y, np.ones(20))], "loss": lambda o, y: nn.cross_entropy(o, y)},
            TypeError,
            r"got \(x, y, weights\) as a batch",
        ),
        ({"data": (X, np.eye(2, dtype=int)[Y])}, ShapeError, r"use labels.astype\(float\) for one-hot rows"),
        ({"data": (X, Y[:, None])}, ShapeError, r"use labels.reshape\(-1\) for a column"),
        ({"loss": "crossentropy"}, ValueError, "fit: unknown loss: got 'crossentropy', expected one of squared_error"),
        ({"loss": 3}, TypeError, "fit: not a loss: got 3, expected a function of outputs and targets, or one of sq"),
        ({"loss": nn.Linear}, TypeError, "fit: not a loss: got the class Linear"),
        ({"optimizer": "adm"}, ValueError, "unknown optimiser: got 'adm', .*did you mean 'adam'"),
        (
            {"metrics": {"m": lambda o, y: o[:, 0]}, "validation": 0.5},
            ValueError,
            r"'m' is no number: got shape \(10,\)",
        ),
        ({"data": (np.ma.masked_array(X), Y)}, DataError, "masked"),
        ({"batch_size": 2.5}, TypeError, "batch_size is a whole number: got 2.5"),
        ({"epochs": 1.5}, TypeError, "epochs is a whole number: got 1.5"),
        ({"epochs": "3"}, TypeError, "epochs is a whole number: got '3'"),
        ({"replicas": 1.5}, TypeError, "replicas is a whole number: got 1.5"),
        ({"replicas": 0}, ValueError, "bad number of replicas: got 0"),
        ({"rng": "a"}, ValueError, "bad rng: got 'a'"),
        ({"rng": -1}, ValueError, "bad rng: got -1"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        run(**options)


def test_one_callback_is_enough() -> None:
    seen: list[int] = []
    run(callbacks=lambda epoch, training: seen.append(epoch.number))
    assert seen == [1, 2]
    run(callbacks=EarlyStopping(1, "loss"))
    for least in (-1, np.nan, np.inf):
        with pytest.raises(
            ValueError, match="EarlyStopping: bad least_change: got .*, expected a number of at least 0"
        ):
            EarlyStopping(3, least_change=least)


@pytest.mark.parametrize("lr", [-1.0, np.nan, np.inf])
def test_a_bad_rate_is_refused(lr: float) -> None:
    def set_it(epoch: Any, training: Any) -> None:
        training.lr = lr

    with pytest.raises(TypeError, match="not a callback: got 3"):
        run(callbacks=3)
    with pytest.raises(ValueError, match="training.lr: bad learning rate"):
        run(callbacks=set_it)


def test_a_rate_of_zero_may_be_left_again() -> None:
    def set_it(epoch: Any, training: Any) -> None:
        training.lr = 0.0 if epoch.number == 1 else 0.5

    assert run(callbacks=set_it, epochs=3)[1].lr == [0.01, 0.0, 0.5]
    with pytest.raises(ValueError, match="training.lr: the schedule is at 0"):
        run(callbacks=set_it, optimizer=optim.Adam(optim.Cosine(0.1, 1)))


@pytest.mark.parametrize("compile", [True, False])
def test_weights_reach_the_losses_of_this_package(compile: bool) -> None:
    weights = np.arange(20.0)
    given: dict[str, Any] = {"batch_size": None, "compile": compile, "epochs": 1, "validation": (X, Y)}
    _, history = run(data=(X, Y, weights), **given)
    logits = nn.MLP((4, 2), rng=0)(X).astype(float)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(20), Y]
    assert history.loss == [pytest.approx(np.average(losses, weights=weights), rel=1e-5)]
    seen: Any = lambda outputs, y, w: nn.cross_entropy(outputs, y, weights=w)
    other = fit(nn.MLP((4, 2), rng=0), seen, (X, Y, weights), optimizer=optim.Adam(), **given | {"validation": None})
    assert other[1].loss == pytest.approx(history.loss)


def plain(outputs: Any, y: Any, weights: Any) -> Any:
    """Undefined for a batch whose weights are all 0."""
    losses = ((outputs - y) ** 2).mean(-1)
    return (weights * losses).sum() / weights.sum()


@pytest.mark.parametrize("loss", [nn.squared_error, plain])
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("batch_size", [3, None])
def test_losses_of_weighted_rows_are_their_weighted_mean(batch_size: int | None, loss: Any, compile: bool) -> None:
    weights = np.where(np.arange(20) < 9, 0.0, np.arange(20.0))
    data, given = (X, X[:, :2], weights), {"batch_size": batch_size, "compile": compile, "epochs": 1, "rng": 0}
    still = nn.MLP((4, 2), rng=0)
    for options in ({}, {"replicas": 2}) if compile else ({},):
        _, found = fit(still, loss, data, optimizer=optim.SGD(0.0), validation=data, **given, **options)
        for history in found if options else [found]:
            expected = np.average(((still(X) - X[:, :2]) ** 2).mean(1), weights=weights)
            assert {type(value) for value in (*history.loss, *history.validation_loss)} == {float}
            assert [*history.loss, *history.validation_loss] == [pytest.approx(expected, rel=1e-5)] * 2
            assert evaluate(still, loss, data).loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [nn.squared_error, plain])
def test_rows_of_weight_0_teach_nothing(loss: Any) -> None:
    weights = np.where(np.arange(20) < 9, 0.0, np.arange(20.0))
    given: Any = {"optimizer": optim.SGD(0.1), "epochs": 3, "batch_size": 1, "rng": 0}
    one, _ = fit(nn.MLP((4, 2), rng=0), loss, (X, X[:, :2], weights), **given)
    spoilt = np.where(weights[:, None] == 0, 1e3, X[:, :2])
    other, history = fit(nn.MLP((4, 2), rng=0), loss, (X, spoilt, weights), **given)
    np.testing.assert_array_equal(one.layers[0].W, other.layers[0].W)
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.where(np.arange(20) == 7, -1.0, 1.0), "bad weights in data: got -1.0 in row 7, expected finite .* least 0"),
        (np.where(np.arange(20) > 17, np.nan, 1.0), "bad weights in data: got nan in row 18, 19"),
        (np.where(np.arange(20) == 3, np.inf, 1.0), "bad weights in data: got inf in row 3"),
        (np.ones(20) + 1j, "bad weights in data: got .1.1j. in row 0"),
        (np.zeros(20), "all weights in data are 0"),
    ],
)
def test_bad_weights_are_named(weights: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(data=(X, Y, weights))
    with pytest.raises(DataError, match=message.replace("in data", "in validation")):
        run(validation=(X, Y, weights))
    with pytest.raises(DataError, match=message):
        evaluate(nn.MLP((4, 2), rng=0), nn.cross_entropy, (X, Y, weights))
    with pytest.raises(
        DataError, match=message.replace("in data", "in a batch").replace("in a batch are", "of epoch 1 are")
    ):
        run(data=[(X, Y, weights)])
    signed: Any = lambda outputs, y, advantage: (advantage * nn.cross_entropy(outputs, y, reduction="none")).mean()
    if np.isrealobj(weights) and np.isfinite(weights).all():  # what is not called weights is the loss's own
        fit(nn.MLP((4, 2), rng=0), signed, (X, Y, weights), optimizer=optim.SGD(0.1), epochs=1)


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (nn.cross_entropy, np.where(np.arange(20) == 7, -1, Y), "got -1 in row 7, expected class numbers from 0"),
        (
            nn.cross_entropy,
            np.where(np.arange(20) > 12, 2, Y),
            "got 2 in row 13, 14, 15, 16, 17 and 2 more, .* 0 to 1;",
        ),
        (nn.hinge, np.stack([Y, 1 - Y], 1), "got 0 in row 0, 1, .*expected -1 or 1"),
    ],
)
def test_targets_are_looked_at_before_training(loss: Any, y: Any, message: str, compile: bool) -> None:
    given: Any = {"optimizer": optim.Adam(), "epochs": 1, "compile": compile}
    with pytest.raises(DataError, match=f"bad targets in data: {message}"):
        fit(nn.MLP((4, 2), rng=0), loss, (X, y), **given)
    good = Y if loss is nn.cross_entropy else 2 * y - 1
    with pytest.raises(DataError, match=f"bad targets in validation: {message}"):
        fit(nn.MLP((4, 2), rng=0), loss, (X, good), validation=(X, y), **given)


@pytest.mark.parametrize("row", range(20))
def test_rows_are_named_as_given_where_a_share_is_held_out(row: int) -> None:
    there = np.arange(20) == row
    with pytest.raises(DataError, match=f"bad targets in data: got 2 in row {row}, expected class numbers 0 to 1"):
        run(data=(X, np.where(there, 2, Y)), validation=0.3)
    with pytest.raises(DataError, match=rf"bad weights in data: got -1\.0 in row {row}, "):
        run(data=(X, Y, np.where(there, -1.0, 1.0)), validation=0.3)


def test_nan_in_the_data_is_named() -> None:
    x = X.copy()
    x[7, 2] = np.nan
    with pytest.raises(DivergedError, match="the loss became nan at epoch 1, .* x has nan in row 7, column 2,"):
        run(data=(x, Y))


@pytest.mark.parametrize("options", [{"patience": 2}, {}, {"replicas": 2}])
def test_nan_in_the_validation_data_is_named(options: dict[str, Any]) -> None:
    x = X.copy()
    x[7, 2] = np.nan
    with pytest.raises(DivergedError, match="validation loss is nan: .* x of validation has nan in row 7, column 2,"):
        run(validation=(x, Y), **{"compile": "replicas" in options} | options)


@pytest.mark.parametrize("row", range(0, 20, 3))
def test_nan_is_named_by_its_row_before_a_share_was_held_out(row: int) -> None:
    x = X.copy()
    x[row, 1] = np.nan
    with pytest.raises(DivergedError, match=f" x has nan in row {row}, column 1,"):
        run(data=(x, Y), validation=0.5)


def test_nan_may_be_in_data_that_the_model_sees_to() -> None:
    x = X.copy()
    x[7, 2] = np.nan
    model = nn.Sequential(lambda x: np.where(np.isnan(x), 0, x), nn.MLP((4, 2), rng=0))
    given: Any = {"optimizer": "adam", "epochs": 2, "validation": (x, Y), "patience": 2}
    _, history = fit(model, nn.cross_entropy, (x, Y), **given)
    assert np.isfinite(history.validation_loss).all()


@pytest.mark.parametrize("replicas", [None, 2])
def test_a_watched_metric_is_a_number(replicas: int | None) -> None:
    given: Any = {"validation": (X, Y), "metrics": {"a": lambda out, y: np.nan}, "replicas": replicas, "compile": True}
    _, history = run(**given)
    assert np.isnan((history if replicas is None else history[1]).metrics["a"]).all()  # nobody watches it
    with pytest.raises(DivergedError, match="EarlyStopping: a is nan at epoch 1, though the loss is not"):
        run(callbacks=EarlyStopping(2, "a"), **given)
