"""Scan and While: a step repeated, held in the graph as one node with the step's own graph inside."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import is_inexact
from ..errors import ShapeError
from ..graph.apply import Output, apply
from ..graph.bfloat16 import evaluator
from ..graph.node import NO_PARAMS, Constant, Input, Node, Spec, Trace, make, next_index, reachable, spec_of, value_of
from ..graph.origin import Context
from ..graph.primitive import Contraction, Elementwise, Opaque, Structured
from ..graph.show import show
from ..lazy import lazy
from .control import Alias
from .elementwise import CHEAP

# The derivatives of a scan are scans over derivatives of its body, which the walks make. They stand above the ops, and
# enter here what they do when imported.
above: dict[str, Callable[..., Any]] = {}


class Counts(NamedTuple):
    """How many of a scan's inputs are carried from step to step, sliced along axis 0, and the same at every step."""

    carry: int
    xs: int
    captured: int


class Step(NamedTuple):
    """One op of a body: where its arguments lie, and where its value goes."""

    evaluate: Callable[..., Any]
    arguments: tuple[int, ...]
    params: dict[str, Any]
    place: int


class Body:
    """The graph of one step. Two bodies are equal only if they are the same object.

    Attributes
    ----------
    inputs : Input nodes: the carry, a slice of each of the xs, and what the step captured from around the loop
    outputs : the next carry, then the ys of this step
    derived : bodies made from this one by the walks, kept because a loop is often differentiated again
    """

    def __init__(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.derived: dict[Any, Any] = {}

    @lazy
    def nodes(self) -> list[Node]:
        """Every node the outputs are made from, in an order in which they can be computed."""
        return reachable(self.outputs)

    @lazy
    def places(self) -> dict[Node, int]:
        """Where the value of each node lies while a step runs: the inputs first."""
        return {node: i for i, node in enumerate(dict.fromkeys((*self.inputs, *self.nodes)))}

    @lazy
    def constants(self) -> list[Any]:
        """What lies in each place before the first step."""
        return [node.value for node in self.places]

    @lazy
    def steps(self) -> list[Step]:
        """What a step does, in order."""
        places = self.places
        return [
            Step(
                evaluator(node.op, () if node.op is Output else [x.dtype for x in node.inputs]),
                tuple(places[x] for x in node.inputs),
                node.params,
                places[node],
            )
            for node in self.nodes
            if node.inputs
        ]

    @lazy
    def dear(self) -> list[Node]:
        """What a step works longest at: products, library functions, exponentials and their like, as far as something
        is differentiated by."""
        return [x for x in self.nodes if x.tracked and is_dear(x.op)]

    def evaluate(self, values: Sequence[Any]) -> list[Any]:
        """The values of the outputs for values of the inputs, by NumPy."""
        held = self.constants.copy()
        held[: len(values)] = values
        for evaluate, arguments, params, place in self.steps:
            held[place] = evaluate(*[held[k] for k in arguments], **params)
        return [held[self.places[node]] for node in self.outputs]

    def saving(self, carry: int, nodes: Iterable[Node]) -> Body:
        """This body, returning also these nodes of a step, where it did not."""
        returned = set(self.outputs[carry:])
        return Body(self.inputs, [*self.outputs, *(node for node in nodes if node not in returned)])

    def __repr__(self) -> str:
        lines, _, last = show([*self.inputs, *self.outputs]).rpartition("\n")
        names = last.removeprefix("return ").split(", ")
        inside = f"{lines}\nreturn {', '.join(names[len(self.inputs) :])}"
        return "\n" + textwrap.indent(inside, "    ") + "\n"


class Scan(Structured):
    """carry, y_i = body(carry, x_i, captured) for every i: the last carry, and the ys stacked along a new axis 0.

    Inputs are the leaves of the first carry, the xs with the steps along axis 0, and the captured values; ``counts``
    tells them apart. The VJP is a scan in the other direction whose carry is the cotangent of the carry and the sums
    of the cotangents of what was captured. It needs the carry before each step, and what is dear to compute again: a
    body that is to be differentiated returns them as further ys, which nobody else reads.
    """

    private = True  # its body is a graph: tests/ops/test_loop.py samples it
    outputs = 2

    @staticmethod
    def eval(*values: Any, body: Body, counts: Counts, length: int, reverse: bool) -> tuple[Any, ...]:
        n, places, steps = counts.carry, body.places, body.steps
        xs = values[n : n + counts.xs]
        after = [places[node] for node in body.outputs[:n]]
        stacked = [(places[node], np.empty((length, *node.shape), node.dtype)) for node in body.outputs[n:]]
        held = body.constants.copy()
        held[: len(values)] = values
        for i in range(length - 1, -1, -1) if reverse else range(length):
            held[n : n + counts.xs] = [x[i] for x in xs]
            for evaluate, arguments, params, place in steps:
                held[place] = evaluate(*[held[k] for k in arguments], **params)
            for place, stack in stacked:
                stack[i] = held[place]
            held[:n] = [held[place] for place in after]
        last = [np.array(v, node.dtype)[()] for v, node in zip(held[:n], body.inputs, strict=False)]
        return (*last, *(stack for _, stack in stacked))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> tuple[Spec, ...]:
        body, counts, length = params["body"], params["counts"], params["length"]
        expected = list(map(spec_of, body.inputs))
        for k in range(counts.carry, counts.carry + counts.xs):
            expected[k] = Spec((length, *expected[k].shape), expected[k].dtype)
        fitting(cls.name, specs, expected)
        rows = [Spec((length, *node.shape), node.dtype) for node in body.outputs[counts.carry :]]
        return (*(spec_of(node) for node in body.outputs[: counts.carry]), *rows)

    @staticmethod
    def vjp(g: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        cotangents: tuple[Any, ...] = above["pull"](g, y, xs, **params)
        return cotangents

    @staticmethod
    def jvp(ts: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        tangents: tuple[Any, ...] = above["push"](ts, y, xs, **params)
        return tangents


class While(Structured):
    """carry = step(carry, captured) as long as test(carry, captured) holds: the last carry.

    Inputs are the leaves of the first carry and the captured values; ``carry`` tells how many the first are. The last
    leaf of the carry is the number of rounds so far, of int64. The VJP runs parts of the loop again from at most
    ``checkpoints`` carries that it keeps: autodiff/whiles.py. ``rounds`` says how many there are, where that is known.
    """

    private = True  # its bodies are graphs: tests/ops/test_loop.py samples it
    outputs = 2

    @staticmethod
    def eval(
        *values: Any, test: Body, step: Body, carry: int, checkpoints: int, rounds: float = 1.0
    ) -> tuple[Any, ...]:
        held = list(values)
        while test.evaluate(held)[0]:
            held[:carry] = step.evaluate(held)
        return tuple([np.array(v, node.dtype)[()] for v, node in zip(held[:carry], step.inputs, strict=False)])

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> tuple[Spec, ...]:
        fitting(cls.name, specs, list(map(spec_of, params["step"].inputs)))
        return tuple(map(spec_of, params["step"].outputs))

    @staticmethod
    def vjp(g: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        cotangents: tuple[Any, ...] = above["pull while"](g, y, xs, **params)
        return cotangents

    @staticmethod
    def jvp(ts: Any, y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
        tangents: tuple[Any, ...] = above["push while"](ts, xs, **params)
        return tangents

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], *xs: Any, **params: Any) -> tuple[Any, ...]:
        values: tuple[Any, ...] = above["batch while"](size, over, *xs, **params)
        return values


def is_dear(op: Any) -> bool:
    """Whether an op is dearer to compute again than its result is to read."""
    if issubclass(op, Elementwise):
        return op.name not in CHEAP
    return issubclass(op, (Contraction, Opaque)) and op.outputs == 1


def fitting(name: str, specs: Sequence[Any], expected: Sequence[Spec]) -> None:
    """Refuse inputs that a body was not traced for."""
    for k, (spec, fits) in enumerate(zip(specs, expected, strict=True)):
        if (spec if isinstance(spec, Spec) else spec_of(spec)) != fits:
            raise ShapeError(f"{name}: input {k} does not fit the body: got {spec}, expected {fits}")


@contextlib.contextmanager
def opened(branch: bool = False) -> Iterator[Trace]:
    """The trace of a body; what is made in it is of no use once it is closed, but by ``closed``.

    Of a ``branch`` is also what is made meanwhile of values around it only.
    """
    trace = Trace(inner=True)
    before = Context.branch
    if branch:
        Context.branch = frozenset([trace])
    try:
        yield trace
    finally:
        trace.closed = True
        Context.branch = before


def placeholder(like: Any, trace: Trace, tracked: bool) -> Any:
    """An Input of a body being traced, of a Spec or like a node; it promotes as a Python scalar if the node does."""
    node: Node = make(Input, (), NO_PARAMS, None, spec=Spec(like.shape, like.dtype), tracked=tracked, program=trace)
    return _as_weak(node, like)


def _as_weak(node: Node, like: Any) -> Node:
    if isinstance(like, Node) and like.program is not None and like in like.program.weak:
        assert node.program is not None
        node.program.weak[node] = like.program.weak[like]
    return node


def copied(outputs: Sequence[Node], places: Mapping[Node, Node], trace: Trace) -> list[Node]:
    """The nodes computing ``outputs``, made again for another trace, with ``places`` instead of what they came from."""
    copies = dict(places)
    for node in reachable(outputs, follow=lambda node: node not in places):
        if not node.inputs:
            copies[node] = node
            continue
        inputs = tuple([copies[x] for x in node.inputs])
        tracked = node.op.differentiable and any(x.tracked for x in inputs)
        copy: Node = make(
            node.op, inputs, node.params, None, spec=node.spec, tracked=tracked, origin=node.origin, program=trace
        )
        copies[node] = _as_weak(copy, node)
    return [copies[node] for node in outputs]


def replayed(
    body: Body, values: Sequence[Any], again: Callable[[Node, tuple[Any, ...]], Any] | None = None
) -> list[Any]:
    """The outputs of a body for other inputs, values or nodes, as operations of whatever these belong to.

    ``again(node, inputs)`` does one of them; without it each is done at its line of the body.
    """
    again = again or _at_its_line
    held: dict[Node, Any] = dict(zip(body.inputs, values, strict=True))
    for node in body.nodes:
        if node in held:
            continue
        if not node.inputs:
            held[node] = node
        elif node.op is Output:
            held[node] = held[node.inputs[0]][node.params["index"]]
        else:
            held[node] = again(node, tuple([held[x] for x in node.inputs]))
    return [held[node] for node in body.outputs]


def _at_its_line(node: Node, inputs: tuple[Any, ...]) -> Any:
    since = next_index()
    made = apply(node.op, inputs, node.params)
    for part in made if isinstance(made, tuple) else (made,):
        if isinstance(part, Node) and part.index > since and part.origin is not None and node.origin is not None:
            part.origin = node.origin._replace(forward=part.origin.forward)
    if isinstance(made, Node) and made.program is not None:
        _as_weak(made, node)
    return made


def opened_by(body: Body, values: Sequence[Any], wanted: Iterable[int]) -> tuple[list[Any], list[Node]]:
    """Values of a body's inputs, those wanted as nodes to differentiate by; and these nodes."""
    inputs, targets = list(values), []
    for k in wanted:
        x = inputs[k]
        if isinstance(x, Node) and (x.tracked or x.value is None):
            node = apply(Alias, (x,))
            inputs[k] = _as_weak(node, body.inputs[k]) if node.program is not None else node
        else:
            inputs[k] = make(Input, (), NO_PARAMS, value_of(x), tracked=True)
        targets.append(inputs[k])
    return inputs, targets


def closed(
    trace: Trace, inputs: Sequence[Node], outputs: Sequence[Node], carry: int, tracked: Iterable[Node]
) -> tuple[Body, list[Node]]:
    """The body of a step that was traced, and what it uses of the programs around it, to be given as further inputs.

    Numbers stay in the body, where they can be folded. ``tracked`` are those of the inputs whose first value is. An
    input may be any node of the trace: what it was made from is then no part of the body.
    """
    known = set(inputs)
    inside = reachable(outputs, follow=lambda node: node.program is trace and node not in known)
    outside = [x for x in (*(x for node in inside for x in node.inputs), *outputs) if x.program is not trace]
    active = depending(inside, inputs, outputs, carry, {*tracked, *(x for x in outside if x.tracked)})
    own = Trace(inner=True)
    own.closed = True
    places = {node: placeholder(node, own, node in active) for node in inputs}
    captured: dict[int, Node] = {}
    for node in outside:
        if node.op is Constant and not node.shape:
            continue
        key = id(node.value if node.op is Constant else node)  # one input for an array, however often it is used
        if key not in captured:
            captured[key] = node
            places[node] = placeholder(node, own, node.tracked and is_inexact(node.dtype))
        places[node] = places[captured[key]]
    return Body(list(dict.fromkeys(places.values())), copied(outputs, places, own)), list(captured.values())


def depending(
    nodes: Sequence[Node], inputs: Sequence[Node], outputs: Sequence[Node], carry: int, given: Iterable[Node]
) -> set[Node]:
    """The nodes of a step that depend on those given, also by what earlier steps made of the carry."""
    found = set(given)
    while True:
        for node in nodes:
            if node.op.differentiable and not found.isdisjoint(node.inputs):
                found.add(node)
        late = {x for x, y in zip(inputs[:carry], outputs, strict=False) if y in found and is_inexact(x.dtype)} - found
        if not late:
            return found
        found |= late
