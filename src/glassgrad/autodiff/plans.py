"""How a sparse derivative is computed: the plan, and the passes it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import MissingExtraError
from ..graph.node import Value, is_symbolic
from ..lazy import lazy
from ..ops import elementwise, indexing, view
from . import colouring
from .batch import vmap
from .jvp import push
from .pattern import dependence
from .places import Pattern, size_of
from .point import Held
from .vjp import pull

FEW = 4  # a dense matrix is computed as a sparse one where that takes this many times fewer passes
_LARGE = 1 << 12  # elements of a dense matrix from which its pattern is worth looking at


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
    def compressed(self) -> tuple[Any, Any]:
        """Columns of the nonzeros, and where each row ends, in the dtype that SciPy would make of them anew."""
        dtype = np.int32 if max(self.pattern.nnz, *self.pattern.shape) < 1 << 31 else np.int64
        return self.pattern.indices.astype(dtype), self.pattern.indptr.astype(dtype)

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


# ---- from a pattern to a plan


def of_jacobian(pattern: Pattern, mode: str | None = None, order: str | None = None) -> Plan:
    """The plan with fewest passes, or the one of a mode."""
    m, n = pattern.shape
    idle = {"columns": np.full(n, -1), "rows": np.full(m, -1)}
    plans = []
    if mode in (None, "forward") or not pattern.nnz:
        found = colouring.columns(pattern, order)
        plans.append(Plan(pattern, "forward", found.colours, idle["rows"], found.order))
    if mode == "reverse" or (mode is None and _rows_may_do(pattern, plans[0].passes)):
        found = colouring.rows(pattern, order)
        plans.append(Plan(pattern, "reverse", idle["columns"], found.colours, found.order))
    if mode in (None, "both"):
        pair = colouring.both(pattern, order, min((p.passes for p in plans), default=None))
        if pair is not None:
            plans.append(Plan(pattern, "both", pair[0].colours, pair[1].colours, pair[0].order))
    return min(plans, key=lambda p: p.passes)


def of_hessian(pattern: Pattern, kind: str, order: str | None = None) -> Plan:
    """The plan by a "star" or "acyclic" colouring of a pattern, which is made symmetric."""
    pattern = (pattern + pattern.T).tocsr()
    pattern.sort_indices()
    found = getattr(colouring, kind)(pattern, order)
    return Plan(pattern, kind, found.colours, np.full(len(found.colours), -1), found.order)


def _rows_may_do(pattern: Pattern, passes: int) -> bool:
    """Whether fewer passes than these are possible by rows."""
    fullest = int(np.bincount(pattern.indices, minlength=1).max(initial=0))
    m, n = pattern.shape
    return fullest < passes and (m != n or (pattern != pattern.T).nnz > 0)


# ---- the passes


def passed(plan: Plan, at: Held, holomorphic: bool = False) -> Any:
    """What all passes give, as one vector: the tangents of all results, then the cotangents of all arguments."""
    tangents, cotangents = plan.seeds(at.targets[0].dtype)
    found = [_pushed(at, tangents)] if len(tangents) else []
    if len(cotangents):
        pulled = _pulled(at, cotangents)
        found.append(elementwise.conj(pulled) if holomorphic else pulled)
    if not found:
        return np.zeros(0, at.targets[0].dtype)
    return view.concatenate(found) if len(found) > 1 else found[0]


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


def _pushed(at: Held, tangents: Any) -> Value:
    """The tangents of all results from all directions, as one vector."""

    def along(*ts: Value) -> Value:
        return view.concatenate(_flat(push(at.nodes, at.targets, ts), at.nodes))

    return view.reshape(vmap(along)(*_split(tangents, at.targets)), (-1,))


def _pulled(at: Held, cotangents: Any) -> Value:
    """The cotangents of all arguments from all directions, as one vector."""

    def along(*gs: Value) -> Value:
        return view.concatenate(_flat(pull(at.nodes, gs, at.targets)[0], at.targets))

    return view.reshape(vmap(along)(*_split(cotangents, at.nodes)), (-1,))


# ---- dense matrices


def worth_it(at: Held, mode: str | None) -> Plan | None:
    """The plan of a matrix that is to be dense, where its pattern leaves few passes of many.

    Looked for while tracing only, where it is done once for many calls, and as long as it stays cheap: not in loops,
    and not beyond the first operation that makes nearly everything depend on nearly everything.
    """
    m, n = sum(map(size_of, at.nodes)), sum(map(size_of, at.targets))
    if (
        m * n < _LARGE
        or not all(map(is_symbolic, at.targets))
        or any(x.dtype.kind == "c" for x in (*at.targets, *at.nodes))
    ):
        return None
    try:
        pattern = dependence(at.nodes, at.targets, fullest=min(m, n) // FEW)
    except MissingExtraError:
        return None
    if pattern is None or not pattern.nnz:
        return None
    plan = of_hessian(pattern, "star", "natural") if mode == "star" else of_jacobian(pattern, mode, "natural")
    return plan if FEW * plan.passes <= min(m, n) else None


def dense(plan: Plan, at: Held) -> Value:
    """The matrix [m, n] with the nonzeros in their places."""
    (m, n), (i, j) = plan.pattern.shape, plan.coordinates
    flat = indexing.scatter_add(passed(plan, at)[plan.places], (i * n + j,), (("array", 0),), (m * n,))
    return view.reshape(flat, (m, n))
