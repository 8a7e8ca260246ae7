"""What the nodes of a program are called: by argument, by the user's name, by what a line assigns to, by op."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from types import CodeType

from ..graph.apply import Output
from ..graph.node import LEAVES, Constant, Node
from ..ops.control import Named


def names(nodes: Sequence[Node], leaves: dict[Node, str]) -> dict[Node, str]:
    """A name for each node, no two alike.

    A leaf of an argument is called by its last key where that is unique ("W1"), else by scope and key ("hidden/W") or
    by its path ("p['W1']"). What a line assigns to one name is called by it; where a loop does so often the scope goes
    before, or a number behind.
    """
    short = _short(nodes, leaves)
    assigned = _assigned(nodes)
    wanted: dict[Node, str] = {}
    for node in nodes:
        label = node.params.get("name") if node.op is Named or node.op in LEAVES else None
        own = short.get(node) or label or assigned.get(node)
        if own is None:
            own = _of_op(node)
        wanted[node] = str(own)
    for node in nodes:  # the name belongs to the value that was named
        if node.op is Named and node.inputs[0] in assigned and wanted[node.inputs[0]] == wanted[node]:
            del assigned[node.inputs[0]]
            wanted[node.inputs[0]] = _of_op(node.inputs[0])
    return _apart(wanted, {n for n in nodes if n in short})


def _of_op(node: Node) -> str:
    if node.op is Output:
        return f"{node.inputs[0].op.name}[{node.params['index']}]"
    return "const" if node.op is Constant else node.op.name


def _short(nodes: Sequence[Node], leaves: dict[Node, str]) -> dict[Node, str]:
    """The last key of each leaf, that with the scope it is first used in, or its path: the first that is unique."""
    used: dict[Node, str] = {}
    for node in nodes:
        for x in node.inputs:
            if x in leaves:
                used.setdefault(x, node.origin.scope if node.origin else "")
    last = {n: _last(path) for n, path in leaves.items()}
    scoped = {n: f"{used[n]}/{last[n]}" if used.get(n) else last[n] for n in leaves}
    plain, long = Counter([*last.values(), *leaves.values()]), Counter(scoped.values())
    for n, path in leaves.items():
        plain[path] -= path == last[n]
    return {n: last[n] if plain[last[n]] == 1 else scoped[n] if long[scoped[n]] == 1 else leaves[n] for n in leaves}


def _last(path: str) -> str:
    key = path.rpartition("[")[2].rstrip("]")
    return key[1:-1] if key[:1] == "'" else path


def _assigned(nodes: Sequence[Node]) -> dict[Node, str]:
    """What lines of the form ``name = ...`` call their result: the last node of the last call or operator of the line.

    An instruction that made several nodes is a function of several ops, or was run several times by a loop, or both:
    then its ops come again and again, and each time the last is the result.
    """
    made: dict[tuple[CodeType, int], list[Node]] = defaultdict(list)
    inside = set()  # instructions that the rest of their own line goes on with
    for node in nodes:
        a = node.origin
        if a is None or node.op in LEAVES or a.forward is not None:
            continue
        made[a.code, a.instruction].append(node)
        for x in node.inputs:
            b = x.origin
            if b is not None and a.code is b.code and a.instruction > b.instruction and a.line == b.line:
                inside.add((b.code, b.instruction))
    found: dict[Node, str] = {}
    for (code, instruction), members in made.items():
        origin = members[0].origin
        plain = not code.co_name.startswith("<") or code.co_name == "<module>"
        if origin is not None and plain and (code, instruction) not in inside:
            name = _target(origin.text)
            period = _period([n.op for n in members]) if name else 1
            found |= {n: name for n in members[period - 1 :: period] if name}
    return found


def _period(ops: Sequence[object]) -> int:
    """The length of the shortest part that all is a repetition of.

    >>> _period("abab"), _period("aab"), _period("aaa")
    (2, 3, 1)
    """
    size = len(ops)
    return next(p for p in range(1, size + 1) if size % p == 0 and all(ops[k] == ops[k % p] for k in range(size)))


@cache
def _target(line: str) -> str:
    """The one name a line assigns to; empty if it does something else."""
    try:
        (statement,) = ast.parse(line).body
    except (SyntaxError, ValueError):
        return ""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, (ast.AugAssign, ast.AnnAssign)) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return ""


def _apart(wanted: dict[Node, str], fixed: set[Node]) -> dict[Node, str]:
    """Names made different: by scope where that is enough, else by number."""
    taken = {wanted[n] for n in fixed}
    groups: dict[str, list[Node]] = defaultdict(list)
    for node, name in wanted.items():
        if node not in fixed:
            groups[name].append(node)
    given = {n: wanted[n] for n in fixed}
    for name, members in groups.items():
        scoped = [f"{n.origin.scope}/{name}" if n.origin and n.origin.scope else name for n in members]
        numbers: Counter[str] = Counter()
        total = Counter(scoped)
        for node, full in zip(members, scoped, strict=True):
            label = name if len(members) == 1 else full
            numbers[full] += 1
            number = numbers[full]
            plain = node.op.name == name or name == "const"
            if total[full] > 1 or label in taken or (plain and len(members) > 1 and full == name):
                label = f"{full}#{number}"
            while label in taken:
                number += 1
                label = f"{full}#{number}"
            taken.add(label)
            given[node] = label
    return {n: given[n] for n in wanted}
