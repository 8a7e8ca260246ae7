"""The graph checker: what must hold of every graph, between any two passes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import GlassgradError
from .apply import spec_or_scalar
from .bfloat16 import infer
from .node import LEAVES, Node, reachable
from .primitive import Elementwise


class GraphError(GlassgradError, AssertionError):
    """A graph breaks an invariant: a mistake in Glassgrad, not in the user's program."""


def verify(outputs: Iterable[Node]) -> int:
    """Check every node the outputs are made from; returns how many there are.

    Inputs are made before the nodes that use them, leaves have no inputs, parameters can be hashed, a value or a spec
    is there, and in a traced graph the recorded shape and dtype are those the op infers.
    """
    nodes = reachable(outputs)
    for node in nodes:
        problem = _problem(node)
        if problem:
            raise GraphError(f"verify: {node.op.name} (node {node.index}): {problem}")
    return len(nodes)


def _problem(node: Node) -> str:
    if any(x.index >= node.index for x in node.inputs):
        return "an input is younger than the node"
    if (node.op in LEAVES) != (not node.inputs):
        return "leaves and only leaves have no inputs"
    if node.value is None and node.spec is None:
        return "neither value nor spec"
    try:
        hash(tuple(node.params.items()))
    except TypeError:
        return f"unhashable parameters {node.params}"
    if node.spec is not None and node.inputs:
        promotes = issubclass(node.op, Elementwise)
        specs = [spec_or_scalar(x) if promotes else x.spec or spec_or_scalar(x) for x in node.inputs]
        expected: Any = infer(node.op, specs, node.params)
        if expected != node.spec:
            return f"spec {node.spec}, expected {expected}"
    return ""
