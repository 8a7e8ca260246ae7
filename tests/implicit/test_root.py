"""Roots, minima and fixed points: against closed forms, unrolled iterations, SciPy and numerical derivatives."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors

optimize = pytest.importorskip("scipy.optimize")


def cube(a: Any, **how: Any) -> Any:
    return gg.implicit_root(lambda x, a: x**3 - a, 1.0, a, **how)


def differences(f: Callable[..., Any], x: Any, h: float = 1e-5) -> Any:
    """∂f/∂x by central differences, along a last axis."""
    basis = numpy.eye(len(x))
    return numpy.stack([(numpy.asarray(f(x + h * e)) - numpy.asarray(f(x - h * e))) / (2 * h) for e in basis], -1)


def test_a_cube_root_has_the_derivatives_of_one() -> None:
    """d/da a^(1/3), up to the third order; JAX and others stop where their solver's rule does."""
    powers = [8.0 ** (1 / 3), 8.0 ** (-2 / 3) / 3, -2 / 9 * 8.0 ** (-5 / 3), 10 / 27 * 8.0 ** (-8 / 3)]
    f: Callable[..., Any] = cube
    for expected in powers:
        for form in (f, gg.jit(f)):
            numpy.testing.assert_allclose(float(form(8.0)), expected, rtol=1e-12)
        numpy.testing.assert_allclose(gg.vmap(f)(numpy.array([8.0, 8.0])), expected, rtol=1e-12)
        f = gg.grad(f)
    numpy.testing.assert_allclose(gg.jvp(gg.grad(cube), (8.0,), (2.0,))[1], 2 * powers[2], rtol=1e-12)


X0 = {"a": 1.0, "b": numpy.ones(2)}
P = numpy.array([3.0, 2.0])


def system(x: Any, p: Any) -> Any:
    return {"a": x["a"] ** 2 + x["b"].sum() - p[0], "b": x["b"] * p[1] + x["a"] - numpy.array([1.0, 2.0])}


def by_scipy(f: Callable[..., Any], x0: Any) -> Any:
    """A solver of the user's, which knows vectors only."""
    parted = lambda v: {"a": v[0], "b": v[1:]}
    joined = lambda x: numpy.concatenate([[x["a"]], x["b"]])
    return parted(optimize.fsolve(lambda v: joined(f(parted(v))), joined(x0), xtol=1e-13))


HOWS: dict[str, dict[str, Any]] = {
    "newton": {},
    "gmres": {"linear": "gmres"},
    "sparse": {"sparse": True},
    "solver": {"solve": by_scipy},
}


def unrolled(p: Any) -> Any:
    """Newton's method written out, ten steps of it, on the system's equation in a alone."""
    a = 1.0
    for _ in range(10):
        a = a - (a**2 + (3.0 - 2.0 * a) / p[1] - p[0]) / (2.0 * a - 2.0 / p[1])
    return a * (1.0 - a) / p[1]


@pytest.mark.parametrize("how", HOWS)
def test_a_system_of_trees_against_an_unrolled_iteration(how: str) -> None:
    def f(p: Any) -> Any:
        x = gg.implicit_root(system, X0, p, **HOWS[how])
        return x["a"] * x["b"][0]

    numpy.testing.assert_allclose(float(f(P)), float(unrolled(P)), rtol=1e-10)
    numpy.testing.assert_allclose(gg.grad(f)(P), gg.grad(unrolled)(P), rtol=1e-9)
    numpy.testing.assert_allclose(gg.jit(gg.grad(f))(P), gg.grad(unrolled)(P), rtol=1e-9)
    numpy.testing.assert_allclose(gg.hessian(f)(P), gg.hessian(unrolled)(P), rtol=1e-8, atol=1e-12)
    numpy.testing.assert_allclose(gg.jvp(f, (P,), (P,))[1], gg.grad(unrolled)(P) @ P, rtol=1e-9)


def test_what_the_residual_closes_over_is_differentiated() -> None:
    found = gg.grad(lambda a: gg.implicit_root(lambda x: x**3 - a, 1.0))(8.0)
    assert float(found) == pytest.approx(1 / 12)


def test_the_start_has_no_derivative() -> None:
    with pytest.warns(errors.IndependentOutputWarning):
        assert float(gg.grad(lambda x0: gg.implicit_root(lambda x: x**3 - 8.0, x0))(1.0)) == 0.0


