"""Linear systems whose matrix is sparse: SciPy's factorisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConvergenceError
from ..graph.apply import apply
from ..graph.node import Spec, Value
from ..graph.primitive import Opaque, Samples
from ..lazy import extra_module
from . import elementwise as ew
from .solve import common_dtype


@dataclass(frozen=True, eq=False)
class Places:
    """Where the nonzeros of a matrix lie, row by row, as in ``scipy.sparse.csr_array``."""

    indptr: Any
    indices: Any

    @property
    def rows(self) -> Any:
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


def _factored(values: Any, b: Any, *, places: Places, transposed: bool) -> Any:
    missing = "sparse linear systems: SciPy is not installed, which solves them; pip install 'glassgrad[scipy]'"
    sparse, splu = extra_module("scipy.sparse", missing), extra_module("scipy.sparse.linalg", missing).splu
    dtype, n = common_dtype(values, b), b.shape[-1]

    def solved(values: Any, b: Any) -> Any:
        matrix = sparse.csr_array((values.astype(dtype), places.indices, places.indptr), shape=(n, n))
        try:
            return splu(sparse.csc_array(matrix.conj().T if transposed else matrix)).solve(b.astype(dtype).T).T
        except RuntimeError as error:
            raise ConvergenceError(
                f"sparse linear system: the {n} x {n} matrix is singular, so there is no one solution: {error}; look "
                f"for equations that repeat others, or unknowns in none of them"
            ) from None

    if values.ndim == 1:  # factorised once for all right sides
        return solved(values, b.reshape(-1, n)).reshape(b.shape)
    lead = np.broadcast_shapes(values.shape[:-1], b.shape[:-1])
    rows = (np.broadcast_to(x, (*lead, x.shape[-1])).reshape(-1, x.shape[-1]) for x in (values, b))
    return np.stack([solved(*pair) for pair in zip(*rows, strict=True)]).reshape(*lead, n)


class SolveSparse(Opaque):
    """x with A x = b, or Aᴴ x = b, for the nonzeros of A.  [..., nnz], [..., n] -> [..., n]

    b̄ = A⁻ᴴ x̄, Ā = -b̄ xᴴ at the nonzeros  (Giles 2.3.1).
    """

    eval = staticmethod(_factored)
    batch = (1, 1)

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        a, b = specs
        lead = np.broadcast_shapes(a.shape[:-1], b.shape[:-1])
        return Spec((*lead, b.shape[-1]), common_dtype(a, b))

    @staticmethod
    def vjp(g: Value, y: Value, a: Value, b: Value, *, places: Places, transposed: bool) -> tuple[Value, Value]:
        back = apply(SolveSparse, (a, g), {"places": places, "transposed": not transposed})
        row, column = (y, back) if transposed else (back, y)
        return -row[..., places.rows] * ew.conj(column[..., places.indices]), back

    samples = Samples(cases=lambda rng: [_case(rng, False), _case(rng, True)])


def _case(rng: np.random.Generator, transposed: bool) -> Any:
    places = Places(np.array([0, 2, 4, 5]), np.array([0, 2, 0, 1, 2]))
    values = rng.normal(size=5) + np.array([3.0, 0.0, 0.0, 3.0, 3.0])
    return (values, rng.normal(size=3)), {"places": places, "transposed": transposed}


def solve_sparse(values: Value, places: Places, b: Value, transposed: bool = False) -> Value:
    """x with A x = b for a sparse matrix A given by its nonzeros, or with Aᴴ x = b.  [nnz], [n] -> [n]"""
    return apply(SolveSparse, (values, b), {"places": places, "transposed": transposed})
