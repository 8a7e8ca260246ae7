"""Loops that are one node of a graph: scan and fori_loop, and the derivatives of a scan, which are scans again."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..dtypes import is_inexact, result_type
from ..errors import DtypeError, ShapeError, TreeError
from ..graph.apply import apply
from ..graph.node import Constant, Node, constant, owned, reachable, shape_of, spec_of, value_of
from ..graph.origin import here
from ..numpy.arguments import array_of
from ..ops import logic
from ..ops.control import stop_gradient
from ..ops.loop import Body, Counts, Scan, above, closed, copied, depending, opened, placeholder
from .jvp import push
from .vjp import pull

WEAK = (int, float, complex)  # Python's numbers, which take the dtype of what they meet


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    carry: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    """Repeat ``carry, y = f(carry, x)`` over the rows x of ``xs``; the last carry, and the ys stacked.

    On plain values the loop runs in Python. Where a value is being differentiated or traced, f is traced once and the
    loop is one node of the graph, however many steps it takes: its gradient is a loop in the other direction, which
    keeps the carry of every step and what is dear, and computes the rest of a step again.

    Parameters
    ----------
    f : of the carry and a row, returning the next carry, of the same structure, shapes and dtypes, and a tree y
    carry : tree of arrays; a Python number becomes an array of the dtype that f gives it
    xs : tree of arrays that share the size of axis 0, or None
    length : number of steps; needed only without xs
    reverse : whether to go from the last row to the first; y of row i is still at place i

    Returns
    -------
    (carry, ys)
        trees of Arrays; each leaf of ys is the leaf of y with a further axis 0 of size ``length``.

    Raises
    ------
    TreeError, ShapeError, DtypeError
        if f changes the carry's structure, shapes or dtypes, naming the leaf; or if the xs differ in length.

    Notes
    -----
    A value that f closes over and that is being differentiated is noticed at the first step, which then runs once more
    while tracing. Names given by ``gg.name`` inside of f are not seen outside of it.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> def step(level, rain):
    ...     level = 0.5 * level + rain
    ...     return level, level
    >>> last, levels = gg.scan(step, 0.0, np.array([4.0, 2.0, 1.0]))
    >>> levels
    Array([4., 4., 3.])
    >>> gg.grad(lambda rain: gg.scan(step, 0.0, rain)[0])(np.array([4.0, 2.0, 1.0]))
    array([0.25, 0.5 , 1.  ])
    """
    return _scan("scan", f, carry, xs, length, reverse)


def fori_loop(lower: int, upper: int, body: Callable[[Any, Any], Any], carry: Any) -> Any:
    """Repeat ``carry = body(i, carry)`` for i from ``lower`` up to, not including, ``upper``; the last carry.

    A ``scan`` over the numbers i, which are of dtype int64. The bounds are Python integers.

    Raises
    ------
    TreeError, ShapeError, DtypeError
        if the body changes the carry's structure, shapes or dtypes, or a bound is no integer.

    Examples
    --------
    >>> import glassgrad as gg
    >>> root = lambda a: gg.fori_loop(0, 6, lambda i, x: 0.5 * (x + a / x), 1.0)
    >>> round(float(root(2.0)), 9), round(float(gg.grad(root)(4.0)), 9)
    (1.414213562, 0.25)
    """
    try:
        steps = np.arange(operator.index(lower), operator.index(upper), dtype=np.int64)
    except TypeError as error:
        raise DtypeError(
            f"fori_loop: the bounds are Python integers, known before the loop runs: got {lower!r} and {upper!r} at "
            f"{here(2)}; use int(...), or where(...) inside of the body to ignore the steps that are too many"
        ) from error
    return _scan("fori_loop", lambda held, i: (body(i, held), None), carry, steps, None, False)[0]


def _scan(name: str, f: Callable[..., Any], carry: Any, xs: Any, length: int | None, reverse: bool) -> tuple[Any, Any]:
    leaves, structure = tree.flatten(carry)
    held = [array_of(leaf) if number_of(leaf) is None else leaf for leaf in leaves]
    columns, rows = tree.flatten(xs)
    arrays = [array_of(x) for x in columns]
    count = _length(name, tree.paths(xs), arrays, length)
    step = CheckedStep(name, f, structure, tree.paths(carry), rows)
    results = None
    if count and not any(isinstance(x, Node) and recorded(x) for x in (*held, *arrays)):
        results = _in_python(step, held, [value_of(x) for x in arrays], count, bool(reverse))
    last, ys, result = results or _as_node(step, held, arrays, count, bool(reverse))
    return tree.unflatten(structure, last), tree.unflatten(result, ys)


def _length(name: str, names: list[str], arrays: list[Any], length: int | None) -> int:
    sizes: dict[str, Any] = {
        f"xs{label}": x.shape[0] if x.shape else None for label, x in zip(names, arrays, strict=True)
    }
    if length is not None:
        sizes = {"length": operator.index(length), **sizes}
    if not sizes:
        raise ShapeError(f"{name}: neither xs nor length says how many steps to take, at {here(3)}; pass length=10")
    if None in sizes.values() or len(set(sizes.values())) > 1 or (length is not None and length < 0):
        listed = ", ".join(f"{label}: {'a number' if n is None else n}" for label, n in sizes.items())
        raise ShapeError(
            f"{name}: the steps lie along axis 0 of every array of xs: got sizes {listed}, expected one at {here(3)}"
        )
    count: int = max(sizes.values())
    return count


def number_of(leaf: Any) -> Any:
    """The Python number that a leaf is, or promotes as because it stands for such an argument; None for any other."""
    number = (leaf.program.weak.get(leaf) if leaf.program else leaf.value) if isinstance(leaf, Node) else leaf
    return number if type(number) in WEAK else None


def recorded(node: Node) -> bool:
    return node.tracked or node.value is None


class CheckedStep(NamedTuple):
    """The user's function on leaves, its result checked."""

    name: str
    function: Callable[[Any, Any], tuple[Any, Any]]
    structure: tree.Structure
    names: list[str]
    rows: tree.Structure

    def __call__(self, carry: Sequence[Any], xs: list[Any]) -> tuple[list[Any], list[Any], tree.Structure]:
        """The leaves of the next carry and of y, as Arrays, and the structure of y."""
        pair = self.function(tree.unflatten(self.structure, list(carry)), tree.unflatten(self.rows, xs))
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise TreeError(
                f"{self.name}: f must return (carry, y): got {type(pair).__name__} at {here(2)}; y may be None"
            )
        after, structure = tree.flatten(pair[0])
        if structure != self.structure:
            got, expected = tree.paths(pair[0]), self.names
            differ = [p for p in got if p not in expected] + [p for p in expected if p not in got]
            place, now, before = tree.difference(structure, self.structure)
            both = f"got leaves {got}, expected {expected}" if differ else f"got {now}, expected {before}"
            raise TreeError(
                f"{self.name}: the body changed the structure of the carry, in "
                f"{(differ[0] or 'the root') if differ else place}: {both} at {here(2)}; return the carry as the body "
                f"was given it"
            )
        arrays = [array_of(leaf) for leaf in after]
        for label, before, now in zip(self.names, carry, arrays, strict=True):
            self.compare(f"carry{label}", before, now)
        ys, structure = tree.flatten(pair[1])
        return arrays, [array_of(y) for y in ys], structure

    def compare(self, label: str, before: Any, now: Any) -> None:
        """Refuse a leaf whose shape or dtype a step changed; only a Python number takes the dtype it is given."""
        if shape_of(before) != now.shape:
            raise ShapeError(
                f"{self.name}: the body changed the shape of {label}: got {now.shape}, expected {shape_of(before)} at "
                f"{here(2)}; begin with an array of the shape that the body returns"
            )
        number = number_of(before)
        if now.dtype != (before.dtype if number is None else result_type(now.dtype, number)):
            expected = str(before.dtype) if number is None else f"one that holds {number!r}"
            raise DtypeError(
                f"{self.name}: the body changed the dtype of {label}: got {now.dtype}, expected {expected} at "
                f"{here(2)}; cast one of them with .astype"
            )


