"""Orders in which vertices are given colours; ties are settled as the published tables were made.

A. H. Gebremedhin, D. Nguyen, M. M. A. Patwary and A. Pothen, "ColPack: software for graph coloring and related problems
in scientific computing", ACM Transactions on Mathematical Software 40 (2013), section 5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

ORDERS = ("natural", "largest_first", "smallest_last", "incidence_degree")


class Graph(NamedTuple):
    """How many vertices there are, and the neighbours of each."""

    size: int
    near: Callable[[int], Iterable[int]]

    @classmethod
    def of_lists(cls, near: Sequence[Sequence[int]]) -> Graph:
        return cls(len(near), near.__getitem__)


def ordered(graph: Graph, order: str) -> Sequence[int]:
    """All vertices in an order.

    Parameters
    ----------
    graph : whose neighbours are those that must differ
    order : "natural", by number; "largest_first", by falling number of neighbours; "smallest_last", the last being the
        one with fewest neighbours, the one before it that with fewest among the others, and so on;
        "incidence_degree", always next the one with most neighbours among those before

    Examples
    --------
    >>> star = Graph.of_lists([[3], [3], [3], [0, 1, 2]])
    >>> [list(ordered(star, order)) for order in ORDERS]
    [[0, 1, 2, 3], [3, 0, 1, 2], [0, 3, 1, 2], [3, 2, 1, 0]]
    """
    if order == "natural":
        return range(graph.size)
    degrees = [sum(1 for _ in graph.near(v)) for v in range(graph.size)]
    if order == "largest_first":
        return sorted(range(graph.size), key=lambda v: -degrees[v])
    if order == "smallest_last":
        return _by_degree(graph, degrees, max(degrees, default=0), -1)[::-1]
    return _by_degree(graph, [0] * graph.size, max(degrees, default=0), 1)


def _by_degree(graph: Graph, degrees: list[int], most: int, step: int) -> list[int]:
    """Always next a vertex of least degree, or of greatest where degrees rise; its neighbours' then change by ``step``.

    Of equal ones the last in their bucket. One that comes is put there; the last takes the place of one that goes.
    """
    buckets: list[list[int]] = [[] for _ in range(most + 1)]
    place = [0] * graph.size
    for v, d in enumerate(degrees):
        place[v] = len(buckets[d])
        buckets[d].append(v)
    found, at = [], 0
    for _ in range(graph.size):
        at = max(at - 1, 0) if step < 0 else min(at + 1, most)
        while not buckets[at]:
            at -= step
        v = buckets[at].pop()
        degrees[v] = -1
        found.append(v)
        for w in graph.near(v):
            d = degrees[w]
            if d < 0:
                continue
            bucket = buckets[d]
            last = bucket[-1]
            bucket[place[w]], place[last] = last, place[w]
            bucket.pop()
            degrees[w] = d + step
            place[w] = len(buckets[d + step])
            buckets[d + step].append(w)
    return found
