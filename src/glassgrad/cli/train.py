"""``glassgrad train``: a network for a table, from reading the data to the file the model is saved in."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any, TextIO, cast

from .. import __version__
from ..data import Table, prepare
from ..data.images import images_of
from ..data.prepare import Prepared
from ..data.table import shown
from ..data.target import lone_classes
from ..errors import DataError, ModelFileError
from ..inspect.diagnosis import diagnose
from ..nn.activations import ACTIVATIONS
from ..train.callbacks import Callback
from ..train.files import require_place
from ..train.logs import JSONLines, TensorBoard
from ..train.progress import shown_progress
from ..train.recipe import DESCENTS, SCHEDULES, Descent, Settings, plan
from ..train.report import Report, is_report
from ..train.save import is_model
from ..train.tabular import LOOK, Trained, loss_for, train_table
from .evaluate import details
from .info import parameters
from .options import Add, add_labels, add_reading, batch, between, command, whole, widths
from .output import Output, note, require_output
from .sources import DATASETS, named_source, source_name, table_of, train_target

INTERRUPTED = 130  # 128 + the signal's number, as shells count
NOTHING_HELD = "no rows, so that nothing is measured on held-out rows; glassgrad evaluate does so on another file"
SHORT = 12  # columns or notes that are listed one by one

EXAMPLES = """\
  glassgrad train digits
  glassgrad train houses.csv --target price --out houses.glassgrad
  glassgrad train flowers.parquet --target kind --hidden 64,64 --dropout 0.1 --patience 20 --report report.html
  glassgrad train digits --model cnn
  glassgrad train train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz --model cnn --epochs 10
  glassgrad train data.npz --target y --optimizer lion --schedule one-cycle --seed 7 --json
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    add = command(commands, "train", train, "train a network on a table and save it", EXAMPLES)
    files = "a file: CSV (.gz too), Parquet, NumPy's .npz or .npy, IDX images"
    known = f"{files}, or - for standard input; or a data set of scikit-learn's: {', '.join(DATASETS)}"
    add("data", metavar="DATA", type=named_source, help=known)
    add("--target", metavar="COLUMN", help="the column to predict; without a header its number, -1 for the last")
    add("--out", metavar="MODEL", help="the file to save the model in [the data's name with .glassgrad]")
    add_labels(add)
    _add_network(add)
    _add_descent(add)
    _add_columns(add)
    add_reading(add)
    add("--checkpoint", metavar="FILE", help="keep training in a file after every epoch, for --resume")
    add("--resume", metavar="FILE", help="go on from a checkpoint, with the same data and options")
    add("--log", metavar="FILE.jsonl", help="a JSON object for each epoch, one a line, written as it goes")
    add("--tensorboard", metavar="FOLDER", help="write the numbers of each epoch for TensorBoard")
    add("--report", metavar="FILE.html", help="write a page as training goes: curves, layers, the network explained")
    add("--json", action="store_true", help="one JSON object on standard output at the end, and nothing else")
    add("--quiet", action="store_true", help="print nothing but errors")


def _add_network(add: Add) -> None:
    kinds = "linear: the same as --hidden 0; cnn: convolutions, where rows are images (IDX, arrays, square) [mlp]"
    add("--model", choices=("mlp", "linear", "cnn"), help=kinds)
    add("--hidden", type=widths, metavar="N,N", help="widths of hidden layers, 0 for none [by rows]")
    add("--activation", choices=tuple(ACTIVATIONS), default="relu", metavar="NAME", help=_among(ACTIVATIONS, "relu"))
    dropped = "share of activations dropped in training [0]"
    add("--dropout", type=between(0, 1, least=True), default=0.0, metavar="P", help=dropped)


def _add_descent(add: Add) -> None:
    rates = ", ".join(f"{way.lr:g} for {name}{_falling(way)}" for name, way in DESCENTS.items())
    add("--optimizer", choices=tuple(DESCENTS), default="adamw", metavar="NAME", help=_among(DESCENTS, "adamw"))
    add("--lr", type=between(0), metavar="X", help=f"highest learning rate [{rates}]")
    add("--schedule", choices=tuple(SCHEDULES), default="cosine", metavar="NAME", help=_among(SCHEDULES, "cosine"))
    pull = "pull of weights towards 0 [by optimizer, rows and hidden layers]"
    add("--weight-decay", type=between(0, least=True), metavar="X", help=pull)
    longest = "the greatest length of the gradient [none; 5 for sgd without --lr]"
    add("--clip", type=between(0), metavar="X", help=longest)
    add("--epochs", type=whole(1), metavar="N", help="passes over the data [by number of rows]")
    add("--batch-size", type=batch, metavar="N|all", help="rows per step [by number of rows]")
    add("--seed", type=whole(0), default=0, metavar="N", help="of split, first weights, dropout, order of rows [0]")
    waiting = "stop after N epochs without a lower validation loss, and keep the best"
    add("--patience", type=whole(1), metavar="N", help=waiting)
    share = "share of training rows to watch and not to learn from [0.1 with --patience, else none]"
    add("--validation", type=between(0, 1), metavar="X", help=share)
    held = "share of rows held out to measure on; 0 learns from all, and measures nothing [0.2]"
    add("--test-fraction", type=between(0, 1, least=True), default=0.2, metavar="X", help=held)


