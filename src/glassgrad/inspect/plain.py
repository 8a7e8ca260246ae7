"""An explanation as plain data, ready for JSON: what a viewer draws."""

from __future__ import annotations

import base64
import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import LEAVES
from ..graph.primitive import Elementwise
from . import formula
from .chain import latex
from .derivatives import equation, operand
from .groups import groups

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation

BINS = 24  # of histograms
SIDE, STRIP = 48, 256  # of heat maps of matrices, of vectors
CELLS = 1_000_000  # of all heat maps of an explanation
COUNTED = 20_000  # numbers of a program whose paths are counted
STEPS = 5_000  # nodes times parameters, up to which that is quick

_dtype = cache(str)  # NumPy puts the name of a dtype together anew each time


@np.errstate(all="ignore")
def plain(explanation: Explanation, elements: int = 64) -> dict[str, Any]:
    """Nodes, edges, scopes, both passes and the order of both, as dicts, lists, strings and numbers.

    Keys
    ----
    version : of this description
    output, parameters : numbers of nodes
    nodes : per node ``id name path op kind formula symbol latex rule shape dtype scope file line source value grad
        local derivatives chain derivative_of``. As LaTeX: ``symbol`` is the name, ``latex`` the formula,
        ``derivatives`` ∂node/∂input by input, and ``chain`` the chain rule with its numbers, with macros: V and G
        around values and gradients, and those of ``chain.MACROS``
    edges : ``source target position flows contribution``: what the target gave to the gradient of the source; null
        where that is the whole gradient, or where nothing flows
    scopes : per scope its name, its parent and the numbers of its nodes
    forward, backward : numbers of the nodes in the order in which the engine visited them
    passes : the rows of both tables
    paths : per parameter of a small program how many paths lead to it, the operations of backpropagation and of
        recursion, and the strongest paths
    groups : the parts that a drawing of at most 300 boxes shows, each with the numbers of its nodes
    """
    number = {n.node: k for k, n in enumerate(explanation.nodes)}
    cells = min(SIDE * SIDE, CELLS // (2 * len(number)))
    return {
        "version": 1,
        "output": number[explanation.record.output],
        "parameters": [number[p] for p in explanation.record.parameters],
        "nodes": [_node(explanation, k, n, elements, cells, number) for k, n in enumerate(explanation.nodes)],
        "edges": _edges(explanation, number, elements),
        "scopes": _scopes(explanation),
        "forward": [k for k, n in enumerate(explanation.nodes) if n.node.op not in LEAVES],
        "backward": [number[node] for node in explanation.record.order],
        "passes": {
            "forward": [r._replace(factor=array(r.factor, elements))._asdict() for r in explanation.forward],
            "backward": [
                r._replace(amplification=array(r.amplification, elements), grad=array(r.grad, elements))._asdict()
                for r in explanation.backward
            ],
        },
        "paths": _paths(explanation, number),
        "groups": [{"name": g.name, "nodes": [number[n.node] for n in g.members]} for g in groups(explanation, 300)],
    }


def _node(
    e: Explanation, k: int, n: ExplainedNode, elements: int, cells: int, number: dict[Any, int]
) -> dict[str, Any]:
    node, origin = n.node, n.node.origin
    behind = n.derivative_of
    several = isinstance(node.value, tuple)
    return {
        "id": k,
        "name": n.name,
        "path": e.record.leaves.get(node, ""),
        "op": n.op,
        "kind": n.op if node.op in LEAVES else node.op.__mro__[1].__name__.lower(),
        "formula": n.formula,
        "symbol": formula.symbol(n.name),
        "latex": formula.latex(node, [operand(e, x) for x in node.inputs]) if node.inputs else "",
        "rule": (node.op.__doc__ or "").strip().partition("\n")[0] if node.op not in LEAVES else "",
        "shape": [] if several else list(n.shape),
        "dtype": "" if several else _dtype(node.dtype),
        "scope": n.scope,
        "file": origin.file if origin else "",
        "line": origin.line if origin else 0,
        "source": n.source,
        "value": array(n.value, elements, cells),
        "grad": array(n.grad, elements, cells),
        "local": _local(n, elements),
        "derivatives": [
            equation(e, node, i) if x.tracked and node.op.differentiable else "" for i, x in enumerate(node.inputs)
        ],
        "chain": latex(e, [n], marked=True) if n.grad is not None else "",
        "derivative_of": number.get(behind.node) if behind is not None else None,
    }


def _local(n: ExplainedNode, elements: int) -> list[Any]:
    """Local derivatives per input: of elementwise ops always, Jacobians where they are small."""
    found: list[Any] = []
    for k, x in enumerate(n.node.inputs):
        several = isinstance(n.value, tuple) or isinstance(x.value, tuple)
        small = not several and (issubclass(n.node.op, Elementwise) or np.size(n.value) * np.size(x.value) <= elements)
        formed = small and x.tracked and n.node.op.differentiable
        found.append(array(n.local[k], elements) if formed else None)
    return found


def _edges(explanation: Explanation, number: dict[Any, int], elements: int) -> list[dict[str, Any]]:
    given = {
        (term.user, term.position): term.value if len(terms) > 1 else None
        for terms in explanation.record.terms.values()
        for term in terms
    }
    return [
        {
            "source": number[x],
            "target": number[node],
            "position": k,
            "flows": (node, k) in given,
            "contribution": array(given.get((node, k)), elements),
        }
        for node in explanation.record.nodes
        for k, x in enumerate(node.inputs)
    ]


def _paths(explanation: Explanation, number: dict[Any, int]) -> list[dict[str, Any]]:
    size = sum(n.node.size for n in explanation.nodes if not isinstance(n.value, tuple))
    if size > COUNTED or len(explanation.nodes) * len(explanation.parameters) > STEPS:
        return []
    found = []
    for p in explanation.parameters:
        made = explanation.paths(p.name, 3)
        found.append(
            {
                "parameter": number[p.node],
                "count": str(made.count),
                "edges": str(made.edges),
                "operations": str(made.operations),
                "naive": str(made.naive),
                "strongest": [
                    {
                        "share": _elements(np.float64(w.share))[0],
                        "nodes": [number[explanation[name].node] for name in w.names],
                    }
                    for w in made
                ],
            }
        )
    return found


def _scopes(explanation: Explanation) -> list[dict[str, Any]]:
    members: dict[str, list[int]] = {}
    for k, n in enumerate(explanation.nodes):
        if n.scope:
            parts = n.scope.split("/")
            for depth in range(1, len(parts)):
                members.setdefault("/".join(parts[:depth]), [])
            members.setdefault(n.scope, []).append(k)
    return [{"name": s, "parent": s.rpartition("/")[0], "nodes": nodes} for s, nodes in members.items()]


def array(value: Any, elements: int = 64, cells: int = 0) -> Any:
    """A value for JSON: its elements if they are few, else a summary with a histogram, and a map of so many cells."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return {"parts": [array(v, elements) for v in value]}
    a = np.asarray(value)
    found: dict[str, Any] = {"shape": list(a.shape), "dtype": _dtype(a.dtype), "text": formula.number(a)}
    if a.size <= elements:
        found["elements"] = _elements(a)
    elif a.dtype.kind in "fiub":
        if cells:
            found["map"] = _map(a, cells)
        found["nan"] = int(np.count_nonzero(np.isnan(a)))
        finite = a[np.isfinite(a)].astype(np.float64)
        found["finite"] = int(finite.size)
        found["zeros"] = int(np.count_nonzero(finite == 0))
        if finite.size:
            with np.errstate(all="ignore"):
                norm = np.sqrt(np.dot(finite, finite))
                summary = np.array([*formula.spread(finite), finite.min(), finite.max(), norm])
            found |= dict(zip(("mean", "std", "min", "max", "norm"), _elements(summary), strict=True))
            if np.isfinite(finite.max() - finite.min()):
                found["histogram"] = _histogram(finite)
    return found


def _map(a: Any, cells: int) -> dict[str, Any]:
    """A heat map: of each block of elements the one of largest magnitude, as a byte.

    129 is 0; 3 to 255 go from minus to plus ``scale``, the largest magnitude; 0 is NaN, 1 and 2 are the infinities.
    """
    table = a.reshape(-1, a.shape[-1]).astype(np.float64)
    for axis in (0, 1):
        most = min(cells, STRIP) if 1 in table.shape else math.isqrt(cells)
        if table.shape[axis] > most:
            starts = np.arange(most) * table.shape[axis] // most
            high, low = (u.reduceat(table, starts, axis) for u in (np.maximum, np.minimum))
            table = np.where(-low > high, low, high)
    finite = np.isfinite(table)
    whole = bool(finite.all())
    scale = float(np.abs(table if whole else table[finite]).max(initial=0.0))
    code = np.rint(table / (scale or 1.0) * 126) + 129
    if not whole:
        code = np.where(finite, code, np.where(np.isnan(table), 0, np.where(table < 0, 1, 2)))
    rows, columns = table.shape
    return {
        "rows": rows,
        "columns": columns,
        "scale": scale,
        "cells": base64.b64encode(code.astype(np.uint8).tobytes()).decode(),
    }


def _histogram(finite: Any) -> list[int]:
    """Counts in equal bins; np.histogram refuses what is nearly constant."""
    low, high = finite.min(), finite.max()
    place = (finite - low) / (high - low) * BINS if high > low else np.zeros(finite.size)
    counts: list[int] = np.bincount(np.minimum(place.astype(int), BINS - 1), minlength=BINS).tolist()
    return counts


def _elements(a: Any) -> list[Any]:
    """Numbers as JSON has them; what it has not, NaN, infinities and complex numbers, as strings."""
    flat = a.reshape(-1).tolist()
    if a.dtype.kind == "c":
        return [str(v) for v in flat]
    if a.dtype.kind in "iu" and a.size and max(abs(int(a.min())), abs(int(a.max()))) >= 2**53:
        return [str(v) for v in flat]  # beyond what JavaScript's numbers hold
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        return [v if math.isfinite(v) else str(v) for v in flat]
    return list(flat)
