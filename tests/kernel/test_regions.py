"""Launches put together, and where their parts begin."""

from __future__ import annotations

from itertools import pairwise

from glassgrad.kernel.ir import Affine, Formal, Kernel, Launch, Load, MatMul, Name, Region, Store
from glassgrad.kernel.regions import TILES, cuts, grouped

SIDE = 64


def square() -> Kernel:
    """c = a @ b"""
    at = lambda row, column: Affine(0, ((row, SIDE), (column, 1)))
    body = (Store(2, at("i", "j"), Name("x")),)
    a, b = Load(0, at("i", "k")), Load(1, at("k", "j"))
    product = MatMul(("i", SIDE), ("j", SIDE), ("k", SIDE), a, b, "x", "float32", body)
    return Kernel((Formal("float32", SIDE * SIDE),) * 3, (product,))


def regions(*launches: tuple[int, int, int]) -> list[Region]:
    return grouped([Launch(0, on) for on in launches], [square()], range(100))


def test_launches_with_results_of_their_own_are_separate() -> None:
    (found,) = regions(*((0, 1, 2 + i) for i in range(10)))
    assert found.separate
    assert found.chunks > 1
    whole, rows = 0, [0] * found.chunks
    for at in cuts(found, [square()]):
        assert (at[0], at[-1]) == (0, SIDE)
        assert sorted(at) == list(at)
        assert all(begin % TILES == 0 for begin in at[:-1] if begin < SIDE)
        whole += len(set(at)) == 2
        rows = [n + end - begin for n, (begin, end) in zip(rows, pairwise(at), strict=True)]
    assert whole >= 10 - (found.chunks - 1)  # a border is in one launch at most
    assert max(rows) - min(rows) <= 2 * TILES  # each border is moved by half a tile at most


def test_layers_share_rows() -> None:
    (found,) = regions(*((i, 50 + i, i + 1) for i in range(10)))
    assert not found.separate
    assert found.chunks > 1
    assert len(set(cuts(found, [square()]))) == 1


def test_what_overwrites_or_reads_whole_waits() -> None:
    assert len(regions((0, 1, 2), (3, 2, 4))) == 2
    assert len(regions((0, 1, 2), (3, 4, 1))) == 2


def test_a_short_region_is_cut_side_by_side() -> None:
    (found,) = regions((0, 1, 2), (3, 4, 5))
    assert found.short
    assert not found.separate
