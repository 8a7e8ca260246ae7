"""Units that do nothing, or all the same: dead, saturated, symmetric; and outputs that are constant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...graph.node import Constant, Node, creation_order
from ...ops.control import Named
from .finding import Finding
from .trial import Layer, Trial, same_value

BENT = {"sigmoid": 0.25, "tanh": 1.0}  # their largest slopes
FLAT = 0.009  # of the largest slope: |z| above 6, above 3. Just below the slope that leaky_relu has
FAR_OUT = 2.0  # where every activation but rectifiers is flat on one side; sign and floor are so everywhere
FLAT_SHARE = 0.8
MARGIN = 0.2  # by which more units may be dead than with random weights
MARGIN_LEARNT = 0.6  # in a model that does well without them
DRAWN = 512  # random units that the share is found with
ROWS = 4  # below this many rows nothing is said of units
SAME = 1e-6  # relative: float32 sums in another order
CONSTANT = 1e-5  # relative; a deep network of rectifiers hands on differences of 1e-2


def dead(trial: Trial, learnt_already: bool) -> Iterator[Finding]:
    """Rectifiers that are off for every row of the sample, more of them than the inputs of the layer explain."""
    rows = []
    for node, z in rectifiers(trial).items():
        pre = trial.units(z, z.value)
        if len(pre) < ROWS or not np.isfinite(pre).all() or not np.any(pre):
            continue
        off = (pre <= 0).all(axis=0)
        units = len(off)
        expected = _expected(trial, z)
        margin = MARGIN_LEARNT if learnt_already else MARGIN
        limit = expected + margin + 3 * np.sqrt(expected * (1 - expected) / units)
        if off.all() or (off.mean() > min(limit, 0.97) and units >= 4):
            rows.append((node, z, off, expected, pre))
    for node, z, off, expected, pre in rows:
        evidence: dict[str, Any] = {
            "dead": int(off.sum()),
            "units": len(off),
            "share": float(off.mean()),
            "share_with_random_weights": float(expected),
            "largest_preactivation": float(pre[:, off].max()),
            "rows": len(pre),
            "line": trial.line(node),
        }
        bias = _bias(trial, z)
        if bias is not None:
            evidence["mean_bias"] = float(np.mean(bias))
        yield Finding(
            "dead_relu",
            trial.place(node),
            evidence,
            "lower the learning rate and start anew, set biases to 0, or use leaky_relu, elu or gelu",
        )


def rectifiers(trial: Trial) -> dict[Any, Any]:
    """Values that are max(z, 0), each with its z: by their op, or by their numbers, as where(z > 0, z, 0) is."""
    found = {layer.exit: layer.z for layer in trial.layers if _rectifies(layer)}
    for node in trial.explanation.record.nodes:
        if not node.tracked or node not in trial.dependent:
            continue
        if node.op.name == "relu":
            found[node] = node.inputs[0]
        elif node.op.name in ("maximum", "fmax"):
            for k, x in enumerate(node.inputs):
                other = node.inputs[1 - k]
                if other.op is Constant and other.shape == () and other.value == 0 and x in trial.dependent:
                    found[node] = x
    return found


def _rectifies(layer: Layer) -> bool:
    if layer.bends is None or layer.exit is layer.z:
        return False
    on = layer.z.value > 0
    if not on.any() and layer.exit.op.name != "where":  # gelu and others far out are 0 too
        return False
    return np.array_equal(layer.bends, on) and np.array_equal(layer.exit.value, layer.z.value * on)


def _source(trial: Trial, z: Any) -> Layer | None:
    """The layer whose product z is, if nothing but its bias came in between."""
    end = trial.network.z_of.get(z, z)
    return next((layer for layer in trial.layers if layer.z is end), None)


def _expected(trial: Trial, z: Any) -> float:
    """The share of units with random weights and no bias that would be off for every row, given the same inputs.

    Inputs that are all positive, or alike, leave some units off for all of them: in a deep network of rectifiers up to
    one in two.
    """
    layer = _source(trial, z)
    if layer is None or trial.axis(z) == 1 or np.ndim(layer.operand.value) < 2:
        return 0.5
    a = np.asarray(layer.operand.value, float)
    a = a.reshape(-1, a.shape[-1])
    drawn = np.random.default_rng(0).normal(size=(a.shape[1], DRAWN))
    return float((a @ drawn <= 0).all(axis=0).mean())


def _bias(trial: Trial, z: Any) -> Any:
    """What a parameter adds to z last, if one does."""
    if z.op.name != "add":
        return None
    return next((x.value for x in z.inputs if trial.network.parameter(x) is not None), None)


def saturated(trial: Trial, learnt_already: bool) -> Iterator[Finding]:
    """Hidden activations that nearly all are on their flat parts, in a model that has not learnt yet."""
    if learnt_already:
        return
    for node, (z, slope, largest) in slopes(trial).items():
        share = float((np.abs(slope) < FLAT * largest).mean())
        if share > FLAT_SHARE and np.size(slope) >= ROWS:
            yield Finding(
                "saturated",
                trial.place(node),
                {
                    "share": share,
                    "mean_slope": float(np.mean(np.abs(slope))),
                    "largest_slope": largest,
                    "mean_absolute_preactivation": float(np.abs(z.value).mean()),
                    "activation": node.op.name,
                    "line": trial.line(node),
                },
                "standardise the inputs, and draw smaller weights (nn.glorot_uniform) and biases of 0",
            )


def slopes(trial: Trial) -> dict[Any, tuple[Any, Any, float]]:
    """Activations with z, their slopes there and the largest they can have; rectifiers and gates left out."""
    found: dict[Any, tuple[Any, Any, float]] = {}
    for node in trial.explanation.record.nodes:
        if node.op.name in BENT and node.tracked and node in trial.dependent and not _gate(trial, node):
            y = np.asarray(node.value, float)
            slope = y * (1 - y) if node.op.name == "sigmoid" else 1 - y * y
            found[node] = node.inputs[0], slope, BENT[node.op.name]
    off = rectifiers(trial)
    for layer in trial.layers:
        known = layer.exit in found or layer.exit in off or layer.exit.op.name in (*BENT, "relu")
        far = np.abs(layer.z.value).mean() > FAR_OUT
        if (
            far
            and layer.bends is not None
            and not known
            and layer.exit in trial.dependent
            and layer.z is not trial.outputs
        ):
            found[layer.exit] = layer.z, layer.bends, 1.0
    return found


def _gate(trial: Trial, node: Node) -> bool:
    """Whether a value multiplies another that is learnt, as gates do and the inner part of gelu or silu."""
    users = [u for u in trial.users.get(node, []) if u in trial.dependent]
    while users and all(u.op.name in ("add", "sub") and len(u.inputs) == 2 for u in users):
        if any(x.op is not Constant for u in users for x in u.inputs if x is not node):
            break
        (node, *_), users = users, [v for u in users for v in trial.users.get(u, [])]
    return any(
        u.op.name == "mul" and all(x in trial.dependent and x not in trial.names for x in u.inputs) for u in users
    )


def symmetric(trial: Trial, later: Trial) -> Iterator[Finding]:
    """Hidden layers whose units have all one value and one gradient, now and after steps of descent."""
    same = {trial.names[layer.weight]: layer for layer in _alike(trial)}
    still = {later.names[layer.weight] for layer in _alike(later)}
    found = [layer for name, layer in same.items() if name in still]
    if found:
        weights = [np.asarray(layer.weight.value) for layer in found]
        yield Finding(
            "symmetric_units",
            ", ".join(trial.layer_place(layer) for layer in found[:4]) + (", ..." if len(found) > 4 else ""),
            {
                "layers": len(found),
                "units": [int(trial.units(layer.z, layer.z.value).shape[1]) for layer in found],
                "weight_mean": [float(w.mean()) for w in weights],
                "weight_std": [float(w.std()) for w in weights],
            },
            "draw the weights at random (nn.glorot_uniform, nn.he_normal); only biases may begin alike",
        )


def _alike(trial: Trial) -> list[Layer]:
    found = []
    for layer in trial.layers:
        g = trial.gradient(layer.z)
        if layer.z is trial.outputs or g is None or _last(trial, layer):
            continue
        values, slopes = (trial.units(layer.z, part) for part in (layer.z.value, g))
        if values.shape[1] >= 2 and _equal(values) and _equal(slopes) and _equal_weights(layer):
            found.append(layer)
    return found


def _last(trial: Trial, layer: Layer) -> bool:
    """Whether no further layer comes after."""
    return layer.z is max((other.z for other in trial.layers), key=creation_order)


def _equal(columns: Any) -> bool:
    top = np.abs(columns).max(initial=0.0)
    return bool((np.abs(columns - columns[:, :1]) <= SAME * top).all())


def _equal_weights(layer: Layer) -> bool:
    """Whether all units have the same weights, along whichever axis they are."""
    w = np.asarray(layer.weight.value)
    w = w.reshape(len(w), -1)
    return _equal(w) or _equal(w.T)


def constant(trial: Trial, later: Trial) -> Iterator[Finding]:
    """Outputs that are the same for all rows of the sample, though the rows differ; now and after steps of descent."""
    spread = _spread(trial)
    if spread is None or _spread(later) is None or not _differs(trial.subject.x):
        return
    values = np.asarray(trial.outputs.value, float)
    values = values.reshape(len(values), -1)
    node = trial.outputs
    while node.op is Named or (same_value(node) and node.inputs):
        node = node.inputs[0]
    yield Finding(
        "constant_output",
        trial.place(node),
        {
            "relative_spread": spread,
            "mean": [float(v) for v in values.mean(axis=0)[:4]],
            "rows": len(values),
            "line": trial.line(node),
        },
        "look for inputs that are multiplied by 0, weights that are 0, or units that are dead or saturated",
    )


def _spread(trial: Trial) -> float | None:
    """How much outputs differ between rows, by their size; None where they do."""
    if trial.outputs is None or np.ndim(trial.outputs.value) == 0 or len(trial.outputs.value) < ROWS:
        return None
    values = np.asarray(trial.outputs.value)
    values = values.reshape(len(values), -1).astype(float)
    if not np.isfinite(values).all():
        return None
    spread = float(np.ptp(values, axis=0).max() / max(np.abs(values).max(), 1e-300))
    return spread if spread < CONSTANT else None


def _differs(x: Any) -> bool:
    from ... import tree

    return any(len(leaf) > 1 and bool((leaf != leaf[:1]).any()) for leaf in tree.leaves(x))
