"""``glassgrad ...``: commands over ``glassgrad.data`` and ``glassgrad.train``."""

from .program import main

__all__ = ["main"]
