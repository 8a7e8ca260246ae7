"""gg.optimize against SciPy with derivatives by hand, and problems with published optima."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors

scipy = pytest.importorskip("scipy.optimize")
minimize, least_squares, root = gg.optimize.minimize, gg.optimize.least_squares, gg.optimize.root


def rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


COMPILED = gg.optimize.Compiled(rosenbrock)
START = numpy.array([-1.2, 1.0, -0.5, 0.8])
WITH_GRADIENT = ("BFGS", "L-BFGS-B", "SLSQP")
WITH_PRODUCTS = ("Newton-CG", "trust-ncg", "trust-krylov", "trust-constr")
WITH_HESSIAN = ("trust-exact",)


@pytest.mark.parametrize("method", (*WITH_GRADIENT, *WITH_PRODUCTS, *WITH_HESSIAN))
def test_it_goes_the_way_scipy_goes_with_derivatives_by_hand(method: str) -> None:
    second: dict[str, Any] = {}
    if method in WITH_PRODUCTS:
        second["hessp"] = scipy.rosen_hess_prod
    if method in WITH_HESSIAN:
        second["hess"] = scipy.rosen_hess
    theirs = scipy.minimize(scipy.rosen, START, jac=scipy.rosen_der, method=method, **second)
    ours = minimize(COMPILED, START, method=method)
    assert ours.success
    assert (ours.nit, ours.nfev) == (theirs.nit, theirs.nfev)
    numpy.testing.assert_allclose(ours.x, theirs.x, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell"])
def test_methods_without_a_gradient(method: str) -> None:
    theirs = scipy.minimize(scipy.rosen, START, method=method)
    ours = minimize(COMPILED, START, method=method)
    assert ours.nfev == theirs.nfev
    numpy.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9)


def test_scipy_chooses_the_method() -> None:
    assert minimize(COMPILED, START).nit == minimize(COMPILED, START, method="BFGS").nit
    box = [(-2, 2)] * 4
    assert minimize(COMPILED, START, bounds=box).nit == minimize(COMPILED, START, bounds=box, method="L-BFGS-B").nit
    numpy.testing.assert_allclose(minimize(COMPILED, START, method="CG").x, 1.0, rtol=1e-4)


def test_a_method_of_ones_own_gets_the_gradient() -> None:
    def descent(fun: Any, x0: Any, args: Any, jac: Any, **options: Any) -> Any:
        x = x0
        for _ in range(50):
            x = x - 0.25 * jac(x, *args)
        return scipy.OptimizeResult(x=x, fun=fun(x, *args))

    numpy.testing.assert_allclose(minimize(tree_loss, TREE, method=descent).x["a"], 1.0, rtol=1e-9)


@pytest.mark.parametrize("method", WITH_PRODUCTS)
def test_a_sparse_hessian_gives_the_same_as_products(method: str) -> None:
    start = numpy.tile([-1.2, 1.0], 10)
    found, expected = (minimize(COMPILED, start, method=method, sparse=s).x for s in (True, False))
    numpy.testing.assert_allclose(found, expected, rtol=1e-4)


# Published problems: start, optimum and its value


def powell(x: Any) -> Any:
    """Extended Powell singular function: Moré, Garbow and Hillstrom (1981), problem 22."""
    a, b, c, d = (x[k::4] for k in range(4))
    return ((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4).sum()


def test_extended_powell_with_a_singular_hessian_at_the_minimum() -> None:
    found = minimize(powell, numpy.tile([3.0, -1.0, 0.0, 1.0], 5), method="trust-exact")
    assert found.fun < 1e-6


HOCK_SCHITTKOWSKI: dict[str, tuple[Any, Any, Any, Any, float, Any]] = {  # f, start, bounds, constraints, f*, x*
    "1": (
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        [-2.0, 1.0],
        [(None, None), (-1.5, None)],
        (),
        0.0,
        [1.0, 1.0],
    ),
    "6": (
        lambda x: (1 - x[0]) ** 2,
        [-1.2, 1.0],
        None,
        {"type": "eq", "fun": lambda x: 10 * (x[1] - x[0] ** 2)},
        0.0,
        [1.0, 1.0],
    ),
    "7": (
        lambda x: np.log(1 + x[0] ** 2) - x[1],
        [2.0, 2.0],
        None,
        {"type": "eq", "fun": lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4},
        -(3.0**0.5),
        [0.0, 3.0**0.5],
    ),
    "35": (
        lambda x: (
            9
            - 8 * x[0]
            - 6 * x[1]
            - 4 * x[2]
            + 2 * x[0] ** 2
            + 2 * x[1] ** 2
            + x[2] ** 2
            + 2 * x[0] * x[1]
            + 2 * x[0] * x[2]
        ),
        [0.5, 0.5, 0.5],
        [(0, None)] * 3,
        {"type": "ineq", "fun": lambda x: 3 - x[0] - x[1] - 2 * x[2]},
        1 / 9,
        [4 / 3, 7 / 9, 4 / 9],
    ),
    "43": (
        lambda x: (x[:2] ** 2).sum() + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
        [0.0, 0.0, 0.0, 0.0],
        None,
        {
            "type": "ineq",
            "fun": lambda x: np.stack(
                [
                    8 - (x**2).sum() - x[0] + x[1] - x[2] + x[3],
                    10 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - 2 * x[3] ** 2 + x[0] + x[3],
                    5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3],
                ]
            ),
        },
        -44.0,
        [0.0, 1.0, 2.0, -1.0],
    ),
    "71": (
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        [1.0, 5.0, 5.0, 1.0],
        [(1, 5)] * 4,
        [
            {"type": "ineq", "fun": lambda x: x.prod() - 25},
            {"type": "eq", "fun": lambda x: (x**2).sum() - 40},
        ],
        17.0140173,
        [1.0, 4.7429994, 3.8211503, 1.3794082],
    ),
}


@pytest.mark.parametrize("number", HOCK_SCHITTKOWSKI)
def test_problems_of_hock_and_schittkowski(number: str) -> None:
    """W. Hock and K. Schittkowski, "Test examples for nonlinear programming codes" (1981)."""
    f, x0, bounds, constraints, least, place = HOCK_SCHITTKOWSKI[number]
    method = None if constraints else "L-BFGS-B"
    found = minimize(f, x0, method=method, bounds=bounds, constraints=constraints, tol=1e-9)
    assert found.success
    assert found.fun == pytest.approx(least, rel=1e-6, abs=1e-8)
    numpy.testing.assert_allclose(found.x, place, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sparse", [False, True])
def test_nonlinear_constraints_get_jacobians_and_hessians(sparse: bool) -> None:
    """A chain of circles: more than three unknowns, so that sparse is sparse."""
    n = 6
    f = lambda x: (x * numpy.arange(1.0, n + 1)).sum()
    rings = scipy.NonlinearConstraint(lambda x: x[1:] ** 2 + x[:-1] ** 2, -numpy.inf, 1.0)
    found = minimize(f, numpy.full(n, 0.1), method="trust-constr", constraints=rings, sparse=sparse, tol=1e-8)
    assert found.constr_nfev[0] < 100  # numerical Jacobians would take n + 1 evaluations each
    by_hand = scipy.minimize(
        f,
        numpy.full(n, 0.1),
        method="SLSQP",
        constraints={"type": "ineq", "fun": lambda x: 1.0 - x[1:] ** 2 - x[:-1] ** 2},
        tol=1e-12,
    )
    assert found.fun == pytest.approx(by_hand.fun, rel=1e-4)


def test_linear_constraints_pass() -> None:
    line = scipy.LinearConstraint(numpy.ones((1, 4)), 1.0, 1.0)
    found = minimize(lambda x: (x**2).sum(), numpy.arange(4.0), constraints=line)
    numpy.testing.assert_allclose(found.x, 0.25, rtol=1e-6)


# Trees


def tree_loss(p: Any) -> Any:
    return (p["a"] - 1.0) ** 2 + ((p["b"] - numpy.arange(6.0).reshape(2, 3)) ** 2).sum()


TREE = {"a": 0.0, "b": numpy.zeros((2, 3))}


def test_trees_come_back_as_trees() -> None:
    seen: list[Any] = []
    found = minimize(tree_loss, TREE, callback=lambda p: seen.append(p["b"].shape))
    assert seen[0] == (2, 3)
    numpy.testing.assert_allclose(found.x["a"], 1.0, rtol=1e-6)
    numpy.testing.assert_allclose(found.x["b"], numpy.arange(6.0).reshape(2, 3), atol=1e-6)
    assert found.jac["b"].shape == (2, 3)

    def with_result(intermediate_result: Any) -> None:
        seen.append(intermediate_result.x["a"])

    minimize(tree_loss, TREE, callback=with_result)
    assert float(seen[-1]) == pytest.approx(1.0)


def test_bounds_of_a_tree() -> None:
    found = minimize(tree_loss, TREE, bounds=({"a": 2.0, "b": None}, 3.0))
    assert float(found.x["a"]) == 2.0
    numpy.testing.assert_allclose(found.x["b"], numpy.minimum(numpy.arange(6.0).reshape(2, 3), 3.0), atol=1e-6)


@pytest.mark.parametrize("bounds", [scipy.Bounds(0, 2), scipy.Bounds([0], [2]), (0.0, 2.0), [None, 2.0]])
def test_bounds_of_scipy_and_of_two_numbers(bounds: Any) -> None:
    assert least_squares(lambda p: p["a"] - 3.0, {"a": 1.0}, bounds=bounds).x["a"] == pytest.approx(2.0, rel=1e-6)
    assert minimize(lambda p: (p["a"] - 3.0) ** 2, {"a": 1.0}, bounds=bounds).x["a"] == pytest.approx(2.0)
    numpy.testing.assert_allclose(minimize(lambda x: ((x - 3.0) ** 2).sum(), [1.0, 0.5], bounds=bounds).x, [2.0, 2.0])
    found = least_squares(lambda x: x - 3.0, [1.0, 0.5], bounds=bounds).x
    numpy.testing.assert_allclose(found, [2.0, 2.0], rtol=1e-6)


def test_constraints_on_a_tree() -> None:
    found = minimize(tree_loss, TREE, constraints={"type": "eq", "fun": lambda p, s: p["b"].sum() - s, "args": (0.0,)})
    numpy.testing.assert_allclose(found.x["b"], numpy.arange(6.0).reshape(2, 3) - 2.5, atol=1e-6)
    ring = scipy.NonlinearConstraint(lambda p: {"r": (p["b"] ** 2).sum()}, 0.0, 1.0)
    found = minimize(tree_loss, TREE, method="SLSQP", constraints=[ring])
    assert float((found.x["b"] ** 2).sum()) == pytest.approx(1.0, rel=1e-5)


def test_further_arguments_are_those_of_the_call() -> None:
    """One compiled function, other arguments: nothing of the first call is kept."""
    f = gg.optimize.Compiled(lambda x, centre, scale: scale * ((x - centre) ** 2).sum())
    for centre in (1.0, -3.0):
        found = minimize(f, numpy.zeros(2), args=(numpy.full(2, centre), 2.0))
        numpy.testing.assert_allclose(found.x, centre, rtol=1e-6)


# Least squares and roots


def broyden(x: Any) -> Any:
    """Broyden's tridiagonal function: Moré, Garbow and Hillstrom, problem 30."""
    return (3.0 - 2.0 * x) * x - np.pad(x[:-1], [(1, 0)]) - 2.0 * np.pad(x[1:], [(0, 1)]) + 1.0


