"""Encoding: numbers and categories against scikit-learn, refusals by name, and the saved form."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassgrad.data import Encoder, Table, prepare
from glassgrad.data.columns import centre_and_scale, read_numbers
from glassgrad.errors import DataError, ModelFileError


def people(rows: int = 40) -> Table:
    """Two numbers (one with gaps), one category (with gaps), a class."""
    rng = np.random.default_rng(0)
    gaps = ("", "NA", " nan ", "null", "?", "n/a")
    height = [f"{h:.3f}" if i % 7 else gaps[i // 7] for i, h in enumerate(rng.normal(170, 9, rows))]
    return Table.from_columns(
        {
            "age": rng.integers(18, 90, rows),
            "height": height,
            "city": [("Rome", "Oslo", "Bern", None)[i % 4] for i in range(rows)],
            "buys": [("no", "yes")[i % 2] for i in range(rows)],
        }
    )


def test_numbers_equal_scikit_learn() -> None:
    impute = pytest.importorskip("sklearn.impute")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    table = people()
    encoder = Encoder.fit(table.drop("city"), "buys")
    raw = np.stack([read_numbers(table[name]).values for name in ("age", "height")], axis=1)
    filled = impute.SimpleImputer(strategy="median", add_indicator=True).fit_transform(raw)
    filled[:, :2] = preprocessing.StandardScaler().fit_transform(filled[:, :2])
    assert encoder.feature_names == ("age", "height", "height is missing")
    np.testing.assert_allclose(encoder.transform(table), filled, rtol=1e-6, atol=1e-6)


def test_categories_equal_scikit_learn() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    table = people()
    encoder = Encoder.fit(table.drop("age", "height"), "buys")
    cells = np.array([[cell or "(missing)"] for cell in table["city"]])
    oracle = preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(cells)
    assert encoder.feature_names == tuple(f"city = {c}" for c in oracle.categories_[0])
    np.testing.assert_array_equal(encoder.transform(table), oracle.transform(cells))
    later = Table.from_columns({"city": ["Paris", "Oslo"]})
    np.testing.assert_array_equal(encoder.transform(later), oracle.transform([["Paris"], ["Oslo"]]))
    assert not encoder.transform(later)[0].any()


def test_the_matrix() -> None:
    table = people()
    encoder = Encoder.fit(table, "buys")
    x = encoder.transform(table)
    assert x.dtype == np.float32
    assert x.shape == (40, encoder.n_features) == (40, 7)
    assert np.isfinite(x).all()
    assert encoder.task == "classification"
    assert encoder.classes == ("no", "yes")
    assert encoder.n_outputs == 2
    assert encoder.transform_target(table).tolist() == [0, 1] * 20


def test_only_training_rows_are_learnt_from() -> None:
    table = people()
    held_out = table.take(range(30, 40))
    encoder = Encoder.fit(table.take(range(30)), "buys")
    shifted = Table.from_columns({**{n: held_out[n] for n in held_out.names}, "age": ["1000"] * 10})
    assert encoder == Encoder.fit(table.take(range(30)), "buys")
    assert (encoder.transform(shifted)[:, 0] > 20).all()  # 1000 years are far from the training mean


def test_a_gap_that_training_never_showed_becomes_the_median() -> None:
    encoder = Encoder.fit(Table.from_columns({"x": [1, 2, 6], "y": [0.1, 0.2, 0.3]}), "y")
    np.testing.assert_array_equal(
        encoder.transform(Table.from_columns({"x": [""]})), encoder.transform(Table.from_columns({"x": [2]}))
    )


def test_missing_values_can_be_refused() -> None:
    with pytest.raises(DataError, match=r"missing values in column 'height': got 6 of 40, the first at table:0"):
        Encoder.fit(people(), "buys", missing="refuse")
    with pytest.raises(DataError, match="missing values in column 'city'"):
        Encoder.fit(people().drop("height"), "buys", missing="refuse")
    encoder = Encoder.fit(people().drop("height", "city"), "buys", missing="refuse")
    with pytest.raises(DataError, match="missing values in column 'age': got 1 of 2, the first at table:1"):
        encoder.transform(Table.from_columns({"age": [30, None]}))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "2", "3", "abc"], "text in number column 'x': got 'abc' at table:3, expected a number"),
        (["1", "abc", "2", "def"], "text in number column 'x': got 'abc' at table:1"),
        (["1", "2", "1_000", "4"], "got '1_000' at table:2"),
        (["1", "2", "inf", "4"], "infinite value in column 'x': got 'inf' at table:2"),
        (["1", "2", "1e999", "4"], "infinite value in column 'x': got '1e999' at table:2"),
        (["1,5", "2,5", "3,5", "1,5"], "decimal point"),
        (["1,234", "2", "3", "1"], "thousands separators"),
        (["a", "b", "c", "d"], r"too many categories in column 'x': got 4 values, all distinct, .*ignore=\['x'\]"),
        (["1", "1", "1", "1"], "no feature columns: got x: left out, it is always 1"),
        (["u", "u", "u", "u"], "no feature columns: got x: left out, it is always 'u'"),
        (["", "", "NA", "?"], "no feature columns: got x: left out, it has no values"),
    ],
)
def test_columns_that_are_refused_by_name(cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoder.fit(Table.from_columns({"x": cells, "y": [0, 1, 0, 1]}), "y")


def test_mostly_text_is_a_category_and_so_is_what_the_caller_says() -> None:
    table = Table.from_columns({"x": ["A", "B", "A", "7", "B"], "zip": [10, 20, 10, 20, 10], "y": [0, 1, 0, 1, 0]})
    assert Encoder.fit(table, "y").feature_names == ("x = 7", "x = A", "x = B", "zip")
    assert Encoder.fit(table, "y", categorical=["zip"], ignore=["x"]).feature_names == ("zip = 10", "zip = 20")
    with pytest.raises(DataError, match="column 'zap' .*did you mean 'zip'"):
        Encoder.fit(table, "y", ignore=["zap"])


def test_the_cap_on_categories() -> None:
    table = Table.from_columns({"x": [f"c{i % 30}" for i in range(60)], "y": [0, 1] * 30})
    assert Encoder.fit(table, "y", max_categories=30).n_features == 30
    with pytest.raises(DataError, match="column 'x': got 60 values, 30 distinct.* raise max_categories to 30"):
        Encoder.fit(table, "y", max_categories=29)


def test_left_out_columns_are_noted() -> None:
    table = Table.from_columns(
        {"unnamed_0": range(1, 7), "day": range(1, 7), "const": [3] * 6, "gap": [None] * 6, "y": [0, 1] * 3}
    )
    encoder = Encoder.fit(table.take([3, 1, 0, 5]), "y")
    assert encoder.feature_names == ("day",)
    assert encoder.notes == (
        "unnamed_0: left out, it only numbers the rows",
        "day: used, but goes up by 1 from row to row; ignore it if it only numbers them",
        "const: left out, it is always 3",
        "gap: left out, it has no values",
    )
    assert all(note in encoder.describe() for note in encoder.notes)


@pytest.mark.parametrize("name", ["id", "Id", "PassengerId", "user_id", "index", "row number", "No.", "#", "S.No"])
def test_identifiers_that_number_the_rows_are_left_out(name: str) -> None:
    table = Table.from_columns({name: range(100, 106), "x": [3, 1, 2, 5, 4, 0], "y": [0, 1] * 3})
    encoder = Encoder.fit(table, "y")
    assert encoder.feature_names == ("x",)
    assert encoder.notes == (f"{name}: left out, it only numbers the rows",)
    scattered = Table.from_columns({name: [7, 3, 9, 12, 4, 1], "x": [3, 1, 2, 5, 4, 0], "y": [0, 1] * 3})
    assert Encoder.fit(scattered, "y").feature_names == (name, "x")


@pytest.mark.parametrize("name", ["grid", "bid", "mini", "column", "nothing"])
def test_other_names_are_features(name: str) -> None:
    assert Encoder.fit(Table.from_columns({name: range(6), "y": [0, 1] * 3}), "y").feature_names == (name,)


def test_the_target_is_neither_ignored_nor_a_category() -> None:
    with pytest.raises(DataError, match=r"'buys' is the target: got ignore=\['buys'\]"):
        Encoder.fit(people(), "buys", ignore=["buys"])
    with pytest.raises(DataError, match=r"got categorical=\['age'\].*task=\"classification\""):
        Encoder.fit(people(), "age", categorical=["age"])


def test_what_training_never_showed_is_told() -> None:
    table = Table.from_columns({"age": [1, 2, 6, 7], "gap": [1, None, 3, 5], "city": list("rbrb"), "y": [0, 1, 0, 1]})
    encoder = Encoder.fit(table, "y")
    assert encoder.unseen(table) == []
    later = {"age": [1, None, 3], "gap": [None, 1, None], "city": ["oslo", "r", None]}
    assert encoder.unseen(Table.from_columns(later)) == [
        "1 of 3 rows hold no value of 'age': training rows all had one, so their median 4 is used",
        "2 of 3 rows hold values of 'city' not seen in training ('oslo', '(missing)')",
    ]


def test_a_constant_with_gaps_keeps_only_the_indicator() -> None:
    encoder = Encoder.fit(Table.from_columns({"x": [5, None, 5, None], "y": [0, 1, 0, 1]}), "y")
    assert encoder.transform(Table.from_columns({"x": [5, None, 9]})).tolist() == [[0, 0], [0, 1], [0, 0]]


def test_later_files() -> None:
    encoder = Encoder.fit(people(), "buys")
    with pytest.raises(DataError, match=r"column 'height' is not in table.*did you mean 'Height'\?"):
        encoder.transform(Table.from_columns({"age": [1], "Height": [2], "city": ["Rome"]}))
    with pytest.raises(DataError, match="got 'old' at table:0"):
        encoder.transform(Table.from_columns({"age": ["old"], "height": [2], "city": ["Rome"]}))
    with pytest.raises(DataError, match="too far from the training data in column 'age': got '1e300'"):
        encoder.transform(Table.from_columns({"age": ["1e300"], "height": [2], "city": ["Rome"]}))
    extra = Table.from_columns({"more": [0], "age": [30], "height": [170], "city": ["Rome"]})
    assert encoder.transform(extra).shape == (1, 7)


@pytest.mark.parametrize("option", [{"task": "clustering"}, {"missing": "drop"}])
def test_bad_options(option: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="got '(clustering|drop)', expected one of"):
        Encoder.fit(people(), "buys", **option)


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=20))
def test_standardised_numbers_are_finite(values: list[float]) -> None:
    mean, scale = centre_and_scale(np.array(values))
    assert np.isfinite([mean, scale]).all()
    if 1e-150 < max(map(abs, values)) < 1e150:
        np.testing.assert_allclose(mean, np.mean(values), rtol=1e-9, atol=1e-9 * max(map(abs, values)))
        np.testing.assert_allclose(scale, np.std(values), rtol=1e-6, atol=1e-9 * max(map(abs, values)))


@pytest.mark.parametrize("target", ["buys", "age"])
def test_the_saved_form(target: str) -> None:
    table = people()
    encoder = Encoder.fit(table, target)
    loaded = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    assert loaded == encoder
    np.testing.assert_array_equal(loaded.transform(table), encoder.transform(table))
    np.testing.assert_array_equal(loaded.transform_target(table), encoder.transform_target(table))


def _damage(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    fields = Encoder.fit(people(), "buys").to_dict()
    at: Any = fields
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return fields


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), 99, "expected format 1"),
        (("missing",), "guess", "encoder.missing, expected one of impute, refuse"),
        (("columns",), [], "encoder.columns"),
        (("columns",), "abc", "expected a list"),
        (("columns", 0), None, r"got a NoneType at encoder.columns\[0\]"),
        (("columns", 0, "mean"), "5", r"encoder.columns\[0\].mean, expected a number"),
        (("columns", 0, "mean"), float("nan"), "expected a finite number"),
        (("columns", 0, "mean"), 10**400, "expected a finite number"),
        (("columns", 0, "mean"), True, "expected a number"),
        (("columns", 0, "scale"), -1.0, "at least 0"),
        (("columns", 0, "indicator"), 1, "expected true or false"),
        (("columns", 0, "kind"), "pickle", "expected one of numeric, categorical"),
        (("columns", 0, "name"), "buys", "distinct names"),
        (("columns", 2, "categories"), ["a", "a"], "distinct strings"),
        (("columns", 2, "categories"), [], "at least one category"),
        (("target", "classes"), ["a"], "at least two classes"),
        (("target", "kind"), [], "encoder.target.kind"),
        (("target",), {}, "encoder.target has no 'kind'"),
    ],
)
def test_damaged_models_are_refused(path: tuple[Any, ...], value: Any, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        Encoder.from_dict(_damage(path, value))


@pytest.mark.parametrize("fields", [None, [], "x", {}])
def test_what_is_no_model_at_all(fields: Any) -> None:
    with pytest.raises(ModelFileError):
        Encoder.from_dict(fields)


def test_prepare_keeps_the_parts_apart() -> None:
    table = people()
    data = prepare(table, "buys", rng=3)
    assert data.x_train.shape == (32, data.encoder.n_features)
    assert data.x_test.shape == (8, data.encoder.n_features)
    assert data.y_test.tolist().count(0) == 4
    np.testing.assert_allclose(data.x_train[:, :2].mean(axis=0), 0, atol=1e-6)  # standardised by the training part
    again = prepare(table, "buys", rng=3)
    np.testing.assert_array_equal(again.x_test, data.x_test)


def test_prepare_refuses_tables_it_cannot_use() -> None:
    with pytest.raises(DataError, match="too few rows: got 6, expected at least 10"):
        prepare(people(6), "buys")
    with pytest.raises(DataError, match="too few rows to learn from: got 4 of 40 with held_out=0.9, expected"):
        prepare(people(), "buys", held_out=0.9)
    with pytest.raises(DataError, match="a single class in target 'buys': got only 'yes'"):
        prepare(people().take([i for i in range(40) if i % 2]), "buys")
    with pytest.raises(DataError, match=r"target column 'Buy' is not in table.*did you mean 'buys'\?"):
        prepare(people(), "Buy")
    with pytest.raises(DataError, match="missing values in target column 'city': got 10 of 40, the first at table:3"):
        prepare(people(), "city")
    with pytest.raises(DataError, match="'buys' is the only column in use"):
        prepare(people(), "buys", ignore=["age", "height", "city"])


def test_large_whole_numbers_that_differ_are_not_said_to_be_one() -> None:
    table = Table.from_columns({"id": 2**60 + np.arange(4), "x": np.arange(4.0) ** 2, "y": [0, 1, 0, 1]})
    assert "differ by less than float64 can tell" in str(Encoder.fit(table, "y").describe())


def test_the_largest_numbers_are_encoded_without_a_warning() -> None:
    table = Table.from_columns({"x": np.array([1e308, -1e308, 1e308, -1e308]), "y": [0, 1, 0, 1]})
    assert Encoder.fit(table, "y").columns[0].name == "x"


@pytest.mark.parametrize("target", ["buys", "age"])
def test_nothing_may_be_held_out(target: str) -> None:
    _, x, y, x_test, y_test = prepare(people(), target, held_out=0)
    assert (len(x), len(y)) == (40, 40)
    assert (x_test.shape, y_test.shape) == ((0, *x.shape[1:]), (0, *y.shape[1:]))
    assert (x_test.dtype, y_test.dtype) == (x.dtype, y.dtype)


def test_text_that_leading_zeros_tell_apart_is_names() -> None:
    zips = ["01234", "1234"] * 6
    table = Table.from_columns({"zip": zips, "padded": ["01", "02", "10"] * 4, "y": ["p", "q"] * 6})
    kinds = {column.name: type(column).__name__ for column in Encoder.fit(table, "y").columns}
    assert kinds == {"zip": "CategoricalColumn", "padded": "NumericColumn"}
