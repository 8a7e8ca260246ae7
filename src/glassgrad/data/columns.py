"""One feature column: what its text means, learnt from the training rows, and its numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .record import Record
from .table import NUMBERED, Cells, Table, as_text, listed, shown

Floats: TypeAlias = NDArray[np.float64]
Missing: TypeAlias = Literal["impute", "refuse"]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})  # after stripping, in lower case
MISSING_CATEGORY = "(missing)"
_COMMA_NUMBER = re.compile(r"[+-]?\d+(,\d+)+(\.\d+)?")


class TooManyCategories(DataError):
    """A column of text whose values hardly repeat; a table may have several, to be named together."""


class Numbers(NamedTuple):
    """A column read as numbers, [rows] each: ``values`` is NaN where the cell is ``missing`` or ``text``."""

    values: Floats
    missing: NDArray[np.bool_]
    text: NDArray[np.bool_]


def is_missing(cell: str) -> bool:
    """Whether a cell stands for no value: empty, NA, n/a, nan, null or ?, in any case."""
    return cell.strip().lower() in MISSING


def read_numbers(cells: Cells) -> Numbers:
    """Read every cell as a number where it is one.

    >>> numbers = read_numbers(np.array(["1.5", "NA", "x"], dtype=object))
    >>> numbers.values.tolist(), numbers.missing.tolist(), numbers.text.tolist()
    ([1.5, nan, nan], [False, True, False], [False, False, True])
    """
    text = np.zeros(len(cells), dtype=np.bool_)
    if cells.dtype.kind != "O":
        values = cells.astype(np.float64)
        return Numbers(values, np.isnan(values), text)
    values = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        try:
            values[row] = float(cell)
        except ValueError:
            text[row] = not is_missing(cell)
        else:
            if "_" in cell:  # Python reads 1_000 as a number; in a table it is a name
                values[row], text[row] = np.nan, True
    return Numbers(values, np.isnan(values) & ~text, text)


def is_numeric(table: Table, name: str, numbers: Numbers, *, target: bool = False) -> bool:
    """Whether the column holds numbers rather than categories; a number column spoilt by some text is refused."""
    texts = table[name][numbers.text]
    if len(texts) == 0:
        _refuse_infinite(table, name, numbers, target)
        return True
    otherwise = 'or pass task="classification"' if target else f"or pass categorical=[{shown(name)}]"
    if all(_COMMA_NUMBER.fullmatch(cell.strip()) for cell in texts):
        raise _spoilt(table, name, numbers, f"write a decimal point and no thousands separators, {otherwise}")
    if len(texts) <= np.isfinite(numbers.values).sum():
        raise _spoilt(table, name, numbers, f"correct it, {_without(target)}, {otherwise}")
    return False


def unpadded(text: str) -> str:
    """Digits without leading zeros, which may be lost from file to file; other text as it is."""
    return text.lstrip("0") or "0" if text.isdecimal() else text


def zeros_matter(texts: Iterable[str]) -> bool:
    """Whether some are told apart by leading zeros only; as numbers they would be one, so that they are names.

    >>> zeros_matter(["01234", "1234"]), zeros_matter(["01234", "90210"])
    (True, False)
    """
    distinct = {text.strip() for text in texts}
    return len(set(map(unpadded, distinct))) < len(distinct)


def refuse_text(table: Table, name: str, numbers: Numbers, *, target: bool = False) -> None:
    """Raise :class:`DataError` about the first cell that is not a finite number, naming column, line and value."""
    if numbers.text.any():
        raise _spoilt(table, name, numbers, f"correct it, or {_without(target)}")
    _refuse_infinite(table, name, numbers, target)


def refuse_missing(table: Table, name: str, missing: NDArray[np.bool_], *, what: str = "column", fix: str) -> None:
    """Raise :class:`DataError` about a column's missing values, naming column, count and first line."""
    if missing.any():
        count = int(missing.sum())
        raise DataError(
            f"encode: missing values in {what} {shown(name)}: got {count} of {len(missing)}, the first at "
            f"{table.where(int(missing.argmax()))}, expected none; {fix}"
        )


