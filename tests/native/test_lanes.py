"""How a vector loop is taken apart, and what of it is done before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.kernel.ir import Accumulate, Check, Kernel, Let, Literal, Name, Position, Reset
from glassgrad.native.lanes import apart, choose_lanes, in_lanes, without_lanes
from glassgrad.native.target import PORTABLE
from tests.native.by_hand import at, both, compiled, draw, let, parallel, program_of, read, serial, sized, vector, write

pytest.importorskip("llvmlite")

AVX2 = PORTABLE["x86-64-v3"]


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSGRAD_CACHE_DIR", "off")


def test_whole_registers_first() -> None:
    assert in_lanes(64, 8, 2) == [(0, 64, 16)]
    assert in_lanes(50, 8, 4) == [(0, 32, 32), (32, 48, 16), (48, 50, 2)]
    assert in_lanes(10, 8, 4) == [(0, 8, 8), (8, 10, 2)]
    assert in_lanes(3, 8, 2) == [(0, 3, 3)]
    for extent in range(1, 150):
        for register, abreast in ((2, 1), (4, 2), (8, 3), (8, 4), (16, 4)):
            cuts = in_lanes(extent, register, abreast)
            assert [begin for begin, _, _ in cuts] == [0, *(end for _, end, _ in cuts[:-1])]
            assert cuts[-1][1] == extent
            assert all((end - begin) % lanes == 0 for begin, end, lanes in cuts)
            assert all(lanes % register == 0 for _, _, lanes in cuts[:-1])


def row_of_a_table(columns: int, rows: int) -> tuple[Any, ...]:
    return (
        read("row", "int64", 1, at(r=1)),
        let("there", "bool", "less", "row", Literal(rows, "int64")),
        Check(Name("there"), 3),
        let("start", "int64", "multiply", "row", columns),
        Let("i0", "int64", Position(at(i=1))),
        let("at", "int64", "add", "start", "i0"),
        read("v", "float32", 0, Name("at"), "there"),
        write(2, at(r=columns, i=1), "v"),
    )


def test_what_is_the_same_is_done_once() -> None:
    """The row that is looked up, and whether it is there; only floats are in lanes, so registers are full of them."""
    loop = vector("i", 36, *row_of_a_table(36, 9))
    assert apart(loop) == (list(loop.body[:4]), list(loop.body[4:]))
    assert without_lanes(loop) == {"row", "there", "start", "i0", "at"}
    kernel = Kernel(sized(t_float32=9 * 36, r_int64=5, y_float32=5 * 36), (parallel("r", 5, loop),))
    assert choose_lanes(AVX2, kernel.formals, loop) == [(0, 32, 16), (32, 36, 4)]
    table, rows = draw("float32", 9 * 36), np.array([3, 0, 8, 3, 5])
    *_, y = both(program_of(kernel), table, rows, np.empty(5 * 36, np.float32))
    np.testing.assert_array_equal(y.reshape(5, 36), table.reshape(9, 36)[rows])
    assert compiled(program_of(kernel))(table, rows + 1, y) == 3


def test_what_the_loop_writes_is_read_in_it() -> None:
    """Every element is divided by the third, which becomes 1 on the way."""
    body = (
        read("third", "float64", 0, at(2)),
        read("x", "float64", 0, at(i=1)),
        let("y", "float64", "divide", "x", "third"),
        write(0, at(i=1), "y"),
    )
    loop = vector("i", 3, *body)
    assert apart(loop)[0] == []
    other = vector("i", 3, *body[:3], write(1, at(i=1), "y"))
    assert apart(other)[0] == [body[0]]
    x = np.array([2.0, 6.0, 4.0])
    _, y = both(program_of(Kernel(sized(x_float64=3, y_float64=3), (other,))), x, np.empty(3))
    np.testing.assert_array_equal(y, x / 4)


def test_a_long_sum_inside_decides() -> None:
    """Columns are summed four registers abreast, however much is done with the sums."""
    rows, columns = 30, 50
    fold = (read("x", "float32", 0, at(r=columns, c=1)), Accumulate("s", Name("x")))
    steps = [let(f"y{i + 1}", "float32", "multiply", f"y{i}", 0.5) for i in range(20)]
    after = (let("y0", "float32", "add", "s", 1.0), *steps, write(1, at(c=1), "y20"))
    loop = vector("c", columns, Reset("s", "add", "float32"), serial("r", rows, *fold), *after)
    kernel = Kernel(sized(x_float32=rows * columns, y_float32=columns), (loop,))
    assert choose_lanes(AVX2, kernel.formals, loop)[0] == (0, 32, 32)
    few = loop._replace(body=(loop.body[0], serial("r", 3, *fold), *after))
    assert choose_lanes(AVX2, kernel.formals, few)[0] == (0, 48, 8)
    x = draw("float32", rows * columns)
    _, y = both(program_of(kernel), x, np.empty(columns, np.float32), exact=False)
    np.testing.assert_allclose(y, (x.reshape(rows, columns).sum(0) + 1) / 2**20, rtol=1e-5)
