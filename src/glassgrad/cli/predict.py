"""``glassgrad predict``: a trained model on another file."""

from __future__ import annotations

import argparse
import csv
import io
import json
from typing import Any

from ..data import Table
from ..data.table import listed
from ..errors import DataError
from ..train.files import require_place, write_whole
from ..train.table_model import Predictions, TableModel
from .options import add_labels, add_reading, command
from .output import Output, note
from .sources import named_source, table_of
from .wording import as_options

FIRST_COLUMN = "prediction"
SHORT = 12  # notes that are listed one by one

EXAMPLES = """\
  glassgrad predict houses.glassgrad more.csv
  glassgrad predict houses.glassgrad more.parquet --out predictions.csv
  glassgrad predict flowers.glassgrad more.csv --json | jq .prediction
  zstd -dc more.csv.zst | glassgrad predict flowers.glassgrad -
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    add = command(commands, "predict", predict, "predict the rows of a file with a trained model", EXAMPLES)
    add("model", metavar="MODEL", help="a file that glassgrad train saved")
    about = "a table with the columns of the training data; the target may be absent; - for standard input"
    add("file", metavar="FILE", type=named_source, help=about)
    add("--out", metavar="FILE.csv", help="where to write predictions [standard output]")
    add("--json", action="store_true", help="a JSON object for each row, one a line, instead of CSV")
    add_labels(add)
    add_reading(add)


def predict(options: argparse.Namespace, out: Output) -> int:
    """Run the command."""
    if options.out is not None:
        _require_free(options)
    elif out.closed:
        raise DataError("predict: standard output is closed: nowhere to write predictions; add --out FILE.csv")
    model = TableModel.load(options.model)
    table = table_for(model, options)
    predictions = model.predict(table)
    text = as_json(model, predictions) if options.json else as_csv(model, predictions)
    mention_unseen(model, table, options.file)
    if options.out is None:
        out.data(text)
    else:
        write_whole(options.out, text, DataError)
        note(f"wrote {len(table)} predictions to {options.out}")
    if model.encoder.target.name in table.columns:
        try:
            note(f"{options.file} has the target: {model.score(table)}")
        except DataError as error:
            note(f"no score: {as_options(str(error))}")
    return 0


def table_for(model: TableModel, options: argparse.Namespace, target: str | None = None) -> Table:
    """The table in a file, its columns called as in training; ``target`` where it is needed and called otherwise."""
    headless = options.no_header or not model.header
    name, needed = target or model.encoder.target.name, target is not None
    table = table_of(options.file, options, headless=headless, target=name, needed=needed)
    return model.named(table) if headless and table.names[0] == "column_0" else table


def mention_unseen(model: TableModel, table: Table, path: str) -> None:
    """Notes about what training never showed."""
    if unknown := model.unknown_columns(table):
        note(f"{path}: the model does not use {listed(unknown)}")
    unseen = model.encoder.unseen(table)
    for sentence in unseen[:SHORT]:
        note(f"note: {sentence}")
    if len(unseen) > SHORT:
        note(f"note: and so with {len(unseen) - SHORT} more columns")


def _require_free(options: argparse.Namespace) -> None:
    """Refuse to write predictions over anything but earlier predictions."""
    place = require_place(options.out, DataError)
    if not place.exists():
        return
    with place.open("rb") as stream:
        start = stream.read(len(FIRST_COLUMN) + 4)
    earlier = start.startswith(f'{{"{FIRST_COLUMN}":'.encode()) or start.startswith(
        (f"{FIRST_COLUMN}\n".encode(), f"{FIRST_COLUMN},".encode())
    )
    if not earlier:
        raise DataError(f"save: {options.out} exists and does not hold predictions: choose another --out")


def as_csv(model: TableModel, predictions: Predictions) -> bytes:
    """Predictions as CSV in UTF-8: the class and each class's probability, or the number; read back exactly."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if predictions.probabilities is None:
        writer.writerow([FIRST_COLUMN])
        writer.writerows([repr(float(value))] for value in predictions.values)
    else:
        writer.writerow([FIRST_COLUMN, *(f"p({name})" for name in model.encoder.classes)])
        rows = zip(predictions.values, predictions.probabilities, strict=True)
        writer.writerows([value, *(f"{p:.9g}" for p in row)] for value, row in rows)
    return stream.getvalue().encode()


def as_json(model: TableModel, predictions: Predictions) -> bytes:
    """An object for each row: ``prediction``, and for classes ``probabilities`` by name."""
    if predictions.probabilities is None:
        rows: list[dict[str, Any]] = [{FIRST_COLUMN: float(value)} for value in predictions.values]
    else:
        classes = model.encoder.classes
        rows = [
            {FIRST_COLUMN: value, "probabilities": dict(zip(classes, (float(f"{p:.9g}") for p in row), strict=True))}
            for value, row in zip(predictions.values, predictions.probabilities, strict=True)
        ]
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows).encode()
