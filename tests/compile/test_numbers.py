"""Numbers that do not fit are errors in compiled code, as they are for NumPy: never other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp


@pytest.mark.parametrize(("dtype", "number"), [("u1", 300), ("u1", -1), ("i4", 2**31), ("u8", -1), ("i1", 200)])
@pytest.mark.parametrize("function", [gnp.add, gnp.maximum, gnp.greater], ids=["add", "maximum", "greater"])
def test_a_python_integer_out_of_bounds(function: Any, dtype: str, number: int) -> None:
    compiled = gg.jit(lambda a, c: function(a, c))
    a = np.array([1, 5], dtype)
    with pytest.raises(OverflowError, match=r"out of bounds for u?int\d+ in \w+ at test_numbers.py"):
        compiled(a, number)
    np.testing.assert_array_equal(compiled(a, 7), function(a, 7))  # and works on


def test_a_python_integer_beyond_int64() -> None:
    with pytest.raises(OverflowError, match="too large"):
        gg.jit(lambda a, c: a + c)(np.ones(2), 2**80)


def test_negative_powers_of_integers() -> None:
    power = gg.jit(lambda a, b: a**b)
    a, b = np.array([2, 3]), np.array([-1, 2])
    with pytest.raises(ValueError, match="negative integer powers"):
        power(a, b)
    np.testing.assert_array_equal(power(a, abs(b)), a ** abs(b))
    np.testing.assert_array_equal(power(a * 1.0, b), (a * 1.0) ** b)


@pytest.mark.parametrize("function", [gnp.max, gnp.min, gnp.argmax])
def test_extremes_of_nothing(function: Any) -> None:
    with pytest.raises(ValueError, match="zero-size array"):
        gg.jit(lambda a: function(a))(np.zeros(0))


def test_a_mask_is_not_dropped() -> None:
    with pytest.raises(gg.errors.DtypeError, match="masked array"):
        gg.jit(lambda a: a.sum())(np.ma.array([1.0, 2.0], mask=[False, True]))
