"""What every optimiser keeps to: purity, kinds of leaves, what is left alone, mistakes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.errors import ShapeError, TreeError
from glassgrad.optim import SGD, Adagrad, Adam, AdamW, Cosine, Lion, RMSProp
from tests.optim.papers import CASES


@pytest.mark.parametrize("kind", [SGD, RMSProp, Adagrad, Adam, AdamW, Lion])
@pytest.mark.parametrize("lr", ["x", None, np.ones(2), 1j])
def test_a_learning_rate_that_is_no_number(kind: Any, lr: Any) -> None:
    with pytest.raises(TypeError, match="optim: bad lr: got .*, expected a number of at least 0"):
        kind(lr=lr)


def test_a_step_is_pure() -> None:
    params, grads = {"w": np.ones(3)}, {"w": np.arange(3.0)}
    for optimizer, *_ in CASES:
        state = optimizer.init(params)
        first = optimizer.step(params, grads, state)
        again = optimizer.step(params, grads, state)
        np.testing.assert_array_equal(first[0]["w"], again[0]["w"])
        np.testing.assert_array_equal(params["w"], np.ones(3))
        np.testing.assert_array_equal(grads["w"], np.arange(3.0))
        (slots,) = state.slots
        (fresh,) = optimizer.init(params).slots
        assert slots is not None
        assert fresh is not None
        assert slots.updates == 0
        for a, b in zip(slots.averages, fresh.averages, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_donated_array_is_updated_in_place_and_its_gradient_is_not() -> None:
    p, g = np.ones(3), np.arange(3.0)
    for optimizer, *_ in CASES:
        new, _ = optimizer.step(p, g, optimizer.init(p), donate=True)
        assert new is p
        np.testing.assert_array_equal(g, np.arange(3.0))


def test_what_has_no_gradient_is_left_alone() -> None:
    params = {"w": np.ones(2), "frozen": np.ones(2), "count": 3, "name": "x", "none": None}
    optimizer = Adam(0.1)
    state = optimizer.init(params)
    grads = {"w": np.ones(2), "frozen": None, "count": None, "name": None, "none": None}
    new, state = optimizer.step(params, grads, state)
    assert new["frozen"] is params["frozen"]
    assert (new["count"], new["name"], new["none"]) == (3, "x", None)
    assert [None if slots is None else slots.updates for slots in state.slots] == [1, 0, None, None]
    np.testing.assert_allclose(new["w"], 0.9)


class Pair(NamedTuple):
    a: Any
    b: Any


def test_leaves_come_back_in_kind() -> None:
    w = gg.variable(1.0, name="w")
    params = Pair(w, np.float32(2.0))
    new, _ = SGD(0.5).step(params, Pair(np.float64(1.0), np.float32(1.0)), SGD(0.5).init(params))
    assert isinstance(new, Pair)
    assert isinstance(new.a, gg.Array)
    assert float((new.a * 3.0).backward()["w"]) == 3.0  # again a variable, under its name
    assert new.a.item() == 0.5
    assert isinstance(new.b, np.float32)


def test_one_step_of_a_gradient_from_the_engine() -> None:
    value_and_grad = gg.value_and_grad(lambda p: (p["x"] * 2.0 - 6.0) ** 2)
    params, optimizer = {"x": 0.0}, SGD(0.05)
    state = optimizer.init(params)
    for _ in range(100):
        _, slope = value_and_grad(params)
        params, state = optimizer.step(params, slope, state)
    assert params["x"] == pytest.approx(3.0)


def test_a_schedule_decides_the_step() -> None:
    optimizer = SGD(lr=Cosine(1.0, steps=4))
    p, state = np.array([0.0]), optimizer.init(np.array([0.0]))
    path = []
    for _ in range(6):
        p, state = optimizer.step(p, np.array([-1.0]), state)
        path.append(p.item())
    half = np.sqrt(0.5) / 2
    np.testing.assert_allclose(np.diff([0.0, *path]), [1, 0.5 + half, 0.5, 0.5 - half, 0, 0], atol=1e-12)


def test_mistakes_are_named() -> None:
    optimizer = SGD(0.1)
    state = optimizer.init({"w": np.ones(3)})
    with pytest.raises(ShapeError, match=r"SGD: gradient does not fit .* got shape \(2,\), expected \(3,\)"):
        optimizer.step({"w": np.ones(3)}, {"w": np.ones(2)}, state)
    with pytest.raises(TreeError, match="structures differ"):
        optimizer.step({"w": np.ones(3)}, {"v": np.ones(3)}, state)
    with pytest.raises(TreeError, match="SGD: state is of other parameters: got 1 leaves, expected 2"):
        optimizer.step([np.ones(3)] * 2, [np.ones(3)] * 2, state)
    for wrong in (
        lambda: SGD(lr=-1),
        lambda: Adam(betas=(1.0, 0.9)),
        lambda: SGD(momentum=float("nan")),
        lambda: RMSProp(alpha=1.0),
    ):
        with pytest.raises(ValueError, match="optim: bad"):
            wrong()
    with pytest.raises(ValueError, match="nesterov looks ahead along the momentum: got momentum=0"):
        SGD(nesterov=True)
    with pytest.raises(ValueError, match="and no dampening"):
        SGD(momentum=0.9, dampening=0.1, nesterov=True)


def test_a_state_of_another_optimiser_is_refused() -> None:
    p = np.ones(2)
    with pytest.raises(TreeError, match="Adam: state is of another optimiser: got 0 averages .*, expected 2; make it"):
        Adam().step(p, p, SGD().init(p))
    with pytest.raises(TreeError, match="SGD: state is of another optimiser: got 2"):
        SGD().step(p, p, Adam().init(p))
