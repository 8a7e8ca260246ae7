"""Loops as one node: against the same loop unrolled, against JAX, and against finite differences."""

from __future__ import annotations

from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors, tree
from glassgrad.graph.verify import verify
from glassgrad.ops.loop import Scan

RNG = numpy.random.default_rng(0)
ROWS = RNG.normal(size=(5, 3))
START = RNG.normal(size=3)
WEIGHTS = RNG.normal(size=(3, 3)) / 2


def unrolled(f: Any, carry: Any, xs: Any = None, length: int | None = None, reverse: bool = False) -> Any:
    """What scan means, as a loop."""
    count = length if xs is None else len(tree.leaves(xs)[0])
    ys = []
    for i in reversed(range(count)) if reverse else range(count):
        carry, y = f(carry, None if xs is None else tree.map(lambda x: x[i], xs))  # noqa: B023
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return carry, tree.map(lambda *rows: np.stack(rows), *ys)


def recurrent(p: Any, loop: Any) -> Any:
    """A recurrent network whose weights the step closes over."""

    def step(h: Any, x: Any) -> Any:
        h = np.tanh(h @ p["W"] + x)
        return h, h * x

    return loop(step, p["h"], p["x"])


def products(p: Any, loop: Any) -> Any:
    """Cumulative products, with two carries of which one is given on unchanged."""

    def step(held: Any, x: Any) -> Any:
        total, scale = held
        total = total * x * scale
        return (total, scale), {"total": total, "before": held[0]}

    return loop(step, (p["h"], p["W"][0]), p["x"])


def crossed(p: Any, loop: Any) -> Any:
    """Carries that swap, one of them independent of any argument until the second step; from the last row."""

    def step(held: Any, x: Any) -> Any:
        a, b, count = held
        return (b * np.sin(x), a + x, count + 1), (a * b, count)

    return loop(step, (numpy.ones(3), p["h"], numpy.array(0)), p["x"], reverse=True)


def nested(p: Any, loop: Any) -> Any:
    """A loop in a loop; the inner one closes over values of both programs around it."""

    def outer(h: Any, x: Any) -> Any:
        def inner(v: Any, w: Any) -> Any:
            return np.sin(v + w * x) + p["h"], v.sum()

        return loop(inner, h, p["W"])

    return loop(outer, p["h"], p["x"])


def descending(p: Any, loop: Any) -> Any:
    """Gradient descent as a loop: a derivative inside of the step, by the carry and by a value from outside."""

    def step(w: Any, x: Any) -> Any:
        slope = gg.grad(lambda w: (np.tanh(w * x) * p["h"]).sum())(w)
        return w - 0.1 * slope, gg.grad(lambda h: (np.sin(h * w) * h * x).sum())(p["h"])

    return loop(step, p["W"][0], p["x"])


def masked(p: Any, loop: Any) -> Any:
    """A where whose other branch has an infinite derivative."""

    def step(h: Any, x: Any) -> Any:
        root = np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), x * h)
        return h * 0.5 + root, None

    return loop(step, p["h"], p["x"])[0]


def noisy(p: Any, loop: Any) -> Any:
    """A key carried from step to step."""

    def step(held: Any, x: Any) -> Any:
        h, key = held
        key, use = gg.random.split(key)
        return (h * np.cos(x) + gg.random.normal(size=3, rng=use) * x, gg.random.fold_in(key, 1)), h

    (h, _), ys = loop(step, (p["h"], gg.random.key(3)), p["x"])
    return h, ys


@gg.custom_vjp
def doubled(x: Any) -> Any:
    return 2.0 * x


doubled.defvjp(lambda x: (doubled(x), x), lambda x, g: (g * (2.0 + 0.0 * x),))


def ruled(p: Any, loop: Any) -> Any:
    """A step with a rule given by the user, and an op of several outputs."""

    def step(h: Any, x: Any) -> Any:
        q, r = np.linalg.qr(p["W"] + 0.1 * np.outer(h, x))
        return doubled(h) * 0.3 + np.diagonal(r) @ q, (q, r)

    return loop(step, p["h"], p["x"])


def written(p: Any, loop: Any) -> Any:
    """Rows read and written at the number of the step; a cumulative sum."""

    def step(table: Any, i: Any) -> Any:
        return table.at[i + 1].add(table[i] * p["h"]), table[i, 0]

    return loop(step, np.asarray(p["x"]), numpy.arange(4))


