"""Every function against NumPy: values, dtypes and shapes; reached by its own name and by NumPy's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from tests.numpy.cases import CASES, Case, arguments


def of(cases: list[Case], *without: str) -> Any:
    return pytest.mark.parametrize("case", [c for c in cases if c.name not in without], ids=lambda c: c.name)


TAKING = [case for case in CASES if case.arguments]


def same(got: Any, expected: Any, rtol: float = 1e-12) -> None:
    """Arrays where NumPy gives arrays, of equal value, dtype and shape."""
    if isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            same(g, e, rtol)
        return
    if isinstance(expected, (onp.ndarray, onp.generic)) and not isinstance(got, (bool, int)):
        assert isinstance(got, gg.Array), type(got)
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        onp.testing.assert_allclose(onp.asarray(got.value), expected, rtol=rtol, atol=rtol)
        return
    assert got == expected


def expected(case: Case, dtype: Any = onp.float64) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case.call(onp, *arguments(case, dtype))


@of(CASES)
def test_value_is_numpys(case: Case) -> None:
    same(case.call(np, *map(np.asarray, arguments(case))), expected(case))


@of(TAKING, "operator @", "ix_")  # which call no function of the namespace on the arguments
def test_plain_arrays_give_arrays(case: Case) -> None:
    same(case.call(np, *arguments(case)), expected(case))


@of(TAKING, "asarray", "ascontiguousarray", "array", "full")  # of which NumPy makes an ndarray without asking
def test_numpys_own_function_on_an_array(case: Case) -> None:
    same(case.call(onp, *map(np.asarray, arguments(case))), expected(case))


@of(CASES)
def test_single_precision_stays(case: Case) -> None:
    same(case.call(np, *map(np.asarray, arguments(case, onp.float32))), expected(case, onp.float32), rtol=3e-4)


@of(TAKING)
def test_numbers_below_variables_are_the_same(case: Case) -> None:
    same(case.call(np, *map(gg.variable, arguments(case))), expected(case))
