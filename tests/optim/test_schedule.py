"""Schedules beside PyTorch's, beside their formulas, and in compiled steps; plateaus without compiling anew."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import tree
from glassgrad.optim import (
    SGD,
    Adam,
    Cosine,
    Exponential,
    MultiStep,
    OneCycle,
    Plateau,
    Polynomial,
    Step,
    WarmUp,
)
from tests.oracles.names import stable

LR = 0.2
TORCH: list[tuple[Any, str, dict[str, Any]]] = [
    (Step(LR, 7, 0.3), "StepLR", {"step_size": 7, "gamma": 0.3}),
    (MultiStep(LR, (5, 20, 21), 0.5), "MultiStepLR", {"milestones": [5, 20, 21], "gamma": 0.5}),
    (Exponential(LR, 0.9), "ExponentialLR", {"gamma": 0.9}),
    (Polynomial(LR, 30), "PolynomialLR", {"total_iters": 30}),
    (Polynomial(LR, 30, power=2.5), "PolynomialLR", {"total_iters": 30, "power": 2.5}),
    (Polynomial(LR / 4, 30, floor=LR / 2), "LinearLR", {"start_factor": 0.25, "end_factor": 0.5, "total_iters": 30}),
    (OneCycle(LR, 50), "OneCycleLR", {"max_lr": LR, "total_steps": 50}),
    (
        OneCycle(LR, 50, 0.45, 10.0, 100.0),
        "OneCycleLR",
        {"max_lr": LR, "total_steps": 50, "pct_start": 0.45, "div_factor": 10.0, "final_div_factor": 100.0},
    ),
]


def path(schedule: Any, steps: int = 50) -> list[float]:
    return [schedule(n) for n in range(1, steps + 1)]


def torch_path(torch: Any, make: Any, steps: int = 50) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) < steps:
            scheduler.step()
    return found


@pytest.mark.parametrize(("schedule", "name", "options"), TORCH, ids=stable)
def test_schedules_equal_torch(schedule: Any, name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch.optim.lr_scheduler, name)
    expected = torch_path(torch, lambda optimizer: kind(optimizer, **options))
    np.testing.assert_allclose(path(schedule), expected, rtol=1e-12, atol=1e-15)


def test_cosine_and_warm_up_equal_torch() -> None:
    torch = pytest.importorskip("torch")
    s = torch.optim.lr_scheduler

    def warm(optimizer: Any) -> Any:
        first = s.LinearLR(optimizer, start_factor=0.1, total_iters=10)
        return s.SequentialLR(optimizer, [first, s.CosineAnnealingLR(optimizer, 40, eta_min=0.01)], [10])

    np.testing.assert_allclose(path(WarmUp(Cosine(LR, 40, 0.01), 10, 0.1)), torch_path(torch, warm), rtol=1e-12)


FORMULAS: list[tuple[Any, Any]] = [
    (Step(LR, 7, 0.3), lambda t: LR * 0.3 ** math.floor(t / 7)),
    (MultiStep(LR, (5, 20, 21), 0.5), lambda t: LR * 0.5 ** len([m for m in (5, 20, 21) if t >= m])),
    (MultiStep(LR, ()), lambda t: LR),
    (Exponential(LR, 0.9), lambda t: LR * 0.9**t),
    (Polynomial(LR, 30, 0.1, 2.0), lambda t: 0.1 + (LR - 0.1) * (1 - t / 30) ** 2 if t < 30 else 0.1),
    (Cosine(LR, 40, 0.01), lambda t: 0.01 + (LR - 0.01) / 2 * (1 + math.cos(math.pi * t / 40)) if t < 40 else 0.01),
    (WarmUp(0.3, 10), lambda t: 0.3 * min(t / 10, 1)),
    (WarmUp(lambda n: 1.0 / n, 10, 0.5), lambda t: 0.5 + 0.5 * t / 10 if t < 10 else 1 / (t - 9)),
    (WarmUp(WarmUp(0.3, 5), 5, 0.5), lambda t: 0.3 * min(max(t - 5, 0) / 5, 1)),
    (Plateau(WarmUp(0.3, 10)), lambda t: 0.3 * min(t / 10, 1)),
    (
        OneCycle(LR, 51, rise=0.5),
        lambda t: (
            LR / 25 + (LR - LR / 25) / 2 * (1 - math.cos(math.pi * t / 24.5))
            if t <= 24
            else LR / 25e4 + (LR - LR / 25e4) / 2 * (1 + math.cos(math.pi * (t - 24.5) / 25.5))
        ),
    ),
    (OneCycle(LR, 51, rise=0.0), lambda t: LR / 25e4 + (LR - LR / 25e4) / 2 * (1 + math.cos(math.pi * (t + 1) / 51))),
]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=stable)
def test_schedules_are_their_formulas_outside_and_inside(schedule: Any, formula: Any) -> None:
    expected = [formula(t) for t in range(50)]
    found = path(schedule)
    assert all(type(rate) is float for rate in found)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    compiled = gg.jit(lambda numbers: gg.scan(lambda c, n: (c, schedule(n) * 1.0), 0.0, numbers)[1])
    np.testing.assert_allclose(compiled(np.arange(1, 51)), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("schedule", [s for s, _ in FORMULAS], ids=stable)
def test_a_schedule_goes_on_after_its_end(schedule: Any) -> None:
    assert all(math.isfinite(schedule(n)) and schedule(n) >= 0 for n in (51, 52, 1000))


MISTAKES: list[Any] = [
    lambda: Step(LR, 0),
    lambda: Step(-1, 3),
    lambda: MultiStep(LR, (-1,)),
    lambda: Exponential(float("nan"), 0.5),
    lambda: Polynomial(LR, 0),
    lambda: Cosine(-1, 3),
    lambda: OneCycle(LR, 1),
    lambda: OneCycle(LR, 10, rise=1.0),
    lambda: WarmUp(-LR, 3),
    lambda: Plateau(LR, factor=1.0),
    lambda: Plateau(LR, patience=-1),
]


@pytest.mark.parametrize("wrong", MISTAKES)
def test_mistakes_are_named(wrong: Any) -> None:
    with pytest.raises(ValueError, match="optim: bad .*: got .*, expected a number of at least"):
        wrong()
    with pytest.raises(TypeError, match=r"write Plateau\(WarmUp"):
        WarmUp(Plateau(0.1), 10)
    with pytest.raises(TypeError, match=r"Plateau: of a Plateau, .*; give one of them a number"):
        Plateau(Plateau(0.1))


PLATEAUS = [
    Plateau(LR, factor=0.5, patience=2),
    Plateau(LR, factor=0.5, patience=0, threshold=0.1, cooldown=3),
    Plateau(LR, factor=0.3, patience=1, threshold=0.0, least=0.05),
]


def losses(kind: int) -> Any:
    noisy = 3.0 * 0.97 ** np.arange(60) + 0.3 * np.random.default_rng(kind).normal(size=60) ** 2
    return np.where(np.arange(60) == 7, np.nan, noisy)


@pytest.mark.parametrize("plateau", PLATEAUS, ids=stable)
def test_a_plateau_equals_torch(plateau: Plateau) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    options = {f.name: getattr(plateau, f.name) for f in dataclasses.fields(plateau)}
    options["min_lr"] = options.pop("least") * options.pop("lr")
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, eps=0.0, **options)
    ours = SGD(plateau)
    state = ours.init(np.zeros(1))
    for loss in losses(0):
        peer.step(loss)
        state = ours.observe(state, loss)
        assert ours.rate(state) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
    assert ours.rate(state) < LR / 2


@pytest.mark.parametrize("plateau", PLATEAUS, ids=stable)
def test_a_plateau_counts(plateau: Plateau) -> None:
    """The rule as a loop over the losses, in plain Python."""
    optimizer = SGD(plateau)
    state = optimizer.init(np.zeros(1))
    least, worse, rest, scale = math.inf, 0, 0, 1.0
    for loss in losses(1):
        if loss < least * (1 - plateau.threshold):
            least, worse = loss, 0
        else:
            worse += 1
        if rest > 0:
            rest, worse = rest - 1, 0
        if worse > plateau.patience:
            scale, rest, worse = max(scale * plateau.factor, plateau.least), plateau.cooldown, 0
        state = optimizer.observe(state, loss)
        assert state.scale == pytest.approx(scale)
    assert scale < 0.5


def test_replicas_have_a_plateau_each() -> None:
    optimizer = SGD(PLATEAUS[1])
    alone = [optimizer.init(np.zeros(1)) for _ in range(3)]
    together = alone[0]
    for row in np.stack([losses(k) for k in range(3)], axis=1):
        together = optimizer.observe(together, row)
        alone = [optimizer.observe(state, loss) for state, loss in zip(alone, row, strict=True)]
    np.testing.assert_array_equal(together.scale, [state.scale for state in alone])
    assert len(set(together.scale)) > 1
    np.testing.assert_allclose(optimizer.rate(together), LR * together.scale)


def test_a_scale_changes_the_rate_and_compiles_nothing() -> None:
    optimizer = Adam(Plateau(0.1, factor=0.5, patience=0))
    step = gg.jit(optimizer.step)
    p = np.zeros(4, np.float32)
    state = optimizer.init(p)
    kinds = [(a.dtype, a.shape) for a in tree.leaves(state)]
    moved = []
    for loss in (3.0, 3.0, np.float32(3.0), 1.0):
        after, state = step(p, np.ones_like(p), state)
        moved.append(float(after[0] - p[0]))
        p, state = after, optimizer.observe(state, loss)
        assert [(a.dtype, a.shape) for a in tree.leaves(state)] == kinds
    np.testing.assert_allclose(moved, [-0.1, -0.1, -0.05, -0.025], rtol=1e-5)
    p, _ = step(p, np.ones_like(p), state._replace(scale=np.float64(0.0)))
    np.testing.assert_array_equal(p, after)
    assert len(step.signatures) == 1


def test_a_plateau_in_a_compiled_loop() -> None:
    optimizer = SGD(PLATEAUS[1])
    begin = optimizer.init(np.zeros(1))
    run = gg.jit(lambda s, xs: gg.scan(lambda s, x: (optimizer.observe(s, x), None), s, xs)[0])
    expected = begin
    for loss in losses(2):
        expected = optimizer.observe(expected, loss)
    assert [float(a) for a in tree.leaves(run(begin, losses(2)))] == pytest.approx(
        [float(a) for a in tree.leaves(expected)]
    )
