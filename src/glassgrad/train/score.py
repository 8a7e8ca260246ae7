"""How good predictions are on rows whose target is known."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..data import Encoder
from ..data.target import NumberTarget


class ClassScore(NamedTuple):
    """Of predicted classes.

    Attributes
    ----------
    rows : how many were predicted
    accuracy : share of them that is right
    baseline : the accuracy of always giving the class that is most frequent among them
    log_loss : mean of -log p(true class), in nats
    confusion : int64 [classes, classes], rows of each true class (down) and predicted class (across)
    """

    rows: int
    accuracy: float
    baseline: float
    log_loss: float
    confusion: NDArray[np.int64]

    def __str__(self) -> str:
        right = int(self.confusion.trace())
        return (
            f"accuracy {self.accuracy:.1%} ({right} of {_rows(self.rows)} right; the most frequent class alone would "
            f"give {self.baseline:.1%})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**self._asdict(), "confusion": self.confusion.tolist()}


class NumberScore(NamedTuple):
    """Of predicted numbers, in the target's unit.

    Attributes
    ----------
    rows : how many were predicted
    rmse : root of the mean squared error
    mae : mean of the absolute errors
    r2 : 1 - (rmse / deviation)², the share of the variance that is explained; None where the target does not vary
    deviation : the target's own standard deviation on these rows
    """

    rows: int
    rmse: float
    mae: float
    r2: float | None
    deviation: float

    def __str__(self) -> str:
        r2 = "" if self.r2 is None else f", R² {self.r2:.3f}"
        return (
            f"root mean squared error {self.rmse:.4g} on {_rows(self.rows)} (the target's deviation is "
            f"{self.deviation:.4g}{r2})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return self._asdict()


Score: TypeAlias = ClassScore | NumberScore


def score(encoder: Encoder, outputs: NDArray[Any], y: NDArray[Any]) -> Score:
    """Compare a network's outputs with the encoded target.

    Parameters
    ----------
    encoder : of the table
    outputs : [rows, classes] scores, or [rows, 1] standardised numbers
    y : as ``encoder.transform_target`` gives it
    """
    if not isinstance(encoder.target, NumberTarget):
        return _class_score(outputs.astype(np.float64), y)
    away = outputs.astype(np.float64) - y  # in the target's deviations: squares of its own unit may overflow
    error, spread = float(np.sqrt(np.mean(away * away))), float(y.std(dtype=np.float64))
    unit = encoder.target.scale
    r2 = 1 - (error / spread) ** 2 if spread else None
    return NumberScore(len(y), error * unit, float(np.abs(away).mean()) * unit, r2, spread * unit)


def _class_score(scores: NDArray[np.float64], y: NDArray[Any]) -> ClassScore:
    classes, rows = scores.shape[1], np.arange(len(y))
    guesses = scores.argmax(axis=1)
    confusion = np.bincount(y * classes + guesses, minlength=classes**2).reshape(classes, classes).astype(np.int64)
    relative = scores - scores.max(axis=1, keepdims=True)
    log_loss = np.log(np.exp(relative).sum(axis=1)) - relative[rows, y]
    accuracy, baseline = confusion.trace() / len(y), confusion.sum(axis=1).max() / len(y)
    return ClassScore(len(y), float(accuracy), float(baseline), float(log_loss.mean()), confusion)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
