"""Colourings: valid on random matrices, and as many colours as published for bands, arrows and grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.autodiff import colouring

sparse = pytest.importorskip("scipy.sparse")


def random_pattern(seed: int, symmetric: bool) -> Any:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(2, 25, 2)
    a = rng.random((n if symmetric else m, n)) < rng.uniform(0.05, 0.4)
    return sparse.csr_array(a | a.T if symmetric else a)


ORDERS = (None, *colouring.ORDERS)


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


def test_orders_are_what_they_are_called() -> None:
    near = colouring._neighbours(arrow(6))
    vertices = list(range(6))
    assert colouring._ORDERED["largest_first"](near, vertices)[0] == 0
    assert colouring._ORDERED["smallest_last"](near, vertices)[-1] != 0
    assert sorted(colouring._ORDERED["incidence_degree"](near, vertices)) == vertices
    with pytest.raises(ValueError, match="no order is named 'random'"):
        colouring.columns(arrow(6), "random")
