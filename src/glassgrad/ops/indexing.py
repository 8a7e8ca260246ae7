"""Reading and writing elements: slices, integer and boolean arrays, take, scatter, diagonals, ``x.at[i]``.

An index is kept as hashable parameters, with its arrays beside it as inputs: ``x[1, :, i]`` is
``Gather(x, i, index=(1, ("slice", None, None, None), ("array", 0)))``.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype_of
from ..errors import TracedValueError
from ..graph.apply import apply
from ..graph.node import Node, Spec, Value, is_symbolic, shape_of, value_of
from ..graph.origin import here
from ..graph.primitive import Indexing, Samples
from . import logic, view

Index = tuple[Any, ...]


def encode(x: Value, key: Any) -> tuple[Index, tuple[Any, ...]]:
    """A NumPy index as hashable parameters and the arrays in it."""
    index: list[Any] = []
    arrays: list[Any] = []
    parts = key if isinstance(key, tuple) else (key,)
    traced = is_symbolic(x) or any(map(is_symbolic, parts))
    for part in parts:
        if part is None or part is Ellipsis or (isinstance(part, (int, np.integer)) and not isinstance(part, bool)):
            index.append(part if not isinstance(part, np.integer) else int(part))
        elif isinstance(part, slice):
            index.append(("slice", *(None if v is None else _whole(v) for v in (part.start, part.stop, part.step))))
        else:
            for array in _index_arrays(traced, part):
                index.append(("array", len(arrays)))
                arrays.append(array)
    return tuple(index), tuple(arrays)


def _whole(value: Any) -> int:
    if isinstance(value, Node):
        if value.value is None:
            raise TracedValueError(
                f"index: a slice bound is traced, so the shape is not known at {here(2)}; make it a Python int, or a "
                f"static argument of the jit"
            )
        value = value.value
    return operator.index(value)


def _index_arrays(traced: bool, part: Any) -> Sequence[Any]:
    if not isinstance(part, (Node, np.ndarray)):
        part = np.asarray(part)
        if part.size == 0 and part.dtype.kind == "f":
            part = part.astype(np.intp)  # NumPy takes an empty list as an index
    if part.dtype.kind != "b":
        return (part,)
    if is_symbolic(part):
        raise TracedValueError(
            f"index: a traced boolean mask selects an unknown number of elements at {here(2)}; use where(mask, x, 0) "
            f"instead"
        )
    mask = part.value if isinstance(part, Node) else part
    return tuple(np.nonzero(mask)) if traced and mask.ndim else (mask,)


@functools.lru_cache(maxsize=512)
def _basic(index: Index) -> tuple[Any, ...]:
    return tuple(slice(*part[1:]) if isinstance(part, tuple) else part for part in index)


def decode(index: Index, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The NumPy index again."""
    return (
        _basic(index)
        if not arrays
        else tuple(
            part if not isinstance(part, tuple) else slice(*part[1:]) if part[0] == "slice" else arrays[part[1]]
            for part in index
        )
    )


class Layout(NamedTuple):
    """How the result of an index lies: by NumPy's rule its arrays, broadcast together, give axes of their own.

    Attributes
    ----------
    entries : the index with ``...`` spelled out: one entry per axis of what is read, and None for an axis inserted
    first, shared : where the axes of the arrays begin in the result, and how many they are
    """

    entries: Index
    first: int
    shared: int


def _is(entry: Any, kind: str) -> bool:
    return isinstance(entry, tuple) and entry[0] == kind


def layout(index: Index, ndim: int, shapes: Sequence[tuple[int, ...]]) -> Layout:
    """The layout of an encoded index into an array of ``ndim`` axes, from the shapes of its integer arrays."""
    entries = list(index)
    fancy = [k for k, e in enumerate(entries) if isinstance(e, int) or _is(e, "array")]
    together = bool(shapes) and fancy == list(range(fancy[0], fancy[0] + len(fancy)))  # an empty ... separates too
    missing = [("slice", None, None, None)] * (ndim - sum(1 for e in entries if e is not None and e is not Ellipsis))
    at = entries.index(Ellipsis) if Ellipsis in entries else len(entries)
    entries[at : at + 1] = missing
    first = (fancy[0] + (len(missing) - 1 if at < fancy[0] else 0)) if together else 0
    return Layout(tuple(entries), first, len(np.broadcast_shapes(*shapes)))


