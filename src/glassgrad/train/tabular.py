"""A network for a table: trained on its encoded columns, and measured on rows it has not seen."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from ..data import Encoder, held_out_split
from ..data.prepare import Prepared
from ..data.target import NumberTarget
from ..errors import DataError
from ..inspect import LayerTable, layer_table
from ..nn import cross_entropy, squared_error
from ..nn.losses import Loss
from .callbacks import Callback
from .fit import fit
from .history import Epoch, History
from .names import Metric, accuracy
from .recipe import Plan, Settings, plan
from .score import Score, score
from .table_model import TableModel, outputs_of

ENDLESS = ("constant", "plateau")  # schedules that do not depend on the number of epochs
LOOK = 256  # rows the table of layers is measured on


class Trained(NamedTuple):
    """What training a table gives.

    ``rows`` are those that were learnt from and those that were watched by ``patience``; ``score`` is of the rows that
    were held out, None where there are none.
    """

    model: TableModel
    history: History
    score: Score | None
    layers: LayerTable
    plan: Plan
    rows: tuple[int, int]


def train_table(
    prepared: Prepared,
    columns: tuple[str, ...],
    settings: Settings,
    *,
    header: bool = True,
    progress: Callable[[Epoch], None] | None = None,
    callbacks: Iterable[Any] = (),
    checkpoint: str | PathLike[str] | None = None,
    resume: bool = False,
) -> Trained:
    """Train a network on a prepared table and measure it on the held-out part.

    Parameters
    ----------
    prepared : from ``data.prepare``
    columns, header : of the file, to be kept with the model
    settings : how to train
    progress : called after every epoch, with the score so far: on the rows that ``settings.validation`` sets aside, or
        on the held-out part, which then decides nothing; without either there is no score
    callbacks : as in ``fit``
    checkpoint, resume : as in ``fit``; refuses a checkpoint of other data or settings than these

    Examples
    --------
    >>> from glassgrad.data import Table, prepare
    >>> table = Table.from_columns({"x": range(40), "big": ["yes" if i > 20 else "no" for i in range(40)]})
    >>> trained = train_table(prepare(table, "big"), table.names, Settings(hidden=(8,), epochs=30))
    >>> trained.model.predict(Table.from_columns({"x": [3, 35]})).values.tolist()
    ['no', 'yes']
    """
    encoder, x, y = prepared.encoder, prepared.x_train, prepared.y_train
    chosen, test = plan(settings, len(x)), (prepared.x_test, prepared.y_test) if len(prepared.x_test) else None
    watched = test
    if settings.held:
        labels = y if encoder.classes else None
        kept, held = held_out_split(len(x), fraction=settings.held, rng=settings.seed, labels=labels)
        watched = x[held], y[held]
        x, y = x[kept], y[kept]
    loss = loss_for(encoder)
    network, history = fit(
        chosen.network(encoder.n_features, encoder.n_outputs),
        loss,
        (x, y),
        optimizer=chosen.optimizer(),
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        rng=settings.seed,
        validation=watched,
        metrics=_metric(encoder) if watched else None,
        patience=settings.patience,
        callbacks=[SameRun(chosen, (x, y)), *callbacks],
        progress=progress or False,
        checkpoint=checkpoint,
        resume=resume,
    )
    model = TableModel(network, encoder, columns, header)
    layers = layer_table(network, loss, x[:LOOK], y[:LOOK])
    result = score(encoder, outputs_of(network, test[0]), test[1]) if test else None
    return Trained(model, history, result, layers, chosen, (len(x), len(prepared.x_train) - len(x)))


class SameRun(Callback):
    """Keeps in a checkpoint what the run depends on, and refuses to go on with anything else."""

    def __init__(self, plan: Plan, data: tuple[Any, ...]) -> None:
        digests = [zlib.crc32(np.ascontiguousarray(part).data) for part in data]
        sizes = {"number of rows": len(data[0]), "number of features": data[0].shape[1]}
        self.facts = {**sizes, **plan.to_dict(), "data": digests}  # causes first: what differs first is named
        self.free = ("patience", "epochs") if plan.settings.schedule in ENDLESS else ("patience",)

    def to_dict(self) -> dict[str, Any]:
        return self.facts

    def restore(self, kept: dict[str, Any]) -> None:
        for name, value in self.facts.items():
            if kept.get(name) != value and name not in self.free:
                got, expected = ("other rows", "those it began with") if name == "data" else (value, kept.get(name))
                raise DataError(
                    f"train: the checkpoint is of another run: got {name} {got}, expected {expected}; pass the "
                    f"same, or start anew"
                )


def loss_for(encoder: Encoder) -> Loss:
    """Cross-entropy for classes, squared error for numbers."""
    return cross_entropy if encoder.classes else squared_error


def _metric(encoder: Encoder) -> dict[str, Metric]:
    """Accuracy, or root mean squared error in the target's unit."""

    def error(outputs: Any, y: Any) -> float:
        away = outputs.astype(np.float64) - y  # in the target's deviations: squares of its own unit may overflow
        unit = encoder.target.scale if isinstance(encoder.target, NumberTarget) else 1.0
        return float(np.sqrt(np.mean(away * away))) * unit

    return {"accuracy": accuracy} if encoder.classes else {"error": error}
