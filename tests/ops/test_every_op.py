"""One set of tests that every op passes: value, shape and dtype rules, derivatives, adjointness, tracing."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.ops
from glassgrad import dtypes
from glassgrad.array import as_array
from glassgrad.graph.apply import apply
from glassgrad.graph.node import Node
from glassgrad.graph.primitive import Elementwise
from glassgrad.graph.verify import verify
from tests.oracles import halves
from tests.oracles.cases import arity, cases, every_op

for module in pkgutil.iter_modules(glassgrad.ops.__path__):
    importlib.import_module(f"glassgrad.ops.{module.name}")

# Names that registry entries of later-imported modules also get: collect once, after all are imported.
OPS = every_op()
DIFFERENTIABLE = [op for op in OPS if op.differentiable]
NAMES = {"ids": lambda op: op.name}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        yield


def leaves(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


def floats(inputs: tuple[Any, ...]) -> list[int]:
    return [k for k, x in enumerate(inputs) if dtypes.dtype_of(x).kind in "fc" and not isinstance(x, (float, complex))]


def as_function(op: Any, inputs: tuple[Any, ...], params: dict[str, Any]) -> Any:
    """The op as a function of its floating inputs."""
    places = floats(inputs)

    def function(*varied: Any) -> Any:
        filled = list(inputs)
        for k, v in zip(places, varied, strict=True):
            filled[k] = v
        return apply(op, tuple(filled), params)

    return function, tuple(inputs[k] for k in places)


def test_there_are_enough_ops() -> None:
    assert len(OPS) > 90
    assert all(op.differentiable or op.nondifferentiable for op in OPS)


@pytest.mark.parametrize("op", OPS, **NAMES)
def test_an_array_gives_what_numpy_gives(op: Any) -> None:
    for inputs, params in cases(op):
        plain = op.eval(*inputs, **params)
        for expected, got in zip(leaves(plain), leaves(apply(op, tuple(map(as_array, inputs)), params)), strict=True):
            assert isinstance(got, Node)
            assert got.shape == np.shape(expected) and got.dtype == np.asarray(expected).dtype
            np.testing.assert_array_equal(got.value, expected)


@pytest.mark.parametrize("op", OPS, **NAMES)
def test_a_traced_op_has_the_shape_dtype_and_value_of_an_eager_one(op: Any) -> None:
    for inputs, params in cases(op):
        if any(np.asarray(x).dtype.kind == "b" for x in inputs[1:]) and op.name in ("gather", "scatter", "update"):
            continue  # a mask that is itself traced selects an unknown number of elements
        program = gg.trace(lambda *xs: apply(op, xs, params), *inputs)  # noqa: B023
        assert verify(program.outputs) > 0
        for eager, traced, node in zip(
            leaves(op.eval(*inputs, **params)), leaves(program(*inputs)), program.outputs, strict=True
        ):
            assert node.shape == np.shape(eager), op.name
            assert node.dtype == np.asarray(eager).dtype, op.name
            np.testing.assert_array_equal(traced, eager)


@pytest.mark.parametrize("op", OPS, **NAMES)
def test_bfloat16_is_float32_rounded(op: Any) -> None:
    for inputs, params in cases(op):
        narrow = halves.narrowed(inputs)
        expected = leaves(halves.computed(op, narrow, params))
        for nodes in (tuple(as_array(x) if hasattr(x, "dtype") else x for x in narrow), narrow):
            for e, got in zip(expected, leaves(apply(op, nodes, params)), strict=True):
                assert got.dtype == e.dtype
                np.testing.assert_array_equal(np.asarray(got, e.dtype), e)
        if any(np.asarray(x).dtype.kind == "b" for x in inputs[1:]) and op.name in ("gather", "scatter", "update"):
            continue
        program = gg.trace(lambda *xs: apply(op, xs, params), *narrow)  # noqa: B023
        assert verify(program.outputs) > 0
        assert [(y.shape, y.dtype) for y in program.outputs] == [(np.shape(e), e.dtype) for e in expected]


@pytest.mark.parametrize("op", [op for op in OPS if issubclass(op, Elementwise) and not op.samples.cases], **NAMES)
def test_special_values_are_numpys(op: Any) -> None:
    for value in op.samples.special:
        for dtype in (np.float64, np.float32):
            inputs = tuple(np.array([value, 0.5], dtype) for _ in range(arity(op)))
            got = apply(op, tuple(gg.variable(x) for x in inputs))
            np.testing.assert_array_equal(got.value, op.eval(*inputs))


@pytest.mark.parametrize("op", DIFFERENTIABLE, **NAMES)
def test_derivatives_agree_with_numerical_ones(op: Any) -> None:
    checked = 0
    for inputs, params in cases(op):
        function, varied = as_function(op, inputs, params)
        if sum(np.size(v) for v in varied):
            checked += gg.check_grads(function, varied, op.samples.order).compared
    assert checked


@pytest.mark.parametrize("op", DIFFERENTIABLE, **NAMES)
def test_forward_and_reverse_mode_are_adjoint(op: Any) -> None:
    """⟨w, J v⟩ = ⟨Jᵀ w, v⟩"""
    rng = np.random.default_rng(1)
    for inputs, params in cases(op):
        function, varied = as_function(op, inputs, params)
        directions = tuple(direction(rng, v) for v in varied)
        value, tangent = gg.jvp(function, varied, directions)
        weights = [direction(rng, y) for y in leaves(value)]
        _, pullback = gg.vjp(function, *varied)
        back = pullback(tuple(weights) if isinstance(value, tuple) else weights[0])
        forward = sum(inner(w, t) for w, t in zip(weights, leaves(tangent), strict=True))
        reverse = sum(inner(g, v) for g, v in zip(back, directions, strict=True))
        scale = max(
            1.0, sum(float(np.sum(np.abs(w) * np.abs(t))) for w, t in zip(weights, leaves(tangent), strict=True))
        )
        single = any(np.asarray(v).dtype.itemsize <= 4 * (1 + (np.asarray(v).dtype.kind == "c")) for v in varied)
        assert abs(forward - reverse) <= (1e-4 if single else 1e-9) * scale, op.name


def direction(rng: np.random.Generator, like: Any) -> Any:
    dtype = np.asarray(like).dtype
    if dtype.kind not in "fc":
        return np.zeros(np.shape(like), dtype)
    real = rng.normal(size=np.shape(like))
    return (real + 1j * rng.normal(size=np.shape(like)) if dtype.kind == "c" else real).astype(dtype)


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b))) if np.asarray(a).dtype.kind in "fc" else 0.0


@pytest.mark.parametrize("op", DIFFERENTIABLE, **NAMES)
def test_the_gradient_can_be_traced(op: Any) -> None:
    """The backward pass as a graph gives the numbers of the eager backward pass."""
    rng = np.random.default_rng(2)
    for inputs, params in cases(op)[:4]:
        function, varied = as_function(op, inputs, params)
        value, pullback = gg.vjp(function, *varied)
        weights = tuple(direction(rng, y) for y in leaves(value))
        seed = weights if isinstance(value, tuple) else weights[0]
        eager = pullback(seed)
        program = gg.trace(lambda *xs: gg.vjp(function, *xs)[1](seed), *varied)  # noqa: B023
        verify([node for node in program.outputs])
        for a, b in zip(eager, program(*varied), strict=True):
            np.testing.assert_allclose(np.asarray(b), a, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("op", [op for op in DIFFERENTIABLE if issubclass(op, Elementwise)], **NAMES)
def test_single_precision_stays_single(op: Any) -> None:
    if op.samples.cases is not None:
        return
    limits = cases(op)[6][0]
    _, pullback = gg.vjp(lambda *xs: apply(op, xs), *limits)
    assert all(g.dtype == np.float32 for g in pullback(np.ones(3, np.float32)))
    traced = gg.trace(lambda *xs: gg.vjp(lambda *ys: apply(op, ys), *xs)[1](np.ones(3, np.float32)), *limits)
    wide = [n for n in traced.nodes if n.inputs and n.dtype == np.float64]
    assert not wide, f"{op.name}: float64 inside a float32 gradient: {wide[0].op.name}"
