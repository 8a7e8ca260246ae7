"""The page of an explanation in a browser: seen, stepped through, clicked and typed at."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from tests.viewer.graphs import deep, few, sixty, two_thousand

CURRENT = ".at-value, .at-grad"


def box(page: Any, name: str) -> Any:
    return page.locator(".box", has=page.locator("b", has_text=re.compile(f"^{re.escape(name)}$")))


def number(page: Any, name: str, kind: str) -> str:
    """What a box shows as its value or gradient: nothing while that is not known."""
    return str(box(page, name).locator(f".{kind} .number").inner_text())


def known(page: Any) -> tuple[set[str], set[str]]:
    """The names of boxes that show a value, a gradient."""
    found = page.evaluate(
        """() => ["value", "grad"].map(kind => [...document.querySelectorAll(`.cell.${kind}.known .number:not(.none)`)]
            .map(cell => cell.closest(".box").querySelector("b").textContent))"""
    )
    return set(found[0]), set(found[1])


def where(page: Any) -> tuple[int, int]:
    at, last = re.findall(r"(\d+) / (\d+)", page.locator(".said").inner_text())[0]
    return int(at), int(last)


def theme(page: Any) -> str:
    return str(page.evaluate("document.documentElement.dataset.theme"))


class TestFewNodes:
    def test_values_and_gradients_stand_on_the_boxes(self, show: Any) -> None:
        page = show(few().to_html())
        expected = {"w": (3, -12), "x": (2, -18), "b": (1, -6), "y": (10, 6), "z": (7, -6), "power": (9, 1)}
        for name, (value, grad) in expected.items():
            assert (number(page, name, "value"), number(page, name, "grad")) == (str(value), str(grad))
        assert page.locator("h1").inner_text() == "power = 9"

    def test_inputs_lie_above_and_the_output_below(self, show: Any) -> None:
        page = show(few().to_html())
        top = {name: box(page, name).bounding_box()["y"] for name in ("w", "mul", "z", "sub", "power")}
        assert list(top.values()) == sorted(top.values()) and len(set(top.values())) == 5

    def test_the_walk_goes_forward_and_then_back_in_the_order_of_the_engine(self, show: Any) -> None:
        e = few()
        page = show(e.to_html())
        page.keyboard.press("Home")
        leaves = {"w", "x", "b", "y"}
        values, grads = set(leaves), set()
        assert known(page) == (values, grads)
        order = [n.name for n in e.computed], [e.names[node] for node in e.record.order]
        for kind, names in zip(("value", "grad"), order, strict=True):
            for name in names:
                page.keyboard.press("n")
                (values if kind == "value" else grads).add(name)
                assert known(page) == (values, grads)
                shown = float(number(page, name, kind))
                assert shown == pytest.approx(float(getattr(e[name], kind)))
                assert page.locator(CURRENT).get_attribute("class").count(f"at-{kind}") == 1
                assert page.locator(CURRENT).locator("b").inner_text() == name
                carrying = len(e[name].node.inputs) - (name == "power") if kind == "value" else len(e[name].users)
                assert page.locator(f".edge.carries.{kind}").count() == carrying
        assert where(page) == (12, 12)
        page.keyboard.press("p")
        assert number(page, "w", "grad") == "" and number(page, "x", "grad") == "-18"

    def test_buttons_and_slider_walk_too(self, show: Any) -> None:
        page = show(few().to_html())
        page.get_by_role("button", name="To the start").click()
        assert where(page) == (0, 12)
        page.get_by_role("button", name="Step (n)").click()
        assert where(page) == (1, 12)
        page.get_by_role("slider").fill("7")
        assert where(page) == (7, 12) and page.locator(".said").inner_text().startswith("↑ backward")
        page.get_by_role("button", name="Step back").click()
        assert where(page) == (6, 12)
        page.get_by_role("button", name="To the end").click()
        assert where(page) == (12, 12)

    def test_playing_runs_to_the_end_and_stops(self, show: Any) -> None:
        page = show(few().to_html())
        page.get_by_role("slider").fill("10")
        page.keyboard.press(" ")
        page.get_by_role("button", name="Pause").wait_for()
        page.get_by_role("button", name="Play").wait_for()
        assert where(page) == (12, 12)

    def test_a_click_selects(self, show: Any) -> None:
        page = show(few().to_html())
        box(page, "z").click()
        assert page.locator(".box.selected b").inner_text() == "z"
        assert "z" in page.locator(".panel").inner_text()

    def test_arrows_go_along_lines(self, show: Any) -> None:
        page = show(few().to_html())
        box(page, "z").click()
        selected = page.locator(".box.selected b")
        for key, names in [
            ("ArrowUp", "mul b"),
            ("ArrowDown", "z"),
            ("ArrowUp", "mul b"),
            ("ArrowDown", "z"),
            ("ArrowDown", "sub"),
        ]:
            page.keyboard.press(key)
            assert selected.inner_text() in names.split(), key
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowLeft" if selected.inner_text() == "mul" else "ArrowRight")
        assert selected.inner_text() in ("mul", "b", "w", "x")
        box(page, "sub").click()
        assert page.evaluate("document.activeElement.querySelector('b').textContent") == "sub"
        label = page.locator(".box.selected").get_attribute("aria-label")
        assert label == "sub = z - y, value -3, gradient -6"

    def test_zoom_and_pan(self, show: Any) -> None:
        page = show(few().to_html(), reduced_motion="reduce")
        width = lambda: box(page, "z").bounding_box()["width"]
        before = width()
        page.keyboard.press("-")
        assert width() == pytest.approx(before / 1.25, rel=1e-3)
        page.keyboard.press("+")
        page.keyboard.press("+")
        assert width() == pytest.approx(before * 1.25, rel=1e-3)
        page.keyboard.press("0")
        assert width() == pytest.approx(before, rel=1e-3)
        at = box(page, "z").bounding_box()
        page.mouse.move(at["x"] + 20, at["y"] + 20)
        page.mouse.wheel(0, -100)
        page.wait_for_function(f"document.querySelectorAll('.box')[5].getBoundingClientRect().width > {before * 1.1}")
        left = box(page, "z").bounding_box()["x"]
        page.mouse.move(100, 400)
        page.mouse.down()
        page.mouse.move(160, 430, steps=4)
        page.mouse.up()
        assert box(page, "z").bounding_box()["x"] == pytest.approx(left + 60, abs=1)

    def test_dark_and_light(self, show: Any) -> None:
        page = show(few().to_html())
        assert theme(page) == "light"
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.keyboard.press("d")
        assert theme(page) == "dark" and page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        page.get_by_role("button", name="Dark or light").click()
        assert theme(page) == "light"
        assert theme(show(few().to_html(), color_scheme="dark")) == "dark"

    def test_help_lists_the_keys(self, show: Any) -> None:
        page = show(few().to_html())
        page.keyboard.press("?")
        assert page.locator("dialog[open] tr").count() > 10
        page.keyboard.press("Escape")
        assert page.locator("dialog[open]").count() == 0

    def test_nothing_moves_for_who_wants_no_motion(self, show: Any) -> None:
        for motion, animation in (("reduce", "none"), ("no-preference", "flow")):
            page = show(few().to_html(), reduced_motion=motion)
            page.keyboard.press("p")
            assert page.evaluate("getComputedStyle(document.querySelector('.carries')).animationName") == animation

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_values_are_blue_and_gradients_orange(self, show: Any, scheme: str) -> None:
        image = pytest.importorskip("PIL.Image")
        page = show(few().to_html(), color_scheme=scheme)
        colours = []
        for kind in ("value", "grad"):
            text = page.evaluate(f"getComputedStyle(document.querySelector('.cell.{kind}')).color")
            colours.append([int(c) for c in re.findall(r"\d+", text)[:3]])
        (r, _, b), (r2, g2, b2) = colours
        assert b > r + 60 and r2 > b2 + 60 and r2 > g2
        seen = np.asarray(image.open(io.BytesIO(page.locator(".stage").screenshot())).convert("RGB")).astype(int)
        for colour in colours:
            assert (np.abs(seen - colour).max(axis=2) < 24).sum() > 40
        assert len(np.unique(seen.reshape(-1, 3), axis=0)) > 20


class TestSixtyNodes:
    def test_every_number_is_the_engines(self, show: Any) -> None:
        e = sixty()
        page = show(e.to_html())
        assert page.locator(".box").count() == sum(n.op != "constant" for n in e.nodes) > 50
        shown = page.evaluate(
            """() => [...document.querySelectorAll(".box")].map(box => [
                box.querySelector("b").textContent, ...[...box.querySelectorAll(".number")].map(n => n.textContent)])"""
        )
        for name, value, grad in shown:
            assert float(value) == pytest.approx(float(e[name].value), rel=1e-3)
            assert float(grad) == pytest.approx(float(e[name].grad), rel=1e-3)

    def test_boxes_do_not_overlap(self, show: Any) -> None:
        page = show(sixty().to_html())
        boxes = page.evaluate(
            """() => [...document.querySelectorAll(".box")].map(b => b.getBoundingClientRect())
                .map(r => [r.left, r.top, r.right, r.bottom])"""
        )
        for k, a in enumerate(boxes):
            for b in boxes[:k]:
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]

    def test_search_goes_through_the_hits(self, show: Any) -> None:
        e = sixty()
        page = show(e.to_html())
        page.keyboard.press("/")
        page.keyboard.type("tanh(add")
        assert page.locator(".count").inner_text() == "5 found" and page.locator(".box.hit").count() == 5
        seen = []
        for _ in range(6):
            page.keyboard.press("Enter")
            seen.append(page.locator(".box.selected b").inner_text())
        assert seen[0] == seen[5] and {e[name].op for name in seen} == {"tanh"} and len(set(seen)) == 5
        page.keyboard.press("Shift+Enter")
        assert page.locator(".box.selected b").inner_text() == seen[4]
        page.keyboard.press("Escape")
        page.keyboard.press("n")  # a key again, no letter
        assert page.get_by_role("searchbox").input_value() == ""


class TestTwoThousandNodes:
    def test_groups_open_and_close(self, show: Any) -> None:
        page = show(two_thousand())
        before = page.locator(".box").count()
        assert before < 60
        first = page.locator(".box.group").first
        name = first.locator("b").inner_text()
        first.click()
        page.keyboard.press("Enter")
        assert page.locator(".box").count() > before
        frame = page.locator(".frame button", has_text=name)
        assert frame.count() == 1
        page.keyboard.press("e")  # the selected box, a layer, opens
        page.locator(".box.op.selected").wait_for()
        page.keyboard.press("e")
        page.locator(".box.group.selected").wait_for()
        frame.click()
        assert page.locator(".box").count() == before

    def test_at_most_three_hundred_boxes(self, show: Any) -> None:
        page = show(two_thousand())
        page.get_by_role("button", name="Open all").click()
        assert 200 < page.locator(".box").count() <= 300
        assert "at most 300 boxes" in page.locator(".toast").inner_text()
        for layer in (40, 150, 270):
            page.get_by_role("searchbox").fill(f"layer{layer}/z")
            page.keyboard.press("Enter")
            label = page.locator(".box.selected").get_attribute("aria-label")
            assert label.startswith(f"layer{layer}/z = ")
            assert page.locator(".box").count() <= 300

    def test_a_step_inside_a_closed_group_marks_the_group(self, show: Any) -> None:
        page = show(two_thousand())
        page.keyboard.press("Home")
        page.keyboard.press("n")
        assert page.locator(".box.group.at-value").count() == 1
        assert where(page)[0] == 1


def test_scopes_within_scopes_stay_within_three_hundred_boxes(show: Any) -> None:
    def nested(x: Any, depth: int) -> Any:
        if depth == 0:
            return x
        with gg.scope(f"s{depth}"):
            for _ in range(60):
                x = gnp.sin(x)
            return nested(x, depth - 1)

    e = gg.explain(lambda x: nested(x, 8), 1.0)
    page = show(e.to_html())
    assert page.locator(".box").count() <= 300
    page.get_by_role("searchbox").fill(e.nodes[-7].name)
    page.keyboard.press("Enter")
    assert page.locator(".box.op.selected").get_attribute("aria-label").startswith(e.nodes[-7].name)
    assert page.locator(".box").count() <= 300


def test_infinities_and_nan_are_marked(show: Any) -> None:
    def f(x: Any) -> Any:
        return gnp.log(x) * 0.0 + gnp.sqrt(x - 1.0)

    with np.errstate(all="ignore"):
        page = show(gg.explain(f, 0.0).to_html())
    assert number(page, "log", "value") == "-inf" and number(page, "sqrt", "value") == "nan"
    assert page.locator(".cell.value.bad").count() == 4


def test_names_are_only_text(show: Any) -> None:
    name = "</script><script>alert(1)</script>"
    other = "'\"><img src=x onerror=alert(2)>"

    def f(p: Any) -> Any:
        with gg.scope("<b onclick=alert(3)>"):
            a = gg.name(p[name] * p[other], "<i>é 漢 &amp;</i>")
        return gg.name(a * 2.0, "__proto__")

    page = show(gg.explain(f, {name: 2.0, other: 3.0}).to_html())
    assert {name, "<i>é 漢 &amp;</i>", "__proto__"} <= set(page.locator(".box b").all_inner_texts())
    assert page.locator("img, .stage i:not([aria-hidden]), [onclick]").count() == 0


def test_a_notebook_shows_it_in_a_frame(show: Any) -> None:
    page = show(f"<!DOCTYPE html><body>{few()._repr_html_()}</body>", drawn="iframe")
    inside = page.frame_locator("iframe")
    inside.locator(".box").first.wait_for()
    assert inside.locator(".box").count() == 8


def test_the_window_may_be_narrow(show: Any) -> None:
    page = show(few().to_html())
    page.set_viewport_size({"width": 420, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    stage, panel = (page.locator(part).bounding_box() for part in (".stage", ".panel"))
    assert panel["y"] >= stage["y"] + stage["height"] - 1 and stage["height"] > 150


def layers(count: int) -> Any:
    """Layers that are called alike, so that names have numbers."""

    def network(p: Any, x: Any) -> Any:
        for W, b in p:
            x = gnp.tanh(x @ W + b)
        return ((x - 1.0) ** 2).sum()

    rng = np.random.default_rng(0)
    return gg.explain(network, [(rng.normal(size=(3, 3)), rng.normal(size=3)) for _ in range(count)], np.ones((2, 3)))


class TestTenLayers:
    def test_a_query_starts_at_its_best_hit_whatever_is_selected(self, show: Any) -> None:
        page = show(layers(10).to_html())
        for query in ("matmul#2", "x#1", "x#1 ", "matmul#2"):
            page.get_by_role("searchbox").fill(query)
            page.keyboard.press("Enter")
            assert page.locator(".box.selected b").inner_text() == query.strip()
            assert page.locator(".count").inner_text().startswith("1 of ")
        page.get_by_role("searchbox").fill("x#1")
        page.keyboard.press("Shift+Enter")
        at, of = page.locator(".count").inner_text().split(" of ")
        assert at == of != "1"

    def test_what_tab_comes_to_is_in_view_and_nothing_scrolls(self, show: Any) -> None:
        page = show(layers(10).to_html(), reduced_motion="reduce")
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('.box')"):
                break
        stage, at = page.locator(".stage").bounding_box(), page.locator(".box:focus").bounding_box()
        assert stage["y"] <= at["y"] and at["y"] + at["height"] <= stage["y"] + stage["height"]
        scrolled = "[...document.querySelectorAll('html, body, .app, .stage')].map(e => e.scrollTop)"
        assert page.evaluate(scrolled) == [0, 0, 0, 0]
        assert page.locator(".minimap").is_visible()
        map_at = page.locator(".minimap").bounding_box()
        assert stage["y"] <= map_at["y"] <= stage["y"] + stage["height"]

    def test_the_keys_of_groups_do_what_the_help_says(self, show: Any) -> None:
        page = show(deep(16).to_html())
        page.keyboard.press("?")
        said = dict(row.split("\t") for row in page.locator("dialog tr").all_inner_texts())
        assert said["Enter"] == "open the group" and "close" in said["e"]
        page.keyboard.press("Escape")
        before = page.locator(".box").count()
        page.locator(".box.group").first.click()
        page.keyboard.press("Enter")
        opened = page.locator(".box").count()
        assert opened > before
        page.keyboard.press("Enter")
        assert page.locator(".box").count() == opened
        page.keyboard.press("e")
        assert page.locator(".box").count() == before


@pytest.mark.parametrize("width", [1280, 900])
def test_the_first_view_is_as_wide_as_the_drawing(show: Any, width: int) -> None:
    rng = np.random.default_rng(0)
    parts = {f"part{k}": rng.normal(size=(3, 3)) for k in range(6)}

    def wide(p: Any) -> Any:
        total = 0.0
        for k in range(6):
            with gg.scope(f"branch{k}"):
                total = total + gnp.tanh(p[f"part{k}"] * 2.0 + 1.0).sum()
        return total

    page = show(gg.explain(wide, parts).to_html(), drawn="")
    page.set_viewport_size({"width": width, "height": 700})
    page.reload()
    page.wait_for_selector(".box")
    stage = page.locator(".stage").bounding_box()
    for shown in page.locator(".box, .frame button").all():
        at = shown.bounding_box()
        assert stage["x"] <= at["x"] and at["x"] + at["width"] <= stage["x"] + stage["width"]


def test_minus_zero_is_written_out_in_the_panel(show: Any) -> None:
    page = show(gg.explain(lambda x: x * 1.0, -0.0).to_html())
    box(page, "x").click()
    assert page.locator(".panel .of-value .number").inner_text() == "-0"


def test_tables_of_long_names_end_inside_the_panel(show: Any) -> None:
    names = [f"a_very_long_name_of_a_parameter_that_goes_on_{k}" for k in range(3)]

    def product(p: Any) -> Any:
        result_that_has_a_long_name_as_well = p[names[0]] * p[names[1]] * 123456.789
        return gnp.tanh(result_that_has_a_long_name_as_well) + p[names[2]]

    page = show(gg.explain(product, dict.fromkeys(names, 0.123456789)).to_html())
    page.get_by_role("button", name="The whole").click()
    for table in page.locator(".panel .scroll").all():
        assert table.evaluate("e => e.scrollWidth - e.clientWidth") <= 0, table.inner_text()
