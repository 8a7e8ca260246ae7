"""bfloat16 arrays, beside float32 computed by NumPy and rounded by ``ml_dtypes``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad import nn, optim
from glassgrad.errors import DtypeError

bfloat16 = ml_dtypes.bfloat16
EVERY = onp.arange(1 << 16, dtype=onp.uint16).view(bfloat16)
RNG = onp.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(bfloat16)
W = RNG.normal(size=(4, 3)).astype(bfloat16)


def wide(x: Any) -> Any:
    return onp.asarray(getattr(x, "value", x)).astype(onp.float32)


def near(got: Any, want: Any, ulps: float = 1.0) -> None:
    """A bfloat16 within units in the last place of a number, and of the largest one."""
    assert got.dtype == bfloat16
    scale = ulps * 2.0**-8
    onp.testing.assert_allclose(wide(got), want, rtol=scale, atol=scale * float(onp.max(onp.abs(want))))


def test_the_name() -> None:
    assert np.bfloat16 is bfloat16
    for dtype in ("bfloat16", bfloat16, onp.dtype(bfloat16)):
        for made in (
            np.zeros(3, dtype), np.ones(3, dtype), np.full(3, 2.5, dtype), np.eye(3, dtype=dtype),
            np.arange(3, dtype=dtype), np.linspace(0, 1, 3, dtype=dtype), np.tri(2, dtype=dtype),
            np.zeros_like(X, dtype),
            np.array([1, 2], dtype), np.asarray([0.1], dtype), gg.variable(2, dtype),
            np.arange(3).astype(dtype), np.astype(np.arange(3), dtype),
            np.sum(np.ones(3), dtype=dtype), gg.random.normal(size=3, rng=0, dtype=dtype),
            nn.Linear(2, 3, rng=0, dtype=dtype).W,
        ):  # fmt: skip
            assert made.dtype == bfloat16
    assert np.finfo("bfloat16").eps == 2.0**-7


def test_without_ml_dtypes_the_error_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['ml_dtypes'] = None\n"
        "import glassgrad.numpy as np\n"
        "for make in (lambda: np.bfloat16, lambda: np.zeros(3, 'bfloat16')):\n"
        "    try: make()\n"
        "    except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.count("pip install 'glassgrad[bfloat16]'") == 2


def test_conversion_of_every_pattern() -> None:
    with onp.errstate(all="ignore"):
        onp.testing.assert_array_equal(np.asarray(EVERY).astype(onp.float32).value, EVERY.astype(onp.float32))
        bits = RNG.integers(0, 1 << 32, 1 << 14, onp.uint32)
        for single in (bits.view(onp.float32), (bits & 0xFFFF0000 | 0x8000).view(onp.float32)):
            got = np.asarray(single).astype(bfloat16).value
            onp.testing.assert_array_equal(got.view(onp.uint16), single.astype(bfloat16).view(onp.uint16))


PROMOTION = {
    **dict.fromkeys(("bool", "int8", "uint8", "int16", "uint16", "bfloat16"), "bfloat16"),
    **dict.fromkeys(("float16", "float32"), "float32"),
    **dict.fromkeys(("int32", "uint32", "int64", "uint64", "float64"), "float64"),
    "complex64": "complex64",
}


@pytest.mark.parametrize(("other", "expected"), PROMOTION.items())
def test_promotion(other: str, expected: str) -> None:
    y = onp.ones(4, other)
    functions: list[Callable[..., Any]] = [np.add, np.multiply, np.maximum, lambda a, b: np.where(a > 0, a, b)]
    for function in functions[: 2 if other == "complex64" else None]:
        assert str(function(X, y).dtype) == str(function(y, X).dtype) == expected
        assert str(gg.jit(function)(X, y).dtype) == str(gg.jit(function)(y, X).dtype) == expected
    assert str((np.asarray(X) * y).dtype) == str(np.result_type(X, y)) == expected


@pytest.mark.parametrize("number", [2, 0.1, True, -1e30])
def test_a_python_number_adapts_to_the_array(number: Any) -> None:
    x = np.asarray(X)
    known, given = gg.jit(lambda x: x * number)(X), gg.jit(lambda x, n: x * n)(X, number)
    for got in (x * number, number * x, np.multiply(X, number), known, given):
        near(got, wide(X) * wide(bfloat16(number)))
    assert bool((np.asarray(bfloat16(0.1)) == 0.1).value)


def test_sums_are_float32s() -> None:
    """What ml_dtypes adds up in 8 bits stops at 256."""
    ones = onp.full(3000, 1, bfloat16)
    assert float(np.sum(ones)) == float(gg.jit(np.sum)(ones)) == 3008  # the nearest there is
    assert float(np.mean(ones)) == 1
    onp.testing.assert_array_equal(np.cumsum(ones).value, onp.cumsum(wide(ones)).astype(bfloat16))
    near(np.asarray(X) @ W, wide(X) @ wide(W))
    near(np.einsum("ij,jk->ki", X, W), (wide(X) @ wide(W)).T)
    spread = gg.grad(lambda table: (table[onp.zeros(3000, int)]).sum())(onp.ones((2, 1), bfloat16))
    onp.testing.assert_array_equal(wide(spread), [[3008], [0]])


@pytest.mark.parametrize("name", [
    "mean", "var", "std", "median", "sort", "argsort", "argmax", "nanmax", "cumprod", "diff", "ptp", "nan_to_num",
    "isnan", "unique", "sign", "round", "flip", "real", "count_nonzero", "average", "nanmean", "ravel", "square",
])  # fmt: skip
def test_functions_of_the_namespace(name: str) -> None:
    want, got = getattr(onp, name)(wide(X)), getattr(np, name)(X)
    if want.dtype == onp.float32:
        near(got, want, 2.0)
    else:
        assert got.dtype == want.dtype
        onp.testing.assert_array_equal(got.value, want)


@pytest.mark.parametrize("name", sorted(nn.ACTIVATIONS))
def test_activations(name: str) -> None:
    function = nn.ACTIVATIONS[name]
    want = function(wide(X))
    for got in (function(X), function(gg.variable(X)), gg.jit(function)(X)):
        near(got, want, 4.0)


def test_linear_algebra_is_float32s() -> None:
    square = (X[:4] + 4 * onp.eye(4)).astype(bfloat16)
    singular: list[Callable[..., Any]] = [lambda a: np.linalg.svd(a)[1], np.linalg.pinv]
    for function in (np.linalg.inv, np.linalg.det, lambda a: np.linalg.solve(a, W), *singular):
        want = wide(function(wide(square)))
        near(function(square), want)
        near(gg.jit(function)(square), want)


def test_updates_in_place_of_elements() -> None:
    x = np.asarray(X)
    near(x.at[0].set(1.5), onp.vstack([onp.full((1, 4), 1.5), wide(X)[1:]]))
    near(x.at[[0, 0]].add(1.5), wide(X) + onp.array([[3.0], [0], [0], [0], [0]]))
    assert repr(x[0, :1].at[0].set(0.5)) == "Array([0.5], dtype=bfloat16)"
    with pytest.raises(DtypeError, match="bfloat16"):
        x.at[0].set(1j)


# Derivatives


def loss(w: Any, x: Any) -> Any:
    return np.mean(np.tanh(x @ w) ** 2)


def test_gradients() -> None:
    want = gg.grad(loss)(wide(W), wide(X))
    near(gg.grad(loss)(W, X), want, 4.0)
    near(gg.jit(gg.grad(loss))(W, X), want, 2.0)
    w = gg.variable(W)
    near(loss(w, X).backward()[w], want, 4.0)
    value, tangent = gg.jvp(lambda w: loss(w, X), (W,), (W,))
    _, expected = gg.jvp(lambda w: loss(w, wide(X)), (wide(W),), (wide(W),))
    near(tangent, expected, 4.0)
    _, pullback = gg.vjp(lambda w: X @ w, W)
    near(pullback(onp.ones((5, 3), bfloat16))[0], wide(X).T @ onp.ones((5, 3)))
    assert value.dtype == bfloat16


def test_mixed_precision_gives_each_its_own_dtype() -> None:
    """Activations of 16 bits beside parameters of 32."""

    def mixed(w: Any, x: Any) -> Any:
        return loss(np.astype(w, bfloat16), x).astype(onp.float32)

    for slope in (gg.grad(mixed), gg.jit(gg.grad(mixed))):
        got = slope(wide(W), X)
        assert got.dtype == onp.float32
        onp.testing.assert_allclose(got, gg.grad(loss)(wide(W), wide(X)), rtol=0.05, atol=1e-3)
    by_x, by_w = gg.grad(lambda x, w: (x @ w).sum(), argnums=(0, 1))(X, wide(W))
    assert (by_x.dtype, by_w.dtype) == (bfloat16, onp.float32)


def test_derivatives_can_be_checked() -> None:
    assert gg.check_grads(lambda x: np.tanh(x).sum(), (X,)).compared


@pytest.mark.parametrize("optimizer", [optim.SGD(lr=0.1, momentum=0.9), optim.Adam(lr=0.02), optim.AdamW(lr=0.02)])
def test_optimisers_keep_the_dtype_of_parameters(optimizer: Any) -> None:
    params, state = {"w": W}, optimizer.init({"w": W})
    for _ in range(3):
        params, state = optimizer.step(params, gg.grad(lambda p: loss(p["w"], X))(params), state)
    single, other = {"w": wide(W)}, optimizer.init({"w": wide(W)})
    for _ in range(3):
        single, other = optimizer.step(single, gg.grad(lambda p: loss(p["w"], wide(X)))(single), other)
    near(params["w"], single["w"], 4.0)
    assert all(a.dtype == np.float32 for slots in state.slots for a in slots.averages)


def test_the_gradient_of_an_eager_scan() -> None:
    def end(w: Any, x: Any) -> Any:
        return (gg.scan(lambda c, _: (np.tanh(np.einsum("bi,ij->bj", c, w)), None), x, None, length=2)[0]).sum()

    x, w = onp.ones((2, 4)), RNG.normal(size=(4, 4)) / 4
    got = gg.grad(end)(w.astype(bfloat16), x.astype(bfloat16))
    near(got, gg.grad(end)(wide(w.astype(bfloat16)), x.astype(onp.float32)), 4.0)
