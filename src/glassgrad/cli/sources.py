"""Where a command's table comes from: a data set of scikit-learn's by name, or a file of any kind that is known."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gzip
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import Table, read_arrays, read_csv, read_idx, read_parquet
from ..data.source import explained, is_gzip, require_file
from ..data.table import listed
from ..errors import DataError
from ..lazy import extra_module

STDIN = "/dev/stdin"  # what - is called, on every system
LABEL = "label"  # the target of images with labels
MOST_SHOWN = 12  # names in a message


class Known(NamedTuple):
    """A data set of scikit-learn's: its loader, the target's name, and whether the target's values have names."""

    loader: str
    target: str
    named: bool


DATASETS = {
    "digits": Known("load_digits", "digit", False),
    "iris": Known("load_iris", "species", True),
    "wine": Known("load_wine", "cultivar", True),
    "breast_cancer": Known("load_breast_cancer", "diagnosis", True),
    "diabetes": Known("load_diabetes", "progression", False),
}


def table_of(path: str, options: argparse.Namespace, *, headless: bool, target: str | None, needed: bool) -> Table:
    """The table that an argument names.

    Parameters
    ----------
    path : a name in ``DATASETS``, or a file: CSV, Parquet, IDX or NumPy's, found by what is in it; it may be a pipe
    options : ``delimiter``, and ``labels`` where the command has it
    headless : whether a CSV file has no row of names
    target : the column to predict, where it is known: which array of several is not a feature
    needed : whether a file of several arrays has to have it
    """
    with _lasting(path) as file:
        table = _table_in(file, options, headless, target, needed)
    return dataclasses.replace(table, source=path)


def named_source(text: str) -> str:
    """A source as given on the command line, where ``-`` is standard input."""
    return STDIN if text == "-" else text


@contextlib.contextmanager
def _lasting(path: str) -> Iterator[str]:
    """A file that can be read more than once: itself, or a copy of what comes out of a pipe, under the pipe's name."""
    if path != STDIN and not Path(path).is_fifo():
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(path).name)
        with explained(Path(path), "read_csv"), copy.open("wb") as stream, _piped(path) as source:
            shutil.copyfileobj(source, stream)
        try:
            yield str(copy)
        except DataError as error:
            raise DataError(str(error).replace(str(copy), path)) from None


def _piped(path: str) -> Any:
    if path != STDIN:
        return open(path, "rb")
    if sys.stdin is None:
        raise DataError("read_csv: standard input is closed: nothing to read; pipe a table into it, or give a file")
    return contextlib.nullcontext(sys.stdin.buffer)


def _table_in(path: str, options: argparse.Namespace, headless: bool, target: str | None, needed: bool) -> Table:
    labels: str | None = getattr(options, "labels", None)
    if path in DATASETS:
        table = dataset(path)
    else:
        kind = _kind(path)
        if kind == "idx":
            return _images(path, labels, target or LABEL)
        readers: dict[str, Callable[[], Table]] = {
            "parquet": lambda: read_parquet(path),
            "numpy": lambda: _arrays(path, target, needed),
            "csv": lambda: read_csv(path, header=not headless, delimiter=options.delimiter),
        }
        table = readers[kind]()
    if labels is not None:
        raise DataError(f"train: --labels belongs to IDX images: got {path}, which is none; leave it out")
    return table


def dataset(name: str) -> Table:
    """One of scikit-learn's data sets, with the target as its last column."""
    known = DATASETS[name]
    datasets = extra_module(
        "sklearn.datasets",
        f"train {name}: the data comes with scikit-learn, which is not installed; pip install 'glassgrad[train]'",
    )
    data: Any = getattr(datasets, known.loader)()
    target = data.target_names[data.target] if known.named else data.target
    columns = {str(feature): data.data[:, i] for i, feature in enumerate(data.feature_names)}
    return Table.from_columns({**columns, known.target: target}, source=name)