def _in_python(step: CheckedStep, first: list[Any], arrays: list[Any], length: int, reverse: bool) -> Any:
    """The loop in Python: leaves of the last carry and of the ys, and the structure of y.

    None as soon as a step gives something tracked or traced: then the body closes over it, and the loop is for a graph.
    """
    carry, structure = first, tree.EMPTY
    rows: list[list[Any]] = []
    for i in range(length - 1, -1, -1) if reverse else range(length):
        carry, ys, structure = step(carry, [array_of(x[i]) for x in arrays])
        if any(recorded(x) for x in (*carry, *ys)):
            return None
        if not rows:
            begun = list(map(typed, first, carry))
        elif [spec_of(y) for y in ys] != [spec_of(y) for y in rows[0]]:
            if any(number_of(leaf) is not None for leaf in first):  # which promote weakly, in the first step only
                return _in_python(step, begun, arrays, length, reverse)
            got, expected = ([tuple(spec_of(y)) for y in row] for row in (ys, rows[0]))
            raise ShapeError(f"{step.name}: y changed between two steps: got {got}, expected {expected} at {here(2)}")
        rows.append(ys)
    columns = zip(*(rows[::-1] if reverse else rows), strict=True)
    return [owned(x) for x in carry], [constant(np.stack([y.value for y in ys])) for ys in columns], structure


