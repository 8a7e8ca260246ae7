"""Arithmetic. Every rewrite here gives the same bits, but for the sign of a NaN.

None of them is for complex numbers, whose product with a real one is not that of their parts: inf · (1 + 0i) holds
0 · inf. And none drops a value that may be inf or NaN: 0 · x and x - x stay. A negation moves outwards until a constant
or a difference takes it in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import finfo, is_inexact, kind_of
from ..graph.node import Constant, Node
from ..ops import elementwise as ew
from ..ops import logic, reduction, view
from .rules import Rule, always, either, first, second

if TYPE_CHECKING:
    from .rewriter import Rewriter


def _is(b: Rewriter, x: Node, value: float) -> bool:
    """Whether all elements of a real constant equal a number."""
    number = b.number(x)
    return number is not None and number == value and np.asarray(number).dtype.kind != "c"


def _negated(b: Rewriter, c: Node, dtype: np.dtype[Any]) -> Node | None:
    """-c for a floating constant beside values of a dtype."""
    number = b.number(c)
    if number is None or kind_of(dtype) != "f" or kind_of(np.asarray(number).dtype) not in "if" or number == 0:
        return None
    if isinstance(number, (int, float)) and not isinstance(number, np.generic):
        return b.constant(-number)
    return b.make(c, ew.Neg, c) if kind_of(np.asarray(number).dtype) == "f" else None


def _times_number(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
    if n.dtype.kind == "c":
        return None
    if _is(b, c, 1):
        return b.fitted(n, x)  # x * 1 -> x
    if _is(b, c, -1) and kind_of(n.dtype) in "if":
        return b.make(n, ew.Neg, b.fitted(n, x))  # x * -1 -> -x
    if x.op is ew.Neg and x.value is None and kind_of(x.dtype) == "f":
        opposite = _negated(b, c, n.dtype)
        return None if opposite is None else b.make(n, ew.Mul, x.inputs[0], opposite)  # -x * c -> x * -c
    return None


def _by_number(b: Rewriter, n: Node, x: Node, c: Node) -> Node | None:
    if n.dtype.kind == "c":
        return None
    if _is(b, c, 1):
        return b.fitted(n, x)  # x / 1 -> x
    if kind_of(n.dtype) != "f" or x.dtype != n.dtype:
        return None
    if x.op is ew.Neg and x.value is None:
        opposite = _negated(b, c, n.dtype)
        return None if opposite is None else b.make(n, ew.Div, x.inputs[0], opposite)  # -x / c -> x / -c
    inverse = _exact_inverse(b.number(c), n.dtype)
    return None if inverse is None else b.make(n, ew.Mul, x, b.constant(inverse))  # x / 2ᵏ -> x * 2⁻ᵏ


def _share(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    """c / y -> where(c, 1 / y, 0 / y) for a condition c and fewer y: the share of each of the largest that tie"""
    condition = _of(x)
    fewer = y.value is None and math.prod(y.shape) < math.prod(n.shape)
    if not fewer or condition.dtype.kind != "b" or kind_of(n.dtype) != "f" or {x.dtype, y.dtype} != {n.dtype}:
        return None
    shares = [b.make(n, ew.Div, b.constant(number), y) for number in (1.0, 0.0)]
    return b.make(n, logic.Where, condition, *shares)


def _exact_inverse(number: Any, dtype: np.dtype[Any]) -> float | None:
    """1 / c where c is a power of two, and neither is too small for a normal number of the dtype."""
    if number is None or not math.isfinite(number) or not number:
        return None
    digits, power = math.frexp(number)
    exact = abs(digits) == 0.5 and abs(power - 1) <= -finfo(dtype).minexp
    return 1.0 / float(number) if exact else None


def _plus_number(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
    # x + 0 -> x, where 0 is an integer or -0.0: 0.0 makes 0.0 of -0.0
    if n.dtype.kind == "c" or not _is(b, c, 0):
        return None
    return b.fitted(n, x) if n.dtype.kind in "iu" or math.copysign(1, b.number(c)) < 0 else None


def _minus_number(b: Rewriter, n: Node, x: Node, c: Node) -> Node | None:
    # x - 0 -> x, but not x - (-0.0)
    if n.dtype.kind == "c" or not _is(b, c, 0):
        return None
    return b.fitted(n, x) if n.dtype.kind in "iu" or math.copysign(1, b.number(c)) > 0 else None


def _negated_product(b: Rewriter, n: Node, x: Node) -> Node | None:
    """-(x * c) -> x * -c, the same for a quotient"""
    op, (p, q) = x.op, x.inputs
    for k, c in enumerate((p, q)):
        opposite = _negated(b, c, n.dtype)
        if opposite is not None:
            return b.make(n, op, *((opposite, q) if k == 0 else (p, opposite)))
    return None


def _outward(b: Rewriter, n: Node, negated: Node, result: Callable[[], Node]) -> Node | None:
    """-result() for a negated real float; of integers -0 is 0, and the least one is its own opposite."""
    return b.make(n, ew.Neg, result()) if kind_of(n.dtype) == kind_of(negated.dtype) == "f" else None


def _added(b: Rewriter, n: Node, op: Any, y: Node, negated: Node) -> Node | None:
    """y op x for the x that was negated, where it was negated in the arithmetic of the sum."""
    same = negated.dtype == n.dtype or kind_of(negated.dtype) == kind_of(n.dtype) == "f"
    return b.make(n, op, y, negated.inputs[0]) if same else None


def _of(x: Node) -> Node:
    return x.inputs[0]


def _to_power(b: Rewriter, n: Node, x: Node, c: Node) -> Node | None:
    if n.dtype.kind == "c" or x.dtype.kind == "c":
        return None
    if _is(b, c, 1):
        return b.fitted(n, x)  # x ** 1 -> x
    if _is(b, c, 0):
        return b.fitted(n, b.constant(1))  # x ** 0 -> 1, for inf and NaN too
    return None


RULES: dict[Any, tuple[Rule, ...]] = {
    ew.Neg: (
        first(ew.Neg, lambda b, n, x: _of(x)),  # -(-x) -> x
        first(ew.Mul, _negated_product),
        first(ew.Div, _negated_product),
    ),
    ew.Mul: (
        either(Constant, _times_number),
        # -x * y -> -(x * y), where a second negation cancels the first
        either(ew.Neg, lambda b, n, x, y: _outward(b, n, x, lambda: b.make(n, ew.Mul, _of(x), y))),
    ),
    ew.Div: (
        second(Constant, _by_number),
        first(logic.Cast, _share),
        # -x / y -> -(x / y)
        first(ew.Neg, lambda b, n, x, y: _outward(b, n, x, lambda: b.make(n, ew.Div, _of(x), y))),
        # x / -y -> -(x / y)
        second(ew.Neg, lambda b, n, x, y: _outward(b, n, y, lambda: b.make(n, ew.Div, x, _of(y)))),
    ),
    ew.Add: (
        either(Constant, _plus_number),
        either(ew.Neg, lambda b, n, x, y: _added(b, n, ew.Sub, y, x)),  # -x + y -> y - x
    ),
    ew.Sub: (
        second(Constant, _minus_number),
        second(ew.Neg, lambda b, n, x, y: _added(b, n, ew.Add, x, y)),  # x - -y -> x + y
    ),
    ew.Power: (second(Constant, _to_power),),
    ew.Abs: (
        # |-x| -> |x|
        first(ew.Neg, lambda b, n, x: b.make(n, ew.Abs, _of(x)) if is_inexact(x.dtype) else None),
    ),
    logic.Maximum: (always(lambda b, n, x, y: x if x is y else None),),  # max(x, x) -> x
    logic.Minimum: (always(lambda b, n, x, y: x if x is y else None),),  # min(x, x) -> x
    # What follows hands a negation on, so that it meets what can take it in.
    # Σ -x -> -(Σ x)
    reduction.Sum: (
        first(ew.Neg, lambda b, n, x, **p: _outward(b, n, x, lambda: b.make(n, reduction.Sum, _of(x), **p))),
    ),
    # reshape(-x) -> -reshape(x)
    view.Reshape: (
        first(ew.Neg, lambda b, n, x, **p: _outward(b, n, x, lambda: b.make(n, view.Reshape, _of(x), **p))),
    ),
}
