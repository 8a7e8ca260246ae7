"""The target column: classes to tell apart, or a number to predict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError
from .columns import (
    Numbers,
    centre_and_scale,
    is_missing,
    is_numeric,
    read_numbers,
    refuse_missing,
    refuse_text,
    unpadded,
    zeros_matter,
)
from .record import Record
from .table import Cells, Table, as_text, listed, shown

Task: TypeAlias = Literal["classification", "regression"]

MAX_INTEGER_CLASSES = 20  # more distinct integers than this are taken for a quantity
MAX_CLASSES = 1000


def detect_task(table: Table, target: str) -> Task:
    """Whether the target is a class or a number.

    Text (also ``true`` and ``false``) is a class. So are integers with at most 20 distinct values, unless no value
    repeats. Anything else is a number.

    Raises
    ------
    DataError
        The target is missing, has missing values, or mixes numbers with text.

    Examples
    --------
    >>> detect_task(Table.from_columns({"y": ["cat", "dog", "cat"]}), "y")
    'classification'
    >>> detect_task(Table.from_columns({"y": [0.5, 1.25, 0.5]}), "y")
    'regression'
    """
    require_target(table, target)
    numbers = read_numbers(table[target])
    if not is_numeric(table, target, numbers, target=True):
        return "classification"
    distinct = np.unique(numbers.values).size
    few = distinct <= MAX_INTEGER_CLASSES and distinct < len(table)
    return "classification" if few and _integers(numbers) else "regression"


def require_target(table: Table, target: str) -> None:
    """Raise :class:`DataError` unless the table has this target and a value of it in every row."""
    table.require(target, what="target column")
    if len(table) == 0:
        raise DataError(f"encode: no rows: got 0 in {table.source}, expected rows to learn from; add data")
    missing = np.array([is_missing(cell) for cell in as_text(table[target])], dtype=np.bool_)
    refuse_missing(table, target, missing, what="target column", fix="remove those rows, or fill the target in")


def class_labels(table: Table, target: str) -> list[str]:
    """The class of each row as text; integers lose signs of how they were written, but for zeros all agree on.

    >>> class_labels(Table.from_columns({"y": ["1.0", "0", " 1", "01"]}), "y")
    ['1', '0', '1', '1']
    >>> class_labels(Table.from_columns({"y": ["01", "02", "10"]}), "y")
    ['01', '02', '10']
    """
    require_target(table, target)
    numbers = read_numbers(table[target])
    if _integers(numbers) and not _padded_alike(table[target], numbers):
        return [str(int(value)) for value in numbers.values]
    return [cell.strip() for cell in as_text(table[target])]


def lone_classes(table: Table, target: str) -> dict[str, int]:
    """Classes of a single row, and which row; a class must be seen more than once to be learnt or measured.

    >>> lone_classes(Table.from_columns({"y": ["Letter", "A", "B", "A", "B"]}), "y")
    {'Letter': 0}
    """
    labels = class_labels(table, target)
    counts = Counter(labels)
    return {label: row for row, label in enumerate(labels) if counts[label] == 1}


@dataclass(frozen=True)
class ClassTarget:
    """Classes, numbered in sorted order; classes that are integers sort, and are told apart, as numbers."""

    name: str
    classes: tuple[str, ...]

    @classmethod
    def fit(cls, table: Table, name: str) -> ClassTarget:
        """Learn the classes of training rows: at least two, and not one per row."""
        labels = class_labels(table, name)
        distinct = set(labels)
        if len(distinct) == 1:
            raise DataError(
                f"encode: a single class in target {shown(name)}: got only {shown(labels[0])}, expected at least two "
                "classes; add rows of another class, or choose another target"
            )
        if len(distinct) > MAX_CLASSES or len(distinct) == len(labels) > 2:
            kinds = "all distinct" if len(distinct) == len(labels) else f"{len(distinct)} distinct"
            raise DataError(
                f"encode: too many classes in target {shown(name)}: got {len(labels)} rows, {kinds}, expected classes "
                f'that repeat, at most {MAX_CLASSES}; choose another target, or task="regression" if it is a number'
            )
        integers = _integers(read_numbers(table[name]))
        return cls(name, tuple(sorted(distinct, key=int) if integers else sorted(distinct)))

    @property
    def outputs(self) -> int:
        """Numbers a model must give per row: a score for each class."""
        return len(self.classes)

    def encode(self, table: Table) -> NDArray[np.int64]:
        """[rows]: the number of each row's class."""
        key = str if zeros_matter(self.classes) else unpadded
        position = {key(label): i for i, label in enumerate(self.classes)}
        labels = class_labels(table, self.name)
        for row, label in enumerate(labels):
            if key(label) not in position:
                raise DataError(
                    f"encode: unknown class in target {shown(self.name)}: got {shown(label)} at {table.where(row)}, "
                    f"expected one of {', '.join(map(shown, self.classes[:12]))}; train with rows of that class"
                )
        return np.array([position[key(label)] for label in labels], dtype=np.int64)

    def decode(self, outputs: ArrayLike) -> NDArray[np.object_]:
        """[rows] class names, from scores [rows, classes] or class numbers [rows]."""
        scores = np.asarray(outputs)
        numbers = scores.argmax(axis=1) if scores.ndim == 2 else scores
        names: NDArray[np.object_] = np.array(self.classes, dtype=object)[numbers]
        return names

    def describe(self) -> str:
        """What the target is, on one line."""
        return f"{self.name}: {len(self.classes)} classes, {listed(self.classes)}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": "classification", "name": self.name, "classes": list(self.classes)}

    @classmethod
    def from_record(cls, record: Record) -> ClassTarget:
        """The target ``to_dict`` described."""
        classes = record.texts("classes")
        if len(classes) < 2:
            record.refuse("classes", "at least two classes")
        return cls(record.text("name"), classes)


