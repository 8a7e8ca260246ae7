"""Whether a learning rate fits: a few steps of descent from where the model is, and a look along the first of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ... import tree
from ...autodiff.derivatives import grad
from ...autodiff.jacobian import hvp
from ...errors import GlassgradError
from ...graph.node import value_of
from ...optim import SGD, Optimizer, by_name
from ...optim.base import learns
from ...train.measure import loss_of
from .finding import Finding
from .subject import Subject
from .trial import length

STEPS = 10
ROWS = 128  # that they are taken on
WORSE = 2.0  # times the loss of a model that knows nothing
FAR = 10.0  # times it, even if only for a step
TOO_SMALL = 1e4  # a step so many times as long would lower the loss more
SLOW = 1e-3  # of the loss that the trial steps save
DISTANT = 1e4  # times the outputs, and a step of Adam moves them by less than 1
WORTH = 0.01  # share of the loss that such a step has to save
LENGTHS = 10.0 ** np.arange(0, 9)
MOVED = 1.0  # update over weight: a step as long as the weights themselves


def optimizer_of(optimizer: Any, learning_rate: float | None) -> Optimizer | None:
    """The optimiser to judge, from an object or a name and a rate; None where there is none."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if (optimizer is None and learning_rate is None) or hasattr(optimizer, "minimise"):  # which finds its own steps
        return None
    options = {} if learning_rate is None else {"lr": learning_rate}
    return by_name("sgd" if optimizer is None else optimizer, **options)


def learning_rate(subject: Subject, optimizer: Optimizer) -> Iterator[Finding]:
    """A rate that is too large or too small for this model, loss and data.

    Too large: the loss goes far beyond what knowing nothing costs, or stays beyond it, or a first update as large as
    the weights did not lower it. Too small: along the first update a step ``TOO_SMALL`` times as long saves more, and a
    share of the loss that counts.
    """
    subject = subject.first(ROWS).doubled()
    state, rate = _peak(optimizer, subject.params)
    start, slopes = subject.slopes(subject.params)
    if rate == 0 and not callable(optimizer.lr):
        yield Finding("learning_rate_too_small", _said(optimizer, rate), {"learning_rate": rate}, "give one above 0")
    if not rate or not math.isfinite(start) or not length_of(slopes):
        return
    shuffled = subject.shuffled_loss()
    baseline = max(start, shuffled, key=abs) if math.isfinite(shuffled) else start
    params, losses, ratios = subject.params, [start], []
    first = None
    for k in range(STEPS):
        if k:
            _, slopes = subject.slopes(params)
        before = params
        with np.errstate(all="ignore"):
            params, state = optimizer.step(before, slopes, state)
            ratios.append(update_ratio(before, params))
            losses.append(subject.loss_at(params))
        first = params if first is None else first
        if not math.isfinite(losses[-1]):
            break
    evidence: dict[str, Any] = {
        "learning_rate": rate,
        "losses": [float(v) for v in losses],
        "update_to_weight": float(np.median(ratios)),
        "loss_of_knowing_nothing": baseline,
    }
    if _bursts(losses, ratios, abs(baseline)):
        evidence |= {"largest_stable_rate": _stable(subject)}
        yield Finding("learning_rate_too_large", _said(optimizer, rate), evidence, _lower(rate))
        return
    far = None if isinstance(optimizer, SGD) else _far(subject)
    if far is not None and start - min(losses) < SLOW * start:
        evidence |= far
        remedy = "standardise the targets (and undo it for predictions), or set the last bias to their mean"
        yield Finding("unscaled_targets", f"y, for {_said(optimizer, rate)}", evidence, remedy)
        return
    best, saved = _along(subject, first, start)
    if best >= TOO_SMALL and saved > WORTH * abs(baseline):
        evidence |= {"better_step": best, "it_saves": saved, "this_step_saves": start - losses[1]}
        evidence["losses"] = evidence["losses"][:2]
        remedy = f"raise the learning rate, to about {rate * best / 100:.1g} at first"
        yield Finding("learning_rate_too_small", _said(optimizer, rate), evidence, remedy)


