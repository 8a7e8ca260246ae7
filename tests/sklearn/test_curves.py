"""Loss curves, weights and predictions are scikit-learn's own, up to rounding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from glassgrad import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Products this small take theirs longer with more threads."""
    with threadpool_limits(1):
        yield


ROWS = 64
rng = np.random.default_rng(3)
X = rng.normal(size=(ROWS, 5))
signal = X @ rng.normal(size=(5, 3)) + 0.3 * rng.normal(size=(ROWS, 3))
TARGETS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "binary": ("MLPClassifier", {}, np.where(signal[:, 0] > 0, "yes", "no")),
    "multiclass": ("MLPClassifier", {}, signal.argmax(1) * 10),
    "multilabel": ("MLPClassifier", {}, (signal > 0).astype(int)),
    "regression": ("MLPRegressor", {}, signal[:, 0]),
    "several outputs": ("MLPRegressor", {}, signal),
    "poisson": ("MLPRegressor", {"loss": "poisson"}, np.random.default_rng(4).poisson(np.exp(0.3 * signal[:, 0]))),
}


def both(kind: str, **settings: Any) -> tuple[Any, Any, Any]:
    """Ours and theirs, not fitted, and the targets."""
    name, own, y = TARGETS[kind]
    given = {"hidden_layer_sizes": (7, 4), "random_state": 1, "max_iter": 30, "batch_size": 16, **own, **settings}
    return getattr(ours, name)(**given), getattr(theirs, name)(**given), y


def agree(mine: Any, their: Any, rtol: float = 1e-10) -> None:
    """The same way, and the same end of it."""
    assert mine.n_iter_ == their.n_iter_
    for name in ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_", "t_"):
        if getattr(their, name, None) is not None:
            np.testing.assert_allclose(getattr(mine, name), getattr(their, name), rtol=rtol, err_msg=name)
        else:
            assert getattr(mine, name, None) is None, name
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(mine, name), getattr(their, name), strict=True):
            np.testing.assert_allclose(own, other, rtol=1e3 * rtol, atol=1e2 * rtol)
    np.testing.assert_allclose(mine._outputs(X), their._forward_pass_fast(X), rtol=1e3 * rtol)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", TARGETS)
def test_stochastic_solvers(kind: str, solver: str, activation: str) -> None:
    mine, their, y = both(kind, solver=solver, activation=activation, learning_rate_init=0.01)
    agree(mine.fit(X, y), their.fit(X, y))


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("kind", TARGETS)
def test_lbfgs(kind: str, activation: str) -> None:
    # Line searches amplify rounding, so fewer iterations; SciPy gets the same numbers up to then
    mine, their, y = both(kind, solver="lbfgs", activation=activation, max_iter=8, alpha=0.1)
    agree(mine.fit(X, y), their.fit(X, y), rtol=1e-8)


WAYS: dict[str, dict[str, Any]] = {
    "a smaller last batch": {"batch_size": 10},
    "one batch": {"batch_size": "auto"},
    "not shuffled": {"shuffle": False, "batch_size": 24},
    "a stronger penalty": {"alpha": 3.0},
    "one layer": {"hidden_layer_sizes": 6},
    "no layer": {"hidden_layer_sizes": ()},
    "adam's numbers": {"beta_1": 0.7, "beta_2": 0.9, "epsilon": 1e-3},
    "plain descent": {"solver": "sgd", "momentum": 0.0},
    "momentum": {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False},
    "inverse scaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.03, "n_iter_no_change": 2, "max_iter": 80},
    "stopped": {"tol": 0.02, "n_iter_no_change": 3, "max_iter": 200},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 200, "validation_fraction": 0.3},
    "saturated": {"solver": "sgd", "learning_rate_init": 20.0, "max_iter": 5},
}


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize(
    ("way", "kind"),
    [(way, kind) for way in WAYS for kind in ("binary", "several outputs") if way != "saturated" or kind == "binary"],
)
def test_every_way_of_training(way: str, kind: str) -> None:
    mine, their, y = both(kind, **{"learning_rate_init": 0.02, **WAYS[way]})
    agree(mine.fit(X, y), their.fit(X, y))


def test_the_ways_reach_what_they_are_meant_for() -> None:
    for way, kind in ("stopped", "binary"), ("early stopping", "binary"):
        mine, _, y = both(kind, learning_rate_init=0.02, **WAYS[way])
        assert mine.fit(X, y).n_iter_ < 200, way
    mine, _, y = both("binary", **{**WAYS["adaptive"], "learning_rate_init": 0.02})
    assert mine.fit(X, y)._descent.rate < 0.02


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "regression"])
@pytest.mark.parametrize(
    "settings", [{}, {"early_stopping": True, "n_iter_no_change": 3}, {"solver": "lbfgs", "max_iter": 8}]
)
def test_sample_weights(kind: str, settings: dict[str, Any]) -> None:
    weights = np.random.default_rng(0).uniform(0.1, 3.0, ROWS)
    mine, their, y = both(kind, **settings)
    agree(mine.fit(X, y, sample_weight=weights), their.fit(X, y, sample_weight=weights), rtol=1e-8)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.csr_array])
