"""Loops and branches looked into: where the engine would make one node, their steps are done one after another."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..array import as_array
from ..graph.apply import apply, watched, watching
from ..graph.node import Node, value_of
from ..graph.origin import Context, Origin, scope
from ..numpy import stack
from ..ops import logic
from ..ops.branch import Switch
from ..ops.loop import Body, Scan, While, replayed

MOST = 200  # nodes that a loop is opened into, unless asked for more


@contextlib.contextmanager
def opened(loops: bool | None) -> Iterator[None]:
    """Open loops into their steps: all of them, none, or by default those of at most ``MOST`` nodes each.

    ``trace_nan`` opens them itself.
    """
    if loops is False or watching() is not None:
        yield
        return
    with watched(Opening(float("inf") if loops else MOST)):
        yield


class Opening:
    """Told by the engine of every operation; gives what is to stand in place of a loop's node."""

    def __init__(self, most: float) -> None:
        self.most = most
        self.loops: Counter[str] = Counter()  # by their scope
        self.scope: str | None = None  # in which the loop was traced that is being done inside of another
        self.at: Origin | None = None  # where the operation being done stands in the loop's body

    def __call__(self, op: Any, inputs: tuple[Any, ...], params: dict[str, Any], value: Any) -> Any:
        steps = STEPS.get(op)
        if steps is None or not any(isinstance(x, Node) and x.tracked for x in inputs):
            return None
        size = sum(times * sum(bool(n.inputs) for n in body.nodes) for body, times in _sizes(op, params, value))
        return None if size > self.most else steps(self, [as_array(x) for x in inputs], **params)

    def label(self, op: Any) -> str:
        """The scope of a loop inside the one it stands in."""
        around = Context.place[0]
        name = f"{around}/{op.name}" if around else op.name
        self.loops[name] += 1
        return str(op.name) if self.loops[name] == 1 else f"{op.name}#{self.loops[name]}"

    def replay(self, body: Body, values: Sequence[Any], label: str = "") -> list[Any]:
        """A body's outputs, made as operations of their own lines, in a scope inside the one around."""
        around, forward = Context.place
        traced_in = around if self.scope is None else self.scope
        before = Context.place, self.scope, self.at

        def again(node: Node, inputs: tuple[Any, ...]) -> Any:
            self.scope = node.origin.scope if node.origin else traced_in
            own = self.scope.removeprefix(traced_in).strip("/")
            place = "/".join(part for part in (around, label, own) if part)
            Context.place = (place, forward)
            self.at = node.origin._replace(scope=place) if node.origin else None
            made = apply(node.op, inputs, node.params)
            if isinstance(made, Node) and made.origin is not None and self.at is not None:
                made.origin = self.at
            return made

        try:
            return replayed(body, values, again)
        finally:
            Context.place, self.scope, self.at = before

    def carried(self, body: Body, values: Sequence[Any], n: int, label: str) -> list[Any]:
        """The outputs of a step, with the next carry of the dtype that it had."""
        found = self.replay(body, values, label)
        return [logic.astype(x, i.dtype) for x, i in zip(found[:n], body.inputs, strict=False)] + found[n:]

    def scan(self, values: list[Any], body: Body, counts: Any, length: int, reverse: bool) -> tuple[Any, ...]:
        n, m = counts.carry, counts.carry + counts.xs
        label, held, rows = self.label(Scan), values[:n], []
        for i in range(length - 1, -1, -1) if reverse else range(length):
            step = f"{label}/step{i}"
            with scope(step):
                sliced = [x[i] for x in values[n:m]]
            found = self.carried(body, [*held, *sliced, *values[m:]], n, step)
            held = found[:n]
            rows.append(found[n:])
        return (*held, *(stack(column) for column in zip(*(rows[::-1] if reverse else rows), strict=True)))

    def rounds(self, values: list[Any], test: Body, step: Body, carry: int, checkpoints: int) -> tuple[Any, ...]:
        label, held, number = self.label(While), list(values), 0
        while test.evaluate(list(map(value_of, held)))[0]:
            held[:carry] = self.carried(step, held, carry, f"{label}/round{number}")
            number += 1
        return tuple(held[:carry])

    def branch(self, values: list[Any], branches: tuple[Body, ...]) -> tuple[Any, ...]:
        body = branches[int(value_of(values[0]))]
        return tuple(self.carried(body, values[1:], 0, ""))


STEPS: dict[Any, Callable[..., tuple[Any, ...]]] = {
    Scan: Opening.scan,
    While: Opening.rounds,
    Switch: Opening.branch,
}


def _sizes(op: Any, params: dict[str, Any], value: Any) -> list[tuple[Body, int]]:
    """The bodies that are run, and how often."""
    if op is Scan:
        return [(params["body"], params["length"])]
    return [(params["step"], int(value[-1]))] if op is While else [(b, 1) for b in params["branches"]]
