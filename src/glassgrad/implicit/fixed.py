"""Fixed points x = f(x, θ) as differentiable functions of θ: ``fixed_point``, plain or with Anderson's acceleration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.whiles import while_loop
from ..errors import ConvergenceError
from ..graph.apply import apply
from ..graph.node import Value, spec_of
from ..ops import indexing, logic, reduction, view
from ..ops.contraction import matmul
from ..ops.control import Check, stop_gradient
from ..ops.solve import solve
from .equation import Equation, equation, solution
from .linear import Linear, chosen, tolerance
from .root import largest
from .vector import layout


def fixed_point(
    f: Callable[..., Any],
    x0: Any,
    *params: Any,
    tol: float | None = None,
    maxiter: int = 1000,
    anderson: int = 0,
    linear: str | None = None,
) -> Any:
    """x with x = ``f(x, *params)``, by iteration from x0; differentiable by the params and what else f is made from.

    The derivatives are those of the implicit function theorem for x - f(x), and are found by an iteration of their own,
    v ← g + (∂f/∂x)ᵀ v, which converges wherever that of f does. Memory does not grow with the number of rounds.

    Parameters
    ----------
    f : of x and the params, returning a tree like x; made of Glassgrad operations
    x0 : where to begin: floating array or tree of arrays; a list of numbers is an array
    *params : trees of arrays, handed on to f
    tol : it ends when max|f(x) - x| is below ``tol`` (1 + max|x|); by default 1e-10, in float32 1e-5
    maxiter : how many rounds it takes at most
    anderson : how many earlier rounds each is made from (D. G. Anderson, J. ACM 12 (1965)); 0 for plain iteration
    linear : how derivatives are found, a method of ``linear_solve``; by default "iteration", and "gmres" with
        ``anderson``, which may converge where plain iteration does not

    Returns
    -------
    tree of Arrays like x0

    Raises
    ------
    ConvergenceError
        if it has not converged after ``maxiter`` rounds.
    DtypeError, TreeError, ShapeError
        if x0 is no floating array or tree of them, or f's result is not like it.

    Examples
    --------
    >>> import glassgrad as gg
    >>> dottie = lambda a: gg.fixed_point(lambda x, a: gg.numpy.cos(a * x), 1.0, a)
    >>> round(float(dottie(1.0)), 9), round(float(gg.grad(dottie)(1.0)), 6)
    (0.739085133, -0.297474)
    """
    what = "fixed_point"
    like = layout(what, "x0", x0)
    of = equation(what, lambda x: x - like.vector(f(like.tree(x), *params), "the result"), like.spec)
    how = Linear(chosen(what, linear or ("gmres" if anderson else "iteration"), like.size, False))
    start = stop_gradient(like.vector(x0, "x0"))
    return like.tree(solution(_iterated(of.held, start, tol or tolerance(like.dtype), maxiter, anderson), of, how))


def _iterated(of: Equation, start: Value, tol: float, maxiter: int, memory: int) -> Value:
    """The fixed point, where x - f(x) is ``of`` x."""

    def going(held: Any) -> Any:
        x, r, rounds = held[:3]
        return (largest(r) > tol * (1.0 + largest(x))) & (rounds < maxiter)

    def following(held: Any) -> Any:
        x, r, rounds, *kept = held
        if not memory:
            x = x - r
            return x, of(x), rounds + 1
        xs, rs = (indexing.setitem(rows, rounds % memory, row) for rows, row in zip(kept, (x, r), strict=True))
        weights = _weights(rs, rounds)
        x = matmul(weights, xs - rs)
        return x, of(x), rounds + 1, xs, rs

    rows = [np.zeros((memory, *spec_of(start).shape), spec_of(start).dtype)] * 2 if memory else []
    x, r, rounds = while_loop(going, following, (start, of(start), np.int64(0), *rows))[:3]
    left = largest(r)
    ok = apply(Check, (left <= tol * (1.0 + largest(x)), left, rounds), {"complaint": _unfound})
    return logic.where(ok, x, np.nan)


def _weights(rs: Value, rounds: Value) -> Value:
    """Weights of earlier rounds, of sum 1, that make the sum of their residuals least.  [m, n] -> [m]"""
    m, dtype = spec_of(rs).shape[0], spec_of(rs).dtype
    used = logic.astype(np.arange(m) <= rounds, dtype)
    products = matmul(rs.conj(), view.matrix_transpose(rs))
    scale = reduction.max(abs(products))
    # A small ridge, for residuals that are nearly parallel; rows not filled yet get the weight 0
    ridge = products / scale + np.eye(m, dtype=dtype) * (logic.astype(1e-12, dtype) + 1.0 - used)
    found = solve(ridge, used)
    return found / reduction.sum(found)


def _unfound(left: Any, rounds: Any) -> Exception:
    return ConvergenceError(
        f"fixed_point: it has not converged: f(x) differs from x by {float(left):.3g} after {int(rounds)} rounds; "
        f"begin nearer, raise maxiter or tol, use anderson=5, or implicit_root(lambda x: f(x) - x, x0)"
    )
