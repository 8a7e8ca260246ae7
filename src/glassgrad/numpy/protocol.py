"""What NumPy's own functions do with an Array: ``numpy.sin(x)``, ``numpy.concatenate([x, y])``."""

from __future__ import annotations

import sys
from typing import Any

from ..array import above
from ..errors import UnsupportedError


def ufunc(called: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer ``__array_ufunc__``."""
    from .. import numpy as namespace

    function = getattr(namespace, called.__name__, None)
    if method == "__call__" and function is not None:
        return function(*inputs, **kwargs)
    raise UnsupportedError(f"numpy.{called.__name__}: not available on an Array; take x.value for the ndarray inside")


def function(called: Any, args: Any, kwargs: Any) -> Any:
    """Answer ``__array_function__``."""
    raise UnsupportedError(f"numpy.{called.__name__}: not available on an Array; take x.value for the ndarray inside")


above["ufunc"] = ufunc
above["function"] = function
above["namespace"] = lambda: sys.modules["glassgrad.numpy"]
