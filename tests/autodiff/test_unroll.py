"""Loops and branches looked into: every value and gradient inside equals that of the same program as a Python loop."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp
from glassgrad.autodiff.unroll import MOST

RNG = np.random.default_rng(3)
W, X = RNG.normal(size=(3, 3)), RNG.normal(size=(4, 3))
H = RNG.normal(size=3)


def cell(w: Any, h: Any, x: Any) -> tuple[Any, Any]:
    z = w @ h + x
    h = gnp.tanh(z)
    return h, (h * h).sum()


def scanned(w: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    last, ys = gg.scan(lambda h, x: cell(w, h, x), h, xs, reverse=reverse)
    return (last * gnp.arange(1.0, 4.0)).sum() + (ys * gnp.arange(1.0, 5.0)).sum()


def looped(w: Any, h: Any, xs: Any, reverse: bool = False) -> Any:
    ys: list[Any] = [None] * 4
    for i in reversed(range(4)) if reverse else range(4):
        with gg.scope(f"scan/step{i}"):
            h, ys[i] = cell(w, h, xs[i])
    return (h * gnp.arange(1.0, 4.0)).sum() + (gnp.stack(ys) * gnp.arange(1.0, 5.0)).sum()


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_a_python_loop(reverse: bool) -> None:
    opened, plain = (gg.explain(f, W, H, X, reverse) for f in (scanned, looped))
    compared = 0
    for i in range(4):
        for name in ("z", "h"):
            key = f"scan/step{i}/{name}"
            last = name == "h" and i == (0 if reverse else 3)
            a, b = opened["last" if last else key], plain[key]
            np.testing.assert_allclose(a.value, b.value, rtol=1e-13)
            np.testing.assert_allclose(a.grad, b.grad, rtol=1e-13)
            compared += 1
        assert opened[f"scan/step{i}/z"].source == "z = w @ h + x"
        assert [n.op for n in opened.nodes if n.scope == f"scan/step{i}"][:2] == ["gather", "matmul"]
    assert compared == 8
    for name in "wh":
        np.testing.assert_allclose(opened[name].grad, plain[name].grad, rtol=1e-13)


def test_open_or_closed_is_asked_for() -> None:
    closed = gg.explain(scanned, W, H, X, loops=False)
    assert [n.op for n in closed.computed if n.op == "scan"] == ["scan"]
    np.testing.assert_allclose(closed["w"].grad, gg.explain(scanned, W, H, X)["w"].grad, rtol=1e-13)
    rounds = MOST // 2 + 1
    f = lambda x: gg.fori_loop(0, rounds, lambda i, x: gnp.sin(x) * 1.5, x)
    assert any(n.op == "scan" for n in gg.explain(f, 0.3))  # too many nodes, by default
    e = gg.explain(f, 0.3, loops=True)
    assert sum(n.op == "sin" for n in e) == rounds
    x, g = 0.3, 1.0
    for _ in range(rounds):
        x, g = 1.5 * np.sin(x), g * 1.5 * np.cos(x)
    np.testing.assert_allclose([e.value, e["x"].grad], [x, g], rtol=1e-10)


def newton(a: Any) -> Any:
    return gg.while_loop(lambda x: abs(x * x - a) > 1e-9, lambda x: 0.5 * (x + a / x), a * 1.0, checkpoints=2)


def heron(a: Any) -> Any:
    x = a * 1.0
    while abs(x * x - a) > 1e-9:
        x = 0.5 * (x + a / x)
    return x


def both_ways(x: Any) -> Any:
    return gg.vmap(lambda v: gg.cond(v > 0, gnp.sqrt, lambda v: v * v, v))(x).sum()


def nested(x: Any) -> Any:
    def inner(h: Any, k: Any) -> tuple[Any, None]:
        return gnp.sin(h) * k, None

    def outer(h: Any, row: Any) -> tuple[Any, None]:
        return gg.scan(inner, h + 0.1, row)[0], None

    return gg.scan(outer, x, np.array([[1.0, 2.0], [3.0, 4.0]]))[0]


def nested_by_hand(x: Any) -> Any:
    for row in ([1.0, 2.0], [3.0, 4.0]):
        x = x + 0.1
        for k in row:
            x = gnp.sin(x) * k
    return x


def switched(x: Any) -> Any:
    return gg.jit(lambda k, v: gg.switch(k, [gnp.sin, gnp.exp, gnp.tanh], v))(1, x)


def remembered(x: Any) -> Any:
    return gg.checkpoint(lambda v: gnp.exp(gnp.sin(v)))(x)


# In Glassgrad's loops and branches, and the same program without them
SAME: dict[str, tuple[Any, Any, Any]] = {
    "while": (newton, heron, 7.0),
    "cond under vmap": (both_ways, lambda x: gnp.sqrt(x[0]) + x[1] * x[1], np.array([4.0, -3.0])),
    "nested": (nested, nested_by_hand, 0.3),
    "switch": (switched, gnp.exp, 0.4),
    "checkpoint": (remembered, lambda x: gnp.exp(gnp.sin(x)), 0.4),
    "a whole number carried": (
        lambda x: gg.fori_loop(0, 3, lambda i, c: (c[0] * (i + 1.0), c[1] + i), (x, 0))[0],
        lambda x: x * 1.0 * 2.0 * 3.0,
        1.5,
    ),
    "a number to begin with": (lambda a: gg.fori_loop(0, 3, lambda i, x: x * a, 1), lambda a: a * a * a, 1.5),
    "no steps": (lambda x: gg.scan(lambda h, v: (h * v, None), x, np.zeros(0))[0], lambda x: x * 1.0, 1.5),
    "a second derivative": (
        gg.grad(lambda x: gg.fori_loop(0, 3, lambda i, x: x * gnp.sin(x), x)),
        gg.grad(lambda x: [x := x * gnp.sin(x) for _ in range(3)][-1]),
        0.7,
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_program_without_loops(name: str) -> None:
    opened, plain, at = SAME[name]
    a, b = gg.explain(opened, at), gg.explain(plain, at)
    assert not {n.op for n in a} & {"scan", "while", "switch"}
    np.testing.assert_allclose(a.value, b.value, rtol=1e-12)
    np.testing.assert_allclose(a[0].grad, b[0].grad, rtol=1e-12)


def test_scopes_of_loops() -> None:
    def f(x: Any) -> Any:
        with gg.scope("encoder"):
            x = gg.fori_loop(0, 2, lambda i, x: gnp.sin(x), x)
            x = gg.fori_loop(0, 1, lambda i, x: gnp.cos(x), x)
        return nested(x)

    scopes = list(dict.fromkeys(n.scope for n in gg.explain(f, 0.3).computed if n.op in ("sin", "cos", "mul")))
    assert scopes == [
        *("encoder/scan/step0", "encoder/scan/step1", "encoder/scan#2/step0"),
        *("scan/step0/scan/step0", "scan/step0/scan/step1", "scan/step1/scan/step0", "scan/step1/scan/step1"),
    ]


def test_a_recurrent_layer() -> None:
    model, x = nn.LSTM(2, 3, rng=0), RNG.normal(size=(1, 5, 2)).astype(np.float32)
    f = lambda model, x: (model(x)[0] ** 2).sum()
    opened, closed = gg.explain(f, model, x, loops=True), gg.explain(f, model, x, loops=False)
    assert len(opened) > len(closed) + 40
    for name, g in closed.gradients.items():
        np.testing.assert_allclose(opened.gradients[name], g, rtol=1e-4, atol=1e-6)
        assert opened.gradients[name].dtype == np.float32


def test_loops_of_other_threads_stay_closed() -> None:
    found: list[Any] = []

    def elsewhere() -> None:
        x = gg.variable(0.5)
        found.append(gg.fori_loop(0, 3, lambda i, x: gnp.sin(x), x).inputs[0].op.name)

    def f(x: Any) -> Any:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return gg.fori_loop(0, 3, lambda i, x: gnp.sin(x), x)

    assert [n.op for n in gg.explain(f, 0.5).computed] == ["sin"] * 3
    assert found == ["scan"]


def test_where_a_nan_came_from_is_still_found() -> None:
    with pytest.raises(gg.errors.NonFiniteError, match="log"), gg.trace_nan():
        gg.explain(lambda x: gg.fori_loop(0, 2, lambda i, x: gnp.log(x), x), -1.0)
