"""A table of cells that nobody has checked yet: text from a file, or a dataframe's columns."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .frame import dataframe_columns

Cells: TypeAlias = NDArray[Any]  # [rows]: objects, each a str; or real numbers, NaN where there is none
Rows: TypeAlias = NDArray[np.int64]  # row numbers

NUMBERED = "column_"  # prefix for the columns of a file without a header
UNNAMED = "unnamed_"  # prefix for a column whose header is empty, as pandas writes for its index


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length; nothing is interpreted yet.

    Attributes
    ----------
    columns : dict of str to arrays [rows], of text (object) or of numbers
    lines : int64 [rows], the line of the file each row starts at
    source : the file, for messages

    Examples
    --------
    >>> table = Table.from_columns({"age": [31, 42], "city": ["Rome", None]})
    >>> table.names, len(table), list(table["city"])
    (('age', 'city'), 2, ['Rome', ''])
    """

    columns: dict[str, Cells]
    lines: Rows
    source: str = "table"

    def __post_init__(self) -> None:
        for name, cells in self.columns.items():
            if len(cells) != len(self.lines):
                raise DataError(
                    f"Table: columns differ in length: got {len(cells)} cells in {shown(name)}, "
                    f"expected {len(self.lines)}; give every column the same number of cells"
                )

    @classmethod
    def from_columns(cls, columns: Mapping[str, Iterable[Any]], *, source: str = "table") -> Table:
        """A table of values in memory. Lines are row numbers from 0.

        Arrays of real numbers are used as they are, not copied. Any other value becomes its text, ``None`` and what
        else stands for no value an empty cell.
        """
        cells = {name: _cells(values, name) for name, values in columns.items()}
        rows = len(next(iter(cells.values()))) if cells else 0
        return cls(cells, np.arange(rows, dtype=np.int64), source)

    @classmethod
    def from_dataframe(cls, frame: Any, *, source: str = "dataframe") -> Table:
        """The columns of a dataframe of pandas, Polars, PyArrow or another library; its row index is left out.

        Parameters
        ----------
        frame : an object with ``columns`` (or ``column_names``) whose ``frame[name]`` can become a NumPy array;
            or, with the extra ``parquet``, whatever has ``__arrow_c_stream__`` or ``__dataframe__``
        source : what messages call it

        Raises
        ------
        DataError
            Not a dataframe, no rows, names that repeat, or cells that hold several values.

        Examples
        --------
        >>> import pytest
        >>> pandas = pytest.importorskip("pandas")
        >>> frame = pandas.DataFrame({"size": [1.5, None], "hue": ["red", "blue"], "on": [True, False]})
        >>> table = Table.from_dataframe(frame)
        >>> table["size"], list(table["hue"]), list(table["on"])
        (array([1.5, nan]), ['red', 'blue'], ['True', 'False'])
        """
        return cls.from_columns(dataframe_columns(frame), source=source)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in the file's order."""
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> Cells:
        """The cells of one column; a :class:`DataError` with the nearest names when there is none such."""
        self.require(name)
        return self.columns[name]

    def require(self, name: str, *, what: str = "column") -> None:
        """Raise :class:`DataError` unless the table has this column; ``what`` says what it is wanted for."""
        if name not in self.columns:
            raise DataError(
                f"table: {what} {shown(name)} is not in {self.source}: got columns {listed(self.names)}; "
                f"{self._suggestion(name)}"
            )

    def take(self, rows: Rows | Sequence[int]) -> Table:
        """The given rows, in the given order; each keeps the line it came from."""
        picked = np.asarray(rows, dtype=np.int64)
        return Table({name: cells[picked] for name, cells in self.columns.items()}, self.lines[picked], self.source)

    def drop(self, *names: str) -> Table:
        """The table without these columns."""
        for name in names:
            self.require(name)
        return Table({n: cells for n, cells in self.columns.items() if n not in names}, self.lines, self.source)

    def where(self, row: int) -> str:
        """``file:line`` of a row, for messages."""
        return f"{self.source}:{self.lines[row]}"

    def _suggestion(self, name: str) -> str:
        lowered = {column.lower(): column for column in self.names}
        near = difflib.get_close_matches(str(name).lower(), lowered, n=3)  # dataframes call columns by numbers too
        if near:
            return f"did you mean {' or '.join(shown(lowered[n]) for n in near)}?"
        if self.names and all(_is_number(column) for column in self.names):
            return "the first row looks like data: if the file has no header row, pass header=False"
        return "use one of these"


def shown(value: str) -> str:
    """A quoted value, short enough for a message whatever the file holds."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = 60


def as_text(cells: Cells) -> Cells:
    """Every cell as a file would hold it: whole numbers without a point, nothing for NaN.

    >>> as_text(np.array([3.0, 0.5, np.nan])).tolist(), as_text(np.array(["x"], dtype=object)).tolist()
    (['3', '0.5', ''], ['x'])
    """
    if cells.dtype.kind == "O":
        return cells
    return text_cells([_number_text(value) for value in cells.tolist()])


def text_cells(values: Sequence[str]) -> Cells:
    """A column of text."""
    # object, not a fixed-width string dtype: one long cell would widen every cell of the column
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


def _number_text(value: float) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return "" if value != value else str(value)


def _cells(values: Iterable[Any], name: str) -> Cells:
    array = values if isinstance(values, np.ndarray) else None
    if array is not None and array.ndim != 1:
        raise _nested(name, f"an array of shape {array.shape}")
    if array is not None and array.dtype.kind in "iuf":
        return array
    if array is not None and array.dtype.kind == "M":
        values = np.where(np.isnat(array), "", np.datetime_as_string(array)).tolist()
    return text_cells([_text(value, name) for value in values])


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple, set, dict, np.ndarray)):
        raise _nested(name, f"a {type(value).__name__}")
    try:
        missing = value is None or bool(value != value)  # NaN in all its forms
    except TypeError:  # pandas' NA is neither true nor false
        missing = True
    return "" if missing else str(value)


def _nested(name: str, got: str) -> DataError:
    return DataError(
        f"table: cells of column {shown(name)} hold several values: got {got}, expected one value in each row; make a "
        f"column of each"
    )


def listed(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    return ", ".join(shown(name) for name in names[:most]) + (f" and {len(names) - most} more" * (len(names) > most))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
