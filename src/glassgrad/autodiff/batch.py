"""The walk that adds an axis: a function of one example as a function of a batch.

The function is traced once, on examples. Its nodes are then made again on the batch, each by the batching rule of its
op, written with the same ops: what comes out runs eagerly, traces, compiles, differentiates and is batched again.
Within the walk the axis of the batch is always axis 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..errors import RuleError, ShapeError, TreeError
from ..graph.apply import Output, apply
from ..graph.node import Node, Spec, Trace, Value, Variable, constant, next_index, reachable, shape_of, spec_of
from ..graph.origin import Origin, here
from ..graph.primitive import Elementwise, Reduction
from ..numpy.arguments import array_of
from ..ops import view
from ..ops.control import Override, OverrideMany
from ..ops.loop import Body, Counts, Scan, closed, opened, placeholder
from .arguments import Owned, plain_kind
from .loops import scan

Axes = Any  # an int, None, or a tree of them that may end above the leaves of the tree it speaks of


def vmap(function: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """The function of a batch that gives ``function`` of each example, computed for all of them at once.

    ``function`` is called once, on examples without values, and what it did is done again with a further axis: a
    matrix product becomes one product of stacks, ``x + y`` one addition. Nothing is repeated that does not depend on
    the batch. The result can be differentiated, compiled and batched again.

    Parameters
    ----------
    function : of arrays or trees of them. It must not branch on values that differ between examples.
    in_axes : which axis of the arguments the examples lie along: an int for all, None for an argument that is the same
        for every example, or a tuple with one entry per argument, which may be a tree that begins as the argument does.
        Arguments by keyword are batched along axis 0.
    out_axes : where the axis of the batch is in the results: an int, or a tree that begins as the result does; None
        where a result does not depend on the batch, and is wanted once.

    Returns
    -------
    callable
        of the same arguments. It returns ndarrays, or Arrays if an argument is or holds one, as ``jit`` does.

    Raises
    ------
    ShapeError
        if the sizes of the batch disagree, an axis is not there, or ``out_axes`` is None for what depends on the batch.
    TreeError
        if ``in_axes`` or ``out_axes`` does not fit the arguments or results, or no argument is batched.
    TracedValueError
        if the function needs the value of an example, as ``if x > 0`` does.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> distance = lambda a, b: ((a - b) ** 2).sum()
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0]])
    >>> gg.vmap(distance, in_axes=(0, None))(points, np.zeros(2))
    array([ 0., 25.])

    The gradient of each example's own loss:

    >>> loss = lambda w, x, y: (x @ w - y) ** 2
    >>> x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 0.0])
    >>> gg.vmap(gg.grad(loss), in_axes=(None, 0, 0))(np.zeros(2), x, y)
    array([[-2., -4.],
           [ 0.,  0.]])
    """

    if not callable(function):
        raise TypeError(f"vmap: got {type(function).__name__}, expected a function")

    @functools.wraps(function)
    def over_batch(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        names = [f"argument {path}" for part in (args, kwargs) for path in tree.paths(part)]
        size, axes = _common_size(names, leaves, [*_of_arguments(in_axes, args), *(0 for _ in tree.leaves(kwargs))])
        moved = [
            _shared(leaf) if axis is None else view.moveaxis(array_of(leaf), axis, 0)
            for leaf, axis in zip(leaves, axes, strict=True)
        ]

        def example(*given: Any) -> Any:
            positional, named = tree.unflatten(structure, list(given))
            return function(*positional, **named)

        results, over, packing = mapped(example, moved, [axis is not None for axis in axes], size)
        value = tree.unflatten(packing, results)
        rows = zip(tree.paths(value), results, over, _axes("out_axes", out_axes, value), strict=True)
        made = [_placed(*row, size) for row in rows]
        if any(isinstance(leaf, Node) for leaf in leaves):
            return tree.unflatten(packing, [as_array(x) for x in made])
        own = Owned(leaves)
        return tree.unflatten(packing, [own(plain_kind(x)) for x in made])

    return over_batch


def _shared(leaf: Any) -> Any:
    """What is the same for every example: an Array, so that ``x[rows]`` works for rows that are not; or as it is."""
    return as_array(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def _of_arguments(in_axes: Axes, args: tuple[Any, ...]) -> list[int | None]:
    """The axis of each leaf of the arguments."""
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise TreeError(
            f"vmap: in_axes must have one entry per argument: got {len(in_axes)} for {len(args)} arguments at "
            f"{here(3)}; give one int for all of them, or None for those that are the same for every example"
        )
    return _axes("in_axes", in_axes, args)


def _axes(what: str, axes: Axes, of: Any) -> list[int | None]:
    """The axis of each leaf of a tree."""
    found = tree.spread(axes, of, f"vmap: {what}")
    for axis in found:
        if axis is not None and (isinstance(axis, bool) or not isinstance(axis, (int, np.integer))):
            raise TreeError(f"vmap: {what} holds {axis!r}, expected an int or None at {here(3)}")
    return found


def _common_size(names: list[str], leaves: list[Any], axes: list[int | None]) -> tuple[int, list[int | None]]:
    """The size of the batch, and the axes counted from the front."""
    sizes: dict[str, int] = {}
    places: list[int | None] = []
    for name, leaf, axis in zip(names, leaves, axes, strict=True):
        if axis is None:
            places.append(None)
            continue
        shape = shape_of(leaf)
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap: {name} has no axis {axis}: got shape {shape} at {here(3)}; choose another axis in in_axes, or "
                f"None for what is the same for every example"
            )
        places.append(axis % len(shape))
        sizes[f"{name} along axis {axis}"] = shape[axis]
    if not sizes:
        raise TreeError(
            f"vmap: no argument is batched, so the size of the batch is not known, at {here(3)}; give in_axes an int "
            f"for one of them"
        )
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name}: {n}" for name, n in sizes.items())
        raise ShapeError(f"vmap: sizes of the batch disagree: got {listed}, expected one at {here(3)}")
    return next(iter(sizes.values())), places


def _placed(label: str, value: Value, over: bool, axis: int | None, size: int) -> Value:
    """A result with the axis of the batch where it was asked for."""
    if axis is None:
        if over:
            raise ShapeError(
                f"vmap: out_axes is None for result{label}, which depends on the batch, at {here(4)}; give an axis"
            )
        return value
    ndim = len(shape_of(value)) + (not over)
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"vmap: result{label} has {ndim} axes with that of the batch, expected out_axes in {-ndim} to {ndim - 1}: "
            f"got {axis} at {here(4)}"
        )
    return view.moveaxis(value if over else view.repeated(value, size), 0, axis)


def mapped(
    function: Callable[..., Any], given: Sequence[Any], over: Sequence[bool], size: int
) -> tuple[list[Value], list[bool], tree.Structure]:
    """The leaves of ``function`` for every example, which of them have the axis of the batch, and their structure."""
    with opened() as trace:
        examples = [_example(x, trace) if batched else x for x, batched in zip(given, over, strict=True)]
        results, packing = tree.flatten(function(*examples))
        outputs = [array_of(r) for r in results]
    values = {e: x for e, x, batched in zip(examples, given, over, strict=True) if batched}
    found = on_batch(outputs, values, set(values), size, trace)
    return [value for value, _ in found], [batched for _, batched in found], packing


def _example(batch: Any, trace: Trace) -> Any:
    spec = spec_of(batch)
    return placeholder(Spec(spec.shape[1:], spec.dtype), trace, isinstance(batch, Node) and batch.tracked)


def on_batch(
    outputs: Sequence[Node], values: dict[Node, Value], over: set[Node], size: int, trace: Trace | None
) -> list[tuple[Value, bool]]:
    """The walk: the nodes of a trace on other inputs, those in ``over`` with a further axis 0.

    Returns for each output its value and whether it has that axis. What does not depend on the batch is made as it was.
    """
    inside = reachable(outputs, follow=lambda n: n.program is trace and n not in values)
    around = here(2)
    values, over = {**_left_behind(inside, outputs, trace), **values}, set(over)
    for node in inside:
        xs = tuple([values.get(x, x) for x in node.inputs])
        batched = tuple([x in over for x in node.inputs])
        since = next_index()
        if any(batched):
            over.add(node)
        if node.op is Output:
            values[node] = xs[0][node.params["index"]]
        elif any(batched):
            values[node] = _of_batch(node, size, batched, xs)
        else:
            values[node] = apply(node.op, xs, node.params)
        _came_from(node, values, since, around)
    return [(values.get(node, node), node in over) for node in outputs]


def _left_behind(nodes: Sequence[Node], outputs: Sequence[Node], trace: Trace | None) -> dict[Node, Node]:
    """Constants for what was computed of arguments of derivatives that began and ended inside of the function.

    What is not of the trace and is tracked for no other reason is differentiated by nobody any more.
    """
    since = trace.index if trace else 0
    reached = (*outputs, *(x for node in nodes for x in node.inputs))
    made = [x for x in reached if x.tracked and x.value is not None and x.index > since]
    whole = reachable(made, follow=lambda n: n.tracked and n.value is not None and n.index > since)
    tracked: set[Node] = set()
    for node in whole:
        if node.op is Variable or any(x.tracked and (x.index < since or x in tracked) for x in node.inputs):
            tracked.add(node)
    return {node: constant(node.value) for node in whole if node not in tracked}


def _came_from(node: Node, values: Mapping[Any, Value], since: int, around: Origin) -> None:
    """Give what was just made of a node the user's line that the node came from, unless it has one of its own."""
    made = values[node]
    for part in made if isinstance(made, tuple) else (made,):
        if not isinstance(part, Node) or part.index < since or part.origin is None or node.origin is None:
            continue
        if part.origin[:2] == around[:2]:
            forward: Any = node.origin.forward
            part.origin = node.origin._replace(forward=values.get(forward, forward))


