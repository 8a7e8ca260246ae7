"""Choosing, logic, casts and complex parts. Every rewrite here gives the same bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import finfo, is_inexact, kind_of, real_dtype
from ..graph.apply import Output
from ..graph.node import Constant, Node
from ..graph.primitive import Elementwise
from ..ops import control, logic
from .rules import Rule, always, either, first

if TYPE_CHECKING:
    from .rewriter import Rewriter

Binary = Callable[["Rewriter", Node, Node, Node], Node | None]


def _known(b: Rewriter, c: Node) -> bool | None:
    """Whether all elements of a constant are true, or all false."""
    number = b.number(c)
    return None if number is None else bool(number)


def _chosen(b: Rewriter, n: Node, c: Node, x: Node, y: Node) -> Node | None:
    known = _known(b, c)
    if known is not None:
        return b.fitted(n, x if known else y)  # where(True, x, y) -> x, where(False, x, y) -> y
    return None


def _choice(b: Rewriter, n: Node, c: Node, x: Node, y: Node) -> Node | None:
    if x is y:
        return b.fitted(n, x)  # where(c, x, x) -> x
    if c.value is None and c.op is logic.LogicalNot:
        return b.make(n, n.op, c.inputs[0], y, x)  # where(not c, x, y) -> where(c, y, x)
    if x.value is None and x.op in _WHERE and x.inputs[0] is c and x.dtype == n.dtype:
        return b.make(n, n.op, c, x.inputs[1], y)  # where(c, where(c, x, y), z) -> where(c, x, z)
    if y.value is None and y.op in _WHERE and y.inputs[0] is c and y.dtype == n.dtype:
        return b.make(n, n.op, c, x, y.inputs[2])  # where(c, x, where(c, y, z)) -> where(c, x, z)
    for k, z in ((1, x), (2, y)):
        inside = _without_choice(b, c, z, k)
        if inside is not None:
            return b.make(n, n.op, c, *((inside, y) if k == 1 else (x, inside)))
    if n.dtype.kind == "b" and (_known(b, x), _known(b, y)) == (True, False) and c.dtype.kind == "b":
        return b.fitted(n, c)  # where(c, True, False) -> c
    return None


_WHERE = (logic.Where, logic.WhereIEEE)


def _without_choice(b: Rewriter, c: Node, x: Node, k: int) -> Node | None:
    """f(where(c, x, y)) -> f(x) inside of where(c, ...), and f(y) on its other side"""
    if x.value is not None or not issubclass(x.op, Elementwise) or b.uses.get(x, 1) > 1:
        return None
    inputs = [z.inputs[k] if z.value is None and z.op in _WHERE and z.inputs[0] is c else z for z in x.inputs]
    if all(a is z for a, z in zip(inputs, x.inputs, strict=True)):
        return None
    inside = b.make(x, x.op, *inputs, **x.params)
    return b.fitted(x, inside) if inside.dtype == x.dtype else None


def _bits(decisive: int) -> Binary:
    """x & c and x | c for a constant of no bits or of all, one of which decides and the other leaves x."""

    def rule(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
        number = b.number(c)
        if number is None or x.dtype != n.dtype:
            return None
        value = np.asarray(number).astype(n.dtype)
        if value == np.asarray(decisive).astype(n.dtype):
            return b.fitted(n, c)
        return b.fitted(n, x) if value == np.asarray(~decisive).astype(n.dtype) else None

    return rule


def _truth(decisive: bool) -> Binary:
    """The same for truth values."""

    def rule(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
        known = _known(b, c)
        if known is None:
            return None
        if known == decisive:
            return b.fitted(n, b.constant(np.bool_(decisive)))
        return b.fitted(n, x) if x.dtype.kind == "b" else None

    return rule


def _exclusive(b: Rewriter, n: Node, c: Node, x: Node) -> Node | None:
    known = _known(b, c)
    if known is None or x.dtype != n.dtype:
        return None
    if not known:
        return b.fitted(n, x)  # x ^ 0 -> x
    if n.dtype.kind == "b" and x.shape == n.shape:
        return b.make(n, logic.LogicalNot, x)  # x ^ True -> not x
    return None


def _same(b: Rewriter, n: Node, x: Node, y: Node) -> Node | None:
    return x if x is y else None


def _opposite(op: Any) -> Any:
    """not (x = y) -> x ≠ y; only these two are each other's opposite beside a NaN."""
    return lambda b, n, x: b.make(n, op, *x.inputs)


