"""The forward walk: pushing tangents from inputs to outputs. Forward mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import dtype_of
from ..errors import DtypeError, ShapeError, TreeError
from ..graph.apply import Output, apply
from ..graph.node import NO_PARAMS, Input, Node, Value, constant, make, shape_of, value_of
from ..graph.origin import Context
from ..ops import logic, view
from .arguments import Opened, Owned, open_argument, plain_kind, release, run
from .vjp import local_products, moves, outputs_of, plan, pull


def push(outputs: Sequence[Node], targets: Sequence[Node], tangents: Sequence[Value]) -> list[Value | None]:
    """Tangents of ``outputs`` from tangents of ``targets``; None for an output that depends on none of them."""
    found, needed, recording = plan(outputs, targets)
    held: dict[int, Any] = {t.index: v for t, v in zip(targets, tangents, strict=True)}
    asked: dict[int, set[int]] = {}  # which outputs of a node with several are used
    for node in found.values():
        if node.op is Output:
            asked.setdefault(node.inputs[0].index, set()).add(node.params["index"])
    before = Context.place
    try:
        with np.errstate(all="ignore"):
            for index in sorted(found):
                if index in needed and index not in held:
                    node = found[index]
                    if recording:
                        Context.place = (before[0], node)
                    ts = [held.get(x.index) for x in node.inputs]
                    held[index] = _tangent(node, ts, recording, asked.get(index, {0}))
    finally:
        Context.place = before
    return [held.get(node.index) for node in outputs]


def _tangent(node: Node, ts: list[Any], recording: bool, asked: set[int]) -> Any:
    """The Jacobian of one node times the tangents of its inputs."""
    op = node.op
    if all(t is None for t in ts):
        return None
    if op is Output:
        return ts[0][node.params["index"]]
    if recording:
        y: Value = node if op.outputs == 1 else outputs_of(node)
        xs: Sequence[Any] = node.inputs
    else:
        y, xs = node.value, [x.value for x in node.inputs]
    if op.partials is not None:
        terms = [_term(p, t, y, xs) for p, t in zip(op.partials, ts, strict=True) if t is not None]
        result = sum(terms[1:], terms[0])
    elif op.jvp is not None:
        result = op.jvp(tuple(ts), y, *xs, **node.params)
        if op.outputs > 1:
            return result  # one tangent per output, of its shape and dtype
    elif op.linear:
        moved = [
            apply(op, tuple(t if k == i else x for k, x in enumerate(xs)), node.params)
            for i, t in enumerate(ts)
            if t is not None
        ]
        result = sum(moved[1:], moved[0])
    else:
        return _transposed(node, ts, y, xs, recording, asked)
    return _like(result, y)


def _term(partial: Any, t: Value, y: Value, xs: Sequence[Value]) -> Value:
    return t * (partial if isinstance(partial, int) else partial(y, *xs))


def _like(t: Any, y: Value) -> Value:
    return logic.astype(view.broadcast_to(t, shape_of(y)), dtype_of(y))


def _transposed(node: Node, ts: list[Any], y: Any, xs: Sequence[Value], recording: bool, asked: set[int]) -> Any:
    """The tangent of an op that has only a VJP: the VJP is linear in the cotangent, and its transpose is the JVP."""
    several = node.op.outputs > 1
    parts = y if several else (y,)
    zeros = [logic.zeros_like(part) for part in parts]
    seeds = {i: make(Input, (), NO_PARAMS, zeros[i], tracked=True) for i in sorted(asked)}
    given = tuple(seeds.get(i, zero) for i, zero in enumerate(zeros))
    products = local_products(node, given if several else given[0], y, xs, {x.index for x in node.inputs})
    used = [(as_array(c), t) for c, t in zip(products, ts, strict=True) if c is not None and t is not None]
    outputs = [c for c, _ in used]
    cotangents = [logic.astype(view.broadcast_to(t, c.shape), c.dtype) for c, t in used]
    found, _ = pull(outputs, cotangents, list(seeds.values()), recording)
    tangents = dict(zip(seeds, found, strict=True))
    filled = tuple(zero if tangents.get(i) is None else tangents[i] for i, zero in enumerate(zeros))
    return filled if several else filled[0]


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of ``function`` and its derivative along a direction: v ↦ J v, from one forward pass.

    Parameters
    ----------
    function : of as many arguments as there are primals
    primals, tangents : tuples of arrays or trees, of the same structures and shapes

    Returns
    -------
    (value, tangent)
        trees of the same structure.

    Examples
    --------
    >>> import glassgrad as gg
    >>> y, dy = gg.jvp(lambda x, w: x * w, (2.0, 3.0), (1.0, 0.0))
    >>> float(y), float(dy)
    (6.0, 3.0)
    """
    if not isinstance(primals, (tuple, list)) or len(primals) != len(tangents):
        raise TreeError("jvp: primals and tangents must be tuples of one length, as in jvp(f, (x,), (v,))")
    opened = [open_argument(p, "jvp") for p in primals]
    targets = [t for o in opened for t in o.targets if t is not None]
    given = _directions(opened, tangents, "jvp")
    value = run(function, targets, *(o.tree for o in opened))
    leaves, structure = tree.flatten(value)
    nodes = [as_array(v) for v in leaves]
    leaves_given = tree.leaves([primals, tangents])
    outside = any(isinstance(leaf, Node) for leaf in leaves_given)
    in_kind = as_array if outside else plain_kind
    found = push(nodes, targets, [g if moves(g) else value_of(g) for g in given])
    own = Owned(map(value_of, (*leaves_given, *given)))
    derivatives = [
        in_kind(np.zeros(n.shape, n.dtype)[()] if t is None else own(t)) for n, t in zip(nodes, found, strict=True)
    ]
    depends_outside = plan(nodes, targets).recording
    out = [in_kind(n if depends_outside else constant(own(n.value))) for n in nodes]
    return tree.unflatten(structure, out), tree.unflatten(structure, derivatives)


