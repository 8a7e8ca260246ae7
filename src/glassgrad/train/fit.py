"""Descent on the loss of a model, batch by batch."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .. import tree
from ..autodiff.derivatives import value_and_grad
from ..data.batches import Seed, generator, minibatches
from ..errors import DataError, DivergedError
from ..graph.node import Value
from ..optim import Optimizer
from ..optim.schedule import rate

Model = TypeVar("Model", bound=Callable[[Any], Any])
Loss = Callable[[Value, Value], Value]
Metric = Callable[[Any, Any], float]


class Epoch(NamedTuple):
    """What one pass over the data came to.

    ``loss`` is the mean over the epoch's rows, each measured just before the step it took part in. The validation
    numbers are measured after the epoch; None where nothing was given to measure.
    """

    number: int
    loss: float
    gradient_norm: float
    validation_loss: float | None
    metric: float | None
    seconds: float


@dataclass
class History:
    """One entry per epoch, in plain lists; ``best_epoch`` counts from 1 and is the epoch whose model was returned."""

    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    best_epoch: int = 0

    def append(self, epoch: Epoch) -> None:
        """Add the numbers of one epoch."""
        self.loss.append(epoch.loss)
        self.gradient_norm.append(epoch.gradient_norm)
        self.seconds.append(epoch.seconds)
        if epoch.validation_loss is not None:
            self.validation_loss.append(epoch.validation_loss)
        if epoch.metric is not None:
            self.metric.append(epoch.metric)


def fit(
    model: Model,
    loss: Loss,
    data: tuple[Any, Any],
    *,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = 32,
    rng: Seed = 0,
    validation: tuple[Any, Any] | None = None,
    metric: Metric | None = None,
    patience: int | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> tuple[Model, History]:
    """Minimise ``loss(model(x), y)`` over ``data`` by gradient descent.

    Parameters
    ----------
    model : a callable tree of arrays, such as ``nn.MLP``; it is not changed
    loss : of predictions and targets, the mean over rows
    data : (x, y), arrays of equal length
    optimizer : such as ``optim.Adam()``
    epochs : passes over the data; 0 returns the model as it is
    batch_size : rows per step. None: all rows, batch descent; 1: stochastic; in between: mini-batch
    rng : seed or generator that decides the order of the rows; the same seed gives the same model
    validation : (x, y) to measure after every epoch
    metric : of predictions and targets, measured on ``validation`` too, such as the accuracy
    patience : with ``validation``: return the model of the epoch with the least validation loss, and stop once this
        many epochs brought no better one
    progress : called after every epoch

    Returns
    -------
    model, history
        A new model of the same structure, and what happened.

    Raises
    ------
    DivergedError
        The loss or a parameter is no longer finite; names epoch and step.
    DataError
        No rows, or x and y of different lengths.
    TypeError
        The optimizer is a name or a class.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn, optim
    >>> x = np.linspace(-1, 1, 20, dtype=np.float32)[:, None]
    >>> model, history = fit(nn.Linear(1, 1, rng=0), nn.squared_error, (x, 3 * x + 1),
    ...                      optimizer=optim.SGD(lr=0.1), epochs=100, batch_size=4)
    >>> bool(abs(model.W.item() - 3) < 0.01), bool(abs(model.b.item() - 1) < 0.01), len(history.loss)
    (True, True, 100)
    """
    _require_optimizer(optimizer)
    x, y = _pair(data, "data")
    held = None if validation is None else _pair(validation, "validation")
    if patience is not None and held is None:
        raise DataError("fit: patience needs something to watch: got no validation; pass validation=(x, y)")
    run = _Run(model, loss, optimizer)
    order = generator(rng)
    history = History()
    best, best_loss = model, math.inf
    for number in range(1, _count(epochs) + 1):
        began = time.perf_counter()
        mean_loss, norm = run.epoch(number, x, y, batch_size, order)
        measured: tuple[float | None, float | None] = (None, None)
        if held is not None:
            measured = evaluate(run.model, loss, held, metric)
        epoch = Epoch(number, mean_loss, norm, *measured, time.perf_counter() - began)
        history.append(epoch)
        if progress is not None:
            progress(epoch)
        if patience is None:
            history.best_epoch = number
        elif measured[0] is not None and measured[0] < best_loss:
            best_loss, history.best_epoch = measured[0], number
            best = tree.map(_copy, run.model)
        elif number - history.best_epoch >= patience:
            break
    history.steps = run.steps
    return (run.model if patience is None else best), history


def evaluate(
    model: Callable[[Any], Any], loss: Loss, data: tuple[Any, Any], metric: Metric | None = None
) -> tuple[float, float | None]:
    """Loss and metric of a model on data it does not learn from, without recording a graph."""
    x, y = data
    with np.errstate(all="ignore"):
        outputs = model(x)
        return float(loss(outputs, y)), None if metric is None else float(metric(outputs, y))


class _Run:
    """The model being trained, on arrays of its own that every step updates in place."""

    def __init__(self, model: Any, loss: Loss, optimizer: Optimizer) -> None:
        self.model = tree.map(_copy, model)
        self.optimizer = optimizer
        self.state = optimizer.init(self.model)
        self.derive = value_and_grad(lambda m, x, y: loss(m(x), y))
        self.steps = 0

    def epoch(
        self, number: int, x: Any, y: Any, batch_size: int | None, order: np.random.Generator
    ) -> tuple[float, float]:
        """One pass; returns mean loss over rows and mean length of the gradient over steps."""
        total, norms = 0.0, 0.0
        step = 0
        for step, rows in enumerate(minibatches(len(x), batch_size, order), 1):
            whole = len(rows) == len(x)
            with np.errstate(all="ignore"):  # what overflows is reported below, with epoch and step
                value, slope = self.derive(self.model, *((x, y) if whole else (x[rows], y[rows])))
            number_of_loss = float(value)
            if not math.isfinite(number_of_loss):
                raise self._diverged(f"the loss became {number_of_loss}", number, step)
            self.model, self.state = self.optimizer.step(self.model, slope, self.state, donate=True)
            self.steps += 1
            total += number_of_loss * len(rows)
            norms += norm(slope)
        if not all(np.isfinite(leaf).all() for leaf in tree.leaves(self.model) if _is_float(leaf)):
            raise self._diverged("a parameter is no longer finite", number, step)
        return total / len(x), norms / step

    def _diverged(self, what: str, epoch: int, step: int) -> DivergedError:
        lr = getattr(self.optimizer, "lr", None)
        got = "" if lr is None else f" (got {rate(lr, self.steps + 1):g})"
        return DivergedError(
            f"fit: {what} at epoch {epoch}, step {step}: expected finite numbers; lower the learning rate{got}, or "
            f"look for extreme values in the data"
        )


def norm(slopes: Any) -> float:
    """Length of a tree of gradients taken as one vector: √Σ|g|²."""
    with np.errstate(over="ignore"):
        return math.sqrt(sum(float(np.vdot(g, g).real) for g in tree.leaves(slopes)))


def _copy(leaf: Any) -> Any:
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


def _is_float(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic, float, complex)) and np.asarray(leaf).dtype.kind in "fc"


def _pair(data: tuple[Any, Any], what: str) -> tuple[Any, Any]:
    """The two arrays of ``data``, as equally many rows."""
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise DataError(f"fit: {what} must be a pair (x, y): got {type(data).__name__}; pass {what}=(x, y)")
    x, y = (np.asarray(part) for part in data)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise DataError(
            f"fit: {what} does not fit: got x {x.shape} and y {y.shape}, expected as many rows of both, at least one"
        )
    return x, y


def _require_optimizer(optimizer: Any) -> None:
    if not isinstance(optimizer, type) and hasattr(optimizer, "init") and hasattr(optimizer, "step"):
        return
    name = optimizer.__name__ if isinstance(optimizer, type) else str(optimizer)
    known = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}.get(name.lower(), "Adam")
    got = f"the class {name}" if isinstance(optimizer, type) else f"{optimizer!r:.60}"
    raise TypeError(f"fit: not an optimiser: got {got}, expected an object of optim; pass optimizer=optim.{known}()")


def _count(epochs: int) -> int:
    if operator.index(epochs) < 0:
        raise ValueError(f"fit: bad number of epochs: got {epochs}, expected 0 or more")
    return epochs
