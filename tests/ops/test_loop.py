"""The op Scan: what it computes, what it says of itself, and how a traced step becomes its body."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.array import as_array
from glassgrad.graph.apply import apply
from glassgrad.graph.node import Constant, Input, Node, Spec, Trace
from glassgrad.graph.verify import verify
from glassgrad.ops import elementwise as ew
from glassgrad.ops import linalg, reduction
from glassgrad.ops.contraction import matmul
from glassgrad.ops.loop import Body, Counts, Scan, closed, copied, opened, placeholder

FLOAT = np.dtype(np.float64)
RNG = np.random.default_rng(0)


def traced(step: Any, carry: list[Any], rows: list[Any], tracked: bool = True) -> tuple[Body, list[Node]]:
    """The body of a step of lists of arrays, and what it captured."""
    with opened() as trace:
        inputs = [placeholder(np.asarray(x), trace, tracked) for x in (*carry, *rows)]
        after, ys = step(inputs[: len(carry)], inputs[len(carry) :])
    return closed(trace, inputs, [as_array(y) for y in (*after, *ys)], len(carry), inputs if tracked else [])


def run(step: Any, carry: list[Any], xs: list[Any], length: int, reverse: bool = False) -> tuple[Any, ...]:
    body, outer = traced(step, carry, [np.empty(x.shape[1:]) for x in xs])
    params = {"body": body, "length": length, "reverse": reverse, "counts": Counts(len(carry), len(xs), len(outer))}
    result: tuple[Any, ...] = Scan.eval(*carry, *xs, *(node.value for node in outer), **params)
    given = [np.asarray(v) for v in (*carry, *xs, *(node.value for node in outer))]
    inferred = Scan.infer(*(Spec(v.shape, v.dtype) for v in given), **params)
    assert [(np.shape(v), np.asarray(v).dtype) for v in result] == [tuple(spec) for spec in inferred]
    return result


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_and_products_are_numpys(reverse: bool) -> None:
    x = RNG.normal(size=(6, 2))
    total, power, sums, products = run(
        lambda c, r: ([c[0] + r[0], c[1] * r[0]], [c[0] + r[0], c[1]]), [np.zeros(2), np.ones(2)], [x], 6, reverse
    )
    rows = x[::-1] if reverse else x
    order = slice(None, None, -1 if reverse else 1)
    np.testing.assert_allclose(total, x.sum(0))
    np.testing.assert_allclose(power, x.prod(0))
    np.testing.assert_allclose(sums[order], np.cumsum(rows, 0))
    np.testing.assert_allclose(products[order][1:], np.cumprod(rows, 0)[:-1])


def test_a_step_of_matrices_with_several_outputs() -> None:
    a = RNG.normal(size=(3, 3))

    def step(c: Any, r: Any) -> Any:
        sign, size = linalg.slogdet(matmul(c[0], a))
        return [matmul(c[0], a) * r[0]], [sign, size]

    last, signs, sizes = run(step, [np.eye(3)], [np.full(4, 0.5)], 4)
    np.testing.assert_allclose(last, np.linalg.matrix_power(a, 4) / 16)
    expected = [np.linalg.slogdet(np.linalg.matrix_power(a, k + 1) / 2**k) for k in range(4)]
    np.testing.assert_allclose(signs, [e.sign for e in expected])
    np.testing.assert_allclose(sizes, [e.logabsdet for e in expected])


def test_no_steps_give_the_first_carry_and_empty_rows() -> None:
    carry, rows = run(lambda c, r: ([c[0] + 1.0], [r[0]]), [np.ones(2)], [np.ones((0, 3))], 0)
    assert carry.tolist() == [1.0, 1.0] and rows.shape == (0, 3)


def test_the_last_carry_is_no_view_of_the_first() -> None:
    given = np.ones(3)
    (last,) = run(lambda c, r: (c, []), [given], [], 2)
    assert not np.shares_memory(given, last)


def test_arrays_and_outer_nodes_become_inputs_once_and_numbers_stay() -> None:
    table, w = RNG.normal(size=3), gg.variable([1.0, 2.0, 3.0])
    body, outer = traced(lambda c, r: ([c[0] * table + table * 2.0], [c[0] * w, c[0] - w * 2.0]), [np.ones(3)], [])
    assert [n for n in outer if n is w] and len(outer) == 4  # table, table * 2, w, w * 2: computed once, outside
    assert len({id(node) for node in body.inputs}) == len(body.inputs) == 5
    assert all(node.op is Input and node.value is None for node in body.inputs)
    assert not any(node.op is Constant for node in body.nodes)
    kept, none = traced(lambda c, r: ([c[0] * 2.0 + np.float32(1.0)], []), [np.ones(3)], [])
    assert not none and sorted(float(n.value) for n in kept.nodes if n.op is Constant) == [1.0, 2.0]


def test_an_array_used_twice_is_one_input() -> None:
    table = RNG.normal(size=3)
    _, outer = traced(lambda c, r: ([c[0] * table], [c[0] + table, table]), [np.ones(3)], [])
    assert len(outer) == 1 and outer[0].value is table


def test_a_carry_is_tracked_if_an_earlier_step_makes_it_depend_on_something_tracked() -> None:
    def step(c: Any, r: Any) -> Any:
        return [c[1] + 1.0, c[2] * 2.0, c[2], c[3] + 1], []

    w = gg.variable(np.ones(2))
    carry = [np.ones(2), np.ones(2), np.ones(2), np.array(0)]
    assert [n.tracked for n in traced(step, carry, [], tracked=False)[0].inputs] == [False] * 4
    body, _ = traced(lambda c, r: ([c[1] + 1.0, c[2] * 2.0, w * c[2], c[3] + 1], []), carry, [], tracked=False)
    assert [n.tracked for n in body.inputs] == [True, True, True, False, True]


def test_copies_keep_origin_and_spec_and_belong_to_the_other_trace() -> None:
    program = gg.trace(lambda x: ew.sin(x) * 2.0, np.ones(3))
    other = Trace()
    x = placeholder(program.inputs[0], other, True)
    (y,) = copied(program.outputs, {program.inputs[0]: x}, other)
    assert y.program is other and y.inputs[0].inputs == (x,) and y is not program.outputs[0]
    assert y.origin is program.outputs[0].origin and y.spec == program.outputs[0].spec and y.tracked
    assert verify([y]) == 4


def test_a_scan_in_a_graph() -> None:
    """The parts a compiler reads."""

    def f(x: Any, w: Any) -> Any:
        return gg.scan(lambda c, r: (c * w + r, reduction.sum(c)), np.zeros(2), x, reverse=True)

    program = gg.trace(f, np.ones((4, 2)), np.ones(2))
    assert verify(program.outputs)
    (node,) = (n for n in program.nodes if n.op is Scan)
    body, counts, length, reverse = (node.params[k] for k in ("body", "counts", "length", "reverse"))
    assert counts == (1, 1, 1) and length == 4 and reverse is True
    assert [x.shape for x in body.inputs] == [(2,), (2,), (2,)]
    assert [x.shape for x in node.inputs] == [(2,), (4, 2), (2,)]
    assert [y.shape for y in body.outputs] == [(2,), (), (2,)] and body.outputs[2] is body.inputs[0]
    assert verify(body.outputs) and hash(body) and body != Body(body.inputs, body.outputs)
    assert [step.evaluate for step in body.steps] == [n.op.eval for n in body.nodes if n.inputs]


def test_inputs_that_do_not_fit_the_body_are_refused() -> None:
    body, _ = traced(lambda c, r: ([c[0] + r[0]], []), [np.ones(2)], [np.ones(2)])
    params = {"body": body, "counts": Counts(1, 1, 0), "length": 3, "reverse": False}
    assert Scan.infer(Spec((2,), FLOAT), Spec((3, 2), FLOAT), **params) == (Spec((2,), FLOAT),)
    with pytest.raises(errors.ShapeError, match="input 1 does not fit the body"):
        Scan.infer(Spec((2,), FLOAT), Spec((4, 2), FLOAT), **params)
    with pytest.raises(errors.ShapeError, match="input 0"):
        gg.trace(lambda c, x: apply(Scan, (c, x), params), np.ones(3), np.ones((3, 2)))
