"""Which results can depend on which arguments: the pattern of a Jacobian, read off the graph.

Each node is given a boolean matrix with a row per element and a column per element of the arguments. An op's rule says
which elements of its inputs an element is made from, by the places they stand at and never by their values, so the
pattern holds at every point. Constants are known: what a constant zero multiplies, a constant mask discards, or a
constant index does not read, is no dependence. Where nothing is known of an op, everything depends on everything.

A. Walther, "Computing sparse Hessians with automatic differentiation" (2008) calls these index domains.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from ..graph.apply import Output
from ..graph.node import Node, reachable, shape_of
from ..graph.primitive import Elementwise, Reduction
from ..ops import contraction, conv, factor, fft, indexing, logic, reduction, view
from ..ops import elementwise as ew
from ..ops.loop import Body, Counts, Scan

Pattern = Any  # scipy.sparse.csr_array of bool [elements, elements of the arguments]
Patterns = Sequence[Any]  # one for each input: a Pattern, or None where it depends on no argument

_MOST = 1 << 25  # products of a constant's nonzeros with the elements beside them that are looked at one by one


def scipy_sparse() -> Any:
    """SciPy's sparse matrices."""
    try:
        import scipy.sparse
    except ImportError:
        raise MissingExtraError(
            "sparse derivatives: SciPy is not installed, whose sparse arrays they are; pip install 'glassgrad[scipy]'"
        ) from None
    return scipy.sparse


def dependence(outputs: Sequence[Node], targets: Sequence[Node]) -> Pattern:
    """Rows for the elements of all outputs, columns for the elements of all targets."""
    sizes = [_size(t) for t in targets]
    whole = scipy_sparse().eye_array(sum(sizes), dtype=bool, format="csr")
    ends = np.cumsum([0, *sizes]).tolist()
    held = {t: whole[a:b] for t, a, b in zip(targets, ends[:-1], ends[1:], strict=True)}
    nodes = reachable(outputs, follow=lambda n: n not in held)
    found = _through(nodes, outputs, held, {})
    return _stacked([_none(_size(y), sum(sizes)) if p is None else p for y, p in zip(outputs, found, strict=True)])


def _through(nodes: Sequence[Node], outputs: Sequence[Node], held: dict[Node, Any], known: dict[Node, Any]) -> Patterns:
    """The patterns of outputs. ``known`` are the values of nodes that are the same whatever the arguments are."""
    last = {x: node for node in nodes for x in node.inputs}
    kept = set(outputs)
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
            made = _of(node, ps, [_value(x, known) for x in node.inputs]) if node.op.differentiable else None
        if made is not None:
            held[node] = made
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
        rule = _of_stacks
    if rule is None:
        rule = next((r for kind, r in _KINDS.items() if issubclass(op, kind)), _of_everything)
    return rule(node, ps, values)


# ---- words the rules are made of


def _size(x: Any) -> int:
    return math.prod(shape_of(x))


def _places(shape: tuple[int, ...]) -> Any:
    """An array of this shape that holds the number of each element."""
    return np.arange(math.prod(shape)).reshape(shape)


def _none(rows: int, columns: int) -> Pattern:
    return scipy_sparse().csr_array((rows, columns), dtype=bool)


def _stacked(ps: Sequence[Pattern]) -> Pattern:
    return ps[0] if len(ps) == 1 else scipy_sparse().vstack(ps, format="csr", dtype=bool)


def _either(ps: Sequence[Any]) -> Any:
    """What any of these depends on."""
    found = [p for p in ps if p is not None]
    return functools.reduce(operator.add, found) if found else None


def _taken(p: Pattern, places: Any) -> Pattern:
    """One row for each place, from the row of that number."""
    flat = np.asarray(places).reshape(-1)
    return p if len(flat) == p.shape[0] and np.array_equal(flat, np.arange(len(flat))) else p[flat]


def _stretched(p: Pattern, shape: tuple[int, ...], to: tuple[int, ...]) -> Pattern:
    return p if shape == to else _taken(p, np.broadcast_to(_places(shape), to))


