"""What was not finite going forward, and the trail back from it to the op that had finite operands.

Every operation done eagerly is looked at, and those with a value that is not finite are remembered. That alone is no
mistake: a ``where`` may discard it. It is one when it reaches a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph.bfloat16 import evaluate
from ..graph.node import Node
from ..graph.origin import Origin, here
from ..graph.primitive import Elementwise
from ..ops.control import Alias
from ..ops.logic import Where
from ..ops.loop import Scan
from . import mechanism
from .mechanism import NanOrigin
from .unroll import Opening

MOST = 20_000  # operations that a loop is opened into; of a longer one the op inside is found by running it again


class Event(NamedTuple):
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
        self.events: dict[int, Event] = {}  # by the identity of the value, which the event keeps alive
        self.used: set[int] = set()
        self.made_by: dict[int, str] = {}  # zeros that an exponential underflowed to, by the identity of the value
        self.held: list[Any] = []
        self.walking = 0
        self.opening = Opening(MOST)

    def __call__(self, op: Any, inputs: tuple[Any, ...], params: dict[str, Any], value: Any) -> Any:
        """Told of an operation by the engine; in place of a loop are its steps, which are told of one by one."""
        if self.walking and op is not Scan:
            return None
        instead = None if self.walking else self.opening(op, inputs, params, value)
        if instead is not None:
            return instead
        operands = tuple(x.value if isinstance(x, Node) else x for x in inputs)
        if any(value is v for v in operands):  # under another name, as it is
            if op is Alias:
                self.used.discard(id(value))  # a loop's result goes on, though its condition looked at it
            return None
        self.follow_underflow(op, operands, value)
        sources = tuple(id(v) for v in operands if id(v) in self.events)
        self.used.update(sources)
        if not finite(value):
            self.events[id(value)] = Event(op, operands, params, value, self.here(), sources, len(self.events))
        return None

    def here(self) -> Origin:
        """Where the operation stands: in a loop's body, if one is being done."""
        return self.opening.at or here(4)

    def follow_underflow(self, op: Any, operands: tuple[Any, ...], value: Any) -> None:
        """Remember values with a 0 that an exponential gave, and what is summed and divided from them."""
        if op.name in ("exp", "exp2", "sigmoid"):
            smallest = np.min(operands[0], initial=np.inf)
            if smallest < 0 and not np.all(value):
                why = "which underflowed" if np.isfinite(smallest) else "where everything is masked by -inf"
                self.made_by[id(value)] = f"{op.name}({mechanism.number(smallest)}) at {self.here()}, {why}"
                self.held.append(value)
        elif op.name in ("div", "mul", "gather", "sum") and id(operands[0]) in self.made_by and not np.all(value):
            self.made_by[id(value)] = self.made_by[id(operands[0])]
            self.held.append(value)

    def trail(self, value: Any) -> Event | None:
        """The first event on the way to a value: one that made something that is not finite of what is."""
        start = self.events.get(id(value))
        if start is None:
            return None
        seen: dict[int, Event] = {}
        stack = [start]
        while stack:
            event = stack.pop()
            if event.number not in seen:
                seen[event.number] = event
                stack += [self.events[s] for s in event.sources if s in self.events]
        makers = [e for e in seen.values() if _makes(e)]
        if not makers and has_nan(value):
            makers = [e for e in seen.values() if any(map(has_nan, e.operands))]  # nobody made it: it was given
        return min(makers, key=lambda e: e.number, default=None)

    def unused(self) -> NanOrigin | None:
        """The origin of a value that is not finite and that nothing went on with."""
        for key, event in self.events.items():
            if key not in self.used:
                made = self.trail(event.value)
                if made is not None:
                    return self.origin(made, event)
        return None

    def origin(self, made: Event, end: Event) -> NanOrigin:
        """What is to be said of an op that made something, and of how it ended."""
        if made.op is Scan:
            made = _inside(made)
        given = not _makes(made)
        local = _same_places(made) and not given
        where = first(_made(made.operands, made.value) if local else ~_all_finite(made.value))
        value = made.value[where[0]] if isinstance(made.value, tuple) else np.asarray(made.value)
        element = where[1:] if isinstance(made.value, tuple) else where
        value = np.asarray(value)[element]
        operands = tuple(_at(x, value, made, element) for x in made.operands)
        why = mechanism.forward(made.op.name, operands, value, _same_places(made))
        then = "" if np.isnan(value) else self.became_nan(made, end)
        place = made.origin
        if place.forward is not None:  # an op of a derivative, seen inside a loop
            place = place.forward.origin or place
        direction = "forward" if made.origin.forward is None else "backward"
        why = _given(made) if given and made.op is not Scan else self.underflow(made, why)
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

    def became_nan(self, made: Event, end: Event) -> str:
        """How an infinity that was made became NaN on the way to an end."""
        event, found = end, None
        while has_nan(event.value):
            found = event
            nans = [self.events[s] for s in event.sources if has_nan(self.events[s].value)]
            if not nans:
                break
            event = nans[0]
        if found is None or found is made or not _turns(found):
            return ""
        return f"then {found.op.name} made nan of it at {found.origin}: {found.origin.text}"

    def underflow(self, made: Event, why: mechanism.Why) -> mechanism.Why:
        """The logarithm of a softmax is the usual case of a logarithm of 0, and an empty one of 0/0."""
        maker = self.made_by.get(id(made.operands[0])) if made.operands else None
        if maker is None or not (made.op.name in ("log", "log2", "log10") or why.mechanism.startswith("0/0")):
            return why
        if maker.endswith("-inf"):
            remedy = "leave one element of each row without a mask, or where(mask.any(-1, keepdims=True), p, 0)"
        elif made.op.name == "div":
            remedy = "subtract the largest element first, as softmax and logsumexp do"
        else:
            instead = "log_sigmoid" if maker.startswith("sigmoid") else "log_softmax, or logsumexp"
            remedy = f"use {instead}, which never form it"
        return mechanism.Why(f"{why.mechanism}; the 0 is {maker}", remedy)


