"""The functions of ``autograd_compat.numpy`` in the module where autograd keeps them."""

from typing import Any

from .. import numpy as _all


def __getattr__(name: str) -> Any:
    return getattr(_all, name)