def turning(p: Any, loop: Any) -> Any:
    """A complex carry."""

    def step(z: Any, x: Any) -> Any:
        z = z * np.exp(1j * x) + p["h"] * z * z
        return z / np.abs(z), (z.real, np.abs(z))

    return loop(step, p["W"][0] + 1j * p["W"][1], p["x"])[1]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with numpy.errstate(all="ignore"):
        yield


CASES = [recurrent, products, crossed, nested, descending, masked, noisy, ruled, written, turning]
ARGUMENT = {"h": START, "x": ROWS, "W": WEIGHTS}


def floating(result: Any) -> list[Any]:
    return [leaf for leaf in tree.leaves(result) if leaf.dtype.kind == "f"]


def loss(case: Any, loop: Any) -> Any:
    def value(p: Any) -> Any:
        return sum((np.cos(leaf) * (k + 1.0)).sum() for k, leaf in enumerate(floating(case(p, loop))))

    return value


def assert_trees_agree(got: Any, expected: Any) -> None:
    for a, b in zip(tree.leaves(got), tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        numpy.testing.assert_allclose(numpy.asarray(a), numpy.asarray(b), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_the_loop(case: Any) -> None:
    expected = case(ARGUMENT, unrolled)
    assert_trees_agree(case(ARGUMENT, gg.scan), expected)
    program = gg.trace(lambda p: case(p, gg.scan), ARGUMENT)
    assert sum(n.op is Scan for n in program.nodes) == 1 and verify(program.outputs)
    assert_trees_agree(program(ARGUMENT), expected)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_unrolled_loop(case: Any) -> None:
    expected = gg.value_and_grad(loss(case, unrolled))(ARGUMENT)
    assert_trees_agree(gg.value_and_grad(loss(case, gg.scan))(ARGUMENT), expected)
    program = gg.trace(gg.value_and_grad(loss(case, gg.scan)), ARGUMENT)
    assert verify(program.outputs)
    assert_trees_agree(program(ARGUMENT), expected)


@pytest.mark.parametrize("case", CASES)
def test_second_derivatives_are_those_of_the_unrolled_loop(case: Any) -> None:
    def slope(loop: Any) -> Any:
        first = gg.grad(loss(case, loop))
        weights = tree.map(lambda x: numpy.sin(numpy.arange(x.size)).reshape(x.shape), ARGUMENT)
        return gg.grad(
            lambda p: sum((g * w).sum() for g, w in zip(tree.leaves(first(p)), weights.values(), strict=True))
        )

    expected = slope(unrolled)(ARGUMENT)
    assert_trees_agree(slope(gg.scan)(ARGUMENT), expected)
    assert_trees_agree(gg.trace(slope(gg.scan), ARGUMENT)(ARGUMENT), expected)


@pytest.mark.parametrize("case", CASES)
def test_tangents_are_those_of_the_unrolled_loop(case: Any) -> None:
    direction = tree.map(lambda x: numpy.cos(numpy.arange(x.size)).reshape(x.shape), ARGUMENT)
    expected = gg.jvp(lambda p: floating(case(p, unrolled)), (ARGUMENT,), (direction,))
    assert_trees_agree(gg.jvp(lambda p: floating(case(p, gg.scan)), (ARGUMENT,), (direction,)), expected)
    program = gg.trace(lambda p, d: gg.jvp(lambda p: floating(case(p, gg.scan)), (p,), (d,)), ARGUMENT, direction)
    assert_trees_agree(program(ARGUMENT, direction), expected)


@pytest.mark.parametrize("case", [recurrent, products, crossed, nested])
def test_derivatives_agree_with_finite_differences(case: Any) -> None:
    small = {"h": START, "x": ROWS[:2], "W": WEIGHTS}
    assert gg.check_grads(lambda p: floating(case(p, gg.scan)), (small,), order=2).compared


def test_third_derivative() -> None:
    def power(x: Any) -> Any:
        return gg.fori_loop(0, 5, lambda i, y: y * x, 1.0)

    assert float(gg.grad(gg.grad(gg.grad(power)))(2.0)) == 5 * 4 * 3 * 2.0**2


def test_the_rule_of_forward_mode_is_one_scan_that_carries_tangents_beside_values() -> None:
    """The scan's own JVP, given the tangents of some inputs."""
    from glassgrad.ops.loop import above

    def f(p: Any) -> Any:
        return crossed(p, gg.scan)

    (node,) = (n for n in gg.trace(f, ARGUMENT).nodes if n.op is Scan)
    rows = numpy.cos(ROWS)
    xs = [numpy.ones(3), START, numpy.array(0), ROWS]
    tangents = above["push"]((None, None, None, rows), None, xs, **node.params)
    _, expected = gg.jvp(lambda x: floating(f({**ARGUMENT, "x": x})), (ROWS,), (rows,))
    got = [t for t in tangents if t is not None]
    assert len(got) >= len(expected)
    assert_trees_agree(got[: len(expected)], [numpy.asarray(t) for t in expected])


# Against JAX


def test_a_recurrent_network_agrees_with_jax() -> None:
    jax = pytest.importorskip("jax")

    def make(tanh: Any, scan: Any) -> Any:
        def value(W: Any, h: Any, x: Any) -> Any:
            def step(h: Any, x: Any) -> Any:
                h = tanh(h @ W + x)
                return h, h * x

            h, ys = scan(step, h, x)
            return (h * h).sum() + (ys * ys).sum()

        return value

    arguments = [a.astype(numpy.float32) for a in (WEIGHTS, START, ROWS)]
    expected = jax.grad(make(jax.numpy.tanh, jax.lax.scan), (0, 1, 2))(*arguments)
    got = gg.grad(make(np.tanh, gg.scan), (0, 1, 2))(*arguments)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype == b.dtype
        numpy.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_products_agree_with_jax(reverse: bool) -> None:
    jax = pytest.importorskip("jax")

    def value(scan: Any) -> Any:
        return lambda x: scan(lambda c, x: (c * x, c), x[0], x[1:], reverse=reverse)

    x = RNG.uniform(0.5, 2.0, 6).astype(numpy.float32)
    for a, b in zip(value(gg.scan)(x), value(jax.lax.scan)(jax.numpy.asarray(x)), strict=True):
        assert a.dtype == b.dtype
        numpy.testing.assert_allclose(a.value, b, rtol=1e-6)
    expected = jax.grad(lambda x: (value(jax.lax.scan)(x)[1] ** 2).sum())(jax.numpy.asarray(x))
    numpy.testing.assert_allclose(gg.grad(lambda x: (value(gg.scan)(x)[1] ** 2).sum())(x), expected, rtol=1e-4)


def test_power_iteration_agrees_with_jax_and_with_numpy() -> None:
    jax = pytest.importorskip("jax")

    def largest(loop: Any, norm: Any) -> Any:
        def value(A: Any) -> Any:
            v = loop(0, 60, lambda i, v: A @ v / norm(A @ v), numpy.ones(3, numpy.float32))
            return v @ A @ v

        return value

    a = (WEIGHTS @ WEIGHTS.T + numpy.diag([1.0, 2.0, 4.0])).astype(numpy.float32)
    got, slope = gg.value_and_grad(largest(gg.fori_loop, np.linalg.norm))(a)
    numpy.testing.assert_allclose(got, numpy.linalg.eigvalsh(a)[-1], rtol=1e-5)
    expected = jax.grad(largest(jax.lax.fori_loop, jax.numpy.linalg.norm))(jax.numpy.asarray(a))
    numpy.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5)


# What the loop is given, and what it gives


def test_on_plain_values_the_loop_runs_in_python() -> None:
    seen = []

    def step(c: Any, x: Any) -> Any:
        if c > 2:  # a choice by value, which no trace could make
            return c, 0.0
        seen.append(float(x))
        return c + x, c

    c, ys = gg.scan(step, 0.0, numpy.array([1.0, 2.0, 4.0]))
    assert seen == [1.0, 2.0] and float(c) == 3.0 and isinstance(c, gg.Array) and not c.tracked
    numpy.testing.assert_array_equal(ys.value, [0.0, 1.0, 0.0])


def test_a_variable_that_the_step_closes_over_has_a_gradient() -> None:
    w, unused = gg.variable(WEIGHTS), gg.variable(2.0)
    h, ys = gg.scan(lambda h, x: (np.tanh(h @ w + x), w[0]), START, ROWS)
    grads = (h.sum() + ys.sum()).backward()
    expected = gg.grad(lambda w: unrolled(lambda h, x: (np.tanh(h @ w + x), 0.0), START, ROWS)[0].sum())(WEIGHTS)
    expected[0] += 5.0
    numpy.testing.assert_allclose(grads[w], expected, rtol=1e-12)
    assert grads[unused] == 0
    with pytest.raises(errors.TracedValueError, match="traced"):
        gg.scan(lambda h, x: (h * w[0] if h.sum() < 9 else h, None), START, ROWS)


def test_a_value_closed_over_that_comes_in_late_is_noticed() -> None:
    w = gg.variable(3.0)
    total = gg.fori_loop(0, 3, lambda i, c: c + (w if i.value is None or i > 1 else 0.0), 1.0)
    assert total.tracked and float(total.item()) == 10.0


def test_integers_and_keys_carry_no_gradient() -> None:
    x = gg.variable(START)
    (h, count, key, flag), ys = gg.scan(
        lambda c, r: ((c[0] * r, c[1] + 1, gg.random.fold_in(c[2], c[1]), ~c[3]), c[1]),
        (x, 0, gg.random.key(0), True),
        ROWS,
    )
    assert not (count.tracked or key.tracked or flag.tracked or ys.tracked) and h.tracked
    assert int(count) == 5 and ys.tolist() == [0, 1, 2, 3, 4] and key.dtype == numpy.uint32 and not flag
    expected = gg.random.key(0)
    for i in range(5):
        expected = gg.random.fold_in(expected, i)
    numpy.testing.assert_array_equal(key.value, expected.value)
    numpy.testing.assert_allclose(h.sum().backward()[x], ROWS.prod(0), rtol=1e-12)


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_few_steps(count: int, reverse: bool) -> None:
    def step(h: Any, x: Any) -> Any:
        return np.sin(h) * x, {"sum": h.sum(), "pair": (x, 1)}

    for h in (START, gg.variable(START)):
        last, ys = gg.scan(step, h, ROWS[:count], reverse=reverse)
        assert last.shape == (3,) and ys["sum"].shape == (count,) and ys["pair"][0].shape == (count, 3)
        assert ys["sum"].dtype == numpy.float64 and ys["pair"][1].dtype == numpy.int64
    got = gg.grad(lambda h, x: gg.scan(step, h, x)[0].sum(), (0, 1))(START, ROWS[:count])
    expected = (numpy.cos(START) * ROWS[0], numpy.sin(START)[None]) if count else (numpy.ones(3), numpy.zeros((0, 3)))
    assert_trees_agree(got, expected)


def test_without_rows() -> None:
    got = gg.scan(lambda c, x: (c * 2, (c, x)), gg.variable(1.0), length=4)
    assert got[0].item() == 16.0 and got[1][0].tolist() == [1.0, 2.0, 4.0, 8.0] and got[1][1] is None
    assert gg.scan(lambda c, x: (None, None), None, length=3) == (None, None)
    assert gg.scan(lambda c, x: (None, None), None, gg.variable(ROWS)) == (None, None)


@pytest.mark.parametrize("begin", [0, 0.0])
def test_a_python_number_takes_the_dtype_of_the_body(begin: Any) -> None:
    rows = ROWS[:, 0].astype(numpy.float32)
    for xs in (rows, gg.variable(rows)):
        c, ys = gg.scan(lambda c, x: (0.5 * c + x, c), begin, xs)
        assert c.dtype == ys.dtype == numpy.float32
    c, ys = gg.scan(lambda c, x: (c, c * x), 2.0, rows)  # not changed by the body: an array of its own dtype
    traced = gg.trace(lambda x: gg.scan(lambda c, x: (c, c * x), 2.0, x), rows).outputs
    assert [c.dtype, ys.dtype] == [t.dtype for t in traced] == [numpy.float64, numpy.float64]


def test_an_argument_that_stands_for_a_python_number_does_so_in_the_loop() -> None:
    def f(begin: Any, decay: Any, x: Any) -> Any:
        return gg.scan(lambda c, x: (decay * 2.0 * c + x, (c, decay)), begin, x)

    rows = ROWS[:, 0].astype(numpy.float32)
    program = gg.trace(f, 1.0, 0.25, rows)
    assert verify(program.outputs)
    for a, b, c in zip(
        program.outputs, tree.leaves(program(1.0, 0.25, rows)), tree.leaves(f(1.0, 0.25, rows)), strict=True
    ):
        assert a.dtype == b.dtype == c.dtype
        numpy.testing.assert_array_equal(b, c.value)
    slopes = gg.trace(gg.grad(lambda *xs: f(*xs)[0], (0, 1, 2)), 1.0, 0.25, rows)
    for g, h in zip(slopes(1.0, 0.25, rows), gg.grad(lambda *xs: f(*xs)[0], (0, 1, 2))(1.0, 0.25, rows), strict=True):
        numpy.testing.assert_allclose(g, h, rtol=1e-5)


def test_results_share_no_memory_with_what_was_given() -> None:
    given = START.copy()
    for xs in (ROWS, gg.variable(ROWS)):
        last, _ = gg.scan(lambda c, x: (c, x), given, xs)
        given += 1.0
        assert not numpy.any(last.value == given)


def test_one_node_however_long_the_loop() -> None:
    def f(x: Any) -> Any:
        return gg.fori_loop(0, 100_000, lambda i, c: c * 0.5 + x, 0.0)

    assert len(gg.trace(gg.grad(f), 1.0).nodes) < 30


def test_unused_outputs_contribute_nothing_not_even_zero_times_infinity() -> None:
    x = numpy.array([0.0, 1.0, 4.0])
    assert gg.grad(lambda x: gg.scan(lambda c, x: (c + x, np.sqrt(x)), 0.0, x)[0])(x).tolist() == [1.0, 1.0, 1.0]


def test_the_body_is_shown() -> None:
    text = gg.trace(lambda x: gg.scan(lambda c, x: (c * x, None), 1.0, x)[0], ROWS[:, 0]).show()
    assert "length=5" in text and "reverse=False" in text
    assert "\n    %2 = mul(%0, %1) : float64[]" in text and "\n    return %2" in text


# Mistakes


@pytest.mark.parametrize("given", [START, gg.variable(START)], ids=["plain", "tracked"])
def test_errors_name_the_leaf(given: Any) -> None:
    def run(change: Any) -> None:
        gg.scan(lambda c, x: (change(c), None), {"h": given, "n": 0}, ROWS)

    with pytest.raises(errors.ShapeError, match=r"shape of carry\['h'\]: got \(1, 3\), expected \(3,\) at test_loops"):
        run(lambda c: {**c, "h": c["h"][None]})
    with pytest.raises(errors.DtypeError, match=r"dtype of carry\['h'\]: got float32, expected float64"):
        run(lambda c: {**c, "h": c["h"].astype(numpy.float32)})
    with pytest.raises(errors.TreeError, match=r"structure of the carry, in \['m'\]"):
        run(lambda c: {"h": c["h"], "m": c["n"]})
    with pytest.raises(errors.TreeError, match=r"return \(carry, y\)"):
        gg.scan(lambda c, x: c, given, ROWS)
    with pytest.raises(errors.DtypeError, match=r"dtype of carry: got int64, expected one that holds 1.5"):
        gg.scan(lambda c, x: (7 * (x > 0).sum(), x), 1.5, given + ROWS)
    with pytest.raises(errors.DtypeError, match="Array holds numbers"):
        gg.scan(lambda c, x: (c, x), "text", given + ROWS)


def test_errors_about_the_number_of_steps() -> None:
    with pytest.raises(errors.ShapeError, match=r"xs\['a'\]: 5, xs\['b'\]: 4"):
        gg.scan(lambda c, x: (c, None), 0.0, {"a": ROWS, "b": ROWS[1:]})
    with pytest.raises(errors.ShapeError, match="length: 4, xs: 5"):
        gg.scan(lambda c, x: (c, None), 0.0, ROWS, length=4)
    with pytest.raises(errors.ShapeError, match="a number"):
        gg.scan(lambda c, x: (c, None), 0.0, 3.0)
    with pytest.raises(errors.ShapeError, match="pass length"):
        gg.scan(lambda c, x: (c, None), 0.0)
    with pytest.raises(errors.ShapeError, match="-1"):
        gg.scan(lambda c, x: (c, None), 0.0, length=-1)
    with pytest.raises(errors.DtypeError, match="bounds are Python integers"):
        gg.fori_loop(0, 3.5, lambda i, c: c, 0.0)
    with pytest.raises(errors.DtypeError, match="bounds are Python integers"):
        gg.trace(lambda n: gg.fori_loop(0, n, lambda i, c: c, 0.0), 3)


def test_a_y_that_changes_its_shape_is_refused() -> None:
    sizes = iter([1, 2])
    with pytest.raises(errors.ShapeError, match="y changed between two steps"):
        gg.scan(lambda c, x: (c, numpy.ones(next(sizes))), START, ROWS[:2])


def test_a_value_of_the_body_cannot_be_used_outside() -> None:
    leaked = []

    def step(c: Any, x: Any) -> Any:
        leaked.append(c * x)
        return c * x, None

    gg.scan(step, gg.variable(1.0), ROWS[:, 0])
    with pytest.raises(errors.TracedValueError, match="loop's body"):
        leaked[0] + 1.0
    with pytest.raises(errors.TracedValueError, match="loop's body"):
        gg.trace(lambda x: x + leaked[0], 1.0)
    with pytest.raises(errors.UnsupportedError, match="two different traces"):
        gg.trace(lambda x: gg.trace(lambda y: x + y, 1.0), 1.0)
