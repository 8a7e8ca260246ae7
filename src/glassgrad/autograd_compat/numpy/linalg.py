"""NumPy's ``linalg``: Glassgrad's functions for what is differentiated, and NumPy's own for the rest.

``eigh`` reads one triangle of the matrix, and so its gradient has zeros in the other one; that of
``glassgrad.numpy.linalg.eigh`` is symmetric.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy

from ... import numpy as np
from ...graph.node import Node
from ...numpy import linalg as _own
from ..either import either as _either

__getattr__ = _either(_own, "numpy.linalg")
Triangle = Literal["L", "U", "l", "u"]
_dot = np.matmul


def T(x: Any) -> Any:
    """The last two axes swapped."""
    return numpy.swapaxes(x, -1, -2)


def eigh(a: Any, UPLO: Triangle = "L") -> Any:
    """Eigenvalues and eigenvectors of the Hermitian matrices whose lower, or upper, triangles are in a.

    >>> eigh(numpy.array([[2.0, 9.0], [1.0, 2.0]])).eigenvalues
    array([1., 3.])
    """
    return _own.eigh(_hermitian(a, UPLO)) if isinstance(a, Node) else numpy.linalg.eigh(a, UPLO)


def eigvalsh(a: Any, UPLO: Triangle = "L") -> Any:
    """The eigenvalues alone."""
    return _own.eigvalsh(_hermitian(a, UPLO)) if isinstance(a, Node) else numpy.linalg.eigvalsh(a, UPLO)


def _hermitian(a: Any, UPLO: str) -> Any:
    below = np.tril(a, -1) if UPLO.upper() == "L" else np.conj(T(np.triu(a, 1)))
    diagonal = np.real(np.diagonal(a, axis1=-2, axis2=-1))[..., None] * numpy.eye(a.shape[-1])
    return below + np.conj(T(below)) + diagonal
