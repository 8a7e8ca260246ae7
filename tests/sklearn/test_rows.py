"""Data of nearly as many rows share a program, and rows that are only there for its sake count for nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from sklearn.datasets import make_classification

from glassgrad.sklearn import MLPClassifier, MLPRegressor, descent, rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@given(st.integers(1, 10**9), st.integers(1, 8))
def test_room_for_little_more(n: int, digits: int) -> None:
    found = rows.roomy(n, digits)
    assert n <= found <= n + n // 2 ** (digits - 1)
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