def test_a_large_sparse_system() -> None:
    """Broyden's tridiagonal function: Newton's method, and the gradient, by a factorised sparse Jacobian."""
    n = 3000

    def residual(x: Any, c: Any) -> Any:
        left, right = np.pad(x[:-1], [(1, 0)]), np.pad(x[1:], [(0, 1)])
        return (3.0 - 2.0 * x) * x - left - 2.0 * right + c

    f = lambda c: (gg.implicit_root(residual, -numpy.ones(n), c, sparse=True) ** 2).sum()
    slope = float(gg.grad(f)(1.0))
    assert slope == pytest.approx((float(f(1.0 + 1e-5)) - float(f(1.0 - 1e-5))) / 2e-5, rel=1e-6)


def test_newton_halves_steps_that_lead_away() -> None:
    """arctan x = 0 from 3: full steps diverge, as every textbook shows."""
    numpy.testing.assert_allclose(gg.implicit_root(np.arctan, 3.0).value, 0.0, atol=1e-12)


def test_a_result_of_scipy_is_taken() -> None:
    found = gg.implicit_root(lambda x: x**2 - 2.0, numpy.ones(1), solve=lambda f, x0: optimize.root(f, x0, tol=1e-12))
    assert float(found[0]) == pytest.approx(2**0.5)
    with pytest.raises(errors.ConvergenceError, match="solve has not converged"):
        gg.implicit_root(lambda x: x**2 + 2.0, numpy.ones(1), solve=lambda f, x0: optimize.root(f, x0))


def test_float32() -> None:
    x = gg.implicit_root(lambda x: x**2 - numpy.float32(2.0), numpy.ones(3, numpy.float32))
    assert x.dtype == numpy.float32
    numpy.testing.assert_allclose(x.value, 2**0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("find", "error", "message"),
    [
        (lambda: gg.implicit_root(lambda x: x, 1), errors.DtypeError, "implicit_root: x0 is int, expected floating"),
        (lambda: gg.implicit_root(lambda x: x, {"a": "b"}), errors.DtypeError, r"x0\['a'\] is str"),
        (lambda: gg.implicit_root(lambda x: x, None), errors.TreeError, "expected a vector or a tree of arrays"),
        (lambda: gg.implicit_root(lambda x: x, numpy.ones(0)), errors.ShapeError, "no elements"),
        (lambda: gg.implicit_root(lambda x: x[:1], P), errors.ShapeError, r"residual has another shape: got \(1,\)"),
        (lambda: gg.implicit_root(lambda x: {"y": x}, P), errors.TreeError, "residual has another structure"),
        (lambda: gg.implicit_root(lambda x: 1j * x, P), errors.DtypeError, "begin with complex x0"),
        (lambda: gg.implicit_root(lambda x: x * 0.0 + 1.0, P), errors.ConvergenceError, "Jacobian is singular"),
        (
            lambda: gg.implicit_root(lambda x: x**2 + 1.0, 0.3),
            errors.ConvergenceError,
            r"residual .* after \d+ Newton steps",
        ),
        (
            lambda: gg.jit(lambda c: gg.implicit_root(lambda x: x**2 + c, 0.3))(1.0),
            errors.ConvergenceError,
            r"residual .* after \d+ Newton steps",
        ),
        (
            lambda: gg.grad(lambda a: gg.implicit_root(lambda x: (x - a) ** 3, a))(1.0),
            errors.ConvergenceError,
            "the Jacobian is singular at this point",
        ),
        (lambda: gg.implicit_root(lambda x: x if x > 0 else -x, 1.0), errors.TracedValueError, "use where"),
        (lambda: gg.fixed_point(lambda x: 2.0 * x + 1.0, 1.0), errors.ConvergenceError, "after 1000 rounds; begin"),
        (lambda: gg.implicit_minimum(lambda x: x.sum(), P, maxiter=30), errors.ConvergenceError, "no minimum found"),
        (lambda: gg.implicit_minimum(lambda x: x, P), errors.NotScalarError, "expected one number"),
        (lambda: gg.implicit_minimum(lambda x: abs(x), 1j), errors.DtypeError, "expected real numbers"),
    ],
)
def test_mistakes_are_named(find: Callable[[], Any], error: type[Exception], message: str) -> None:
    with numpy.errstate(all="ignore"), pytest.raises(error, match=message):
        find()


