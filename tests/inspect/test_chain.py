"""The mathematics that ``to_latex`` writes, computed again: numbers by NumPy, formulas against finite differences."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp
from glassgrad.inspect.derivatives import BY_INPUT, matrix
from glassgrad.inspect.plain import array

RNG = np.random.default_rng(0)


def lines(latex: str) -> list[str]:
    return [x.strip().removesuffix(r" \\") for x in re.split(r"&=", latex.removesuffix("\\end{aligned}"))[1:]]


def computed(latex: str) -> Any:
    """A line of numbers, as NumPy computes it: brackets are matrices, vectors are columns."""

    def table(found: re.Match[str]) -> str:
        rows = [[complex(c) for c in row.split("&")] for row in found[1].split(r"\\")]
        return f"np.array({rows})"

    python = re.sub(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", table, latex)
    python = re.sub(r"1_\{([0-9 \\times]+)\}", lambda m: f"np.ones(({m[1].replace(chr(92) + 'times', ',')},))", python)
    for written, meant in {r"\odot": "*", r"\cdot": "*", r"\,": "@", r"^\top": ".T", r"\quad": "", "&": ""}.items():
        python = python.replace(written, meant)
    python = re.sub(r"(T|\]\)) +np", r"\1 @ np", python.replace("\\\\\n", " "))
    return eval(python, {"np": np})


class TestProducts:
    @pytest.mark.parametrize(
        ("a", "b"),
        [((2, 3), (3, 4)), ((2, 3), (3,)), ((3,), (3, 2)), ((3,), (3,))],
        ids=["matrices", "matrix-vector", "vector-matrix", "vectors"],
    )
    def test_matrix_products(self, a: Any, b: Any) -> None:
        def f(a: Any, b: Any) -> Any:
            z = a @ b
            return gnp.sum(gnp.sin(z))

        e = gg.explain(f, *(np.round(RNG.normal(size=s), 2) for s in (a, b)))
        for name in "ab":
            _, numbers, total = [*lines(e.to_latex(name)), ""][:3]
            if not total:
                numbers, total = numbers.split(" = ")
            shown = np.reshape(computed(numbers), e[name].shape)
            np.testing.assert_allclose(shown, e[name].grad, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(computed(total).reshape(e[name].shape), e[name].grad, rtol=1e-3)

    def test_complex_factors_are_conjugated(self) -> None:
        def f(a: Any, b: Any) -> Any:
            z = a @ b
            w = z * z
            return gnp.sum(gnp.abs(w))

        e = gg.explain(f, np.array([[1 + 2j, 0.5j], [2.0, -1j]]), np.array([1 - 1j, 3j]))
        for name in "abz":
            symbols, *found = lines(e.to_latex(name))
            assert r"\overline{" in symbols
            for line in found:
                np.testing.assert_allclose(computed(line).reshape(e[name].shape), e[name].grad, rtol=1e-3, atol=1e-2)

    def test_elementwise_and_several_terms(self) -> None:
        def f(z: Any) -> Any:
            a = nn.sigmoid(z)
            return gnp.sum(a * gnp.tanh(z))

        e = gg.explain(f, np.array([0.5, -1.5]))
        symbols, numbers, terms, total = lines(e.to_latex("z"))
        assert r"\sigma'(z) \odot \frac{\partial C}{\partial a}" in symbols
        assert r"\tanh'(z) \odot" in symbols
        for line in (numbers, terms, total):
            np.testing.assert_allclose(computed(line).ravel(), e["z"].grad, rtol=1e-3)

    def test_broadcast_reduced_and_reshaped(self) -> None:
        def f(x: Any, b: Any) -> Any:
            z = x + b
            m = z.T
            return gnp.sum(m.reshape(6) ** 2)

        e = gg.explain(f, np.ones((2, 3)), np.arange(3.0))
        assert lines(e.to_latex("b"))[0] == r"\sum \frac{\partial C}{\partial z}"
        assert lines(e.to_latex("m"))[0].startswith(r"\operatorname{reshape} \left(")
        assert lines(e.to_latex("z"))[0].endswith(r"\right)^\top")
        assert np.array_equal(computed(lines(e.to_latex("power"))[1].split(" = ")[0]), np.ones(6))

    def test_a_jacobian_that_is_small_is_written_out(self) -> None:
        e = gg.explain(lambda x: gnp.sum(x[np.array([1, 0])] * np.array([1.0, 2.0])), np.array([3.0, 4.0]))
        symbols, numbers, total = lines(e.to_latex("x"))
        assert symbols.startswith(r"\left(\frac{\partial \mathrm{gather}}{\partial x}\right)^\top")
        assert np.array_equal(computed(numbers), [[2.0], [1.0]]) and np.array_equal(computed(total), [[2.0], [1.0]])

    def test_between_numbers_nothing_is_transposed(self) -> None:
        e = gg.explain(lambda x: 3.0 * gnp.max(gnp.reshape(x, (1,))), 2.0)
        assert all(r"\top" not in e.to_latex(n.name) for n in e.nodes if n.grad is not None)

    def test_large_arrays_by_shape_and_many_terms_by_number(self) -> None:
        e = gg.explain(lambda W, x: gnp.sum(W @ x), np.ones((30, 20)), np.ones(20))
        assert lines(e.to_latex("W"))[1] == r"[30] \, [20]^\top = [30 \times 20]"
        text = gg.explain(lambda x: sum((x * float(k) for k in range(20)), x), 1.0).to_latex("x")
        assert r"\cdots \text{ (17 more)}" in text and text.count(r"\partial C") < 20

    def test_what_nothing_reaches_is_zero(self) -> None:
        e = gg.explain(lambda x, y: x + 0.0 * gg.stop_gradient(y), 1.0, 2.0)
        assert "y" not in e or lines(e.to_latex("y")) == ["0"]


class TestFormulas:
    FUNCTIONS = {
        "relu": nn.relu,
        "sigmoid": nn.sigmoid,
        "neg": lambda a: -a,
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "power": lambda a, b: a**b,
        "where": lambda a, b: gnp.where(a > 1.0, a, b),
        "named": lambda a: gg.name(a, "n"),
        "cast": lambda a: gnp.asarray(a).astype("float32"),
        "alias": None,  # made by derivatives within derivatives alone
    }

    @pytest.mark.parametrize("op", sorted(BY_INPUT))
    def test_each_against_differences(self, op: str) -> None:
        function = self.FUNCTIONS.get(op, getattr(gnp, op, None))
        if function is None:
            pytest.skip("no function of the user's makes it")
        inputs = 2 if op in ("maximum", "minimum", "logaddexp", "where", "add", "sub", "mul", "div", "power") else 1
        values = [0.7, 1.3][:inputs]
        e = gg.explain(lambda *xs: function(*xs) * 1.0, *values)
        node = next(n for n in e.nodes if n.op == op)
        known = {n.name: float(n.value) for n in e.nodes if np.ndim(n.value) == 0}
        for k, latex in enumerate(array_of(e, node)):
            x = node.inputs[k]
            if not latex or x.op != "input":
                continue
            for written in latex.split(" = ")[1:]:
                number = evaluated(written, known)
                if number is not None:
                    h, at = 1e-6, int(x.name[-2]) if "[" in x.name else 0
                    ends = [float(function(*(v + s * h * (i == at) for i, v in enumerate(values)))) for s in (1, -1)]
                    slope = (ends[0] - ends[1]) / (2 * h) if op != "cast" else 1.0
                    assert number == pytest.approx(slope, rel=1e-5), (latex, x.name)


def array_of(e: gg.Explanation, node: Any) -> list[str]:
    found: list[str] = e.to_dict()["nodes"][e.nodes.index(node)]["derivatives"]
    return found


def evaluated(latex: str, known: dict[str, float]) -> float | None:
    """A formula with the values of its names; None where it is a name for a derivative, such as σ'(z)."""
    if "'" in latex:
        return None
    python = latex
    for name in sorted(known, key=len, reverse=True):
        for form in (rf"\text{{{name}}}", rf"\mathrm{{{name}}}"):
            python = python.replace(form, f"({known[name]!r})")
    for pattern, meant in (
        (r"\\sqrt\{(.*?)\}", r"np.sqrt(\1)"),
        (r"\\(sin|cos) (\S+)", r"np.\1(\2)"),
        (r" \\ln (\S+)", r" * np.log(\1)"),
        (r"\\operatorname\{sign\} (\S+)", r"np.sign(\1)"),
        (r"\\sigma\((.*?)\)$", r"1 / (1 + np.exp(-(\1)))"),
        (r"\\lnot ", "not "),
        (r"\^\{(.*?)\}", r"**(\1)"),
        (r"\\frac\{(.*)\}\{(.*)\}$", r"(\1) / (\2)"),
        (r"\\cdot|\\,", "*"),
        (r"\be\*\*", "np.e**"),
        (r"^\[(.*)\]$", r"float(\1)"),
    ):
        python = re.sub(pattern, meant, python)
    python = re.sub(r"(\d) +np|\b2 \*? ?np", lambda m: m[0].replace(" np", "*np"), python)
    return float(eval(python, {"np": np}))


