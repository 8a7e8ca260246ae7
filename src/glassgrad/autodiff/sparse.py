"""Sparse Jacobians and Hessians: only what can differ from zero, in as few passes as there are colours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import dtype_of, is_inexact
from ..errors import DensePatternWarning, DtypeError, ShapeError
from ..graph.node import Value, is_symbolic, shape_of, spec_of
from ..graph.origin import here
from ..graph.program import trace
from ..lazy import lazy
from ..ops import view
from . import colouring
from .arguments import open_argument, plain_kind
from .batch import vmap
from .derivatives import Argnums, grad, positions, present
from .jacobian import Held, above, hold, size_of
from .jvp import push
from .pattern import dependence
from .places import Pattern, scipy_sparse
from .vjp import pull


@dataclass(frozen=True)
class Plan:
    """How a sparse derivative is computed: worked out once for arguments of these shapes, for any values of them.

    Attributes
    ----------
    pattern : scipy.sparse.csr_array of bool, True where the matrix can differ from zero
    mode : "forward" (columns are coloured), "reverse" (rows), "both"; "star" or "acyclic" for a Hessian
    columns, rows : the colour of each column and row; -1 where it takes no part
    order : in which the colours were given
    passes : how many directions are pushed or pulled through the function
    """

    pattern: Pattern
    mode: str
    columns: Any
    rows: Any
    order: str

    @property
    def passes(self) -> int:
        return int(self.columns.max(initial=-1)) + int(self.rows.max(initial=-1)) + 2

    def __str__(self) -> str:
        m, n = self.pattern.shape
        share = self.pattern.nnz / max(m * n, 1)
        return (
            f"{m} x {n}, {self.pattern.nnz} nonzeros ({share:.2%}); {self.mode}, {self.passes} passes instead of "
            f"{n if self.mode in ('star', 'acyclic') else min(m, n)}; {self.order} order"
        )

    __repr__ = __str__

    @lazy
    def coordinates(self) -> tuple[Any, Any]:
        """Row and column of each nonzero."""
        counts = np.diff(self.pattern.indptr)
        return np.repeat(np.arange(len(counts)), counts), self.pattern.indices

    @lazy
    def places(self) -> Any:
        """Where each nonzero lies in what the passes give: first [colours, m] of columns, then [colours, n] of rows."""
        i, j = self.coordinates
        m, n = self.pattern.shape
        if self.mode == "star":
            alone = self._alone(i, self.columns[j])
            return np.where(alone, self.columns[j] * m + i, self.columns[i] * m + j)
        by_column = (self.columns[j] >= 0) & (self.rows[i] < 0)
        pushed = (int(self.columns.max(initial=-1)) + 1) * m
        return np.where(by_column, self.columns[j] * m + i, pushed + self.rows[i] * n + j)

    def _alone(self, i: Any, colour: Any) -> Any:
        """Whether no other nonzero of the row has the colour."""
        width = int(self.columns.max(initial=-1)) + 1
        key = i * width + colour
        return np.bincount(key, minlength=len(self.columns) * width)[key] == 1

    def seeds(self, dtype: Any) -> tuple[Any, Any]:
        """The directions: tangents [colours, n] and cotangents [colours, m]."""
        tangents, cotangents = (np.arange(c.max(initial=-1) + 1)[:, None] == c for c in (self.columns, self.rows))
        return tangents.astype(dtype), cotangents.astype(dtype)

    @lazy
    def substitution(self) -> list[tuple[Any, Any, Any]]:
        """For acyclic colours: the nonzeros off the diagonal, level by level of leaves.

        Each level has the numbers of two opposite nonzeros, and the place that gives them; the place of the other end
        then loses what they account for.
        """
        i, j = self.coordinates
        n = len(self.columns)
        mirror = np.lexsort((i, j))  # of a symmetric pattern: the number of the nonzero opposite to each
        end = self.columns[j] * n + i  # the place that a nonzero adds to
        left = np.bincount(end[i != j], minlength=end.max(initial=0) + 1)
        open_ = i != j
        levels = []
        while open_.any():
            ready = np.flatnonzero(open_ & (left[end] == 1))
            both_ends = open_[ready] & (left[end[mirror[ready]]] == 1) & (ready > mirror[ready])
            ready = ready[~both_ends]  # a tree of one edge is read from one end
            levels.append((ready, mirror[ready], end[ready]))
            open_[ready] = open_[mirror[ready]] = False
            np.subtract.at(left, end[ready], 1)
            np.subtract.at(left, end[mirror[ready]], 1)
        return levels

    def substituted(self, found: Any) -> Any:
        """The nonzeros, from the numbers of all passes [colours * n]."""
        i, j = self.coordinates
        n = len(self.columns)
        rest = np.array(found)
        values = np.empty(len(i), rest.dtype)
        diagonal = i == j
        values[diagonal] = rest[(self.columns[j] * n + i)[diagonal]]
        for ready, opposite, place in self.substitution:
            values[ready] = values[opposite] = rest[place]
            np.subtract.at(rest, self.columns[j[opposite]] * n + i[opposite], values[ready])
        return values


class _Sparse:
    """What a sparse Jacobian and Hessian share: plans kept by the arguments' shapes, and one native call."""

    what = ""

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
        p = plan.pattern
        return scipy_sparse().csr_array((values, p.indices.copy(), p.indptr.copy()), shape=p.shape)

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
            if any(dtype_of(leaf).kind == "c" for leaf in leaves if not isinstance(leaf, str)):
                raise DtypeError(f"{self.what}: sparse derivatives are real: got a complex argument; use sparse=False")

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
        pattern = dependence(program.outputs, targets)
        pattern.sort_indices()
        return pattern

    def _made(self, pattern: Pattern) -> Plan:
        raise NotImplementedError

    def _passes(self, plan: Plan, args: tuple[Any, ...]) -> Value:
        raise NotImplementedError

    def _warned(self, plan: Plan, dense: int) -> Plan:
        m, n = plan.pattern.shape
        if dense > 3 and plan.passes >= dense and 2 * plan.pattern.nnz > m * n:
            warnings.warn(
                f"{self.what}: the pattern is dense, {plan.pattern.nnz} of {m * n} elements, and takes {plan.passes} "
                f"passes: a sparse derivative gains nothing here; use sparse=False",
                DensePatternWarning,
                stacklevel=6,
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
    order : in which colours are given, see ``colouring.ORDERS``; by default the best of all

    Raises
    ------
    ShapeError
        if what is differentiated by is an array that is no vector.
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

    def __init__(self, function: Callable[..., Any], argnums: Argnums, mode: str | None, order: str | None) -> None:
        if mode not in (None, "forward", "reverse", "both"):
            raise ValueError(f"jacobian: mode is {mode!r}, expected 'forward', 'reverse', 'both' or None")
        super().__init__(function, argnums, order)
        self.mode = mode

    def _made(self, pattern: Pattern) -> Plan:
        m, n = pattern.shape
        idle = {"columns": np.full(n, -1), "rows": np.full(m, -1)}
        plans = []
        if self.mode in (None, "forward") or not pattern.nnz:
            found = colouring.columns(pattern, self.order)
            plans.append(Plan(pattern, "forward", found.colours, idle["rows"], found.order))
        if self.mode == "reverse" or (self.mode is None and _rows_may_do(pattern, plans[0].passes)):
            found = colouring.rows(pattern, self.order)
            plans.append(Plan(pattern, "reverse", idle["columns"], found.colours, found.order))
        if self.mode in (None, "both"):
            pair = colouring.both(pattern, self.order, min((p.passes for p in plans), default=None))
            if pair is not None:
                plans.append(Plan(pattern, "both", pair[0].colours, pair[1].colours, pair[0].order))
        return self._warned(min(plans, key=lambda p: p.passes), min(m, n))

    def _passes(self, plan: Plan, args: tuple[Any, ...]) -> Value:
        at = hold(self.function, self.argnums, args, {}, False, self.what)
        tangents, cotangents = plan.seeds(at.targets[0].dtype)
        pushed = _pushed(at, tangents) if len(tangents) else []
        pulled = _pulled(at, cotangents) if len(cotangents) else []
        return _read(at, [*pushed, *pulled], plan.places)


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
        pattern = (pattern + pattern.T).tocsr()
        pattern.sort_indices()
        found = getattr(colouring, self.colouring)(pattern, self.order)
        n = len(found.colours)
        plan = Plan(pattern, self.colouring, found.colours, np.full(n, -1), found.order)
        return self._warned(plan, n)

    def _passes(self, plan: Plan, args: tuple[Any, ...]) -> Value:
        at = hold(self._derived, self.argnums, args, {}, False, self.what)
        pushed = _pushed(at, plan.seeds(at.targets[0].dtype)[0]) if plan.passes else []
        return _read(at, pushed, None if plan.mode == "acyclic" else plan.places)


def _rows_may_do(pattern: Pattern, passes: int) -> bool:
    """Whether fewer passes than these are possible by rows."""
    fullest = int(np.bincount(pattern.indices, minlength=1).max(initial=0))
    m, n = pattern.shape
    return fullest < passes and (m != n or (pattern != pattern.T).nnz > 0)


def _split(seeds: Any, like: Sequence[Any]) -> list[Any]:
    ends = np.cumsum([0, *map(size_of, like)]).tolist()
    return [
        seeds[:, a:b].astype(x.dtype).reshape(len(seeds), *x.shape)
        for x, a, b in zip(like, ends[:-1], ends[1:], strict=True)
    ]


def _flat(values: Sequence[Value | None], like: Sequence[Any]) -> list[Value]:
    return [
        np.zeros(size_of(x), x.dtype) if v is None else view.reshape(v, (-1,))
        for v, x in zip(values, like, strict=True)
    ]


def _pushed(at: Held, tangents: Any) -> list[Value]:
    """The tangents of all results from all directions, as one vector."""

    def along(*ts: Value) -> Value:
        return view.concatenate(_flat(push(at.nodes, at.targets, ts), at.nodes))

    return [view.reshape(vmap(along)(*_split(tangents, at.targets)), (-1,))]


def _pulled(at: Held, cotangents: Any) -> list[Value]:
    """The cotangents of all arguments from all directions, as one vector."""

    def along(*gs: Value) -> Value:
        return view.concatenate(_flat(pull(at.nodes, gs, at.targets)[0], at.targets))

    return [view.reshape(vmap(along)(*_split(cotangents, at.nodes)), (-1,))]


def _read(at: Held, found: Sequence[Value], places: Any) -> Any:
    """The numbers at these places; in kind."""
    whole: Any = found[0] if found else np.zeros(0, at.targets[0].dtype)
    if len(found) > 1:
        whole = view.concatenate(found)
    values = whole if places is None else whole[places]
    return as_array(values) if at.outside else plain_kind(values)
