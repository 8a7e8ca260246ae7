"""The panel of the viewer, read in a real browser: what it shows are the numbers of the engine, to the digits shown."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp
from glassgrad.inspect.chain import MACROS
from glassgrad.inspect.plain import array


class Panel:
    """A page whose panel is read."""

    def __init__(self, show: Any, explanation: gg.Explanation) -> None:
        self.explanation = explanation
        self.page = show(explanation.to_html(), ".panel article")

    def show(self, name: str) -> Any:
        """The article about a node."""
        self.select([n.name for n in self.explanation.nodes].index(name))
        article = self.page.locator(".panel article")
        assert article.locator("h2 .name").inner_text() == name
        return article

    def select(self, number: int) -> None:
        self.page.locator(".panel").evaluate(
            "(at, detail) => at.dispatchEvent(new CustomEvent('glassgrad:select', { detail, bubbles: true }))", number
        )

    def step(self, at: int) -> None:
        self.page.locator("input.slider").evaluate(
            "(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input')) }", at
        )

    def whole(self) -> Any:
        self.page.get_by_role("button", name="The whole").click()
        return self.page.locator(".panel article")


@pytest.fixture
def panel(show: Any) -> Any:
    return lambda function, *args: Panel(show, gg.explain(function, *args))


def section(article: Any, title: str) -> Any:
    return article.locator("details.part").filter(has=article.page.locator(f"summary:text-is('{title}')"))


def numbers(part: Any) -> list[float]:
    """The numbers of a table, or the single number."""
    return [float(t) for t in part.locator(".numbers td, .number").all_inner_texts()]


def typeset(part: Any) -> str:
    """The source of the mathematics, which KaTeX keeps beside it."""
    text = "\n".join(part.locator("annotation").all_text_contents())
    for written, short in MACROS.items():
        text = text.replace(short, written)
    return text


def five(value: Any) -> list[float]:
    """To the digits that tables show."""
    return [float(f"{v:.5g}") for v in np.ravel(value)]


def circuit(x: Any, y: Any, z: Any) -> Any:
    q = x + y
    f = q * z
    return f


def network(p: Any, x: Any, y: Any) -> Any:
    z1 = p["W1"] @ x + p["b1"]
    a1 = nn.sigmoid(z1)
    z2 = p["W2"] @ a1 + p["b2"]
    a2 = nn.sigmoid(z2)
    C = ((a2 - y) ** 2).sum() / 2
    return C


P = {
    "W1": np.array([[0.15, 0.2], [0.25, 0.3]]),
    "b1": np.array([0.35, 0.35]),
    "W2": np.array([[0.4, 0.45], [0.5, 0.55]]),
    "b2": np.array([0.6, 0.6]),
}
X, Y = np.array([0.05, 0.1]), np.array([0.01, 0.99])


class TestNumbers:
    def test_sum_times(self, panel: Any) -> None:
        """Stanford's CS231n draws this circuit with -4, -4 and 3 on its wires."""
        p = panel(circuit, -2.0, 5.0, -4.0)
        drawn = {"x": (-2, -4), "y": (5, -4), "z": (-4, 3), "q": (3, -4), "f": (-12, 1)}
        for name, (value, grad) in drawn.items():
            article = p.show(name)
            assert numbers(section(article, "Value")) == [value]
            assert numbers(section(article, "Gradient")) == [grad]
        chain = typeset(section(p.show("q"), "Gradient"))
        assert r"\V{\frac{\partial f}{\partial q}}" in chain
        assert r"\G{1} \cdot \V{(-4)} = \G{-4}" in chain
        assert typeset(section(p.show("f"), "Local derivatives")).splitlines() == [
            r"\frac{\partial f}{\partial q} = z",
            r"\frac{\partial f}{\partial z} = q",
        ]

    def test_network_worked_by_hand(self, panel: Any) -> None:
        """Two inputs, two hidden units, two outputs, as in many introductions, which print these figures."""
        p = panel(network, P, X, Y)
        printed = {"a1": [0.59327, 0.59688], "a2": [0.75137, 0.77293]}
        for name, figures in printed.items():
            assert numbers(section(p.show(name), "Value")) == pytest.approx(figures, abs=1e-5)
        w5 = 0.082167041  # of the weight from the first hidden unit to the first output
        assert numbers(section(p.show("W2"), "Gradient"))[0] == pytest.approx(w5, abs=1e-6)
        assert numbers(section(p.show("W1"), "Gradient"))[0] == pytest.approx(0.000438568, abs=1e-8)

    def test_all_equal_the_engine(self, panel: Any) -> None:
        p = panel(network, P, X, Y)
        for node in p.explanation.computed:
            article = p.show(node.name)
            assert numbers(section(article, "Value")) == pytest.approx(five(node.value), rel=6e-5)
            assert numbers(section(article, "Gradient")) == pytest.approx(five(node.grad), rel=6e-5)
            assert article.locator(".source code").inner_text() == node.source
            assert article.locator(".source figcaption").inner_text() == node.line.rpartition("/")[2]

    def test_chain_of_a_matrix_is_an_outer_product(self, panel: Any) -> None:
        p = panel(network, P, X, Y)
        chain = typeset(section(p.show("W2"), "Gradient"))
        assert r"\, \V{a_{1}}^\top" in chain
        assert r"\G{\begin{bmatrix} 0.1385 \\ -0.0381 \end{bmatrix}} \, \V{\begin{bmatrix} 0.5933" in chain
        assert r"\V{W_{2}}^\top \G{" in typeset(section(p.show("a1"), "Gradient"))
        assert r"\V{\sigma'(z_{1})} \odot \G{\frac{\partial C}{\partial a_{1}}}" in typeset(
            section(p.show("z1"), "Gradient")
        )

    def test_statistics_of_a_large_array(self, panel: Any) -> None:
        x = np.random.default_rng(0).normal(size=(40, 50))
        x[3, 4], x[0, 0], x[1, 1], x[2, :7] = np.nan, np.inf, -np.inf, 0.0
        p = panel(lambda x: (x * 2.0).sum(), x)
        part = section(p.show("x"), "Value")
        shown = dict(zip(part.locator("dt").all_inner_texts(), part.locator("dd").all_inner_texts(), strict=True))
        finite = x[np.isfinite(x)]
        for name, value in {
            "min": finite.min(),
            "max": finite.max(),
            "mean": finite.mean(),
            "std": finite.std(),
        }.items():
            assert float(shown[name]) == float(f"{value:.5g}"), name
        assert float(shown["norm"]) == float(f"{np.linalg.norm(finite):.5g}")
        assert (shown["zeros"], shown["NaN"], shown["infinite"]) == ("7 of 2000", "1 of 2000", "2 of 2000")
        assert part.locator(".legend .odd").inner_text() == "1 NaN, 2 infinite"
        assert "40×50" in (part.locator("canvas").get_attribute("aria-label") or "")

    def test_a_heat_map_reads_its_elements(self, panel: Any) -> None:
        x = np.linspace(-1, 1, 600).reshape(20, 30)
        x[0, 1] = np.nan
        p = panel(lambda x: (x * 2.0).sum(), x)
        part = section(p.show("x"), "Value")
        canvas = part.locator("canvas")
        canvas.focus()
        for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
            canvas.press(key)
        place, about = part.locator(".reading").inner_text().split("] ≈ ")
        assert place == "[2, 3" and float(about) == pytest.approx(x[2, 3], abs=0.01)
        for key in ("ArrowUp", "ArrowUp", "ArrowLeft", "ArrowLeft"):
            canvas.press(key)
        assert part.locator(".reading").inner_text() == "[0, 1] NaN"

    @pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
    def test_dtypes(self, panel: Any, dtype: str) -> None:
        x = np.array([0.1, -2.5, 1e-3]).astype(dtype) * (1 + 2j if dtype.startswith("c") else 1)
        p = panel(lambda x: gnp.sum(gnp.abs(x) ** 2), x.astype(dtype))
        shown = section(p.show("x"), "Value").locator("td").all_inner_texts()
        assert [complex(t) for t in shown] == pytest.approx(x.astype(dtype).tolist(), rel=1e-4)
        assert dtype in p.page.locator(".facts").inner_text()

    def test_empty_bool_and_large_integers(self, panel: Any) -> None:
        def f(x: Any, e: Any) -> Any:
            far = gnp.asarray(np.array([2**60 + 1, 3]))
            near = x > 5.0
            return gnp.sum(gnp.where(near, x, 1.0)) + gnp.sum(e) + gnp.sum(x * far)

        p = panel(f, np.array([6.0, 1.0]), np.zeros((0, 3)))
        assert "empty: 0×3" in section(p.show("e"), "Value").inner_text()
        article = p.show("near")
        assert section(article, "Value").locator("td").all_inner_texts() == ["True", "False"]
        assert "bool values have no derivatives" in section(article, "Gradient").inner_text()
        assert array(np.array([2**60 + 1, 3]))["elements"] == [str(2**60 + 1), "3"]


