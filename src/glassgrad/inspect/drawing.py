"""The graph of an explanation as a drawing: SVG, or text for Graphviz. Values are blue, gradients orange."""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from ..graph.node import LEAVES
from . import formula
from .groups import Group, groups
from .layout import place

if TYPE_CHECKING:
    from .explanation import Explanation

BLUE, ORANGE, LINE = "#0969da", "#bc4c00", "#8c959f"
LETTER, ROW, PAD = 7.0, 15.0, 8.0  # width of a letter, height of a line, space around
LONGEST = 44  # letters of a line


class _Box(NamedTuple):
    """What stands in a box: lines of text by colour."""

    group: Group
    lines: list[tuple[str, str]]
    leaf: bool


class _Drawing(NamedTuple):
    boxes: list[_Box]
    edges: list[tuple[int, int]]


def _drawing(explanation: Explanation, limit: int) -> _Drawing:
    parts = groups(explanation, limit)
    number = {n.node: k for k, g in enumerate(parts) for n in g.members}
    edges = {
        (number[x.node], k)
        for k, g in enumerate(parts)
        for n in g.members
        for x in n.inputs
        if x.node in number and number[x.node] < k
    }
    return _Drawing([_box(g) for g in parts], sorted(edges))


def _box(group: Group) -> _Box:
    last = group.last
    if len(group.members) == 1:
        formula_ = "" if last.formula == last.name else last.formula
        title = [("title", _cut(last.name)), *([("text", _cut(formula_))] if formula_ else [])]
    else:
        count = sum(n.node.op not in LEAVES for n in group.members)
        title = [("title", _cut(group.name)), ("text", f"{count} operations")]
    lines = [*title, ("value", _cut(formula.number(last.value)))]
    if last.grad is not None:
        lines.append(("grad", _cut(formula.number(last.grad))))
    return _Box(group, lines, len(group.members) == 1 and last.node.op in LEAVES)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def svg(explanation: Explanation, limit: int = 300) -> str:
    """The graph from the top down."""
    boxes, edges = _drawing(explanation, limit)
    sizes = [(max(len(t) for _, t in b.lines) * LETTER + 2 * PAD, len(b.lines) * ROW + 2 * PAD) for b in boxes]
    placed, routes = place(sizes, edges)
    width = max([b.x + b.width / 2 for b in placed] + [x for route in routes for x, _ in route]) + 2 * PAD
    height = max((b.y + b.height / 2 for b in placed), default=0.0) + 2 * PAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-PAD:g} {-PAD:g} {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" font-family="ui-monospace,monospace" font-size="11" '
        f'role="img" aria-label="computation graph">',
        f'<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
    ]
    for route in routes:
        curve = f"M{route[0][0]:.1f} {route[0][1]:.1f}"
        for (x0, y0), (x1, y1) in itertools.pairwise(route):
            bend = (y1 - y0) / 2
            curve += f"C{x0:.1f} {y0 + bend:.1f} {x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
        parts.append(f'<path d="{curve}" fill="none" stroke="{LINE}" marker-end="url(#tip)"/>')
    colours = {"title": "#1f2328", "text": "#59636e", "value": BLUE, "grad": ORANGE}
    for box, at in zip(boxes, placed, strict=True):
        left, top = at.x - at.width / 2, at.y - at.height / 2
        fill = "#ddf4ff" if box.leaf else "#ffffff"
        last = box.group.last
        parts.append(f"<g><title>{escape(f'{last.name} = {last.formula}  {last.line} {last.source}'.strip())}</title>")
        parts.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{at.width:.1f}" height="{at.height:.1f}" rx="5" '
            f'fill="{fill}" stroke="{LINE}"/>'
        )
        for k, (kind, line) in enumerate(box.lines):
            weight = ' font-weight="bold"' if kind == "title" else ""
            parts.append(
                f'<text x="{left + PAD:.1f}" y="{top + PAD + (k + 0.8) * ROW:.1f}" fill="{colours[kind]}"{weight}>'
                f"{escape(line)}</text>"
            )
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"])


def dot(explanation: Explanation, limit: int = 300) -> str:
    """The graph in Graphviz's language."""
    boxes, edges = _drawing(explanation, limit)
    lines = ["digraph {", '  node [shape=box, fontname="monospace", fontsize=10];']
    for k, box in enumerate(boxes):
        colour = {"value": BLUE, "grad": ORANGE}
        rows = "<br/>".join(
            f'<font color="{colour[kind]}">{escape(line)}</font>' if kind in colour else escape(line)
            for kind, line in box.lines
        )
        style = ', style=filled, fillcolor="#ddf4ff"' if box.leaf else ""
        lines.append(f"  n{k} [label=<{rows}>{style}];")
    lines += [f"  n{a} -> n{b};" for a, b in edges]
    return "\n".join([*lines, "}"])
