"""Sums of products of 16-bit floats, as products of float32 that are rounded at the end.

The same bits, but for the order of the sums: kernels compute with 16-bit floats as float32 anyway, and have tiles of
matrix products for float32 only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..dtypes import kind_of
from ..graph.node import Node
from ..ops import contraction, conv
from .rules import Rule, always

if TYPE_CHECKING:
    from .rewriter import Rewriter


def _half(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize == 2 and kind_of(dtype) == "f"


def _widened(b: Rewriter, n: Node, *inputs: Node, **params: Any) -> Node | None:
    """x y -> cast(cast(x) cast(y))"""
    if not any(_half(x.dtype) for x in inputs):
        return None
    wide = np.dtype(np.float32) if _half(n.dtype) else n.dtype
    return b.cast(n, b.make(n, n.op, *(b.cast(n, x, wide) for x in inputs), **params), n.dtype)


RULES: dict[Any, tuple[Rule, ...]] = dict.fromkeys(
    (contraction.Matmul, contraction.Einsum, conv.Conv), (always(_widened),)
)
