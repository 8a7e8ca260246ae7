"""What Python writes: one page, which nothing in the data can break out of."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.inspect.page import page
from tests.viewer.graphs import few, two_thousand

HOSTILE = "</script><!-- <script>alert(1)</script> \u2028 'é\" & \\"


def data(text: str) -> Any:
    return json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[0])


@pytest.mark.parametrize("entry", ["explain", "report"])
def test_the_policy_allows_nothing_but_the_script_inside(entry: str) -> None:
    text = page("title", entry, {"a": 1})
    policy = html.unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0])
    script = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
    ]
    assert not re.findall(r"""(?:src|href)=["'](?!data:)|@import|url\((?!["']?(?:data:|#))""", text.replace(script, ""))
    assert len(text) < 600_000


def test_data_cannot_leave_its_element() -> None:
    text = page(HOSTILE, "report", {HOSTILE: [HOSTILE, None, True, -1.5e300]})
    assert data(text) == {HOSTILE: [HOSTILE, None, True, -1.5e300]}
    assert text.count("<script") == 2 and text.count("</script") == 2 and "<!-- <" not in text
    assert f"<title>{html.escape(HOSTILE)}</title>" in text


def test_half_a_character_is_replaced() -> None:
    assert data(page("t", "report", ["\ud800"])) == ["?"]


def test_numbers_that_json_has_not_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        page("t", "report", [float("nan")])


def test_to_html_writes_what_it_returns(tmp_path: Path) -> None:
    e = few()
    text = e.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    assert data(text) == json.loads(json.dumps(e.to_dict()))


def test_a_notebook_gets_the_page_in_a_frame() -> None:
    e = few()
    shown = e._repr_html_()
    assert html.unescape(re.findall(r'srcdoc="([^"]*)"', shown)[0]) == e.to_html()
    assert 'sandbox="allow-scripts"' in shown and re.search(r"height: \d{3}px", shown)


def test_a_notebook_is_not_filled_by_a_huge_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glassgrad.inspect.page.LARGEST", 1000)
    shown = few()._repr_html_()
    assert len(shown) < 3000 and "iframe" not in shown and "z - y" in shown and "to_html" in shown


def test_two_thousand_nodes_are_a_few_megabytes() -> None:
    assert len(two_thousand()) < 5e6


def test_large_arrays_are_summaries() -> None:
    e = gg.explain(lambda x: (x**2).sum(), np.zeros((1000, 1000)))
    assert len(e.to_html()) < len(few().to_html()) + 30_000


def test_the_widget_renders_the_page() -> None:
    pytest.importorskip("anywidget")
    e = few()
    made = e.widget()
    assert made.page == e.to_html() and "srcdoc" in made._esm


def test_a_widget_without_anywidget_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(gg.errors.MissingExtraError, match=r"glassgrad\[notebook\]"):
        few().widget()
