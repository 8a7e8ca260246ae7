"""Arrays put into a model by name: our own files, and PyTorch's state dicts, whose modules then compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glassgrad import nn, tree
from glassgrad.errors import ModelFileError
from glassgrad.train import load_state, safetensors, save

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)


def test_a_saved_model_comes_back_by_name(tmp_path: Path) -> None:
    whole = {"body": nn.Sequential(nn.Linear(4, 6, rng=0), nn.BatchNorm(6), nn.relu), "head": nn.Linear(6, 2, rng=1)}
    save(tmp_path / "m", whole)
    body = nn.Sequential(nn.Linear(4, 6, rng=5), nn.BatchNorm(6), nn.relu)
    again = load_state({"body": body, "head": nn.Linear(6, 2, rng=6)}, tmp_path / "m")
    for a, b in zip(tree.leaves(again), tree.leaves(whole), strict=True):
        np.testing.assert_array_equal(a, b)
    found = load_state(body, tmp_path / "m", {"": "body"}, strict=False)
    np.testing.assert_array_equal(found(X), whole["body"](X))
    np.testing.assert_array_equal(load_state(body, tmp_path / "m", lambda p: f"body.{p}", strict=False)(X), found(X))
    assert (body(X) != found(X)).any()  # not changed


def test_names_of_pytorch(tmp_path: Path) -> None:
    W, b = RNG.normal(size=(4, 4)).astype(np.float32), RNG.normal(size=4).astype(np.float32)
    safetensors.write(tmp_path / "s", {"0.weight": W, "0.bias": b, "0.num_batches_tracked": np.int64(3)})
    model = load_state(nn.Sequential(nn.Linear(4, 4, rng=0)), tmp_path / "s")
    np.testing.assert_allclose(model(X), X @ W.T + b, rtol=1e-5)  # square, and transposed all the same
    mlp = load_state(nn.MLP((4, 4), rng=0), tmp_path / "s", {"layers": ""})
    np.testing.assert_array_equal(mlp(X), model(X))
    plain = load_state({"w": W, "b": b}, tmp_path / "s", {"w": "0.weight", "b": "0.bias"})
    np.testing.assert_array_equal(plain["w"], W)


def test_dtypes(tmp_path: Path) -> None:
    safetensors.write(tmp_path / "s", {"W": np.ones((4, 2)), "b": np.zeros(2, np.float16)})
    model = load_state(nn.Linear(4, 2, rng=0), tmp_path / "s")
    assert model.W.dtype == model.b.dtype == np.float32
    pair = {"z": np.array([1 + 2j, complex(np.inf, -0.0)])}
    save(tmp_path / "z", pair)
    np.testing.assert_array_equal(load_state({"z": np.zeros(2, complex)}, tmp_path / "z")["z"], pair["z"])
    with pytest.raises(ModelFileError, match=r"of another shape: b: got float16 \(2,\), expected int64 \(2,\)"):
        load_state({"W": np.ones((4, 2)), "b": np.zeros(2, int)}, tmp_path / "s")


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    safetensors.write(tmp_path / "s", {"0.weight": np.ones((3, 4)), "0.bias": np.ones(2), "9.weight": np.ones(1)})
    model = nn.Sequential(nn.Linear(4, 2, rng=0), nn.Linear(2, 2, rng=0))
    with pytest.raises(ModelFileError) as caught:
        load_state(model, tmp_path / "s")
    text = str(caught.value)
    assert "of another shape: layers.0.W: got float64 (4, 3), expected float32 (4, 2)" in text
    assert "missing: layers.1.W (layers.1.W or layers.1.weight or 1.weight), layers.1.b" in text
    assert "unexpected: 9.weight" in text
    with pytest.raises(ModelFileError, match=r"not of this model: of another shape"):
        load_state(model, tmp_path / "s", strict=False)


PAIRS: dict[str, tuple[Any, Any, Any]] = {
    "mlp": (
        lambda t: t.Sequential(t.Linear(4, 8), t.ReLU(), t.LayerNorm(8), t.Linear(8, 3, bias=False)),
        lambda: nn.Sequential(nn.Linear(4, 8, rng=0), nn.relu, nn.LayerNorm(8), nn.Linear(8, 3, rng=0, bias=False)),
        (5, 4),
    ),
    "images": (
        lambda t: t.Sequential(t.Conv2d(2, 4, 3, groups=2), t.BatchNorm2d(4), t.GroupNorm(2, 4)),
        lambda: nn.Sequential(nn.Conv2d(2, 4, 3, groups=2, rng=0), nn.BatchNorm(4, axis=1), nn.GroupNorm(2, 4)),
        (3, 2, 6, 7),
    ),
    "lstm": (
        lambda t: t.LSTM(4, 5, batch_first=True),
        lambda: nn.LSTM(4, 5, rng=0, return_state=False),
        (2, 7, 4),
    ),
    "gru": (lambda t: t.GRU(4, 5, batch_first=True), lambda: nn.GRU(4, 5, rng=0, return_state=False), (2, 7, 4)),
    "attention": (
        lambda t: t.MultiheadAttention(8, 2, batch_first=True),
        lambda: nn.MultiHeadAttention(8, 2, rng=0),
        (2, 5, 8),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pytorch_computes_the_same(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    theirs, ours, shape = PAIRS[name][0](torch.nn), PAIRS[name][1](), PAIRS[name][2]
    for module in theirs.modules():
        if hasattr(module, "running_mean"):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, 0, 0.5)
    theirs.eval()
    x = RNG.normal(size=shape).astype(np.float32)
    given = torch.from_numpy(x)
    with torch.no_grad():
        expected = theirs(given, given, given) if name == "attention" else theirs(given)
    expected = expected[0] if isinstance(expected, tuple) else expected
    safetensors.write(tmp_path / "s", {key: value.numpy() for key, value in theirs.state_dict().items()})
    np.testing.assert_allclose(load_state(ours, tmp_path / "s")(x), expected.numpy(), rtol=1e-4, atol=1e-5)
