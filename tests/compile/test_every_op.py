"""Every op through ``jit``, beside its own ``eval``; its derivatives compiled, beside the same ones eager."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.ops
from glassgrad import dtypes
from glassgrad.graph.apply import apply
from glassgrad.graph.primitive import Elementwise
from tests.oracles import halves
from tests.oracles.cases import arity, cases, every_op
from tests.oracles.halves import bfloat16

for module in pkgutil.iter_modules(glassgrad.ops.__path__):
    importlib.import_module(f"glassgrad.ops.{module.name}")

OPS = every_op()
DIFFERENTIABLE = [op for op in OPS if op.differentiable]
POINTWISE = [op for op in OPS if issubclass(op, Elementwise) and op.samples.cases is None]
NAMES = {"ids": lambda op: op.name}
INTEGERS = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def listed(result: Any) -> list[np.ndarray[Any, Any]]:
    leaves = result if isinstance(result, (tuple, list)) else [result]
    return [np.asarray(getattr(x, "value", x)) for x in leaves]


def unit(dtype: np.dtype[Any]) -> float:
    return float(dtypes.finfo(dtype).eps) if dtypes.is_inexact(dtype) else 0.0


def agree(got: Any, want: Any, ulps: float, whole: float = 0.0, what: object = "") -> None:
    """Equal dtypes, shapes, NaNs and infinities; finite values within ``ulps`` units in the last place of each, and
    ``whole`` units of the largest one where sums may cancel."""
    for a, b in zip(listed(got), listed(want), strict=True):
        assert a.dtype == b.dtype, (what, "dtype", a.dtype, b.dtype)
        assert a.shape == b.shape, (what, "shape", a.shape, b.shape)
        if not dtypes.is_inexact(a.dtype):
            np.testing.assert_array_equal(a, b, err_msg=str(what))
            continue
        tiny, eps = 2.0 * float(dtypes.finfo(a.dtype).smallest_subnormal), unit(a.dtype)
        a, b = (x.astype(np.float32) if x.dtype == bfloat16 else x for x in (a, b))
        largest = float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0))
        np.testing.assert_allclose(a, b, rtol=ulps * eps, atol=whole * eps * largest + tiny, err_msg=str(what))


def compiled(op: Any, params: dict[str, Any]) -> Callable[..., Any]:
    return gg.jit(lambda *xs: apply(op, xs, params))


def usable(op: Any, inputs: Sequence[Any]) -> bool:
    """A mask that is an argument would select an unknown number of elements; test_jit.py sees it refused."""
    return not (op.name in ("gather", "scatter", "update") and any(np.asarray(x).dtype.kind == "b" for x in inputs[1:]))


def tolerances(op: Any) -> tuple[float, float]:
    """Units in the last place of each element, and of the largest."""
    return (8.0, 0.0) if issubclass(op, Elementwise) else (16.0, 16.0)


@pytest.mark.parametrize("op", OPS, **NAMES)
def test_values_are_those_of_numpy(op: Any) -> None:
    for number, (inputs, params) in enumerate(cases(op)):
        if usable(op, inputs):
            agree(compiled(op, params)(*inputs), op.eval(*inputs, **params), *tolerances(op), what=(number, params))


NARROW = {
    np.float32: {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64},
    np.float16: {np.dtype(np.float64): np.float16},
    bfloat16: {np.dtype(np.float64): bfloat16},
}


@pytest.mark.parametrize("op", OPS, **NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, bfloat16])
def test_values_of_narrow_floats_are_those_of_numpy(op: Any, dtype: Any) -> None:
    """Where NumPy takes them: its factorisations and transforms have no half precision."""
    for number, (inputs, params) in enumerate(cases(op)):
        narrow = [
            x.astype(NARROW[dtype].get(x.dtype, x.dtype)) if isinstance(x, (np.ndarray, np.generic)) else x
            for x in inputs
        ]
        if not usable(op, inputs) or all(a is b or a.dtype == b.dtype for a, b in zip(narrow, inputs, strict=True)):
            continue
        try:
            want = halves.computed(op, narrow, params)
        except TypeError:
            continue
        ulps, whole = tolerances(op)  # compiled code rounds to half precision at the end, NumPy after every step
        whole = max(whole, 4.0) if dtype == np.float16 else whole
        if listed(want)[0].dtype == bfloat16:  # both round once
            ulps, whole = 1.0, min(whole, 1.0)
        agree(compiled(op, params)(*narrow), want, ulps, whole, what=(number, params))


@pytest.mark.parametrize("op", POINTWISE, **NAMES)
def test_special_values_are_those_of_numpy(op: Any) -> None:
    """Every combination of special arguments, NaN, infinities and zeros of both signs among them, in four precisions
    by one program."""
    chosen = [*sorted({*op.samples.special, 0.5, 2.0, -3.5}, key=repr), -0.0]
    table = np.array(list(itertools.product(chosen, repeat=arity(op)))).T
    arguments = [table.astype(d) for d in (np.float64, np.float32, np.float16, bfloat16)]
    try:
        want = [halves.computed(op, list(t), {}) for t in arguments]
    except TypeError:  # an op on integers
        return
    got = gg.jit(lambda ts: [apply(op, tuple(t)) for t in ts])([list(t) for t in arguments])
    agree(got, want, 8.0)
    for a, b in zip(listed(got), listed(want), strict=True):
        if a.dtype.kind == "f" and a.dtype != np.float16:
            np.testing.assert_array_equal(np.signbit(a[b == 0]), np.signbit(b[b == 0]), "the sign of zero")


@pytest.mark.parametrize("op", POINTWISE, **NAMES)
def test_integers_are_those_of_numpy(op: Any) -> None:
    """Every combination of small and extreme integers of every width, and booleans."""
    arguments = []
    for dtype in INTEGERS:
        extreme = [0, 1] if dtype == np.bool_ else [np.iinfo(dtype).min, np.iinfo(dtype).max, 0, 1, 2, 3, 7]
        signed = [-1, -2, -3] if np.issubdtype(dtype, np.signedinteger) else []
        table = np.array(list(itertools.product([*extreme, *signed], repeat=arity(op))), dtype).T
        try:
            op.eval(*table)
        except (TypeError, ValueError):
            continue
        arguments.append(list(table))
    if arguments:
        want = [op.eval(*t) for t in arguments]
        agree(gg.jit(lambda ts: [apply(op, tuple(t)) for t in ts])(arguments), want, 8.0)


# Derivatives


def as_function(op: Any, inputs: Sequence[Any], params: dict[str, Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The op as a function of its floating arrays, and those."""
    places = [
        k for k, x in enumerate(inputs) if dtypes.is_inexact(dtypes.dtype_of(x)) and not isinstance(x, (float, complex))
    ]

    def function(*varied: Any) -> Any:
        filled = list(inputs)
        for k, v in zip(places, varied, strict=True):
            filled[k] = v
        return apply(op, tuple(filled), params)

    return function, tuple(inputs[k] for k in places)