class TestNumbersInLatex:
    def test_numbers(self) -> None:
        assert matrix(-0.5) == "-0.5" and matrix(-0.5, inside=True) == "(-0.5)"
        assert (
            matrix(1.5e-7) == r"1.5 \cdot 10^{-7}"
            and matrix(-np.inf) == r"-\infty"
            and matrix(np.nan) == r"\mathrm{nan}"
        )
        assert matrix(np.zeros((0, 3))) == r"[0 \times 3]" and matrix(np.array([True])) == r"\mathrm{True}"


class TestPlain:
    """What ``to_dict`` says of large arrays."""

    def test_heat_map(self) -> None:
        import base64

        x = RNG.normal(size=(100, 7))
        x[0, 0], x[99, 6], x[50, 3] = np.nan, np.inf, -9.0
        found = array(x, 64, 100)["map"]
        assert (found["rows"], found["columns"]) == (10, 7) and found["scale"] == 9.0
        cells = np.frombuffer(base64.b64decode(found["cells"]), np.uint8).reshape(10, 7)
        assert (cells[0, 0], cells[9, 6], cells[5, 3]) == (0, 2, 3)
        block = x[20:30, 4]
        assert (int(cells[2, 4]) - 129) / 126 * 9 == pytest.approx(block[np.abs(block).argmax()], abs=9 / 252)

    @pytest.mark.parametrize("value", [0.0, 1e-320, 5.0], ids=["zero", "subnormal", "five"])
    def test_arrays_that_hardly_vary(self, value: float) -> None:
        x = np.full(100, value)
        x[0] = np.nextafter(value, 10)
        with np.errstate(all="raise"):
            found = array(x, 64, 100)
        assert sum(found["histogram"]) == 100

    def test_flows_say_along_which_edge_a_gradient_went(self) -> None:
        e = gg.explain(lambda x: gnp.where(x > 0, x * 2.0, 0.0), 1.0)
        nodes = [n.name for n in e.nodes]
        flows = {(nodes[d["source"]], nodes[d["target"]]): d["flows"] for d in e.to_dict()["edges"]}
        assert flows["x", "greater"] is False and flows["x", "mul"] is True