def test_a_solver_that_gives_up_early_is_reported() -> None:
    with pytest.warns(errors.UnsolvedWarning, match="residual 7, 7 at x0"):
        gg.implicit_root(lambda x: x**3 - 8.0, 1.0, solve=lambda f, x0: x0)


# Minima


def bowl(x: Any, th: Any) -> Any:
    return (x[0] - th[0]) ** 2 * (1.0 + x[1] ** 2) + (x[1] - th[1] * x[0]) ** 4 + x[1] ** 2


@pytest.mark.parametrize(
    "how",
    [{}, {"linear": "cg"}, {"solve": lambda f, x0: optimize.minimize(f, x0, method="Nelder-Mead", tol=1e-12)}],
    ids=["dense", "cg", "solver"],
)
def test_a_minimum_against_differences(how: dict[str, Any]) -> None:
    place = lambda th: gg.implicit_minimum(bowl, numpy.zeros(2), th, **how)
    exact = lambda th: gg.implicit_minimum(bowl, numpy.zeros(2), th)
    th = numpy.array([1.0, 2.0])
    expected = differences(exact, th)
    tolerance = 1e-4 if "solve" in how else 1e-7
    numpy.testing.assert_allclose(gg.jacobian(place)(th), expected, rtol=tolerance, atol=tolerance)
    numpy.testing.assert_allclose(gg.jit(gg.jacobian(place))(th), expected, rtol=tolerance, atol=tolerance)
    second = differences(gg.grad(lambda th: exact(th)[1]), th)
    numpy.testing.assert_allclose(gg.hessian(lambda th: place(th)[1])(th), second, rtol=1e-4, atol=tolerance)


def test_a_saddle_is_reported() -> None:
    saddle = lambda c: gg.implicit_minimum(lambda x: x[0] ** 2 - c * x[1] ** 2, numpy.zeros(2))
    for find in (saddle, gg.jit(saddle)):
        with pytest.warns(errors.UnsolvedWarning, match="a saddle or a maximum: the Hessian has the eigenvalue -2"):
            find(1.0)


def test_ridge_regression_has_the_derivative_of_its_normal_equations() -> None:
    rng = numpy.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    fitted = lambda lam: gg.implicit_minimum(lambda w: ((x @ w - y) ** 2).sum() + lam * (w**2).sum(), numpy.zeros(3))
    gram = x.T @ x + 0.5 * numpy.eye(3)
    weights = numpy.linalg.solve(gram, x.T @ y)
    numpy.testing.assert_allclose(fitted(0.5).value, weights, rtol=1e-9)
    numpy.testing.assert_allclose(gg.jacobian(fitted)(0.5), -numpy.linalg.solve(gram, weights), rtol=1e-8)


def test_a_large_minimum_by_products_with_the_hessian() -> None:
    n = 1000
    target = numpy.sin(numpy.arange(n))

    def energy(x: Any, c: Any) -> Any:
        return ((x - target) ** 2).sum() + c * ((x[1:] - x[:-1]) ** 2).sum() + (x**4).sum()

    found = {
        key: gg.grad(lambda c, how=how: (gg.implicit_minimum(energy, numpy.zeros(n), c, **how) ** 2).sum())(0.5)
        for key, how in {"cg": {}, "sparse": {"sparse": True}}.items()
    }
    assert float(found["cg"]) == pytest.approx(float(found["sparse"]), rel=1e-7)


# Fixed points


def test_the_dottie_number() -> None:
    """cos x = x: OEIS A003957; x'(a) = -x sin(a x) / (1 + a sin(a x)) for x = cos(a x)."""
    dottie = lambda a: gg.fixed_point(lambda x, a: np.cos(a * x), 1.0, a)
    x = 0.7390851332151607
    slope = -x * numpy.sin(x) / (1 + numpy.sin(x))
    for f in (dottie, gg.jit(dottie)):
        assert float(f(1.0)) == pytest.approx(x, rel=1e-9)
    for g in (gg.grad(dottie), gg.jit(gg.grad(dottie)), lambda a: gg.jvp(dottie, (a,), (1.0,))[1]):
        assert float(g(1.0)) == pytest.approx(slope, rel=1e-8)


