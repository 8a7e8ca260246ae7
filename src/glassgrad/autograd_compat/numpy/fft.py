"""NumPy's ``fft`` as Glassgrad has it, and NumPy's own for the rest."""

from typing import Any

import numpy

from ...numpy import fft as _own


def __getattr__(name: str) -> Any:
    return getattr(_own, name) if hasattr(_own, name) else getattr(numpy.fft, name)
