"""Containers as vectors, and the optimisers of autograd's examples."""

import functools
from collections.abc import Callable
from typing import Any

from .flatten import flatten


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """The function with its first arguments fixed; ``glassgrad.jit`` is what makes one fast."""
    return functools.partial(fun, *args, **kwargs)
