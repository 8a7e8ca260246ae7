"""What runs again under a budget finds what it found the first time: every plan there is, against the eager engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.compile import Executable
from glassgrad.compile.budget import NEVER, Analysis, Family, Source
from glassgrad.errors import MemoryBudgetError
from glassgrad.kernel import interpret, units
from tests.oracles.examples import examples

Function = Callable[..., Any]


def scanned(start: Any, beside: Any, steps: int = 6) -> Any:
    return gg.scan(lambda h, t: (gnp.tanh(h * t + gnp.cos(beside)), None), start, gnp.ones(steps))[0]


def counted(start: Any, beside: Any) -> Any:
    return gg.fori_loop(0, 6, lambda i, h: gnp.tanh(h + gnp.cos(beside)), start)


def nested(start: Any, beside: Any) -> Any:
    """A loop in a loop, over rows of rows."""
    rows = gnp.stack([beside * float(k) for k in range(6)]).reshape(2, 3, *beside.shape)
    inner = lambda h, row: (gnp.tanh(h + gnp.cos(row)), None)
    return gg.scan(lambda h, some: (gg.scan(inner, h, some)[0], None), start, rows)[0]


def summed(loop: Function) -> Function:
    """The start of a loop's carry, which its steps write over, is what a running sum is of."""

    def f(x: Any) -> Any:
        a = gnp.exp(-(x**2)) + 2 * x
        first = (gnp.cumsum(a) * gnp.cumsum(x)).sum()
        return first + loop(a, x).sum()

    return f


def ordered(x: Any) -> Any:
    a, b = gnp.exp(-(x**2)) + 2 * x, x * x
    return (gnp.sort(a) * gnp.sort(b)).sum() + (gnp.sin(b) * scanned(a, b)).sum()


def loop_first(x: Any) -> Any:
    a = gnp.exp(-(x**2)) + 2 * x
    end = scanned(a, x).sum()
    return (gnp.cumsum(a) * gnp.cumsum(x)).sum() + end


def checked(f: Function, *args: Any, **options: Any) -> Family:
    """Run every plan that a budget may choose."""
    expected = [np.asarray(x) for x in gg.tree.leaves(f(*args))]
    scale = max(np.abs(want).max(initial=1.0) for want in expected)
    family = Family(Executable(gg.trace(f, *args), **options))
    for candidate in family.candidates:
        if candidate.bound == NEVER or candidate.arena == NEVER:
            continue
        _, lowered, program = candidate.placed
        results = [np.full(want.shape, 77, want.dtype) for want in expected]
        functions: Any = program.functions
        assert interpret.run(program, list(args), results, lowered.constants, functions) == 0
        for got, want in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-11 * scale, err_msg=f"{candidate.arena} bytes")
    return family


@pytest.mark.parametrize("n", [4, 33])
@pytest.mark.parametrize("loop", [scanned, counted, nested])
def test_the_start_of_a_carry_is_read_again(loop: Function, n: int) -> None:
    family = checked(gg.grad(summed(loop)), np.linspace(0, 1, n))
    assert family.minimum < family.usual or (n == 4 and family.minimum == family.usual)


@pytest.mark.parametrize("f", [ordered, loop_first])
def test_sorted_and_used_after_the_loop(f: Function) -> None:
    checked(gg.grad(f), np.linspace(0, 1, 33))


def test_every_budget_of_32_bytes_more() -> None:
    g, x = gg.grad(summed(scanned)), np.linspace(0, 1, 33)
    plain = gg.jit(g)
    expected = plain(x)
    budgets = range(Family(Executable(gg.trace(g, x))).minimum, plain.cost().arena + 32, 32)
    assert len(budgets) > 2
    for budget in budgets:
        np.testing.assert_allclose(gg.jit(g, memory=budget)(x), expected, rtol=1e-13, err_msg=str(budget))


ONE: tuple[Function, ...] = (
    lambda a: gnp.exp(-(a**2)),
    gnp.cumsum,
    gnp.sort,
    lambda a: gnp.sin(a) + 2 * a,
    lambda a: gnp.flip(a) * 0.5,
    lambda a: gnp.concatenate([a[2:], a[:2]]),
)
TWO: tuple[Function, ...] = (
    lambda a, b: a * gnp.cos(b),
    lambda a, b: a + b,
    lambda a, b: gnp.cumsum(a) * gnp.cumsum(b),
    scanned,
    counted,
    nested,
)


@examples(4)
@given(st.data())
def test_random_programs_with_loops(data: Any) -> None:
    choose = lambda n: data.draw(st.integers(0, n - 1))
    recipe = [(choose(len(ONE) + 2 * len(TWO)), choose(k + 2), choose(k + 2)) for k in range(4 + choose(5))]

    def f(x: Any) -> Any:
        values = [x, x * x + 0.1]
        for op, i, j in recipe:
            a, b = values[i], values[j]
            values.append(ONE[op](a) if op < len(ONE) else gnp.tanh(TWO[(op - len(ONE)) // 2](a, b)))
        return sum((gnp.sin(v) * float(k + 1)).sum() for k, v in enumerate(values))

    x = np.linspace(-0.9, 1.1, 8) ** 3
    checked(gg.value_and_grad(f), x)


def test_a_unit_that_would_read_what_was_written_over_is_refused() -> None:
    """One run more, of any unit at any later place: those that may run again keep all versions, some others do not."""
    x = np.linspace(0, 1, 4)
    analysis = Analysis.of(Executable(gg.trace(gg.grad(summed(scanned)), x), frugal=True))
    source = Source(lambda: analysis.executable)
    once = [units.Run(number, unit.makes) for number, unit in enumerate(analysis.units)]
    refused = 0
    for number, unit in enumerate(analysis.units):
        for at in range(number + 1, len(once)):
            runs = [*once[:at], once[number], *once[at:]]
            pieces, memory = units.in_sequence(analysis.units, runs, analysis.executable.lowered)
            kept = source.versions.kept(pieces, memory)
            assert kept or not unit.repeatable, (number, at)
            refused += not kept
    assert refused


def test_one_program_has_one_minimum() -> None:
    def chain(x: Any) -> Any:
        for _ in range(8):
            x = gnp.sin(gnp.cumsum(x))
        return x.sum()

    h, x = gg.hessian(chain), np.ones(20, np.float32)
    usual = Executable(gg.trace(h, x)).program.arena
    with pytest.raises(MemoryBudgetError) as error:
        gg.jit(h, memory=1).plan(x)
    least = error.value.minimum
    for budget in (least, least + 512, (least + usual) // 2, usual - 1, usual, 2 * usual):
        assert gg.jit(h, memory=budget).plan(x).minimum == least, budget
    assert gg.jit(h, memory=least).plan(x).peak == least
