"""jit(memory=): every budget from the smallest on is met, by no more work than needed, and with the same results."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import nn, tree
from glassgrad.compile import Executable
from glassgrad.compile.budget import Family, budget_of
from glassgrad.compile.plan import in_words
from glassgrad.errors import MemoryBudgetError
from tests.compile.test_random_graphs import gradient, programs, values
from tests.oracles.examples import examples

RNG = np.random.default_rng(0)


@functools.cache
def forward_steps(length: int, places: int) -> int:
    """Griewank's recurrence for the steps forward that reversing a chain takes."""
    if length == 1:
        return 0
    if places == 1:
        return length * (length - 1) // 2
    return min(k + forward_steps(length - k, places - 1) + forward_steps(k, places) for k in range(1, length))


def leaves(result: Any) -> list[Any]:
    return [np.asarray(x) for x in tree.leaves(result)]


def smallest(f: Callable[..., Any], *args: Any, **options: Any) -> int:
    """The smallest budget, as the error of a smaller one says."""
    try:
        gg.jit(f, memory=1, **options).plan(*args)
    except MemoryBudgetError as error:
        assert in_words(error.minimum) in str(error)
        return error.minimum
    return 0


def swept(f: Callable[..., Any], args: Sequence[Any], count: int = 3, run: int = 1, **options: Any) -> list[Any]:
    """Plans for budgets from the smallest to what is taken without one; the first ``run`` of them are run."""
    plain = gg.jit(f, **options)
    expected = leaves(plain(*copy.deepcopy(args)))
    scale = max(np.abs(want).max(initial=0.0) for want in expected)  # what cancels keeps a rounding of the others
    usual, least = plain.cost().arena, smallest(f, *args, **options)
    plans = []
    for k, budget in enumerate(np.linspace(least, usual, count).astype(int)):
        g = gg.jit(f, memory=int(budget), **options)
        plan = g.plan(*args)
        assert plan.peak <= budget and plan.usual == usual and plan.budget == budget
        if k < run:
            for got, want in zip(leaves(g(*copy.deepcopy(args))), expected, strict=True):
                unit = 1e-5 if want.dtype == np.float32 else 1e-12
                np.testing.assert_allclose(got, want, rtol=0, atol=unit * scale)
            assert g.cost().arena == plan.peak
        plans.append(plan)
    for small, large in itertools.pairwise(plans):
        assert small.peak <= large.peak and small.extra_flops >= large.extra_flops
    assert plans[-1].extra_flops == 0.0 and plans[0].peak == plans[0].minimum == least
    if least:
        with pytest.raises(MemoryBudgetError) as error:
            gg.jit(f, memory=least - 1, **options).plan(*args)
        assert error.value.minimum == least
    return plans


# Chains


def chain(length: int, n: int = 8) -> tuple[Callable[..., Any], Any]:
    def loss(ws: Any, x: Any) -> Any:
        for w in ws:
            x = gnp.tanh(x @ w)
        return (x**2).sum()

    return gg.grad(loss), ([RNG.normal(size=(n, n)) / 3 for _ in range(length)], RNG.normal(size=(n, n)))


