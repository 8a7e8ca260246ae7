"""Fixed points, under autograd's name and in its order of arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import tree
from ...implicit.fixed import fixed_point as implicit
from ..boxes import getval


def fixed_point(
    f: Callable[[Any], Callable[[Any], Any]], a: Any, x0: Any, distance: Callable[[Any, Any], Any], tol: float
) -> Any:
    """x with x = ``f(a)(x)``, iterated from x0 until two iterates are no farther apart than tol; differentiable by a.

    >>> from glassgrad.autograd_compat import grad
    >>> root = lambda a: fixed_point(lambda a: lambda x: 0.5 * (x + a / x), a, 1.0, lambda x, y: abs(x - y), 1e-12)
    >>> round(float(grad(root)(4.0)), 6)
    0.25
    """
    step, x = f(tree.map(getval, a)), tree.map(getval, x0)
    following = step(x)
    while distance(following, x) > tol:
        x, following = following, step(following)
    return implicit(lambda x, a: f(a)(x), following, a, tol=np.inf)
