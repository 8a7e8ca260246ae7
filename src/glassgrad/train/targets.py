"""What losses ask of targets and weights: looked at once, before training, as compiled code looks at no values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..errors import DataError
from ..graph.node import shape_of
from ..nn.losses import Loss
from ..ops import losses
from .measure import require_weighable, takes_weights

SHOWN = 5  # rows that are named


def require_targets(loss: Loss, model: Any, data: tuple[Any, ...], what: str) -> None:
    """Refuse targets that one of this package's losses cannot take, by their rows.

    Raises
    ------
    DataError
        Labels that are no class numbers, or targets of ``hinge`` other than -1 and 1.
    """
    x, y = data[:2]
    if not isinstance(y, np.ndarray):
        return
    if loss is losses.hinge:
        _refuse(np.abs(y) != 1, y, what, "-1 or 1; pass 2 * y - 1 for 0 and 1")
    elif loss is losses.cross_entropy and y.dtype.kind in "iu":
        _refuse(y < 0, y, what, "class numbers from 0; number the classes from 0, or leave these rows out")
        classes = shape_of(model(tree.map(lambda column: column[:1], x)))[-1]
        _refuse(y >= classes, y, what, f"class numbers 0 to {classes - 1}; widen the last layer, or number from 0")


def require_weights(loss: Loss, data: tuple[Any, ...], what: str, some: bool = True) -> None:
    """Refuse weights of rows that are not finite, below 0, or (where there have to be ``some``) all 0.

    What a loss without a parameter ``weights`` is given beside the targets is its own affair.

    Raises
    ------
    DataError
        Such weights; names the first row.
    TypeError
        The loss has no parameter for them.

    Examples
    --------
    >>> from glassgrad import nn
    >>> require_weights(nn.squared_error, (np.zeros((2, 1)), np.zeros((2, 1)), np.array([1, -1])), "data")
    Traceback (most recent call last):
    glassgrad.errors.DataError: fit: bad weights in data: got -1 in row 1, expected finite numbers of at least 0; ...
    """
    if len(data) < 3:
        return
    if not takes_weights(loss):
        require_weighable(loss, what)
        return
    leaves = tree.leaves(data[2])
    for weights in leaves:
        bad = ~(np.isfinite(weights) & np.isreal(weights) & (weights.real >= 0))
        _refuse(bad, weights, what, "finite numbers of at least 0; 0 leaves a row out", kind="weights")
    if some and not any(weights.any() for weights in leaves):
        raise DataError(f"fit: all weights in {what} are 0: expected some above it, to learn from or to measure on")


def _refuse(bad: NDArray[np.bool_], y: NDArray[Any], what: str, expected: str, kind: str = "targets") -> None:
    if not bad.any():
        return
    rows = np.unique(np.argwhere(bad)[:, 0])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    named = ", ".join(map(str, rows[:SHOWN]))
    raise DataError(f"fit: bad {kind} in {what}: got {y[bad][0]} in row {named}{more}, expected {expected}")
