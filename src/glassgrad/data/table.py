"""A table of text cells, read from a CSV file that nobody has checked yet."""

from __future__ import annotations

import codecs
import csv
import difflib
import reprlib
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

Cells: TypeAlias = NDArray[np.object_]  # [rows], each a str
Rows: TypeAlias = NDArray[np.int64]  # row numbers

DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 50  # records looked at to find the delimiter
NUMBERED = "column_"  # prefix for the columns of a file without a header
UNNAMED = "unnamed_"  # prefix for a column whose header is empty, as pandas writes for its index


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of text of equal length; nothing is interpreted yet.

    Attributes
    ----------
    columns : dict of str to object arrays of str, shape [rows]
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
        """A table of values in memory; each becomes its text, ``None`` an empty cell. Lines are row numbers from 0."""
        cells = {name: _cells(["" if v is None else str(v) for v in values]) for name, values in columns.items()}
        rows = len(next(iter(cells.values()))) if cells else 0
        return cls(cells, np.arange(rows, dtype=np.int64), source)

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
        near = difflib.get_close_matches(name.lower(), lowered, n=3)
        if near:
            return f"did you mean {' or '.join(shown(lowered[n]) for n in near)}?"
        if self.names and all(_is_number(column) for column in self.names):
            return "the first row looks like data: if the file has no header row, pass header=False"
        return "use one of these"


def read_csv(path: str | PathLike[str], *, header: bool = True, delimiter: str | None = None) -> Table:
    """Read a UTF-8 CSV file into a :class:`Table`.

    Quoted fields may hold delimiters and line breaks. A byte-order mark is skipped, so are blank lines and blanks
    after a delimiter. Empty header fields become ``unnamed_<position>``.

    Parameters
    ----------
    path : the file
    header : whether the first row holds the column names; if not, they are ``column_0``, ``column_1``, ...
    delimiter : one character; by default found among comma, semicolon, tab and vertical bar

    Raises
    ------
    DataError
        The file is missing, empty, not UTF-8, has no rows, repeats a column name or has rows of unequal length.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "people.csv")
    ...     _ = path.write_text("age;city\\n31;Rome\\n42;Oslo\\n")
    ...     table = read_csv(path)
    >>> table.names, list(table["age"])
    (('age', 'city'), ['31', '42'])
    """
    file = Path(path)
    _require_file(file)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise DataError(f"read_csv: bad delimiter: got {delimiter!r}, expected one character such as ',' or ';'")
    try:
        _refuse_utf16(file)
        return _read(file, header, delimiter or _find_delimiter(file))
    except UnicodeDecodeError as error:
        raise _not_utf8(file, error) from None
    except OSError as error:
        raise DataError(f"read_csv: cannot read {file}: {error.strerror}; check the path and its permissions") from None


