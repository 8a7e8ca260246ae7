"""From a table to training and held-out arrays in one step."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .batches import Seed
from .columns import Missing
from .encode import MAX_CATEGORIES, Encoder
from .split import held_out_split
from .table import Table
from .target import Task, class_labels, detect_task

LEAST_TRAINING = 8  # rows: what a table of the fewest rows keeps when a fifth is held out


class Prepared(NamedTuple):
    """What a training run needs of a table.

    ``x_train`` and ``x_test`` are float32 [rows, features]; ``y_train`` and ``y_test`` int64 [rows] class numbers, or
    float32 [rows, 1] standardised numbers. ``encoder`` belongs with the saved model.
    """

    encoder: Encoder
    x_train: NDArray[np.float32]
    y_train: NDArray[Any]
    x_test: NDArray[np.float32]
    y_test: NDArray[Any]


def prepare(
    table: Table,
    target: str,
    *,
    task: Task | None = None,
    held_out: float = 0.2,
    rng: Seed = 0,
    missing: Missing = "impute",
    ignore: Collection[str] = (),
    categorical: Collection[str] = (),
    max_categories: int = MAX_CATEGORIES,
    together: Collection[str] = (),
) -> Prepared:
    """Split a table, fit an :class:`Encoder` on the training part, and encode both parts.

    The held-out part is stratified by class for classification; with ``held_out=0`` it has no rows. Other
    parameters are those of :meth:`Encoder.fit`.

    Raises
    ------
    DataError
        Too few rows, a single class, or a column that cannot be used; see :meth:`Encoder.fit`.

    Examples
    --------
    >>> table = Table.from_columns({"x": range(20), "y": [x > 9 for x in range(20)]})
    >>> data = prepare(table, "y")
    >>> data.x_train.shape, data.x_test.shape, data.encoder.classes
    ((16, 1), (4, 1), ('False', 'True'))
    """
    task = task or detect_task(table, target)
    labels = class_labels(table, target) if task == "classification" else None
    train_rows, test_rows = np.arange(len(table)), np.arange(0)
    if held_out != 0:
        train_rows, test_rows = held_out_split(len(table), fraction=held_out, rng=rng, labels=labels)
    if len(train_rows) < LEAST_TRAINING:
        raise DataError(
            f"prepare: too few rows to learn from: got {len(train_rows)} of {len(table)} with held_out={held_out:g}, "
            f"expected at least {LEAST_TRAINING}; {'hold out a smaller share, or ' if held_out else ''}add data"
        )
    train, test = table.take(train_rows), table.take(test_rows)
    encoder = Encoder.fit(
        train,
        target,
        task=task,
        missing=missing,
        ignore=ignore,
        categorical=categorical,
        max_categories=max_categories,
        together=together,
    )
    x, y = encoder.transform(train), encoder.transform_target(train)
    if not len(test_rows):
        return Prepared(encoder, x, y, x[:0], y[:0])
    return Prepared(encoder, x, y, encoder.transform(test), encoder.transform_target(test))
