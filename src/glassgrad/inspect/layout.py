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


class Layout(NamedTuple):
    """Boxes, and for each edge the points it goes through: below its upper box, past each layer, above its lower."""

    boxes: list[Box]
    routes: list[list[tuple[float, float]]]


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]]) -> Layout:
    """A box for each size; ``edges`` lead from upper to lower boxes and form no cycle."""
    count = len(sizes)
    ranks = _ranks(*_neighbours(count, edges))
    # A long edge is given a place of its own in each layer that it passes
    widths = [size[0] for size in sizes]
    chains: list[list[int]] = []
    for a, b in edges:
        chain = [a]
        for rank in range(ranks[a] + 1, ranks[b]):
            chain.append(len(ranks))
            ranks.append(rank)
            widths.append(0.0)
        chains.append([*chain, b])
    above, below = _neighbours(len(ranks), [e for chain in chains for e in itertools.pairwise(chain)])
    layers: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for k, rank in enumerate(ranks):
        layers[rank].append(k)
    x = [0.0] * len(ranks)
    for layer in layers:
        _spread(layer, x, widths)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        beside = above if downwards else below
        for layer in layers if downwards else reversed(layers):
            for k in layer:
                if beside[k]:
                    x[k] = sum(x[j] for j in beside[k]) / len(beside[k])
            layer.sort(key=lambda k: x[k])
            _spread(layer, x, widths)
    left = min((x[k] - w / 2 for k, w in enumerate(widths)), default=0.0)
    y, top = [0.0] * len(ranks), 0.0
    for layer in layers:
        height = max(sizes[k][1] if k < count else 0.0 for k in layer)
        for k in layer:
            y[k] = top + height / 2
        top += height + DROP
    boxes = [Box(x[k] - left, y[k], *sizes[k]) for k in range(count)]
    routes = []
    for chain in chains:
        start, end = boxes[chain[0]], boxes[chain[-1]]
        passed = [(x[k] - left, y[k]) for k in chain[1:-1]]
        routes.append([(start.x, start.y + start.height / 2), *passed, (end.x, end.y - end.height / 2)])
    return Layout(boxes, routes)


def _neighbours(count: int, edges: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    """What lies above and below each place."""
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        above[b].append(a)
        below[a].append(b)
    return above, below


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


def _spread(layer: list[int], x: list[float], widths: Sequence[float]) -> None:
    """Move the boxes of a layer apart, keeping their order and the middle of the layer where it was."""
    middle = sum(x[k] for k in layer) / len(layer)
    for before, k in itertools.pairwise(layer):
        x[k] = max(x[k], x[before] + (widths[before] + widths[k]) / 2 + GAP)
    shift = middle - sum(x[k] for k in layer) / len(layer)
    for k in layer:
        x[k] += shift