def shown(value: str) -> str:
    """A quoted value, short enough for a message whatever the file holds."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxstring = 60


def _require_file(file: Path) -> None:
    if not file.exists():
        near = difflib.get_close_matches(file.name, [p.name for p in islice(_siblings(file), 1000)], n=1)
        fix = f"did you mean {near[0]}?" if near else "check the path"
        raise DataError(f"read_csv: no such file: got {file}, expected a CSV file; {fix}")
    if not file.is_file():
        raise DataError(f"read_csv: not a file: got {file}, expected a CSV file; give the path of a file")
    if file.stat().st_size == 0:
        raise _empty(file, "0 bytes")


def _empty(file: Path, got: str) -> DataError:
    return DataError(f"read_csv: {file} is empty: got {got}, expected a header row and rows of data; check the file")


def _siblings(file: Path) -> Iterator[Path]:
    return file.parent.iterdir() if file.parent.is_dir() else iter(())


def _records(file: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the line it starts at; blank lines are skipped."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
        start = 1
        try:
            for record in reader:
                if any("\0" in field for field in record):
                    raise DataError(
                        f"read_csv: not text: got NUL characters at {file}:{start}, expected UTF-8; save the file as "
                        "UTF-8 text"
                    )
                if record:
                    yield start, record
                start = reader.line_num + 1
        except csv.Error as error:
            if "field limit" in str(error):
                raise DataError(
                    f"read_csv: a field is too long: got more than {csv.field_size_limit()} characters in the record "
                    f"at {file}:{start}, expected at most that; shorten it, or close its quote if one was left open"
                ) from None
            raise DataError(
                f"read_csv: bad record: got {error} at {file}:{start}, expected fields separated by {delimiter!r}; "
                'close every quote, and write a quote inside a quoted field as ""'
            ) from None


def _find_delimiter(file: Path) -> str:
    """The candidate that cuts the first records into the most fields, equally many in each."""
    best, best_score = DELIMITERS[0], (False, 1)
    for candidate in DELIMITERS:
        try:
            widths = [len(record) for _, record in islice(_records(file, candidate), SAMPLE)]
        except DataError:  # quotes that do not fit this delimiter
            continue
        score = (len(set(widths)) == 1 and widths[0] > 1, widths[0] if widths else 0)
        if score > best_score:
            best, best_score = candidate, score
    return best


def _read(file: Path, header: bool, delimiter: str) -> Table:
    records = _records(file, delimiter)
    first = next(records, None)
    if first is None:
        raise _empty(file, "only blank lines")
    width = len(first[1])
    names = _header(file, *first) if header else tuple(f"{NUMBERED}{i}" for i in range(width))
    lines, rows = ([], []) if header else ([first[0]], [first[1]])
    for line, record in records:
        if len(record) != width:
            raise DataError(
                f"read_csv: row of the wrong length: got {_fields(len(record))} at {file}:{line}, expected {width} "
                f"as in the first row; complete the row, or quote a field that holds {delimiter!r}"
            )
        lines.append(line)
        rows.append(record)
    if not rows:
        raise DataError(f"read_csv: {file} has no data: got only a header row, expected rows below it; check the file")
    columns = dict(zip(names, map(_cells, zip(*rows, strict=True)), strict=True))
    return Table(columns, np.array(lines, dtype=np.int64), str(file))


def _header(file: Path, line: int, record: list[str]) -> tuple[str, ...]:
    names = [name.strip() or f"{UNNAMED}{i}" for i, name in enumerate(record)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"read_csv: a column name is repeated: got {listed(twice)} more than once at {file}:{line}, "
            "expected distinct names; rename, or pass header=False if the first row is data"
        )
    return tuple(names)


def _not_utf8(file: Path, error: UnicodeDecodeError) -> DataError:
    # the decoder sees pieces of the file, so the line is found here
    byte, line = error.object[error.start], 1
    with file.open("rb") as stream:
        for raw in stream:
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                break
            line += 1
    return DataError(
        f"read_csv: not UTF-8: got byte 0x{byte:02x} at {file}:{line}, expected UTF-8 text; {_convert(file, 'latin1')}"
    )


def _refuse_utf16(file: Path) -> None:
    """What Excel saves as Unicode text: known by its mark, or by a NUL in half of every ASCII character."""
    with file.open("rb") as stream:
        start = stream.read(256)
    start = start[: len(start) // 2 * 2]
    coding = "utf-16" if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else _utf16_without_mark(start)
    if coding:
        raise DataError(f"read_csv: {file} is {coding.upper()} text: expected UTF-8; {_convert(file, coding)}")


def _utf16_without_mark(start: bytes) -> str | None:
    for coding, high in (("utf-16le", start[1::2]), ("utf-16be", start[::2])):
        if high.count(0) > len(start) // 4:
            text = start.decode(coding, errors="ignore")
            if all(c.isprintable() or c in "\t\r\n" for c in text):  # and not just any bytes
                return coding
    return None


def _convert(file: Path, coding: str) -> str:
    old, converted = (shlex.quote(name) for name in (str(file), f"{file.stem}-utf8{file.suffix}"))
    return f"save the file as UTF-8, or convert it: iconv -f {coding} -t utf-8 {old} > {converted}"


def _cells(values: Sequence[str]) -> Cells:
    # object, not a fixed-width string dtype: one long cell would widen every cell of the column
    cells = np.empty(len(values), dtype=object)
    cells[:] = values
    return cells


def _fields(count: int) -> str:
    return f"{count} field" if count == 1 else f"{count} fields"


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
