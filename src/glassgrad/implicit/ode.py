"""Ordinary differential equations, differentiable by their start, the times and what they are made from: ``odeint``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..autodiff.loops import scan
from ..autodiff.whiles import while_loop
from ..dtypes import real_dtype
from ..errors import ConvergenceError, DtypeError, ShapeError
from ..graph.apply import apply
from ..graph.node import Value, is_symbolic, value_of
from ..graph.origin import here
from ..numpy.arguments import array_of
from ..ops import logic, reduction, view
from ..ops.control import Check, stop_gradient
from .dopri5 import EVALUATIONS, Slope, State, Tolerance, begun, step
from .vector import layout

METHODS = ("dopri5",)
ADJOINTS = ("discrete", "continuous")
KEPT = 16  # states between two times: 153 steps are then computed twice again at most, 969 three times

STEPS, STEPS_IN_PYTHON = 100_000, 10_000


class OdeSolution(NamedTuple):
    """What ``solve_ode`` found.

    Attributes
    ----------
    ys : tree like y0, with a further axis 0 along the times
    steps, rejected : how many steps were taken, and how many were tried and refused because of their error
    evaluations : how often f was evaluated
    """

    ys: Any
    steps: Any
    rejected: Any
    evaluations: Any


def odeint(
    f: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    method: str = "dopri5",
    adjoint: str = "discrete",
    max_steps: int | None = None,
) -> Any:
    """y at the times t, where dy/dt = ``f(y, t, *args)`` and y = y0 at t[0].

    By Dormand and Prince's method of order 5(4), with steps that adapt to the tolerance and its interpolant of order 4
    at the times: the steps of ``scipy.integrate.solve_ivp(method="RK45")``. Differentiable by y0, by args and whatever
    else f is made from, and by t; compiled, it is one native loop, and so are its derivatives.

    Parameters
    ----------
    f : of a tree like y0, the time and the args, returning a tree like y0
    y0 : floating array or tree of arrays; a list of numbers is an array
    t : [T] times in one direction, ascending or descending
    *args : trees of arrays, handed on to f
    rtol, atol : the error of a step may be ``atol + rtol |y|``, as root mean square over all elements
    method : "dopri5"
    adjoint : how derivatives are found. "discrete": those of the steps that were taken, their sizes held fast, exact to
        rounding for the numbers returned; reverse mode keeps 16 states between two times and computes the others again.
        "continuous": the adjoint equation, solved backwards with the same tolerance from one time to the one before (R.
        T. Q. Chen et al., "Neural ordinary differential equations" (2018)); it keeps only what is returned, and is as
        exact as the tolerance. Forward mode and derivatives of derivatives are discrete.
    max_steps : steps that may be tried between two times; by default 100,000, and 10,000 where they are taken in
        Python, at milliseconds each

    Returns
    -------
    tree of Arrays like y0, each leaf with a further axis 0 of size T

    Raises
    ------
    ConvergenceError
        if steps become too small, because the equation is stiff, the solution grows without bound or f is not finite;
        if ``max_steps`` are not enough; or, in compiled code, if t changes direction.
    ValueError
        if a tolerance is negative, both are zero, or a time is not finite.
    DtypeError, TreeError, ShapeError
        if y0 is no floating array or tree of them, f's result is not like it, or t is no vector in one direction.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> def swing(y, t, stiffness):  # y = cos(t √stiffness)
    ...     return {"x": y["v"], "v": -stiffness * y["x"]}
    >>> at_pi = lambda s: gg.odeint(swing, {"x": 1.0, "v": 0.0}, np.array([0.0, np.pi]), s, rtol=1e-9)["x"][-1]
    >>> float(at_pi(1.0).round(6)), float(gg.grad(at_pi)(2.0).round(6))  # the latter is -π sin(π √2) / √8
    (-1.0, 1.070627)
    >>> gg.odeint(lambda y, t: y, 1.0, np.array([0.0, 0.5, 1.0])).round(5)
    Array([1.     , 1.64872, 2.71828])
    """
    return _solved("odeint", f, y0, t, args, rtol, atol, method, adjoint, max_steps).ys


def solve_ode(
    f: Callable[..., Any],
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    method: str = "dopri5",
    adjoint: str = "discrete",
    max_steps: int | None = None,
) -> OdeSolution:
    """As ``odeint``, with how many steps it took: see there for parameters and errors.

    Returns
    -------
    OdeSolution
        ``ys``, what ``odeint`` returns, and ``steps``, ``rejected``, ``evaluations``.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> found = gg.solve_ode(lambda y, t: -y, 1.0, np.array([0.0, 10.0]))
    >>> int(found.steps), int(found.rejected), int(found.evaluations)
    (41, 0, 248)
    """
    return _solved("solve_ode", f, y0, t, args, rtol, atol, method, adjoint, max_steps)


def _solved(
    what: str,
    f: Any,
    y0: Any,
    t: Any,
    args: Any,
    rtol: Any,
    atol: Any,
    method: str,
    adjoint: str,
    max_steps: int | None,
) -> OdeSolution:
    if method not in METHODS or adjoint not in ADJOINTS:
        raise ValueError(
            f"{what}: got method={method!r}, adjoint={adjoint!r}, expected one of {METHODS} and one of {ADJOINTS}, at "
            f"{here(2)}"
        )
    _exact_enough(what, rtol, atol)
    like = layout(what, "y0", y0)
    times = _times(what, t)

    def slope(y: Value, t: Value) -> Value:
        t = logic.astype(array_of(t), real_dtype(like.dtype))  # float32 stays float32, between times in float64
        return like.vector(f(like.tree(array_of(y)), t, *args), "f's result")

    y = like.vector(y0, "y0")
    if max_steps is None:
        traced = any(is_symbolic(x) for x in (y, times, *tree.leaves(args)))
        max_steps = STEPS if traced else STEPS_IN_PYTHON
    problem = Problem(what, slope, Tolerance(rtol, atol), max_steps)
    if adjoint == "continuous":
        from .adjoint import continuous

        ys, last = continuous(problem, y, times)
    else:
        ys, last = problem.solve(y, times)
    steps, rejected = (array_of(n) for n in (last.steps, last.refused))
    return OdeSolution(like.tree(ys), steps, rejected, 2 + EVALUATIONS * (steps + rejected))


def _exact_enough(what: str, rtol: Any, atol: Any) -> None:
    """Refuse tolerances, where they are known, that no step can meet."""
    known = [value_of(x) for x in (rtol, atol) if not is_symbolic(x)]
    negative = any(not np.all(np.asarray(x) >= 0.0) for x in known)
    if negative or (len(known) == 2 and not np.any(np.add(*known))):
        raise ValueError(
            f"{what}: the error of a step may be atol + rtol |y|: got rtol={value_of(rtol)}, atol={value_of(atol)}, "
            f"expected none below zero, nor both zero, at {here(3)}; give rtol=1e-6, atol=1e-9"
        )


def _times(what: str, t: Any) -> Value:
    times = array_of(t)
    if len(times.shape) != 1 or not times.shape[0]:
        raise ShapeError(f"{what}: t is a vector of times: got shape {times.shape} at {here(3)}; give [t0, t1, ...]")
    if times.dtype.kind not in "fiu":
        raise DtypeError(f"{what}: t is {times.dtype}, expected real times at {here(3)}")
    if times.value is not None:
        if not np.all(np.isfinite(times.value)):
            k = int(np.argmin(np.isfinite(times.value)))
            raise ValueError(f"{what}: t[{k}] is {times.value[k]}, expected finite times at {here(3)}; leave it out")
        steps = np.diff(times.value)
        if not (np.all(steps >= 0) or np.all(steps <= 0)):
            k = int(np.flatnonzero((steps > 0) != (steps[np.flatnonzero(steps)[0]] > 0))[0])
            raise ShapeError(
                f"{what}: the times do not go in one direction: got {times.value[k]:g} and then "
                f"{times.value[k + 1]:g} at {here(3)}; sort them"
            )
    return logic.astype(times, np.float64)


class Problem(NamedTuple):
    """A differential equation of a vector, and how exactly to solve it."""

    what: str
    slope: Slope
    tolerance: Tolerance
    max_steps: int

    def solve(self, y: Value, times: Value) -> tuple[Value, State]:
        """y at the times, and the last state.  [n], [T] -> [T, n]"""
        start, end = times[0], times[-1]
        sign = stop_gradient(logic.where(end >= start, 1.0, -1.0))

        def until(state: State, t: Value) -> tuple[State, Value]:
            tried = state.steps + state.refused

            def going(at: State) -> Value:
                ahead = sign * (stop_gradient(t) - at.t) > 0.0
                return ahead & ~at.small & (at.steps + at.refused - tried < self.max_steps)

            state = while_loop(going, lambda at: step(self.slope, at, end, self.tolerance), state, checkpoints=KEPT)
            return state, state.piece(t)

        last, ys = scan(until, begun(self.slope, y, start, end, self.tolerance), times[1:])
        one_way = reduction.all(sign * (times[1:] - times[:-1]) >= 0.0)
        arrived = sign * (end - last.t) <= 0.0
        facts = (arrived & one_way & ~last.small, one_way, last.small, last.t, last.h, last.steps, last.refused)
        ok = apply(Check, tuple(map(stop_gradient, facts)), {"complaint": self.complaint})
        return logic.where(ok, view.concatenate([view.expand_dims(y, 0), ys]), np.nan), last

    def complaint(self, one_way: Any, small: Any, t: Any, h: Any, steps: Any, refused: Any) -> Exception:
        """Why there is no solution."""
        if not one_way:
            return ConvergenceError(f"{self.what}: the times t do not go in one direction; sort them")
        if small:
            return ConvergenceError(
                f"{self.what}: steps became too small to go on at t = {float(t):.6g} (size {float(h):.3g}), after "
                f"{int(steps)} steps and {int(refused)} refused: the equation is stiff, its solution grows without "
                f"bound, or f is not finite there; use scipy.integrate.solve_ivp(method='BDF') for a stiff one, or "
                f"stop earlier"
            )
        return ConvergenceError(
            f"{self.what}: {self.max_steps} steps were not enough to go on from t = {float(t):.6g} (step size "
            f"{float(h):.3g}); raise max_steps, rtol or atol, compile with gg.jit for more of them, or use "
            f"scipy.integrate.solve_ivp(method='BDF')"
        )
