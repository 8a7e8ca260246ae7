"""What was compiled for one fit serves the next, unless code that may have changed is part of it."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim
from glassgrad.train import fit
from glassgrad.train.remember import fixed

X, Y = np.arange(8, dtype=np.float32).reshape(4, 2), np.ones((4, 1), np.float32)
SCALE = 1.0


def scaled(outputs: Any, y: Any) -> Any:
    return SCALE * nn.squared_error(outputs, y)


def first_loss(model: Any, loss: Any, lr: float = 0.1) -> float:
    _, history = fit(model, loss, (X, Y), optimizer=optim.SGD(lr), epochs=1, batch_size=4, progress=False)
    return history.loss[0]


def test_a_second_fit_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> None:
        model = nn.MLP((2, 3, 1), rng=0)
        fit(model, nn.squared_error, (X, Y), optimizer=optim.Adam(), epochs=2, validation=(X, Y), progress=False)

    run()
    monkeypatch.setattr(sys.modules["glassgrad.compile.jit"], "Compiled", None)  # what makes a program
    run()


def test_fits_of_many_shapes_warn_of_nothing() -> None:
    for n in range(4, 16):  # each is compiled once; a RetraceWarning would be an error here
        x = np.ones((n, 2), np.float32)
        model, data = nn.Linear(2, 1, rng=0), (x, x[:, :1])
        fit(model, nn.squared_error, data, optimizer=optim.SGD(0.1), epochs=1, validation=data, progress=False)


def test_other_optimisers_and_losses_are_other_programs() -> None:
    model = nn.Linear(2, 1, rng=0)
    moved = [
        fit(model, loss, (X, Y), optimizer=optim.SGD(lr), epochs=1, batch_size=None, progress=False)[0].W
        for loss in (nn.squared_error, nn.absolute_error)
        for lr in (0.1, 0.01)
    ]
    for i, one in enumerate(moved):
        assert not any(np.array_equal(one, other) for other in moved[i + 1 :])


def test_a_function_of_the_users_is_looked_at_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Linear(2, 1, rng=0)
    once = first_loss(model, scaled)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert first_loss(model, scaled) == pytest.approx(2 * once)


def test_what_is_fixed() -> None:
    layer = nn.Linear(2, 1, rng=0)
    assert fixed((layer, [nn.MLP((2, 3, 1), rng=0)], {"a": np.ones(2), "b": None}))
    assert fixed(nn.Sequential(layer, nn.relu)) and not fixed(nn.Sequential(layer, scaled))
    assert fixed(optim.Adam(optim.Cosine(0.1, 10))) and not fixed(optim.Adam(lambda n: 0.1))
