"""Data of nearly as many rows share a program, and rows that are only there for its sake count for nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from sklearn import neural_network
from sklearn.datasets import make_classification

from glassgrad.sklearn import MLPClassifier, MLPRegressor, descent, rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@given(st.integers(1, 10**9), st.integers(1, 8))
def test_room_for_little_more(n: int, digits: int) -> None:
    found = rows.roomy(n, digits)
    assert n <= found <= n + max(n // 2 ** (digits - 1), rows.EIGHT - 1)
    assert rows.roomy(found, digits) == found


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("n", [35, 77])
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_room_changes_nothing(kind: Any, n: int, solver: str, weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = make_classification(n, 5, random_state=0)
    weight = np.random.default_rng(0).integers(0, 4, n) if weighted else None
    model = kind(hidden_layer_sizes=(6,), solver=solver, batch_size=min(n, 40), max_iter=6, random_state=0)

    def fitted() -> Any:
        model.fit(x, y, sample_weight=weight)
        return [model.loss_, *model.coefs_, *model.intercepts_]

    with_room = fitted()
    monkeypatch.setattr(rows, "LARGE", 0)
    for found, expected in zip(with_room, fitted(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_folds_share_a_program() -> None:
    x, y = make_classification(120, 5, random_state=0)
    before = descent.program.cache_info().misses
    for n in (97, 99, 113, 116):  # 1 to 4 rows in the last batch
        MLPClassifier((3,), batch_size=16, max_iter=2, random_state=0).fit(x[:n], y[:n])
    assert descent.program.cache_info().misses == before + 1


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weighted"])
def test_few_rows_at_a_time_share_programs(weighted: bool) -> None:
    rng = np.random.default_rng(0)
    given = {"hidden_layer_sizes": (5,), "learning_rate_init": 0.01, "random_state": 0}
    mine, their = MLPRegressor(**given), neural_network.MLPRegressor(**given)
    before = descent.program.cache_info().misses
    for n in range(1, 41):
        x, y = rng.normal(size=(n, 5)), rng.normal(size=n)
        weight = rng.uniform(0.1, 3.0, n) if weighted else None
        for model in mine, their:
            model.partial_fit(x, y, sample_weight=weight)
        np.testing.assert_allclose(mine.loss_, their.loss_, rtol=1e-10)
    for found, expected in zip(mine.coefs_, their.coefs_, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    assert descent.program.cache_info().misses == before + 5
