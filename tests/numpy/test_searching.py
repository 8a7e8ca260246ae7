"""Searching, interpolating and the functions that NumPy computes, compiled and mapped, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import numpy as gnp

RNG = np.random.default_rng(5)
ROW = np.array([-2.0, -1.0, -1.0, 0.5, 0.5, 3.0])
WANTED = np.array([[-3.0, -2.0, -1.0], [0.5, 0.6, 3.0], [4.0, np.inf, np.nan]])


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("size", range(7))
def test_searchsorted_compiled(side: str, size: int) -> None:
    found = gg.jit(lambda a, v: gnp.searchsorted(a, v, side))(ROW[:size], WANTED)
    expected = np.searchsorted(ROW[:size], WANTED, side)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_searchsorted_with_nan_whole_numbers_and_a_sorter() -> None:
    row = np.array([1.0, 2.0, np.nan, np.nan])
    for side in ("left", "right"):
        np.testing.assert_array_equal(
            gg.jit(lambda a, v, side=side: gnp.searchsorted(a, v, side))(row, WANTED),
            np.searchsorted(row, WANTED, side),
        )
    whole = RNG.integers(0, 9, 20)
    order = np.argsort(whole)
    found = gg.jit(lambda a, v, s: gnp.searchsorted(a, v, sorter=s))(whole, np.arange(10), order)
    np.testing.assert_array_equal(found, np.searchsorted(whole, np.arange(10), sorter=order))
    rows = np.sort(RNG.normal(size=(3, 5)))
    found = gg.vmap(lambda a: gnp.searchsorted(a, 0.1))(rows)
    np.testing.assert_array_equal(found, [np.searchsorted(row, 0.1) for row in rows])


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [ROW, ROW[::-1], ROW[:1]])
def test_digitize_compiled(bins: Any, right: bool) -> None:
    found = gg.jit(lambda x: gnp.digitize(x, bins, right))(WANTED[:2])
    np.testing.assert_array_equal(found, np.digitize(WANTED[:2], bins, right))


XP, FP = np.array([-1.0, 0.0, 0.7, 2.0]), RNG.normal(size=4)
AT = np.array([-3.0, -1.0, -0.2, 0.0, 0.3, 0.7, 1.9, 2.0, 5.0])


@pytest.mark.parametrize("options", [{}, {"left": -7.0, "right": 9.0}, {"period": 2.5}])
def test_interp_of_traced_points(options: dict[str, float]) -> None:
    found = gg.jit(lambda x, xp, fp: gnp.interp(x, xp, fp, **options))(AT, XP, FP)
    np.testing.assert_allclose(found, np.interp(AT, XP, FP, **options), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("options", [{}, {"left": -7.0}, {"period": 2.5}])
def test_derivatives_of_interp_against_differences(options: dict[str, float]) -> None:
    at = np.array([-2.9, -0.2, 0.3, 1.9, 5.1])  # between points, also modulo the period
    weights = np.arange(1.0, 6.0)
    args = (at, XP, FP)
    grads = gg.grad(lambda *a: (gnp.interp(*a, **options) * weights).sum(), argnums=(0, 1, 2))(*args)
    for k, g in enumerate(grads):
        for i in range(len(args[k])):
            sides = []
            for h in (1e-6, -1e-6):
                moved = [a.copy() for a in args]
                moved[k][i] += h
                sides.append((np.interp(*moved, **options) * weights).sum())
            np.testing.assert_allclose(g[i], (sides[0] - sides[1]) / 2e-6, rtol=1e-6, atol=1e-8)


WHOLE, OTHER = RNG.integers(-40, 40, (3, 4)), RNG.integers(1, 40, 4)
REAL = np.array([0.0, -0.0, 1.0, -3.7, 5e-324, 1e300, 0.5])
LIBRARY: dict[str, tuple[Any, ...]] = {
    "gcd": (WHOLE, OTHER),
    "lcm": (WHOLE, OTHER),
    "bitwise_count": (WHOLE,),
    "spacing": (REAL,),
    "nextafter": (REAL, REAL[::-1].copy()),
    "frexp": (REAL,),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_functions_that_numpy_computes_compiled_and_mapped(name: str) -> None:
    args = LIBRARY[name]
    expected = getattr(np, name)(*args)
    for f in (getattr(gnp, name), gg.jit(getattr(gnp, name))):
        _same(f(*args), expected)
    alone = [k for k, a in enumerate(args) if a.ndim < args[0].ndim]
    axes = tuple(None if k in alone else 0 for k in range(len(args)))
    _same(gg.vmap(getattr(gnp, name), in_axes=axes)(*args), expected)


def _same(found: Any, expected: Any) -> None:
    for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (found, expected)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_derivatives_of_parts_of_numbers() -> None:
    assert gg.grad(lambda x: gg.jit(gnp.nextafter)(x, 9.0))(2.0) == 1
    assert gg.grad(lambda x: gnp.frexp(x)[0])(6.0) == 1 / 8


@pytest.mark.parametrize(("low", "high"), [(0, 300), (-1, 200), (None, 300), (-1, None), (3, 100)])
def test_bounds_that_the_dtype_does_not_hold(low: Any, high: Any) -> None:
    x = np.array([1, 250], np.uint8)
    found, expected = gnp.clip(x, low, high), np.clip(x, low, high)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(gg.jit(lambda x: gnp.clip(x, low, high))(x), expected)
