"""What leaves the steps of a scan, and that values stay what they were: eager results are the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.compile.pipeline import Executable
from glassgrad.graph.node import Node
from glassgrad.kernel.ir import Region
from glassgrad.native import driver
from glassgrad.rewrite import outside
from glassgrad.rewrite.rewriter import needed
from tests.rewrite.programs import check

close = partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-13)
RNG = np.random.default_rng(3)
STEPS, BATCH, INPUTS, UNITS = 5, 32, 3, 8
W, U, V = (RNG.normal(size=s) / 3 for s in ((INPUTS, UNITS), (UNITS, UNITS), (UNITS, 2)))
B, X = RNG.normal(size=UNITS), RNG.normal(size=(STEPS, BATCH, INPUTS))


def rnn(w: Any, u: Any, v: Any, b: Any, x: Any, reverse: bool = False) -> Any:
    def step(h: Any, row: Any) -> Any:
        h = gnp.tanh(row @ w + h @ u + b)
        return h, gnp.sin(h @ v)

    h, ys = gg.scan(step, gnp.zeros((*x.shape[1:-1], UNITS)), x, reverse=reverse)
    return (h**2).sum() + (ys**2).sum()


def gru(w: Any, u: Any, v: Any, b: Any, x: Any) -> Any:
    def step(h: Any, row: Any) -> Any:
        r = gg.special.expit(row @ w + h @ u)
        n = gnp.tanh(row @ w + r * (h @ u.T + b))
        return (1 - r) * n + r * h, None

    h, _ = gg.scan(step, gnp.ones((x.shape[1], UNITS)), x)
    return (h @ v).sum()


def one_example(w: Any, u: Any, v: Any, b: Any, x: Any) -> Any:
    return rnn(w, u, v, b, x[:, 0])


def turned(w: Any, u: Any, v: Any, b: Any, x: Any) -> Any:
    """Weights that are transposed where they are used, and one that is changed first."""
    step = lambda h, row: (gnp.tanh(h @ u.T + row @ (2.0 * w)), h.sum())
    h, ys = gg.scan(step, gnp.ones((x.shape[1], UNITS)), x)
    return (h @ v + b[:2]).sum() + (ys**2).sum()


PROGRAMS: list[Callable[..., Any]] = [rnn, partial(rnn, reverse=True), gru, one_example, turned]
NAMES = ["rnn", "reverse", "gru", "one example", "turned"]
ARGUMENTS = (W, U, V, B, X)


def gradient(function: Callable[..., Any]) -> Any:
    return gg.value_and_grad(function, argnums=(0, 1, 2, 3, 4))


def scans(nodes: Any) -> list[Node]:
    return [n for n in nodes if n.op.name == "scan" and n.value is None]


def products(node: Node) -> list[Node]:
    return [n for n in node.params["body"].nodes if n.op.name == "matmul"]


@pytest.mark.parametrize("function", PROGRAMS, ids=NAMES)
def test_gradients_keep_their_values(function: Callable[..., Any]) -> None:
    check(gradient(function), *ARGUMENTS, equal=close)


def test_products_that_the_carry_does_not_need_leave_the_steps() -> None:
    _, simple = check(gradient(rnn), *ARGUMENTS, equal=close)
    forward, backward = scans(needed(simple.outputs))
    assert [n.inputs[0] in set(forward.params["body"].inputs) for n in products(forward)] == [True]  # h u
    (product,) = products(backward)  # the cotangent of h
    assert product.inputs[1].op.name == "input"  # u is turned around once, before the loop
    assert backward.params["counts"].carry == 1  # and no sums


def test_large_products_and_large_stacks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, carry in (("LARGE", 4), ("STACK", 5)):  # a sum over rows is no product, but takes a stack
        with monkeypatch.context() as patch:
            patch.setattr(outside, name, 1)
            _, simple = check(gradient(rnn), *ARGUMENTS, equal=close)
            backward = scans(needed(simple.outputs))[-1]
            assert len(products(backward)) == 6 and backward.params["counts"].carry == carry


def regions(executable: Executable) -> Iterator[Region]:
    return (s for s in driver.every(executable.program.steps) if isinstance(s, Region) and s.loop)


@pytest.mark.parametrize("function", PROGRAMS[1:], ids=NAMES[1:])
def test_compiled_and_by_any_number_of_threads(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgrad.kernel.regions.LEAST", 1.0)  # so that these small steps are shared out
    monkeypatch.setattr("glassgrad.kernel.regions.SHORT", 1.0)
    monkeypatch.setattr("glassgrad.kernel.regions.PART", 1.0)
    program = gg.trace(gradient(function), *ARGUMENTS)
    executable = Executable(program, verified=True)
    results = []
    for threads in (1, 3):
        gg.set_threads(threads)
        outputs = [np.empty(s.shape, s.dtype) for s in executable.specs]
        assert executable.run(ARGUMENTS, outputs) == 0
        results.append([x.tobytes() for x in outputs])
    gg.set_threads(None)
    assert results[0] == results[1]
    for a, b in zip(outputs, gg.tree.leaves(gradient(function)(*ARGUMENTS)), strict=True):
        close(a, b)
    slow = [np.empty(s.shape, s.dtype) for s in executable.specs]
    assert executable.interpret(ARGUMENTS, slow) == 0
    for a, b in zip(outputs, slow, strict=True):
        close(a, b)
    alone = {one_example: [], turned: [True]}  # a step that sums over all rows needs all parts
    assert [r.chunks > 1 for r in regions(executable)] == alone.get(function, [True, True])


def test_batches_and_derivatives_of_derivatives() -> None:
    many = np.stack([X, 2 * X, X**2])
    each = gg.vmap(gradient(rnn), in_axes=(None, None, None, None, 0))
    for a, b in zip(
        gg.tree.leaves(gg.jit(each)(W, U, V, B, many)), gg.tree.leaves(each(W, U, V, B, many)), strict=True
    ):
        close(a, b)
    models = gg.vmap(gradient(rnn), in_axes=(0, 0, 0, 0, None))
    arguments = [np.stack([a, -a]) for a in (W, U, V, B)]
    for a, b in zip(gg.tree.leaves(gg.jit(models)(*arguments, X)), gg.tree.leaves(models(*arguments, X)), strict=True):
        close(a, b)
    product = lambda u: gg.hvp(lambda u: rnn(W, u, V, B, X), u, np.ones_like(U))
    close(gg.jit(product)(U), product(U))


def test_a_budget_is_met_as_before() -> None:
    function = gradient(rnn)
    usual = gg.jit(function)
    arena = usual.plan(*ARGUMENTS).peak
    little = gg.jit(function, memory=arena // 2)
    for a, b in zip(gg.tree.leaves(little(*ARGUMENTS)), gg.tree.leaves(usual(*ARGUMENTS)), strict=True):
        close(a, b)


def test_what_only_sums_up_and_is_looked_at_stays() -> None:
    """The sum so far is wanted at each step, or doubled, or read by another carry; or the same is added each time."""

    def sums(u: Any, x: Any, kind: int) -> Any:
        def step(carry: Any, row: Any) -> Any:
            total, other = carry
            term = gnp.transpose(x[0]) @ x[1] if kind == 3 else gnp.transpose(row) @ row
            after = total + term if kind != 1 else total + total + term
            return (after, other + (total.sum() if kind == 2 else 0.0)), (after if kind == 0 else None)

        (total, other), ys = gg.scan(step, (u, 0.0), x)
        return total.sum() + other + (ys.sum() if kind == 0 else 0.0)

    x, u = RNG.normal(size=(4, 3, 2)), np.ones((2, 2))
    for kind in range(4):
        function = gg.value_and_grad(partial(sums, kind=kind), argnums=(0, 1))
        check(function, u, x, equal=close)
        for a, b in zip(gg.tree.leaves(gg.jit(function)(u, x)), gg.tree.leaves(function(u, x)), strict=True):
            close(a, b)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_what_is_the_same_may_be_handed_out_beside_its_uses(length: int) -> None:
    w, b, c = RNG.normal(size=(2, 2)), RNG.normal(size=2), RNG.normal(size=(2, 2))
    bodies: list[Callable[..., Any]] = [
        lambda c, w, b: (w, c @ w),
        lambda c, w, b: (w * 2, c @ (w * 2)),
        lambda c, w, b: (b, gnp.sin(c @ w + b)),
        lambda c, w, b: (b, (c @ w) * b, b + 1, 2.0),
    ]
    for body in bodies:

        def program(c: Any, w: Any, b: Any, body: Callable[..., Any] = body) -> Any:
            return gg.scan(lambda c, _: (c * 0.9 + 1.0, body(c, w, b)), c, None, length=length)

        for got, want in zip(gg.tree.leaves(gg.jit(program)(c, w, b)), gg.tree.leaves(program(c, w, b)), strict=True):
            close(got, want)


def test_a_carry_that_is_never_read_has_a_gradient_of_zero() -> None:
    def program(dead: Any, a: Any, w: Any, x: Any) -> Any:
        def step(carry: Any, row: Any) -> Any:
            a, _ = carry
            return (0.9 * a + 0.1 * w[0], gnp.tanh((row @ w).sum() * 0.1)), None

        (a, last), _ = gg.scan(step, (a, dead), x)
        return gnp.sin(a).mean() + last

    given = np.float64(0.5), RNG.normal(size=UNITS), U, RNG.normal(size=(5, 2, UNITS))
    slopes = gg.grad(program, argnums=(0, 1, 2, 3))
    for got, want in zip(gg.jit(slopes)(*given), slopes(*given), strict=True):
        close(got, want)
