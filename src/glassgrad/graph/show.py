"""A graph as readable text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .node import LEAVES, Constant, Node, reachable


def show(outputs: Iterable[Node]) -> str:
    """One line per node: name, dtype and shape, op, inputs, parameters, the user's line.

    >>> import glassgrad as gg
    >>> print(gg.trace(lambda x: x * x + 1.0, 2.0).show().split("  #")[0])
    %0 = input : float64[]
    %1 = mul(%0, %0) : float64[]
    """
    outputs = list(outputs)
    names: dict[Node, str] = {}
    lines: list[str] = []
    for node in reachable(outputs):
        if node.op is Constant and np.size(node.value) == 1 and not isinstance(node.value, tuple):
            names[node] = repr(np.asarray(node.value).item())
            continue
        names[node] = f"%{len(lines)}"
        lines.append(_line(node, names))
    lines.append("return " + ", ".join(names[node] for node in outputs))
    return "\n".join(lines)


def _line(node: Node, names: dict[Node, str]) -> str:
    arguments = [names[x] for x in node.inputs] + [f"{k}={v}" for k, v in node.params.items()]
    call = f"{node.op.name}({', '.join(arguments)})" if node.op not in LEAVES else node.op.name
    origin = f"  # {node.origin} {node.origin.text}".rstrip() if node.origin else ""
    return f"{names[node]} = {call} : {_type(node)}{origin}"


def _type(node: Node) -> str:
    many: Any = node.spec if node.value is None else node.value
    if isinstance(many, tuple) and not hasattr(many, "shape"):
        return "(" + ", ".join(f"{np.dtype(s.dtype)}{list(np.shape(s))}" for s in many) + ")"
    return f"{node.dtype}{list(node.shape)}"