def finite(value: Any) -> bool:
    """Whether no element is NaN or infinite."""
    if isinstance(value, tuple):
        return all(map(finite, value))
    a = np.asarray(value)
    return a.dtype.kind not in "fc" or bool(np.isfinite(a).all())


def has_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(has_nan, value))
    a = np.asarray(value)
    return a.dtype.kind in "fc" and bool(np.isnan(a).any())


def _makes(event: Event) -> bool:
    """Whether an op made a NaN without being given one, or an infinity from finite numbers."""
    if event.op.masks or issubclass(event.op, (Where, Alias)):
        return False
    if issubclass(event.op, Elementwise):
        return bool(_made(event.operands, event.value).any())
    if has_nan(event.value):
        return not any(map(has_nan, event.operands))
    return all(map(finite, event.operands))


def _made(operands: Sequence[Any], value: Any) -> Any:
    """Per element: NaN where no operand is, or infinite where all are finite."""
    with np.errstate(all="ignore"):
        given_nan = _any([np.isnan(floats(x)) for x in operands], np.shape(value))
        given_inf = _any([np.isinf(floats(x)) for x in operands], np.shape(value))
    return (np.isnan(value) & ~given_nan) | (np.isinf(value) & ~given_nan & ~given_inf)


def _turns(event: Event) -> bool:
    """Whether an op made NaN of an infinity: elementwise, where that stands."""
    infinite = [np.isinf(floats(x)) for x in event.operands if not isinstance(x, tuple)]
    if _same_places(event):
        return bool((_any(infinite, np.shape(event.value)) & np.isnan(event.value)).any())
    return any(map(np.any, infinite))


def floats(x: Any) -> Any:
    a = np.asarray(x)
    return a if a.dtype.kind in "fc" else a.astype(np.float64)


def _any(flags: list[Any], shape: tuple[int, ...]) -> Any:
    found = np.zeros(shape, bool)
    for f in flags:
        found = found | f
    return found


def _given(event: Event) -> mechanism.Why:
    """What is to be said of an op that was given a NaN which no op had made."""
    k = next((k for k, x in enumerate(event.operands) if has_nan(x)), 0)
    at = first(np.isnan(floats(event.operands[k])))
    place = f", element {at}" if at else ""
    return mechanism.Why(
        f"given: operand {k} already holds nan{place}", "look for missing values: numpy.isnan(x).any()"
    )


def _all_finite(value: Any) -> Any:
    """Per element, over the outputs of an op with several one after another."""
    if isinstance(value, tuple):
        rows = [np.isfinite(floats(v)) for v in value]
        k = next((k for k, r in enumerate(rows) if not r.all()), 0)
        mask = np.ones((len(rows), *rows[k].shape), bool)
        mask[k] = rows[k]
        return mask
    return np.isfinite(floats(value))


def first(flags: Any) -> tuple[int, ...]:
    """The index of the first True."""
    at = int(np.argmax(flags))
    return tuple(int(i) for i in np.unravel_index(at, np.shape(flags)))


def _same_places(event: Event) -> bool:
    return issubclass(event.op, Elementwise)


def _at(x: Any, value: Any, event: Event, element: tuple[int, ...]) -> Any:
    """An operand at an element of an elementwise op; else the whole operand."""
    if not _same_places(event):
        return x
    return np.broadcast_to(x, np.shape(event.value))[element]


def _inside(event: Event) -> Event:
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
            held[node] = evaluate(node.op, operands, node.params)
            inner = Event(node.op, operands, node.params, held[node], node.origin or event.origin, (), 0)
            if not finite(held[node]) and _makes(inner):
                return _inside(inner) if node.op is Scan else inner
        carry = [held[node] for node in body.outputs[:n]]
    return event
