"""Paths against their enumeration by hand, and their numbers against closed formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import numpy as gnp

RNG = np.random.default_rng(1)


def diamonds(x: Any, n: int) -> Any:
    """Each step has two ways through it: 2ⁿ paths."""
    for k in range(n):
        x = gnp.sin(x) + (1.0 + 0.1 * k) * x
    return x


@pytest.mark.parametrize("n", [1, 3, 6])
def test_all_paths_of_numbers_sum_to_the_gradient(n: int) -> None:
    e = gg.explain(lambda x: diamonds(x, n), 0.7)
    found = e.paths("x" if "x" in e else e[0].name, top=None)
    assert found.count == found.routes == len(found) == 2**n and found.exact
    np.testing.assert_allclose(sum(p.contribution for p in found), found.gradient, rtol=1e-12)
    np.testing.assert_allclose(sum(p.share for p in found), 1, rtol=1e-12)
    # By hand: each way through each step, cos x or its factor
    values, x = [], 0.7
    for k in range(n):
        values.append((np.cos(x), 1 + 0.1 * k))
        x = np.sin(x) + (1 + 0.1 * k) * x
    products = [1.0]
    for ways in values:
        products = [p * w for p in products for w in ways]
    np.testing.assert_allclose(sorted(p.contribution for p in found), sorted(products), rtol=1e-12)
    assert [abs(p.contribution) for p in found] == sorted((abs(p.contribution) for p in found), reverse=True)


def test_the_strongest_of_too_many_to_list() -> None:
    e = gg.explain(lambda x: diamonds(x, 200), 0.7)
    name = e[0].name
    found = e.paths(name, top=3)
    assert found.count == 2**200 and found.edges == 800 and found.exact
    # A step has four edges and one addition; recursion walks two edges a step, on every path
    assert found.operations == 800 + 200 and found.naive == 2**200 * 400 + 2**200 - 1
    assert found.saving > 1e57
    best, x = 1.0, 0.7
    for k in range(200):
        best *= max(abs(np.cos(x)), 1 + 0.1 * k)
        x = np.sin(x) + (1 + 0.1 * k) * x
    np.testing.assert_allclose(abs(found[0].contribution), best, rtol=1e-10)
    with pytest.raises(ValueError, match="give top=10"):
        e.paths(name, top=None)


def network(p: Any, x: Any) -> Any:
    h = x
    for w in p:
        h = gnp.tanh(w @ h)
    return h.sum()


@pytest.mark.parametrize(("width", "depth"), [(2, 1), (3, 4), (8, 100)])
def test_paths_between_numbers_of_a_network(width: int, depth: int) -> None:
    """From a sum over m outputs to a weight of the first layer there are mᵈ⁻¹ paths per weight's output."""
    p = [RNG.normal(size=(width, width)) / math.sqrt(width) for _ in range(depth)]
    e = gg.explain(network, p, RNG.normal(size=width))
    found = e.paths(e["p[0]"].name, element=(0, 0))
    assert found.count == width ** (depth - 1)
    # Between layers m² edges of the product and m of tanh; to the weights m²; m of the sum
    assert found.edges == (depth - 1) * (width**2 + width) + width**2 + 2 * width
    assert found.operations < 3 * found.edges


def test_paths_of_arrays_sum_to_the_gradient() -> None:
    def residual(w: Any, x: Any) -> Any:
        for _ in range(3):
            x = x + gnp.tanh(w @ x)
        return (x * x).sum()

    w, x = RNG.normal(size=(3, 3)), RNG.normal(size=3)
    e = gg.explain(residual, w, x)
    found = e.paths("w", top=None)
    assert found.exact and len(found) == found.routes
    np.testing.assert_allclose(sum(p.contribution for p in found), gg.grad(residual)(w, x), rtol=1e-12)
    few = e.paths("w", top=2)
    np.testing.assert_allclose(few.rest + sum(p.contribution for p in few), few.gradient, rtol=1e-12)
    one = e.paths("w", top=None, element=(1, 2))
    np.testing.assert_allclose(sum(p.contribution for p in one), found.gradient[1, 2], rtol=1e-12)


@pytest.mark.parametrize(
    ("a", "b"), [((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 4))]
)
def test_the_pattern_of_matrix_products(a: Any, b: Any) -> None:
    """Counted edges and paths are those of the Jacobian's pattern, formed with positive numbers."""
    e = gg.explain(lambda a, b: (a @ b).sum() if len(a.shape) + len(b.shape) > 2 else a @ b, np.ones(a), np.ones(b))
    for k, name in enumerate("ab"):
        jacobian = np.asarray(e["matmul"].local[k])
        found = e.paths(name)
        assert found.count == np.count_nonzero(jacobian)


def test_refusals() -> None:
    e = gg.explain(lambda w, n: (w * n).sum(), np.ones((2, 3)), 2.0)
    for top in (-1, 2.5, "all"):
        with pytest.raises(ValueError, match="top=.*expected how many paths"):
            e.paths("w", top=top)
    for element in (6, (2, 0), (0, 0, 0), 0, (slice(None), 0), "a"):
        with pytest.raises(IndexError, match=r"no element of 'w': got shape \(2, 3\).*element=\(1, 2\)"):
            e.paths("w", element=element)
    with pytest.raises(IndexError, match="no node has the number 999: got 4 nodes, from 0 to 3"):
        e[999]
    assert e[-1] is e.output and len(e.paths("w", top=0)) == 0 and e.paths("n", element=()).count == 6
    assert float(e.paths("w", element=(np.int64(1), -1)).gradient) == 2


def test_printing() -> None:
    text = str(gg.explain(lambda x: diamonds(x, 200), 0.7).paths(0, top=1))
    assert "1.60e60 paths to" in text and "their sum, the gradient" in text and "…" in text
