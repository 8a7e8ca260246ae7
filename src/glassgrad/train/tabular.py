"""A network for a table: its columns encoded, an MLP trained on them, and predictions in the target's own terms."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..data import Encoder, Table
from ..data.prepare import Prepared
from ..data.record import Record
from ..data.table import shown
from ..data.target import NumberTarget
from ..errors import DataError, ModelFileError
from ..inspect import LayerTable, layer_table
from ..nn import MLP, cross_entropy, softmax, squared_error
from ..optim import SGD, AdamW, Cosine, Optimizer
from .fit import evaluate, fit
from .history import Epoch, History
from .measure import Loss, Metric
from .save import load, save

KIND = "table"
LOOK = 256  # rows the table of layers is measured on
CHUNK = 8192  # rows predicted at a time


@dataclass(frozen=True)
class Settings:
    """How to train; None is decided by the number of training rows.

    Attributes
    ----------
    hidden : widths of the hidden layers; an empty tuple for a linear model
    epochs : passes over the data
    batch_size : rows per step
    optimizer : ``"adam"`` (AdamW) or ``"sgd"`` (Nesterov momentum 0.9)
    lr : learning rate at the first step, which falls to 0 along half a cosine
    seed : of first weights and order of rows
    """

    hidden: tuple[int, ...] | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = "adam"
    lr: float | None = None
    seed: int = 0


class Plan(NamedTuple):
    """Settings with every choice made."""

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    steps: int
    weight_decay: float

    def describe(self, settings: Settings) -> str:
        """On one line."""
        epochs = "1 epoch" if self.epochs == 1 else f"{self.epochs} epochs"
        batches = "single rows" if self.batch_size == 1 else f"batches of {self.batch_size}"
        return f"{settings.optimizer}, learning rate {self.lr:g}, {batches}, {epochs}, seed {settings.seed}"

    def optimizer(self, settings: Settings) -> Optimizer:
        """The optimiser for this many steps."""
        schedule = Cosine(self.lr, self.steps)
        if settings.optimizer == "sgd":
            return SGD(schedule, momentum=0.9, nesterov=True, weight_decay=self.weight_decay)
        return AdamW(schedule, weight_decay=self.weight_decay)


def plan(settings: Settings, rows: int) -> Plan:
    """Choices that do well on tables of this many rows.

    Small tables get smaller batches and more epochs, so that there are enough steps to learn in, and more weight
    decay: like the prior it stands for, it counts less the more rows there are.
    """
    small = rows < 5000
    hidden = settings.hidden if settings.hidden is not None else (128, 64) if small else (256, 128)
    batch = settings.batch_size or (32 if small else 128)
    batch = min(batch, rows) if settings.batch_size else min(batch, max(4, rows // 8))
    per_epoch = math.ceil(rows / batch)
    usual = max(60 if small else 40, math.ceil(1500 / per_epoch))
    epochs = settings.epochs or max(5, min(usual, math.ceil(20_000 / per_epoch)))
    adam = settings.optimizer == "adam"
    lr = settings.lr if settings.lr is not None else (4e-3 if adam else 4e-2)
    decay = min(1.0, 1000 / rows) * (1.0 if adam else 0.02)
    return Plan(hidden, epochs, batch, lr, epochs * per_epoch, decay)


class Score(NamedTuple):
    """How good a model is on rows it has not seen.

    ``accuracy`` for classification, beside the share of the most frequent class; for regression ``error``, the root
    of the mean squared error in the target's unit, beside the target's own standard deviation on these rows.
    """

    rows: int
    value: float
    baseline: float
    task: str

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        if self.task == "classification":
            right = round(self.value * self.rows)
            return (
                f"accuracy {self.value:.1%} ({right} of {rows} right; the most frequent class alone would give "
                f"{self.baseline:.1%})"
            )
        r2 = f", R² {1 - (self.value / self.baseline) ** 2:.3f}" if self.baseline else ""
        return f"root mean squared error {self.value:.4g} on {rows} (the target's deviation is {self.baseline:.4g}{r2})"


class Predictions(NamedTuple):
    """One entry per row: class names (object) or numbers (float64), and for classes float32 [rows, classes]."""

    values: NDArray[Any]
    probabilities: NDArray[np.float32] | None


@dataclass(frozen=True)
class TableModel:
    """A trained network with everything needed to use it on another file.

    Attributes
    ----------
    model : the network
    encoder : from cells to its inputs and from its outputs back
    columns : every column of the training file, in order, the target among them
    header : whether that file had a row of names
    """

    model: MLP
    encoder: Encoder
    columns: tuple[str, ...]
    header: bool = True

    def predict(self, table: Table) -> Predictions:
        """Predictions for every row; the target column is not needed, and others are ignored.

        Raises
        ------
        DataError
            A column is missing or cannot be read as in training; names all that are missing.
        """
        self.require_columns(table)
        x = self.encoder.transform(table)
        with np.errstate(all="ignore"):
            parts = [self.model(x[i : i + CHUNK]) for i in range(0, len(x), CHUNK)]
            outputs = np.concatenate(parts)
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            raise DataError(
                f"predict: the network overflows at {table.where(int(finite.argmin()))}: expected values like those it "
                f"was trained on; correct that row"
            )
        values = self.encoder.decode(outputs)
        return Predictions(values, softmax(outputs) if self.encoder.classes else None)

    def require_columns(self, table: Table) -> None:
        """Raise ``DataError`` unless the table has every column the network reads."""
        missing = [c.name for c in self.encoder.columns if c.name not in table.columns]
        if not missing:
            return
        unknown = self.unknown_columns(table)
        fix = "the first row of the file must hold the names; if it has none, pass header=False"
        if unknown:
            fix = f"it has {_listed(unknown)}, which the model does not know; rename them, or choose another model"
        raise DataError(f"predict: columns are missing in {table.source}: expected {_listed(missing)}; {fix}")

    def unknown_columns(self, table: Table) -> list[str]:
        """Columns of a table that the training file did not have."""
        return [name for name in table.names if name not in self.columns]

    def named(self, table: Table) -> Table:
        """A table read without a header row, under the training file's names; the target may be absent."""
        target = self.encoder.target.name
        features = [name for name in self.columns if name != target]
        names = {len(self.columns): list(self.columns), len(features): features}.get(len(table.names))
        if names is None:
            raise DataError(
                f"predict: wrong number of columns in {table.source}: got {len(table.names)}, expected "
                f"{len(self.columns)} as in training, or {len(features)} without {shown(target)}"
            )
        return Table(dict(zip(names, table.columns.values(), strict=True)), table.lines, table.source)

    def score(self, table: Table) -> Score:
        """How good the predictions are on rows whose target is known."""
        return _score(self.encoder, self.model, self.encoder.transform(table), self.encoder.transform_target(table))

    def save(self, path: str | PathLike[str], facts: dict[str, Any]) -> None:
        """Write everything to one file, with further facts about the training."""
        described = {
            "kind": KIND,
            "columns": list(self.columns),
            "header": self.header,
            "encoder": self.encoder.to_dict(),
        }
        save(path, self.model, {**described, "training": facts})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TableModel:
        """Read what ``save`` wrote; ``ModelFileError`` for anything else."""
        model, metadata = load(path)
        if metadata.get("kind") != KIND or not isinstance(model, MLP):
            raise ModelFileError(f"load: not a model of a table: got {path}; choose a file that glassgrad train wrote")
        try:
            record = Record(metadata, "metadata")
            encoder = Encoder.from_dict(record.get("encoder"))
            columns, header = record.texts("columns"), record.flag("header")
        except ModelFileError as error:
            raise ModelFileError(f"{error} (file {path})") from None
        fits = (model.sizes[0], model.sizes[-1]) == (encoder.n_features, encoder.n_outputs)
        if not fits or not {encoder.target.name, *(c.name for c in encoder.columns)} <= set(columns):
            raise ModelFileError(f"load: the model is damaged: {path}: network and columns do not fit; train it again")
        return cls(model, encoder, columns, header)


