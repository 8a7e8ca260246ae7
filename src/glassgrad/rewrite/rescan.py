"""Scans whose gradient keeps few carries: of a scan and one that goes back over what it stacked, a loop each.

The first keeps the carry before some of the steps, in so many places. The second goes from a carry that was kept to the
step that is next on the way back, keeping further ones where places are free, and does that step of both scans at once.
Which are kept is Griewank's binomial schedule, which needs the fewest steps of all: with β(s, r) = C(s + r, s), l steps
and s places, r l - β(s + 1, r - 1) in all, where r is the smallest with l ≤ β(s, r) (Griewank & Walther, "Algorithm
799: revolve", ACM Trans. Math. Softw. 26, 2000). The number of steps is known, so the schedule is a table.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.loops import scan
from ..autodiff.whiles import looped
from ..graph.apply import Output
from ..graph.node import Node, constant
from ..ops import indexing
from ..ops.loop import Body, Counts, Scan, replayed
from .rewriter import needed, remade

LONGEST = 10  # steps forward for each of the scan, at most
SHORT = 2000  # ... or so many at all


class Pair(NamedTuple):
    """A scan, one that goes back over its rows, and which outputs of the first only the second reads."""

    forward: Node
    backward: Node
    moved: tuple[int, ...]

    @property
    def length(self) -> int:
        length: int = self.forward.params["length"]
        return length

    @property
    def carried(self) -> int:
        """Bytes of a carry of the first scan."""
        carry = self.forward.params["body"].inputs[: self.forward.params["counts"].carry]
        return sum(math.prod(x.shape) * x.dtype.itemsize for x in carry)


def pairs(outputs: Sequence[Node]) -> list[Pair]:
    """The scans that can be made to keep less, but for those in the steps of others."""
    nodes = needed(outputs)
    users: dict[Node, set[Node]] = {}
    for node in nodes:
        for x in node.inputs:
            users.setdefault(x, set()).add(node)
    taken: set[Node] = set()
    results = set(outputs)
    found = []
    for node in nodes:
        if node.op is not Scan or node.value is not None:
            continue
        counts: Counts = node.params["counts"]
        stacks: dict[Node, list[int]] = {}
        for x in node.inputs[counts.carry : counts.carry + counts.xs]:
            if x.op is not Output or x.inputs[0].op is not Scan or users[x] - {node} or x in results:
                continue
            before = x.inputs[0]
            opposite = before.params["reverse"] != node.params["reverse"]
            if opposite and x.params["index"] >= before.params["counts"].carry:
                stacks.setdefault(before, []).append(x.params["index"])
        for before, moved in stacks.items():
            if not {before, node} & taken and node.params["length"] > 1:
                taken |= {before, node}
                found.append(Pair(before, node, tuple(sorted(set(moved)))))
    return found


def every(outputs: Sequence[Node]) -> list[Pair]:
    """These, and those in the steps of loops and in branches."""
    found = pairs(outputs)
    for node in needed(outputs):
        if node.value is None and node.inputs and node.op.outputs > 1:
            for value in node.params.values():
                bodies = value if isinstance(value, tuple) else (value,)
                found += [pair for body in bodies if isinstance(body, Body) for pair in every(body.outputs)]
    return found


def choices(length: int) -> list[int]:
    """The numbers of places that differ in the number of steps, most first, as far as these are not too many."""
    found: list[int] = []
    for places in range(length, 0, -1):
        steps = forward_steps(length, places)
        if steps > max(LONGEST * length, SHORT):
            break
        if found and steps == forward_steps(length, found[-1]):
            found.pop()
        found.append(places)
    return found


def forward_steps(length: int, places: int) -> int:
    """How many steps are done forward, at least, to meet the carries before each of them from the last to the first."""
    r = _repetitions(length, places)
    return r * length - math.comb(places + r, r - 1) if r else 0


def _repetitions(length: int, places: int) -> int:
    r = 0
    while math.comb(places + r, places) < length:
        r += 1
    return r


class Table(NamedTuple):
    """What a schedule comes to.

    Attributes
    ----------
    first : on the first way forward, where the carry before each step goes
    back : the steps in the order in which they are done back; the place from which to go on after each, and how many
        moves forward there are before it, of all
    moves : the steps done forward once more, and the place where the carry after each goes
    """

    first: list[int]
    back: list[tuple[int, int, int]]
    moves: list[tuple[int, int]]


@functools.lru_cache(maxsize=64)
def schedule(length: int, places: int) -> Table:
    """One place more than ``places`` is for what nobody reads; the first way ends with the last carry there."""
    nowhere = places
    first = [nowhere] * length
    first[0] = 0 if length > 1 else nowhere
    back: list[tuple[int, int, int]] = []
    moves: list[tuple[int, int]] = []
    for step, backward, place in _moves(length, places):
        at = nowhere if place is None else place
        if backward:
            back.append((step, at, len(moves)))
        elif back:
            moves.append((step, at))
        else:
            first[step + 1] = at
    return Table(first, back, moves)


def _moves(length: int, places: int) -> Iterator[tuple[int, bool, int | None]]:
    """(step, whether back, place) of every move, from the carry before step 0 on, which has place 0."""
    kept, end = [0], length
    while end:
        top = kept[-1]
        if end - top == 1:
            kept.pop()
            yield top, True, len(kept) - 1 if kept else None
            end = top
            continue
        aim = top + _distance(end - top, places - len(kept) + 1)
        for step in range(top, aim):
            stored = step == aim - 1 and aim < end - 1
            yield step, False, len(kept) if stored else None
        if aim < end - 1:
            kept.append(aim)
        else:
            yield aim, True, len(kept) - 1
            end = aim


def _distance(length: int, places: int) -> int:
    """How far to go before the next carry is kept: with β(s, r - 1) < l ≤ β(s, r), as far as is optimal."""
    r = _repetitions(length, places)
    return min(math.comb(places + r - 1, places), length - math.comb(places + r - 2, places - 1))


# The graph


def keeping(outputs: Sequence[Node], places: int) -> list[Node]:
    """The outputs where each pair keeps so many carries, or all of them if there are fewer."""
    found = pairs(outputs)
    forward = {pair.forward: pair for pair in found}
    backward = {pair.backward: pair for pair in found}
    now: dict[Node, Any] = {}
    rows: dict[Node, list[Any]] = {}
    traces = {node.program for pair in found for node in pair[:2] if node.program is not None}
    was = {trace: trace.closed for trace in traces}
    for trace in traces:
        trace.closed = False
    try:
        for node in needed(outputs):
            if node.value is not None or not node.inputs:
                now[node] = node
                continue
            inputs = tuple([now[x] for x in node.inputs if not isinstance(now.get(x), list)])
            if node in forward:
                pair = forward[node]
                now[node], rows[node] = _forward(pair, inputs, min(places, pair.length))
            elif node in backward:
                pair = backward[node]
                given = [now.get(x) for x in node.inputs]
                now[node] = _backward(
                    pair, given, [now[x] for x in pair.forward.inputs], rows[pair.forward], min(places, pair.length)
                )
            elif node.op is Output and isinstance(now[node.inputs[0]], list):
                now[node] = now[node.inputs[0]][node.params["index"]]
            else:
                now[node] = remade(node, inputs, **_bodies(node, lambda body: _kept(body, places)))
    finally:
        for trace, closed in was.items():
            trace.closed = closed
    return [now[node] for node in outputs]


def _bodies(node: Node, change: Callable[[Body], Body]) -> dict[str, Any]:
    """Parameters of a node that are graphs, changed."""
    found: dict[str, Any] = {}
    for name, value in node.params.items():
        if isinstance(value, Body):
            found[name] = change(value)
        elif isinstance(value, tuple) and value and all(isinstance(body, Body) for body in value):
            found[name] = tuple(map(change, value))
    return found


def _kept(body: Body, places: int) -> Body:
    """A body whose own pairs keep so many carries."""
    if not every(body.outputs):
        return body
    key = ("keeping", places)
    if key not in body.derived:
        body.derived[key] = Body(body.inputs, keeping(body.outputs, places))
    kept: Body = body.derived[key]
    return kept


def _forward(pair: Pair, inputs: Sequence[Any], places: int) -> tuple[list[Any], list[Any]]:
    """The outputs of the first scan, but for those moved, and the carries it keeps."""
    params = pair.forward.params
    body, counts, length, reverse = (params[k] for k in ("body", "counts", "length", "reverse"))
    n, m = counts.carry, counts.carry + counts.xs
    stay = [i for i in range(n, len(body.outputs)) if i not in pair.moved]
    body, first = _kept(body, places), schedule(length, places).first
    at = np.array(first[::-1] if reverse else first)

    def step(held: Any, row: Any) -> Any:
        carry, rows = held
        xs, place = row
        found = replayed(body, [*carry, *xs, *inputs[m:]])
        rows = [indexing.setitem(kept, place, x) for kept, x in zip(rows, carry, strict=True)]
        return (found[:n], rows), [found[i] for i in stay]

    begun = (list(inputs[:n]), [_zeros(places + 1, x) for x in body.inputs[:n]])
    (last, rows), ys = scan(step, begun, (list(inputs[n:m]), at), length, reverse)
    results: list[Any] = [*last, *[None] * (len(body.outputs) - n)]
    for i, y in zip(stay, ys, strict=True):
        results[i] = y
    return results, rows


def _backward(pair: Pair, given: Sequence[Any], inputs: Sequence[Any], rows: list[Any], places: int) -> list[Any]:
    """The outputs of the second scan, from those of its inputs that there still are, and those of the first."""
    params, own = pair.forward.params, pair.backward.params
    body, counts, length, reverse = (params[k] for k in ("body", "counts", "length", "reverse"))
    body, after, sizes = _kept(body, places), _kept(own["body"], places), own["counts"]
    n, m = counts.carry, counts.carry + counts.xs
    k, e = sizes.carry, sizes.carry + sizes.xs
    stacks = {
        number: x.params["index"]
        for number, x in enumerate(pair.backward.inputs)
        if x.op is Output and x.inputs[0] is pair.forward and x.params["index"] in pair.moved
    }
    first, back, moves = schedule(length, places)
    turned = back[::-1] if own["reverse"] else back
    loads, ends = np.array([p for _, p, _ in turned]), np.array([end for _, _, end in turned])
    others = [number for number in range(k, e) if number not in stacks]
    again = [(length - 1 - i if reverse else i, p) for i, p in moves] or [(0, 0)]
    steps, stores = (np.array(column) for column in zip(*again, strict=True))

    def onward(held: Any) -> Any:
        move, state, rows = held
        at = indexing.getitem(steps, move)
        state = replayed(body, [*state, *[indexing.getitem(x, at) for x in inputs[n:m]], *inputs[m:]])[:n]
        place = indexing.getitem(stores, move)
        return move + 1, state, [indexing.setitem(kept, place, x) for kept, x in zip(rows, state, strict=True)]

    def through(held: Any, row: Any) -> Any:
        move, state, rows, cotangents = held
        xs, given_row, load, end = row
        if moves:
            often = len(moves) / length
            move, state, rows = looped(lambda held: held[0] < end, onward, (move, state, rows), often)
        found = replayed(body, [*state, *xs, *inputs[m:]])
        own_row = dict(zip(others, given_row, strict=True))
        rest = [found[stacks[number]] if number in stacks else own_row[number] for number in range(k, e)]
        results = replayed(after, [*cotangents, *rest, *given[e:]])
        state = [indexing.getitem(kept, load) for kept in rows]
        return (move, state, rows, results[:k]), results[k:]

    start = [indexing.getitem(kept, first[-1]) for kept in rows]
    begun = (np.int64(0), start, rows, list(given[:k]))
    (_, _, _, cotangents), ys = scan(
        through, begun, (list(inputs[n:m]), [given[x] for x in others], loads, ends), length, own["reverse"]
    )
    return [*cotangents, *ys]


def _zeros(count: int, like: Node) -> Node:
    zeros: Node = constant(np.broadcast_to(np.zeros((), like.dtype), (count, *like.shape)))
    return zeros
