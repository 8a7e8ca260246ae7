"""Arrays with room for some rows more than there are, so that data of nearly as many rows share a program."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..graph.node import Value, shape_of
from ..ops import logic

BITS = 5  # of a number of rows; those below are rounded up, by a sixteenth at most
LARGE = 1 << 26  # bytes of an array that is not copied for the sake of a program


def roomy(rows: int) -> int:
    """The least number of at least so many rows, of which only the first BITS binary digits are not 0.

    >>> [roomy(rows) for rows in (3, 150, 200, 1437, 1438)]
    [3, 152, 200, 1472, 1472]
    """
    step = 1 << max(rows.bit_length() - BITS, 0)
    return -(-rows // step) * step


def with_room(data: dict[str, Any]) -> dict[str, Any]:
    """The same rows, followed by as many of zeros as make ``roomy``; large arrays as they are.

    >>> {name: column.shape for name, column in with_room({"x": np.ones((150, 3)), "y": np.ones((150, 1))}).items()}
    {'x': (152, 3), 'y': (152, 1)}
    """
    n = len(data["x"])
    more = roomy(n) - n
    if not more or data["x"].nbytes > LARGE:
        return data
    return {name: np.concatenate([a, np.zeros((more, *a.shape[1:]), a.dtype)]) for name, a in data.items()}


def counted(batch: dict[str, Value], count: Value) -> dict[str, Value]:
    """The same batch, of whose rows the first ``count`` count."""
    like = dtype_of(batch["x"])
    there = logic.astype(logic.less(np.arange(shape_of(batch["x"])[0]), count), like)
    if "w" in batch:
        return {**batch, "w": batch["w"] * there}
    return {**batch, "w": there, "rows": logic.astype(count, like)}
