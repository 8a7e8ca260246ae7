"""The ops Switch and While: what they compute, and what they say of themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassgrad as gg
from glassgrad import errors
from glassgrad.array import as_array
from glassgrad.graph.apply import apply
from glassgrad.graph.node import Node, Spec
from glassgrad.graph.verify import verify
from glassgrad.ops import elementwise as ew
from glassgrad.ops.branch import Switch
from glassgrad.ops.loop import Body, While, closed, opened, placeholder, replayed

X = np.random.default_rng(0).normal(size=3)
ONE = np.int64(0)


def bodies(function: Any, *values: Any, branch: bool = False) -> tuple[Body, list[Node]]:
    with opened(branch) as trace:
        inputs = [placeholder(np.asarray(x), trace, np.asarray(x).dtype.kind == "f") for x in values]
        outputs = [as_array(y) for y in function(*inputs)]
    return closed(trace, inputs, outputs, 0, inputs)


def test_switch_runs_one_branch() -> None:
    whole, outer = bodies(lambda x: [ew.sin(x), x * 2.0, x.sum()], X)
    branches = tuple(Body(whole.inputs, whole.outputs[k : k + 1]) for k in range(2))
    assert not outer
    for k, expected in enumerate((np.sin(X), X * 2.0)):
        (value,) = Switch.eval(np.int64(k), X, branches=branches)
        np.testing.assert_array_equal(value, expected)
        (y,) = apply(Switch, (np.int64(k), gg.variable(X)), {"branches": branches})
        assert y.tracked and verify([y])
        np.testing.assert_array_equal(y.value, expected)
    assert Switch.infer(Spec((), np.dtype(np.int64)), Spec((3,), X.dtype), branches=branches) == (Spec((3,), X.dtype),)
    with pytest.raises(errors.ShapeError, match="switch: input 1 does not fit"):
        Switch.infer(Spec((), np.dtype(np.int64)), Spec((4,), X.dtype), branches=branches)
    with pytest.raises(errors.ShapeError, match="switch: input 0 does not fit"):
        Switch.infer(Spec((), np.dtype(np.int32)), Spec((3,), X.dtype), branches=branches)


def test_what_switch_gives_is_no_view_of_what_it_got() -> None:
    whole, _ = bodies(lambda x: [x], X)
    (value,) = Switch.eval(ONE, X, branches=(whole,))
    assert not np.shares_memory(value, X)


def test_while_goes_on_as_long_as_the_test_holds() -> None:
    whole, outer = bodies(lambda x, n: [x * 0.5, n + 1, (x * x).sum() > 0.1], X, ONE)
    test, step = Body(whole.inputs, whole.outputs[2:]), Body(whole.inputs, whole.outputs[:2])
    x, n = While.eval(X, ONE, *outer, test=test, step=step, carry=2, checkpoints=1)
    rounds = next(k for k in range(99) if ((X * 0.5**k) ** 2).sum() <= 0.1)
    assert n == rounds
    np.testing.assert_array_equal(x, X * 0.5**rounds)
    none, n = While.eval(X * 0.0, ONE, *outer, test=test, step=step, carry=2, checkpoints=1)
    assert n == 0 and none.tolist() == [0.0] * 3
    with pytest.raises(errors.ShapeError, match="while: input 0 does not fit"):
        While.infer(Spec((2,), X.dtype), Spec((), np.dtype(np.int64)), test=test, step=step, carry=2, checkpoints=1)


def test_only_a_branch_holds_what_was_made_of_values_around_it() -> None:
    found = []

    def f(x: Any) -> Any:
        for branch in (False, True, True):
            body, outer = bodies(lambda v: [v + ew.exp(ew.sin(x))], X, branch=branch)
            assert len(outer) == 1 and (outer[0] is x) == branch
            found.append([n.op for n in body.nodes if n.inputs])
        return x

    gg.trace(f, X)
    assert found == [[ew.Add], [ew.Sin, ew.Exp, ew.Add], [ew.Sin, ew.Exp, ew.Add]]


def test_a_body_again_on_other_values() -> None:
    body, _ = bodies(lambda x, k: [ew.sin(x) * k, *gg.numpy.linalg.slogdet(gg.numpy.outer(x, x) + 3.0)], X, 2.0)
    values = replayed(body, [X + 1.0, 3.0])
    np.testing.assert_allclose(values[0], np.sin(X + 1.0) * 3.0)
    np.testing.assert_allclose(values[2], np.linalg.slogdet(np.outer(X + 1.0, X + 1.0) + 3.0)[1])
    program = gg.trace(lambda x: replayed(body, [x, 3.0]), X)
    assert verify(program.outputs)
    np.testing.assert_allclose(program(X + 1.0)[0], values[0])


def test_the_branches_are_shown() -> None:
    text = gg.trace(lambda x: gg.cond(x[0] > 0, gg.numpy.sin, gg.numpy.cos, x), X).show()
    assert "cos(%0)" in text and "sin(%0)" in text and "object at" not in text, text
