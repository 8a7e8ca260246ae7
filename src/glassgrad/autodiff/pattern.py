"""Which results can depend on which arguments: the pattern of a Jacobian, read off the graph.

Each node is given a boolean matrix with a row per element and a column per element of the arguments. An op's rule says
which elements of its inputs an element is made from, by the places they stand at and never by their values, so the
pattern holds at every point. Constants are known: what a constant zero multiplies, a constant mask discards, or a
constant index does not read, is no dependence. Where nothing is known of an op, everything depends on everything.

A. Walther, "Computing sparse Hessians with automatic differentiation" (2008) calls these index domains.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..dtypes import is_inexact
from ..graph.apply import Output
from ..graph.node import Node, reachable
from ..graph.primitive import Contraction, Elementwise, Reduction
from ..ops import contraction, control, conv, factor, fft, indexing, logic, reduction, view
from ..ops import elementwise as ew
from ..ops.branch import Switch
from ..ops.loop import Body, Counts, Scan, While, opened, placeholder
from . import places
from .places import Pattern, Patterns, either, none, scipy_sparse, size_of, stacked

_WORK = 1 << 21  # nonzeros of all nodes, and products, that are looked at where looking has to stay cheap


def dependence(outputs: Sequence[Node], targets: Sequence[Node], fullest: int | None = None) -> Pattern:
    """Rows for the elements of all outputs, columns for the elements of all targets.

    With ``fullest`` None, where that would take long, or the elements of some node have more nonzeros than that each.
    """
    sizes = [size_of(t) for t in targets]
    whole = scipy_sparse().eye_array(sum(sizes), dtype=bool, format="csr")
    ends = np.cumsum([0, *sizes]).tolist()
    held = {t: whole[a:b] for t, a, b in zip(targets, ends[:-1], ends[1:], strict=True)}
    nodes = reachable(outputs, follow=lambda n: n not in held)
    try:
        found = _through(nodes, outputs, held, {}, fullest)
    except _TooFullError:
        return None
    return stacked([none(size_of(y), sum(sizes)) if p is None else p for y, p in zip(outputs, found, strict=True)])


class _TooFullError(Exception):
    """The pattern is not worth knowing."""


def _through(
    nodes: Sequence[Node],
    outputs: Sequence[Node],
    held: dict[Node, Any],
    known: dict[Node, Any],
    fullest: int | None = None,
) -> Patterns:
    """The patterns of outputs. ``known`` are the values of nodes that are the same whatever the arguments are."""
    last = {x: node for node in nodes for x in node.inputs}
    kept, work = set(outputs), 0
    for node in nodes:
        if node in held or not node.inputs:
            continue
        ps = [held.get(x) for x in node.inputs]
        if node.op is Output:
            made = ps[0][node.params["index"]] if ps[0] is not None else None
        elif all(p is None for p in ps):
            made = None
            _fold(node, known)
        else:
            if fullest is not None and issubclass(node.op, Contraction):
                work += math.isqrt(size_of(node) * math.prod(map(size_of, node.inputs)))  # products of a matrix product
                if work > _WORK:
                    raise _TooFullError
            made = _of(node, ps, [_value(x, known) for x in node.inputs]) if node.op.differentiable else None
        if made is not None:
            held[node] = made
            if fullest is not None:
                rows, count = (0, _WORK) if isinstance(made, list) else (made.shape[0], made.nnz)
                work += count
                if work > _WORK or (rows > 1 and count > rows * fullest):
                    raise _TooFullError
        for x in node.inputs:
            if last[x] is node and x not in kept:
                held.pop(x, None)  # patterns of large programs are large
    return [held.get(y) for y in outputs]


def _value(node: Node, known: Mapping[Node, Any]) -> Any:
    return known.get(node) if node.value is None else node.value


def _fold(node: Node, known: dict[Node, Any]) -> None:
    """Compute what is made of known values only: within the step of a loop an index is."""
    if node.value is None and node.op.outputs == 1 and node.op is not Output:
        values = [_value(x, known) for x in node.inputs]
        if all(v is not None for v in values):
            known[node] = node.op.eval(*values, **node.params)


def _of(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    op: Any = node.op
    rule = _RULES.get(op)
    if rule is None and isinstance(op.batch, tuple):
        rule = places.of_stacks
    if rule is None:
        rule = next((r for kind, r in _KINDS.items() if issubclass(op, kind)), places.of_everything)
    return rule(node, ps, values)


def _of_loop(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """A loop, step by step. If steps do not differ by known integers, the pattern of one step serves for all."""
    body: Body = node.params["body"]
    counts: Counts = node.params["counts"]
    length, n, m = node.params["length"], counts.carry, counts.carry + counts.xs
    columns = next(p.shape[1] for p in ps if p is not None)
    known = list(values)
    moving = [k for k in range(m) if known[k] is not None and ps[k] is None and node.inputs[k].dtype.kind in "biu"]
    if not moving:
        known = [v if k >= m else None for k, v in enumerate(known)]
        one = _one_step(body, known)
    carry, held = list(ps[:n]), known[:n]
    ys: list[list[Any]] = [[None] * length for _ in body.outputs[n:]]
    sizes = [size_of(x) for x in body.inputs]
    for i in range(length - 1, -1, -1) if node.params["reverse"] else range(length):
        rows = [
            None if p is None else p[i * size : (i + 1) * size] for p, size in zip(ps[n:m], sizes[n:m], strict=True)
        ]
        given = [*carry, *rows, *ps[m:]]
        if moving:
            slices = [None if v is None else v[i] for v in known[n:m]]
            found, held = _known_step(body, given, [*held, *slices, *known[m:]], n)
        else:
            filled = [none(s, columns) if p is None else p for p, s in zip(given, sizes, strict=True)]
            found = _parted(one @ stacked(filled), body.outputs)
        carry = list(found[:n])
        for k, p in enumerate(found[n:]):
            ys[k][i] = p
    results = list(carry)
    for y, parts in zip(body.outputs[n:], ys, strict=True):
        filled = [none(size_of(y), columns) if p is None else p for p in parts]
        results.append(stacked(filled) if filled else none(0, columns))
    return results


def _one_step(body: Body, known: Sequence[Any]) -> Pattern:
    """The pattern of the results of a step by its inputs, of which some are known."""
    sizes = [size_of(x) for x in body.inputs]
    whole = scipy_sparse().eye_array(sum(sizes), dtype=bool, format="csr")
    ends = np.cumsum([0, *sizes]).tolist()
    varies = [v is None and is_inexact(x.dtype) for x, v in zip(body.inputs, known, strict=True)]
    held = {x: whole[a:b] for x, a, b, f in zip(body.inputs, ends[:-1], ends[1:], varies, strict=True) if f}
    values = {x: v for x, v in zip(body.inputs, known, strict=True) if v is not None}
    found = _through(body.nodes, body.outputs, held, values)
    return stacked([none(size_of(y), sum(sizes)) if p is None else p for y, p in zip(body.outputs, found, strict=True)])


def _known_step(body: Body, given: Patterns, known: Sequence[Any], n: int) -> tuple[Patterns, list[Any]]:
    """One step with what is known at it; the patterns of its results, and what is known of the next carry."""
    held = {x: p for x, p in zip(body.inputs, given, strict=True) if p is not None}
    values = {x: v for x, v in zip(body.inputs, known, strict=True) if v is not None and x not in held}
    found = _through(body.nodes, body.outputs, dict(held), values)
    after = [values.get(y) if p is None else None for y, p in zip(body.outputs[:n], found, strict=False)]
    return found, [
        y.value if v is None and y.value is not None else v for v, y in zip(after, body.outputs, strict=False)
    ]


def _of_branches(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """What any branch makes of its inputs, or the one that is chosen where that is known."""
    branches: Sequence[Body] = node.params["branches"]
    chosen = branches if values[0] is None else [branches[int(values[0])]]
    below = _filled(ps[1:], node.inputs[1:])
    return _parted(either([_one_step(body, values[1:]) @ below for body in chosen]), node.spec)


def _of_rounds(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """After any number of rounds: what another round adds is added until there is nothing more."""
    body: Body = node.params["step"]
    n = node.params["carry"]
    one = _one_step(body, [None] * n + list(values[n:]))
    whole, end = _filled(ps, node.inputs), sum(map(size_of, node.inputs[:n]))
    carry, around = whole[:end], whole[end:]
    while True:
        more = carry + one @ stacked([carry, around])
        if more.nnz == carry.nnz:
            return _parted(carry, node.spec)
        carry = more


def _filled(ps: Patterns, like: Sequence[Node]) -> Pattern:
    """Patterns one below another, with nothing where there is none."""
    columns = next((p.shape[1] for p in ps if p is not None), 0)
    return stacked(
        [none(0, columns), *(none(size_of(x), columns) if p is None else p for p, x in zip(ps, like, strict=True))]
    )


def _parted(whole: Pattern, specs: Any) -> list[Pattern]:
    ends = np.cumsum([0, *map(size_of, specs)]).tolist()
    return [whole[a:b] for a, b in itertools.pairwise(ends)]


def _of_rule(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """A derivative of the user's: the pattern of the map from cotangents to cotangents, transposed."""
    several = node.op.outputs > 1
    specs: Any = node.spec if several else (node.spec,)
    with opened() as trace:
        gs = [placeholder(s, trace, True) for s in specs]
        xs = [placeholder(x, trace, False) if x.value is None else x for x in node.inputs]
        op: Any = node.op
        cotangents = op.vjp(tuple(gs) if several else gs[0], None, *xs, **node.params)
    found = []
    for x, p, c in zip(node.inputs, ps, cotangents, strict=True):
        if p is None or not isinstance(c, Node):
            continue
        if c.shape != x.shape:
            return places.of_everything(node, ps, values)
        found.append(dependence([c], gs).T.tocsr() @ p)
    whole = either(found)
    if whole is None or not several:
        return whole
    return _parted(whole, gs)


_RULES: dict[Any, Callable[[Node, Patterns, Sequence[Any]], Any]] = {
    ew.Mul: places.of_product,
    logic.Where: places.of_choice,
    logic.WhereIEEE: places.of_choice,
    **dict.fromkeys(
        (view.Reshape, view.Transpose, view.BroadcastTo, view.Flip, view.Pad, view.Concatenate), places.of_rearranged
    ),
    indexing.Gather: places.of_read,
    indexing.Scatter: places.of_added,
    indexing.Update: places.of_written,
    reduction.Cumsum: places.of_running,
    reduction.Cumprod: places.of_running,
    contraction.Matmul: places.of_matmul,
    contraction.Einsum: places.of_einsum,
    conv.Conv: places.of_conv,
    **dict.fromkeys((fft.Fft, fft.Rfft, fft.Irfft), places.of_lines),
    factor.Hermitian: places.of_symmetric,
    Scan: _of_loop,
    While: _of_rounds,
    Switch: _of_branches,
    control.Override: _of_rule,
    control.OverrideMany: _of_rule,
}
_KINDS: dict[type, Callable[[Node, Patterns, Sequence[Any]], Any]] = {
    Elementwise: places.of_elements,
    Reduction: places.of_fold,
}
