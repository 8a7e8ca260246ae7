"""HIPS/autograd's names: against autograd itself where it is installed, else against what its documentation says."""

from __future__ import annotations

import importlib
from typing import Any

import numpy
import pytest

import glassgrad.autograd_compat as ours
import glassgrad.autograd_compat.numpy as np
import glassgrad.autograd_compat.numpy.random as npr
from glassgrad import errors
from glassgrad.autograd_compat.extend import defjvp, defvjp, defvjp_argnum, primitive
from glassgrad.autograd_compat.misc import flatten
from glassgrad.autograd_compat.misc.optimizers import adam, rmsprop, sgd
from glassgrad.autograd_compat.scipy import special
from glassgrad.autograd_compat.test_util import check_equivalent, check_grads, combo_check

X = numpy.array([0.3, -1.2, 2.0])
V = numpy.array([1.0, 0.5, -0.25])
Z = X + 1j * X[::-1]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    numpy.random.seed(0)


def number(np: Any, x: Any, y: Any = 2.0) -> Any:
    return np.sum(np.tanh(x) * x[::-1]) * y


def vector(np: Any, x: Any, y: Any = 2.0) -> Any:
    return np.sin(x) * np.sum(x) * y


CALLS: dict[str, Any] = {
    "grad": lambda ag, np: ag.grad(lambda x: number(np, x))(X),
    "grad by the second": lambda ag, np: ag.grad(lambda x, y: number(np, x, y), 1)(X, 3.0),
    "grad by both": lambda ag, np: ag.grad(lambda x, y: number(np, x, y), (0, 1))(X, 3.0),
    "grad by name": lambda ag, np: ag.grad_named(lambda x, y: number(np, x, y), "y")(X, 3.0),
    "grad of a keyword": lambda ag, np: ag.grad(lambda x, y: number(np, x, y))(X, y=3.0),
    "grad, complex": lambda ag, np: ag.grad(lambda z: np.sum(np.abs(z) ** 2) + np.real(z[0]))(Z),
    "holomorphic_grad": lambda ag, np: ag.holomorphic_grad(lambda z: np.exp(z[0]) * z[1])(Z),
    "value_and_grad": lambda ag, np: ag.value_and_grad(lambda x: number(np, x))(X),
    "grad_and_aux": lambda ag, np: ag.grad_and_aux(lambda x: (number(np, x), x[0] * 2.0))(X),
    "elementwise_grad": lambda ag, np: ag.elementwise_grad(lambda x: np.tanh(x))(X),
    "elementwise_grad twice": lambda ag, np: ag.elementwise_grad(ag.elementwise_grad(np.tanh))(X),
    "deriv": lambda ag, np: ag.deriv(lambda x: np.sin(x) ** 2)(0.7),
    "jacobian": lambda ag, np: ag.jacobian(lambda x: vector(np, x))(X),
    "jacobian of a jacobian": lambda ag, np: ag.jacobian(ag.jacobian(lambda x: vector(np, x)))(X),
    "hessian": lambda ag, np: ag.hessian(lambda x: number(np, x))(X),
    "hessian_vector_product": lambda ag, np: ag.hessian_vector_product(lambda x: number(np, x))(X, V),
    "hessian_tensor_product": lambda ag, np: ag.hessian_tensor_product(lambda x, y: number(np, x, y))(X, 3.0, V),
    "tensor_jacobian_product": lambda ag, np: ag.tensor_jacobian_product(lambda x: vector(np, x))(X, V),
    "vector_jacobian_product": lambda ag, np: ag.vector_jacobian_product(lambda x: vector(np, x))(X, V),
    "make_vjp": lambda ag, np: (lambda pair: (pair[0](V), pair[1]))(ag.make_vjp(lambda x: vector(np, x))(X)),
    "make_jvp": lambda ag, np: ag.make_jvp(lambda x: vector(np, x))(X)(V),
    "make_jvp_reversemode": lambda ag, np: ag.differential_operators.make_jvp_reversemode(lambda x: vector(np, x))(X)(
        V
    ),
    "make_hvp": lambda ag, np: ag.make_hvp(lambda x: number(np, x))(X)[0](V),
    "make_ggnvp": lambda ag, np: ag.make_ggnvp(lambda x: vector(np, x))(X)(V),
    "checkpoint": lambda ag, np: ag.grad(ag.checkpoint(lambda x: number(np, x)))(X),
    "a dict": lambda ag, np: ag.grad(lambda p: np.sum(p["w"] * p["v"][0]))({"w": X, "v": [V, 2.0]}),
}


@pytest.mark.parametrize("name", CALLS)
def test_as_autograd_has_it(name: str) -> None:
    theirs, theirs_np = pytest.importorskip("autograd"), pytest.importorskip("autograd.numpy")
    check_equivalent(CALLS[name](ours, np), CALLS[name](theirs, theirs_np))


