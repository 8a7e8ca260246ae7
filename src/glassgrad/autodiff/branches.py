"""Branches that are one node of a graph: cond, switch and checkpoint. Their derivatives are switches again."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import is_inexact, result_type
from ..errors import DtypeError, ShapeError, TreeError
from ..graph.apply import apply
from ..graph.node import Node, Trace, shape_of, value_of
from ..graph.origin import here
from ..numpy.arguments import array_of
from ..ops import logic, view
from ..ops.branch import Switch
from ..ops.control import stop_gradient
from ..ops.loop import Body, above, closed, opened, opened_by, placeholder, replayed
from .batch import mapped
from .jvp import push
from .loops import WEAK, number_of, recorded, typed
from .untaken import harmless, kind_of_call
from .vjp import pull


def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any) -> Any:
    """``true_fun(*operands)`` where ``pred`` holds, else ``false_fun(*operands)``; only the one is computed.

    Where ``pred`` has a value, this is Python's ``if``; the other branch is traced once for operands of a kind, to see
    that it returns the same shapes and dtypes, unless it cannot be, or changes what is outside of it. In a function
    being traced the branches are one node of the graph, and compiled code runs the one that is chosen; so do the
    derivatives, and nothing of the other branch, were it infinite, reaches them. ``where`` computes both and chooses by
    element.

    Parameters
    ----------
    pred : a scalar bool
    true_fun, false_fun : of the operands, returning trees of one structure, with equal shapes and dtypes; a Python
        number takes the dtype of the other branch. They may close over values.
    *operands : trees of arrays

    Returns
    -------
    tree of Arrays

    Raises
    ------
    ShapeError, DtypeError, TreeError
        if pred is no scalar bool; or if the branches disagree, naming the leaf and both sides.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> root = gg.jit(lambda x: gg.cond(x > 0.0, np.sqrt, lambda x: 0.0 * x, x))
    >>> float(root(4.0)), float(gg.grad(root)(4.0)), float(gg.grad(root)(-1.0))
    (2.0, 0.25, 0.0)
    """
    pred = array_of(pred)
    scalar_bool("cond: pred", pred)
    branches, labels = (false_fun, true_fun), ("false_fun", "true_fun")
    if pred.value is not None:
        return _called("cond", int(pred.value), branches, labels, operands)
    return _as_node("cond", logic.astype(pred, np.int64), branches, labels, operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """``branches[index](*operands)``; only the one branch is computed. An index out of range counts as the nearest.

    As ``cond``, for an integer: what is said there of branches holds here.

    Raises
    ------
    ShapeError, DtypeError, TreeError
        if there is no branch, or index is no scalar integer; or if the branches disagree.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> wave = gg.jit(lambda kind, x: gg.switch(kind, [np.sin, np.cos, np.tanh], x))
    >>> [float(wave(kind, 0.0)) for kind in (0, 1, 7)]
    [0.0, 1.0, 0.0]
    """
    index = array_of(index)
    branches = tuple(branches)
    if not branches:
        raise TreeError(f"switch: got no branches, expected one function at least at {here(1)}")
    if index.shape or index.dtype.kind not in "iu":
        raise (ShapeError if index.shape else DtypeError)(
            f"switch: the index must be one integer: got {index.dtype} of shape {index.shape} at {here(1)}; use "
            f"index.astype(int), or vmap over indices"
        )
    labels = [f"branch {i}" for i in range(len(branches))]
    if index.value is not None:
        return _called("switch", min(max(int(index.value), 0), len(branches) - 1), branches, labels, operands)
    chosen = logic.clip(logic.astype(index, np.int64), 0, len(branches) - 1)
    return _as_node("switch", chosen, branches, labels, operands)


def checkpoint(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose gradient keeps its arguments only and computes everything inside again.

    Memory for time, as ``torch.utils.checkpoint`` and ``jax.checkpoint`` trade it (Griewank & Walther 2008, ch. 12).
    The function is traced, so that Python control flow in it cannot look at values of what is differentiated.

    Parameters
    ----------
    function : of trees of arrays, returning a tree of arrays; it may close over values

    Returns
    -------
    function of the same arguments

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> @gg.checkpoint
    ... def layer(w, x):
    ...     return np.tanh(np.tanh(x @ w) @ w)
    >>> gg.grad(lambda w: layer(w, np.ones(2)).sum())(np.zeros((2, 2))).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """

    @functools.wraps(function)
    def kept(*args: Any) -> Any:
        return _as_node("checkpoint", np.int64(0), (function,), ("function",), args)

    return kept


def scalar_bool(what: str, value: Any) -> None:
    """Refuse what cannot decide where to go."""
    if value.shape:
        raise ShapeError(
            f"{what} must be one bool: got shape {value.shape} at {here(2)}; use .all() or .any(), or where(...) to "
            f"choose by element"
        )
    if value.dtype.kind != "b":
        raise DtypeError(f"{what} must be a bool: got {value.dtype} at {here(2)}; compare it, as in x != 0")


