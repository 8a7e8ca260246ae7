"""One pass over the data: the native one beside a loop in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.train.epoch import Pass, eager_epoch, native_epoch

RNG = np.random.default_rng(0)
DATA = {"x": RNG.normal(size=(23, 3)), "label": RNG.integers(0, 3, 23)}
PASSES = pytest.mark.parametrize("make", [native_epoch, eager_epoch])


def step(carry: Any, batch: Any) -> Any:
    """Gradient descent on W for (x W - label)², by derivatives."""
    w, count = carry
    value, slope = gg.value_and_grad(lambda w: ((batch["x"] @ w - batch["label"]) ** 2).mean())(w)
    return (w - 0.1 * slope, count + 1), {"loss": value, "least": batch["label"].min()}


def by_hand(w: Any, rows: Any) -> Any:
    losses, least = [], []
    for chosen in rows:
        x, y = DATA["x"][chosen], DATA["label"][chosen]
        away = x @ w - y
        losses.append((away**2).mean())
        least.append(y.min())
        w = w - 0.1 * 2 * x.T @ away / len(y)
    return w, losses, least


@PASSES
@pytest.mark.parametrize("batch", [1, 4, 23])
def test_the_steps_of_a_loop_in_numpy(make: Any, batch: int) -> None:
    run: Pass = make(step)
    order = RNG.permutation(23)
    rows = order[: 23 // batch * batch].reshape(-1, batch)
    rest = order[rows.size :][None]
    carry, outputs = run((np.zeros(3), np.int64(0)), DATA, rows)
    w, losses, least = by_hand(np.zeros(3), rows)
    np.testing.assert_allclose(carry[0], w, rtol=1e-12)
    assert carry[1] == len(rows)
    np.testing.assert_allclose(outputs["loss"], losses, rtol=1e-12)
    assert outputs["least"].tolist() == least
    if rest.size:  # a smaller last batch
        carry, outputs = run(carry, DATA, rest)
        np.testing.assert_allclose(carry[0], by_hand(w, rest)[0], rtol=1e-12)
        assert outputs["loss"].shape == (1,)


@PASSES
def test_all_rows_at_once_as_they_are(make: Any) -> None:
    carry, outputs = make(step)((np.zeros(3), np.int64(0)), DATA, None)
    w, losses, _ = by_hand(np.zeros(3), [np.arange(23)])
    np.testing.assert_allclose(carry[0], w, rtol=1e-12)
    np.testing.assert_allclose(outputs["loss"], losses, rtol=1e-12)


def test_the_carry_is_updated_in_place_and_nothing_is_compiled_again() -> None:
    run: Any = native_epoch(step)
    carry: Any = (np.zeros(3), np.int64(0))
    held = carry[0]
    for _ in range(3):
        carry, _ = run(carry, DATA, RNG.permutation(23)[:20].reshape(5, 4))
    assert carry[0] is held
    assert carry[1] == 15
    assert len(run.signatures) == 1


def test_a_row_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError):
        native_epoch(step)((np.zeros(3), np.int64(0)), DATA, np.array([[3, 23]]))


@PASSES
def test_what_is_fixed_reaches_every_step(make: Callable[..., Pass]) -> None:
    run = make(lambda total, x, scale, shift: (total + scale * x.sum() + shift["by"], total))
    rows = np.array([[5, 0], [1, 2]])
    for given, scale in ((rows, 2.0), (rows, -1.0), (None, 3.0)):
        total, before = run(np.float64(1.0), np.arange(6.0), given, np.float64(scale), {"by": np.float64(10.0)})
        sums = [5.0, 3.0] if given is not None else [15.0]
        seen = np.cumsum([1.0, *(scale * s + 10.0 for s in sums)])
        np.testing.assert_allclose(before, seen[:-1])
        np.testing.assert_allclose(total, seen[-1])