class Trained(NamedTuple):
    """What training a table gives."""

    model: TableModel
    history: History
    score: Score
    layers: LayerTable


def train_table(
    prepared: Prepared,
    columns: tuple[str, ...],
    settings: Settings,
    *,
    header: bool = True,
    progress: Callable[[Epoch], None] | None = None,
) -> Trained:
    """Train an MLP on a prepared table and measure it on the held-out part.

    Parameters
    ----------
    prepared : from ``data.prepare``
    columns, header : of the file, to be kept with the model
    settings : how to train
    progress : called after every epoch, with the score so far on the held-out part, which decides nothing

    Examples
    --------
    >>> from glassgrad.data import Table, prepare
    >>> table = Table.from_columns({"x": range(40), "big": ["yes" if i > 20 else "no" for i in range(40)]})
    >>> trained = train_table(prepare(table, "big"), table.names, Settings(hidden=(8,), epochs=30))
    >>> trained.model.predict(Table.from_columns({"x": [3, 35]})).values.tolist()
    ['no', 'yes']
    """
    encoder, x, y = prepared.encoder, prepared.x_train, prepared.y_train
    chosen = plan(settings, len(x))
    loss = loss_for(encoder)
    first = MLP((encoder.n_features, *chosen.hidden, encoder.n_outputs), rng=settings.seed)
    model, history = fit(
        first,
        loss,
        (x, y),
        optimizer=chosen.optimizer(settings),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=settings.seed,
        validation=(prepared.x_test, prepared.y_test),
        metrics=_metric(encoder),
        progress=progress or False,
    )
    score = _score(encoder, model, prepared.x_test, prepared.y_test)
    layers = layer_table(model, loss, x[:LOOK], y[:LOOK])
    return Trained(TableModel(model, encoder, columns, header), history, score, layers)


def loss_for(encoder: Encoder) -> Loss:
    """Cross-entropy for classes, squared error for numbers."""
    return cross_entropy if encoder.classes else squared_error


def _metric(encoder: Encoder) -> dict[str, Metric]:
    """Accuracy, or root mean squared error in the target's unit."""

    def accuracy(outputs: Any, y: Any) -> float:
        return float(np.mean(outputs.argmax(axis=1) == y))

    def error(outputs: Any, y: Any) -> float:
        away = outputs.astype(np.float64) - y  # in the target's deviations: squares of its own unit may overflow
        return float(np.sqrt(np.mean(away * away))) * _unit(encoder)

    return {"accuracy": accuracy} if encoder.classes else {"error": error}


def _score(encoder: Encoder, model: MLP, x: Any, y: Any) -> Score:
    (value,) = evaluate(model, loss_for(encoder), (x, y), _metric(encoder))[1].values()
    if encoder.classes:
        return Score(len(y), value, float(np.bincount(y).max() / len(y)), encoder.task)
    return Score(len(y), value, float(y.std(dtype=np.float64)) * _unit(encoder), encoder.task)


def _unit(encoder: Encoder) -> float:
    """What one standardised unit of a number to predict is in its own unit."""
    return encoder.target.scale if isinstance(encoder.target, NumberTarget) else 1.0


def _listed(names: list[str]) -> str:
    most = 8
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")
