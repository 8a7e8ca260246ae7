"""Training in 16 bits: beside the same run in float32, through files, and after an interruption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, optim, tree
from glassgrad.train import fit, load, load_state, safetensors, save
from tests.train.test_checkpoint import Killed, killed_after, same

bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(bfloat16).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 0.25).astype(bfloat16).astype(np.float32)
DTYPES = pytest.mark.parametrize("dtype", [np.float16, bfloat16], ids=["float16", "bfloat16"])


def network(dtype: Any) -> Any:
    """The same first weights, rounded."""
    plain = nn.Sequential(nn.Linear(3, 8, rng=0), nn.LayerNorm(8), nn.tanh, nn.Linear(8, 1, rng=1))
    return tree.map(lambda leaf: leaf if callable(leaf) else leaf.astype(dtype), plain)


def run(dtype: Any, **options: Any) -> Any:
    data = X.astype(options.pop("of", dtype)), Y.astype(dtype)
    given: dict[str, Any] = {"optimizer": optim.Adam(0.02), "epochs": 12, "batch_size": 16, "validation": 0.2}
    return fit(network(dtype), nn.squared_error, data, **given | options)


@DTYPES
@pytest.mark.parametrize("compile", [True, False])
def test_it_learns_as_float32_does(dtype: Any, compile: bool) -> None:
    model, history = run(dtype, compile=compile, patience=12)
    _, wide = run(np.float32)
    assert {leaf.dtype for leaf in tree.leaves(model) if not callable(leaf)} == {np.dtype(dtype)}
    np.testing.assert_allclose(history.loss, wide.loss, rtol=0.1)
    np.testing.assert_allclose(history.validation_loss, wide.validation_loss, rtol=0.1)
    np.testing.assert_allclose(history.gradient_norm, wide.gradient_norm, rtol=0.1)
    assert history.loss[-1] < history.loss[0] / 5


def test_data_narrower_than_the_model() -> None:
    same(run(np.float32, of=bfloat16), run(np.float32))  # the data are of bfloat16's numbers


@DTYPES
def test_replicas(dtype: Any) -> None:
    models, histories = fit(
        lambda i: nn.Linear(3, 1, rng=i, dtype=dtype),
        nn.squared_error,
        (X.astype(dtype), Y.astype(dtype)),
        optimizer=optim.Adam(0.1),
        epochs=20,
        batch_size=20,
        replicas=2,
    )
    for model in (models[0], models[1]):
        assert model.W.dtype == dtype
        np.testing.assert_allclose(np.float32(model.W), [[1], [-2], [0.5]], atol=0.1)
    assert all(history.loss[-1] < 0.01 for history in histories)


def test_a_length_that_float16_cannot_square() -> None:
    def steep(out: Any, y: Any) -> Any:
        return 400 * nn.absolute_error(out, y)

    data, optimizer = (X.astype(np.float16), Y.astype(np.float16)), optim.SGD(1e-4)
    _, history = fit(nn.Linear(3, 1, rng=0, dtype=np.float16), steep, data, optimizer=optimizer, epochs=1)
    _, wide = fit(nn.Linear(3, 1, rng=0), steep, (X, Y), optimizer=optimizer, epochs=1)
    assert wide.gradient_norm[0] > 256
    np.testing.assert_allclose(history.gradient_norm, wide.gradient_norm, rtol=0.02)


@DTYPES
def test_files(tmp_path: Path, dtype: Any) -> None:
    model = network(dtype)
    save(tmp_path / "m", model)
    blank = tree.map(lambda leaf: leaf if callable(leaf) else leaf * 0, model)
    for again in (
        load(tmp_path / "m").model,
        load_state(network(dtype), tmp_path / "m"),
        load_state(blank, tmp_path / "m"),
    ):
        for a, b in zip(tree.leaves(again), tree.leaves(model), strict=True):
            assert callable(a) or a.dtype == dtype
            assert callable(a) or (a == b).all()
    safetensors.write(tmp_path / "s", {"weight": X[:2].astype(dtype), "bias": X[0, :2]})  # as PyTorch names them
    layer = load_state(nn.Linear(3, 2, rng=0, dtype=dtype), tmp_path / "s")
    assert layer.W.dtype == layer.b.dtype == dtype
    np.testing.assert_array_equal(np.float32(layer.W), X[:2].astype(dtype).astype(np.float32).T)


@DTYPES
def test_going_on_gives_the_bits_of_an_unbroken_run(tmp_path: Path, dtype: Any) -> None:
    optimizer = optim.Averaged(optim.Adam(0.02), decay=0.8)
    whole, path = run(dtype, optimizer=optimizer), tmp_path / "c"
    with pytest.raises(Killed):
        run(dtype, optimizer=optimizer, checkpoint=path, callbacks=[killed_after(5)])
    same(run(dtype, optimizer=optimizer, checkpoint=path, resume=True), whole)
    for a, b in zip(tree.leaves(load(path).model), tree.leaves(whole[0]), strict=True):
        assert callable(a) or (a.dtype == dtype and (a == b).all())