def _of_batch(node: Node, size: int, over: tuple[bool, ...], xs: tuple[Value, ...]) -> Any:
    """One node on a batch, by its op's rule or its kind's; what it returns is checked."""
    op, params = node.op, node.params
    if op.batch is None or isinstance(op.batch, tuple):
        kind = next((kind for kind in _RULES if issubclass(op, kind)), None)
        rule = _stacked if op.batch else _one_by_one if kind is None else _RULES[kind]
        result = rule(op, size, over, *xs, **params)
    else:
        result = op.batch(size, over, *xs, **params)
        if result is NotImplemented:
            result = _one_by_one(op, size, over, *xs, **params)
    several = op.outputs > 1
    for made, spec in zip(result if several else (result,), node.spec if several else (node.spec,), strict=True):
        expected = Spec((size, *spec.shape), spec.dtype)
        if spec_of(made) != expected:
            raise RuleError(f"{op.name}: batch returned {tuple(spec_of(made))}, expected {tuple(expected)}")
    return result


def _stacked(op: Any, size: int, over: tuple[bool, ...], *xs: Value, **params: Any) -> Any:
    """An op whose leading axes broadcast: all of them, of an elementwise one."""
    return apply(op, tuple(view.aligned(xs, over, op.batch or (0,) * len(xs))), params)


