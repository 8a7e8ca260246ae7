"""Sums of products: matmul, einsum, and dot, tensordot, inner, outer and kron made of them."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..errors import ShapeError
from ..graph.apply import apply
from ..graph.node import Spec, Value, shape_of
from ..graph.origin import here
from ..graph.primitive import Contraction, Samples
from . import elementwise as ew
from . import indexing, logic, reduction, view


def _left(g: Value, y: Value, a: Value, b: Value) -> Value:
    """ā = ȳ bᴴ;  [..., M, N] @ [..., N, K] -> [..., M, K].  A vector b is a column, a vector a is a row."""
    if len(shape_of(b)) == 1:
        return (g if len(shape_of(a)) == 1 else view.expand_dims(g, -1)) * ew.conj(b)
    row = len(shape_of(a)) == 1 and len(shape_of(b)) > 2
    return apply(Matmul, (view.expand_dims(g, -2) if row else g, ew.conj(view.matrix_transpose(b))))


def _right(g: Value, y: Value, a: Value, b: Value) -> Value:
    """b̄ = aᴴ ȳ;  [..., K, M] @ [..., M, N] -> [..., K, N].  A vector b is a column, a vector a is a row."""
    if len(shape_of(a)) == 1:
        if len(shape_of(b)) == 1:
            return g * ew.conj(a)
        return view.expand_dims(ew.conj(a), -1) * view.expand_dims(g, -2)
    adjoint = ew.conj(view.matrix_transpose(a))
    if len(shape_of(b)) == 1 and len(shape_of(a)) > 2:
        return view.squeeze(apply(Matmul, (adjoint, view.expand_dims(g, -1))), -1)
    return apply(Matmul, (adjoint, g))


_SHAPES = [
    ((2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 1)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((0, 3), (3, 2)),
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((3,), (4, 3, 2)),
    ((2, 3), (3,)),
    ((4, 2, 3), (3,)),
]


class Matmul(Contraction):
    """y = a b over the last two axes, leading axes broadcasting.  [..., M, K] @ [..., K, N] -> [..., M, N]"""

    eval = np.matmul
    vjp = (_left, _right)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], a: Value, b: Value) -> Value:
        row, column = len(shape_of(a)) == 1 + over[0], len(shape_of(b)) == 1 + over[1]
        if not over[1] and len(shape_of(b)) <= 2:
            return matmul(a, b)  # the examples as further rows of one product
        if not over[0] and column and len(shape_of(a)) == 2:
            return matmul(b, view.matrix_transpose(a))
        a = view.expand_dims(a, -2) if row else a
        b = view.expand_dims(b, -1) if column else b
        y = apply(Matmul, tuple(view.aligned((a, b), over, (2, 2))))
        return view.squeeze(y, tuple(axis for axis, one in ((-2, row), (-1, column)) if one))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        # A product with one row and one column of each has the dtype, at the cost of K multiplications.
        a, b = (np.ones(s.shape[-2:], s.dtype) for s in specs)
        core = np.matmul(a[:1] if a.ndim > 1 else a, b[:, :1] if b.ndim > 1 else b)
        lead = np.broadcast_shapes(*(s.shape[:-2] for s in specs))
        return Spec((*lead, *a.shape[:-1], *b.shape[1:]), core.dtype)

    samples = Samples(
        cases=lambda rng: [
            *[((rng.normal(size=a), rng.normal(size=b)), {}) for a, b in _SHAPES],
            ((rng.normal(size=(2, 3)) + 1j, rng.normal(size=(3, 2)) * 1j), {}),
        ]
    )


def _mismatch(a: Value, b: Value) -> ShapeError:
    first, second = shape_of(a), shape_of(b)
    hint = "reshape one of them"
    if len(second) >= 2 and first and first[-1] == second[-1]:
        hint = "did you mean b.T?"
    elif len(first) >= 2 and len(second) and first[-2] == second[-2 if len(second) > 1 else 0]:
        hint = "did you mean a.T?"
    return ShapeError(f"matmul: inner sizes differ: a {first} @ b {second} at {here(2)}; {hint}")


def matmul(a: Value, b: Value, /) -> Value:
    """Matrix product by NumPy's rules: vectors are rows on the left and columns on the right."""
    left, right = shape_of(a), shape_of(b)
    if not left or not right:
        raise ShapeError(f"matmul: a scalar has no axes to sum over: got {left} @ {right}; use * to scale")
    if left[-1] != (right[-2] if len(right) > 1 else right[0]):
        raise _mismatch(a, b)
    if len(left) > 2 == len(right) and 0 not in left:
        # One large product instead of a batch of small ones, forward and for the gradient of b.
        return view.reshape(apply(Matmul, (view.reshape(a, (-1, left[-1])), b)), (*left[:-1], right[-1]))
    return apply(Matmul, (a, b))


