"""Sparse Jacobians and Hessians: only what can differ from zero, in as few passes as there are colours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import is_inexact
from ..errors import DensePatternWarning, DtypeError, ShapeError, TreeError
from ..graph.node import Value, is_symbolic, shape_of, spec_of
from ..graph.origin import here
from ..graph.program import trace
from . import plans
from .arguments import open_argument, plain_kind
from .derivatives import Argnums, grad, positions, present
from .pattern import dependence
from .places import Pattern, scipy_sparse
from .plans import Plan
from .point import hold

# The sparse forms are compiled; the compiler stands above, and enters here.
above: dict[str, Callable[..., Any]] = {}


class _Sparse:
    """What a sparse Jacobian and Hessian share: plans kept by the arguments' shapes, and one native call."""

    what = ""

    holomorphic = False

    def __init__(self, function: Callable[..., Any], argnums: Argnums, order: str | None) -> None:
        present(self, function, self.what)  # first, for it copies the attributes of a function that has some
        self.function, self.argnums, self.order = function, argnums, order
        self._derived = function
        self._plans: dict[Any, Plan] = {}
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        """The matrix at these arguments, as a ``scipy.sparse.csr_array``."""
        if any(is_symbolic(leaf) or getattr(leaf, "tracked", False) for leaf in tree.leaves(args)):
            raise DtypeError(
                f"{self.what}: a sparse matrix cannot be traced or differentiated at {here(2)}; its nonzeros can: use "
                f".values(x), whose places are .plan(x).pattern"
            )
        plan, key = self._planned(args)
        compiled = self._compiled.get(key)
        if compiled is None:
            compiled = self._compiled[key] = above["jit"](lambda *args: self._passes(plan, args))
        found = np.asarray(compiled(*args))
        values = plan.substituted(found) if plan.mode == "acyclic" else found
        columns, ends = plan.compressed
        return scipy_sparse().csr_array((values, columns.copy(), ends.copy()), shape=plan.pattern.shape)

    def plan(self, *args: Any) -> Plan:
        """How the matrix is computed for arguments like these. Only shapes, dtypes and integer arrays are looked at."""
        return self._planned(args)[0]

    def values(self, *args: Any) -> Any:
        """The nonzeros alone, row by row, in the order of ``plan(*args).pattern``; can be traced and differentiated."""
        plan = self.plan(*args)
        if plan.mode == "acyclic":
            raise ValueError(f"{self.what}: values need colouring='star'; acyclic colours are resolved on the host")
        return self._passes(plan, args)

    def _planned(self, args: tuple[Any, ...]) -> tuple[Plan, Any]:
        leaves, structure = tree.flatten(args)
        fixed = [isinstance(leaf, np.ndarray) and leaf.dtype.kind in "biu" and leaf.ndim > 0 for leaf in leaves]
        key = (structure, *((spec_of(x), x.tobytes() if f else None) for x, f in zip(leaves, fixed, strict=True)))
        if key not in self._plans:
            self._check(args)
            self._plans[key] = self._made(self._pattern(leaves, structure, fixed, args))
        return self._plans[key], key

    def _check(self, args: tuple[Any, ...]) -> None:
        for k in positions(self.argnums, len(args), self.what):
            open_argument(args[k], self.what)  # which says what is wrong with it
            leaves, structure = tree.flatten(args[k])
            if structure == tree.LEAF and len(shape_of(leaves[0])) != 1:
                raise ShapeError(
                    f"{self.what}: sparse derivatives are by a vector, or a tree whose elements are lined up: got "
                    f"shape {shape_of(leaves[0])}; use x.reshape(-1) and reshape it in the function"
                )
        for k, arg in enumerate(args):
            for path, leaf in zip(tree.paths(arg), tree.leaves(arg), strict=True):
                if isinstance(leaf, (str, bytes)) or callable(leaf):
                    raise TreeError(
                        f"{self.what}: argument {k}{path} is a {type(leaf).__name__}, expected arrays at {here(4)}; "
                        f"take it from outside of the function"
                    )

    def _pattern(self, leaves: list[Any], structure: tree.Structure, fixed: list[bool], args: Any) -> Pattern:
        """The dependence of the results on the arguments, from a trace in which integer arrays are constants."""

        def traced(*given: Any) -> Any:
            supply = iter(given)
            whole = [leaf if f else next(supply) for leaf, f in zip(leaves, fixed, strict=True)]
            return self._derived(*tree.unflatten(structure, whole))

        program = trace(traced, *(leaf for leaf, f in zip(leaves, fixed, strict=True) if not f))
        supply = iter(program.inputs)
        nodes = tree.unflatten(structure, [None if f else next(supply) for f in fixed])
        chosen = [nodes[k] for k in positions(self.argnums, len(args), self.what)]
        targets = [x for x in tree.leaves(chosen) if x is not None and is_inexact(x.dtype)]
        for which, found in (("argument", targets), ("result", program.outputs)):
            wrong = next((x for x in found if (x.dtype.kind == "c") != self.holomorphic), None)
            if wrong is not None:
                raise DtypeError(self._of_kind(which, wrong.dtype))
        pattern = dependence(program.outputs, targets)
        pattern.sort_indices()
        return pattern

    def _of_kind(self, which: str, dtype: Any) -> str:
        if self.holomorphic:
            return f"{self.what}: holomorphic=True needs complex numbers: got {which} of {dtype}; leave it out"
        return (
            f"{self.what}: a sparse derivative is of a real function: got a complex {which}; take .real and .imag of "
            f"it, or pass holomorphic=True for the complex Jacobian of a holomorphic function"
        )

    def _made(self, pattern: Pattern) -> Plan:
        raise NotImplementedError

    def _passes(self, plan: Plan, args: tuple[Any, ...]) -> Value:
        at = hold(self._derived, self.argnums, args, {}, False, self.what)
        found = plans.passed(plan, at, self.holomorphic)
        found = found if plan.mode == "acyclic" else found[plan.places]
        return as_array(found) if at.outside else plain_kind(found)

    def _warned(self, plan: Plan, dense: int) -> Plan:
        m, n = plan.pattern.shape
        if dense > 3 and plan.passes >= dense and 2 * plan.pattern.nnz > m * n:
            warnings.warn(
                f"{self.what}: the pattern is dense, {plan.pattern.nnz} of {m * n} elements, and takes {plan.passes} "
                f"passes: a sparse derivative gains nothing here; use sparse=False",
                DensePatternWarning,
                stacklevel=5,
            )
        return plan