def holds(outer: np.dtype[Any], inner: np.dtype[Any]) -> bool:
    """Whether every value of the inner dtype has one of its own in the outer."""
    if outer.kind == "c" or inner.kind == "c":
        return outer.kind == "c" and holds(real_dtype(outer), real_dtype(inner))
    if kind_of(outer) == "f" and inner.kind in "iu":
        return bool(np.iinfo(inner).bits - (inner.kind == "i") <= finfo(outer).nmant + 1)
    return bool(np.can_cast(inner, outer, "safe"))


def _cast(b: Rewriter, n: Node, x: Node, *, dtype: np.dtype[Any]) -> Node | None:
    """cast(x, its dtype) -> x;  cast(cast(x, a), b) -> cast(x, b) where a holds all values of x"""
    if x.dtype == dtype:
        return x
    if x.value is not None or x.op not in _CASTS:
        return None
    inner = x.inputs[0]
    if not holds(x.dtype, inner.dtype):
        return None
    if inner.dtype == dtype:
        return inner
    if is_inexact(x.dtype) and dtype.kind in "iu" and inner.dtype.kind != "b":
        return None  # an integer out of range wraps, a float is what the machine makes of it
    return b.make(n, n.op, inner, dtype=dtype)


_CASTS = (logic.Cast, logic.ToInteger)


def _real(b: Rewriter, n: Node, x: Node) -> Node | None:
    return x if x.dtype.kind != "c" else None


def _passed(b: Rewriter, n: Node, x: Node, *rest: Node, **params: Any) -> Node:
    return x


def _passed_of_many(b: Rewriter, n: Node, x: Node, *, index: int) -> Node | None:
    return x.inputs[index] if x.op is control.OverrideMany else None


RULES: dict[Any, tuple[Rule, ...]] = {
    # What only mattered to the derivatives: alias(x) -> x, and the like
    control.Alias: (always(_passed),),
    control.Named: (always(_passed),),
    control.StopGradient: (always(_passed),),
    control.Override: (always(_passed),),
    control.Implicit: (always(_passed),),
    Output: (always(_passed_of_many),),
    **dict.fromkeys(_WHERE, (first(Constant, _chosen), always(_choice))),
    logic.LogicalAnd: (either(Constant, _truth(False)), always(_same)),  # x and True -> x, x and False -> False
    logic.LogicalOr: (either(Constant, _truth(True)), always(_same)),  # x or False -> x, x or True -> True
    logic.LogicalXor: (either(Constant, _exclusive),),
    logic.BitwiseAnd: (either(Constant, _bits(0)), always(_same)),  # x & 0 -> 0, x & -1 -> x, x & x -> x
    logic.BitwiseOr: (either(Constant, _bits(-1)), always(_same)),  # x | 0 -> x, x | -1 -> -1, x | x -> x
    logic.BitwiseXor: (either(Constant, _exclusive),),
    logic.LogicalNot: (
        first(logic.LogicalNot, lambda b, n, x: x.inputs[0]),  # not not x -> x, where x is a truth value
        first(logic.BitwiseNot, lambda b, n, x: x.inputs[0]),  # the same
        first(logic.Equal, _opposite(logic.NotEqual)),
        first(logic.NotEqual, _opposite(logic.Equal)),
    ),
    logic.BitwiseNot: (
        first(logic.BitwiseNot, lambda b, n, x: x.inputs[0]),  # ~~x -> x
        # ~x -> not x, where x is a truth value
        always(lambda b, n, x: b.make(n, logic.LogicalNot, x) if x.dtype.kind == "b" else None),
    ),
    logic.Cast: (always(_cast),),
    logic.ToInteger: (always(_cast),),
    logic.Real: (
        always(_real),  # Re x -> x, where x is real
        first(logic.Conj, lambda b, n, x: b.make(n, logic.Real, x.inputs[0])),  # Re conj(x) -> Re x
        # Re cast(x, complex) -> cast(x, real)
        first(logic.Cast, lambda b, n, x: b.make(n, logic.Cast, x.inputs[0], dtype=n.dtype) if _is_wider(x) else None),
    ),
    logic.Conj: (
        always(_real),  # conj(x) -> x, where x is real
        first(logic.Conj, lambda b, n, x: x.inputs[0]),  # conj(conj(x)) -> x
    ),
}


def _is_wider(x: Node) -> bool:
    """Whether a cast turned real numbers into complex ones."""
    return x.inputs[0].dtype.kind != "c"