@pytest.mark.parametrize("length", [4, 10])
def test_a_chain_is_computed_again_as_often_as_revolve_says(length: int) -> None:
    """Of equal values one is at hand, with two cotangents, and s - 1 are kept; the first one is an argument."""
    f, args = chain(length)
    size = args[1].nbytes
    for places in range(1, length, 1 + length // 4):
        plan = gg.jit(f, memory=(places + 2) * size).plan(*args)
        assert plan.repeats == forward_steps(length, places) - (length - 1), places
        assert plan.recomputed == [] or {part.op for part in plan.recomputed} == {"tanh"}
    with pytest.raises(MemoryBudgetError):
        gg.jit(f, memory=3 * size - 1).plan(*args)


def test_published_counts() -> None:
    """Griewank & Walther 2000: 10 steps with 3 checkpoints take 15 forward, of which 9 are the first way."""
    assert forward_steps(10, 3) == 15
    f, args = chain(10)
    assert gg.jit(f, memory=5 * args[1].nbytes).plan(*args).repeats == 6


def test_results_of_a_chain_are_the_same_bits() -> None:
    f, args = chain(6)
    expected = leaves(gg.jit(f)(*args))
    for got, want in zip(leaves(gg.jit(f, memory=3 * args[1].nbytes)(*args)), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_weight_shared_by_all_steps() -> None:
    """Its gradient is summed up as it comes, not gathered for one product at the end."""

    def loss(w: Any, x: Any) -> Any:
        for _ in range(12):
            x = gnp.tanh(x @ w)
        return (x**2).sum()

    plans = swept(gg.grad(loss), (RNG.normal(size=(8, 8)) / 3, RNG.normal(size=(16, 8))))
    assert plans[0].peak < plans[-1].peak / 4


# Loops


def recurrent(w: Any, start: Any, xs: Any, reverse: bool = False) -> Any:
    def step(h: Any, x: Any) -> Any:
        h = gnp.tanh(h @ w + x)
        return h, h.sum()

    last, sums = gg.scan(step, start, xs, reverse=reverse)
    return (last**2).sum() + (sums**3).sum()


def sequence(length: int) -> Any:
    return RNG.normal(size=(8, 8)) / 3, RNG.normal(size=(16, 8)), RNG.normal(size=(length, 16, 8))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_keeps_few_carries(reverse: bool) -> None:
    f = gg.grad(functools.partial(recurrent, reverse=reverse), (0, 1, 2))
    args = sequence(40)
    plans = swept(f, args)
    assert plans[0].peak < plans[-1].peak / 8
    for plan in plans[:-1]:
        for loop in plan.loops:
            assert loop.steps == forward_steps(40, loop.places)


def test_a_scan_keeps_more_carries_where_there_is_room() -> None:
    f, args = gg.grad(recurrent, (0, 1, 2)), sequence(40)
    least, carry = smallest(f, *args), args[1].nbytes
    kept = [gg.jit(f, memory=least + k * carry).plan(*args).loops[0].places for k in range(0, 6, 2)]
    assert kept == [kept[0] + k for k in range(0, 6, 2)]


def test_a_batch_of_scans() -> None:
    f = gg.vmap(gg.grad(recurrent), (None, None, 0))
    w, start, xs = sequence(20)
    args = w, start, np.stack([xs, -xs])
    (loop,) = gg.jit(f, memory=smallest(f, *args)).plan(*args).loops
    assert loop.steps == forward_steps(20, loop.places)


def test_fori_loop_loops_in_loops_and_products_with_hessians() -> None:
    def power(w: Any, x: Any) -> Any:
        return (gg.fori_loop(0, 25, lambda i, h: gnp.tanh(h @ w) + 0.01 * i, x) ** 2).sum()

    def nested(w: Any, xs: Any) -> Any:
        inner = lambda h, x: (gnp.tanh(h @ w + x), None)
        outer = lambda h, rows: (gg.scan(inner, h, rows)[0], None)
        return (gg.scan(outer, gnp.zeros((4, 8)), xs)[0] ** 2).sum()

    w, x = RNG.normal(size=(8, 8)) / 3, RNG.normal(size=(4, 8))
    swept(gg.grad(power, (0, 1)), (w, x), 2)
    swept(gg.grad(nested, (0, 1)), (w, RNG.normal(size=(6, 7, 4, 8))), 2)
    swept(lambda w, x, v: gg.hvp(lambda w: power(w, x), w, v), (w, x, w), 2)


# Networks


def test_a_deep_perceptron() -> None:
    model = nn.MLP((16,) * 20 + (4,), "relu", rng=0)
    x, labels = RNG.normal(size=(32, 16)).astype(np.float32), RNG.integers(0, 4, 32)
    plans = swept(gg.value_and_grad(lambda m, x, y: nn.cross_entropy(m(x), y)), (model, x, labels))
    assert plans[0].peak < plans[-1].peak / 8


def test_an_lstm() -> None:
    model = nn.LSTM(8, 8, rng=0)
    x = RNG.normal(size=(4, 30, 8)).astype(np.float32)
    swept(gg.grad(lambda m, x: sum((y**2).mean() for y in tree.leaves(m(x)))), (model, x))


def test_a_transformer_block() -> None:
    block = nn.TransformerBlock(16, 2, rng=0)
    x = RNG.normal(size=(2, 12, 16)).astype(np.float32)
    plans = swept(gg.grad(lambda b, x: (b(x) ** 2).mean()), (block, x))
    assert plans[0].peak < 0.75 * plans[-1].peak


@examples(3)
@given(programs((8, 20), 200))
def test_random_programs(program: Any) -> None:
    arguments = [np.array(a) for a in program.arguments]
    coarsest = min((d.itemsize for d in program.dtypes if d.kind == "f"), default=8)
    with np.errstate(all="ignore"):
        for make in (values, gradient):
            plain = Executable(gg.trace(make(program), *arguments))
            expected = [np.full(s.shape, 77, s.dtype) for s in plain.specs]
            assert plain.interpret(arguments, expected) == 0
            usual = plain.program.arena
            least = Family(plain).minimum
            before = None
            for budget in (least, (least + usual) // 2):
                tight = Executable(plain.graph, budget=budget, verified=True)
                assert tight.program.arena == tight.plan.peak <= budget
                results = [np.full(s.shape, 77, s.dtype) for s in tight.specs]
                assert tight.interpret(arguments, results) == 0
                for got, want in zip(results, expected, strict=True):
                    _alike(got, want, coarsest)
                if before is not None:
                    assert before.peak <= tight.plan.peak and before.extra_flops >= tight.plan.extra_flops
                before = tight.plan


def _alike(got: Any, want: Any, coarsest: int) -> None:
    if got.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want)
        return
    digits = {2: 1e-2, 4: 1e-4}.get(coarsest, 1e-9)  # what is stored is rounded, and other values are
    scale = np.abs(want[np.isfinite(want)]).max(initial=1e-3)
    np.testing.assert_allclose(got, want, rtol=digits, atol=digits * scale)


# With everything else that jit does


def network(ws: Any, x: Any, layer: Any = lambda x, w: gnp.tanh(x @ w)) -> Any:
    for w in ws:
        x = layer(x, w)
    return (x**2).sum()


WEIGHTS = [RNG.normal(size=(16, 16)) / 4 for _ in range(6)]
X = RNG.normal(size=(8, 16))


def test_with_checkpoint() -> None:
    layer = gg.checkpoint(lambda x, w: gnp.tanh(gnp.tanh(x @ w) @ w))
    swept(gg.grad(lambda ws, x: network(ws, x, layer)), (WEIGHTS, X))


def test_with_donated_arguments() -> None:
    def step(ws: Any, x: Any) -> Any:
        return [w - 0.1 * d for w, d in zip(ws, gg.grad(network)(ws, x), strict=True)]

    swept(step, (WEIGHTS, X), donate=0)


def test_with_library_calls_branches_and_while_loops() -> None:
    def solves(a: Any, b: Any) -> Any:
        return sum((gnp.linalg.solve(a + k * gnp.eye(8), b) ** 2).sum() for k in range(1, 5))

    def shrink(x: Any) -> Any:
        return (gg.while_loop(lambda h: (h * h).sum() > 1.0, lambda h: gnp.sin(h) * 0.9, x) ** 2).sum()

    def either(x: Any) -> Any:
        return gg.cond(x.sum() > 0, lambda x: network(WEIGHTS, x), lambda x: (x**2).sum(), x)

    swept(gg.grad(solves), (RNG.normal(size=(8, 8)) + 5 * np.eye(8), RNG.normal(size=(8, 3))), 2)
    swept(gg.grad(shrink), (RNG.normal(size=20),), 2)
    swept(gg.grad(either), (X,), 2)


def test_each_signature_has_its_plan() -> None:
    f = gg.jit(lambda x, count: gg.grad(lambda x: network(WEIGHTS[:count], x))(x), static="count", memory="5 KiB")
    assert f(X, 2).shape == f(X, 6).shape and f(X[:4], 6).shape == (4, 16)
    assert len(f.signatures) == 3
    assert f.plan(X, 2).repeats < f.plan(X, 6).repeats
    assert f.lower(X, 6).plan is f.plan(X, 6)


def test_checked_against_eager() -> None:
    gg.jit(gg.grad(network), memory="4kB", check=True)(WEIGHTS, X)


def test_inside_of_a_derivative_the_function_runs_as_it_is() -> None:
    f = gg.jit(lambda x: network(WEIGHTS, x), memory=1)
    np.testing.assert_allclose(gg.grad(f)(X), gg.grad(lambda x: network(WEIGHTS, x))(X))
    outer = gg.jit(gg.grad(f), memory="4kB")
    assert outer(X).shape == X.shape and outer.plan().repeats > 0


# What is said


def test_sizes() -> None:
    for text, count in (
        ("64MB", 64 * 10**6),
        ("1.5 KiB", 1536),
        ("10kb", 10**4),
        ("2GiB", 2**31),
        ("7 B", 7),
        ("8", 8),
    ):
        assert budget_of(text) == count
    assert budget_of(np.int64(5)) == 5 and budget_of(None) is None


@pytest.mark.parametrize("memory", ["64XB", "MB", "", "-1MB", -1, "1e3", 0, "0", "0MB", "1.5", "1.5B", "0.0001kB"])
def test_bad_sizes(memory: Any) -> None:
    with pytest.raises(ValueError, match=r"jit: memory must be a number of bytes: got .*'64MB'"):
        gg.jit(lambda x: x, memory=memory)


@pytest.mark.parametrize("memory", [1.5, True, [1]])
def test_sizes_of_a_wrong_type(memory: Any) -> None:
    with pytest.raises(TypeError, match="jit: memory must be a number of bytes"):
        gg.jit(lambda x: x, memory=memory)


def test_a_budget_that_is_too_small() -> None:
    f, args = chain(4)
    with pytest.raises(MemoryBudgetError, match=r"100 bytes .*: the smallest possible is 1.54 kB \(1536 bytes\);"):
        gg.jit(f, memory=100)(*args)


def test_bytes_in_words_are_enough() -> None:
    for count in (5, 999, 1000, 1001, 12345, 99999, 123456, 10**9 + 1):
        assert budget_of(in_words(count).split(" (")[0].replace(" bytes", "")) >= count


def test_the_plan_as_text() -> None:
    f, args = chain(6)
    plan = gg.jit(f, memory=4 * args[1].nbytes).plan(*args)
    text = str(plan)
    assert "budget 2.05 kB, peak 2.05 kB (2048 bytes)" in text
    assert "computed again" in text and "tanh[8, 8]" in text and "test_memory.py:" in text
    assert plan.kept_bytes == plan.peak
    assert "computed again:" not in str(gg.jit(f).plan(*args))
    scan = gg.jit(gg.grad(recurrent), memory="10kB").plan(*sequence(20))
    assert "scan of 20 steps keeps" in str(scan)
