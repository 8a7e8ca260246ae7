"""Choices for a table: every optimiser, schedule and network by name, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.data import Table, prepare
from glassgrad.errors import DataError
from glassgrad.train import Settings, train_table
from glassgrad.train.recipe import DESCENTS, SCHEDULES, plan


def table() -> Table:
    x = np.random.default_rng(0).normal(size=(60, 2))
    return Table.from_columns({"a": x[:, 0], "b": x[:, 1], "y": x @ [2.0, -1.0]})


def test_every_optimiser_has_choices() -> None:
    assert set(DESCENTS) == set(optim.OPTIMIZERS)


@pytest.mark.parametrize("optimizer", DESCENTS)
def test_every_optimiser_learns(optimizer: str) -> None:
    settings = Settings(hidden=(), optimizer=optimizer)
    trained = train_table(prepare(table(), "y"), ("a", "b", "y"), settings)
    assert trained.history.loss[-1] < trained.history.loss[0] / 2


@pytest.mark.parametrize("batch_size", [1, 4, 32, 128])
@pytest.mark.parametrize("seed", [0, 2])
def test_the_rate_of_sgd_fits_the_batch_size(batch_size: int, seed: int) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_diabetes(return_X_y=True)
    table = Table.from_columns({**{f"x{i}": column for i, column in enumerate(x.T)}, "y": y})
    settings = Settings(optimizer="sgd", batch_size=batch_size, epochs=30, seed=seed)
    trained = train_table(prepare(table, "y", rng=seed), table.names, settings)
    assert trained.score is not None
    assert trained.score.r2 is not None and trained.score.r2 > 0.3


def test_a_rate_that_is_given_is_left_alone() -> None:
    given = plan(Settings(optimizer="sgd", lr=0.3, batch_size=1), 100)
    assert (given.lr, given.clip) == (0.3, None)
    assert plan(Settings(optimizer="sgd", batch_size=16), 1000).lr == 0.02
    assert plan(Settings(optimizer="sgd", batch_size=256), 1000).lr == 0.04
    assert plan(Settings(optimizer="sgd", clip=2.0), 1000).clip == 2.0
    assert plan(Settings(batch_size=1), 100)[4:] == (0.004, 6000, 1.0, None)


@pytest.mark.parametrize(("optimizer", "rtol"), [("sgd", 0.001), ("adamw", 0.15)])
def test_a_linear_model_without_noise_is_numpys(optimizer: str, rtol: float) -> None:
    x = np.random.default_rng(0).normal(size=(500, 4))
    y = x @ [2.0, -1.0, 0.5, 3.0] + 1
    table = Table.from_columns({**{f"x{i}": column for i, column in enumerate(x.T)}, "y": y})
    trained = train_table(prepare(table, "y"), table.names, Settings(hidden=(), optimizer=optimizer))
    new = np.random.default_rng(1).normal(size=(100, 4))
    solution = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y)[0]
    found = trained.model.predict(Table.from_columns({f"x{i}": column for i, column in enumerate(new.T)})).values
    away = found - np.c_[new, np.ones(len(new))] @ solution
    assert np.sqrt(np.mean(away**2)) < rtol * y.std()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_weight_decay_keeps_networks_from_learning_noise(optimizer: str) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_diabetes(return_X_y=True)
    table = Table.from_columns({**{f"x{i}": column for i, column in enumerate(x.T)}, "y": y})
    with_decay, without = (
        train_table(prepare(table, "y"), table.names, Settings(optimizer=optimizer, weight_decay=decay)).score
        for decay in (None, 0.0)
    )
    assert with_decay is not None and without is not None
    assert with_decay.rmse < 0.95 * without.rmse


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_every_schedule_takes_any_number_of_steps(schedule: str, steps: int) -> None:
    rate = SCHEDULES[schedule](0.1, steps)
    rates = [optim.schedule.rate(rate, step) for step in range(1, steps + 1)]
    assert all(0 <= r <= 0.1 + 1e-9 for r in rates)
    assert steps < 100 or max(rates) > 0.09


def test_a_plateau_lowers_the_rate() -> None:
    settings = Settings(hidden=(), schedule="plateau", lr=0.3, epochs=80, optimizer="sgd", batch_size=48)
    trained = train_table(prepare(table(), "y"), ("a", "b", "y"), settings)
    assert trained.history.lr[-1] < trained.history.lr[0] == 0.3


def test_dropout_makes_the_same_network_with_dropout_in_it() -> None:
    plain, dropping = (plan(Settings(hidden=(5, 4), dropout=p, activation="tanh"), 100).network(3, 2) for p in (0, 0.5))
    assert isinstance(plain, nn.MLP)
    kinds = [type(layer).__name__ for layer in dropping.layers]
    assert kinds == ["Linear", "Function", "Dropout", "Linear", "Function", "Dropout", "Linear"]
    x = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(plain(x), dropping(x))  # the same first weights, and inference drops nothing


@pytest.mark.parametrize("image", [(1, 8, 8), (3, 5, 7), (1, 1, 4)])
def test_a_network_for_images_is_pytorchs(image: tuple[int, int, int]) -> None:
    torch = pytest.importorskip("torch")
    model = plan(Settings(image=image, hidden=(6,)), 100).network(math.prod(image), 3)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(4, math.prod(image))).astype(np.float32))
    functional, arrays = torch.nn.functional, [torch.from_numpy(leaf) for leaf in tree.leaves(model)]
    y = x.reshape(4, *image)
    for W, b in zip(arrays[:4:2], arrays[1:4:2], strict=True):
        y = functional.relu(functional.conv2d(y, W, b, padding="same"))
        y = functional.max_pool2d(y, 2) if min(y.shape[2:]) > 1 else y
    y = functional.relu(y.flatten(1) @ arrays[4] + arrays[5]) @ arrays[6] + arrays[7]
    np.testing.assert_allclose(model(x.numpy()), y.numpy(), rtol=1e-5, atol=1e-6)


def test_a_network_for_images_drops_behind_its_convolutions() -> None:
    model = plan(Settings(image=(1, 6, 6), dropout=0.5), 100).network(36, 2)
    kinds = [type(layer).__name__ for layer in model.layers]
    block = ["Conv2d", "Function", "MaxPool"]
    assert kinds == ["Unflatten", *block, *block, "Flatten", "Linear", "Function", "Dropout", "Linear"]
    assert plan(Settings(image=(1, 6, 6)), 60_000).epochs < plan(Settings(), 60_000).epochs


def test_patience_returns_the_model_of_the_best_epoch() -> None:
    settings = Settings(hidden=(16,), lr=0.3, schedule="constant", patience=3, epochs=200, validation=0.25)
    trained = train_table(prepare(table(), "y"), ("a", "b", "y"), settings)
    history = trained.history
    assert trained.rows == (36, 12)
    assert len(history.loss) < 200
    assert history.best_epoch == 1 + int(np.argmin(history.validation_loss)) == len(history.loss) - 3


@pytest.mark.parametrize("option", ["optimizer", "schedule", "activation"])
def test_unknown_names_are_refused(option: str) -> None:
    with pytest.raises(DataError, match=f"unknown {option}: got 'x', expected one of "):
        Settings(**{option: "x"})  # type: ignore[arg-type]