def train_target(table: Table, options: argparse.Namespace) -> str:
    """The column to predict, from ``--target`` or from what the source has for one."""
    known = DATASETS.get(options.data)
    if known is not None:
        if options.target not in (None, known.target):
            raise DataError(
                f"train: {options.data} has its own target: got --target {options.target}, expected {known.target}; "
                f"leave it out"
            )
        return known.target
    target: str | None = options.target
    if target is None:
        if options.labels is not None:
            return LABEL
        raise DataError(
            f"train: which column to predict? got no --target, expected one of {listed(table.names)}; add it"
        )
    if target not in table.columns and re.fullmatch(r"-?\d+", target) and _numbered(table):
        count = len(table.names)
        if not -count <= int(target) < count:
            raise DataError(f"train: no column {target}: got {count}, expected 0 to {count - 1}, or -1 for the last")
        target = table.names[int(target)]
    return target


def _numbered(table: Table) -> bool:
    """Whether the columns have no names of their own."""
    return table.names[0] == "column_0"


def _kind(path: str) -> str:
    file = require_file(path, "read_csv", "a CSV file")
    with explained(file, "read_csv"), gzip.open(file) if is_gzip(file) else file.open("rb") as stream:
        head = stream.read(6)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"PK\x03\x04", b"\x93NUMPY")):
        return "numpy"
    return "idx" if head[:2] == b"\0\0" and len(head) > 3 and 8 <= head[2] <= 14 else "csv"


def _images(path: str, labels: str | None, target: str) -> Table:
    """Images or other arrays of an IDX file, and the labels of another."""
    columns = _features(read_idx(path), path)
    if labels is not None:
        values = read_idx(labels)
        rows = len(next(iter(columns.values())))
        if values.shape != (rows,):
            raise DataError(
                f"read_idx: labels do not fit: got shape {values.shape} in {labels}, expected ({rows},), one for each "
                f"image in {path}; choose the file that belongs to it"
            )
        columns[target] = values
    return Table.from_columns(columns, source=path)


def _arrays(path: str, target: str | None, needed: bool) -> Table:
    """The features [rows, ...] and the target [rows] of a file of arrays."""
    arrays = read_arrays(path)
    known = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:MOST_SHOWN])
    if needed and len(arrays) > 1 and target not in arrays:
        got = "no --target" if target is None else f"--target {target}"
        raise DataError(f"train: which array to predict? got {got}, expected one of {known} in {path}; name it")
    answers = arrays.get(target) if target is not None else None
    if answers is not None and answers.ndim == 2 and answers.shape[1] == 1:
        answers = answers[:, 0]
    rows = len(answers) if answers is not None and answers.ndim else None
    others = [
        name
        for name, array in arrays.items()
        if name != target and array.ndim > 1 and array.dtype.kind in "biuf" and rows in (None, len(array))
    ]
    if len(others) != 1:
        raise DataError(
            f"read_arrays: which array holds the features? got {known} in {path}, expected one numeric array "
            f"[rows, ...] beside the target; write a file of two arrays"
        )
    columns: dict[str, NDArray[Any]] = _features(arrays[others[0]], path)
    if answers is not None and target is not None:
        columns[target] = answers
    return Table.from_columns(columns, source=path)


def _features(array: NDArray[Any], path: str) -> dict[str, NDArray[Any]]:
    """A column for each number of a row: ``column_3``, or ``pixel_0_5`` where rows are images."""
    if array.ndim == 0 or len(array) == 0 or array.size == 0:
        raise DataError(f"read_arrays: no rows: got shape {array.shape} in {path}, expected [rows, ...]; give another")
    flat = array.reshape(len(array), math.prod(array.shape[1:]))
    flat = flat.astype(np.uint8) if flat.dtype.kind == "b" else flat
    prefix = "column" if array.ndim <= 2 else "pixel"
    places = np.ndindex(array.shape[1:]) if array.ndim > 1 else iter([(0,)])
    return {"_".join([prefix, *map(str, place)]): flat[:, i] for i, place in enumerate(places)}


def source_name(path: str) -> str:
    """What a model is called after: the file's name without its endings."""
    name = Path(path).name
    return name[: -len("".join(Path(name).suffixes[-2:]))] if name.endswith(".gz") else Path(name).stem