def centre_and_scale(values: Floats) -> tuple[float, float]:
    """Mean and population standard deviation, without overflow; 0 scale when all values are equal.

    >>> centre_and_scale(np.array([1.0, 3.0]))
    (2.0, 1.0)
    """
    if values.min() == values.max():
        return float(values[0]), 0.0
    unit = float(np.abs(values).max())  # squares of values near 1e200 overflow, of values over their maximum never
    relative = values / unit
    return unit * float(relative.mean()), unit * float(relative.std())


@dataclass(frozen=True)
class NumericColumn:
    """Numbers, standardised: ``(value - mean) / scale``, with an indicator of missing values if training had any.

    ``scale`` 0 says that the values never varied and only the indicator carries anything.
    """

    name: str
    median: float
    mean: float
    scale: float
    indicator: bool

    @classmethod
    def fit(cls, table: Table, name: str, numbers: Numbers) -> NumericColumn:
        """Learn from training rows; at least one must hold a number."""
        median = _median(numbers.values[~numbers.missing])
        mean, scale = centre_and_scale(np.where(numbers.missing, median, numbers.values))
        return cls(name, median, mean, scale, bool(numbers.missing.any()))

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the numbers this column becomes."""
        return (self.name, f"{self.name} is missing") if self.indicator else (self.name,)

    def encode(self, table: Table, missing: Missing) -> Floats:
        """[rows, 1 or 2]: the standardised value, then 1.0 where it was missing."""
        numbers = read_numbers(table[self.name])
        refuse_text(table, self.name, numbers)
        if missing == "refuse":
            refuse_missing(table, self.name, numbers.missing, fix=REFUSED)
        values = np.where(numbers.missing, self.median, numbers.values)
        if self.scale:
            with np.errstate(over="ignore"):
                values = (values - self.mean) / self.scale
            _refuse_huge(table, self.name, values)
        else:
            values = np.zeros_like(values)
        return np.stack([values, numbers.missing], axis=1) if self.indicator else values[:, None]

    def unseen(self, table: Table) -> str | None:
        """A sentence about missing values where training had none; None when there is nothing to say."""
        if self.indicator:
            return None
        missing = int(read_numbers(table[self.name]).missing.sum())
        filled = f"training rows all had one, so their median {self.median:g} is used"
        return f"{missing} of {_rows(len(table))} no value of {shown(self.name)}: {filled}" if missing else None

    def describe(self) -> str:
        """What happens to the column, on one line."""
        if not self.scale:
            return f"{self.name}: only whether it is missing"
        filled = f", missing filled with {self.median:g} and marked" if self.indicator else ""
        return f"{self.name}: number, mean {self.mean:g}, standard deviation {self.scale:g}{filled}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": "numeric",
            "name": self.name,
            "median": self.median,
            "mean": self.mean,
            "scale": self.scale,
            "indicator": self.indicator,
        }

    @classmethod
    def from_record(cls, record: Record) -> NumericColumn:
        """The column ``to_dict`` described."""
        return cls(
            record.text("name"),
            record.number("median"),
            record.number("mean"),
            record.number("scale", least=0),
            record.flag("indicator"),
        )


def fit_together(table: Table, names: Collection[str]) -> list[NumericColumn]:
    """Columns of numbers of one kind, standardised by the mean and scale of them all; text and gaps are refused."""
    found = []
    for name in names:
        numbers = read_numbers(table[name])
        refuse_text(table, name, numbers)
        refuse_missing(table, name, numbers.missing, fix="fill them in, or leave their rows out")
        found.append((_median(numbers.values), *centre_and_scale(numbers.values)))
    if not found:
        return []
    medians, means, scales = np.array(found).T
    mean, between = centre_and_scale(means)
    scale = float(np.hypot(np.hypot.reduce(scales) / np.sqrt(len(scales)), between))  # variance within, and between
    if not scale:
        raise DataError(f"encode: nothing to learn from: got {mean:g} in all of {listed([*names], 4)}; add other rows")
    return [
        NumericColumn(name, median, mean, scale, False) for name, median in zip(names, medians.tolist(), strict=True)
    ]


@dataclass(frozen=True)
class CategoricalColumn:
    """Names, one 0/1 feature each, sorted. A category that training never showed is all zeros."""

    name: str
    categories: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, name: str, max_categories: int) -> CategoricalColumn:
        """Learn the categories of training rows; refused when they look like names of rows."""
        labels = _labels(table[name])
        categories = tuple(sorted(set(labels)))
        present = [label for label in labels if label != MISSING_CATEGORY]
        distinct = len(set(present))
        unique = distinct == len(present) > 2
        if unique or distinct > max_categories:
            kinds = "all distinct" if unique else f"{distinct} distinct"
            expected = f"at most {max_categories} categories that repeat"
            raise TooManyCategories(
                f"encode: too many categories in column {shown(name)}: got {len(present)} values, {kinds}, such as "
                f"{shown(present[0])}, expected {expected}; if it names rows, pass ignore=[{shown(name)}]"
                + ("" if unique else f", otherwise raise max_categories to {distinct}")
            )
        return cls(name, categories)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the numbers this column becomes."""
        return tuple(f"{self.name} = {category}" for category in self.categories)

    def encode(self, table: Table, missing: Missing) -> Floats:
        """[rows, categories]: 1.0 at the row's category, 0.0 elsewhere."""
        labels = _labels(table[self.name])
        if missing == "refuse":
            absent = np.array([label == MISSING_CATEGORY for label in labels], dtype=np.bool_)
            refuse_missing(table, self.name, absent, fix=REFUSED)
        position = {category: i for i, category in enumerate(self.categories)}
        known = [(row, position[label]) for row, label in enumerate(labels) if label in position]
        features = np.zeros((len(labels), len(self.categories)))
        if known:
            features[tuple(np.array(known).T)] = 1.0
        return features

    def unseen(self, table: Table) -> str | None:
        """A sentence about categories that training never showed; None when there is nothing to say."""
        known = frozenset(self.categories)
        labels = [label for label in _labels(table[self.name]) if label not in known]
        if not labels:
            return None
        kinds, most = list(dict.fromkeys(labels)), 4
        named = ", ".join(map(shown, kinds[:most])) + (", ..." if len(kinds) > most else "")
        return f"{len(labels)} of {_rows(len(table))} values of {shown(self.name)} not seen in training ({named})"

    def describe(self) -> str:
        """What happens to the column, on one line."""
        return f"{self.name}: {len(self.categories)} categories, {listed(self.categories, 6)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": "categorical", "name": self.name, "categories": list(self.categories)}

    @classmethod
    def from_record(cls, record: Record) -> CategoricalColumn:
        """The column ``to_dict`` described."""
        categories = record.texts("categories")
        if not categories:
            record.refuse("categories", "at least one category")
        return cls(record.text("name"), categories)


