"""Optimisers by name."""

from __future__ import annotations

import numpy as np
import pytest

from glassgrad.optim import OPTIMIZERS, AdamW, by_name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_name_makes_an_optimiser_that_descends(name: str) -> None:
    optimizer = by_name(name.upper(), lr=0.01)
    p = np.ones(2)
    new, _ = optimizer.step(p, p, optimizer.init(p))
    assert (new < p).all()
    assert type(optimizer).__name__.lower() == name


def test_options_are_passed_on_and_mistakes_named() -> None:
    assert by_name("adamw", weight_decay=0.3) == AdamW(weight_decay=0.3)
    with pytest.raises(ValueError, match="unknown optimiser: got 'adamm', expected one of sgd, .*did you mean 'adam'"):
        by_name("adamm")
    with pytest.raises(ValueError, match=r"got 'xyzzy', expected one of sgd, rmsprop, adagrad, adam, adamw, lion$"):
        by_name("xyzzy")
    with pytest.raises(TypeError, match="momentum"):
        by_name("adam", momentum=0.9)
