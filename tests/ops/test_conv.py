"""Convolution: values against NumPy, SciPy and PyTorch, gradients against PyTorch and finite differences; pooling."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad.errors import ShapeError
from glassgrad.ops import conv as module
from glassgrad.ops import elementwise as ew
from glassgrad.ops import reduction
from glassgrad.ops.conv import conv, conv_transpose
from glassgrad.ops.convolve import convolve, convolve_nd, correlate
from glassgrad.ops.pool import avg_pool, max_pool

RNG = np.random.default_rng(11)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape)


def pulled(function: Callable[..., Any], *args: Any) -> Any:
    """Value, and gradients of a weighted sum of it."""
    value, pullback = gg.vjp(function, *args)
    return value, pullback(np.cos(np.arange(value.size)).reshape(value.shape).astype(value.dtype))


def pytorchs(function: Callable[..., Any], *args: Any) -> Any:
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(a, requires_grad=True) for a in args]
    value = function(torch.nn.functional, *leaves)
    weights = np.cos(np.arange(value.numel())).reshape(value.shape)
    value.backward(torch.tensor(weights).to(value.dtype))
    return value.detach().numpy(), [leaf.grad.numpy() for leaf in leaves]


def agree(ours: Any, theirs: Any, tolerance: float = 1e-10) -> None:
    np.testing.assert_allclose(ours[0], theirs[0], rtol=tolerance, atol=tolerance)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


SETTINGS = [
    {"stride": s, "padding": p, "dilation": d, "groups": g}
    for s, p, d, g in itertools.product((1, 2, 3), (0, 1, 3), (1, 2), (1, 2))
]


@pytest.mark.parametrize("options", SETTINGS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("d", [1, 2, 3])
def test_conv_is_pytorchs(d: int, options: dict[str, Any]) -> None:
    x, w = normal(2, 4, *(7, 8, 6)[:d]), normal(6, 4 // options["groups"], *(3, 2, 3)[:d])
    agree(
        pulled(lambda x, w: conv(x, w, **options), x, w),
        pytorchs(lambda f, x, w: getattr(f, f"conv{d}d")(x, w, **options), x, w),
    )


@pytest.mark.parametrize(
    "options", [o for o in SETTINGS if o["padding"] < 3], ids=lambda o: "-".join(map(str, o.values()))
)
@pytest.mark.parametrize("d", [1, 2])
def test_conv_transpose_is_pytorchs(d: int, options: dict[str, Any]) -> None:
    x, w = normal(2, 4, *(5, 4)[:d]), normal(4, 3, *(3, 4)[:d])
    more = {**options, "output_padding": options["stride"] - 1}
    agree(
        pulled(lambda x, w: conv_transpose(x, w, **more), x, w),
        pytorchs(lambda f, x, w: getattr(f, f"conv_transpose{d}d")(x, w, **more), x, w),
    )


def test_axes_may_differ() -> None:
    x, w = normal(1, 2, 9, 7), normal(3, 2, 3, 2)
    options: dict[str, Any] = {"stride": (2, 1), "padding": (2, 0), "dilation": (1, 3)}
    agree(pulled(lambda x, w: conv(x, w, **options), x, w), pytorchs(lambda f, x, w: f.conv2d(x, w, **options), x, w))
    pairs = conv(x, w, padding=((1, 2), (0, 3)))
    np.testing.assert_allclose(pairs, conv(np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3))), w))


def test_same_padding() -> None:
    x = normal(2, 3, 7, 8)
    for k, d in ((3, 1), (5, 1), (3, 2)):
        w = normal(2, 3, k, k)
        agree(
            pulled(lambda x, w: conv(x, w, padding="same", dilation=d), x, w),  # noqa: B023
            pytorchs(lambda f, x, w: f.conv2d(x, w, padding="same", dilation=d), x, w),  # noqa: B023
        )
    lax = pytest.importorskip("jax").lax
    for stride in (2, 3):
        w = normal(2, 3, 4, 3)
        theirs = lax.conv_general_dilated(x.astype("f"), w.astype("f"), (stride, stride), "SAME")
        np.testing.assert_allclose(conv(x, w, stride, "same"), theirs, rtol=1e-4, atol=1e-4)


def test_negative_padding_cuts_off() -> None:
    x, w = normal(1, 2, 9), normal(3, 2, 2)
    np.testing.assert_allclose(conv(x, w, padding=[(-2, 1)]), conv(np.pad(x[:, :, 2:], ((0, 0), (0, 0), (0, 1))), w))
    assert gg.check_grads(lambda x, w: conv(x, w, 2, [(-3, -1)]), (x, w), 2).compared


def test_spread_and_cut_off_together() -> None:
    x, w = normal(1, 1, 5), normal(1, 1, 2)
    spread = np.zeros(13)
    spread[::3] = x[0, 0]
    for low, high in itertools.product(range(-6, 3), range(-6, 3)):
        params = {"stride": (1,), "padding": ((low, high),), "spread": (3,), "dilation": (1,), "groups": 1}
        full = np.pad(spread, (max(low, 0), max(high, 0)))
        cut = full[max(-low, 0) : len(full) - max(-high, 0)]
        expected = np.correlate(cut, w[0, 0], "valid") if len(cut) > 1 else np.zeros(0)
        np.testing.assert_allclose(module.Conv.eval(x, w, **params)[0, 0], expected)


def test_second_order_and_complex() -> None:
    x, w = normal(1, 2, 4, 3), normal(2, 1, 2, 2)
    assert gg.check_grads(lambda x, w: conv(x, w, (2, 1), 1, groups=2) ** 2, (x, w), 2).compared
    assert gg.check_grads(lambda x, w: conv_transpose(x, w, 2, 1, 1), (x[..., 0], w[..., 0]), 2).compared
    z, u = normal(1, 2, 4) + 1j * normal(1, 2, 4), normal(2, 2, 2) + 1j * normal(2, 2, 2)
    assert gg.check_grads(lambda x, w: ew.absolute(conv(x, w)) ** 2, (z, u), 2).compared


def test_dtypes_and_layouts() -> None:
    x, w = normal(2, 3, 8, 8).astype(np.float32), normal(4, 3, 3, 3).astype(np.float32)
    value, gradients = pulled(conv, x, w)
    assert value.dtype == np.float32 and all(g.dtype == np.float32 for g in gradients)
    assert conv(x, w.astype(float)).dtype == np.float64
    whole = np.arange(5)
    assert convolve(whole, whole).dtype == np.int64
    np.testing.assert_allclose(conv(x[..., ::-1], w[::-1]), conv(x[..., ::-1].copy(), w[::-1].copy()))


def test_large_problems_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = normal(3, 2, 9, 5), normal(4, 2, 3, 2)
    whole = conv(x, w, 2, 1)
    for block in (1, 20, 100, 400):
        monkeypatch.setattr(module, "_BLOCK", block)
        np.testing.assert_allclose(conv(x, w, 2, 1), whole, rtol=1e-12)


def test_no_spatial_axes_is_a_matrix_product() -> None:
    x, w = normal(5, 3), normal(4, 3)
    np.testing.assert_allclose(conv(x, w), x @ w.T)
    assert gg.check_grads(conv, (x, w), 2).compared


MODES = ("full", "same", "valid")


@pytest.mark.parametrize("mode", MODES)
def test_convolve_and_correlate_are_numpys(mode: Any) -> None:
    for n, k in itertools.product((1, 2, 3, 4, 7), repeat=2):
        for a, v in ((normal(n), normal(k)), (normal(n) + 1j * normal(n), normal(k) - 1j * normal(k))):
            np.testing.assert_allclose(convolve(a, v, mode), np.convolve(a, v, mode), atol=1e-12)
            np.testing.assert_allclose(correlate(a, v, mode), np.correlate(a, v, mode), atol=1e-12)
    for n, k in ((5, 3), (3, 5), (4, 4), (4, 2)):
        assert gg.check_grads(lambda a, v: convolve(a, v, mode), (normal(n), normal(k)), 2).compared
        z = normal(k) + 1j * normal(k)
        assert gg.check_grads(lambda a, v: ew.absolute(correlate(a, v, mode)), (normal(n), z), 1).compared
    np.testing.assert_array_equal(convolve(np.float64(2.0), np.array([1.0, 3.0])), [2.0, 6.0])


@pytest.mark.parametrize("mode", MODES)
def test_convolve_nd_is_scipys(mode: Any) -> None:
    signal = pytest.importorskip("scipy.signal")
    for a, v in (
        (normal(6, 5), normal(3, 2)),
        (normal(3, 2), normal(6, 5)),
        (normal(4, 3, 5), normal(2, 3, 4)),
        (normal(4), normal(3)),
    ):
        np.testing.assert_allclose(convolve_nd(a, v, mode), signal.convolve(a, v, mode), atol=1e-12)
    if mode != "valid":
        a, v = normal(5, 2), normal(3, 4)
        np.testing.assert_allclose(convolve_nd(a, v, mode), signal.convolve(a, v, mode), atol=1e-12)
    assert gg.check_grads(lambda a, v: convolve_nd(a, v, mode), (normal(4, 3), normal(2, 3)), 2).compared


def test_a_traced_convolution_is_the_eager_one() -> None:
    def program(x: Any, w: Any) -> Any:
        return conv(x, w, 2, 1), convolve(x[0, 0], w[0, 0], "same"), max_pool(x, 2, padding=1)

    x, w = normal(2, 3, 6), normal(4, 3, 3)
    for traced, eager in zip(gg.trace(program, x, w)(x, w), program(x, w), strict=True):
        np.testing.assert_array_equal(traced, eager)


@pytest.mark.parametrize(
    ("window", "stride", "padding"), [(2, None, 0), (3, 2, 1), (2, 1, 1), ((3, 2), (1, 2), (1, 0))]
)
def test_pooling_is_pytorchs(window: Any, stride: Any, padding: Any) -> None:
    x = normal(2, 3, 6, 7) - 5
    for ours, theirs in ((max_pool, "max_pool2d"), (avg_pool, "avg_pool2d")):
        agree(
            pulled(lambda x: ours(x, window, stride, padding), x),  # noqa: B023
            pytorchs(lambda f, x: getattr(f, theirs)(x, window, stride, padding), x),  # noqa: B023
        )


def test_ties_in_a_pool_share_the_gradient() -> None:
    gradient = gg.grad(lambda x: reduction.sum(max_pool(x, 2)))(np.zeros((1, 1, 4)))
    np.testing.assert_array_equal(gradient, np.full((1, 1, 4), 0.5))


def test_needs_only_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert convolve_nd(normal(3, 3), normal(2, 2)).shape == (4, 4)


X = np.ones((2, 4, 5))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: conv(X, np.ones((3, 3, 2))),
            ShapeError,
            r"channels do not fit.*\(2, 4, 5\).*\(3, 3, 2\).*test_conv.py",
        ),
        (lambda: conv(X, np.ones((3, 2, 2)), groups=2), ShapeError, "multiple of groups"),
        (lambda: conv(X, np.ones((3, 4, 2, 2))), ShapeError, "numbers of axes do not fit"),
        (lambda: conv(X[0], np.ones((3, 4, 2))), ShapeError, r"x\[None\]"),
        (lambda: conv(X, np.ones((3, 4, 6))), ShapeError, "kernel does not fit"),
        (lambda: conv(X, np.ones((3, 4, 0))), ShapeError, "kernel does not fit"),
        (lambda: conv(X, np.ones((3, 4, 2)), stride=0), ShapeError, "stride 0"),
        (lambda: conv(X, np.ones((3, 4, 2)), stride=(1, 2)), ShapeError, "one for each of 1 axes"),
        (lambda: conv(X, np.ones((3, 4, 2)), padding="full"), ValueError, "'valid', 'same'"),
        (lambda: conv(X, np.ones((3, 4, 2)), padding=(1, 1)), ShapeError, "each of 1 axes"),
        (lambda: conv_transpose(X, np.ones((3, 4, 2))), ShapeError, r"expected w \(4, O / groups, ...\)"),
        (lambda: convolve(X, X), ShapeError, "must have one axis"),
        (lambda: convolve(np.ones(0), np.ones(2)), ShapeError, "must have elements"),
        (lambda: convolve(np.ones(3), np.ones(2), "half"), ValueError, "'full', 'same' or 'valid'"),
        (lambda: correlate(np.ones(3), np.ones(2), "half"), ValueError, "'full', 'same' or 'valid'"),
        (lambda: convolve_nd(np.ones((2, 2)), np.ones(2)), ShapeError, "numbers of axes differ"),
        (lambda: convolve_nd(np.ones((2, 5)), np.ones((3, 3)), "valid"), ShapeError, "one array to hold the other"),
        (lambda: max_pool(np.ones((2, 2)), 2), ShapeError, r"expected \(N, C, ...\)"),
        (lambda: avg_pool(X, 6), ShapeError, "does not fit"),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()
