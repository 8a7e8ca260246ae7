"""What autograd's users ask of a value that is being differentiated, and functions as graphs of their own nodes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import IndependentOutputWarning
from ..graph import node as graph
from ..graph.apply import Output, apply
from .boxes import Box, getval, isbox
from .rules import notrace_primitive, primitive
from .util import toposort

__all__ = ["Box", "Node", "getval", "isbox", "notrace_primitive", "primitive", "toposort", "trace"]


class Node:
    """One operation, as ``trace`` tells it: a class to derive from.

    Parameters
    ----------
    value : what it computed
    fun : the operation, callable again
    args, kwargs : what it was given
    parent_argnums, parents : which of args depend on what is traced, and the nodes that made them
    """

    def __init__(
        self,
        value: Any,
        fun: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parent_argnums: tuple[int, ...],
        parents: tuple[Any, ...],
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__}: __init__ is to say what it remembers of an operation")

    def initialize_root(self, *args: Any, **kwargs: Any) -> None:
        """Begin as the node of the value that is traced."""
        raise NotImplementedError(f"{type(self).__name__}: initialize_root is to say what a graph begins with")

    @classmethod
    def new_root(cls, *args: Any, **kwargs: Any) -> Any:
        """The node to begin with."""
        root = cls.__new__(cls)
        root.initialize_root(*args, **kwargs)
        return root


def trace(start_node: Any, fun: Callable[[Any], Any], x: Any) -> tuple[Any, Any]:
    """``fun(x)``, and the node of the operation that made it, of the class of ``start_node``.

    The function is run first; then a node is made for each operation its value came from, in the order they were done.

    >>> class Named(Node):
    ...     def initialize_root(self): self.text = "x"
    ...     def __init__(self, value, fun, args, kwargs, parent_argnums, parents):
    ...         self.text = f"{fun.__name__}({', '.join(p.text for p in parents)})"
    >>> import glassgrad.autograd_compat.numpy as np
    >>> value, node = trace(Named.new_root(), lambda x: np.sin(x) * x, 2.0)
    >>> node.text
    'mul(sin(x), x)'
    """
    begin = graph.make(graph.Input, (), graph.NO_PARAMS, np.asarray(x)[()], tracked=True)
    end = fun(begin)
    if not isinstance(end, graph.Node):
        end = graph.constant(end)
    nodes = {begin: start_node}
    for node in graph.reachable([end], follow=lambda n: n.tracked and n.index > begin.index):
        parents = {k: nodes[i] for k, i in enumerate(node.inputs) if i in nodes}
        if parents:
            args = tuple(i.value for i in node.inputs)
            nodes[node] = type(start_node)(
                node.value, _function(node.op), args, node.params, tuple(parents), tuple(parents.values())
            )
    if end not in nodes:
        warnings.warn("trace: the result does not depend on x", IndependentOutputWarning, stacklevel=2)
    return end.value, nodes.get(end)


def _function(op: Any) -> Callable[..., Any]:
    def function(*args: Any, **params: Any) -> Any:
        return args[0][params["index"]] if op is Output else apply(op, args, params)

    function.__name__ = op.name
    return function
