"""Launches put together, and where their parts begin."""

from __future__ import annotations

from itertools import pairwise

from glassgrad.kernel.ir import Affine, Formal, Kernel, Launch, Let, Load, Loop, MatMul, Name, Region, Scalar, Store
from glassgrad.kernel.regions import cuts, grouped

SIDE = 64
AT_0 = Affine(0, ())


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
    for at in cuts(found, [square()], 6):
        assert (at[0], at[-1]) == (0, SIDE)
        assert sorted(at) == list(at)
        assert all(begin % 12 == 0 for begin in at[:-1] if begin < SIDE)
        whole += len(set(at)) == 2
        rows = [n + end - begin for n, (begin, end) in zip(rows, pairwise(at), strict=True)]
    assert whole >= 10 - (found.chunks - 1)  # a border is in one launch at most
    assert max(rows) - min(rows) <= 24  # each border is moved by 6 at most


def test_layers_share_rows() -> None:
    (found,) = regions(*((i, 50 + i, i + 1) for i in range(10)))
    assert not found.separate
    assert found.chunks > 1
    assert len(set(cuts(found, [square()]))) == 1
    assert set(cuts(found, [square()], 6)) == {(0, 18, 36, 54, 64)}


def test_what_overwrites_or_reads_whole_waits() -> None:
    assert len(regions((0, 1, 2), (3, 2, 4))) == 2
    assert len(regions((0, 1, 2), (3, 4, 1))) == 2


def test_a_short_region_is_cut_side_by_side() -> None:
    (found,) = regions((0, 1, 2), (3, 4, 5))
    assert found.short
    assert not found.separate


def test_what_takes_no_time_goes_first_and_parts_no_region() -> None:
    scalar = Kernel((Formal("float32", 1),) * 2, (Let("x", "float32", Load(0, AT_0)), Store(1, AT_0, Name("x"))))
    at = Affine(0, (("i", SIDE), ("j", 1)))
    times = (
        Let("x", "float32", Load(0, at)),
        Let("s", "float32", Load(1, AT_0)),
        Let("y", "float32", Scalar("multiply", (Name("x"), Name("s")))),
        Store(2, at, Name("y")),
    )
    formals = (Formal("float32", SIDE * SIDE), Formal("float32", 1), Formal("float32", SIDE * SIDE))
    scaled = Kernel(formals, (Loop("i", SIDE, "parallel", (Loop("j", SIDE, "vector", times),)),))
    launches = [Launch(0, (0, 1, 2)), Launch(1, (10, 11)), Launch(2, (2, 11, 3))]
    first, then = grouped(launches, [square(), scalar, scaled], range(100))
    assert (first.launches, first.chunks) == ((launches[1],), 1)
    assert then.launches == (launches[0], launches[2])


def test_two_threads_get_as_many_parts() -> None:
    numbers = {found.chunks for n in range(1, 40) for found in regions(*((i, 50 + i, i + 1) for i in range(n)))}
    assert all(number % 2 == 0 for number in numbers - {1})
