"""Sparse derivatives: patterns that miss nothing, published counts, and the matrices against dense ones and SciPy."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
import glassgrad.ops
from glassgrad import errors
from glassgrad.graph.apply import apply
from tests.oracles.cases import cases, every_op
from tests.oracles.graphs import random_program

pytest.importorskip("scipy")

for module in pkgutil.iter_modules(glassgrad.ops.__path__):
    importlib.import_module(f"glassgrad.ops.{module.name}")

RNG = numpy.random.default_rng(0)
X = RNG.normal(size=6)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with numpy.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", errors.DensePatternWarning)
        yield


BAND = numpy.diag(numpy.arange(1.0, 7)) + numpy.diag(numpy.ones(5), 1)
MASK = numpy.array([True, False, True, False, True, False])
EYE = numpy.eye(6)


def pattern(f: Callable[..., Any], x: Any = X) -> Any:
    return gg.jacobian(f, sparse=True).plan(x).pattern.toarray()


# ---- what is found


@pytest.mark.parametrize("op", [op for op in every_op() if op.differentiable], ids=lambda op: op.name)
def test_no_nonzero_of_any_op_is_missed(op: Any) -> None:
    """Each input of each sample varies alone, then all of them; the dense Jacobian says what is not zero."""
    for inputs, params in cases(op):
        floats = [k for k, x in enumerate(inputs) if numpy.asarray(x).dtype.kind == "f" and numpy.size(x)]
        if sum(numpy.size(x) for x in inputs) > 60 or not floats:
            continue

        def f(given: Any, inputs: Any = inputs, params: Any = params) -> Any:
            found = apply(op, tuple(given.get(k, x) for k, x in enumerate(inputs)), params)
            return gg.tree.map(lambda y: np.stack([y.real, y.imag]) if y.dtype.kind == "c" else y, found)

        for chosen in [[k] for k in floats] + ([floats] if len(floats) > 1 else []):
            x = {k: numpy.asarray(inputs[k]) for k in chosen}
            dense = gg.jacobian(f)(x)
            parts = dense if op.outputs > 1 else (dense,)
            rows = [
                numpy.concatenate([b.reshape(-1, numpy.size(x[k])) for k, b in part.items()], 1)
                for part in parts
                if all(b is not None for b in part.values())
            ]
            whole = numpy.concatenate(rows)
            found = gg.jacobian(f, sparse=True).plan(x).pattern.toarray()
            assert found.shape == whole.shape
            assert not (~found & (numpy.nan_to_num(whole, nan=1.0) != 0)).any(), op.name


def looped(x: Any) -> Any:
    last, ys = gg.scan(lambda c, r: (c * np.sin(r) + r, c * 2.0), x[0] * 0.0 + 1.0, x)
    return np.concatenate([ys, np.stack([last])])


def written_in_a_loop(x: Any) -> Any:
    return gg.fori_loop(0, 6, lambda i, s: s.at[i].set(s[i] * x[i]), np.ones(6))


def diffused(x: Any) -> Any:
    return gg.scan(lambda c, _: (c + 0.1 * (np.roll(c, -1) - c), None), x, None, length=2)[0]


def until(x: Any) -> Any:
    """While the counter is small: the same number of rounds at every point, but not known beforehand."""
    step = lambda c: {"x": c["x"] + 0.1 * np.roll(c["x"], 1) * MASK, "k": c["k"] + 1}
    return gg.while_loop(lambda c: c["k"] < 2, step, {"x": x, "k": 0})["x"]


def branched(x: Any) -> Any:
    return gg.cond(x.sum() > 0.0, lambda x: x * x, lambda x: np.sin(x), x) + gg.switch(
        1, [lambda x: np.cumsum(x), lambda x: np.exp(x)], x
    )


@gg.custom_jvp
def scaled(x: Any, y: Any) -> Any:
    return np.sin(x) * y


scaled.defjvps(lambda t, out, x, y: t * np.cos(x) * y, lambda t, out, x, y: t * np.sin(x))


@gg.custom_vjp
def doubled(x: Any) -> Any:
    return x * 2.0


doubled.defvjp(lambda x: (doubled(x), None), lambda kept, g: (2.0 * g,))

EXACT: dict[str, Callable[[Any], Any]] = {
    "elements": lambda x: np.sin(x) * x + np.floor(x[::-1]),
    "a constant matrix": lambda x: BAND @ x,
    "on the right": lambda x: x @ BAND,
    "einsum": lambda x: np.einsum("ij,j->i", BAND, x),
    "product": lambda x: x.reshape(2, 3) @ x.reshape(3, 2),
    "outer": lambda x: np.outer(x, x[:2]),
    "gathered": lambda x: x[numpy.array([0, 0, 3, 5])] ** 2,
    "written": lambda x: x.at[numpy.array([1, 4])].set(x[:2] * x[3]),
    "added": lambda x: x.at[numpy.array([0, 0, 3, 5])].add(x[2:]),
    "reduced": lambda x: x.reshape(2, 3).max(0) * x.reshape(2, 3).sum(0),
    "running": lambda x: np.cumsum(x.reshape(2, 3), axis=1),
    "chosen": lambda x: np.where(MASK, x**2, x[::-1]),
    "multiplied by zeros": lambda x: x * numpy.array([1.0, 0, 1, 0, 0, 2]),
    "padded": lambda x: np.pad(x, 2),
    "rolled": lambda x: np.roll(x, 1) - 2 * x + np.roll(x, -1),
    "convolved": lambda x: np.convolve(x, numpy.array([1.0, 0.0, 2.0]), "same"),
    "convolved with itself": lambda x: np.convolve(x[:3], x[3:]),
    "transformed": lambda x: np.fft.fft(x.reshape(2, 3), axis=1).real,
    "normed": lambda x: x / np.sqrt((x * x).sum()),
    "stopped": lambda x: x * gg.stop_gradient(x[::-1]),
    "constant": lambda x: x[:2] * 0.0 + numpy.ones(2),
    "batched": lambda x: gg.vmap(lambda r: r * r.sum())(x.reshape(3, 2)),
    "loop": looped,
    "loop with an index": written_in_a_loop,
    "loop over neighbours": diffused,
    "while": until,
    "branches": branched,
    "checkpoint": gg.checkpoint(lambda x: np.sin(x) * x[::-1]),
    "rule of tangents": lambda x: scaled(x, x[::-1]),
    "rule of cotangents": doubled,
}


@pytest.mark.parametrize("name", EXACT)
def test_patterns_are_exact_and_matrices_right(name: str) -> None:
    f = EXACT[name]
    seen: Any = False
    for k in range(3):
        x = numpy.random.default_rng(k).normal(size=6)
        dense = gg.jacobian(f)(x).reshape(-1, 6)
        seen = seen | (dense != 0)
        for mode in (None, "forward", "reverse", "both") if k == 0 else ():
            found = gg.jacobian(f, sparse=True, mode=mode)(x)
            numpy.testing.assert_allclose(found.toarray(), dense, rtol=1e-12, atol=1e-12)
    numpy.testing.assert_array_equal(pattern(f), seen)


@pytest.mark.parametrize(
    "name", ["elements", "product", "written", "loop", "convolved with itself", "rule of tangents"]
)
def test_hessians_are_the_dense_ones(name: str) -> None:
    g = lambda x: (EXACT[name](x) ** 2).sum()
    for colours in ("star", "acyclic"):
        found = gg.hessian(g, sparse=True, colouring=colours)(X)
        numpy.testing.assert_allclose(found.toarray(), gg.hessian(g)(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int) -> None:
    rng = numpy.random.default_rng(seed)
    program = random_program(lambda n: int(rng.integers(n)), 25, limit=40, floats=("float64",))
    floats = {k: a for k, a in enumerate(program.arguments) if a.dtype.kind == "f" and a.size}
    if not floats:
        pytest.skip("a program of integers")

    def f(given: Any) -> Any:
        arguments = [given.get(k, a) for k, a in enumerate(program.arguments)]
        outputs = program.function()(*arguments)
        return [y for y in outputs if getattr(y, "dtype", numpy.dtype(int)).kind == "f"]

    try:
        found = gg.jacobian(f, sparse=True)(floats)
    except (errors.TracedValueError, errors.TreeError) as error:
        pytest.skip(f"cannot be traced: {error}")
    dense = gg.jacobian(f)(floats)
    rows = [numpy.concatenate([b.reshape(-1, floats[k].size) for k, b in part.items()], 1) for part in dense]
    numpy.testing.assert_allclose(found.toarray(), numpy.concatenate(rows), rtol=1e-8, atol=1e-8)


# ---- test problems of optimisation: J. J. Moré, B. S. Garbow and K. E. Hillstrom, ACM TOMS 7 (1981), with the number
# of nonzeros that their definitions give

PROBLEMS: dict[str, tuple[Callable[[Any], Any], Callable[[int], int], int]] = {
    "Broyden tridiagonal": (
        lambda x: (3.0 - 2.0 * x) * x - np.pad(x[:-1], [(1, 0)]) - 2.0 * np.pad(x[1:], [(0, 1)]) + 1.0,
        lambda n: 3 * n - 2,
        3,
    ),
    "Broyden banded, 5 below and 1 above": (
        lambda x: (
            x * (2.0 + 5.0 * x * x)
            + 1.0
            - sum(np.pad(y[: len(y) - k], [(k, 0)]) for y in [x * (1.0 + x)] for k in range(1, 6))
            - np.pad((x * (1.0 + x))[1:], [(0, 1)])
        ),
        lambda n: 7 * n - 16,
        7,
    ),
    "extended Rosenbrock": (
        lambda x: np.stack([10.0 * (x[1::2] - x[::2] ** 2), 1.0 - x[::2]], 1).reshape(-1),
        lambda n: 3 * n // 2,
        2,
    ),
    "discrete boundary value": (
        lambda x: 2.0 * x - np.pad(x[:-1], [(1, 0)]) - np.pad(x[1:], [(0, 1)]) + 0.5 * (x + 0.3) ** 3,
        lambda n: 3 * n - 2,
        3,
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_published_problems(name: str) -> None:
    f, nonzeros, colours = PROBLEMS[name]
    jac = gg.jacobian(f, sparse=True)
    for n in (10, 200):
        plan = jac.plan(numpy.ones(n))
        assert plan.pattern.shape == (n, n) and plan.pattern.nnz == nonzeros(n)
        assert plan.passes == colours
    numpy.testing.assert_allclose(jac(numpy.ones(10)).toarray(), gg.jacobian(f)(numpy.ones(10)))


def rosenbrock(x: Any) -> Any:
    """scipy.optimize.rosen"""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def test_rosenbrock_against_scipy() -> None:
    from scipy.optimize import rosen_hess

    x = RNG.normal(size=50)
    star, acyclic = gg.hessian(rosenbrock, sparse=True), gg.hessian(rosenbrock, sparse=True, colouring="acyclic")
    assert (star.plan(x).passes, acyclic.plan(x).passes) == (3, 2)  # a path: three colours for stars, two for trees
    assert star.plan(x).pattern.nnz == 3 * 50 - 2
    numpy.testing.assert_allclose(star(x).toarray(), rosen_hess(x), rtol=1e-12)
    numpy.testing.assert_allclose(acyclic(x).toarray(), rosen_hess(x), rtol=1e-9, atol=1e-9)


def test_an_arrow_takes_two_colours_and_its_jacobian_three() -> None:
    f = lambda x: (x[0] * x[1:] ** 2).sum() + (x**4).sum()
    assert gg.hessian(f, sparse=True).plan(numpy.ones(300)).passes == 2
    jac = gg.jacobian(gg.grad(f), sparse=True)
    assert (jac.plan(numpy.ones(300)).passes, jac.plan(numpy.ones(300)).mode) == (3, "both")
    assert gg.jacobian(gg.grad(f), sparse=True, mode="forward").plan(numpy.ones(300)).passes == 300
    numpy.testing.assert_allclose(jac(X).toarray(), gg.hessian(f)(X), rtol=1e-12)


# ---- how it is used


def test_a_newton_step_of_ten_thousand_variables() -> None:
    from scipy.sparse.linalg import spsolve

    f = lambda x: ((x[1:] - x[:-1]) ** 2).sum() + ((x - 1.0) ** 4).sum() + (x * x).sum()
    x = numpy.zeros(10_000)
    hess, slope = gg.hessian(f, sparse=True), gg.jit(gg.grad(f))
    for _ in range(8):
        x = x - spsolve(hess(x), slope(x))
    assert numpy.abs(slope(x)).max() < 1e-9 and hess.plan(x).passes == 3


def test_scipy_takes_them_as_they_are() -> None:
    from scipy.integrate import solve_ivp
    from scipy.optimize import least_squares, minimize

    f = PROBLEMS["Broyden tridiagonal"][0]
    found = least_squares(gg.jit(f), -numpy.ones(40), jac=gg.jacobian(f, sparse=True), xtol=1e-14, gtol=1e-14)
    assert numpy.abs(found.fun).max() < 1e-10
    start = numpy.full(20, 0.8)
    found = minimize(
        gg.jit(rosenbrock), start, jac=gg.jit(gg.grad(rosenbrock)), hess=gg.hessian(rosenbrock, sparse=True),
        method="trust-constr", options={"gtol": 1e-10, "xtol": 1e-12},
    )  # fmt: skip
    numpy.testing.assert_allclose(found.x, numpy.ones(20), atol=1e-6)
    heat = lambda t, u: 400.0 * (np.pad(u[1:], [(0, 1)]) - 2.0 * u + np.pad(u[:-1], [(1, 0)])) - u**3
    u = numpy.sin(numpy.pi * numpy.arange(1, 20) / 20)
    options = {"method": "BDF", "rtol": 1e-8, "atol": 1e-10}
    ours = solve_ivp(gg.jit(heat), (0.0, 0.1), u, jac=gg.jacobian(heat, argnums=1, sparse=True), **options)
    theirs = solve_ivp(lambda t, u: numpy.asarray(heat(t, u)), (0.0, 0.1), u, **options)
    numpy.testing.assert_allclose(ours.y[:, -1], theirs.y[:, -1], rtol=1e-6)
    assert ours.success and ours.njev > 0


def test_trees_further_arguments_and_plans_that_are_kept() -> None:
    calls = []

    def f(p: Any, scale: Any, rows: Any) -> Any:
        calls.append(1)
        return {"a": p["x"][rows] * scale, "b": p["y"].sum(1)}

    jac = gg.jacobian(f, sparse=True)
    p = {"x": X, "y": RNG.normal(size=(2, 3))}
    rows = numpy.array([1, 1, 4])
    dense = gg.jacobian(f)(p, 2.0, rows)
    whole = numpy.block([[dense[k]["x"], dense[k]["y"].reshape(-1, 6)] for k in ("a", "b")])
    numpy.testing.assert_allclose(jac(p, 2.0, rows).toarray(), whole)
    before = len(calls)
    numpy.testing.assert_allclose(jac(p, 3.0, rows).toarray()[:3, :6], 1.5 * whole[:3, :6])
    assert len(calls) == before and jac.plan(p, 3.0, rows) is jac.plan(p, 2.0, rows.copy())
    other = numpy.array([0, 2, 5])  # other places: another plan, the same program
    numpy.testing.assert_allclose(jac(p, 2.0, other).toarray()[:3, :6], 2.0 * EYE[other])
    first = jac(p, 2.0, rows)
    first.indices[:] = 0  # the matrix is the caller's
    numpy.testing.assert_allclose(jac(p, 2.0, rows).toarray(), whole)


def test_dtypes_orders_and_empty_patterns() -> None:
    assert gg.jacobian(lambda x: x * x, sparse=True)(X.astype(numpy.float32)).dtype == numpy.float32
    nothing = gg.jacobian(lambda x: np.floor(x) + numpy.ones(6), sparse=True)
    assert nothing(X).nnz == 0 and nothing.plan(X).passes == 0
    assert gg.hessian(lambda x: x.sum(), sparse=True)(X).nnz == 0
    for order in ("natural", "largest_first", "smallest_last", "incidence_degree"):
        jac = gg.jacobian(diffused, sparse=True, order=order)
        assert jac.plan(X).order == order
        numpy.testing.assert_allclose(jac(X).toarray(), gg.jacobian(diffused)(X), rtol=1e-12)


def test_the_nonzeros_alone_can_be_traced_and_differentiated() -> None:
    hess = gg.hessian(rosenbrock, sparse=True)
    numpy.testing.assert_allclose(gg.jit(hess.values)(X), hess(X).data, rtol=1e-12)
    trace = gg.grad(lambda x: hess.values(x)[numpy.array([0])].sum())(X)
    assert trace[0] == pytest.approx(2400.0 * X[0]) and trace[1] == pytest.approx(-400.0)


def test_of_compiled_functions_and_of_one_another() -> None:
    f = EXACT["rolled"]
    numpy.testing.assert_allclose(gg.jacobian(gg.jit(f), sparse=True)(X).toarray(), gg.jacobian(f)(X))
    numpy.testing.assert_allclose(gg.hessian(gg.jit(rosenbrock), sparse=True)(X).toarray(), gg.hessian(rosenbrock)(X))
    hess = gg.hessian(rosenbrock, sparse=True)
    third = gg.jacobian(hess.values, sparse=True)(X)
    numpy.testing.assert_allclose(third.toarray(), gg.jacobian(hess.values)(X))


def test_plans_can_be_read() -> None:
    plan = gg.jacobian(lambda x: x[1:] * x[:-1], sparse=True).plan(X)
    assert str(plan) == "5 x 6, 10 nonzeros (33.33%); forward, 2 passes instead of 5; natural order"
    assert plan.columns.tolist() == [0, 1, 0, 1, 0, 1] and set(plan.rows.tolist()) == {-1}


@pytest.mark.parametrize("mode", ["forward", "reverse", "both"])
def test_holomorphic_functions(mode: str) -> None:
    z = X + 1j * X[::-1]
    f = lambda z: np.exp(1j * z) * z[::-1] + np.eye(1, 6)[0] * (z * z).sum()
    expected = gg.jacobian(f, holomorphic=True)(z)
    found = gg.jacobian(f, mode=mode, sparse=True, holomorphic=True)(z)
    assert found.dtype == complex
    numpy.testing.assert_allclose(found.toarray(), expected, rtol=1e-13)


def test_a_dense_pattern_is_said() -> None:
    with pytest.warns(errors.DensePatternWarning, match="the pattern is dense, 36 of 36 elements, and takes 6") as said:
        gg.jacobian(EXACT["normed"], sparse=True)(X)
    assert said[0].filename == __file__


@pytest.mark.parametrize(
    ("make", "x", "error", "message"),
    [
        (lambda: gg.jacobian(lambda x: x, sparse=True), X.reshape(2, 3), errors.ShapeError, "by a vector, or a tree"),
        (lambda: gg.jacobian(lambda x: x, sparse=True), 3.0, errors.ShapeError, "got shape \\(\\)"),
        (
            lambda: gg.jacobian(lambda x: x, sparse=True),
            X + 1j,
            errors.DtypeError,
            "got a complex argument; take .real",
        ),
        (lambda: gg.jacobian(lambda x: x * 1j, sparse=True), X, errors.DtypeError, "got a complex result; take .real"),
        (lambda: gg.jacobian(np.exp, sparse=True, holomorphic=True), X, errors.DtypeError, "got argument of float64"),
        (lambda: gg.hessian(lambda x: abs(x).sum(), sparse=True), X + 1j, errors.DtypeError, "complex argument"),
        (lambda: gg.jacobian(lambda x: x, sparse=True), numpy.arange(3), errors.DtypeError, "int64"),
        (lambda: gg.jacobian(lambda x: x, sparse=True), [], errors.DtypeError, "jacobian: nothing to differentiate by"),
        (
            lambda: gg.jacobian(lambda x: x["a"], sparse=True),
            {"a": X, "s": "hi"},
            errors.TreeError,
            r"0\['s'\] is a str",
        ),
        (lambda: gg.jacobian(lambda x: x, sparse=True), gg.variable(X), errors.DtypeError, "use .values"),
        (lambda: gg.jacobian(lambda x: x if x[0] > 0 else -x, sparse=True), X, errors.TracedValueError, "where"),
        (lambda: gg.jacobian(lambda x: x, mode="up", sparse=True), X, ValueError, "mode is 'up'"),
        (lambda: gg.jacobian(lambda x: x, sparse=True, order="up"), X, ValueError, "no order is named 'up'"),
        (lambda: gg.hessian(rosenbrock, sparse=True, colouring="up"), X, ValueError, "colouring is 'up'"),
        (lambda: gg.hessian(lambda x: x, sparse=True), X, errors.NotScalarError, "shape \\(6,\\)"),
        (lambda: gg.jacobian(lambda x: x, sparse=True, has_aux=True), X, ValueError, "takes no has_aux"),
    ],
)
def test_what_is_refused(make: Any, x: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make()(x)
