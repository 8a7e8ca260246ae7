"""bfloat16 by NumPy: an op's computation in float32, rounded by ``ml_dtypes``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

bfloat16 = ml_dtypes.bfloat16


def narrowed(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Arguments with bfloat16 for every real floating array."""
    return tuple(x.astype(bfloat16) if getattr(x, "dtype", np.dtype(object)).kind == "f" else x for x in inputs)


def widened(inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The same numbers as float32."""
    return tuple(x.astype(np.float32) if getattr(x, "dtype", None) == bfloat16 else x for x in inputs)


def computed(op: Any, inputs: Sequence[Any], params: dict[str, Any]) -> Any:
    """What an op has to give for arguments that may be bfloat16."""
    given = [x.dtype for x in inputs if hasattr(x, "dtype")]
    if op.moves or bfloat16 not in given:
        return op.eval(*inputs, **params)
    found = op.eval(*widened(inputs), **params)
    leaves = [
        y.astype(bfloat16) if y.dtype == np.float32 and np.float32 not in given else y
        for y in (found if isinstance(found, tuple) else (found,))
    ]
    return tuple(leaves) if isinstance(found, tuple) else leaves[0]
