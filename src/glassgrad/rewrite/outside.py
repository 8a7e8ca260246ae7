"""What a scan need not do step by step: what does not depend on its carry, and what its carry does not depend on.

What is the same in every step is done once, before the loop. A product of a matrix and a row of the xs, or of a matrix
and what a step hands out, is done for all steps at once, with what is made of it: one long product in place of many
short ones. So is a carry that only sums up: Σ Aᵀ B over the steps, the gradient of a weight, is one product of all rows
of A and all of B. Besides, threads that share out the rows of a step then need not meet for it.

To the bit but for the sums, which are taken in another order. Large products gain nothing and stay in their steps, as
does what would take much memory.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..autodiff.batch import on_batch
from ..graph.apply import Output, is_weak
from ..graph.node import Node, Spec, Trace, creation_order, reachable
from ..graph.primitive import Contraction, Elementwise, Reduction, View
from ..ops import contraction, indexing, reduction, view
from ..ops import elementwise as ew
from ..ops.loop import Body, Counts, Scan, copied, placeholder
from .rules import Rule, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

LARGE = 1e7  # operations of a product that stays in its step
STACK = 32 << 20  # bytes that what is done for all steps at once may take
TURNED = (view.Transpose, view.Reshape)  # views of all elements


class Moved:
    """What is known of a scan that was looked at here: what its outputs have become, or None where it stays."""

    def __init__(self, outputs: list[Node] | None) -> None:
        self.outputs = outputs


class Sum(NamedTuple):
    """A carry that only sums up ``term``, a node of the step, behind ``views`` of it, the last of them first."""

    term: Node
    views: list[Node]


def _output(b: Rewriter, n: Node, scan: Node, *, index: int) -> Node | None:
    """An output of a scan -> that of a scan whose steps do less, or what is done before or after it"""
    known = b.known.get(scan)
    if known is None:
        known = b.known[scan] = Moved(_outputs(b, scan) if scan.params["length"] > 1 else None)
    return known.outputs[index] if known.outputs else None


def _outputs(b: Rewriter, scan: Node) -> list[Node] | None:
    """What the outputs of a scan become, where something can leave its steps."""
    s = _Steps(scan)
    n, m, length = len(s.carry), len(s.carry) + len(s.xs), s.length
    inputs, outputs = s.body.inputs, s.body.outputs
    trace: Any = inputs[0].program if inputs else None
    stay = [k for k in range(n) if k not in s.sums]
    after = [outputs[k] for k in stay]
    elsewhere = s.early | s.late
    ys = list(dict.fromkeys([*(y for y in outputs[n:] if y not in elsewhere), *s.rows()]))
    inside = reachable([*after, *ys], follow=lambda x: not s.ahead(x))
    given = [x for x in dict.fromkeys([*after, *ys, *(x for node in inside for x in node.inputs)]) if s.ahead(x)]
    if not (given or s.late or s.early):
        return None
    rows, same = [x for x in given if x in s.early], [x for x in given if x not in s.early]
    values = dict(zip(inputs[n:], scan.inputs[n:], strict=True))
    before = _adopted(b, scan.inputs, given, values, s)
    places = {x: x for x in inputs} | {x: placeholder(x, trace, x.tracked) for x in given}
    step = Body(
        [*(inputs[k] for k in stay), *s.xs, *(places[x] for x in rows), *inputs[m:], *(places[x] for x in same)],
        copied([*after, *ys], places, trace),
    )
    starts, xs, captured = [scan.inputs[k] for k in stay], scan.inputs[n:m], scan.inputs[m:]
    arguments = (*starts, *xs, *(before[x] for x in rows), *captured, *(before[x] for x in same))
    sizes = Counts(len(stay), len(xs) + len(rows), len(captured) + len(same))
    specs: Any = (*(Spec(x.shape, x.dtype) for x in after), *(Spec((length, *y.shape), y.dtype) for y in ys))
    made = b.made(scan, Scan, arguments, {**scan.params, "body": step, "counts": sizes}, specs)
    results = [b.made(scan, Output, (made,), {"index": i}, spec) for i, spec in enumerate(specs)]
    stacks = dict(zip(ys, results[len(stay) :], strict=True))
    wanted = [*(y for y in outputs[n:] if y not in stacks), *(found.term for found in s.sums.values())]
    varying = {y: stack for y, stack in stacks.items() if y not in s.same}  # what is the same is at hand as it is
    stacks |= _adopted(b, (*scan.inputs, *results), wanted, {**values, **varying}, s)
    carried = dict(zip(stay, results, strict=False))
    for k, found in s.sums.items():
        total = b.made(scan, reduction.Sum, (stacks[found.term],), {"axis": (0,), "keepdims": False}, found.term.spec)
        for x in reversed(found.views):
            total = b.made(scan, x.op, (total,), x.params, x.spec)
        carried[k] = b.make(scan, ew.Add, scan.inputs[k], total)
    return [*(carried[k] for k in range(n)), *(stacks[y] for y in outputs[n:])]


class _Steps:
    """The steps of a scan, and what leaves them.

    Attributes
    ----------
    early : what is made of the xs and is done for all steps before the loop
    late : what no carry needs and is done for all steps after the loop
    sums : carries that only sum something up, by number
    """

    def __init__(self, scan: Node) -> None:
        self.body: Body = scan.params["body"]
        self.counts: Counts = scan.params["counts"]
        self.length: int = scan.params["length"]
        n, m = self.counts.carry, self.counts.carry + self.counts.xs
        self.carry, self.xs = self.body.inputs[:n], self.body.inputs[n:m]
        self.uses = Counter([*self.body.outputs, *(x for node in self.body.nodes for x in node.inputs)])
        self.factors = {x for node in self.body.nodes if node.op is contraction.Matmul for x in node.inputs}
        self.same = self.made_of(self.body.inputs[m:])
        varying = self.made_of(self.body.inputs[n:]) - self.same
        self.early = self.leaving(filter(self.merges, varying), varying, varying)
        self.sums = {k: found for k in range(n) if (found := self.sum(k))}
        free = self.free(varying)
        self.sums = {k: found for k, found in self.sums.items() if self.leaving([found.term], free)}
        free = self.free(varying)
        starts = [*filter(self.merges, free), *(found.term for found in self.sums.values())]
        self.late = self.leaving(starts, free)

    def made_of(self, inputs: Iterable[Node]) -> set[Node]:
        """What is made of these inputs only, and they themselves."""
        found = set(inputs)
        for node in self.body.nodes:
            if node.value is None and node.inputs and all(x in found or x.value is not None for x in node.inputs):
                found.add(node)
        return found

    def free(self, varying: set[Node]) -> set[Node]:
        """What no carry needs, but for those that only sum up."""
        kept = reachable([y for k, y in enumerate(self.body.outputs[: len(self.carry)]) if k not in self.sums])
        sums = {self.body.outputs[k] for k in self.sums} | {x for found in self.sums.values() for x in found.views}
        return set(self.body.nodes).difference(kept, sums, varying, self.same, self.carry)

    def sum(self, k: int) -> Sum | None:
        """What a carry that serves for nothing else sums up, if that is a product or a sum."""
        carry, after = self.carry[k], self.body.outputs[k]
        if after.op is not ew.Add or not (self.once(carry) and self.once(after) and carry in set(after.inputs)):
            return None
        term = next(x for x in after.inputs if x is not carry)
        views: list[Node] = []
        while term.op in TURNED and self.once(term):
            views.append(term)
            term = term.inputs[0]
        fits = term.op in (contraction.Matmul, reduction.Sum) and self.once(term) and term not in self.same
        return Sum(term, views) if fits and (views or [term])[0].spec == carry.spec else None

    def once(self, node: Node) -> bool:
        return self.uses[node] == 1

    def merges(self, node: Node) -> bool:
        """Whether a node is a product that is one with those of the other steps."""
        if node.op is not contraction.Matmul or node.inputs[0] in self.same or node.inputs[0].value is not None:
            return False
        matrix = node.inputs[1]
        return len(matrix.shape) == 2 and (matrix in self.same or matrix.value is not None)

    def leaving(self, starts: Iterable[Node], among: set[Node], along: Collection[Node] = frozenset()) -> set[Node]:
        """Those from which to start that can leave the steps, and what is made of them; what they are made of goes
        along."""
        found: set[Node] = set()
        for start in starts:
            group = {start}
            for node in self.body.nodes:
                if node in among and not group.isdisjoint(node.inputs):
                    group.add(node)
            before = {x for node in group for x in node.inputs if x not in self.same and x.value is None}
            whole = [x for x in reachable(group, follow=lambda x: x in group or x in along) if x.inputs]  # noqa: B023
            if all(map(_at_once, whole)) and self.length * sum(map(_bytes, group | before)) <= STACK:
                found |= group
        return found

    def rows(self) -> list[Node]:
        """What is needed of each step for what is done after the loop, as far as it is not at hand."""
        found: dict[Node, None] = {}
        stack = [x for node in sorted(self.late, key=creation_order) for x in node.inputs]
        at_hand = {*self.late, *self.early, *self.same, *self.xs}
        while stack:
            x = stack.pop()
            if x.op in TURNED and x not in at_hand and x.value is None:
                stack.append(x.inputs[0])
            elif x not in at_hand and x.value is None:
                found[x] = None
        return list(found)

    def ahead(self, x: Node) -> bool:
        """Whether this is done before the loop: for all steps at once, or once because it is the same in every step."""
        if x in self.early:
            return True
        if x not in self.same or not x.inputs or is_weak(x):
            return False
        if x.op is view.Transpose:
            return x in self.factors
        return _at_once(x) and not issubclass(x.op, View) and _bytes(x) <= max(map(_bytes, x.inputs))


def _adopted(
    b: Rewriter, known: Sequence[Node], wanted: Sequence[Node], values: dict[Node, Any], s: _Steps
) -> dict[Node, Node]:
    """Nodes of a step for all steps at once, made of values whose parts are known to the rewriter."""
    over = {x for x in values if x not in s.same}
    with _open({x.program for x in known if x.program is not None}):
        found = on_batch(wanted, values, over, s.length, s.body.inputs[0].program)
    return dict(zip(wanted, b.adopted([x for x, _ in found], known), strict=True))


@contextmanager
def _open(traces: Collection[Trace]) -> Iterator[None]:
    """Traces that are open again, for what is made of their nodes."""
    was = {trace: trace.closed for trace in traces}
    for trace in traces:
        trace.closed = False
    try:
        yield
    finally:
        for trace, closed in was.items():
            trace.closed = closed


def _at_once(node: Node) -> bool:
    """Whether the op does all steps at once as well as each by itself."""
    if issubclass(node.op, Contraction):
        return node.op is contraction.Matmul and 2.0 * math.prod(node.shape) * node.inputs[0].shape[-1] < LARGE
    kinds = (Elementwise, Reduction, View, indexing.Gather)
    return issubclass(node.op, kinds) and not getattr(node.op, "called", False)


def _bytes(x: Node) -> int:
    return math.prod(x.shape) * x.dtype.itemsize


RULES: dict[Any, tuple[Rule, ...]] = {Output: (first(Scan, _output),)}
FRUGAL: dict[Any, tuple[Rule, ...]] = {}
