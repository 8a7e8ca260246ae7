"""Colours: groups of columns, or rows, of a sparse matrix that one pass can compute together.

A. H. Gebremedhin, F. Manne and A. Pothen, "What color is your Jacobian? Graph coloring for computing derivatives",
SIAM Review 47 (2005); the acyclic one after Gebremedhin, Tarafdar, Manne and Pothen, "New acyclic and star coloring
algorithms with application to computing Hessians", SIAM J. Sci. Comput. 29 (2007).

Every colouring is greedy: vertices in some order, each given the least colour that is allowed. Sets of colours are
the bits of an int.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .places import Pattern, scipy_sparse

ORDERS = ("natural", "largest_first", "smallest_last", "incidence_degree")

_CROWDED = 1 << 26  # neighbours beyond which orders that need all of them are not tried


@dataclass(frozen=True)
class Colouring:
    """Colours of the vertices, how many there are, and the order in which they were given.

    A vertex that needs none has the colour -1.
    """

    colours: Any
    count: int
    order: str


def _least(taken: int) -> int:
    """The least colour that is not taken."""
    return (~taken & (taken + 1)).bit_length() - 1


def columns(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for columns, so that no row has two nonzeros in columns of one colour (a distance-2 colouring).

    Parameters
    ----------
    pattern : [m, n] sparse
    order : one of ``ORDERS``; by default all, until one takes as few colours as the fullest row has nonzeros

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array, diags_array
    >>> columns(diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(100, 100)).tocsr()).count
    3
    """
    by_row, by_column = pattern.tocsr(), pattern.tocsc()
    used = np.diff(by_column.indptr) > 0
    bound = int(np.diff(by_row.indptr).max(initial=0))
    if order in (None, "natural") and bound == np.sum(used):  # a full row: each column has a colour of its own
        return Colouring(np.where(used, np.cumsum(used) - 1, -1), bound, "natural")

    def colour(vertices: Sequence[int]) -> tuple[list[int], int]:
        seen = [0] * by_row.shape[0]  # of each row the colours of its columns
        found = [-1] * by_row.shape[1]
        for v in vertices:
            rows = touching[v]
            taken = 0
            for r in rows:
                taken |= seen[r]
            c = _least(taken)
            found[v] = c
            for r in rows:
                seen[r] |= 1 << c
        return found, max(found, default=-1) + 1

    touching = _lists(by_column)
    return _best(colour, lambda: _squared(by_row), np.flatnonzero(used), order, bound)


