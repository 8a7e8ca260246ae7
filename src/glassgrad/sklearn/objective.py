"""What a perceptron minimises, and what scikit-learn reports of it, which is not always the same number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype_of
from ..graph.node import Value, shape_of
from ..nn.activations import ACTIVATIONS
from ..ops import composite, logic
from ..ops import elementwise as ew
from ..ops import reduction as rd

HIDDEN = {
    "identity": ACTIVATIONS["identity"],
    "logistic": ACTIVATIONS["sigmoid"],
    "tanh": ACTIVATIONS["tanh"],
    "relu": ACTIVATIONS["relu"],
}
OUTPUTS = {"identity": HIDDEN["identity"], "exp": ew.exp, "softmax": composite.softmax, "logistic": ew.sigmoid}


class Parameters(NamedTuple):
    """Weights [inputs, outputs] and biases [outputs] of each layer."""

    coefs: tuple[Any, ...]
    intercepts: tuple[Any, ...]


def forward(parameters: Parameters, x: Value, activation: str) -> Value:
    """The last layer's values before its activation.  # [rows, inputs] -> [rows, outputs]"""
    last = len(parameters.coefs) - 1
    for i, (w, b) in enumerate(zip(*parameters, strict=True)):
        x = x @ w + b
        x = HIDDEN[activation](x) if i < last else x
    return x


def _within_rounding(loss: Value) -> Value:
    """A loss -log p as it is where p is kept between eps and 1 - eps."""
    eps = np.finfo(dtype_of(loss)).eps
    return logic.clip(loss, float(-np.log1p(-eps)), float(-np.log(eps)))


def _squared(z: Value, y: Value) -> tuple[Value, Value]:
    each = 0.5 * (z - y) ** 2
    return rd.sum(each, -1), composite.mean(each, -1)


def _poisson(z: Value, y: Value) -> tuple[Value, Value]:
    least = logic.where(logic.greater(y, 0), y * ew.log(y), 0.0) - y
    loss = rd.sum(ew.exp(z) - y * z + least, -1)
    return loss, loss


def _softmax(z: Value, y: Value) -> tuple[Value, Value]:
    loss = composite.logsumexp(z, -1) - rd.sum(z * y, -1)
    return loss, _within_rounding(loss)


def _logistic(z: Value, y: Value) -> tuple[Value, Value]:
    each = composite.softplus(z) - z * y
    return rd.sum(each, -1), rd.sum(_within_rounding(each), -1)


# By the activation of the last layer. Of its values before activation and the targets, both [rows, outputs]: for each
# row the loss whose derivative is activation(z) - y, and the loss to report.
LOSSES: dict[str, Callable[[Value, Value], tuple[Value, Value]]] = {
    "identity": _squared,
    "exp": _poisson,
    "softmax": _softmax,
    "logistic": _logistic,
}


def _total(weights: Value) -> Value:
    """The sum of a batch's weights; infinite where that is 0, so that such a batch teaches nothing."""
    total = rd.sum(weights)
    return logic.where(logic.equal(total, 0.0), np.inf, total)


def objective(parameters: Parameters, batch: dict[str, Value], alpha: Value, activation: str, output: str) -> Any:
    """The mean loss of a batch with its penalty, alpha/2 · Σ w² shared among the rows; and the same to report.

    Parameters
    ----------
    parameters : the layers
    batch : x [rows, inputs], y [rows, outputs]; w [rows], weights, if there are any; ``rows``, how many count, if that
        is not all of them, or the sum of their weights; ``there`` [rows], which of them count
    alpha : the strength of the penalty, which leaves biases alone
    activation, output : of hidden layers, a key of HIDDEN; of the last layer, a key of OUTPUTS
    """
    losses = LOSSES[output](forward(parameters, batch["x"], activation), batch["y"])
    weights, rows = batch.get("w"), batch.get("rows")
    if weights is not None:
        losses = losses[0] * weights, losses[1] * weights
    if "there" in batch:  # the loss of a row that does not count may be infinite; its slope is 0 by its weight
        losses = losses[0], logic.where(batch["there"], losses[1], 0.0)
    if rows is None:
        rows = float(shape_of(batch["x"])[0]) if weights is None else _total(weights)
    penalty = sum([rd.sum(w * w) for w in parameters.coefs]) * (0.5 * alpha)
    found, reported = [(rd.sum(each) + penalty) / rows for each in losses]
    return found, reported