def _add_columns(add: Add) -> None:
    add("--task", choices=("classification", "regression"), help="[by the target's values]")
    add("--missing", choices=("impute", "refuse"), default="impute", help="missing feature values [impute]")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="leave a column out; may be repeated")
    add("--categorical", action="append", default=[], metavar="COLUMN", help="take numbers for names; may be repeated")
    add("--max-categories", type=whole(2), default=100, metavar="N", help="most categories a column may have [100]")


def _falling(way: Descent) -> str:
    return f" (less for batches below {way.least} rows)" if way.least > 1 else ""


def _among(names: Any, default: str) -> str:
    return f"{', '.join(names)} [{default}]"


def train(options: argparse.Namespace, out: Output) -> int:
    """Run the command."""
    out.quiet = options.quiet or options.json
    path = options.out or f"{source_name(options.data)}.glassgrad"
    require_output(path, "--out", is_model, "a model")
    if options.report:
        require_output(options.report, "--report", is_report, "a report")
    if options.log:
        require_output(options.log, "--log", is_log, "a log")
    kept, logs = _checkpoint(options), _logs(options)
    settings = _settings(options)
    table = table_of(options.data, options, headless=options.no_header, target=options.target, needed=True)
    target = train_target(table, options)
    pixels: tuple[str, ...] = ()
    if options.model == "cnn":
        shape, pixels = images_of([name for name in table.names if name not in (target, *options.ignore)])
        settings = dataclasses.replace(settings, image=shape)
    prepared = _prepared(table, target, options, pixels)
    chosen = plan(settings, len(prepared.x_train))
    out.say(_describe(table, prepared))
    if prepared.encoder.classes and not options.quiet:
        _mention_lone_classes(table, target, options)
    out.say(str(chosen))
    report = Report(options.report, title=f"{table.source}: training") if options.report else None
    if report is not None:
        report.settings |= chosen.to_dict()
        report.sections.append({"title": "columns", "text": prepared.encoder.describe()})
    began = time.perf_counter()
    what = "validation" if settings.held else "test"
    shown_at = contextlib.nullcontext() if out.quiet else shown_progress(chosen.epochs, cast(TextIO, out), held=what)
    with shown_at as progress:
        trained = train_table(
            *(prepared, table.names, settings),
            header=not options.no_header,
            progress=progress,
            callbacks=[*logs, *([report] if report is not None else [])],
            checkpoint=kept,
            resume=options.resume is not None,
        )
    seconds = time.perf_counter() - began
    history = trained.history
    if history.interrupted and not history.loss:
        raise KeyboardInterrupt
    trained.model.training.update(_facts(options, prepared, trained))
    trained.model.save(path)
    if report is not None:
        report.sections.insert(0, _held_out(trained))
        learnt = prepared.x_train, prepared.y_train
        report.findings += diagnose(trained.model.model, loss_for(prepared.encoder), learnt)
        report.write()
    out.say(_result(trained, seconds))
    out.say(f"\nsaved {path}; use it with: glassgrad predict {path} FILE")
    if options.json:
        out.json({"model": path, **_summary(trained), "seconds": seconds})
    if not history.interrupted:
        return 0
    further = f"; go on by --resume {kept}" if kept else ""
    reached, best = len(history.loss), history.best_epoch
    note(f"interrupted after epoch {reached}; the model of epoch {best} is saved in {path}{further}")
    return INTERRUPTED


def is_log(path: Path) -> bool:
    """Whether a file holds the lines of an earlier run."""
    with path.open("rb") as stream:
        return stream.read(9) in (b"", b'{"epoch":')


def _logs(options: argparse.Namespace) -> list[Callback]:
    logs: list[Callback] = [JSONLines(options.log)] if options.log else []
    return logs + ([TensorBoard(options.tensorboard)] if options.tensorboard else [])


def _checkpoint(options: argparse.Namespace) -> str | None:
    """The file training is kept in, if that is wanted."""
    if options.resume is not None:
        if options.checkpoint is not None:
            raise ModelFileError("train: --resume keeps its file up to date: got --checkpoint too; leave one out")
        if not Path(options.resume).exists():
            raise ModelFileError(f"train: no checkpoint to go on from: got {options.resume}; begin with --checkpoint")
    kept: str | None = options.resume or options.checkpoint
    if kept is not None and require_place(kept, ModelFileError).exists() and options.resume is None:
        raise ModelFileError(f"train: {kept} exists: go on from it by --resume {kept}, or remove it first")
    return kept


