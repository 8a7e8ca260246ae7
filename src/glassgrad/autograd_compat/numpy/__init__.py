"""NumPy as Glassgrad has it for what is differentiated, and NumPy's own for the rest.

>>> import glassgrad.autograd_compat.numpy as np
>>> np.array([3.0, 4.0])
array([3., 4.])
"""

from typing import Any

import numpy

from ... import numpy as _own
from ... import tree as _tree
from ...graph.node import Node, spec_of
from ..either import either as _either
from . import fft, linalg, random

__getattr__ = _found = _either(_own, "numpy")
__version__ = numpy.__version__


def where(condition: Any, *branches: Any, **named: Any) -> Any:
    """NumPy's ``where``, which may be told ``x=`` and ``y=``; of nothing but Python's numbers and lists it is one too.

    >>> where(True, 1.0, 2)
    1.0
    """
    branches += tuple(named.pop(name) for name in ("x", "y") if name in named)
    found = _found("where")(condition, *branches, **named)
    of_arrays = any(isinstance(x, Node | numpy.ndarray | numpy.generic) for x in _tree.leaves((condition, branches)))
    return found if of_arrays or not branches else found.tolist()


def metadata(x: Any) -> tuple[Any, ...]:
    """Shape, number of axes, dtype, and whether it is complex."""
    shape, dtype = spec_of(x)
    return shape, len(shape), dtype, dtype.kind == "c"


class _Joined:
    """``r_`` and ``c_``, which join what stands in brackets along the first or the last axis.

    >>> c_[[1.0, 2.0], [3.0, 4.0]]
    array([[1., 3.],
           [2., 4.]])
    """

    def __init__(self, plain: Any, columns: bool) -> None:
        self.plain, self.columns = plain, columns

    def __getitem__(self, parts: Any) -> Any:
        parts = parts if isinstance(parts, tuple) else (parts,)
        if not any(isinstance(p, Node) for p in parts):
            return self.plain[parts]
        arrays = [_own.atleast_1d(numpy.r_[p] if isinstance(p, slice) else p) for p in parts]
        if self.columns:
            arrays = [a[:, None] if a.ndim == 1 else a for a in arrays]
        return _own.concatenate(arrays, -1 if self.columns else 0)


r_, c_ = _Joined(numpy.r_, False), _Joined(numpy.c_, True)
