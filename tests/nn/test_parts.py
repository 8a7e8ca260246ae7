"""What layers can do beside their formula: dropout, states, masks, positions, first weights, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn, tree
from glassgrad.errors import DtypeError, ModelFileError, RandomnessError, ShapeError
from glassgrad.train import load, save

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 8)).astype(np.float32)
NAME: Any = "he_normal"


def test_dropout_keeps_means_and_inference() -> None:
    layer, x = nn.Dropout(0.3), np.full((200, 100), 2.0, np.float32)
    y, same = layer.learn(x, rng=gg.random.key(0))
    values, counts = np.unique(np.asarray(y.value), return_counts=True)
    np.testing.assert_allclose(values, [0, 2 / 0.7], rtol=1e-6)
    assert abs(counts[0] / x.size - 0.3) < 5 * np.sqrt(0.21 / x.size)
    assert layer(x) is x
    assert same is layer
    assert y.dtype == np.float32
    again = gg.jit(lambda x, key: layer.learn(x, rng=key)[0])(x, gg.random.key(0))
    np.testing.assert_array_equal(again, y)
    slope = gg.grad(lambda x: gg.numpy.sum(layer.learn(x, rng=0)[0]))(x)
    np.testing.assert_array_equal(slope, np.asarray(layer.learn(x, rng=0)[0].value) / 2)
    assert nn.Dropout(0.0).learn(x)[0] is x


@pytest.mark.parametrize(
    "model",
    [
        nn.MLP((8, 16, 8), rng=0, dropout=0.5),
        nn.MultiHeadAttention(8, 2, rng=0, dropout=0.5),
        nn.TransformerBlock(8, 2, rng=0, dropout=0.5),
        nn.Sequential(nn.TransformerBlock(8, 2, rng=0, dropout=0.5), nn.Residual(nn.Dropout(0.5))),
    ],
    ids=repr,
)
def test_layers_made_of_others_drop_too(model: Any) -> None:
    assert not np.allclose(model.learn(X, rng=1)[0], model(X))
    np.testing.assert_array_equal(model.learn(X, rng=1)[0], model.learn(X, rng=1)[0])
    assert not np.allclose(model.learn(X, rng=1)[0], model.learn(X, rng=2)[0])
    mean = np.mean([model.learn(X, rng=i)[0].value for i in range(20)], 0)
    assert np.corrcoef(mean.ravel(), np.ravel(model(X)))[0, 1] > 0.8
    with pytest.raises(RandomnessError, match="Dropout"):
        model.learn(X)


def test_batch_statistics_come_to_those_of_the_data() -> None:
    layer = nn.BatchNorm(3, momentum=0.3, affine=False)
    x = RNG.normal(size=(64, 3)).astype(np.float32) * [1, 2, 3] + [4, 5, 6]
    for _ in range(60):
        _, layer = layer.learn(x.astype(np.float32))
    np.testing.assert_allclose(layer.mean, x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.variance, x.var(0, ddof=1), rtol=1e-4)
    assert layer.scale is None
    last = nn.BatchNorm(8, axis=-1)
    np.testing.assert_allclose(last.learn(X)[0], nn.BatchNorm(8).learn(X.swapaxes(1, 2))[0].swapaxes(1, 2), rtol=1e-6)
    assert nn.BatchNorm(8, axis=-1).learn(X.astype(np.float64))[1].mean.dtype == np.float32  # fit for a scan


@pytest.mark.parametrize("layer", [nn.RNN(8, 4, rng=0), nn.LSTM(8, 4, rng=0), nn.GRU(8, 4, rng=0)], ids=repr)
def test_a_sequence_can_be_given_in_parts(layer: Any) -> None:
    whole, last = layer(X)
    first, state = layer(X[:, :2])
    second, end = layer(X[:, 2:], state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, rtol=1e-6, atol=1e-7)
    for a, b in zip(tree.leaves(last), tree.leaves(end), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    with pytest.raises(ShapeError, match=r"state does not fit: got \(3, 4\), expected \(2, 4\)"):
        layer(X, layer.start(3))
    with pytest.raises(ShapeError, match=r"expected \(batch, time, 8\)"):
        layer(X[0])


def test_recurrent_layers_can_be_part_of_a_sequence() -> None:
    model = nn.Sequential(
        nn.Embedding(9, 8, rng=0), nn.LSTM(8, 6, rng=1, return_state=False), nn.Dropout(0.1), nn.Linear(6, 9, rng=2)
    )
    words = RNG.integers(0, 9, (4, 7))

    def loss(model: Any, words: Any, key: Any) -> Any:
        return nn.cross_entropy(model.learn(words[:, :-1], rng=key)[0], words[:, 1:])

    value, slope = gg.value_and_grad(loss)(model, words, gg.random.key(0))
    fast, compiled = gg.jit(gg.value_and_grad(loss))(model, words, gg.random.key(0))
    np.testing.assert_allclose(value, fast, rtol=1e-6)
    for a, b in zip(tree.leaves(slope), tree.leaves(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)
    assert (nn.LSTM(3, 5, rng=0).b == np.repeat([0, 1, 0, 0], 5)).all()


def test_masks() -> None:
    layer = nn.MultiHeadAttention(8, 2, rng=0)
    last = np.ones((2, 5), bool)
    last[:, 4] = False
    padded = layer(X, mask=last[:, None])
    np.testing.assert_allclose(padded[:, :4], layer(X[:, :4]), rtol=1e-5, atol=1e-6)
    causal = nn.MultiHeadAttention(8, 2, rng=0, causal=True)
    np.testing.assert_allclose(layer(X, mask=nn.causal_mask(5)), causal(X), rtol=1e-6)
    np.testing.assert_allclose(
        causal(X, mask=last[:, None]), layer(X, mask=nn.causal_mask(5) & last[:, None]), rtol=1e-6
    )
    nothing = np.zeros((5, 5), bool)
    value, slope = gg.value_and_grad(lambda x: gg.numpy.sum(layer(x, mask=nothing)))(X)
    np.testing.assert_allclose(layer(X, mask=nothing), np.broadcast_to(layer.output.b, X.shape), atol=1e-7)
    assert np.isfinite(value)
    assert not slope.any()
    slope = gg.grad(lambda x: gg.numpy.sum(causal(x)[:, 1] ** 2))(X)
    assert slope[:, :2].any()
    assert not slope[:, 2:].any()  # nothing looks ahead
    for shape in ((4, 5), (3, 5, 5), (2, 2, 5, 4), (5,)):
        with pytest.raises(ShapeError, match="mask does not fit"):
            layer(X, mask=np.ones(shape, bool))
    with pytest.raises(DtypeError, match="expected bool"):
        layer(X, mask=np.ones((5, 5)))


def test_rotary_is_switched_on_by_the_usual_base() -> None:
    bases = [nn.TransformerBlock(8, 2, rng=0, rotary=choice).attention.rotary for choice in (True, False, None, 100)]
    assert bases == [10000.0, None, None, 100.0]
    nn.MultiHeadAttention(6, 2, rng=0, rotary=False)  # which needs no even size of heads


def test_rotary_products_depend_on_distance_alone() -> None:
    q, k = RNG.normal(size=(2, 8))
    far = np.array(
        [[nn.rotary(np.tile(q, (9, 1)))[i] @ nn.rotary(np.tile(k, (9, 1)))[j] for j in range(9)] for i in range(9)]
    )
    for d in range(-8, 9):
        np.testing.assert_allclose(np.diagonal(far, d), np.diagonal(far, d)[0], rtol=1e-10)
    assert len({round(float(np.diagonal(far, d)[0]), 6) for d in range(-8, 9)}) == 17
    np.testing.assert_allclose(nn.rotary(np.tile(q, (9, 1)))[3:], nn.rotary(np.tile(q, (6, 1)), offset=3))
    with pytest.raises(ShapeError, match="even last axis"):
        nn.rotary(np.ones((2, 3)))


def test_sinusoidal_positions() -> None:
    table = nn.sinusoidal(50, 6)
    t, i = np.arange(50)[:, None], np.arange(3)
    np.testing.assert_allclose(table[:, ::2], np.sin(t / 10000 ** (2 * i / 6)), atol=1e-6)
    np.testing.assert_allclose(table[:, 1::2], np.cos(t / 10000 ** (2 * i / 6)), atol=1e-6)


@pytest.mark.parametrize(
    ("rule", "variance", "bounded"),
    [
        (nn.glorot_uniform, 2 / (75 + 400), True),
        (nn.glorot_normal, 2 / (75 + 400), False),
        (nn.he_uniform, 2 / 75, True),
        (nn.he_normal, 2 / 75, False),
        (nn.lecun_uniform, 1 / 75, True),
        (nn.lecun_normal, 1 / 75, False),
        (nn.uniform(0.5), 1 / 12, True),
        (nn.normal(0.2), 0.04, False),
    ],
)
def test_fans_of_convolutions(rule: Any, variance: float, bounded: bool) -> None:
    w = np.concatenate([nn.Conv2d(3, 16, 5, rng=seed, initialiser=rule).W.ravel() for seed in range(20)])
    assert w.var() == pytest.approx(variance, rel=0.03)
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    bound = np.sqrt(3 * variance)
    assert bound * 0.99 < np.abs(w).max() <= bound * (1 + 1e-6) if bounded else np.abs(w).max() > 1.5 * bound


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4), (6, 2, 3, 3)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = nn.orthogonal(np.random.default_rng(0), 0, 0, shape).reshape(shape[0], -1)
    short = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(short, np.eye(len(short)), atol=1e-12)


def test_first_weights_of_their_own() -> None:
    assert (nn.Linear(2, 3, rng=0, initialiser=nn.constant(0.5)).W == 0.5).all()
    assert not nn.Conv1d(2, 3, 3, rng=0, initialiser=nn.zeros).W.any()
    u = nn.LSTM(3, 5, rng=0).U
    for gate in np.split(u, 4, 1):
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-6)
    assert nn.MLP((300, 600, 3), "selu", rng=0).layers[0].W.var() == pytest.approx(1 / 300, rel=0.02)
    assert nn.Embedding(100, 100, rng=0).W.std() == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, rng=0, groups=2), ShapeError, "Conv2d: channels do not fit: got 3 and 4 in 2"),
        (lambda: nn.Conv2d(3, 4, (3, 3, 3), rng=0), ShapeError, "Conv2d: got kernel"),
        (lambda: nn.Conv1d(3, 4, 3, rng=0, padding="full"), ValueError, "Conv1d: got padding 'full'"),
        (lambda: nn.Conv1d(3, 4, 3, rng=0, stride=0), ShapeError, "Conv1d: got stride 0"),
        (lambda: nn.Conv1d(3, 4, 3, rng=0)(np.ones((2, 5, 9))), ShapeError, "conv: channels do not fit"),
        (lambda: nn.Conv1d(3, 4, 3, rng=0, dtype=int), DtypeError, "Conv1d: parameters must vary"),
        (lambda: nn.BatchNorm(3).learn(np.ones((1, 3))), ShapeError, "no single row, or batches from .*drop_last=True"),
        (lambda: nn.Linear(3, 4, rng=0, name="head")(np.ones((2, 5))), ShapeError, r"Linear head: .* \(2, 5\).* 3\)"),
        (lambda: nn.LSTM(3, 4, rng=0, name="top")(np.ones((2, 5))), ShapeError, "LSTM top: input does not fit"),
        (lambda: nn.Linear(3, 4, rng=0)(np.array([["a", "b", "c"]])), DtypeError, "Linear: input must be numbers"),
        (lambda: nn.Linear(3, 4, rng=0, initialiser=NAME), TypeError, "Linear: bad initialiser: got 'he_normal'"),
        (lambda: nn.LayerNorm(3)(np.ones((2, 4))), ShapeError, r"LayerNorm: .* expected \(..., 3\)"),
        (lambda: nn.RMSNorm(3)(np.ones((2, 1))), ShapeError, "RMSNorm: input does not fit"),
        (lambda: nn.GroupNorm(2, 3), ShapeError, "got 3 channels in 2 groups"),
        (lambda: nn.GroupNorm(3, 3)(np.ones(3)), ShapeError, r"expected \(N, 3, ...\)"),
        (lambda: nn.Embedding(3, 2, rng=0)(np.array([1.0])), DtypeError, "chosen by integers"),
        (lambda: nn.Embedding(3, 2, rng=0)(np.array([-1])), ShapeError, "must be 0 to 2: got -1"),
        (lambda: nn.Embedding(3, 2, rng=0)(np.array([3])), ShapeError, "must be 0 to 2: got 3"),
        (lambda: nn.MultiHeadAttention(8, 3, rng=0), ShapeError, "8 features for 3 heads"),
        (lambda: nn.MultiHeadAttention(6, 2, rng=0, rotary=1e4), ShapeError, "an even size of each"),
        (lambda: nn.MultiHeadAttention(8, 2, rng=0, rotary=0), ValueError, "bad rotary: got 0"),
        (lambda: nn.TransformerBlock(8, 2, rng=0, rotary=-1.0), ValueError, r"bad rotary: got -1\.0"),
        (lambda: nn.MultiHeadAttention(8, 2, rng=0)(X[0]), ShapeError, r"x does not fit: got shape \(5, 8\)"),
        (lambda: nn.MLP((2, 2), rng=0, dropout=1.5), ValueError, "bad rate: got 1.5"),
    ],
)
def test_mistakes_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_state_is_no_input_of_the_next_layer() -> None:
    first, last = nn.LSTM(8, 4, rng=0, name="reader"), nn.Linear(4, 2, rng=1)
    message = r"LSTM reader returns \(outputs, state\), which Linear\(4 -> 2\) cannot take; .*return_state=False"
    for layers in ([first, last], [nn.Sequential(nn.relu, first), nn.Sequential(last, nn.relu)]):
        with pytest.raises(ValueError, match=message):
            nn.Sequential(*layers)
    with pytest.raises(ValueError, match="LSTM reader returns"):
        nn.Residual(first)
    assert nn.Sequential(first, lambda pair: pair[0], last)(X).shape == (2, 5, 2)
    assert len(nn.Sequential(nn.relu, first)(X)) == 2


def test_a_layer_that_learns_has_one_place_in_a_sequence() -> None:
    layer, drop = nn.Linear(2, 2, rng=0), nn.Dropout(0.5)
    with pytest.raises(ValueError, match=r"given twice: got Linear\(2 -> 2\) as layers 0 and 2"):
        nn.Sequential(layer, nn.relu, layer)
    assert len(nn.Sequential(layer, drop, nn.relu, drop, nn.relu)) == 5


@pytest.mark.parametrize(
    ("layer", "field", "value"),
    [
        (nn.Conv1d(2, 3, 3, rng=0), "b", np.ones(2, np.float32)),
        (nn.Conv1d(2, 3, 3, rng=0), "stride", "2"),
        (nn.Conv1d(2, 3, 3, rng=0), "padding", "full"),
        (nn.Conv1d(2, 3, 3, rng=0), "W", np.ones((3, 2), np.float32)),
        (nn.Conv1d(2, 3, 3, rng=0), "groups", 1.5),
        (nn.ConvTranspose1d(2, 3, 3, rng=0), "padding", "same"),
        (nn.Linear(2, 3, rng=0), "name", 3),
        (nn.LayerNorm(3), "shift", np.ones(2, np.float32)),
        (nn.LayerNorm(3), "epsilon", True),
        (nn.BatchNorm(3), "mean", np.ones(2, np.float32)),
        (nn.GroupNorm(1, 3), "groups", 2),
        (nn.Dropout(0.5), "rate", 3.0),
        (nn.Embedding(2, 3, rng=0), "W", np.ones((2, 3), int)),
        (nn.LSTM(2, 3, rng=0), "b", np.ones(3, np.float32)),
        (nn.GRU(2, 3, rng=0), "c", np.ones(2, np.float32)),
        (nn.GRU(2, 3, rng=0, bias=False), "b", np.ones(3, np.float32)),
        (nn.MultiHeadAttention(4, 2, rng=0), "heads", 3),
        (nn.MultiHeadAttention(4, 2, rng=0), "query", nn.Dropout(0.1)),
        (nn.MultiHeadAttention(4, 2, rng=0), "key", nn.Linear(4, 6, rng=0)),
        (nn.TransformerBlock(4, 2, rng=0), "norms", (nn.LayerNorm(4),)),
        (nn.Sequential(nn.relu), "layers", (np.ones(2),)),
        (nn.Residual(nn.relu), "inner", None),
        (nn.MLP((2, 3), rng=0), "layers", ()),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_with_a_layer_that_cannot_be(tmp_path: Any, layer: Any, field: str, value: Any) -> None:
    layer = tree.map(lambda leaf: leaf, layer)
    layer.fill(**{field: value})
    save(tmp_path / "m", layer)
    with pytest.raises(ModelFileError, match="does not fit|do not fit|got|missing"):
        load(tmp_path / "m")
