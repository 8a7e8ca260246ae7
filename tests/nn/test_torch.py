"""The same weights in PyTorch's layers: values and gradients. Runs where PyTorch is installed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, tree
from glassgrad.errors import DataError

D = np.float64


def state_of(net: Any, seed: int = 0) -> dict[str, Any]:
    """Its state dict as arrays, after every parameter was drawn anew (biases start at 0 in many)."""
    rng = np.random.default_rng(seed)
    theirs = net.state_dict()
    for name, x in theirs.items():
        if x.is_floating_point():
            x.copy_(x.new_tensor(np.abs(rng.normal(size=x.shape)) + 0.1 if "var" in name else rng.normal(size=x.shape)))
    return {name: x.numpy() for name, x in theirs.items()}


def block(t: Any, post_norm: bool, **k: Any) -> tuple[Any, Any, tuple[int, ...]]:
    net = t.TransformerEncoderLayer(8, 2, 16, 0.0, norm_first=not post_norm, batch_first=True, **k)
    options: Any = {"hidden": 16, "activation": "relu", "post_norm": post_norm}
    return net, nn.TransformerBlock(8, 2, rng=0, dtype=D, **options), (2, 5, 8)


ALEXNET: dict[str, Any] = {"stride": 2, "padding": 2, "dilation": 2, "groups": 2}
# PyTorch's layer, ours, and the shape of an input; t is torch.nn, k makes float64.
CASES: dict[str, Callable[..., tuple[Any, Any, tuple[int, ...]]]] = {
    "Linear": lambda t, **k: (t.Linear(3, 4, **k), nn.Linear(3, 4, rng=0, dtype=D), (2, 5, 3)),
    "Conv1d": lambda t, **k: (
        t.Conv1d(4, 6, 3, **ALEXNET, **k),
        nn.Conv1d(4, 6, 3, rng=0, **ALEXNET, dtype=D),
        (2, 4, 9),
    ),
    "Conv2d, same": lambda t, **k: (
        t.Conv2d(3, 4, (3, 4), padding="same", **k),
        nn.Conv2d(3, 4, (3, 4), rng=0, padding="same", dtype=D),
        (2, 3, 6, 5),
    ),
    "ConvTranspose1d": lambda t, **k: (
        t.ConvTranspose1d(4, 6, 3, **ALEXNET, **k),
        nn.ConvTranspose1d(4, 6, 3, rng=0, **ALEXNET, dtype=D),
        (2, 4, 5),
    ),
    "ConvTranspose2d": lambda t, **k: (
        t.ConvTranspose2d(2, 3, 3, stride=(2, 1), bias=False, **k),
        nn.ConvTranspose2d(2, 3, 3, rng=0, stride=(2, 1), bias=False, dtype=D),
        (2, 2, 4, 5),
    ),
    "MaxPool": lambda t, **k: (t.MaxPool2d(3, 2, 1), nn.MaxPool(3, 2, 1), (2, 3, 7, 6)),
    "AvgPool": lambda t, **k: (t.AvgPool2d((2, 3), padding=(1, 0)), nn.AvgPool((2, 3), padding=(1, 0)), (2, 3, 6, 6)),
    "BatchNorm": lambda t, **k: (t.BatchNorm2d(3, **k), nn.BatchNorm(3, dtype=D), (4, 3, 5, 2)),
    "LayerNorm": lambda t, **k: (t.LayerNorm(6, **k), nn.LayerNorm(6, dtype=D), (2, 3, 6)),
    "RMSNorm": lambda t, **k: (t.RMSNorm(6, eps=1e-6, **k), nn.RMSNorm(6, dtype=D), (2, 3, 6)),
    "GroupNorm": lambda t, **k: (t.GroupNorm(2, 6, **k), nn.GroupNorm(2, 6, dtype=D), (2, 6, 3, 4)),
    "RNN": lambda t, **k: (t.RNN(3, 4, batch_first=True, **k), nn.RNN(3, 4, rng=0, dtype=D), (2, 5, 3)),
    "LSTM": lambda t, **k: (t.LSTM(3, 4, batch_first=True, **k), nn.LSTM(3, 4, rng=0, dtype=D), (2, 5, 3)),
    "GRU": lambda t, **k: (t.GRU(3, 4, batch_first=True, **k), nn.GRU(3, 4, rng=0, dtype=D), (2, 5, 3)),
    "TransformerBlock": lambda t, **k: block(t, False, **k),
    "TransformerBlock, post-norm": lambda t, **k: block(t, True, **k),
    "Sequential": lambda t, **k: (
        t.Sequential(t.Conv2d(1, 2, 3, **k), t.ReLU(), t.MaxPool2d(2), t.Flatten(), t.Linear(18, 5, **k)),
        nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=0, dtype=D), nn.relu, nn.MaxPool(2), nn.Flatten(), nn.Linear(18, 5, rng=0, dtype=D)
        ),
        (2, 1, 8, 8),
    ),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", CASES)
def test_values_gradients_and_statistics(name: str) -> None:
    torch = pytest.importorskip("torch")
    net, ours, shape = CASES[name](torch.nn, dtype=torch.float64)
    state = state_of(net)
    model = nn.from_torch(ours, state)
    x = np.random.default_rng(5).normal(size=shape)
    leaf = torch.tensor(x, requires_grad=True)
    outputs = tree.leaves(net.train()(leaf))  # the batch's statistics; nothing is dropped
    weights = [np.random.default_rng(6).normal(size=tuple(y.shape)) for y in outputs]
    sum((y * torch.tensor(w)).sum() for y, w in zip(outputs, weights, strict=True)).backward()

    def value(both: Any) -> Any:
        y, moved = both[0].learn(both[1])
        parts = [
            gg.numpy.reshape(p, w.shape) for p, w in zip(tree.leaves(y), weights, strict=True)
        ]  # theirs: layers first
        return sum(gg.numpy.sum(p * w) for p, w in zip(parts, weights, strict=True)), (parts, moved)

    (_, (parts, moved)), (slope, into) = gg.value_and_grad(value, has_aux=True)((model, x))
    for y, z in zip(parts, outputs, strict=True):
        np.testing.assert_allclose(y, z.detach().numpy(), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(into, leaf.grad.numpy(), rtol=1e-8, atol=1e-9)

    theirs = {key: p.grad.numpy() for key, p in net.named_parameters()}
    if "bias_hh_l0" in theirs:  # of two biases that are one here, each has its gradient
        theirs["bias_hh_l0"] = theirs["bias_hh_l0"] * (np.arange(12) >= 8 if name == "GRU" else 0)
    expected = nn.from_torch(ours, {**state, **theirs})
    after = nn.from_torch(ours, {key: p.numpy() for key, p in net.state_dict().items()})
    for flag, g, h, s, r in zip(*map(tree.leaves, (nn.learnt(model), slope, expected, moved, after)), strict=True):
        if flag:
            np.testing.assert_allclose(g, h, rtol=1e-8, atol=1e-9)
        else:
            np.testing.assert_allclose(s, r, rtol=1e-12)
    for y, z in zip(tree.leaves(after(x)), tree.leaves(net.eval()(torch.tensor(x))), strict=True):
        np.testing.assert_allclose(np.reshape(y, z.shape), z.detach().numpy(), rtol=1e-9, atol=1e-10)


def test_attention_with_masks_and_another_source() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    model = nn.from_torch(nn.MultiHeadAttention(8, 2, rng=0, dtype=D), state_of(net))
    rng = np.random.default_rng(0)
    x, source = rng.normal(size=(3, 4, 8)), rng.normal(size=(3, 6, 8))
    keys = rng.random((3, 6)) < 0.7
    keys[:, 0] = True
    t = torch.tensor
    theirs = net(t(x), t(source), t(source), key_padding_mask=~t(keys))[0].detach().numpy()
    np.testing.assert_allclose(model(x, source, keys[:, None]), theirs, rtol=1e-10)
    pairs = rng.random((4, 6)) < 0.5
    pairs[:, 0] = True
    theirs = net(t(x), t(source), t(source), attn_mask=~t(pairs))[0].detach().numpy()
    np.testing.assert_allclose(model(x, source, pairs), theirs, rtol=1e-10)
    functional = torch.nn.functional.scaled_dot_product_attention
    q, k, v = rng.normal(size=(3, 2, 4, 8)), rng.normal(size=(3, 2, 6, 8)), rng.normal(size=(3, 2, 6, 5))
    np.testing.assert_allclose(nn.attention(q, k, v, pairs), functional(t(q), t(k), t(v), t(pairs)).numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("bias", "own"), [(True, True), (False, True), (False, False)])
def test_recurrent_layers_in_one_of_theirs(kind: str, bias: bool, own: bool) -> None:
    torch = pytest.importorskip("torch")
    options: dict[str, Any] = {"batch_first": True, "bias": bias, "dtype": torch.float64}
    net = getattr(torch.nn, kind)(4, 4, num_layers=3, **options)
    layer: Any = getattr(nn, kind)
    deep = [layer(4, 4, rng=i, bias=own, dtype=D, return_state=False) for i in range(3)]
    ours = nn.Sequential(deep[0], nn.Dropout(0.5), *deep[1:])  # as with dropout=0.5
    x, state = np.random.default_rng(5).normal(size=(2, 5, 4)), state_of(net)
    expected = net(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(nn.from_torch(ours, state)(x), expected, rtol=1e-10)
    below = {f"net.rnn.{name}": value for name, value in state.items()}
    found = nn.from_torch({"rnn": ours}, below, {"": "net"})["rnn"]
    np.testing.assert_allclose(found(x), expected, rtol=1e-10)
    flat = nn.Sequential(*deep, nn.Linear(4, 1, rng=0, dtype=D))
    named = {**below, "net.head.weight": np.ones((1, 4)), "net.head.bias": np.zeros(1)}
    rename = {**{f"layers.{i}": "net.rnn" for i in range(3)}, "layers.3": "net.head"}
    np.testing.assert_allclose(nn.from_torch(flat, named, rename)(x)[..., 0], expected.sum(-1), rtol=1e-9)
    with pytest.raises(DataError, match=r"unexpected: weight_hh_l2, weight_ih_l2; pass|bias_hh_l2"):
        nn.from_torch(nn.Sequential(*deep[:2]), state)
    with pytest.raises(DataError, match="missing: layers.3.W"):
        nn.from_torch(nn.Sequential(*deep, layer(4, 4, rng=0, dtype=D)), state)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_both_directions(kind: str) -> None:
    torch = pytest.importorskip("torch")
    net = getattr(torch.nn, kind)(3, 4, bidirectional=True, batch_first=True, dtype=torch.float64)
    layer: Any = getattr(nn, kind)
    both = {back: layer(3, 4, rng=0, dtype=D, return_state=False, reverse=back == "back") for back in ("on", "back")}
    found = nn.from_torch(both, state_of(net), {"on": "", "back": ""})
    x = np.random.default_rng(5).normal(size=(2, 5, 3))
    expected = net(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(np.concatenate([found["on"](x), found["back"](x)], -1), expected, rtol=1e-10)


def test_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    model, x = nn.Sequential(nn.Linear(3, 4, rng=0), nn.LayerNorm(4)), np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_array_equal(model(torch.tensor(x)), model(x))
    assert isinstance(model(torch.tensor(x)), np.ndarray)
    assert nn.cross_entropy(torch.tensor(x), torch.tensor([0, 2])) == nn.cross_entropy(x, np.array([0, 2]))
    with pytest.raises(RuntimeError, match=r"requires grad. Use tensor.detach\(\).numpy"):
        model(torch.tensor(x, requires_grad=True))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_perceptron_is_a_sequential_of_theirs(dropout: float) -> None:
    torch = pytest.importorskip("torch")
    t, k = torch.nn, {"dtype": torch.float64}
    dropped = [t.Dropout(dropout)] if dropout else []
    net = t.Sequential(
        t.Linear(3, 4, **k), t.ReLU(), *dropped, t.Linear(4, 4, **k), t.ReLU(), *dropped, t.Linear(4, 2, **k)
    ).eval()
    ours = nn.from_torch(nn.MLP((3, 4, 4, 2), rng=0, dropout=dropout, dtype=D), state_of(net))
    x = np.random.default_rng(5).normal(size=(2, 3))
    np.testing.assert_allclose(ours(x), net(torch.tensor(x)).detach().numpy(), rtol=1e-10)


def test_names_that_do_not_fit() -> None:
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.relu)
    state = {"0.weight": np.ones((3, 2)), "0.bias": np.ones(3)}
    assert nn.from_torch(model, state)[0].b.dtype == np.float32
    with pytest.raises(DataError, match=r"missing: layers.0.b \(layers.0.b or layers.0.bias or 0.bias\)"):
        nn.from_torch(model, {"0.weight": np.ones((3, 2))})
    with pytest.raises(DataError, match=r"model: unexpected: 1.bias, 1.weight; pass rename="):
        nn.from_torch(model, {**state, "1.weight": np.ones(3), "1.bias": np.ones(3)})
    with pytest.raises(DataError, match=r"layers.0.W: got float64 \(3, 2\), expected float32 \(2, 3\)"):
        nn.from_torch(model, {**state, "0.weight": np.ones((2, 3))})
    with pytest.raises(DataError, match=r"missing: w \(w\). unexpected: v"):
        nn.from_torch({"w": np.ones(2)}, {"v": np.ones(2)})
    part = {"w": np.ones(2), "u": np.full(1, 3)}
    found = nn.from_torch(part, {"w": np.zeros(2), "v": np.ones(2)}, strict=False)
    assert found["w"][0] == 0 and found["u"] == 3 and part["w"][0] == 1
    assert nn.from_torch({"w": [np.ones(2)]}, {"w.0": np.zeros(2)})["w"][0][0] == 0


def test_arrays_that_cannot_be_put_together() -> None:
    state = {
        f"{kind}_{way}_l0": np.ones((12, 4) if kind == "weight" else 12)
        for kind in ("weight", "bias")
        for way in ("ih", "hh")
    }
    model = nn.GRU(4, 4, rng=0)
    assert (nn.from_torch(model, state).b == np.repeat([2, 1], [8, 4])).all()
    with pytest.raises(
        DataError, match=r"shape: b: got float64 \(12,\) and float64 \(5,\), expected float32 \(12,\), c: got"
    ):
        nn.from_torch(model, {**state, "bias_hh_l0": np.ones(5)})
    with pytest.raises(DataError, match=r"query.W: got float64 \(8, 4\), expected float32 \(4, 4\)"):
        nn.from_torch(nn.MultiHeadAttention(4, 2, rng=0), {"in_proj_weight": np.ones((8, 4))}, strict=False)


@dataclass(frozen=True, eq=False)
class Network(nn.Module):
    """Fields are called as the attributes of a network in PyTorch."""

    embedding: nn.Embedding
    blocks: tuple[nn.TransformerBlock, ...]
    head: dict[str, Any]

    def apply(self, tokens: Any) -> Any:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head["output"](x) * self.head["gain"]


def test_a_network_of_ones_own() -> None:
    torch = pytest.importorskip("torch")
    kind: Any = torch.nn.Module
    net = kind()
    net.embedding = torch.nn.Embedding(7, 8, dtype=torch.float64)
    net.blocks = torch.nn.ModuleList(block(torch.nn, False, dtype=torch.float64)[0] for _ in range(2))
    net.head = kind()
    net.head.output = torch.nn.Sequential(torch.nn.Linear(8, 3, dtype=torch.float64))
    net.head.gain = torch.nn.Parameter(torch.ones((), dtype=torch.float64))
    state, tokens = state_of(net), np.arange(10).reshape(2, 5) % 7
    x = net.embedding(torch.tensor(tokens))
    for part in net.blocks:
        x = part(x)
    expected = (net.head.output(x) * net.head.gain).detach().numpy()
    own = Network(
        nn.Embedding(7, 8, rng=0, dtype=D),
        (block(torch.nn, False)[1], block(torch.nn, False)[1]),
        {"output": nn.Sequential(nn.Linear(8, 3, rng=0, dtype=D)), "gain": np.float64(0)},
    )
    np.testing.assert_allclose(nn.from_torch(own, state)(tokens), expected, rtol=1e-9)
    below = {f"net.{name}": x for name, x in state.items()}
    np.testing.assert_allclose(nn.from_torch(own, below, {"": "net"})(tokens), expected, rtol=1e-9)
    moved = {name.replace("blocks.1", "last"): x for name, x in state.items()}
    np.testing.assert_allclose(nn.from_torch(own, moved, {"blocks.1": "last"})(tokens), expected, rtol=1e-9)
