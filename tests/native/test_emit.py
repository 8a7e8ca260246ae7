"""Loops, accumulators, memory and whole programs, compiled and run beside NumPy and the interpreter."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import numpy as np
import pytest

from glassgrad.kernel import interpret
from glassgrad.kernel.ir import (
    Accumulate,
    Branch,
    Buffer,
    Call,
    Check,
    Formal,
    Kernel,
    Launch,
    Let,
    Literal,
    Load,
    MatMul,
    Name,
    Place,
    Position,
    Program,
    Region,
    Repeat,
    Reset,
)
from glassgrad.kernel.regions import cuts
from glassgrad.native import emit, library
from glassgrad.native.driver import failed
from glassgrad.native.target import PORTABLE, host
from glassgrad.native.traffic import fetched_ahead
from tests.kernel.test_interpret import collatz
from tests.native.by_hand import (
    at,
    both,
    compiled,
    draw,
    let,
    parallel,
    program_of,
    read,
    serial,
    sized,
    vector,
    write,
)

pytest.importorskip("llvmlite")


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSGRAD_CACHE_DIR", "off")


# Maps


def adam(size: int) -> Kernel:
    f = "float32"
    body = (
        *(read(name, f, i, at(i=1)) for i, name in enumerate("pgmv")),
        let("m1", f, "multiply", "m", 0.9),
        let("m2", f, "multiply", "g", 0.1),
        let("mm", f, "add", "m1", "m2"),
        let("v1", f, "multiply", "v", 0.999),
        let("gg", f, "multiply", "g", "g"),
        let("v2", f, "multiply", "gg", 0.001),
        let("vv", f, "add", "v1", "v2"),
        let("root", f, "sqrt", "vv"),
        let("below", f, "add", "root", 1e-8),
        let("ratio", f, "divide", "mm", "below"),
        let("change", f, "multiply", "ratio", 0.01),
        let("pp", f, "subtract", "p", "change"),
        write(0, at(i=1), "pp"),
        write(2, at(i=1), "mm"),
        write(3, at(i=1), "vv"),
    )
    return Kernel((Formal(f, size),) * 4, (vector("i", size, *body),))


def test_adam_at_every_size() -> None:
    sizes = [*range(1, 71), 255, 257]
    before = [draw("float32", n, seed) for n in sizes for seed in range(4)]
    before = [np.abs(a) if i % 4 == 3 else a for i, a in enumerate(before)]
    after = [a.copy() for a in before]
    assert compiled(program_of(*map(adam, sizes)))(*after) == 0
    for k in range(len(sizes)):
        p, g, m, v = before[4 * k : 4 * k + 4]
        m = m * np.float32(0.9) + g * np.float32(0.1)
        v = v * np.float32(0.999) + g * g * np.float32(0.001)
        p = p - m / (np.sqrt(v) + np.float32(1e-8)) * np.float32(0.01)
        for got, right in zip(after[4 * k : 4 * k + 4], (p, g, m, v), strict=True):
            np.testing.assert_array_equal(got, right)


@pytest.mark.parametrize("step", [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "bool"])
def test_strided_reading_and_writing(step: int, dtype: str) -> None:
    count = 45
    size = abs(step) * (count - 1) + 4
    first = 2 if step >= 0 else size - 2
    x = draw(dtype, size)
    loop = vector("i", count, read("v", dtype, 0, at(first, i=step)), write(1, at(i=1), "v"))
    _, out = both(program_of(Kernel((Formal(dtype, size), Formal(dtype, count)), (loop,))), x, np.empty(count, x.dtype))
    np.testing.assert_array_equal(out, x[first + step * np.arange(count)])
    if step:
        loop = vector("i", count, read("v", dtype, 0, at(i=1)), write(1, at(first, i=step), "v"))
        kernel = Kernel((Formal(dtype, count), Formal(dtype, size)), (loop,))
        _, back = both(program_of(kernel), out, np.zeros(size, x.dtype))
        right = np.zeros(size, x.dtype)
        right[first + step * np.arange(count)] = out
        np.testing.assert_array_equal(back, right)


def test_a_matrix_turned() -> None:
    x = draw("float32", 13 * 21)
    body = vector("j", 13, read("v", "float32", 0, at(i=1, j=21)), write(1, at(i=13, j=1), "v"))
    kernel = Kernel((Formal("float32", x.size),) * 2, (parallel("i", 21, body),))
    _, out = both(program_of(kernel, chunks=4), x, np.empty_like(x))
    np.testing.assert_array_equal(out.reshape(21, 13), x.reshape(13, 21).T)


def test_positions_and_values_that_stay_scalars() -> None:
    body = (
        Let("a", "int64", Position(at(5, r=100, i=3))),
        Let("b", "int64", Position(at(1, r=7))),
        read("s", "int64", 0, at(r=1)),
        let("ab", "int64", "add", "a", "b"),
        let("abs", "int64", "add", "ab", "s"),
        write(1, at(r=19, i=1), "abs"),
        write(2, at(r=19, i=1), "b"),
    )
    kernel = Kernel(sized(s_int64=3, x_int64=57, y_int64=57), (parallel("r", 3, vector("i", 19, *body)),))
    s = draw("int64", 3)
    _, x, y = both(program_of(kernel), s, np.empty(57, np.int64), np.empty(57, np.int64))
    r, i = np.ogrid[:3, :19]
    np.testing.assert_array_equal(x.reshape(3, 19), 6 + 107 * r + 3 * i + s[:, None])
    np.testing.assert_array_equal(y.reshape(3, 19), np.broadcast_to(7 * r + 1, (3, 19)))


# Masks


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool"])
@pytest.mark.parametrize("step", [-1, 1, 2])
def test_masks_keep_memory_untouched(dtype: str, step: int) -> None:
    """A window of 50 over 30 elements: what is outside is read as 0, and not written."""
    first = 10 if step < 0 else -9
    low, high = sorted((first, first + 49 * step))
    size, x = 30, draw(dtype, 30, 1)
    body = (
        Let("at", "int64", Position(at(first, i=step))),
        let("above", "bool", "greater_equal", "at", Literal(0, "int64")),
        let("below", "bool", "less", "at", Literal(size, "int64")),
        let("in", "bool", "logical_and", "above", "below"),
        read("v", dtype, 0, at(first, i=step), "in"),
        write(1, at(i=1), "v"),
        write(2, at(first, i=step), "v", mask="in"),
    )
    kernel = Kernel((Formal(dtype, size), Formal(dtype, 50), Formal(dtype, size)), (vector("i", 50, *body),))
    window, back = np.empty(50, x.dtype), np.ones(size, x.dtype)
    _, window, back = both(program_of(kernel), x, window, back)
    where = first + step * np.arange(50)
    inside = (where >= 0) & (where < size)
    np.testing.assert_array_equal(window, np.where(inside, x[where.clip(0, size - 1)], 0))
    assert low < 0 or high >= size
    assert back[sorted(set(range(size)) - set(where[inside]))].all()


def test_a_mask_for_all_lanes_and_an_element_for_all_lanes() -> None:
    """The mask is a scalar for a whole row, or the index is, or there are no lanes at all."""
    f = "float32"
    body = (
        read("keep", "bool", 0, at(r=1)),
        read("lone", f, 1, at(-1, r=1), "keep"),
        vector(
            "i", 21,
            read("row", f, 1, at(i=1), "keep"),
            read("each", "bool", 2, at(i=1)),
            read("one", f, 1, at(-1, r=1), "each"),
            let("sum", f, "add", "row", "one"),
            let("all", f, "add", "sum", "lone"),
            write(3, at(r=21, i=1), "all", mask="keep"),
        ),
        write(4, at(r=1), "lone", mask="keep"),
    )  # fmt: skip
    formals = sized(keep_bool=4, x_float32=21, each_bool=21, y_float32=84, z_float32=4)
    keep, each = np.array([False, True, False, True]), np.zeros(21, bool)
    arrays = [keep, draw(f, 21), each, np.zeros(84, f), np.zeros(4, f)]
    _, x, _, y, z = both(program_of(Kernel(formals, (serial("r", 4, *body),))), *arrays)
    np.testing.assert_array_equal(z, [0, x[0], 0, x[2]])
    np.testing.assert_array_equal(y.reshape(4, 21), np.where(keep[:, None], x + z[:, None], 0))


# Gathered positions


def test_gather_with_checks() -> None:
    count, rows = 75, 40
    body = (
        read("at", "int64", 1, at(i=1)),
        let("low", "bool", "greater_equal", "at", Literal(0, "int64")),
        let("high", "bool", "less", "at", Literal(rows, "int64")),
        Check(Name("high"), 7),
        Check(Name("low"), 4),
        let("in", "bool", "logical_and", "low", "high"),
        read("v", "float32", 0, Name("at"), "in"),
        write(2, at(i=1), "v"),
    )
    kernel = Kernel(sized(x_float32=rows, at_int64=count, y_float32=count), (vector("i", count, *body),))
    x, where = draw("float32", rows), np.random.default_rng(0).integers(0, rows, count)
    run, out = compiled(program_of(kernel)), np.empty(count, np.float32)
    assert run(x, where, out) == 0
    np.testing.assert_array_equal(out, x[where])
    for wrong, code in (({74: rows}, 7), ({3: -1}, 4), ({0: rows, 74: -5}, 4)):
        bad = where.copy()
        bad[list(wrong)] = list(wrong.values())
        assert run(x, bad, out) == code
        np.testing.assert_array_equal(out, np.where((bad >= 0) & (bad < rows), x[bad.clip(0, rows - 1)], 0))


def test_rows_of_a_table() -> None:
    """An embedding: the position is a scalar, the row a vector; and lookups that are rows of bools."""
    body = (
        read("row", "int64", 1, at(r=1)),
        let("start", "int64", "multiply", "row", Literal(17, "int64")),
        vector(
            "i", 17,
            Let("i0", "int64", Position(at(i=1))),
            let("at", "int64", "add", "start", "i0"),
            read("v", "bool", 0, Name("at")),
            write(2, at(r=17, i=1), "v"),
        ),
        read("first", "bool", 0, Name("start")),
        write(3, at(r=1), "first"),
    )  # fmt: skip
    table, rows = draw("bool", 9 * 17), np.array([3, 0, 8, 3, 5])
    kernel = Kernel(sized(t_bool=153, r_int64=5, y_bool=85, z_bool=5), (parallel("r", 5, *body),))
    _, _, y, z = both(program_of(kernel), table, rows, np.empty(85, bool), np.empty(5, bool))
    np.testing.assert_array_equal(y.reshape(5, 17), table.reshape(9, 17)[rows])
    np.testing.assert_array_equal(z, table.reshape(9, 17)[rows, 0])


@pytest.mark.parametrize("step", [1, -1, 3, 7])
def test_rows_of_a_table_lie_side_by_side(step: int) -> None:
    """What is read and written there, in which order and by which lanes, without a gather where it needs none."""
    width, last = 19, 18 * abs(step)
    body = (
        read("row", "int64", 1, at(r=1)),
        let("start", "int64", "multiply", "row", Literal(last + 1, "int64")),
        vector(
            "i", width,
            Let("i0", "int64", Position(at(last if step < 0 else 0, i=step))),
            let("at", "int64", "add", "start", "i0"),
            read("v", "float32", 0, Name("at")),
            let("some", "bool", "greater", "v", Literal(0.0, "float32")),
            read("w", "float32", 0, Name("at"), "some"),
            write(2, at(r=width, i=1), "w"),
            write(3, Name("at"), "v", "add"),
            write(3, Name("at"), "v", mask="some"),
        ),
    )  # fmt: skip
    rows, size = np.array([3, 0, 8, 3, 5]), 9 * (last + 1)
    table, total = draw("float32", size), draw("float32", size, 1)
    kernel = Kernel(sized(t_float32=size, r_int64=5, y_float32=5 * width, z_float32=size), (serial("r", 5, *body),))
    program = program_of(kernel)
    _, _, y, _ = both(program, table, rows, np.empty(5 * width, np.float32), total)
    chosen = table.reshape(9, -1)[rows][:, :: abs(step)][:, :: np.sign(step)]
    np.testing.assert_array_equal(y.reshape(5, width), np.maximum(chosen, 0))
    text = emit.module(program, host())
    assert (".gather." in text or ".scatter." in text) == (step != 1)


def test_reading_at_an_accumulator() -> None:
    """The last positive element: its position is folded, and read at."""
    body = (
        Reset("last", "maximum", "int64"),
        Accumulate("last", Literal(0, "int64")),
        vector(
            "i", 45,
            read("v", "float64", 0, at(i=1)),
            let("some", "bool", "greater", "v", Literal(0.0, "float64")),
            Let("here", "int64", Position(at(i=1))),
            let("at", "int64", "select", "some", "here", 0),
            Accumulate("last", Name("at")),
        ),
        read("found", "float64", 0, Name("last")),
        write(1, at(), "found"),
    )  # fmt: skip
    x = draw("float64", 45)
    _, out = both(program_of(Kernel(sized(x_float64=45, y_float64=1), body)), x, np.empty(1))
    assert out[0] == x[x > 0][-1]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("loop", [vector, serial])
def test_scatter_add_takes_lanes_in_order(masked: bool, loop: Any) -> None:
    count = 53
    body = (
        read("at", "int64", 1, at(i=1)),
        read("v", "float32", 2, at(i=1)),
        let("some", "bool", "greater", "v", Literal(0.0, "float32")),
        write(0, Name("at"), "v", "add", "some" if masked else ""),
    )
    where, v = np.random.default_rng(0).integers(0, 6, count), draw("float32", count)
    kernel = Kernel(sized(y_float32=6, at_int64=count, v_float32=count), (loop("i", count, *body),))
    y = both(program_of(kernel), np.zeros(6, np.float32), where, v)[0]
    right = np.zeros(6, np.float32)
    chosen = v > 0 if masked else slice(None)
    np.add.at(right, where[chosen], v[chosen])
    np.testing.assert_array_equal(y, right)


def test_lanes_that_fold_into_one_element() -> None:
    v = draw("float64", 29)
    body = vector("i", 29, read("v", "float64", 1, at(i=1)), write(0, at(1), "v", "add"))
    y, _ = both(program_of(Kernel(sized(y_float64=3, v_float64=29), (body,))), np.ones(3), v)
    np.testing.assert_allclose(y, [1, 1 + v.sum(), 1], rtol=1e-14)


@pytest.mark.parametrize(("reducer", "ufunc"), [("add", np.add), ("maximum", np.maximum), ("multiply", np.multiply)])
@pytest.mark.parametrize("step", [1, 3, -1])
def test_folding_into_memory(reducer: str, ufunc: Any, step: int) -> None:
    count = 29
    first = 0 if step > 0 else count - 1
    body = (read("v", "float64", 1, at(i=1)), write(0, at(first, i=step), "v", reducer))
    size = abs(step) * (count - 1) + 1
    y, v = draw("float64", size, 1), draw("float64", count, 2)
    kernel = Kernel((Formal("float64", size), Formal("float64", count)), (vector("i", count, *body),))
    got = both(program_of(kernel), y, v)[0]
    right = y.copy()
    right[::step] = ufunc(y[::step], v)
    np.testing.assert_array_equal(got, right)


# Accumulators


REDUCE = {
    "add": (np.add, "float32 float64 int32"),
    "multiply": (np.multiply, "float64 int16"),
    "maximum": (np.maximum, "float32 float64 int8 uint16 bool"),
    "minimum": (np.minimum, "float32 int64 uint8"),
    "and": (np.logical_and, "bool"),
    "or": (np.logical_or, "bool"),
}


@pytest.mark.parametrize("reducer", REDUCE)
def test_folds_at_every_size(reducer: str) -> None:
    ufunc, dtypes = REDUCE[reducer]
    kernels, arrays = [], []
    for dtype in dtypes.split():
        for n in (*range(1, 35), 63, 64, 65, 100, 130):
            loop = vector("i", n, read("x", dtype, 0, at(i=1)), Accumulate("s", Name("x")))
            body = (Reset("s", reducer, dtype), loop, write(1, at(), "s"))
            kernels.append(Kernel((Formal(dtype, n), Formal(dtype, 1)), body))
            arrays += [draw(dtype, n, n), np.empty(1, dtype)]
    compiled(program_of(*kernels))(*arrays)
    for x, got in zip(arrays[::2], arrays[1::2], strict=True):
        right = ufunc.reduce(x, dtype=x.dtype)
        if x.dtype.kind == "f" and reducer in ("add", "multiply"):
            np.testing.assert_allclose(got[0], right, rtol=1e-5, atol=1e-5)
        else:
            assert got[0] == right


@pytest.mark.parametrize("place", [0, 5, 63, 64, 90])
def test_nan_wins_wherever_it_is(place: int) -> None:
    x = draw("float32", 91)
    x[place] = np.nan
    for reducer in ("maximum", "minimum"):
        begin, fold = Reset("s", reducer, "float32"), (read("x", "float32", 0, at(i=1)), Accumulate("s", Name("x")))
        kernel = Kernel(sized(x_float32=91, y_float32=1), (begin, vector("i", 91, *fold), write(1, at(), "s")))
        out = np.zeros(1, np.float32)
        compiled(program_of(kernel))(x, out)
        assert np.isnan(out[0])
        each = vector("i", 91, begin, serial("r", 2, *fold), write(1, at(i=1), "s"))
        outs = np.zeros(91, np.float32)
        compiled(program_of(Kernel(sized(x_float32=91, y_float32=91), (each,))))(x, outs)
        np.testing.assert_array_equal(outs, x)


def test_sums_over_either_axis() -> None:
    rows, columns = 23, 37
    x = draw("float32", rows * columns)
    load = read("x", "float32", 0, at(r=columns, c=1))
    fold = (load, Accumulate("s", Name("x")))
    begin = Reset("s", "add", "float32")
    by_row = parallel("r", rows, begin, vector("c", columns, *fold), write(1, at(r=1), "s"))
    by_column = vector("c", columns, begin, serial("r", rows, *fold), write(1, at(c=1), "s"))
    in_all = (begin, serial("r", rows, vector("c", columns, *fold)), write(1, at(), "s"))
    turned = (begin, vector("c", columns, serial("r", rows, *fold)), write(1, at(), "s"))
    for body, axis in (((by_row,), 1), ((by_column,), 0), (in_all, None), (turned, None)):
        right = x.reshape(rows, columns).sum(axis)
        kernel = Kernel((Formal("float32", x.size), Formal("float32", right.size)), body)
        _, out = both(program_of(kernel), x, np.empty(right.size, np.float32), exact=False)
        np.testing.assert_allclose(out, right.ravel(), rtol=1e-5, atol=1e-5)


def softmax(rows: int, columns: int) -> Kernel:
    f = "float32"
    row = at(r=columns, c=1)
    body = (
        Reset("top", "maximum", f),
        vector("c", columns, read("x", f, 0, row), Accumulate("top", Name("x"))),
        Reset("sum", "add", f),
        vector(
            "c", columns,
            read("y", f, 0, row),
            let("less", f, "subtract", "y", "top"),
            let("e", f, "exp", "less"),
            write(1, at(c=1), "e"),
            Accumulate("sum", Name("e")),
        ),
        vector("c", columns, read("z", f, 1, at(c=1)), let("p", f, "divide", "z", "sum"), write(2, row, "p")),
    )  # fmt: skip
    size = rows * columns
    return Kernel(sized(x_float32=size, scratch_float32=columns, y_float32=size), (parallel("r", rows, *body),))


@pytest.mark.parametrize("columns", [1, 5, 16, 40, 129])
def test_softmax_of_rows(columns: int) -> None:
    x = draw("float32", 7 * columns)
    _, y = both(program_of(softmax(7, columns), chunks=3), x, np.empty_like(x), exact=False)
    e = np.exp(x.reshape(7, columns).astype(np.float64))
    np.testing.assert_allclose(y.reshape(7, columns), e / e.sum(1, keepdims=True), rtol=1e-6)


def test_the_next_row_is_fetched_by_who_reads_again() -> None:
    rows, columns = 300, 256
    kernel = softmax(rows, columns)
    assert fetched_ahead(kernel.body[0], kernel.formals) == {"y": 2 * columns}
    small = softmax(7, columns)
    assert fetched_ahead(small.body[0], small.formals) == {}
    for one, some in ((kernel, True), (small, False)):
        assert ("call void @llvm.prefetch" in emit.module(program_of(one), host())) == some
    x = draw("float32", rows * columns)
    y = np.empty_like(x)
    compiled(program_of(kernel, chunks=3))(x, y)
    e = np.exp(x.reshape(rows, columns).astype(np.float64))
    np.testing.assert_allclose(y.reshape(rows, columns), e / e.sum(1, keepdims=True), rtol=1e-6)


# Products


@pytest.mark.parametrize("sizes", [(1, 1, 1), (5, 7, 3), (33, 20, 17), (64, 48, 64)])
def test_a_product_with_an_epilogue(sizes: tuple[int, int, int]) -> None:
    m, n, k = sizes
    f = "float32"
    epilogue = (
        read("b", f, 2, at(j=1)),
        let("s", f, "add", "ab", "b"),
        let("y", f, "maximum", "s", 0.0),
        write(3, at(i=n, j=1), "y"),
    )
    body = MatMul(("i", m), ("j", n), ("k", k), Load(0, at(i=k, k=1)), Load(1, at(k=n, j=1)), "ab", f, epilogue)
    kernel = Kernel((Formal(f, m * k), Formal(f, k * n), Formal(f, n), Formal(f, m * n)), (body,))
    a, b, bias = draw(f, m * k, 1), draw(f, k * n, 2), draw(f, n, 3)
    *_, out = both(program_of(kernel, chunks=3), a, b, bias, np.empty(m * n, f), exact=False)
    right = np.maximum(a.reshape(m, k) @ b.reshape(k, n) + bias, 0)
    np.testing.assert_allclose(out.reshape(m, n), right, rtol=1e-5, atol=1e-5)


def test_products_of_a_batch() -> None:
    count, m, n, k = 3, 6, 10, 4
    f = "float64"
    store = write(2, at(t=m * n, i=n, j=1), "ab")
    a, b = Load(0, at(t=m * k, i=1, k=m)), Load(1, at(j=k, k=1))  # a transposed, and b, the same for all
    product = MatMul(("i", m), ("j", n), ("k", k), a, b, "ab", f, (store,))
    formals = (Formal(f, count * m * k), Formal(f, k * n), Formal(f, count * m * n))
    kernel = Kernel(formals, (parallel("t", count, product),))
    x, y = draw(f, count * m * k, 1), draw(f, k * n, 2)
    *_, out = both(program_of(kernel), x, y, np.empty(count * m * n), exact=False)
    right = x.reshape(count, k, m).transpose(0, 2, 1) @ y.reshape(n, k).T
    np.testing.assert_allclose(out.reshape(count, m, n), right, rtol=1e-12)


# Programs


def add_into(size: int) -> Kernel:
    """c = a + b"""
    body = (
        read("a", "float32", 0, at(r=4, i=1)),
        read("b", "float32", 1, at(r=4, i=1)),
        let("c", "float32", "add", "a", "b"),
        write(2, at(r=4, i=1), "c"),
    )
    return Kernel((Formal("float32", size),) * 3, (parallel("r", size // 4, vector("i", 4, *body)),))


@pytest.mark.parametrize("chunks", [1, 3])
def test_repetition_over_slices(chunks: int) -> None:
    """A running sum of rows, kept in the arena, and rows of rows in two loops."""
    n, outer, inner = 12, 3, 5
    f, size = "float32", 4 * 12
    buffers = (
        Buffer(f, outer * inner * n, Place("argument", 0)),
        Buffer(f, outer * inner * n, Place("output", 0)),
        Buffer(f, inner * n, Place("slice", 0, 0, inner * size, "s")),
        Buffer(f, n, Place("slice", 2, 0, size, "t")),
        Buffer(f, inner * n, Place("slice", 1, 0, inner * size, "s")),
        Buffer(f, n, Place("slice", 4, (inner - 1) * size, -size, "t")),
        Buffer(f, n, Place("arena", 64)),
        Buffer(f, n, Place("constant", 0)),
    )
    copy = Kernel((Formal(f, n),) * 2, (vector("i", n, read("x", f, 0, at(i=1)), write(1, at(i=1), "x")),))
    step = (Region((Launch(0, (3, 6, 5)),), chunks), Region((Launch(1, (5, 6)),), 1))
    steps = (Region((Launch(1, (7, 6)),), 1), Repeat("s", outer, (Repeat("t", inner, step),)))
    program = Program((add_into(n), copy), buffers, steps, 128)
    x, start = draw(f, outer * inner * n), draw(f, n, 1)
    y, slow = np.zeros_like(x), np.zeros_like(x)
    assert compiled(program)(x, y, start) == 0
    interpret.run(program, [x], [slow], [start])
    np.testing.assert_array_equal(y, slow)
    rows = np.cumsum(np.concatenate([start[None], x.reshape(-1, n)]), 0)[1:]
    np.testing.assert_allclose(y.reshape(outer, inner, n)[:, ::-1].reshape(-1, n), rows, rtol=1e-5)


@pytest.mark.parametrize("start", [1, 2, 6, 27])
def test_while_and_branch(start: int) -> None:
    fast, slow = np.full(1, 77), np.full(1, 77)
    assert compiled(collatz())(np.array([start]), fast) == interpret.run(collatz(), [np.array([start])], [slow])
    assert fast == slow


@pytest.mark.parametrize("chosen", [-1, 0, 1, 5])
def test_parts_and_slices_inside_of_arms_and_rounds(chosen: int) -> None:
    """A branch in a repeat, whose arms are cut into parts; none of the numbers is the last arm's."""
    f, n = "float32", 12
    buffers = (
        *(Buffer(f, 3 * n, Place("argument", 0)), Buffer(f, 3 * n, Place("output", 0))),
        *(Buffer(f, n, Place("slice", k, 0, 4 * n, "t")) for k in (0, 1)),
        Buffer("int64", 1, Place("argument", 1)),
    )
    add = Region((Launch(0, (2, 2, 3)),), 5)
    copy = Kernel((Formal(f, n),) * 2, (vector("i", n, read("x", f, 0, at(i=1)), write(1, at(i=1), "x")),))
    steps = (Repeat("t", 3, (Branch(4, ((add,), (Region((Launch(1, (2, 3)),), 1),))),)),)
    program = Program((add_into(n), copy), buffers, steps, 64)
    x, y, slow = draw(f, 3 * n), np.zeros(3 * n, f), np.zeros(3 * n, f)
    assert compiled(program)(x, np.array([chosen]), y) == 0
    interpret.run(program, [x, np.array([chosen])], [slow])
    np.testing.assert_array_equal(y, slow)
    np.testing.assert_array_equal(y, 2 * x if chosen == 0 else x)