class TestSteps:
    def test_not_yet(self, panel: Any) -> None:
        p = panel(circuit, -2.0, 5.0, -4.0)
        for at, value, grad, arrived in [
            (0, False, False, False),
            (1, True, False, False),
            (3, True, False, True),
            (4, True, True, True),
        ]:
            p.step(at)
            article = p.show("q")
            shown = section(article, "Value"), section(article, "Gradient")
            assert ("computed at step 1" in shown[0].inner_text()) is not value
            assert ("complete at step 4" in shown[1].inner_text()) is not grad
            assert ("-4" in shown[1].locator(".flow li").inner_text()) is arrived

    def test_what_nothing_flows_back_to_has_its_zero(self, panel: Any) -> None:
        p = panel(lambda x: x * gg.stop_gradient(gnp.sin(x)), 2.0)
        part = section(p.show("sin"), "Gradient")
        assert numbers(part) == [0] and "no gradient flows back" in part.inner_text()

    def test_the_whole_fills_as_the_steps_go_by(self, panel: Any) -> None:
        p = panel(network, P, X, Y)
        p.step(0)
        article = p.whole()
        forward, backward = section(article, "Forward pass"), section(article, "Backward pass")
        assert "0.5933" not in forward.inner_text() and "0.1385" not in backward.inner_text()
        p.step(len(p.explanation.computed))
        assert "[0.5933, 0.5969]" in forward.inner_text() and "0.1385" not in backward.inner_text()
        p.step(10_000)
        assert "[0.1385, -0.0381]" in backward.inner_text()

    def test_links_lead_along_the_edges(self, panel: Any) -> None:
        p = panel(circuit, -2.0, 5.0, -4.0)
        section(p.show("q"), "Passes back to its inputs").get_by_role("button", name="y").click()
        assert p.page.locator("h2 .name").inner_text() == "y"
        section(p.page.locator("article"), "Gradient").get_by_role("button", name="q").press("Enter")
        assert p.page.locator("h2 .name").inner_text() == "q"

    def test_contributions_sum_to_the_gradient(self, panel: Any) -> None:
        p = panel(lambda x: gnp.sin(x) + x * 3.0 + x**2, 0.5)
        part = section(p.show("x"), "Gradient")
        assert "sum of what arrives from its 3 uses" in part.inner_text()
        terms = [float(t) for t in part.locator(".flow .grad").all_inner_texts()]
        assert sum(terms) == pytest.approx(np.cos(0.5) + 3 + 1, abs=1e-3)


