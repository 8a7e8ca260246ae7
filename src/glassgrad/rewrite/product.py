"""Matrix products: sums of several as one, sums of rows before the product, signs, and products that only pick rows.

The sums of products are taken in another order, which changes how they are rounded, and what overflows. Where a product
with ones and zeros picks a row, the zeros are left out: an inf or NaN in another row, which 0 · inf would carry into
this one, stays there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import Constant, Node
from ..ops import contraction, reduction, view
from ..ops import elementwise as ew
from .rearrange import PARTS, Span, part
from .rules import Rule, first, second

if TYPE_CHECKING:
    from .rewriter import Rewriter


def _sum_of_products(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """Aᵀ B + Cᵀ D -> [C; A]ᵀ [D; B], and the same with a further term on the left.

    The gradient of a weight that is used at every step of a loop: one long product in place of many short ones, each of
    which would go over a matrix of the weight's size. The later term comes first, because a backward pass meets the
    steps of a loop in reverse.
    """
    if x.value is not None or not _is_outer(b, y):
        return None
    if x.op is contraction.Matmul:
        return _joined(b, n, y, x)
    if x.op is not ew.Add or b.uses.get(x, 1) > 1:
        return None
    rest, last = x.inputs
    both = _joined(b, n, y, last) if last.value is None and last.op is contraction.Matmul else None
    return None if both is None or rest.dtype != n.dtype else b.make(n, ew.Add, rest, both)


def _is_outer(b: Rewriter, m: Node) -> bool:
    """Whether this is Aᵀ B, used once, with A and B no longer than joining them is worth."""
    if len(m.shape) != 2 or b.uses.get(m, 1) > 1:
        return False
    left, right = m.inputs
    if left.value is not None or left.op is not view.Transpose or left.dtype != right.dtype:
        return False
    rows, columns = m.shape
    # Joining copies (rows + columns) numbers for each of the sum; a product of its own writes and reads the matrix.
    return len(left.shape) == len(right.shape) == 2 and right.shape[0] * (rows + columns) <= 2 * rows * columns


def _joined(b: Rewriter, n: Node, m: Node, x: Node) -> Node | None:
    if not _is_sum_of_outer(b, x) or m.shape != x.shape or m.dtype != x.dtype:
        return None
    pairs = ((m.inputs[0].inputs[0], x.inputs[0].inputs[0]), (m.inputs[1], x.inputs[1]))
    if any(len(_parts(y)) + len(_parts(z)) > PARTS for y, z in pairs):
        return None
    left, right = (b.make(n, view.Concatenate, *pair, axis=0) for pair in pairs)
    turned = b.make(m.inputs[0], view.Transpose, left, axes=(1, 0))
    whole = b.made(n, contraction.Matmul, (turned, right), {}, n.spec)
    b.known[whole] = Joined
    return whole


def _sum_of_stack(b: Rewriter, n: Node, x: Node, *, axis: tuple[int, ...], keepdims: bool) -> Node | None:
    """Σₜ Aₜᵀ Bₜ -> Aᵀ B, of all rows of all A and B; the same for columns in place of Aₜᵀ"""
    if axis != (0,) or keepdims or len(x.shape) != 3 or x.dtype != n.dtype:
        return None
    left, right = x.inputs
    if len(left.shape) != 3 or len(right.shape) != 3 or left.shape[0] != right.shape[0]:
        return None
    if left.value is None and left.op is view.Transpose and left.params["axes"] == (0, 2, 1):
        left = left.inputs[0]
    elif left.shape[2] != 1:
        return None
    rows = right.shape[0] * right.shape[1]
    left = b.make(n, view.Transpose, b.reshape(n, left, (rows, n.shape[0])), axes=(1, 0))
    return b.make(n, contraction.Matmul, left, b.reshape(n, right, (rows, n.shape[1])))


class Joined:
    """What is known of a product that was made of several here."""


def _is_sum_of_outer(b: Rewriter, x: Node) -> bool:
    return _is_outer(b, x) or (b.known.get(x) is Joined and b.uses.get(x, 1) == 1)


def _parts(x: Node) -> Sequence[Node]:
    return x.inputs if x.value is None and x.op is view.Concatenate and x.params["axis"] == 0 else (x,)


def _equal_rows(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """x y -> broadcast(x[:1] y), where all rows of x are equal"""
    row = _one(b, x, -2)
    return None if row is None or len(y.shape) < 2 else b.fitted(n, b.make(n, contraction.Matmul, row, y))


def _equal_columns(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """x y -> broadcast(x y[:, :1]), where all columns of y are equal"""
    column = _one(b, y, -1)
    return None if column is None or len(x.shape) < 2 else b.fitted(n, b.make(n, contraction.Matmul, x, column))


def _one(b: Rewriter, x: Node, axis: int) -> Node | None:
    """A matrix of numbers that are all the same, with one of its rows or columns only."""
    if b.number(x) is None or len(x.shape) < 2 or x.shape[axis] == 1:
        return None
    return b.constant(x.value[:1] if axis == -2 else x.value[..., :1]) if len(x.shape) == 2 else None


# Sums of a product's rows or columns


def _sum_of_rows(b: Rewriter, n: Node, x: Node, *, axis: tuple[int, ...], keepdims: bool) -> Node | None:
    """Σᵢ x y -> (Σᵢ x) y, and the same for the columns of y: what only one factor has is summed before the product.

    The gradient of what was subtracted from each row before it was multiplied by a matrix.
    """
    subscripts = "ab,bc->ac" if x.op is contraction.Matmul else x.params["subscripts"]
    terms, out = subscripts.split("->")
    terms = terms.split(",")
    if len(terms) != 2 or n.dtype.kind != "f" or b.uses.get(x, 1) > 1 or len(out) != len(x.shape):
        return None
    if any(len(y.shape) != len(term) or y.dtype != n.dtype for term, y in zip(terms, x.inputs, strict=True)):
        return None
    folded = {out[i] for i in axis}
    if not folded or any(sum(c in term for term in terms) > 1 for c in folded):
        return None
    factors = []
    for term, y in zip(terms, x.inputs, strict=True):
        own = tuple([i for i, c in enumerate(term) if c in folded])
        factors.append(b.make(n, reduction.Sum, y, axis=own, keepdims=False) if own else y)
    short = ["".join(c for c in word if c not in folded) for word in (*terms, out)]
    if x.op is contraction.Matmul:
        found = b.make(n, contraction.Matmul, *factors)
    else:
        found = b.make(n, contraction.Einsum, *factors, subscripts=f"{short[0]},{short[1]}->{short[2]}")
    return b.reshape(n, found, n.shape)


def _negated(b: Rewriter, n: Node, *factors: Node, **params: Any) -> Node | None:
    """(-x) y -> -(x y), the same bits, where that is fewer negations"""
    inputs = list(factors)
    for k, factor in enumerate(factors):
        fewer = factor.value is None and factor.op is ew.Neg and math.prod(n.shape) <= math.prod(factor.shape)
        if fewer and factor.dtype == n.dtype and n.dtype.kind == "f":
            inputs[k] = factor.inputs[0]
            return b.make(n, ew.Neg, b.make(n, n.op, *inputs, **params))
    return None


# Bases: ones along a diagonal, which derivatives by all elements at once begin with


def _picked(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """x y -> the rows of y, or the columns of x, that ones along a diagonal of the other factor pick"""
    for k, basis in enumerate((x, y)):
        shift = _shift(b, basis)
        if shift is not None:
            other = y if k == 0 else x
            if other.dtype != n.dtype or basis.dtype != n.dtype:
                return None
            # (x y)[i] = y[i + shift], and (x y)[:, j] = x[:, j - shift]
            axis = max(len(other.shape) - 2, 0) if k == 0 else len(other.shape) - 1
            return _moved(b, n, other, axis, shift if k == 0 else -shift, basis.shape[k])
    return None


def _sum_of_picked(b: Rewriter, n: Node, x: Node, *, axis: tuple[int, ...], keepdims: bool) -> Node | None:
    """Σⱼ s[i, j] v[j] -> s v, for a basis s"""
    if axis != (1,) or len(x.shape) != 2 or n.dtype != x.dtype:
        return None
    for basis, v in (x.inputs, x.inputs[::-1]):
        if (
            basis.shape == x.shape
            and _shift(b, basis) is not None
            and v.shape[-1:] == x.shape[1:]
            and math.prod(v.shape) == v.shape[-1]
        ):
            found = b.make(n, contraction.Matmul, basis, b.reshape(n, v, v.shape[-1:]))
            return b.reshape(n, found, n.shape)
    return None


def _shift(b: Rewriter, x: Node) -> int | None:
    """k where a constant matrix is 1 at [i, i + k] and 0 elsewhere, to the bit."""
    if x.value is None or len(x.shape) != 2 or x.dtype.kind != "f" or min(x.shape) < 2:
        return None
    known = b.known.get(x)
    if known is None:
        known = b.known[x] = Basis(_diagonal(np.asarray(x.value)))
    return known.shift if isinstance(known, Basis) else None


class Basis:
    """What is known of a constant matrix: along which diagonal it has ones, if it has nothing else."""

    def __init__(self, shift: int | None) -> None:
        self.shift = shift


def _diagonal(value: np.ndarray[Any, Any]) -> int | None:
    rows = np.flatnonzero(value[:, 0] != 0)
    columns = np.flatnonzero(value[0] != 0)
    if len(rows) + len(columns) == 0 or len(rows) > 1 or len(columns) > 1:
        return None
    shift = int(columns[0]) if len(columns) else -int(rows[0])
    along = np.diagonal(value, shift)
    return shift if bool((along == 1).all()) and np.count_nonzero(value) == len(along) else None


def _moved(b: Rewriter, n: Node, x: Node, axis: int, shift: int, size: int) -> Node:
    """``size`` places along an axis, the one at i from i + shift; 0 where there is none."""
    start, stop = max(shift, 0), min(x.shape[axis], size + shift)
    taken = [Span(0, 1, m) for m in x.shape]
    taken[axis] = Span(start, 1, stop - start)
    found = part(b, n, x, taken)
    width = [(0, 0)] * len(x.shape)
    width[axis] = start - shift, size - (stop - shift)
    return b.make(n, view.Pad, found, width=tuple(width))


def _scaled_basis(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """(c · s) y -> c · (s y) for a basis s and a column c, (r · s) y -> s (rᵀ · y) for a row r, and the mirror image"""
    for k, scaled in enumerate((x, y)):
        if scaled.value is not None or scaled.op is not ew.Mul or len(scaled.shape) != 2 or scaled.dtype != n.dtype:
            continue
        basis, scale = scaled.inputs if _shift(b, scaled.inputs[0]) is not None else scaled.inputs[::-1]
        if _shift(b, basis) is None or basis.shape != scaled.shape or scale.dtype != n.dtype:
            continue
        other = y if k == 0 else x
        if len(other.shape) < 2:
            return None
        lead = (1,) * (2 - len(scale.shape)) + scale.shape
        outer, inner = (lead[1] == 1, lead[0] == 1) if k == 0 else (lead[0] == 1, lead[1] == 1)
        if outer:
            pair = (basis, other) if k == 0 else (other, basis)
            return b.make(n, ew.Mul, b.make(n, contraction.Matmul, *pair), b.reshape(n, scale, lead))
        if inner:
            other = b.make(n, ew.Mul, other, b.reshape(n, scale, lead[::-1]))
            return b.make(n, contraction.Matmul, *((basis, other) if k == 0 else (other, basis)))
    return None


RULES: dict[Any, tuple[Rule, ...]] = {
    ew.Add: (second(contraction.Matmul, _sum_of_products),),
    reduction.Sum: (
        first(ew.Mul, _sum_of_picked),
        first(contraction.Matmul, _sum_of_stack),
        first(contraction.Matmul, _sum_of_rows),
        first(contraction.Einsum, _sum_of_rows),
    ),
    contraction.Matmul: (
        first(Constant, _equal_rows),
        second(Constant, _equal_columns),
        first(Constant, _picked),
        second(Constant, _picked),
        first(ew.Mul, _scaled_basis),
        second(ew.Mul, _scaled_basis),
        first(ew.Neg, _negated),
        second(ew.Neg, _negated),
    ),
    contraction.Einsum: (first(ew.Neg, _negated), second(ew.Neg, _negated)),
}
FRUGAL = {op: rules for op, rules in RULES.items() if op is not ew.Add}  # one product needs the factors of all at once