def test_launches_of_a_region_share_parts() -> None:
    f, n = "float32", 40
    kinds = (("argument", 0), ("argument", 1), ("arena", 0), ("output", 0))
    buffers = tuple(Buffer(f, n, Place(*kind)) for kind in kinds)
    region = Region((Launch(0, (0, 1, 2)), Launch(0, (2, 1, 3))), 7)
    run = compiled(Program((add_into(n),), buffers, (region,), 4 * n))
    a, b, c = draw(f, n, 1), draw(f, n, 2), np.empty(n, f)
    assert run(a, b, c) == 0
    np.testing.assert_array_equal(c, a + b + b)


@pytest.mark.parametrize("chunks", [2, 3, 5, 50])
def test_separate_launches_are_cut_end_to_end(chunks: int) -> None:
    extents = (100, 1, 40, 7)
    kernels = tuple(add_into(4 * n) for n in extents)
    buffers = [Buffer("float32", 4 * n, Place("argument", 3 * i + j)) for i, n in enumerate(extents) for j in range(3)]
    launches = tuple(Launch(i, (3 * i, 3 * i + 1, 3 * i + 2)) for i in range(len(extents)))
    region = Region(launches, chunks, separate=True)
    for extent, where in zip(extents, cuts(region, kernels), strict=True):
        assert where[0] == 0
        assert where[-1] == extent
        assert sorted(where) == list(where)
    program = Program(kernels, tuple(buffers), (region,), 0)
    given = [draw("float32", b.size, i) for i, b in enumerate(buffers)]
    found = both(program, *given)
    for a, b, c in zip(found[::3], found[1::3], found[2::3], strict=True):
        np.testing.assert_array_equal(c, a + b)


