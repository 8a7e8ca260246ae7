"""Loops that stretch what they are given: eager results are the oracle, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.rewrite.rewriter import needed
from tests.rewrite.programs import check

RNG = np.random.default_rng(5)
X, ROW, COLUMN = RNG.normal(size=(6, 4)), RNG.normal(size=4), RNG.normal(size=(6, 1))
RATE = np.float64(0.3)


def scanned(x: Any, row: Any, column: Any, rate: Any) -> Any:
    """What is captured is stretched before the loop, and as large where it is used."""
    penalty, bias, scale = (gnp.broadcast_to(2 * v, x.shape) for v in (rate, row, column))
    return gg.scan(lambda c, k: (c * scale + bias - penalty * k, (c + penalty).sum()), x, np.arange(3.0))


def repeated(x: Any, row: Any, column: Any, rate: Any) -> Any:
    penalty, bias, scale = (gnp.broadcast_to(2 * v, x.shape) for v in (rate, row, column))
    step = lambda s: (s[0] + 1, s[1] * scale + bias - penalty)
    return gg.while_loop(lambda s: (s[0] < 4) & (gnp.abs(s[1] - penalty).max() < 1e6), step, (np.int64(0), x))[1]


def penalised(x: Any, row: Any, column: Any, rate: Any) -> Any:
    """The gradient of a penalty is a number times a matrix."""
    slope = gg.grad(lambda w: 0.5 * rate * (w * w).sum() + (w.sum(0) * row).sum())
    return gg.while_loop(lambda s: s[0] < 4, lambda s: (s[0] + 1, s[1] - 0.1 * slope(s[1])), (np.int64(0), x))[1]


@pytest.mark.parametrize("function", [scanned, repeated, penalised])
def test_what_is_stretched_is_captured_as_it_was(function: Callable[..., Any]) -> None:
    _, simple = check(function, X, ROW, COLUMN, RATE)
    (loop,) = [n for n in needed(simple.outputs) if n.op.name in ("scan", "while") and n.value is None]
    carried = loop.params["carry"] if loop.op.name == "while" else sum(loop.params["counts"][:2])
    assert {x.shape for x in loop.inputs[carried:]} <= {(), (4,), (6, 1), (1, 4)}
    compiled, expected = gg.jit(function)(X, ROW, COLUMN, RATE), function(X, ROW, COLUMN, RATE)
    for a, b in zip(gg.tree.leaves(compiled), gg.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("function", [scanned, repeated, penalised])
def test_gradients(function: Callable[..., Any]) -> None:
    def loss(*arguments: Any) -> Any:
        return sum((leaf**2).sum() for leaf in gg.tree.leaves(function(*arguments)))

    slopes = gg.grad(loss, argnums=(0, 1, 2, 3))
    check(slopes, X, ROW, COLUMN, RATE, equal=lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12))
    gg.check_grads(loss, (X, ROW, COLUMN, RATE))
    for a, b in zip(gg.jit(slopes)(X, ROW, COLUMN, RATE), slopes(X, ROW, COLUMN, RATE), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
