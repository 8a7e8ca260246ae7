"""Random programs three ways, forward and backward: eager, interpreted loops, machine code.

How far results may lie apart is measured: the same program is computed in float64, clean and with a rounding error
added to every value. What such errors change, compiled code may change too, and a few units in the last place more.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import glassgrad as gg
from glassgrad.compile.pipeline import Executable
from glassgrad.native.target import PORTABLE, Target, host
from tests.oracles.examples import examples
from tests.oracles.graphs import random_program
from tests.oracles.programs import Program

Function = Callable[..., list[Any]]
SEEDS = (1, 2, 3)
SPREAD = 10.0  # times what random rounding errors did
UNITS = 100.0  # in the last place of the largest element of any result: 1 - y² and its like lose some


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@st.composite
def programs(draw: Any, length: tuple[int, int] = (20, 60), limit: int = 300, **options: Any) -> Program:
    return random_program(lambda n: draw(st.integers(0, n - 1)), draw(st.integers(*length)), limit, **options)


def plain(results: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(getattr(r, "value", r)) for r in results]


def gradient(program: Program, **options: Any) -> Function:
    """The gradient, by every floating argument, of a sum over the program's results."""
    function = program.function(**options)
    places = [i for i, a in enumerate(program.arguments) if a.dtype.kind == "f"]

    def loss(*varied: Any, fixed: Sequence[Any]) -> Any:
        whole = list(fixed)
        for i, x in zip(places, varied, strict=True):
            whole[i] = x
        total = sum((x * 0.5).sum() for x in varied)
        for y in function(*whole):
            if y.dtype.kind == "f" and y.size:
                weights = np.cos(np.arange(y.size, dtype=float)).reshape(y.shape).astype(y.dtype)
                total = total + (y * weights).mean().astype(np.float64)
        return total

    def slopes(*xs: Any) -> list[Any]:
        wanted = tuple(range(len(places)))
        return list(gg.grad(lambda *varied: loss(*varied, fixed=xs), argnums=wanted)(*[xs[i] for i in places]))

    return slopes


def values(program: Program, **options: Any) -> Function:
    return program.function(**options)


def largest(x: np.ndarray[Any, Any]) -> float:
    return float(np.max(np.abs(x), initial=0.0)) if x.dtype.kind == "f" else 0.0


def allowed(program: Program, make: Callable[..., Function], eager: Sequence[Any], clean: Sequence[Any]) -> list[float]:
    """How far each result may lie from the clean one."""
    wide = program.widened()
    noisy = [plain(make(program, wide=True, noise=np.random.default_rng(s))(*wide)) for s in SEEDS]
    unit = max(float(np.finfo(d).eps) for d in program.dtypes if d.kind == "f")
    scale = max(map(largest, clean))  # a small result may be the difference of large values
    spreads = [
        max(largest(found[k] - exact) for found in (*noisy, eager)) if exact.dtype.kind == "f" else 0.0
        for k, exact in enumerate(clean)
    ]
    return [SPREAD * spread + UNITS * unit * max(scale, 1e-3) for spread in spreads]


def check(
    program: Program, make: Callable[..., Function], interpreted: bool = True, target: Target | None = None
) -> None:
    """``make(program)`` by all three ways, from the same arguments."""
    arguments = [np.array(a) for a in program.arguments]
    eager = plain(make(program)(*arguments))
    clean = plain(make(program, wide=True)(*program.widened()))
    room = allowed(program, make, eager, clean)
    executable = Executable(gg.trace(make(program), *arguments), target=target or host(), verified=True)
    ways = {"native": executable.run, "interpreted": executable.interpret}
    for way, compute in ways.items() if interpreted else [("native", executable.run)]:
        outputs = [np.full(s.shape, 77, s.dtype) for s in executable.specs]
        assert compute(arguments, outputs) == 0
        for k, (got, own, exact) in enumerate(zip(outputs, eager, clean, strict=True)):
            what = f"result {k}, {way}{program}"
            assert got.dtype == own.dtype and got.shape == own.shape, what
            if own.dtype.kind == "f":
                np.testing.assert_allclose(got, exact, rtol=0, atol=room[k], err_msg=what)
            else:
                np.testing.assert_array_equal(got, own, err_msg=what)


def check_in_place(program: Program) -> None:
    """A step down the gradient over donated arguments is the step beside them, bit for bit."""
    slopes = gradient(program)
    places = [i for i, a in enumerate(program.arguments) if a.dtype.kind == "f"]

    def step(*xs: Any) -> list[Any]:
        return [(xs[i] - 0.1 * g).astype(xs[i].dtype) for i, g in zip(places, slopes(*xs), strict=True)]

    arguments = [np.array(a) for a in program.arguments]
    expected = gg.jit(step)(*arguments)
    found = gg.jit(step, donate=places)(*arguments)
    for i, got, want in zip(places, found, expected, strict=True):
        assert got is arguments[i] or not got.ndim
        np.testing.assert_array_equal(got, want, err_msg=f"argument {i}{program}")


@given(programs())
@examples(30)
def test_values(program: Program) -> None:
    check(program, values)


@given(programs(length=(20, 40)))
@examples(30)
def test_gradients(program: Program) -> None:
    check(program, gradient)


@given(programs(length=(10, 30)))
@examples(30)
def test_donated_arguments(program: Program) -> None:
    check_in_place(program)


@given(programs(length=(20, 40), limit=20_000, floats=("float32", "float64")))
@examples(15)
def test_larger_arrays(program: Program) -> None:
    """Several blocks, partial folds, more than one thread; the interpreter would take too long."""
    check(program, values, interpreted=False)
    check(program, gradient, interpreted=False)


@pytest.mark.skipif(not host().triple.startswith("x86_64") or host().vector < 32, reason="needs AVX2")
@given(programs(length=(10, 30)), st.sampled_from(["x86-64-v2", "x86-64-v3"]))
@examples(15)
def test_code_for_lesser_machines(program: Program, level: str) -> None:
    check(program, values, interpreted=False, target=PORTABLE[level])
    check(program, gradient, interpreted=False, target=PORTABLE[level])
