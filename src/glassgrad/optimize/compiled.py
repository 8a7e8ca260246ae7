"""A function of a tree as compiled functions of a vector: value, gradient, products with the Hessian, Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..autodiff.derivatives import value_and_grad
from ..autodiff.jacobian import hessian, hvp, jacobian
from ..compile import jit
from ..errors import DtypeError, TracedValueError
from ..graph.node import Node, value_of
from ..graph.origin import here
from ..implicit.vector import Layout, layout
from ..lazy import extra_module
from ..numpy.arguments import array_of
from ..ops import reduction, view

Function = Callable[..., Any]


def scipy_optimize(what: str) -> Any:
    """SciPy's optimisers."""
    return extra_module(
        "scipy.optimize", f"{what}: SciPy is not installed, whose solvers are run; pip install 'glassgrad[scipy]'"
    )


class Compiled:
    """A function to be optimised many times, compiled once: give it to ``minimize``, ``least_squares`` or ``root``.

    Without it they compile a function anew at each call.

    Parameters
    ----------
    function : of x, an array or a tree of arrays, and further arguments
    jit : whether to compile; else it runs operation by operation, and may look at values in Python's ``if``

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> distance = gg.optimize.Compiled(lambda x, centre: ((x - centre) ** 2).sum())
    >>> [gg.optimize.minimize(distance, np.zeros(2), args=(np.full(2, c),)).x.round(6).tolist() for c in (1.0, 2.0)]
    [[1.0, 1.0], [2.0, 2.0]]
    """

    def __init__(self, function: Function, jit: bool = True) -> None:
        if not callable(function):
            raise TypeError(f"optimize: got {type(function).__name__}, expected a function")
        self.function, self.jit = function, jit
        self._made: dict[Any, Function] = {}

    def made(self, what: str, like: Layout) -> Function:
        """One of the functions in DERIVED, of a vector laid out like this."""
        key = (what, like.structure, *like.specs)
        if key not in self._made:
            function = DERIVED[what](lambda v, *args: self.function(like.tree(v), *args))
            self._made[key] = self._explained(jit(function) if self.jit and not what.startswith("sparse") else function)
        return self._made[key]

    def _explained(self, function: Function) -> Function:
        def called(*args: Any) -> Any:
            try:
                return tree.map(value_of, function(*args))
            except TracedValueError as error:
                way_out = "or pass jit=False, which runs the function operation by operation"
                raise TracedValueError(f"{error}; {way_out}") from None

        return called


def lined_up(value: Any) -> Any:
    """The elements of all leaves as one vector."""
    parts = [view.reshape(array_of(x), (-1,)) for x in tree.leaves(value)]
    return view.concatenate(parts) if len(parts) != 1 else parts[0]


def _vector(function: Function) -> Function:
    return lambda v, *args: lined_up(function(v, *args))


def _weighted(function: Function) -> Function:
    """Σ wᵢ cᵢ(x): what the Hessian of constraints is of."""
    return lambda v, w, *args: reduction.sum(w * lined_up(function(v, *args)))


DERIVED: dict[str, Callable[[Function], Function]] = {
    "value": lambda f: f,
    "value and gradient": value_and_grad,
    "hessian": hessian,
    "hessian product": lambda f: lambda v, p, *args: hvp(f, v, p, *args),
    "residuals": _vector,
    "jacobian": lambda f: jacobian(_vector(f)),
    "weighted hessian": lambda f: hessian(_weighted(f)),
    "sparse hessian": lambda f: hessian(f, sparse=True),
    "sparse jacobian": lambda f: jacobian(_vector(f), sparse=True),
    "sparse weighted hessian": lambda f: hessian(_weighted(f), sparse=True),
}


class Start:
    """Where an optimiser begins: the user's x0 as the vector that SciPy moves, and the way back."""

    def __init__(self, what: str, x0: Any) -> None:
        self.x0 = _as_scipy(x0)
        self.like = layout(what, "x0", self.x0)
        if self.like.dtype.kind == "c":
            raise DtypeError(f"{what}: x0 is complex, expected real numbers at {here(2)}; use .real and .imag")
        self.x = np.asarray(value_of(self.like.vector(self.x0, "x0")), np.float64)
        self.plain = self.like.structure == tree.LEAF and len(self.like.specs[0].shape) == 1

    def restored(self, vector: Any) -> Any:
        """The tree of a vector, of arrays as NumPy has them."""
        return tree.map(lambda leaf: np.asarray(value_of(leaf))[()], self.like.tree(np.asarray(vector)))

    def bounds(self, given: Any) -> Any:
        """SciPy's bounds, of SciPy's or of a pair (lower, upper) of numbers or, for a tree, of trees like x0."""
        bounds = scipy_optimize(self.like.what).Bounds
        if isinstance(given, bounds):
            if not all(np.size(b) in (1, self.x.size) for b in (given.lb, given.ub)):
                raise ValueError(
                    f"{self.like.what}: the Bounds are of {np.size(given.lb)} and {np.size(given.ub)} elements, x0 of "
                    f"{self.x.size} at {here(2)}; give one number for all, or one for each element"
                )
            return bounds(*(np.broadcast_to(b, self.x.shape) for b in (given.lb, given.ub)), given.keep_feasible)
        pair = isinstance(given, (tuple, list)) and len(given) == 2
        if self.plain and not (pair and all(b is None or np.ndim(b) == 0 for b in given)):
            return given
        if not pair:
            raise ValueError(
                f"{self.like.what}: bounds of a tree are a pair (lower, upper) of numbers or trees like x0, or SciPy's "
                f"Bounds: got {type(given).__name__} at {here(2)}"
            )
        ends = zip(given, (-np.inf, np.inf), strict=True)
        return bounds(*(self.spread(end if b is None else b, "bounds") for b, end in ends))

    def spread(self, value: Any, label: str) -> Any:
        """The vector of a number for all elements, or of a tree like x0 whose leaves may be numbers."""
        rows = zip(tree.spread(value, self.x0, f"{self.like.what}: {label}"), self.like.specs, strict=True)
        return np.concatenate([np.broadcast_to(np.asarray(row, float), s.shape).reshape(-1) for row, s in rows])


def _as_scipy(x0: Any) -> Any:
    """What SciPy takes for an array is one: a list of numbers, integers."""
    if isinstance(x0, (list, tuple)) and not any(isinstance(x, (Node, np.ndarray)) for x in tree.leaves(x0)):
        try:
            return np.asarray(x0, float)
        except (TypeError, ValueError):
            return x0
    return tree.map(lambda x: np.asarray(x, float) if _is_integer(x) else x, x0)


def _is_integer(x: Any) -> bool:
    return not isinstance(x, (str, bytes)) and not callable(x) and np.asarray(value_of(x)).dtype.kind in "iu"
