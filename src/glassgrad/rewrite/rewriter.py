"""The walk that rewrites: inputs first, each node made of what its inputs became, and shared with an equal one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from ..dtypes import PYTHON_SCALARS, is_inexact
from ..graph.apply import is_weak, spec_or_scalar
from ..graph.bfloat16 import infer
from ..graph.node import Constant, Node, Params, Spec, constant, creation_order, make, reachable
from ..graph.primitive import Elementwise
from ..ops import elementwise as ew
from ..ops import logic, loop, view
from . import algebra, choice, fold, inside, narrow, outside, place, product, rearrange, reduce, stretch, unjoin
from .rules import indexed

MODULES = (algebra, choice, rearrange, reduce, place, product, narrow, unjoin, outside)
RULES = indexed(module.RULES for module in MODULES)
FRUGAL = indexed(getattr(module, "FRUGAL", module.RULES) for module in MODULES)
EXCHANGEABLE = frozenset((ew.Add, ew.Mul))  # x op y is y op x, to the bit
SMALL = 4096  # bytes up to which constants are compared by what they hold


class Rewriter:
    """The nodes of one graph that were visited, what they became, and what rules made."""

    def __init__(self, frugal: bool = False) -> None:
        self.frugal = frugal
        self.rules = FRUGAL if frugal else RULES
        self.now: dict[Node, Node] = {}
        self.shared: dict[Any, Node] = {}  # (op, inputs, params) -> the node
        self.constants: dict[Any, Node] = {}
        self.uses: dict[Node, int] = {}
        self.numbers: dict[Node, Any] = {}
        self.known: dict[Node, Any] = {}  # what rules note of a node for later ones
        self.layers: Collection[int] = ()  # axes along which the node being visited is taken apart later

    def run(self, outputs: Sequence[Node]) -> list[Node]:
        """What the outputs become."""
        nodes = needed(outputs)
        uses = dict.fromkeys(nodes, 0)
        for node in nodes:
            if node.value is None:
                for x in node.inputs:
                    uses[x] += 1
        now, apart = self.now, unjoin.taken_apart(nodes)
        for node in nodes:
            self.layers = apart.get(node, ())
            found = now[node] = self.visit(node)
            self.uses[found] = self.uses.get(found, 0) + uses[node]
        return [now[node] for node in outputs]

    def visit(self, node: Node) -> Node:
        """What a node becomes, whose inputs have been visited."""
        if node.value is not None:
            return self.interned(node)
        if not node.inputs:
            return node
        inputs = tuple([self.now[x] for x in node.inputs])
        key = identity(node.op, inputs, node.params)
        found = self.shared.get(key)
        if found is None:
            if any(a is not b for a, b in zip(inputs, node.inputs, strict=True)):
                node = remade(node, inputs)
            found = self.shared[key] = self.better(node)
        return found

    def better(self, node: Node) -> Node:
        """The first thing a rule makes of a node, or the node itself."""
        if node.op.outputs > 1:
            changed = inside.stretched(node)
            return _with_simple_bodies(remade(node, changed[0], **changed[1]) if changed else node, self.frugal)
        inputs, params, op = node.inputs, node.params, node.op
        found: Node | None
        if all(x.value is not None for x in inputs):
            found = fold.folded(self, node)
            if found is not None and alike(found, node):
                return self.interned(found)
        elif issubclass(op, Elementwise):
            found = stretch.before_stretching(self, node)
            if found is None and self.layers:
                found = unjoin.by_layer(self, node)
            if found is not None and alike(found, node):
                return found
        matched = self.rules.matched
        for k, x in enumerate(inputs[:2]):
            for function in matched.get((op, k, x.op if x.value is None else Constant), ()):
                found = function(self, node, *inputs, **params)
                if found is not None and alike(found, node):
                    return found
        for function in self.rules.plain.get(op, ()):
            found = function(self, node, *inputs, **params)
            if found is not None and alike(found, node):
                return found
        return node

    def interned(self, node: Node) -> Node:
        """A constant, or an equal one met before; large arrays are equal only if they are the same array."""
        value = node.value
        if isinstance(value, PYTHON_SCALARS):
            key: Any = (type(value), repr(value))  # repr tells 0.0 from -0.0
        elif isinstance(value, (np.ndarray, np.generic)) and value.nbytes <= SMALL:
            key = (value.dtype, value.shape, value.tobytes())
        else:
            key = id(value)
        return self.constants.setdefault(key, node)

    # What rules are written with

    def make(self, like: Node, op: Any, *inputs: Node, **params: Any) -> Node:
        """The node of an op on nodes that were visited, made or found, in the place of ``like`` in the user's program.

        A rule may try what the op refuses, such as a shape that does not fit: the error is the rule's.
        """
        return self.made(like, op, inputs, params)

    def made(self, like: Node, op: Any, inputs: tuple[Node, ...], params: Params, spec: Spec | None = None) -> Node:
        """The same for a spec that is known, where working it out costs much."""
        key = identity(op, inputs, params)
        found = self.shared.get(key)
        if found is None:
            spec = spec or _inferred(op, inputs, params)
            node = make(op, inputs, params, None, spec=spec, origin=like.origin, program=like.program)
            found = self.shared[key] = self.better(node)
        return found

    def adopted(self, nodes: Sequence[Node], known: Iterable[Node]) -> list[Node]:
        """Nodes that were made elsewhere, of nodes that were visited, as if they had been in the graph."""
        for x in known:
            self.now.setdefault(x, x)
        around = set(known)
        for node in reachable(nodes, follow=lambda x: x not in around):
            self.now[node] = self.visit(node)
        return [self.now[node] for node in nodes]

    def constant(self, value: Any) -> Node:
        """A constant; a Python scalar promotes as one."""
        return self.interned(constant(value))

    def number(self, node: Node) -> Any:
        """The value of every element of a constant, as a Python or NumPy scalar; None where they differ."""
        if node.value is None:
            return None
        if node not in self.numbers:
            self.numbers[node] = fold.uniform(node.value)
        return self.numbers[node]

    def cast(self, like: Node, x: Node, dtype: np.dtype[Any]) -> Node:
        """x in a dtype, which is no Python scalar's any more."""
        if x.dtype == dtype and not is_weak(x):
            return x
        return self.make(like, logic.Cast if is_inexact(dtype) else logic.ToInteger, x, dtype=dtype)

    def reshape(self, like: Node, x: Node, shape: tuple[int, ...]) -> Node:
        return x if x.shape == shape else self.make(like, view.Reshape, x, shape=shape)

    def fitted(self, like: Node, x: Node) -> Node:
        """x stretched to the shape, and in the dtype, of a node."""
        if alike(x, like):
            return x
        x = self.cast(like, x, like.dtype)
        return x if x.shape == like.shape else self.make(like, view.BroadcastTo, x, shape=like.shape)


