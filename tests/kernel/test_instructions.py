"""Instructions and reducers: what they say they take and give is what NumPy and SciPy do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassgrad.kernel.instructions import DTYPES, INSTRUCTIONS, REDUCERS, cast, identity, itemsize

CONTRACT = """
    add subtract multiply divide floor_divide remainder fmod negative absolute sign maximum minimum fmax fmin power
    floor ceil trunc rint copysign fma sqrt cbrt exp expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos
    arctan sinh cosh tanh arcsinh arccosh arctanh arctan2 hypot sigmoid logaddexp logaddexp2 erf erfc erfinv lgamma
    digamma greater greater_equal less less_equal equal not_equal isnan isinf isfinite signbit logical_and
    logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not left_shift right_shift select
    cast
"""


def test_the_table_is_complete() -> None:
    assert sorted(INSTRUCTIONS) == sorted(CONTRACT.split())
    assert sorted(REDUCERS) == ["add", "and", "maximum", "minimum", "multiply", "or"]


def taken() -> list[tuple[str, str]]:
    return [
        (name, dtype)
        for name, instruction in INSTRUCTIONS.items()
        for dtype, (kind, _, _) in DTYPES.items()
        if kind in instruction.kinds and kind != "h" and name != "cast"
    ]


@pytest.mark.parametrize(("name", "dtype"), taken())
def test_dtype_of_the_result(name: str, dtype: str) -> None:
    """Scalars and arrays give the dtype the table says."""
    instruction = INSTRUCTIONS[name]
    if name in ("erf", "erfc", "erfinv", "lgamma", "digamma"):
        pytest.importorskip("scipy")
    expected = np.dtype(bool) if instruction.result == "bool" else DTYPES[dtype].register
    for array in (np.array([0, 1, 1]), np.array(1)):
        args: list[Any] = [array.astype(dtype)[()]] * instruction.arity
        if instruction.condition:
            args[0] = array.astype(bool)[()]
        with np.errstate(all="ignore"):
            result = instruction.evaluate(*args)
        assert result.dtype == expected
        assert np.shape(result) == array.shape


INTEGERS = [name for name, d in DTYPES.items() if d.kind in "iu"]


@given(st.sampled_from(INTEGERS), st.data())
def test_integers_wrap_and_divide_as_python_does(dtype: str, data: st.DataObject) -> None:
    info = np.iinfo(dtype)
    numbers = st.integers(info.min, info.max) | st.sampled_from([0, 1, info.min, info.max]) | st.just(max(info.min, -1))
    a, b = data.draw(numbers), data.draw(numbers)
    wrap = lambda x: (x - info.min) % (1 << info.bits) + info.min
    expected = {
        "add": a + b,
        "subtract": a - b,
        "multiply": a * b,
        "negative": -a,
        "absolute": abs(a),
        "power": pow(a, b % (1 << info.bits), 1 << info.bits),
        "floor_divide": a // b if b else 0,
        "remainder": a % b if b else 0,
        "fmod": abs(a) % abs(b) * (1 if a >= 0 else -1) if b else 0,
        "left_shift": a << b if 0 <= b < info.bits else 0,
        "right_shift": a >> b if 0 <= b < info.bits else -(a < 0),
        "fma": a * b + a,
    }
    with np.errstate(all="ignore"):
        for name, value in expected.items():
            instruction = INSTRUCTIONS[name]
            args = [np.array(x, dtype)[()] for x in (a, b, a)[: instruction.arity]]
            assert int(instruction.evaluate(*args)) == wrap(value), (name, a, b)


def test_maximum_hands_on_nan_and_fmax_does_not() -> None:
    nan, one = np.float32("nan"), np.float32(1)
    for name, survives in (("maximum", True), ("minimum", True), ("fmax", False), ("fmin", False)):
        for pair in ((nan, one), (one, nan)):
            assert np.isnan(INSTRUCTIONS[name].evaluate(*pair)) == survives


def test_cast() -> None:
    x = np.array([-1.9, 0.0, -0.0, np.nan, 300.7])
    with np.errstate(all="ignore"):
        assert cast(x[:3], "int32").tolist() == [-1, 0, 0]
        assert cast(x, "bool").tolist() == [True, False, False, True, True]
        assert cast(np.array([300, -1]), "uint8").tolist() == [44, 255]
    assert cast(np.float32(0.1), "float16") == np.float16(0.1)


@given(st.floats(width=32) | st.floats(width=64) | st.floats(-1e-38, 1e-38))
def test_bfloat16_is_the_nearest_number(x: float) -> None:
    """Against the definition: the two neighbours with 16 bits, found from the bits of a float32."""
    with np.errstate(all="ignore"):
        found = cast(np.float64(x), "bfloat16")
    bits = int(np.float32(abs(found)).view(np.uint32))
    if np.isnan(x):
        assert np.isnan(found)
        return
    assert bits % (1 << 16) == 0
    assert np.signbit(found) == np.signbit(x)
    below, above = (float(np.uint32(max(bits + step, 0)).view(np.float32)) for step in (-(1 << 16), 1 << 16))
    exact, here = abs(x), float(abs(found))
    if np.isinf(here):
        assert exact >= (below + 2.0**128) / 2  # halfway to the number that would follow
        return
    above = 2.0**128 if np.isinf(above) else above
    distance = abs(exact - here)
    assert distance < min(above - exact, exact - below if bits else np.inf) or (bits >> 16) % 2 == 0
    assert distance <= min(above - exact, exact - below if bits else np.inf)


def test_bfloat16_agrees_with_ml_dtypes() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32) * np.float32(10) ** np.arange(-40, 10, 0.05)
    x = x.astype(np.float32)
    np.testing.assert_array_equal(cast(x, "bfloat16"), x.astype(ml_dtypes.bfloat16).astype(np.float32))


@pytest.mark.parametrize("name", list(REDUCERS))
@pytest.mark.parametrize("dtype", list(DTYPES))
def test_an_identity_changes_nothing(name: str, dtype: str) -> None:
    if DTYPES[dtype].kind not in REDUCERS[name].kinds:
        return
    register = DTYPES[dtype].register
    values = np.array([0, 1, 1], register)
    if register.kind == "f":
        values = np.array([-0.0, 0.0, np.inf, -np.inf, np.nan, 1.5], register)
    if register.kind in "iu":
        values = np.array([0, np.iinfo(register).min, np.iinfo(register).max], register)
    unit = identity(name, dtype)
    assert unit.dtype == register
    for value in values:
        for both in (REDUCERS[name].ufunc(unit, value), REDUCERS[name].ufunc(value, unit)):
            assert both.dtype == register
            assert both == value or np.isnan(value)
            assert np.signbit(both) == np.signbit(value) if register.kind == "f" and name == "add" else True


def test_itemsize_is_the_size_in_the_name() -> None:
    assert itemsize("bool") == 1
    for name in DTYPES:
        bits = re.findall(r"\d+", name)
        assert not bits or itemsize(name) * 8 == int(bits[0])