@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs", "max_iter": 8}])
def test_sparse_inputs(form: Any, settings: dict[str, Any]) -> None:
    few = np.where(np.abs(X) > 0.7, X, 0.0)
    mine, their, y = both("binary", batch_size=10, **settings)
    agree(mine.fit(form(few), y), their.fit(form(few), y), rtol=1e-8)
    np.testing.assert_array_equal(mine.predict(form(few)), mine.predict(few))


def test_sparse_inputs_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgrad.sklearn.descent.DENSE", 2 * 10 * X.shape[1])
    for batch in (10, 7, 20, 49):  # the last part has fewer rows than a batch
        mine, their, y = both("binary", batch_size=batch)
        agree(mine.fit(sparse.csr_array(X), y), their.fit(X, y))


@pytest.mark.parametrize("kind", ["multiclass", "several outputs"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_float32(kind: str, solver: str) -> None:
    mine, their, y = both(kind, solver=solver)
    mine.fit(X.astype(np.float32), y)
    assert {p.dtype for p in (*mine.coefs_, *mine.intercepts_)} == {np.dtype(np.float32)}
    assert mine._outputs_of(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(mine.loss_curve_, their.fit(X, y).loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start(solver: str) -> None:
    mine, their, y = both("multiclass", solver=solver, warm_start=True, max_iter=4)
    for _ in range(3):
        agree(mine.fit(X, y), their.fit(X, y), rtol=1e-8)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit(kind: str, solver: str) -> None:
    mine, their, y = both(kind, solver=solver, random_state=np.random.RandomState(5))
    their.random_state = np.random.RandomState(5)
    classes = np.arange(3) if kind == "multilabel" else np.unique(y)
    for number, part in enumerate([slice(0, 32), slice(32, 64), slice(0, 32)]):
        first = {"classes": classes} if kind != "regression" and number == 0 else {}
        agree(mine.partial_fit(X[part], y[part], **first), their.partial_fit(X[part], y[part], **first))


@pytest.mark.parametrize("batch", ["auto", 10])
@pytest.mark.parametrize("names", [("coefs_", "intercepts_"), ("coefs_",)], ids=["all", "weights"])
@pytest.mark.parametrize("first", [np.float32, np.float64])
def test_parameters_of_another_dtype(first: Any, names: tuple[str, ...], batch: Any) -> None:
    then = np.float64 if first is np.float32 else np.float32
    mine, their, y = both("regression", batch_size=batch)
    for model in mine, their:
        model.partial_fit(X.astype(first), y)
        for name in names:
            setattr(model, name, [p.astype(then) for p in getattr(model, name)])
        model.partial_fit(X, y).partial_fit(X, y)
    for name in ("coefs_", "intercepts_"):
        for own, other in zip(getattr(mine, name), getattr(their, name), strict=True):
            assert own.dtype == other.dtype
            np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered")
@pytest.mark.parametrize("weights", [None, np.full(ROWS, 2.0)], ids=["", "weighted"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_infinite_losses(solver: str, weights: Any) -> None:
    rate = {"adam": 1e-3, "sgd": 1e-160}[solver]  # so that weights stay finite
    mine, their, y = both("regression", solver=solver, max_iter=3, batch_size=30, learning_rate_init=rate)
    mine.fit(X, 1e155 * y, sample_weight=weights), their.fit(X, 1e155 * y, sample_weight=weights)
    assert their.loss_curve_ == [np.inf] * 3  # the last batch is part of every epoch
    np.testing.assert_array_equal(mine.loss_curve_, their.loss_curve_)


def test_a_generator_is_left_where_theirs_leaves_it() -> None:
    mine, their, y = both("multiclass", early_stopping=True)
    mine.random_state, their.random_state = np.random.RandomState(2), np.random.RandomState(2)
    agree(mine.fit(X, y), their.fit(X, y))
    assert mine.random_state.randint(1 << 30) == their.random_state.randint(1 << 30)


@pytest.mark.parametrize("kind", TARGETS)
def test_predictions(kind: str) -> None:
    mine, their, y = both(kind, max_iter=5)
    mine.fit(X, y), their.fit(X, y)
    np.testing.assert_allclose(mine.score(X, y), their.score(X, y), rtol=1e-9)
    for method in "predict", "predict_proba", "predict_log_proba":
        if hasattr(their, method):
            own, other = getattr(mine, method)(X), getattr(their, method)(X)
            assert own.shape == other.shape and own.dtype == other.dtype, method
            if own.dtype.kind == "f":
                np.testing.assert_allclose(own, other, rtol=1e-8)
            else:
                np.testing.assert_array_equal(own, other)


def test_the_last_epoch_is_warned_of() -> None:
    for solver in "adam", "lbfgs":
        with pytest.warns(ConvergenceWarning, match="(?i)max_iter|maximum iterations"):
            ours.MLPClassifier(solver=solver, max_iter=1).fit(X, signal[:, 0] > 0)


@pytest.mark.parametrize("of", [lambda y: 2 * y, lambda y: 1.0 - y, lambda y: -1 * y], ids=["0 2", "1 0", "0 -1"])
def test_several_labels_are_there_or_not(of: Any) -> None:
    mine, their, y = both("multilabel")
    agree(mine.fit(X, of(y)), their.fit(X, of(y)))


def test_text_is_no_number() -> None:
    with pytest.raises(ValueError, match=r"fit: bad y: got <U\d+, expected numbers"):
        ours.MLPRegressor().fit(X, np.arange(len(X)).astype(str))
