"""Parameters of 16 bits: each step is the one of float32, rounded once; averages are float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import tree
from glassgrad.optim import Adam, Optimizer
from tests.optim.papers import CASES
from tests.optim.test_transform import AROUND

bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
STEPS = 4


def cast(values: Any, dtype: Any) -> Any:
    return tree.map(lambda a: np.array(a).astype(dtype), values)


def drawn(rng: np.random.Generator, dtype: Any) -> Any:
    small = rng.normal(size=3) * [1e-5, 0, 1]  # the square of the first is nothing in float16
    return cast({"w": rng.normal(size=(2, 3)), "b": [small, rng.normal()]}, dtype)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [np.float16, bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("optimizer", [*[case[0] for case in CASES], *AROUND], ids=lambda o: str(o)[:60])
def test_a_step_is_the_one_of_float32_rounded_once(optimizer: Optimizer, dtype: Any, compiled: bool) -> None:
    if compiled and optimizer not in (*[case[0] for case in CASES[::4]], *AROUND[::3]):
        pytest.skip("a few are enough to compile")
    averaged = "Averaged" in str(optimizer)  # of the rounded parameters
    rng = np.random.default_rng(0)
    params = drawn(rng, dtype)
    state = optimizer.init(params)
    step = gg.jit(optimizer.step) if compiled else optimizer.step
    for number in range(STEPS):
        grads = drawn(rng, dtype)
        wide, wide_state = optimizer.step(cast(params, np.float32), cast(grads, np.float32), state)
        given = tree.map(np.copy, (params, state))
        if compiled or number % 2:
            params, state = step(params, grads, state)
        else:
            params, state = optimizer.step(*given[:1], grads, given[1], donate=True)
            assert params["w"] is given[0]["w"]
        expected, read = cast(wide, dtype), cast(optimizer.result(params, state), np.float32)
        pairs = zip(tree.leaves((params, state)), tree.leaves((expected, wide_state)), strict=True)
        for a, b in pairs:
            assert a.dtype == b.dtype
            exact = a.dtype == np.int64 or not (compiled or averaged)
            near = 0 if exact else 2 * gg.dtypes.finfo(dtype if averaged else a.dtype).eps
            np.testing.assert_allclose(np.float64(a), np.float64(b), rtol=float(near), atol=float(near) / 100)
        for a, b in zip(tree.leaves(read), tree.leaves(optimizer.result(wide, wide_state)), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-2, atol=1e-3)
        assert all(a.dtype == dtype for a in tree.leaves(optimizer.result(params, state)))


@pytest.mark.parametrize("compiled", [False, True])
def test_a_gradient_of_nothing_is_no_nan(compiled: bool) -> None:
    optimizer, p = Adam(0.1), np.ones(2, np.float16)
    step = gg.jit(optimizer.step) if compiled else optimizer.step
    np.testing.assert_allclose(step(p, np.array([0, 1e-4], np.float16), optimizer.init(p))[0], [1, 0.9], rtol=1e-3)
