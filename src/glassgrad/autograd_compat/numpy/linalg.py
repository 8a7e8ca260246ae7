"""NumPy's ``linalg`` as Glassgrad has it, and NumPy's own for the rest."""

from typing import Any

import numpy

from ...numpy import linalg as _own


def __getattr__(name: str) -> Any:
    return getattr(_own, name) if hasattr(_own, name) else getattr(numpy.linalg, name)
