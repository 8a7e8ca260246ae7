"""Optimisers against PyTorch's, step by step, and what they leave alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.errors import ShapeError, TreeError
from glassgrad.optim import SGD, Adam, AdamW, Cosine, Optimizer

CASES: list[tuple[Optimizer, str, dict[str, Any]]] = [
    (SGD(lr=0.05), "SGD", {"lr": 0.05}),
    (SGD(lr=0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (SGD(lr=0.05, momentum=0.8, nesterov=True), "SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True}),
    (SGD(lr=0.05, momentum=0.9, weight_decay=0.1), "SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
    (SGD(lr=0.05, weight_decay=0.1), "SGD", {"lr": 0.05, "weight_decay": 0.1}),
    (Adam(lr=0.02), "Adam", {"lr": 0.02}),
    (Adam(0.02, (0.7, 0.95), 1e-3, 0.1), "Adam", {"lr": 0.02, "betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    (AdamW(lr=0.02, weight_decay=0.2), "AdamW", {"lr": 0.02, "weight_decay": 0.2}),
]


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize("lr", ["x", None, np.ones(2), 1j])
def test_a_learning_rate_that_is_no_number(kind: Any, lr: Any) -> None:
    with pytest.raises(TypeError, match="optim: bad lr: got .*, expected a number of at least 0"):
        kind(lr=lr)


@pytest.mark.parametrize("donate", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize(("ours", "name", "options"), CASES, ids=lambda v: str(v) if isinstance(v, Optimizer) else "")
def test_trajectories_equal_torch(
    ours: Optimizer, name: str, options: dict[str, Any], dtype: str, donate: bool
) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)

    def draw(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        a = rng.normal(size=shape)
        return np.asarray(a + 1j * rng.normal(size=shape) if dtype.startswith("c") else a).astype(dtype)

    params: Any = {"w": draw((3, 4)), "b": [draw((4,)), draw(())]}
    start = {"w": params["w"].copy(), "b": [params["b"][0].copy(), params["b"][1].copy()]}
    theirs = [torch.tensor(p, requires_grad=True) for p in gg.tree.leaves(params)]
    peer = getattr(torch.optim, name)(theirs, **options)
    state = ours.init(params)
    for _ in range(100):
        grads: Any = {"w": draw((3, 4)), "b": [draw((4,)), draw(())]}
        for t, g in zip(theirs, gg.tree.leaves(grads), strict=True):
            t.grad = torch.tensor(g)
        peer.step()
        params, state = ours.step(params, grads, state, donate=donate)
    rtol = 1e-4 if dtype == "float32" else 1e-10
    for before, p, t in zip(gg.tree.leaves(start), gg.tree.leaves(params), theirs, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p, t.detach().numpy(), rtol=rtol, atol=rtol)
        assert np.abs(p - before).max() > 0.1  # it went somewhere


def test_a_step_is_pure() -> None:
    params, grads = {"w": np.ones(3)}, {"w": np.arange(3.0)}
    for optimizer in (SGD(0.1, momentum=0.9), Adam(0.1), AdamW(0.1)):
        state = optimizer.init(params)
        first = optimizer.step(params, grads, state)
        again = optimizer.step(params, grads, state)
        np.testing.assert_array_equal(first[0]["w"], again[0]["w"])
        np.testing.assert_array_equal(params["w"], np.ones(3))
        np.testing.assert_array_equal(grads["w"], np.arange(3.0))
        (slots,) = state
        assert slots is not None
        assert slots.updates == 0
        assert not any(a.any() for a in slots.averages)


def test_a_donated_array_is_updated_in_place_and_its_gradient_is_not() -> None:
    p, g = np.ones(3), np.arange(3.0)
    for optimizer in (SGD(0.1, momentum=0.9, weight_decay=0.1), Adam(0.1, weight_decay=0.1), AdamW(0.1)):
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
    assert [None if slots is None else slots.updates for slots in state] == [1, 0, None, None]
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
    for wrong in (lambda: SGD(lr=-1), lambda: Adam(betas=(1.0, 0.9)), lambda: SGD(momentum=float("nan"))):
        with pytest.raises(ValueError, match="optim: bad"):
            wrong()
    with pytest.raises(ValueError, match="nesterov looks ahead along the momentum"):
        SGD(nesterov=True)