class TestWhole:
    def test_both_passes_and_paths(self, panel: Any) -> None:
        p = panel(network, P, X, Y)
        article = p.whole()
        rows = [
            re.sub(r"\s+", " ", t).strip()
            for t in section(article, "Forward pass").locator("tbody tr").all_inner_texts()
        ]
        assert rows[:3] == ["z1 = W1 @ x + b1", "W1 x [0.05, 0.1]", "b1 1 [1, 1]"]
        assert "σ'(z1) [0.2413, 0.2406] W2ᵀ ∂C/∂z2 [0.008771, 0.009954]" in re.sub(
            r"\s+", " ", section(article, "Backward pass").inner_text()
        )
        counted = p.explanation.paths("W1")
        row = section(article, "Paths").locator("tr", has_text="W1").inner_text().split()
        assert row[1:] == [str(n) for n in (counted.count, counted.edges, counted.operations, counted.naive)]


class TestHostile:
    NAMES = (
        "</script><img src=x onerror=alert(1)>",
        "$\\input{/etc/passwd} \\frac{ ^_~#%&{}",
        "é漢字 \\G{x} \u202e rtl",
        "long" * 1000,
        "two\nlines \\\\ $$ \\] '' \"q\" `",
    )

    @pytest.mark.parametrize("name", NAMES, ids=["script", "latex", "unicode", "long", "lines"])
    def test_names(self, panel: Any, name: str) -> None:
        p = panel(lambda x: gg.name(gg.name(x * 2.0, name) * gg.name(x * 3.0, "b"), "c"), 1.5)
        nodes = p.explanation.nodes
        p.select(next(k for k, n in enumerate(nodes) if n.op == "named" and n.inputs[0].formula == "x · 2"))
        article = p.page.locator(".panel article")
        assert numbers(section(article, "Gradient")) == [4.5]
        assert article.locator(".katex-error, img, script").count() == 0
        assert article.locator(".katex").count() >= 3
        width = article.evaluate("a => [a.scrollWidth, a.clientWidth]")
        assert width[0] <= width[1]
