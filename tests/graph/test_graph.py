"""Nodes, sharing, tracing, origins, and the checks made when an op is defined."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glassgrad as gg
from glassgrad import errors
from glassgrad.graph.apply import apply
from glassgrad.graph.node import constant, make
from glassgrad.graph.primitive import Elementwise, Primitive, registry
from glassgrad.graph.verify import GraphError, verify
from glassgrad.ops import contraction, logic, reduction
from glassgrad.ops import elementwise as ew


def test_equal_work_is_one_node() -> None:
    program = gg.trace(lambda x: ew.sin(x) * 2.0 + ew.sin(x) * 2.0, 1.0)
    assert [n.op.name for n in program.nodes if n.inputs] == ["sin", "mul", "add"]
    assert program.merged == 2


def test_nearly_equal_work_is_not_shared() -> None:
    program = gg.trace(lambda x: (x * 0.0, x * -0.0, x * 1.0, x * 1, x.sum(), x.sum(keepdims=True)), np.ones(2))
    assert len({id(n) for n in program.outputs}) == 6


@given(st.lists(st.sampled_from(["sin", "tanh", "neg", "exp"]), min_size=1, max_size=6), st.integers(1, 4))
def test_repeating_an_expression_adds_no_nodes(names: list[str], times: int) -> None:
    def expression(x: Any) -> Any:
        for name in names:
            x = apply(registry[name], (x,))
        return x

    def repeated(x: Any) -> Any:
        return [expression(x) for _ in range(times)]

    assert len(gg.trace(repeated, 0.1).nodes) == len(gg.trace(expression, 0.1).nodes)


def test_paths_grow_exponentially_and_edges_linearly() -> None:
    def f(x: Any) -> Any:
        for _ in range(20):
            x = x * x
        return x

    program = gg.trace(f, 1.0)
    assert program.edges == 40
    paths = {program.inputs[0]: 1}
    for node in program.nodes[1:]:
        paths[node] = sum(paths[x] for x in node.inputs)
    assert paths[program.outputs[0]] == 2**20


def test_a_program_runs_on_other_arguments_and_refuses_wrong_ones() -> None:
    program = gg.trace(lambda p: {"y": p["a"] @ p["b"]}, {"a": np.ones((2, 3)), "b": np.ones(3)})
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3)), rng.normal(size=3)
    np.testing.assert_array_equal(program({"a": a, "b": b})["y"], (a @ b[:, None])[:, 0])
    with pytest.raises(errors.ShapeError, match="trace again"):
        program({"a": np.ones((3, 3)), "b": b})
    with pytest.raises(errors.TreeError, match="structure"):
        program({"a": a})


def test_a_traced_value_refuses_to_be_a_number() -> None:
    for use, name in [(bool, r"bool\(\)"), (float, r"float\(\)"), (int, r"int\(\)"), (np.asarray, "asarray")]:
        with pytest.raises(errors.TracedValueError, match=name + r".*test_graph\.py:\d+"):
            gg.trace(lambda x: use(x), 1.0)  # noqa: B023
    with pytest.raises(errors.TracedValueError, match="where"):
        gg.trace(lambda x: x if x > 0 else -x, 1.0)
    with pytest.raises(errors.TracedValueError, match=r"where\(mask"):
        gg.trace(lambda x: x[x > 0], np.ones(3))


def test_two_traces_do_not_mix() -> None:
    kept = []
    gg.trace(lambda x: kept.append(x) or x, 1.0)  # type: ignore[func-returns-value]
    with pytest.raises(errors.UnsupportedError, match="two different traces"):
        gg.trace(lambda y: y + kept[0], 1.0)


def test_origin_is_the_users_line_and_scope() -> None:
    x = gg.variable(2.0)
    with gg.scope("outer"), gg.scope("inner"):
        y = x * 3.0
    line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
    assert y.origin.line == line and y.origin.file == __file__ and y.origin.scope == "outer/inner"
    assert y.origin.text == "y = x * 3.0"


def test_a_gradient_node_knows_the_forward_node_it_comes_from() -> None:
    program = gg.trace(gg.grad(lambda x: ew.tanh(x) * 2.0), 1.0)
    derived = [n for n in program.nodes if n.origin and n.origin.forward is not None]
    assert {n.origin.forward.op.name for n in derived} == {"tanh"}  # type: ignore[union-attr]


def test_show_lists_every_node() -> None:
    text = gg.trace(lambda x: reduction.sum(ew.sin(x)), np.ones(3)).show()
    assert "%1 = sin(%0) : float64[3]" in text
    assert "%2 = sum(%1, axis=(0,), keepdims=False) : float64[]" in text
    assert text.endswith("return %2") and "test_graph.py" in text


def test_verify_finds_broken_graphs() -> None:
    program = gg.trace(lambda x: ew.sin(x) + 1.0, np.ones(2))
    node = program.outputs[0]
    verify([node])
    node.spec = node.spec._replace(shape=(3,))
    with pytest.raises(GraphError, match="expected"):
        verify([node])
    lone = make(ew.Sin, (), {}, np.ones(2))
    with pytest.raises(GraphError, match="leaves"):
        verify([lone])
    with pytest.raises(GraphError, match="unhashable"):
        verify([make(ew.Sin, (constant(1.0),), {"axis": []}, np.ones(()))])
    with pytest.raises(GraphError, match="younger"):
        old = make(ew.Sin, (), {}, 1.0)
        old.inputs = (constant(np.ones(2)),)
        verify([old])


def test_an_op_without_a_rule_cannot_be_defined() -> None:
    with pytest.raises(errors.RuleError, match="no vjp or partials"):

        class Forgotten(Elementwise):
            eval = np.sin

    with pytest.raises(errors.RuleError, match="no eval"):

        class Empty(Elementwise):
            partials = (1,)

    with pytest.raises(errors.RuleError, match="both a rule and nondifferentiable"):

        class Torn(Elementwise):
            eval = np.sin
            partials = (1,)
            nondifferentiable = "it says"

    with pytest.raises(errors.RuleError, match="exists already"):

        class Again(Elementwise):
            name = "sin"
            eval = np.sin
            partials = (1,)

    assert not {"forgotten", "empty", "torn", "again"} & set(registry)


def test_a_rule_that_breaks_its_contract_is_named() -> None:
    class Short(Primitive):
        private = True
        eval = staticmethod(lambda a, b: a + b)
        vjp = staticmethod(lambda g, y, a, b: (g,))

    class Misshapen(Primitive):
        private = True
        eval = staticmethod(lambda a: a * 2.0)
        vjp = (lambda g, y, a: np.ones(7),)

    with pytest.raises(errors.RuleError, match="short.*got 1, expected 2"):
        gg.grad(lambda x: apply(Short, (x, x)))(1.0)
    with pytest.raises(errors.RuleError, match=r"\(7,\), expected \(2,\)"):
        gg.grad(lambda x: apply(Misshapen, (x,)).sum())(np.ones(2))


def test_dtype_and_shape_inference_match_numpy_on_weak_scalars() -> None:
    x = np.ones((2, 3), np.float32)
    for f in (
        lambda x: x * 2.0,
        lambda x: x + 1,
        lambda x: 1j * x,
        lambda x: x ** np.float64(2.0),
        lambda x: logic.where(x > 0, x, 0.0),
        lambda x: contraction.einsum("ij,kj->ik", x, x.astype(np.float64)),
        lambda x: reduction.sum(x > 0),
    ):
        eager, program = f(gg.variable(x)), gg.trace(f, x)
        assert program.outputs[0].dtype == eager.dtype and program.outputs[0].shape == eager.shape
