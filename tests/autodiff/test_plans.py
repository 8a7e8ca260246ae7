"""Dense Jacobians and Hessians of sparse functions, compiled: by colours, and the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.autodiff import plans

pytest.importorskip("scipy")

X = np.random.default_rng(0).uniform(0.5, 1.5, 80)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The plans that were chosen; None where the matrix was computed as a dense one."""
    chosen: list[Any] = []
    look = plans.worth_it

    def looked(*args: Any) -> Any:
        plan = look(*args)
        if sum(map(plans.size_of, args[0].nodes)) > 1:  # not the gradient that a Hessian is of
            chosen.append(plan)
        return plan

    monkeypatch.setattr(plans, "worth_it", looked)
    return chosen


def rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def ring(x: Any) -> Any:
    return x * gnp.roll(x, 1) - gnp.exp(gnp.roll(x, -1))


def arrow(x: Any) -> Any:
    return x * x[0] + gnp.eye(1, 80)[0] * (x * x).sum()


CASES: dict[str, tuple[Any, Any, int | None]] = {
    "chain": (gg.hessian, rosenbrock, 3),
    "separable": (gg.hessian, lambda x: gnp.log(x).sum(), 1),
    "blocks": (gg.hessian, lambda x: gnp.prod(x.reshape(16, 5), axis=1).sum(), 5),
    "ring": (gg.jacobian, ring, 5),
    "forward": (gg.jacfwd, ring, 5),
    "reverse": (gg.jacrev, ring, 5),
    "arrow": (gg.jacobian, arrow, 3),
    "dense": (gg.hessian, lambda x: gg.special.logsumexp(x, 0), None),
    "dense through a matrix": (gg.jacobian, lambda x: gnp.tanh(np.linspace(-1, 1, 6400).reshape(80, 80) @ x), None),
    "loop": (gg.jacobian, lambda x: gg.scan(lambda c, _: (ring(c), None), x, None, length=2)[0], None),
}


@pytest.mark.parametrize("name", CASES)
def test_few_passes_give_the_dense_matrix(name: str, found: list[Any]) -> None:
    derive, f, passes = CASES[name]
    compiled = gg.jit(derive(f))(X)
    assert [p and p.passes for p in found] == [passes]
    eager = derive(f)(X)
    assert found[-1] is None  # a look each time would cost more than it saves
    assert compiled.shape == eager.shape == (80, 80)
    np.testing.assert_allclose(compiled, eager, rtol=1e-12, atol=1e-12)


def test_blocks_of_trees_and_of_several_arguments(found: list[Any]) -> None:
    def f(p: Any, z: Any) -> Any:
        return {"a": p["u"] * z, "b": gnp.concatenate([p["u"] ** 2, z.reshape(-1)]) * p["v"][:64]}

    p, z = {"u": X[:32].reshape(32), "v": X}, np.arange(32.0)
    args = ({"u": p["u"], "v": p["v"]}, z)
    compiled, eager = (wrap(gg.jacobian(f, argnums=(0, 1)))(*args) for wrap in (gg.jit, lambda g: g))
    assert found[0] is not None and found[0].passes <= 4
    for a, b in zip(gg.tree.leaves(compiled), gg.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)

    def g(p: Any) -> Any:
        return (p["u"] ** 3).sum() + (p["v"][:32] * p["u"] ** 2).sum()

    compiled, eager = (wrap(gg.hessian(g))(p) for wrap in (gg.jit, lambda g: g))
    assert found[2] is not None and found[2].mode == "star"
    for a, b in zip(gg.tree.leaves(compiled), gg.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


def test_they_can_be_differentiated_and_batched() -> None:
    total: Callable[..., Any] = lambda x: (gg.hessian(rosenbrock)(x) ** 2).sum()
    np.testing.assert_allclose(gg.jit(gg.grad(total))(X), gg.grad(total)(X), rtol=1e-12)
    rows = np.stack([X, X + 0.1])
    np.testing.assert_allclose(
        gg.jit(gg.vmap(gg.hessian(rosenbrock)))(rows), np.stack([gg.hessian(rosenbrock)(x) for x in rows]), rtol=1e-12
    )


def test_infinite_elements_stay_where_they_are() -> None:
    """Beside an infinite second derivative the others are numbers, not 0 · inf."""
    x = X.copy()
    x[3] = 0.0
    with np.errstate(divide="ignore"):
        expected = np.diag(-1.0 / x**2)
    np.testing.assert_allclose(gg.jit(gg.hessian(lambda x: gnp.log(x).sum()))(x), expected, rtol=1e-12)


def test_without_scipy_they_are_dense(found: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse", None)
    monkeypatch.setitem(__import__("sys").modules, "scipy", None)
    np.testing.assert_allclose(gg.jit(gg.hessian(rosenbrock))(X), gg.hessian(rosenbrock)(X), rtol=1e-12)
    assert found[0] is None


@pytest.mark.parametrize("n", [3, 70, 300])
def test_a_basis_in_memory_or_compared(n: int) -> None:
    """diag p - p pᵀ: the second derivative of log Σ exp."""
    x = np.linspace(-1.0, 1.0, n)
    p = np.exp(x) / np.exp(x).sum()
    found = gg.jit(gg.hessian(lambda x: gg.special.logsumexp(x, 0)))(x)
    np.testing.assert_allclose(found, np.diag(p) - np.outer(p, p), rtol=1e-12, atol=1e-16)


def test_a_basis_that_is_a_factor_is_in_memory() -> None:
    """A network whose weights lie in one vector: batched products with slices of the basis stay matrix products."""
    x, y = np.random.default_rng(1).normal(size=(20, 6)), np.linspace(-1.0, 1.0, 20)

    def loss(w: Any) -> Any:
        return ((gnp.tanh(x @ w[:48].reshape(6, 8)) @ w[48:56] - y) ** 2).sum()

    w = np.random.default_rng(2).normal(size=80)
    compiled = gg.jit(gg.hessian(loss))
    np.testing.assert_allclose(compiled(w), gg.hessian(loss)(w), rtol=1e-11, atol=1e-12)
    assert str(compiled.lower(w)).count("times load") >= 3
