"""Optimisers around optimisers: beside PyTorch's functions, beside the large batch, eager and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, tree
from glassgrad.errors import ShapeError, TreeError
from glassgrad.optim import SGD, Accumulated, Adagrad, Adam, AdamW, Averaged, Clipped, Lion, Optimizer, RMSProp
from tests.optim.test_trajectories import close, parameters

DTYPES = ["float64", "float32", "complex128"]
AROUND: list[Optimizer] = [
    Clipped(SGD(0.1, momentum=0.9), value=0.5),
    Clipped(Adam(0.1), norm=1.0),
    Clipped(SGD(0.1), value=0.8, norm=1.5, global_norm=1.0),
    Accumulated(Adam(0.1), steps=3),
    Accumulated(SGD(0.1), steps=1),
    Averaged(SGD(0.1), decay=0.9),
    Averaged(RMSProp(0.1), decay=0.9, corrected=False),
    Averaged(Accumulated(Clipped(AdamW(0.1), global_norm=1.0), steps=2), decay=0.7),
    Accumulated(Averaged(Clipped(Lion(0.1), norm=0.5), decay=0.7), steps=2),
    Clipped(Accumulated(Adagrad(0.1), steps=2), value=0.1),
]


def copied(values: Any) -> Any:
    return tree.map(np.copy, values)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_compiled_steps_are_the_eager_ones(optimizer: Optimizer, dtype: str) -> None:
    rng = np.random.default_rng(0)
    params = parameters(rng, dtype)
    ours, compiled = ((copied(params), optimizer.init(params)) for _ in range(2))
    jitted = gg.jit(optimizer.step, donate=("params", "state"))
    read = gg.jit(optimizer.result)
    for _ in range(7):
        grads = parameters(rng, dtype)
        ours = optimizer.step(ours[0], grads, ours[1], donate=True)
        compiled = jitted(compiled[0], grads, compiled[1])
        for a, b in zip(tree.leaves(ours), tree.leaves(compiled), strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            close(a, b, dtype)
        results = optimizer.result(*ours), read(*compiled)
        for a, b in zip(*map(tree.leaves, results), strict=True):
            assert a.dtype == b.dtype == dtype
            close(a, b, dtype)
    assert len(jitted.signatures) == 1


@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_a_step_is_pure_and_a_donated_one_in_place(optimizer: Optimizer) -> None:
    rng = np.random.default_rng(1)
    params = parameters(rng, "float64")
    state = optimizer.init(params)
    grads = [parameters(rng, "float64") for _ in range(4)]
    before = copied((params, state, grads))
    once = optimizer.step(params, grads[0], state)
    further = optimizer.step(once[0], grads[1], once[1])
    for _ in range(3):
        further = optimizer.step(further[0], grads[1], further[1], donate=True)
    for a, b in zip(tree.leaves((params, state, grads)), tree.leaves(before), strict=True):
        np.testing.assert_array_equal(a, b)
    again = optimizer.step(params, grads[0], state)
    for a, b in zip(tree.leaves(once), tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    own = copied(params)
    after, state = own, optimizer.init(own)
    for g in grads:
        after, state = optimizer.step(after, g, state, donate=True)
    assert after["w"] is own["w"]
    assert np.abs(after["w"] - params["w"]).max() > 0.01
    for a, b in zip(tree.leaves(grads), tree.leaves(before[2]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_a_step_is_the_carry_of_a_loop(optimizer: Optimizer) -> None:
    p, xs = np.array([1.0, -2.0], np.float32), np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    state = optimizer.init(p)

    def step(carry: Any, x: Any) -> Any:
        p, state = carry
        return optimizer.step(p, gg.grad(lambda p: ((p - x) ** 2).sum())(p), state), None

    (last, _), _ = gg.jit(lambda p, xs: gg.scan(step, (p, optimizer.init(p)), xs))(p, xs)
    for x in xs:
        p, state = optimizer.step(p, 2 * (p - x), state)
    np.testing.assert_allclose(last, p, rtol=1e-5)


@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_what_has_no_gradient_is_left_alone(optimizer: Optimizer) -> None:
    params = {"w": np.ones(2), "frozen": np.ones(2), "count": 3, "name": "x", "none": None}
    grads = {"w": np.ones(2), "frozen": None, "count": None, "name": None, "none": None}
    new, state = params, optimizer.init(params)
    for _ in range(3):
        new, state = optimizer.step(new, grads, state)
    result = optimizer.result(new, state)
    assert (new["w"] < 1).all()
    assert (result["w"] < 1).all()
    for one in (new, result):
        np.testing.assert_array_equal(one["frozen"], np.ones(2))
        assert (one["count"], one["name"], one["none"]) == (3, "x", None)


@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_what_does_not_fit_is_named(optimizer: Optimizer) -> None:
    p = np.ones(3)
    state = optimizer.init(p)
    for step in (optimizer.step, gg.jit(optimizer.step)):
        with pytest.raises(ShapeError, match=r"gradient does not fit its parameter: got shape \(1,\), expected \(3,\)"):
            step(p, np.ones(1), state)
        with pytest.raises(TreeError, match="state is of other parameters: got 1 leaves, expected 2"):
            step([p, p], [p, p], state)


def test_the_rate_and_its_scale_are_seen_from_outside() -> None:
    optimizer = Averaged(Accumulated(Clipped(SGD(lr=lambda n: 1.0 / n), value=10.0), steps=2))
    p = np.zeros(1)
    state = optimizer.init(p)
    rates = []
    for _ in range(4):
        rates.append(optimizer.rate(state))
        p, state = optimizer.step(p, np.ones(1), state)
    assert rates == [1, 1, 0.5, 0.5]
    assert p == -1.5
    state = state._replace(scale=state.scale * 0.3)
    for _ in range(2):
        p, state = optimizer.step(p, np.ones(1), state)
    np.testing.assert_allclose(p, -1.6)


@pytest.mark.skipif(not hasattr(gg, "vmap"), reason="no gg.vmap")
@pytest.mark.parametrize("optimizer", AROUND, ids=lambda o: str(o)[:60])
def test_replicas_with_a_scale_each_are_as_many_runs(optimizer: Optimizer) -> None:
    rng = np.random.default_rng(9)
    draw = lambda: {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=4)}
    row = lambda values, r: tree.map(lambda a: a[r], values)
    together = draw()
    state = tree.map(np.asarray, gg.vmap(optimizer.init)(together))._replace(scale=np.geomspace(1e-2, 1, 4))
    alone = [(row(together, r), optimizer.init(row(together, r))) for r in range(4)]
    alone = [(p, s._replace(scale=state.scale[r])) for r, (p, s) in enumerate(alone)]
    step = gg.jit(gg.vmap(optimizer.step))
    for _ in range(5):
        grads = draw()
        together, state = step(together, grads, state)
        alone = [optimizer.step(p, row(grads, r), s) for r, (p, s) in enumerate(alone)]
    for r in range(4):
        for a, b in zip(tree.leaves((together, state)), tree.leaves(alone[r]), strict=True):
            np.testing.assert_allclose(a[r], b, rtol=1e-9, atol=1e-12)
    assert len(step.signatures) == 1


# Clipping


def clipped(dtype: str, **limits: float) -> tuple[list[Any], list[Any], Any]:
    """Gradients, and what a step makes of them."""
    grads = parameters(np.random.default_rng(4), dtype)
    zeros = tree.map(np.zeros_like, grads)
    optimizer = Clipped(SGD(1.0), **limits)
    new, _ = optimizer.step(zeros, grads, optimizer.init(zeros))
    return tree.leaves(grads), [-a for a in tree.leaves(new)], grads


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("limit", [0.1, 2.0, 100.0])
def test_limits_are_their_formulas(dtype: str, limit: float) -> None:
    grads, got, _ = clipped(dtype, global_norm=limit)
    total = np.sqrt(sum(np.sum(np.abs(g) ** 2, dtype=np.float64) for g in grads))
    for a, g in zip(got, grads, strict=True):
        close(a, g * min(1.0, limit / total), dtype)
    grads, got, _ = clipped(dtype, norm=limit)
    for a, g in zip(got, grads, strict=True):
        close(a, g * min(1.0, limit / np.linalg.norm(g.reshape(-1))), dtype)
    grads, got, _ = clipped(dtype, value=limit)
    for a, g in zip(got, grads, strict=True):
        for part in ("real", "imag"):
            np.testing.assert_array_equal(
                getattr(a, part),
                np.minimum(np.maximum(getattr(g, part), -np.float32(limit)), np.float32(limit))
                if dtype == "float32"
                else np.minimum(np.maximum(getattr(g, part), -limit), limit),
            )


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_equal_torch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    utils = torch.nn.utils
    for limits, clip in [
        ({"global_norm": 0.7}, lambda ts: utils.clip_grad_norm_(ts, 0.7)),
        ({"norm": 0.7}, lambda ts: [utils.clip_grad_norm_([t], 0.7) for t in ts]),
        ({"value": 0.3}, lambda ts: utils.clip_grad_value_(ts, 0.3)),
    ]:
        if dtype == "complex128" and "value" in limits:
            continue  # PyTorch does not clamp complex numbers
        grads, got, _ = clipped(dtype, **limits)
        theirs = [torch.zeros(g.shape, dtype=torch.tensor(g).dtype, requires_grad=True) for g in grads]
        for t, g in zip(theirs, grads, strict=True):
            t.grad = torch.tensor(g)
        clip(theirs)
        for a, t in zip(got, theirs, strict=True):
            np.testing.assert_allclose(a, t.grad.numpy(), rtol=1e-5)  # PyTorch divides by the norm + 1e-6


def test_a_short_gradient_keeps_its_bits_and_a_long_one_does_not_overflow() -> None:
    grads, got, _ = clipped("float32", global_norm=1e3, norm=1e3)
    for a, g in zip(got, grads, strict=True):
        np.testing.assert_array_equal(a, g)
    p = np.zeros(2, np.float32)
    optimizer = Clipped(SGD(1.0), global_norm=1.0)
    for step in (optimizer.step, gg.jit(optimizer.step)):
        new, _ = step(p, np.array([-3e30, -4e30], np.float32), optimizer.init(p))
        np.testing.assert_allclose(new, [0.6, 0.8], rtol=1e-6)
        new, _ = step(p, np.zeros(2, np.float32), optimizer.init(p))
        np.testing.assert_array_equal(new, p)


# Accumulation


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.05)])
def test_accumulated_means_are_the_large_batch(optimizer: Optimizer) -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12,))
    slope = gg.grad(lambda w, x, y: gg.numpy.mean((x @ w - y) ** 2))
    whole = parts = rng.normal(size=3)
    around = Accumulated(optimizer, steps=4)
    state, inner = around.init(parts), optimizer.init(whole)
    for _ in range(10):
        whole, inner = optimizer.step(whole, slope(whole, x, y), inner)
        for k in range(4):
            rows = slice(3 * k, 3 * k + 3)
            parts, state = around.step(parts, slope(parts, x[rows], y[rows]), state)
        np.testing.assert_allclose(parts, whole, rtol=1e-12)
    assert [slots.updates for slots in state.slots if slots is not None] == [10]


def test_a_bad_gradient_is_forgotten_after_its_step() -> None:
    optimizer = Accumulated(SGD(1.0), steps=2)
    for step in (optimizer.step, gg.jit(optimizer.step)):
        _, state = step(np.zeros(1), np.array([np.nan]), optimizer.init(np.zeros(1)))
        p, state = step(np.zeros(1), np.ones(1), state)
        assert np.isnan(p)
        for _ in range(2):
            p, state = step(np.zeros(1), np.ones(1), state)
        assert p == -1


# Averages


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("corrected", [True, False])
def test_averages_are_their_formula(dtype: str, corrected: bool) -> None:
    rng = np.random.default_rng(6)
    params = parameters(rng, dtype)
    optimizer = Averaged(SGD(0.3), 0.8, corrected)
    state = optimizer.init(params)
    path = [tree.leaves(params)]
    for a, b in zip(tree.leaves(optimizer.result(params, state)), path[0], strict=True):
        np.testing.assert_array_equal(a, b)
    for n in range(1, 20):
        params, state = optimizer.step(params, parameters(rng, dtype), state)
        path.append(tree.leaves(params))
        weights = [0.2 * 0.8 ** (n - k) for k in range(n + 1)]
        weights[0] = 0.0 if corrected else 0.8**n
        for k, got in enumerate(tree.leaves(optimizer.result(params, state))):
            close(got, sum(w * p[k] for w, p in zip(weights, path, strict=True)) / sum(weights), dtype)


def test_averages_equal_torch() -> None:
    torch = pytest.importorskip("torch")
    swa = torch.optim.swa_utils
    rng = np.random.default_rng(7)
    p = rng.normal(size=4)
    layer = torch.nn.Linear(4, 1, bias=False).double()
    layer.weight.data[0] = torch.tensor(p)
    peer = swa.AveragedModel(layer, multi_avg_fn=swa.get_ema_multi_avg_fn(0.9))
    peer.update_parameters(layer)  # the first one is copied
    optimizer = Averaged(SGD(0.1), 0.9, corrected=False)
    state = optimizer.init(p)
    for _ in range(100):
        g = rng.normal(size=4)
        p, state = optimizer.step(p, g, state)
        layer.weight.data[0] -= 0.1 * torch.tensor(g)
        peer.update_parameters(layer)
        np.testing.assert_allclose(optimizer.result(p, state), peer.module.weight.detach().numpy()[0], rtol=1e-10)


# Masks of weight decay

DECAYING = [SGD, RMSProp, Adagrad, Adam, AdamW, Lion]


@pytest.mark.parametrize("kind", DECAYING)
def test_masks_choose_what_decays(kind: Any) -> None:
    rng = np.random.default_rng(8)
    params, grads = ({"w": rng.normal(size=(2, 2)), "b": rng.normal(size=2), "mask": None, "n": 3} for _ in range(2))
    grads["n"] = None

    def after(**options: Any) -> Any:
        optimizer = kind(0.1, **options)
        new, state = params, optimizer.init(params)
        for _ in range(2):
            new, state = optimizer.step(new, grads, state)
        return new

    whole, none = after(weight_decay=0.5), after(weight_decay=0.0)
    assert (whole["b"] != none["b"]).any()
    for mask in (
        {"w": True, "b": False, "mask": None, "n": False},
        {"w": np.True_, "b": None, "mask": None, "n": None},
        lambda path, leaf: "w" in path,
        lambda path, leaf: np.ndim(leaf) > 1,
    ):
        found = after(weight_decay=0.5, decays=mask)
        np.testing.assert_array_equal(found["w"], whole["w"])
        np.testing.assert_array_equal(found["b"], none["b"])


def test_a_mask_in_a_compiled_step_and_of_a_models_form() -> None:
    model = nn.Linear(2, 2, rng=0)
    mask = tree.map(lambda leaf: leaf.ndim > 1, model)
    optimizer = AdamW(0.1, weight_decay=0.5, decays=mask)
    zeros = tree.map(np.zeros_like, model)
    new, _ = gg.jit(Clipped(optimizer, norm=1.0).step)(model, zeros, optimizer.init(model))
    np.testing.assert_allclose(new.W, model.W * np.float32(0.95), rtol=1e-6)
    np.testing.assert_array_equal(new.b, model.b)
    with pytest.raises(TreeError, match="structures differ"):
        AdamW(decays={"W": True}).step(model, zeros, optimizer.init(model))


def test_mistakes_are_named() -> None:
    adam = Adam()
    for wrong, message in [
        (lambda: Clipped(adam), "Clipped: no limit: got none, expected value=, norm= or global_norm="),
        (lambda: Clipped(adam, norm=0.0), "optim: bad norm: got 0.0"),
        (lambda: Accumulated(adam, steps=0), "optim: bad steps: got 0, expected a number of at least 1"),
        (lambda: Averaged(adam, decay=1.0), "optim: bad decay: got 1.0, expected a number of at least 0 and below 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            wrong()  # type: ignore[no-untyped-call]
    with pytest.raises(TypeError, match="Clipped: not an optimiser: got <class .*Adam'>, expected one, such as Adam"):
        Clipped(Adam, norm=1.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="optim: bad steps: got 'x'"):
        Accumulated(adam, steps="x")  # type: ignore[arg-type]