def _folded(op: Any, size: int, over: tuple[bool, ...], x: Value, *, axis: Any, **params: Any) -> Any:
    """A reduction, with its axes counted from one further on."""
    return apply(op, (x,), {"axis": tuple(i + 1 for i in axis) if isinstance(axis, tuple) else axis + 1, **params})


def _one_by_one(op: Any, size: int, over: tuple[bool, ...], *xs: Value, **params: Any) -> Any:
    """Any op: example by example, as a scan."""

    def example(_: None, rows: list[Value]) -> tuple[None, Any]:
        supply = iter(rows)
        return None, apply(op, tuple([next(supply) if b else x for x, b in zip(xs, over, strict=True)]), params)

    return scan(example, None, [x for x, b in zip(xs, over, strict=True) if b], length=size)[1]


def _override(op: Any, size: int, over: tuple[bool, ...], *xs: Value, rule: Callable[..., Any], **params: Any) -> Any:
    """A function with a derivative of the user's: the values are there; the rule is batched when it is asked for."""
    count = params.get("count", 1)
    values = [x if b else view.repeated(x, size) for x, b in zip(xs[:count], over, strict=False)]
    over = (*(True for _ in values), *over[count:])

    def whole(g: Any, *inputs: Value) -> tuple[Value | None, ...]:
        gs = g if isinstance(g, tuple) else (g,)

        def example(*given: Value) -> Any:
            seeds = given[: len(gs)]
            return rule(seeds if isinstance(g, tuple) else seeds[0], *given[len(gs) :])

        found, batched, packing = mapped(example, (*gs, *inputs), (*(True for _ in gs), *over), size)
        # Every example has its own part in what they share; the walk adds them up.
        cotangents = [c if b else view.repeated(c, size) for c, b in zip(found, batched, strict=True)]
        return tuple(tree.unflatten(packing, cotangents))

    return apply(op, (*values, *xs[count:]), {"rule": whole, **params})


