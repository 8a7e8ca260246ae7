"""Graphs made of primitives: means, softmax, log-sum-exp, activations and losses. Nothing here has its own rule."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..errors import DtypeError, ShapeError
from ..graph.node import Value, shape_of, value_of
from . import control, indexing, logic, reduction, view
from . import elementwise as ew
from .reduction import Axis, normalize


def mean(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Arithmetic mean over ``axis``."""
    shape = shape_of(x)
    count = math.prod(shape[i] for i in normalize(axis, len(shape)))
    total = reduction.sum(logic.astype(x, float) if dtype_of(x).kind in "biu" else x, axis, keepdims)
    return total / count if count else total / np.float32(0) * 1


def var(x: Value, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """Mean squared distance from the mean; ``ddof`` is subtracted from the count."""
    shape = shape_of(x)
    count = math.prod(shape[i] for i in normalize(axis, len(shape)))
    away = x - mean(x, axis, keepdims=True)
    squares = ew.real(away * ew.conj(away))
    return reduction.sum(squares, axis, keepdims) / max(count - ddof, 0)


def std(x: Value, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """Square root of the variance; derivative 0 where the variance is 0."""
    return safe_sqrt(var(x, axis, ddof, keepdims))


def safe_sqrt(x: Value) -> Value:
    """√x with derivative 0 at 0: the convention for norms, whose subgradients include it."""
    zero = x == 0
    return logic.where(zero, 0, ew.sqrt(logic.where(zero, 1, x)))


def logsumexp(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """ln Σ eˣ, shifted by the largest element so that nothing overflows.

    The shift is a constant to the gradient, which is exactly softmax; of nothing but -inf it is 0.
    """
    top = peak(x, axis)
    weight = reduction.sum(ew.exp(x - top), axis, keepdims=True)
    total = logic.where(weight == 0, -np.inf, ew.log(logic.where(weight == 0, 1, weight))) + top
    return total if keepdims else without_axes(total, x, axis)


def peak(x: Value, axis: Axis) -> Value:
    """The largest element along ``axis``, kept as 1s, a constant to the gradient; 0 where it is infinite."""
    shape = shape_of(x)
    if 0 in (shape[i] for i in normalize(axis, len(shape))):
        return np.zeros((), dtype_of(x))
    top = control.stop_gradient(reduction.max(ew.real(x), axis, keepdims=True))
    return logic.where(logic.isfinite(top), top, 0)


def without_axes(total: Value, x: Value, axis: Axis) -> Value:
    """A total that kept its folded axes as 1s, without them."""
    shape = shape_of(x)
    axes = normalize(axis, len(shape))
    return view.reshape(total, tuple(n for i, n in enumerate(shape) if i not in axes))


def softmax(x: Value, axis: Axis = -1) -> Value:
    """eˣ / Σ eˣ: positive numbers that sum to 1 along ``axis``. Jacobian diag(s) - s sᵀ."""
    weights = ew.exp(x - peak(x, axis))
    return weights / reduction.sum(weights, axis, keepdims=True)


def log_softmax(x: Value, axis: Axis = -1) -> Value:
    """ln softmax x, without forming a softmax that may underflow to 0.

    The shift comes before the logarithm is taken off: x - logsumexp(x) would lose the digits of a large x.
    """
    z = x - peak(x, axis)
    return z - ew.log(reduction.sum(ew.exp(z), axis, keepdims=True))


def softplus(x: Value) -> Value:
    """ln(1 + eˣ), whose derivative is the sigmoid."""
    return ew.logaddexp(x, 0)


def log_sigmoid(x: Value) -> Value:
    """ln σ(x) = -softplus(-x)"""
    return -softplus(-x)


def silu(x: Value) -> Value:
    """x σ(x)"""
    return x * ew.sigmoid(x)


def gelu(x: Value, approximate: bool = True) -> Value:
    """x Φ(x), by Hendrycks & Gimpel's tanh formula, or exactly with ``approximate=False`` (needs SciPy)."""
    # Functions, because operators make float32 of a plain array of bfloat16 and a number
    if approximate:
        cubic = x + ew.multiply(0.044715, x) * x * x
        return ew.multiply(0.5, x) * (1 + ew.tanh(ew.multiply(math.sqrt(2 / math.pi), cubic)))
    from .special import erf

    return ew.multiply(0.5, x) * (1 + erf(ew.divide(x, math.sqrt(2))))


def leaky_relu(x: Value, slope: float = 0.01) -> Value:
    """x for x > 0, slope · x below and at 0."""
    return logic.where(x > 0, x, ew.multiply(slope, x))


def elu(x: Value, alpha: float = 1.0) -> Value:
    """x for x > 0, α(eˣ - 1) below."""
    return logic.where(x > 0, x, ew.multiply(alpha, ew.expm1(logic.where(x > 0, 0, x))))


def _same_shape(loss: str, prediction: Value, target: Value) -> None:
    got, expected = shape_of(prediction), shape_of(target)
    if got != expected:
        raise ShapeError(
            f"{loss}: prediction and target must have one shape: got {got} and {expected}, which would broadcast to "
            f"every pair; reshape the target, for example target[:, None]"
        )


def squared_error(prediction: Value, target: Value) -> Value:
    """Mean of (ŷ - y)² over all elements; shapes must agree exactly."""
    _same_shape("squared_error", prediction, target)
    away = prediction - target
    return mean(away * away)


def absolute_error(prediction: Value, target: Value) -> Value:
    """Mean of |ŷ - y| over all elements; shapes must agree exactly."""
    _same_shape("absolute_error", prediction, target)
    return mean(ew.absolute(prediction - target))


def cross_entropy(logits: Value, labels: Value) -> Value:
    """Mean of -ln softmax(logits) at the true class; its gradient by a row of logits is (ŷ - y) / rows.

    Parameters
    ----------
    logits : shape (..., C)
    labels : integers in [0, C) of shape (...), or probabilities of shape (..., C)
    """
    scores, classes = shape_of(logits), shape_of(labels)
    if dtype_of(labels).kind in "iu":
        if scores[:-1] != classes:
            raise ShapeError(
                f"cross_entropy: one label per row of logits: got labels {classes} for logits {scores}, expected "
                f"{scores[:-1]}; use labels.reshape(-1) for a column of labels"
            )
        _check_labels(labels, scores[-1])
        rows = indexing.take_along_axis(log_softmax(logits), labels[..., None], -1)
        return -mean(rows)
    if scores[:-1] == classes:
        raise DtypeError(
            f"cross_entropy: class numbers must be integers: got labels of {dtype_of(labels)}; use labels.astype(int)"
        )
    _same_shape("cross_entropy", logits, labels)
    return -mean(reduction.sum(labels * log_softmax(logits), -1))


def _check_labels(labels: Value, classes: int) -> None:
    values: Any = value_of(labels)
    if values is not None and np.size(values) and not 0 <= np.min(values) <= np.max(values) < classes:
        raise ShapeError(
            f"cross_entropy: labels must be class numbers 0 to {classes - 1}: got {np.min(values)} to "
            f"{np.max(values)}; number the classes from 0, or widen the last layer"
        )


def binary_cross_entropy(logits: Value, targets: Value) -> Value:
    """Mean of -y ln σ(z) - (1 - y) ln(1 - σ(z)), from logits z so that nothing overflows."""
    _same_shape("binary_cross_entropy", logits, targets)
    return mean(softplus(logits) - targets * logits)
