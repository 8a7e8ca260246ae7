"""Where a NaN or an infinity came from: the first op, forward or backward, that made it of finite numbers.

Forward, every operation done eagerly is looked at, and those with a value that is not finite are remembered. That alone
is no mistake: a ``where`` may discard it. It is one when it reaches a value that is differentiated, a gradient, or the
end of the block unused. Then the trail is followed back to the op that had finite operands.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..errors import NonFiniteError
from ..graph import apply as engine
from ..graph.node import Node, Value
from ..graph.origin import Origin, here
from ..graph.primitive import Elementwise
from ..ops.control import Alias
from ..ops.logic import Where
from ..ops.loop import Scan
from . import mechanism
from .local import derivative, product
from .vjp import Walk, Walks
from .watch import Term, Watched


@dataclass(frozen=True)
class NanOrigin:
    """The first op that made a NaN or inf.

    Attributes
    ----------
    op : its name
    direction : "forward", or "backward" where its derivative did
    line, source : "file.py:12" and the text of that line
    scope : names of the enclosing ``gg.scope`` blocks
    element : index of the first such element in the op's value, or backward in what it gave to its input
    operands : the numbers it was computed from there; whole arrays where the op is not elementwise
    cotangent : what its derivative was multiplied by there; None forward
    value : what came out
    mechanism, remedy : what happened in words, and what to do about it
    then : how an infinity became NaN later, if it did
    """

    op: str
    direction: str
    line: str
    source: str
    scope: str
    element: tuple[int, ...]
    operands: tuple[Any, ...]
    cotangent: Any
    value: Any
    mechanism: str
    remedy: str = ""
    then: str = ""

    def __str__(self) -> str:
        what = "the derivative of " if self.direction == "backward" else ""
        place = f" in {self.scope}" if self.scope else ""
        lines = [
            f"{self.op}: {what}{self.op} made {mechanism.number(self.value)} at {self.line or 'an unknown line'}{place}"
            + (f", element {self.element}" if self.element else ""),
            f"  {self.source}" if self.source else "",
            f"  {self.mechanism}",
            f"  {self.then}" if self.then else "",
            f"  fix: {self.remedy}" if self.remedy else "",
        ]
        return "\n".join(line for line in lines if line)


class _Event(NamedTuple):
    """An operation whose value is not finite; ``sources`` are the values of this kind that it was made from."""

    op: Any
    operands: tuple[Any, ...]
    params: dict[str, Any]
    value: Any
    origin: Origin
    sources: tuple[int, ...]
    number: int


class Watch:
    """What is remembered of one ``trace_nan`` block."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.events: dict[int, _Event] = {}  # by the identity of the value, which the event keeps alive
        self.used: set[int] = set()
        self.made_by: dict[int, str] = {}  # zeros that an exponential underflowed to, by the identity of the value
        self.held: list[Any] = []
        self.walking = 0

    def __call__(self, op: Any, inputs: tuple[Any, ...], params: dict[str, Any], value: Any) -> None:
        """Told of an operation by the engine."""
        if self.thread != threading.get_ident() or (self.walking and op is not Scan):
            return
        operands = tuple(x.value if isinstance(x, Node) else x for x in inputs)
        if any(value is v for v in operands):  # under another name, as it is
            return
        self.follow_underflow(op, operands, value)
        sources = tuple(id(v) for v in operands if id(v) in self.events)
        self.used.update(sources)
        if not finite(value):
            self.events[id(value)] = _Event(op, operands, params, value, here(3), sources, len(self.events))

    def walk(self, needed: set[int], recording: bool) -> Walk:
        """A backward walk that is watched, if it is in this thread."""
        if self.thread != threading.get_ident():
            return Walk(needed, recording)
        return NanWalk(self, needed, recording)

    def follow_underflow(self, op: Any, operands: tuple[Any, ...], value: Any) -> None:
        """Remember values with a 0 that an exponential of a finite number gave, and what is divided from them."""
        if op.name in ("exp", "exp2", "sigmoid"):
            if not np.all(value) and finite(operands[0]):
                smallest = mechanism.number(np.min(operands[0]))
                self.made_by[id(value)] = f"{op.name}({smallest}) at {here(4)}, which underflowed"
                self.held.append(value)
        elif op.name in ("div", "mul", "gather") and id(operands[0]) in self.made_by:
            self.made_by[id(value)] = self.made_by[id(operands[0])]
            self.held.append(value)

    def trail(self, value: Any) -> _Event | None:
        """The first event on the way to a value: one that made something that is not finite of what is."""
        start = self.events.get(id(value))
        if start is None:
            return None
        seen: dict[int, _Event] = {}
        stack = [start]
        while stack:
            event = stack.pop()
            if event.number not in seen:
                seen[event.number] = event
                stack += [self.events[s] for s in event.sources if s in self.events]
        makers = [e for e in seen.values() if _makes(e)]
        return min(makers, key=lambda e: e.number, default=None)

    def unused(self) -> NanOrigin | None:
        """The origin of a value that is not finite and that nothing went on with."""
        for key, event in self.events.items():
            if key not in self.used:
                made = self.trail(event.value)
                if made is not None:
                    return self.origin(made, event)
        return None

    def origin(self, made: _Event, end: _Event) -> NanOrigin:
        """What is to be said of an op that made something, and of how it ended."""
        if made.op is Scan:
            made = _inside(made)
        where = _first(_made(made.operands, made.value) if _same_places(made) else ~_all_finite(made.value))
        value = made.value[where[0]] if isinstance(made.value, tuple) else np.asarray(made.value)
        element = where[1:] if isinstance(made.value, tuple) else where
        value = np.asarray(value)[element]
        operands = tuple(_at(x, value, made, element) for x in made.operands)
        why = mechanism.forward(made.op.name, operands, value, _same_places(made))
        then = "" if np.isnan(value) else self.became_nan(end)
        place = made.origin
        if place.forward is not None:  # an op of a derivative, seen inside a loop
            place = place.forward.origin or place
        direction = "forward" if made.origin.forward is None else "backward"
        why = self.underflow(made, element, why)
        return NanOrigin(
            made.op.name,
            direction,
            str(place),
            place.text,
            place.scope,
            element,
            operands,
            None,
            value[()],
            why.mechanism,
            why.remedy,
            then,
        )

    def became_nan(self, end: _Event) -> str:
        """How an infinity became NaN on the way to an end."""
        event, found = end, None
        while _has_nan(event.value):
            found = event
            nans = [self.events[s] for s in event.sources if _has_nan(self.events[s].value)]
            if not nans:
                break
            event = nans[0]
        if found is None:
            return ""
        return f"then {found.op.name} made nan of it at {found.origin}: {found.origin.text}"

    def underflow(self, made: _Event, element: tuple[int, ...], why: mechanism.Why) -> mechanism.Why:
        """The logarithm of a softmax is the usual case of a logarithm of 0."""
        maker = self.made_by.get(id(made.operands[0])) if made.operands else None
        if made.op.name not in ("log", "log2", "log10") or maker is None:
            return why
        return mechanism.Why(f"{why.mechanism}; the 0 is {maker}", "use log_softmax, or logsumexp, which never form it")


