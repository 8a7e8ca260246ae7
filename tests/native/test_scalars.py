"""Every simple instruction and every cast, at the numbers where something changes, beside NumPy."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest

from glassgrad.kernel.instructions import DTYPES, INSTRUCTIONS
from glassgrad.kernel.ir import Formal, Kernel, Literal, Store
from glassgrad.native import math, scalars
from glassgrad.native.target import PORTABLE, Target
from tests.native.by_hand import at, both, compiled, draw, let, program_of, read, sized, vector, write

pytest.importorskip("llvmlite")

X86 = platform.machine() in ("x86_64", "AMD64")


@pytest.fixture(autouse=True)
def nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLASSGRAD_CACHE_DIR", "off")


# Instructions

OF_KIND = {
    "b": ["bool"],
    "i": ["int8", "int16", "int32", "int64"],
    "u": ["uint8", "uint16", "uint32", "uint64"],
    "f": ["float32", "float64"],
}


def edges(dtype: str) -> Any:
    """Numbers where something changes."""
    memory = DTYPES[dtype].memory
    if memory.kind == "b":
        return np.array([False, True])
    if memory.kind == "f":
        tiny = np.finfo(memory).tiny
        numbers = [0.0, -0.0, 1, -1, 0.1, 0.5, -0.5, 1.5, 2.5, -2.5, 3, -7.25, 6e4, tiny, np.inf, -np.inf, np.nan]
        return np.array(numbers, memory)
    low, high = np.iinfo(memory).min, np.iinfo(memory).max
    numbers = sorted({0, 1, 2, 3, 7, 8, 31, 100, high, high - 1, low, low + 1} | ({-1, -2, -3, -8} if low else set()))
    return np.array(numbers, memory)


def operands(dtype: str, arity: int) -> list[Any]:
    """All combinations, at least a few registers of them."""
    grids = np.meshgrid(*[edges(dtype)] * arity)
    return [np.resize(g, max(g.size, 150)) for g in grids]


def expected(instruction: str, args: list[Any]) -> Any:
    with np.errstate(all="ignore"):
        return INSTRUCTIONS[instruction].evaluate(*args)


def dtypes_of(instruction: str) -> list[str]:
    """Those it is in the table for; floats may be left to ``math.py``."""
    kinds = INSTRUCTIONS[instruction].kinds
    if instruction in math.INSTRUCTIONS:
        kinds = kinds.replace("f", "")
    return [dtype for kind in kinds if kind in OF_KIND for dtype in OF_KIND[kind]]


def test_every_instruction_is_emitted() -> None:
    assert INSTRUCTIONS.keys() == scalars.TABLE.keys() | math.INSTRUCTIONS.keys() | {"cast"}


@pytest.mark.parametrize("instruction", sorted(scalars.TABLE.keys() - {"fma", "select"}))
def test_instructions_are_numpys(instruction: str) -> None:
    arity, result = INSTRUCTIONS[instruction].arity, INSTRUCTIONS[instruction].result
    kernels, arrays, wanted = [], [], []
    for dtype in dtypes_of(instruction):
        args = operands(dtype, arity)
        out = "bool" if result == "bool" else dtype
        names = [f"x{i}" for i in range(arity)]
        loads = [read(name, dtype, i, at(i=1)) for i, name in enumerate(names)]
        body = (*loads, let("y", out, instruction, *names), write(arity, at(i=1), "y"))
        size = args[0].size
        kernels.append(Kernel((*[Formal(dtype, size)] * arity, Formal(out, size)), (vector("i", size, *body),)))
        arrays += [*args, np.empty(size, DTYPES[out].memory)]
        wanted.append(expected(instruction, args))
    assert compiled(program_of(*kernels))(*arrays) == 0
    for right, got in zip(wanted, arrays[arity :: arity + 1], strict=True):
        np.testing.assert_array_equal(got, right, str(right.dtype))


def test_signs_of_zeros() -> None:
    x = np.array([0.0, -0.0, 3.0, -3.0, 7.0, -7.0])
    y = np.array([2.0, 2.0, -3.0, 3.0, np.inf, np.inf])
    for name in ("remainder", "floor_divide", "fmod", "trunc", "rint"):
        args = ("x", "y")[: INSTRUCTIONS[name].arity]
        body = (read("x", "float64", 0, at(i=1)), read("y", "float64", 1, at(i=1)), let("z", "float64", name, *args))
        kernel = Kernel(sized(x_float64=6, y_float64=6, z_float64=6), (vector("i", 6, *body, write(2, at(i=1), "z")),))
        z = np.empty(6)
        compiled(program_of(kernel))(x, y, z)
        right = expected(name, [x, y][: len(args)])
        np.testing.assert_array_equal(np.signbit(z), np.signbit(right), name)
        np.testing.assert_array_equal(z, right, name)


@pytest.mark.parametrize("level", ["v2", "host"])
def test_multiply_add_and_select(level: str) -> None:
    if level == "v2" and not X86:
        pytest.skip("an x86 level")
    x, y, z = (draw("float32", 37, seed) for seed in range(3))
    body = (
        *(read(name, "float32", i, at(i=1)) for i, name in enumerate("xyz")),
        let("w", "float32", "fma", "x", "y", "z"),
        let("c", "bool", "less", "x", Literal(0.5, "float32")),
        let("s", "float32", "select", "c", "w", "x"),
        write(3, at(i=1), "s"),
    )
    kernel = Kernel((Formal("float32", 37),) * 4, (vector("i", 37, *body),))
    out = np.empty(37, np.float32)
    compiled(program_of(kernel), PORTABLE["x86-64-v2"] if level == "v2" else None)(x, y, z, out)
    np.testing.assert_allclose(out, np.where(x < 0.5, x * y + z, x), rtol=1e-5, atol=1e-6)


# Casts


def casting(source: str, to: str, x: Any, target: Target | None = None) -> Any:
    body = (read("x", source, 0, at(i=1)), let("y", to, "cast", "x"), write(1, at(i=1), "y"))
    kernel = Kernel((Formal(source, x.size), Formal(to, x.size)), (vector("i", x.size, *body),))
    out = np.empty(x.size, DTYPES[to].memory)
    compiled(program_of(kernel), target)(x, out)
    return out


NUMBERS = ["bool", *OF_KIND["i"], *OF_KIND["u"], "float16", "float32", "float64"]


@pytest.mark.parametrize("source", NUMBERS)
def test_casts_are_astype(source: str) -> None:
    x = edges(source)
    kernels, arrays = [], []
    for to in NUMBERS:
        y = x
        if DTYPES[to].memory.kind in "iu" and x.dtype.kind == "f":
            y = x[np.abs(x) < 8]
            y = np.abs(y) if DTYPES[to].memory.kind == "u" else y
        body = (read("x", source, 0, at(i=1)), let("y", to, "cast", "x"), write(1, at(i=1), "y"))
        kernels.append(Kernel((Formal(source, y.size), Formal(to, y.size)), (vector("i", y.size, *body),)))
        arrays += [y, np.empty(y.size, DTYPES[to].memory)]
    compiled(program_of(*kernels))(*arrays)
    with np.errstate(all="ignore"):
        for y, got in zip(arrays[::2], arrays[1::2], strict=True):
            np.testing.assert_array_equal(got, y.astype(got.dtype), str(got.dtype))


def test_what_does_not_fit_an_integer() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3e9, -3e9, 1e19, -1.5, 2.0**63], np.float64)
    least = np.iinfo(np.int32).min
    whole = [-(1 << 63)] * 3 + [3_000_000_000, -3_000_000_000, -(1 << 63), -1, -(1 << 63)]
    np.testing.assert_array_equal(casting("float64", "int32", x), [least] * 6 + [-1, least])
    np.testing.assert_array_equal(casting("float64", "int64", x), whole)
    np.testing.assert_array_equal(casting("float64", "int8", x), [0] * 6 + [-1, 0])
    np.testing.assert_array_equal(casting("float64", "uint32", x), np.array(whole).astype(np.uint32))
    assert casting("float64", "uint64", x)[[3, 5, 7]].tolist() == [3_000_000_000, 10**19, 1 << 63]


LEVELS = [None, *([PORTABLE["x86-64-v2"]] if X86 else [])]  # the second has no instructions for float16


@pytest.mark.parametrize("target", LEVELS, ids=["host", "v2"][: len(LEVELS)])
def test_float16_in_full(target: Target | None) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(casting("float16", "float32", every, target), every.astype(np.float32))
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        ties = (every.astype(np.float64) + np.nextafter(every, np.float16(np.inf)).astype(np.float64)) / 2
        around = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), [1e300, 1e-300]])
        np.testing.assert_array_equal(casting("float64", "float16", around, target), around.astype(np.float16))
        bits = rng.integers(0, 1 << 32, 1 << 14, np.uint32)
        single = np.concatenate([around.astype(np.float32), bits.view(np.float32)])
        np.testing.assert_array_equal(casting("float32", "float16", single, target), single.astype(np.float16))


def test_bfloat16_in_full() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    every = np.arange(1 << 16, dtype=np.uint16)
    np.testing.assert_array_equal(casting("bfloat16", "float32", every), every.view(bfloat16).astype(np.float32))
    bits = np.random.default_rng(0).integers(0, 1 << 32, 1 << 16, np.uint32)
    single = np.concatenate([bits, bits & 0xFFFF0000 | 0x8000]).view(np.float32)
    got = casting("float32", "bfloat16", single).view(bfloat16).astype(np.float32)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got, single.astype(bfloat16).astype(np.float32))
    # A float32 on the way would be a tie, and rounded to even.
    assert casting("float64", "bfloat16", np.array([1 + 2.0**-8 + 2.0**-40]))[0] == 0x3F81


@pytest.mark.parametrize(("dtype", "bits"), [("float16", 0x3E00), ("bfloat16", 0x3FC0)])
def test_16_bit_literals_and_folds(dtype: str, bits: int) -> None:
    """1.5 to memory, and to memory that has 1.5."""
    n, one = 37, Literal(1.5, dtype)
    body = (Store(0, at(i=1), one), Store(1, at(i=1), one), Store(1, at(i=1), one, "add"))
    memory = DTYPES[dtype].memory
    kernel = Kernel((Formal(dtype, n), Formal(dtype, n)), (vector("i", n, *body),))
    out, doubled = both(program_of(kernel), np.zeros(n, memory), np.zeros(n, memory))
    assert (out.view(np.uint16) == bits).all()
    assert (doubled.view(np.uint16) == bits + (0x400 if dtype == "float16" else 0x80)).all()
