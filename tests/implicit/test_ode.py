"""odeint: against SciPy's solver step by step, closed forms and their derivatives, and the steps written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import errors

scipy = pytest.importorskip("scipy")
integrate = pytest.importorskip("scipy.integrate")
linalg = pytest.importorskip("scipy.linalg")

T = numpy.linspace(0.0, 5.0, 6)
Y0 = numpy.array([1.0, 0.5])


def van_der_pol(y: Any, t: Any, mu: Any = 1.3) -> Any:
    return np.stack([y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0] + 0.1 * t])


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("times", [T, -T, T[::-1], T[[0, -1]]], ids=["forward", "negative", "backward", "ends"])
def test_it_takes_the_steps_of_scipy(times: Any, compiled: bool) -> None:
    """The same steps, refusals and evaluations, and the same numbers at the times between."""
    solve = lambda y: gg.solve_ode(van_der_pol, y, times, rtol=1e-6, atol=1e-8)
    found = (gg.jit(solve) if compiled else solve)(Y0)
    slope = lambda t, y: [y[1], 1.3 * (1 - y[0] ** 2) * y[1] - y[0] + 0.1 * t]
    ends = (times[0], times[-1])
    theirs = integrate.solve_ivp(slope, ends, Y0, method="RK45", t_eval=times, rtol=1e-6, atol=1e-8)
    steps = len(integrate.solve_ivp(slope, ends, Y0, method="RK45", rtol=1e-6, atol=1e-8).t) - 1
    assert (int(found.evaluations), int(found.steps)) == (theirs.nfev, steps)
    assert int(found.rejected) == (theirs.nfev - 2) // 6 - steps
    numpy.testing.assert_allclose(numpy.asarray(found.ys), theirs.y.T, rtol=1e-11, atol=1e-12)


def unrolled(y: Any, mu: Any) -> Any:
    """The last value by the steps SciPy takes from Y0, written out with SciPy's table of weights."""
    method = integrate.RK45
    solver = method(lambda t, y: [y[1], 1.3 * (1 - y[0] ** 2) * y[1] - y[0] + 0.1 * t], 0.0, Y0, 5.0)
    times = [0.0]
    while solver.status == "running":
        solver.step()
        times.append(solver.t)
    for t, h in zip(times[:-1], numpy.diff(times), strict=True):
        slopes: list[Any] = []
        for row, c in zip(method.A, method.C, strict=True):
            moved = sum((h * a * k for a, k in zip(row, slopes, strict=False)), 0.0 * y)
            slopes.append(van_der_pol(y + moved, t + c * h, mu))
        y = y + sum(h * b * k for b, k in zip(method.B, slopes, strict=True))
    return y


def test_the_discrete_adjoint_is_that_of_the_steps_taken() -> None:
    last = lambda y, mu: gg.odeint(van_der_pol, y, T[[0, -1]], mu, rtol=1e-3, atol=1e-6)[-1]
    numpy.testing.assert_allclose(last(Y0, 1.3).value, unrolled(Y0, 1.3).value, rtol=1e-12)
    expected = gg.jacobian(unrolled, (0, 1))(Y0, 1.3)
    for found in (gg.jit(gg.jacrev(last, (0, 1)))(Y0, 1.3), gg.jacfwd(last, (0, 1))(Y0, 1.3)):
        for x, y in zip(found, expected, strict=True):
            numpy.testing.assert_allclose(x, y, rtol=1e-10)


RNG = numpy.random.default_rng(0)
A = RNG.normal(size=(3, 3))
V = RNG.normal(size=3)
TIGHT = {"rtol": 1e-9, "atol": 1e-11}


def linear(adjoint: str) -> Callable[..., Any]:
    """y(t) = exp(t A) y₀ at two times, one of which is not at the end of a step."""
    return lambda a, y, t: gg.odeint(lambda y, t, a: a @ y, y, t, a, adjoint=adjoint, **TIGHT)


