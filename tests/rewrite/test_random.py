"""Random graphs of special values: the same bits before and after, inf, NaN and -0.0 included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from tests.oracles.graphs import random_program
from tests.rewrite.programs import check

SHAPES = ((3, 4), (1, 4), (3, 1), (4,), ())
SPECIAL = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -4.0, 3.0, np.inf, -np.inf, np.nan, 1e30, 1e-30)
WHOLE = (0, 0, 1, -1, 2, 127, -128)
NUMBERS: tuple[Any, ...] = (*SPECIAL, 0, 1, -1, 2, True, False, np.float32(-0.0), np.float64(1.0))

Function = Callable[..., Any]
UNARY: tuple[Function, ...] = (
    lambda x: -x,
    gnp.abs,
    lambda x: gnp.logical_not(x),
    lambda x: x.astype(np.float32),
    lambda x: x.astype(np.float64),
    lambda x: gnp.isfinite(x),
    lambda x: gnp.sign(x),
    lambda x: gnp.conj(x),
    lambda x: x[...],
    lambda x: x[None][0],
    lambda x: x.reshape(x.size).reshape(x.shape),
    lambda x: x.T.T,
    lambda x: gnp.flip(x),
    lambda x: gnp.broadcast_to(x, (3, 4)),
    lambda x: gnp.concatenate([x.reshape(-1)[:1], x.reshape(-1)[1:]]).reshape(x.shape),
    lambda x: gnp.max(x[None], 0),
    lambda x: gg.stop_gradient(x),
    lambda x: gnp.stack([x, -x])[1],
    lambda x: gnp.max(gnp.stack([x, x * 2]), 0),
    lambda x: gnp.min(gnp.stack([x, x.astype(np.int64)]), 0),
    lambda x: x.astype(np.int64) * 3,
    lambda x: x.astype(np.complex64),
)
BINARY: tuple[Function, ...] = (
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / y,
    lambda x, y: gnp.maximum(x, y),
    lambda x, y: x < y,
    lambda x, y: x == y,
    lambda x, y: x != y,
    lambda x, y: gnp.logical_and(x, y),
    lambda x, y: gnp.logical_or(x, y),
    lambda x, y: gnp.logical_xor(x, y),
    lambda x, y: gnp.where(x, y, y),
    lambda x, y: gnp.where(x > 0, x, y),
)
TERNARY: tuple[Function, ...] = (lambda c, x, y: gnp.where(c, x, y), lambda c, x, y: gnp.where(c != 0, x * y, y))
ALL = (*[(1, f) for f in UNARY], *[(2, f) for f in BINARY], *[(3, f) for f in TERNARY])


def recipe(rng: np.random.Generator) -> tuple[list[np.ndarray[Any, Any]], list[tuple[int, list[Any]]]]:
    """Arguments, and steps: the number of an op with its operands, each (number of a value, constant)."""
    pick = lambda options: options[int(rng.integers(len(options)))]
    arguments = [rng.choice(SPECIAL, size=pick(SHAPES)).astype(pick("fd")) for _ in range(2)]
    arguments.append(rng.choice(WHOLE, size=pick(SHAPES)).astype(pick("?biqB")))
    steps = []
    for k in range(int(rng.integers(3, 14))):
        op = int(rng.integers(len(ALL)))
        operands = [(int(rng.integers(3 + k)), None)]
        for _ in range(ALL[op][0] - 1):
            shape, number = pick((None, *SHAPES)), pick(NUMBERS)
            constant = number if shape is None else np.full(shape, number)
            operands.append((int(rng.integers(3 + k)), pick((None, constant))))
        steps.append((op, [operands[i] for i in rng.permutation(len(operands))]))
    return arguments, steps


def function_of(steps: Sequence[tuple[int, list[Any]]]) -> Function:
    def function(*arguments: Any) -> Any:
        values = list(arguments)
        for op, operands in steps:
            given = [values[k] if constant is None else constant for k, constant in operands]
            try:
                values.append(ALL[op][1](*given))
            except (TypeError, ValueError, AttributeError, OverflowError):  # bool - bool, -True, u8 * -1
                values.append(values[-1])
        return values[len(arguments) :]

    return function


@pytest.mark.parametrize("seed", range(10))
def test_special_values_keep_their_bits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(100):
        arguments, steps = recipe(rng)
        with np.errstate(all="ignore"):
            check(function_of(steps), *arguments)


def close(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    if a.dtype.kind in "fc":
        scale = float(np.max(np.abs(b[np.isfinite(b)]), initial=1.0))
        eps = float(np.finfo(a.dtype).eps)
        np.testing.assert_allclose(a, b, rtol=2000 * eps, atol=200 * eps * scale)
    else:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(25))
def test_programs_of_every_kind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = random_program(lambda n: int(rng.integers(n)), 30, floats=("float64",))
    function = program.function()
    with np.errstate(all="ignore"):
        check(function, *[np.array(a) for a in program.arguments], equal=close)
