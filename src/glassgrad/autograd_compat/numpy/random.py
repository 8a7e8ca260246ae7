"""NumPy's own random numbers, which are not differentiated."""

from typing import Any

import numpy


def __getattr__(name: str) -> Any:
    return getattr(numpy.random, name)