def _called(
    name: str,
    index: int,
    branches: Sequence[Callable[..., Any]],
    labels: Sequence[str],
    operands: tuple[Any, ...],
) -> Any:
    """The one branch called; the first time with such operands its result is compared with those of the others."""
    result = branches[index](*operands)
    unknown = kind_of_call(branches, operands)
    if unknown is not None:
        known, kind = unknown
        known.add(kind)  # first, for a branch may come here again
        with opened(branch=True) as trace:
            found = _traced_others(branches, index, operands, trace)
            found[index] = tree.map(_weak, result)
            kept = sorted(found)
            try:
                _agreed(name, [labels[i] for i in kept], [found[i] for i in kept])
            except (ShapeError, DtypeError, TreeError):
                known.discard(kind)
                raise
    return tree.map(array_of, result)


def _traced_others(
    branches: Sequence[Callable[..., Any]], index: int, operands: tuple[Any, ...], trace: Trace
) -> dict[int, Any]:
    """What the branches that are not taken return, of those that can be traced and do nothing else."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for i, branch in enumerate(branches):
            if i == index:
                continue
            try:
                if harmless(branch):
                    found[i] = branch(*tree.map(lambda x: _unknown(x, trace), operands))
            except Exception:  # not taken, a branch need not work
                continue
    return found


def _weak(x: Any) -> Any:
    """A Python number for the node of one."""
    return x.value if isinstance(x, Node) and type(x.value) in WEAK else x


def _unknown(x: Any, trace: Trace) -> Any:
    """An operand of a branch that is traced: a Python number stays one."""
    x = _weak(x)
    if type(x) in WEAK:
        return x
    node = array_of(x)
    return placeholder(node, trace, is_inexact(node.dtype))


def _as_node(
    name: str, index: Any, branches: Sequence[Callable[..., Any]], labels: Sequence[str], operands: tuple[Any, ...]
) -> Any:
    """The branches traced, side by side, and a node that holds them."""
    leaves, structure = tree.flatten(operands)
    held = [array_of(leaf) if number_of(leaf) is None else leaf for leaf in leaves]
    with opened(branch=True) as trace:
        inputs = [x if type(x) in WEAK else placeholder(x, trace, is_inexact(x.dtype)) for x in held]
        found = [branch(*tree.unflatten(structure, inputs)) for branch in branches]
        rows, result = _agreed(name, labels, found)
    given = [(node, x) for node, x in zip(inputs, held, strict=True) if isinstance(node, Node)]
    nodes, values = [node for node, _ in given], [x for _, x in given]
    tracked = [node for node, x in given if x.tracked]
    whole, outer = closed(trace, nodes, [leaf for row in rows for leaf in row], 0, tracked)
    if not rows[0]:
        return tree.unflatten(result, [])
    count = len(rows[0])
    bodies = [Body(whole.inputs, whole.outputs[i * count : (i + 1) * count]) for i in range(len(rows))]
    results = apply(Switch, (index, *values, *outer), {"branches": tuple(bodies)})
    return tree.unflatten(result, [x if is_inexact(x.dtype) else stop_gradient(x) for x in map(array_of, results)])


def _agreed(name: str, labels: Sequence[str], found: Sequence[Any]) -> tuple[list[list[Any]], tree.Structure]:
    """The leaves of each branch's result, as Arrays of the same shapes and dtypes, and their structure."""
    first, structure = tree.flatten(found[0])
    rows = [first]
    for label, value in zip(labels[1:], found[1:], strict=True):
        leaves, own = tree.flatten(value)
        if own != structure:
            first_paths, paths = tree.paths(found[0]), tree.paths(value)
            place, a, b = tree.difference(structure, own)
            both = f"{labels[0]} returns leaves {first_paths or 'none'}, {label} returns {paths or 'none'}"
            if first_paths == paths:
                both = f"at {place} {labels[0]} returns {a}, {label} {b}"
            raise TreeError(
                f"{name}: the branches return other structures: {both} at {here(3)}; return the same containers with "
                f"the same keys from all of them"
            )
        rows.append(leaves)
    columns = [
        _alike(name, labels, path, column)
        for path, column in zip(tree.paths(found[0]), zip(*rows, strict=True), strict=True)
    ]
    return [[column[i] for column in columns] for i in range(len(rows))], structure


def _alike(name: str, labels: Sequence[str], path: str, column: Sequence[Any]) -> list[Any]:
    """One leaf of every branch: Python numbers take the dtype of the others, which must be one."""
    arrays = [array_of(leaf) for leaf in column]
    numbers = [number_of(leaf) for leaf in column]
    first = next((i for i, number in enumerate(numbers) if number is None), None)
    dtype = result_type(*numbers) if first is None else arrays[first].dtype
    for i, (x, number) in enumerate(zip(arrays, numbers, strict=True)):
        fits = x.dtype == dtype if number is None else result_type(dtype, number) == dtype
        if x.shape == arrays[0].shape and fits:
            continue
        error: type[Exception]
        if x.shape != arrays[0].shape:
            what, error, fix, other = "shape", ShapeError, "broadcast or reshape one of them", 0
        else:
            what, error, fix, other = "dtype", DtypeError, "cast one with .astype", first or 0
        both = " and ".join(f"{arrays[k].dtype}{list(arrays[k].shape)} from {labels[k]}" for k in (other, i))
        raise error(
            f"{name}: the branches disagree in the {what} of {path or 'the result'}: got {both}, expected one {what} "
            f"at {here(4)}; {fix}"
        )
    like = np.empty((), dtype)
    return [x if n is None else typed(leaf, like) for leaf, x, n in zip(column, arrays, numbers, strict=True)]


