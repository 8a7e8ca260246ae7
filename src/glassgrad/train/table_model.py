"""A trained network with everything needed to use it on another table."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compile import jit
from ..data import Encoder, Table
from ..data.record import Record
from ..data.table import listed, shown
from ..errors import DataError, ModelFileError
from ..nn import MLP, softmax
from .save import load, save
from .score import Score, score

KIND = "table"
CHUNK = 4096  # rows predicted at a time
FEW = 256  # rows for which nothing is compiled

_predict = jit(lambda model, x: model(x))


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
    training : facts about how it came about, plain values
    """

    model: Any
    encoder: Encoder
    columns: tuple[str, ...]
    header: bool = True
    training: dict[str, Any] = field(default_factory=dict)

    def predict(self, table: Table) -> Predictions:
        """Predictions for every row; the target column is not needed, and others are ignored.

        Raises
        ------
        DataError
            A column is missing or cannot be read as in training; names all that are missing.
        """
        outputs = self.outputs(table)
        return Predictions(self.encoder.decode(outputs), softmax(outputs) if self.encoder.classes else None)

    def outputs(self, table: Table) -> NDArray[np.float32]:
        """The network's own outputs, [rows, n_outputs]; raises as ``predict`` does."""
        self.require_columns(table)
        outputs = outputs_of(self.model, self.encoder.transform(table))
        finite = np.isfinite(outputs).all(axis=1)
        if not finite.all():
            raise DataError(
                f"predict: the network overflows at {table.where(int(finite.argmin()))}: expected values like those it "
                f"was trained on; correct that row"
            )
        return outputs

    def require_columns(self, table: Table) -> None:
        """Raise ``DataError`` unless the table has every column the network reads."""
        missing = [c.name for c in self.encoder.columns if c.name not in table.columns]
        if not missing:
            return
        unknown = self.unknown_columns(table)
        fix = "the first row of the file must hold the names; if it has none, pass header=False"
        if unknown:
            fix = f"it has {listed(unknown, 8)}, which the model does not know; rename them, or choose another model"
        raise DataError(f"predict: columns are missing in {table.source}: expected {listed(missing, 8)}; {fix}")

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
        y = self.encoder.transform_target(table)
        return score(self.encoder, self.outputs(table), y)

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one file."""
        described = {
            "kind": KIND,
            "columns": list(self.columns),
            "header": self.header,
            "encoder": self.encoder.to_dict(),
        }
        save(path, self.model, {**described, "training": self.training})

    @classmethod
    def load(cls, path: str | PathLike[str]) -> TableModel:
        """Read what ``save`` wrote; ``ModelFileError`` for anything else."""
        model, metadata = load(path)
        if metadata.get("kind") != KIND:
            raise ModelFileError(
                f"load: not a model of a table: got {path}; choose what glassgrad train wrote when it ended, which is "
                f"no checkpoint"
            )
        try:
            record = Record(metadata, "metadata")
            encoder = Encoder.from_dict(record.get("encoder"))
            columns, header, training = record.texts("columns"), record.flag("header"), record.get("training")
            if not isinstance(training, dict):
                record.refuse("training", "an object")
        except ModelFileError as error:
            raise ModelFileError(f"{error} (file {path})") from None
        fits = _fits(model, encoder)
        if not fits or not {encoder.target.name, *(c.name for c in encoder.columns)} <= set(columns):
            raise ModelFileError(f"load: the model is damaged: {path}: network and columns do not fit; train it again")
        return cls(model, encoder, columns, header, training)


def outputs_of(model: Any, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network's outputs for all rows of x; compiled where that is worth it, which convolutions by NumPy are."""
    run = model if isinstance(model, MLP) or len(x) <= FEW else partial(_predict, model)
    with np.errstate(all="ignore"):
        return np.concatenate([np.asarray(run(x[i : i + CHUNK])) for i in range(0, len(x), CHUNK)])


def _fits(model: Any, encoder: Encoder) -> bool:
    """Whether a model read from a file takes what the encoder gives, and gives what it decodes."""
    try:
        outputs = model(np.zeros((1, encoder.n_features), np.float32))
        return bool(outputs.shape == (1, encoder.n_outputs) and outputs.dtype.kind == "f")
    except Exception:  # the file may be anyone's, and hold any model
        return False
