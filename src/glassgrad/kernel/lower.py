"""Graph to nests: every node that ``keep.py`` gives a buffer, and the nests that fill it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..graph.apply import Output
from ..graph.bfloat16 import evaluate
from ..graph.node import Node
from ..ops import branch, loop
from . import index as ix
from . import read, write
from .batches import MOST, batches, rows_at_once
from .index import Axis
from .instructions import itemsize
from .ir import Affine
from .keep import INLINE, RULES, behind, behind_views, choose, inlines, native, needed_nodes, order
from .nest import Nest, collapsed
from .read import Memory, Reader, is_constant
from .scalars import HALVES


@dataclass(frozen=True)
class Outside:
    """A step that is a function of whole arrays, run by Python: an op without loops of its own.

    Attributes
    ----------
    inputs, outputs : buffers
    shapes, dtypes : as the op sees them, of inputs and outputs
    """

    op: Any
    params: dict[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any], ...]

    @property
    def name(self) -> str:
        name: str = self.op.name
        return name

    def __call__(self, *views: Any) -> None:
        """Compute on views of the buffers, inputs first."""
        arrays = [
            v.view(d).reshape(s) if d.kind != "b" else v.view(np.bool_).reshape(s)
            for v, s, d in zip(views, self.shapes, self.dtypes, strict=True)
        ]
        count = len(self.inputs)
        with np.errstate(all="ignore"):
            found = evaluate(self.op, arrays[:count], self.params)
        for out, value in zip(arrays[count:], found if self.op.outputs > 1 else (found,), strict=True):
            out[...] = value


@dataclass(frozen=True)
class Again:
    """Steps that are repeated: a scan.

    Attributes
    ----------
    body : the nests of one step
    loop, count : the loop's name, and how often it goes round
    inputs, outputs : buffers read and written, parts of them by each step
    carried : (what a step makes, where the next one finds it)
    """

    body: Lowered
    loop: str
    count: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    carried: tuple[tuple[int, int], ...]

    @property
    def parts(self) -> list[tuple[Lowered, tuple[tuple[int, int], ...]]]:
        """What it holds, each with the results that take the place of others."""
        return [(self.body, self.carried)]


@dataclass(frozen=True)
class AsLong:
    """Steps that are repeated as long as a test holds: a while loop. Attributes as of ``Again``; it goes ``rounds``
    rounds, if that is known."""

    test: Lowered
    more: int
    body: Lowered
    loop: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    carried: tuple[tuple[int, int], ...]
    rounds: float = 1.0

    @property
    def parts(self) -> list[tuple[Lowered, tuple[tuple[int, int], ...]]]:
        return [(self.test, ()), (self.body, self.carried)]


@dataclass(frozen=True)
class Either:
    """Steps of one of several branches: a switch. Each part makes all outputs.

    Attributes
    ----------
    index : the buffer that says which part
    parts : of each branch its nests, and (what it makes, where that is found afterwards)
    """

    index: int
    parts: list[tuple[Lowered, tuple[tuple[int, int], ...]]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


Holding = Again | AsLong | Either  # steps that hold steps
Unit = Nest | Outside | Holding


@dataclass(frozen=True)
class Lowered:
    """What ``fuse`` takes over: nests in an order that computes everything before it is used.

    ``outputs`` has the buffer of each output, ``rewritten`` the buffers that nests write in turn, ``shared`` those
    of which each nest writes a part of its own, ``made`` which node a buffer is of. A ``frugal`` program rather takes
    little memory than little time.
    """

    nests: list[Unit]
    memory: list[Memory]
    constants: list[np.ndarray[Any, Any]]
    failures: list[str]
    outputs: list[int]
    rewritten: set[int]
    shared: set[int]
    extents: dict[str, int]
    names: Any
    made: dict[int, Node]
    frugal: bool


class Lowering(Reader):
    """One graph on its way down."""

    rules = INLINE

    def __init__(self, around: Lowering | None = None, frugal: bool = False) -> None:
        super().__init__(around)
        self.frugal: bool = around.frugal if around else frugal
        self.rewritten: set[int] = set()
        self.shared: set[int] = set()
        self.many: dict[Node, list[int]] = {}
        self.given: set[int] = set()  # buffers of a loop's body that are not its own
        self.asked: dict[Node, set[int]] = {}  # which of several outputs somebody reads
        self.found: list[Unit] = []
        self.batches: set[int] = set()

    def axis(self, extent: int) -> Axis:
        axis = Axis(self.names("a"), extent)
        self.extents[axis.name] = extent
        return axis

    def value(self, axis: Axis) -> Affine:
        return ix.axis(axis.name) if axis.extent != 1 else ix.ZERO

    def domain(self, shape: Sequence[int]) -> tuple[list[Axis], tuple[Affine, ...]]:
        """An axis for every size but 1, and the index of the element they stand for."""
        axes = [self.axis(n) if n != 1 else None for n in shape]
        return [a for a in axes if a is not None], tuple([ix.axis(a.name) if a else ix.ZERO for a in axes])

    def compute_dtype(self, dtype: np.dtype[Any]) -> str:
        name, _ = read.storage_dtype(dtype)
        return "float32" if name in HALVES else name

    def rows_at_once(self, extent: int) -> int:
        """How many of so many rows a sum over them takes at a time; 0 for all."""
        return rows_at_once(extent) if extent >= MOST or extent in self.batches else 0

    def finish(self, nest: Nest) -> Nest:
        nest = collapsed(nest, self.names)
        self.extents.update({a.name: a.extent for a in (*nest.axes, *nest.inner)})
        return nest

    def run(self, inputs: Sequence[Node], outputs: Sequence[Node]) -> Lowered:
        """A whole program: the inputs are its arguments."""
        for number, node in enumerate(inputs):
            self.place[node] = self.buffer(node.dtype, math.prod(node.shape), "argument", number)
        self.write_all(outputs)
        results = self.results(outputs)
        for number, buffer in enumerate(results):
            self.memory[buffer] = self.memory[buffer]._replace(kind="output", number=number)
        return self.lowered(results)

    def write_all(self, outputs: Sequence[Node]) -> None:
        nodes = needed_nodes(outputs)
        for node in nodes:
            if node.op is Output:
                self.asked.setdefault(node.inputs[0], set()).add(node.params["index"])
        self.batches = set() if self.frugal else batches(nodes)
        roots = choose(nodes, outputs, self.frugal)
        for node in sorted(roots, key=order(nodes, roots)):
            self.write(node)

    def lowered(self, results: list[int]) -> Lowered:
        return Lowered(
            [n for n in self.found if not _empty(n)],
            self.memory,
            self.constants,
            self.failures,
            results,
            self.rewritten,
            self.shared,
            self.extents,
            self.names,
            {buffer: node for node, buffer in self.place.items() if buffer not in self.given},
            self.frugal,
        )

    def write(self, node: Node) -> None:
        """Give a node a buffer, and what fills it."""
        if node.op in HOLDING:
            HOLDING[node.op](self, node)
            return
        if isinstance(node.spec, tuple) and not hasattr(node.spec, "shape"):
            self.outside(node, list(node.spec))
            return
        if node.op is Output:
            self.place[node] = self.many[node.inputs[0]][node.params["index"]]
            return
        self.place[node] = self.buffer(node.dtype, math.prod(node.shape), "value")
        if 0 in node.shape:
            return
        rule = RULES.get(node.op)
        if rule is not None and native(node):
            self.found += rule(self, node)
        elif inlines(node):
            self.found += write.simple_map(self, node)
        else:
            del self.place[node]
            self.outside(node, [node.spec])

    def outside(self, node: Node, specs: list[Any]) -> None:
        """An op that Python runs, on buffers of its inputs."""
        inputs = [self.held(x) for x in node.inputs]
        outputs = [self.buffer(s.dtype, math.prod(s.shape), "value") for s in specs]
        if len(specs) == 1 and node.op.outputs == 1:
            self.place[node] = outputs[0]
        self.many[node] = outputs
        shapes = tuple([x.shape for x in node.inputs] + [s.shape for s in specs])
        dtypes = tuple([x.dtype for x in node.inputs] + [s.dtype for s in specs])
        self.found.append(Outside(node.op, node.params, tuple(inputs), tuple(outputs), shapes, dtypes))

    def again(self, node: Node) -> None:
        """A scan: the carry in buffers of its own, rows of the xs and ys as slices."""
        body, counts, length, reverse = (node.params[k] for k in ("body", "counts", "length", "reverse"))
        inner, name = Lowering(self), self.names("l")
        given = [self.held(x) for x in node.inputs]
        carry = [self.buffer(x.dtype, math.prod(x.shape), "value") for x in body.inputs[: counts.carry]]
        for x, start, buffer in zip(body.inputs, node.inputs, carry, strict=False):
            if 0 not in x.shape:
                self.found.append(write.copied(self, buffer, x.dtype, start))
        stacks = [self.buffer(y.dtype, length * math.prod(y.shape), "value") for y in body.outputs[counts.carry :]]
        rows = [self.row(b, length, name, reverse) for b in given[counts.carry : counts.carry + counts.xs]]
        inner.place.update(zip(body.inputs, [*carry, *rows, *given[counts.carry + counts.xs :]], strict=True))
        inner.given = set(inner.place.values())
        self.many[node] = [*carry, *stacks]
        if not length:
            return
        asked = [i for i in range(len(body.outputs)) if i < counts.carry or i in self.asked.get(node, ())]
        results = [body.outputs[i] for i in asked]
        inner.write_all(results)
        made = inner.results(results)
        stacks = [stacks[i - counts.carry] for i in asked[counts.carry :]]
        for buffer, stack in zip(made[counts.carry :], stacks, strict=True):
            self.memory[buffer] = self.memory[self.row(stack, length, name, reverse)]
        self.found.append(
            Again(
                inner.lowered(made),
                name,
                length,
                tuple([*given[counts.carry :], *carry]),
                (*carry, *stacks),
                tuple(zip(made[: counts.carry], carry, strict=True)),
            )
        )

    def as_long(self, node: Node) -> None:
        """A while loop: the leaves of the carry that something needs in buffers of their own."""
        test, step, n = (node.params[k] for k in ("test", "step", "carry"))
        kept = _needed_carry(test, step, n, self.asked.get(node, set()))
        given = [self.held(x) if k >= n else -1 for k, x in enumerate(node.inputs)]
        for k in range(n):
            x = step.inputs[k]
            given[k] = self.buffer(x.dtype, math.prod(x.shape), "value")
            if k in kept and 0 not in x.shape:
                self.found.append(write.copied(self, given[k], x.dtype, node.inputs[k]))
        self.many[node] = given[:n]
        carry = [given[k] for k in kept]
        (more,), condition = self.part(test.inputs, given, test.outputs)
        made, body = self.part(step.inputs, given, [step.outputs[k] for k in kept])
        inputs, carried = (*given[n:], *carry), tuple(zip(made, carry, strict=True))
        rounds = node.params.get("rounds", 1.0)
        self.found.append(AsLong(condition, more, body, self.names("l"), inputs, tuple(carry), carried, rounds))

    def either(self, node: Node) -> None:
        """A switch: each branch writes the outputs that somebody reads."""
        branches, asked = node.params["branches"], sorted(self.asked.get(node, ()))
        index, *given = (self.held(x) for x in node.inputs)
        self.many[node] = [self.buffer(y.dtype, math.prod(y.shape), "value") for y in branches[0].outputs]
        outputs = [self.many[node][i] for i in asked]
        parts = []
        for body in branches:
            made, lowered = self.part(body.inputs, given, [body.outputs[i] for i in asked])
            parts.append((lowered, tuple(zip(made, outputs, strict=True))))
        self.found.append(Either(index, parts, (index, *given), tuple(outputs)))

    def part(
        self, inputs: Sequence[Node], buffers: Sequence[int], results: Sequence[Node]
    ) -> tuple[list[int], Lowered]:
        """Nests that compute results from inputs in these buffers, and where the results are."""
        inner = Lowering(self)
        inner.place.update(zip(inputs, buffers, strict=True))
        inner.given = set(buffers)
        inner.write_all(results)
        made = inner.results(results)
        return made, inner.lowered(made)

    def row(self, buffer: int, length: int, name: str, reverse: bool) -> int:
        """A buffer that is row i of another in step i of a loop."""
        whole = self.memory[buffer]
        size = whole.size // max(length, 1)
        stride = size * itemsize(whole.dtype)
        start, stride = (stride * (length - 1), -stride) if reverse else (0, stride)
        self.memory.append(Memory(whole.dtype, size, "slice", buffer, start, stride, name))
        return len(self.memory) - 1

    def held(self, node: Node) -> int:
        """The buffer of a node that must have one."""
        base = behind(node)
        found = self.constant(base) if is_constant(base) else self.where(base)
        assert found is not None, node.op
        return found

    def factor(self, node: Node) -> None:
        """Have the constant that a factor of a product is a view of in memory, whatever else could stand for it."""
        base = behind_views(node)
        if is_constant(base) and self.uniform(base) is None:
            self.constant(base)

    def results(self, outputs: Sequence[Node]) -> list[int]:
        """The buffers of the outputs, each its own: an argument, a constant or a second request is copied."""
        taken: list[int] = []
        for node in outputs:
            held = self.where(node)
            if held is None or self.memory[held].kind != "value" or held in self.given or held in taken:
                dtype = np.asarray(node.value).dtype if is_constant(node) else node.dtype
                held = self.buffer(dtype, math.prod(node.shape), "value")
                if 0 not in node.shape:
                    self.found.append(write.copied(self, held, dtype, node))
            taken.append(held)
        return taken


HOLDING: dict[Any, Callable[[Lowering, Node], None]] = {
    loop.Scan: Lowering.again,
    loop.While: Lowering.as_long,
    branch.Switch: Lowering.either,
}


def _needed_carry(test: loop.Body, step: loop.Body, n: int, asked: set[int]) -> list[int]:
    """The leaves of a carry that are asked for, or that the test or another needed one is made from."""
    inputs = {x: k for k, x in enumerate(step.inputs[:n])}
    found: set[int] = set()
    later = asked | {inputs[x] for x in needed_nodes(test.outputs) if x in inputs}
    while later - found:
        found |= later
        later = {inputs[x] for x in needed_nodes([step.outputs[k] for k in found]) if x in inputs}
    return sorted(found)


def _empty(nest: Unit) -> bool:
    return isinstance(nest, Nest) and (any(a.extent == 0 for a in nest.axes) or nest.fixed == ())
