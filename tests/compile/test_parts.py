"""Long sums in parts, and parts of large work that stay in cache: their values, and the same bits for any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.compile.pipeline import Executable
from glassgrad.kernel.batches import batches
from glassgrad.kernel.ir import MatMul, Region
from glassgrad.kernel.keep import needed_nodes
from glassgrad.kernel.nest import opened
from glassgrad.kernel.regions import cuts

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


WEIGHTS = [RNG.normal(size=shape) / 8 for shape in ((64, 100), (100,), (100, 20), (20,))]
BATCH = RNG.normal(size=(200, 64)), RNG.normal(size=(200, 20))


def network(w: Any, b: Any, v: Any, c: Any, x: Any, y: Any) -> Any:
    return (((gnp.tanh(x @ w + b) @ v + c) - y) ** 2).sum()


def slopes_of_network(w: Any, b: Any, v: Any, c: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w + b)
    outer = 2 * (h @ v + c - y)
    inner = outer @ v.T * (1 - h * h)
    return x.T @ inner, inner.sum(0), h.T @ outer, outer.sum(0)


def joined(slopes: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: gnp.concatenate([slope.ravel() for slope in slopes(*given)])


SLOPES = joined(gg.grad(network, argnums=(0, 1, 2, 3))), joined(slopes_of_network)

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Callable[..., Any]]] = {
    "nearest": (gg.grad(nearest), (CENTRES, X), slope_of_nearest),
    "product": (lambda x, y: x.T @ y, (X, X[:, ::-1] + 1), lambda x, y: x.T @ y),
    "prime product": (lambda x, y: x.T @ y, (X[:3989], X[:3989]), lambda x, y: x.T @ y),
    "products": (
        lambda x: gnp.einsum("nki,nkj->kij", x, x + 1),
        (X.reshape(1000, 4, D),),
        lambda x: np.einsum("nki,nkj->kij", x, x + 1),
    ),
    "batch": (SLOPES[0], (*WEIGHTS, *BATCH), SLOPES[1]),
    "batch of two parts": (SLOPES[0], (*WEIGHTS, BATCH[0][:150], BATCH[1][:150]), SLOPES[1]),
    "batch of no parts": (SLOPES[0], (*WEIGHTS, BATCH[0][:149], BATCH[1][:149]), SLOPES[1]),
    "rows that are no multiple of others": (
        lambda x, w: gnp.tanh(x @ w).reshape(8, 250) @ gnp.ones((250, 3)),
        (RNG.normal(size=(100, 200)), RNG.normal(size=(200, 20)) / 16),
        lambda x, w: np.tanh(x @ w).reshape(8, 250) @ np.ones((250, 3)),
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


@pytest.mark.parametrize(("name", "chunks", "rows"), [("batch", 4, 200), ("batch of two parts", 2, 150)])
def test_threads_go_from_the_layers_to_their_share_of_the_gradients(name: str, chunks: int, rows: int) -> None:
    program = made(name).program
    region = max((s for s in program.steps if isinstance(s, Region)), key=lambda s: len(s.launches))
    kernels = [program.kernels[launch.kernel] for launch in region.launches]
    assert sum(any(isinstance(s, MatMul) for s in opened(kernel.body)) for kernel in kernels) == 5
    borders = dict(zip((kernel.extent for kernel in kernels), cuts(region, program.kernels, 4), strict=True))
    assert borders == {rows: tuple(range(0, rows + 1, rows // chunks)), chunks: tuple(range(chunks + 1))}


@pytest.mark.parametrize(
    ("rows", "hidden", "expected"),
    [
        (200, 100, {200}),
        (199, 100, set()),  # no equal parts
        (200, 400, set()),  # a part of a gradient is larger than the rows it is made of
        (200, 10, set()),  # no work for several threads
        (64, 20, set()),
        (600, 100, set()),  # in parts anyway
    ],
)
def test_batches(rows: int, hidden: int, expected: set[int]) -> None:
    w, v = np.ones((64, hidden)), np.ones((hidden, 10))
    program = gg.trace(gg.grad(lambda w, v, x: (gnp.tanh(x @ w) @ v).sum(), (0, 1)), w, v, np.ones((rows, 64)))
    assert batches(needed_nodes(program.outputs)) == expected


def test_rows_that_are_given_are_summed_as_they_lie() -> None:
    program = gg.trace(lambda x: x.T @ x, np.ones((200, 100)))
    assert not batches(needed_nodes(program.outputs))


@pytest.mark.parametrize("tile", [1, 4, 6, 8])
def test_parts_of_launches_that_share_rows_end_at_the_same_elements(tile: int) -> None:
    program = made("rows that are no multiple of others").program
    region = max((s for s in program.steps if isinstance(s, Region)), key=lambda s: len(s.launches))
    borders = {
        program.kernels[launch.kernel].extent: at
        for launch, at in zip(region.launches, cuts(region, program.kernels, tile), strict=True)
    }
    assert borders == {100: (0, 50, 100), 8: (0, 4, 8)}
