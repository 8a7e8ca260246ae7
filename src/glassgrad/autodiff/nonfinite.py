"""Where a NaN or an infinity came from: the first op, forward or backward, that made it of finite numbers.

Forward values are watched by ``trail.Watch``. Going backward, a gradient that is not finite is followed back to the
node whose derivative was the first that is not.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import NonFiniteError
from ..graph.apply import watched
from ..graph.node import Node, Value
from ..graph.primitive import Elementwise
from ..ops.logic import Where
from ..ops.loop import Scan
from . import mechanism
from .local import derivative, product
from .mechanism import NanOrigin
from .trail import Watch, finite, first, has_nan
from .vjp import Walks
from .watch import Term, Watched


class NanWalk(Watched):
    """A backward walk that stops with an error where a gradient is not finite."""

    def __init__(self, watch: Watch, needed: set[int], recording: bool) -> None:
        super().__init__(needed, recording)
        self.watch = watch
        self.seeds: list[tuple[Node, Value]] = []
        self.arrived: dict[Node, Value] = {}

    def note(self, x: Node, c: Value) -> None:
        super().note(x, c)
        if self.user is None:
            self.seeds.append((x, c))

    def visit(self, node: Node, g: Value) -> None:
        self.arrived[node] = g
        super().visit(node, g)

    def run(self, found: dict[int, Node], wanted: set[int]) -> dict[int, Value]:
        watch = self.watch
        for node, _ in self.seeds:
            end = watch.events.get(id(node.value))
            made = watch.trail(node.value)
            if end is not None and made is not None:
                raise error(watch.origin(made, end))
        watch.walking += 1
        try:
            kept = super().run(found, wanted)
            for index in sorted(kept, reverse=True):
                if not _settled(kept[index]):
                    raise error(self.origin(found[index]))
        finally:
            watch.walking -= 1
        return kept

    def origin(self, target: Node) -> NanOrigin:
        """The first node of the walk that gave something that is not finite, on the way to a target."""
        makers: list[tuple[Node, Term]] = []
        turned: list[Node] = []  # where what arrived held no NaN, and what was given does
        seen: set[Node] = set()
        stack = [target]
        while stack:
            x = stack.pop()
            if x in seen:
                continue
            seen.add(x)
            for term in self.terms.get(x, []):
                if _settled(term.value):
                    continue
                arrived = self.arrived.get(term.user)
                if _settled(arrived):
                    makers.append((x, term))
                else:
                    stack.append(term.user)
                    if _nan(term.value) and not _nan(arrived):
                        turned.append(term.user)
        if not makers:
            return self.unknown(target)
        x, term = max(makers, key=lambda m: m[1].user.index)
        last = max((t for t in turned if t.index < term.user.index), key=lambda n: n.index, default=None)
        then = ""
        if last is not None and not _nan(term.value):
            place = f" at {last.origin}" if last.origin else ""
            then = f"then {self.turning(last)} in the derivative of {last.op.name} made nan of it{place}"
        return self.backward_origin(x, term, then)

    def turning(self, node: Node) -> str:
        """What a node did to an infinity so that it became NaN."""
        if not issubclass(node.op, Elementwise):
            return "a sum of infinities"
        with np.errstate(all="ignore"):
            flat = any(np.any(derivative(node, k) == 0) for k, x in enumerate(node.inputs) if x.tracked)
        return "inf·0" if flat else "inf·nan"

    def backward_origin(self, x: Node, term: Term, then: str) -> NanOrigin:
        """What is to be said of a node whose derivative was the first that is not finite."""
        node, watch = term.user, self.watch
        for value in (node.value, *(i.value for i in node.inputs)):
            made = watch.trail(value)
            if made is not None and id(value) in watch.events:
                # The derivative only met what the forward pass had made
                origin = watch.origin(made, watch.events[id(value)])
                return NanOrigin(**{**vars(origin), "then": f"its derivative then gave {_name(term.value)}"})
        if node.op is Scan:
            event = next((e for e in reversed(watch.events.values()) if e.op is Scan), None)
            if event is not None:
                return watch.origin(event, event)
        g = self.arrived[node]
        place = node.origin
        about = (str(place), place.text, place.scope) if place else ("", "", "")
        if not issubclass(node.op, Elementwise):
            element = first(~np.isfinite(_plain(term.value)))
            value = _plain(term.value)[element]
            operands = tuple(i.value for i in node.inputs)
            why = mechanism.Why(f"the derivative of {node.op.name} is not finite at these operands")
            return NanOrigin(node.op.name, "backward", *about, element, operands, _plain(g), value, *why, then)
        with np.errstate(all="ignore"):
            local = np.broadcast_to(derivative(node, term.position), node.shape)
            given = np.broadcast_to(_plain(product(node, _plain(g), term.position)), node.shape)
        element = first(~np.isfinite(given))
        operands = tuple(np.broadcast_to(i.value, node.shape)[element] for i in node.inputs)
        cotangent = np.broadcast_to(_plain(g), node.shape)[element]
        why = mechanism.backward(node.op.name, term.position, operands, cotangent, local[element], self.mask(node))
        return NanOrigin(node.op.name, "backward", *about, element, operands, cotangent, given[element], *why, then)

    def mask(self, node: Node) -> str:
        """What discards elements of a node's value further on, in words."""
        for _ in range(16):
            users = [t.user for t in self.terms.get(node, [])]
            if not users:
                return ""
            for user in users:
                if issubclass(user.op, Where):
                    return f"where at {user.origin}" if user.origin else "where"
                if user.op.name == "mul" and any(not i.tracked and not np.all(i.value) for i in user.inputs):
                    return f"a mask multiplied on at {user.origin}" if user.origin else "a mask multiplied on"
            node = users[0]
        return ""

    def unknown(self, target: Node) -> NanOrigin:
        """A gradient whose finite terms have a sum that is not, or that began with what was given."""
        given = next((g for _, g in self.seeds if not _settled(g)), None)
        words = "the cotangent given is not finite" if given is not None else "overflow of the sum of its terms"
        about = (str(target.origin), target.origin.text, target.origin.scope) if target.origin else ("", "", "")
        value = self.arrived.get(target, given)
        return NanOrigin(target.op.name, "backward", *about, (), (), None, value, words)


