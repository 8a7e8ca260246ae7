"""while_loop as one node of a graph, and its derivatives, which are loops again.

Reverse mode of a loop whose number of rounds is known only when it has run: with k places for carries, the loop is run
again from the nearest carry kept, up to the round that is next to be pulled through. Which carries are kept is
Griewank's binomial schedule, which needs the fewest rounds of all: Griewank & Walther, "Algorithm 799: revolve", ACM
Trans. Math. Softw. 26 (2000). It is itself a while loop, whose carry holds the places.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import is_inexact
from ..errors import DtypeError, ShapeError
from ..graph.apply import apply, watching
from ..graph.node import NO_PARAMS, Node, constant, creation_order, owned, spec_of
from ..graph.origin import here
from ..numpy.arguments import array_of
from ..ops import indexing, logic, reduction, view
from ..ops.control import Alias, stop_gradient
from ..ops.loop import Body, While, above, closed, depending, opened, opened_by, placeholder, replayed
from .branches import batched, chosen, cond, plain, pulled, scalar_bool
from .jvp import push
from .loops import CheckedStep, number_of, recorded, typed

CHECKPOINTS = 50  # 1,326 rounds are then run at most twice again each, 23,426 at most three times


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], carry: Any, *, checkpoints: int | None = None
) -> Any:
    """Repeat ``carry = body_fun(carry)`` as long as ``cond_fun(carry)`` holds; the last carry.

    On values the loop runs in Python, and its gradient keeps what every round computed. In a function being traced it
    is one node of the graph and one native loop. Its gradient keeps ``checkpoints`` carries, however many rounds there
    are, and runs the rounds between them again (Griewank & Walther 2000): with k of them, no round of C(k + r, r) is
    run more than r times again.

    Parameters
    ----------
    cond_fun : of the carry, returning a scalar bool
    body_fun : of the carry, returning the next one, of the same structure, shapes and dtypes
    carry : tree of arrays; a Python number becomes an array of the dtype that the body gives it
    checkpoints : how many carries the gradient keeps, 1 at least; by default 50, and all of them where the loop runs
        in Python. Given, it bounds the memory there too.

    Returns
    -------
    tree of Arrays

    Raises
    ------
    TreeError, ShapeError, DtypeError
        if the body changes the carry's structure, shapes or dtypes, naming the leaf; if cond_fun returns no scalar
        bool; if checkpoints is no integer, or less than 1.

    Notes
    -----
    A loop that does not end can be interrupted, compiled too.

    Examples
    --------
    >>> import glassgrad as gg
    >>> @gg.jit
    ... def root(a):
    ...     return gg.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: 0.5 * (x + a / x), 0.5 * (1.0 + a))
    >>> round(float(root(2.0)), 9), round(float(gg.grad(root)(4.0)), 9)
    (1.414213562, 0.25)
    """
    if checkpoints is not None and not hasattr(checkpoints, "__index__"):
        raise DtypeError(
            f"while_loop: checkpoints is how many carries the gradient keeps: got {checkpoints!r}, expected an integer "
            f"at {here(1)}; use int(...)"
        )
    if checkpoints is not None and operator.index(checkpoints) < 1:
        raise ShapeError(f"while_loop: got checkpoints={checkpoints}, expected 1 at least, at {here(1)}")
    return _looped(cond_fun, body_fun, carry, checkpoints, None)


def looped(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], carry: Any, rounds: float) -> Any:
    """A while loop of which it is known how many rounds it goes on average; for programs, not to be differentiated."""
    return _looped(cond_fun, body_fun, carry, None, rounds)


def _looped(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    carry: Any,
    checkpoints: int | None,
    rounds: float | None,
) -> Any:
    leaves, structure = tree.flatten(carry)
    first = [array_of(leaf) if number_of(leaf) is None else leaf for leaf in leaves]
    step = CheckedStep("while_loop", lambda held, _: (body_fun(held), None), structure, tree.paths(carry), tree.EMPTY)

    def test(held: Sequence[Any]) -> Any:
        found = array_of(cond_fun(tree.unflatten(structure, list(held))))
        scalar_bool("while_loop: what cond_fun returns", found)
        return found

    last = _in_python(test, step, first, checkpoints is not None)
    if last is None:
        known = {} if rounds is None else {"rounds": rounds}
        last = _as_node(test, step, first, CHECKPOINTS if checkpoints is None else int(checkpoints), known)
    return tree.unflatten(structure, last)


def _in_python(test: Callable[..., Any], step: CheckedStep, first: list[Any], bounded: bool) -> list[Any] | None:
    """The loop in Python; None as soon as a value is not there, or must not be remembered by every round."""
    carry, rounds = first, 0
    while True:
        if any(isinstance(x, Node) and (x.value is None or (bounded and x.tracked)) for x in carry):
            return None
        more = test(carry)
        if more.value is None:
            return None
        if not more.value:
            break
        carry, _, _ = step(carry, [])
        rounds += 1
    if not rounds and any(number_of(leaf) is not None for leaf in carry):
        return None  # of which dtype they are the body has to say
    return list(map(_result, map(array_of, carry)))


def _result(x: Node) -> Any:
    """A leaf of the last carry; those who watch are told that it goes on."""
    result = x if recorded(x) else owned(x)
    watcher = watching()
    if watcher is not None:
        watcher(Alias, (x,), NO_PARAMS, result.value)
    return result


def _as_node(
    test: Callable[..., Any], step: CheckedStep, first: list[Any], checkpoints: int, known: dict[str, float]
) -> list[Any]:
    """The loop as one node, with the number of rounds as a further leaf of its carry."""
    if any(number_of(leaf) is not None for leaf in first):
        after = _traced(test, step, first)[3]
        first = list(map(typed, first, after))
    trace, inputs, more, after, count = _traced(test, step, first)
    tracked = [node for node, x in zip(inputs, first, strict=False) if x.tracked]
    n = len(inputs)
    body, outer = closed(trace, inputs, [*after, count, more], n, tracked)
    params = {
        "test": Body(body.inputs, body.outputs[n:]),
        "step": Body(body.inputs, body.outputs[:n]),
        "carry": n,
        "checkpoints": checkpoints,
        **known,
    }
    results = apply(While, (*first, constant(np.int64(0)), *outer), params)
    return [x if is_inexact(x.dtype) else stop_gradient(x) for x in map(array_of, results[: n - 1])]


def _traced(test: Callable[..., Any], step: CheckedStep, first: list[Any]) -> Any:
    """The condition and one round on values that are not there yet."""
    with opened() as trace:
        carry = [placeholder(spec_of(x), trace, is_inexact(x.dtype)) if number_of(x) is None else x for x in first]
        rounds = placeholder(spec_of(np.int64(0)), trace, False)
        more = test(carry)
        after, _, _ = step(carry, [])
        return trace, [*carry, rounds], more, after, rounds + 1


# Forward mode: tangents beside the values


def _push(
    ts: Sequence[Any], xs: Sequence[Any], *, test: Body, step: Body, carry: int, checkpoints: int
) -> tuple[Any, ...]:
    given = [k for k, t in enumerate(ts) if t is not None]
    moving = depending(step.nodes, step.inputs, step.outputs, carry, [step.inputs[k] for k in given])
    carries = [k for k in range(carry) if step.inputs[k] in moving]
    captured, fixed = list(xs[carry:]), [k for k in given if k >= carry]

    def more(held: Any) -> Any:
        return replayed(test, [*held[0], *captured])[0]

    def following(held: Any) -> Any:
        values, tangents = held
        inputs, targets = opened_by(step, [*values, *captured], (*carries, *fixed))
        outputs = list(map(array_of, replayed(step, inputs)))
        pushed = push(outputs, targets, [*tangents, *(ts[k] for k in fixed)])
        after = [logic.zeros_like(outputs[k]) if pushed[k] is None else pushed[k] for k in carries]
        return outputs, after

    begun = [logic.zeros_like(xs[k]) if ts[k] is None else ts[k] for k in carries]
    _, tangents = while_loop(more, following, (list(xs[:carry]), begun), checkpoints=checkpoints)
    found = dict(zip(carries, map(plain, tangents), strict=True))
    return tuple([found.get(k) for k in range(carry)])


# Reverse mode


def _pull(
    g: Any, y: Any, xs: Sequence[Any], *, test: Body, step: Body, carry: int, checkpoints: int
) -> tuple[Any, ...]:
    """Cotangents of the first carry and of what was captured: rounds pulled through from the last to the first.

    The carry of this loop: rounds left to pull through; the carry after ``now[-1]`` rounds; the places, of which
    ``top`` is the last one taken and one more is for what nobody reads; cotangents of the carry and the sums of those
    of what was captured. Each of its rounds goes on from ``now`` either to a carry to be kept, or to the last round
    that is left, which is then pulled through.
    """
    captured = list(xs[carry:])
    wanted = [k for k, x in enumerate(step.inputs) if x.tracked]
    carries, summed = [k for k in wanted if k < carry], [k for k in wanted if k >= carry]

    def advanced(now: list[Any], until: Any) -> list[Any]:
        found: list[Any] = while_loop(
            lambda held: held[-1] < until, lambda held: replayed(step, [*held, *captured]), now, checkpoints=checkpoints
        )
        return found

    def through(now: list[Any], seeds: list[Any], sums: list[Any]) -> Any:
        found = pulled(step, [*now, *captured], wanted, carries, seeds)
        return found[: len(carries)], [s + c for s, c in zip(sums, found[len(carries) :], strict=True)]

    def following(held: Any) -> Any:
        left, now, top, places, seeds, sums = held
        until = now[-1] + _distance(left - now[-1], checkpoints - top)
        now = advanced(now, until)
        ready = until == left - 1
        seeds, sums = cond(ready, through, lambda now, seeds, sums: (seeds, sums), now, seeds, sums)
        at = logic.where(ready, checkpoints, top + 1)
        places = [indexing.setitem(rows, at, x) for rows, x in zip(places, now, strict=True)]
        done = ready & (places[-1][top] == until)  # the carry kept last is of no more use
        top = logic.where(ready, logic.maximum(top - done, 0), top + 1)
        now = [logic.where(ready, rows[top], x) for rows, x in zip(places, now, strict=True)]
        return left - ready, now, top, places, seeds, sums

    first = [xs[k] for k in range(carry)]
    seeds = [g[k] for k in carries]
    sums = [logic.zeros_like(xs[k]) for k in summed]
    begun = (y[carry - 1], first, np.int64(0), [_rows(x, checkpoints + 1) for x in first], seeds, sums)
    *_, seeds, sums = while_loop(lambda held: held[0] > 0, following, begun, checkpoints=checkpoints)
    found = dict(zip((*carries, *summed), map(plain, (*seeds, *sums)), strict=True))
    return tuple([found.get(k) for k in range(len(xs))])


def _distance(rounds: Any, places: Any) -> Any:
    """How far to go before the next carry is kept, with so many places, the present carry's being one of them.

    With β(s, r) = C(s + r, s) and β(s, r - 1) < l ≤ β(s, r), min(β(s, r - 1), l - β(s - 1, r - 1)) is optimal.
    """
    r, before, _ = while_loop(
        lambda held: held[2] < rounds,
        lambda held: (held[0] + 1, held[2], held[2] * (places + held[0] + 1) // (held[0] + 1)),
        (np.int64(0), np.int64(0), np.int64(1)),
    )
    return logic.minimum(before, rounds - before * places // logic.maximum(places + r - 1, 1))


def _rows(x: Any, count: int) -> Any:
    """x and zeros after it, along a new axis 0."""
    return view.pad(view.expand_dims(x, 0), [(0, count - 1), *[(0, 0)] * len(spec_of(x).shape)])


# Batches


def _batch(
    size: int, over: tuple[bool, ...], *xs: Any, test: Body, step: Body, carry: int, checkpoints: int
) -> tuple[Any, ...]:
    """One loop for the whole batch, until the last example is done; one that is done keeps its carry."""
    captured, moved = list(xs[carry:]), _moved(test, step, carry, over)
    apart = moved[-1]  # whether the examples end by themselves

    def more(held: list[Any]) -> Any:
        (found,) = batched(test, [*held, *captured], moved[:-1], size)
        return found

    def following(held: list[Any]) -> list[Any]:
        after = batched(step, [*held, *captured], moved[:-1], size)
        if apart:
            going = more(held)
            return [chosen(going, x, y) for x, y in zip(after, held, strict=True)]
        return [x if b else x[0] for x, b in zip(after, moved, strict=False)]

    def test_of_all(held: list[Any]) -> Any:
        return reduction.any(more(held))

    first = [view.repeated(x, size) if b and not had else x for x, b, had in zip(xs[:carry], moved, over, strict=False)]
    last = while_loop(test_of_all, following, first, checkpoints=checkpoints)
    return tuple([plain(x if b else view.repeated(x, size)) for x, b in zip(last, moved, strict=False)])


def _moved(test: Body, step: Body, carry: int, over: Sequence[bool]) -> tuple[bool, ...]:
    """Which inputs have the axis of the batch after any number of rounds, and, last, whether the condition has."""
    found = {x for x, b in zip(step.inputs, over, strict=True) if b}
    while True:
        known = len(found)
        for node in sorted({*test.nodes, *step.nodes}, key=creation_order):
            if not found.isdisjoint(node.inputs):
                found.add(node)
        apart = test.outputs[0] in found
        found |= {x for x, y in zip(step.inputs[:carry], step.outputs, strict=True) if apart or y in found}
        if len(found) == known:
            return (*(x in found for x in step.inputs), apart)


above["pull while"] = _pull
above["batch while"] = _batch
above["push while"] = _push