def direction(rng: np.random.Generator, like: Any) -> Any:
    dtype = dtypes.dtype_of(like)
    if dtype.kind not in "fc":
        return np.zeros(np.shape(like), dtype)
    real = rng.normal(size=np.shape(like))
    both = real + 1j * rng.normal(size=np.shape(like)) if dtype.kind == "c" else real
    return np.asarray(both).astype(dtype)


def reverse(function: Callable[..., Any], weights: Any) -> Callable[..., Any]:
    return lambda *xs: gg.vjp(function, *xs)[1](weights)


def forward(function: Callable[..., Any], directions: Any) -> Callable[..., Any]:
    return lambda *xs: gg.jvp(function, xs, directions)[1]


def seeds(function: Callable[..., Any], varied: tuple[Any, ...], op: Any, inputs: Any, params: Any) -> Any:
    rng = np.random.default_rng(3)
    value = op.eval(*inputs, **params)
    weights = tuple(direction(rng, y) for y in value) if isinstance(value, tuple) else direction(rng, value)
    return weights, tuple(direction(rng, v) for v in varied)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
@pytest.mark.parametrize("op", DIFFERENTIABLE, **NAMES)
def test_derivatives_are_the_eager_ones(op: Any, mode: str) -> None:
    for number, (inputs, params) in enumerate(cases(op)):
        function, varied = as_function(op, inputs, params)
        if not varied or not usable(op, inputs):
            continue
        weights, directions = seeds(function, varied, op, inputs, params)
        walk = reverse(function, weights) if mode == "reverse" else forward(function, directions)
        agree(gg.jit(walk)(*varied), walk(*varied), 64.0, 64.0, what=(number, params))


@pytest.mark.parametrize("op", DIFFERENTIABLE, **NAMES)
def test_derivatives_of_bfloat16_are_float32s(op: Any) -> None:
    """In the dtype of the argument, and as near as values of 8 bits let them be."""
    for number, (inputs, params) in enumerate(cases(op)):
        narrow = halves.narrowed(inputs)
        single = halves.widened(narrow)
        function, varied = as_function(op, narrow, params)
        if not any(x.dtype == bfloat16 for x in varied) or not usable(op, inputs):
            continue
        same, wide = as_function(op, single, params)
        weights, _ = seeds(same, wide, op, single, params)
        got = gg.jit(lambda *xs: gg.vjp(function, *xs)[1](cotangents(weights, function(*xs))))(*varied)  # noqa: B023
        assert [g.dtype for g in got] == [x.dtype for x in varied]
        want = [np.asarray(w).astype(g.dtype) for w, g in zip(reverse(same, weights)(*wide), got, strict=True)]
        agree(got, want, 8.0, 8.0, what=(number, params))


def cotangents(weights: Any, like: Any) -> Any:
    """Weights in the dtypes of what they are cotangents of."""
    if isinstance(like, tuple):
        return tuple(cotangents(w, y) for w, y in zip(weights, like, strict=True))
    return np.asarray(weights).astype(like.dtype)


@pytest.mark.parametrize("op", [op for op in POINTWISE if op.differentiable], **NAMES)
def test_derivatives_at_special_values_are_the_eager_ones(op: Any) -> None:
    """Kinks, poles and infinities: the same choice, the same NaN."""
    chosen = sorted({*op.samples.special, 0.5, -1.5}, key=repr)
    table = tuple(np.array(list(itertools.product(chosen, repeat=arity(op)))).T)
    walk = reverse(lambda *xs: apply(op, xs), np.ones_like(op.eval(*table)))
    agree(gg.jit(walk)(*table), walk(*table), 64.0)
