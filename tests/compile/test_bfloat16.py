"""bfloat16 through ``jit``: conversions, training steps, loops; beside ``ml_dtypes``, NumPy's float32, and PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import nn, optim
from glassgrad.compile import Executable
from glassgrad.graph.node import value_of

bfloat16 = ml_dtypes.bfloat16
EVERY = np.arange(1 << 16, dtype=np.uint16).view(bfloat16)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 6)).astype(bfloat16)
LABELS = RNG.integers(0, 3, 32)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def wide(x: Any) -> Any:
    return np.asarray(x).astype(np.float32)


def bits(x: Any) -> Any:
    """What tells -0.0 from 0.0; a NaN is a NaN whatever its bits."""
    assert x.dtype == bfloat16
    return np.where(np.isnan(x), 0x7FC0, x.view(np.uint16))


def test_every_pattern_is_stored_and_read() -> None:
    same, single, double = gg.jit(lambda x: (x[::-1], x.astype(np.float32), x.astype(np.float64)))(EVERY)
    np.testing.assert_array_equal(bits(same), bits(EVERY[::-1].copy()))
    np.testing.assert_array_equal(single, EVERY.astype(np.float32))
    np.testing.assert_array_equal(double, EVERY.astype(np.float64))


def test_float32_is_rounded_to_nearest_even() -> None:
    """Around every number, halfway to the next, infinities, NaN and subnormal numbers."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    narrow = gg.jit(lambda x: x.astype(bfloat16))
    for below in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        single = (upper | below).view(np.float32)
        np.testing.assert_array_equal(bits(narrow(single)), bits(single.astype(bfloat16)))
    assert narrow(np.array([1 + 2.0**-8 + 2.0**-40]))[0] == bfloat16(1 + 2.0**-7)  # of float64 at once


@pytest.mark.parametrize("name", ["negative", "absolute", "sqrt", "exp", "log", "tanh", "sin", "square", "rint"])
def test_functions_of_every_pattern(name: str) -> None:
    got = gg.jit(getattr(gnp, name))(EVERY)
    want = getattr(np, name)(wide(EVERY)).astype(bfloat16)
    near = np.abs(bits(got).astype(int) - bits(want).astype(int)) <= 1
    near |= (np.abs(wide(got)) < 2.0**-126) & (np.abs(wide(want)) < 2.0**-126)
    assert near.all(), EVERY[~near]


def test_one_program_and_a_native_call() -> None:
    function = gg.jit(lambda x, n: (x * n, x.sum()))
    for _ in range(3):
        rows, total = function(X, 0.5)
    assert (rows.dtype, total.dtype) == (bfloat16, bfloat16) and type(total) is bfloat16
    assert function.signatures == ["bfloat16[32, 6], Python float"]
    ((builtin,),) = function.fast.values()
    rows, total = builtin(X, 0.5)
    np.testing.assert_array_equal(bits(rows), bits((wide(X) / 2).astype(bfloat16)))
    assert builtin(wide(X), 0.5) is NotImplemented and builtin(X.view(np.uint16), 0.5) is NotImplemented
    assert function(bfloat16(1.5), 0.5)[0] == 0.75
    assert function(X.T, 2)[0].shape == (6, 32)
    assert type(function(gnp.asarray(X), 0.5)[0]) is gg.Array


def test_what_can_be_read_of_a_program() -> None:
    function = gg.jit(lambda a: gnp.tanh(a) * 0.5)
    assert "bfloat16 = load" in str(function.lower(X)) and "bfloat16[32, 6]" in function.lower(X).graph
    assert function.cost(X).bytes == 2 * 2 * X.size


def test_sums_of_products_are_products_of_float32() -> None:
    w = RNG.normal(size=(6, 9)).astype(bfloat16)
    for second in (w, wide(w)):
        function = gg.jit(lambda a, b: a @ b)
        assert "matmul" in function.lower(X, second).loops
        want = (wide(X) @ wide(w)).astype(second.dtype)
        np.testing.assert_allclose(wide(function(X, second)), wide(want), rtol=2.0**-7, atol=1e-5)
    kernel = RNG.normal(size=(2, 3, 2, 2)).astype(bfloat16)
    image = RNG.normal(size=(1, 3, 5, 5)).astype(bfloat16)
    want = nn.conv(wide(image), wide(kernel))
    np.testing.assert_allclose(wide(gg.jit(nn.conv)(image, kernel)), want, rtol=2.0**-7, atol=2.0**-7)


def test_sorting() -> None:
    order = gg.jit(gnp.argsort)
    for x in (EVERY, EVERY[RNG.permutation(len(EVERY))], X):
        np.testing.assert_array_equal(order(x), np.argsort(wide(x), kind="stable"))
    assert order.cost().callbacks == ()


def test_constants() -> None:
    w, one = RNG.normal(size=6).astype(bfloat16), bfloat16(1.5)
    got = gg.jit(lambda x: x * w + one)(X)
    np.testing.assert_allclose(wide(got), wide(X) * wide(w) + 1.5, rtol=2.0**-7, atol=2.0**-8)


def test_an_argument_is_written_over() -> None:
    step = gg.jit(lambda p, g: p - g * 0.5, donate=0)
    for _ in range(3):
        p = X.copy()
        assert step(p, X) is p
        np.testing.assert_array_equal(bits(p), bits((wide(X) / 2).astype(bfloat16)))