@pytest.mark.parametrize("adjoint", ["discrete", "continuous"])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_linear_equation_has_the_derivatives_of_the_matrix_exponential(adjoint: str, compiled: bool) -> None:
    times = numpy.array([0.2, 0.7, 1.5])
    w = RNG.normal(size=(3, 3))
    loss = lambda a, y, t: (w * linear(adjoint)(a, y, t)).sum()
    gradient = gg.grad(loss, (0, 1, 2))
    by_a, by_y, by_t = (gg.jit(gradient) if compiled else gradient)(A, V, times)
    spans = times - times[0]
    flows = [linalg.expm(s * A) for s in spans]
    numpy.testing.assert_allclose(by_y, sum(f.T @ row for f, row in zip(flows, w, strict=True)), rtol=1e-6)
    moved = [row @ A @ f @ V for f, row in zip(flows, w, strict=True)]  # by its time
    numpy.testing.assert_allclose(by_t[1:], moved[1:], rtol=1e-6)
    numpy.testing.assert_allclose(by_t[0], -sum(moved[1:]), rtol=1e-6)
    for i, j in ((0, 0), (2, 1)):
        unit = numpy.zeros((3, 3))
        unit[i, j] = 1.0
        frechet = [linalg.expm_frechet(s * A, s * unit, compute_expm=False) @ V for s in spans]
        assert by_a[i, j] == pytest.approx(sum(r @ d for r, d in zip(w, frechet, strict=True)), rel=1e-6)


@pytest.mark.parametrize("adjoint", ["discrete", "continuous"])
def test_a_pendulum_as_a_tree(adjoint: str) -> None:
    """x = cos(√s t): dx/ds = -t sin(√s t) / (2 √s), and its second derivative; and a batch of them."""

    def swing(y: Any, t: Any, s: Any) -> Any:
        return {"x": y["v"], "v": -s * y["x"]}

    at = lambda s: gg.odeint(swing, {"x": 1.0, "v": 0.0}, numpy.array([0.0, 1.7]), s, adjoint=adjoint, **TIGHT)["x"][1]
    slope = lambda s: -1.7 * numpy.sin(s**0.5 * 1.7) / (2 * s**0.5)
    assert float(gg.grad(at)(2.0)) == pytest.approx(slope(2.0), rel=1e-6)
    assert float(gg.jvp(at, (2.0,), (1.0,))[1]) == pytest.approx(slope(2.0), rel=1e-6)
    many = gg.vmap(gg.grad(at))(numpy.array([0.5, 2.0]))
    numpy.testing.assert_allclose(many, slope(numpy.array([0.5, 2.0])), rtol=1e-6)
    second = gg.hessian(at)(2.0)
    assert float(second) == pytest.approx((slope(2.001) - slope(1.999)) / 0.002, rel=1e-4)


def test_logistic_growth_backwards_in_time() -> None:
    grown = lambda t: 1.0 / (1.0 + 9.0 * numpy.exp(-t))
    found = gg.odeint(lambda y, t: y * (1.0 - y), grown(3.0), numpy.array([3.0, 1.0, 0.0]), **TIGHT)
    numpy.testing.assert_allclose(found.value, grown(numpy.array([3.0, 1.0, 0.0])), rtol=1e-7)


def test_what_f_closes_over_is_differentiated() -> None:
    f = lambda k: gg.odeint(lambda y, t: k * y, 1.0, numpy.array([0.0, 1.0]), **TIGHT)[-1]
    assert float(gg.grad(f)(0.5)) == pytest.approx(numpy.exp(0.5), rel=1e-7)


def test_complex_and_float32_and_integer_times() -> None:
    turned = gg.odeint(lambda y, t: 1j * y, 1.0 + 0.0j, [0, 1, 2], **TIGHT)
    numpy.testing.assert_allclose(turned.value, numpy.exp(1j * numpy.arange(3)), rtol=1e-7)
    decay = lambda y, t: gg.odeint(lambda y, t: -y * t / t, y, t)
    single = decay(numpy.ones(2, numpy.float32), numpy.array([1.0, 2.0], numpy.float32))
    assert single.dtype == numpy.float32
    by_t = gg.jit(gg.grad(lambda t: decay(numpy.ones(2, numpy.float32), t)[1, 0]))(
        numpy.array([1.0, 2.0], numpy.float32)
    )
    assert by_t.dtype == numpy.float32
    numpy.testing.assert_allclose(by_t, [numpy.exp(-1.0), -numpy.exp(-1.0)], rtol=1e-4)
    numpy.testing.assert_allclose(single.value[1], numpy.exp(-1.0), rtol=1e-5)


