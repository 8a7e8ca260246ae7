"""Losses: composites that stay finite for every finite input, and refuse shapes that would broadcast by accident.

All take ``weights``, one per sample and at least 0: their shape is the shape of the losses or its leading part. The
mean is then Σ w l / Σ w, and 0 where every weight is 0; "sum" is Σ w l; "none" gives the losses w l.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..errors import DtypeError, ShapeError
from ..graph.node import Value, shape_of, value_of
from . import composite, indexing, logic, view
from . import elementwise as ew
from .composite import log_softmax, softplus
from .given import operand
from .reduction import sum as total_of


def _matched(loss: str, prediction: Value, target: Value) -> tuple[Value, Value]:
    """Prediction and target, whose shapes must be one; whole numbers of the target in the prediction's dtype."""
    prediction, target = operand(prediction), operand(target)
    got, expected = shape_of(prediction), shape_of(target)
    if got != expected:
        raise ShapeError(
            f"{loss}: prediction and target must have one shape: got {got} and {expected}, which would broadcast to "
            f"every pair; reshape the target, for example target[:, None]"
        )
    return prediction, logic.astype(target, dtype_of(prediction)) if dtype_of(target).kind in "biu" else target


def _reduced(loss: str, losses: Value, weights: Value | None, how: str, shares: Value | None = None) -> Value:
    """Losses weighted and reduced; ``shares`` count in the mean, as weights do, but are in the losses already."""
    if how not in ("mean", "sum", "none"):
        raise ValueError(f"{loss}: unknown reduction: got {how!r}, expected 'mean', 'sum' or 'none'")
    shape = shape_of(losses)
    if how == "mean" and 0 in shape:
        raise ShapeError(f"{loss}: no mean of nothing: got losses of shape {shape}, expected one at least")
    if weights is not None:
        weights = operand(weights)
        given = shape_of(weights)
        if given != shape[: len(given)]:
            raise ShapeError(
                f"{loss}: weights do not fit: got {given} for losses {shape}, expected {shape} or a leading part of it"
            )
        known: Any = value_of(weights)
        if known is not None and (np.asarray(known) < 0).any():
            raise ValueError(f"{loss}: weights must be at least 0: got {np.min(known)}; 0 leaves a sample out")
        weights = view.reshape(logic.astype(weights, dtype_of(losses)), (*given, *(1,) * (len(shape) - len(given))))
        losses = weights * losses
        shares = weights if shares is None else weights * shares
    if how == "none":
        return losses
    if how == "sum":
        return total_of(losses)
    if shares is None:
        return composite.mean(losses)
    total = total_of(shares) * (math.prod(shape) / max(math.prod(shape_of(shares)), 1))
    return total_of(losses) / logic.where(total == 0, 1, total)


def squared_error(prediction: Value, target: Value, *, weights: Value | None = None, reduction: str = "mean") -> Value:
    """Mean of (ŷ - y)² over all elements; shapes must agree exactly.

    >>> import numpy as np
    >>> float(squared_error(np.array([1.0, 2.0]), np.array([0.0, 0.0]), weights=np.array([3.0, 1.0])))
    1.75
    """
    prediction, target = _matched("squared_error", prediction, target)
    away = prediction - target
    return _reduced("squared_error", away * away, weights, reduction)


def absolute_error(prediction: Value, target: Value, *, weights: Value | None = None, reduction: str = "mean") -> Value:
    """Mean of |ŷ - y| over all elements; shapes must agree exactly."""
    prediction, target = _matched("absolute_error", prediction, target)
    return _reduced("absolute_error", ew.absolute(prediction - target), weights, reduction)


def huber(
    prediction: Value, target: Value, delta: float = 1.0, *, weights: Value | None = None, reduction: str = "mean"
) -> Value:
    """Mean of a²/2 for |a| ≤ δ, δ (|a| - δ/2) beyond, with a = ŷ - y: P. J. Huber 1964, section 4."""
    if not delta > 0:
        raise ValueError(f"huber: bad delta: got {delta}, expected a number above 0")
    prediction, target = _matched("huber", prediction, target)
    size = ew.absolute(prediction - target)
    near = logic.where(size <= delta, size, 0)  # squared only where that cannot overflow
    losses = logic.where(size <= delta, 0.5 * near * near, delta * (size - 0.5 * delta))
    return _reduced("huber", losses, weights, reduction)


