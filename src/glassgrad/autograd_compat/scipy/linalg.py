"""SciPy's ``linalg`` as far as it can be differentiated, and SciPy's own for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import as_array
from ...graph.node import value_of
from ...numpy import linalg, real, zeros
from ..either import either

__getattr__ = either(linalg, "scipy.linalg")


def sqrtm(a: Any) -> Any:
    """The principal square root, real where that of a real matrix is.

    >>> sqrtm(np.array([[4.0, 0.0], [0.0, 9.0]]))
    Array([[2., 0.],
           [0., 3.]])
    """
    root = linalg.sqrtm(a)
    known = root.value is not None and as_array(a).dtype.kind == "f"
    return real(root) if known and not np.any(np.imag(value_of(root))) else root


def solve_triangular(a: Any, b: Any, trans: int | str = 0, lower: bool = False, **options: Any) -> Any:
    """x with op(T) x = b, where T is one triangle of a."""
    return linalg.solve_triangular(a, b, trans, lower, options.get("unit_diagonal", False))


def solve_banded(l_and_u: tuple[int, int], ab: Any, b: Any) -> Any:
    """x with A x = b, for A of l diagonals below and u above the main one, in the rows of ``ab``.

    Parameters
    ----------
    l_and_u : (l, u)
    ab : (l + u + 1, n), ``ab[u + i - j, j] == A[i, j]``
    b : (n,) or (n, k)
    """
    (below, above), ab = l_and_u, as_array(ab)
    n = ab.shape[-1]
    row, column = np.indices((n, n))
    inside = (row - column <= below) & (column - row <= above)
    i, j = row[inside], column[inside]
    return linalg.solve(zeros((n, n), ab.dtype).at[i, j].set(ab[above + i - j, j]), b)
