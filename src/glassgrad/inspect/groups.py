"""Large programs in few parts: the nodes of a scope, of a layer's parameters, or of one stretch, as one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ..graph.node import LEAVES, Constant

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation


MOST = 300  # groups


class Group(NamedTuple):
    """Nodes shown as one.

    Attributes
    ----------
    name : of the node, scope or layer
    members : its nodes, in order of computation; the last is what it hands on
    """

    name: str
    members: tuple[ExplainedNode, ...]

    @property
    def last(self) -> ExplainedNode:
        return self.members[-1]


def groups(explanation: Explanation, limit: int) -> list[Group]:
    """Single nodes if there are at most ``limit``, else scopes or layers; stretches of them where they are too many."""
    shown = visible(explanation)
    if len(shown) <= limit:
        return [Group(n.name, (n,)) for n in shown]
    leaves = explanation.record.leaves
    scopes = {n.scope for n in explanation.computed} - {""}
    runs: list[tuple[str, list[ExplainedNode]]] = []
    first: dict[str, int] = {}  # the run in which a leaf is used first
    place = ""
    for n in explanation.computed:
        owners = [_owner(leaves[x.node]) for x in n.inputs if x.node in leaves]
        # A run of nodes of one scope, so that no part lies both before and behind another
        place = n.scope or next((o for o in owners if o), place if place not in scopes else "")
        if not runs or runs[-1][0] != place:
            runs.append((place, []))
        runs[-1][1].append(n)
        for x in n.inputs:
            first.setdefault(x.name, len(runs) - 1)
    for n in shown:
        if n.node.op in LEAVES:
            runs[first.get(n.name, 0)][1].insert(0, n)
    seen: Counter[str] = Counter()
    found = []
    for name, members in runs:
        seen[name] += 1
        label = name or "(no scope)"
        found.append(Group(label if seen[name] == 1 else f"{label} ({seen[name]})", tuple(members)))
    if len(found) == 1:
        found = [Group(n.name, (n,)) for n in shown]
    each = -(-len(found) // MOST)
    return [_joined(found[k : k + each]) for k in range(0, len(found), each)]


def visible(explanation: Explanation) -> list[ExplainedNode]:
    """Every node but single numbers, which stand in the formulas."""
    return [n for n in explanation.nodes if n.node.op is not Constant or n.shape != ()]


def _owner(path: str) -> str:
    """What the container of a leaf is called: "layers[3]" of "layers[3]['W']"; empty for a leaf of its own."""
    return path.rpartition("[")[0] if path.endswith("]") else ""


def _joined(parts: list[Group]) -> Group:
    if len(parts) == 1:
        return parts[0]
    return Group(f"{parts[0].name} … {parts[-1].name}", tuple(n for p in parts for n in p.members))