def linearize(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``function`` and the map from tangents of the primals to the tangent of the value.

    The map is v ↦ J v, the linear part of the function at the primals. The function runs once; the map can be called
    many times, differentiated, batched and compiled.

    Returns
    -------
    (value, pushforward) or (value, pushforward, aux)
        ``pushforward(*tangents)`` takes one tangent per primal and returns a tree like the value.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> y, pushforward = gg.linearize(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pushforward(np.array([1.0, 10.0]))
    array([ 2., 40.])
    """
    opened = [open_argument(p, "linearize", copy=True) for p in primals]
    targets = [t for o in opened for t in o.targets if t is not None]
    result = run(function, targets, *(o.tree for o in opened))
    value, aux = result if has_aux else (result, None)
    leaves, structure = tree.flatten(value)
    nodes = [as_array(v) for v in leaves]
    in_kind = as_array if any(isinstance(leaf, Node) for leaf in tree.leaves(primals)) else plain_kind

    def pushforward(*tangents: Any) -> Any:
        if len(tangents) != len(opened):
            raise TreeError(f"linearize: one tangent per primal: got {len(tangents)}, expected {len(opened)}")
        given = _directions(opened, tangents, "linearize")
        found = push(nodes, targets, [g if moves(g) else value_of(g) for g in given])
        own = Owned(map(value_of, given))
        made = [np.zeros(n.shape, n.dtype)[()] if t is None else own(t) for n, t in zip(nodes, found, strict=True)]
        return tree.unflatten(structure, [in_kind(t) for t in made])

    depends_outside = plan(nodes, targets).recording
    own = Owned([n.value for n in nodes])  # the graph keeps these for the pushforward
    out = tree.unflatten(structure, [in_kind(n if depends_outside else constant(own(n.value))) for n in nodes])
    return (out, pushforward, release(aux, depends_outside, in_kind, own)) if has_aux else (out, pushforward)


def _directions(opened: Sequence[Opened], tangents: Sequence[Any], what: str) -> list[Value]:
    """One tangent per target, checked."""
    given = []
    for o, tangent in zip(opened, tangents, strict=True):
        rows = tree.leaves_like(o.structure, tangent)
        given += [_check(t, v, what) for t, v in zip(o.targets, rows, strict=True) if t is not None]
    return given


def _check(target: Any, v: Any, what: str) -> Any:
    v = v if isinstance(v, Node) else np.asarray(v)[()]
    if shape_of(v) != target.shape:
        raise ShapeError(f"{what}: a tangent has its primal's shape: got {shape_of(v)}, expected {target.shape}")
    if v.dtype.kind == "c" and target.dtype.kind != "c":
        raise DtypeError(f"{what}: got a complex tangent for a primal of {target.dtype}; make the primal complex too")
    return logic.astype(v, target.dtype)