def _over_batch(
    size: int, index: Index, ndim: int, arrays: Sequence[Any], over: Sequence[bool], whole: bool
) -> tuple[Index, list[Any], tuple[int, ...]] | None:
    """An index into examples of ``ndim`` axes, some of whose arrays are batched, as one into the whole batch.

    Returns the index, its arrays, and the order in which the axes of what it reads are those of the batch of results.
    ``whole`` says whether what is read has the batch's axis too. None for boolean arrays that are no constants.
    """
    spelled = _without_masks(index, arrays)
    if spelled is None:
        return None
    index, arrays, origins = spelled
    over = [over[k] for k in origins]
    shapes = [shape_of(a)[b:] for a, b in zip(arrays, over, strict=True)]
    entries, first, count = layout(index, ndim, shapes)
    arrays = view.aligned(arrays, over, [0] * len(arrays)) if arrays else []
    if not whole:
        lead = entries
    elif any(over):
        lead = (("array", len(arrays)), *entries)
        arrays = [*arrays, np.arange(size).reshape(size, *(1,) * count)]
    else:
        lead = (("slice", None, None, None), *entries)
    results = count + sum(1 for e in entries if e is None or _is(e, "slice"))
    batch, *axes = range(results + 1)
    shared, rest = axes[:count], axes[count:]
    wanted = [batch, *rest[:first], *shared, *rest[first:]]
    shared, rest = ([batch, *shared], rest) if any(over) else (shared, [batch, *rest])
    at = layout(lead, ndim + whole, [shape_of(a) for a in arrays]).first
    found = [*rest[:at], *shared, *rest[at:]]
    return lead, arrays, tuple([found.index(axis) for axis in wanted])


def _without_masks(index: Index, arrays: Sequence[Any]) -> tuple[Index, list[Any], list[int]] | None:
    """The index with the positions of what is true for boolean arrays; None where they are no constants.

    Returns the index, its arrays, and which of the given ones each of them comes from.
    """
    entries: list[Any] = []
    found: list[Any] = []
    origins: list[int] = []
    for entry in index:
        if not _is(entry, "array"):
            entries.append(entry)
            continue
        array: Any = arrays[entry[1]]
        parts: Sequence[Any] = (array,)
        if dtype_of(array).kind == "b":
            if is_symbolic(array) or not shape_of(array):
                return None
            parts = np.nonzero(value_of(array))
        for part in parts:
            entries.append(("array", len(found)))
            found.append(part)
            origins.append(entry[1])
    return tuple(entries), found, origins


def _cases(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(4, 5, 3))
    rows = np.array([0, 2, 2, -1])
    keys: list[Any] = [
        1,
        (slice(None, None, -2), None, Ellipsis, 0),
        rows,
        (rows[:, None], slice(1, 4), np.array([0, 1])),
        x > 0.3,
        (slice(None), np.array([True, False, True, False, True])),
    ]
    cases = []
    for key in keys:
        index, arrays = encode(x, key)
        cases.append(((x, *arrays), {"index": index}))
    return cases


def _read(x: Value, arrays: Sequence[Any], index: Index) -> Value:
    """x at an encoded index, also where x is traced and a mask, met eagerly, is not: the shape is that of its value."""
    spelled = _without_masks(index, arrays) if is_symbolic(x) else None
    if spelled is not None:
        index, arrays, _ = spelled
    return apply(Gather, (x, *arrays), {"index": index})


class Gather(Indexing):
    """y = x[index]"""

    linear = True
    moves = True
    eval = staticmethod(lambda x, *arrays, index: np.asarray(x)[decode(index, arrays)])

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        x, *arrays = specs
        key = decode(params["index"], [np.zeros(a.shape, a.dtype) for a in arrays])
        return Spec(np.broadcast_to(np.zeros((), x.dtype), x.shape)[key].shape, x.dtype)

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *arrays: Value, index: Index) -> tuple[Value, ...]:
        return (scatter_add(g, arrays, index, shape_of(x)), *(None for _ in arrays))

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *arrays: Value, index: Index) -> Value:
        return _read(ts[0], arrays, index)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], x: Value, *arrays: Value, index: Index) -> Value:
        found = _over_batch(size, index, len(shape_of(x)) - over[0], arrays, over[1:], over[0])
        if found is None:
            return NotImplemented
        index, listed, order = found
        return view.transpose(apply(Gather, (x, *listed), {"index": index}), order)

    samples = Samples(cases=_cases)