class Einsum(Contraction):
    """Products of several arrays summed over shared indices, written in Einstein's convention.

    ``einsum`` below brings every call into a form where each index of an operand stands once in it, and again in the
    output or another operand; then each VJP is an einsum of the cotangent with the other operands.
    """

    eval = staticmethod(lambda *xs, subscripts: np.einsum(subscripts, *xs, optimize=len(xs) > 2))

    @staticmethod
    def vjp(g: Value, y: Value, *xs: Value, subscripts: str) -> tuple[Value, ...]:
        terms, output = subscripts.split("->")
        operands = terms.split(",")
        result = []
        for i, own in enumerate(operands):
            others = [ew.conj(x) for j, x in enumerate(xs) if j != i]
            inputs = ",".join([output, *(t for j, t in enumerate(operands) if j != i)])
            result.append(apply(Einsum, (g, *others), {"subscripts": f"{inputs}->{own}"}))
        return tuple(result)

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], *xs: Value, subscripts: str) -> Value:
        letter = next(c for c in string.ascii_letters if c not in subscripts)
        terms, output = subscripts.split("->")
        lead = [letter + t if b else t for t, b in zip(terms.split(","), over, strict=True)]
        return apply(Einsum, xs, {"subscripts": f"{','.join(lead)}->{letter}{output}"})

    samples = Samples(
        cases=lambda rng: [
            ((rng.normal(size=(2, 3)), rng.normal(size=(3, 4))), {"subscripts": "ab,bc->ca"}),
            ((rng.normal(size=(2, 3)), rng.normal(size=(3,)), rng.normal(size=2)), {"subscripts": "ab,b,a->"}),
            ((rng.normal(size=(2, 3)) + 1j, rng.normal(size=(2, 3)) - 2j), {"subscripts": "ab,ab->a"}),
        ]
    )


def einsum(subscripts: str, *operands: Value) -> Value:
    """Sum of products by index letters, as ``numpy.einsum`` with a string; implicit output and ``...`` allowed."""
    shapes = [shape_of(x) for x in operands]
    terms, output = _parse(subscripts, shapes)
    _check_sizes(subscripts, terms, shapes)
    arrays = list(operands)
    for i, term in enumerate(terms):
        while len(set(term)) < len(term):
            letter = next(c for c in term if term.count(c) > 1)
            first = term.index(letter)
            second = term.index(letter, first + 1)
            arrays[i] = indexing.diagonal(arrays[i], 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
        elsewhere = set(output).union(*(terms[:i] + terms[i + 1 :]))
        lonely = tuple(k for k, c in enumerate(term) if c not in elsewhere)
        if lonely:
            arrays[i] = logic.astype(reduction.sum(arrays[i], lonely), dtype_of(arrays[i]))  # which sum would widen
            term = "".join(c for c in term if c in elsewhere)
        terms[i] = term
    if len(arrays) == 1:
        return view.transpose(arrays[0], [terms[0].index(c) for c in output])
    return apply(Einsum, tuple(arrays), {"subscripts": ",".join(terms) + "->" + output})


def _check_sizes(subscripts: str, terms: list[str], shapes: list[tuple[int, ...]]) -> None:
    """Refuse a letter that stands for two sizes; between operands a 1 stretches, within one it does not."""
    seen: dict[str, tuple[int, int]] = {}  # letter -> size, operand
    for i, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[str, int] = {}
        for letter, size in zip(term, shape, strict=True):
            if own.setdefault(letter, size) != size:
                raise ShapeError(
                    f"einsum: letter {letter!r} of {subscripts!r} has sizes {own[letter]} and {size} in operand {i} "
                    f"{shape} at {here(2)}; a repeated letter takes a diagonal of equal sizes"
                )
            before, where = seen.get(letter, (1, i))
            if size != before and 1 not in (size, before):
                what = f"letter {letter!r}" if letter in subscripts else "an axis under '...'"
                raise ShapeError(
                    f"einsum: {what} of {subscripts!r} has size {before} in operand {where} {shapes[where]} and "
                    f"{size} in operand {i} {shape} at {here(2)}; transpose or reshape one, or use two letters"
                )
            if before == 1:
                seen[letter] = (size, i)


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Letters of each operand and of the output, with ``...`` spelled out."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(
            f"einsum: {subscripts!r} has {len(terms)} terms, got {len(shapes)} arrays; give one array each"
        )
    spare = [c for c in string.ascii_letters if c not in text]
    longest = max([len(s) - len(t.replace("...", "")) for t, s in zip(terms, shapes, strict=True) if "..." in t] or [0])
    dots = "".join(spare[:longest])
    spelled = []
    for term, shape in zip(terms, shapes, strict=True):
        count = len(shape) - len(term.replace("...", ""))
        full = term.replace("...", dots[len(dots) - count :] if count > 0 else "")
        if len(full) != len(shape):
            raise ShapeError(f"einsum: term {term!r} of {subscripts!r} does not fit an array of shape {shape}")
        spelled.append(full)
    letters = "".join(spelled)
    if arrow:
        output = right.replace("...", dots)
    else:
        output = dots + "".join(sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots))
    unknown = set(output) - set(letters)
    if unknown or len(set(output)) < len(output):
        raise ShapeError(f"einsum: output of {subscripts!r} must name each of its indices once, from the inputs")
    return spelled, output


