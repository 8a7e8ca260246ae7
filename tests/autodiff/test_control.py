"""cond, switch, while_loop and checkpoint: against the same in Python, finite differences, JAX and published counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import numpy
import pytest
from hypothesis import given, settings

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors, tree
from glassgrad.autodiff import whiles
from glassgrad.compile.pipeline import Executable
from glassgrad.graph.verify import verify
from glassgrad.ops.branch import Switch
from glassgrad.ops.loop import While

RNG = numpy.random.default_rng(0)
X = RNG.normal(size=4)
W = RNG.normal(size=(4, 4)) / 2


@pytest.fixture(autouse=True, scope="session")
def _cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("compiled")
        folder.chmod(0o700)
        patch.setenv("GLASSGRAD_CACHE_DIR", str(folder))
        yield


def assert_agree(got: Any, expected: Any, rtol: float = 1e-10) -> None:
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        a, b = numpy.asarray(a), numpy.asarray(b)
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


def assert_compiled(function: Any, *args: Any, expected: Any = None, rtol: float = 1e-10) -> Executable:
    """The graph, the loops by the interpreter and machine code give what Python gives."""
    expected = tree.leaves(function(*args) if expected is None else expected)
    program = gg.trace(function, *args)
    verify(program.outputs)
    assert_agree(tree.leaves(program(*args)), expected, rtol)
    executable = Executable(program, verified=True)
    arrays = [numpy.array(x) for x in tree.leaves(args)]
    for run in (executable.run, executable.interpret):
        results = [numpy.full(s.shape, 77, s.dtype) for s in executable.specs]
        assert run(arrays, results) == 0
        assert_agree(results, [numpy.asarray(e) for e in expected], rtol)
    return executable


# What is computed: each function has its choice from x, so that Python's own path and the graph's can be compared


def two_ways(x: Any) -> Any:
    return gg.cond(x.sum() > 0, lambda x: np.sin(x) * 2.0, lambda x: np.exp(x) - x, x)


def closing_over(x: Any) -> Any:
    w = np.cos(x)
    return gg.cond(x[0] > 0, lambda: {"a": w * x, "b": np.sum(w)}, lambda: {"a": w + x, "b": 0.0})


def three_ways(x: Any) -> Any:
    index = np.floor(np.abs(x[1]) * 3.0).astype(int)
    return gg.switch(index, [lambda v, k: np.sin(v * k), lambda v, k: v @ (W * k), lambda v, k: v * 0.0 + k], x, x[2])


def until_small(x: Any) -> Any:
    def body(held: Any) -> Any:
        v, total, rounds = held
        return np.tanh(W @ v) * 0.9, total + v * x, rounds + 1

    return gg.while_loop(lambda held: (held[0] ** 2).sum() > 1e-3, body, (3.0 * x, 0.0 * x, 0))


def while_with_branches(x: Any) -> Any:
    def body(v: Any) -> Any:
        return gg.cond(v[0] > 0, lambda v: v * 0.7 - 0.1, lambda v: np.sin(v) * x, v)

    return gg.while_loop(lambda v: (v * v).sum() > 0.5, body, 4.0 * x)


def whiles_in_scan(x: Any) -> Any:
    def step(c: Any, r: Any) -> Any:
        c = gg.while_loop(lambda v: (v * v).sum() > 1.0, lambda v: v * 0.8 * np.cos(r), c + r)
        return c, c.sum()

    return gg.scan(step, x, np.stack([x, 2.0 * x, -x]))


def branch_with_loops(x: Any) -> Any:
    def halved(v: Any) -> Any:
        return gg.while_loop(lambda v: np.abs(v).max() > 0.3, lambda v: v * 0.5 * np.cos(x), v)

    def summed(v: Any) -> Any:
        return gg.scan(lambda c, r: (c * r + x, None), v, x)[0]

    return gg.cond(x.mean() > 0, halved, summed, x * 3.0)


def while_in_while(x: Any) -> Any:
    def body(held: Any) -> Any:
        v, n = held
        inner = gg.while_loop(lambda s: s[1] < n, lambda s: (np.sin(s[0]) + 0.1 * x, s[1] + 1), (v, 0))
        return inner[0], n + 1

    return gg.while_loop(lambda held: held[1] < 4, body, (x, 0))[0]


def kept_small(x: Any) -> Any:
    @gg.checkpoint
    def block(v: Any, k: Any) -> Any:
        return np.tanh(W @ np.sin(v * k)), v.sum()

    v, s = block(x, x[0])
    return block(v, s)


CASES = [
    *[two_ways, closing_over, three_ways, until_small, while_with_branches, whiles_in_scan, branch_with_loops],
    *[while_in_while, kept_small],
]
POINTS = [X, -X, numpy.array([0.1, 0.9, -0.3, 0.2])]


def floating(value: Any) -> Any:
    return [leaf for leaf in tree.leaves(value) if np.asarray(leaf).dtype.kind == "f"]


def loss(case: Any) -> Any:
    return lambda x: sum((np.cos(leaf) * (k + 1.0)).sum() for k, leaf in enumerate(floating(case(x))))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("x", POINTS, ids=("+", "-", "small"))
def test_values_and_gradients_are_those_of_python(case: Any, x: Any) -> None:
    assert_compiled(lambda x: (case(x), gg.grad(loss(case))(x)), x)


@pytest.mark.parametrize("case", CASES)
def test_tangents_are_those_of_python(case: Any) -> None:
    assert_compiled(lambda x, v: gg.jvp(lambda x: floating(case(x)), (x,), (v,)), X, numpy.cos(X))


@pytest.mark.parametrize("case", CASES)
def test_second_derivatives_are_those_of_python(case: Any) -> None:
    def slope(x: Any) -> Any:
        return gg.grad(lambda x: (gg.grad(loss(case))(x) * numpy.arange(1.0, 5.0)).sum())(x)

    def forward_over_reverse(x: Any) -> Any:
        return gg.jvp(gg.grad(loss(case)), (x,), (numpy.arange(1.0, 5.0),))[1]

    expected = slope(X)
    assert_agree(gg.jit(forward_over_reverse)(X), expected, 1e-8)
    if case in (two_ways, closing_over, three_ways, while_with_branches, kept_small):  # the others take long to compile
        assert_agree(gg.jit(slope)(X), expected, 1e-8)


@pytest.mark.parametrize("case", CASES)
def test_derivatives_agree_with_finite_differences(case: Any) -> None:
    point = POINTS[2] + 0.05  # on no border between two branches
    assert gg.check_grads(gg.jit(lambda x: floating(case(x))), (point,)).compared


def test_the_node_is_one_and_eager_calls_make_none() -> None:
    assert [n.op for n in gg.trace(two_ways, X).nodes if n.op in (Switch, While)] == [Switch]
    assert sum(n.op is While for n in gg.trace(until_small, X).nodes) == 1
    called = []
    gg.cond(True, lambda: called.append("yes") or 1.0, lambda: called.append("no") or 1.0)
    assert called == ["yes"]


# Only what is chosen is computed


def test_what_a_branch_makes_of_values_around_it_belongs_to_the_branch() -> None:
    """Else a loop that does not end, in a branch that is not taken, would run."""

    def f(x: Any) -> Any:
        endless = lambda: gg.while_loop(lambda v: v.sum() < numpy.inf, lambda v: v * 1.0, x)
        return gg.cond(x.sum() > 1e6, endless, lambda: x + 1.0)

    assert_agree(gg.jit(f)(X), X + 1.0)
    assert_agree(gg.jit(lambda x: f(x) * f(x))(X), (X + 1.0) ** 2)
    assert_agree(gg.jit(lambda x: gg.scan(lambda c, _: (f(x) + c, None), x, length=2)[0])(X), 3.0 * X + 2.0)
    assert_agree(gg.jit(lambda x: gg.grad(lambda x: f(x).sum())(x))(X), numpy.ones(4))
    (node,) = (n for n in gg.trace(f, X).nodes if n.op is Switch)
    assert any(n.op is While for n in node.params["branches"][1].nodes)


def test_nothing_of_the_other_branch_reaches_a_derivative() -> None:
    root = lambda x: gg.cond(x > 0, np.sqrt, lambda x: 0.0 * x, x)
    slope = gg.jit(lambda x: gg.grad(root)(x))
    assert slope(0.0) == 0.0 and slope(4.0) == 0.25 and slope(-1.0) == 0.0
    bent = gg.jit(gg.grad(gg.grad(lambda x: gg.cond(x > 0, lambda x: x**1.5, lambda x: 0.0 * x, x))))
    assert bent(0.0) == 0.0 and bent(4.0) == pytest.approx(0.375)


def test_a_where_inside_of_a_branch_still_discards_exactly() -> None:
    def f(x: Any) -> Any:
        return gg.cond(x.sum() > 0, lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum(), lambda x: x.sum(), x)

    x = numpy.array([4.0, 0.0, -1.0])
    assert_agree(gg.jit(gg.grad(f))(x), numpy.array([0.25, 0.0, 0.0]))
    mask = lambda x: np.where(x > 0, gg.cond(x.sum() > 0, np.sin, np.cos, x), 7.0).sum()
    assert_agree(gg.jit(gg.grad(mask))(x), numpy.where(x > 0, numpy.cos(x), 0.0))


def test_an_index_out_of_range_counts_as_the_nearest() -> None:
    f = lambda i, x: gg.switch(i, [np.sin, np.cos, np.exp], x)
    for i in (-7, -1, 0, 1, 2, 3, 100):
        expected = [numpy.sin, numpy.cos, numpy.exp][min(max(i, 0), 2)](X)
        assert_agree(f(i, X), expected)
        assert_agree(gg.jit(f)(i, X), expected)
        assert_agree(gg.jit(f)(numpy.int8(i), X), expected)


def test_numbers_take_the_dtype_of_the_other_branch() -> None:
    single = X.astype(numpy.float32)
    f = gg.jit(lambda x: gg.cond(x[0] > 0, lambda: x.sum(), lambda: 0.0))
    assert f(single).dtype == f(-single).dtype == numpy.float32
    whole = gg.jit(lambda x: gg.while_loop(lambda v: v < 3, lambda v: v + x.sum() * 0 + 1, 0.0))
    assert whole(single).dtype == numpy.float32
    assert gg.while_loop(lambda v: v < -1, lambda v: v + single[0], 0.0).dtype == numpy.float32
    assert gg.jit(lambda x: gg.cond(x[0] > 0, lambda: (1, True), lambda: (2, False)))(X)[0].dtype == numpy.int64


def test_carries_and_results_of_every_kind() -> None:
    def mixed(x: Any, n: Any) -> Any:
        step = lambda h: (h[0] * 2.0, h[1] + 1, ~h[2], h[3] * (1 + 0.5j))
        held = gg.while_loop(lambda h: h[1] < n, step, (x[:0], 0, True, 1j * x))
        parts = lambda x: (x[:0], x > 0, x.astype(numpy.float32), x.astype(numpy.float16))
        return held, gg.cond(x[0] > 0, parts, lambda x: parts(-x), x)

    assert_compiled(mixed, X, 3)
    spiral = lambda x: gg.while_loop(lambda h: np.abs(h).sum() < 50.0, lambda h: h * (1 + 0.5j) + x, 1j * x)
    assert_compiled(gg.grad(lambda x: np.abs(spiral(x)).sum()), X)


def test_library_functions_and_rules_of_the_users_inside() -> None:
    @gg.custom_vjp
    def cube(x: Any) -> Any:
        return x**3

    cube.defvjp(lambda x: (cube(x), x), lambda x, g: (3.0 * g * x * x,))
    compiled = gg.jit(lambda v: np.sin(v) * v)

    def f(a: Any) -> Any:
        other = lambda a: np.linalg.eigvalsh(a + a.T) * np.eye(4) + np.sort(compiled(a), -1)
        choose = lambda a: gg.cond(a[0, 0] > 0, np.linalg.inv, other, cube(a) + 2.0 * np.eye(4))
        return gg.while_loop(lambda h: h[1] < 3, lambda h: (choose(h[0]) * 0.5 + a, h[1] + 1), (a, 0))[0]

    assert_compiled(lambda a: (f(a), gg.grad(lambda a: f(a).sum())(a)), W, rtol=1e-7)


def test_a_donated_carry_is_written_over() -> None:
    def fill(x: Any, n: Any) -> Any:
        body = lambda h: (h[0].at[h[1]].set(9.0), h[1] + 1)
        return gg.while_loop(lambda h: h[1] < n, body, (x, 0))[0]

    filled = gg.jit(fill, donate=("x",))(numpy.zeros(5), 3)
    assert filled.tolist() == [9.0, 9.0, 9.0, 0.0, 0.0]


def test_no_results() -> None:
    assert gg.jit(lambda x: (x, gg.cond(x[0] > 0, lambda: None, lambda: None)))(X)[1] is None


# While loops in reverse


def steps(x: Any, n: Any, checkpoints: int | None = None) -> Any:
    body = lambda held: (np.sin(held[0]) * 1.1 + x, held[1] + 1)
    return gg.while_loop(lambda held: held[1] < n, body, (x, 0), checkpoints=checkpoints)[0].sum()


@pytest.mark.parametrize("checkpoints", [1, 2, 3, 7, 50])
def test_any_number_of_rounds_with_any_number_of_checkpoints(checkpoints: int) -> None:
    compiled = gg.jit(gg.grad(lambda x, n: steps(x, n, checkpoints)))
    for n in (0, 1, 2, 3, 4, 9, 30):
        expected = gg.grad(lambda x: steps(x, n))(X)  # noqa: B023
        assert_agree(compiled(X, n), expected)
        assert_agree(gg.grad(lambda x: steps(x, n, checkpoints))(X), expected)  # noqa: B023


@given(st.integers(1, 60), st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_rounds_are_run_again_as_often_as_is_published(length: int, places: int) -> None:
    """Griewank & Walther 2000: t(s, l) = r l - β(s + 1, r - 1) forward steps, with β(s, r - 1) < l ≤ β(s, r).

    Theirs counts no step that is only pulled through; a pull computes its own round here, and is not counted either.
    """
    counted = _advances(length, places)
    r = next(r for r in range(length + 1) if math.comb(places + r, places) >= length)
    assert counted == (r * length - math.comb(places + r, r - 1) if r else 0)


def _advances(length: int, places: int) -> int:
    """What the loop in reverse does, with its rule for the next carry to be kept."""
    kept, left, total = [0], length, 0
    now = 0
    while left:
        distance = int(whiles._distance(numpy.int64(left - now), numpy.int64(places - len(kept) + 1)))
        assert len(kept) <= places
        total, now = total + distance, now + distance
        if now == left - 1:
            left -= 1
            if kept[-1] == now:
                kept.pop()
            now = kept[-1] if kept else 0
        else:
            kept.append(now)
    return total


def test_memory_of_the_gradient_does_not_grow_with_the_rounds() -> None:
    x = numpy.ones(1000)
    few, many = (
        Executable(gg.trace(gg.grad(lambda x, n: steps(x, n, k)), x, 3)).program.arena  # noqa: B023
        for k in (2, 40)
    )
    assert 36 * x.nbytes < many - few < 80 * x.nbytes


def test_a_carry_is_written_to_in_place() -> None:
    def fill(x: Any, n: Any) -> Any:
        body = lambda held: (held[0].at[held[1]].set(held[1] * 2.0), held[1] + 1)
        return gg.while_loop(lambda held: held[1] < n, body, (x, 0))[0]

    executable = assert_compiled(fill, numpy.zeros(500), 7)
    loop = executable.loops.partition("do:")[2].partition("kernel k0")[0]
    assert loop.count("float64") == 0 and "500" not in "".join(
        line for line in loop.splitlines() if line.startswith("      k")
    )


def test_a_row_read_after_it_was_written_over_is_the_old_one() -> None:
    def rolling(x: Any, n: Any) -> Any:
        def body(held: Any) -> Any:
            v, i = held
            return v.at[i % 4].set(v[(i + 1) % 4] + 1.0) + v[0] * 0.5, i + 1

        return gg.while_loop(lambda held: held[1] < n, body, (x, 0))[0]

    assert_compiled(rolling, X, 9)
    kept = lambda x, rows: gg.scan(lambda c, r: (c.at[1].set(r), c * 2.0), x, rows)
    assert_compiled(kept, X, X[:3] + 1.0)
    ahead = lambda x, rows: gg.scan(lambda c, r: (c.at[1].set(r + c[2]).at[2].set(c[1]), c[1]), x, rows)
    assert_compiled(lambda x, rows: (ahead(x, rows), gg.grad(lambda x: ahead(x, rows)[0].sum())(x)), X, X[:3])


# Batches


def test_a_batch_of_loops_ends_with_the_last() -> None:
    rows, counts = RNG.normal(size=(5, 4)), numpy.array([0, 1, 6, 3, 2])

    def f(x: Any, n: Any) -> Any:
        body = lambda held: (gg.cond(held[0].sum() > 0, np.sin, lambda v: v * v + x, held[0]), held[1] + 1)
        return gg.while_loop(lambda held: held[1] < n, body, (x, 0))[0]

    slope = gg.grad(lambda x, n: f(x, n).sum())
    for function in (f, slope):
        expected = numpy.stack([function(x, n) for x, n in zip(rows, counts, strict=True)])
        assert_agree(gg.vmap(function)(rows, counts), expected)
        assert_agree(gg.jit(gg.vmap(function))(rows, counts), expected)
        shared = numpy.stack([function(x, 3) for x in rows])
        assert_agree(gg.jit(gg.vmap(function, (0, None)))(rows, 3), shared)
    whole = gg.jit(gg.grad(lambda rows: gg.vmap(f)(rows, counts).sum()))
    assert_agree(whole(rows), numpy.stack([slope(x, n) for x, n in zip(rows, counts, strict=True)]))


def test_a_batch_of_choices_chooses_by_example() -> None:
    x, index = numpy.array([1.0, -2.0, 3.0, 0.5]), numpy.array([0, 2, 1, 7])
    f = lambda x, i: gg.switch(i, [np.sin, np.log, lambda x: 3.0 * x], x)
    expected = [numpy.sin(1.0), -6.0, numpy.log(3.0), 1.5]
    assert_agree(gg.jit(gg.vmap(f))(x, index), numpy.array(expected))
    slopes = [numpy.cos(1.0), 3.0, 1 / 3.0, 3.0]
    assert_agree(gg.jit(gg.vmap(gg.grad(f)))(x, index), numpy.array(slopes))
    assert_agree(gg.vmap(gg.grad(gg.checkpoint(np.sin)))(x), numpy.cos(x))


# Checkpoints


def test_a_checkpoint_keeps_its_arguments_only() -> None:
    def chain(x: Any, wrap: Any) -> Any:
        block = wrap(lambda v: np.sin(np.cumsum(np.exp(np.sin(np.cumsum(v)))) * 0.01))
        for _ in range(6):
            x = block(x)
        return x.sum()

    x = numpy.linspace(0.0, 1.0, 20_000)
    kept, again = (
        Executable(gg.trace(gg.grad(lambda x: chain(x, wrap)), x), verified=True)  # noqa: B023
        for wrap in (lambda f: f, gg.checkpoint)
    )
    assert again.program.arena < 0.75 * kept.program.arena
    a, b = numpy.empty_like(x), numpy.empty_like(x)
    assert kept.run([x], [a]) == again.run([x], [b]) == 0
    assert_agree(a, b)


def test_a_checkpoint_without_a_trace() -> None:
    w = gg.variable(W)
    y = gg.checkpoint(lambda x: np.tanh(w @ x))(X).sum()
    assert_agree(y.backward()[w], gg.grad(lambda w: np.tanh(w @ X).sum())(W))


# Against JAX


def test_while_and_cond_agree_with_jax() -> None:
    jax = pytest.importorskip("jax")
    x = X.astype(numpy.float32)

    def make(np: Any, cond: Any, while_loop: Any) -> Any:
        def f(x: Any) -> Any:
            body = lambda v: cond(v[0] > 0, lambda v: v * 0.7 - 0.1, lambda v: np.sin(v) * x, v)
            return while_loop(lambda v: (v * v).sum() > 0.5, body, 4 * x).sum()

        return f

    theirs, ours = make(jax.numpy, jax.lax.cond, jax.lax.while_loop), make(np, gg.cond, gg.while_loop)
    numpy.testing.assert_allclose(gg.jit(ours)(x), theirs(x), rtol=1e-5)
    expected = jax.jvp(theirs, (x,), (x,))
    numpy.testing.assert_allclose(gg.jit(lambda x: gg.jvp(ours, (x,), (x,)))(x), expected, rtol=1e-4)
    slopes = jax.jacfwd(theirs)(x)  # JAX has no reverse mode of while loops
    numpy.testing.assert_allclose(gg.jit(gg.grad(ours))(x), slopes, rtol=1e-4)


# Random bodies

TERMS = (
    "np.sin({a}) + {b} * 0.3",
    "np.tanh({a} * {b})",
    "gg.cond({a}[0] > {b}[1], lambda p: p * 0.5 + x, lambda p: np.cos(p) - {b}, {a})",
    "gg.switch(n % 3, [np.sin, lambda p: p * 0.9, lambda p: np.tanh(p + {b})], {a})",
    "gg.while_loop(lambda p: (p * p).sum() > 1.0, lambda p: p * 0.6 + 0.01 * {b}, {a} + x)",
    "gg.scan(lambda c, r: (np.sin(c + r) * 0.9, None), {a}, np.stack([{b}, x]))[0]",
    "{a}[::-1] * 0.5 + {b}.mean()",
)


@given(st.lists(st.tuples(*[st.integers(0, len(TERMS) - 1)] * 2), min_size=1, max_size=2), st.integers(0, 4))
@settings(max_examples=4, deadline=None)
def test_random_bodies(chosen: list[tuple[int, int]], rounds: int) -> None:
    def body(held: Any, x: Any) -> Any:
        a, b, n = held
        for first, second in chosen:
            names = {"np": np, "gg": gg, "x": x, "n": n, "a": a, "b": b}
            following = eval(TERMS[first].format(a="a", b="b"), names)
            a, b = following, eval(TERMS[second].format(a="b", b="a"), {**names, "a": following})
        return a, b, n + 1

    def f(x: Any) -> Any:
        held = gg.while_loop(lambda held: held[2] < rounds, lambda held: body(held, x), (x, 0.5 * x, 0))
        return held[0].sum() + (held[1] * x).sum()

    assert_compiled(gg.value_and_grad(f), X, rtol=1e-8)


# Mistakes


def traced(function: Any) -> Any:
    return lambda: gg.trace(function, X)


ERRORS = {
    "cond: pred must be one bool: got shape (4,)": traced(lambda x: gg.cond(x > 0, np.sin, np.cos, x)),
    "cond: pred must be a bool: got float64": lambda: gg.cond(1.0, np.sin, np.cos, X),
    "cond: the branches return other structures: false_fun returns leaves [''], true_fun returns ['[0]', '[1]']": (
        traced(lambda x: gg.cond(x[0] > 0, lambda: (x, x), lambda: x))
    ),
    "cond: the branches disagree in the shape of ['a']: got float64[4] from false_fun and float64[2] from true_fun": (
        traced(lambda x: gg.cond(x[0] > 0, lambda: {"a": x[:2]}, lambda: {"a": x}))
    ),
    "disagree in the dtype of the result: got float64[4] from branch 0 and int64[4] from branch 1": traced(
        lambda x: gg.switch(x[0].astype(int), [lambda: x, lambda: x.astype(int)])
    ),
    "disagree in the dtype of the result: got int64[] from branch 1 and float64[] from branch 0": traced(
        lambda x: gg.switch(x[0].astype(int), [lambda: 1.5, lambda: x[0].astype(int)])
    ),
    "switch: got no branches": lambda: gg.switch(0, []),
    "switch: the index must be one integer: got float64 of shape ()": lambda: gg.switch(0.5, [np.sin], X),
    "switch: the index must be one integer: got int64 of shape (2,)": lambda: gg.switch([0, 1], [np.sin], X),
    "while_loop: what cond_fun returns must be one bool: got shape (4,)": traced(
        lambda x: gg.while_loop(lambda v: v > 0, np.sin, x)
    ),
    "while_loop: what cond_fun returns must be a bool: got float64": lambda: gg.while_loop(np.sum, np.sin, X),
    "while_loop: the body changed the shape of carry[0]: got (3,), expected (4,)": traced(
        lambda x: gg.while_loop(lambda v: v[0][0] > 0, lambda v: (v[0][1:],), (x,))
    ),
    "while_loop: the body changed the dtype of carry: got int64, expected float64": traced(
        lambda x: gg.while_loop(lambda v: v[0] > 0, lambda v: v.astype(int), x)
    ),
    "while_loop: checkpoints is how many carries the gradient keeps: got 2.5": lambda: gg.while_loop(
        np.any, np.sin, X, checkpoints=2.5
    ),
    "carry, in the root: got list with keys (0, 1), expected tuple with keys (0, 1)": lambda: gg.while_loop(
        lambda v: v[0][0] > 0, lambda v: [*v], (X, X)
    ),
    "fori_loop: the body changed the structure of the carry, in [0]: got list with keys (0,), expected tuple": traced(
        lambda x: gg.fori_loop(0, 2, lambda i, v: ([v[0][0]],), ((x,),))
    ),
    "cond: the branches return other structures: at ['a'] false_fun returns list with keys (0,), true_fun tuple": (
        lambda: gg.cond(True, lambda x: {"a": (x,)}, lambda x: {"a": [x]}, X)
    ),
    "while_loop: got checkpoints=0, expected 1 at least": lambda: gg.while_loop(np.any, np.sin, X, checkpoints=0),
}


DISAGREEING = {
    "shape": (lambda x: x, lambda x: x[:2]),
    "rank": (lambda x: x.sum(), lambda x: x),
    "dtype": (lambda x: x, lambda x: x.astype(np.float32)),
    "keys": (lambda x: {"a": x}, lambda x: {"b": x}),
    "tuple and list": (lambda x: (x, x), lambda x: [x, x]),
    "none": (lambda x: x, lambda x: None),
}


@pytest.mark.parametrize("what", DISAGREEING)
@pytest.mark.parametrize("which", [0, 1])
def test_branches_that_disagree_are_an_error_however_the_choice_is_known(what: str, which: int) -> None:
    branches = DISAGREEING[what]
    ways: dict[str, Any] = {
        "cond": lambda x: gg.cond(which == 0, *branches, x),
        "switch": lambda x: gg.switch(which, branches, x),
        "closed over": lambda x: gg.cond(which == 0, lambda: branches[0](x), lambda: branches[1](x)),
    }
    for way in ways.values():
        for called in (way, gg.jit(way), lambda x, way=way: gg.vjp(way, x), way):
            with pytest.raises((errors.ShapeError, errors.DtypeError, errors.TreeError), match="the branches"):
                called(X)


def test_a_branch_that_is_not_taken_need_not_work_nor_is_it_called_where_that_shows() -> None:
    def deep(n: int) -> Any:
        return gg.cond(n <= 1, lambda n: 1, lambda n: n * deep(n - 1), n)

    def collatz(n: int) -> float:
        while n != 1:
            n = 3 * n + 1 if n % 2 else n // 2
        return 1.0

    seen: list[Any] = []
    rng = numpy.random.default_rng(0)
    untaken = [
        lambda x: x.no_such_thing,
        lambda x: x if float(x[0]) > 0 else x[:1],
        lambda x: seen.append(x) or x[:1],
        lambda x: collatz(0) * x[:1],
        lambda x: rng.normal(size=2) + x[:2],
        lambda x: x[:1] if gg.cond(x[0] > 0, deep, deep, 3) else 1 / 0,
    ]
    for other in untaken:
        assert gg.cond(True, lambda x: x, other, X) is not None
    assert deep(20) == 2432902008176640000 and not seen
    assert rng.normal() == numpy.random.default_rng(0).normal()
    assert gg.cond(True, lambda: 1, lambda: 2.5) == 1  # Python numbers are of no dtype
    assert gg.grad(lambda a: gg.cond(a > 0, lambda a: a, lambda a: a * np.ones((), np.float32), a))(3.0) == 1.0


@pytest.mark.parametrize("message", ERRORS)
def test_mistakes_are_named(message: str) -> None:
    with pytest.raises((errors.ShapeError, errors.DtypeError, errors.TreeError)) as caught:
        ERRORS[message]()
    assert message in str(caught.value) and "test_control.py" in str(caught.value)


def test_a_value_of_a_branch_cannot_be_used_outside() -> None:
    found: list[Any] = []

    def f(x: Any) -> Any:
        gg.cond(x[0] > 0, lambda x: found.append(np.sin(x)) or x, lambda x: x, x)
        return found[0] + 1.0

    with pytest.raises(errors.TracedValueError, match="used outside of it"):
        gg.trace(f, X)
