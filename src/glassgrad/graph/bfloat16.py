"""bfloat16: stored in 16 bits, computed with as float32, rounded once an operation.

What ``ml_dtypes`` adds to NumPy is the dtype with functions of single elements; its sums lose what is small beside
them, and a Python number beside it makes float32 of it. So an op's own computation never sees the dtype, unless it only
moves elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..dtypes import is_bfloat16, stays_bfloat16
from .node import Params, Spec
from .primitive import Elementwise

_SINGLE = np.dtype(np.float32)


def evaluate(op: Any, values: Sequence[Any], params: Params) -> Any:
    """``op.eval`` of values, some of which may be bfloat16."""
    dtypes = [getattr(x, "dtype", None) for x in values]
    narrow = None if op.moves else _narrow(dtypes)
    if narrow is None:
        return op.eval(*values, **params)
    if not stays_bfloat16(dtypes):
        narrow = None
    wide = [_widened(x, narrow if issubclass(op, Elementwise) else None) for x in values]
    found = op.eval(*wide, **params)
    if narrow is None:
        return found
    return tuple(_rounded(y, narrow) for y in found) if op.outputs > 1 else _rounded(found, narrow)


def evaluator(op: Any, dtypes: Sequence[np.dtype[Any]]) -> Callable[..., Any]:
    """``op.eval`` for inputs of these dtypes, to be called many times."""
    if _narrow(dtypes) is None:
        return op.eval  # type: ignore[no-any-return]
    return lambda *values, **params: evaluate(op, values, params)


def infer(op: Any, specs: Sequence[Any], params: Params) -> Any:
    """``op.infer`` of specs and Python scalars, some of which may be bfloat16."""
    dtypes = [x.dtype if isinstance(x, Spec) else None for x in specs]
    narrow = None if op.moves else _narrow(dtypes)
    if narrow is None:
        return op.infer(*specs, **params)
    wide = [x._replace(dtype=_SINGLE) if isinstance(x, Spec) and is_bfloat16(x.dtype) else x for x in specs]
    found = op.infer(*wide, **params)
    if not stays_bfloat16(dtypes):
        return found
    rounded = [s._replace(dtype=narrow) if s.dtype == _SINGLE else s for s in (found if op.outputs > 1 else (found,))]
    return tuple(rounded) if op.outputs > 1 else rounded[0]


def _narrow(dtypes: Sequence[Any]) -> Any:
    return next((d for d in dtypes if d is not None and d.kind == "V" and is_bfloat16(d)), None)


def _widened(x: Any, narrow: Any) -> Any:
    """x as float32. A Python number is rounded as the arrays beside it are, and remains a Python number."""
    if x.__class__ is float or x.__class__ is int:
        return x if narrow is None else x.__class__(narrow.type(x))
    return x.astype(_SINGLE) if hasattr(x, "dtype") and is_bfloat16(x.dtype) else x


def _rounded(y: Any, narrow: Any) -> Any:
    return y.astype(narrow) if getattr(y, "dtype", None) == _SINGLE else y
