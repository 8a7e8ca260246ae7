"""From a table of text to the float32 matrix a network trains on, and back to the target's own terms."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from .columns import (
    REFUSED,
    CategoricalColumn,
    Missing,
    Numbers,
    NumericColumn,
    TooManyCategories,
    fit_together,
    is_numeric,
    read_numbers,
    refuse_missing,
    zeros_matter,
)
from .record import Record
from .table import UNNAMED, Table, shown
from .target import ClassTarget, NumberTarget, Task, detect_task, require_target

Column: TypeAlias = NumericColumn | CategoricalColumn

FORMAT = 1
MAX_CATEGORIES = 100
# what a column that numbers the rows is called: id, PassengerId, index, row_number, no., #, or nothing
ROW_NAME = re.compile(
    rf"(?i:(.*[\W_])?(id|idx|index|(row|serial)?[\W_]?(no|nr|num|number)|row)\W*)|.*[a-z]I[dD]|{UNNAMED}\d+|#"
)


@dataclass(frozen=True)
class Encoder:
    """What was learnt from the training rows: a plan for each feature column and for the target.

    Fit it on the training part only; the held-out part and later files then go through the same numbers. Columns it
    does not know are ignored, columns it lacks are an error.

    Attributes
    ----------
    columns : the feature columns in use, in the table's order
    target : the target's classes, or its mean and scale
    missing : ``"impute"`` or ``"refuse"``
    notes : a sentence about each column that was left out, or that only counts the rows

    Examples
    --------
    >>> table = Table.from_columns({"size": [1, 2, 3, 4], "hue": list("rgrg"), "kind": list("abab")})
    >>> encoder = Encoder.fit(table, "kind")
    >>> encoder.feature_names
    ('size', 'hue = g', 'hue = r')
    >>> encoder.transform(table).shape, encoder.transform_target(table).tolist()
    ((4, 3), [0, 1, 0, 1])
    >>> encoder.decode([[0.2, 0.8]]).tolist()
    ['b']
    """

    columns: tuple[Column, ...]
    target: ClassTarget | NumberTarget
    missing: Missing = "impute"
    notes: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls,
        table: Table,
        target: str,
        *,
        task: Task | None = None,
        missing: Missing = "impute",
        ignore: Collection[str] = (),
        categorical: Collection[str] = (),
        max_categories: int = MAX_CATEGORIES,
        together: Collection[str] = (),
    ) -> Encoder:
        """Learn from training rows.

        Numbers are standardised; a missing one becomes the median, and a second feature marks it. Text is one-hot.
        Constant columns are left out with a note, and so is a column that numbers the rows in their order and is
        called id, index, row or the like, or nothing; under another name it is used, with a note.

        Parameters
        ----------
        table : the training rows
        target : the column to predict
        task : ``"classification"`` or ``"regression"``; by default :func:`detect_task` decides
        missing : what to do with missing feature values; ``"refuse"`` raises, naming the column
        ignore : columns to leave out
        categorical : columns of numbers to treat as categories, such as postcodes
        max_categories : the most categories one column may have
        together : columns of numbers of one kind, such as pixels, which come first, in this order: standardised by one
            mean and scale, and none left out

        Raises
        ------
        DataError
            A column that cannot be used as it is; the message names it, and file and line where one row is to blame.
        """
        _require_option("task", task, (None, "classification", "regression"))
        _require_option("missing", missing, ("impute", "refuse"))
        require_target(table, target)
        for name in (*ignore, *categorical, *together):
            table.require(name)
        _refuse_target("ignore", ignore, target, "choose another target, or do not ignore it")
        _refuse_target("categorical", categorical, target, 'for classes pass task="classification" instead')
        grouped = frozenset(together)
        if twice := grouped & {*ignore, *categorical}:
            raise DataError(
                f"encode: {shown(min(twice))} is one of the columns that go together: got it in ignore or categorical "
                f"too; leave it out of one"
            )
        columns: list[Column] = [*fit_together(table, together)]
        notes, refused = [], {}
        for name in table.names:
            if name == target or name in ignore or name in grouped:
                continue
            try:
                column, note = _fit_column(table, name, missing, name in categorical, max_categories)
            except TooManyCategories as error:
                refused[name] = error
                continue
            columns += [column] if column else []
            notes += [f"{name}: {note}"] if note else []
        if refused:
            raise _too_many_categories(refused)
        if not columns:
            why = "; ".join(notes) or f"{shown(target)} is the only column in use"
            raise DataError(f"encode: no feature columns: got {why}, expected a column that varies; add one")
        fitted = _fit_target(table, target, task or detect_task(table, target))
        return cls(tuple(columns), fitted, missing, tuple(notes))

    @property
    def task(self) -> Task:
        """``"classification"`` or ``"regression"``."""
        return "classification" if isinstance(self.target, ClassTarget) else "regression"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of their numbers; empty for regression."""
        return self.target.classes if isinstance(self.target, ClassTarget) else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """A name for each column of the matrix."""
        return tuple(feature for column in self.columns for feature in column.features)

    @property
    def n_features(self) -> int:
        """Columns of the matrix: the network's inputs."""
        return len(self.feature_names)

    @property
    def n_outputs(self) -> int:
        """The network's outputs: one score per class, or one number."""
        return self.target.outputs

    def transform(self, table: Table) -> NDArray[np.float32]:
        """The features of every row, [rows, n_features], all finite. The target column is not needed.

        Raises :class:`DataError` when a column is missing, or holds text or infinity where numbers belong.
        """
        for column in self.columns:
            table.require(column.name)
        features, start = np.empty((len(table), self.n_features), dtype=np.float32), 0
        for column in self.columns:
            width = len(column.features)
            features[:, start : start + width] = column.encode(table, self.missing)
            start += width
        return features

    def transform_target(self, table: Table) -> NDArray[np.int64] | NDArray[np.float32]:
        """The target of every row: class numbers int64 [rows], or standardised numbers float32 [rows, 1]."""
        return self.target.encode(table)

    def decode(self, outputs: ArrayLike) -> NDArray[Any]:
        """A network's outputs in the target's own terms.

        Class names (object [rows]) from scores [rows, classes] or class numbers [rows]; float64 [rows] in the
        target's unit from standardised numbers [rows, 1] or [rows].
        """
        return self.target.decode(outputs)

    def unseen(self, table: Table) -> list[str]:
        """A sentence about each column with values of a kind that training never showed, which weakens predictions.

        >>> table = Table.from_columns({"city": ["Rome", "Bern"] * 3, "y": [0, 1] * 3})
        >>> Encoder.fit(table, "y").unseen(Table.from_columns({"city": ["Rome", "Oslo"]}))
        ["1 of 2 rows hold values of 'city' not seen in training ('Oslo')"]
        """
        return [sentence for column in self.columns if (sentence := column.unseen(table))]

    def describe(self) -> str:
        """The plan as text: one line for the target, each column, and each column left out."""
        lines = [f"{self.task} of {self.target.describe()}"]
        lines += [f"{self.n_features} features of {len(self.columns)} columns"]
        lines += [f"  {column.describe()}" for column in self.columns]
        return "\n".join(lines + [f"  {note}" for note in self.notes])

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold; :meth:`from_dict` reads them back."""
        return {
            "format": FORMAT,
            "missing": self.missing,
            "target": self.target.to_dict(),
            "columns": [column.to_dict() for column in self.columns],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, fields: Any) -> Encoder:
        """The encoder that :meth:`to_dict` described; :class:`ModelFileError` for anything else."""
        record = Record(fields, "encoder")
        if record.number("format") != FORMAT:
            record.refuse("format", f"format {FORMAT}; it may be of another version of Glassgrad")
        columns = tuple(_column(each) for each in record.records("columns"))
        target = record.record("target")
        kind: type[ClassTarget] | type[NumberTarget] = NumberTarget
        if target.text("kind", among=("classification", "regression")) == "classification":
            kind = ClassTarget
        fitted = kind.from_record(target)
        names = [column.name for column in columns]
        if not names or len({*names, fitted.name}) != len(names) + 1:
            record.refuse("columns", "columns of distinct names, the target not among them")
        missing: Missing = "refuse" if record.text("missing", among=("impute", "refuse")) == "refuse" else "impute"
        return cls(columns, fitted, missing, record.texts("notes"))


def _fit_target(table: Table, target: str, task: Task) -> ClassTarget | NumberTarget:
    return ClassTarget.fit(table, target) if task == "classification" else NumberTarget.fit(table, target)


def _fit_column(
    table: Table, name: str, missing: Missing, categorical: bool, max_categories: int
) -> tuple[Column | None, str]:
    """The plan for one column, None to leave it out; and a note, of the reason or of a doubt."""
    numbers = read_numbers(table[name])
    if missing == "refuse":
        refuse_missing(table, name, numbers.missing, fix=REFUSED)
    if numbers.missing.all():
        return None, "left out, it has no values"
    categorical |= table[name].dtype.kind == "O" and zeros_matter(table[name])
    if not categorical and is_numeric(table, name, numbers):
        numeric = NumericColumn.fit(table, name, numbers)
        if not numeric.scale and not numeric.indicator:
            cells = table[name]
            if cells.dtype.kind in "iu" and (cells != cells[0]).any():
                return None, f"left out, its values differ by less than float64 can tell at {numeric.mean:g}"
            return None, f"left out, it is always {numeric.mean:g}"
        if not _counts(table, numbers):
            return numeric, ""
        if ROW_NAME.fullmatch(name):
            return None, "left out, it only numbers the rows"
        return numeric, "used, but goes up by 1 from row to row; ignore it if it only numbers them"
    column = CategoricalColumn.fit(table, name, max_categories)
    if len(column.categories) == 1:
        return None, f"left out, it is always {shown(column.categories[0])}"
    return column, ""


def _counts(table: Table, numbers: Numbers) -> bool:
    """Whether a column goes up by 1 from row to row of the file."""
    away = numbers.values - table.lines
    return len(table) > 2 and bool((away == away[0]).all())


def _refuse_target(option: str, names: Collection[str], target: str, fix: str) -> None:
    if target in names:
        raise DataError(
            f"encode: {shown(target)} is the target: got {option}=[{shown(target)}], expected other columns; {fix}"
        )


def _too_many_categories(refused: dict[str, TooManyCategories]) -> DataError:
    """One error about all columns of text that hardly repeat, so that they can be dealt with at once."""
    first, *more = refused.values()
    if not more:
        return first
    names = ", ".join(map(shown, refused))
    return DataError(
        f"encode: too many categories in columns {names}: got text whose values hardly repeat, expected numbers, or "
        f"categories that repeat; if they name rows, pass ignore=[{names}], otherwise raise max_categories"
    )


def _column(record: Record) -> Column:
    if record.text("kind", among=("numeric", "categorical")) == "numeric":
        return NumericColumn.from_record(record)
    return CategoricalColumn.from_record(record)


def _require_option(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        raise DataError(f"encode: bad {name}: got {value!r}, expected one of {', '.join(map(repr, allowed))}")