def _settings(options: argparse.Namespace) -> Settings:
    if options.model == "linear" and options.hidden:
        raise DataError("train: a linear model has no hidden layers: got --model linear and --hidden; leave one out")
    return Settings(
        hidden=() if options.model == "linear" else options.hidden,
        activation=options.activation,
        dropout=options.dropout,
        epochs=options.epochs,
        batch_size=options.batch_size,
        optimizer=options.optimizer,
        lr=options.lr,
        schedule=options.schedule,
        weight_decay=options.weight_decay,
        clip=options.clip,
        seed=options.seed,
        validation=options.validation,
        patience=options.patience,
    )


def _prepared(table: Table, target: str, options: argparse.Namespace, pixels: tuple[str, ...]) -> Prepared:
    task = options.task
    if task is None and options.labels is not None and table[target].dtype.kind in "iu":
        task = "classification"  # what labels are for, however many there are
    return prepare(
        table,
        target,
        task=task,
        held_out=options.test_fraction,
        rng=options.seed,
        missing=options.missing,
        ignore=options.ignore,
        categorical=options.categorical,
        max_categories=options.max_categories,
        together=pixels,
    )


def _mention_lone_classes(table: Table, target: str, options: argparse.Namespace) -> None:
    lone = lone_classes(table, target)
    if not lone:
        return
    names = ", ".join(map(shown, list(lone)[:SHORT])) + (", ..." if len(lone) > SHORT else "")
    header = options.no_header and 0 in lone.values()
    fix = ": is the first row a header? leave out --no-header" if header else ""
    which = "class has" if len(lone) == 1 else "classes have"
    note(f"note: {len(lone)} {which} fewer than 2 rows of {shown(target)} ({names}){fix}")


def _describe(table: Table, prepared: Prepared) -> str:
    encoder = prepared.encoder
    held = len(prepared.x_test) or "none"
    rows = f"{table.source}: {len(table)} rows, {len(prepared.x_train)} to learn from, {held} held out"
    if len(encoder.columns) <= SHORT:
        return f"{rows}\n{encoder.describe()}"
    lines = [
        rows,
        f"{encoder.task} of {encoder.target.describe()}",
        f"{encoder.n_features} features from {len(encoder.columns)} of {len(table.names) - 1} columns",
    ]
    lines += [f"  {sentence}" for sentence in encoder.notes[:SHORT]]
    more = len(encoder.notes) - SHORT
    return "\n".join(lines + ([f"  and {more} more"] if more > 0 else []))


def _facts(options: argparse.Namespace, prepared: Prepared, trained: Trained) -> dict[str, Any]:
    """What the model's file says about its training: nothing that differs between two equal runs."""
    learnt, watched = trained.rows
    score = trained.score and {name: x for name, x in trained.score.to_dict().items() if name != "confusion"}
    return {
        "source": Path(options.data).name,
        "rows": {"training": learnt, "validation": watched, "held_out": len(prepared.x_test)},
        "settings": trained.plan.to_dict(),
        "epochs": len(trained.history.loss),
        "best_epoch": trained.history.best_epoch,
        "steps": trained.history.steps,
        "held_out": score,
        "glassgrad": __version__,
    }


def _summary(trained: Trained) -> dict[str, Any]:
    """The result as plain values."""
    model, history = trained.model, trained.history
    return {
        "task": model.encoder.task,
        "target": model.encoder.target.name,
        **({"classes": list(model.encoder.classes)} if model.encoder.classes else {}),
        "features": model.encoder.n_features,
        "architecture": repr(model.model),
        "parameters": parameters(model.model),
        **model.training,
        "held_out": trained.score and trained.score.to_dict(),
        "interrupted": history.interrupted,
        "history": history.to_dict(),
    }


def _held_out(trained: Trained) -> dict[str, Any]:
    """The result as a part of the report."""
    if trained.score is None:
        return {"title": "held-out rows", "note": NOTHING_HELD}
    text = details(trained.model.encoder.classes, trained.score)
    return {"title": "held-out rows", "note": str(trained.score), "text": text}


def _result(trained: Trained, seconds: float) -> str:
    history, network = trained.history, trained.model.model
    lines = (
        "",
        f"held out: {trained.score or NOTHING_HELD}",
        f"{network} has {parameters(network):,} parameters; {history.steps:,} steps took {seconds:.1f} s",
        "",
        str(trained.layers),
        "",
        f"On at most {LOOK} training rows, with loss {trained.layers.loss:.3g}. zero: activations that are exactly 0.",
        "dead: units that are 0 for every row, so that no gradient reaches their weights.",
    )
    return "\n".join(lines)
