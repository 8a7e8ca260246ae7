"""SciPy's special functions as Glassgrad has them."""

from typing import Any

from ... import special


def __getattr__(name: str) -> Any:
    return getattr(special, name)
