"""Colours: groups of columns, or rows, of a sparse matrix that one pass can compute together.

A. H. Gebremedhin, F. Manne and A. Pothen, "What color is your Jacobian? Graph coloring for computing derivatives",
SIAM Review 47 (2005), algorithm 3.2; stars and trees after A. H. Gebremedhin, A. Tarafdar, F. Manne and A. Pothen, "New
acyclic and star coloring algorithms with application to computing Hessians", SIAM J. Sci. Comput. 29 (2007), algorithms
4.1 and 3.1.

Every colouring is greedy: vertices in some order, each given the least colour that is allowed. Sets of colours are
the bits of an int.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ShapeError
from . import ordering
from .ordering import ORDERS, Graph
from .places import Pattern, scipy_sparse

_TRIED = ("natural", "smallest_last")  # where no order is asked for
_CROWDED = 1 << 24  # pairs of neighbours from which the second is not tried then


@dataclass(frozen=True)
class Colouring:
    """Colours of the vertices, how many there are, and the order in which they were given.

    A vertex that needs none has the colour -1.
    """

    colours: Any
    count: int
    order: str


def colour(matrix: Any, kind: str = "columns", order: str | None = None) -> Any:
    """Colours for the columns, rows or both of a sparse matrix: which of them one pass can compute together.

    Parameters
    ----------
    matrix : of ``scipy.sparse``, any format, as ``scipy.io.mmread`` gives it, or a dense array. What is stored counts,
        also where it is 0; of a dense array what is not 0.
    kind : "columns" or "rows", of which no two of one colour share a row, or column (partial distance-2 colourings);
        "both" (bidirectional); "star" or "acyclic" for the rows and columns of a symmetric matrix
    order : in which colours are given, each vertex the least it may have: "natural", "largest_first", "smallest_last",
        "incidence_degree"; degrees are numbers of columns that share a row, or of neighbours for "star" and "acyclic".
        By default the natural order, or smallest last where that takes fewer colours

    Returns
    -------
    Colouring
        with ``colours`` (-1 for what is empty or takes no part), their ``count`` and the ``order``; for "both" a tuple
        of two, (columns, rows).

    Raises
    ------
    ShapeError
        if the matrix has not two axes, or a symmetric one is not square.
    ValueError
        if kind or order is none of these, or the pattern is not symmetric where it has to be.

    Examples
    --------
    >>> import glassgrad as gg
    >>> from scipy.sparse import diags_array
    >>> band = diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(6, 6))
    >>> gg.colour(band).colours
    array([0, 1, 2, 0, 1, 2])
    >>> [gg.colour(band, kind).count for kind in ("columns", "rows", "star", "acyclic")]
    [3, 3, 3, 2]
    >>> of_columns, of_rows = gg.colour(band, "both")
    """
    ways: dict[str, Any] = {"columns": columns, "rows": rows, "both": both, "star": star, "acyclic": acyclic}
    if kind not in ways:
        raise ValueError(f"colour: kind is {kind!r}, expected one of {', '.join(ways)}")
    if len(np.shape(matrix)) != 2:
        raise ShapeError(f"colour: a matrix has two axes: got shape {np.shape(matrix)}; use x.reshape(m, n)")
    p = scipy_sparse().csr_array(matrix)
    p.sum_duplicates()
    p = scipy_sparse().csr_array((np.ones(p.nnz, bool), p.indices, p.indptr), shape=p.shape)
    if kind in ("star", "acyclic"):
        if p.shape[0] != p.shape[1]:
            raise ShapeError(f"colour: a {kind} colouring is of a symmetric matrix: got shape {p.shape}; use 'columns'")
        alone = (p != p.T).nnz
        if alone:
            raise ValueError(
                f"colour: a {kind} colouring is of a symmetric pattern: got {alone} elements without their opposite; "
                f"use p + p.T, or kind='columns'"
            )
    return ways[kind](p, order)


def _least(taken: int) -> int:
    """The least colour that is not taken."""
    return (~taken & (taken + 1)).bit_length() - 1


def columns(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for columns, so that no row has two nonzeros in columns of one colour (a distance-2 colouring).

    Parameters
    ----------
    pattern : [m, n] sparse
    order : one of ``ORDERS``; by default the natural one, and smallest last if that takes more colours than the fullest
        row has nonzeros

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

    def colour(vertices: Iterable[int]) -> list[int]:
        seen = [0] * by_row.shape[0]  # of each row the colours of its columns
        found = [-1] * by_row.shape[1]
        for v in vertices:
            rows = touching[v]
            if not rows:
                continue
            taken = 0
            for r in rows:
                taken |= seen[r]
            c = _least(taken)
            found[v] = c
            for r in rows:
                seen[r] |= 1 << c
        return found

    touching, across = _lists(by_column), _lists(by_row)

    def near(v: int) -> Iterable[int]:
        """The columns that share a row with this one, in the order in which they are met row by row."""
        met = dict.fromkeys(itertools.chain.from_iterable([across[r] for r in touching[v]]))
        met.pop(v, None)
        return met

    return _best(colour, Graph(len(used), near), order, bound, sum(len(r) ** 2 for r in across))


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

    def colour(vertices: Iterable[int]) -> list[int]:
        n = len(near)
        found = [-1] * n
        around = [0] * n  # of each vertex the colours of its neighbours
        barred = [0] * n  # of a coloured vertex: colours of neighbours that have another neighbour of its colour
        with_colour: list[dict[int, list[int]]] = [{} for _ in range(n)]  # of each vertex its neighbours by colour
        for v in vertices:
            taken = 0
            for c, same in with_colour[v].items():
                taken |= 1 << c
                if len(same) == 1:
                    taken |= barred[same[0]]  # v, it, and a star that it is a leaf of
                else:
                    for w in same:
                        taken |= around[w]  # what is beside one of two, v in the middle
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
        return found

    return _best(colour, Graph.of_lists(near), order, _clique(pattern), pattern.nnz, _present(pattern))


def acyclic(pattern: Pattern, order: str | None = None) -> Colouring:
    """Colours for a symmetric matrix such that neighbours differ and every cycle has three.

    Fewer colours than ``star``; the nonzeros follow by substitution along the trees of each two colours.
    """
    if pattern.nnz == math.prod(pattern.shape):
        return _each_its_own(pattern)
    near = _neighbours(pattern)

    def colour(vertices: Iterable[int]) -> list[int]:
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
        return found

    return _best(colour, Graph.of_lists(near), order, 2, pattern.nnz, _present(pattern))


def _each_its_own(pattern: Pattern) -> Colouring:
    n = pattern.shape[0]
    return Colouring(np.arange(n), n, "natural")


def _best(
    colour: Callable[[Iterable[int]], list[int]],
    graph: Graph,
    order: str | None,
    bound: int,
    crowd: int,
    present: Any = None,
) -> Colouring:
    """The colouring in this order, or in the better of two. Vertices that are not present lose their colour."""
    if order is not None and order not in ORDERS:
        raise ValueError(f"colouring: no order is named {order!r}: expected one of {', '.join(ORDERS)}")
    best: Colouring | None = None
    for name in (order,) if order else _TRIED:
        if best is not None and (best.count <= bound or crowd > _CROWDED):
            break
        found = np.array(colour(ordering.ordered(graph, name)), int)
        if present is not None:
            found[~present] = -1
        count = int(found.max(initial=-1)) + 1
        if best is None or count < best.count:
            best = Colouring(found, count, name)
    assert best is not None
    return best


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
