"""What a kernel does: operations, bytes, and a guess at the nanoseconds one core takes for them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from .instructions import itemsize, nbytes
from .ir import (
    Accumulate,
    Branch,
    Kernel,
    Let,
    Load,
    Loop,
    MatMul,
    Program,
    Region,
    Repeat,
    Scalar,
    Statement,
    Step,
    Store,
    While,
)

# Operations an instruction stands for; what is not listed counts as one.
OPERATIONS = (
    {"cast": 0, "select": 1, "divide": 4, "sqrt": 4}
    | dict.fromkeys(
        [
            "exp",
            "exp2",
            "expm1",
            "log",
            "log2",
            "log10",
            "log1p",
            "sin",
            "cos",
            "tan",
            "sigmoid",
            "tanh",
            "cbrt",
            "hypot",
        ],
        12,
    )
    | dict.fromkeys(
        [
            "power",
            "arctan2",
            "arcsin",
            "arccos",
            "arctan",
            "sinh",
            "cosh",
            "arcsinh",
            "arccosh",
            "arctanh",
            "logaddexp",
            "logaddexp2",
            "erf",
            "erfc",
            "erfinv",
            "lgamma",
            "digamma",
            "floor_divide",
            "remainder",
            "fmod",
        ],
        30,
    )
)
# Per nanosecond, measured on Zen 3; of float32 where it matters, of float64 half as many.
VECTOR = 40.0  # operations on vectors
SCALAR = 1.0  # ... one at a time
FLOPS = 80.0  # of a matrix product
BYTES = 16.0  # moved, of a kernel whose buffers lie in memory
CACHED = 128.0  # ... or in the second-level cache
CACHE = 512 << 10  # bytes of a kernel up to which they do


def product_time(rows: int, columns: int, inner: int, size: int) -> float:
    """Nanoseconds that one core takes for a matrix product of elements of ``size`` bytes which are in its caches."""
    return 2.0 * rows * columns * inner / FLOPS * (size / 4)


class Cost(NamedTuple):
    """Floating-point and other operations, and bytes loaded and stored."""

    operations: float
    bytes: float
    nanoseconds: float


def kernel_cost(kernel: Kernel) -> Cost:
    operations = moved = streamed = time = 0.0
    products: list[tuple[float, float, float]] = []  # how often, and of each the nanoseconds and the bytes of b
    for statement, times, lanes in _executed(kernel.body, 1.0, False):
        here, width, touched = 0.0, 1.0, 0  # width: of an element, in float32
        if isinstance(statement, MatMul):
            rows, columns, inner = statement.rows[1], statement.columns[1], statement.inner[1]
            here = 2.0 * rows * columns * inner
            size = itemsize(statement.dtype)
            operations += times * here
            moved += times * size * (rows * inner + inner * columns)
            products.append((times, product_time(rows, columns, inner, size), size * inner * columns))
            continue
        if isinstance(statement, Let) and isinstance(statement.value, Scalar):
            here, width = OPERATIONS.get(statement.value.instruction, 1), itemsize(statement.dtype) / 4
        elif isinstance(statement, Let) and isinstance(statement.value, Load):
            touched = itemsize(statement.dtype)
        elif isinstance(statement, Store):
            touched = itemsize(kernel.formals[statement.buffer].dtype)
        elif isinstance(statement, Accumulate):
            here = 1
        operations += times * here
        moved += times * touched
        streamed += times * touched if lanes else 0.0
        time += times * (here * width / VECTOR if lanes else here / SCALAR + touched / 4.0)
    footprint = sum(map(nbytes, kernel.formals))
    rate = CACHED if min(footprint, moved) <= CACHE else BYTES
    time += streamed / rate + sum(times * max(busy, read / rate) for times, busy, read in products)
    return Cost(operations, moved, time)


def work(kernel: Kernel) -> float:
    """Nanoseconds on one core, roughly: what decides into how many parts a launch is cut."""
    return kernel_cost(kernel).nanoseconds


def _executed(body: tuple[Statement, ...], times: float, lanes: bool) -> Iterator[tuple[Statement, float, bool]]:
    for statement in body:
        if isinstance(statement, Loop):
            yield from _executed(statement.body, times * statement.extent, lanes or statement.kind == "vector")
            continue
        yield statement, times, lanes
        if isinstance(statement, MatMul):
            inside = times * statement.rows[1] * statement.columns[1]
            yield from _executed(statement.body, inside, True)


def program_cost(program: Program) -> Cost:
    """The sum over all launches: of branches the dearest's, of a while loop as many rounds as are known to be, or one;
    not of library calls."""
    return steps_cost(program.steps, program.kernels)


def steps_cost(steps: Sequence[Step], kernels: Sequence[Kernel]) -> Cost:
    """The sum over the launches of these steps."""
    each = [kernel_cost(k) for k in kernels]
    return _total([_sum(step, each) for step in steps])


def _total(costs: Sequence[Cost]) -> Cost:
    return Cost(*(math.fsum(column) for column in zip(*costs, strict=True))) if costs else Cost(0.0, 0.0, 0.0)


def _times(count: float, costs: Sequence[Cost]) -> Cost:
    return Cost(*(count * one for one in _total(costs)))


def _sum(step: Step, each: list[Cost]) -> Cost:
    if isinstance(step, Region):
        return _times(step.count, [each[launch.kernel] for launch in step.launches])
    if isinstance(step, Repeat):
        return _times(step.count, [_sum(s, each) for s in step.steps])
    if isinstance(step, Branch):
        return max((_total([_sum(s, each) for s in arm]) for arm in step.arms), key=lambda cost: cost.nanoseconds)
    if isinstance(step, While):
        return _times(step.rounds, [_sum(s, each) for s in (*step.test, *step.steps)])
    return Cost(0.0, 0.0, 0.0)
