"""What the target is taken for, and the way back from a network's outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.data import Table, class_labels, detect_task
from glassgrad.data.target import ClassTarget, NumberTarget, lone_classes
from glassgrad.errors import DataError


def one_column(values: Any) -> Table:
    return Table.from_columns({"y": values})


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["cat", "dog", "cat"], "classification"),
        ([True, False, True], "classification"),
        ([0, 1, 1], "classification"),
        (["0.0", "1.0", "1.0"], "classification"),
        (list(range(20)) * 2, "classification"),
        (list(range(21)) * 2, "regression"),
        ([3, 1, 2], "regression"),  # no value repeats
        ([0.5, 1.5, 0.5], "regression"),
        ([1e20, 2e20, 1e20], "regression"),
    ],
)
def test_detection(values: Any, task: str) -> None:
    assert detect_task(one_column(values), "y") == task


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, 3, "x"], "text in number column 'y': got 'x' at table:3.* row, or pass task=\"classification\""),
        ([1, 2, 3, "inf"], "infinite value in column 'y': got 'inf' at table:3, .*; correct it, or remove the row"),
        ([1, None, 2], "missing values in target column 'y': got 1 of 3, the first at table:1"),
        (["a", "?", "NA"], "got 2 of 3, the first at table:1"),
        ([], "no rows"),
    ],
)
def test_targets_that_are_refused(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        detect_task(one_column(values), "y")


def test_integer_classes_sort_as_numbers_however_written() -> None:
    table = one_column(["10", "9.0", " 010", "-1"])
    assert class_labels(table, "y") == ["10", "9", "10", "-1"]
    target = ClassTarget.fit(table, "y")
    assert target.classes == ("-1", "9", "10")
    assert target.encode(table).tolist() == [2, 1, 2, 0]


def test_classes_keep_zeros_that_all_rows_agree_on() -> None:
    target = ClassTarget.fit(one_column(["02", "01", "10", "01"]), "y")
    assert target.classes == ("01", "02", "10")
    for later in (["10", "01"], [10, 1], ["010", "1"]):
        assert target.decode(target.encode(one_column(later))).tolist() == ["10", "01"]
    mixed = ClassTarget.fit(one_column(["01", "1", "a", "a"]), "y")
    assert mixed.encode(one_column(["1", "01", "a"])).tolist() == [1, 0, 2]


def test_classes_of_a_single_row() -> None:
    assert lone_classes(one_column(["kind", "a", "b", "a", "c", "b"]), "y") == {"kind": 0, "c": 4}
    assert lone_classes(one_column([1, "1.0", 2, 2]), "y") == {}


def test_class_scores_decode_to_names() -> None:
    target = ClassTarget("y", ("a", "b", "c"))
    assert target.decode([[0.1, 0.2, 0.9], [5, 1, 1]]).tolist() == ["c", "a"]
    assert target.decode([1, 2]).tolist() == ["b", "c"]
    with pytest.raises(DataError, match="unknown class in target 'y': got 'd' at table:1, expected one of 'a'"):
        target.encode(one_column(["a", "d"]))


def test_numbers_there_and_back() -> None:
    values = np.random.default_rng(0).normal(50, 7, 30)
    table = one_column(values)
    target = NumberTarget.fit(table, "y")
    y = target.encode(table)
    assert y.shape == (30, 1)
    assert y.dtype == np.float32
    np.testing.assert_allclose([y.mean(), y.std()], [0, 1], atol=1e-6)
    np.testing.assert_allclose(target.decode(y), values, rtol=1e-6)


def test_targets_with_nothing_to_learn() -> None:
    with pytest.raises(DataError, match="never varies: got 2 in all 3 rows"):
        NumberTarget.fit(one_column([2, 2, 2]), "y")
    with pytest.raises(DataError, match=r"varies by less than float64 can tell: got values near 1.15\d*e\+18"):
        NumberTarget.fit(one_column([2**60, 2**60 + 1]), "y")
    with pytest.raises(DataError, match="a single class"):
        ClassTarget.fit(one_column(["a", "a"]), "y")
    with pytest.raises(DataError, match="too many classes in target 'y': got 3 rows, all distinct"):
        ClassTarget.fit(one_column(["a", "b", "c"]), "y")
    with pytest.raises(DataError, match="text in number column 'y': got 'cat' at table:0"):
        NumberTarget.fit(one_column(["cat", "dog"]), "y")