def typed(leaf: Any, like: Any) -> Any:
    """A Python number as an array of the dtype that a step gives it."""
    if number_of(leaf) is None:
        return leaf
    if not isinstance(leaf, Node):
        return array_of(np.asarray(leaf, like.dtype))
    # Not astype, which gives back a leaf of that dtype as it is: a number.
    return apply(logic.Cast if is_inexact(like.dtype) else logic.ToInteger, (leaf,), {"dtype": like.dtype})


def _as_node(step: CheckedStep, first: list[Any], arrays: list[Any], length: int, reverse: bool) -> Any:
    """The loop as one node; what it returns is as of ``_in_python``."""
    if any(number_of(leaf) is not None for leaf in first):
        after, _, _ = _traced(step, first, arrays)[2]
        first = list(map(typed, first, after))
    trace, inputs, (after, ys, structure) = _traced(step, first, arrays)
    tracked = [node for node, x in zip(inputs, (*first, *arrays), strict=True) if x.tracked]
    body, outer = closed(trace, inputs, [*after, *ys], len(first), tracked)
    given: tuple[Any, ...] = (*first, *arrays, *outer)
    if any(isinstance(x, Node) and x.tracked for x in given):
        body = body.saving(len(first), [*body.inputs[: len(first)], *body.dear])
    counts = Counts(len(first), len(arrays), len(outer))
    results = _apply(given, body, counts, length, reverse)[: len(first) + len(ys)]
    leaves = [x if is_inexact(x.dtype) else stop_gradient(x) for x in map(array_of, results)]
    return leaves[: len(first)], leaves[len(first) :], structure


def _traced(step: CheckedStep, first: list[Any], arrays: list[Any]) -> Any:
    """One step on values that are not there yet: its trace, inputs and results. A Python number stays what it is."""
    with opened() as trace:
        carry = [placeholder(spec_of(x), trace, is_inexact(x.dtype)) if number_of(x) is None else x for x in first]
        rows = [placeholder(spec_of(x)._replace(shape=x.shape[1:]), trace, is_inexact(x.dtype)) for x in arrays]
        return trace, [*carry, *rows], step(carry, rows)


def _apply(inputs: Sequence[Any], body: Body, counts: Counts, length: int, reverse: bool) -> tuple[Any, ...]:
    if not body.outputs:
        return ()
    params = {"length": length, "counts": counts, "reverse": reverse, "body": body}
    return tuple(apply(Scan, tuple(inputs), params))


def _saved(nodes: Sequence[Node], ys: Sequence[Any], xs: Sequence[Any], body: Body, counts: Counts, **how: Any) -> Any:
    """What these nodes were in each step, stacked: outputs of the scan, or of one that runs again."""
    key = ("saving", *map(id, nodes))
    if key not in body.derived:
        body.derived[key] = body.saving(counts.carry, nodes)
    whole: Body = body.derived[key]
    if len(whole.outputs) > len(body.outputs):
        ys = _apply(xs, whole, counts, **how)
    where = {node: i for i, node in enumerate(whole.outputs) if i >= counts.carry}
    return [ys[where[node]] for node in nodes]


