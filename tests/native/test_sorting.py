"""Sorting against NumPy's stable argsort, for all dtypes, on both sides of the size where the method changes."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from glassgrad.dtypes import finfo
from glassgrad.kernel.lower import Outside
from glassgrad.native import sorting
from glassgrad.native.routines import routine
from glassgrad.ops.sorting import Argsort
from tests.oracles import halves

DTYPES = [*sorting.FRACTION, *sorting.INTEGERS]
FLOATS = list(sorting.FRACTION)
SIZES = (1, 2, 7, 8, 9, 24, 31, 32, 33, 100, 255, 256, 257, 1000)


def described(shape: tuple[int, ...], dtype: Any, axis: int) -> Outside:
    return Outside(Argsort, {"axis": axis}, (0,), (1,), (shape, shape), (np.dtype(dtype), np.dtype(np.intp)))


def argsort(x: Any, axis: int = 0) -> Any:
    found = routine(described(x.shape, x.dtype, axis))
    assert found is not None
    y = np.full(x.shape, -7)
    buffers = (ctypes.c_void_p * 2)(x.ctypes.data, y.ctypes.data)
    code = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(found.address)(ctypes.addressof(buffers))
    assert code == 0 and found.failure(code) is None
    return y


def check(x: Any, axis: int = 0) -> None:
    (known,) = halves.widened([x])  # NumPy does not put the NaNs of ml_dtypes last
    np.testing.assert_array_equal(argsort(x, axis), np.argsort(known, axis=axis, kind="stable"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_random_bits(dtype: str, size: int) -> None:
    """Every pattern of bits: all exponents, subnormal numbers, infinities and every kind of NaN."""
    rng = np.random.default_rng(size)
    if dtype == "bool":
        check(rng.integers(0, 2, size).astype(bool))
    else:
        check(np.frombuffer(rng.bytes(size * np.dtype(dtype).itemsize), dtype).copy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [20, 300])
def test_equal_elements_keep_their_order(dtype: str, size: int) -> None:
    rng = np.random.default_rng(1)
    check(rng.integers(0, 3, size).astype(dtype))
    check(np.ones(size, dtype))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("size", [30, 300])
def test_nan_comes_last_and_zeros_are_equal(dtype: str, size: int) -> None:
    tiny = finfo(dtype).smallest_subnormal
    values = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, tiny, -tiny], dtype)
    check(np.random.default_rng(2).choice(values, size))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("size", [30, 300])
def test_ends_of_the_range(dtype: str, size: int) -> None:
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    check(np.random.default_rng(3).choice(np.array([least, least + 1, 0, 1, most - 1, most], dtype), size))


@pytest.mark.parametrize("dtype", ["float64", "int32", "bool"])
@pytest.mark.parametrize("size", [40, 700])
def test_ordered_and_reversed(dtype: str, size: int) -> None:
    x = np.arange(size).astype(dtype)
    check(x)
    check(x[::-1].copy())
    x[[3, -3]] = x[[-3, 3]]
    check(x)


@pytest.mark.parametrize("shape", [(3, 4), (2, 300, 3), (300, 5), (5, 300), (0, 4), (4, 0), (1, 1), (2, 9, 1, 33)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_every_axis(shape: tuple[int, ...], dtype: str) -> None:
    x = (100 * np.random.default_rng(4).normal(size=shape)).astype(np.int64).astype(dtype)
    for axis in range(len(shape)):
        check(x, axis)


def test_large() -> None:
    rng = np.random.default_rng(5)
    for dtype in ("float64", "float32", "int16"):
        check((1e4 * rng.normal(size=200_000)).astype(dtype))


@pytest.mark.parametrize("dtype", [np.complex128, np.longdouble])
def test_dtypes_that_stay_with_python(dtype: Any) -> None:
    if np.dtype(dtype).itemsize == 8:
        pytest.skip("long double is double here")
    assert routine(described((4,), dtype, 0)) is None


def test_rows_too_long_for_their_positions() -> None:
    assert routine(described((1 << 32,), np.int8, 0)) is None


def test_the_name_says_what_is_sorted() -> None:
    found = routine(described((4,), np.int16, 0))
    assert found is not None and found.name == "sort of int16"
