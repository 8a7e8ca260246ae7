"""Where the elements of a result come from, op by op, as boolean matrices: the rules that ``pattern`` follows."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..graph.node import Node, shape_of
from ..lazy import extra_module
from ..ops import conv, indexing

Pattern = Any  # scipy.sparse.csr_array of bool [elements, elements of the arguments]
Patterns = Sequence[Any]  # one for each input: a Pattern, or None where it depends on no argument

_MOST = 1 << 25  # products of a constant's nonzeros with the elements beside them that are looked at one by one


def scipy_sparse() -> Any:
    """SciPy's sparse matrices."""
    return extra_module(
        "scipy.sparse",
        "sparse derivatives: SciPy is not installed, whose sparse arrays they are; pip install 'glassgrad[scipy]'",
    )


def size_of(x: Any) -> int:
    """How many elements there are."""
    return math.prod(shape_of(x))


def _places(shape: tuple[int, ...]) -> Any:
    """An array of this shape that holds the number of each element."""
    return np.arange(math.prod(shape)).reshape(shape)


def none(rows: int, columns: int) -> Pattern:
    """Rows that depend on nothing."""
    return scipy_sparse().csr_array((rows, columns), dtype=bool)


def stacked(ps: Sequence[Pattern]) -> Pattern:
    """Patterns one below another."""
    return ps[0] if len(ps) == 1 else scipy_sparse().vstack(ps, format="csr", dtype=bool)


def either(ps: Sequence[Any]) -> Any:
    """What any of these depends on."""
    found = [p for p in ps if p is not None]
    return functools.reduce(operator.add, found) if found else None


def taken(p: Pattern, places: Any) -> Pattern:
    """One row for each place, from the row of that number."""
    flat = np.asarray(places).reshape(-1)
    return p if len(flat) == p.shape[0] and np.array_equal(flat, np.arange(len(flat))) else p[flat]


def _stretched(p: Pattern, shape: tuple[int, ...], to: tuple[int, ...]) -> Pattern:
    return p if shape == to else taken(p, np.broadcast_to(_places(shape), to))


def gathered(p: Pattern, rows: Any, columns: Any, count: int) -> Pattern:
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
    return gathered(p, np.broadcast_to(_places(kept), shape), _places(shape), math.prod(kept)), kept


# ---- rules: (node, patterns of its inputs, values of its inputs where they are known) -> pattern


