"""A hundred steps of every optimiser, eager and compiled, beside the papers' formulas, PyTorch's and Optax's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import tree
from glassgrad.optim import Lion, Optimizer
from tests.optim.papers import CASES, Rule
from tests.oracles.names import stable

STEPS = 100
DTYPES = ["float64", "float32", "complex128", "complex64"]


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Any:
    a = rng.normal(size=shape)
    return np.asarray(a + 1j * rng.normal(size=shape) if dtype.startswith("c") else a).astype(dtype)


def parameters(rng: np.random.Generator, dtype: str) -> Any:
    return {"w": draw(rng, (3, 4), dtype), "b": [draw(rng, (4,), dtype), draw(rng, (), dtype)]}


def trajectory(optimizer: Optimizer, dtype: str, compiled: bool) -> tuple[Any, Any, list[Any]]:
    """The first parameters, the last, and all gradients between."""
    rng = np.random.default_rng(3)
    first = parameters(rng, dtype)
    grads = [parameters(rng, dtype) for _ in range(STEPS)]
    params, state = tree.map(np.copy, first), optimizer.init(first)
    jitted = gg.jit(optimizer.step, donate=("params", "state"))
    step: Any = jitted if compiled else lambda p, g, s: optimizer.step(p, g, s, donate=True)
    for g in grads:
        params, state = step(params, g, state)
    assert len(jitted.signatures) == compiled
    assert [a.dtype for a in tree.leaves(params)] == [dtype] * 3
    assert [slots.updates for slots in state.slots if slots is not None] == [STEPS] * 3
    return first, params, grads


def close(got: Any, expected: Any, dtype: str, first: Any = None) -> None:
    units = 1e-4 if dtype in ("float32", "complex64") else 1e-10
    np.testing.assert_allclose(got, expected, rtol=units, atol=units)
    if first is not None:
        assert np.abs(got - first).max() > 0.1  # it went somewhere


def real(a: Any) -> Any:
    """A complex array as the pairs of real numbers that it is learnt as."""
    wide = np.atleast_1d(np.asarray(a))
    return np.stack([wide.real, wide.imag]).astype(np.float64) if wide.dtype.kind == "c" else wide.astype(np.float64)


@pytest.mark.parametrize(("dtype", "compiled"), [*((d, False) for d in DTYPES), ("float64", True)])
@pytest.mark.parametrize(("ours", "rule"), [case[:2] for case in CASES], ids=stable)
def test_trajectories_are_the_papers(ours: Optimizer, rule: Rule, dtype: str, compiled: bool) -> None:
    first, last, grads = trajectory(ours, dtype, compiled)
    for k, (p, got) in enumerate(zip(map(real, tree.leaves(first)), tree.leaves(last), strict=True)):
        start, slots = p, dict[str, Any]()
        for t, g in enumerate(grads, 1):
            p = rule(p, real(tree.leaves(g)[k]), slots, t, 0.05)
        close(real(got), p, dtype, start)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("ours", "peer"),
    [(c[0], c[2]) for c in CASES if c[2]],
    ids=lambda v: stable(v) if isinstance(v, Optimizer) else "",
)
def test_trajectories_equal_torch(ours: Optimizer, peer: tuple[str, dict[str, Any]], dtype: str) -> None:
    torch = pytest.importorskip("torch")
    first, last, grads = trajectory(ours, dtype, compiled=False)
    theirs = [torch.tensor(p, requires_grad=True) for p in tree.leaves(first)]
    optimizer = getattr(torch.optim, peer[0])(theirs, lr=0.05, **peer[1])
    for gradient in grads:
        for t, g in zip(theirs, tree.leaves(gradient), strict=True):
            t.grad = torch.tensor(g)
        optimizer.step()
    for p, t in zip(tree.leaves(last), theirs, strict=True):
        close(p, t.detach().numpy(), dtype)


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_lion_equals_optax(decay: float) -> None:
    optax = pytest.importorskip("optax")
    first, last, grads = trajectory(Lion(0.05, (0.8, 0.95), weight_decay=decay), "float32", compiled=True)
    peer = optax.lion(0.05, b1=0.8, b2=0.95, weight_decay=decay)
    state = peer.init(first)
    for g in grads:
        updates, state = peer.update(g, state, first)
        first = optax.apply_updates(first, updates)
    for got, expected in ((last["w"], first["w"]), *zip(last["b"], first["b"], strict=True)):
        close(got, np.asarray(expected), "float32")