class _Pullback(NamedTuple):
    """The body of a scan's VJP, and which inputs and outputs of the scan its inputs and outputs belong to.

    Attributes
    ----------
    carries : whose cotangent is the carry
    summed : captured inputs whose cotangent is summed up in the carry
    saved : nodes of the step that it uses: the carries before it, and what is dear to compute again
    xs, ys, captured : rows, rows of cotangents of ys and captured inputs it uses
    outer : constants, and what rules given by the user close over
    sliced : xs whose cotangents are its ys
    """

    body: Body
    counts: Counts
    carries: list[int]
    summed: list[int]
    saved: list[Node]
    xs: list[int]
    ys: list[int]
    captured: list[int]
    outer: list[Node]
    sliced: list[int]


def _pullback(body: Body, counts: Counts, alive: tuple[int, ...]) -> _Pullback:
    """Reverse mode through one step, from cotangents of the outputs ``alive``."""
    n, m = counts.carry, counts.carry + counts.xs
    with opened() as trace:
        inputs = [placeholder(x, trace, x.tracked) for x in body.inputs]
        copies = copied([*body.outputs, *body.dear], dict(zip(body.inputs, inputs, strict=True)), trace)
        outputs, dear = copies[: len(body.outputs)], copies[len(body.outputs) :]
        seeds = {i: placeholder(spec_of(outputs[i]), trace, True) for i in alive}
        wanted = [k for k, x in enumerate(inputs) if x.tracked]
        pulled, _ = pull([outputs[i] for i in alive], [seeds[i] for i in alive], [inputs[k] for k in wanted], True)
        found = {k: array_of(c) for k, c in zip(wanted, pulled, strict=True) if c is not None}
        carries = [k for k in wanted if k < n]
        summed = [k for k in found if k >= m]
        sliced = [k for k in found if n <= k < m]
        sums = [placeholder(spec_of(inputs[k]), trace, True) for k in summed]
        after = [found[k] if k in found else array_of(logic.zeros_like(inputs[k])) for k in carries]
        results = [*after, *(s + found[k] for s, k in zip(sums, summed, strict=True)), *(found[k] for k in sliced)]
    apart = set(dear)
    inside = reachable(results, follow=lambda node: node not in apart)
    used = {*results, *inside, *(x for node in inside for x in node.inputs)}
    xs, captured = ([k for k in span if inputs[k] in used] for span in (range(n, m), range(m, len(inputs))))
    given_before = [*zip(body.inputs[:n], inputs, strict=False), *zip(body.dear, dear, strict=True)]
    saved = {copy: node for node, copy in given_before if copy in used}
    ys = [i for i in alive if i >= n and seeds[i] in used]
    carried = [*(seeds[k] for k in carries), *sums]
    rows = [*saved, *(inputs[k] for k in xs), *(seeds[i] for i in ys)]
    given = [*carried, *rows, *(inputs[k] for k in captured)]
    derived, outer = closed(trace, given, results, len(carried), [x for x in given if x.tracked])
    sizes = Counts(len(carried), len(rows), len(captured) + len(outer))
    return _Pullback(derived, sizes, carries, summed, list(saved.values()), xs, ys, captured, outer, sliced)


def _vanishes(g: Any) -> bool:
    """Whether a cotangent is known to be 0: that of an output nobody used."""
    return not np.any(value_of(g)) if not isinstance(g, Node) or g.op is Constant else False


