"""Matrix products: sums of several as one, and those with equal rows.

The sums of products are taken in another order, which changes how they are rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..graph.node import Constant, Node
from ..ops import contraction, view
from ..ops import elementwise as ew
from .rearrange import PARTS
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


RULES: dict[Any, tuple[Rule, ...]] = {
    ew.Add: (second(contraction.Matmul, _sum_of_products),),
    contraction.Matmul: (first(Constant, _equal_rows), second(Constant, _equal_columns)),
}
FRUGAL = {contraction.Matmul: RULES[contraction.Matmul]}  # a sum of products as one needs the factors of all at once