CALLED = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)


def test_calls_and_their_failures() -> None:
    f, n = "float64", 6
    seen = []

    def function(code: int) -> Any:
        def call(buffers: int) -> int:
            a, b = (ctypes.c_void_p * 2).from_address(buffers)
            values = [np.ctypeslib.as_array((ctypes.c_double * n).from_address(p)) for p in (a, b)]
            values[1][:] = 2 * values[0]
            seen.append(code)
            return code

        return CALLED(call)

    buffers = tuple(Buffer(f, n, Place(*kind)) for kind in (("argument", 0), ("arena", 0), ("output", 0)))
    checked = (
        read("x", f, 0, at(i=1)),
        let("small", "bool", "less", "x", Literal(100.0, f)),
        Check(Name("small"), 3),
        write(1, at(i=1), "x"),
    )
    copy = Kernel((Formal(f, n),) * 2, (vector("i", n, *checked),))
    steps = (Call(0, (0, 1)), Region((Launch(0, (1, 2)),), 1), Repeat("t", 2, (Call(1, (2, 2)),)))
    run = compiled(Program((copy,), buffers, steps, 64, functions=("first", "second")))
    x, y = draw(f, n), np.zeros(n)
    good, bad = function(0), function(9)
    assert run(x, y, functions=(good, good)) == 0
    np.testing.assert_array_equal(y, 8 * x)
    seen.clear()
    assert failed(run(x, y, functions=(good, bad))) == (1, 9)
    assert seen == [0, 9]
    assert failed(run(x, y, functions=(bad, good))) == (0, 9)
    assert run(x + 100, y, functions=(good, bad)) == 3  # failed before, and perhaps because