def _scatter(g: Any, *arrays: Any, index: Index, shape: tuple[int, ...]) -> Any:
    out = np.zeros(shape, np.asarray(g).dtype)
    key = decode(index, arrays)
    if all(a.dtype.kind == "b" for a in arrays):
        out[key] = g  # each place is named once
    else:
        np.add.at(out, key, g)
    return out


class Scatter(Indexing):
    """y = zeros with g added at index; the transpose of Gather."""

    linear = True
    eval = staticmethod(_scatter)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        return Spec(params["shape"], specs[0].dtype)

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *arrays: Value, index: Index, shape: tuple[int, ...]) -> tuple[Value, ...]:
        return (_read(g, arrays, index), *(None for _ in arrays))

    @staticmethod
    def batch(
        size: int, over: tuple[bool, ...], g: Value, *arrays: Value, index: Index, shape: tuple[int, ...]
    ) -> Value:
        found = _over_batch(size, index, len(shape), arrays, over[1:], True)
        if found is None:
            return NotImplemented
        index, listed, order = found
        g = view.transpose(g if over[0] else view.repeated(g, size), view.inverse(order))
        return scatter_add(g, listed, index, (size, *shape))

    samples = Samples(
        cases=lambda rng: [
            ((rng.normal(size=np.asarray(x)[decode(p["index"], a)].shape), *a), {**p, "shape": x.shape})
            for (x, *a), p in _cases(rng)
        ]
    )


def _update(x: Any, v: Any, *arrays: Any, index: Index) -> Any:
    out = np.array(x)
    out[decode(index, arrays)] = v
    return out


class Update(Indexing):
    """y = x with v written at index; where a place is named twice the last one written stands."""

    moves = True
    eval = staticmethod(_update)
    linear = False

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        return Spec(specs[0].shape, specs[0].dtype)

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, v: Value, *arrays: Value, index: Index) -> tuple[Value, ...]:
        kept = apply(Update, (g, 0.0, *arrays), {"index": index})
        taken = _read(g, arrays, index)
        if arrays:
            order = np.arange(taken.size).reshape(shape_of(taken))
            places = apply(Update, (np.zeros(shape_of(x), order.dtype), order, *arrays), {"index": index})
            stands = _read(places, arrays, index) == order  # not overwritten by a later one
            taken = logic.where(stands, taken, 0)
        return (kept, taken, *(None for _ in arrays))

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, v: Value, *arrays: Value, index: Index) -> Value:
        whole = logic.zeros_like(x) if ts[0] is None else ts[0]
        return apply(Update, (whole, 0.0 if ts[1] is None else ts[1], *arrays), {"index": index})

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], x: Value, v: Value, *arrays: Value, index: Index) -> Value:
        found = _over_batch(size, index, len(shape_of(x)) - over[0], arrays, over[2:], True)
        if found is None:
            return NotImplemented
        index, listed, order = found
        x = x if over[0] else view.repeated(x, size)
        if over[1] or shape_of(v):
            own, rank = shape_of(v)[over[1] :], len(order) - 1
            own = own[max(len(own) - rank, 0) :]  # NumPy lets what is written have more axes, of size 1
            lead = (size if over[1] else 1, *(1,) * (rank - len(own)))
            v = view.transpose(view.reshape(v, (*lead, *own)), view.inverse(order))
        return apply(Update, (x, v, *listed), {"index": index})

    samples = Samples(
        cases=lambda rng: [
            ((x, rng.normal(size=np.asarray(x)[decode(p["index"], a)].shape), *a), p) for (x, *a), p in _cases(rng)
        ]
    )


_PLAIN = {int, type(None)}