def _inferred(op: Any, inputs: tuple[Node, ...], params: Params) -> Any:
    if op is view.Concatenate:  # whose own way is to join arrays of these sizes
        first, axis = inputs[0], params["axis"]
        size = sum(x.shape[axis] for x in inputs)
        return Spec((*first.shape[:axis], size, *first.shape[axis + 1 :]), first.dtype)
    promotes = issubclass(op, Elementwise)
    return infer(op, [spec_or_scalar(x) if promotes else x.spec or spec_or_scalar(x) for x in inputs], params)


def needed(outputs: Sequence[Node]) -> list[Node]:
    """What the outputs are made from, inputs first; a node with a value is a constant, whatever it was made from."""
    found: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = None
            if node.value is None:
                stack.extend(node.inputs)
    return sorted(found, key=creation_order)


def identity(op: Any, inputs: tuple[Node, ...], params: Params) -> Any:
    """What makes two nodes one. By ids: nodes compare by elements."""
    ids = [id(x) for x in inputs]
    return (op, tuple(sorted(ids) if op in EXCHANGEABLE else ids), tuple(params.items()) if params else ())


def alike(found: Node, node: Node) -> bool:
    """Whether one may stand for the other: they have one shape and dtype, and promote in the same way."""
    return found.shape == node.shape and found.dtype == node.dtype and is_weak(found) == is_weak(node)


def remade(node: Node, inputs: tuple[Node, ...], **params: Any) -> Node:
    """A node on other inputs of the same specs."""
    made: Node = make(
        node.op, inputs, {**node.params, **params}, None, spec=node.spec, origin=node.origin, program=node.program
    )
    if node.program is not None and node in node.program.weak:
        node.program.weak[made] = node.program.weak[node]
    return made


def _with_simple_bodies(node: Node, frugal: bool) -> Node:
    """A loop whose step, or branches of which each, is rewritten by itself, once for all loops by it."""
    changed = {}
    for name, value in node.params.items():
        bodies = value if isinstance(value, tuple) else (value,)
        if bodies and all(isinstance(body, loop.Body) for body in bodies):
            simple = tuple([_simple(body, frugal) for body in bodies])
            if any(a is not b for a, b in zip(simple, bodies, strict=True)):
                changed[name] = simple if isinstance(value, tuple) else simple[0]
    return remade(node, node.inputs, **changed) if changed else node


def _simple(body: loop.Body, frugal: bool) -> loop.Body:
    key = ("simplified", frugal)
    simple: loop.Body | None = body.derived.get(key)
    if simple is None:
        outputs = Rewriter(frugal).run(body.outputs)
        same = all(a is b for a, b in zip(outputs, body.outputs, strict=True))
        simple = body.derived[key] = body if same else loop.Body(body.inputs, outputs)
    return simple
