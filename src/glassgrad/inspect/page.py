"""An explanation as one page of HTML: tables and drawing, no script, no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from . import formula
from .drawing import BLUE, ORANGE, svg
from .table import Table, tables

if TYPE_CHECKING:
    from .explanation import Explanation

ROWS = 300
STYLE = f"""
.glassgrad {{ font: 14px system-ui, sans-serif; color: #1f2328; background: #fff; padding: 1em }}
.glassgrad table {{ border-collapse: collapse; margin: 0 0 1.5em }}
.glassgrad caption {{ text-align: left; font-weight: 600; padding: .3em 0 }}
.glassgrad th, .glassgrad td {{ text-align: left; padding: .2em .8em .2em 0; border-bottom: 1px solid #d1d9e0;
  font-family: ui-monospace, monospace; font-size: 12px; white-space: nowrap }}
.glassgrad .value {{ color: {BLUE} }}
.glassgrad .grad {{ color: {ORANGE} }}
.glassgrad figure {{ margin: 0 0 1.5em; overflow: auto; max-height: 80vh }}
"""


def body(explanation: Explanation) -> str:
    """The part inside the page, with its style."""
    found = [_table(t) for t in tables(explanation, "all", ROWS)]
    return f'<style>{STYLE}</style><div class="glassgrad"><figure>{svg(explanation)}</figure>{"".join(found)}</div>'


def page(explanation: Explanation) -> str:
    """The whole page."""
    title = escape(f"value {formula.number(explanation.value)}")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{title}</title></head>\n<body>{body(explanation)}</body></html>\n"
    )


def _table(table: Table) -> str:
    kinds = ["grad" if h.startswith(("∂C", "gradient")) else "value" if "value" in h else "" for h in table.head]
    head = "".join(f"<th>{escape(h)}</th>" for h in table.head)
    rows = "".join(
        "<tr>" + "".join(f'<td class="{k}">{escape(c)}</td>' for k, c in zip(kinds, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f"<table><caption>{escape(table.title)}</caption><tr>{head}</tr>{rows}</table>"
