"""The page that ``--report`` writes: one HTML file with everything in it, curves as SVG."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from ..train.files import write_whole
from ..train.tabular import Trained
from .evaluate import details

MARK = "<!-- glassgrad report -->"
WIDTH, HEIGHT, EDGE = 640, 240, 48
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
pre { background: #f6f8fa; padding: 1rem; overflow-x: auto; font-size: 12px }
body { color: #1f2328 } td { padding: 0 1rem 0 0 }
svg { width: 100%; height: auto } svg text { font: 11px system-ui, sans-serif; fill: #59636e }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3 } pre { background: #151b23 } }"""


def write_report(path: str, trained: Trained, source: str) -> None:
    """Write the page."""
    history = trained.history.to_dict()
    epochs = history["epoch"]
    losses: dict[str, list[float]] = {n: v for n, v in history.items() if n in ("loss", "validation_loss")}
    panels: list[tuple[str, dict[str, list[float]], bool]] = [("loss", losses, True)]
    panels += [(name, {name: values}, False) for name, values in trained.history.metrics.items()]
    panels += [("length of the gradient", {"gradient norm": history["gradient_norm"]}, True)]
    rows = {**trained.model.training, **trained.plan.to_dict()}
    facts = "".join(f"<tr><td>{_text(k)}<td>{_text(v)}" for k, v in rows.items() if not isinstance(v, dict))
    page = f"""<!doctype html>
<html lang="en">
{MARK}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{_text(source)}: training</title>
<style>{STYLE}</style>
<h1>{_text(source)}</h1>
<p>{_text(trained.model.model)}</p>
<p>On held-out rows: {_text(trained.score)}</p>
{"".join(f"<h2>{_text(title)}</h2>{curves(epochs, lines, log)}" for title, lines, log in panels if epochs)}
<h2>held-out rows</h2><pre>{_text(details(trained.model.encoder.classes, trained.score))}</pre>
<h2>layers</h2><pre>{_text(trained.layers)}</pre>
<h2>columns</h2><pre>{_text(trained.model.encoder.describe())}</pre>
<h2>settings</h2><table>{facts}</table>
</html>
"""
    write_whole(path, page.encode(), DataError)


def is_report(path: Path) -> bool:
    """Whether a file is such a page, which may be replaced."""
    with path.open("rb") as stream:
        return MARK.encode() in stream.read(200)


def curves(epochs: Sequence[int], lines: Mapping[str, Sequence[float]], log: bool) -> str:
    """Lines over epochs as SVG, on a logarithmic axis if all values allow it.

    >>> curves([1, 2], {"loss": [1.0, 0.1]}, log=True).count("<polyline")
    1
    """
    every = [value for values in lines.values() for value in values]
    log = log and min(every) > 0
    height = math.log10 if log else float
    low, high = height(min(every)), height(max(every))
    span, right = high - low or 1.0, max(epochs[-1] - epochs[0], 1)

    def place(epoch: float, value: float) -> str:
        x = EDGE + (epoch - epochs[0]) / right * (WIDTH - 2 * EDGE)
        return f"{x:.1f},{HEIGHT - EDGE / 2 - (height(value) - low) / span * (HEIGHT - EDGE):.1f}"

    parts = []
    for i, (name, values) in enumerate(lines.items()):
        points = " ".join(place(epoch, value) for epoch, value in zip(epochs, values, strict=True))
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        label = f"{name.replace('_', ' ')}: {values[-1]:.4g}"
        where = f'x="{WIDTH - EDGE}" y="{14 + 14 * i}" text-anchor="end"'
        parts.append(f'<text {where} style="fill: {colour}">{_text(label)}</text>')
    for value in (min(every), max(every)):
        y = place(epochs[0], value).partition(",")[2]
        parts.append(f'<text x="{EDGE - 4}" y="{y}" text-anchor="end">{value:.3g}</text>')
    parts.append(f'<text x="{WIDTH - EDGE}" y="{HEIGHT - 6}" text-anchor="end">epoch {epochs[-1]}</text>')
    axes = f"M{EDGE} {EDGE / 2}V{HEIGHT - EDGE / 2}H{WIDTH - EDGE}"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}"><path d="{axes}" fill="none" stroke="#8b949e"/>{"".join(parts)}</svg>'


def _text(value: object) -> str:
    return html.escape(str(value))
