"""What training came to, epoch by epoch, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..lazy import extra_module

COLUMNS = ("epoch", "loss", "gradient_norm", "validation_loss", "lr", "seconds")


class Epoch(NamedTuple):
    """What one pass over the data came to.

    ``loss`` is the mean over the epoch's rows, by their weights if they have any, each measured just before the step it
    took part in; ``gradient_norm`` the mean length of the gradient over its steps. The validation loss and the metrics
    are measured after the epoch; None and empty where nothing was given to measure. ``lr`` is the learning rate of the
    epoch's first step.
    """

    number: int
    loss: float
    gradient_norm: float
    validation_loss: float | None = None
    metrics: dict[str, float] = {}
    lr: float = 0.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, float]:
        """Its numbers by name, without those that were not measured.

        >>> Epoch(1, 0.5, 2.0, metrics={"accuracy": 0.75}).to_dict()
        {'epoch': 1, 'loss': 0.5, 'gradient_norm': 2.0, 'accuracy': 0.75, 'lr': 0.0, 'seconds': 0.0}
        """
        given = {"epoch": self.number, "loss": self.loss, "gradient_norm": self.gradient_norm}
        measured = {"validation_loss": self.validation_loss, **self.metrics, "lr": self.lr, "seconds": self.seconds}
        return given | {name: value for name, value in measured.items() if value is not None}


@dataclass
class History:
    """One entry per epoch, in plain lists.

    Attributes
    ----------
    loss, gradient_norm, validation_loss, lr, seconds : as in ``Epoch``; empty where nothing was measured
    metrics : by name, one list each
    steps : how many there were; those of an epoch that Ctrl-C ended count where the model keeps them
    best_epoch : counts from 1; the epoch whose model was returned
    interrupted : whether Ctrl-C ended it

    Examples
    --------
    >>> history = History(loss=[2.0, 1.0], gradient_norm=[0.5, 0.25], seconds=[0.1, 0.1], metrics={"r2": [0.5, 0.8]})
    >>> history.to_dict()
    {'epoch': [1, 2], 'loss': [2.0, 1.0], 'gradient_norm': [0.5, 0.25], 'r2': [0.5, 0.8], 'seconds': [0.1, 0.1]}
    """

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    best_epoch: int = 0
    interrupted: bool = False

    def append(self, epoch: Epoch) -> None:
        """Add the numbers of one epoch."""
        for name, value in epoch.to_dict().items():
            if name != "epoch":
                self._column(name).append(value)

    def _column(self, name: str) -> list[float]:
        if name in COLUMNS:
            column: list[float] = getattr(self, name)
            return column
        return self.metrics.setdefault(name, [])

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns of equal length, for ``pandas.DataFrame(history.to_dict())``; those never measured are left out."""
        columns: dict[str, list[Any]] = {"epoch": list(range(1, len(self.loss) + 1))}
        for name in ("loss", "gradient_norm", "validation_loss", *self.metrics, "lr", "seconds"):
            if self._column(name):
                columns[name] = list(self._column(name))
        return columns

    def plot(self) -> Any:
        """Loss curves, metrics and gradient norms, one below the other; a figure of matplotlib.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        """
        Figure = extra_module(
            "matplotlib.figure", "history.plot: matplotlib is not installed; pip install 'glassgrad[plot]'"
        ).Figure
        columns = self.to_dict()
        panels = [["loss", "validation_loss"], *([name] for name in self.metrics), ["gradient_norm"]]
        figure = Figure(figsize=(7, 2.2 * len(panels) + 0.6), layout="constrained")
        for axes, names in zip(figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0], panels, strict=True):
            drawn = [name for name in names if columns.get(name)]
            for name in drawn:
                axes.plot(columns["epoch"], columns[name], label=name.replace("_", " "))
            if drawn:
                axes.legend()
            positive = all(value > 0 for name in drawn for value in columns[name])
            axes.set_yscale("log" if positive and names[0] in COLUMNS else "linear")
            axes.grid(alpha=0.3)
        axes.set_xlabel("epoch")
        return figure
