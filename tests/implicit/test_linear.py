"""Linear systems by their products: against NumPy's solve and its derivatives, in every method, order and mode."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import glassgrad as gg
from glassgrad import errors

pytest.importorskip("scipy")

RNG = numpy.random.default_rng(0)
A = RNG.normal(size=(4, 4)) * 0.1 + numpy.eye(4)  # near the identity, so that the plain iteration converges
S = A @ A.T
B = RNG.normal(size=4)
W = RNG.normal(size=4)
METHODS = ("dense", "sparse", "gmres", "bicgstab", "iteration")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Small matrices are full."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DensePatternWarning)
        yield


def by_products(method: str, matrix: Any = A, **how: Any) -> Callable[..., Any]:
    """A solution as a function of a factor of the matrix and of the right side."""
    return lambda c, b: gg.linear_solve(lambda v: c * (matrix @ v) + v * 0.1, b, method, **how)


def directly(matrix: Any = A) -> Callable[..., Any]:
    return lambda c, b: gg.numpy.linalg.solve(c * matrix + 0.1 * numpy.eye(len(matrix)), b)


def weighed(solution: Callable[..., Any]) -> Callable[..., Any]:
    return lambda c, b: (W * solution(c, b) ** 2).sum()


WALKS: dict[str, Callable[..., Any]] = {
    "value": lambda f: f(0.9, B),
    "gradient": lambda f: gg.grad(f, (0, 1))(0.9, B),
    "tangent": lambda f: gg.jvp(f, (0.9, B), (1.0, W))[1],
    "hessian": lambda f: gg.hessian(f, (0, 1))(0.9, B),
    "compiled": lambda f: gg.jit(gg.grad(f, (0, 1)))(0.9, B),
    "compiled tangent of gradient": lambda f: gg.jit(lambda b: gg.jvp(gg.grad(f, 1), (0.9, b), (1.0, W))[1])(B),
    "batch": lambda f: gg.vmap(gg.grad(f), (0, None))(numpy.array([0.9, 1.1]), B),
    "compiled batch": lambda f: gg.jit(gg.vmap(gg.grad(f), (0, None)))(numpy.array([0.9, 1.1]), B),
}


@pytest.mark.parametrize("walk", WALKS)
@pytest.mark.parametrize("method", METHODS)
def test_every_derivative_is_that_of_a_direct_solution(method: str, walk: str) -> None:
    found, expected = (gg.tree.leaves(WALKS[walk](weighed(s))) for s in (by_products(method), directly()))
    for x, y in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(numpy.asarray(x), numpy.asarray(y), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("walk", ["gradient", "hessian", "compiled", "batch"])
@pytest.mark.parametrize("method", ["dense", "sparse", "cg"])
def test_a_symmetric_matrix_is_its_own_transpose(method: str, walk: str) -> None:
    found = gg.tree.leaves(WALKS[walk](weighed(by_products(method, S, symmetric=True))))
    for x, y in zip(found, gg.tree.leaves(WALKS[walk](weighed(directly(S)))), strict=True):
        numpy.testing.assert_allclose(x, y, rtol=1e-7, atol=1e-8)


def test_a_symmetric_operator_is_never_transposed() -> None:
    """With ``symmetric`` a matrix that is not gives wrong gradients: the transposed products are not computed."""
    right, wrong = (gg.grad(weighed(by_products("gmres", symmetric=s)), 1)(0.9, B) for s in (False, True))
    assert numpy.abs(right - wrong).max() > 1e-3


@pytest.mark.parametrize("method", ["dense", "sparse", "gmres"])
def test_the_transposed_system(method: str) -> None:
    found = gg.linear_solve(lambda v: A @ v, B, method, transpose=True)
    numpy.testing.assert_allclose(found.value, numpy.linalg.solve(A.T, B), rtol=1e-9)


@pytest.mark.parametrize("method", ["dense", "sparse", "gmres"])
def test_trees(method: str) -> None:
    """x of a tree: the blocks of a matrix."""
    whole = RNG.normal(size=(5, 5)) + 4 * numpy.eye(5)
    b = {"p": numpy.array([[1.0, 2.0], [3.0, 4.0]]), "q": numpy.float64(5.0)}

    def operator(v: Any) -> Any:
        flat = gg.numpy.concatenate([v["p"].reshape(-1), v["q"].reshape(1)])
        made = whole @ flat
        return {"p": made[:4].reshape(2, 2), "q": made[4]}

    found = gg.linear_solve(operator, b, method)
    expected = numpy.linalg.solve(whole, numpy.arange(1.0, 6.0))
    numpy.testing.assert_allclose(found["p"].value.reshape(-1), expected[:4], rtol=1e-8)
    numpy.testing.assert_allclose(found["q"].value, expected[4], rtol=1e-8)


@pytest.mark.parametrize("method", ["dense", "gmres"])
def test_complex_systems(method: str) -> None:
    matrix = A + 1j * RNG.normal(size=(4, 4)) * 0.3
    b = B + 1j * W

    def loss(solve: Callable[..., Any]) -> Callable[..., Any]:
        return lambda b: (abs(solve(b)) ** 2).sum()

    found, expected = (
        gg.grad(loss(s))(b)
        for s in (
            lambda b: gg.linear_solve(lambda v: matrix @ v, b, method),
            lambda b: gg.numpy.linalg.solve(matrix, b),
        )
    )
    numpy.testing.assert_allclose(found, expected, rtol=1e-7)


def test_float32_stays_float32() -> None:
    b = B.astype(numpy.float32)
    for method in METHODS:
        x = gg.linear_solve(lambda v: A.astype(numpy.float32) @ v, b, method)
        assert x.dtype == numpy.float32
        numpy.testing.assert_allclose(x.value, numpy.linalg.solve(A, B), rtol=1e-3)


def test_ten_thousand_unknowns() -> None:
    """The implicit step of a heat equation and the gradient of it: no matrix is formed."""
    n = 10_000
    b = numpy.sin(numpy.arange(n))

    def step(c: Any, method: str) -> Any:
        pad = gg.numpy.pad
        operator = lambda v: v + c * (2.0 * v - pad(v[1:], (0, 1)) - pad(v[:-1], (1, 0)))
        return (gg.linear_solve(operator, b, method, symmetric=True) ** 2).sum()

    found = {m: (float(step(0.7, m)), float(gg.grad(step)(0.7, m))) for m in ("cg", "sparse")}
    numpy.testing.assert_allclose(found["cg"], found["sparse"], rtol=1e-8)


def test_calls_back_into_python_are_in_the_cost() -> None:
    compiled = gg.jit(lambda b: gg.linear_solve(lambda v: A @ v, b, "gmres"))
    assert compiled.cost(B).callbacks == ("host",)


@pytest.mark.parametrize(
    ("solve", "error", "message"),
    [
        (lambda: gg.linear_solve(lambda v: v + 1.0, B), errors.DtypeError, "linear_solve: the operator is not linear"),
        (lambda: gg.linear_solve(lambda v: v**2, B), errors.DtypeError, "the operator is not linear: of -2 v"),
        (lambda: gg.linear_solve(lambda v: v + v**3, B, "cg"), errors.DtypeError, "use implicit_root"),
        (lambda: gg.linear_solve(abs, B), errors.DtypeError, "the operator is not linear"),
        (lambda: gg.linear_solve(lambda v: v[:2], B), errors.ShapeError, r"got \(2,\), expected \(4,\)"),
        (lambda: gg.linear_solve(lambda v: v, [1, 2]), errors.DtypeError, "b is int64, expected floating numbers"),
        (lambda: gg.linear_solve(lambda v: v, B, transpose=lambda v: v), TypeError, "are derived from the operator"),
        (lambda: gg.linear_solve(lambda v: v, B, "jacobi"), ValueError, "expected one of dense, sparse, cg"),
        (lambda: gg.linear_solve(lambda v: 0.0 * v, B, "dense"), errors.ConvergenceError, "singular"),
        (lambda: gg.linear_solve(lambda v: 0.0 * v, B, "sparse"), errors.ConvergenceError, "singular"),
        (lambda: gg.linear_solve(lambda v: 3.0 * v, B, "iteration"), errors.ConvergenceError, "after 1000 rounds"),
        (
            lambda: gg.linear_solve(lambda v: A @ v, B, "bicgstab", maxiter=1),
            errors.ConvergenceError,
            "not solved by bicgstab: residual .* raise tol or maxiter",
        ),
        (
            lambda: gg.jit(lambda b: gg.linear_solve(lambda v: 3.0 * v, b, "iteration"))(B),
            errors.ConvergenceError,
            "not solved by the iteration",
        ),
    ],
)
def test_mistakes_are_named(solve: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message), numpy.errstate(all="ignore"):
        solve()


@pytest.mark.parametrize("method", ["sparse", "cg"])
def test_without_scipy_the_extra_is_named(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("scipy.sparse", "scipy.sparse.linalg"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(errors.MissingExtraError, match=r"pip install 'glassgrad\[scipy\]'"):
        gg.linear_solve(lambda v: 2.0 * v, B, method)
    numpy.testing.assert_allclose(gg.linear_solve(lambda v: 2.0 * v, B).value, B / 2)  # the default needs none
