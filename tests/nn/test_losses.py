"""Losses against plain NumPy formulas and PyTorch: values, gradients, weights, extremes, and refused shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad.errors import DtypeError, ShapeError

RNG = np.random.default_rng(0)
N, C = 4, 4
SCORES, TARGET = RNG.normal(size=(N, C)) * 2, RNG.normal(size=(N, C))
LABELS = RNG.integers(0, C, N)
P = RNG.dirichlet(np.ones(C), N)
BITS = (RNG.random((N, C)) < 0.4).astype(float)
SIGNS = np.where(BITS > 0, 1.0, -1.0)
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.0, 0.1])
WEIGHTS = RNG.random(N)


def logs(z: Any) -> Any:
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def picked(z: Any, labels: Any) -> Any:
    return np.array([row[k] for row, k in zip(z, labels, strict=True)])


def sigma(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def huber(a: Any, d: float) -> Any:
    return np.where(abs(a) <= d, a * a / 2, d * (abs(a) - d / 2))


def cosine(a: Any, b: Any) -> Any:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


# Name: the loss of one argument, as reduction says; the losses by the formula, written out.
CASES: dict[str, tuple[Callable[..., Any], Callable[[Any], Any]]] = {
    "squared": (lambda z, **o: nn.squared_error(z, TARGET, **o), lambda z: (z - TARGET) ** 2),
    "absolute": (lambda z, **o: nn.absolute_error(z, TARGET, **o), lambda z: abs(z - TARGET)),
    "huber": (lambda z, **o: nn.huber(z, TARGET, 0.7, **o), lambda z: huber(z - TARGET, 0.7)),
    "labels": (lambda z, **o: nn.cross_entropy(z, LABELS, **o), lambda z: -picked(logs(z), LABELS)),
    "smooth": (
        lambda z, **o: nn.cross_entropy(z, LABELS, label_smoothing=0.3, **o),
        lambda z: -0.7 * picked(logs(z), LABELS) - 0.3 * logs(z).mean(-1),
    ),
    "probabilities": (lambda z, **o: nn.cross_entropy(z, P, **o), lambda z: -(P * logs(z)).sum(-1)),
    "smooth, weighted probabilities": (
        lambda z, **o: nn.cross_entropy(z, P, label_smoothing=0.3, class_weights=CLASS_WEIGHTS, **o),
        lambda z: -((0.7 * P + 0.3 / C) * CLASS_WEIGHTS * logs(z)).sum(-1),
    ),
    "binary": (
        lambda z, **o: nn.binary_cross_entropy(z, BITS, **o),
        lambda z: -BITS * np.log(sigma(z)) - (1 - BITS) * np.log(1 - sigma(z)),
    ),
    "binary, positive weight": (
        lambda z, **o: nn.binary_cross_entropy(z, BITS, positive_weight=CLASS_WEIGHTS, **o),
        lambda z: -CLASS_WEIGHTS * BITS * np.log(sigma(z)) - (1 - BITS) * np.log(1 - sigma(z)),
    ),
    "kl": (lambda z, **o: nn.kl_divergence(z, P, **o), lambda z: (P * (np.log(P) - logs(z))).sum(-1)),
    "kl of logits": (
        lambda z, **o: nn.kl_divergence(logs(SCORES), z, log_target=True, **o),
        lambda z: (np.exp(logs(z)) * (logs(z) - logs(SCORES))).sum(-1),
    ),
    "hinge": (lambda z, **o: nn.hinge(z, SIGNS, **o), lambda z: np.maximum(0, 1 - SIGNS * z)),
    "squared hinge": (
        lambda z, **o: nn.hinge(z, SIGNS, margin=0.5, squared=True, **o),
        lambda z: np.maximum(0, 0.5 - SIGNS * z) ** 2,
    ),
    "cosine": (lambda z, **o: nn.cosine_distance(z, TARGET, **o), lambda z: 1 - cosine(z, TARGET)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula(name: str) -> None:
    ours, formula = CASES[name]
    z = SCORES if name != "kl of logits" else TARGET
    expected = formula(z)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    close(ours(z, reduction="none"), expected)
    close(ours(z, reduction="sum"), expected.sum())
    close(ours(z), expected.mean())
    wide = WEIGHTS.reshape(N, *(1,) * (expected.ndim - 1)) * np.ones_like(expected)
    close(ours(z, weights=WEIGHTS, reduction="none"), wide * expected)
    close(ours(z, weights=WEIGHTS), np.average(expected, weights=wide))
    close(ours(z, weights=wide), np.average(expected, weights=wide))
    assert ours(z, weights=np.zeros(N)) == 0


@pytest.mark.parametrize("loss", [loss for name, loss in nn.LOSSES.items() if name not in ("mse", "mae")])
def test_lists_are_arrays(loss: Any) -> None:
    target = {"cross_entropy": LABELS, "binary_cross_entropy": BITS, "hinge": SIGNS}.get(loss.__name__, P)
    options: dict[str, Any] = {"weights": WEIGHTS}
    options |= {"class_weights": CLASS_WEIGHTS} if loss is nn.cross_entropy else {}
    options |= {"positive_weight": CLASS_WEIGHTS} if loss is nn.binary_cross_entropy else {}
    listed = {name: array.tolist() for name, array in options.items()}
    expected, slope = gg.value_and_grad(lambda z: loss(z, target, **options))(SCORES)
    assert loss(SCORES.tolist(), target.tolist(), **listed) == expected
    assert loss(gg.numpy.asarray(SCORES), target.tolist(), **listed) == expected
    rows = gg.grad(lambda z: loss([z[i] for i in range(N)], target.tolist(), **listed))(SCORES)  # lists of Arrays too
    np.testing.assert_allclose(rows, slope, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_gradients_eager_and_compiled(name: str) -> None:
    ours = CASES[name][0]
    z = SCORES if name != "kl of logits" else TARGET
    f = lambda z: ours(z, weights=WEIGHTS)
    gg.check_grads(f, (z,), order=1)
    value, slope = gg.value_and_grad(f)(z)
    fast, compiled = gg.jit(gg.value_and_grad(f))(z)
    np.testing.assert_allclose(fast, value, rtol=1e-12)
    np.testing.assert_allclose(compiled, slope, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_float32_stays_float32(name: str) -> None:
    ours = CASES[name][0]
    z = SCORES if name != "kl of logits" else TARGET
    if name in ("labels", "smooth"):  # others meet a float64 target
        value, slope = gg.value_and_grad(lambda z: ours(z, weights=WEIGHTS))(z.astype(np.float32))
        assert (value.dtype, slope.dtype) == (np.float32, np.float32)
    whole = np.ones((2, 2), int)
    assert nn.squared_error(whole.astype(np.float32), whole).dtype == np.float32
    assert nn.hinge(whole.astype(np.float32), whole).dtype == np.float32


def test_cross_entropy_counts_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.functional.cross_entropy
    rng = np.random.default_rng(1)
    images, maps = rng.normal(size=(3, C, 2, 5)), rng.integers(0, C, (3, 2, 5))
    maps[0, 0, :3] = -100
    for smoothing in (0.0, 0.2):
        for weight in (None, CLASS_WEIGHTS):
            for how in ("mean", "sum", "none"):
                z = torch.tensor(images, requires_grad=True)
                loss = theirs(
                    z,
                    torch.tensor(maps),
                    weight=None if weight is None else torch.tensor(weight),
                    ignore_index=-100,
                    label_smoothing=smoothing,
                    reduction=how,
                )
                loss.sum().backward()

                def ours(z: Any, w: Any = weight, e: float = smoothing, how: str = how) -> Any:
                    return nn.cross_entropy(
                        z, maps, class_weights=w, label_smoothing=e, ignore_index=-100, axis=1, reduction=how
                    )

                np.testing.assert_allclose(ours(images), loss.detach().numpy(), rtol=1e-12)
                slope = gg.grad(lambda z: gg.numpy.sum(ours(z)))(images)
                np.testing.assert_allclose(slope, z.grad.numpy(), rtol=1e-11, atol=1e-15)
    soft = rng.dirichlet(np.ones(C), (3, 2, 5)).transpose(0, 3, 1, 2)
    loss = theirs(torch.tensor(images), torch.tensor(soft), weight=torch.tensor(CLASS_WEIGHTS), label_smoothing=0.1)
    ours = nn.cross_entropy(images, soft, class_weights=CLASS_WEIGHTS, label_smoothing=0.1, axis=1)
    np.testing.assert_allclose(ours, loss.item(), rtol=1e-12)


def test_other_losses_equal_pytorch() -> None:
    torch = pytest.importorskip("torch")
    F, t = torch.nn.functional, torch.tensor
    z = t(SCORES)
    pairs = [
        (nn.huber(SCORES, TARGET, 0.7), F.huber_loss(z, t(TARGET), delta=0.7)),
        (nn.squared_error(SCORES, TARGET), F.mse_loss(z, t(TARGET))),
        (nn.absolute_error(SCORES, TARGET), F.l1_loss(z, t(TARGET))),
        (
            nn.binary_cross_entropy(SCORES, BITS, positive_weight=CLASS_WEIGHTS),
            F.binary_cross_entropy_with_logits(z, t(BITS), pos_weight=t(CLASS_WEIGHTS)),
        ),
        (nn.kl_divergence(SCORES, P), F.kl_div(z.log_softmax(-1), t(P), reduction="batchmean")),
        (nn.cosine_similarity(SCORES, TARGET).mean(), F.cosine_similarity(z, t(TARGET)).mean()),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.item(), rtol=1e-12)


def test_the_ignored_count_nothing() -> None:
    z, labels = SCORES, np.where(np.arange(N) < 2, -1, LABELS)
    kept = nn.cross_entropy(z[2:], labels[2:], class_weights=CLASS_WEIGHTS)
    loss = lambda z: nn.cross_entropy(z, labels, class_weights=CLASS_WEIGHTS, ignore_index=-1)
    np.testing.assert_allclose(loss(z), kept, rtol=1e-14)
    assert not gg.grad(loss)(z)[:2].any()
    z = z.copy()
    z[:2] = np.nan
    np.testing.assert_allclose(loss(z), kept, rtol=1e-14)
    assert nn.cross_entropy(z, np.full(N, -1), ignore_index=-1) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_stay_finite(dtype: Any) -> None:
    far = np.array([[1e4, -1e4], [-1e4, 1e4], [0, 0]], dtype)
    huge = np.array([[1e30, -1e30], [1e-30, 1e-30], [0, 0]], dtype)
    ones = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    for loss in (
        lambda z: nn.cross_entropy(z, np.array([1, 1, 0])),
        lambda z: nn.cross_entropy(z, np.array([1, 1, 0]), label_smoothing=0.1),
        lambda z: nn.binary_cross_entropy(z, ones),
        lambda z: nn.binary_cross_entropy(z, ones, positive_weight=3.0),
        lambda z: nn.kl_divergence(z, ones),
        lambda z: nn.kl_divergence(z, far[::-1], log_target=True),
        lambda z: nn.huber(z, ones),
        lambda z: nn.hinge(z, 2 * ones - 1),
        lambda z: nn.cosine_distance(z, huge),
    ):
        for z in (far, huge):
            if z is huge and dtype is np.float32 and loss is not None:
                z = huge * dtype(1e-3)
            value, slope = gg.value_and_grad(loss)(z)
            assert np.isfinite(value), loss
            assert np.isfinite(slope).all(), loss
    np.testing.assert_allclose(nn.cosine_similarity(huge[0], far[1]), -1, rtol=1e-6)
    assert nn.cosine_similarity(huge[2], far[1]) == 0


@pytest.mark.parametrize("loss", [nn.squared_error, nn.absolute_error, nn.huber, nn.binary_cross_entropy, nn.hinge,
                                  nn.kl_divergence, nn.cosine_distance])  # fmt: skip
def test_no_loss_broadcasts(loss: Any) -> None:
    for got in ((3,), (1, 3), (3, 3), ()):
        with pytest.raises(ShapeError, match="one shape"):
            loss(np.ones((3, 1)), np.ones(got))
    with pytest.raises(ShapeError, match="weights do not fit"):
        loss(np.ones((3, 2)), np.ones((3, 2)), weights=np.ones(2))
    with pytest.raises(ValueError, match="unknown reduction: got 'avg'"):
        loss(np.ones((3, 2)), np.ones((3, 2)), reduction="avg")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.cross_entropy(SCORES, LABELS[:, None]), ShapeError, "one label per row"),
        (lambda: nn.cross_entropy(SCORES, LABELS + 1), ShapeError, "class numbers 0 to 3"),
        (lambda: nn.cross_entropy(SCORES, LABELS - 1, ignore_index=-2), ShapeError, "class numbers 0 to 3"),
        (lambda: nn.cross_entropy(SCORES, LABELS * 1.0), DtypeError, "must be integers"),
        (lambda: nn.cross_entropy(SCORES, LABELS, class_weights=np.ones(3)), ShapeError, r"expected \(4,\)"),
        (lambda: nn.cross_entropy(SCORES, LABELS, label_smoothing=2.0), ValueError, "bad label_smoothing"),
        (lambda: nn.cross_entropy(SCORES, LABELS, weights=np.ones((N, C))), ShapeError, "weights do not fit"),
        (lambda: nn.binary_cross_entropy(SCORES, BITS, positive_weight=np.ones((N, C))), ShapeError, "positive_weight"),
        (lambda: nn.squared_error(SCORES, TARGET, weights=-WEIGHTS), ValueError, "weights must be at least 0: got -"),
        (
            lambda: nn.squared_error(SCORES[:0], TARGET[:0]),
            ShapeError,
            r"no mean of nothing: .* \(0, 4\)",
        ),
        (lambda: nn.binary_cross_entropy(SCORES, SIGNS), ValueError, "targets must be from 0 to 1: got -1.0 to 1.0"),
        (lambda: nn.hinge(SCORES, BITS), ValueError, "targets must be -1 or 1"),
        (lambda: nn.huber(SCORES, TARGET, 0.0), ValueError, "bad delta"),
    ],
)
def test_mistakes_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("options", [{}, {"ignore_index": -1}, {"class_weights": CLASS_WEIGHTS}])
@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_class_numbers_below_zero_do_not_count_from_the_end_in_compiled_code(options: Any, dtype: str) -> None:
    loss = gg.jit(gg.value_and_grad(lambda z, labels: nn.cross_entropy(z, labels, **options)))
    for wrong in (-2, C):
        with pytest.raises(IndexError, match="out of range"):
            loss(SCORES, np.array([0, wrong, 1, 2], dtype))
    table = gg.jit(lambda layer, rows: layer(rows))
    with pytest.raises(IndexError, match="out of range"):
        table(nn.Embedding(5, 2, rng=0), np.array([4, -1], dtype))
    good = np.array([0, 3, 1, 2], dtype)
    np.testing.assert_allclose(loss(SCORES, good)[0], nn.cross_entropy(SCORES, good, **options))
