"""``least_squares`` and ``root``: SciPy's, with compiled exact Jacobians."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.origin import here
from .compiled import Compiled, Start, scipy_optimize

WITH_JACOBIAN = ("hybr", "lm")  # the methods of SciPy's root that take one


def least_squares(
    residuals: Callable[..., Any] | Compiled,
    x0: Any,
    args: Any = (),
    *,
    bounds: Any = None,
    sparse: bool = False,
    jit: bool = True,
    **options: Any,
) -> Any:
    """``scipy.optimize.least_squares``: the x for which Σ ρ(rᵢ(x)²) is least, with the exact Jacobian of r, compiled.

    Parameters
    ----------
    residuals : of x and the args, returning an array or tree of arrays; made of Glassgrad operations, or ``Compiled``
    x0 : where to begin: array, or tree of arrays; a list of numbers is an array
    args : further arguments of the residuals, a tuple, or one argument
    bounds : SciPy's ``Bounds``, or a pair (lower, upper) of numbers, arrays or, for a tree, of trees like x0
    sparse : find the pattern of the Jacobian, and give SciPy sparse matrices
    jit : whether to compile
    **options : SciPy's: ``method``, ``loss``, ``xtol``, ``x_scale``, ``max_nfev`` ...

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` is a tree like x0, of NumPy arrays; the rest is SciPy's.

    Raises
    ------
    MissingExtraError, TracedValueError, DtypeError, TreeError
        as ``minimize``.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> t = np.linspace(0.0, 1.0, 20)
    >>> decay = lambda p, y: p["size"] * gg.numpy.exp(-p["rate"] * t) - y
    >>> found = gg.optimize.least_squares(decay, {"size": 1.0, "rate": 1.0}, args=(3.0 * np.exp(-2.0 * t),))
    >>> {k: round(float(v), 6) for k, v in found.x.items()}
    {'size': 3.0, 'rate': 2.0}
    """
    scipy = scipy_optimize("optimize.least_squares")
    start = Start("optimize.least_squares", x0)
    function = _compiled("optimize.least_squares", residuals, sparse, jit)
    if bounds is not None:
        options["bounds"] = start.bounds(bounds)
    found = scipy.least_squares(
        function.made("residuals", start.like),
        start.x,
        function.made("sparse jacobian" if sparse else "jacobian", start.like),
        args=args if isinstance(args, tuple) else (args,),
        **options,
    )
    found.x = start.restored(found.x)
    return found


def root(
    f: Callable[..., Any] | Compiled,
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    *,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    jit: bool = True,
) -> Any:
    """``scipy.optimize.root``: an x with f(x) = 0, with the exact Jacobian, compiled.

    Parameters
    ----------
    f : of x and the args, returning an array or tree of as many elements as x; made of Glassgrad operations, or
        ``Compiled``
    x0 : where to begin: array, or tree of arrays; a list of numbers is an array
    args : further arguments of f, a tuple, or one argument
    method : SciPy's; "hybr" and "lm" take the Jacobian, the others approximate it
    tol, callback, options : SciPy's; the callback gets x as the tree it is, and the residual as a vector
    jit : whether to compile

    Returns
    -------
    scipy.optimize.OptimizeResult
        ``x`` is a tree like x0, of NumPy arrays; the rest is SciPy's. A root that is to be differentiated by what f is
        made from is ``gg.implicit_root``; one of thousands of unknowns with a sparse Jacobian too.

    Raises
    ------
    MissingExtraError, TracedValueError, DtypeError, TreeError
        as ``minimize``.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> gg.optimize.root(lambda x: np.stack([x[0] ** 2 + x[1] ** 2 - 4.0, x[0] - x[1]]), [1.0, 0.5]).x.round(6)
    array([1.414214, 1.414214])
    """
    scipy = scipy_optimize("optimize.root")
    start = Start("optimize.root", x0)
    function = _compiled("optimize.root", f, False, jit)
    given: dict[str, Any] = {}
    if method in WITH_JACOBIAN:
        given["jac"] = function.made("jacobian", start.like)
    if callback is not None:
        given["callback"] = lambda x, residual: callback(start.restored(x), residual)
    args = args if isinstance(args, tuple) else (args,)
    found = scipy.root(function.made("residuals", start.like), start.x, args, method, tol=tol, options=options, **given)
    found.x = start.restored(found.x)
    return found


def _compiled(what: str, function: Any, sparse: bool, jit: bool) -> Compiled:
    made = function if isinstance(function, Compiled) else Compiled(function, jit)
    if sparse and not made.jit:
        raise ValueError(f"{what}: sparse=True compiles: got jit=False at {here(2)}; leave out one of them")
    return made