@pytest.mark.parametrize("sparse", [False, True])
def test_broyden_by_least_squares(sparse: bool) -> None:
    plain = lambda x: (3 - 2 * x) * x - numpy.pad(x[:-1], (1, 0)) - 2 * numpy.pad(x[1:], (0, 1)) + 1

    def by_hand(x: Any) -> Any:
        n = len(x)
        return numpy.diag(3 - 4 * x) - numpy.eye(n, k=-1) - 2 * numpy.eye(n, k=1)

    theirs = scipy.least_squares(plain, -numpy.ones(30), by_hand)
    ours = least_squares(broyden, -numpy.ones(30), sparse=sparse)
    assert numpy.abs(ours.fun).max() < 1e-6
    if not sparse:
        assert (ours.nfev, ours.njev) == (theirs.nfev, theirs.njev)
    numpy.testing.assert_allclose(ours.x, theirs.x, rtol=1e-5)


@pytest.mark.parametrize("method", ["hybr", "lm"])
def test_broyden_by_root(method: str) -> None:
    found = root(broyden, -numpy.ones(20), method=method)
    assert found.success
    assert found.njev < 20
    assert numpy.abs(found.fun).max() < 1e-7


def test_a_root_without_jacobian() -> None:
    found = root(broyden, -numpy.ones(5), method="krylov")
    assert found.success


