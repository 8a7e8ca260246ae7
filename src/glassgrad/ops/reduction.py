"""Folding axes: sum, prod, max, min, any, all, argmax; and running sums and products."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..graph.apply import apply
from ..graph.node import Spec, Value, is_symbolic, shape_of, value_of
from ..graph.primitive import Reduction, Samples
from . import elementwise as ew
from . import logic, view

Axis = int | Sequence[int] | None


_EVERY = [tuple(range(n)) for n in range(65)]  # NumPy's limit is 64 axes


def normalize(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative ints; None means all. Raises NumPy's AxisError."""
    if axis is None:
        return _EVERY[ndim]
    if not ndim and axis in (0, -1):
        return ()  # NumPy lets a scalar be folded along an axis it does not have
    if axis.__class__ is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    axes = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    return tuple(sorted(np.lib.array_utils.normalize_axis_tuple(axes, ndim)))


def expand(y: Value, x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """A reduced value with its folded axes back as 1s, so that it broadcasts against x."""
    if keepdims:
        return y
    return view.reshape(y, tuple(1 if i in axis else n for i, n in enumerate(shape_of(x))))


def _cases(rng: np.random.Generator) -> list[Any]:
    x = rng.uniform(0.5, 2.0, (3, 4, 2))
    whole = [((x,), {"axis": (0, 1, 2), "keepdims": False}), ((x,), {"axis": (), "keepdims": False})]
    return [
        *whole,
        ((x,), {"axis": (1,), "keepdims": False}),
        ((x[::-1, ::2],), {"axis": (0, 2), "keepdims": True}),
        ((x[0, 0, 0],), {"axis": (), "keepdims": False}),
    ]


def _more_cases(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
    return [
        *_cases(rng),
        ((x,), {"axis": (1,), "keepdims": False}),
        ((np.zeros((0, 3)),), {"axis": (0,), "keepdims": False}),
        ((np.zeros((0, 3)),), {"axis": (0, 1), "keepdims": True}),
    ]


class Sum(Reduction):
    """y = Σ x"""

    linear = True
    eval = staticmethod(lambda x, *, axis, keepdims: np.sum(x, axis=axis, keepdims=keepdims))
    vjp = (lambda g, y, x, *, axis, keepdims: view.broadcast_to(expand(g, x, axis, keepdims), shape_of(x)),)
    samples = Samples(cases=_more_cases)


class Prod(Reduction):
    """y = Π x.  ∂y/∂xᵢ is the product of the others: y/xᵢ, or formed without dividing where some x is 0."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims))

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> tuple[Value]:
        others = ew.conj(_product_of_others(y, x, axis, keepdims))
        return (expand(g, x, axis, keepdims) * others,)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> Value:
        return sum(ts[0] * _product_of_others(y, x, axis, keepdims), axis, keepdims)

    samples = Samples(
        cases=lambda rng: [*_more_cases(rng), ((np.array([2.0, 0.0, 3.0]),), {"axis": (0,), "keepdims": False})]
    )


def _has_zero(x: Value) -> bool:
    """Whether a zero is there, or may be: a traced value is not known."""
    return is_symbolic(x) or not builtins.bool(np.all(value_of(x)))


def _product_of_others(y: Value, x: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    shape = shape_of(x)
    if 0 in shape or not _has_zero(x):
        return expand(y, x, axis, keepdims) / x
    order = tuple(i for i in range(len(shape)) if i not in axis) + axis
    kept = tuple(shape[i] for i in order[: len(order) - len(axis)])
    size = int(np.prod([shape[i] for i in axis], dtype=int))
    flat = view.reshape(view.transpose(x, order), (*kept, size))
    ones = np.ones((*kept, 1), dtype_of(x))
    before = cumprod(view.concatenate([ones, flat[..., :-1]], -1), -1)
    after = view.flip(cumprod(view.concatenate([ones, view.flip(flat, -1)[..., :-1]], -1), -1), -1)
    moved = view.reshape(before * after, tuple(shape[i] for i in order))
    return view.transpose(moved, tuple(int(i) for i in np.argsort(order)))


def _tied(x: Value, y: Value, axis: tuple[int, ...], keepdims: bool) -> Value:
    """Each extreme element's share of the derivative: 1 over how many tie."""
    mask = logic.astype(x == expand(y, x, axis, keepdims), dtype_of(x))
    return mask / sum(mask, axis, True)


class Max(Reduction):
    """y = the largest; elements that tie share the gradient evenly."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims))
    vjp = (lambda g, y, x, *, axis, keepdims: expand(g, x, axis, keepdims) * _tied(x, y, axis, keepdims),)

    @staticmethod
    def jvp(ts: Any, y: Value, x: Value, *, axis: tuple[int, ...], keepdims: bool) -> Value:
        return sum(ts[0] * _tied(x, y, axis, keepdims), axis, keepdims)

    samples = Samples(cases=_cases)


class Min(Reduction):
    """y = the smallest; elements that tie share the gradient evenly."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims))
    vjp = Max.vjp
    jvp = Max.jvp
    samples = Samples(cases=_cases)


class Any_(Reduction):
    """Whether any is true."""

    name = "any"
    eval = staticmethod(lambda x, *, axis, keepdims: np.any(x, axis=axis, keepdims=keepdims))
    nondifferentiable = "its result is true or false"
    samples = Samples(cases=_cases)


class All(Reduction):
    """Whether all are true."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.all(x, axis=axis, keepdims=keepdims))
    nondifferentiable = "its result is true or false"
    samples = Samples(cases=_cases)


def _arg_cases(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(3, 4))
    return [((x,), {"axis": (1,), "keepdims": False}), ((x,), {"axis": (0,), "keepdims": True})]


class Argmax(Reduction):
    """Place of the first largest along one axis."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.argmax(x, axis=axis[0], keepdims=keepdims))
    nondifferentiable = "a position is an integer"
    samples = Samples(cases=_arg_cases)


class Argmin(Reduction):
    """Place of the first smallest along one axis."""

    eval = staticmethod(lambda x, *, axis, keepdims: np.argmin(x, axis=axis[0], keepdims=keepdims))
    nondifferentiable = "a position is an integer"
    samples = Samples(cases=_arg_cases)


def _along_cases(rng: np.random.Generator) -> list[Any]:
    x = rng.uniform(0.5, 2.0, (3, 4))
    holes = np.array([[2.0, 0.0, 3.0, 0.0], [0.0, 1.0, 2.0, 4.0]])
    return [((x,), {"axis": 0}), ((x[:, ::-1],), {"axis": 1}), ((holes,), {"axis": 1}), ((x + 1j,), {"axis": 1})]


class Cumsum(Reduction):
    """yₖ = Σ_{i ≤ k} xᵢ"""

    linear = True
    eval = staticmethod(lambda x, *, axis: np.cumsum(x, axis=axis))
    infer = classmethod(lambda cls, x, *, axis: Spec(x.shape, np.cumsum(np.ones(1, x.dtype)).dtype))
    vjp = (lambda g, y, x, *, axis: view.flip(cumsum(view.flip(g, axis), axis), axis),)
    samples = Samples(cases=_along_cases)


class Cumprod(Reduction):
    """yₖ = Π_{i ≤ k} xᵢ.

    x̄ᵢ = Σ_{k ≥ i} ḡₖ yₖ / xᵢ; where some x is 0, the products are formed by running from each i on, O(n²).
    """

    eval = staticmethod(lambda x, *, axis: np.cumprod(x, axis=axis))
    infer = classmethod(lambda cls, x, *, axis: Spec(x.shape, np.cumprod(np.ones(1, x.dtype)).dtype))

    @staticmethod
    def vjp(g: Value, y: Value, x: Value, *, axis: int) -> tuple[Value]:
        if not _has_zero(x):
            return (Cumsum.vjp[0](g * ew.conj(y), y, x, axis=axis) / ew.conj(x),)
        x, g = view.moveaxis(x, axis, -1), view.moveaxis(g, axis, -1)
        n = shape_of(x)[-1]
        later = np.arange(n)[:, None] < np.arange(n)  # [i, j]: j comes after i
        x_j = view.reshape(x, (*shape_of(x)[:-1], 1, n))
        running = cumprod(logic.where(later, x_j, 1), -1)  # [..., i, k] = Π_{i < j ≤ k} xⱼ
        reached = logic.where(later | np.eye(n, dtype=builtins.bool), ew.conj(running), 0)
        first = np.ones((*shape_of(x)[:-1], 1), dtype_of(x))
        before = cumprod(view.concatenate([first, x[..., :-1]], -1), -1)
        g_k = view.reshape(g, (*shape_of(g)[:-1], 1, n))
        return (view.moveaxis(ew.conj(before) * sum(g_k * reached, -1), -1, axis),)

    samples = Samples(cases=_along_cases)


def _reduce(op: Any, x: Value, axis: Axis, keepdims: bool) -> Value:
    return apply(op, (x,), {"axis": normalize(axis, len(shape_of(x))), "keepdims": builtins.bool(keepdims)})


def sum(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Sum over ``axis``, all axes by default."""
    return _reduce(Sum, x, axis, keepdims)


def prod(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Product over ``axis``."""
    return _reduce(Prod, x, axis, keepdims)


def max(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Largest element over ``axis``."""
    return _reduce(Max, x, axis, keepdims)


def min(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Smallest element over ``axis``."""
    return _reduce(Min, x, axis, keepdims)


def any(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether any element is true over ``axis``."""
    return _reduce(Any_, x, axis, keepdims)


def all(x: Value, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether all elements are true over ``axis``."""
    return _reduce(All, x, axis, keepdims)


def _place(op: Any, x: Value, axis: int | None, keepdims: bool) -> Value:
    shape = shape_of(x)
    if axis is None or (not shape and axis in (0, -1)):
        flat = apply(op, (view.reshape(x, (-1,)),), {"axis": (0,), "keepdims": False})
        return view.reshape(flat, (1,) * len(shape)) if keepdims else flat
    return _reduce(op, x, axis, keepdims)


def argmax(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Place of the first largest element, in the flattened array if ``axis`` is None."""
    return _place(Argmax, x, axis, keepdims)


def argmin(x: Value, axis: int | None = None, keepdims: bool = False) -> Value:
    """Place of the first smallest element, in the flattened array if ``axis`` is None."""
    return _place(Argmin, x, axis, keepdims)


def _along(op: Any, x: Value, axis: int | None) -> Value:
    if axis is None or (not shape_of(x) and axis in (0, -1)):
        x, axis = view.reshape(x, (-1,)), 0
    return apply(op, (x,), {"axis": normalize(axis, len(shape_of(x)))[0]})


def cumsum(x: Value, axis: int | None = None) -> Value:
    """Running sum along ``axis``, of the flattened array if None."""
    return _along(Cumsum, x, axis)


def cumprod(x: Value, axis: int | None = None) -> Value:
    """Running product along ``axis``, of the flattened array if None."""
    return _along(Cumprod, x, axis)


def sum_to(x: Value, shape: tuple[int, ...]) -> Value:
    """Undo broadcasting: sum over the axes along which ``shape`` was stretched to the shape of x."""
    current = shape_of(x)
    if current == shape:
        return x
    extra = len(current) - len(shape)
    stretched = tuple(range(extra)) + tuple(
        i + extra for i, n in enumerate(shape) if n == 1 and current[i + extra] != 1
    )
    x = sum(x, stretched, keepdims=True) if stretched else x
    return view.reshape(x, shape)
