"""Arrays with room for some rows more than there are, so that data of nearly as many rows share a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..graph.node import Value, shape_of
from ..ops import logic

LARGE = 1 << 26  # bytes of an array that is not copied for the sake of a program
EIGHT = 8  # rows that take a step hardly longer than one does


def roomy(rows: int, digits: int) -> int:
    """The least multiple of EIGHT of at least so many rows, of which only the first binary ``digits`` are not 0.

    >>> [roomy(rows, 5) for rows in (3, 150, 200, 1437, 1438)], roomy(1437, 1)
    ([8, 152, 200, 1472, 1472], 2048)
    """
    step = max(1 << max(rows.bit_length() - digits, 0), EIGHT)
    return -(-rows // step) * step


def with_room(data: dict[str, Any], digits: int) -> dict[str, Any]:
    """The same rows, followed by as many of zeros as make their number ``roomy``; large arrays as they are.

    >>> {name: a.shape for name, a in with_room({"x": np.ones((150, 3)), "y": np.ones((150, 1))}, 5).items()}
    {'x': (152, 3), 'y': (152, 1)}
    """
    n = len(data["x"])
    rows = roomy(n, digits)
    if rows == n or data["x"].nbytes > LARGE:
        return data
    found = {name: np.empty((rows, *a.shape[1:]), a.dtype) for name, a in data.items()}
    for name, a in data.items():
        found[name][:n], found[name][n:] = a, 0
    return found


def counted(batch: dict[str, Value], count: Value) -> dict[str, Value]:
    """The same batch, of whose rows the first ``count`` count."""
    like = dtype_of(batch["x"])
    there = logic.less(np.arange(shape_of(batch["x"])[0]), count)
    weights = logic.astype(there, like)
    if "w" in batch:
        return {**batch, "there": there, "w": batch["w"] * weights}
    return {**batch, "there": there, "w": weights, "rows": logic.astype(count, like)}