@pytest.mark.parametrize("anderson", [0, 4])
def test_a_linear_fixed_point_against_its_inverse(anderson: int) -> None:
    rng = numpy.random.default_rng(0)
    a = rng.normal(size=(5, 5))
    a /= 1.5 * numpy.abs(numpy.linalg.eigvals(a)).max()
    b, inverse = rng.normal(size=5), numpy.linalg.inv(numpy.eye(5) - a)
    f = lambda b: gg.fixed_point(lambda x: a @ x + b, numpy.zeros(5), anderson=anderson)
    numpy.testing.assert_allclose(f(b).value, inverse @ b, rtol=1e-7)
    numpy.testing.assert_allclose(gg.jacobian(f)(b), inverse, rtol=1e-7, atol=1e-8)
    numpy.testing.assert_allclose(gg.jit(gg.jacobian(f))(b), inverse, rtol=1e-7, atol=1e-8)


def test_anderson_converges_where_iteration_does_not() -> None:
    f = lambda x: -2.0 * x + numpy.array([3.0, 6.0])
    numpy.testing.assert_allclose(gg.fixed_point(f, numpy.zeros(2), anderson=2).value, [1.0, 2.0], rtol=1e-9)
    with pytest.raises(errors.ConvergenceError), numpy.errstate(all="ignore"):
        gg.fixed_point(f, numpy.zeros(2))


def test_a_fixed_point_against_an_unrolled_iteration() -> None:
    """A layer whose output is its input: derivatives by weights, as of sixty layers with the same weights."""
    rng = numpy.random.default_rng(3)
    w, x = 0.3 * rng.normal(size=(4, 4)), rng.normal(size=4)

    def unrolled(w: Any) -> Any:
        z = numpy.zeros(4)
        for _ in range(60):
            z = np.tanh(w @ z + x)
        return (z**2).sum()

    implicit = lambda w: (gg.fixed_point(lambda z, w: np.tanh(w @ z + x), numpy.zeros(4), w) ** 2).sum()
    numpy.testing.assert_allclose(gg.grad(implicit)(w), gg.grad(unrolled)(w), rtol=1e-7, atol=1e-10)
    numpy.testing.assert_allclose(gg.hessian(implicit)(w), gg.hessian(unrolled)(w), rtol=1e-6, atol=1e-8)


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gg.jit(gg.vmap(gg.grad(cube)))(numpy.array([1.0, 8.0]))


INSIDE: dict[str, Callable[..., Any]] = {
    "scan": lambda f: lambda a: gg.scan(lambda c, x: (f(c + x), c), a, numpy.arange(3.0))[0],
    "cond": lambda f: lambda a: gg.cond(a > 0, f, lambda a: -a, a),
    "while": lambda f: lambda a: gg.while_loop(lambda c: c > 1.5, f, a),
    "checkpoint": gg.checkpoint,
    "grad": lambda f: lambda a: gg.grad(lambda b: f(a * b))(2.0),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("inside", INSIDE)
def test_inside_of_loops_branches_and_derivatives(inside: str, compiled: bool) -> None:
    found, expected = (gg.grad(INSIDE[inside](f)) for f in (cube, np.cbrt))
    assert float((gg.jit(found) if compiled else found)(8.0)) == pytest.approx(float(expected(8.0)), rel=1e-9)


def test_a_list_of_numbers_is_an_array_and_a_tuple_a_tree() -> None:
    numpy.testing.assert_allclose(gg.implicit_root(lambda x: [x[0] - 1.0, x[1] - x[0]], [0.0, 0.0]).value, 1.0)
    found = gg.implicit_root(lambda x: (x[0] - 1.0, x[1] - x[0]), (0.0, 0.0))
    assert [float(x) for x in found] == [1.0, 1.0]


def test_a_sparse_jacobian_of_roots_and_of_their_compiled_calls() -> None:
    roots = lambda p: gg.implicit_root(lambda x, p: x**3 - p, numpy.ones(3), p)
    p = numpy.array([1.0, 8.0, 27.0])
    numpy.testing.assert_allclose(gg.jit(gg.jacobian(roots))(p), numpy.diag(p ** (-2 / 3) / 3), atol=1e-12)
    assert gg.jit(roots).cost(p).callbacks == ("check",)  # Newton's method itself is native
