"""What is wrong with the targets, given what the loss takes and what the outputs can be."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.derivatives import grad
from ...errors import GlassgradError
from ...graph.node import creation_order
from ...graph.primitive import Elementwise
from ...ops import losses
from ...train.measure import loss_of
from .finding import Finding
from .subject import Subject
from .trial import Trial, same_value

SHOWN = 5
BROADCAST = frozenset(("sub", "add", "mul", "div", "maximum", "minimum", "less", "greater", "equal"))
PROBE = np.concatenate([-np.logspace(6, -3, 40), [0.0], np.logspace(-3, 6, 40)])
UNBOUNDED = 1e4
FEW = 0.01  # share of targets out of reach that noise may put there


class Targets:
    """Targets looked at: what is wrong with them, and what of them can be gone on with.

    Attributes
    ----------
    findings : what is wrong
    y : the targets in a form the loss takes, as far as that is clear
    good : which rows the loss takes
    """

    def __init__(self, subject: Subject, outputs: Any) -> None:
        self.subject, self.outputs = subject, outputs
        self.findings: list[Finding] = []
        self.y: Any = subject.targets[0] if subject.targets else None
        self.good: Any = None
        loss = subject.loss
        self.options: dict[str, Any] = {}
        while isinstance(loss, functools.partial):
            self.options = {**loss.keywords, **self.options}
            loss = loss.func
        if not isinstance(self.y, np.ndarray) or not isinstance(outputs, np.ndarray):
            return
        self.good = np.ones(len(self.y), bool)
        known = {
            losses.cross_entropy: self.classes,
            losses.binary_cross_entropy: self.probabilities,
            losses.hinge: self.signs,
        }
        if loss in known:
            self.shape(1 if loss is losses.cross_entropy else 0)
            known[loss]()
        elif getattr(loss, "__module__", "") == losses.__name__:
            self.shape(0)
        else:
            self.guessed()

    def add(self, problem: str, evidence: dict[str, Any], remedy: str) -> None:
        self.findings.append(Finding(problem, "y", evidence, remedy))

    def shape(self, fewer: int) -> None:
        """Targets with an axis of 1 too many or too few for this package's losses, which do not broadcast."""
        wanted = self.outputs.shape
        if fewer and (self.y.shape == wanted or (self.y.ndim == self.outputs.ndim and self.y.shape[-1] != 1)):
            return
        if fewer:
            axis = self.options.get("axis", -1) % self.outputs.ndim
            wanted = wanted[:axis] + wanted[axis + 1 :]
        if self.y.shape != wanted and self.y.size == np.prod(wanted):
            evidence = {"outputs": list(self.outputs.shape), "targets": list(self.y.shape), "expected": list(wanted)}
            self.add(
                "target_shape", evidence, f"reshape the targets: y.reshape({', '.join(map(str, (-1, *wanted[1:])))})"
            )
            self.y = self.y.reshape(wanted)

    def refuse(self, bad: Any, evidence: dict[str, Any], remedy: str) -> None:
        """Note targets that the loss does not take, and leave their rows out."""
        rows = bad.reshape(len(bad), -1).any(axis=1)
        if rows.any():
            numbers = {
                "least": np.asarray(self.y).min().item(),
                "largest": np.asarray(self.y).max().item(),
                "bad_rows": int(rows.sum()),
                "first_rows": np.flatnonzero(rows)[:SHOWN].tolist(),
            }
            self.add("labels_out_of_range", numbers | evidence, remedy)
            self.good &= ~rows

    def classes(self) -> None:
        """Of cross-entropy: class numbers, or probabilities of the shape of the logits."""
        y, count = self.y, self.outputs.shape[self.options.get("axis", -1)]
        if y.shape == self.outputs.shape and y.dtype.kind == "f":
            self.refuse(y < 0, {"expected": "probabilities of at least 0"}, "pass class numbers, or probabilities")
            return
        if y.dtype.kind in "bf":
            whole = y.dtype.kind == "b" or bool((y == np.round(y)).all())
            evidence = {"dtype": str(y.dtype), "expected": "integers"}
            if whole:
                self.add("labels_out_of_range", evidence, "make class numbers of them: y.astype(int)")
                self.y = y = np.asarray(y).astype(int)
            else:
                self.refuse(y != np.round(y), evidence, "these are no class numbers: use squared_error, or number them")
                self.y = y = np.round(y).astype(int)
        ignored = self.options.get("ignore_index")
        bad = ((y < 0) | (y >= count)) & (y != ignored if ignored is not None else True)
        remedy = f"widen the last layer to {int(y.max()) + 1} outputs, or number the classes from 0"
        if bad.any() and set(np.unique(y).tolist()) == {-1, 1}:
            remedy = "number the classes from 0: (y + 1) // 2"
        elif bad.any() and y.min() == 1 and y.max() == count:
            remedy = "number the classes from 0: y - 1"
        elif bad.any() and y.min() < 0:
            remedy = "number the classes from 0; for rows to leave out pass ignore_index"
        self.refuse(bad, {"expected": f"0 to {count - 1}", "outputs": count}, remedy)

    def probabilities(self) -> None:
        """Of binary cross-entropy."""
        if self.y.dtype.kind in "biuf":
            y = self.y.astype(float)
            remedy = (
                "(y + 1) / 2 makes 0 and 1 of them" if set(np.unique(y)) == {-1.0, 1.0} else "pass 0 and 1, or shares"
            )
            self.refuse((y < 0) | (y > 1), {"expected": "0 to 1"}, remedy)

    def signs(self) -> None:
        """Of hinge losses."""
        self.refuse(np.abs(self.y) != 1, {"expected": "-1 and 1"}, "2 * y - 1 makes -1 and 1 of 0 and 1")

    def guessed(self) -> None:
        """Of a loss that is not known: whole numbers beside a row of outputs each are class numbers."""
        y, outputs = self.y, self.outputs
        if y.dtype.kind not in "iu" or outputs.ndim != y.ndim + 1 or outputs.shape[:-1] != y.shape:
            return
        count = outputs.shape[-1]
        bad = (y < 0) | (y >= count)
        if count < 2 or not bad.any():
            return
        try:
            slopes = grad(lambda o: loss_of(self.subject.loss, o, self.subject.targets))(outputs.astype(float))
            wrong = bool(np.any(slopes[y < 0]))  # counted from the end, unless the loss leaves such rows out
        except (GlassgradError, IndexError, ValueError):
            wrong = True
        if wrong:
            remedy = "number the classes from 0: y - 1" if y.min() == 1 and y.max() == count else "number from 0"
            self.refuse(bad, {"expected": f"0 to {count - 1}", "outputs": count}, remedy)


