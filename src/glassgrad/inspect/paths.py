"""Backpropagation against naive recursion: contributions along single paths, and how many paths there are.

The gradient of a parameter is the sum, over all paths from the output to it, of the product of the local derivatives
along the path. Backpropagation never looks at a path: it adds up at each node what arrives there, and goes on once.
"""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autodiff.local import fitted
from ..errors import NonDifferentiableError
from ..graph.apply import Output
from ..graph.node import Node
from ..graph.primitive import Elementwise
from . import formula
from .counting import count

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation

MOST = 100_000  # paths that are listed with top=None
FEW = 1000  # paths of arrays that are all formed, to find the strongest
SHOWN = 12  # names of a path that are printed


class Path(NamedTuple):
    """One path from the output to a node, and what it contributes to the gradient there.

    Attributes
    ----------
    names : of the nodes, from the output to the parameter
    contribution : the product of the local derivatives along it, of the shape of the parameter; one number if an
        element was chosen
    share : of the gradient: of its norm, along its direction. Shares of all paths sum to 1
    """

    names: tuple[str, ...]
    contribution: Any
    share: float

    def __str__(self) -> str:
        half = SHOWN // 2
        names = self.names if len(self.names) <= SHOWN else (*self.names[:half], "…", *self.names[-half:])
        return f"{formula.number(self.contribution)}  {' → '.join(names)}"


@dataclass(frozen=True)
class Paths:
    """Paths from an output to a parameter.

    Between numbers there are as many paths as products of weights, gains and errors in the written-out derivative;
    they are counted. Between arrays there are fewer, each of which stands for all paths of its numbers: those are
    listed, with the output's gradient pulled back along them alone, an array. For a program of single numbers the two
    are the same. The contributions of all listed paths sum to the gradient, since each local product is linear; by
    ``element`` they are those of one element.

    Attributes
    ----------
    parameter : name
    gradient : the complete sum
    strongest : the paths between arrays asked for, by size of the contribution, greatest first
    exact : whether they are known to be the strongest; else (arrays, many paths) chosen by the product along the
        path of how much each step enlarges the gradient as it arrived there
    routes : the number of all paths between arrays
    count : of paths between numbers
    edges : between numbers, on the way to the whole parameter
    operations : products and additions that backpropagation does on them, for all elements of the parameter at once
    naive : those that recursion does, which takes every path on its own
    """

    parameter: str
    gradient: Any
    strongest: tuple[Path, ...]
    exact: bool
    routes: int
    count: int
    edges: int
    operations: int
    naive: int

    @property
    def rest(self) -> Any:
        """The gradient less the paths listed: the sum of all others."""
        return self.gradient - sum(p.contribution for p in self.strongest)

    @property
    def saving(self) -> float:
        """How many times the operations recursion does; infinite beyond floating point."""
        try:
            return self.naive / self.operations if self.operations else 1.0
        except OverflowError:
            return float("inf")

    def __iter__(self) -> Iterator[Path]:
        return iter(self.strongest)

    def __len__(self) -> int:
        return len(self.strongest)

    def __getitem__(self, number: int) -> Path:
        return self.strongest[number]

    def __str__(self) -> str:
        lines = [
            f"{_count(self.count)} paths to {self.parameter} over {self.edges} edges; operations: "
            f"{self.operations} by backpropagation, {_count(self.naive)} by recursion ({_ratio(self.saving)} times)"
        ]
        lines += [f"{100 * p.share:7.2f} %  {p}" for p in self.strongest]
        if len(self.strongest) < self.routes:
            others = _count(self.routes - len(self.strongest))
            lines.append(f"           {formula.number(self.rest)}  the other {others} together")
        lines.append(f"           {formula.number(self.gradient)}  their sum, the gradient")
        return "\n".join(lines)


def _ratio(value: float) -> str:
    return f"{value:.1f}" if value < 1e4 else f"{value:.1e}"


def _count(value: int) -> str:
    if value < 10**9:
        return str(value)
    digits = str(value)
    return f"{digits[0]}.{digits[1:3]}e{len(digits) - 1}"


class _Edge(NamedTuple):
    """A use of a node: ``user`` is nearer to the output; ``position`` is which of its inputs; ``size`` what came."""

    user: Node
    position: int
    gain: float


