"""Outcomes as tables: plain text for a terminal, Markdown for a page."""

from __future__ import annotations

from rows import OURS, Outcome
from targets import Target

UNITS = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")),
    "B": ((2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
}
NOISY = 0.2  # half the distance between the quartiles over the median


def quantity(value: float, unit: str) -> str:
    """Three digits in the unit that suits: 0.0000123 s -> 12.3 µs."""
    scale, name = next((s for s in UNITS[unit] if abs(value) >= s[0]), UNITS[unit][-1])
    return f"{three_digits(value / scale)} {name}"


def three_digits(value: float) -> str:
    """1234.5 -> 1234, 123.45 -> 123, 12.345 -> 12.3, 1.2345 -> 1.23"""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2}f}"


def bound(target: Target, unit: str) -> str:
    name = "" if target.figure in ("ratio", "ours") else f" {target.figure}"
    value = quantity(target.bound, unit) if target.figure == "ours" else f"{target.bound:g}"
    return f"{'≥' if target.at_least else '≤'} {value}{name}"


def verdict(outcome: Outcome) -> str:
    return {True: "met", False: "missed", None: ""}[outcome.met]


def cells(outcomes: list[Outcome]) -> list[list[str]]:
    """A table with its heading: contenders, best peer ÷ ours, target, and the figures and constants some rows have."""
    contenders = _in_order([name for o in outcomes for name in (*o.values, *o.failed)])
    figures = _in_order([name for o in outcomes for name in o.figures])
    constants = _in_order([name for o in outcomes for name in o.constants])
    compared = any(o.ratio is not None or o.targets for o in outcomes)
    heading = ["", *contenders, *(["best peer ÷ ours", "target", ""] if compared else []), *figures, *constants]
    rows = []
    for o in outcomes:
        row = [o.name, *(_value(o, name) for name in contenders)]
        if compared:
            ratio = "" if o.ratio is None else three_digits(o.ratio)
            row += [ratio, " or ".join(bound(t, o.unit) for t in o.targets), verdict(o)]
        row += [three_digits(o.figures[f]) if f in o.figures else "" for f in figures]
        row += [quantity(o.constants[c], o.unit) if c in o.constants else "" for c in constants]
        rows.append(row)
    return [heading, *rows]


def _value(outcome: Outcome, name: str) -> str:
    if name in outcome.values:
        return quantity(outcome.values[name], outcome.unit)
    return "failed" if name in outcome.failed else ""


def _in_order(names: list[str]) -> list[str]:
    """Each once, ours first."""
    once = list(dict.fromkeys(names))
    return sorted(once, key=lambda name: name != OURS)


def text(outcomes: list[Outcome]) -> str:
    """Columns padded to their width: the first to the left, the others to the right; then the notes."""
    table = cells(outcomes)
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    lines = []
    for name, *others in table:
        padded = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *padded]).rstrip())
    return "\n".join([*lines, *notes(outcomes)])


def markdown(outcomes: list[Outcome]) -> str:
    heading, *rows = cells(outcomes)
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *rows))


def notes(outcomes: list[Outcome]) -> list[str]:
    """Reasons of failure, and contenders whose times lie so far apart that the medians say little."""
    said = [f"{o.name}: {who}: {why}" for o in outcomes for who, why in o.failed.items()]
    for o in outcomes:
        noisy = [f"{who} ±{spread:.0%}" for who, spread in o.spread.items() if spread > NOISY]
        said += [f"{o.name}: uncertain: {', '.join(noisy)}"] if noisy else []
    return said
