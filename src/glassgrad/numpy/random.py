"""NumPy's random functions as they are: what they draw is data, plain ndarrays. Seeded keys are in glassgrad.random."""

from __future__ import annotations

from typing import Any

from numpy.random import *  # noqa: F403


def __getattr__(name: str) -> Any:
    import numpy.random

    return getattr(numpy.random, name)
