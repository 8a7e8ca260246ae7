"""Kernels written by hand: words to write them with, and how they are compiled and run."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassgrad.kernel import interpret
from glassgrad.kernel.instructions import DTYPES
from glassgrad.kernel.ir import (
    Affine,
    Buffer,
    Formal,
    Kernel,
    Launch,
    Let,
    Literal,
    Load,
    Loop,
    Name,
    Place,
    Program,
    Region,
    Scalar,
    Store,
)
from glassgrad.kernel.verify import verify_kernel
from glassgrad.native import driver, emit, library
from glassgrad.native.target import Target, host
from glassgrad.native.threads import SHORT

TASK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
def in_turn(task: int, context: int, chunks: int) -> None:
    """What threads do, by one thread and with the last part first."""
    for chunk in reversed(range(chunks % SHORT)):
        TASK(task)(context, chunk, chunk + 1)


def compiled(program: Program, target: Target | None = None) -> Callable[..., int]:
    """A function of arguments, outputs and constants, in that order, and of addresses of functions to Call."""
    for kernel in program.kernels:
        verify_kernel(kernel)
    text = emit.module(program, target or host())
    symbols = {driver.PARALLEL: ctypes.cast(in_turn, ctypes.c_void_p).value or 0}
    made = library.load(text, lambda: text, target or host(), symbols)
    layout = driver.layout(program)

    def run(*arrays: Any, functions: Sequence[Any] = ()) -> int:
        arena = np.full(program.arena + 64, 0xFF, np.uint8)
        entries = [a.ctypes.data for a in arrays]
        entries += [ctypes.cast(function, ctypes.c_void_p).value for function in functions]
        assert len(entries) + 1 == layout.length
        table = (ctypes.c_void_p * layout.length)(*entries, arena.ctypes.data)
        return int(ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(made.address("run"))(ctypes.addressof(table)))

    return run


def program_of(*kernels: Kernel, chunks: int = 1) -> Program:
    """The kernels one after another, each on arguments of its own."""
    buffers: list[Buffer] = []
    launches = []
    for number, kernel in enumerate(kernels):
        given = [formal for formal in kernel.formals if not formal.local]
        launches.append(Launch(number, tuple(range(len(buffers), len(buffers) + len(given)))))
        buffers += [Buffer(f.dtype, f.size, Place("argument", len(buffers) + i)) for i, f in enumerate(given)]
    return Program(kernels, tuple(buffers), tuple(Region((launch,), chunks) for launch in launches), 0)


def both(program: Program, *arrays: Any, exact: bool = True, target: Target | None = None) -> list[Any]:
    """The arrays after the program, which the interpreter must leave alike."""
    native, slow = ([a.copy() for a in arrays] for _ in range(2))
    assert compiled(program, target)(*native) == interpret.run(program, slow, [])
    for fast, right in zip(native, slow, strict=True):
        if exact or fast.dtype.kind != "f":
            np.testing.assert_array_equal(fast, right)
        else:
            np.testing.assert_allclose(fast, right, rtol=1e-5, atol=1e-5)
    return native


def at(offset: int = 0, **terms: int) -> Affine:
    return Affine(offset, tuple(sorted((axis, c) for axis, c in terms.items() if c)))


def let(name: str, dtype: str, instruction: str, *args: Any) -> Let:
    """A Let of an instruction: strings are names, numbers are of the Let's dtype."""
    atoms = [Name(a) if isinstance(a, str) else a if isinstance(a, Literal) else Literal(a, dtype) for a in args]
    return Let(name, dtype, Scalar(instruction, tuple(atoms)))


def read(name: str, dtype: str, buffer: int, index: Any, mask: str = "") -> Let:
    return Let(name, dtype, Load(buffer, index, Name(mask) if mask else None))


def write(buffer: int, index: Any, value: str, reducer: str | None = None, mask: str = "") -> Store:
    return Store(buffer, index, Name(value), reducer, Name(mask) if mask else None)


def vector(axis: str, extent: int, *body: Any) -> Loop:
    return Loop(axis, extent, "vector", body)


def serial(axis: str, extent: int, *body: Any) -> Loop:
    return Loop(axis, extent, "serial", body)


def parallel(axis: str, extent: int, *body: Any) -> Loop:
    return Loop(axis, extent, "parallel", body)


def sized(**formals: int) -> tuple[Formal, ...]:
    """Formals by ``name_dtype=size``, local ones named scratch; the names are for the reader."""
    return tuple(Formal(name.split("_")[1], size, name.startswith("scratch")) for name, size in formals.items())


def draw(dtype: str, size: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    memory = DTYPES[dtype].memory
    if memory.kind == "f":
        return rng.standard_normal(size).astype(memory)
    if memory.kind == "b":
        return rng.random(size) < 0.5
    return rng.integers(0, 100, size).astype(memory)