def finite(value: Any) -> bool:
    """Whether no element is NaN or infinite."""
    if isinstance(value, tuple):
        return all(map(finite, value))
    a = np.asarray(value)
    return a.dtype.kind not in "fc" or bool(np.isfinite(a).all())


def _has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_nan, value))
    a = np.asarray(value)
    return a.dtype.kind in "fc" and bool(np.isnan(a).any())


def _makes(event: _Event) -> bool:
    """Whether an op made a NaN without being given one, or an infinity from finite numbers."""
    if event.op.masks or issubclass(event.op, (Where, Alias)):
        return False
    if issubclass(event.op, Elementwise):
        return bool(_made(event.operands, event.value).any())
    if _has_nan(event.value):
        return not any(map(_has_nan, event.operands))
    return all(map(finite, event.operands))


def _made(operands: Sequence[Any], value: Any) -> Any:
    """Per element: NaN where no operand is, or infinite where all are finite."""
    with np.errstate(all="ignore"):
        given_nan = _any([np.isnan(_floats(x)) for x in operands], np.shape(value))
        given_inf = _any([np.isinf(_floats(x)) for x in operands], np.shape(value))
    return (np.isnan(value) & ~given_nan) | (np.isinf(value) & ~given_nan & ~given_inf)


def _floats(x: Any) -> Any:
    a = np.asarray(x)
    return a if a.dtype.kind in "fc" else a.astype(np.float64)