class _Batched(NamedTuple):
    """The body of a scan on a batch.

    Attributes
    ----------
    over : which inputs of the scan have the axis of the batch, among the carry also those that come to have it
    results : which outputs have it
    outer : further inputs, constants that the body uses
    """

    body: Body
    over: tuple[bool, ...]
    results: tuple[bool, ...]
    outer: list[Node]


def _body(body: Body, counts: Counts, over: tuple[bool, ...], size: int) -> _Batched:
    """One step for the whole batch. A carry that any step makes depend on the batch has its axis from the first on."""
    n = counts.carry
    program = body.inputs[0].program
    while True:
        with opened() as trace:
            inputs = []
            for x, b in zip(body.inputs, over, strict=True):
                spec = Spec((size, *x.shape), x.dtype) if b else x
                inputs.append(placeholder(spec, trace, x.tracked))
            values = dict(zip(body.inputs, inputs, strict=True))
            moved = {x for x, b in zip(body.inputs, over, strict=True) if b}
            found = on_batch(body.outputs, values, moved, size, program)
            late = tuple(b or batched for b, (_, batched) in zip(over, found[:n], strict=False))
            if late == over[:n]:
                results = [
                    array_of(view.repeated(x, size) if k < n and over[k] and not b else x)
                    for k, (x, b) in enumerate(found)
                ]
                break
        over = (*late, *over[n:])
    made, outer = closed(trace, inputs, results, n, [x for x in inputs if x.tracked])
    return _Batched(made, over, (*over[:n], *(b for _, b in found[n:])), outer)


def _scan(
    op: Any, size: int, over: tuple[bool, ...], *xs: Value, body: Body, counts: Counts, length: int, reverse: bool
) -> tuple[Value, ...]:
    """A loop on a batch: one loop, whose step is batched. The steps stay along axis 0 of what it slices and stacks."""
    key = ("batch", size, *over)
    if key not in body.derived:
        body.derived[key] = _body(body, counts, over, size)
    rule: _Batched = body.derived[key]
    n, m = counts.carry, counts.carry + counts.xs
    first = [view.repeated(x, size) if rule.over[k] and not over[k] else x for k, x in enumerate(xs[:n])]
    rows = [view.moveaxis(x, 0, 1) if b else x for x, b in zip(xs[n:m], over[n:m], strict=True)]
    captured = (*xs[m:], *rule.outer)
    sizes = counts._replace(captured=len(captured))
    params = {"length": length, "counts": sizes, "reverse": reverse, "body": rule.body}
    results = apply(op, (*first, *rows, *captured), params)
    return tuple(
        [
            view.repeated(y, size) if not b else y if k < n else view.moveaxis(y, 1, 0)
            for k, (y, b) in enumerate(zip(results, rule.results, strict=True))
        ]
    )


_RULES: dict[type, Callable[..., Any]] = {
    Elementwise: _stacked,
    Reduction: _folded,
    Scan: _scan,
    Override: _override,
    OverrideMany: _override,
}
