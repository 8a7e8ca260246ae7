"""Explanations of five, some sixty and two thousand nodes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import glassgrad as gg
import glassgrad.numpy as gnp


def few() -> Any:
    """By hand: z = 7, (z - y)² = 9; ∂/∂z = -6, ∂/∂w = -12, ∂/∂x = -18, ∂/∂b = -6, ∂/∂y = 6."""

    def cost(w: Any, x: Any, b: Any, y: Any) -> Any:
        z = w * x + b
        return (z - y) ** 2

    return gg.explain(cost, 3.0, 2.0, 1.0, 10.0)


def sixty() -> Any:
    """A network of single neurons."""

    def network(p: Any, x: Any) -> Any:
        hidden = [gnp.tanh(p[f"u{k}"] * x[0] + p[f"v{k}"] * x[1] + p[f"b{k}"]) for k in range(5)]
        total = hidden[0] * p["o0"]
        for k in range(1, 5):
            total = total + hidden[k] * p[f"o{k}"]
        return (total - 1.0) ** 2

    rng = np.random.default_rng(0)
    return gg.explain(network, {f"{name}{k}": float(rng.normal()) for name in "uvbo" for k in range(5)}, [0.5, -1.0])


def deep(layers: int) -> Any:
    """Seven nodes a layer."""

    def network(p: Any, x: Any) -> Any:
        for k, layer in enumerate(p):
            with gg.scope(f"layer{k}"):
                z = x @ layer["W"] + layer["b"]
                x = gnp.tanh(z) + x * 0.5
        return (x**2).sum()

    rng = np.random.default_rng(0)
    weights = [{"W": rng.normal(size=(3, 3)), "b": rng.normal(size=3)} for _ in range(layers)]
    return gg.explain(network, weights, rng.normal(size=(2, 3)))


@cache
def two_thousand() -> str:
    """The page of a deep network."""
    e = deep(280)
    assert len(e.nodes) > 1900
    return str(e.to_html())
