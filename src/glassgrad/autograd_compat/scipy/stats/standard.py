"""What all distributions share: what is not differentiated is SciPy's."""

from collections.abc import Callable
from typing import Any


def scipys(name: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that finds names in SciPy's distribution."""

    def find(attribute: str) -> Any:
        import scipy.stats

        return getattr(getattr(scipy.stats, name), attribute)

    return find
