"""Which sums over the rows of a batch are taken part by part.

A thread that has done its rows of all layers goes on with what they give to the gradients of the weights, while they
are in its caches. What the parts gave is added up afterwards: that is little, unless gradients are larger than what
they are made of. Then threads take rows of a gradient instead, and each reads all rows of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..graph.node import Node
from ..ops import contraction, view
from .cost import product_time

ROWS = 128  # about so many rows of many numbers each are summed into one part: they stay in cache
MOST = 4 * ROWS  # rows of a batch; longer sums are always taken in parts
PARTS = (4, 2)  # of a batch: for so many threads
FEWEST = 32  # rows of such a part
WORTH = 12_000.0  # nanoseconds that the products of a batch take, or it is not worth another thread's while


def rows_at_once(extent: int) -> int:
    """How many rows are summed into one part, a divisor if there is a good one; 0 for all."""
    if extent < MOST:
        return next((extent // n for n in PARTS if extent % n == 0 and extent // n >= FEWEST), 0)
    return next((s for s in range(ROWS + ROWS // 4, ROWS // 2, -1) if extent % s == 0), ROWS)


def batches(nodes: Iterable[Node]) -> set[int]:
    """Numbers of rows, less than MOST, of which sums are taken part by part.

    By the products xᵀ g, [K,M] x [K,N] -> [M,N], over so many rows K: a part's is smaller than its rows of x and g.
    And there must be products, of which a thread makes such rows, to go on from.
    """
    time: dict[int, float] = {}
    made, refused = set(), set()
    for node in nodes:
        if node.op is not contraction.Matmul or len(node.shape) != 2:
            continue
        (m, n), k = node.shape, node.inputs[1].shape[0]
        if node.inputs[0].op is not view.Transpose:
            made.add(m)
            continue
        time[k] = time.get(k, 0.0) + product_time(m, n, k, node.dtype.itemsize)
        if m * n > (m + n) * rows_at_once(k):
            refused.add(k)
    return {k for k in made - refused if k < MOST and time.get(k, 0.0) >= WORTH}