def test_a_call_now_and_then() -> None:
    seen: list[int] = []
    often = CALLED(lambda buffers: seen.append(ctypes.c_double.from_address(_first(buffers)).value) or 0)
    n = Buffer("float64", 1, Place("argument", 0))
    one = Kernel((Formal("float64", 1),), (read("x", "float64", 0, at()), let("y", "float64", "add", "x", ONE), STORE))
    steps = (Repeat("t", 8, (Region((Launch(0, (0,)),), 1), Call(0, (0,), every=3))),)
    assert compiled(Program((one,), (n,), steps, 64, functions=("f",)))(np.zeros(1), functions=(often,)) == 0
    assert seen == [3, 6]


ONE, STORE = Literal(1.0, "float64"), write(0, at(), "y")


def _first(buffers: int) -> int:
    return int(ctypes.c_void_p.from_address(buffers).value or 0)


# Other machines


def everything() -> Program:
    """One of each kind of access, and casts."""
    f = "float32"
    mixed = (
        read("at", "int64", 1, at(i=1)),
        read("x", f, 0, Name("at")),
        read("y", f, 0, at(i=2)),
        let("c", "bool", "less", "x", "y"),
        read("z", f, 0, at(19, i=-1), "c"),
        let("h", "float16", "cast", "z"),
        let("b", "bfloat16", "cast", "z"),
        let("n", "int8", "cast", "z"),
        let("d", "float64", "cast", "z"),
        let("r", "float64", "floor_divide", "d", 3.0),
        write(2, at(i=1), "h"),
        write(3, at(i=1), "b"),
        write(4, Name("at"), "n", mask="c"),
        write(5, Name("at"), "r", "add"),
        Check(Name("c"), 1),
    )
    formals = (
        Formal(f, 64), Formal("int64", 20), Formal("float16", 20), Formal("bfloat16", 20), Formal("int8", 64),
        Formal("float64", 64),
    )  # fmt: skip
    kernels = (Kernel(formals, (vector("i", 20, *mixed),)), softmax(3, 21), adam(39))
    return program_of(*kernels, chunks=2)


@pytest.mark.parametrize("level", PORTABLE)
def test_assembles_for(level: str) -> None:
    target = PORTABLE[level]
    text = library.assembly(emit.module(everything(), target), target)
    wide = {"x86-64-v2": "%xmm", "x86-64-v3": "%ymm", "x86-64-v4": "%zmm", "aarch64": "v0.4s"}[level]
    assert wide in text
    for symbol in ("__truncsfhf2", "__truncsfbf2", "__truncdfhf2", "__extendhfsf2", "fmaf"):
        assert symbol not in text  # of a compiler's library, which need not be there


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_runs_as_another_level(level: str) -> None:
    target, here = PORTABLE[level], host()
    if platform.machine() not in ("x86_64", "AMD64") or here.vector < target.vector or here.fma < target.fma:
        pytest.skip(f"this machine is not {level}")
    where = np.random.default_rng(0).permutation(64)[:20]
    x, p = draw("float32", 64), np.abs(draw("float32", 4 * 39)).reshape(4, 39)
    first = [x, where, np.zeros(20, np.float16), np.zeros(20, np.uint16), np.zeros(64, np.int8), np.zeros(64)]
    both(everything(), *first, draw("float32", 63), np.empty(63, np.float32), *p, exact=False, target=target)
