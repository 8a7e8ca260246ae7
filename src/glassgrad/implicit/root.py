"""Solutions of F(x, θ) = 0 as differentiable functions of θ: ``implicit_root``, by Newton's method or any solver."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..autodiff.whiles import while_loop
from ..dtypes import finfo
from ..errors import ConvergenceError, UnsolvedWarning
from ..graph.apply import apply
from ..graph.node import Value, spec_of, value_of
from ..ops import logic, reduction
from ..ops.control import Check, Host, stop_gradient
from .equation import Equation, equation, solution
from .linear import Linear, chosen, tolerance
from .vector import Layout, layout

SHORTEST = 2.0**-30  # of a step, below which Newton's method does not get on


def implicit_root(
    residual: Callable[..., Any],
    x0: Any,
    *params: Any,
    solve: Callable[..., Any] | None = None,
    sparse: bool = False,
    linear: str | None = None,
    tol: float | None = None,
    maxiter: int = 100,
) -> Any:
    """x with ``residual(x, *params)`` = 0, differentiable by the params and whatever else the residual is made from.

    Derivatives are those of the implicit function theorem, of any order, forward and reverse: dx = -(∂F/∂x)⁻¹ dF. They
    do not look at how x was found, nor at x0, so it may be found by any function.

    Parameters
    ----------
    residual : of x and the params, returning a tree like x; made of Glassgrad operations
    x0 : where to begin: floating array or tree of arrays; a list of numbers is an array
    *params : trees of arrays, handed on to the residual
    solve : ``solve(F, x0)``, with F a function of NumPy arrays like x0, the params filled in. It returns x, or a result
        of ``scipy.optimize.root``. By default Newton's method with steps halved until the residual falls, which
        compiles to a native loop
    sparse : whether the Jacobian ∂F/∂x is sparse: its pattern is then found and its matrix factorised by SciPy
    linear : how systems with the Jacobian are solved, a method of ``linear_solve``; by default "dense" up to 500
        unknowns, above "gmres", for which the Jacobian is never formed; "sparse" with ``sparse``
    tol : Newton's method ends after a step below ``tol`` (1 + max|x|); by default 1e-10, in float32 1e-5
    maxiter : how many steps it takes at most

    Returns
    -------
    tree of Arrays like x0

    Raises
    ------
    ConvergenceError
        if the solver does not converge, or the Jacobian is singular where that is needed. In compiled code a dense
        singular one is NumPy's ``LinAlgError``.
    DtypeError, TreeError, ShapeError
        if x0 is no floating array or tree of them, or the residual is not like it.

    Examples
    --------
    >>> import glassgrad as gg
    >>> cube_root = lambda a: gg.implicit_root(lambda x, a: x ** 3 - a, 1.0, a)
    >>> round(float(cube_root(8.0)), 9), round(float(gg.grad(cube_root)(8.0)), 9)  # 1 / (3 x²)
    (2.0, 0.083333333)
    >>> from scipy.optimize import brentq
    >>> kepler = lambda e, m: gg.implicit_root(  # E - e sin E = M
    ...     lambda E: E - e * gg.numpy.sin(E) - m, 0.0, solve=lambda F, x0: brentq(F, -10.0, 10.0))
    >>> round(float(gg.grad(kepler)(0.5, 1.0)), 9)
    1.034667232
    """
    what = "implicit_root"
    like = layout(what, "x0", x0)
    of = equation(what, lambda x: like.vector(residual(like.tree(x), *params), "the residual"), like.spec)
    how = Linear(chosen(what, linear or ("sparse" if sparse else None), like.size, False))
    start = stop_gradient(like.vector(x0, "x0"))
    if solve is None:
        x = newton(of.held, start, how, tol, maxiter)
    else:
        x = hosted(solve, of.held, of.held, like, start)
    return like.tree(solution(x, of, how))


def newton(of: Equation, start: Value, how: Linear, tol: float | None, maxiter: int) -> Value:
    """A root near the start: steps -A⁻¹ F, halved while the residual does not fall."""
    small = tol or tolerance(spec_of(start).dtype)

    def following(held: Any) -> Any:
        x, r, _, _, rounds = held
        step = how(of, x, -r, False)
        moved = largest(step) / (1.0 + largest(x))

        def refused(tried: Any) -> Any:
            t, _, there = tried
            falls = _length(there) <= (1.0 - 1e-4 * t) * _length(r)
            return ~(falls | ((moved <= small) & (t == 1.0))) & (t > SHORTEST)

        def halved(tried: Any) -> Any:
            t = 0.5 * tried[0]
            return t, x + logic.astype(t, x.dtype) * step, of(x + logic.astype(t, x.dtype) * step)

        t, x, r = while_loop(refused, halved, (np.float64(1.0), x + step, of(x + step)))
        return x, r, t, logic.astype(moved, np.float64), rounds + 1

    def going(held: Any) -> Any:
        _, r, t, moved, rounds = held
        return (_length(r) > 0.0) & (t > SHORTEST) & (moved > small) & (rounds < maxiter)

    first = of(start)
    begun = (start, first, np.float64(1.0), np.float64(np.inf), np.int64(0))
    x, r, t, moved, rounds = while_loop(going, following, begun)
    left, rounding = _length(r), finfo(spec_of(start).dtype).eps ** 0.5
    ok = (left == 0.0) | (moved <= small) | ((t <= SHORTEST) & (left <= rounding * _length(first)))
    ok = apply(Check, (ok, left, rounds, t), {"complaint": lambda *facts: _unfound(of.what, *facts)})
    return logic.where(ok, x, np.nan)


def largest(x: Value) -> Value:
    """The maximum norm."""
    return reduction.max(abs(x))


def _length(x: Value) -> Value:
    return reduction.sum(abs(x) ** 2) ** 0.5


def _unfound(what: str, left: Any, rounds: Any, t: Any) -> Exception:
    why = "no step along Newton's direction lowers the residual" if t <= SHORTEST else "it has not converged"
    return ConvergenceError(
        f"{what}: no solution found: residual {float(left):.3g} after {int(rounds)} Newton steps: {why}; begin nearer, "
        f"raise maxiter or tol, or give a solver of your own with solve="
    )


def hosted(solve: Callable[..., Any], function: Equation, of: Equation, like: Layout, start: Value) -> Value:
    """What a solver of the user's, given ``function`` of NumPy arrays, finds as the solution of an equation."""
    what, count = of.what, len(function.given)

    def solver(x: Any, *given: Any) -> Any:
        def at(tried: Any) -> Any:
            vector = value_of(like.vector(tried, "what solve tries"))
            (found,) = function.body.evaluate([vector, *given[:count]])
            return _plain(like.tree(found)) if found.shape else found

        found = solve(at, _plain(like.tree(x)))
        if hasattr(found, "success") and hasattr(found, "x"):
            if not found.success:
                raise ConvergenceError(f"{what}: solve has not converged: {found.message}; begin nearer, or change it")
            found = found.x
        vector = np.asarray(value_of(like.vector(found, "what solve returned")))
        left, before = (float(largest(value_of(of._replace(given=list(given[count:]))(v)))) for v in (vector, x))
        if not left <= 1e-3 * max(before, 1.0):
            warnings.warn(
                f"{what}: what solve returned is hardly a solution: residual {left:.3g}, {before:.3g} at x0; its "
                f"derivatives will be wrong: let it go on, by a smaller tolerance",
                UnsolvedWarning,
                stacklevel=2,
            )
        return vector

    return apply(Host, (start, *function.given, *of.given), {"function": solver, "spec": like.spec})


def _plain(value: Any) -> Any:
    return tree.map(lambda leaf: np.asarray(value_of(leaf))[()], value)