def broadcast(trial: Trial) -> Iterator[Finding]:
    """A loss that sets every output against every target, (N, 1) against (N,)."""
    outputs, y = trial.outputs, trial.subject.targets[0] if trial.subject.targets else None
    if outputs is None or not isinstance(y, np.ndarray) or len(y) < 2:
        return
    n = len(y)
    for node in trial.explanation.record.nodes:
        if node.index < outputs.index or node.op.name not in BROADCAST or node.shape != (n, n):
            continue
        if {x.shape for x in node.inputs} == {(n, 1), (n,)}:
            yield Finding(
                "target_shape",
                ", ".join(part for part in ("the loss", trial.line(node)) if part),
                {"outputs": list(outputs.shape), "targets": list(y.shape), "broadcast_to": [n, n]},
                "give both one shape: y[:, None], or outputs[:, 0]",
            )
            return


def twice(trial: Trial) -> Iterator[Finding]:
    """Outputs that are probabilities already, given to a loss that makes probabilities of them."""
    outputs = trial.outputs
    if outputs is None:
        return
    after = [n for n in trial.explanation.record.nodes if n.index > outputs.index]
    inside: set[Any] = {outputs}
    for node in after:
        if any(x in inside for x in node.inputs):
            inside.add(node)
    exponentials = [n for n in after if n in inside and n.op.name in ("exp", "logaddexp", "sigmoid")]
    if not exponentials:
        return
    last = bare(outputs)
    values = np.asarray(outputs.value, float)
    sums = _shares(values)
    if last.op.name == "sigmoid" or (sums and last.inputs):
        made = "softmax" if sums and last.op.name != "sigmoid" else "sigmoid"
        yield Finding(
            "double_softmax",
            trial.place(last),
            {
                "activation": made,
                "least": float(values.min()),
                "largest": float(values.max()),
                "again": f"{exponentials[0].op.name} in the loss",
                "line": trial.line(last),
            },
            f"return what comes before the {made}: the loss takes logits",
        )


def _ones(sums: Any) -> bool:
    return sums.size >= 2 and bool(np.allclose(sums, 1, atol=1e-4))


def bare(node: Any) -> Any:
    """The node behind names and views."""
    while same_value(node) and len(node.inputs) == 1:
        node = node.inputs[0]
    return node


def bounds(trial: Trial) -> tuple[float, float]:
    """What outputs lie between whatever the last weights give: found by sending numbers of all sizes through the rest.

    Elementwise operations are computed again from the last pre-activation on; a softmax is known by its sums.
    """
    outputs = bare(trial.outputs)
    if _shares(outputs.value):
        return 0.0, 1.0
    z = max((layer.z for layer in trial.layers if layer.z.index <= outputs.index), key=creation_order, default=None)
    if z is None:
        return -np.inf, np.inf
    values = {z: PROBE}
    for node in trial.explanation.record.nodes:
        if node.index <= z.index or not any(x in values for x in node.inputs):
            continue
        if same_value(node):
            values[node] = values[node.inputs[0]]
        elif issubclass(node.op, Elementwise) and all(x in values or x.shape == () for x in node.inputs):
            values[node] = node.op.eval(*[values.get(x, x.value) for x in node.inputs], **node.params)
    found = values.get(outputs)
    if found is None or np.isnan(found).any() or any(x in trial.names for n in values for x in n.inputs if n is not z):
        return -np.inf, np.inf
    low, high = float(found.min()), float(found.max())
    return (low if low > -UNBOUNDED else -np.inf), (high if high < UNBOUNDED else np.inf)


def _shares(values: Any) -> bool:
    """Whether rows are of numbers that are at least 0 and sum to 1."""
    values = np.asarray(values)
    return bool(values.ndim >= 2 and values.shape[-1] >= 2 and (values >= 0).all() and _ones(values.sum(axis=-1)))


def out_of_reach(trial: Trial) -> Iterator[Finding]:
    """Targets that no parameters can make the outputs equal to."""
    y = trial.subject.targets[0] if trial.subject.targets else None
    if trial.outputs is None or not isinstance(y, np.ndarray) or y.dtype.kind not in "iuf" or not y.size:
        return
    if y.size != np.size(trial.outputs.value):
        return
    low, high = bounds(trial)
    slack = 1e-6 * max([1.0, *(abs(b) for b in (low, high) if np.isfinite(b))])
    outside = (y < low - slack) | (y > high + slack)
    if outside.mean() > FEW:
        last = bare(trial.outputs)
        yield Finding(
            "targets_out_of_reach",
            trial.place(last),
            {
                "activation": last.op.name,
                "reach": [low, high],
                "least_target": float(y.min()),
                "largest_target": float(y.max()),
                "share_outside": float(outside.mean()),
                "line": trial.line(last),
            },
            "leave the last activation out, or scale the targets into its range",
        )
