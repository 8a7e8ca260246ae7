"""The backward walk: pulling cotangents from outputs to the nodes they are asked for. Reverse mode.

Each node's adjoint is complete before it is used, because nodes are visited against their creation order; it is used
once, however many paths lead through it. When the nodes depend on something outside (an enclosing ``grad``, a trace)
the rules are given nodes instead of arrays, and what they compute is again a graph.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import RuleError
from ..graph.apply import Output, unpack
from ..graph.node import Node, Value, Variable, shape_of
from ..graph.origin import Context
from ..graph.primitive import Elementwise, Indexing, Reduction, Structured, View
from ..ops import logic, reduction, view
from ..ops.contraction import Einsum, Matmul
from ..ops.control import Override
from ..ops.conv import Conv
from ..ops.fft import Fft, Irfft, Rfft

# Indices of the arguments of derivatives whose function is running now. An inner walk that meets one must record; once
# the function has returned, a graph that still leads there holds it as a constant.
live: set[int] = set()


class _Walks(threading.local):
    """In each thread: how many backward walks there have been, and what makes those that are watched."""

    count = 0
    watched: Any = None


Walks = _Walks()


class Plan(NamedTuple):
    """What a backward walk will visit.

    Attributes
    ----------
    nodes : every tracked node between outputs and targets, by index
    needed : indices of those that depend on a target
    recording : whether the walk must itself be a graph
    """

    nodes: dict[int, Node]
    needed: set[int]
    recording: bool


def moves(x: Any) -> bool:
    """Whether something outside differentiates by this cotangent or tangent, or traces it."""
    return isinstance(x, Node) and (x.tracked or x.value is None)


def plan(outputs: Sequence[Node], targets: Sequence[Node], recording: bool = False) -> Plan:
    """Find the nodes to visit. A node older than every target cannot depend on one, so the search stops there."""
    first = min([t.index for t in targets], default=0)
    wanted = {t.index for t in targets}
    found: dict[int, Node] = {}
    dead = False  # whether some leaf is no target
    stack = [node for node in outputs if node.tracked]
    while stack:
        node = stack.pop()
        index = node.index
        if index in found:
            continue
        if index < first:
            recording = True  # something outside is being differentiated too
            continue
        found[index] = node
        if node.value is None:
            recording = True
        elif not node.inputs and index not in wanted:
            dead = True
            if node.op is Variable or index in live:
                recording = True
        for x in node.inputs:
            if x.tracked:
                stack.append(x)
    if not recording and not dead:
        return Plan(found, set(found), False)  # every leaf is a target, so everything leads to one
    needed = set(wanted)
    for index in sorted(found):
        if index not in needed and any(x.index in needed for x in found[index].inputs):
            needed.add(index)
    return Plan(found, needed, recording)


def pull(
    outputs: Sequence[Node], cotangents: Sequence[Value], targets: Sequence[Node], recording: bool = False
) -> tuple[list[Value | None], bool]:
    """Cotangents of ``targets`` from cotangents of ``outputs``.

    Returns one cotangent per target, None where no output depends on it, and whether they are nodes of a graph that
    leads to what is outside. Cotangents that are nodes are differentiated and traced anyhow: ``recording`` asks for a
    graph that leads to the targets too.
    """
    Walks.count += 1
    found, needed, recording = plan(outputs, targets, recording)
    walk = (Walks.watched or Walk)(needed, recording)
    for node, g in zip(outputs, cotangents, strict=True):
        if node.index in needed and node.index in found:
            walk.receive(node, g, None)
    before = Context.place
    try:
        with np.errstate(all="ignore"):
            kept = walk.run(found, {t.index for t in targets})
    finally:
        Context.place = before
    return [kept.get(t.index) for t in targets], recording


class Walk:
    """Cotangents gathered so far, by node index, and which of their elements a ``where`` discards.

    ``general`` takes every node through ``visit`` and every contribution through ``receive`` and ``add``, which a class
    that watches them overrides.
    """

    __slots__ = ("cotangents", "keeps", "needed", "recording")
    general = False

    def __init__(self, needed: set[int], recording: bool) -> None:
        self.needed = needed
        self.recording = recording
        self.cotangents: dict[int, Value] = {}
        self.keeps: dict[int, Value] = {}  # only for cotangents that passed a where: True for what it keeps

    def run(self, found: dict[int, Node], wanted: set[int]) -> dict[int, Value]:
        """Visit the nodes against their creation order; returns the cotangents of those wanted."""
        cotangents, keeps, recording = self.cotangents, self.keeps, self.recording
        general = recording or self.general
        scope = Context.place[0]
        kept: dict[int, Value] = {}
        for index in sorted(found, reverse=True):
            g = cotangents.pop(index, None)
            if g is None:
                continue
            node = found[index]
            if index in wanted:
                kept[index] = g
            inputs = node.inputs
            if general or keeps or node.op.partials is None:
                if inputs:
                    if recording:
                        Context.place = (scope, node)
                    self.visit(node, g)
            elif len(inputs) == 1:
                # The commonest node, a function of one array, without the calls of the general way.
                partial, x = node.op.partials[0], inputs[0]
                value = x.value
                if partial.__class__ is int:
                    c = g if partial == 1 else g * partial
                else:
                    p = partial(node.value, value)
                    c = g * (p.conjugate() if g.dtype.kind == "c" else p)
                if c.dtype is value.dtype and c.shape == value.shape and x.index not in cotangents:
                    cotangents[x.index] = c
                else:
                    self.receive(x, c, None)
            else:
                self.multiply(node, g)
        return kept

    def multiply(self, node: Node, g: Value) -> None:
        """Hand on g times each local derivative of an elementwise node, outside of a recording walk.

        There a tracked input is on the way to a target, or to a leaf whose cotangent nobody reads.
        """
        cotangents = self.cotangents
        values = [x.value for x in node.inputs]
        for partial, x, value in zip(node.op.partials, node.inputs, values):  # noqa: B905
            if not x.tracked:
                continue
            if partial.__class__ is int:
                if partial == 0:
                    continue
                c = g if partial == 1 else -g
            else:
                p = partial(node.value, *values)
                c = g * (p.conjugate() if g.dtype.kind == "c" else p)
            if c.dtype is value.dtype and c.shape == value.shape:
                held = cotangents.get(x.index)
                cotangents[x.index] = c if held is None else held + c
            else:
                self.receive(x, c, None)

    def visit(self, node: Node, g: Value) -> None:
        """Hand the cotangent of a node on to its inputs."""
        op, inputs, needed = node.op, node.inputs, self.needed
        if op is Output:
            self.receive_part(inputs[0], node.params["index"], g)
            return
        if self.recording:
            y: Value = node if op.outputs == 1 else outputs_of(node)
            xs: Any = inputs
        else:
            y, xs = node.value, [x.value for x in inputs]
        if type(g) is Parts:
            g = g.complete(y)
        keep = self.keeps.pop(node.index, None) if self.keeps else None
        contributions = local_products(node, g, y, xs, needed)
        if op.masks or keep is not None:
            self.receive_masked(node, g, keep, xs, contributions)
            return
        for x, c in zip(inputs, contributions, strict=True):
            if c is not None and x.index in needed:
                self.receive(x, c, None)

    def receive(self, x: Node, c: Value, keep: Value | None) -> None:
        """Add a contribution to the cotangent of x: un-broadcast, cast and checked, here and nowhere else."""
        value = x.value
        shape, dtype = (value.shape, value.dtype) if value is not None else (x.spec.shape, x.spec.dtype)
        if c.shape != shape:
            c = _fit(x, c, shape)
            if keep is not None and shape_of(keep) != shape:
                keep = reduction.sum_to(logic.astype(keep, np.float32), shape) > 0
        if c.dtype != dtype:
            c = logic.astype(c, dtype)
        self.add(x, c, keep)

    def add(self, x: Node, c: Value, keep: Value | None) -> None:
        """Add what fits to the cotangent of x."""
        index = x.index
        held = self.cotangents.get(index)
        if held is None:
            self.cotangents[index] = c
            if keep is not None:
                self.keeps[index] = keep
            return
        self.cotangents[index] = held + c
        if self.keeps:
            before = self.keeps.pop(index, None)
            if keep is not None and before is not None:
                self.keeps[index] = keep | before

    def receive_part(self, x: Node, index: int, g: Value) -> None:
        """Add a contribution to one output of a node with several."""
        parts = self.cotangents.setdefault(x.index, Parts())
        parts[index] = parts[index] + g if index in parts else g

    def receive_masked(self, node: Node, g: Value, keep: Value | None, xs: Any, contributions: Any) -> None:
        """Contributions of which a ``where``, here or further on, discards some elements: those stay exactly zero.

        The local product of a discarded element may be 0·inf; the mask, not the product, decides.
        """
        for k, (x, c) in enumerate(zip(node.inputs, contributions, strict=True)):
            if c is None or x.index not in self.needed:
                continue
            passed = keep
            if node.op.masks:
                chosen = xs[0] if k == 1 else logic.logical_not(xs[0])
                passed = chosen if keep is None else chosen & keep
            if passed is not None and issubclass(node.op, Override) and shape_of(c) == shape_of(passed):
                # A rule of the user's for a function of elements, as far as can be seen: a discarded element to which
                # it gives nothing, or 0·inf, stays discarded; what it gives of others is kept.
                passed = passed | ((c != 0) & ~logic.isnan(c))
            elif passed is not None:
                passed = _keep_of_input(node, k, xs, passed, g)
            if passed is not None:
                c = logic.where(passed, c, 0)
                if shape_of(passed) != c.shape:
                    passed = view.broadcast_to(passed, c.shape)
            self.receive(x, c, passed)


class Parts(dict[int, Any]):
    """Cotangents of a node with several outputs, by output."""

    def complete(self, ys: Any) -> tuple[Value, ...]:
        """One cotangent per output, zeros for those that nothing used."""
        return tuple(self[i] if i in self else logic.zeros_like(y) for i, y in enumerate(ys))


def outputs_of(node: Node) -> tuple[Value, ...]:
    """The outputs of a node with several, as nodes."""
    return unpack(node, len(node.value if node.value is not None else node.spec))


def local_products(node: Node, g: Value, y: Value, xs: Any, needed: set[int]) -> Sequence[Value | None]:
    """What a node contributes to the cotangent of each input: its Jacobian transposed times g."""
    op, params = node.op, node.params
    if op.partials is not None:
        products: list[Value | None] = []
        for partial, x in zip(op.partials, node.inputs, strict=True):
            if x.index not in needed or (isinstance(partial, int) and partial == 0):
                products.append(None)
                continue
            if isinstance(partial, int):
                products.append(g if partial == 1 else g * partial)
                continue
            p = partial(y, *xs)
            products.append(g * (p.conjugate() if g.dtype.kind == "c" else p))
        return products
    rule = op.vjp
    if isinstance(rule, tuple):
        return [
            part(g, y, *xs, **params) if x.index in needed and part is not None else None
            for part, x in zip(rule, node.inputs, strict=True)
        ]
    result: Sequence[Value | None] = rule(g, y, *xs, **params)
    if not isinstance(result, tuple) or len(result) != len(node.inputs):
        count = len(result) if isinstance(result, tuple) else type(result).__name__
        raise RuleError(
            f"{op.name}: vjp must return a tuple with one cotangent per input: got {count}, expected "
            f"{len(node.inputs)} for the op at {node.origin}"
        )
    return result


def _fit(x: Node, c: Value, shape: tuple[int, ...]) -> Value:
    """Sum a contribution over the axes along which the op stretched x."""
    current = shape_of(c)
    try:
        stretched = np.broadcast_shapes(shape, current) == current
    except ValueError:
        stretched = False
    if not stretched:
        forward = Context.place[1]
        raise RuleError(
            f"{forward.op.name if forward is not None else 'vjp'}: the rule's cotangent does not fit its input: got "
            f"shape {current}, expected {shape}, or one that broadcasting it would give, for the value at {x.origin}"
        )
    return reduction.sum_to(c, shape)


def _keep_of_input(node: Node, k: int, xs: Any, keep: Value, g: Value) -> Value:
    """Which elements of input k are kept, given which of the node's are.

    Exact for ops that keep elements, rows, matrices or samples apart; one that mixes all elements keeps all or none.
    """
    op, params = node.op, node.params
    if issubclass(op, Elementwise):
        return keep
    if issubclass(op, Matmul):
        return _keep_of_factor(keep, k, len(shape_of(xs[0])), len(shape_of(xs[1])))
    if issubclass(op, Einsum):
        return _keep_of_term(keep, k, params["subscripts"])
    if issubclass(op, Reduction) and "keepdims" in params:
        return reduction.expand(view.broadcast_to(keep, shape_of(g)), xs[0], params["axis"], params["keepdims"])
    if issubclass(op, (View, Indexing)) or (op.linear and issubclass(op, (Reduction, Structured))):
        weights = logic.astype(view.broadcast_to(keep, shape_of(g)), np.float32)
        rule = op.vjp
        back = (
            rule[k](weights, None, *xs, **params) if isinstance(rule, tuple) else rule(weights, None, *xs, **params)[k]
        )
        return reduction.sum_to(back, shape_of(xs[k])) != 0
    if isinstance(op.batch, tuple):
        return _keep_of_stack(view.broadcast_to(keep, shape_of(g)), k, [len(shape_of(x)) for x in xs], op.batch)
    if issubclass(op, Conv):
        return _keep_of_convolved(view.broadcast_to(keep, shape_of(g)), k, xs, params["groups"])
    if issubclass(op, (Fft, Rfft, Irfft, reduction.Cumprod)):
        return reduction.any(view.broadcast_to(keep, shape_of(g)), params.get("axes", params.get("axis")), True)
    return reduction.any(keep)


def _keep_of_stack(keep: Value, k: int, ndims: Sequence[int], own: Sequence[int]) -> Value:
    """For an op on stacks of matrices: all of an input's matrix, if any element of what was made of it is kept."""
    lead = max(n - m for n, m in zip(ndims, own, strict=True))
    kept = reduction.any(keep, tuple(range(lead, len(shape_of(keep)))))
    return view.reshape(kept, (*shape_of(kept), *(1,) * own[k]))


