"""The estimators among scikit-learn's own: its checks, its tools, its kinds of data."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import sklearn
from scipy.sparse import csr_matrix
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from threadpoolctl import threadpool_limits

from glassgrad import sklearn as gg_sklearn
from glassgrad import train
from glassgrad.compile.jit import Compiled
from glassgrad.errors import DataError
from glassgrad.sklearn import MLPClassifier, MLPRegressor

SOURCE = Path(__file__).resolve().parents[2] / "src"
X, y = load_iris(return_X_y=True)
QUICK = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, "learning_rate_init": 0.02}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_parameters_are_theirs_with_callbacks(name: str) -> None:
    own = inspect.signature({"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[name]).parameters
    other = inspect.signature(getattr(theirs, name)).parameters
    assert [(n, p.default, p.kind) for n, p in own.items()][:-1] == [(n, p.default, p.kind) for n, p in other.items()]
    assert list(own)[-1] == "callbacks"


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": -1.0}, {"solver": "newton"}, {"activation": "gelu"}, {"max_iter": 0}, {"beta_1": 1.0}, {"tol": -1.0}],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match=name):
        MLPClassifier(**wrong).fit(X, y)


@pytest.mark.parametrize(("good", "wrong"), [({"max_iter": 1}, {"max_iter": True}), ({"alpha": 1}, {"alpha": True})])
def test_what_equals_a_good_parameter_is_looked_at(good: dict[str, Any], wrong: dict[str, Any]) -> None:
    MLPClassifier(**{**QUICK, **good}).fit(X, y)
    own, other = (
        [_refused(module.MLPClassifier(**{**QUICK, **given})) for given in (wrong, {**wrong, "solver": "Adam"})]
        for module in (gg_sklearn, theirs)
    )
    assert own == other and own[1]


def _refused(model: Any) -> bool:
    try:
        model.fit(X, y)
    except ValueError:
        return True
    return False


def test_a_class_of_ones_own_may_have_other_parameters() -> None:
    class Narrow(MLPClassifier):
        def __init__(self, width: int = 3, alpha: float = 1e-4) -> None:
            super().__init__((width,), max_iter=2, random_state=0, alpha=alpha)
            self.width = width

    assert clone(Narrow(5)).fit(X, y).coefs_[0].shape == (4, 5)
    with pytest.raises(ValueError, match="alpha"):
        Narrow(alpha=-1.0).fit(X, y)


@pytest.mark.parametrize("sizes", [(3, 0), (3.5,), ("a",), (True, -1)])
def test_wrong_sizes_are_refused(sizes: Any) -> None:
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0, whole numbers"):
        MLPClassifier(hidden_layer_sizes=sizes).fit(X, y)
    assert MLPClassifier(**{**QUICK, "hidden_layer_sizes": np.array([3, 2])}).fit(X, y).n_layers_ == 4


@pytest.mark.parametrize("name", ["one class", "two", "text", "objects", "truths", "several", "sparse"])
def test_labels_come_back_as_theirs(name: str) -> None:
    several = np.c_[y == 0, y > 1, y > 0].astype(int)
    kinds = {
        "one class": np.full(150, 7),
        "two": np.where(y > 0, 5.0, -5.0),
        "text": np.array(["cat", "ant", "dog"])[y],
        "objects": np.array(["cat", "ant", "dog"], object)[y],
        "truths": y > 0,
        "several": several,
        "sparse": csr_matrix(several),
    }[name]
    own, other = (module.MLPClassifier(**QUICK).fit(X, kinds) for module in (gg_sklearn, theirs))
    found, expected = own.predict(X), other.predict(X)
    assert (
        type(found) is type(expected) and found.dtype == expected.dtype and own.classes_.dtype == other.classes_.dtype
    )
    dense = [a.toarray() if name == "sparse" else a for a in (found, expected)]
    np.testing.assert_array_equal(*dense)
    np.testing.assert_array_equal(own.classes_, other.classes_)
    np.testing.assert_allclose(own.loss_curve_, other.loss_curve_, rtol=1e-6)


def test_scores_of_one_class_held_out() -> None:
    own, other = (
        module.MLPClassifier(**QUICK, early_stopping=True).fit(X, np.full(150, 7)) for module in (gg_sklearn, theirs)
    )
    assert own.validation_scores_ == other.validation_scores_ == [1.0] * len(own.validation_scores_)
    np.testing.assert_allclose(own.coefs_[0], other.coefs_[0], rtol=1e-6)


def test_targets_that_do_not_fit_are_refused() -> None:
    several = np.c_[y == 0, y > 1].astype(int)
    with pytest.raises(ValueError, match="several numbers a row"):
        MLPClassifier(**QUICK).fit(X, np.c_[y, y])
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier(**QUICK).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="expected \\[rows, 2\\], as before"):
        MLPClassifier(**QUICK).fit(X, several, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="a label for each row"):
        MLPClassifier(**QUICK).fit(X, y, X_val=X, y_val=several)
    with pytest.raises(DataError, match="got 2 numbers a row, expected 1"):
        MLPRegressor(**QUICK).fit(X, y, X_val=X, y_val=several)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MLPRegressor(**QUICK).fit(X, y, X_val=X, y_val=y[1:])


def test_in_a_pipeline_a_search_and_cross_validation() -> None:
    pipe = make_pipeline(StandardScaler(), MLPClassifier(**{**QUICK, "max_iter": 60}))
    search = GridSearchCV(
        pipe, {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__activation": ["relu", "tanh"]}, cv=3
    )
    assert search.fit(X, y).best_score_ > 0.9
    assert cross_val_score(pipe, X, y, cv=3).mean() > 0.9
    restored = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(restored.predict_proba(X), search.predict_proba(X))


def test_a_second_fit_of_the_same_shapes_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {**QUICK, "max_iter": 2}
    MLPClassifier(**settings, batch_size=40).fit(X, y)
    MLPClassifier(**settings, solver="lbfgs").fit(X, y)

    def compiled(*args: Any) -> None:
        raise AssertionError("something was compiled")

    monkeypatch.setattr(Compiled, "__init__", compiled)
    changed = {"alpha": 0.5, "beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-3, "learning_rate_init": 0.1, "tol": 1e-3}
    MLPClassifier(**{**settings, **changed}, batch_size=40).fit(X, y)
    MLPClassifier(**{**settings, "alpha": 0.5, "solver": "lbfgs"}).fit(X, y)
    with pytest.raises(AssertionError, match="compiled"):
        MLPClassifier(**settings, batch_size=50).fit(X, y)


def test_many_shapes_give_no_warning() -> None:
    for rows in range(100, 109):  # gg.jit warns when it compiles a function for the eighth time
        MLPClassifier(hidden_layer_sizes=(), max_iter=1, random_state=0).fit(X[:rows], y[:rows])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes(library: str) -> None:
    frames = pytest.importorskip(library)
    names = ["a", "b", "c", "d"]
    table, labels = frames.DataFrame(dict(zip(names, X.T, strict=True))), frames.Series([f"kind {k}" for k in y])
    model = MLPClassifier(**QUICK).fit(table, labels)
    assert model.feature_names_in_.tolist() == names and model.n_features_in_ == 4
    np.testing.assert_array_equal(model.predict_proba(table), MLPClassifier(**QUICK).fit(X, y).predict_proba(X))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frames.DataFrame(dict(zip(["d", "c", "b", "a"], X.T, strict=True))))
    piped = make_pipeline(StandardScaler(), MLPClassifier(**QUICK)).set_output(transform=library).fit(table, labels)
    assert piped[-1].feature_names_in_.tolist() == names


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_twice_the_weight_is_the_row_twice(solver: str) -> None:
    # in one batch: a shuffle of the rows then decides nothing
    twice = np.arange(60) % 3 == 0
    few, kinds = X[::2][:60], y[::2][:60]
    settings = {**QUICK, "solver": solver, "hidden_layer_sizes": (4,)}
    weighted = MLPClassifier(**settings).fit(few, kinds, sample_weight=1.0 + twice)
    repeated = MLPClassifier(**settings).fit(np.vstack([few, few[twice]]), np.hstack([kinds, kinds[twice]]))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    np.testing.assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-9)
    plain = MLPClassifier(**settings).fit(few, kinds)
    assert np.abs(plain.predict_proba(X) - weighted.predict_proba(X)).max() > 1e-4


def test_a_batch_without_weight_teaches_nothing() -> None:
    weights = np.r_[np.ones(50), np.zeros(50), np.ones(50)]  # where scikit-learn divides by 0
    mixed = np.arange(150).reshape(3, 50).T.ravel()  # batches of all classes
    rows, kinds, kept = X[mixed], y[mixed], weights > 0
    settings = {**QUICK, "max_iter": 1, "batch_size": 50, "shuffle": False, "solver": "sgd", "momentum": 0.0}
    skipped = MLPClassifier(**settings).fit(rows, kinds, sample_weight=weights)
    left_out = MLPClassifier(**settings).fit(rows[kept], kinds[kept])
    for one, other in zip(skipped.coefs_, left_out.coefs_, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_metadata_is_routed() -> None:
    weights = np.where(y == 0, 0.01, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(**QUICK).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipe = make_pipeline(scaler, model).fit(X, y, sample_weight=weights)
        scored = cross_val_score(
            model.set_score_request(sample_weight=False), X, y, cv=3, params={"sample_weight": weights}
        )
    alone = MLPClassifier(**QUICK).fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
    assert pipe[-1].loss_curve_ == alone.loss_curve_
    assert len(scored) == 3


def test_clones_know_nothing_and_parameters_travel() -> None:
    model = MLPRegressor(loss="poisson", alpha=0.5).set_params(activation="tanh")
    assert clone(model).get_params() == model.get_params() and clone(model).alpha == 0.5
    fitted = MLPClassifier(**QUICK).fit(X, y)
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


def test_a_pickled_model_goes_on_where_it_was() -> None:
    model = MLPClassifier(**QUICK).partial_fit(X, y, classes=[0, 1, 2])
    copy = pickle.loads(pickle.dumps(model))
    assert model.partial_fit(X, y).loss_curve_ == copy.partial_fit(X, y).loss_curve_
    np.testing.assert_array_equal(model.coefs_[0], copy.coefs_[0])


def test_solvers_and_early_stopping_may_change_between_warm_starts() -> None:
    model = MLPClassifier(**QUICK, solver="lbfgs", warm_start=True).fit(X, y)
    model.set_params(solver="adam").fit(X, y)
    assert len(model.loss_curve_) == model.n_iter_ and model.best_loss_ == min(model.loss_curve_)
    model.set_params(early_stopping=True).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.set_params(early_stopping=False, solver="sgd").fit(X, y)
    assert np.isfinite(model.loss_)


def test_partial_fit_refuses_what_it_cannot_do() -> None:
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(MLPRegressor(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="classes must be passed"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    model = MLPClassifier(**QUICK).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="not in `self.classes_`"):
        model.partial_fit(X, y + 7)
    with pytest.raises(ValueError, match="number of outputs"):
        MLPRegressor(**QUICK).partial_fit(X, y).partial_fit(X, X[:, :2])


def test_validation_data_of_ones_own() -> None:
    inside, outside = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
    watched = MLPClassifier(**QUICK).fit(X[inside], y[inside], X_val=X[outside], y_val=y[outside])
    plain = MLPClassifier(**QUICK).fit(X[inside], y[inside])
    assert watched.loss_curve_ == plain.loss_curve_ and plain.validation_scores_ is None
    assert watched.validation_scores_[-1] == watched.score(X[outside], y[outside])
    assert watched.best_validation_score_ == max(watched.validation_scores_)

    stopping = MLPClassifier(**{**QUICK, "max_iter": 300}, early_stopping=True, n_iter_no_change=5)
    stopping.fit(X[inside], y[inside], X_val=X[outside], y_val=y[outside])
    assert stopping.n_iter_ < 300 and stopping.loss_curve_[:5] == plain.loss_curve_[:5]  # no rows are split off
    assert stopping.score(X[outside], y[outside]) == stopping.best_validation_score_

    lines = MLPRegressor(**QUICK, solver="lbfgs").fit(X[inside], y[inside], X_val=X[outside], y_val=y[outside])
    assert lines.validation_scores_[-1] == pytest.approx(lines.score(X[outside], y[outside]))
    with pytest.raises(ValueError, match="not in `self.classes_`"):
        MLPClassifier(**QUICK).fit(X[:100], y[:100], X_val=X, y_val=y)


def test_half_of_the_validation_data_is_refused() -> None:
    for half in {"X_val": X}, {"y_val": y}:
        with pytest.raises(DataError, match="X_val and y_val"):
            MLPClassifier(**QUICK).fit(X, y, **half)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_see_every_epoch_and_stop_the_fit(solver: str) -> None:
    class Looking(train.Callback):
        def __init__(self) -> None:
            self.seen: list[Any] = []

        def on_start(self, training: Any) -> None:
            self.seen.append("start")

        def on_epoch(self, epoch: Any, training: Any) -> None:
            self.seen.append((epoch.number, epoch.loss, epoch.gradient_norm, epoch.metrics["accuracy"]))
            if epoch.number == 3:
                training.stop()

        def on_end(self, training: Any) -> None:
            self.seen.append("end")

    looking = Looking()
    model = MLPClassifier(**QUICK, solver=solver, callbacks=[looking]).fit(X, y, X_val=X, y_val=y)
    assert model.n_iter_ == 3
    start, *epochs, end = looking.seen
    assert (start, end) == ("start", "end") and [e[0] for e in epochs] == [1, 2, 3]
    assert epochs[-1][1] == model.loss_ and epochs[-1][3] == model.score(X, y)
    assert all(e[2] > 0 for e in epochs)


def test_the_length_of_the_gradient() -> None:
    found: list[float] = []
    model = MLPRegressor(
        **{**QUICK, "max_iter": 1}, solver="sgd", momentum=0.0, callbacks=[lambda e, fit: found.append(e.gradient_norm)]
    )
    start = MLPRegressor(**{**QUICK, "max_iter": 1, "learning_rate_init": 1e-300}, solver="sgd").fit(X, y)
    model.fit(X, y)  # one batch of 150 rows: the change is the rate times the gradient
    pairs = zip((*model.coefs_, *model.intercepts_), (*start.coefs_, *start.intercepts_), strict=True)
    assert found[0] == pytest.approx(np.sqrt(sum(((a - b) ** 2).sum() for a, b in pairs)) / 0.02)


def test_callbacks_keep_the_best_and_set_the_rate() -> None:
    kept: list[Any] = []

    def keep(epoch: Any, fit: Any) -> None:
        fit.lr = 0.0 if epoch.number >= 4 else fit.lr
        if epoch.number == 2:
            fit.keep()
            kept.append(fit.copy())

    model = MLPClassifier(**{**QUICK, "max_iter": 6}, solver="sgd", momentum=0.0, callbacks=[keep]).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], kept[0][0][0])
    assert model.loss_curve_[-1] == pytest.approx(model.loss_curve_[-2], rel=1e-12)
    stopped = MLPClassifier(**{**QUICK, "max_iter": 300}, callbacks=[train.EarlyStopping(1, "accuracy", largest=True)])
    assert stopped.fit(X, y, X_val=X, y_val=y).n_iter_ < 100
    losses: list[float] = []
    MLPClassifier(**QUICK, callbacks=lambda epoch, fit: losses.append(epoch.loss)).fit(X, y)
    assert len(losses) == 20
    with pytest.raises(TypeError, match="not a callback"):
        MLPClassifier(**QUICK, callbacks=["print"]).fit(X, y)


def test_the_logs_of_training_are_callbacks_too(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    model = MLPClassifier(**QUICK, callbacks=[train.JSONLines(file)]).fit(X, y, X_val=X, y_val=y)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["loss"] for line in lines if "loss" in line] == model.loss_curve_
    assert lines[-1]["accuracy"] == model.score(X, y)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (train.Report(), "Report: looks at trainings of train.fit: got one of MLPClassifier"),
        (train.Diagnose(), "Diagnose: looks at trainings of train.fit: got one of MLPClassifier"),
        (train.Checkpoint("c"), "not a callback: got Checkpoint"),
    ],
    ids=["report", "diagnose", "checkpoint"],
)
def test_what_looks_into_trainings_of_fit_is_refused(callback: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        MLPClassifier(**QUICK, callbacks=[callback]).fit(X, y)


def test_interrupted_training_keeps_what_it_has() -> None:
    def interrupt(epoch: Any, fit: Any) -> None:
        if epoch.number == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted"):
        model = MLPClassifier(**QUICK, callbacks=[interrupt]).fit(X, y)
    assert model.n_iter_ == 3 and model.predict(X).shape == (150,)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_run_away_are_an_error() -> None:
    huge, target = make_regression(n_samples=30, n_features=3, random_state=0)
    with pytest.raises(ValueError, match="non-finite"):
        MLPRegressor(solver="sgd", learning_rate_init=1e6, random_state=0).fit(1e6 * huge, target)
    with pytest.raises(ValueError, match="at least 0"):
        MLPRegressor(loss="poisson").fit(huge, target)


def test_verbose_prints_losses(capsys: pytest.CaptureFixture[str]) -> None:
    model = MLPClassifier(**{**QUICK, "max_iter": 2}, verbose=True).fit(X, y)
    assert capsys.readouterr().out.splitlines() == [
        f"Iteration {number}, loss = {loss:.8f}" for number, loss in enumerate(model.loss_curve_, 1)
    ]


def test_arrays_of_the_users_stay_as_they_are() -> None:
    table, weights = X.astype(np.float64).copy(), np.ones(150)
    table.flags.writeable = weights.flags.writeable = False
    MLPClassifier(**QUICK).fit(table, y, sample_weight=weights)
    model = MLPClassifier(**QUICK, warm_start=True).fit(np.asfortranarray(X), y)
    assert model.loss_curve_ == MLPClassifier(**QUICK).fit(X[::1], y).loss_curve_


def test_without_scikit_learn_the_extra_is_named() -> None:
    program = "import sys; sys.modules['sklearn'] = None; import glassgrad; import glassgrad.sklearn"
    run = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(SOURCE)}, capture_output=True, text=True
    )
    assert "MissingExtraError" in run.stderr and "glassgrad[sklearn]" in run.stderr


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:.*encountered in:RuntimeWarning")
def test_early_stopping_without_any_score_ends_as_scikit_learn_does() -> None:
    rng = np.random.default_rng(3)
    X = 2 * rng.normal(size=(120, 4))
    y = rng.poisson(np.exp(X[:, 0]))
    settings: Any = {"hidden_layer_sizes": (8,), "solver": "sgd", "learning_rate_init": 1.0, "max_iter": 20}
    settings |= {"loss": "poisson", "early_stopping": True, "random_state": 3}
    mine, other = MLPRegressor(**settings).fit(X, y), theirs.MLPRegressor(**settings).fit(X, y)
    assert np.isnan(mine.validation_scores_).all() and np.isnan(other.validation_scores_).all()
    for ours, expected in zip((*mine.coefs_, *mine.intercepts_), (*other.coefs_, *other.intercepts_), strict=True):
        np.testing.assert_array_equal(ours, expected)
