"""Rearranging without computing: reshape, transpose, broadcast, flip, pad, concatenate, and what is made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.primitive import Samples, View


def _case(*arguments: Any, **params: Any) -> Samples:
    return Samples(cases=lambda rng: [(tuple(rng.normal(size=a) for a in arguments), params)])


def repeated(x: Value, size: int) -> Value:
    """x for every example of a batch, along a further axis 0."""
    return broadcast_to(x, (size, *shape_of(x)))


def aligned(xs: Sequence[Value], over: Sequence[bool], own: Sequence[int]) -> list[Value]:
    """Inputs of an op whose leading axes broadcast, with axis 0 of those in ``over`` in front of all the others.

    ``own`` are the axes at the end of each input that do not broadcast.
    """
    stacks = [len(shape_of(x)) - batched - n for x, batched, n in zip(xs, over, own, strict=True)]
    most = max(stacks)
    return [
        reshape(x, (shape_of(x)[0], *(1,) * (most - count), *shape_of(x)[1:])) if batched and count < most else x
        for x, batched, count in zip(xs, over, stacks, strict=True)
    ]


class Reshape(View):
    """The same elements in the same order under another shape."""

    eval = staticmethod(lambda x, *, shape: np.reshape(x, shape))
    infer = classmethod(lambda cls, x, *, shape: Spec(shape, x.dtype if isinstance(x, Spec) else np.asarray(x).dtype))
    vjp = (lambda g, y, x, *, shape: reshape(g, shape_of(x)),)
    batch = staticmethod(lambda size, over, x, *, shape: reshape(x, (size, *shape)))
    samples = _case((3, 4), shape=(2, 6))


class Transpose(View):
    """Axes in another order: output axis i is input axis axes[i]."""

    eval = staticmethod(lambda x, *, axes: np.transpose(x, axes))
    infer = classmethod(lambda cls, x, *, axes: Spec(tuple(x.shape[i] for i in axes), x.dtype))
    vjp = (lambda g, y, x, *, axes: transpose(g, inverse(axes)),)
    batch = staticmethod(lambda size, over, x, *, axes: transpose(x, (0, *(i + 1 for i in axes))))
    samples = _case((2, 3, 4), axes=(1, 2, 0))


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order that undoes an order of axes."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


class BroadcastTo(View):
    """The same elements repeated along stretched axes; the walk sums the cotangent back."""

    eval = staticmethod(lambda x, *, shape: np.broadcast_to(x, shape))
    vjp = (lambda g, y, x, *, shape: g,)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], x: Value, *, shape: tuple[int, ...]) -> Value:
        own = shape_of(x)[1:]
        return broadcast_to(reshape(x, (size, *(1,) * (len(shape) - len(own)), *own)), (size, *shape))

    samples = _case((3, 1), shape=(2, 3, 4))


class Flip(View):
    """Elements in reverse along ``axis``, a tuple."""

    eval = staticmethod(lambda x, *, axis: np.flip(x, axis))
    infer = classmethod(lambda cls, x, *, axis: x)
    vjp = (lambda g, y, x, *, axis: apply(Flip, (g,), {"axis": axis}),)
    batch = staticmethod(lambda size, over, x, *, axis: flip(x, tuple(i + 1 for i in axis)))
    samples = _case((3, 4), axis=(0, 1))


class Pad(View):
    """Zeros around: ``width`` has (before, after) for each axis."""

    eval = staticmethod(lambda x, *, width: np.pad(x, width))
    vjp = (lambda g, y, x, *, width: g[tuple(slice(a, n - b) for (a, b), n in zip(width, shape_of(g), strict=True))],)
    batch = staticmethod(lambda size, over, x, *, width: pad(x, ((0, 0), *width)))
    samples = _case((3, 4), width=((1, 2), (0, 3)))


class Concatenate(View):
    """Arrays joined along ``axis``."""

    moves = False  # where their dtypes differ it promotes
    eval = staticmethod(lambda *xs, axis: np.concatenate(xs, axis))

    @staticmethod
    def vjp(g: Value, y: Value, *xs: Value, axis: int) -> tuple[Value, ...]:
        ends = np.cumsum([shape_of(x)[axis] for x in xs]).tolist()
        lead = (slice(None),) * axis
        return tuple(g[(*lead, slice(start, stop))] for start, stop in zip([0, *ends[:-1]], ends, strict=True))

    @staticmethod
    def jvp(ts: Any, y: Value, *xs: Value, axis: int) -> Value:
        parts = [
            np.zeros(shape_of(x), getattr(y, "dtype", None)) if t is None else t for t, x in zip(ts, xs, strict=True)
        ]
        return concatenate(parts, axis)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], *xs: Value, axis: int) -> Value:
        return concatenate([x if b else repeated(x, size) for x, b in zip(xs, over, strict=True)], axis + 1)

    @classmethod
    def complaint(cls, error: Exception, specs: list[Any], params: dict[str, Any], where: str) -> Exception | None:
        shapes = [tuple(np.shape(s) if not isinstance(s, Spec) else s.shape) for s in specs]
        axis = params["axis"]
        return ShapeError(
            f"concatenate: shapes differ beside axis {axis}: got {', '.join(map(str, shapes))}, expected equal sizes "
            f"in every other axis{where}; reshape them first"
        )

    samples = _case((2, 3), (4, 3), (1, 3), axis=0)


def reshape(x: Value, shape: int | Sequence[int]) -> Value:
    """The same elements under another shape; one entry may be -1."""
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    current = shape_of(x)
    if shape == current:
        return x
    if -1 in shape:
        known = -math.prod(shape)
        size = math.prod(current)
        if shape.count(-1) > 1 or known == 0 or size % known:
            raise ShapeError(
                f"reshape: {size} elements do not fit: got {current} to {shape}, expected one -1 at most and sizes "
                f"whose product divides {size}"
            )
        shape = tuple(size // known if n == -1 else n for n in shape)
    elif math.prod(shape) != math.prod(current):
        raise ShapeError(
            f"reshape: numbers of elements differ: got {current} ({math.prod(current)}) to {shape} "
            f"({math.prod(shape)}); use -1 for the axis to be worked out"
        )
    return apply(Reshape, (x,), {"shape": shape})


def transpose(x: Value, axes: Sequence[int] | None = None) -> Value:
    """Axes in the order given, reversed by default."""
    ndim = len(shape_of(x))
    order = tuple(range(ndim))[::-1] if axes is None else np.lib.array_utils.normalize_axis_tuple(axes, ndim)
    if len(order) != ndim:
        raise ShapeError(f"transpose: axes don't match array: got {axes} for {ndim} axes; name each axis once")
    return x if order == tuple(range(ndim)) else apply(Transpose, (x,), {"axes": tuple(order)})


def swapaxes(x: Value, axis1: int, axis2: int) -> Value:
    """Two axes exchanged."""
    order = list(range(len(shape_of(x))))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(x, order)


def matrix_transpose(x: Value) -> Value:
    """The last two axes exchanged."""
    shape = shape_of(x)
    if len(shape) < 2:
        raise ShapeError(
            f"matrix_transpose: at least two axes are needed: got shape {shape}; use x[:, None] for a column"
        )
    return swapaxes(x, -1, -2)


def moveaxis(x: Value, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Axes moved to other places, the rest in order."""
    ndim = len(shape_of(x))
    sources = np.lib.array_utils.normalize_axis_tuple(source, ndim, "source")
    places = np.lib.array_utils.normalize_axis_tuple(destination, ndim, "destination")
    if len(sources) != len(places):
        raise ShapeError(f"moveaxis: got {len(sources)} source and {len(places)} destination axes, expected as many")
    order = [i for i in range(ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


def broadcast_to(x: Value, shape: int | Sequence[int]) -> Value:
    """x stretched to ``shape`` by NumPy's rules."""
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(n) for n in shape)
    return x if shape_of(x) == shape else apply(BroadcastTo, (x,), {"shape": shape})


def expand_dims(x: Value, axis: int | Sequence[int]) -> Value:
    """New axes of size 1 at these places of the result."""
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    ndim = len(shape_of(x)) + len(axes)
    places = np.lib.array_utils.normalize_axis_tuple(axes, ndim)
    sizes = iter(shape_of(x))
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(ndim)))


