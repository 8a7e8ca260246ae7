"""Colourings: valid on random matrices, and as many colours as published for bands, arrows and grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.autodiff import colouring, ordering
from glassgrad.errors import ShapeError

sparse = pytest.importorskip("scipy.sparse")


def random_pattern(seed: int, symmetric: bool) -> Any:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 25, 2)
    a = rng.random((n if symmetric else m, n)) < rng.uniform(0.05, 0.4)
    return sparse.csr_array(a | a.T if symmetric else a)


ORDERS = (None, *ordering.ORDERS)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(8))
def test_columns_and_rows_of_one_colour_share_nothing(seed: int, order: str | None) -> None:
    p = random_pattern(seed, False)
    for found, matrix in ((colouring.columns(p, order), p.toarray()), (colouring.rows(p, order), p.toarray().T)):
        for row in matrix:
            own = found.colours[np.flatnonzero(row)]
            assert len(set(own)) == len(own) and (own >= 0).all()
        assert set(found.colours) - {-1} == set(range(found.count))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(8))
def test_both_ways_each_nonzero_is_alone_in_one(seed: int, order: str | None) -> None:
    p = random_pattern(seed, False)
    pair = colouring.both(p, order)
    assert pair is not None
    across, along = pair
    a = p.toarray()
    for i, j in zip(*np.nonzero(a), strict=True):
        in_row = along.colours[i] < 0 and np.sum(a[i] & (across.colours == across.colours[j])) == 1
        in_column = along.colours[i] >= 0 and np.sum(a[:, j] & (along.colours == along.colours[i])) == 1
        assert in_row or in_column
    assert across.count + along.count <= min(colouring.columns(p, order).count, colouring.rows(p, order).count)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("seed", range(12))
def test_stars_and_trees(seed: int, order: str | None) -> None:
    p = random_pattern(seed, True)
    a = p.toarray()
    np.fill_diagonal(a, False)
    for found, most_edges in ((colouring.star(p, order), "stars"), (colouring.acyclic(p, order), "trees")):
        c = found.colours
        assert not (a & (c[:, None] == c)).any()  # neighbours differ
        for one in range(found.count):
            for other in range(one):
                chosen = np.flatnonzero((c == one) | (c == other))
                sub = a[np.ix_(chosen, chosen)]
                parts, label = sparse.csgraph.connected_components(sparse.csr_array(sub))
                assert sub.sum() // 2 == len(chosen) - parts  # no cycle
                if most_edges == "stars":
                    for k in range(parts):
                        degrees = sub[label == k].sum(1)
                        assert np.sum(degrees > 1) <= 1  # one hub, so no path of four vertices


def band(n: int, k: int) -> Any:
    return sparse.diags_array([1.0] * (2 * k + 1), offsets=range(-k, k + 1), shape=(n, n)).tocsr().astype(bool)


def arrow(n: int) -> Any:
    a = sparse.eye_array(n, dtype=bool, format="lil")
    a[0, :] = a[:, 0] = True
    return a.tocsr()


def grid(m: int) -> Any:
    line, one = band(m, 1).astype(int), sparse.eye_array(m, dtype=int)
    return (sparse.kron(line, one) + sparse.kron(one, line)).tocsr().astype(bool)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_a_band_takes_as_many_colours_as_it_is_wide(k: int) -> None:
    """A. R. Curtis, M. J. D. Powell and J. K. Reid (1974): 2k + 1."""
    p = band(100, k)
    assert colouring.columns(p).count == colouring.rows(p).count == 2 * k + 1
    assert colouring.star(p).count <= 2 * k + 1
    assert colouring.acyclic(p).count == k + 1  # substitution: T. F. Coleman and J.-Y. Cai (1986)


def test_an_arrow() -> None:
    """One full row, column and the diagonal: n colours one way, 2 for the symmetric matrix, 3 by rows and columns."""
    p = arrow(200)
    assert colouring.columns(p).count == 200
    assert colouring.star(p).count == colouring.acyclic(p).count == 2
    assert sum(c.count for c in colouring.both(p) or ()) == 3
    assert colouring.both(p, below=3) is None


def test_a_full_matrix() -> None:
    p = sparse.csr_array(np.ones((5, 5), bool))
    for find in (colouring.columns, colouring.rows, colouring.star, colouring.acyclic):
        assert find(p).colours.tolist() == [0, 1, 2, 3, 4] and find(p).count == 5


def test_a_grid() -> None:
    """The five-point star has five in a row; a distance-2 colouring with five exists (x + 2 y mod 5)."""
    p = grid(12)
    assert 5 <= colouring.columns(p).count <= 7
    assert colouring.star(p).count <= 6 and colouring.acyclic(p).count <= 4


# ---- the published definitions, slowly


def neighbours(p: Any, kind: str) -> list[set[int]]:
    a = p.toarray().astype(int)
    near = (a.T @ a if kind == "columns" else a) > 0
    return [set(np.flatnonzero(row)) - {v} for v, row in enumerate(near)]


@pytest.mark.parametrize("kind", ["columns", "star"])
@pytest.mark.parametrize("seed", range(6))
def test_orders_are_what_they_are_called(seed: int, kind: str) -> None:
    near = neighbours(random_pattern(seed, kind == "star"), kind)
    graph = ordering.Graph.of_lists([sorted(x) for x in near])
    found = {order: list(ordering.ordered(graph, order)) for order in ordering.ORDERS}
    vertices = list(range(len(near)))
    assert all(sorted(f) == vertices for f in found.values())
    assert found["natural"] == vertices
    assert found["largest_first"] == sorted(vertices, key=lambda v: (-len(near[v]), v))
    for k, v in enumerate(found["smallest_last"]):
        before = set(found["smallest_last"][: k + 1])
        assert len(near[v] & before) == min(len(near[w] & before) for w in before)
    for k, v in enumerate(found["incidence_degree"]):
        before = set(found["incidence_degree"][:k])
        assert len(near[v] & before) == max(len(near[w] & before) for w in set(vertices) - before)


def is_star(c: list[int], near: list[set[int]]) -> bool:
    """No two neighbours alike, and no path of four vertices has two colours; -1 is none."""
    edges = [(v, w) for v in range(len(near)) for w in near[v] if c[v] >= 0 and c[w] >= 0]
    for v, w in edges:
        if c[v] == c[w]:
            return False
        if any(c[u] == c[w] for u in near[v] - {w}) and any(c[x] == c[v] for x in near[w] - {v}):
            return False
    return True


def is_acyclic(c: list[int], near: list[set[int]]) -> bool:
    """No two neighbours alike, and no cycle has two colours."""
    if any(c[v] == c[w] >= 0 for v in range(len(near)) for w in near[v]):
        return False
    for one, other in itertools.combinations(range(max(c) + 1), 2):
        chosen = [v for v in range(len(near)) if c[v] in (one, other)]
        edges = sum(len(near[v] & set(chosen)) for v in chosen) // 2
        a = np.array([[w in near[v] for w in chosen] for v in chosen], bool).reshape(len(chosen), len(chosen))
        if edges > len(chosen) - sparse.csgraph.connected_components(sparse.csr_array(a))[0]:
            return False
    return True


@pytest.mark.parametrize("kind", ["columns", "star", "acyclic"])
@pytest.mark.parametrize("order", ordering.ORDERS)
@pytest.mark.parametrize("seed", range(4))
def test_each_vertex_has_the_least_colour_it_may_have(seed: int, order: str, kind: str) -> None:
    p = random_pattern(seed, kind != "columns")
    near = neighbours(p, kind)
    rows = [np.flatnonzero(column) for column in p.toarray().T]  # neighbours in the order of the rows they share
    listed = [sorted(x) for x in near]
    if kind == "columns":
        listed = [
            list(dict.fromkeys(w for r in rows[v] for w in np.flatnonzero(p.toarray()[r]) if w != v))
            for v in range(len(near))
        ]
    allowed = {"columns": lambda c, near: all(c[v] != c[w] for v in range(len(c)) for w in near[v] if c[v] >= 0)}
    allowed |= {"star": is_star, "acyclic": is_acyclic}
    colours = [-1] * len(near)
    for v in ordering.ordered(ordering.Graph.of_lists(listed), order):
        if len(rows[v]):
            for colours[v] in range(len(near)):
                if allowed[kind](colours, near):
                    break
    assert gg.colour(p, kind, order).colours.tolist() == colours


def stencil(m: int, offsets: Sequence[tuple[int, ...]]) -> Any:
    """The pattern of a difference stencil on a grid with m points each way."""
    places = np.arange(m ** len(offsets[0])).reshape((m,) * len(offsets[0]))
    pairs = []
    for offset in offsets:
        here = tuple(slice(max(-o, 0), m - max(o, 0)) for o in offset)
        there = tuple(slice(max(o, 0), m - max(-o, 0)) for o in offset)
        pairs.append((places[here].reshape(-1), places[there].reshape(-1)))
    i, j = (np.concatenate(x) for x in zip(*pairs, strict=True))
    return sparse.coo_array((np.ones(len(i)), (i, j)), shape=(places.size, places.size))


@pytest.mark.parametrize(("name", "least", "most"), [("five", 5, 7), ("nine", 9, 9), ("seven", 7, 12)])
def test_stencils(name: str, least: int, most: int) -> None:
    """No fewer than the stencil has points; the nine-point one takes nine: x mod 3 + 3 (y mod 3)."""
    offsets = {
        "five": [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)],
        "nine": list(itertools.product((-1, 0, 1), repeat=2)),
        "seven": [(0, 0, 0), *(tuple(s * (i == k) for i in range(3)) for k in range(3) for s in (-1, 1))],
    }[name]
    p = stencil(9 if name == "seven" else 20, offsets)
    found = {order: gg.colour(p, order=order).count for order in (None, *ordering.ORDERS)}
    assert least <= min(found.values()) == found[None] <= most


def test_a_small_one_by_hand() -> None:
    p = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    assert gg.colour(p).colours.tolist() == [0, 1, 0, 1, 1]
    assert gg.colour(p, "rows").colours.tolist() == [0, 1, 0, 1]


def test_any_format_and_what_is_stored() -> None:
    dense = np.eye(5) + np.eye(5, k=1)
    for form in ("csr", "csc", "coo", "lil", "dia"):
        assert gg.colour(sparse.csr_matrix(dense).asformat(form)).count == 2
        assert gg.colour(sparse.csr_array(dense).asformat(form), "rows").count == 2
    assert gg.colour(dense).count == 2 and gg.colour(dense > 0).count == 2
    stored = sparse.csr_array((np.zeros(2), ([0, 0], [0, 1])), shape=(1, 3))
    assert gg.colour(stored).colours.tolist() == [0, 1, -1]
    columns, rows = gg.colour(arrow(50), "both")
    assert columns.count + rows.count == 3
    assert gg.colour(sparse.csr_array((0, 4))).count == 0


def test_a_matrix_market_file(tmp_path: Any) -> None:
    from scipy.io import mmread, mmwrite

    mmwrite(tmp_path / "band.mtx", sparse.coo_array(band(30, 2).astype(float)), symmetry="symmetric")
    p = mmread(tmp_path / "band.mtx")
    assert [gg.colour(p, kind).count for kind in ("columns", "star", "acyclic")] == [5, 5, 3]


@pytest.mark.parametrize(
    ("matrix", "options", "error", "message"),
    [
        (np.eye(3), {"kind": "diagonal"}, ValueError, "kind is 'diagonal', expected one of columns, rows, both"),
        (np.eye(3), {"order": "random"}, ValueError, "no order is named 'random'"),
        (np.ones(3), {}, ShapeError, r"a matrix has two axes: got shape \(3,\)"),
        (np.ones((2, 3)), {"kind": "star"}, ShapeError, r"symmetric matrix: got shape \(2, 3\)"),
        (np.eye(3, k=1), {"kind": "acyclic"}, ValueError, "got 4 elements without their opposite"),
    ],
)
def test_what_is_refused(matrix: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        gg.colour(matrix, **options)