def test_the_names_do_what_they_say() -> None:
    exact = numpy.diag(numpy.cos(X) * X.sum()) * 2.0 + numpy.outer(numpy.sin(X), numpy.ones(3)) * 2.0
    numpy.testing.assert_allclose(CALLS["jacobian"](ours, np), exact)
    numpy.testing.assert_allclose(CALLS["make_jvp"](ours, np)[1], exact @ V)
    numpy.testing.assert_allclose(CALLS["make_jvp_reversemode"](ours, np), exact @ V)
    numpy.testing.assert_allclose(CALLS["make_vjp"](ours, np)[0], V @ exact)
    numpy.testing.assert_allclose(CALLS["tensor_jacobian_product"](ours, np), V @ exact)
    numpy.testing.assert_allclose(CALLS["make_ggnvp"](ours, np), exact.T @ exact @ V)
    h = CALLS["hessian"](ours, np)
    for name in ("hessian_vector_product", "make_hvp"):
        numpy.testing.assert_allclose(CALLS[name](ours, np), h @ V)
    numpy.testing.assert_allclose(CALLS["grad, complex"](ours, np), 2 * Z.conj() + numpy.eye(3)[0])  # ∂/∂x - i ∂/∂y
    numpy.testing.assert_allclose(CALLS["holomorphic_grad"](ours, np)[:2], [numpy.exp(Z[0]) * Z[1], numpy.exp(Z[0])])
    numpy.testing.assert_allclose(CALLS["checkpoint"](ours, np), CALLS["grad"](ours, np))
    found = ours.multigrad_dict(lambda x, y, *rest, k=1.0: (x * y * rest[0] * k).sum())(X, 2.0, 3.0, k=4.0)
    assert list(found) == ["x", "y", "rest", "k"] and float(found["k"]) == pytest.approx(6.0 * X.sum())


def test_functions_with_rules_by_hand() -> None:
    @primitive
    def product(a: Any, b: Any, power: int = 1) -> Any:
        assert type(a) is not np.ndarray or True
        return numpy.asarray(a) * numpy.asarray(b) ** power

    defvjp(
        product,
        lambda ans, a, b, power=1: lambda g: g * b**power,
        lambda ans, a, b, power=1: lambda g: g * power * a * b ** (power - 1),
    )
    check_grads(product, (0, 1), modes=["rev"], order=2)(X, V)
    numpy.testing.assert_allclose(ours.grad(lambda b: np.sum(product(X, b, power=2)))(V), 2 * X * V)

    @primitive
    def only_first(a: Any, b: Any) -> Any:
        return a * b

    defvjp(only_first, lambda ans, a, b: lambda g: g * b)
    numpy.testing.assert_allclose(ours.grad(lambda a: np.sum(only_first(a, V)))(X), V)
    with pytest.raises(errors.RuleError, match="no VJP is defined by argument 1"):
        ours.grad(lambda b: np.sum(only_first(X, b)))(V)
    defvjp(only_first, None, argnums=[1])
    numpy.testing.assert_allclose(ours.elementwise_grad(lambda b: only_first(X, b) + b)(V), numpy.ones(3))

    @primitive
    def total(*parts: Any) -> Any:
        return sum(parts)

    defvjp_argnum(total, lambda argnum, ans, args, kwargs: lambda g: g * (argnum + 1.0))
    numpy.testing.assert_allclose(ours.grad(lambda b: np.sum(total(X, b)))(V), numpy.full(3, 2.0))

    @primitive
    def forward_only(a: Any, b: Any) -> Any:
        return a * numpy.sin(b)

    defjvp(forward_only, "same", lambda g, ans, a, b: g * a * np.cos(b))
    numpy.testing.assert_allclose(ours.make_jvp(forward_only, 1)(X, V)(numpy.ones(3))[1], X * numpy.cos(V))
    numpy.testing.assert_allclose(ours.make_jvp(forward_only)(X, V)(X)[1], X * numpy.sin(V))
    numpy.testing.assert_allclose(ours.elementwise_grad(forward_only, 1)(X, V), X * numpy.cos(V))


def test_containers_and_optimisers() -> None:
    tree = {"b": 2.0, "a": [X, numpy.ones((2, 1))]}
    flat, unflatten = flatten(tree)
    numpy.testing.assert_array_equal(flat, [*X, 1.0, 1.0, 2.0])
    back = unflatten(flat)
    assert sorted(back) == ["a", "b"] and back["a"][1].shape == (2, 1) and back["b"] == 2.0
    slope = ours.grad(lambda v: np.sum((flatten(v)[0]) ** 2))(tree)
    numpy.testing.assert_allclose(slope["a"][0], 2 * X)
    seen = []
    for optimise, options in ((adam, {"step_size": 0.1}), (sgd, {}), (rmsprop, {"step_size": 0.02})):
        gradient = lambda p, i: {"x": 2.0 * (p["x"] - 1.0)}
        found = optimise(gradient, {"x": X}, lambda p, i, g: seen.append(i), num_iters=400, **options)
        numpy.testing.assert_allclose(found["x"], numpy.ones(3), atol=0.05)
    assert len(seen) == 1200


def test_its_modules_are_there() -> None:
    npr.seed(0)
    assert npr.randn(3).shape == (3,) and np.pi == numpy.pi and np.float64 is numpy.float64
    assert float(np.linalg.norm(numpy.array([3.0, 4.0]))) == 5.0
    numpy.testing.assert_allclose(ours.elementwise_grad(special.expit)(X), special.expit(X) * (1 - special.expit(X)))
    for name in ("builtins", "extend", "test_util", "tracer", "numpy.fft", "misc.flatten", "misc.optimizers"):
        importlib.import_module(f"glassgrad.autograd_compat.{name}")
    assert ours.tuple is tuple and ours.isinstance(3, int)
    combo_check(np.multiply, (0, 1), order=1)([X, 2.0], [V])
    with pytest.raises(errors.NotScalarError):
        ours.grad(lambda x: x * 2.0)(X)
