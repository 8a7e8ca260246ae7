"""NumPy's ``fft``: Glassgrad's functions for what is differentiated, and NumPy's own for the rest."""

from ...numpy import fft as _own
from ..either import either as _either

__getattr__ = _either(_own, "numpy.fft")
