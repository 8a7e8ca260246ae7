"""What nodes are called: every way in which source gives a value a name."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp


class Holder:
    """Something with attributes."""


def activation(z: Any) -> Any:
    return 1 / (1 + gnp.exp(-z))


def named_inside(z: Any) -> Any:
    out = gnp.tanh(z)
    return out


def several_lines(x: Any) -> Any:
    h = gnp.where(
        x > 0,
        x * 2.0,
        gnp.tanh(x),
    )
    return h.sum()


def in_brackets(x: Any) -> Any:
    h = (
        x * 2.0
        + gnp.sin(x)
    )  # fmt: skip
    return h.sum()


def a_chain_of_methods(x: Any) -> Any:
    h = (
        (x * 2.0)
        .reshape(2, 1)
        .sum(axis=1)
    )  # fmt: skip
    return (h * h).sum()


def two_at_once(x: Any) -> Any:
    h, k = gnp.sin(x), gnp.cos(x) * 2.0
    return (h * k).sum()


def unpacked(x: Any) -> Any:
    h, k = gnp.split(x * 2.0, 2)
    return (h * k).sum()


def unpacked_of_a_function(x: Any) -> Any:
    def pair(x: Any) -> Any:
        return x * 2.0, gnp.sin(x)

    h, (k, _) = gnp.cos(x), pair(x)
    return (h * k).sum()


def augmented(x: Any) -> Any:
    h = x * 2.0
    h += gnp.sin(x)
    return h.sum()


def walrus(x: Any) -> Any:
    return (h := gnp.sin(x)).sum() * h[0]


def attribute(x: Any) -> Any:
    self = Holder()
    self.h = gnp.sin(x)  # type: ignore[attr-defined]
    return self.h.sum()  # type: ignore[attr-defined]


def key(x: Any) -> Any:
    cache = {}
    cache["h"] = gnp.sin(x)
    return cache["h"].sum()


def annotated(x: Any) -> Any:
    h: Any = gnp.sin(x)
    return h.sum()


def loop(x: Any) -> Any:
    h = x
    for _ in range(3):
        h = gnp.sin(h * 2.0)
    return h.sum()


def comprehension(x: Any) -> Any:
    h = [gnp.sin(x) * k for k in (1.0, 2.0)]
    return (h[0] * h[1]).sum()


def a_list(x: Any) -> Any:
    h = []
    for _ in range(2):
        h.append(gnp.sin(x))
    k = h[0] * h[1]
    return k.sum()


def chosen(x: Any) -> Any:
    h = gnp.sin(x) if x[0] > 0 else gnp.cos(x)
    return h.sum()


def own_function(x: Any) -> Any:
    h = activation(x)
    k = activation(h)
    return k.sum()


def callers_name(x: Any) -> Any:
    h = named_inside(x)
    k = named_inside(h)
    return k.sum()


def a_lambda(x: Any) -> Any:
    double = lambda z: z * 2.0
    h = double(x)
    return h.sum()


def jitted(x: Any) -> Any:
    h = gg.jit(activation)(x)
    return h.sum()


def mapped(x: Any) -> Any:
    h = gg.vmap(activation)(x)
    return h.sum()


def composite(x: Any) -> Any:
    h = nn.softmax(x)
    return (h * h).sum()


def part_of_a_result(x: Any) -> Any:
    h = gnp.linalg.slogdet(gnp.outer(x, x) + np.eye(2))[1]
    k = result(x)["h"]
    return h * k


def result(x: Any) -> Any:
    return {"h": gnp.sin(x).sum(), "k": x}


# Function, the names it should have beside x, and the op that each belongs to
FORMS: dict[str, tuple[Any, dict[str, str]]] = {
    "several lines": (several_lines, {"h": "where"}),
    "in brackets": (in_brackets, {"h": "add"}),
    "a chain of methods": (a_chain_of_methods, {"h": "sum"}),
    "two at once": (two_at_once, {"h": "sin", "k": "mul"}),
    "unpacked": (unpacked, {"h": "gather", "k": "gather"}),
    "unpacked of a function": (unpacked_of_a_function, {"h": "cos", "k": "mul"}),
    "augmented": (augmented, {"h#1": "mul", "h#2": "add"}),
    "walrus": (walrus, {"h": "sin"}),
    "attribute": (attribute, {"h": "sin"}),
    "key": (key, {"h": "sin"}),
    "annotated": (annotated, {"h": "sin"}),
    "loop": (loop, {"h#1": "sin", "h#2": "sin", "h#3": "sin"}),
    "comprehension": (comprehension, {"h#1": "mul", "h#2": "mul"}),
    "a list": (a_list, {"k": "mul"}),
    "chosen": (chosen, {"h": "sin"}),
    "a function of one's own": (own_function, {"h": "div", "k": "div"}),
    "the caller's name": (callers_name, {"h": "tanh", "k": "tanh"}),
    "a lambda": (a_lambda, {"h": "mul"}),
    "jitted": (jitted, {"h": "div"}),
    "mapped": (mapped, {"h": "div"}),
    "composite": (composite, {"h": "div"}),
    "part of a result": (part_of_a_result, {"h": "output", "k": "sum"}),
    "result": (result, {"h": "sum"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_its_name(form: str) -> None:
    f, expected = FORMS[form]
    e = gg.explain(f, np.array([0.5, -1.0]))
    found = {n.name: n.op for n in e.nodes if n.name.partition("#")[0] in ("h", "k")}
    if form == "mapped":  # whatever makes the result of vmap, it is the caller's h
        assert list(found) == ["h"]
    else:
        assert found == expected
    for name in expected:
        assert e[name].value is not None and e[name.partition("#")[0]].value is not None


def test_parts_of_one_value() -> None:
    def f(x: Any) -> Any:
        parts = gnp.split(x * 2.0, 2)
        return (parts[0] * parts[1]).sum()

    e = gg.explain(f, np.array([1.0, 2.0]))
    assert e["parts[0]"].value == 2 and e["parts[1]"].grad == 2


def test_names_of_values_made_before() -> None:
    """No function is run: names come from where the nodes were made."""
    x = gg.variable(np.array([0.5, -1.0]), name="x")
    h, k = (
        gnp.sin(x),
        gnp.cos(
            x,
        ),
    )
    e = gg.explain((h * k).sum())
    assert [n.name for n in e.nodes] == ["x", "h", "k", "mul", "sum"]


def test_a_profiler_at_work_is_left_alone() -> None:
    seen: list[str] = []
    sys.setprofile(lambda frame, event, arg: seen.append(event))
    try:
        e = gg.explain(two_at_once, np.array([0.5, -1.0]))
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert seen and e["h"].op == "sin" and e["k"].op == "mul"
