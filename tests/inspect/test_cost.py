"""Costs against counts by hand: products are 2MNK, and their two cotangents are products of the same size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import nn
from glassgrad import numpy as gnp

F32 = np.float32


def test_one_product() -> None:
    w, x = np.ones((64, 10)), np.ones((32, 64))

    def f(w: Any, x: Any) -> Any:
        return ((x @ w) ** 2).sum()

    once = gg.cost(f, w, x)
    product, result = 2 * 32 * 64 * 10, 32 * 10
    # Forward squares and sums; backward two multiplications at most before the product
    assert once.forward.flops == product + 2 * result
    assert product <= once.backward.flops <= product + 2 * result
    twice = gg.cost(f, w, x, argnums=(0, 1))
    assert twice.backward.flops - once.backward.flops == product
    assert once.arguments == 8 * (640 + 2048)
    assert once.forward_peak == 8 * 2 * result  # the product and its square


def test_a_deep_network_by_scope() -> None:
    model, x = nn.MLP((16,) * 6, rng=0), np.ones((8, 16), F32)
    c = gg.cost(lambda m, x: (m(x) ** 2).sum(), model, x)
    product = 2 * 8 * 16 * 16
    names = [s.name for s in c.scopes if s.name]
    assert names == ["hidden1", "hidden2", "hidden3", "hidden4", "output"]
    assert product <= c["hidden1"].forward.flops <= product + 3 * 8 * 16
    # The first layer needs no gradient of its input, the others do
    assert product <= c["hidden1"].backward.flops < 1.2 * product
    assert 2 * product <= c["hidden3"].backward.flops < 2.2 * product
    np.testing.assert_allclose(sum(s.forward.flops for s in c.scopes), c.forward.flops)
    np.testing.assert_allclose(sum(s.backward.bytes for s in c.scopes), c.backward.bytes)
    assert c.ratio == c.backward.flops / c.forward.flops and 1.6 < c.ratio < 2
    # Backward the activations of all layers are needed: forward alone they are not
    assert c.peak > 5 * 4 * 8 * 16 > c.forward_peak
    with pytest.raises(KeyError, match="hidden1"):
        c["hidden9"]
    assert "hidden3" in str(c) and str(c).splitlines()[-1].startswith("total")


def test_loops_count_every_step() -> None:
    def loop(w: Any, x: Any) -> Any:
        return gg.scan(lambda c, t: (gnp.tanh(w @ c), t), x, np.zeros(50))[0]

    c = gg.cost(loop, np.ones((8, 8)), np.ones(8))
    assert c.forward.flops == 50 * (2 * 64 + 12 * 8) + 8


PRODUCT, TANH = 2 * 4 * 16 * 16, 12 * 4 * 16  # x @ w, and one of its results
# Forward, and the products of the backward pass by w
BODIES: dict[str, tuple[Any, float, int]] = {
    "checkpoint": (lambda w, x: gg.checkpoint(lambda w, x: gnp.tanh(x @ w))(w, x).sum(), PRODUCT + TANH + 64, 2),
    "cond": (lambda w, x: gg.cond(w[0, 0] > 0, lambda: gnp.sum((x @ w) ** 2), lambda: 0.0), PRODUCT + 128, 0),
    "while": (lambda w, x: gg.while_loop(lambda h: h.sum() < 9, lambda h: h @ w, x).sum(), PRODUCT + 2 * 64, 1),
    "fori": (lambda w, x: gg.fori_loop(0, 5, lambda i, h: h @ w, x).sum(), 5 * PRODUCT + 64, 9),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_inside_of_loops_and_branches_counts(name: str) -> None:
    f, forward, products = BODIES[name]
    c = gg.cost(f, np.ones((16, 16)), np.ones((4, 16)))
    assert abs(c.forward.flops - forward) <= 8
    assert products * PRODUCT <= c.backward.flops
    assert c.forward.bytes > 8 * (256 + 64)  # w and x are read


def test_a_convolution() -> None:
    x, w = np.ones((4, 3, 16, 16), F32), np.ones((8, 3, 3, 3), F32)
    product, result = 2 * 4 * 8 * 14 * 14 * 3 * 3 * 3, 4 * 8 * 14 * 14
    c = gg.cost(lambda w, x: (nn.conv(x, w) ** 2).sum(), w, x)
    assert c.forward.flops == product + 2 * result
    assert product <= c.backward.flops <= product + 2 * result


def test_the_compiled_program_has_less_traffic() -> None:
    model, x = nn.MLP((64, 64, 8), rng=0), np.ones((32, 64), F32)
    c = gg.cost(gg.jit(lambda m, x: (m(x) ** 2).sum()), model, x)
    assert c.compiled.kernels > 0 and c.compiled.arena > 0
    assert 0.5 < c.compiled.flops / c.flops < 2


def test_every_op_has_a_cost() -> None:
    from glassgrad.graph.apply import apply
    from glassgrad.graph.primitive import Elementwise, registry
    from glassgrad.inspect.cost import flops

    rng = np.random.default_rng(0)
    for op in registry.values():
        if issubclass(op, Elementwise) or op.samples.cases is None or op.outputs > 1:
            continue
        inputs, params = op.samples.cases(rng)[0]
        inputs = [gg.Array if x is None else x for x in inputs]
        program = gg.trace(lambda *xs, op=op, params=params: apply(op, xs, params), *inputs)
        assert flops(program.outputs[0]) >= 0, op.name


def test_a_constant_costs_nothing() -> None:
    counted = gg.cost(lambda x: 3.0, 3.0)
    assert counted.forward.flops == counted.backward.flops == counted.peak == 0