def _plain(value: Value) -> Any:
    return np.asarray(value.value if isinstance(value, Node) else value)


def _settled(value: Any) -> bool:
    """Whether a cotangent is finite, or not known yet."""
    if isinstance(value, dict):
        return all(map(_settled, value.values()))
    if isinstance(value, tuple):
        return all(map(_settled, value))
    value = value.value if isinstance(value, Node) else value
    return value is None or finite(value)


def _nan(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_nan, value.values()))
    value = value.value if isinstance(value, Node) else value
    return value is not None and has_nan(value)


def _name(value: Any) -> str:
    return "nan" if _nan(value) else "inf"


def error(origin: NanOrigin) -> NonFiniteError:
    """The error that says it."""
    return NonFiniteError(str(origin), origin)


@contextmanager
def trace_nan() -> Iterator[None]:
    """Find the first op, forward or backward, that makes a NaN or an infinity which reaches a result.

    Inside the block operations are run one by one and looked at; jitted functions too. Slow: for finding a mistake.
    What a ``where`` discards is no mistake, nor are infinities that are given, such as a mask of -inf. A NaN that is
    given, and reaches a result, is reported where it enters.

    Raises
    ------
    NonFiniteError
        from the derivative that would return it, or at the end of the block for a value nothing went on with. Its
        ``origin`` says op, direction, line, element, operands, mechanism and remedy.

    Notes
    -----
    Operations of plain NumPy on plain ndarrays are not seen; those of ``glassgrad.numpy`` and those on Arrays are.

    Examples
    --------
    >>> import glassgrad as gg
    >>> with gg.trace_nan():
    ...     gg.grad(lambda x: gg.numpy.sqrt(x * x))(0.0)
    Traceback (most recent call last):
    ...
    glassgrad.errors.NonFiniteError: sqrt: the derivative of sqrt made inf at ...
      1/0: sqrt'(0) = 1/(2·sqrt(x)) = inf
    ...
    """
    watch = Watch()
    before = Walks.watched
    Walks.watched = functools.partial(NanWalk, watch)
    try:
        with watched(watch), np.errstate(all="ignore"):  # NumPy's warnings would say less
            yield
    finally:
        Walks.watched = before
    with np.errstate(all="ignore"):
        found = watch.unused()
    if found is not None:
        raise error(found)
