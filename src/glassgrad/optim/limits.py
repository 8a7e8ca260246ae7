"""The check of hyper-parameters."""

from __future__ import annotations

import math


def require(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise ``ValueError`` unless low <= value < high; ``TypeError`` when it is no number at all."""
    limits = f"a number of at least {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    try:
        fits = bool(low <= value < high)
    except (TypeError, ValueError):  # text, None, an array of several numbers
        raise TypeError(f"optim: bad {name}: got {value!r}, expected {limits}") from None
    if not fits:
        raise ValueError(f"optim: bad {name}: got {value!r}, expected {limits}")