def test_least_squares_of_a_tree() -> None:
    """Rosenbrock's, with and without bounds: the example of SciPy's documentation."""
    residuals = lambda p: {"u": 10.0 * (p["y"] - p["x"] ** 2), "v": 1.0 - p["x"]}
    found = least_squares(residuals, {"x": 2.0, "y": 2.0}, bounds=({"x": -numpy.inf, "y": 1.5}, numpy.inf))
    numpy.testing.assert_allclose([found.x["x"], found.x["y"]], [1.22437075, 1.5], rtol=1e-6)
    loose = least_squares(residuals, {"x": -2.0, "y": 1.0}, method="lm", xtol=1e-14)
    numpy.testing.assert_allclose([loose.x["x"], loose.x["y"]], 1.0, rtol=1e-9)


def test_a_root_of_a_tree() -> None:
    found = root(lambda p, s: {"x": p["x"] - 3.0, "y": p["x"] * p["y"] - s}, {"x": 1.0, "y": numpy.ones(2)}, args=6.0)
    numpy.testing.assert_allclose(found.x["y"], 2.0)


# What cannot be compiled, and mistakes


def branching(x: Any) -> Any:
    return (x**2).sum() if x[0] > 0.5 else (x**2).sum() + (x**4).sum()


def test_eager_is_the_way_out() -> None:
    with pytest.raises(errors.TracedValueError, match="or pass jit=False"):
        minimize(branching, [1.0, 2.0])
    numpy.testing.assert_allclose(minimize(branching, [1.0, 2.0], jit=False).x, 0.0, atol=1e-4)
    for method in ("trust-exact", "trust-ncg"):
        assert minimize(branching, [1.0, 2.0], method=method, jit=False).fun < 1e-8
    assert root(lambda x: x - 1.0 if x[0] > 0 else x, [3.0], jit=False).x[0] == 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: minimize(rosenbrock, "a"), errors.DtypeError, "optimize.minimize: x0 is str"),
        (lambda: minimize(rosenbrock, 1j * START), errors.DtypeError, "x0 is complex, expected real"),
        (lambda: minimize(rosenbrock, START, method="BFGS", sparse=True), ValueError, "sparse=True is for the methods"),
        (lambda: minimize(rosenbrock, START, method="trust-ncg", sparse=True, jit=False), ValueError, "jit=False"),
        (lambda: minimize(lambda x: x, START), errors.NotScalarError, "expected one number"),
        (lambda: minimize(3.0, START), TypeError, "expected a function"),  # type: ignore[arg-type]
        (lambda: minimize(tree_loss, TREE, bounds=[(0, 1)]), ValueError, r"a pair \(lower, upper\)"),
        (
            lambda: minimize(tree_loss, TREE, constraints=scipy.LinearConstraint(numpy.ones((1, 7)), 0, 1)),
            errors.DtypeError,
            "write it as a function of the tree",
        ),
        (lambda: least_squares(tree_loss, TREE, bounds=3.0), ValueError, "optimize.least_squares: bounds of a tree"),
        (lambda: minimize(tree_loss, TREE, bounds=scipy.Bounds([0, 0], [1, 1])), ValueError, "of 2 and 2 elements"),
        (lambda: least_squares(broyden, START, sparse=True, jit=False), ValueError, "leave out one of them"),
    ],
)
def test_mistakes_are_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    for call in (minimize, least_squares, root):
        with pytest.raises(errors.MissingExtraError, match=r"pip install 'glassgrad\[scipy\]'"):
            call(rosenbrock, START)
    with pytest.raises(errors.MissingExtraError, match="which looks for the minimum"):
        gg.implicit_minimum(rosenbrock, START)
