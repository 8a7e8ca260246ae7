"""NumPy as Glassgrad has it for what is differentiated, and NumPy's own for the rest.

>>> import glassgrad.autograd_compat.numpy as np
>>> np.array([3.0, 4.0])
array([3., 4.])
"""

from ... import numpy as _own
from ..either import either as _either
from . import fft, linalg, random

__getattr__ = _either(_own, "numpy")