def _bursts(losses: list[float], ratios: list[float], baseline: float) -> bool:
    """Whether steps were too long: the loss left for good or by far, or the first step was longer than the weights."""
    start, after = losses[0], losses[1:]
    if not math.isfinite(losses[-1]) or max(after) > FAR * baseline:
        return True
    if ratios[0] > MOVED and (min(after) > 0.9 * start or after[0] > 1.5 * start):
        return True
    return min(after[len(after) // 2 :]) > WORSE * baseline and after[0] > start


def _far(subject: Subject) -> dict[str, float] | None:
    """Sizes of targets and outputs where the loss is of their difference, and steps of a fixed length are many."""
    y, outputs = np.asarray(subject.targets[0]), subject.outputs(subject.x)
    if y.dtype.kind not in "iuf" or not isinstance(outputs, np.ndarray) or y.shape != outputs.shape:
        return None
    wanted, now = (float(np.sqrt(np.mean(np.square(v, dtype=float)))) for v in (y, outputs))
    exact = float(value_of(loss_of(subject.loss, y.astype(float), subject.targets)))
    return {"target_size": wanted, "output_size": now} if exact == 0 and wanted > DISTANT * max(now, 1) else None


def _peak(optimizer: Optimizer, params: Any) -> tuple[Any, float]:
    """A state in which the rate is the largest of its schedule, and that rate."""
    state = optimizer.init(params)
    now = optimizer.rate(state)
    if not callable(optimizer.lr) or not now:
        return state, float(now)
    peak = max(float(value_of(optimizer.lr(int(t)))) for t in (*range(1, 100), *np.logspace(2, 5, 40)))
    scale = np.float64(peak / float(value_of(optimizer.lr(1))))
    return state._replace(scale=scale), peak


def update_ratio(before: Any, after: Any) -> float:
    """‖Δw‖ / ‖w‖ over all parameters."""
    pairs = [(a, b) for a, b in zip(tree.leaves(before), tree.leaves(after), strict=True) if learns(a)]
    moved = math.hypot(*(length(np.asarray(value_of(b)) - np.asarray(value_of(a))) for a, b in pairs))
    return moved / max(math.hypot(*(length(value_of(a)) for a, _ in pairs)), 1e-30)


def length_of(slopes: Any) -> float:
    """Of a tree taken as one vector."""
    return math.hypot(0.0, *(length(value_of(leaf)) for leaf in tree.leaves(slopes)))


def _along(subject: Subject, first: Any, start: float) -> tuple[float, float]:
    """How many times the first update lowers the loss most, and by how much."""

    def at(times: float) -> float:
        moved = tree.map(lambda a, b: a + times * (b - a) if learns(a) else a, subject.params, first)
        found = subject.loss_at(moved)
        return found if math.isfinite(found) else math.inf

    saved = [start - at(times) for times in LENGTHS]
    k = int(np.argmax(saved))
    return float(LENGTHS[k]), float(saved[k])


def _stable(subject: Subject) -> float | None:
    """2 over the curvature gᵀHg / gᵀg along the gradient: descent with a larger rate grows along it."""
    leaves, objective = subject.of_learnt()
    try:
        with np.errstate(all="ignore"):
            slopes = grad(objective)(leaves)
            bent = hvp(objective, leaves, slopes)
    except GlassgradError:  # no derivative of second order
        return None
    squares = sum(float(np.vdot(g, g)) for g in slopes)
    curvature = sum(float(np.vdot(g, h)) for g, h in zip(slopes, bent, strict=True)) / squares
    return 2 / curvature if curvature > 0 else None


def _said(optimizer: Optimizer, rate: float) -> str:
    return f"{type(optimizer).__name__}(lr={rate:g})"


def _lower(rate: float) -> str:
    return f"lower the learning rate (got {rate:g}), by factors of 10 until the loss falls"
