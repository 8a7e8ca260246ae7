"""Parameters that no gradient arrives at, and why: the first op on the way from the loss that hands nothing on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ... import tree
from ...array import variable
from ...autodiff.local import derivative
from ...dtypes import dtype_of
from ...errors import GlassgradError
from ...graph.apply import watched
from ...graph.node import Node, reachable
from ...graph.origin import Origin, here
from ...graph.primitive import Elementwise
from ...nn.module import Module, learnt
from .finding import Finding
from .subject import Subject
from .trial import Trial, length
from .units import rectifiers, slopes

FLAT = frozenset(("sign", "floor", "ceil", "trunc", "rint", "floor_divide", "floor_div"))
BOUNDS = frozenset(("clip", "maximum", "minimum", "fmax", "fmin", "max", "min"))

# Why, in the order of what is said if there are several; with what to do.
REMEDIES = {
    "detached": "take the stop_gradient away, or hold the parameter in a field that is not learnt (nn.STATE)",
    "detached by NumPy": "compute with glassgrad.numpy on the value itself: .value, float() give plain numbers",
    "integer": "store it as a float: array.astype(np.float32), 1.0 for 1",
    "kink": "use an operation with a slope: softmax for argmax, a straight-through estimator (gg.custom_vjp) for "
    "rounding, a shifted value at a kink",
    "masked": "look at the mask: it leaves out everything the parameter gives",
    "clipped": "widen the bounds, or bring the values inside them",
    "not selected": "look at the indices: none of them chooses it",
    "zero weights": "draw the weights it is multiplied with at random",
    "zero": "look at what it is multiplied with: that is 0 for every row",
    "flat": "the derivative of this op is 0 at all its operands; change them or the op",
    "dead": "lower the learning rate, set biases to 0, or use leaky_relu",
    "saturated": "standardise the inputs, and draw smaller weights",
    "unused": "use it in the model, or take it out of the model",
}
SAID_ELSEWHERE = {"dead": "dead_relu", "saturated": "saturated", "underflow": "vanishing_gradients"}


class Reason(NamedTuple):
    """Why nothing arrives, and the op that hands nothing on."""

    why: str
    node: Any


class End(NamedTuple):
    """An op without derivative, as it was done: what is looked at of a node."""

    op: Any
    origin: Origin


def no_gradient(trial: Trial, later: Trial, said: set[str]) -> Iterator[Finding]:
    """Parameters without gradient, now and after steps of descent, by what keeps it from them.

    ``said`` are the problems found before: what dead or saturated units keep back is not said twice.
    """
    flat = dict.fromkeys(slopes(trial), "saturated") | dict.fromkeys(rectifiers(trial), "dead")
    still = {later.names[p] for p in later.learnt if not later.norm(p)}
    grouped: dict[Reason, list[Any]] = {}
    for p in trial.learnt:
        if trial.norm(p) or trial.names[p] not in still or not np.size(p.value):
            continue
        reason = _unused(trial, p) if p in trial.unused else _reason(trial, p, flat)
        if reason is not None and SAID_ELSEWHERE.get(reason.why) not in said and reason.why != "underflow":
            grouped.setdefault(reason, []).append(p)
    for (why, node), members in grouped.items():
        names = [trial.names[p] for p in members]
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        evidence: dict[str, Any] = {"why": why, "parameters": names, "gradient": 0.0}
        if node is not None:
            evidence |= {
                "op": node.op.name,
                "line": trial.line(node),
                "source": node.origin.text if node.origin else "",
            }
        yield Finding("no_gradient", shown, evidence, REMEDIES[why])


def _unused(trial: Trial, p: Any) -> Reason:
    """Whether a parameter that the graph does not lead to changes the loss all the same, and what it went through.

    What is made of values that nobody differentiates keeps no graph, so the ops are looked at as they are done.
    """
    subject, name = trial.subject, trial.names[p]
    rng = np.random.default_rng(0)

    def changed(change: Callable[[Any], Any]) -> Any:
        leaves, structure = tree.flatten(subject.params)
        names = [".".join(map(str, path)) or "model" for path in tree.key_paths(subject.params)]
        return tree.unflatten(
            structure, [change(leaf) if n == name else leaf for n, leaf in zip(names, leaves, strict=True)]
        )

    def shaken(leaf: Any) -> Any:
        value = np.asarray(p.value)
        return (value + rng.normal(size=value.shape) * (1 + np.abs(value))).astype(value.dtype)

    now, then = subject.loss_at(subject.params), subject.loss_at(changed(shaken))
    if now == then or (np.isnan(now) and np.isnan(then)):
        return Reason("unused", None)
    opened = variable(p.value)
    ends: list[End] = []

    def watch(op: Any, inputs: tuple[Any, ...], params: dict[str, Any], value: Any) -> None:
        if op.nondifferentiable and any(isinstance(x, Node) and x.tracked and opened in reachable([x]) for x in inputs):
            ends.append(End(op, here(3)))

    with watched(watch):
        subject.loss_at(changed(lambda leaf: opened))
    if not ends:
        return Reason("detached by NumPy", None)
    return Reason("detached" if ends[0].op.name == "stop_gradient" else "kink", ends[0])


def _reason(trial: Trial, p: Any, flat: dict[Any, str]) -> Reason | None:
    """The ops nearest to the loss, of those on the way to a parameter, that are handed a gradient and hand on none."""
    found: list[Reason] = []
    hidden: list[Reason] = []  # ops without derivative: comparisons and indices are beside most activations
    stack, seen = [p], set()
    while stack:
        x = stack.pop()
        if x in seen:
            continue
        seen.add(x)
        for user in trial.users.get(x, []):
            if not user.tracked:
                why = "detached" if user.op.name == "stop_gradient" else "kink"
                hidden.append(Reason(why, user))
            elif not _arrives(trial, user):
                stack.append(user)
            elif (reason := _killed(trial, x, user, flat)) is not None:
                found.append(reason)
    order = list(REMEDIES)
    candidates = found or hidden
    known = [r for r in candidates if r.why != "underflow"] or candidates
    return min(known, key=lambda r: order.index(r.why) if r.why in order else len(order), default=None)


def _arrives(trial: Trial, node: Any) -> bool:
    return node is trial.value or length(trial.gradient(node)) > 0


def _killed(trial: Trial, x: Any, user: Any, flat: dict[Any, str]) -> Reason | None:
    """Why a node that is given a gradient hands none to x; None where terms that are not 0 cancel."""
    terms = [t.value for t in trial.explanation.record.terms.get(x, []) if t.user is user]
    if any(length(t) for t in terms):
        return None
    name = user.op.name
    others = [i for i in user.inputs if i is not x]
    if name in FLAT:
        return Reason("kink", user)
    if name == "relu":
        return Reason("dead" if np.any(x.value) or _behind_dead(trial, x) else "kink", user)
    if user in flat or name in ("sigmoid", "tanh"):
        return Reason(flat.get(user, "saturated"), user)
    if name in ("where", "where_i_e_e_e"):
        return Reason("masked", user)
    if name in BOUNDS:
        return Reason("clipped", user)
    if name in ("gather", "take"):
        return Reason("not selected", user)
    if name in ("abs", "absolute") and not np.any(x.value):
        return Reason("kink", user)
    zero = next((i for i in others if np.size(i.value) and not np.any(i.value)), None)
    if name in ("mul", "matmul", "einsum", "conv") and zero is not None:
        if zero not in trial.dependent:
            return Reason("masked" if name == "mul" else "zero", user)
        return Reason("zero weights", user) if zero in trial.names or _view_of_parameter(trial, zero) else None
    g = trial.gradient(user)
    if length(g) < 1e-30:
        return Reason("underflow", user)
    if not issubclass(user.op, Elementwise) or not x.tracked:
        return None
    slope = derivative(user, next(k for k, i in enumerate(user.inputs) if i is x))
    return None if np.any(slope * g) else Reason("flat", user)


def _behind_dead(trial: Trial, z: Any) -> bool:
    """Whether z is 0 because the rectifiers before its layer let nothing through."""
    layer = next((layer for layer in trial.layers if layer.z is trial.network.z_of.get(z, z)), None)
    return layer is not None and layer.operand in trial.dependent and not np.any(layer.operand.value)


def _view_of_parameter(trial: Trial, node: Any) -> bool:
    return trial.network.parameter(node) is not None


def integers(subject: Subject) -> Iterator[Finding]:
    """Whole numbers that enter the arithmetic like parameters: as floats they would have a gradient."""
    leaves, structure = tree.flatten(subject.params)
    paths = tree.key_paths(subject.params)
    for k, (path, leaf) in enumerate(zip(paths, leaves, strict=True)):
        if isinstance(leaf, (str, bytes, bool)) or callable(leaf) or dtype_of(leaf).kind not in "iu":
            continue
        value = np.asarray(leaf.value if isinstance(leaf, Node) else leaf)
        if not value.size or (isinstance(subject.params, Module) and not value.ndim) or _mask(value):
            continue
        opened = tree.unflatten(structure, [*leaves[:k], value.astype(np.float64)[()], *leaves[k + 1 :]])
        try:
            place = sum(tree.leaves(learnt(opened))[:k])
            slope = length(tree.leaves(subject.slopes(opened)[1])[place])
        except (GlassgradError, TypeError, ValueError, IndexError, AttributeError):
            continue  # an index, a size or a shape, which a float cannot be
        if slope > 0:
            yield Finding(
                "no_gradient",
                ".".join(map(str, path)),
                {"why": "integer", "dtype": str(value.dtype), "gradient_as_float": slope},
                REMEDIES["integer"],
            )


def _mask(value: Any) -> bool:
    """Whether an array of whole numbers says yes or no of each element."""
    return bool(value.ndim and set(np.unique(value).tolist()) == {0, 1})
