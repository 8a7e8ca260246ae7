"""Programs written by hand against NumPy: what the interpreter says they mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glassgrad.kernel import ir
from glassgrad.kernel.interpret import run, run_kernel
from glassgrad.kernel.ir import (
    Accumulate,
    Affine,
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
    Loop,
    MatMul,
    Name,
    Place,
    Position,
    Program,
    Region,
    Repeat,
    Reset,
    Scalar,
    Store,
    While,
)
from glassgrad.kernel.show import show, show_kernel
from glassgrad.kernel.verify import verify, verify_kernel

F = "float32"


def at(offset: int = 0, **terms: int) -> Affine:
    return Affine(offset, tuple(sorted(terms.items())))


def let(name: str, instruction: str, *args: Any, dtype: str = F) -> Let:
    atoms = [Name(a) if isinstance(a, str) else a for a in args]
    return Let(name, dtype, Scalar(instruction, tuple(atoms)))


def load(name: str, buffer: int, index: Any, dtype: str = F, mask: Name | None = None) -> Let:
    return Let(name, dtype, Load(buffer, index, mask))


def sizes(*each: int, dtype: str = F) -> tuple[Formal, ...]:
    return tuple(Formal(dtype, n) for n in each)


def numbers(*shape: int, dtype: Any = np.float32) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


def interpreted(kernel: Kernel, *arrays: Any) -> int:
    """Verify and run a kernel on arrays of any shape."""
    verify_kernel(kernel)
    return run_kernel(kernel, [a.reshape(-1) for a in arrays])


# Kernels


def softmax(rows: int, columns: int, outer: str = "parallel", inner: str = "vector") -> Kernel:
    x, e = at(i=columns, j=1), let("e", "exp", "d")
    greatest = (Reset("m", "maximum", F), Loop("j", columns, inner, (load("x", 0, x), Accumulate("m", Name("x")))))
    shifted = (load("x2", 0, x), let("d", "subtract", "x2", "m"), e, Store(1, x, Name("e")), Accumulate("s", Name("e")))
    divided = (load("e2", 1, x), let("y", "divide", "e2", "s"), Store(1, x, Name("y")))
    total = (Reset("s", "add", F), Loop("j", columns, inner, shifted), Loop("j", columns, inner, divided))
    return Kernel(sizes(rows * columns, rows * columns), (Loop("i", rows, outer, (*greatest, *total)),))


@pytest.mark.parametrize("outer", ["parallel", "serial"])
@pytest.mark.parametrize("inner", ["vector", "serial"])
def test_softmax(outer: str, inner: str) -> None:
    x = numbers(5, 7)
    y = np.full_like(x, np.nan)
    assert interpreted(softmax(5, 7, outer, inner), x, y) == 0
    e = np.exp(x - x.max(axis=1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(axis=1, keepdims=True), rtol=1e-6)


def product(m: int, n: int, k: int) -> MatMul:
    a, b = Load(0, at(i=k, k=1)), Load(1, at(j=1, k=n))
    body = (load("bias", 2, at(j=1)), let("z", "add", "c", "bias"), Store(3, at(i=n, j=1), Name("z")))
    return MatMul(("i", m), ("j", n), ("k", k), a, b, "c", F, body)


def test_matmul_with_a_bias() -> None:
    a, b, bias = numbers(4, 6), numbers(6, 3), numbers(3)
    c = np.full((4, 3), np.nan, np.float32)
    interpreted(Kernel(sizes(24, 18, 3, 12), (product(4, 3, 6),)), a, b, bias, c)
    np.testing.assert_allclose(c, a @ b + bias, rtol=1e-5, atol=1e-6)


def test_matmul_inside_a_loop() -> None:
    one = product(4, 3, 6)
    batched = lambda load, step: load._replace(index=at(**dict(load.index.terms), n=step))
    out = one.body[-1]
    assert isinstance(out, Store)
    body = (*one.body[:-1], out._replace(index=at(i=3, j=1, n=12)))
    one = one._replace(a=batched(one.a, 24), b=batched(one.b, 18), body=body)
    a, b, bias = numbers(5, 4, 6), numbers(5, 6, 3), numbers(3)
    c = np.full((5, 4, 3), np.nan, np.float32)
    interpreted(Kernel(sizes(120, 90, 3, 60), (Loop("n", 5, "parallel", (one,)),)), a, b, bias, c)
    np.testing.assert_allclose(c, a @ b + bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["parallel", "vector", "serial"])
def test_column_sums(kind: str) -> None:
    body = (Reset("s", "add", F), Loop("i", 9, "serial", (load("x", 0, at(i=4, j=1)), Accumulate("s", Name("x")))))
    kernel = Kernel(sizes(36, 4), (Loop("j", 4, kind, (*body, Store(1, at(j=1), Name("s")))),))
    x, y = numbers(9, 4), np.empty(4, np.float32)
    interpreted(kernel, x, y)
    np.testing.assert_allclose(y, x.sum(axis=0), rtol=1e-5)


def test_running_sums_are_read_while_they_grow() -> None:
    body = (load("x", 0, at(i=1), "int64"), Accumulate("s", Name("x")), Store(1, at(i=1), Name("s")))
    kernel = Kernel(sizes(9, 9, dtype="int64"), (Reset("s", "add", "int64"), Loop("i", 9, "serial", body)))
    x, y = np.arange(9) ** 2, np.empty(9, np.int64)
    interpreted(kernel, x, y)
    np.testing.assert_array_equal(y, np.cumsum(x))


@pytest.mark.parametrize(
    ("reducer", "dtype", "expected"),
    [
        ("add", "int8", lambda x: np.add.reduce(x, axis=None, dtype=np.int8)),
        ("multiply", "float64", np.prod),
        ("maximum", "float32", np.max),
        ("minimum", "uint16", np.min),
        ("and", "bool", np.all),
        ("or", "bool", np.any),
    ],
)
def test_reducers_over_nested_loops(reducer: str, dtype: str, expected: Any) -> None:
    fold = Loop("j", 6, "vector", (load("x", 0, at(i=6, j=1), dtype), Accumulate("s", Name("x"))))
    body = (Reset("s", reducer, dtype), Loop("i", 5, "serial", (fold,)), Store(1, at(), Name("s")))
    kernel = Kernel((Formal(dtype, 30), Formal(dtype, 1)), body)
    x = (np.random.default_rng(1).random(30) * 3 + 1).astype(dtype)
    y = np.empty(1, dtype)
    interpreted(kernel, x, y)
    np.testing.assert_allclose(y[0], expected(x), rtol=1e-6)


def gather(kind: str) -> Kernel:
    last, first = Literal(7, "int64"), Literal(0, "int64")
    body = (
        load("p", 0, at(i=1), "int64"),
        let("low", "minimum", "p", last, dtype="int64"),
        let("safe", "maximum", "low", first, dtype="int64"),
        let("good", "equal", "p", "safe", dtype="bool"),
        Check(Name("good"), 1),
        load("x", 1, Name("safe")),
        Store(2, at(i=1), Name("x")),
    )
    return Kernel((Formal("int64", 5), Formal(F, 8), Formal(F, 5)), (Loop("i", 5, kind, body),))


@pytest.mark.parametrize("kind", ["vector", "serial"])
def test_gather_checks_its_positions(kind: str) -> None:
    x, y = numbers(8), np.empty(5, np.float32)
    assert interpreted(gather(kind), np.array([7, 0, 3, 3, 1]), x, y) == 0
    np.testing.assert_array_equal(y, x[[7, 0, 3, 3, 1]])
    assert interpreted(gather(kind), np.array([7, 0, 8, 3, -1]), x, y) == 1
    np.testing.assert_array_equal(y, x[[7, 0, 7, 3, 0]])


@pytest.mark.parametrize("kind", ["vector", "serial"])
def test_scatter_add_counts_every_iteration(kind: str) -> None:
    body = (load("p", 0, at(i=1), "int64"), load("x", 1, at(i=1)), Store(2, Name("p"), Name("x"), "add"))
    kernel = Kernel((Formal("int64", 6), Formal(F, 6), Formal(F, 4)), (Loop("i", 6, kind, body),))
    p, x, y = np.array([0, 3, 3, 0, 3, 1]), numbers(6), np.ones(4, np.float32)
    interpreted(kernel, p, x, y)
    np.testing.assert_allclose(y, 1 + np.bincount(p, x, 4), rtol=1e-6)


@pytest.mark.parametrize("kind", ["vector", "serial"])
def test_masks_keep_away_from_memory(kind: str) -> None:
    """A row padded on both sides: the index leaves the buffer where the mask is false."""
    body = (
        Let("i", "int64", Position(at(i=1))),
        let("more", "greater_equal", "i", Literal(2, "int64"), dtype="bool"),
        let("less", "less", "i", Literal(5, "int64"), dtype="bool"),
        let("inside", "logical_and", "more", "less", dtype="bool"),
        load("x", 0, at(-2, i=1), mask=Name("inside")),
        Store(1, at(i=1), Name("x")),
        Store(2, at(-2, i=1), Name("x"), mask=Name("inside")),
    )
    x, padded, copy = numbers(3), np.full(7, np.nan, np.float32), np.full(3, np.nan, np.float32)
    interpreted(Kernel(sizes(3, 7, 3), (Loop("i", 7, kind, body),)), x, padded, copy)
    np.testing.assert_array_equal(padded, np.pad(x, 2))
    np.testing.assert_array_equal(copy, x)


def test_an_index_outside_its_buffer_is_an_error() -> None:
    for first in (-1, 3):
        body = (load("x", 0, at(first, i=1)), Store(1, at(i=1), Name("x")))
        with pytest.raises(IndexError, match=f"element {'-1' if first < 0 else '4'} of buffer 0, which has 4"):
            run_kernel(Kernel(sizes(4, 4), (Loop("i", 2, "vector", body),)), [numbers(4), numbers(4)])


@pytest.mark.parametrize("outer", ["parallel", "serial"])
def test_scratch_memory_is_unwritten_in_every_iteration(outer: str) -> None:
    """Each row keeps its squares; one that read the scratch of another row would find numbers, not NaN."""
    keep = (load("x", 0, at(i=3, j=1)), let("y", "multiply", "x", "x"), Store(2, at(j=1), Name("y")))
    give = (load("z", 2, at(j=1)), Store(1, at(i=4, j=1), Name("z")))
    body = (Loop("j", 3, "vector", keep), Loop("j", 4, "vector", give))
    kernel = Kernel((*sizes(6, 8), Formal(F, 4, local=True)), (Loop("i", 2, outer, body),))
    x, y = numbers(2, 3), np.zeros((2, 4), np.float32)
    interpreted(kernel, x, y)
    np.testing.assert_array_equal(y[:, :3], x * x)
    assert np.isnan(y[:, 3]).all()


def test_bfloat16_is_rounded_when_cast_and_stored_in_16_bits() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    body = (
        load("x", 0, at(i=1), "bfloat16"),
        let("wide", "cast", "x"),
        let("y", "multiply", "wide", Literal(1 / 3, F)),
        let("narrow", "cast", "y", dtype="bfloat16"),
        Store(1, at(i=1), Name("narrow")),
    )
    kernel = Kernel(sizes(50, 50, dtype="bfloat16"), (Loop("i", 50, "vector", body),))
    x = numbers(50, dtype=ml_dtypes.bfloat16)
    x[:2] = np.nan, np.inf
    y = np.empty(50, np.uint16)
    interpreted(kernel, x.view(np.uint16), y)
    expected = (x.astype(np.float32) * np.float32(1 / 3)).astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(y.view(ml_dtypes.bfloat16).astype(np.float32), expected.astype(np.float32))


@pytest.mark.parametrize(("dtype", "one", "end"), [("float16", 0x3C00, 0x6800), ("bfloat16", 0x3F80, 0x4380)])
def test_folding_into_16_bits_rounds_each_time(dtype: str, one: int, end: int) -> None:
    """It ends at 2¹¹ and at 2⁸, where adding 1 changes nothing."""
    body = (load("x", 0, at(i=1), dtype), Store(1, at(), Name("x"), "add"))
    kernel = Kernel(sizes(3000, 1, dtype=dtype), (Loop("i", 3000, "vector", body),))
    x, y = np.full(3000, one, np.uint16), np.zeros(1, np.uint16)
    memory = np.float16 if dtype == "float16" else np.uint16
    interpreted(kernel, x.view(memory), y.view(memory))
    assert y[0] == end


def test_a_wrong_dtype_is_an_error() -> None:
    body = (load("x", 0, at(i=1)), let("y", "isnan", "x"), Store(0, at(i=1), Name("y")))
    with pytest.raises(TypeError, match="y is bool, not float32"):
        run_kernel(Kernel(sizes(4), (Loop("i", 4, "vector", body),)), [numbers(4)])


# Programs


def buffer(size: int, kind: str, number: int = 0, dtype: str = F, **place: Any) -> Buffer:
    return Buffer(dtype, size, Place(kind, number, **place))


def unary(instruction: str, size: int, kind: str = "parallel") -> Kernel:
    body = (load("x", 0, at(i=1)), let("y", instruction, "x"), Store(1, at(i=1), Name("y")))
    return Kernel(sizes(size, size), (Loop("i", size, kind, body),))


@pytest.mark.parametrize("chunks", [1, 2, 3, 10, 17])
def test_a_region_in_any_number_of_parts(chunks: int) -> None:
    kernels = (unary("sin", 10), unary("exp", 10))
    buffers = (buffer(10, "argument"), buffer(10, "arena", 64), buffer(10, "output"))
    region = Region((Launch(0, (0, 1)), Launch(1, (1, 2))), chunks)
    program = Program(kernels, buffers, (region,), 128)
    verify(program)
    x, y = numbers(10), np.empty(10, np.float32)
    assert run(program, [x], [y]) == 0
    np.testing.assert_array_equal(y, np.exp(np.sin(x)))


def test_a_region_that_needs_another_part_gives_nan() -> None:
    body = (load("x", 0, at(9, i=-1)), Store(1, at(i=1), Name("x")))
    reverse = Kernel(sizes(10, 10), (Loop("i", 10, "parallel", body),))
    buffers = (buffer(10, "argument"), buffer(10, "arena"), buffer(10, "output"))
    launches = (Launch(0, (0, 1)), Launch(1, (1, 2)))
    for chunks in (1, 2):
        y = np.empty(10, np.float32)
        run(Program((unary("sin", 10), reverse), buffers, (Region(launches, chunks),), 64), [numbers(10)], [y])
        assert np.isnan(y).any() == (chunks == 2)


def test_parts_of_a_matmul_are_its_rows() -> None:
    buffers = (buffer(24, "argument"), buffer(18, "constant"), buffer(3, "argument", 1), buffer(12, "output"))
    kernel = Kernel(sizes(24, 18, 3, 12), (product(4, 3, 6),))
    program = Program((kernel,), buffers, (Region((Launch(0, (0, 1, 2, 3)),), 3),), 0)
    verify(program)
    a, b, bias = numbers(4, 6), numbers(6, 3), numbers(3)
    c = np.full((4, 3), np.nan, np.float32)
    run(program, [a, bias], [c], [b])
    np.testing.assert_allclose(c, a @ b + bias, rtol=1e-5, atol=1e-6)


def recurrence(steps: int = 5, size: int = 3) -> Program:
    """h ← tanh(h + x[t]); y[t] = h"""
    body = (
        load("h", 1, at(i=1)),
        load("x", 0, at(i=1)),
        let("z", "add", "h", "x"),
        let("t", "tanh", "z"),
        Store(1, at(i=1), Name("t")),
        Store(2, at(i=1), Name("t")),
    )
    zero = Kernel(sizes(size), (Loop("i", size, "vector", (Store(0, at(i=1), Literal(0.0, F)),)),))
    step = Kernel(sizes(size, size, size), (Loop("i", size, "vector", body),))
    buffers = (
        buffer(steps * size, "argument"),
        buffer(size, "arena", 128),
        buffer(steps * size, "output"),
        buffer(size, "slice", 0, stride=4 * size, loop="t"),
        buffer(size, "slice", 2, start=4 * size * (steps - 1), stride=-4 * size, loop="t"),
    )
    loop = Repeat("t", steps, (Region((Launch(1, (3, 1, 4)),), 1),))
    return Program((zero, step), buffers, (Region((Launch(0, (1,)),), 1), loop), 192)


def test_repeat_walks_through_slices() -> None:
    program = recurrence()
    verify(program)
    x, y = numbers(5, 3), np.full((5, 3), np.nan, np.float32)
    run(program, [x], [y])
    h = np.zeros(3, np.float32)
    for t in range(5):
        h = np.tanh(h + x[t])
        np.testing.assert_allclose(y[4 - t], h, rtol=1e-6)


def collatz() -> Program:
    """x ← x / 2 where it is even and 3 x + 1 where it is odd, as long as it is more than 1; how often."""

    def kernel(*scalars: tuple[str, int], dtype: str = "int64", apart: bool = True) -> Kernel:
        body: list[Any] = [load("x0", 0, at(), "int64")]
        for i, (instruction, number) in enumerate(scalars):
            value = Scalar(instruction, (Name(f"x{i}"), Literal(number, "int64")))
            body.append(Let(f"x{i + 1}", dtype, value))
        body.append(Store(int(apart), at(), Name(f"x{len(scalars)}")))
        return Kernel((Formal("int64", 1), Formal(dtype, 1))[: 1 + apart], tuple(body))

    kernels = (
        kernel(),
        kernel(("multiply", 0)),
        kernel(("greater", 1), dtype="bool"),
        kernel(("remainder", 2)),
        kernel(("floor_divide", 2), apart=False),
        kernel(("multiply", 3), ("add", 1), apart=False),
        kernel(("add", 1), apart=False),
    )
    number = lambda kind, place=0: Buffer("int64", 1, Place(kind, place))
    buffers = (
        *(number("argument"), number("arena"), Buffer("bool", 1, Place("arena", 64)), number("arena", 128)),
        number("output"),
    )
    launch = lambda kernel, *on: Region((Launch(kernel, on),), 1)
    halve_or_triple = Branch(3, ((launch(4, 1),), (launch(5, 1),)))
    loop = While("t", (launch(2, 1, 2),), 2, (launch(3, 1, 3), halve_or_triple, launch(6, 4)))
    return Program(kernels, buffers, (launch(0, 0, 1), launch(1, 0, 4), loop), 192)


@pytest.mark.parametrize(("start", "rounds"), [(1, 0), (2, 1), (6, 8), (27, 111)])
def test_while_and_branch(start: int, rounds: int) -> None:
    program = collatz()
    verify(program)
    out = np.full(1, 77)
    assert run(program, [np.array([start])], [out]) == 0
    assert out[0] == rounds


def test_a_branch_that_is_not_there_is_the_last() -> None:
    arms = tuple((Region((Launch(k, (0, 1)),), 1),) for k in (0, 1))
    kernels = (unary("negative", 6), unary("exp", 6))
    which = Buffer("int64", 1, Place("argument", 1))
    program = Program(kernels, (buffer(6, "argument"), buffer(6, "output"), which), (Branch(2, arms),), 0)
    verify(program)
    x = numbers(6)
    for chosen in (0, 1, 2, -1):
        y = np.empty(6, np.float32)
        run(program, [x, np.array([chosen])], [y])
        np.testing.assert_allclose(y, np.exp(x) if chosen else -x, rtol=1e-6)


def test_steps_that_hold_steps_are_shown() -> None:
    text = show(collatz())
    assert "  while t, m2 after:\n    region in 1:\n      k2(m1, m2)\n  do:\n    region in 1:\n      k3(m1, m3)" in text
    assert "    arm 0 of m3:\n      region in 1:\n        k4(m1)\n    arm 1 of m3:" in text


def test_slices_of_slices_in_nested_repeats() -> None:
    double = unary("negative", 2, "vector")
    buffers = (
        buffer(12, "argument"),
        buffer(12, "output"),
        buffer(6, "slice", 0, stride=24, loop="s"),
        buffer(6, "slice", 1, stride=24, loop="s"),
        buffer(2, "slice", 2, stride=8, loop="t"),
        buffer(2, "slice", 3, stride=8, loop="t"),
    )
    inner = Repeat("t", 3, (Region((Launch(0, (4, 5)),), 1),))
    program = Program((double,), buffers, (Repeat("s", 2, (inner,)),), 0)
    verify(program)
    x, y = numbers(12), np.full(12, np.nan, np.float32)
    run(program, [x], [y])
    np.testing.assert_array_equal(y, -x)


def test_a_call_gets_views_of_its_buffers() -> None:
    def sort(x: Any, y: Any) -> None:
        y[:] = np.sort(x)

    buffers = (buffer(6, "argument"), buffer(6, "arena"), buffer(6, "output"))
    program = Program((unary("negative", 6),), buffers, (Call(0, (0, 1)), Region((Launch(0, (1, 2)),), 1)), 64, (sort,))
    verify(program)
    x, y = numbers(6), np.empty(6, np.float32)
    run(program, [x], [y], functions=[sort])
    np.testing.assert_array_equal(y, -np.sort(x))


def test_the_smallest_code_that_failed_is_returned() -> None:
    body = (
        load("x", 0, at(i=1), "bool"),
        load("y", 0, at(2, i=1), "bool"),
        Check(Name("y"), 2),
        Check(Name("x"), 1),
    )
    kernel = Kernel(sizes(4, dtype="bool"), (Loop("i", 2, "vector", body),))
    buffers = (buffer(4, "argument", dtype="bool"),)
    program = Program((kernel,), buffers, (Region((Launch(0, (0,)),), 1),), 0, failures=("x", "y"))
    verify(program)
    for x, code in (([1, 1, 1, 1], 0), ([1, 1, 0, 1], 2), ([1, 0, 1, 1], 1), ([0, 0, 0, 0], 1)):
        assert run(program, [np.array(x, bool)], []) == code


def test_the_arena_begins_unwritten() -> None:
    buffers = (buffer(6, "arena"), buffer(6, "output"))
    program = Program((unary("negative", 6),), buffers, (Region((Launch(0, (0, 1)),), 1),), 64)
    y = np.zeros(6, np.float32)
    run(program, [], [y])
    assert np.isnan(y).all()


def test_memory_must_be_large_enough_and_in_order() -> None:
    buffers = (buffer(6, "argument"), buffer(6, "output"))
    program = Program((unary("negative", 6),), buffers, (Region((Launch(0, (0, 1)),), 1),), 0)
    with pytest.raises(IndexError, match="bytes 0 … 24 of 20"):
        run(program, [numbers(5)], [numbers(6)])
    with pytest.raises(ValueError, match="not in C order"):
        run(program, [numbers(12)[::2]], [numbers(6)])


# As text


def test_show_a_kernel() -> None:
    assert show_kernel(softmax(2, 3), "k7").splitlines() == [
        "kernel k7(b0: float32[6], b1: float32[6])",
        "  parallel i < 2:",
        "    reset m: maximum float32",
        "    vector j < 3:",
        "      x: float32 = load b0[3 i + j]",
        "      m max= x",
        "    reset s: add float32",
        "    vector j < 3:",
        "      x2: float32 = load b0[3 i + j]",
        "      d: float32 = subtract x2, m",
        "      e: float32 = exp d",
        "      b1[3 i + j] = e",
        "      s += e",
        "    vector j < 3:",
        "      e2: float32 = load b1[3 i + j]",
        "      y: float32 = divide e2, s",
        "      b1[3 i + j] = y",
    ]


def test_show_every_kind_of_statement() -> None:
    body = (
        Let("p", "int64", Position(at(3, i=2))),
        let("c", "less", "p", Literal(4, "int64"), dtype="bool"),
        Check(Name("c"), 2),
        load("x", 0, Name("p"), mask=Name("c")),
        Store(1, at(-1, i=1), Name("x"), "minimum", Name("c")),
    )
    formals = (*sizes(9, 9), Formal("bool", 3, True))
    kernel = Kernel(formals, (Loop("i", 9, "serial", body), product(2, 3, 4)))
    assert show_kernel(kernel).splitlines() == [
        "kernel k0(b0: float32[9], b1: float32[9], local b2: bool[3])",
        "  serial i < 9:",
        "    p: int64 = position 2 i + 3",
        "    c: bool = less p, int64(4)",
        "    check c else 2",
        "    x: float32 = load b0[p] where c",
        "    b1[i - 1] min= x where c",
        "  matmul i < 2, j < 3: c: float32 = sum k < 4 of load b0[4 i + k] times load b1[j + 3 k]:",
        "    bias: float32 = load b2[j]",
        "    z: float32 = add c, bias",
        "    b3[3 i + j] = z",
    ]


def test_show_a_program() -> None:
    program = recurrence()
    program = ir.Program(program.kernels, program.buffers, (*program.steps, Call(0, (1, 2))), 192, (sorted,), ("bad",))
    text = show(program)
    assert text.splitlines()[:14] == [
        "program, arena of 192 bytes",
        "  m0: float32[15] argument 0",
        "  m1: float32[3] arena at byte 128",
        "  m2: float32[15] output 0",
        "  m3: float32[3] slice of m0 at byte 0 + 12 t",
        "  m4: float32[3] slice of m2 at byte 48 + -12 t",
        "  function 0: <built-in function sorted>",
        "  failure 1: bad",
        "  region in 1:",
        "    k0(m1)",
        "  repeat t < 5:",
        "    region in 1:",
        "      k1(m3, m1, m4)",
        "  call 0(m1, m2)",
    ]
    assert text.endswith(show_kernel(program.kernels[1], "k1"))


def test_text_has_no_addresses() -> None:
    program = Program((), (), (Call(0, ()),), 0, (lambda: None,))
    assert "0x" not in show(program)