class SparseJacobian(_Sparse):
    """The Jacobian of a function as a sparse matrix: what ``gg.jacobian(f, sparse=True)`` returns.

    Called with the function's arguments it gives a ``scipy.sparse.csr_array`` with a row for each element of the
    results and a column for each of the arguments, each tree lined up in the order of its leaves. The first call finds
    the pattern, colours it and compiles one batched pass; later ones with arguments of the same shapes only run it.

    Parameters
    ----------
    function : of a vector, or a tree of arrays, and further arguments
    argnums : which to differentiate by
    mode : "forward", "reverse", "both"; by default what takes fewest passes
    order : in which colours are given, see ``colour``; by default the better of two
    holomorphic : give the complex derivative of a holomorphic function; arguments and results must be complex

    Raises
    ------
    ShapeError
        if what is differentiated by is an array that is no vector.
    DtypeError
        if arguments or results are complex and ``holomorphic`` is not set, or it is set and one of them is real.
    MissingExtraError
        without SciPy.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> jac = gg.jacobian(lambda x: x[1:] * x[:-1], sparse=True)
    >>> jac(np.array([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    >>> jac.plan(np.ones(1000))
    999 x 1000, 1998 nonzeros (0.20%); forward, 2 passes instead of 999; natural order
    """

    what = "jacobian"

    def __init__(
        self,
        function: Callable[..., Any],
        argnums: Argnums,
        mode: str | None,
        order: str | None,
        holomorphic: bool = False,
    ) -> None:
        if mode not in (None, "forward", "reverse", "both"):
            raise ValueError(f"jacobian: mode is {mode!r}, expected 'forward', 'reverse', 'both' or None")
        super().__init__(function, argnums, order)
        self.mode, self.holomorphic = mode, holomorphic

    def _made(self, pattern: Pattern) -> Plan:
        return self._warned(plans.of_jacobian(pattern, self.mode, self.order), min(pattern.shape))


class SparseHessian(_Sparse):
    """The Hessian of a function as a sparse matrix: what ``gg.hessian(f, sparse=True)`` returns.

    As ``SparseJacobian``, of the gradient; the symmetry saves passes.

    Parameters
    ----------
    function : returns one number
    argnums : which argument to differentiate by
    colouring : "star", whose nonzeros are read off directly, or "acyclic", which takes fewer passes and finds them by
        substitution, adding up rounding errors along the way
    order : in which colours are given

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> f = lambda x: (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()
    >>> hess = gg.hessian(f, sparse=True)
    >>> hess.plan(np.ones(10_000))
    10000 x 10000, 29998 nonzeros (0.03%); star, 3 passes instead of 10000; natural order
    >>> hess(np.ones(3)).toarray()
    array([[ 802., -400.,    0.],
           [-400., 1002., -400.],
           [   0., -400.,  200.]])
    """

    what = "hessian"

    def __init__(self, function: Callable[..., Any], argnums: Argnums, colours: str, order: str | None) -> None:
        if colours not in ("star", "acyclic"):
            raise ValueError(f"hessian: colouring is {colours!r}, expected 'star' or 'acyclic'")
        super().__init__(function, argnums, order)
        self.colouring = colours
        self._derived = grad(function, argnums)

    def _made(self, pattern: Pattern) -> Plan:
        return self._warned(plans.of_hessian(pattern, self.colouring, self.order), len(pattern.indptr) - 1)
