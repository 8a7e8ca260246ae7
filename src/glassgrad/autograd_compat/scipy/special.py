"""SciPy's special functions as Glassgrad has them, and SciPy's own for the rest."""

from typing import Any

from ... import special


def __getattr__(name: str) -> Any:
    if hasattr(special, name):
        return getattr(special, name)
    import scipy.special

    return getattr(scipy.special, name)
