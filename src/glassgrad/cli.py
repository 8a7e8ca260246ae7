"""``glassgrad train`` and ``glassgrad predict``: a thin face over ``glassgrad.data`` and ``glassgrad.train``."""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import __version__
from .data import Table, prepare, read_csv
from .data.prepare import Prepared
from .data.table import shown
from .data.target import lone_classes
from .errors import DataError, GlassgradError, MissingExtraError, ModelFileError
from .train.files import require_place, write_whole
from .train.fit import Epoch
from .train.progress import shown_progress
from .train.save import is_model
from .train.tabular import LOOK, Predictions, Settings, TableModel, Trained, plan, train_table

DIGITS = "digits"
INTERRUPTED = 130  # 128 + the signal's number, as shells count
BROKEN_PIPE = 141
FIRST_COLUMN = "prediction"
SHORT = 12  # columns or notes that are listed one by one

# The library's errors name Python's arguments; these are the same ones on the command line.
LISTS = re.compile(r"\b(ignore|categorical)=\[(.*?)\](?=$|[,;] )")
AS_OPTIONS = (
    (re.compile(r"\bfit with missing=\"impute\""), "train with --missing impute"),
    (re.compile(r"\b(pass|leave out) header=False"), r"\1 --no-header"),
    (re.compile(r"\btask=\"(regression|classification)\""), r"--task \1"),
    (re.compile(r"\bheld_out="), "--test-fraction "),
    (re.compile(r"\bmax_categories\b"), "--max-categories"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done. 1: an error in data, model or training, on one line of standard error. 2: a wrong command line.
    130: interrupted with Ctrl-C.
    """
    _tolerate_narrow_terminals()
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
        if sys.stdout is not None:  # None: closed by the shell's >&-
            sys.stdout.flush()
    except GlassgradError as error:
        return _fail(_as_options(str(error)))
    except MemoryError:
        return _fail("not enough memory: use smaller --hidden layers, or fewer rows")
    except KeyboardInterrupt:
        _note("interrupted; nothing was saved")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'standard output'}")
    return 0


def _fail(message: str) -> int:
    _note(" ".join(message.split()))
    return 1


def _as_options(message: str) -> str:
    message = LISTS.sub(lambda found: f"--{found[1]} " + found[2].replace("', '", f"' --{found[1]} '"), message)
    for pattern, replacement in AS_OPTIONS:
        message = pattern.sub(replacement, message)
    return message


def _tolerate_narrow_terminals() -> None:
    """A terminal that cannot show × or ± gets a ?, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


# glassgrad train


def train(options: argparse.Namespace) -> None:
    """Train a network on a table, show its layers, and save it."""
    say: Callable[..., None] = (lambda *_: None) if options.quiet else print
    out = options.out or f"{Path(options.data).stem}.glassgrad"
    _require_place_for_model(out, options)
    table, target = _training_table(options)
    prepared = prepare(
        table,
        target,
        task=options.task,
        held_out=options.test_fraction,
        rng=options.seed,
        missing=options.missing,
        ignore=options.ignore,
        categorical=options.categorical,
        max_categories=options.max_categories,
    )
    settings = Settings(
        options.hidden, options.epochs, options.batch_size, options.optimizer, options.lr, options.seed
    )
    chosen = plan(settings, len(prepared.x_train))
    say(_describe(table, prepared))
    if prepared.encoder.classes and not options.quiet:
        _mention_lone_classes(table, target, options)
    say(chosen.describe(settings))
    began = time.perf_counter()
    if options.quiet:
        trained = _train(prepared, table, settings, options, None)
    else:
        with shown_progress(chosen.epochs, prepared.encoder.task) as progress:
            trained = _train(prepared, table, settings, options, progress)
    seconds = time.perf_counter() - began
    facts = {"source": Path(options.data).name, "rows": len(prepared.x_train), "glassgrad": __version__}
    facts |= {"settings": chosen.describe(settings), "held out": str(trained.score)}
    trained.model.save(out, facts)
    say(_report(trained, seconds))
    say(f"\nsaved {out}; use it with: glassgrad predict {out} FILE.csv")


def _require_place_for_model(out: str, options: argparse.Namespace) -> None:
    try:
        place = require_place(out, ModelFileError)
    except ModelFileError as error:
        raise ModelFileError(f"{error}, with --out MODEL") from None
    if not place.exists():
        return
    try:
        place.open("rb").close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"save: {out} exists and cannot be read: {reason}; choose another --out") from None
    if not is_model(place):
        raise ModelFileError(f"save: {out} exists and is not a model: choose another --out, or remove it first")


def _mention_lone_classes(table: Table, target: str, options: argparse.Namespace) -> None:
    lone = lone_classes(table, target)
    if not lone:
        return
    names = ", ".join(map(shown, list(lone)[:SHORT])) + (", ..." if len(lone) > SHORT else "")
    header = options.no_header and 0 in lone.values()
    fix = ": is the first row a header? leave out --no-header" if header else ""
    which = "class has" if len(lone) == 1 else "classes have"
    _note(f"note: {len(lone)} {which} fewer than 2 rows of {shown(target)} ({names}){fix}")


def _train(
    prepared: Prepared,
    table: Table,
    settings: Settings,
    options: argparse.Namespace,
    progress: Callable[[Epoch], None] | None,
) -> Trained:
    return train_table(prepared, table.names, settings, header=not options.no_header, progress=progress)


def _training_table(options: argparse.Namespace) -> tuple[Table, str]:
    """The table to learn from, and its target column."""
    if options.data == DIGITS:
        if options.target is not None:
            raise DataError(f"train: digits has its own target: got --target {options.target}; leave it out")
        return digits(), "digit"
    table = read_csv(options.data, header=not options.no_header, delimiter=options.delimiter)
    target = options.target
    if target is None:
        names = ", ".join(map(shown, table.names[:12])) + (" ..." if len(table.names) > 12 else "")
        raise DataError(f"train: which column to predict? got no --target, expected one of {names}; add it")
    if options.no_header and target not in table.columns and re.fullmatch(r"-?\d+", target):
        count = len(table.names)
        if not -count <= int(target) < count:
            raise DataError(f"train: no column {target}: got {count}, expected 0 to {count - 1}, or -1 for the last")
        target = table.names[int(target)]
    return table, target


def digits() -> Table:
    """Scikit-learn's handwritten digits: 1797 images of 8×8 pixels, and the digit each one is."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError(
            "train digits: the images come with scikit-learn, which is not installed; pip install 'glassgrad[train]'"
        ) from None
    data: Any = load_digits()
    pixels = {name: data.data[:, i].tolist() for i, name in enumerate(data.feature_names)}
    return Table.from_columns({**pixels, "digit": data.target.tolist()}, source=DIGITS)


def _describe(table: Table, prepared: Prepared) -> str:
    encoder = prepared.encoder
    rows = f"{table.source}: {len(table)} rows, {len(prepared.x_train)} to learn from, {len(prepared.x_test)} held out"
    if len(encoder.columns) <= SHORT:
        return f"{rows}\n{encoder.describe()}"
    lines = [
        rows,
        f"{encoder.task} of {encoder.target.describe()}",
        f"{encoder.n_features} features from {len(encoder.columns)} of {len(table.names) - 1} columns",
    ]
    lines += [f"  {note}" for note in encoder.notes[:SHORT]]
    more = len(encoder.notes) - SHORT
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


def _report(trained: Trained, seconds: float) -> str:
    network, history = trained.model.model, trained.history
    parameters = sum(row.parameters for row in trained.layers.rows)
    lines = (
        "",
        f"held out: {trained.score}",
        f"{network} has {parameters:,} parameters; {history.steps:,} steps took {seconds:.1f} s",
        "",
        str(trained.layers),
        "",
        f"On at most {LOOK} training rows, with loss {trained.layers.loss:.3g}. zero: activations that are exactly 0.",
        "dead: units that are 0 for every row, so that no gradient reaches their weights.",
    )
    return "\n".join(lines)


# glassgrad predict


def predict(options: argparse.Namespace) -> None:
    """Use a trained model on another file."""
    if options.out is not None:
        _require_free(options)
    elif sys.stdout is None:
        raise DataError("predict: standard output is closed: nowhere to write predictions; add --out FILE.csv")
    model = TableModel.load(options.model)
    headless = options.no_header or not model.header
    table = read_csv(options.file, header=not headless, delimiter=options.delimiter)
    if headless:
        table = model.named(table)
    text = as_csv(model, model.predict(table))
    if unknown := model.unknown_columns(table):
        _note(f"{options.file}: the model does not use {', '.join(map(shown, unknown[:8]))}")
    unseen = model.encoder.unseen(table)
    for sentence in unseen[:SHORT]:
        _note(f"note: {sentence}")
    if len(unseen) > SHORT:
        _note(f"note: and so with {len(unseen) - SHORT} more columns")
    if options.out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text)  # UTF-8 whatever the terminal is
        sys.stdout.buffer.flush()
    else:
        write_whole(options.out, text, DataError)
        _note(f"wrote {len(table)} predictions to {options.out}")
    if model.encoder.target.name in table.columns:
        try:
            _note(f"{options.file} has the target: {model.score(table)}")
        except DataError as error:
            _note(f"no score: {_as_options(str(error))}")


def _require_free(options: argparse.Namespace) -> None:
    """Refuse to write predictions over anything but earlier predictions."""
    place = require_place(options.out, DataError)
    if place.exists():
        with place.open("rb") as stream:
            if not stream.read(len(FIRST_COLUMN) + 1).rstrip(b",\n") == FIRST_COLUMN.encode():
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


def _note(text: str) -> None:
    if sys.stderr is not None:  # print would take standard output instead
        print(f"glassgrad: {text}", file=sys.stderr)


# The command line


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glassgrad", description="Train networks by backpropagation, and look at what they learn."
    )
    parser.add_argument("--version", action="version", version=f"glassgrad {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    add = commands.add_parser("train", help="train a network on a table and save it").add_argument
    add("data", metavar="digits|FILE.csv", help="scikit-learn's handwritten digits, or a CSV file")
    add("--target", metavar="COLUMN", help="the column to predict; with --no-header its number, -1 for the last")
    add("--out", metavar="MODEL", help="the file to save the model in [the data's name with .glassgrad]")
    add("--hidden", type=_widths, metavar="N,N", help="widths of hidden layers, 0 for none [by rows]")
    add("--epochs", type=_whole(1), metavar="N", help="passes over the data [by number of rows]")
    add("--batch-size", type=_batch, metavar="N|all", help="rows per step [by number of rows]")
    add("--optimizer", choices=("adam", "sgd"), default="adam", help="[adam]")
    add("--lr", type=_between(0), metavar="X", help="learning rate of the first step [0.004 for adam, 0.04 for sgd]")
    add("--seed", type=_whole(0), default=0, metavar="N", help="of split, first weights and order of rows [0]")
    add("--test-fraction", type=_between(0, 1), default=0.2, metavar="X", help="share of rows held out [0.2]")
    add("--task", choices=("classification", "regression"), help="[by the target's values]")
    add("--missing", choices=("impute", "refuse"), default="impute", help="missing feature values [impute]")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave a column out; may be repeated")
    add("--categorical", action="append", default=[], metavar="COLUMN", help="take numbers for names; may be repeated")
    add("--max-categories", type=_whole(2), default=100, metavar="N", help="most categories a column may have [100]")
    _add_reading(add)
    add("--quiet", action="store_true", help="print nothing but errors")
    commands.choices["train"].set_defaults(run=train)

    add = commands.add_parser("predict", help="use a trained model on a CSV file").add_argument
    add("model", metavar="MODEL", help="a file that glassgrad train saved")
    add("file", metavar="FILE.csv", help="a table with the columns of the training file; the target may be absent")
    add("--out", metavar="FILE.csv", help="where to write predictions [standard output]")
    _add_reading(add)
    commands.choices["predict"].set_defaults(run=predict)
    return parser


def _add_reading(add: Callable[..., Any]) -> None:
    add("--no-header", action="store_true", help="the first row of the file is data")
    bars = "what separates fields, \\t for a tab [found among comma, semicolon, tab and vertical bar]"
    add("--delimiter", type=lambda text: "\t" if text == "\\t" else text, metavar="C", help=bars)


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"\d+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least {least}")
        return int(text)

    return read


def _between(low: float, high: float = float("inf")) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low < value < high:
            limits = f"above {low:g}" + ("" if high == float("inf") else f" and below {high:g}")
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a number {limits}")
        return value

    return read


def _widths(text: str) -> tuple[int, ...]:
    if text.strip() == "0":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,6}", part) and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected widths such as 64,64 below a million, or 0 for none")
    return tuple(map(int, parts))


def _batch(text: str) -> int:
    return sys.maxsize if text == "all" else _whole(1)(text)


if __name__ == "__main__":
    raise SystemExit(main())
