"""The columns of a dataframe, whichever library it is of; none is imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..lazy import extra_module


def dataframe_columns(frame: Any) -> dict[str, Iterable[Any]]:
    """Each column's values by its name, as NumPy arrays where the library can make one.

    Raises
    ------
    DataError
        Not a dataframe, no columns or rows, or names that repeat.
    """
    labels = _labels(frame)
    if labels is None:
        frame = _through_arrow(frame)
        labels = frame.column_names
    names = [str(label) for label in labels]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"table: a column name is repeated: got {twice[0]!r:.60} more than once in the dataframe, expected "
            f"distinct names; rename one"
        )
    try:
        columns = {name: _values(frame[label]) for name, label in zip(names, labels, strict=True)}
    except TypeError:
        raise DataError(
            f"table: the columns of {type(frame).__name__} cannot be read: expected frame[name] to be a column; "
            f"collect() a lazy frame first"
        ) from None
    if not columns or len(next(iter(columns.values()))) == 0:
        raise DataError("table: the dataframe has no rows or no columns: expected rows of data; check how it was made")
    return columns


def _labels(frame: Any) -> list[Any] | None:
    """What ``frame[...]`` takes, one a column."""
    if isinstance(frame, Mapping):
        return list(frame)
    for attribute in ("column_names", "columns"):  # PyArrow's columns are the columns themselves
        labels = getattr(frame, attribute, None)
        if labels is not None and hasattr(frame, "__getitem__") and not callable(labels):
            return list(labels)
    return None


def _values(column: Any) -> Any:
    if hasattr(column, "to_numpy"):
        return column.to_numpy()
    return np.asarray(column) if hasattr(column, "__array__") else list(column)


def frame_numbers(frame: Any, objects: NDArray[Any]) -> NDArray[Any]:
    """A frame or series of pandas as an array of numbers, NaN where there is none, if numbers are all it holds.

    Beside others, NumPy takes truth values and integers that may be missing for ``objects``.
    """
    given = list(frame.dtypes) if frame.ndim == 2 else [frame.dtypes]
    dtypes = [getattr(dtype, "numpy_dtype", dtype) for dtype in given]
    if not all(getattr(dtype, "kind", "O") in "biuf" for dtype in dtypes):
        return objects
    missing = [np.float64] if frame.isna().to_numpy().any() else []
    array: NDArray[Any] = frame.to_numpy(np.result_type(*dtypes, *missing), na_value=np.nan)
    return array


def _through_arrow(frame: Any) -> Any:
    """A PyArrow table of whatever speaks one of the two protocols for tables."""
    if hasattr(frame, "__arrow_c_stream__"):
        try:
            return pyarrow("").table(frame)
        except (ValueError, TypeError):  # PyArrow's own errors are these
            raise DataError(
                f"table: not a dataframe: got one column, {type(frame).__name__}, expected several; pass "
                f"series.to_frame()"
            ) from None
    if hasattr(frame, "__dataframe__"):
        return pyarrow(".interchange").from_dataframe(frame)
    raise DataError(
        f"table: not a dataframe: got {type(frame).__name__}, expected one of pandas, Polars or PyArrow, or a mapping "
        f"of columns; for arrays use Table.from_columns"
    )


def pyarrow(module: str) -> Any:
    """A module of PyArrow, by its name after ``pyarrow``, if it is installed."""
    return extra_module(
        f"pyarrow{module}",
        "table: reading this takes PyArrow, which is not installed; pip install 'glassgrad[parquet]'",
    )
