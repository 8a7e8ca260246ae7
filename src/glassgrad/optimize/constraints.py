"""SciPy's constraints on trees, with compiled Jacobians and Hessians."""

from __future__ import annotations

import copy
from typing import Any

from ..errors import DtypeError
from ..graph.origin import here
from .compiled import Compiled, Start


def translated(scipy: Any, start: Start, constraints: Any, method: str, sparse: bool, jit: bool) -> Any:
    """Constraints on the user's x as constraints on SciPy's vector."""
    listed = constraints if isinstance(constraints, (list, tuple)) else [constraints]
    return [_one(scipy, start, c, method, sparse, jit) for c in listed]


def _one(scipy: Any, start: Start, constraint: Any, method: str, sparse: bool, jit: bool) -> Any:
    like = start.like
    if isinstance(constraint, dict):
        function = Compiled(constraint["fun"], jit)
        made: Any = {**constraint, "fun": function.made("residuals", like)}
        if "jac" not in constraint:
            made["jac"] = function.made("jacobian", like)
        return made
    if isinstance(constraint, scipy.NonlinearConstraint):
        function = Compiled(constraint.fun, jit)
        made = copy.copy(constraint)
        made.fun = function.made("residuals", like)
        if not callable(constraint.jac):
            made.jac = function.made("sparse jacobian" if sparse else "jacobian", like)
        if method == "trust-constr" and not callable(constraint.hess):
            made.hess = function.made("sparse weighted hessian" if sparse else "weighted hessian", like)
        return made
    if start.plain:
        return constraint
    raise DtypeError(
        f"optimize.minimize: got the constraint {type(constraint).__name__} for a tree, expected a dict or "
        f"NonlinearConstraint at {here(3)}; write it as a function of the tree"
    )
