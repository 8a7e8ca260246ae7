"""Optimisers inside compiled functions: the steps of the eager ones, in place, in one pass over memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import optim, tree
from glassgrad.optim import SGD, Adagrad, Adam, AdamW, Cosine, Lion, Optimizer, RMSProp
from tests.optim.papers import CASES
from tests.optim.test_optim import Pair
from tests.optim.test_trajectories import draw, parameters

SCHEDULED: list[Optimizer] = [
    SGD(lr=Cosine(0.1, steps=4, floor=0.01)),
    SGD(lr=lambda n: 0.1 / n, momentum=0.9),
    Adam(lr=lambda n: 0.1 * 0.9**n),
    Adam(lr=lambda n: np.sqrt(0.01 / (n + 1.0))),
    Adam(lr=lambda n: gnp.where(n < 3, 0.1, 0.01)),
    AdamW(lr=Cosine(0.1, steps=3)),
]
OPTIMIZERS = [*[case[0] for case in CASES], *SCHEDULED]


def named(optimizer: Optimizer) -> str:
    """The same in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", str(optimizer))


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: named(o)[:40])
def test_compiled_steps_are_the_eager_ones(optimizer: Optimizer, dtype: str) -> None:
    rng = np.random.default_rng(0)
    params = parameters(rng, dtype)
    state = optimizer.init(params)
    step = gg.jit(optimizer.step)
    eager_params, eager_state = params, state
    for _ in range(6):
        grads = parameters(rng, dtype)
        params, state = step(params, grads, state)
        eager_params, eager_state = optimizer.step(eager_params, grads, eager_state)
        for a, b in zip(tree.leaves((params, state)), tree.leaves((eager_params, eager_state)), strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            units = 8 if a.dtype in ("float32", "complex64") else 64  # of rounding
            np.testing.assert_allclose(a, b, rtol=units * np.finfo(dtype).eps, atol=units * np.finfo(dtype).eps)
    assert len(step.signatures) == 1
    assert [slots.updates for slots in state.slots if slots is not None] == [6, 6, 6]


def mean_square(params: Any, x: Any, y: Any) -> Any:
    h = gnp.tanh(x @ params["w"] + params["b"])
    return gnp.mean((h @ params["v"] - y) ** 2)


def small(dtype: str = "float32") -> Any:
    rng = np.random.default_rng(2)
    params = {"w": draw(rng, (5, 8), dtype), "b": np.zeros(8, dtype), "v": draw(rng, (8, 2), dtype)}
    return params, draw(rng, (16, 5), dtype), draw(rng, (16, 2), dtype)


@pytest.mark.parametrize("optimizer", [SGD(0.05, momentum=0.9), Adam(0.05), AdamW(Cosine(0.05, 30))])
def test_training_in_place(optimizer: Optimizer) -> None:
    @gg.jit(donate=("params", "state"))
    def train(params: Any, state: Any, x: Any, y: Any) -> Any:
        loss, slopes = gg.value_and_grad(mean_square)(params, x, y)
        return loss, *optimizer.step(params, slopes, state)

    params, x, y = small()
    state = optimizer.init(params)
    arrays = [a for a in tree.leaves((params, state)) if a.ndim]
    eager, eager_state = tree.map(np.copy, params), optimizer.init(params)
    losses = []
    for _ in range(30):
        loss, params, state = train(params, state, x, y)
        expected, slopes = gg.value_and_grad(mean_square)(eager, x, y)
        eager, eager_state = optimizer.step(eager, slopes, eager_state)
        np.testing.assert_allclose(loss, expected, rtol=1e-3)
        losses.append(loss)
    assert losses[-1] < losses[0] / 2
    assert len(train.signatures) == 1
    for before, after in zip(arrays, [a for a in tree.leaves((params, state)) if a.ndim], strict=True):
        assert after is before


def kernels(function: Any, *args: Any) -> list[str]:
    return gg.jit(function, donate=(0, 1)).lower(*args).loops.split("\nkernel ")[1:]


@pytest.mark.parametrize(
    ("optimizer", "averages"),
    [
        (SGD(0.1), 0),
        (SGD(0.1, momentum=0.9), 1),
        (RMSProp(), 1),
        (RMSProp(momentum=0.9, centered=True), 3),
        (Adagrad(), 1),
        (Adam(), 2),
        (Adam(amsgrad=True), 3),
        (AdamW(), 2),
        (Lion(weight_decay=0.1), 1),
    ],
)
def test_an_update_is_one_pass_over_memory(optimizer: Optimizer, averages: int) -> None:
    p = np.ones(1 << 16, np.float32)
    step = lambda p, state, g: optimizer.step(p, g, state)
    found = kernels(step, p, optimizer.init(p), p.copy())
    (update,) = [k for k in found if "vector" in k]
    moved = re.findall(r"(load )?b\d+\[[^\]]*i\d", update)
    assert moved.count("load ") == 2 + averages
    assert moved.count("") == 1 + averages
    assert not re.search("power|cos", update)  # what follows from the count is not computed for every element


def test_the_update_of_a_weight_is_part_of_the_product_that_is_its_gradient() -> None:
    optimizer = Adam()
    rng = np.random.default_rng(3)
    x, w, y = (rng.normal(size=s).astype(np.float32) for s in ((32, 64), (64, 48), (32, 48)))
    train = lambda w, state: optimizer.step(w, gg.grad(lambda w: ((x @ w - y) ** 2).sum())(w), state)
    updating = [k for k in kernels(train, w, optimizer.init(w)) if "float32 = sqrt" in k]
    assert len(updating) == 1
    assert "matmul" in updating[0]


def test_what_has_no_gradient_is_left_alone() -> None:
    optimizer = Adam(0.1)
    params = {"w": np.ones(2), "frozen": np.ones(2), "count": 3, "none": None}
    state = optimizer.init(params)

    @gg.jit
    def step(params: Any, state: Any) -> Any:
        return optimizer.step(params, {"w": params["w"] * 0 + 1, "frozen": None, "count": None, "none": None}, state)

    new, state = step(params, state)
    np.testing.assert_allclose(new["w"], 0.9)
    np.testing.assert_array_equal(new["frozen"], np.ones(2))
    assert (new["count"], new["none"]) == (3, None)
    assert [None if slots is None else int(slots.updates) for slots in state.slots] == [1, 0, None]


@pytest.mark.parametrize("name", optim.OPTIMIZERS)
def test_a_gradient_that_is_a_constant_of_the_program(name: str) -> None:
    optimizer, p, g = optim.by_name(name), np.array([1.0, 2.0]), np.array([0.0, 1.0])
    state = optimizer.init(p)
    compiled, _ = gg.jit(lambda p, state: optimizer.step(p, g, state))(p, state)
    np.testing.assert_allclose(compiled, optimizer.step(p, g, state)[0], rtol=1e-12)
    np.testing.assert_array_equal(g, [0.0, 1.0])


def test_a_gradient_of_more_digits_does_not_widen_a_parameter() -> None:
    for optimizer in (SGD(0.1, momentum=0.9, weight_decay=0.1), Adam(0.1), AdamW(0.1)):
        params, grads = Pair(np.ones(3, np.float32), np.float32(2)), Pair(np.full(3, 0.1), np.float64(0.1))
        (new, state), (eager, _) = (
            f(params, grads, optimizer.init(params)) for f in (gg.jit(optimizer.step), optimizer.step)
        )
        assert [a.dtype for a in tree.leaves(new)] == ["float32", "float32"]
        assert {a.dtype.name for a in tree.leaves(state)} == {"int64", "float32", "float64"}
        for a, b in zip(new, eager, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_no_gradient_flows_through_a_step() -> None:
    optimizer = SGD(0.1)

    def after(p: Any) -> Any:
        new, _ = optimizer.step(p, p * 2.0, optimizer.init(p))
        return gnp.sum(new**2) + gnp.sum(p)

    p = np.array([1.0, 2.0])
    np.testing.assert_array_equal(gg.jit(gg.grad(after))(p), np.ones(2))
    np.testing.assert_array_equal(gg.grad(after)(p), np.ones(2))


def test_a_shape_that_does_not_fit_is_named_while_tracing() -> None:
    from glassgrad.errors import ShapeError

    p = np.ones(3)
    with pytest.raises(ShapeError, match=r"SGD: gradient does not fit .* got shape \(2,\), expected \(3,\)"):
        gg.jit(SGD(0.1).step)(p, np.ones(2), SGD(0.1).init(p))