@dataclass(frozen=True)
class NumberTarget:
    """A number, standardised for training: ``(value - mean) / scale``."""

    name: str
    mean: float
    scale: float

    @classmethod
    def fit(cls, table: Table, name: str) -> NumberTarget:
        """Learn mean and scale of training rows; the target must vary."""
        values = _values(table, name)
        mean, scale = centre_and_scale(values)
        if not scale and len(set(as_text(table[name]))) > 1:
            raise DataError(
                f"encode: target {shown(name)} varies by less than float64 can tell: got values near {values[0]:g}, "
                'expected numbers of up to 15 digits; subtract what they share, or pass task="classification"'
            )
        if not scale:
            raise DataError(
                f"encode: target {shown(name)} never varies: got {values[0]:g} in all {len(values)} rows, expected "
                "different values; choose another target"
            )
        return cls(name, mean, scale)

    @property
    def outputs(self) -> int:
        """Numbers a model must give per row."""
        return 1

    def encode(self, table: Table) -> NDArray[np.float32]:
        """[rows, 1]: the standardised target."""
        return ((_values(table, self.name) - self.mean) / self.scale).astype(np.float32)[:, None]

    def decode(self, outputs: ArrayLike) -> NDArray[np.float64]:
        """[rows] in the target's own unit, from outputs [rows, 1] or [rows]."""
        return np.asarray(outputs, dtype=np.float64).reshape(-1) * self.scale + self.mean

    def describe(self) -> str:
        """What the target is, on one line."""
        return f"{self.name}: number, mean {self.mean:g}, standard deviation {self.scale:g}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": "regression", "name": self.name, "mean": self.mean, "scale": self.scale}

    @classmethod
    def from_record(cls, record: Record) -> NumberTarget:
        """The target ``to_dict`` described."""
        scale = record.number("scale", least=0)
        if scale == 0:
            record.refuse("scale", "a number above 0")
        return cls(record.text("name"), record.number("mean"), scale)


def _values(table: Table, name: str) -> NDArray[np.float64]:
    require_target(table, name)
    numbers = read_numbers(table[name])
    refuse_text(table, name, numbers, target=True)
    return numbers.values


def _padded_alike(cells: Cells, numbers: Numbers) -> bool:
    """Whether integers are written with leading zeros, and each in one way."""
    if cells.dtype.kind != "O":
        return False
    texts = {cell.strip() for cell in cells}
    return any(unpadded(text) != text for text in texts) and len(texts) == np.unique(numbers.values).size


def _integers(numbers: Numbers) -> bool:
    # beyond 2**53 a float no longer tells neighbouring integers apart
    return bool(np.all(np.abs(numbers.values) < 2**53) and np.all(numbers.values == np.round(numbers.values)))
