"""One self-contained page of HTML: a bundle built from ``viewer/``, and the data that it shows."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from . import formula

if TYPE_CHECKING:
    from .explanation import Explanation

NUMBERS = 30_000  # numbers written out in a page, about; arrays beyond are summaries
HEIGHT = 640  # of the frame in a notebook, in pixels
LARGEST = 8_000_000  # letters of a page that a notebook keeps
RENDER = """export default {
  render({ model, el }) {
    const frame = document.createElement("iframe");
    frame.sandbox = "allow-scripts";
    frame.title = "explanation";
    frame.style = `width: 100%; height: ${model.get("height")}px; border: 0`;
    frame.srcdoc = model.get("page");
    el.append(frame);
  },
};"""


def page(title: str, entry: str, data: Any, frames: tuple[str, ...] = ()) -> str:
    """A page that needs no network and may use none.

    Parameters
    ----------
    title : of the page; any text
    entry : which page, "explain" or "report"
    data : what it shows: dicts, lists, strings, booleans, None and finite numbers
    frames : entries of pages that this one shows in a frame, whose scripts it has to allow

    Raises
    ------
    ValueError
        if a number is NaN or infinite, which JSON does not have.

    Examples
    --------
    >>> text = page("A <title>", "explain", {"name": "</script>"})
    >>> "<title>A &lt;title&gt;</title>" in text, '{"name":"\\\\u003c/script>"}' in text
    (True, True)
    """
    script, style = _bundle(entry)
    scripts = " ".join(_digest(text) for text in (script, *(_bundle(name)[0] for name in frames)))
    policy = f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; font-src data:"
    written = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    text = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n"
        "<body><noscript>This page is drawn by a script, which is inside it: allow scripts to see it.</noscript>\n"
        f'<script type="application/json" id="data">{written}</script>\n<script>{script}</script></body></html>\n'
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # names may hold half a character


@cache
def _bundle(entry: str) -> tuple[str, str]:
    folder = files(__package__) / "bundle"
    script, style = ((folder / f"{entry}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return script, style


def _digest(script: str) -> str:
    """What a content-security policy calls a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def viewer(explanation: Explanation) -> str:
    """The page of an explanation."""
    elements = min(64, max(formula.FEW, NUMBERS // len(explanation.nodes)))
    return page(f"value {formula.number(explanation.value)}", "explain", explanation.to_dict(elements))


def frame(explanation: Explanation) -> str:
    """The page inside another, as notebooks show it; tables in place of one that is too large to be kept there."""
    text = viewer(explanation)
    if len(text) > LARGEST:
        return f'<pre>{escape(explanation.table())}</pre><p>To step through it: <code>to_html("page.html")</code></p>'
    return (
        f'<iframe srcdoc="{escape(text)}" sandbox="allow-scripts" title="explanation" '
        f'style="width: 100%; height: {HEIGHT}px; border: 0"></iframe>'
    )


def widget(explanation: Explanation) -> Any:
    """The page as an anywidget.

    Raises
    ------
    MissingExtraError
        if anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise MissingExtraError("widget: anywidget is not installed; pip install 'glassgrad[notebook]'") from None

    class Viewer(anywidget.AnyWidget):
        _esm = RENDER
        page = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int(HEIGHT).tag(sync=True)

    return Viewer(page=viewer(explanation))