def _any(flags: list[Any], shape: tuple[int, ...]) -> Any:
    found = np.zeros(shape, bool)
    for f in flags:
        found = found | f
    return found


def _all_finite(value: Any) -> Any:
    """Per element, over the outputs of an op with several one after another."""
    if isinstance(value, tuple):
        rows = [np.isfinite(_floats(v)) for v in value]
        k = next((k for k, r in enumerate(rows) if not r.all()), 0)
        mask = np.ones((len(rows), *rows[k].shape), bool)
        mask[k] = rows[k]
        return mask
    return np.isfinite(_floats(value))


def _first(flags: Any) -> tuple[int, ...]:
    """The index of the first True."""
    at = int(np.argmax(flags))
    return tuple(int(i) for i in np.unravel_index(at, np.shape(flags)))


def _same_places(event: _Event) -> bool:
    return issubclass(event.op, Elementwise)


def _at(x: Any, value: Any, event: _Event, element: tuple[int, ...]) -> Any:
    """An operand at an element of an elementwise op; else the whole operand."""
    if not _same_places(event):
        return x
    return np.broadcast_to(x, np.shape(event.value))[element]


def _inside(event: _Event) -> _Event:
    """The op of a loop's body that made it first, found by running the loop again."""
    counts, body = event.params["counts"], event.params["body"]
    length, n = event.params["length"], counts.carry
    values: Any = event.operands
    carry = list(values[:n])
    for i in range(length - 1, -1, -1) if event.params["reverse"] else range(length):
        given = [*carry, *(x[i] for x in values[n : n + counts.xs]), *values[n + counts.xs :]]
        held = dict(zip(body.inputs, given, strict=True))
        for node in body.nodes:
            if node in held:
                continue
            if not node.inputs:
                held[node] = node.value
                continue
            operands = tuple(held[x] for x in node.inputs)
            held[node] = node.op.eval(*operands, **node.params)
            inner = _Event(node.op, operands, node.params, held[node], node.origin or event.origin, (), 0)
            if not finite(held[node]) and _makes(inner):
                return _inside(inner) if node.op is Scan else inner
        carry = [held[node] for node in body.outputs[:n]]
    return event


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
            element = _first(~np.isfinite(_plain(term.value)))
            value = _plain(term.value)[element]
            operands = tuple(i.value for i in node.inputs)
            why = mechanism.Why(f"the derivative of {node.op.name} is not finite at these operands")
            return NanOrigin(node.op.name, "backward", *about, element, operands, _plain(g), value, *why, then)
        with np.errstate(all="ignore"):
            local = np.broadcast_to(derivative(node, term.position), node.shape)
            given = np.broadcast_to(_plain(product(node, _plain(g), term.position)), node.shape)
        element = _first(~np.isfinite(given))
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
    return value is not None and _has_nan(value)


def _name(value: Any) -> str:
    return "nan" if _nan(value) else "inf"


def error(origin: NanOrigin) -> NonFiniteError:
    """The error that says it."""
    return NonFiniteError(str(origin), origin)


@contextmanager
def trace_nan() -> Iterator[None]:
    """Find the first op, forward or backward, that makes a NaN or an infinity which reaches a result.

    Inside the block operations are run one by one and looked at; jitted functions too. Slow: for finding a mistake.
    What a ``where`` discards is no mistake, nor are infinities that are given, such as a mask of -inf.

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
    engine.watchers.append(watch)
    Walks.watched = watch.walk
    try:
        with np.errstate(all="ignore"):  # NumPy's warnings would say less
            yield
    finally:
        engine.watchers.remove(watch)
        Walks.watched = before
    with np.errstate(all="ignore"):
        found = watch.unused()
    if found is not None:
        raise error(found)
