"""The training report in a real browser: nothing fails, nothing is fetched, and it does what a click or key asks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from glassgrad import nn, optim
from glassgrad.train import Report, fit

HOSTILE = "</script><img src=x onerror=alert(1)><b>training"
rng = np.random.default_rng(0)
X, LABELS = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 2, 40)


def train(report: Report, epochs: int = 6) -> Report:
    fit(
        *(nn.MLP((3, 8, 6, 2), rng=0), nn.cross_entropy, (X, LABELS)),
        optimizer=optim.Adam(0.05),
        epochs=epochs,
        validation=0.25,
        metrics={"right": lambda out, y: (out.argmax(1) == y).mean()},
        callbacks=report,
    )
    return report


@pytest.fixture(scope="module")
def report() -> Report:
    made = Report(every=1, title=HOSTILE)
    made.findings = [{"problem": "dead units", "place": "hidden1", "evidence": "3 of 8 <b>", "remedy": "a lower rate"}]
    made.sections = [{"title": "held out", "note": "right: 9", "head": ["of", "rows"], "rows": [["all", 10]]}]
    return train(made)


@pytest.fixture
def page(report: Report, show: Any) -> Any:
    return show(report.html(), drawn="main", color_scheme="light")


PIXELS = """([title, name]) => {
  const chart = [...document.querySelectorAll(".chart")].find((c) => c.querySelector(".name").textContent === title);
  const canvas = chart.querySelector("canvas");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  const style = getComputedStyle(document.documentElement).getPropertyValue(name || "--x").trim();
  const wanted = name ? [1, 3, 5].map((i) => parseInt(style.slice(i, i + 2), 16)) : [];
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4)
    if (pixels[i + 3] === 255 && wanted.every((v, k) => v === pixels[i + k])) count++;
  return count;
}"""


def drawn(page: Any, title: str, colour: str = "") -> int:
    """Pixels of a chart that are opaque, and of the colour that a variable of the style says."""
    return int(page.evaluate(PIXELS, [title, colour]))


LAYERED = ("gradient", "update-to-weight ratio", "activations: mean", "activations: standard deviation")


def entry(page: Any, title: str, label: str) -> Any:
    charts = page.locator(".chart", has=page.get_by_text(title, exact=True))
    return charts.locator(".entry", has=page.get_by_text(label, exact=True))


def test_everything_is_on_the_page(page: Any, report: Report) -> None:
    assert page.title() == HOSTILE
    assert page.locator("h1").inner_text() == HOSTILE  # as text
    assert page.locator(".pill").inner_text() == "finished: 6 epochs"
    names = [
        "loss",
        "right",
        "gradient norm",
        "learning rate",
        *LAYERED,
        "saturated activations",
        "dead units",
    ]
    assert page.locator(".chart .name").all_inner_texts() == names
    for name in names:
        assert drawn(page, name) > 500, name
        last = "--line-3" if name in (*LAYERED, "saturated activations", "dead units") else "--line-1"
        assert drawn(page, name, last) > 20, name  # the line on top of the others
    layers = page.locator("#layers tbody tr")
    assert [row.split("\t")[0].strip() for row in layers.all_inner_texts()] == ["hidden1", "hidden2", "output"]
    assert "3 of 8 <b>" in page.locator(".finding").inner_text()
    assert "cross_entropy" in page.locator("#details").inner_text()
    assert page.locator("#details", has_text="right: 9").locator("td").last.inner_text() == "10"
    last = report.data()["history"]["validation_loss"][-1]
    assert entry(page, "loss", "validation loss").locator(".reading").inner_text() == f"{float(f'{last:.4g}'):g}"


def test_a_click_in_a_legend_hides_a_layer_everywhere(page: Any, report: Report) -> None:
    assert all(drawn(page, title, "--line-2") for title in LAYERED)
    entry(page, "gradient", "hidden2").click()
    assert [drawn(page, title, "--line-2") for title in LAYERED] == [0] * 4
    assert all(drawn(page, title, "--line-1") for title in LAYERED)
    assert entry(page, "dead units", "hidden2").get_attribute("aria-pressed") == "false"
    page.reload()
    assert drawn(page, "gradient", "--line-2") == 0  # the page remembers
    entry(page, "gradient", "hidden2").focus()
    page.keyboard.press("Enter")
    assert all(drawn(page, title, "--line-2") for title in LAYERED)
    entry(page, "gradient", "hidden2").click(modifiers=["Shift"])
    assert [drawn(page, "gradient", f"--line-{k}") > 0 for k in (1, 2, 3)] == [False, True, False]


def test_axes_and_themes_by_mouse_and_keyboard(page: Any, report: Report) -> None:
    button = page.locator(".chart", has=page.get_by_text("loss", exact=True)).first.locator(".scale")
    before = button.get_attribute("aria-pressed")
    button.click()
    assert button.get_attribute("aria-pressed") != before
    page.keyboard.press("l")
    assert set(page.locator(".scale").evaluate_all("all => all.map((b) => b.ariaPressed)")) == {"true"}
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.keyboard.press("d")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.wait_for_function("document.querySelector('iframe').contentDocument.documentElement.dataset.theme === 'dark'")
    assert drawn(page, "loss", "--line-1") > 20  # in the colours of the dark page
    page.locator(".theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_cursor_reads_every_chart_at_one_epoch(page: Any, report: Report) -> None:
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + box["height"] / 2)
    assert page.locator(".chart .at").first.inner_text() == "epoch 1"
    first = report.data()["history"]["right"][0]
    assert float(entry(page, "right", "right").locator(".reading").inner_text()) == pytest.approx(first, rel=1e-3)


def test_the_model_is_explained_inside(page: Any, report: Report) -> None:
    frame = page.frame_locator("iframe")
    frame.get_by_text("hidden1", exact=False).first.wait_for()
    assert frame.locator("noscript").count() == 1  # its script ran: the policy allows that one


def test_a_running_page_follows_and_keeps_what_was_chosen(show: Any) -> None:
    report = train(Report(every=1), epochs=2)
    report.state = "running"
    page = show(report.html(), drawn="main")
    assert page.locator(".pill").inner_text() == "running: epoch 2 of 2"
    entry(page, "gradient", "hidden1").click()
    path = Path(unquote(urlsplit(page.url).path))
    text = path.read_text()
    path.write_text(text.replace('"error":""', '"error":"the next one"'))
    page.wait_for_selector(".error", timeout=30_000)  # it loaded itself again
    assert entry(page, "gradient", "hidden1").get_attribute("aria-pressed") == "false"
    page.keyboard.press("p")
    path.write_text(text)
    page.wait_for_timeout(6_000)
    assert page.locator(".error").count() == 1
    assert page.locator(".live").inner_text() == "follow"


def test_numbers_that_are_not_finite_leave_gaps(show: Any) -> None:
    report = train(Report(every=1), epochs=3)
    for column in (report._training.history.loss, report._training.history.gradient_norm):
        column[1:] = [float("nan"), float("inf")]
    report.state, report.error = "failed", "the loss became nan"
    page = show(report.html(), drawn="main")
    assert page.locator(".pill").inner_text() == "failed after epoch 3 of 3"
    assert page.locator(".error").inner_text() == "the loss became nan"
    assert entry(page, "loss", "loss").locator(".reading").inner_text() == "–"


def test_before_the_first_epoch(show: Any) -> None:
    pages = []

    class First(Report):
        def on_start(self, training: Any) -> None:
            super().on_start(training)
            pages.append(self.html())

    train(First())
    page = show(pages[0], drawn="main")
    page.keyboard.press("p")
    assert page.locator(".pill").inner_text() == "running: epoch 0 of 6"
    assert drawn(page, "gradient", "--line-1") > 5  # points of epoch 0
    assert json.loads(page.locator("#data").text_content())["measured"] == [0]