REFUSED = 'fill them in, remove the rows, or fit with missing="impute"'


def _rows(count: int) -> str:
    return "1 row holds" if count == 1 else f"{count} rows hold"


def _labels(cells: Cells) -> list[str]:
    return [MISSING_CATEGORY if is_missing(cell) else cell.strip() for cell in as_text(cells)]


def _median(values: Floats) -> float:
    # halves before adding: the mean of two values near the largest float overflows
    low, high = np.quantile(values, 0.5, method="lower"), np.quantile(values, 0.5, method="higher")
    return float(low) if low == high else float(low) / 2 + float(high) / 2


def _without(target: bool) -> str:
    return "remove the row" if target else "leave the cell empty"


def _spoilt(table: Table, name: str, numbers: Numbers, fix: str) -> DataError:
    row = int(numbers.text.argmax())
    if table.lines[row] == 1 and name.startswith(NUMBERED):
        fix = f"if the first row is a header, leave out header=False; otherwise {fix}"
    return DataError(
        f"encode: text in number column {shown(name)}: got {shown(str(table[name][row]))} at {table.where(row)}, "
        f"expected a number; {fix}"
    )


def _refuse_infinite(table: Table, name: str, numbers: Numbers, target: bool) -> None:
    infinite = np.isinf(numbers.values)
    if infinite.any():
        row = int(infinite.argmax())
        raise DataError(
            f"encode: infinite value in column {shown(name)}: got {shown(str(table[name][row]))} at "
            f"{table.where(row)}, expected a finite number; correct it, or {_without(target)}"
        )


def _refuse_huge(table: Table, name: str, standardised: Floats) -> None:
    huge = np.abs(standardised) > np.finfo(np.float32).max
    if huge.any():
        row = int(huge.argmax())
        raise DataError(
            f"encode: value too far from the training data in column {shown(name)}: got {shown(str(table[name][row]))} "
            f"at {table.where(row)}, expected a value that float32 can hold after standardisation; correct it"
        )