def test_loops() -> None:
    def fall(carry: Any, x: Any) -> Any:
        carry = carry * 0.5 + x
        return carry, carry.sum()

    eager = gg.scan(fall, gnp.asarray(X[0]), X)
    compiled = gg.jit(lambda c, xs: gg.scan(fall, c, xs), check=True)(X[0], X)
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(wide(value_of(a)), wide(b), rtol=2.0**-6, atol=2.0**-6)
    thrice = gg.jit(lambda c: gg.fori_loop(0, 3, lambda i, c: c + c, c))
    np.testing.assert_array_equal(bits(thrice(X)), bits((8 * wide(X)).astype(bfloat16)))
    slope = gg.jit(gg.grad(lambda c: gg.scan(fall, c, X)[1].sum()))(X[0])
    np.testing.assert_allclose(wide(slope), 1.0, rtol=2.0**-6)


def test_the_interpreter_agrees() -> None:
    program = Executable(gg.trace(lambda x: gnp.tanh(x @ x.T) * 0.1 + x.sum(), X), verified=True)
    native, slow = (np.zeros((32, 32), bfloat16) for _ in range(2))
    assert program.run([X], [native]) == program.interpret([X], [slow]) == 0
    np.testing.assert_allclose(wide(native), wide(slow), rtol=2.0**-7, atol=2.0**-7)


def test_the_same_bits_for_any_number_of_threads() -> None:
    a = RNG.normal(size=(300, 200)).astype(bfloat16)
    total = gg.jit(lambda a: (gnp.exp(-(a @ a.T)).sum(0), gnp.tanh(a).mean()))
    found = []
    try:
        for count in (1, 2, 3):
            gg.set_threads(count)
            found.append([np.asarray(x).view(np.uint16) for x in total(a)])
    finally:
        gg.set_threads(None)
    for other in found[1:]:
        for x, y in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


# Training


def loss(model: Any, x: Any, labels: Any) -> Any:
    return nn.cross_entropy(model(x), labels)


def trained(dtype: Any, compiled: bool, steps: int = 40) -> tuple[list[float], Any]:
    model, adam = nn.MLP((6, 16, 3), "gelu", rng=0, dtype=dtype), optim.Adam(lr=0.02)
    state, losses = adam.init(model), []

    def step(model: Any, state: Any, x: Any) -> Any:
        value, slopes = gg.value_and_grad(loss)(model, x, LABELS)
        return *adam.step(model, slopes, state), value

    run = gg.jit(step, donate=(0, 1)) if compiled else step
    for _ in range(steps):
        model, state, value = run(model, state, X.astype(dtype))
        losses.append(float(value))
    assert value.dtype == dtype and all(leaf.dtype == dtype for leaf in gg.tree.leaves(model))
    return losses, model


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_network_learns(compiled: bool) -> None:
    narrow, model = trained(bfloat16, compiled)
    single, _ = trained(np.float32, compiled)
    np.testing.assert_allclose(narrow, single, atol=0.06)
    assert narrow[-1] < 0.6 * narrow[0]
    assert model(X).dtype == bfloat16


def test_mixed_precision_learns() -> None:
    """Master parameters of 32 bits, computed with in 16."""
    adam = optim.Adam(lr=0.02)

    def mixed(model: Any, x: Any) -> Any:
        half = gg.tree.map(lambda p: gnp.astype(p, bfloat16), model)
        return loss(half, x, LABELS).astype(np.float32)

    @gg.jit(donate=("model", "state"))
    def step(model: Any, state: Any, x: Any) -> Any:
        value, slopes = gg.value_and_grad(mixed)(model, x)
        return *adam.step(model, slopes, state), value

    model = nn.MLP((6, 16, 3), "gelu", rng=0)
    state, losses = adam.init(model), []
    for _ in range(40):
        model, state, value = step(model, state, X)
        losses.append(float(value))
    np.testing.assert_allclose(losses, trained(np.float32, True)[0], atol=0.05)
    assert all(leaf.dtype == np.float32 for leaf in gg.tree.leaves(model))


def test_a_step_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    w = RNG.normal(size=(6, 3)).astype(bfloat16)

    def step(w: Any, x: Any) -> Any:
        value, slope = gg.value_and_grad(lambda w: nn.cross_entropy(gnp.tanh(x @ w), LABELS))(w)
        return w - slope * 0.5, value

    after, value = gg.jit(step)(w, X)
    theirs = torch.tensor(wide(w), dtype=torch.bfloat16, requires_grad=True)
    scores = torch.tanh(torch.tensor(wide(X), dtype=torch.bfloat16) @ theirs)
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor(LABELS))
    expected.backward()
    changed = (theirs - 0.5 * theirs.grad).detach().float().numpy()
    np.testing.assert_allclose(float(value), float(expected.detach()), rtol=2.0**-7)
    np.testing.assert_allclose(wide(after), changed, rtol=2.0**-6, atol=2.0**-7)


@pytest.mark.parametrize("dtype", [bfloat16, np.float16])
def test_what_is_compared_is_rounded(dtype: Any) -> None:
    """Sums that 16 bits tell apart no more are equal, and one of them is the largest."""
    x, y = RNG.normal(size=(2, 40, 12)).astype(dtype)
    total = x + y
    for compare in (np.equal, np.less, np.less_equal, np.greater, np.greater_equal, np.not_equal):
        result = gg.jit(lambda x, y, z: getattr(gnp, compare.__name__)(x + y, z + y))(x, y, x[:, ::-1])  # noqa: B023
        np.testing.assert_array_equal(result, compare(total, x[:, ::-1] + y))
    slope = gg.jit(gg.grad(lambda x, y: gnp.max(x + y, 1).sum()))(x, y)
    tied = total == total.max(1, keepdims=True)
    np.testing.assert_array_equal(wide(slope), (tied / tied.sum(1, keepdims=True)).astype(dtype).astype(np.float32))
