"""NumPy's ``linalg``: Glassgrad's functions for what is differentiated, and NumPy's own for the rest."""

from ...numpy import linalg as _own
from ..either import either as _either

__getattr__ = _either(_own, "numpy.linalg")
