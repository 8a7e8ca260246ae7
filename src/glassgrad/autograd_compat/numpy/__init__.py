"""NumPy as Glassgrad has it, and NumPy's own for what is not differentiated.

>>> import glassgrad.autograd_compat.numpy as np
>>> np.linalg.norm(np.array([3.0, 4.0]))
Array(5.)
"""

from typing import Any

import numpy

from ... import numpy as _own
from . import fft, linalg, random


def __getattr__(name: str) -> Any:
    return getattr(_own, name) if hasattr(_own, name) else getattr(numpy, name)