def _pull(
    g: Any, ys: Any, xs: Sequence[Any], *, body: Body, counts: Counts, length: int, reverse: bool
) -> tuple[Any, ...]:
    """Cotangents of a scan's inputs: the VJP of a step, from the last step to the first."""
    n = counts.carry
    alive = tuple(
        i
        for i, y in enumerate(body.outputs)
        if (body.inputs[i].tracked if i < n else y.tracked and is_inexact(y.dtype) and not _vanishes(g[i]))
    )
    key = ("pull", *alive)
    if key not in body.derived:
        body.derived[key] = _pullback(body, counts, alive)
    rule: _Pullback = body.derived[key]
    first = [*(g[i] for i in rule.carries), *(logic.zeros_like(xs[k]) for k in rule.summed)]
    saved = _saved(rule.saved, ys, xs, body, counts, length=length, reverse=reverse)
    rows = [*saved, *(xs[k] for k in rule.xs), *(g[i] for i in rule.ys)]
    given = (*first, *rows, *(xs[k] for k in rule.captured), *rule.outer)
    results = _apply(given, rule.body, rule.counts, length, not reverse)
    found = dict(zip((*rule.carries, *rule.summed, *rule.sliced), results, strict=True))
    return tuple([found.get(k) for k in range(len(xs))])


class _Pushforward(NamedTuple):
    """The body of a scan's JVP, and which inputs and outputs of the scan have a tangent in it."""

    body: Body
    carries: list[int]
    xs: list[int]
    captured: list[int]
    outer: list[Node]
    ys: list[int]


def _pushforward(body: Body, counts: Counts, given: tuple[int, ...]) -> _Pushforward:
    """Forward mode through one step, beside the step itself, from tangents of these inputs."""
    n, m = counts.carry, counts.carry + counts.xs
    moving = depending(body.nodes, body.inputs, body.outputs, n, [body.inputs[k] for k in given])
    carries = [k for k in range(n) if body.inputs[k] in moving]
    sliced, captured = [k for k in given if n <= k < m], [k for k in given if k >= m]
    varied = [*carries, *sliced, *captured]
    with opened() as trace:
        inputs = [placeholder(x, trace, x.tracked or k in varied) for k, x in enumerate(body.inputs)]
        outputs = copied(body.outputs, dict(zip(body.inputs, inputs, strict=True)), trace)
        tangents = {k: placeholder(spec_of(inputs[k]), trace, True) for k in varied}
        pushed = push(outputs, [inputs[k] for k in varied], [tangents[k] for k in varied])
        ys = [i for i in range(n, len(outputs)) if pushed[i] is not None and is_inexact(outputs[i].dtype)]
        zeros = {k: logic.zeros_like(inputs[k]) for k in carries if pushed[k] is None}
        after = [array_of(zeros.get(k, pushed[k])) for k in carries]
        results = [*outputs[:n], *after, *(array_of(pushed[i]) for i in ys)]
    parts = ((range(n), carries), (range(n, m), sliced), (range(m, len(inputs)), captured))
    ordered = [x for own, moved in parts for x in (*(inputs[k] for k in own), *(tangents[k] for k in moved))]
    derived, outer = closed(trace, ordered, results, n + len(carries), [x for x in ordered if x.tracked])
    return _Pushforward(derived, carries, sliced, captured, outer, ys)


def _push(
    ts: Sequence[Any], ys: Any, xs: Sequence[Any], *, body: Body, counts: Counts, length: int, reverse: bool
) -> tuple[Any, ...]:
    """Tangents of a scan's outputs, None where there are none: a scan that carries tangents beside the values."""
    n, m = counts.carry, counts.carry + counts.xs
    given = tuple(k for k, t in enumerate(ts) if t is not None)
    key = ("push", *given)
    if key not in body.derived:
        body.derived[key] = _pushforward(body, counts, given)
    rule: _Pushforward = body.derived[key]
    begun = [logic.zeros_like(xs[k]) if ts[k] is None else ts[k] for k in rule.carries]
    first = [*xs[:n], *begun]
    rows = [*xs[n:m], *(ts[k] for k in rule.xs)]
    captured = [*xs[m:], *(ts[k] for k in rule.captured), *rule.outer]
    sizes = Counts(len(first), len(rows), len(captured))
    results = _apply([*first, *rows, *captured], rule.body, sizes, length, reverse)[n:]
    found = dict(zip((*rule.carries, *rule.ys), results, strict=True))
    return tuple([found.get(i) for i in range(len(body.outputs))])


above["pull"] = _pull
above["push"] = _push