def _gathered(p: Pattern, rows: Any, columns: Any, count: int) -> Pattern:
    """Row r of the result is what any row c of p depends on, over all pairs (r, c)."""
    rows, columns = np.broadcast_arrays(rows, columns)
    ones = np.ones(rows.size, bool)
    chosen = scipy_sparse().coo_array((ones, (rows.reshape(-1), columns.reshape(-1))), shape=(count, p.shape[0]))
    return chosen.tocsr() @ p


def _folded(p: Pattern, shape: tuple[int, ...], axes: Any) -> tuple[Pattern, tuple[int, ...]]:
    """What any element along the axes depends on; they stay, of size 1."""
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape))
    if kept == shape:
        return p, shape
    return _gathered(p, np.broadcast_to(_places(kept), shape), _places(shape), math.prod(kept)), kept


# ---- rules


def _of_elements(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    rules: Any = node.op.partials if node.op.partials is not None else node.op.vjp
    found = []
    for k, p in enumerate(ps):
        rule = rules[k] if isinstance(rules, tuple) else rules
        if p is not None and rule is not None and not (isinstance(rule, int) and rule == 0):
            found.append(_stretched(p, node.inputs[k].shape, node.shape))
    return _either(found)


def _masked(p: Pattern, kept: Any) -> Pattern:
    """p without the rows that are not kept."""
    places = np.flatnonzero(kept)
    return _gathered(p, places, places, p.shape[0])


def _of_product(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """What a constant zero multiplies does not vary."""
    factor_of = next((v for v, p in zip(values, ps, strict=True) if p is None), None)
    found = _of_elements(node, ps, values)
    return found if factor_of is None else _masked(found, np.broadcast_to(factor_of, node.shape) != 0)


def _of_choice(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Of a constant mask each element has the one that was chosen."""
    found = [None if p is None else _stretched(p, x.shape, node.shape) for p, x in zip(ps, node.inputs, strict=True)]
    if values[0] is None or ps[0] is not None:
        return _either(found[1:])
    chosen = np.broadcast_to(values[0], node.shape).astype(bool)
    kept = [None if p is None else _masked(p, m) for p, m in zip(found[1:], (chosen, ~chosen), strict=True)]
    return _either(kept)


def _of_rearranged(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """An op that only moves elements: done to their numbers, it says which one came where; 0 is none."""
    return _moved(node, ps, range(len(ps)), node.params)


def _moved(node: Node, ps: Patterns, which: Sequence[int], params: Any, further: Sequence[Any] = ()) -> Any:
    columns = next(p.shape[1] for p in ps if p is not None)
    parts, numbers, before = [_none(1, columns)], [], 1
    for k in which:
        shape = node.inputs[k].shape
        if ps[k] is None:
            numbers.append(np.zeros(shape, int))
            continue
        numbers.append(_places(shape) + before)
        parts.append(ps[k])
        before += ps[k].shape[0]
    op: Any = node.op
    return _taken(_stacked(parts), op.eval(*numbers, *further, **params))


def _unknown_axes(node: Node, ndim: int, arrays: Sequence[Any], specs: Sequence[Node]) -> set[int] | None:
    """The axes that are indexed by arrays whose values are not known; None where that cannot be told."""
    if all(a is not None for a in arrays):
        return set()
    if any(s.dtype.kind == "b" for s in specs):
        return None
    entries = indexing.layout(node.params["index"], ndim, [s.shape for s in specs]).entries
    along = [e for e in entries if e is not None]
    return {i for i, e in enumerate(along) if isinstance(e, tuple) and e[0] == "array" and arrays[e[1]] is None}


def _in_reach(arrays: Sequence[Any], specs: Sequence[Node]) -> list[Any]:
    """The index with 0 where it is not known, to be used where those axes have the size 1."""
    return [np.zeros(s.shape, int) if a is None else a for a, s in zip(arrays, specs, strict=True)]


def _of_read(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    x, *specs = node.inputs
    if ps[0] is None:
        return None
    unknown = _unknown_axes(node, len(x.shape), values[1:], specs)
    if unknown is None:
        return _of_everything(node, ps[:1], values)
    p, shape = _folded(ps[0], x.shape, unknown)
    op: Any = node.op
    return _taken(p, op.eval(_places(shape), *_in_reach(values[1:], specs), **node.params))


def _of_added(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Zeros with g added at an index."""
    g, *specs = node.inputs
    shape = node.params["shape"]
    unknown = _unknown_axes(node, len(shape), values[1:], specs)
    if ps[0] is None or unknown is None:
        return _of_everything(node, ps[:1], values)
    small = tuple(1 if i in unknown else n for i, n in enumerate(shape))
    at = _places(small)[indexing.decode(node.params["index"], _in_reach(values[1:], specs))]
    p = _gathered(ps[0], np.broadcast_to(at, g.shape), _places(g.shape), math.prod(small))
    return _stretched(p, small, shape)


def _of_written(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """x with v written at an index: each element is one of x or one of v, if the index is known."""
    x, v, *specs = node.inputs
    unknown = _unknown_axes(node, len(x.shape), values[2:], specs)
    if unknown is None:
        return _of_everything(node, ps[:2], values)
    if not unknown:
        return _moved(node, ps, (0, 1), node.params, values[2:])
    written = None
    if ps[1] is not None:
        small = tuple(1 if i in unknown else n for i, n in enumerate(x.shape))
        at = _places(small)[indexing.decode(node.params["index"], _in_reach(values[2:], specs))]
        written = _gathered(ps[1], at, np.broadcast_to(_places(v.shape), at.shape), math.prod(small))
        written = _stretched(written, small, x.shape)
    return _either([ps[0], written])


def _of_fold(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    if "keepdims" not in node.params:
        return _of_everything(node, ps, values)
    return _folded(ps[0], node.inputs[0].shape, node.params["axis"])[0]


def _of_running(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Each element depends on those before it along the axis."""
    lines = np.moveaxis(_places(node.shape), node.params["axis"], -1)
    after, before = np.tril_indices(lines.shape[-1])
    return _gathered(ps[0], lines[..., after], lines[..., before], ps[0].shape[0])


def _of_lines(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """A transform: each element depends on all of its line or plane."""
    axes = node.params.get("axes", (node.params.get("axis"),))
    p, shape = _folded(ps[0], node.inputs[0].shape, axes)
    return _stretched(p, shape, node.shape)


def _of_stacks(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """An op on stacks of matrices: all of a matrix depends on all of the matrices it is made from."""
    own: Any = node.op.batch
    if isinstance(node.spec, tuple) and not hasattr(node.spec, "shape"):
        return [_of_stack(ps, node.inputs, own, s.shape) for s in node.spec]
    return _of_stack(ps, node.inputs, own, node.shape)


def _of_stack(ps: Patterns, inputs: Sequence[Node], own: Sequence[int], to: tuple[int, ...]) -> Any:
    leads = [len(x.shape) - n for x, n in zip(inputs, own, strict=True)]
    tail = len(to) - max(leads)
    found = []
    for p, x, lead in zip(ps, inputs, leads, strict=True):
        if p is None:
            continue
        if tail == len(x.shape) - lead == 0:
            found.append(_stretched(p, x.shape, to))
            continue
        p, shape = _folded(p, x.shape, range(lead, len(x.shape)))
        found.append(_stretched(p, (*shape[:lead], *(1,) * tail), to))
    return _either(found)


def _of_everything(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Nothing is known: every element depends on all that any input depends on."""
    parts = [_folded(p, (p.shape[0],), (0,))[0] for p in ps if p is not None]
    if not parts:
        return None
    whole = _either(parts)
    if node.op.outputs > 1:
        return [_taken(whole, np.zeros(math.prod(s.shape), int)) for s in node.spec]
    return _taken(whole, np.zeros(_size(node), int))


def _of_symmetric(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    return ps[0] + _taken(ps[0], np.swapaxes(_places(node.shape), -1, -2))


def _of_matmul(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    shapes = [x.shape for x in node.inputs]
    rows, columns = (len(s) > 1 for s in shapes)
    lead = "abcdefgh"[: len(node.shape) - rows - columns]
    terms = []
    for shape, own in zip(shapes, ("mk" if rows else "k", "kn" if columns else "k"), strict=True):
        stacks = len(shape) - len(own)
        terms.append(lead[len(lead) - stacks :] + own)
    return _contracted(terms, lead + "m" * rows + "n" * columns, node, ps, values)


def _of_einsum(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    terms, output = node.params["subscripts"].split("->")
    return _contracted(terms.split(","), output, node, ps, values)


def _contracted(terms: Sequence[str], output: str, node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Sums of products: an element depends on those of an operand that share its indices, but for constant zeros."""
    found = []
    for k, p in enumerate(ps):
        if p is None:
            continue
        shape = node.inputs[k].shape
        other = 1 - k if len(ps) == 2 and ps[1 - k] is None and values[1 - k] is not None else None
        made = None if other is None else _against(terms, output, node, k, p, np.asarray(values[other]))
        if made is None:
            p, kept = _folded(p, shape, [i for i, c in enumerate(terms[k]) if c not in output])
            order = [terms[k].index(c) for c in output if c in terms[k]]
            places = np.transpose(_places(kept), [*order, *(i for i in range(len(kept)) if i not in order)])
            spread = iter(places.shape)
            aligned = tuple(next(spread) if c in terms[k] else 1 for c in output)
            made = _taken(p, np.broadcast_to(places.reshape(aligned), node.shape))
        found.append(made)
    return _either(found)


def _against(terms: Sequence[str], output: str, node: Node, k: int, p: Pattern, constant: Any) -> Any:
    """The product with a constant, from the places where it is not zero; None where that says no more."""
    sizes = dict(zip(output, node.shape, strict=True)) | {
        c: n for c, n in zip(terms[k], node.inputs[k].shape, strict=True) if c not in output
    }
    own = terms[1 - k]
    if constant.shape != tuple(sizes.get(c, n) for c, n in zip(own, constant.shape, strict=True)):
        return None  # an axis of size 1 that is stretched
    there = np.nonzero(constant)
    free = [c for c in sizes if c not in own]
    beside = math.prod(sizes[c] for c in free)
    if len(there[0]) == constant.size or len(there[0]) * beside > _MOST:
        return None
    index: dict[str, Any] = {c: i[:, None] for c, i in zip(own, there, strict=True)}
    index |= dict(zip(free, np.unravel_index(np.arange(beside), [sizes[c] for c in free]), strict=True)) if free else {}

    def numbers(term: str, shape: tuple[int, ...]) -> Any:
        places = np.zeros((len(there[0]), beside), int)
        for c, n in zip(term, shape, strict=True):
            places = places * n + (index[c] if n > 1 else 0)
        return places

    return _gathered(p, numbers(output, node.shape), numbers(terms[k], node.inputs[k].shape), _size(node))


def _of_conv(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Each element depends on the window it is made from, and on its output's kernel."""
    x, w = (s.shape for s in node.inputs)
    found = []
    if ps[0] is not None:
        o, group = w[0], w[0] // node.params["groups"]
        reads = np.ones(w) if ps[1] is not None or values[1] is None else np.asarray(values[1]) != 0
        params = {**node.params, "groups": 1}
        for tap in zip(*np.nonzero(reads.any(0)), strict=True):
            channel, *place = tap
            kernel = np.zeros((1, 1, *w[2:]))
            kernel[(0, 0, *place)] = 1.0
            for g in range(node.params["groups"]):
                numbers = (_places(x) + 1)[:, [g * w[1] + channel]].astype(float)
                at = conv.Conv.eval(numbers, kernel, **params).astype(int)  # [n, 1, *out]
                outs = [k for k in range(g * group, (g + 1) * group) if reads[(k, *tap)]]
                rows = _places(node.shape)[:, outs]
                columns = np.broadcast_to(at, rows.shape)
                seen = columns > 0
                found.append(_gathered(ps[0], rows[seen], columns[seen] - 1, _size(node)))
        assert o == node.shape[1]
    if ps[1] is not None:
        p, _ = _folded(ps[1], w, range(1, len(w)))
        found.append(_taken(p, np.broadcast_to(_places((w[0],) + (1,) * (len(w) - 2)), node.shape)))
    return _either(found) if found else _none(_size(node), next(p.shape[1] for p in ps if p is not None))


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
    sizes = [_size(x) for x in body.inputs]
    for i in range(length - 1, -1, -1) if node.params["reverse"] else range(length):
        rows = [
            None if p is None else p[i * size : (i + 1) * size] for p, size in zip(ps[n:m], sizes[n:m], strict=True)
        ]
        given = [*carry, *rows, *ps[m:]]
        if moving:
            slices = [None if v is None else v[i] for v in known[n:m]]
            found, held = _known_step(body, given, [*held, *slices, *known[m:]], n)
        else:
            filled = [_none(s, columns) if p is None else p for p, s in zip(given, sizes, strict=True)]
            whole = one @ _stacked(filled)
            ends = np.cumsum([0, *(_size(y) for y in body.outputs)]).tolist()
            found = [whole[a:b] for a, b in zip(ends[:-1], ends[1:], strict=True)]
        carry = list(found[:n])
        for k, p in enumerate(found[n:]):
            ys[k][i] = p
    results = list(carry)
    for y, parts in zip(body.outputs[n:], ys, strict=True):
        filled = [_none(_size(y), columns) if p is None else p for p in parts]
        results.append(_stacked(filled) if filled else _none(0, columns))
    return results


def _one_step(body: Body, known: Sequence[Any]) -> Pattern:
    """The pattern of the results of a step by its inputs, of which some are known."""
    sizes = [_size(x) for x in body.inputs]
    whole = scipy_sparse().eye_array(sum(sizes), dtype=bool, format="csr")
    ends = np.cumsum([0, *sizes]).tolist()
    varies = [v is None and x.dtype.kind in "fc" for x, v in zip(body.inputs, known, strict=True)]
    held = {x: whole[a:b] for x, a, b, f in zip(body.inputs, ends[:-1], ends[1:], varies, strict=True) if f}
    values = {x: v for x, v in zip(body.inputs, known, strict=True) if v is not None}
    found = _through(body.nodes, body.outputs, held, values)
    return _stacked([_none(_size(y), sum(sizes)) if p is None else p for y, p in zip(body.outputs, found, strict=True)])


def _known_step(body: Body, given: Patterns, known: Sequence[Any], n: int) -> tuple[Patterns, list[Any]]:
    """One step with what is known at it; the patterns of its results, and what is known of the next carry."""
    held = {x: p for x, p in zip(body.inputs, given, strict=True) if p is not None}
    values = {x: v for x, v in zip(body.inputs, known, strict=True) if v is not None and x not in held}
    found = _through(body.nodes, body.outputs, dict(held), values)
    after = [values.get(y) if p is None else None for y, p in zip(body.outputs[:n], found, strict=False)]
    return found, [
        y.value if v is None and y.value is not None else v for v, y in zip(after, body.outputs, strict=False)
    ]


_RULES: dict[Any, Callable[[Node, Patterns, Sequence[Any]], Any]] = {
    ew.Mul: _of_product,
    logic.Where: _of_choice,
    logic.WhereIEEE: _of_choice,
    **dict.fromkeys(
        (view.Reshape, view.Transpose, view.BroadcastTo, view.Flip, view.Pad, view.Concatenate), _of_rearranged
    ),
    indexing.Gather: _of_read,
    indexing.Scatter: _of_added,
    indexing.Update: _of_written,
    reduction.Cumsum: _of_running,
    reduction.Cumprod: _of_running,
    contraction.Matmul: _of_matmul,
    contraction.Einsum: _of_einsum,
    conv.Conv: _of_conv,
    **dict.fromkeys((fft.Fft, fft.Rfft, fft.Irfft), _of_lines),
    factor.Hermitian: _of_symmetric,
    Scan: _of_loop,
}
_KINDS: dict[type, Callable[[Node, Patterns, Sequence[Any]], Any]] = {Elementwise: _of_elements, Reduction: _of_fold}