def of_elements(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    rules: Any = node.op.partials if node.op.partials is not None else node.op.vjp
    found = []
    for k, p in enumerate(ps):
        rule = rules[k] if isinstance(rules, tuple) else rules
        if p is not None and rule is not None and not (isinstance(rule, int) and rule == 0):
            found.append(_stretched(p, node.inputs[k].shape, node.shape))
    return either(found)


def _masked(p: Pattern, kept: Any) -> Pattern:
    """p without the rows that are not kept."""
    places = np.flatnonzero(kept)
    return gathered(p, places, places, p.shape[0])


def of_product(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """What a constant zero multiplies does not vary."""
    factor_of = next((v for v, p in zip(values, ps, strict=True) if p is None), None)
    found = of_elements(node, ps, values)
    return found if factor_of is None else _masked(found, np.broadcast_to(factor_of, node.shape) != 0)


def of_choice(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Of a constant mask each element has the one that was chosen."""
    found = [None if p is None else _stretched(p, x.shape, node.shape) for p, x in zip(ps, node.inputs, strict=True)]
    if values[0] is None or ps[0] is not None:
        return either(found[1:])
    chosen = np.broadcast_to(values[0], node.shape).astype(bool)
    kept = [None if p is None else _masked(p, m) for p, m in zip(found[1:], (chosen, ~chosen), strict=True)]
    return either(kept)


def of_rearranged(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """An op that only moves elements: done to their numbers, it says which one came where; 0 is none."""
    return _moved(node, ps, range(len(ps)), node.params)


def _moved(node: Node, ps: Patterns, which: Sequence[int], params: Any, further: Sequence[Any] = ()) -> Any:
    columns = next(p.shape[1] for p in ps if p is not None)
    parts, numbers, before = [none(1, columns)], [], 1
    for k in which:
        shape = node.inputs[k].shape
        if ps[k] is None:
            numbers.append(np.zeros(shape, int))
            continue
        numbers.append(_places(shape) + before)
        parts.append(ps[k])
        before += ps[k].shape[0]
    op: Any = node.op
    return taken(stacked(parts), op.eval(*numbers, *further, **params))


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


def of_read(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    x, *specs = node.inputs
    if ps[0] is None:
        return None
    unknown = _unknown_axes(node, len(x.shape), values[1:], specs)
    if unknown is None:
        return of_everything(node, ps[:1], values)
    p, shape = _folded(ps[0], x.shape, unknown)
    op: Any = node.op
    return taken(p, op.eval(_places(shape), *_in_reach(values[1:], specs), **node.params))


def of_added(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Zeros with g added at an index."""
    g, *specs = node.inputs
    shape = node.params["shape"]
    unknown = _unknown_axes(node, len(shape), values[1:], specs)
    if ps[0] is None or unknown is None:
        return of_everything(node, ps[:1], values)
    small = tuple(1 if i in unknown else n for i, n in enumerate(shape))
    at = _places(small)[indexing.decode(node.params["index"], _in_reach(values[1:], specs))]
    p = gathered(ps[0], np.broadcast_to(at, g.shape), _places(g.shape), math.prod(small))
    return _stretched(p, small, shape)


def of_written(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """x with v written at an index: each element is one of x or one of v, if the index is known."""
    x, v, *specs = node.inputs
    unknown = _unknown_axes(node, len(x.shape), values[2:], specs)
    if unknown is None:
        return of_everything(node, ps[:2], values)
    if not unknown:
        return _moved(node, ps, (0, 1), node.params, values[2:])
    written = None
    if ps[1] is not None:
        small = tuple(1 if i in unknown else n for i, n in enumerate(x.shape))
        at = _places(small)[indexing.decode(node.params["index"], _in_reach(values[2:], specs))]
        written = gathered(ps[1], at, np.broadcast_to(_places(v.shape), at.shape), math.prod(small))
        written = _stretched(written, small, x.shape)
    return either([ps[0], written])


def of_fold(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    if "keepdims" not in node.params:
        return of_everything(node, ps, values)
    return _folded(ps[0], node.inputs[0].shape, node.params["axis"])[0]


def of_running(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Each element depends on those before it along the axis."""
    lines = np.moveaxis(_places(node.shape), node.params["axis"], -1)
    after, before = np.tril_indices(lines.shape[-1])
    return gathered(ps[0], lines[..., after], lines[..., before], ps[0].shape[0])


def of_lines(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """A transform: each element depends on all of its line or plane."""
    axes = node.params.get("axes", (node.params.get("axis"),))
    p, shape = _folded(ps[0], node.inputs[0].shape, axes)
    return _stretched(p, shape, node.shape)


def of_stacks(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
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
    return either(found)


def of_everything(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Nothing is known: every element depends on all that any input depends on."""
    parts = [_folded(p, (p.shape[0],), (0,))[0] for p in ps if p is not None]
    if not parts:
        return None
    whole = either(parts)
    if node.op.outputs > 1:
        return [taken(whole, np.zeros(math.prod(s.shape), int)) for s in node.spec]
    return taken(whole, np.zeros(size_of(node), int))


def of_symmetric(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    return ps[0] + taken(ps[0], np.swapaxes(_places(node.shape), -1, -2))


def of_matmul(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    shapes = [x.shape for x in node.inputs]
    rows, columns = (len(s) > 1 for s in shapes)
    lead = "abcdefgh"[: len(node.shape) - rows - columns]
    terms = []
    for shape, own in zip(shapes, ("mk" if rows else "k", "kn" if columns else "k"), strict=True):
        stacks = len(shape) - len(own)
        terms.append(lead[len(lead) - stacks :] + own)
    return _contracted(terms, lead + "m" * rows + "n" * columns, node, ps, values)


def of_einsum(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
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
            made = taken(p, np.broadcast_to(places.reshape(aligned), node.shape))
        found.append(made)
    return either(found)


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

    return gathered(p, numbers(output, node.shape), numbers(terms[k], node.inputs[k].shape), size_of(node))


def of_conv(node: Node, ps: Patterns, values: Sequence[Any]) -> Any:
    """Each element is a sum over the elements of its window and those of its kernel that stand before them."""
    x, w = (s.shape for s in node.inputs)
    group, channels = w[0] // node.params["groups"], w[1]
    reads = np.ones(w, bool) if values[1] is None else np.asarray(values[1]) != 0
    params = {**node.params, "groups": 1}
    found = []
    for channel, *tap in zip(*np.nonzero(reads.any(0)), strict=True):
        kernel = np.zeros((1, 1, *w[2:]))
        kernel[(0, 0, *tap)] = 1.0
        for first in range(0, w[0], group):
            numbers = _places(x)[:, [first // group * channels + channel]] + 1.0
            read = conv.Conv.eval(numbers, kernel, **params).astype(int) - 1  # [n, 1, *out]; -1 is padding
            outs = [o for o in range(first, first + group) if reads[(o, channel, *tap)]]
            made = _places(node.shape)[:, outs]
            read = np.broadcast_to(read, made.shape)
            there = read >= 0
            used = _places(w)[(outs, channel, *tap)].reshape(1, -1, *(1,) * len(tap))
            for p, columns in ((ps[0], read), (ps[1], np.broadcast_to(used, made.shape))):
                if p is not None:
                    found.append(gathered(p, made[there], columns[there], size_of(node)))
    return either(found)
