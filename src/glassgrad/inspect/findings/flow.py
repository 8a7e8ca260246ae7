"""Gradients that vanish or explode on their way from the loss to the first layers, and the gains that made them.

With z = W a + b and a' = σ(z), backpropagation goes from ∂C/∂z of one layer to that of the layer before by Wᵀ and by
σ'(z). Each is a factor on the length of the gradient; their product over all layers is exactly how much longer or
shorter the gradient is at the first layer than at the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.derivatives import vjp
from ...autodiff.loops import scan as repeated
from ...dtypes import is_inexact
from ...graph.node import value_of
from ...ops.loop import Scan, replayed
from .finding import Finding
from .trial import Layer, Trial, length

VANISHED = 1e-4  # of the last layer's gradient: 8 layers of sigmoids reach it, tanh and rectifiers drawn well do not
EXPLODED = 1e3
STEEP = 10.0  # gain of each layer, with which a tenth of that is enough
DEEP = 4  # layers from which on it is depth that does it
FORGOTTEN = 6e-8  # relative: the last bit of float32
SUMMED = 10  # times the number of steps
PER_STEP = 0.5  # of a gradient is left after a step of a recurrence; a forget gate that starts at 1 leaves 0.73


def flow(trial: Trial) -> Iterator[Finding]:
    """Vanishing and exploding gradients."""
    over_time = [f for node in trial.explanation.record.nodes if node.op is Scan for f in _in_time(trial, node)]
    layers = [layer for layer in trial.layers if trial.norm(layer.z) > 0]
    said = {f.problem for f in over_time}
    if len(layers) >= 2:
        yield from (f for f in _along(trial, layers) if f.problem not in said)
    yield from over_time


def _along(trial: Trial, layers: list[Layer]) -> Iterator[Finding]:
    norms = [trial.norm(layer.z) for layer in layers]
    # A branch may be given little for a good reason, as queries and keys are: the first layers together have to vanish.
    first = max(norms[: max(1, len(norms) // 3)])
    last = norms[-1]
    per_layer = (norms[0] / last) ** (1 / (len(layers) - 1))
    vanished = len(layers) >= DEEP and first < VANISHED * max(norms)
    exploded = norms[0] > EXPLODED * last * (0.1 if per_layer > STEEP else 1)
    if not vanished and not exploded:
        return
    table = gains(trial, layers)
    evidence: dict[str, Any] = {
        "ratio": norms[0] / last,
        "first_gradient": norms[0],
        "last_gradient": last,
        "layers": len(layers),
        "gain_per_layer": per_layer,
        "typical_slope": _typical([row["slope"] for row in table]),
        "typical_weight_gain": _typical([row["weight_gain"] for row in table]),
        "gains": table,
    }
    place = f"{trial.layer_place(layers[0])} to {trial.layer_place(layers[-1])}"
    if vanished:
        bent = evidence["typical_slope"] < evidence["typical_weight_gain"]
        remedy = (
            "use relu or tanh, whose slopes are larger, or add normalisation or shortcuts"
            if bent
            else "draw the weights by He's or Glorot's rule (nn.he_normal, nn.glorot_uniform), or add shortcuts"
        )
        yield Finding("vanishing_gradients", place, evidence, remedy)
    else:
        yield Finding(
            "exploding_gradients",
            place,
            evidence,
            "draw smaller weights (nn.he_normal, nn.glorot_uniform), normalise between the layers, or clip gradients "
            "(optim.Clipped)",
        )


def gains(trial: Trial, layers: list[Layer]) -> list[dict[str, Any]]:
    """Of each layer the factors on the length of the gradient, whose product over the table is first over last.

    ``slope`` is what σ'(z) leaves of the gradient that arrives at the activation; ``weight_gain`` what the layer after
    makes of its own on the way there, at most ``weight_norm``, the largest singular value of its weight, in a chain.
    """
    rows = []
    for k, layer in enumerate(layers):
        at_exit, at_z = trial.norm(layer.exit) or trial.norm(layer.z), trial.norm(layer.z)
        after = layers[k + 1] if k + 1 < len(layers) else None
        rows.append(
            {
                "layer": trial.layer_place(layer),
                "gradient": at_z,
                "slope": at_z / at_exit if after is not None else 1.0,
                "mean_slope": 1.0 if layer.bends is None else float(np.mean(np.abs(layer.bends))),
                "weight_gain": at_exit / trial.norm(after.z) if after is not None else 1.0,
                "weight_norm": 1.0 if after is None else _norm(after.weight.value),
            }
        )
    return rows


def _norm(weight: Any) -> float:
    """The largest singular value of a matrix; of a kernel, of the matrix of its outputs by all else."""
    w = np.asarray(weight, float)
    return float(np.linalg.norm(w.reshape(len(w), -1) if w.ndim > 2 else w, 2 if w.ndim > 1 else None))


def _typical(values: list[float]) -> float:
    """The geometric mean of all but the last, which has nothing after it."""
    inner = [v for v in values[:-1] if v > 0]
    return float(np.exp(np.mean(np.log(inner)))) if inner else 1.0


def _in_time(trial: Trial, scan: Any) -> Iterator[Finding]:
    """A recurrence whose gradient changes from step to step by so much that the first steps count nothing, or all."""
    steps = _before_steps(trial, scan)
    entered = next((k for k, s in enumerate(steps) if s > 0), len(steps))  # steps that the loss does not ask for
    steps = steps[entered:]
    if len(steps) < 4:
        return
    start = steps[0]
    steps = [s for s in steps if s > 0] if steps[-1] == 0 else steps
    ratio, rounds = steps[-1] / start, len(steps) - 1
    per_step = float(ratio ** (1 / rounds)) if rounds else 1.0
    evidence = {"ratio": ratio, "steps": rounds + 1, "gain_per_step": per_step}
    place = f"{trial.place(scan)}, over time"
    # Where the loss asks for every step, their gradients add up without any of them growing.
    if max(steps) > max(EXPLODED, SUMMED * rounds) * start and per_step > 1:
        remedy = "draw smaller recurrent weights (nn.orthogonal), or clip gradients (optim.Clipped)"
        yield Finding("exploding_gradients", place, evidence, remedy)
    elif ratio < FORGOTTEN and per_step < PER_STEP and _begins(trial, scan):
        remedy = "use nn.LSTM or nn.GRU, or draw recurrent weights by nn.orthogonal"
        yield Finding("vanishing_gradients", place, evidence, remedy)


def _before_steps(trial: Trial, scan: Any) -> list[float]:
    """Lengths of ∂C/∂carry before each step, from where the gradient enters.

    The loop is run again with something added to the carry before each step, which is 0, and differentiated by it.
    """
    given, reverse = trial.gradient(scan), scan.params["reverse"]
    body, n, count = scan.params["body"], scan.params["counts"].carry, scan.params["length"]
    m = n + scan.params["counts"].xs
    values = [value_of(x) for x in scan.inputs]
    floating = [k for k in range(n) if is_inexact(values[k].dtype)]
    if given is None or not floating:
        return []

    def outputs(added: list[Any]) -> Any:
        def step(carry: list[Any], rows: Any) -> Any:
            sliced, extra = rows
            moved = dict(zip(floating, extra, strict=True))
            held = [c + moved[k] if k in moved else c for k, c in enumerate(carry)]
            found = replayed(body, [*held, *sliced, *values[m:]])
            return found[:n], found[n:]

        last, ys = repeated(step, values[:n], (values[n:m], added), count, reverse)
        return [*last, *ys]

    zeros = [np.zeros((count, *np.shape(values[k])), values[k].dtype) for k in floating]
    with np.errstate(all="ignore"):
        made, pullback = vjp(outputs, zeros)
        cotangents = [np.zeros(y.shape, y.dtype) if g is None else g for y, g in zip(made, given, strict=True)]
        (found,) = pullback(cotangents)
    steps = [length([part[i] for part in found]) for i in range(count)]
    return steps if reverse else steps[::-1]


def _begins(trial: Trial, scan: Any) -> bool:
    """Whether something enters at the first steps alone: rows of data, or a first carry where data enter nowhere else.

    An iteration to a fixed point is given the same at every step, and forgets where it began as it should.
    """
    counts, body = scan.params["counts"], scan.params["body"]
    m = counts.carry + counts.xs
    used = {x for node in body.nodes for x in node.inputs}
    if not used.isdisjoint(body.inputs[counts.carry : m]):
        return True
    return any(x.tracked for x in scan.inputs[: counts.carry]) and not any(x in trial.fed for x in scan.inputs[m:])