def test_fewer_steps_are_tried_where_python_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import glassgrad.implicit.ode as ode

    monkeypatch.setattr(ode, "STEPS_IN_PYTHON", 30)
    stiff = lambda y: gg.odeint(lambda y, t: -1e4 * (y - t), y, [0.0, 1.0])
    with pytest.raises(errors.ConvergenceError, match=r"30 steps were not enough .* compile with gg.jit"):
        stiff(1.0)
    assert float(gg.jit(stiff)(1.0)[-1]) == pytest.approx(1.0, abs=1e-3)
    assert gg.odeint(van_der_pol, Y0, [0.0, 5.0], max_steps=200).shape == (2, 2)


def test_one_time_and_the_same_time_twice() -> None:
    assert gg.odeint(van_der_pol, Y0, [0.0]).shape == (1, 2)
    found = gg.odeint(lambda y, t: y, 1.0, [0.0, 0.0, 1.0, 1.0])
    numpy.testing.assert_allclose(found.value, [1.0, 1.0, numpy.e, numpy.e], rtol=1e-5)


@pytest.mark.parametrize(
    ("solve", "error", "message"),
    [
        (lambda: gg.odeint(van_der_pol, Y0, [0.0, 2.0, 1.0]), errors.ShapeError, "one direction: got 2 and then 1"),
        (lambda: gg.odeint(van_der_pol, Y0, 1.0), errors.ShapeError, r"t is a vector of times: got shape \(\)"),
        (lambda: gg.odeint(van_der_pol, [1, 2], T), errors.DtypeError, "y0 is int64"),
        (lambda: gg.odeint(lambda y, t: y[:1], Y0, T), errors.ShapeError, "f's result has another shape"),
        (lambda: gg.odeint(van_der_pol, Y0, T, rtol=-1.0), ValueError, "got rtol=-1.0, atol=1e-09"),
        (lambda: gg.odeint(van_der_pol, Y0, T, rtol=0, atol=0.0), ValueError, "nor both zero"),
        (lambda: gg.odeint(van_der_pol, Y0, T, atol=numpy.nan), ValueError, "atol=nan"),
        (lambda: gg.odeint(van_der_pol, Y0, [0.0, numpy.nan]), ValueError, r"t\[1\] is nan, expected finite times"),
        (lambda: gg.odeint(van_der_pol, Y0, [0.0, numpy.inf]), ValueError, r"t\[1\] is inf"),
        (lambda: gg.odeint(van_der_pol, Y0, T, method="rk4"), ValueError, "expected one of"),
        (lambda: gg.odeint(lambda y, t: np.log(y), -1.0, [0.0, 1.0]), errors.ConvergenceError, "f is not finite"),
        (lambda: gg.odeint(van_der_pol, Y0, T, max_steps=3), errors.ConvergenceError, "3 steps were not enough"),
        (
            lambda: gg.jit(lambda t: gg.odeint(van_der_pol, Y0, t))(numpy.array([0.0, 2.0, 1.0])),
            errors.ConvergenceError,
            "do not go in one direction",
        ),
        (
            lambda: gg.jit(gg.grad(lambda y: gg.odeint(lambda y, t: y**2, y, [0.0, 2.0])[-1]))(1.0),
            errors.ConvergenceError,
            "too small to go on at t = 1",
        ),
    ],
)
def test_mistakes_are_named(solve: Callable[[], Any], error: type[Exception], message: str) -> None:
    with numpy.errstate(all="ignore"), pytest.raises(error, match=message):
        solve()
