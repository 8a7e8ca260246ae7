"""Long sums in parts, and parts of large work that stay in cache: their values, and the same bits for any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.compile.pipeline import Executable
from glassgrad.kernel.ir import Region

N, K, D = 4000, 32, 8
RNG = np.random.default_rng(0)
X, CENTRES = RNG.normal(size=(N, D)), RNG.normal(size=(K, D))
PLACES, GIVEN = RNG.integers(0, 30, 3 * N), RNG.normal(size=(3 * N, 2))
TABLE = RNG.integers(0, 40, (6, 5))


def nearest(centres: Any, x: Any) -> Any:
    distances = gnp.sum(x * x, 1)[:, None] - 2 * x @ centres.T + gnp.sum(centres * centres, 1)
    return gnp.sum(gnp.min(distances, 1))


def slope_of_nearest(centres: Any, x: Any) -> Any:
    which = np.argmin(((x[:, None] - centres) ** 2).sum(2), 1)
    return np.stack([2.0 * (centres[k] - x[which == k]).sum(0) for k in range(K)])


def added(shape: tuple[int, ...], index: Any, values: Any) -> Any:
    total = np.zeros(shape)
    np.add.at(total, index, values)
    return total


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Callable[..., Any]]] = {
    "nearest": (gg.grad(nearest), (CENTRES, X), slope_of_nearest),
    "product": (lambda x, y: x.T @ y, (X, X[:, ::-1] + 1), lambda x, y: x.T @ y),
    "prime product": (lambda x, y: x.T @ y, (X[:3989], X[:3989]), lambda x, y: x.T @ y),
    "products": (
        lambda x: gnp.einsum("nki,nkj->kij", x, x + 1),
        (X.reshape(1000, 4, D),),
        lambda x: np.einsum("nki,nkj->kij", x, x + 1),
    ),
    "columns": (lambda x: (x * x).sum(0), (X.reshape(1000, 32),), lambda x: (x * x).sum(0)),
    "largest": (lambda x: gnp.max(x, 0), (RNG.normal(size=(4000, 32)),), lambda x: x.max(0)),
    "places": (
        gg.grad(lambda table, g: (table[PLACES] * g).sum()),
        (np.zeros((30, 2)), GIVEN),
        lambda table, g: added(table.shape, PLACES, g),
    ),
    "places of each row": (
        gg.grad(lambda table, g: (table[:, TABLE] * g).sum()),
        (np.zeros((700, 40)), RNG.normal(size=(700, 6, 5))),
        lambda table, g: added(table.shape, (slice(None), TABLE), g),
    ),
}


@pytest.fixture
def any_threads() -> Iterator[None]:
    yield
    gg.set_threads(None)


def made(name: str) -> Executable:
    function, given, _ = CASES[name]
    return Executable(gg.trace(function, *given), verified=True)


@pytest.mark.parametrize("name", CASES)
def test_values(name: str, any_threads: None) -> None:
    function, given, expected = CASES[name]
    compiled, bits = gg.jit(function), set()
    for threads in (1, 2, 5):
        gg.set_threads(threads)
        result = np.asarray(compiled(*given))
        bits.add(result.tobytes())
    np.testing.assert_allclose(result, expected(*given), rtol=1e-12, atol=1e-12)
    assert len(bits) == 1


@pytest.mark.parametrize("name", CASES)
def test_parts_in_any_order(name: str) -> None:
    """The interpreter runs the last part first."""
    executable = made(name)
    assert any(isinstance(step, Region) and step.chunks > 1 for step in executable.program.steps)
    given = [np.ascontiguousarray(x) for x in CASES[name][1]]
    results = [np.empty(s.shape, s.dtype) for s in executable.specs]
    assert executable.interpret(given, results) == 0
    np.testing.assert_allclose(results[0], CASES[name][2](*given), rtol=1e-12, atol=1e-12)


def test_rows_stay_in_cache_from_the_distances_to_their_share_of_the_gradient() -> None:
    steps = made("nearest").program.steps
    longest = max((s for s in steps if isinstance(s, Region)), key=lambda s: len(s.launches))
    assert len(longest.launches) >= 3 and longest.chunks >= 8
