"""Jacobians, Hessians and their products: against numerical derivatives, JAX and PyTorch; composed with the walks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors, tree

RNG = numpy.random.default_rng(0)
X = RNG.normal(size=4)
W = RNG.normal(size=(3, 4))


def numerical(f: Callable[..., Any], x: Any, step: float = 1e-6) -> Any:
    """[*out, *in] by central differences."""
    columns = []
    for k in range(x.size):
        e = numpy.zeros(x.size)
        e[k] = step
        e = e.reshape(x.shape)
        columns.append((numpy.asarray(f(x + e)) - numpy.asarray(f(x - e))) / (2 * step))
    return numpy.stack(columns, -1).reshape(*numpy.shape(columns[0]), *x.shape)


def vector(x: Any) -> Any:
    return np.tanh(W @ x) * x[0]


def scalar(x: Any) -> Any:
    return (np.sin(x) * x[::-1]).sum() + np.log(1.0 + (x * x).sum())


def matrix(x: Any) -> Any:
    return np.outer(x, np.cos(x))


OPERATORS = {"jacobian": gg.jacobian, "jacfwd": gg.jacfwd, "jacrev": gg.jacrev}


@pytest.mark.parametrize("f", [vector, scalar, matrix, lambda x: x[:0] * 2.0, lambda x: np.ones(2), lambda x: x[2]])
@pytest.mark.parametrize("name", OPERATORS)
def test_jacobians_are_numerical_ones(name: str, f: Callable[..., Any]) -> None:
    found = OPERATORS[name](f)(X)
    assert type(found) is numpy.ndarray and found.dtype == X.dtype
    numpy.testing.assert_allclose(found, numerical(lambda x: numpy.asarray(f(x)), X), atol=1e-7)
    if numpy.size(f(X)):
        numpy.testing.assert_allclose(gg.jit(OPERATORS[name](f))(X), found, rtol=1e-13, atol=1e-13)


POSITIVE = X > 0

MASKED: dict[str, Callable[..., Any]] = {
    "constant": lambda x: x[POSITIVE] ** 3,
    "compared": lambda x: x[x > 0] ** 3,
    "list": lambda x: x[[True, False, True, False]] ** 3,
    "nothing": lambda x: x[x > 9.0] ** 3,
    "of two axes": lambda x: matrix(x)[matrix(x) > 0.01] ** 2,
    "of the second axis": lambda x: matrix(x)[:, POSITIVE] ** 2,
    "after a new axis": lambda x: x[None, POSITIVE] ** 3,
    "with positions": lambda x: matrix(x)[POSITIVE, 1] ** 2,
    "not nan": lambda x: x[~np.isnan(x)] ** 3,
    "written": lambda x: np.asarray(x).at[POSITIVE].set(x[POSITIVE] ** 3) * x,
    "added": lambda x: np.asarray(x).at[x > 0].add(x[x > 0] ** 3),
}


@pytest.mark.parametrize("case", MASKED)
def test_masks(case: str) -> None:
    f = MASKED[case]
    found = numerical(lambda x: numpy.asarray(f(x)), X)
    for operator in OPERATORS.values():
        numpy.testing.assert_allclose(operator(f)(X), found, atol=1e-7)
    slope = gg.grad(lambda x: (f(x) * x.sum()).sum())
    second = numerical(slope, X)
    for operator in OPERATORS.values():
        numpy.testing.assert_allclose(operator(slope)(X), second, atol=1e-7)
    numpy.testing.assert_allclose(gg.hessian(lambda x: (f(x) * x.sum()).sum())(X), second, atol=1e-7)
    diagonal = gg.hessian_diagonal(lambda x: (f(x) * x.sum()).sum())(X)
    numpy.testing.assert_allclose(diagonal, numpy.diagonal(second), atol=1e-7)


def test_the_mode_is_the_one_with_fewer_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgrad.autodiff import jacobian

    taken = []
    for name in ("_by_columns", "_by_rows"):
        real = getattr(jacobian, name)
        monkeypatch.setattr(jacobian, name, lambda *a, name=name, real=real: (taken.append(name), real(*a))[1])
    gg.jacobian(matrix)(X)
    gg.jacobian(vector)(X)
    gg.jacobian(vector, mode="forward")(X)
    gg.jacobian(lambda x: np.exp(1j * x).sum())(X)
    assert taken == ["_by_columns", "_by_rows", "_by_columns", "_by_columns"]


def test_the_function_runs_once() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(x)
        return x * x

    gg.jacfwd(f)(X), gg.jacrev(f)(X)
    assert len(calls) == 2


def test_hessians_and_their_products() -> None:
    h = gg.hessian(scalar)(X)
    numpy.testing.assert_allclose(h, numerical(gg.grad(scalar), X), atol=1e-7)
    v = RNG.normal(size=4)
    for product in (gg.hvp, gg.vhp):
        numpy.testing.assert_allclose(product(scalar, X, v), h @ v, rtol=1e-12)
        numpy.testing.assert_allclose(gg.jit(lambda x, v, product=product: product(scalar, x, v))(X, v), h @ v)
    numpy.testing.assert_allclose(gg.hessian_diagonal(scalar)(X), h.diagonal(), rtol=1e-12)
    numpy.testing.assert_allclose(gg.jit(gg.hessian_diagonal(scalar))(X), h.diagonal(), rtol=1e-12)
    numpy.testing.assert_allclose(gg.jit(gg.hessian(scalar))(X), h, rtol=1e-12)
    assert gg.hessian(vector)(X).shape == (3, 4, 4)
    numpy.testing.assert_allclose(gg.hvp(lambda x, a: a * scalar(x), X, v, 3.0), 3.0 * (h @ v), rtol=1e-12)


def test_composed_with_the_other_walks() -> None:
    cubic = lambda x: (x**3).sum()
    numpy.testing.assert_allclose(gg.grad(lambda x: gg.hessian(cubic)(x).sum())(X), numpy.full(4, 6.0))
    third = gg.jacobian(gg.hessian(cubic))(X)
    assert third.shape == (4, 4, 4) and third[1, 1, 1] == 6.0
    rows = RNG.normal(size=(5, 4))
    batch = gg.vmap(gg.jacobian(vector))(rows)
    numpy.testing.assert_allclose(batch, numpy.stack([gg.jacobian(vector)(r) for r in rows]), rtol=1e-12)
    numpy.testing.assert_allclose(gg.jit(gg.vmap(gg.hessian(scalar)))(rows)[2], gg.hessian(scalar)(rows[2]), rtol=1e-12)

    def newton(x: Any, _: Any) -> Any:
        step = np.linalg.solve(gg.hessian(cubic_well)(x), gg.grad(cubic_well)(x))
        return x - step, None

    cubic_well = lambda x: ((x - 1.0) ** 4).sum() + ((x - 1.0) ** 2).sum()
    last, _ = gg.jit(lambda x: gg.scan(newton, x, None, length=12))(X)
    numpy.testing.assert_allclose(last, numpy.ones(4), atol=1e-12)


def test_a_loop_within() -> None:
    def f(x: Any) -> Any:
        return gg.scan(lambda c, r: (np.tanh(c * r), c), x, np.stack([x, x * 2.0, x + 1.0]))[0]

    numpy.testing.assert_allclose(gg.jacfwd(f)(X), gg.jacrev(f)(X), rtol=1e-12)
    numpy.testing.assert_allclose(gg.jacobian(f)(X), numerical(f, X), atol=1e-7)


def test_trees_are_blocks() -> None:
    p = {"w": W, "b": X[:3], "n": 3, "s": 2.0}

    def f(p: Any, q: Any) -> Any:
        return {"y": p["w"] @ q * p["s"], "z": (p["b"] * p["n"], q.sum())}

    found = gg.jacobian(f)(p, X)
    assert found["y"]["w"].shape == (3, 3, 4) and found["z"][0]["b"].shape == (3, 3) and found["z"][1]["s"].shape == ()
    assert found["y"]["n"] is None
    numpy.testing.assert_array_equal(found["z"][0]["b"], 3.0 * numpy.eye(3))
    numpy.testing.assert_allclose(found["y"]["s"], W @ X)
    for a, b in zip(tree.leaves(gg.jacfwd(f)(p, X)), tree.leaves(gg.jacrev(f)(p, X)), strict=True):
        numpy.testing.assert_allclose(a, b, rtol=1e-12)
    both = gg.jacobian(f, argnums=(0, 1))(p, X)
    assert type(both["y"]) is tuple and both["y"][1].shape == (3, 4)
    second = gg.hessian(lambda a, b: (a * b * b).sum(), argnums=(0, 1))(X, X)
    numpy.testing.assert_allclose(second[0][1], numpy.diag(2 * X))
    diagonal = gg.hessian_diagonal(lambda p: (p["w"] ** 2).sum() * p["s"])(p)
    numpy.testing.assert_allclose(diagonal["w"], numpy.full((3, 4), 4.0))


def test_in_kind_and_auxiliary() -> None:
    found = gg.jacobian(vector)(gg.variable(X))
    assert isinstance(found, gg.Array) and not isinstance(gg.jacobian(vector)(X), gg.Array)
    for make in OPERATORS.values():
        j, aux = make(lambda x: (x * x, {"sum": x.sum()}), has_aux=True)(X)
        numpy.testing.assert_allclose(j, numpy.diag(2 * X))
        assert float(aux["sum"]) == X.sum()
    j32 = gg.jacobian(vector)(X.astype(numpy.float32))
    assert j32.dtype == numpy.result_type(numpy.float64, numpy.float32) or j32.dtype == numpy.float32


def test_complex_derivatives() -> None:
    z = X[:3] + 1j * X[1:]
    f = lambda z: np.exp(z) * z[0]
    exact = numpy.diag(numpy.exp(z) * z[0])
    exact[:, 0] += numpy.exp(z)
    for make in OPERATORS.values():
        numpy.testing.assert_allclose(make(f, holomorphic=True)(z), exact, rtol=1e-13)
    numpy.testing.assert_allclose(gg.hessian(lambda z: (z**3).sum(), holomorphic=True)(z), numpy.diag(6 * z))
    numpy.testing.assert_allclose(gg.jacfwd(lambda x: np.exp(1j * x))(X), numpy.diag(1j * numpy.exp(1j * X)))
    numpy.testing.assert_allclose(gg.jacrev(lambda z: np.abs(z) ** 2)(z), numpy.diag(2 * z))  # as grad has it


@pytest.mark.parametrize(
    ("make", "x", "options", "message"),
    [
        (gg.jacfwd, X + 1j, {}, "jacfwd: forward mode needs a real argument"),
        (gg.jacrev, X, {}, "jacrev: reverse mode needs a real result"),
        (gg.jacobian, X, {"holomorphic": True}, "got argument of float64"),
        (gg.jacobian, X + 1j, {}, "holomorphic=True"),
        (gg.jacobian, numpy.arange(3), {}, "cannot differentiate by int64"),
    ],
)
def test_what_is_refused(make: Any, x: Any, options: Any, message: str) -> None:
    with pytest.raises(errors.DtypeError, match=message):
        make(lambda x: x * 1j, **options)(x)


def test_wrong_words() -> None:
    with pytest.raises(ValueError, match="mode is 'up'"):
        gg.jacobian(vector, mode="up")
    with pytest.raises(ValueError, match="order is 'natural', but a dense Jacobian has none; add sparse=True"):
        gg.jacobian(vector, order="natural")
    with pytest.raises(ValueError, match="hessian: order is 'natural' and colouring 'star'.* add sparse=True"):
        gg.hessian(scalar, order="natural")
    with pytest.raises(errors.TreeError, match="returned str"):
        gg.jacobian(lambda x: "text")(X)
    with pytest.raises(errors.ShapeError, match="a tangent has its primal's shape"):
        gg.hvp(scalar, X, numpy.ones(3))


@pytest.mark.parametrize("n", [4, 80])
def test_a_hessian_that_is_not_symmetric(n: int) -> None:
    @gg.custom_vjp
    def square(x: Any) -> Any:
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (g * x[::-1],))

    def by_hand(x: Any) -> Any:
        return (square(x) * x).sum()

    x = numpy.random.default_rng(0).normal(size=n)
    # The gradient is square(x) + x * x[::-1], and by the rule square has the derivative x[::-1].
    expected = numpy.diag(2 * x[::-1]) + numpy.fliplr(numpy.diag(x))
    for found in (gg.hessian(by_hand), gg.jit(gg.hessian(by_hand)), gg.jacfwd(gg.grad(by_hand))):
        numpy.testing.assert_allclose(found(x), expected, atol=1e-14)

    def crossed(x: Any) -> Any:  # the gradient: x[0] * x[::-1] + square(x).sum() e_0
        return (square(x) * x[0]).sum()

    expected = x[0] * numpy.eye(n)[::-1]
    expected[:, 0] += x[::-1]
    expected[0] += x[::-1]
    for found in (gg.hessian(crossed), gg.jit(gg.hessian(crossed)), gg.jacfwd(gg.grad(crossed))):
        numpy.testing.assert_allclose(found(x), expected, atol=1e-14)


def test_nans_of_a_hessian_are_in_the_rows_of_the_gradient() -> None:
    with numpy.errstate(all="ignore"):
        found = gg.hessian(lambda x: (np.sqrt(x) ** 2).sum())(numpy.array([0.0, 1.0, 4.0]))
    assert numpy.isnan(found[0]).any() and not numpy.isnan(found[1:]).any()


def test_linearize() -> None:
    value, pushforward = gg.linearize(vector, X)
    numpy.testing.assert_allclose(value, vector(X).value)
    for v in RNG.normal(size=(2, 4)):
        numpy.testing.assert_allclose(pushforward(v), gg.jvp(vector, (X,), (v,))[1], rtol=1e-13)
    numpy.testing.assert_allclose(gg.vmap(pushforward)(numpy.eye(4)).T, gg.jacobian(vector)(X), rtol=1e-12)
    numpy.testing.assert_allclose(gg.grad(lambda v: pushforward(v).sum())(X), gg.jacobian(vector)(X).sum(0), rtol=1e-12)
    value, pushforward, aux = gg.linearize(lambda a, b: (a * b, "seen"), X, X, has_aux=True)
    numpy.testing.assert_allclose(pushforward(X, numpy.zeros(4)), X * X)
    assert aux == "seen"
    numpy.testing.assert_allclose(
        gg.jit(lambda x, v: gg.linearize(vector, x)[1](v))(X, X), gg.jvp(vector, (X,), (X,))[1]
    )
    with pytest.raises(errors.TreeError, match="one tangent per primal: got 1"):
        pushforward(X)


def test_what_the_argument_is_later_does_not_matter() -> None:
    x = X.copy()
    _, pushforward = gg.linearize(lambda x: x * x, x)
    x[:] = 0.0
    numpy.testing.assert_allclose(pushforward(numpy.ones(4)), 2 * X)


FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "layer": lambda np, x: np.tanh(x[:3] * x[1:]) @ W,
    "softmax": lambda np, x: np.exp(x) / np.exp(x).sum(),
    "norm": lambda np, x: x / np.sqrt((x * x).sum()),
    "powers": lambda np, x: np.stack([x**2, x**3 * x[0]]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    f = FUNCTIONS[name]
    ours, theirs = lambda x: f(np, x), lambda x: f(jax.numpy, x)
    for make, other in ((gg.jacfwd, jax.jacfwd), (gg.jacrev, jax.jacrev), (gg.hessian, jax.hessian)):
        numpy.testing.assert_allclose(make(ours)(X), other(theirs)(X), rtol=1e-10, atol=1e-12)
        numpy.testing.assert_allclose(gg.jit(make(ours))(X), other(theirs)(X), rtol=1e-10, atol=1e-12)


def test_blocks_against_jax() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    f = lambda p: {"y": p["w"] @ p["x"], "s": (p["x"] ** 2).sum() * p["w"]}
    p = {"w": W, "x": X}
    for ours, theirs in ((gg.jacfwd(f)(p), jax.jacfwd(f)(p)), (gg.hessian(f)(p), jax.hessian(f)(p))):
        for a in ("y", "s"):
            for b in ("w", "x"):
                flat = [ours[a][b], theirs[a][b]] if not isinstance(ours[a][b], dict) else None
                pairs = [flat] if flat else [[ours[a][b][c], theirs[a][b][c]] for c in ("w", "x")]
                for mine, other in pairs:
                    assert mine.shape == other.shape
                    numpy.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-12)


def test_complex_against_jax() -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    z = X + 1j * X[::-1]
    f = lambda np, z: np.exp(z) * z[0] + np.sin(z[1])
    for make, other in ((gg.jacfwd, jax.jacfwd), (gg.jacrev, jax.jacrev)):
        found = make(lambda z: f(np, z), holomorphic=True)(z)
        numpy.testing.assert_allclose(found, other(lambda z: f(jax.numpy, z), holomorphic=True)(z), rtol=1e-10)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of PyTorch's own, by itself
def test_against_torch() -> None:
    torch = pytest.importorskip("torch")
    t = torch.tensor(X)
    f = lambda np, x: np.sin(x) * x.sum()
    g = lambda np, x: (np.sin(x) * x.sum() ** 2).sum()
    numpy.testing.assert_allclose(gg.jacobian(lambda x: f(np, x))(X), torch.func.jacrev(lambda x: f(torch, x))(t))
    numpy.testing.assert_allclose(gg.hessian(lambda x: g(np, x))(X), torch.func.hessian(lambda x: g(torch, x))(t))
    v = torch.ones(4, dtype=torch.float64)
    theirs = torch.autograd.functional.hvp(lambda x: g(torch, x), t, v)[1]
    numpy.testing.assert_allclose(gg.hvp(lambda x: g(np, x), X, numpy.ones(4)), theirs)
    theirs = torch.autograd.functional.vhp(lambda x: g(torch, x), t, v)[1]
    numpy.testing.assert_allclose(gg.vhp(lambda x: g(np, x), X, numpy.ones(4)), theirs)
