"""``minimize``: scipy.optimize.minimize with compiled exact derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.origin import here
from .compiled import Compiled, Start, scipy_optimize
from .constraints import translated

# By SciPy's name of the method, in lower case: what of second derivatives it takes, if it takes first ones.
VALUES_ONLY = ("nelder-mead", "powell", "cobyla", "cobyqa")
_PRODUCTS, _WHOLE = ("hessp", "hessian product"), ("hess", "hessian")  # SciPy's parameter, and what is compiled for it
SECOND = {
    "newton-cg": _PRODUCTS,
    "trust-ncg": _PRODUCTS,
    "trust-krylov": _PRODUCTS,
    "trust-constr": _PRODUCTS,
    "dogleg": _WHOLE,
    "trust-exact": _WHOLE,
}
SPARSE = ("newton-cg", "trust-ncg", "trust-krylov", "trust-constr")


def minimize(
    f: Callable[..., Any] | Compiled,
    x0: Any,
    args: Any = (),
    method: str | Callable[..., Any] | None = None,
    *,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    sparse: bool = False,
    jit: bool = True,
) -> Any:
    """``scipy.optimize.minimize`` of a function of arrays or trees, which gets its exact derivatives compiled.

    Every method that takes a gradient gets it; "newton-cg" and the trust-region methods get products with the Hessian,
    "dogleg" and "trust-exact" the Hessian, and constraints their Jacobians, and Hessians for "trust-constr".

    Parameters
    ----------
    f : of x and the args, returning one real number; made of Glassgrad operations. A ``Compiled`` one is compiled once
        for many calls
    x0 : where to begin: array, or tree of arrays; a list of numbers is an array
    args : further arguments of f, a tuple, or one argument
    method : SciPy's, or a function as SciPy takes one, given the gradient; by default as SciPy chooses: BFGS, L-BFGS-B
        with bounds, SLSQP with constraints
    bounds : SciPy's ``Bounds``, of one number for all or of numbers for all elements; a pair (lower, upper) of numbers,
        or, for a tree, of trees like x0; for a vector whatever SciPy takes
    constraints : SciPy's dicts and ``NonlinearConstraint``, of functions of x, made of Glassgrad operations;
        ``LinearConstraint`` for a vector
    tol, callback, options : SciPy's; the callback gets x as the tree it is
    sparse : find the pattern of the Hessian, and of constraints' Jacobians, and give SciPy sparse matrices. For
        "newton-cg", "trust-ncg", "trust-krylov" and "trust-constr"
    jit : whether to compile; False runs f operation by operation, so that Python's ``if`` may look at values

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x``, and ``jac`` where it is a gradient, are trees like x0, of NumPy arrays; the rest is SciPy's.

    Raises
    ------
    MissingExtraError
        without SciPy.
    TracedValueError
        if f cannot be traced; ``jit=False`` is the way out.
    DtypeError, TreeError
        if x0 is no real array or tree of them.
    ValueError
        if ``sparse`` is asked of a method that takes no sparse Hessian, or without ``jit``.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> def rosenbrock(x):
    ...     return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()
    >>> gg.optimize.minimize(rosenbrock, np.zeros(4), method="trust-exact").x.round(3)
    array([1., 1., 1., 1.])
    >>> on_circle = {"type": "eq", "fun": lambda p: p["x"] ** 2 + p["y"] ** 2 - 2.0}
    >>> found = gg.optimize.minimize(lambda p: p["x"] + p["y"], {"x": -2.0, "y": -0.5}, constraints=on_circle)
    >>> {k: round(float(v), 5) for k, v in found.x.items()}
    {'x': -1.0, 'y': -1.0}
    """
    scipy = scipy_optimize("optimize.minimize")
    start = Start("optimize.minimize", x0)
    function = f if isinstance(f, Compiled) else Compiled(f, jit)
    args = args if isinstance(args, tuple) else (args,)
    chosen = "" if callable(method) else (method or _default(bounds, constraints)).lower()
    if sparse and (chosen not in SPARSE or not function.jit):
        raise ValueError(
            f"optimize.minimize: sparse=True is for the methods {', '.join(SPARSE)}, compiled: got method={chosen!r}, "
            f"jit={function.jit} at {here(1)}; choose one of them, or sparse=False"
        )
    given: dict[str, Any] = {}
    if chosen not in VALUES_ONLY:
        given["jac"] = True
        if sparse:
            matrix = function.made("sparse hessian", start.like)
            given |= {"hess": matrix} if chosen == "trust-constr" else {"hessp": _products(matrix)}
        elif chosen in SECOND:
            name, kind = SECOND[chosen]
            given[name] = function.made(kind, start.like)
    if bounds is not None:
        given["bounds"] = start.bounds(bounds)
    given["constraints"] = translated(scipy, start, constraints, chosen, sparse, function.jit)
    if callback is not None:
        given["callback"] = _restoring(start, callback)
    value = function.made("value" if chosen in VALUES_ONLY else "value and gradient", start.like)
    found = scipy.minimize(value, start.x, args, method, tol=tol, options=options, **given)
    return _restored(start, found)


def _products(matrix: Callable[..., Any]) -> Callable[..., Any]:
    """Products with a sparse Hessian, which is computed once for all of them at a point."""
    at: list[Any] = [None, None]

    def product(x: Any, p: Any, *args: Any) -> Any:
        if at[0] is None or not np.array_equal(at[0], x):
            at[:] = x.copy(), matrix(x, *args)
        return at[1] @ p

    return product


def _default(bounds: Any, constraints: Any) -> str:
    listed = constraints if isinstance(constraints, (list, tuple)) else [constraints]
    return "slsqp" if listed else "bfgs" if bounds is None else "l-bfgs-b"


def _restored(start: Start, found: Any) -> Any:
    """A result with x, and its gradient, as the user's tree."""
    for name in ("x", "jac"):
        if getattr(found.get(name), "shape", None) == start.x.shape and not start.plain:
            found[name] = start.restored(found[name])
    return found


def _restoring(start: Start, callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback that is given trees; by the name of its parameter SciPy knows which of its two kinds it is."""
    if set(inspect.signature(callback).parameters) == {"intermediate_result"}:

        def of_result(intermediate_result: Any) -> Any:
            own = type(intermediate_result)(intermediate_result)  # SciPy's, which it reads again, stays as it is
            return callback(intermediate_result=_restored(start, own))

        return of_result
    return lambda x, *rest: callback(start.restored(x), *rest)
