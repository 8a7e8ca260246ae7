"""Each invariant of kernels and programs, broken once: the verifier says which, and where."""

from __future__ import annotations

import re
from typing import Any

import pytest

from glassgrad.errors import GlassgradError
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
    Literal,
    Load,
    Loop,
    MatMul,
    Name,
    Place,
    Program,
    Region,
    Repeat,
    Reset,
    Store,
    While,
)
from glassgrad.kernel.verify import KernelError, uses, verify, verify_kernel
from tests.kernel.test_interpret import F, at, buffer, gather, let, load, product, recurrence, sizes, softmax, unary

X, I = Name("x"), at(i=1)
LOAD, STORE = load("x", 0, I), Store(1, I, X)
FORMALS = (*sizes(8, 8), Formal("int64", 8), Formal("bool", 8), Formal("float16", 8))


def loop(*body: Any, kind: str = "vector", axis: str = "i", extent: int = 8) -> Loop:
    return Loop(axis, extent, kind, body)


def matmul(**changes: Any) -> MatMul:
    plain = MatMul(("i", 2), ("j", 4), ("k", 2), Load(0, at(i=2, k=1)), Load(1, at(j=1, k=4)), "c", F, ())
    return plain._replace(**changes)


def test_errors_are_the_packages_own() -> None:
    assert issubclass(KernelError, GlassgradError) and issubclass(KernelError, AssertionError)