def rows(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for rows, so that no column has two nonzeros in rows of one colour."""
    return columns(pattern.T.tocsr(), order)


def both(pattern: Pattern, order: str | None = None, below: int | None = None) -> tuple[Colouring, Colouring] | None:
    """Colours for some columns and some rows, so that each nonzero is alone with one of them: a few full rows, or
    columns, are taken one way and the rest the other.

    Returns the colours of columns and of rows; with ``below`` None if there is no hope of fewer than that. Of the ways
    to cut by the number of nonzeros in a row, or a column, those are tried whose lower bound is least.
    """
    best: tuple[Colouring, Colouring] | None = None
    for turned in (False, True):
        p = pattern.T.tocsr() if turned else pattern.tocsr()
        for full in _cuts(p, below):
            crossing = columns(p[np.flatnonzero(~full)], order)
            taken = rows(p[np.flatnonzero(full)], order)
            colours = np.full(len(full), -1)
            colours[full] = taken.colours
            pair = crossing, replace(taken, colours=colours)
            if best is None or sum(c.count for c in pair) < sum(c.count for c in best):
                best = pair[::-1] if turned else pair
    return best


def _cuts(p: Pattern, below: int | None) -> list[Any]:
    """Sets of the fullest rows to be taken one way, those first that promise least colours."""
    counts = np.diff(p.indptr)
    promised = []
    for level in np.unique(counts)[::-1][:16]:
        full = counts > level
        crowd = int(np.bincount(p[np.flatnonzero(full)].indices, minlength=1).max(initial=0))
        if below is None or int(level) + crowd < below:
            promised.append((int(level) + crowd, full))
    return [full for _, full in sorted(promised, key=lambda pair: pair[0])[:3]]


def star(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for a symmetric matrix such that neighbours differ and every path of four vertices has three.

    Then each nonzero, or the one opposite to it, is alone in its row with its colour, and can be read off directly.
    """
    if pattern.nnz == math.prod(pattern.shape):
        return _each_its_own(pattern)
    near = _neighbours(pattern)

    def colour(vertices: Sequence[int]) -> tuple[list[int], int]:
        n = len(near)
        found = [-1] * n
        around = [0] * n  # of each vertex the colours of its neighbours
        barred = [0] * n  # of a coloured vertex: colours of neighbours that have another neighbour of its colour
        with_colour: list[dict[int, list[int]]] = [{} for _ in range(n)]  # of each vertex its neighbours by colour
        for v in vertices:
            taken = 0
            for w in near[v]:
                taken |= around[w] if found[w] < 0 else barred[w] | (1 << found[w])
            c = _least(taken)
            found[v] = c
            for w in near[v]:
                around[w] |= 1 << c
                same = with_colour[w].setdefault(c, [])
                same.append(v)
                if found[w] >= 0 and len(same) > 1:
                    for x in same if len(same) == 2 else (v,):
                        barred[x] |= 1 << found[w]
            for same in with_colour[v].values():
                if len(same) > 1:
                    for x in same:
                        barred[x] |= 1 << c
        return found, max(found, default=-1) + 1

    return _best(colour, lambda: near, np.flatnonzero(_present(pattern)), order, _clique(pattern))


def acyclic(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for a symmetric matrix such that neighbours differ and every cycle has three.

    Fewer colours than ``star``; the nonzeros follow by substitution along the trees of each two colours.
    """
    if pattern.nnz == math.prod(pattern.shape):
        return _each_its_own(pattern)
    near = _neighbours(pattern)

    def colour(vertices: Sequence[int]) -> tuple[list[int], int]:
        n = len(near)
        found = [-1] * n
        around = [0] * n
        above: dict[tuple[int, int], tuple[int, int]] = {}  # trees: (vertex, the other colour)

        def root(x: tuple[int, int]) -> tuple[int, int]:
            while (up := above.get(x, x)) != x:
                above[x] = above.get(up, up)
                x = above[x]
            return x

        for v in vertices:
            taken = 0
            groups: dict[int, list[int]] = {}
            for w in near[v]:
                if found[w] >= 0:
                    taken |= 1 << found[w]
                    groups.setdefault(found[w], []).append(w)
            for group in groups.values():
                if len(group) > 1:
                    reached: set[tuple[int, int, int]] = set()
                    for w in group:
                        colours = around[w] & ~taken
                        while colours:
                            other = colours.bit_length() - 1
                            colours ^= 1 << other
                            tree = (other, *root((w, other)))
                            if tree in reached:
                                taken |= 1 << other  # two ways from v into one tree would close a cycle
                            reached.add(tree)
            c = _least(taken)
            found[v] = c
            for w in near[v]:
                around[w] |= 1 << c
                if found[w] >= 0:
                    above[root((v, found[w]))] = root((w, c))
        return found, max(found, default=-1) + 1

    return _best(colour, lambda: near, np.flatnonzero(_present(pattern)), order, 2)


def _each_its_own(pattern: Pattern) -> Colouring:
    n = pattern.shape[0]
    return Colouring(np.arange(n), n, "natural")


def _best(
    colour: Callable[[Sequence[int]], tuple[list[int], int]],
    near: Callable[[], list[list[int]] | None],
    vertices: Any,
    order: str | None,
    bound: int,
) -> Colouring:
    """The colouring in this order, or in the best of all."""
    if order is not None and order not in ORDERS:
        raise ValueError(f"colouring: no order is named {order!r}: expected one of {', '.join(ORDERS)}")
    best: Colouring | None = None
    graph: list[list[int]] | None = None
    for name in (order,) if order else ORDERS:
        ordered: Sequence[int] = vertices.tolist()
        if name != "natural":
            graph = graph or near()
            if graph is None:  # too crowded to be looked at
                name = "natural"
                if best is not None:
                    break
            else:
                ordered = _ORDERED[name](graph, ordered)
        colours, count = colour(ordered)
        if best is None or count < best.count:
            best = Colouring(np.array(colours, int), count, name)
        if best.count <= bound:
            break
    assert best is not None
    return best


# ---- orders


def _largest_first(near: list[list[int]], vertices: Sequence[int]) -> list[int]:
    """By falling number of neighbours."""
    return sorted(vertices, key=lambda v: -len(near[v]))


def _smallest_last(near: list[list[int]], vertices: Sequence[int]) -> list[int]:
    """Last the vertex with fewest neighbours, before it the one with fewest among the others, and so on."""
    return _by_degree(near, vertices, [len(near[v]) for v in range(len(near))], -1)[::-1]


def _incidence_degree(near: list[list[int]], vertices: Sequence[int]) -> list[int]:
    """Always next the vertex with most neighbours among those that came before."""
    return _by_degree(near, vertices, [0] * len(near), -1)


def _by_degree(near: list[list[int]], vertices: Sequence[int], degree: list[int], step: int) -> list[int]:
    """Always next the vertex of least degree; then those of its neighbours change by ``step``."""
    left = set(vertices)
    heap = [(degree[v], v) for v in vertices]
    heapq.heapify(heap)
    found = []
    while heap:
        d, v = heapq.heappop(heap)
        if v not in left or d != degree[v]:
            continue
        left.discard(v)
        found.append(v)
        for w in near[v]:
            if w in left:
                degree[w] += step
                heapq.heappush(heap, (degree[w], w))
    return found


_ORDERED: dict[str, Callable[[list[list[int]], Sequence[int]], list[int]]] = {
    "largest_first": _largest_first,
    "smallest_last": _smallest_last,
    "incidence_degree": _incidence_degree,
}


# ---- graphs of matrices


def _lists(p: Any) -> list[list[int]]:
    """The indices of each compressed row or column."""
    indices = p.indices.tolist()
    return [indices[a:b] for a, b in itertools.pairwise(p.indptr.tolist())]


def _without_diagonal(p: Pattern) -> Pattern:
    p = p.tocoo()
    off = p.coords[0] != p.coords[1]
    chosen = (p.data[off], (p.coords[0][off], p.coords[1][off]))
    return scipy_sparse().coo_array(chosen, shape=p.shape).tocsr()


def _neighbours(pattern: Pattern) -> list[list[int]]:
    return _lists(_without_diagonal(pattern))


def _squared(by_row: Pattern) -> list[list[int]] | None:
    """For each column those that share a row with it; None where they are too many."""
    if int((np.diff(by_row.indptr).astype(float) ** 2).sum()) > _CROWDED:
        return None
    p = by_row.astype(bool)
    return _neighbours((p.T.tocsr() @ p).tocsr())


def _present(pattern: Pattern) -> Any:
    return np.diff(pattern.tocsr().indptr) > 0


def _clique(pattern: Pattern) -> int:
    """A lower bound for stars: 1 if nothing is off the diagonal, 2 if there are no paths of four, else 3."""
    off = _without_diagonal(pattern)
    if not off.nnz:
        return 1
    degree = np.diff(off.indptr)
    a, b = off.tocoo().coords
    return 3 if bool(((degree[a] > 1) & (degree[b] > 1)).any()) else 2
