"""The place of a minimum as a differentiable function of parameters: ``implicit_minimum``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.derivatives import grad
from ..errors import ConvergenceError, DtypeError, UnsolvedWarning
from ..graph.apply import apply
from ..graph.node import Value
from ..graph.origin import here
from ..lazy import extra_module
from ..ops.control import Host, stop_gradient
from .equation import Equation, equation, solution, traced
from .linear import Linear, chosen, tolerance
from .root import hosted, newton
from .vector import layout


def implicit_minimum(
    f: Callable[..., Any],
    x0: Any,
    *params: Any,
    solve: Callable[..., Any] | None = None,
    sparse: bool = False,
    linear: str | None = None,
    tol: float | None = None,
    maxiter: int = 1000,
) -> Any:
    """The x at which ``f(x, *params)`` is least, differentiable by the params and whatever else f is made from.

    The derivatives are those of the root of ∇f by x: dx = -H⁻¹ d(∇f), with the Hessian H.

    Parameters
    ----------
    f : of x and the params, returning one real number; made of Glassgrad operations
    x0 : where to begin: floating array or tree of arrays; a list of numbers is an array
    *params : trees of arrays, handed on to f
    solve : ``solve(f, x0)``, with f a function of NumPy arrays like x0, the params filled in. It returns x, or a result
        of ``scipy.optimize.minimize``. By default SciPy's trust-region methods, then Newton's on the gradient
    sparse : whether the Hessian is sparse: its pattern is then found and its matrix factorised by SciPy
    linear : how systems with the Hessian are solved, a method of ``linear_solve``; by default "dense" up to 500
        unknowns, above "cg" with products of the Hessian, which is never formed; "sparse" with ``sparse``
    tol : the last Newton step is below ``tol`` (1 + max|x|); by default 1e-10, in float32 1e-5
    maxiter : how many steps are taken at most

    Returns
    -------
    tree of Arrays like x0

    Warns
    -----
    UnsolvedWarning
        if what was found with "dense" is a saddle or a maximum.

    Raises
    ------
    ConvergenceError
        if no minimum is found, or the Hessian is singular there.
    DtypeError, TreeError
        if x0 is no real floating array or tree of them.
    NotScalarError
        if f returns more than one number.
    MissingExtraError
        without SciPy, unless ``solve`` is given.

    Examples
    --------
    Ridge regression, and how its error on other data depends on the penalty:

    >>> import numpy as np, glassgrad as gg
    >>> x, y = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]]), np.array([0.0, 1.0, 3.0])
    >>> def fitted(penalty):
    ...     return gg.implicit_minimum(lambda w: ((x @ w - y) ** 2).sum() + penalty * (w ** 2).sum(), np.zeros(2))
    >>> fitted(1.0)
    Array([0.2       , 1.06666667])
    >>> gg.grad(lambda penalty: (fitted(penalty) @ np.array([1.0, 3.0]) - 4.0) ** 2)(1.0).round(6)
    np.float64(0.72)
    """
    what = "implicit_minimum"
    like = layout(what, "x0", x0)
    if like.dtype.kind == "c":
        raise DtypeError(f"{what}: x0 is complex, expected real numbers, at {here(1)}; use .real and .imag")

    def value(x: Value) -> Value:
        return f(like.tree(x), *params)

    of = equation(what, grad(value), like.spec)
    how = Linear(chosen(what, linear or ("sparse" if sparse else None), like.size, True), symmetric=True)
    start = stop_gradient(like.vector(x0, "x0"))
    body, given = traced(value, [like.spec])
    known = Equation(what, body, given).held
    if solve is not None:
        return like.tree(solution(hosted(solve, known, of.held, like, start), of, how))
    inputs = (start, *known.given, *of.held.given)
    trusting = _trusting(known, of, how.method == "dense", maxiter)
    near = apply(Host, inputs, {"function": trusting, "spec": like.spec})
    return like.tree(solution(newton(of.held, near, how, tol, maxiter), of, how))


def _trusting(f: Equation, slope: Equation, dense: bool, maxiter: int) -> Callable[..., Any]:
    """A function of the start and of what f and its gradient are given, that comes near the minimum by SciPy."""

    def solver(start: Any, *given: Any) -> Any:
        minimize = extra_module(
            "scipy.optimize",
            f"{f.what}: SciPy is not installed, which looks for the minimum; pip install 'glassgrad[scipy]', or "
            f"give solve=",
        ).minimize
        at = slope._replace(given=list(given[len(f.given) :]))
        second: dict[str, Any] = {"hess": at.jacobian} if dense else {"hessp": at.pushed}
        found = minimize(
            lambda x: f.body.evaluate([x, *given[: len(f.given)]])[0],
            start,
            jac=lambda x: at.body.evaluate([x, *at.given])[0],
            method="trust-exact" if dense else "trust-ncg",
            options={"gtol": tolerance(start.dtype) ** 0.5, "maxiter": maxiter},
            **second,
        )
        if found.status == 1:
            raise ConvergenceError(
                f"{f.what}: no minimum found: value {found.fun:.6g}, gradient {np.linalg.norm(found.jac):.3g} after "
                f"{found.nit} steps; is there one? begin nearer, raise maxiter, or give solve="
            )
        if dense:
            hessian = np.asarray(at.jacobian(found.x))
            bends = np.linalg.eigvalsh(hessian) if np.all(np.isfinite(hessian)) else np.ones(1)
            if bends[0] < -(tolerance(start.dtype) ** 0.5) * abs(bends).max():
                warnings.warn(
                    f"{f.what}: the gradient vanishes at what was found, but it is a saddle or a maximum: the Hessian "
                    f"has the eigenvalue {bends[0]:.3g}; begin elsewhere, not where the gradient is zero",
                    UnsolvedWarning,
                    stacklevel=2,
                )
        return found.x

    return solver
