"""What is looked at by scikit-learn and what by ourselves: the same is refused, in the same words."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import neural_network as theirs
from sklearn.preprocessing import LabelBinarizer

from glassgrad import sklearn as ours
from glassgrad.sklearn import MLPClassifier, checks
from glassgrad.sklearn.labels import Labels

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30, 3)), np.arange(30) % 3
QUICK = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _with(value: float, array: Any = X) -> Any:
    changed = array.copy()
    changed.flat[7] = value
    return changed


DATA: dict[str, tuple[Any, Any]] = {
    "as they are": (X, y),
    "float32": (X.astype(np.float32), y.astype(np.int8)),
    "NaN": (_with(np.nan), y),
    "infinite": (_with(-np.inf, X.astype(np.float32)), y),
    "NaN label": (X, _with(np.nan, y.astype(float))),
    "complex": (X + 1j, y),
    "objects": (X.astype(object), y.astype(object)),
    "whole numbers": (np.arange(90).reshape(30, 3) % 7, y),
    "half": (X.astype(np.float16), y),
    "other bytes": (X.astype(">f8"), y.astype(">i8")),
    "Fortran": (np.asfortranarray(X), y),
    "strides": (np.repeat(X, 2, 1)[:, ::2], np.repeat(y, 2)[::2]),
    "masked": (np.ma.masked_array(X), y),
    "one row of numbers": (X[0], y),
    "no rows": (X[:0], y[:0]),
    "no columns": (X[:, :0], y),
    "other rows": (X, y[1:]),
    "a column": (X, y[:, None]),
    "cube": (X, np.zeros((30, 2, 2), int)),
    "no labels": (X, None),
    "times": (X, y.astype("datetime64[s]")),
    "bytes": (X, y.astype("S1")),
    "text": (X, np.array(["a", "ccc", "bb"], "U9")[y]),
    "truths": (X, y > 0),
    "unsigned": (X, y.astype(np.uint8) + 250),
    "floats": (X, y.astype(np.float32)),
    "fractions": (X, X[:, 0]),
    "every row a class": (X, np.arange(30)),
    "one row": (X[:1], y[:1]),
}


def outcome(model: Any, X: Any, y: Any) -> list[Any]:
    """What came of it, warnings with it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.fit(X, y)
        except (ValueError, TypeError) as error:
            return [type(error), str(error)]
    attributes = [model.n_features_in_, getattr(model, "classes_", np.zeros(0)).tolist(), model.coefs_[0].dtype]
    kinds = [getattr(getattr(model, "classes_", None), "dtype", None), model.out_activation_]
    return [*attributes, *kinds, sorted(f"{w.category.__name__}: {w.message}"[:60] for w in said)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("case", "name"),
    [(c, "MLPClassifier") for c in DATA] + [(c, "MLPRegressor") for c in DATA if c not in ("times", "bytes", "text")],
)
def test_data_of_every_kind(case: str, name: str) -> None:
    found, expected = (outcome(getattr(module, name)(**QUICK), *DATA[case]) for module in (ours, theirs))
    assert found == expected


def test_arrays_of_numbers_are_not_looked_at_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MLPClassifier(**QUICK, warm_start=True)
    monkeypatch.delattr(checks, "validate_data")
    model.fit(X, y).fit(X, y)
    with pytest.raises(NameError, match="validate_data"):
        model.fit(X[:, :2], y)
    with pytest.raises(NameError, match="validate_data"):
        model.fit(X.astype(np.float32), y)


def test_columns_of_a_dataframe_are_forgotten_and_missed() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = MLPClassifier(**QUICK).fit(table, y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.partial_fit(X, y)
    assert model.fit(table, y).feature_names_in_.tolist() == ["a", "b", "c"]
    assert not hasattr(model.fit(X, y), "feature_names_in_")


@pytest.mark.parametrize("given", [y, y > 1, y.astype(np.uint8), np.array(["b", "a", "c"])[y], np.zeros(30, int)])
def test_labels_as_theirs(given: Any) -> None:
    mine, their = Labels(given), LabelBinarizer().fit(given)
    assert mine.kind == their.y_type_
    assert mine.classes.tolist() == their.classes_.tolist() and mine.classes.dtype == their.classes_.dtype
    np.testing.assert_array_equal(mine.columns(given), their.transform(given))
    np.testing.assert_array_equal(mine.columns(list(given)), their.transform(given))
    with pytest.raises(ValueError, match="classes not in"):
        mine.columns(np.append(given, "d" if given.dtype.kind == "U" else 9))


def test_a_fit_within_a_fit_has_numbers_of_its_own() -> None:
    alone = MLPClassifier(**QUICK).fit(X, y)

    def look(epoch: Any, fit: Any) -> None:
        assert MLPClassifier(**{**QUICK, "random_state": 5}).fit(X, y).loss_ != alone.loss_

    assert MLPClassifier(**QUICK, callbacks=look).fit(X, y).loss_curve_ == alone.loss_curve_
    with pytest.raises(ValueError, match="random_state"):
        MLPClassifier(**{**QUICK, "random_state": -1}).fit(X, y)


def test_numbers_from_a_seed_are_theirs() -> None:
    for seed in (0, np.int64(7), 2**32 - 1):
        with checks.generator(seed) as random:
            random.normal()  # one of a pair, whose other is forgotten
        with checks.generator(seed) as random:
            assert random.normal() == np.random.RandomState(seed).normal()
    with checks.generator(None) as random:
        assert random is np.random.mtrand._rand


def test_a_callback_may_change_a_parameter() -> None:
    def later(epoch: Any, fit: Any) -> None:
        fit.model.alpha = 10.0

    curves = [MLPClassifier(**QUICK, callbacks=c).fit(X, y).loss_curve_ for c in (None, later)]
    assert curves[0][0] == curves[1][0] and curves[0][1] < curves[1][1]
