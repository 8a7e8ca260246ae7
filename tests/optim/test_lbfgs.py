"""L-BFGS on functions whose minima are known, beside SciPy's and PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.errors import DtypeError
from glassgrad.optim import LBFGS
from glassgrad.optim.lbfgs import ARMIJO, CURVATURE, Pair, Point, cubic, search, times_inverse_hessian


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def beale(x: Any) -> Any:
    return sum((c - x[0] + x[0] * x[1] ** k) ** 2 for k, c in enumerate((1.5, 2.25, 2.625), 1))


def himmelblau(x: Any) -> Any:
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def ill_conditioned(x: Any) -> Any:
    return (np.logspace(0, 3, 20) * (x - 1) ** 2).sum()


RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 10))
LABELS = (ROWS @ RNG.normal(size=10) + RNG.normal(size=200) > 0) * 1.0


def logistic(w: Any) -> Any:
    z = ROWS @ w
    return gnp.mean(gnp.logaddexp(0, z) - LABELS * z) + 1e-3 * (w * w).sum()


# Function, where to begin, the minimum (None: SciPy says)
VALLEYS: list[tuple[Any, Any, Any]] = [
    (rosenbrock, np.array([-1.2, 1.0]), np.ones(2)),
    (rosenbrock, np.array([-50.0, 80.0]), np.ones(2)),
    (rosenbrock, np.full(10, 2.0), np.ones(10)),
    (beale, np.ones(2), np.array([3.0, 0.5])),
    (himmelblau, np.zeros(2), np.array([3.0, 2.0])),
    (ill_conditioned, np.zeros(20), np.ones(20)),
    (logistic, np.zeros(10), None),
]
named = lambda v: getattr(v, "__name__", "")


@pytest.mark.parametrize(("f", "first", "best"), VALLEYS, ids=named)
def test_minima_and_iterations_are_like_scipys(f: Any, first: Any, best: Any) -> None:
    optimize = pytest.importorskip("scipy.optimize")
    derive = gg.jit(gg.value_and_grad(f))
    options = {"maxcor": 10, "gtol": 1e-8, "ftol": 0.0}
    theirs = optimize.minimize(derive, first, jac=True, method="L-BFGS-B", options=options)
    before = first.copy()
    ours = LBFGS(memory=10, gradient=1e-8, change=0.0).minimise(f, first)
    np.testing.assert_array_equal(first, before)
    np.testing.assert_allclose(ours.x, theirs.x if best is None else best, rtol=1e-5)
    assert ours.value <= theirs.fun + 1e-12
    assert ours.converged
    assert ours.gradient_norm == np.abs(derive(ours.x)[1]).max() <= 1e-7
    assert ours.value == derive(ours.x)[0]
    assert ours.iterations <= 1.25 * theirs.nit + 3
    assert ours.evaluations <= 1.25 * theirs.nfev + 3


@pytest.mark.parametrize(("f", "first", "best"), VALLEYS, ids=named)
def test_minima_are_torchs(f: Any, first: Any, best: Any) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(first, requires_grad=True)
    peer = torch.optim.LBFGS(
        [x],
        1.0,
        max_iter=200,
        tolerance_grad=1e-8,
        tolerance_change=0.0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )
    derive = gg.value_and_grad(f)

    def closure() -> Any:
        value, slope = derive(x.detach().numpy().copy())
        x.grad = torch.tensor(slope)
        return torch.tensor(float(value), dtype=torch.float64)

    peer.step(closure)
    ours = LBFGS(memory=10, gradient=1e-8, change=0.0).minimise(f, first)
    np.testing.assert_allclose(ours.x, x.detach().numpy(), rtol=1e-5)
    assert ours.evaluations <= 1.5 * peer.state[x]["func_evals"] + 3


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "complex64"])
def test_any_tree_of_any_dtype(dtype: str) -> None:
    aim = {"w": np.arange(6).reshape(2, 3).astype(dtype), "b": [np.asarray(0.5, dtype)]}
    if dtype.startswith("c"):
        aim["w"] = aim["w"] * np.asarray(1 - 2j, dtype)

    def far(p: Any, aim: Any, weight: Any) -> Any:
        parts = ((p["w"], aim["w"]), (p["b"][0], aim["b"][0]))
        return sum((weight * gnp.abs(a - b) ** 2).sum() for a, b in parts) + p["count"]

    first = {"w": np.ones((2, 3), dtype), "b": [np.asarray(3, dtype)], "count": 3, "none": None}
    found = LBFGS().minimise(far, first, aim, np.asarray(3.0, np.empty(0, dtype).real.dtype))
    assert found.converged
    assert (found.x["count"], found.x["none"]) == (3, None)
    assert found.value == pytest.approx(3.0, abs=1e-5)
    for got, expected in ((found.x["w"], aim["w"]), (found.x["b"][0], aim["b"][0])):
        assert (got.dtype, got.shape) == (dtype, expected.shape)
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_float32_stops_at_its_rounding() -> None:
    found = LBFGS(gradient=0.0).minimise(rosenbrock, np.array([-1.2, 1.0], np.float32))
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-2)
    assert found.value < 1e-5
    assert found.iterations < 60


def test_why_it_stops() -> None:
    first = np.array([-1.2, 1.0])
    found = LBFGS(steps=3).minimise(rosenbrock, first)
    assert (found.converged, found.iterations, found.message) == (False, 3, "took 3 steps")
    assert found.value < rosenbrock(first)
    found = LBFGS(steps=0).minimise(rosenbrock, first)
    assert (found.iterations, found.evaluations) == (0, 1)
    np.testing.assert_array_equal(found.x, first)
    found = LBFGS().minimise(rosenbrock, np.ones(2))
    assert (found.converged, found.iterations) == (True, 0)
    assert "no element of the gradient is above 1e-05" in found.message
    found = LBFGS().minimise(lambda x: gnp.log(x).sum(), -np.ones(2))
    assert (found.converged, found.message) == (False, "the first value is nan")
    found = LBFGS(gradient=0.0).minimise(lambda x: (x**4).sum() + 1e3, np.ones(3))
    assert (found.converged, found.message) == (True, "a step lowered the value by no more than 2.2e-09 of it")


def test_a_derivative_that_leads_uphill_is_reported() -> None:
    wrong = gg.custom_vjp(lambda x: (x**2).sum())
    wrong.defvjp(lambda x: ((x**2).sum(), x), lambda x, g: (-2 * x * g,))
    found = LBFGS().minimise(wrong, np.ones(3))
    assert not found.converged
    assert "no lower value along the gradient" in found.message


def test_a_function_that_is_not_defined_everywhere() -> None:
    found = LBFGS().minimise(lambda x: (x - gnp.log(x)).sum(), np.array([0.01, 30.0]))
    np.testing.assert_allclose(found.x, 1.0, rtol=1e-4)


def test_mistakes_are_named() -> None:
    with pytest.raises(DtypeError, match="LBFGS: nothing to move"):
        LBFGS().minimise(lambda p: 1.0, {"n": 3, "empty": np.zeros(0)})
    for name in ("memory", "steps", "gradient", "change"):
        with pytest.raises(ValueError, match=f"optim: bad {name}: got -1"):
            LBFGS(**{name: -1})


def test_two_loops_are_the_matrix() -> None:
    """Nocedal & Wright, equation 7.16: H ← (I - ρ s yᵀ) H (I - ρ y sᵀ) + ρ s sᵀ, from s·y / y·y times I."""
    rng = np.random.default_rng(1)
    pairs = []
    for _ in range(4):
        s, y = rng.normal(size=6), rng.normal(size=6)
        pairs.append(Pair(s, y, 1 / (s @ y)))
    identity = np.eye(6)
    h = identity / (pairs[-1].rho * (pairs[-1].y @ pairs[-1].y))
    for s, y, rho in pairs:
        left = identity - rho * np.outer(s, y)
        h = left @ h @ left.T + rho * np.outer(s, s)
    g = rng.normal(size=6)
    np.testing.assert_allclose(times_inverse_hessian(g, pairs), h @ g, rtol=1e-9)
    np.testing.assert_array_equal(times_inverse_hessian(g, []), g)


def test_a_cubic_is_minimised_exactly() -> None:
    value, slope = (lambda t: t**3 - 3 * t + 5), (lambda t: 3 * t**2 - 3)  # least at 1
    empty = np.zeros(0)
    for a, b in ((0.0, 3.0), (3.0, 0.0), (-0.5, 1.5), (0.2, 0.9)):
        points = [Point(t, value(t), slope(t), empty, empty) for t in (a, b)]
        assert cubic(*points) == pytest.approx(1.0)
    straight = [Point(t, t, 1.0, empty, empty) for t in (0.0, 4.0)]
    assert cubic(*straight) == 2.0


LINES: list[Any] = [  # Moré & Thuente 1994, their functions 5.1 to 5.3: values and slopes
    (lambda t: -t / (t**2 + 2), lambda t: (t**2 - 2) / (t**2 + 2) ** 2),
    (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4, lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3),
    (lambda t: np.exp(t) - 20 * t, lambda t: np.exp(t) - 20),
]


@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1e3])
@pytest.mark.parametrize(("value", "slope"), LINES)
def test_a_line_search_ends_at_strong_wolfe_conditions(value: Any, slope: Any, first: float) -> None:
    class Along:
        def at(self, t: float) -> Point:
            with np.errstate(all="ignore"):
                return Point(t, float(value(np.float64(t))), float(slope(np.float64(t))), np.zeros(0), np.zeros(0))

    start = Along().at(0.0)
    found = search(Along(), start, first)  # type: ignore[arg-type]
    assert found is not None
    assert found.value <= start.value + ARMIJO * found.t * start.slope
    assert abs(found.slope) <= CURVATURE * abs(start.slope)