def tensordot(a: Value, b: Value, axes: int | Sequence[Any] = 2) -> Value:
    """Sum of products over the last ``axes`` axes of a and the first of b, or over the listed pairs."""
    left, right = shape_of(a), shape_of(b)
    if isinstance(axes, (int, np.integer)):
        first, second = list(range(len(left) - axes, len(left))), list(range(axes))
    else:
        pair = [[x] if isinstance(x, (int, np.integer)) else list(x) for x in axes]
        first = [int(i) % max(len(left), 1) for i in pair[0]]
        second = [int(i) % max(len(right), 1) for i in pair[1]]
    if [left[i] for i in first] != [right[i] for i in second]:
        raise ShapeError(f"tensordot: summed sizes differ: got {left} over {first} and {right} over {second}")
    kept_left = [i for i in range(len(left)) if i not in first]
    kept_right = [i for i in range(len(right)) if i not in second]
    inner = math.prod(left[i] for i in first)
    rows = math.prod(left[i] for i in kept_left)
    columns = math.prod(right[i] for i in kept_right)
    matrix_a = view.reshape(view.transpose(a, kept_left + first), (rows, inner))
    matrix_b = view.reshape(view.transpose(b, second + kept_right), (inner, columns))
    return view.reshape(
        apply(Matmul, (matrix_a, matrix_b)),
        tuple(left[i] for i in kept_left) + tuple(right[i] for i in kept_right),
    )


def dot(a: Value, b: Value) -> Value:
    """NumPy's dot: scalars multiply, vectors and matrices contract the last axis of a with the second-to-last of b."""
    left, right = shape_of(a), shape_of(b)
    if not left or not right:
        return a * b
    if len(left) <= 2 and len(right) <= 2:
        return matmul(a, b)
    axis = len(right) - 2 if len(right) > 1 else 0
    if left[-1] != right[axis]:
        raise _mismatch(a, b)
    return tensordot(a, b, ([len(left) - 1], [axis]))


def inner(a: Value, b: Value, /) -> Value:
    """Sum of products over the last axes of both."""
    left, right = shape_of(a), shape_of(b)
    return a * b if not left or not right else tensordot(a, b, ([len(left) - 1], [len(right) - 1]))


def outer(a: Value, b: Value) -> Value:
    """All products of an element of a with one of b.  [M], [N] -> [M, N]"""
    return view.reshape(a, (-1, 1)) * view.reshape(b, (1, -1))


def vdot(a: Value, b: Value, /) -> Value:
    """Σ conj(a) b over the flattened arrays."""
    return matmul(ew.conj(view.reshape(a, (-1,))), view.reshape(b, (-1,)))


def kron(a: Value, b: Value) -> Value:
    """Kronecker product: each element of a times the whole of b."""
    left, right = shape_of(a), shape_of(b)
    ndim = max(len(left), len(right))
    left, right = (1,) * (ndim - len(left)) + left, (1,) * (ndim - len(right)) + right
    spread_a = view.reshape(a, tuple(n for size in left for n in (size, 1)))
    spread_b = view.reshape(b, tuple(n for size in right for n in (1, size)))
    return view.reshape(spread_a * spread_b, tuple(m * n for m, n in zip(left, right, strict=True)))
