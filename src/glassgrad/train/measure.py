"""Loss and metrics of a model on data it does not learn from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..compile import jit
from ..nn.losses import Loss
from .feed import Part
from .names import Metric
from .remember import remembered

CHUNK = 2048  # rows that go through the model at once


class Measured(NamedTuple):
    """A loss, and metrics by name."""

    loss: float
    metrics: dict[str, float]


class Measure:
    """``loss(model(x), *targets)`` over all rows, and ``metric(outputs, y)``; without recording a graph.

    Parameters
    ----------
    loss : as in ``fit``
    metrics : as ``named`` gives them
    model, data : like those to be measured and measured on
    compiled : as native code, or by NumPy
    """

    def __init__(
        self, loss: Loss, metrics: Mapping[str, Metric], model: Any, data: tuple[Any, ...], compiled: bool = True
    ) -> None:
        self.predict, self.loss = _functions(loss, compiled, code=(loss, model, data))
        self.metrics = metrics

    def __call__(self, model: Any, data: tuple[Any, ...]) -> Measured:
        """On arrays with rows along their first axis."""
        x, *targets = data
        with np.errstate(all="ignore"):
            outputs = self.outputs(model, x)
            loss = float(self.loss(outputs, tuple(targets)))
            return Measured(
                loss, {name: _number(name, metric(outputs, targets[0])) for name, metric in self.metrics.items()}
            )

    def outputs(self, model: Any, x: Any) -> Any:
        """What the model makes of all rows of x."""
        count = len(tree.leaves(x)[0])
        found = [
            self.predict(model, tree.map(lambda column, i=i: column[i : i + CHUNK], x) if count > CHUNK else x)
            for i in range(0, count, CHUNK)
        ]
        return found[0] if len(found) == 1 else tree.map(lambda *parts: np.concatenate(parts), *found)


def _number(name: str, value: Any) -> float:
    if value is None:
        raise TypeError(f"fit: metric {name!r} gave nothing: got None, expected a number; let the function return it")
    if np.size(value) != 1:
        raise ValueError(f"fit: metric {name!r} is no number: got shape {np.shape(value)}; take its mean()")
    return float(value)


@remembered
def _functions(loss: Loss, compiled: bool) -> tuple[Any, Any]:
    """``outputs = predict(model, x)`` and ``loss(outputs, targets)``."""
    both = (lambda model, x: model(x)), (lambda outputs, targets: loss_of(loss, outputs, targets))
    return (jit(both[0]), jit(both[1])) if compiled else both


def loss_of(loss: Loss, outputs: Any, targets: Any) -> Any:
    """``loss(outputs, y)``; weights go by keyword to a loss that has a parameter of that name, else by position.

    >>> from glassgrad import nn
    >>> float(loss_of(nn.squared_error, np.array([1.0, 2.0]), (np.zeros(2), np.array([3.0, 1.0]))))
    1.75
    """
    y, *weights = targets
    if weights and takes_weights(loss):
        return loss(outputs, y, weights=weights[0])
    return loss(outputs, y, *weights)


def takes_weights(loss: Loss) -> bool:
    """Whether a loss has a parameter ``weights``: then it is their weighted mean, Σ w l / Σ w.

    >>> from glassgrad import nn
    >>> takes_weights(nn.squared_error), takes_weights(lambda outputs, y, further: 0.0)
    (True, False)
    """
    try:
        return "weights" in inspect.signature(loss).parameters
    except (TypeError, ValueError):  # such as a built-in function
        return False


def require_weighable(loss: Loss, what: str) -> None:
    """``TypeError`` for a loss that takes nothing beside outputs and targets."""
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # such as a built-in function
        return
    try:
        signature.bind(None, None, None)
    except TypeError:
        name = getattr(loss, "__name__", "the loss")
        raise TypeError(
            f"fit: the loss cannot take weights: got (x, y, weights) as {what}, and {name}{signature}; give it a "
            f"parameter weights, or pass (x, y)"
        ) from None


def shares(loss: Loss, part: Part) -> list[float]:
    """What each step of a part counts for in the mean of an epoch: its rows, or the sum of their weights.

    >>> from glassgrad import nn
    >>> x, rows, w = np.zeros((3, 1)), np.array([[0, 2], [1, 1]]), np.array([1, 0, 4])
    >>> shares(nn.squared_error, Part((x, x), rows, [2, 2])), shares(nn.squared_error, Part((x, x, w), rows, [2, 2]))
    ([2, 2], [5.0, 0.0])
    """
    if len(part.data) < 3 or not takes_weights(loss):
        return list(part.sizes)
    leaves = tree.leaves(part.data[2])
    each = sum(leaf.reshape(len(leaf), -1).sum(axis=1, dtype=np.float64) for leaf in leaves)
    found: list[float] = [float(each.sum())] if part.rows is None else each[part.rows].sum(axis=1).tolist()
    return found
