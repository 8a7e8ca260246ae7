"""Dataframes of several libraries, Parquet and compressed files give the table that the same CSV file gives."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glassgrad.data import Encoder, Table, prepare, read_csv, read_parquet
from glassgrad.data.table import as_text
from glassgrad.errors import DataError, MissingExtraError

ROWS = 30


def columns() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    return {
        "size": [None if i % 7 == 3 else round(float(rng.normal()), 3) for i in range(ROWS)],
        "rooms": [int(rng.integers(1, 9)) for _ in range(ROWS)],
        "hue": [[None, "red", "größe"][i % 3] for i in range(ROWS)],
        "on": [i % 4 == 0 for i in range(ROWS)],
        "kind": [("b", "a")[i % 2] for i in range(ROWS)],
    }


def csv_text() -> str:
    cells = columns()
    lines = [",".join(cells)]
    lines += [",".join("" if v is None else str(v) for v in row) for row in zip(*cells.values(), strict=True)]
    return "\n".join(lines) + "\n"


def pandas_frame() -> Any:
    return pytest.importorskip("pandas").DataFrame(columns())


def nullable_pandas_frame() -> Any:
    return pandas_frame().convert_dtypes()


def categorical_pandas_frame() -> Any:
    return pandas_frame().astype({"hue": "category", "kind": "category", "rooms": "int16", "size": "float64"})


def polars_frame() -> Any:
    return pytest.importorskip("polars").DataFrame(columns())


def arrow_table() -> Any:
    return pytest.importorskip("pyarrow").table(columns())


def only_arrow_stream() -> Any:
    return SimpleNamespace(__arrow_c_stream__=arrow_table().__arrow_c_stream__)


class Opaque:
    """An object that speaks one protocol only."""

    def __init__(self, name: str, method: Any) -> None:
        setattr(type(self), name, lambda self, *args, **kwargs: method(*args, **kwargs))


class Streaming(Opaque):
    pass


class Interchanging(Opaque):
    pass


FRAMES = {
    "pandas": pandas_frame,
    "pandas with its own missing values": nullable_pandas_frame,
    "pandas with categories": categorical_pandas_frame,
    "polars": polars_frame,
    "pyarrow": arrow_table,
    "dict of lists": columns,
    "__arrow_c_stream__": lambda: Streaming("__arrow_c_stream__", arrow_table().__arrow_c_stream__),
    "__dataframe__": lambda: Interchanging("__dataframe__", arrow_table().__dataframe__),
}


@pytest.mark.parametrize("library", FRAMES)
def test_a_dataframe_is_read_as_its_csv_file(library: str, tmp_path: Path) -> None:
    frame = FRAMES[library]()
    path = tmp_path / "f.csv"
    path.write_text(csv_text())
    expected, got = read_csv(path), Table.from_dataframe(frame)
    assert got.names == expected.names
    for name in ("rooms", "hue", "on", "kind"):
        assert as_text(got[name]).tolist() == list(expected[name]), name
    theirs, ours = prepare(expected, "kind"), prepare(got, "kind")
    assert ours.encoder == theirs.encoder
    np.testing.assert_array_equal(ours.x_train, theirs.x_train)
    np.testing.assert_array_equal(ours.y_test, theirs.y_test)


def test_a_model_of_a_dataframe_reads_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_text(csv_text())
    frame = {name: np.array(v, float) if name == "rooms" else v for name, v in columns().items()}
    encoder = Encoder.fit(Table.from_dataframe(frame), "kind", categorical=["rooms"])
    np.testing.assert_array_equal(encoder.transform(read_csv(path)), encoder.transform(Table.from_dataframe(frame)))


def test_arrays_of_numbers_are_not_copied() -> None:
    x = np.arange(12, dtype=np.uint8).reshape(4, 3)
    table = Table.from_columns({"a": x[:, 0], "b": x[:, 2]})
    assert np.shares_memory(table["a"], x)
    assert table.take([3, 1])["b"].tolist() == [11, 5]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (np.array([1, 2**62], np.int64), ["1", str(2**62)]),
        (np.array([1.0, -0.5, np.nan, np.inf]), ["1", "-0.5", "", "inf"]),
        (np.array(["2024-01-31", "NaT"], "M8[ns]"), ["2024-01-31T00:00:00.000000000", ""]),
        (np.array([True, False]), ["True", "False"]),
        ([None, float("nan"), "nan", 3], ["", "", "nan", "3"]),
    ],
)
def test_cells_as_text(values: Any, texts: list[str]) -> None:
    assert as_text(Table.from_columns({"x": values})["x"]).tolist() == texts


def test_numbers_that_are_spoilt_are_named_by_row() -> None:
    x = np.arange(20.0)
    x[7] = np.inf
    with pytest.raises(DataError, match="infinite value in column 'x': got 'inf' at dataframe:7"):
        Encoder.fit(Table.from_dataframe({"x": x, "y": ["a", "b"] * 10}), "y")


def twice() -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame([[1, 2]], columns=["a", "a"])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (twice, "'a' more than once"),
        (lambda: np.zeros((3, 2)), "not a dataframe: got ndarray, .*Table.from_columns"),
        (lambda: {}, "no rows or no columns"),
        (lambda: {"x": []}, "no rows or no columns"),
        (lambda: {"x": [[1, 2], [3]]}, "cells of column 'x' hold several values: got a list"),
        (lambda: {"x": np.zeros((2, 2))}, r"hold several values: got an array of shape \(2, 2\)"),
        (lambda: pytest.importorskip("polars").LazyFrame({"a": [1]}), "collect"),
        (lambda: {"x": [1], "y": [1, 2]}, "columns differ in length"),
    ],
)
@pytest.mark.filterwarnings("ignore::Warning:polars", "ignore:Determining the column names")
def test_what_is_no_dataframe_is_refused(frame: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Table.from_dataframe(frame())


# Files


def test_parquet(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "f.parquet"
    parquet.write_table(arrow_table(), path)
    table = read_parquet(path)
    assert table.source == str(path)
    assert as_text(table["rooms"]).tolist() == [str(v) for v in columns()["rooms"]]
    damaged = tmp_path / "d.parquet"
    for content in (path.read_bytes()[:-20], b"not parquet"):
        damaged.write_bytes(content)
        with pytest.raises(DataError, match="damaged, or not Parquet"):
            read_parquet(damaged)
    with pytest.raises(DataError, match=r"no such file.*did you mean f.parquet"):
        read_parquet(tmp_path / "g.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "f.parquet").write_bytes(b"PAR1")
    with pytest.raises(MissingExtraError, match=r"pip install 'glassgrad\[parquet\]'"):
        read_parquet(tmp_path / "f.parquet")


def test_compressed_csv(tmp_path: Path) -> None:
    plain, packed = tmp_path / "f.csv", tmp_path / "f.csv.gz"
    plain.write_text(csv_text())
    packed.write_bytes(gzip.compress(csv_text().encode()))
    one, other = read_csv(plain), read_csv(packed)
    assert one.names == other.names
    assert all(list(one[name]) == list(other[name]) for name in one.names)
    assert other.where(0) == f"{packed}:2"
    for damaged in (packed.read_bytes()[:-9], packed.read_bytes()[:40], b"\x1f\x8bxxxxxxxxxxxx"):
        packed.write_bytes(damaged)
        with pytest.raises(DataError, match="read_csv: damaged gzip file"):
            read_csv(packed)
    packed.write_bytes(gzip.compress(b"a,b\n1,caf\xe9\n"))
    with pytest.raises(DataError, match=r"not UTF-8: got byte 0xe9 at .*f.csv.gz:2"):
        read_csv(packed)


def test_a_series_is_no_dataframe() -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match="not a dataframe: got one column, Series"):
        Table.from_dataframe(pytest.importorskip("pandas").Series([1, 2]))


def test_columns_called_by_numbers() -> None:
    frame = pytest.importorskip("pandas").DataFrame({0: np.arange(20.0), 1: np.arange(20) % 2})
    table = Table.from_dataframe(frame)
    for use in (lambda: prepare(table, 1), lambda: table[1], lambda: table.drop(1)):
        with pytest.raises(DataError, match=r"column 1 is not in dataframe: got columns '0', '1'; did you mean '1'\?"):
            use()
    assert prepare(table, "1").encoder.feature_names == ("0",)