# Derivatives


def _pull(g: Any, xs: Sequence[Any], *, branches: tuple[Body, ...]) -> tuple[Any, ...]:
    """Cotangents of a switch's inputs: the branch that was taken is computed again, and pulled through."""
    index, *given = xs
    wanted = [k for k, x in enumerate(branches[0].inputs) if any(body.inputs[k].tracked for body in branches)]
    alive = [i for i, y in enumerate(branches[0].outputs) if is_inexact(y.dtype)]

    def backward(body: Body) -> Callable[..., list[Any]]:
        def rule(inputs: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
            return pulled(body, inputs, wanted, alive, seeds)

        return rule

    found = _plainly(index, [backward(body) for body in branches], given, [g[i] for i in alive])
    cotangents = dict(zip(wanted, found, strict=True))
    return (None, *(cotangents.get(k) for k in range(len(given))))


def _push(ts: Sequence[Any], xs: Sequence[Any], *, branches: tuple[Body, ...]) -> tuple[Any, ...]:
    """Tangents of a switch's outputs, None for integers: those of the branch that is taken."""
    index, *given = xs
    moved = [k for k, t in enumerate(ts[1:]) if t is not None]
    alive = [i for i, y in enumerate(branches[0].outputs) if is_inexact(y.dtype)]

    def forward(body: Body) -> Callable[..., list[Any]]:
        def rule(inputs: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
            values, targets = opened_by(body, inputs, moved)
            outputs = list(map(array_of, replayed(body, values)))
            pushed = push([outputs[i] for i in alive], targets, tangents)
            return [logic.zeros_like(outputs[i]) if t is None else t for i, t in zip(alive, pushed, strict=True)]

        return rule

    found = _plainly(index, [forward(body) for body in branches], given, [ts[1 + k] for k in moved])
    tangents = dict(zip(alive, found, strict=True))
    return tuple([tangents.get(i) for i in range(len(branches[0].outputs))])


def _plainly(index: Any, rules: list[Callable[..., list[Any]]], *operands: list[Any]) -> list[Any]:
    """What the chosen rule gives; with one branch and a trace it stays a node, so that nothing is shared with it."""
    symbolic = [x for part in operands for x in part if isinstance(x, Node) and x.value is None]
    if len(rules) == 1 and symbolic:
        results: list[Any] = _as_node("checkpoint", index, rules, ("function",), operands)
        return results
    index = array_of(index)
    if index.value is not None:
        return [plain(array_of(x)) for x in rules[min(max(int(index.value), 0), len(rules) - 1)](*operands)]
    return [plain(x) for x in switch(index, rules, *operands)]


def pulled(
    body: Body, inputs: Sequence[Any], wanted: Sequence[int], alive: Sequence[int], seeds: Sequence[Any]
) -> list[Any]:
    """Cotangents of the wanted inputs of a body, computed once more, from those of its outputs ``alive``."""
    values, targets = opened_by(body, inputs, wanted)
    outputs = list(map(array_of, replayed(body, values)))
    found, _ = pull([outputs[i] for i in alive], seeds, targets)
    return [logic.zeros_like(x) if c is None else c for x, c in zip(targets, found, strict=True)]


def plain(x: Any) -> Any:
    """The array of a node that nobody differentiates."""
    return x if recorded(x) else value_of(x)


# Batches


def _batch(size: int, over: tuple[bool, ...], *xs: Any, branches: tuple[Body, ...]) -> tuple[Any, ...]:
    """A switch on a batch. Where each example has an index of its own, all branches are computed, and chosen among."""
    index, *given = xs

    def example(body: Body) -> Callable[..., list[Any]]:
        return lambda inputs: batched(body, inputs, over[1:], size)

    examples = [example(body) for body in branches]
    if not over[0]:
        return tuple(_plainly(index, examples, given))
    rows = [rule(given) for rule in examples]
    results = rows[0]
    for i, row in enumerate(rows[1:], 1):
        results = [chosen(index == i, x, y) for x, y in zip(row, results, strict=True)]
    return tuple(results)


def batched(body: Body, inputs: Sequence[Any], over: Sequence[bool], size: int) -> list[Any]:
    """The outputs of a body on a batch, all with its axis."""
    found, moved, _ = mapped(lambda *xs: replayed(body, xs), inputs, over, size)
    return [x if b else view.repeated(x, size) for x, b in zip(found, moved, strict=True)]


def chosen(which: Any, x: Any, y: Any) -> Any:
    """Rows of x, and of y where the condition on rows does not hold."""
    return logic.where(view.reshape(which, (-1, *(1,) * (len(shape_of(x)) - 1))), x, y)


above["pull switch"] = _pull
above["batch switch"] = _batch
above["push switch"] = _push