KERNELS = {
    # names
    "x is defined twice": loop(LOAD, LOAD),
    "loop i, let x: x is defined twice": (loop(LOAD), loop(LOAD)),
    "y is not defined here": loop(Store(1, I, Name("y"))),
    "store to buffer 1: x is not defined here": (loop(LOAD), loop(STORE)),
    "axis i inside itself": loop(loop(LOAD, kind="serial"), kind="serial"),
    "j is no axis of a loop around": loop(load("x", 0, at(j=1))),
    # dtypes
    "no dtype 'complex64'": loop(load("x", 0, I, "complex64")),
    "the value is float32, not float64": loop(load("x", 0, I, "float64")),
    "the value is bool, not float32": loop(LOAD, let("y", "isnan", "x")),
    "the value is float32, not int64": loop(LOAD, let("y", "add", "x", "x", dtype="int64")),
    "add of different dtypes: float32, int64": loop(LOAD, load("p", 2, I, "int64"), let("y", "add", "x", "p")),
    "exp does not take int64": loop(load("p", 2, I, "int64"), let("y", "exp", "p", dtype="int64")),
    "add does not take float16": loop(load("h", 4, I, "float16"), let("y", "add", "h", "h", dtype="float16")),
    "the condition of select is not a bool": loop(LOAD, let("y", "select", "x", "x", "x")),
    "no instruction 'tan2'": loop(LOAD, let("y", "tan2", "x")),
    "add takes 2 arguments, not 1": loop(LOAD, let("y", "add", "x")),
    "float32 is stored as int64": loop(LOAD, Store(2, I, X)),
    "1.5 is no int64": loop(Store(2, I, Literal(1.5, "int64"))),
    "1 is no bool": loop(Store(3, I, Literal(1, "bool"))),
    "128 does not fit in int8": loop(Store(2, I, Literal(128, "int8"))),
    # indices
    "let x: elements 1 … 8 of 8": loop(load("x", 0, at(1, i=1))),
    "store to buffer 1: elements -1 … 6 of 8": loop(LOAD, Store(1, at(-1, i=1), X)),
    "let x: elements -7 … 0 of 8": loop(load("x", 0, at(i=-1))),
    "axes ['j', 'i'] are not in order": loop(
        loop(load("x", 0, Affine(0, (("j", 1), ("i", 1)))), kind="serial", axis="j", extent=1)
    ),
    "axes ['i', 'i'] are not in order, once each": loop(load("x", 0, Affine(0, (("i", 1), ("i", 0))))),
    "coefficient 0": loop(load("x", 0, Affine(0, (("i", 0),)))),
    "the position x is float32, not int64": loop(LOAD, load("y", 0, X)),
    "the mask x is not a bool": loop(LOAD, load("y", 0, I, mask=X)),
    "there is no buffer 5": loop(load("x", 5, I)),
    # accumulators
    "no accumulator x was begun outside": loop(LOAD, Accumulate("x", X)),
    "no accumulator s was begun outside": (loop(LOAD, Accumulate("s", X)), Reset("s", "add", F)),
    "float32 is folded into float64": (Reset("s", "add", "float64"), loop(LOAD, Accumulate("s", X))),
    "no reducer 'mean'": Reset("s", "mean", F),
    "and does not accumulate float32": Reset("s", "and", F),
    "add does not accumulate float16": Reset("s", "add", "float16"),
    "or does not fold float32": loop(LOAD, Store(1, I, X, "or")),
    "no reducer 'last'": loop(LOAD, Store(1, I, X, "last")),
    "s is read in a vector loop that folds into it": (
        Reset("s", "add", F),
        loop(LOAD, Accumulate("s", X), Store(1, I, Name("s"))),
    ),
    "s is read in a vector loop": (
        Reset("s", "add", F),
        loop(LOAD, loop(Accumulate("s", Name("s")), kind="serial", axis="j")),
    ),
    # loops
    "no kind of loop 'random'": loop(LOAD, kind="random"),
    "axis i has extent 0": loop(extent=0),
    "a parallel loop is not the whole kernel": (Reset("s", "add", F), loop(LOAD, kind="parallel")),
    "loop i: a parallel loop": loop(loop(LOAD, kind="parallel"), kind="serial", axis="j", extent=1),
    "a vector loop inside a vector loop": loop(loop(LOAD, axis="j", extent=1)),
    "a matrix product inside a vector loop": loop(matmul(), axis="n", extent=1),
    "the body is empty": (),
    "iterations of i, a vector axis, write the same element": loop(LOAD, Store(1, at(), X)),
    "iterations of i, a parallel axis, write the same element": loop(LOAD, Store(1, at(), X, "add"), kind="parallel"),
    "loop j, store to buffer 1: iterations of i, a parallel axis": loop(
        loop(Store(1, at(i=1, j=1), Literal(0.0, F)), axis="j", kind="serial", extent=4), kind="parallel", extent=4
    ),
    "loop j, store to buffer 1: iterations of i, a vector axis": loop(
        loop(Store(1, at(i=1, j=2), Literal(0.0, F)), axis="j", kind="serial", extent=2), extent=4
    ),
    # checks
    "x is not a bool": loop(LOAD, Check(X, 1)),
    "the program has no failure of code 0": loop(load("b", 3, I, "bool"), Check(Name("b"), 0)),
    # products
    "an epilogue has no loops and folds": matmul(body=(Reset("s", "add", F),)),
    "product c, a: its index holds j, an axis of the other": matmul(a=Load(0, at(i=1, j=1, k=1))),
    "product c, b: its index holds i, an axis of the other": matmul(b=Load(1, at(i=1, j=1, k=1))),
    "product c, a: elements 0 … 11 of 8": matmul(a=Load(0, at(i=10, k=1))),
    "product c, b: a gathered or masked operand": matmul(b=Load(1, Name("p"))),
    "product c, a: a gathered or masked operand": matmul(a=Load(0, at(i=2, k=1), Name("p"))),
    "the operand is int64, not float32": matmul(a=Load(2, at(i=2, k=1))),
    "a product of float16": matmul(dtype="float16"),
    "rows, columns and inner need axes of their own": matmul(inner=("i", 2)),
    "let y: k is no axis": matmul(body=(load("y", 0, at(k=1)),)),
    "product c, store to buffer 1: iterations of j": matmul(body=(Store(1, at(i=1), Name("c")),)),
    "product c, store to buffer 1: iterations of i, a parallel": matmul(body=(Store(1, at(j=1), Name("c"), "add"),)),
}


@pytest.mark.parametrize("problem", KERNELS)
def test_a_broken_kernel(problem: str) -> None:
    body: Any = KERNELS[problem]
    kernel = Kernel(FORMALS, body if type(body) is tuple else (body,))
    with pytest.raises(KernelError, match=re.escape(problem)):
        verify_kernel(kernel)


def test_local_buffers_are_written_first() -> None:
    formals = (*sizes(8, 8), Formal(F, 8, local=True))
    read, write = loop(load("y", 2, I), Store(1, I, Name("y"))), loop(LOAD, Store(2, I, X))
    verify_kernel(Kernel(formals, (write, read)))
    with pytest.raises(KernelError, match="kernel 3: local buffer 2 is read before it is written"):
        verify_kernel(Kernel(formals, (read, write)), 3)
    with pytest.raises(KernelError, match="buffer 0 has size -1"):
        verify_kernel(Kernel((Formal(F, -1),), (read,)))


