"""An explanation as tables of text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..graph.node import LEAVES
from . import formula
from .groups import Group, groups

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation


class Table(NamedTuple):
    """A title, the names of columns, and rows of text."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in self.rows]
        head = "  ".join(c.ljust(w) for c, w in zip(self.head, widths, strict=True)).rstrip()
        return "\n".join([self.title, head, "-" * max(map(len, [head, *lines])), *lines])


def tables(explanation: Explanation, which: str, limit: int) -> list[Table]:
    """The tables asked for."""
    known = {"nodes": _nodes, "forward": _forward, "backward": _backward}
    if which != "all" and which not in known:
        raise ValueError(f"table: got {which!r}, expected one of {['all', *known]}")
    made = [make(explanation, limit) for name, make in known.items() if which in ("all", name)]
    return [t for t in made if t.rows or which != "all"]


def table(explanation: Explanation, which: str = "all", limit: int = 60) -> str:
    """The tables asked for, as text."""
    return "\n\n".join(map(str, tables(explanation, which, limit)))


def show(explanation: Explanation, which: str = "all", limit: int = 60) -> None:
    """Print the tables, by rich where it is installed and there is a terminal."""
    try:
        if not sys.stdout.isatty():
            raise ImportError
        from rich.console import Console
        from rich.table import Table as Coloured
        from rich.text import Text
    except ImportError:
        print(table(explanation, which, limit))
        return
    for one in tables(explanation, which, limit):
        coloured = Coloured(title=one.title, title_justify="left")
        for name in one.head:
            style = "orange3" if name.startswith(("∂C", "gradient")) else "blue" if name == "value" else None
            coloured.add_column(name, style=style)
        for row in one.rows:
            coloured.add_row(*map(Text, row))
        Console().print(coloured)


def _nodes(explanation: Explanation, limit: int) -> Table:
    parts = groups(explanation, limit)
    single = all(len(g.members) == 1 for g in parts)
    title = f"{len(explanation.nodes)} nodes; value {formula.number(explanation.value)}" + (
        f", gradients of the sum of its {explanation.value.size} elements" if np.ndim(explanation.value) else ""
    )
    if single:
        head = ("node", "formula", "value", "gradient", "local derivatives", "line")
        return Table(title, head, [_row(g.last) for g in parts])
    head = ("part", "nodes", "parameters", "last value", "gradient there", "line")
    return Table(title, head, [_group_row(explanation, g) for g in parts])


def _row(n: ExplainedNode) -> tuple[str, ...]:
    return n.name, n.formula, formula.number(n.value), _gradient(n), locals_of(n), n.line


def _gradient(n: ExplainedNode) -> str:
    return "" if n.grad is None else formula.number(n.grad)


def locals_of(n: ExplainedNode) -> str:
    """The local derivatives of elementwise nodes, as numbers."""
    local = n.local
    if not n.inputs or not n.node.tracked or not local.diagonal:
        return f"Jacobian {formula.size(n.value) or 1} by {', '.join(local)}" if n.inputs and len(local) else ""
    return ", ".join(f"by {name}: {formula.number(local[name])}" for name in local)


def _group_row(explanation: Explanation, group: Group) -> tuple[str, ...]:
    last = group.last
    learnt = [n.name for n in group.members if n.node in set(explanation.record.parameters)]
    count = sum(n.node.op not in LEAVES for n in group.members)
    shown = ", ".join(learnt[:3]) + (f" and {len(learnt) - 3} more" if len(learnt) > 3 else "")
    return group.name, str(count), shown, formula.number(last.value), _gradient(last), last.line


def _forward(explanation: Explanation, limit: int) -> Table:
    rows: list[tuple[str, ...]] = [
        (r.z, r.formula, f"∂{r.z}/∂{r.parameter}", r.multiplies, formula.number(r.factor))
        for r in _few(explanation.forward, limit)
    ]
    head = ("z", "formula", "∂z/∂w", "is what w multiplies", "value")
    return Table("Forward pass: what each parameter multiplies" + _left_out(explanation.forward, limit), head, rows)


def _backward(explanation: Explanation, limit: int) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"∂C/∂{r.z}", r.gain or "1", formula.number(r.amplification), r.arrives, formula.number(r.grad))
        for r in _few(explanation.backward, limit)
    ]
    head = ("∂C/∂z", "gain", "value of the gain", "times", "∂C/∂z is")
    return Table("Backward pass: the network in reverse" + _left_out(explanation.backward, limit), head, rows)


def _left_out(rows: list[Any], limit: int) -> str:
    return f" ({len(rows) - limit} rows in the middle left out)" if len(rows) > limit else ""


def _few(rows: list[Any], limit: int) -> list[Any]:
    """The first and last rows of a long table, in its order."""
    return rows if len(rows) <= limit else [*rows[: limit // 2], *rows[-(limit // 2) :]]
