"""Functions whose operations are the same at every call, and the graph of a function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ...compile.jit import jit
from ..tracer import Node, trace


def const_graph(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """The function with its first arguments fixed, whose Python code is run once for each shape: compiled by ``jit``.

    >>> import glassgrad.autograd_compat.numpy as np
    >>> float(const_graph(lambda x, y: np.sin(x) * y)(0.0, 2.0))
    0.0
    """
    return jit(functools.partial(fun, *args, **kwargs))


class FullGraphNode(Node):
    """An operation with all it was given: ``value``, and ``recipe``, (fun, args, kwargs, [(argnum, node), ...])."""

    def __init__(
        self,
        value: Any,
        fun: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parent_argnums: tuple[int, ...],
        parents: tuple[Any, ...],
    ) -> None:
        self.value, self.recipe = value, (fun, args, kwargs, list(zip(parent_argnums, parents, strict=True)))

    def initialize_root(self) -> None:
        """The value that the function is of."""
        self.value, self.recipe = None, (lambda x: x, (), {}, [])


def full_graph(fun: Callable[..., Any], x: Any) -> Any:
    """The node of the operation that made ``fun(x)``."""
    return trace(FullGraphNode.new_root(), fun, x)[1]