def squeeze(x: Value, axis: int | Sequence[int] | None = None) -> Value:
    """Without axes of size 1: all of them, or those named."""
    shape = shape_of(x)
    if axis is None:
        return reshape(x, tuple(n for n in shape if n != 1))
    axes = np.lib.array_utils.normalize_axis_tuple(axis, len(shape))
    if any(shape[i] != 1 for i in axes):
        raise ShapeError(f"squeeze: axis {axis} of shape {shape} has a size other than 1; name only axes of size 1")
    return reshape(x, tuple(n for i, n in enumerate(shape) if i not in axes))


def flip(x: Value, axis: int | Sequence[int] | None = None) -> Value:
    """Elements in reverse order along the axes, all by default."""
    ndim = len(shape_of(x))
    axes = tuple(range(ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)
    return apply(Flip, (x,), {"axis": tuple(axes)})


def pad(x: Value, width: Sequence[tuple[int, int]]) -> Value:
    """Zeros around: (before, after) for each axis."""
    return apply(Pad, (x,), {"width": tuple((int(a), int(b)) for a, b in width)})


def concatenate(xs: Sequence[Value], axis: int = 0) -> Value:
    """Arrays joined along an existing axis."""
    if not len(xs):
        raise ShapeError("concatenate: got no arrays, expected at least one")
    ndim = len(shape_of(xs[0]))
    if ndim == 0:
        raise ShapeError("concatenate: got arrays without axes, expected at least one; use stack for scalars")
    return apply(Concatenate, tuple(xs), {"axis": np.lib.array_utils.normalize_axis_index(axis, ndim)})


def stack(xs: Sequence[Value], axis: int = 0) -> Value:
    """Arrays of one shape joined along a new axis."""
    shapes = {shape_of(x) for x in xs}
    if len(shapes) != 1:
        listed = ", ".join(map(str, sorted(shapes))) or "none"
        raise ShapeError(f"stack: all arrays must have one shape: got {listed}")
    return concatenate(
        [expand_dims(x, axis) for x in xs], np.lib.array_utils.normalize_axis_index(axis, len(shapes.pop()) + 1)
    )


def roll(x: Value, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Value:
    """Elements moved along axes, those pushed out coming in at the other end."""
    shape = shape_of(x)
    if axis is None:
        return reshape(roll(reshape(x, (-1,)), shift, 0), shape)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    shifts = (shift,) * len(axes) if isinstance(shift, (int, np.integer)) else tuple(shift)
    if len(axes) == 1:
        axes = axes * len(shifts)
    for offset, place in zip(
        shifts, np.lib.array_utils.normalize_axis_tuple(axes, len(shape), allow_duplicate=True), strict=True
    ):
        n = shape[place]
        cut = -int(offset) % n if n else 0
        if cut:
            lead = (slice(None),) * place
            x = concatenate([x[(*lead, slice(cut, None))], x[(*lead, slice(None, cut))]], place)
    return x


def tile(x: Value, repeats: int | Sequence[int]) -> Value:
    """x laid side by side ``repeats`` times along each axis."""
    reps = (int(repeats),) if isinstance(repeats, (int, np.integer)) else tuple(int(r) for r in repeats)
    shape = shape_of(x)
    ndim = max(len(shape), len(reps))
    shape = (1,) * (ndim - len(shape)) + shape
    reps = (1,) * (ndim - len(reps)) + reps
    spread = reshape(x, tuple(n for size in shape for n in (1, size)))
    stretched = broadcast_to(spread, tuple(n for r, size in zip(reps, shape, strict=True) for n in (r, size)))
    return reshape(stretched, tuple(r * size for r, size in zip(reps, shape, strict=True)))