def cross_entropy(
    logits: Value,
    labels: Value,
    *,
    weights: Value | None = None,
    class_weights: Value | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    axis: int = -1,
    reduction: str = "mean",
) -> Value:
    """Mean of -ln softmax(logits) at the true class; its gradient by a row of logits is (ŷ - y) / rows.

    Parameters
    ----------
    logits : shape (..., C)
    labels : integers in [0, C) of shape (...), or probabilities of shape (..., C), which need not sum to 1: the loss is
        -Σ y ln ŷ
    weights : one per sample, of shape (...) or a leading part of it
    class_weights : (C,); a sample counts as its class does, in the mean too. Probabilities are weighted one by one, and
        the mean is over rows: both as in PyTorch
    label_smoothing : ε, by which labels become (1 - ε) y + ε / C: C. Szegedy et al. 2016, section 7
    ignore_index : a label whose samples count nothing
    axis : where the classes are; 1 for images (N, C, H, W)

    Raises
    ------
    ShapeError, DtypeError
        Labels do not fit the logits, are no class numbers, or are not integers.
    IndexError
        From compiled code, at the end of the call: labels are no class numbers.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[2.0, 0.0], [0.0, 0.0], [9.0, 9.0]])
    >>> round(float(cross_entropy(logits, np.array([0, 1, -1]), ignore_index=-1)), 6)
    0.410038
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: bad label_smoothing: got {label_smoothing}, expected a number from 0 to 1")
    logits, labels = operand(logits), operand(labels)
    hard = dtype_of(labels).kind in "iu"
    if axis not in (-1, len(shape_of(logits)) - 1):
        logits = view.moveaxis(logits, axis, -1)
        labels = labels if hard else view.moveaxis(labels, axis, -1)
    count = shape_of(logits)[-1]
    if class_weights is not None:
        class_weights = operand(class_weights)
        if shape_of(class_weights) != (count,):
            raise ShapeError(f"cross_entropy: got class_weights {shape_of(class_weights)}, expected ({count},)")
        class_weights = logic.astype(class_weights, dtype_of(logits))
    if hard:
        losses, shares = _of_labels(logits, labels, class_weights, label_smoothing, ignore_index)
    else:
        losses, shares = _of_probabilities(logits, labels, class_weights, label_smoothing), None
    return _reduced("cross_entropy", losses, weights, reduction, shares)


def _of_labels(
    logits: Value, labels: Value, class_weights: Value | None, smoothing: float, ignore: int | None
) -> tuple[Value, Value | None]:
    """The loss of each sample, and what it counts for in a mean."""
    scores, classes = shape_of(logits), shape_of(labels)
    if scores[:-1] != classes:
        one_hot = scores == classes and classes[-1] > 1
        way = "astype(float) for one-hot rows" if one_hot else "reshape(-1) for a column of labels"
        raise ShapeError(
            f"cross_entropy: one label per row of logits: got labels {classes} of {dtype_of(labels)} for logits "
            f"{scores}, expected {scores[:-1]}; use labels.{way}"
        )
    counted = None if ignore is None else labels != ignore
    if counted is not None:
        labels = logic.where(counted, labels, 0)
    _check_labels(labels, scores[-1])
    labels = indexing.from_zero(labels, scores[-1])
    logs = log_softmax(logits)
    losses = -indexing.take_along_axis(logs, labels[..., None], -1)[..., 0]
    shares = None
    if class_weights is not None:
        shares = indexing.take(class_weights, labels)
        losses = losses * shares
        logs = logs * class_weights
    if smoothing:
        losses = (1 - smoothing) * losses - smoothing / scores[-1] * total_of(logs, -1)
    if counted is not None:
        losses = logic.where(counted, losses, 0)
        shares = logic.where(counted, 1 if shares is None else shares, 0)
        shares = logic.astype(shares, dtype_of(losses))
    return losses, shares


def _of_probabilities(logits: Value, target: Value, class_weights: Value | None, smoothing: float) -> Value:
    if shape_of(logits)[:-1] == shape_of(target):
        raise DtypeError(
            f"cross_entropy: class numbers must be integers: got labels of {dtype_of(target)}; use labels.astype(int)"
        )
    logits, target = _matched("cross_entropy", logits, target)
    if smoothing:
        target = (1 - smoothing) * target + smoothing / shape_of(logits)[-1]
    terms = target * log_softmax(logits)
    return -total_of(terms if class_weights is None else terms * class_weights, -1)


def _check_labels(labels: Value, classes: int) -> None:
    values: Any = value_of(labels)
    if values is not None and np.size(values) and not 0 <= np.min(values) <= np.max(values) < classes:
        raise ShapeError(
            f"cross_entropy: labels must be class numbers 0 to {classes - 1}: got {np.min(values)} to "
            f"{np.max(values)}; number the classes from 0, or widen the last layer"
        )


def binary_cross_entropy(
    logits: Value,
    targets: Value,
    *,
    positive_weight: Value | None = None,
    weights: Value | None = None,
    reduction: str = "mean",
) -> Value:
    """Mean of -p y ln σ(z) - (1 - y) ln(1 - σ(z)), from logits z so that nothing overflows.

    Parameters
    ----------
    logits, targets : one shape; targets are probabilities, or 0 and 1
    positive_weight : p, a number or one per element of the last axis: what positive targets count for
    """
    logits, targets = _matched("binary_cross_entropy", logits, targets)
    values: Any = value_of(targets)
    if values is not None and ((np.asarray(values) < 0) | (np.asarray(values) > 1)).any():
        raise ValueError(
            f"binary_cross_entropy: targets must be from 0 to 1: got {np.min(values)} to {np.max(values)}; for -1 and "
            f"1 pass (targets + 1) / 2"
        )
    if positive_weight is None:
        losses = softplus(logits) - targets * logits
    else:
        positive_weight = operand(positive_weight)
        if shape_of(positive_weight) not in ((), shape_of(logits)[-1:]):
            raise ShapeError(
                f"binary_cross_entropy: positive_weight does not fit: got {shape_of(positive_weight)} for logits "
                f"{shape_of(logits)}, expected a number or {shape_of(logits)[-1:]}"
            )
        losses = (1 - targets) * logits + (1 + (positive_weight - 1) * targets) * softplus(-logits)
    return _reduced("binary_cross_entropy", losses, weights, reduction)


def kl_divergence(
    logits: Value, target: Value, *, log_target: bool = False, weights: Value | None = None, reduction: str = "mean"
) -> Value:
    """Mean over rows of Σ p ln(p / q), with q = softmax(logits); p ln p is 0 where p is 0.

    Parameters
    ----------
    logits : (..., C); logarithms of probabilities too, which log_softmax leaves as they are
    target : (..., C), the probabilities p, or their logits with ``log_target``
    """
    logits, target = _matched("kl_divergence", logits, target)
    if log_target:
        logs = log_softmax(target)
        p = ew.exp(logs)
    else:
        p, zero = target, target == 0
        logs = ew.log(logic.where(zero, 1, p))
    return _reduced("kl_divergence", total_of(p * (logs - log_softmax(logits)), -1), weights, reduction)


def hinge(
    scores: Value,
    targets: Value,
    *,
    margin: float = 1.0,
    squared: bool = False,
    weights: Value | None = None,
    reduction: str = "mean",
) -> Value:
    """Mean of max(0, margin - y s), or of its square, for targets y of -1 and 1; slope 0 at the kink."""
    scores, targets = _matched("hinge", scores, targets)
    values: Any = value_of(targets)
    if values is not None and not (np.abs(values) == 1).all():
        raise ValueError("hinge: targets must be -1 or 1; for 0 and 1 pass 2 * targets - 1")
    short = logic.relu(margin - targets * scores)
    return _reduced("hinge", short * short if squared else short, weights, reduction)


def cosine_similarity(a: Value, b: Value, axis: int = -1, epsilon: float = 1e-8) -> Value:
    """a · b / (max(|a|, ε) max(|b|, ε)) along ``axis``; shapes must agree exactly."""
    a, b = _matched("cosine_similarity", a, b)
    return total_of(_unit(a, axis, epsilon) * _unit(b, axis, epsilon), axis)


def _unit(x: Value, axis: int, epsilon: float) -> Value:
    top = composite.peak(ew.absolute(x), axis)  # squares of a large or small x leave the floating range
    x = x / logic.where(top == 0, 1, top)
    length = composite.safe_sqrt(total_of(x * x, axis, keepdims=True))
    least = epsilon / logic.where(top == 0, 1, top)
    return x / logic.where(length > least, length, least)


def cosine_distance(
    prediction: Value, target: Value, *, axis: int = -1, weights: Value | None = None, reduction: str = "mean"
) -> Value:
    """Mean of 1 - cos of the angle between rows: 0 for the same direction, 2 for opposite ones."""
    return _reduced("cosine_distance", 1 - cosine_similarity(prediction, target, axis), weights, reduction)
