"""Views, joins, folds, scattered slices and products: what is left, and that the values are the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad.ops import conv, pool
from tests.rewrite.programs import check, names, ops

Function = Callable[..., Any]
X = np.random.default_rng(0).normal(size=(4, 6))
MATRIX = np.random.default_rng(1).normal(size=(6, 9))


def close(a: Any, b: Any) -> None:
    a, b = np.asarray(a), np.asarray(b)
    assert (a.shape, a.dtype) == (b.shape, b.dtype)
    np.testing.assert_allclose(a, b, rtol=50 * np.finfo(a.dtype).eps, atol=50 * np.finfo(a.dtype).eps)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x.reshape(24).reshape(2, 12), ["reshape"]),
        (lambda x: x.reshape(24).reshape(4, 6), []),
        (lambda x: x.T.T, []),
        (lambda x: x.reshape(2, 2, 6).transpose(1, 2, 0).transpose(2, 0, 1), ["reshape"]),
        (lambda x: x.reshape(4, 1, 6).transpose(1, 0, 2), ["reshape"]),
        (lambda x: x.reshape(1, 4, 6, 1).transpose(2, 0, 1, 3).reshape(6, 4), ["transpose"]),
        (lambda x: gnp.transpose(x, (0, 1)), []),
        (lambda x: gnp.flip(gnp.flip(x, 0), (0, 1)), ["flip"]),
        (lambda x: gnp.flip(gnp.flip(x)), []),
        (lambda x: gnp.flip(x[:1], 0), ["gather"]),
        (lambda x: gnp.broadcast_to(x[None], (1, 4, 6)), ["reshape"]),
        (lambda x: gnp.broadcast_to(gnp.broadcast_to(x, (3, 4, 6)), (2, 3, 4, 6)), ["broadcast_to"]),
        (lambda x: x[:], []),
        (lambda x: x[..., :6], []),
        (lambda x: x[None, :, None], ["reshape"]),
        (lambda x: x[0:4:1, ::1], []),
        (lambda x: x[:, :1][:, 0], ["gather", "reshape"]),
        (lambda x: gnp.pad(x, 0), []),
        (lambda x: gnp.concatenate([x]), []),
        (lambda x: gnp.concatenate([x[:1], x[1:3], x[3:]]), []),
        (lambda x: gnp.concatenate([x[0], x[1], x[2], x[3]]), ["reshape"]),
        (lambda x: gnp.concatenate([x[:, 1:3], x[:, 3:5]], axis=1), ["gather"]),
        (lambda x: gnp.concatenate([x[:2], x[1:]]), ["gather", "gather", "concatenate"]),
        (lambda x: gnp.concatenate([x[:0], x]), []),
        (lambda x: gnp.concatenate([gnp.concatenate([x, x + 1]), x]), ["add", "concatenate"]),
        (lambda x: gnp.concatenate([x, x + 1])[4:8], ["add"]),
        (lambda x: gnp.concatenate([x, x + 1])[5], ["add", "gather", "reshape"]),
        (lambda x: gnp.concatenate([x, x + 1])[3:5], ["add", "concatenate", "gather"]),
        (lambda x: gnp.stack([x, x + 1], axis=1)[:, 1], ["add"]),
    ],
)
def test_views(function: Function, left: list[str]) -> None:
    _, simple = check(function, X)
    assert names(simple) == left


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: gnp.broadcast_to(x[:, :1], (4, 6)) * x, ["gather", "mul"]),
        (lambda x: gnp.exp(gnp.broadcast_to(x, (5, 4, 6))), ["exp", "broadcast_to"]),
        (lambda x: x[None] + x, ["reshape", "add"]),
        (lambda x: x.reshape(1, 1, 4, 6) + np.ones((2, 1, 4, 6)), ["add"]),
        (lambda x: gnp.where(gnp.broadcast_to(x[0] > 0, (4, 6)), x, 0.0), ["gather", "greater", "where"]),
    ],
)
def test_work_is_done_before_stretching(function: Function, left: list[str]) -> None:
    _, simple = check(function, X)
    assert sorted(names(simple)) == sorted(left)


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: gnp.sum(x, (), keepdims=True), []),
        (lambda x: gnp.sum(x[:1], 0), ["gather", "reshape"]),
        (lambda x: gnp.max(x[:1], 0, keepdims=True), ["gather"]),
        (lambda x: gnp.sum(x[None], (0, 2), keepdims=True), ["reshape", "sum"]),
        (lambda x: gnp.sum(x, 1, keepdims=True).reshape(4), ["sum"]),
        (lambda x: gnp.max(gnp.broadcast_to(x, (5, 4, 6)), 0), []),
        (lambda x: gnp.sum(-x) + 1.0, ["sum", "sub"]),
        (lambda x: gnp.sum(x, 0) + gnp.sum(-x, 0), ["sum", "sub"]),
        (lambda x: gnp.max(gnp.stack([x, x + 1, x * 2]), 0), ["add", "mul", "maximum", "maximum"]),
    ],
)
def test_folds(function: Function, left: list[str]) -> None:
    _, simple = check(function, X)
    assert sorted(set(names(simple)) - {"reshape"}) == sorted(set(left) - {"reshape"})


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: gnp.sum(gnp.broadcast_to(x, (5, 4, 6)), 0), ["mul"]),
        (lambda x: gnp.sum(gnp.broadcast_to(x, (5, 4, 6)), (0, 2)), ["sum", "mul"]),
        (lambda x: gnp.sum(gnp.broadcast_to(x[:, :1], (4, 6)), 1, keepdims=True), ["gather", "mul"]),
        (lambda x: gnp.sum(gnp.stack([x, x + 1]), 0), ["add", "add"]),
        (lambda x: gnp.sum(gnp.exp(gnp.stack([x, x + 1], 1)), 1), ["add", "exp", "exp", "add"]),
    ],
)
def test_sums_that_round_otherwise(function: Function, left: list[str]) -> None:
    _, simple = check(function, X, equal=close)
    assert sorted(n for n in names(simple) if n != "reshape") == sorted(left)


def test_sums_of_copies_of_integers_and_truth_values_are_counts() -> None:
    check(lambda i: gnp.sum(gnp.broadcast_to(i, (5, 3)), 0), np.arange(3, dtype=np.int8))
    check(lambda i: gnp.sum(gnp.broadcast_to(i > 1, (5, 3)), 0), np.arange(3))
    half = np.array([1e-3], np.float16)
    _, simple = check(lambda x: gnp.sum(gnp.broadcast_to(x, (100_000,))), half)
    assert names(simple) == ["broadcast_to", "sum"]  # 100,000 is no 16-bit float


def equal(a: Any, b: Any) -> None:
    np.testing.assert_array_equal(np.asarray(a), np.asarray(b))  # -0.0 is 0.0
    assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: x[:, :2] * 2 + x[:, 2:4] * 3 + x[:, 4:] * 5, ["concatenate"]),
        (lambda x: x[:, 4:] * 5 + x[:, :2] * 2 + x[:, 2:4] * 3, ["concatenate"]),
        (lambda x: x[0] * 2 + x[1] * 3 + x[2] * 5 + x[3] * 7, ["concatenate"]),
        (lambda x: x[::2].reshape(12) * 2 + x[1::2].reshape(12) * 5, ["concatenate", "reshape"]),
        (lambda x: x[::2, ::2] + 2 * x[1::2, ::2] + 3 * x[::2, 1::2] + 4 * x[1::2, 1::2], ["concatenate"] * 3),
        (lambda x: x[:, ::3] + 2 * x[:, 1::3] + 3 * x[:, 2::3], ["concatenate", "reshape"]),
    ],
)
def test_gradients_of_slices_that_cover_an_array_are_joined(function: Function, left: list[str]) -> None:
    slope = gg.grad(lambda x: (function(x) ** 2 * weights(function(X))).sum())
    _, simple = check(slope, X, equal=equal)
    found = names(simple)
    assert "scatter" not in found
    assert found.count("concatenate") == left.count("concatenate")


def weights(like: Any) -> Any:
    return np.arange(1.0, 1.0 + np.size(like)).reshape(np.shape(like))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, :3].sum() + (x[:, 2:] ** 2).sum(),  # overlapping
        lambda x: (x[1:3] ** 2).sum() + (x[:1] ** 3).sum(),  # the last row is not taken
        lambda x: (x[::2] ** 2).sum() + (x[::2] ** 3).sum(),
        lambda x: (x[:2] ** 2).sum() + (x**2).sum() + (x[2:] ** 3).sum(),
        lambda x: (x[::-1, :2] ** 2).sum() + (x[:, 2:] ** 3).sum(),
        lambda x: (x[[0, 1]] ** 2).sum() + (x[2:] ** 3).sum(),
        lambda x: sum((x[i, j] ** (i + j + 1) for i in range(4) for j in range(6)), 0.0),
    ],
)
def test_gradients_of_slices_otherwise(function: Function) -> None:
    check(gg.grad(function), X, equal=close)


def test_a_scatter_of_infinite_scale_keeps_its_zeros_nan() -> None:
    _, simple = check(lambda x: gg.grad(lambda x: (x[:2] ** 2).sum())(x) * np.inf, np.ones(4), equal=equal)
    assert "scatter" in names(simple)
    _, simple = check(lambda x, y: gg.grad(lambda x: (x[:2] * y).sum())(x) * -2.0, np.ones(4), np.ones(2), equal=equal)
    assert names(simple) == ["mul", "scatter"]


def test_the_sum_of_one_number_per_line_is_the_numbers() -> None:
    from glassgrad.ops import losses

    logits, labels = np.random.default_rng(1).normal(size=(5, 7)), np.array([0, 3, 6, 6, -1])
    _, simple = check(gg.grad(lambda z, y: gnp.sum(gnp.take_along_axis(z, y[:, None], 1) ** 2)), logits, labels)
    summed = lambda z, y: gg.grad(lambda z: gnp.sum(gnp.take_along_axis(z, y[:, None], 1) ** 2))(z).sum(1)
    _, simple = check(summed, logits, labels, equal=equal)
    assert "scatter" not in names(simple)
    program, simple = check(gg.value_and_grad(losses.cross_entropy), logits, np.abs(labels), equal=close)
    # Of the sums, that of the scattered labels is gone; those of the softmax and of the mean are left.
    assert names(program).count("sum") == 3
    assert names(simple).count("sum") == 2
    assert names(simple).count("scatter") == 1


def test_two_places_on_a_line_are_added() -> None:
    rows, columns = np.array([[0], [1]]), np.array([[2, 2], [0, 1]])
    check(lambda x: gg.grad(lambda x: gnp.sum(x[rows, columns] ** 2))(x).sum(1), np.arange(8.0).reshape(2, 4))


def test_a_weight_used_at_every_step_has_one_long_product() -> None:
    def loss(w: Any, xs: Any) -> Any:
        h = gnp.zeros((3, 16))
        for t in range(5):
            h = gnp.tanh(xs[t] + h @ w)
        return (h**2).sum()

    rng = np.random.default_rng(2)
    w, xs = rng.normal(size=(16, 16)), rng.normal(size=(5, 3, 16))
    program, simple = check(gg.grad(loss), w, xs, equal=close)
    # Forward 5, backward 4 through the steps, and for the weight 1 with the state and 1 of one row with its zeros.
    assert names(program).count("matmul") == 14
    assert names(simple).count("matmul") == 11
    linear = lambda w, xs: gg.grad(lambda w: sum(((xs[t] @ w) ** 2).sum() for t in range(5)))(w)
    _, simple = check(linear, w, xs, equal=close)
    assert names(simple).count("concatenate") == 1  # of what the steps gave; the steps of xs lie side by side already


def test_a_matrix_of_equal_rows_is_multiplied_once() -> None:
    w, inf = np.random.default_rng(3).normal(size=(4, 5)), np.full((4, 5), np.inf)
    for right in (w, inf):
        _, simple = check(lambda w: np.zeros((3, 4)) @ w + 1.0, right)
        assert names(simple) == ["matmul", "add", "broadcast_to"]
    _, simple = check(lambda w: w @ np.ones((5, 2)), w)
    assert names(simple) == ["matmul", "broadcast_to"]


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: (x @ MATRIX).sum(0), ["sum", "matmul"]),
        (lambda x: (x @ MATRIX).sum(1), ["matmul"]),
        (lambda x: (x @ MATRIX).sum(), ["sum", "matmul"]),
        (lambda x: (x @ MATRIX).sum(0, keepdims=True), ["sum", "matmul", "reshape"]),
        (lambda x: gnp.einsum("nj,kj->nk", x, MATRIX.T).sum(0), ["sum", "einsum"]),
        (lambda x: gnp.einsum("nj,kj->nk", -x, MATRIX[:, :4].T).sum(1), ["einsum", "neg"]),
        (lambda x: gnp.einsum("nj,nk->njk", x, x + 1).sum(1), ["add", "sum", "einsum"]),
        (lambda x: gnp.einsum("nj,nk->njk", x, x + 1).sum(0), ["add", "einsum", "sum"]),  # n belongs to both
        (lambda x: gnp.sum(x @ MATRIX, 0) + gnp.max(x @ MATRIX, 0), ["matmul", "sum", "max", "add"]),
        (lambda x: -x @ MATRIX[:, :2], ["matmul", "neg"]),
        (lambda x: MATRIX.T[:2, :4] @ -x, ["matmul", "neg"]),
        (lambda x: -x @ MATRIX, ["neg", "matmul"]),  # the product has more elements to negate
    ],
)
def test_sums_and_signs_of_products(function: Function, left: list[str]) -> None:
    _, simple = check(function, X, equal=close)
    assert names(simple) == left


@pytest.mark.parametrize("window", [2, 3])
@pytest.mark.parametrize("kind", [pool.max_pool, pool.avg_pool])
def test_pooling_stacks_nothing(kind: Function, window: int) -> None:
    x = np.random.default_rng(4).normal(size=(2, 3, 6, 6))
    forward = lambda x: kind(x, window)
    check(forward, x, equal=close)
    assert "concatenate" not in ops(forward, x)
    _, simple = check(gg.grad(lambda x: (kind(x, window) ** 2).sum()), x, equal=close)
    assert "scatter" not in names(simple)


def test_a_stack_that_stays_together_is_worked_on_as_one() -> None:
    together = lambda x, w: gnp.tanh(gnp.stack([x, x + 1, x * 2], -1) * 3.0) @ w
    assert ops(together, X, np.ones((3, 2))).count("tanh") == 1
    apart = lambda x: gnp.max(gnp.tanh(gnp.stack([x, x + 1, x * 2], -1) * 3.0), -1)
    assert ops(apart, X).count("tanh") == 3
    check(apart, X)


def test_overlapping_pools() -> None:
    x = np.random.default_rng(5).normal(size=(1, 2, 7, 7))
    check(gg.grad(lambda x: (pool.max_pool(x, 3, 2) ** 2).sum()), x, equal=close)
    check(gg.grad(lambda x: (pool.avg_pool(x, 2, 1) ** 2).sum()), x, equal=close)


def test_convolutions() -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(2, 1, 6, 6)), rng.normal(size=(3, 1, 3, 3))
    program, simple = check(gg.grad(lambda w, x: (conv.conv(x, w) ** 2).sum()), w, x, equal=close)
    assert len(names(simple)) < len(names(program))


def test_the_step_of_a_scan_is_simplified_too() -> None:
    def rnn(w: Any, xs: Any) -> Any:
        h, ys = gg.scan(lambda h, x: (gnp.tanh(h @ w * 1.0 + x), gnp.negative(-h) + 0.0), gnp.zeros((2, 3)), xs)
        return (h**2).sum() + ys.sum()

    rng = np.random.default_rng(7)
    w, xs = rng.normal(size=(3, 3)), rng.normal(size=(4, 2, 3))
    close = partial(np.testing.assert_allclose, rtol=1e-14)  # sums over the steps are taken in another order
    program, simple = check(gg.value_and_grad(rnn), w, xs, equal=close)
    bodies = [n.params["body"] for n in simple.nodes if n.op.name == "scan"]
    assert bodies
    assert not {"neg", "alias"} & {n.op.name for body in bodies for n in body.nodes}
    assert any("neg" in str(n.params["body"]) for n in program.nodes if n.op.name == "scan")
    function = gg.jit(gg.value_and_grad(rnn))
    for a, b in zip(gg.tree.leaves(function(w, xs)), gg.tree.leaves(gg.value_and_grad(rnn)(w, xs)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


W = np.random.default_rng(1).normal(size=(6, 5))


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x: np.eye(4) @ x, []),
        (lambda x: x @ np.eye(6), []),
        (lambda x: np.eye(9)[2:6, 1:5] @ x, ["gather", "pad"]),  # rows 1, 2, 3 and none
        (lambda x: x @ np.eye(6, 9, 2), ["pad"]),
        (lambda x: x @ np.eye(6, 3, -3), ["gather"]),
        (lambda x: np.eye(4) @ x[:, 0], ["gather", "reshape"]),
        (lambda x: np.eye(6) @ gnp.stack([W, 2.0 * W]) * x[0, 0], ["gather", "reshape", "mul"]),
        (lambda x: (np.eye(6) * x[0]) @ W, ["gather", "reshape", "reshape", "mul"]),
        (lambda x: (np.eye(4) * x[:, :1]) @ W[:4], ["gather", "mul"]),
        (lambda x: W.T @ (x[0] * np.eye(6)), ["gather", "reshape", "mul"]),
        (lambda x: W[:4].T @ (x[:, :1] * np.eye(4)), ["gather", "mul"]),
        (lambda x: (np.eye(6, 6, 1) * x[0]).sum(1), ["gather", "gather", "pad"]),
    ],
)
def test_a_product_with_a_basis_picks_rows_or_columns(function: Function, left: list[str]) -> None:
    _, simple = check(function, X, equal=close)
    assert "matmul" not in names(simple)
    assert [n for n in names(simple) if n != "reshape"] == [n for n in left if n != "reshape"]


def test_other_constant_matrices_are_no_basis() -> None:
    flipped = np.ascontiguousarray(np.eye(4)[::-1])
    for m in (2.0 * np.eye(4), np.eye(4) + np.eye(4, 4, 1), flipped, np.diag([1.0, 1.0, 0.0, 1.0])):
        _, simple = check(lambda x, m=m: m @ x, X, equal=close)
        assert names(simple) == ["matmul"]