def _keep_of_convolved(keep: Value, k: int, xs: Any, groups: int) -> Value:
    """For a convolution: all of a sample's group of channels; all of the kernels of one output."""
    (n, c, *space), (o, *_) = shape_of(xs[0]), shape_of(xs[1])
    if k == 1:
        kept = reduction.any(keep, tuple(i for i in range(len(space) + 2) if i != 1))
        return view.reshape(kept, (o, *(1,) * (len(space) + 1)))
    kept = reduction.any(view.reshape(keep, (n, groups, -1)), -1, keepdims=True)
    return view.reshape(view.broadcast_to(kept, (n, groups, c // groups)), (n, c, *(1,) * len(space)))


def _keep_of_term(keep: Value, k: int, subscripts: str) -> Value:
    """For einsum: an element of operand k is kept if any output element with its indices is."""
    terms, output = subscripts.split("->")
    own = terms.split(",")[k]
    kept = reduction.any(keep, tuple(i for i, c in enumerate(output) if c not in own))
    shared = [c for c in output if c in own]
    ordered = view.transpose(kept, [shared.index(c) for c in own if c in shared])
    return view.expand_dims(ordered, tuple(i for i, c in enumerate(own) if c not in shared))


def _keep_of_factor(keep: Value, k: int, rows: int, columns: int) -> Value:
    """For a matrix product: a row of the left factor is kept if any of its products is, so a column of the right."""
    if rows == 1:
        keep = view.expand_dims(keep, -1 if columns == 1 else -2)
    if columns == 1:
        keep = view.expand_dims(keep, -1)
    kept = reduction.any(keep, -1 if k == 0 else -2, keepdims=True)
    return view.squeeze(kept, -2 if k == 0 else -1) if (rows, columns)[k] == 1 else kept
