"""Products with large matrices beside NumPy's in float64: however they are cut, and with any number of threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.compile.pipeline import Executable

Product = Callable[[Any, Any], Any]
PRODUCTS: dict[str, tuple[Product, tuple[int, ...], tuple[int, ...]]] = {
    "one row": (lambda a, b: gnp.tanh(a @ b) + 1, (1, 600), (600, 520)),
    "a vector": (lambda a, b: a @ b, (515,), (515, 1031)),
    "rows, one at a time": (lambda a, b: a @ b, (2, 1, 520), (520, 512)),
    "index letters": (lambda a, b: gnp.einsum("k,kn->n", a, b), (700,), (700, 400)),
    "few rows": (lambda a, b: a @ b, (5, 516), (516, 1027)),
    "taller than wide": (lambda a, b: a.T @ b, (64, 800), (64, 512)),
    "tall": (lambda a, b: a @ b, (3000, 64), (64, 96)),
    "columns a page apart": (lambda a, b: a.T @ b, (150, 1024), (150, 256)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_large_products(name: str) -> None:
    product, left, right = PRODUCTS[name]
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype("f4") for shape in (left, right))
    executable = Executable(gg.trace(product, a, b), verified=True)
    outputs = []
    try:
        for threads in (1, 2, 3):
            gg.set_threads(threads)
            outputs.append([np.full(s.shape, np.nan, s.dtype) for s in executable.specs])
            assert executable.run([a, b], outputs[-1]) == 0
    finally:
        gg.set_threads(None)
    (got,) = outputs[0]
    exact = np.asarray(product(a.astype(float), b.astype(float)))
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5 * np.abs(exact).max())
    assert all(other.tobytes() == got.tobytes() for (other,) in outputs)


def test_an_optimiser_in_the_epilogue() -> None:
    """Of a product that is taller than wide, whose moments are read as it is finished."""
    rng = np.random.default_rng(1)
    x, g, w, m, v = (rng.standard_normal(s).astype("f4") for s in ((64, 800), (64, 512), *[(800, 512)] * 3))
    v = abs(v)

    def step(x: Any, g: Any, w: Any, m: Any, v: Any) -> Any:
        slope = x.T @ g
        m, v = 0.9 * m + 0.1 * slope, 0.99 * v + 0.01 * slope * slope
        return w - 0.1 * m / (v**0.5 + 1), m, v

    got = gg.jit(step)(x, g, w, m, v)
    exact = step(*(a.astype(float) for a in (x, g, w, m, v)))
    for have, want in zip(got, exact, strict=True):
        np.testing.assert_allclose(have, want, rtol=2e-4, atol=2e-5)
