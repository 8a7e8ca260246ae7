"""``glassgrad explain``: expressions and functions from a shell, and every mistake in one clear line."""

from __future__ import annotations

import json
import math
import warnings
import webbrowser
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad.cli import explain as under_test
from tests.oracles.commands import command

NETWORK = "sum((sigmoid(W @ x + b) - y)**2)"
SETTINGS = ["--set", "x=[1,2]", "--set", "W=[[1,2],[3,4]]", "--set", "b=[0,0]", "--set", "y=[0,1]"]


def nodes(text: str) -> dict[str, dict[str, Any]]:
    return {n["name"]: n for n in json.loads(text)["nodes"]}


def grad(found: dict[str, dict[str, Any]], name: str) -> Any:
    return np.reshape(found[name]["grad"]["elements"], found[name]["grad"]["shape"])


# What should work


def test_a_network_in_a_process_of_its_own(tmp_path: Path) -> None:
    done = command("explain", NETWORK, *SETTINGS, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sigmoid  σ(add)" in done.stdout and "<expression>:1" in done.stdout
    assert "Forward pass" in done.stdout and "Backward pass" in done.stdout
    assert list(tmp_path.iterdir()) == []  # nobody is there to look at a page


def test_gradients_against_the_formula(run: Any) -> None:
    done = run("explain", NETWORK, *SETTINGS, "--json")
    assert (done.code, done.err) == (0, "")
    W, x, y = np.array([[1.0, 2], [3, 4]]), np.array([1.0, 2]), np.array([0.0, 1])
    a = 1 / (1 + np.exp(-W @ x))
    delta = 2 * (a - y) * a * (1 - a)
    found = nodes(done.out)
    np.testing.assert_allclose(grad(found, "W"), np.outer(delta, x), rtol=1e-12)
    np.testing.assert_allclose(grad(found, "x"), W.T @ delta, rtol=1e-12)
    np.testing.assert_allclose(grad(found, "b"), delta, rtol=1e-12)
    assert found["sigmoid"]["file"] == "<expression>" and found["sigmoid"]["source"] == NETWORK


def test_statements_name_their_values(run: Any) -> None:
    """The function of Baydin et al. 2018, table 3: value 11.652, gradient (5.5, 1.716)."""
    program = "a = log(x1); b = x1*x2; c = sin(x2); y = a + b - c"
    done = run("explain", program, "--set", "x1=2", "--set", "x2=5", "--json")
    found = nodes(done.out)
    assert {"a", "b", "c", "y", "x1", "x2"} < set(found)
    assert round(found["y"]["value"]["elements"][0], 3) == 11.652
    assert [round(float(grad(found, n)), 3) for n in ("x1", "x2")] == [5.5, 1.716]
    assert [found[n]["line"] for n in ("a", "b", "c", "y")] == [1, 2, 3, 4]
    assert found["b"]["source"] == "b = x1*x2"


# Expression, settings, the gradient of the first name, each by hand
LANGUAGE = {
    "numpy's prefix": ("np.sum(np.exp(x))", ["x=[0, 0]"], [1, 1]),
    "methods": ("x.sum() * x.T.sum()", ["x=[1, 2]"], [6, 6]),
    "indexing": ("x[1] * x[-1] + x[:2].sum()", ["x=[1, 2, 3]"], [1, 4, 2]),
    "comparison and where": ("sum(where(x > 1, x**2, 0))", ["x=[1, 2]"], [0, 4]),
    "a condition": ("x**2 if x > 0 else -x", ["x=-3.0"], -1),
    "an element set": ("x.at[0].set(x[1] * 3).sum()", ["x=[1, 2]"], [0, 4]),
    "two names at once": ("a, b = x[0], x[1]; a * b", ["x=[3, 5]"], [5, 3]),
    "added to": ("h = x; h += h * x; h", ["x=2.0"], 5),
    "whole numbers stay": ("cross_entropy(z, k)", ["z=[0, 0]", "k=int(1)"], [0.5, -0.5]),
    "linalg": ("norm(x)", ["x=[3, 4]"], [0.6, 0.8]),
    "special": ("special.gammaln(x)", ["x=1.0"], -0.5772156649015329),
    "constants": ("sin(pi * x)", ["x=0.0"], math.pi),
    "a name of its own": ("e * x", ["x=3.0", "e=2.0"], 2),
    "stopped": ("x * gg.stop_gradient(x)", ["x=3.0"], 3),
    "einsum": ("einsum('i,i->', x, x)", ["x=[1, 2]"], [2, 4]),
    "a dict": ("p['w'] * x", ["p={'w': 3}", "x=2"], None),
    "lists of values": ("concatenate([x, x]).sum()", ["x=[1, 2]"], [2, 2]),
    "a length": ("sum(x) / len(x)", ["x=[1, 2]"], [0.5, 0.5]),
    "two lines": ("h = x * x\nh + 1", ["x=3.0"], 6),
}


@pytest.mark.parametrize("name", LANGUAGE)
def test_the_language(name: str, run: Any) -> None:
    expression, settings, expected = LANGUAGE[name]
    done = run("explain", expression, *[v for s in settings for v in ("--set", s)], "--json")
    assert done.code == 0, done.err
    found = nodes(done.out)
    if expected is None:
        assert (float(grad(found, "w")), float(grad(found, "x"))) == (2, 3)
    else:
        np.testing.assert_allclose(grad(found, settings[0].partition("=")[0]), expected, rtol=1e-12)


def test_values_from_files(run: Any) -> None:
    rows = np.array([[1.0, 2], [3, 4]])
    np.save("w.npy", rows)
    np.savez("many.npz", a=rows, b=rows * 2)
    Path("bare.csv").write_text("1,2\n3,4\n")
    Path("named.csv").write_text("first,second\n1,2\n3,4\n")
    for source, expected in (("w.npy", 1), ("many.npz:b", 2), ("bare.csv", 1), ("named.csv", 1)):
        done = run("explain", "sum(W * W)", "--set", f"W=@{source}", "--json")
        np.testing.assert_array_equal(grad(nodes(done.out), "W"), 2 * expected * rows, err_msg=source)
    assert "which array of many.npz?" in run("explain", "sum(W)", "--set", "W=@many.npz").err


def test_random_values_by_seed(run: Any) -> None:
    def values(*options: Any) -> Any:
        done = run(
            "explain", "sum(W * W) + sum(u)", "--set", "W=normal(3,2)", "--set", "u=uniform(2)", "--json", *options
        )
        return nodes(done.out)["W"]["value"]

    assert values() == values("--seed", 0) != values("--seed", 1)
    assert values()["shape"] == [3, 2]


def test_a_function_of_a_file(run: Any) -> None:
    Path("helper.py").write_text("SCALE = 3.0\n")
    Path("model.py").write_text(
        "import glassgrad.numpy as np\nfrom helper import SCALE\n\n"
        "def loss(w, x, *, power=2):\n    z = w * x * SCALE\n    return np.sum(z ** power)\n"
    )
    done = run("explain", "model.py:loss", "--set", "w=[1, 2]", "--set", "x=2", "--wrt", "w", "--json")
    assert done.code == 0, done.err
    found = nodes(done.out)
    np.testing.assert_allclose(grad(found, "w"), [72, 144])
    assert found["z"]["line"] == 5 and found["z"]["file"].endswith("model.py")
    assert [json.loads(done.out)["nodes"][k]["name"] for k in json.loads(done.out)["parameters"]] == ["w"]


def test_what_is_written(run: Any, tmp_path: Path) -> None:
    def out(*options: Any) -> str:
        done = run("explain", "z = w * x; z * z", "--set", "w=3", "--set", "x=2", *options)
        assert done.code == 0, done.err
        return str(done.out)

    assert out("--table", "forward").startswith("Forward pass")
    assert out("--dot").startswith("digraph {")
    assert xml.etree.ElementTree.fromstring(out("--svg")).tag.endswith("svg")
    assert r"\frac{\partial C}{\partial w}" in out("--latex", "w")
    assert "paths to w" in out("--paths", "w")
    out("--html", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "default-src 'none'" in page
    out("--html", "page.html")  # its own page may be replaced


def test_the_page_is_opened_when_asked_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
    assert run("explain", "x * x", "--set", "x=3", "--open").code == 0
    assert len(opened) == 1 and opened[0].startswith("file://") and opened[0].endswith("explanation.html")
    assert run("explain", "x * x", "--set", "x=3", "--html", "a.html", "--no-open").code == 0
    assert run("explain", "x * x", "--set", "x=3", "--html", "a.html").code == 0
    assert len(opened) == 1


def test_a_browser_needs_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert not under_test.has_browser()


def test_where_a_nan_came_from(run: Any) -> None:
    done = run("explain", "sqrt(sum(x*x))", "--set", "x=[0, 0]")
    assert done.code == 0
    assert "sqrt: the derivative of sqrt made inf at <expression>:1" in done.err
    assert "linalg.norm" in done.err


# Mistakes: what was typed, what is said, the exit code
MISTAKES = {
    "unset": (["W @ x"], ["no value for W, x", '--set "W=', '--set "x='], 2),
    "unused": (["x", "--set", "x=1", "--set", "y=2"], ["--set y is not used", "x"], 2),
    "no such function": (["sum(sigmod(x))", "--set", "x=1"], ["column 5, 'sigmod'", "sigmoid"], 2),
    "an unclosed bracket": (["sum(x", "--set", "x=1"], ["column 4", "never closed"], 2),
    "an import": (["import os", "--set", "x=1"], ["column 1", "import os"], 2),
    "a dunder": (["x.__class__", "--set", "x=1"], ["column 1, 'x.__class__'", "no attribute"], 2),
    "a hidden dunder": (["np.__class__", "--set", "x=1"], ["'np.__class__'", "no such function"], 2),
    "a builtin": (["open('f')", "--set", "x=1"], ["column 1, 'open'"], 2),
    "a lambda": (["(lambda: x)()", "--set", "x=1"], ["'lambda: x'", "column 2"], 2),
    "a comprehension": (["[x for i in x]", "--set", "x=1"], ["not part of an expression"], 2),
    "an element assigned to": (["x[0] = 1", "--set", "x=1"], ["x.at[0].set(2.0)"], 2),
    "a format": (["'{0.real}'.format(x)", "--set", "x=1"], ["no attribute of arrays"], 2),
    "beyond the first column": (["é + sigmod(x)", "--set", "x=1"], ["column 5, 'sigmod'"], 2),
    "in the second line": (["h = x\nfoo(h)", "--set", "x=1"], ["line 2, column 1, 'foo'"], 2),
    "nothing": (["  "], ["the expression is empty"], 2),
    "no value": (["x", "--set", "x"], ["NAME=VALUE"], 2),
    "a ragged list": (["x", "--set", "x=[[1,2],[3]]"], ["--set x=", "lists of equal length"], 2),
    "a word": (["x", "--set", "x=hello"], ["'hello' has no value", "--set x"], 2),
    "code in a value": (["x", "--set", "x=__import__('os')"], ["'__import__'", "--set x"], 2),
    "text": (["x", "--set", "x='abc'"], ["--set x="], 2),
    "an unknown name": (["x * x", "--set", "x=1", "--latex", "q"], ["no node is called 'q'"], 2),
    "an unknown argument": (["x * x", "--set", "x=1", "--wrt", "q"], ["--wrt q", "no argument"], 2),
    "shapes": (["x @ y", "--set", "x=[1,2]", "--set", "y=[1,2,3]"], ["inner sizes differ", "<expression>:1"], 1),
    "an axis": (["np.linalg.norm(x, axis=7)", "--set", "x=[1,2]"], ["AxisError", "at <expression>:1"], 1),
    "a division": (["1/0 * x", "--set", "x=1"], ["ZeroDivisionError", "<expression>:1: 1/0 * x"], 1),
    "whole numbers only": (["k * 2", "--set", "k=int(3)"], ["nothing to differentiate by"], 1),
    "no such file": (["missing.py:f"], ["no such file", "missing.py"], 2),
    "no such value file": (["x", "--set", "x=@missing.npy"], ["missing.npy"], 1),
    "no such option": (["x", "--colour"], ["unrecognized arguments"], 2),
    "two outputs": (["x", "--set", "x=1", "--json", "--svg"], ["not allowed with"], 2),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str, run: Any) -> None:
    arguments, said, code = MISTAKES[name]
    done = run("explain", *arguments)
    assert done.code == code, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    for part in said:
        assert part in done.err


def test_mistakes_in_a_file(run: Any) -> None:
    Path("broken.py").write_text("def f(x):\n    return x +\n")
    Path("model.py").write_text("import math\ndef f(x):\n    return math.floor(q)\ndef g(x, /):\n    return x\n")
    assert "SyntaxError" in run("explain", "broken.py:f", "--set", "x=1").err
    done = run("explain", "model.py:f", "--set", "x=1")
    assert done.code == 1 and "NameError" in done.err and "model.py:3: return math.floor(q)" in done.err
    assert "expected one of f, g" in run("explain", "model.py:loss", "--set", "x=1").err
    assert "no value for x" in run("explain", "model.py:f").err
    assert "without a name" in run("explain", "model.py:g", "--set", "x=1").err


def test_a_page_over_something_else_is_refused(run: Any) -> None:
    Path("notes.html").write_text("my notes")
    done = run("explain", "x * x", "--set", "x=3", "--html", "notes.html")
    assert done.code == 1 and "exists and is not a page" in done.err
    assert Path("notes.html").read_text() == "my notes"


def test_help_shows_examples(run: Any) -> None:
    done = run("explain", "--help")
    assert done.code == 0
    assert 'glassgrad explain "sum((sigmoid(W @ x) - y)**2)"' in done.out


# What would hang, leak or mislead


@pytest.mark.parametrize(
    "expression, x",
    [("(9**9**9**9)*x", "1"), ("x", "9**9**9**9"), ("n = 9; n **= 9**9; n*x", "1"), ("(1 << 10**12)*x", "1")],
)
def test_whole_numbers_beyond_all_floating_ones_are_refused(run: Any, expression: str, x: str) -> None:
    done = run("explain", expression, "--set", f"x={x}")
    assert done.code == 2 and "whole numbers is too large" in done.err and done.out == ""


def test_powers_stay_powers(run: Any) -> None:
    """2**10 x² + (x³)², by hand: at 3, 9216 + 729 and 6144 + 1458."""
    found = nodes(run("explain", "y = x**3; y **= 2; 2**10 * x**2 + y", "--set", "x=3", "--json").out)
    assert grad(found, "x") == 6144 + 1458 and found["y#1"]["value"]["elements"] == [27.0]
    assert found["add"]["value"]["elements"] == [9216 + 729]


@pytest.mark.parametrize("option", ["--json", "--dot"])
def test_what_a_function_prints_is_no_result(run: Any, option: str) -> None:
    Path("m.py").write_text("print('loading')\ndef f(x):\n    print('hello')\n    return x * x\n")
    done = run("explain", "m.py:f", "--set", "x=3", option)
    assert done.code == 0 and "hello" in done.err and "loading" in done.err
    assert done.out.startswith("{" if option == "--json" else "digraph") and "hello" not in done.out


@pytest.mark.parametrize("options", [[], ["--json"], ["--paths", "x"]], ids=["tables", "json", "paths"])
def test_infinity_is_explained_without_warnings(run: Any, options: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = run("explain", "log(x)", "--set", "x=0", *options)
    assert done.code == 0 and "logarithm of 0" in done.err


def test_a_name_is_set_once(run: Any) -> None:
    done = run("explain", "x*x", "--set", "x=1", "--set", "x=2")
    assert done.code == 2 and "--set x is given twice" in done.err


@pytest.mark.parametrize("what", ["m.py", "m.py:", "m.py:f(x)"])
def test_a_file_needs_a_function(run: Any, what: str) -> None:
    done = run("explain", what, "--set", "x=1")
    assert done.code == 2 and "expected m.py:FUNCTION" in done.err


@pytest.mark.parametrize(
    "text, said",
    [
        ("def f(x):\n    return (\n", "SyntaxError: '(' was never closed at m.py:2: return ("),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 at m.py:2: sys.exit(3)"),
        ("import sys\ndef f(x):\n    sys.exit(3)\n", "SystemExit: 3 at m.py:3: sys.exit(3)"),
    ],
    ids=["syntax", "exit", "exit later"],
)
def test_what_stops_a_file_is_named_with_its_line(run: Any, text: str, said: str) -> None:
    Path("m.py").write_text(text)
    done = run("explain", "m.py:f", "--set", "x=1")
    assert done.code == 1 and said in done.err


def test_too_little_memory_has_advice_of_its_own(run: Any) -> None:
    Path("m.py").write_text("def f(x):\n    raise MemoryError\n")
    done = run("explain", "m.py:f", "--set", "x=1")
    assert done.code == 1 and "--set smaller arrays" in done.err and "--hidden" not in done.err
