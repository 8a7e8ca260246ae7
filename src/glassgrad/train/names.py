"""Losses and metrics as they may be given: functions, or names that ``fit`` and the command line share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..errors import ShapeError
from ..nn.losses import LOSSES, Loss

Metric: TypeAlias = Callable[[Any, Any], float]
Metrics: TypeAlias = str | Metric | Mapping[str, str | Metric] | Sequence[str | Metric] | None


def accuracy(outputs: Any, y: Any) -> float:
    """Share of rows whose class is right.

    Parameters
    ----------
    outputs : scores [..., C], of which the largest counts; or one number a row, above 0 for the second of two classes
    y : class numbers [...], or probabilities [..., C] such as one-hot rows; of two classes 0 and 1, or -1 and 1,
        or the probability of the second

    Raises
    ------
    ShapeError
        They do not fit.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    >>> accuracy(np.array([-3.0, 2.0]), np.array([0, 1]))
    1.0
    """
    outputs, y = np.asarray(outputs), np.asarray(y)
    if outputs.shape[-1:] == (1,) and y.ndim == outputs.ndim - 1:
        outputs = outputs[..., 0]
    single = outputs.shape == y.shape and (y.ndim < 2 or y.shape[-1] == 1)
    if outputs.shape == y.shape and not single:
        y = y.argmax(-1)
    if not single and outputs.shape[:-1] != y.shape:
        raise ShapeError(
            f"accuracy: outputs and targets do not fit: got {outputs.shape} and {y.shape}, expected scores (..., C) "
            f"and class numbers (...); use y.reshape(-1) for a column of them"
        )
    return float(np.mean((outputs > 0) == (y > 0.5) if single else outputs.argmax(-1) == y))


METRICS: dict[str, Metric] = {"accuracy": accuracy, **LOSSES}


def as_loss(given: Any, op: str = "fit") -> Loss:
    """A loss, or the one of a name in ``nn.LOSSES``.

    Raises
    ------
    TypeError, ValueError
        It is no function; there is none of this name.

    Examples
    --------
    >>> as_loss("mse").__name__
    'squared_error'
    >>> as_loss("crossentropy")
    Traceback (most recent call last):
    ValueError: fit: unknown loss: got 'crossentropy', expected one of squared_error, ...; did you mean 'cross_entropy'?
    """
    found: Loss = _function(given, LOSSES, "loss", op)
    return found


def named(metrics: Metrics) -> dict[str, Metric]:
    """Metrics by name: a function's own where none is given.

    >>> def right(outputs, labels):
    ...     return (outputs.argmax(-1) == labels).mean()
    >>> list(named(right)), list(named(["accuracy", right])), list(named({"share": right}))
    (['right'], ['accuracy', 'right'], ['share'])
    """
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        return {name: _function(metric, METRICS, "metric") for name, metric in metrics.items()}
    several = isinstance(metrics, Iterable) and not callable(metrics) and not isinstance(metrics, str)
    given: Any = metrics if several else [metrics]
    found: dict[str, Metric] = {}
    for metric in given:
        function = _function(metric, METRICS, "metric")
        name = metric if isinstance(metric, str) else getattr(metric, "__name__", "metric")
        name = name.replace("<lambda>", "metric")
        if name in found:
            raise ValueError(f"fit: two metrics are called {name!r}: name them, metrics={{'one': ..., 'other': ...}}")
        found[name] = function
    return found


def _function(given: Any, known: Mapping[str, Any], what: str, op: str = "fit") -> Any:
    if callable(given) and not isinstance(given, type):
        return given
    names = ", ".join(known)
    if not isinstance(given, str):
        got = f"the class {given.__name__}" if isinstance(given, type) else f"{given!r:.60}"
        raise TypeError(f"{op}: not a {what}: got {got}, expected a function of outputs and targets, or one of {names}")
    if given.lower() not in known:
        near = difflib.get_close_matches(given.lower(), known, 1)
        hint = f"; did you mean {near[0]!r}?" if near else "; or pass a function of outputs and targets"
        raise ValueError(f"{op}: unknown {what}: got {given!r:.60}, expected one of {names}{hint}")
    return known[given.lower()]
