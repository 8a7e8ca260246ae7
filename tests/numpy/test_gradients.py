"""Gradients of every function against central differences of NumPy's own; and the same functions traced."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad.errors import TracedValueError
from tests.numpy.cases import CASES, Case, arguments

VARYING = [case for case in CASES if case.arguments]
by_name = pytest.mark.parametrize("case", VARYING, ids=lambda c: c.name)
STEP = 1e-6

# Functions that need the elements' values, not only shapes and dtypes: refused while tracing.
VALUES_NEEDED = {
    "nonzero", "argwhere", "flatnonzero", "trim_zeros", "extract", "histogram", "histogram density", "unique",
    "unique axis", "unique_all", "unique_values", "isin", "lexsort", "unwrap", "unwrap axis", "allclose",
    "array_equal", "array_equiv", "where one", "poly matrix",
}  # fmt: skip


def floats(result: Any) -> list[Any]:
    """The floating-point arrays of a result, in order."""
    if isinstance(result, (list, tuple)):
        return [part for item in result for part in floats(item)]
    return [result] if getattr(result, "dtype", onp.dtype("O")).kind in "fc" else []


def weighted(case: Case, weights: list[Any], namespace: Any, args: Any) -> Any:
    """One number made of all floating-point results, so that every element of them counts."""
    total: Any = 0.0
    for part, w in zip(floats(case.call(namespace, *args)), weights, strict=True):
        finite = onp.isfinite(getattr(part, "value", part))
        total = total + namespace.sum(namespace.where(finite, namespace.real(part), 0.0) * w)
    return total


@by_name
def test_gradient_is_the_slope_of_numpys_function(case: Case) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        args = arguments(case)
        rng = onp.random.default_rng(0)
        weights = [rng.normal(size=onp.shape(part)) for part in floats(case.call(onp, *args))]
        if not weights:
            assert not floats(case.call(np, *map(gg.variable, args)))
            return
        variables = list(map(gg.variable, args))
        value = np.asarray(weighted(case, weights, np, variables))
        gradients = [value.backward()[v] if value.tracked else onp.zeros(v.shape) for v in variables]
        for k, x in enumerate(args):
            slope = onp.zeros(x.shape)
            for place in onp.ndindex(x.shape):
                ends = []
                for step in (STEP, -STEP):
                    moved = [a.copy() for a in args]
                    moved[k][place] += step
                    ends.append(weighted(case, weights, onp, moved))
                slope[place] = (ends[0] - ends[1]) / (2 * STEP)
            slope[~onp.isfinite(x)] = 0
            onp.testing.assert_allclose(onp.asarray(gradients[k]), slope, rtol=2e-6, atol=2e-7)


@by_name
def test_traced_is_the_same_or_says_why_not(case: Case) -> None:
    args = arguments(case)

    def outputs(*xs: Any) -> Any:
        return floats(case.call(np, *xs)) or [xs[0]]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if case.name in VALUES_NEEDED:
            with pytest.raises(TracedValueError):
                gg.trace(outputs, *args)
            return
        program = gg.trace(outputs, *args)
        for got, expected in zip(program(*args), floats(case.call(onp, *args)), strict=False):
            onp.testing.assert_allclose(onp.asarray(getattr(got, "value", got)), expected, rtol=1e-12, atol=1e-12)


REAL_ONLY = {"histogram density", "unique_values", "median nan"}  # compared with NumPy on real numbers only


@pytest.mark.parametrize("case", [c for c in VARYING if c.name not in REAL_ONLY], ids=lambda c: c.name)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore:Casting complex values")
def test_complex_gradient_is_the_slope_along_a_random_direction(case: Case) -> None:
    rng = onp.random.default_rng(0)

    def noise(shape: Any) -> Any:
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    args = [a + 1j * rng.normal(size=a.shape) for a in arguments(case)]
    try:
        weights = [noise(onp.shape(part)) for part in floats(case.call(onp, *args))]
    except (TypeError, ValueError):
        return  # NumPy has no such function of complex numbers
    if not weights:
        return

    def loss(namespace: Any, xs: Any) -> Any:
        parts = floats(case.call(namespace, *xs))
        return sum(namespace.sum(namespace.real(p * w)) for p, w in zip(parts, weights, strict=True))

    variables = list(map(gg.variable, args))
    value = loss(np, variables)
    for k, x in enumerate(args):
        direction = noise(x.shape)
        ends = [loss(onp, [*args[:k], x + step * direction, *args[k + 1 :]]) for step in (STEP, -STEP)]
        slope = (ends[0] - ends[1]) / (2 * STEP)
        if onp.isfinite(slope):
            gradient = value.backward()[variables[k]] if value.tracked else onp.zeros(x.shape)
            assert onp.real(onp.vdot(gradient, direction)) == pytest.approx(slope, rel=1e-5, abs=1e-6)