SOUND = {
    "softmax": softmax(3, 4),
    "softmax in order": softmax(3, 4, "serial", "serial"),
    "gather": gather("vector"),
    "product": Kernel(sizes(24, 18, 3, 12), (product(4, 3, 6),)),
    "axes of two loops have one name": Kernel(
        FORMALS, (loop(LOAD, STORE), loop(load("y", 1, I), Store(0, I, Name("y"))))
    ),
    "a masked index may be anything": Kernel(
        FORMALS, (loop(load("b", 3, I, "bool"), load("x", 0, at(99), mask=Name("b"))),)
    ),
    "lanes fold into one element": Kernel(FORMALS, (loop(LOAD, Store(1, at(), X, "add")),)),
    "loops in order may overwrite": Kernel(
        FORMALS,
        (loop(loop(Store(1, at(i=1, j=1), Literal(0.0, F)), axis="j", extent=4), kind="serial", extent=4),),
    ),
    "an axis backwards": Kernel(FORMALS, (loop(LOAD, Store(1, at(7, i=-1), X), kind="parallel"),)),
    "rows of a column order": Kernel(
        FORMALS,
        (loop(loop(Store(1, at(i=1, j=2), Literal(0.0, F)), axis="j", extent=4), kind="parallel", extent=2),),
    ),
    "an operand that is stretched": Kernel(FORMALS, (matmul(a=Load(0, at(i=2))),)),
    "16 bits are cast and stored": Kernel(
        FORMALS, (loop(LOAD, let("h", "cast", "x", dtype="float16"), Store(4, I, Name("h"), "add")),)
    ),
    "each iteration has a sum of its own": Kernel(
        FORMALS,
        (loop(Reset("s", "add", F), loop(LOAD, Accumulate("s", X), kind="serial", axis="j"), Store(1, I, Name("s"))),),
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_kernel(name: str) -> None:
    verify_kernel(SOUND[name])


def test_uses_of_buffers() -> None:
    kernel = softmax(3, 4)
    assert [tuple(u) for u in uses(kernel)] == [(True, False, True), (True, True, False)]
    fold = Kernel(FORMALS, (loop(LOAD, Store(1, at(), X, "add")),))
    assert [tuple(u) for u in uses(fold)][:2] == [(True, False, True), (True, True, True)]
    assert [tuple(u) for u in uses(Kernel(FORMALS, (matmul(),)))][:2] == [(True, False, True)] * 2


# Programs

DOUBLE = unary("negative", 8)
IN, OUT, A, B = buffer(8, "argument"), buffer(8, "output"), buffer(8, "arena"), buffer(8, "arena", 64)


def region(*launches: tuple[int, ...], chunks: int = 1) -> Region:
    return Region(tuple(Launch(0, buffers) for buffers in launches), chunks)


def program(*steps: Any, buffers: tuple[Buffer, ...] = (IN, OUT, A, B), arena: int = 96, **rest: Any) -> Program:
    return Program((DOUBLE,), buffers, steps, arena, **rest)


def slice_of(number: int, start: int, stride: int, size: int = 2, loop: str = "t", dtype: str = F) -> Buffer:
    return Buffer(dtype, size, Place("slice", number, start, stride, loop))


def sliced(*slices: Buffer, launched: tuple[int, ...] = (0, 1)) -> Program:
    return program(region((0, 1)), Repeat("t", 3, (region(launched),)), buffers=(IN, OUT, *slices))


def deciding(*steps: Any, dtype: str = "int64", size: int = 1) -> Program:
    """Buffer 4 is an argument by which a step decides."""
    return program(*steps, buffers=(IN, OUT, A, B, buffer(size, "argument", 1, dtype=dtype)))


CHECKED = Kernel(FORMALS[3:4], (loop(load("b", 0, I, "bool"), Check(Name("b"), 2)),))

PROGRAMS = {
    "kernel 0, loop i, let x: elements 0 … 7 of 4": Program((Kernel(sizes(4, 8), DOUBLE.body),), (), (), 0),
    "check 2: the program has no failure of code 2": Program((CHECKED,), (), (), 0, failures=("one",)),
    # buffers
    "buffer 0: 8 elements of complex64": program(buffers=(buffer(8, "argument", dtype="complex64"),)),
    "buffer 0: no place 'disk'": program(buffers=(buffer(8, "disk"),)),
    "buffer 0: argument -1": program(buffers=(buffer(8, "argument", -1),)),
    "buffer 2: arena byte 4 is no multiple of 64": program(buffers=(IN, OUT, buffer(8, "arena", 4))),
    "buffer 3: ends at byte 96 of an arena of 95": program(arena=95),
    "buffer 1: is never written": program(region((0, 2))),
    # slices
    "a slice of buffer 2, which does not come before it": sliced(slice_of(2, 0, 0)),
    "a slice in 'u', which is no repeat": sliced(slice_of(0, 0, 8, loop="u")),
    "a slice in '', which is no repeat": sliced(slice_of(0, 0, 8, loop="")),
    "bytes 0 … 36 of buffer 0, which has 32": sliced(slice_of(0, 0, 12, size=3)),
    "bytes -8 … 16 of buffer 0, which has 32": sliced(slice_of(0, 8, -8)),
    "from 2 by 8 bytes, of float32": sliced(slice_of(0, 2, 8)),
    "buffer 2 is a slice in t, used outside": program(
        region((2, 1)), Repeat("t", 3, ()), buffers=(buffer(24, "argument"), OUT, slice_of(0, 0, 32, 8))
    ),
    # steps
    "step 0: 0 chunks": program(region((0, 1), chunks=0)),
    "repeat t: 0 times": program(Repeat("t", 0, ())),
    "repeat t: the name is taken": program(Repeat("t", 1, (Repeat("t", 1, ()),))),
    "region t: 0 times": program(Region((Launch(0, (0, 1)),), 1, loop="t", count=0)),
    "region t: the name is taken": program(Repeat("t", 1, (Region((Launch(0, (0, 1)),), 1, loop="t"),))),
    "step 1, launch of kernel 0: buffer 2 is a slice in t, used outside": program(
        Region((Launch(0, (2, 1)),), 1, loop="t", count=3),
        region((2, 1)),
        buffers=(buffer(24, "argument"), OUT, slice_of(0, 0, 32, 8)),
    ),
    # branches and while loops
    "while t: the name is taken": program(Repeat("t", 1, (While("t", (), 0, ()),))),
    "step 0: buffer 4 is int32[1], not int64[1]": deciding(Branch(4, ((), ())), dtype="int32"),
    "step 0: buffer 4 is bool[2], not bool[1]": deciding(While("t", (), 4, ()), dtype="bool", size=2),
    "step 0: no arms": deciding(Branch(4, ())),
    "step 1, launch of kernel 0: buffer 2 is read, but was not written before": deciding(
        Branch(4, ((region((0, 2)),), (region((0, 3)),))), region((2, 1))
    ),
    "step 0, step 0, launch of kernel 0: buffer 2 is read, but was not written before": deciding(
        Branch(4, ((region((2, 1)),), (region((0, 2)),)))
    ),
    "step 1: buffer 2 is read, but was not written before, or is overwritten": program(
        region((0, 1)), Branch(2, ((),)), buffers=(IN, OUT, buffer(1, "arena", dtype="int64"))
    ),
    "step 1, launch of kernel 0: buffer 2 is read, but was not": deciding(  # there may have been no round
        While("t", (), 4, (region((0, 2)),)), region((2, 1)), dtype="bool"
    ),
    "step 2, launch of kernel 0: buffer 2 is read, but was not": program(
        region((0, 2)),
        While("t", (), 4, (region((0, 3)),)),
        region((2, 1)),
        buffers=(IN, OUT, buffer(24, "arena"), B, buffer(1, "argument", 1, dtype="bool")),
    ),
    "step 0: no function 0": program(Call(0, (0, 1))),
    "step 0: there is no buffer 4": program(Call(0, (4,)), functions=(print,)),
    # launches
    "there is no such kernel": program(Region((Launch(1, (0, 1)),), 1)),
    "launch of kernel 0: there is no buffer 4": program(region((0, 4))),
    "1 buffers for 2 formals that are not local": program(region((0,))),
    "buffer 2 is float64[8], not float32[8]": program(
        region((0, 2)), buffers=(IN, OUT, buffer(8, "arena", dtype="float64"))
    ),
    "buffer 2 is float32[7], not float32[8]": program(region((0, 2)), buffers=(IN, OUT, buffer(7, "arena"))),
    "constant 0 is written": program(region((0, 2)), buffers=(IN, OUT, buffer(8, "constant"))),
    # memory
    "buffers 0 and 0 share memory": program(region((0, 0))),
    "buffers 0 and 2 share memory": program(region((0, 2)), buffers=(IN, OUT, IN)),
    "buffers 2 and 3 share memory": program(
        region((0, 2), (2, 3)), buffers=(IN, OUT, buffer(24, "arena"), B), arena=96
    ),
    "step 1, step 0, launch of kernel 0: buffers 2 and 3 share memory": program(
        region((0, 1)),
        Repeat("t", 2, (region((2, 3)),)),
        buffers=(buffer(24, "argument"), OUT, slice_of(0, 0, 32, 8), slice_of(0, 28, 32, 8)),
    ),
    "buffer 2 is read, but was not written before": program(region((2, 1))),
    "buffer 1 is read, but was not written before": program(region((1, 2))),
    "step 2, launch of kernel 0: buffer 2 is read, but was not written before, or is overwritten": program(
        region((0, 2)), region((0, 3)), region((2, 1)), buffers=(IN, OUT, buffer(24, "arena"), B)
    ),
    "step 1, step 0, launch of kernel 0: buffer 2 is read": program(
        region((0, 2)), Repeat("t", 2, (region((2, 1)), region((0, 3)))), buffers=(IN, OUT, buffer(24, "arena"), B)
    ),
    "step 0, launch of kernel 0: buffer 2 is not its own": program(
        Region((Launch(0, (0, 2)), Launch(0, (2, 1))), 4, separate=True),
    ),
    "step 0: buffers 2 and 3 share memory": program(
        region((0, 2), (2, 1), (0, 3), chunks=2), buffers=(IN, OUT, buffer(24, "arena"), B)
    ),
}


@pytest.mark.parametrize("problem", PROGRAMS)
def test_a_broken_program(problem: str) -> None:
    with pytest.raises(KernelError, match=re.escape(problem)):
        verify(PROGRAMS[problem])


SOUND_PROGRAMS = {
    "a recurrence": recurrence(),
    "through the arena": program(region((0, 2)), region((2, 3), (3, 1))),
    "in parts": program(region((0, 2), (2, 3), (3, 1), chunks=4)),
    "one part may share memory": program(
        region((0, 2), (2, 1), (0, 3), (3, 1)), buffers=(IN, OUT, buffer(24, "arena"), B)
    ),
    "the same buffer read twice": Program(
        (Kernel(sizes(8, 8, 8), (loop(LOAD, load("y", 1, I), let("z", "add", "x", "y"), Store(2, I, Name("z"))),)),),
        (IN, OUT),
        (Region((Launch(0, (0, 0, 1)),), 1),),
        0,
    ),
    "a call may write what it is given": program(Call(0, (0, 2)), region((2, 1)), functions=(print,)),
    "a slice at rest": program(region((2, 1)), buffers=(buffer(16, "argument"), OUT, slice_of(0, 32, 0, 8, ""))),
    "slices that keep apart": program(
        region((0, 1)),
        Repeat("t", 2, (region((2, 3)),)),
        buffers=(buffer(24, "argument"), OUT, slice_of(0, 0, 32, 8), slice_of(0, 32, 32, 8)),
    ),
    "rounds of a region": program(
        Region((Launch(0, (2, 3)),), 2, loop="t", count=3),
        region((0, 1)),
        buffers=(buffer(24, "argument"), OUT, slice_of(0, 0, 32, 8), buffer(8, "arena")),
    ),
    "what every arm writes": deciding(Branch(4, ((region((0, 2)),), (region((0, 2), (0, 3)),))), region((2, 1))),
    "what a test writes": deciding(While("t", (region((0, 2)),), 4, (region((2, 1)),)), region((2, 1)), dtype="bool"),
    "an output of no size": program(region((0, 1)), buffers=(IN, OUT, buffer(0, "output", 1))),
}


@pytest.mark.parametrize("name", SOUND_PROGRAMS)
def test_a_sound_program(name: str) -> None:
    verify(SOUND_PROGRAMS[name])