def getitem(x: Value, key: Any) -> Value:
    """x[key] by NumPy's rules."""
    if key.__class__ is int:
        return apply(Gather, (x,), {"index": (key,)})
    if key.__class__ is slice and {key.start.__class__, key.stop.__class__, key.step.__class__} <= _PLAIN:
        return apply(Gather, (x,), {"index": (("slice", key.start, key.stop, key.step),)})
    index, arrays = encode(x, key)
    return apply(Gather, (x, *arrays), {"index": index})


def scatter_add(g: Value, arrays: Sequence[Any], index: Index, shape: tuple[int, ...]) -> Value:
    """Zeros of ``shape`` with g added at an encoded index."""
    return apply(Scatter, (g, *arrays), {"index": index, "shape": shape})


def setitem(x: Value, key: Any, value: Value) -> Value:
    """A copy of x with ``value`` written at ``key``."""
    index, arrays = encode(x, key)
    return apply(Update, (x, value, *arrays), {"index": index})


def additem(x: Value, key: Any, value: Value) -> Value:
    """A copy of x with ``value`` added at ``key``; a place named twice receives both."""
    index, arrays = encode(x, key)
    picked = apply(Gather, (x, *arrays), {"index": index})
    spread = view.broadcast_to(logic.astype(value, picked.dtype), shape_of(picked))
    return x + scatter_add(spread, arrays, index, shape_of(x))


def take(x: Value, indices: Value, axis: int | None = None) -> Value:
    """Elements along an axis by position."""
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    indices = indices if isinstance(indices, Node) else np.asarray(indices)
    return getitem(x, (*(slice(None),) * axis, indices))


def from_zero(indices: Value, size: int) -> Value:
    """Positions that do not count from the end: traced ones below 0 become ``size``, which is out of range."""
    if value_of(indices) is not None or dtype_of(indices).kind != "i":
        return indices
    return logic.where(indices < 0, size, logic.astype(indices, np.int64))


def take_along_axis(x: Value, indices: Value, axis: int | None) -> Value:
    """Elements at positions given for every place along one axis, as argsort gives them."""
    if axis is None:
        return getitem(view.reshape(x, (-1,)), view.reshape(indices, (-1,)))
    ndim = len(shape_of(x))
    axis = np.lib.array_utils.normalize_axis_index(axis, ndim)
    shape = shape_of(indices)
    key = [
        indices if i == axis else np.arange(shape_of(x)[i]).reshape([-1 if k == i else 1 for k in range(ndim)])
        for i in range(ndim)
    ]
    if len(shape) != ndim:
        raise ValueError("take_along_axis: `indices` and `arr` must have the same number of dimensions")
    return getitem(x, tuple(key))


def diagonal(x: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """The diagonal of two axes, as a last axis."""
    ndim = len(shape_of(x))
    first, second = (np.lib.array_utils.normalize_axis_index(a, ndim) for a in (axis1, axis2))
    if first == second:
        raise ValueError("diagonal: axis1 and axis2 cannot be the same")
    moved = view.moveaxis(x, (first, second), (-2, -1))
    rows, columns = shape_of(moved)[-2:]
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    steps = np.arange(length)
    return getitem(moved, (Ellipsis, steps + max(-offset, 0), steps + max(offset, 0)))


def diag_embed(x: Value, offset: int = 0) -> Value:
    """Square matrices with the last axis of x on a diagonal and zeros elsewhere.  [..., N] -> [..., N, N]"""
    n = shape_of(x)[-1]
    size = n + abs(offset)
    steps = np.arange(n)
    index, arrays = encode(x, (Ellipsis, steps + max(-offset, 0), steps + max(offset, 0)))
    return scatter_add(x, arrays, index, (*shape_of(x)[:-1], size, size))


def repeat(x: Value, repeats: Any, axis: int | None = None) -> Value:
    """Each element ``repeats`` times in a row along an axis."""
    if axis is None:
        x, axis = view.reshape(x, (-1,)), 0
    axis = np.lib.array_utils.normalize_axis_index(axis, len(shape_of(x)))
    return take(x, np.repeat(np.arange(shape_of(x)[axis]), repeats), axis)
