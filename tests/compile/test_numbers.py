"""Numbers that do not fit are errors in compiled code, as they are for NumPy: never other numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp


@pytest.mark.parametrize(("dtype", "number"), [("u1", 300), ("u1", -1), ("i4", 2**31), ("u8", -1), ("i1", 200)])
@pytest.mark.parametrize("function", [gnp.add, gnp.maximum], ids=["add", "maximum"])
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


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ldexp_rounds_once(dtype: str) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=200) * 2.0 ** rng.integers(*np.finfo(dtype).minexp * np.array([1, -1]), 200)
    x = np.array([*drawn, 0.0, -0.0, np.inf, np.nan, 5e-324, 1e-45, 1e-7]).astype(dtype)
    exponent = np.arange(-2300, 2300, 7)[:, None]
    got, expected = gg.jit(np.ldexp)(x, exponent), np.ldexp(x, exponent)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(np.signbit(got[:, :-4]), np.signbit(expected[:, :-4]))


@pytest.mark.parametrize(
    "args",
    [
        (np.int64(3), np.int64(70)),
        (np.array([1, 2, 3]), -np.array([1, 2, 3])),
        (np.ones(2, "u1"), np.ones(2, "u1")),
        (np.ones(2, "u1"), 9),
        (np.ones(2, "f4"), np.array([2**62, -(2**62)])),
        (3, 4),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_ldexp_of_integers(args: Any) -> None:
    got, eager, expected = gg.jit(np.ldexp)(*args), gnp.ldexp(*args), np.ldexp(*args)
    assert got.dtype == eager.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(eager, expected)


COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)


@pytest.mark.parametrize("compare", COMPARISONS)
def test_integers_with_and_without_sign_are_compared_exactly(compare: Any) -> None:
    a = np.array([2**53, 2**63 - 1, -1, 5, -(2**63)], "i8")[:, None]
    b = np.array([2**53 + 1, 2**63, 2**64 - 1, 5, 0], "u8")
    for x, y in ((a, b), (b, a), (a.astype("i4"), b), (a, b.astype("u1"))):
        np.testing.assert_array_equal(gg.jit(lambda x, y: compare(x, y))(x, y), compare(x, y))


@pytest.mark.parametrize("dtype", ["u1", "i1", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("compare", COMPARISONS)
def test_a_python_integer_of_any_size_is_compared_as_numpy_does(compare: Any, dtype: str) -> None:
    x = np.array([0, 1, 127, np.iinfo(dtype).max if dtype[0] in "iu" else 2.0**64], dtype)
    for number in (2**70, 2**64, 2**63, 300, 127, 1, 0, -1, -(2**63), -(2**70)):
        for one in (lambda x, c: compare(x, c), lambda x, c: compare(c, x)):
            expected = one(x, number)
            np.testing.assert_array_equal(gg.jit(lambda x: one(x, number))(x), expected)  # noqa: B023
            if -(2**63) <= number < 2**63:
                np.testing.assert_array_equal(gg.jit(one)(x, number), expected)


@pytest.mark.parametrize(
    "exponent",
    [np.array([True, False]), np.array([1, 2], "i1"), np.array([1, 2], "u1"), np.ones(2, "f4"), 2, 2.0, 0.5, True],
)
def test_powers_of_booleans(exponent: Any) -> None:
    base = np.array([True, False])
    expected = np.power(base, exponent)
    for got in (
        gnp.power(base, exponent),
        gg.jit(np.power)(base, exponent),
        gg.jit(lambda a: np.power(a, exponent))(base),
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_negative_powers_of_booleans() -> None:
    base, exponent = np.array([True, True]), np.array([-1, 1], "i1")
    fixed = gg.jit(lambda base, _: np.power(base, exponent))
    for power in (gnp.power, gg.jit(np.power), fixed):
        with pytest.raises(ValueError, match="negative integer powers"):
            power(base, exponent)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "name", ["less", "less_equal", "greater", "greater_equal", "maximum", "minimum", "fmax", "fmin"]
)
def test_complex_numbers_in_order_with_nan_in_either_part(name: str) -> None:
    nan = np.nan
    x = np.array([-1 + 0j, 1 + 0j, 2, 1j, complex(0, nan)])
    y = np.array([complex(0, nan), complex(nan, 0), 2 + 1j, complex(nan, nan), 1 + 0j])
    for a, b in ((x, y), (y, x)):
        got = gg.jit(lambda a, b: getattr(gnp, name)(a, b))(a, b)
        np.testing.assert_array_equal(got, getattr(np, name)(a, b))


@pytest.mark.parametrize("name", ["arctan", "arctanh"])
def test_inverse_tangents_far_out(name: str) -> None:
    inf = np.inf
    z = np.array(
        [complex(inf, 0), complex(-inf, 0), complex(0, inf), complex(0, -inf), 1e200, 1e160 + 1j, -1e300 - 1e300j]
    )
    z = np.concatenate([z, [0.5 + 0.1j, 1 + 1e-9j, 1e-300, 1e19 + 1e3j, 1e21j, 3e9 - 2e9j]])
    got, want = gg.jit(lambda z: getattr(gnp, name)(z))(z), getattr(np, name)(z)
    np.testing.assert_allclose(got.real, want.real, rtol=1e-14)
    np.testing.assert_allclose(got.imag, want.imag, rtol=1e-14)


def test_the_next_number_and_its_derivative() -> None:
    x = np.array([np.inf, np.inf, -np.inf, 0.0, -5e-324, 1.5])
    towards = np.array([0.0, np.inf, 0.0, -0.0, 0.0, 2.0])
    got, want = gg.jit(lambda x, t: gnp.nextafter(x, t))(x, towards), np.nextafter(x, towards)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
    for change in (gg.grad, lambda f: gg.jit(gg.grad(f))):
        assert change(lambda x: 3.0 * gnp.nextafter(x, 2.0))(1.0) == 3.0


@pytest.mark.parametrize("name", ["square", "conj"])
def test_booleans_squared_and_conjugated(name: str) -> None:
    x = np.array([True, False])
    got, want = gg.jit(lambda x: getattr(gnp, name)(x))(x), getattr(np, name)(x)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype
