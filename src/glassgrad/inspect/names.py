"""What the nodes of a program are called: by argument, by the user's name, by what a line assigns to, by op."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

from ..graph.apply import Output
from ..graph.node import LEAVES, Constant, Node
from ..ops.control import Named
from .record import Call
from .source import Target, target


def names(nodes: Sequence[Node], leaves: dict[Node, str], calls: Sequence[Call] = ()) -> dict[Node, str]:
    """A name for each node, no two alike.

    A leaf of an argument is called by its last key where that is unique ("W1"), else by scope and key ("hidden/W") or
    by its path ("p['W1']"). What is assigned to a name is called by it; where a loop does so often the scope goes
    before, or a number behind.
    """
    short = _short(nodes, leaves)
    assigned = _assigned(nodes, calls)
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


def given(nodes: Sequence[Node], calls: Sequence[Call]) -> list[tuple[Call, Node, str]]:
    """What results of calls and operators are assigned to, in the order in which they returned; empty for nothing."""
    known = set(nodes)
    bound = ((call, _bound(target(call.code, call.instruction), call.value)) for call in calls)
    return [(call, node, name) for call, parts in bound for node, name in parts if node in known]


def _bound(name: Target, value: Any) -> Iterator[tuple[Node, str]]:
    """The nodes of a value, and what each is called."""
    if isinstance(value, Node):
        yield value, name if isinstance(name, str) else ""
    elif isinstance(value, (tuple, list, dict)):
        parts = list(value.items() if isinstance(value, dict) else enumerate(value))
        for k, (key, part) in enumerate(parts):
            if isinstance(name, dict):
                own = name.get(key, "")
            elif isinstance(name, tuple):
                own = name[k] if len(name) == len(parts) else ""
            else:
                own = f"{name}[{key!r}]" if name else ""
            yield from _bound(own, part)


def _assigned(nodes: Sequence[Node], calls: Sequence[Call]) -> dict[Node, str]:
    """What the source assigns nodes to: by the calls that were watched, else by the instructions they come from.

    An instruction that made several nodes is a function of several ops, or was run several times by a loop, or both:
    then its ops come again and again, and each time the last is the result.
    """
    found: dict[Node, str] = {}
    by: dict[Node, CodeType] = {}
    watched = set()
    for call, node, name in given(nodes, calls):
        watched.add((call.code, call.instruction))
        if name and by.get(node) is not call.code:  # the caller's name, but in one function the first
            found[node], by[node] = name, call.code
    made: dict[tuple[CodeType, int], list[Node]] = defaultdict(list)
    for node in nodes:
        a = node.origin
        if a is not None and node.op not in LEAVES and a.forward is None and (a.code, a.instruction) not in watched:
            made[a.code, a.instruction].append(node)
    for (code, instruction), members in made.items():
        wanted = target(code, instruction)
        if isinstance(wanted, str) and wanted:
            period = _period([n.op for n in members])
            found |= {n: wanted for n in members[period - 1 :: period] if n not in found}
    return found


def _period(ops: Sequence[object]) -> int:
    """The length of the shortest part that all is a repetition of.

    >>> _period("abab"), _period("aab"), _period("aaa")
    (2, 3, 1)
    """
    size = len(ops)
    return next(p for p in range(1, size + 1) if size % p == 0 and all(ops[k] == ops[k % p] for k in range(size)))


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
