"""Every ufunc and reduction over all dtypes: NumPy's value, NumPy's dtype, or an error where NumPy has one."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np

DTYPES = [
    "bool", "int8", "uint8", "int32", "uint64", "int64", "float16", "float32", "float64", "complex64",
    "complex128",
]  # fmt: skip
SOME = ["bool", "uint8", "int64", "float16", "float32", "float64", "complex64"]
UFUNCS = [f for f in vars(onp).values() if isinstance(f, onp.ufunc) and f.signature is None and f is not onp.isnat]
UNARY = sorted({f.__name__ for f in UFUNCS if f.nin == 1})
BINARY = sorted({f.__name__ for f in UFUNCS if f.nin == 2})
LENIENT = {"gradient"}  # NumPy refuses booleans there
DEGREES = {"degrees", "radians", "rad2deg", "deg2rad"}  # on whole numbers of 8 and 16 bits NumPy uses half precision


def data(dtype: str, sign: int = 1) -> Any:
    numbers = onp.array([1, 0, 3, 2, 7])
    return (numbers + 1j * sign * numbers[::-1] if dtype.startswith("c") else sign * numbers).astype(dtype)


def agree(name: str, call: Any, *args: Any) -> None:
    """The same from NumPy and from Glassgrad, on Arrays and through NumPy's own function."""
    with onp.errstate(all="ignore"):
        try:
            expected = call(onp)(*args)
        except (TypeError, ValueError):
            if name not in LENIENT:
                with pytest.raises((TypeError, ValueError)):
                    call(np)(*map(np.asarray, args))
            return
        for namespace in (np, onp):
            got = call(namespace)(*map(np.asarray, args))
            several = expected if isinstance(expected, tuple) else (expected,)
            for g, e in zip(got if isinstance(got, tuple) else (got,), several, strict=True):
                assert isinstance(g, gg.Array)
                if not (name in DEGREES and e.dtype == onp.float16):
                    assert g.dtype == e.dtype, (g.dtype, e.dtype)
                rough = {"e": 2e-3, "f": 1e-5, "F": 1e-5}.get(e.dtype.char, 1e-12)
                onp.testing.assert_allclose(onp.asarray(g.value), e, rtol=rough, atol=rough)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, dtype: str) -> None:
    agree(name, lambda n: getattr(n, name), data(dtype))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(SOME, SOME)))
@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, first: str, second: str) -> None:
    agree(name, lambda n: getattr(n, name), data(first), data(second)[::-1])


@pytest.mark.parametrize("number", [2, 2.5, 1 + 2j, True], ids=str)
@pytest.mark.parametrize("dtype", SOME)
@pytest.mark.parametrize("name", BINARY)
def test_binary_with_a_python_number(name: str, dtype: str, number: Any) -> None:
    agree(name, lambda n: lambda x: getattr(n, name)(x, number), data(dtype))
    agree(name, lambda n: lambda x: getattr(n, name)(number, x), data(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [
    "sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "argmax", "argmin", "cumsum", "cumprod",
    "ptp", "median", "count_nonzero", "sort", "argsort", "nansum", "nanmax", "nanmean", "nanstd", "nanmedian",
    "sinc", "angle", "clip", "round", "nan_to_num", "real", "imag", "diff", "gradient", "trapezoid", "unique",
    "cumulative_sum", "flip", "roll", "cov", "isclose", "average",
])  # fmt: skip
def test_reductions_and_the_rest(name: str, dtype: str) -> None:
    extra: tuple[Any, ...] = {"clip": (1, 3), "roll": (2,), "isclose": (3,)}.get(name, ())
    agree(name, lambda n: lambda x: getattr(n, name)(x, *extra), data(dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, dtype: str) -> None:
    agree(name, lambda n: getattr(n, name), onp.array([onp.inf, -onp.inf, onp.nan, -0.0, 0.0, 1e-4, 65000], dtype))


@pytest.mark.parametrize("name", BINARY)
def test_special_values_in_pairs(name: str) -> None:
    special = onp.array([onp.inf, -onp.inf, onp.nan, -0.0, 0.0, 1.0, -1.0, 2.5, 1e-300, 1e300])
    agree(name, lambda n: getattr(n, name), special[:, None], special)


@pytest.mark.parametrize("name", BINARY + UNARY)
def test_zero_size_and_negative_strides(name: str) -> None:
    count = getattr(onp, name).nin
    for x in (onp.zeros((0, 3)), onp.arange(1.0, 13.0).reshape(3, 4)[::-1, ::-2] / 13):
        agree(name, lambda n: getattr(n, name), *[x] * count)
