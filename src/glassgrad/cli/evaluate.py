"""``glassgrad evaluate``: how good a trained model is on rows whose target is known."""

from __future__ import annotations

import argparse

import numpy as np

from ..data import Table
from ..data.table import shown
from ..errors import DataError
from ..train.score import ClassScore, Score
from ..train.table_model import TableModel
from .options import add_labels, add_reading, command
from .output import Output
from .predict import mention_unseen, table_for
from .sources import named_source

MOST_CLASSES = 15  # a confusion table as wide as a terminal
MOST_CONFUSED = 10

EXAMPLES = """\
  glassgrad evaluate flowers.glassgrad held_out.csv
  glassgrad evaluate houses.glassgrad sold.csv --target final_price --json
  glassgrad evaluate mnist.glassgrad t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    add = command(commands, "evaluate", evaluate, "measure a trained model on rows whose target is known", EXAMPLES)
    add("model", metavar="MODEL", help="a file that glassgrad train saved")
    about = "a table with the columns of the training data and the target; - for standard input"
    add("file", metavar="FILE", type=named_source, help=about)
    add("--target", metavar="COLUMN", help="the column of true values [called as in training]")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else")
    add_labels(add)
    add_reading(add)


def evaluate(options: argparse.Namespace, out: Output) -> int:
    """Run the command."""
    model = TableModel.load(options.model)
    table = _with_target(table_for(model, options, options.target), model.encoder.target.name, options.target)
    found = model.score(table)
    mention_unseen(model, table, options.file)
    if options.json:
        out.json({"model": options.model, "source": options.file, **_named(model, found)})
    else:
        out.say(f"{options.file}: {found}\n\n{details(model.encoder.classes, found)}")
    return 0


def _with_target(table: Table, name: str, given: str | None) -> Table:
    """The table with its true values under the name the model knows."""
    if given is None or given == name:
        table.require(name, what="target column")
        return table
    table.require(given, what="target column")
    if name in table.columns:
        raise DataError(
            f"evaluate: two columns of true values: got --target {given} and {shown(name)} in {table.source}; leave "
            f"out --target, or one of the columns"
        )
    columns = {name if column == given else column: cells for column, cells in table.columns.items()}
    return Table(columns, table.lines, table.source)


def _named(model: TableModel, found: Score) -> dict[str, object]:
    classes = {"classes": list(model.encoder.classes)} if model.encoder.classes else {}
    return {"task": model.encoder.task, **found.to_dict(), **classes}


def details(classes: tuple[str, ...], found: Score) -> str:
    """What there is to say beyond one line."""
    if isinstance(found, ClassScore):
        return f"log loss {found.log_loss:.4f}\n\n{confusion(classes, found)}"
    r2 = "none: the target does not vary" if found.r2 is None else f"{found.r2:.4f}"
    return f"R²    {r2}\nRMSE  {found.rmse:.6g}\nMAE   {found.mae:.6g}"


def confusion(classes: tuple[str, ...], found: ClassScore) -> str:
    """Which classes were taken for which: a table, or where there are many the most frequent mistakes."""
    counts = found.confusion
    if len(classes) > MOST_CLASSES:
        wrong = counts - np.diag(np.diag(counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSED]
        pairs = [divmod(int(place), len(classes)) for place in order if wrong.flat[place]]
        lines = [f"{counts[i, j]:6}  {shown(classes[i])} taken for {shown(classes[j])}" for i, j in pairs]
        return "\n".join(["most frequent mistakes", *(lines or ["  none"])])
    names = [name if len(name) <= 12 else name[:11] + "…" for name in classes]
    cells = [[str(n) for n in row] for row in counts]
    widths = [max(len(names[j]), *(len(row[j]) for row in cells)) for j in range(len(names))]
    first = max(len("true \\ predicted"), *map(len, names))
    head = "true \\ predicted".ljust(first) + "".join(f"  {n:>{w}}" for n, w in zip(names, widths, strict=True))
    rows = [
        name.ljust(first) + "".join(f"  {cell:>{w}}" for cell, w in zip(row, widths, strict=True))
        for name, row in zip(names, cells, strict=True)
    ]
    return "\n".join([head, *rows])
