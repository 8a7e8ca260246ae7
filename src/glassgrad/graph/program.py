"""Tracing: a function as a graph of nodes without values, which can be read, counted and run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import PYTHON_SCALARS, is_inexact
from ..errors import ShapeError, TracedValueError, TreeError
from .apply import Output, apply, weak_scalar
from .node import NO_PARAMS, Input, Node, Spec, Trace, constant, make, reachable, spec_of
from .show import show


@dataclass(frozen=True)
class Program:
    """A traced function.

    Attributes
    ----------
    inputs : the leaves of its arguments, in order
    outputs : the leaves of its value
    arguments, result : the structures they belong to
    merged : how often an operation was found to be one already there
    """

    inputs: list[Node]
    outputs: list[Node]
    arguments: tree.Structure
    result: tree.Structure
    merged: int

    @property
    def nodes(self) -> list[Node]:
        """Every node, inputs before the nodes that use them."""
        return reachable(self.outputs)

    @property
    def edges(self) -> int:
        """How many times a node is an input of another: the work of a backward pass grows with this."""
        return sum(len(node.inputs) for node in self.nodes)

    def show(self) -> str:
        """One line per node."""
        return show(self.outputs)

    __str__ = show

    def __call__(self, *args: Any) -> Any:
        """Run the graph on other arguments of the traced structure, shapes and dtypes."""
        leaves, structure = tree.flatten(args)
        if structure != self.arguments:
            raise TreeError("program: arguments have another structure than those it was traced with; trace again")
        values: dict[Node, Any] = {}
        for node, leaf in zip(self.inputs, leaves, strict=True):
            if spec_of(leaf) != node.spec:
                raise ShapeError(f"program: got an argument {spec_of(leaf)}, expected {node.spec}; trace again for it")
            values[node] = leaf
        for node in self.nodes:
            if node.value is not None:
                values[node] = node.value
            elif node not in values:
                values[node] = _run(node, [values[x] for x in node.inputs])
        results = [values[node] for node in self.outputs]
        own = [r.copy() if isinstance(r, np.ndarray) else r for r in results]  # not a view of an argument or constant
        return tree.unflatten(self.result, own)


def _run(node: Node, inputs: list[Any]) -> Any:
    if node.op is Output:
        return inputs[0][node.params["index"]]
    return apply(node.op, tuple(inputs), node.params)


def trace(function: Callable[..., Any], *args: Any) -> Program:
    """The graph of ``function`` for arguments of these shapes and dtypes, without computing it.

    Parameters
    ----------
    function : anything made of Glassgrad operations; Python control flow is followed once
    *args : arrays, scalars or trees of them; only their shapes and dtypes are used

    Returns
    -------
    Program
        ``print`` it, count its ``nodes`` and ``edges``, or call it.

    Examples
    --------
    >>> import glassgrad as gg
    >>> program = gg.trace(lambda x: (x * 2.0) + (x * 2.0), 3.0)
    >>> len(program.nodes), program.merged, float(program(5.0))
    (4, 1, 20.0)
    """
    leaves, arguments = tree.flatten(args)
    shared = Trace()
    inputs = [_input(leaf, shared) for leaf in leaves]
    try:
        value = function(*tree.unflatten(arguments, list(inputs)))
    finally:
        shared.closed = True
    results, result = tree.flatten(value)
    if not results:
        raise TracedValueError(
            f"trace: the function returned {value!r}, expected arrays; a traced Array has no .value, return it as it is"
        )
    outputs = [leaf if isinstance(leaf, Node) else constant(np.asarray(leaf)) for leaf in results]
    return Program(inputs, outputs, arguments, result, shared.merged)


def _input(leaf: Any, shared: Trace) -> Node:
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        raise TreeError(f"trace: an argument is {type(leaf).__name__}, expected arrays; bind it with functools.partial")
    spec = spec_of(leaf if isinstance(leaf, Node) else np.asarray(leaf))
    node: Node = make(Input, (), NO_PARAMS, None, spec=Spec(*spec), tracked=is_inexact(spec.dtype), program=shared)
    if isinstance(leaf, PYTHON_SCALARS):
        shared.weak[node] = weak_scalar(spec.dtype)
    return node