def paths(explanation: Explanation, target: ExplainedNode, top: int | None, element: Any) -> Paths:
    """The strongest paths to a node; all of them with ``top=None``.

    Parameters
    ----------
    target : the node
    top : how many
    element : index of one element of the parameter, whose contributions are single numbers

    Raises
    ------
    NonDifferentiableError
        if nothing was differentiated by the node.
    ValueError
        if ``top`` is no number of paths, or None where they are too many to list.
    IndexError
        if ``element`` is no index of one element.
    """
    made = explanation.record
    gradient = target.grad
    if gradient is None or isinstance(gradient, tuple):
        raise NonDifferentiableError(
            f"paths: {target.name!r} has no gradient of its own; take what it is made from, or differentiate by it"
        )
    if top is not None and (not isinstance(top, (int, np.integer)) or top < 0):
        raise ValueError(f"paths: got top={top!r}, expected how many paths to list, such as 5, or None for all")
    if element is not None:
        _require_element(target, element)
        element = element if target.shape else None  # of a single number it is the whole
    arriving = _between(made.output, target.node, made.terms, made.gradients)
    order = [n for n in made.nodes if n in arriving]
    routes = {made.output: 1}
    for node in reversed(order):
        if node is not made.output:
            routes[node] = sum(routes[e.user] for e in arriving[node])
    most = routes.get(target.node, 0)
    if top is None and most > MOST:
        raise ValueError(f"paths: {_count(most)} paths, expected at most {MOST} to list all; give top=10")
    wanted = most if top is None else min(top, most)
    scalar = all(not isinstance(n.value, tuple) and n.value.size == 1 for n in order)
    listed = most if not scalar and most <= FEW else wanted
    ways = _ways(arriving, order, made.output, target.node, listed)
    found = [_path(explanation, way, gradient, element) for way in ways]
    found.sort(key=lambda p: -_size(p.contribution))
    whole = gradient if element is None else np.asarray(gradient)[element]
    uses = {n: [(e.user, e.position) for e in edges] for n, edges in arriving.items()}
    counted = count(uses, order, made.output, target.node, element)
    name = target.name if element is None else f"{target.name}[{element}]"
    return Paths(name, whole, tuple(found[:wanted]), scalar or listed == most, most, *counted)


def _require_element(target: ExplainedNode, element: Any) -> None:
    """Refuse what is no index of one number of a node."""
    found: Any = None
    with contextlib.suppress(IndexError, ValueError, TypeError):
        found = np.empty(target.shape, bool)[element]
    if np.ndim(found) or found is None:
        example = tuple(n - 1 for n in target.shape)
        raise IndexError(
            f"paths: element={element!r} is no element of {target.name!r}: got shape {target.shape}, expected an index "
            f"per axis, such as element={example}"
        )


def _between(output: Node, target: Node, terms: Any, gradients: Any) -> dict[Node, list[_Edge]]:
    """The edges of all paths from output to target, by the node they arrive at."""
    stack = [target]
    arriving: dict[Node, list[_Edge]] = {}
    while stack:  # from the target towards the output
        node = stack.pop()
        if node in arriving:
            continue
        arriving[node] = (
            []
            if node is output
            else [
                _Edge(t.user, t.position, _size(t.value) / (_size(gradients.get(t.user)) or 1.0))
                for t in terms.get(node, [])
            ]
        )
        stack.extend(e.user for e in arriving[node])
    return arriving


def _size(value: Any) -> float:
    if value is None:
        return 1.0
    if isinstance(value, tuple):
        return math.hypot(*map(_size, value))
    flat = np.abs(np.ravel(value))
    largest = float(flat.max(initial=0.0))  # taken out, so that its square neither overflows nor vanishes
    if not 0 < largest < math.inf:
        return largest
    return largest * math.sqrt(float(np.sum((flat / largest) ** 2, dtype=np.float64)))


def _ways(
    arriving: dict[Node, list[_Edge]], order: list[Node], output: Node, target: Node, most: int
) -> list[list[_Edge]]:
    """The paths with the greatest products of gains, by keeping the best few at each node."""
    best: dict[Node, list[tuple[float, Any]]] = {output: [(1.0, None)]}
    for node in reversed(order):
        if node is output:
            continue
        candidates = (
            (gain * edge.gain, (edge, before)) for edge in arriving[node] for gain, before in best.get(edge.user, [])
        )
        best[node] = heapq.nlargest(most, candidates, key=lambda c: c[0])
    ways = []
    for _, link in best.get(target, []):
        way = []
        while link is not None:
            edge, link = link[0], link[1]
            way.append(edge)
        ways.append(way[::-1])
    return ways


def _path(explanation: Explanation, way: list[_Edge], gradient: Any, element: Any) -> Path:
    """A path's contribution: the output's gradient pulled back along it alone."""
    output = explanation.record.output
    g: Any = np.ones(output.shape, output.dtype)[()]
    names = []
    for edge in way:
        user = edge.user
        names.append(explanation.names[user])
        if user.op is Output:
            zeros = [np.zeros(np.shape(v), np.asarray(v).dtype)[()] for v in user.inputs[0].value]
            zeros[user.params["index"]] = g
            g = tuple(zeros)
            continue
        with np.errstate(all="ignore"):
            before, g = g, fitted(user, g, edge.position)
        if issubclass(user.op, Elementwise) and np.shape(before) == np.shape(g):
            g = np.where(before == 0, 0, g)[()]  # what a where discards stays so, as in the backward walk
    last = way[-1].user.inputs[way[-1].position] if way else output
    names.append(explanation.names[last])
    chosen, whole = (g, gradient) if element is None else (np.asarray(g)[element], np.asarray(gradient)[element])
    length = _size(whole)
    with np.errstate(all="ignore"):
        along = float(np.vdot(whole / length, chosen / length).real) if length else 0.0
    return Path(tuple(names), chosen, along)
