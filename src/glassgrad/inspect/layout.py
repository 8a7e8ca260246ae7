"""Where the boxes of a graph are drawn: in layers from the top down, as K. Sugiyama et al. 1981 lay out graphs.

Each box lies below all it is made from; within a layer boxes are ordered by the mean place of their neighbours in the
layers above and below, which keeps crossings few.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

SWEEPS = 6
GAP, DROP = 24.0, 46.0  # between boxes of a layer; between layers


class Box(NamedTuple):
    """A placed box: its centre and size."""

    x: float
    y: float
    width: float
    height: float


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> list[Box]:
    """A box for each size; ``edges`` lead from upper to lower boxes and form no cycle."""
    above: list[list[int]] = [[] for _ in sizes]
    below: list[list[int]] = [[] for _ in sizes]
    for a, b in edges:
        above[b].append(a)
        below[a].append(b)
    ranks = _ranks(above, below)
    layers: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for k, rank in enumerate(ranks):
        layers[rank].append(k)
    x = {k: 0.0 for k in range(len(sizes))}
    for layer in layers:
        _spread(layer, x, sizes)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for layer in layers if downwards else reversed(layers):
            beside = above if downwards else below
            wanted = {k: sum(x[j] for j in beside[k]) / len(beside[k]) if beside[k] else x[k] for k in layer}
            layer.sort(key=lambda k: wanted[k])
            x.update(wanted)
            _spread(layer, x, sizes)
    left = min((x[k] - w / 2 for k, (w, _) in enumerate(sizes)), default=0.0)
    boxes: list[Box] = [Box(0, 0, 0, 0)] * len(sizes)
    top = 0.0
    for layer in layers:
        height = max(sizes[k][1] for k in layer)
        for k in layer:
            boxes[k] = Box(x[k] - left, top + height / 2, *sizes[k])
        top += height + DROP
    return boxes


def _ranks(above: list[list[int]], below: list[list[int]]) -> list[int]:
    """The layer of each box: one below the lowest it is made from; what is made from nothing, just above its user."""
    ranks = [0] * len(above)
    waiting = [len(a) for a in above]
    order = [k for k, n in enumerate(waiting) if n == 0]
    for k in order:
        for j in below[k]:
            ranks[j] = max(ranks[j], ranks[k] + 1)
            waiting[j] -= 1
            if not waiting[j]:
                order.append(j)
    for k in order:
        if not above[k] and below[k]:
            ranks[k] = min(ranks[j] for j in below[k]) - 1
    return ranks


def _spread(layer: list[int], x: dict[int, float], sizes: Sequence[tuple[float, float]]) -> None:
    """Move the boxes of a layer apart, keeping their order and the middle of the layer where it was."""
    if not layer:
        return
    middle = sum(x[k] for k in layer) / len(layer)
    for before, k in itertools.pairwise(layer):
        x[k] = max(x[k], x[before] + (sizes[before][0] + sizes[k][0]) / 2 + GAP)
    shift = middle - sum(x[k] for k in layer) / len(layer)
    for k in layer:
        x[k] += shift
