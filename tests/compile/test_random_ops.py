"""Single ops with random arguments of every legal form, on whole numbers: results are exact, so they must be equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import nn
from glassgrad.array import as_array
from tests.oracles.examples import examples

Draw = Callable[[st.SearchStrategy[Any]], Any]

SIZES = st.sampled_from([1, 2, 3, 4, 5, 7])
LONG = st.sampled_from([1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 65, 100])
DTYPES = st.sampled_from(["float64", "float32", "int64", "int32", "int8", "uint8", "complex128", "float16", "bool"])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def whole(shape: tuple[int, ...], dtype: Any = "float64", seed: int = 0) -> np.ndarray[Any, Any]:
    """Small whole numbers, some negative where there are any."""
    numbers = np.random.default_rng(seed).integers(0 if np.dtype(dtype).kind in "ub" else -4, 5, shape)
    return numbers.astype(dtype)


def value(x: Any) -> Any:
    return np.asarray(getattr(x, "value", x))


def equal(function: Callable[..., Any], *args: Any) -> Any:
    """Compiled and eager results of the same dtype, shape and elements."""
    want, got = gg.tree.leaves(function(*args)), gg.tree.leaves(gg.jit(function)(*args))
    for a, b in zip(map(value, got), map(value, want), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        np.testing.assert_array_equal(a, b)


# Indices


@st.composite
def shapes(draw: Draw, least: int = 0, most: int = 4, empty: bool = True) -> tuple[int, ...]:
    shape = [draw(SIZES) for _ in range(draw(st.integers(least, most)))]
    if empty and shape and draw(st.integers(0, 15)) == 0:
        shape[draw(st.integers(0, len(shape) - 1))] = 0
    return tuple(shape)


@st.composite
def slices(draw: Draw, n: int) -> slice:
    bound = st.none() | st.integers(-n - 1, n + 1)
    return slice(draw(bound), draw(bound), draw(st.sampled_from([None, 1, -1, 2, -2, 3])))


@st.composite
def indexed(draw: Draw) -> tuple[tuple[int, ...], list[Any]]:
    """A shape and a key for it: numbers, slices, new axes, an ellipsis, integer arrays that broadcast together."""
    shape = draw(shapes(least=1))
    common = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1), (0,)]))
    keys: list[Any] = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        way = draw(st.integers(0, 5))
        if way == 0 and n:
            keys.append(draw(st.integers(-n, n - 1)))
        elif way in (1, 2) and n:
            own = common[draw(st.integers(0, len(common))) :]
            own = tuple([1 if m == 3 and draw(st.booleans()) else m for m in own])
            numbers = draw(st.lists(st.integers(-n, n - 1), min_size=int(np.prod(own)), max_size=int(np.prod(own))))
            keys.append(np.array(numbers, draw(st.sampled_from([np.int64, np.int32, np.int8]))).reshape(own))
        else:
            keys.append(draw(slices(n)))
        if draw(st.integers(0, 7)) == 0:
            keys.append(None)
    if draw(st.booleans()):
        keys.append(Ellipsis)
        if draw(st.integers(0, 3)) == 0:
            keys.append(None)
    return shape, keys


def with_arrays(keys: list[Any], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """The key with its arrays replaced, so that they can be arguments."""
    supply = iter(arrays)
    return tuple([next(supply) if isinstance(k, np.ndarray) else k for k in keys])


def arrays_in(keys: list[Any]) -> tuple[Any, ...]:
    return tuple([k for k in keys if isinstance(k, np.ndarray)])


@given(indexed(), DTYPES, st.booleans())
@examples(50)
def test_reading_at_any_index(given_index: Any, dtype: str, constant: bool) -> None:
    shape, keys = given_index
    x, arrays = whole(shape, dtype), () if constant else arrays_in(keys)
    got = gg.jit(lambda x, *arrays: x[tuple(keys) if constant else with_arrays(keys, arrays)])(x, *arrays)
    want = np.asarray(x[tuple(keys)])
    assert value(got).dtype == want.dtype and value(got).shape == want.shape
    np.testing.assert_array_equal(value(got), want)


@given(indexed(), st.sampled_from(["float64", "float32", "int32"]), st.booleans(), st.sampled_from(["add", "set"]))
@examples(50)
def test_writing_at_any_index(given_index: Any, dtype: str, constant: bool, way: str) -> None:
    """Places that are named twice are added to twice, and hold what was written last."""
    shape, keys = given_index
    key, x = tuple(keys), whole(shape, dtype)
    new = whole(np.shape(x[key]), dtype, seed=1)
    want = x.copy()
    if way == "add":
        np.add.at(want, key, new)
    else:
        want[key] = new
    arrays = () if constant else arrays_in(keys)

    def function(x: Any, new: Any, *arrays: Any) -> Any:
        place = as_array(x).at[key if constant else with_arrays(keys, arrays)]
        return place.add(new) if way == "add" else place.set(new)

    np.testing.assert_array_equal(value(gg.jit(function)(x, new, *arrays)), want)


@given(indexed(), st.booleans())
@examples(50)
def test_the_gradient_of_reading_at_any_index(given_index: Any, constant: bool) -> None:
    shape, keys = given_index
    x, arrays = whole(shape), () if constant else arrays_in(keys)
    weights = whole(np.shape(x[tuple(keys)]), seed=2)
    want = np.zeros(shape)
    np.add.at(want, tuple(keys), weights)

    def loss(x: Any, *arrays: Any) -> Any:
        return (x[tuple(keys) if constant else with_arrays(keys, arrays)] * weights).sum() + (x * 0).sum()

    np.testing.assert_array_equal(value(gg.jit(gg.grad(loss))(x, *arrays)), want)


# Products


@st.composite
def subscripts(draw: Draw) -> tuple[str, list[tuple[int, ...]]]:
    letters = "abcdefg"[: draw(st.integers(1, 5))]
    sizes = {c: draw(SIZES) for c in letters}
    terms = []
    for _ in range(draw(st.integers(1, 3))):
        term = [draw(st.sampled_from(letters)) for _ in range(draw(st.integers(0, 3)))]
        terms.append("".join(term))
    used = sorted(set("".join(terms)))
    kept = [c for c in draw(st.permutations(used)) if draw(st.booleans())]
    stretched = [
        tuple(1 if draw(st.integers(0, 9)) == 0 and term.count(c) == 1 else sizes[c] for c in term) for term in terms
    ]
    shapes = [s if len(terms) > 1 else tuple(sizes[c] for c in t) for s, t in zip(stretched, terms, strict=True)]
    return ",".join(terms) + "->" + "".join(kept), shapes


@given(subscripts(), st.sampled_from(["float64", "float32", "int64", "complex128", "int8"]))
@examples(50)
def test_any_einsum(spelled: Any, dtype: str) -> None:
    text, sizes = spelled
    operands = [whole(s, dtype, seed=k) for k, s in enumerate(sizes)]
    try:
        want = np.asarray(np.einsum(text, *operands))
    except ValueError:  # a letter that is 1 in every term but one
        return
    got = value(gg.jit(lambda *xs: gnp.einsum(text, *xs))(*operands))
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)
    if dtype == "float64":
        equal(gg.grad(lambda *xs: (gnp.einsum(text, *xs) * 2).sum(), argnums=tuple(range(len(operands)))), *operands)


@given(LONG, LONG, LONG, st.sampled_from(["float64", "float32"]), st.integers(0, 7), st.data())
@examples(80)
def test_matrix_products_of_any_size(m: int, k: int, n: int, dtype: str, form: int, data: Any) -> None:
    """Turned, sliced, stacked and reversed factors; bias and relu after it."""
    batch = data.draw(st.sampled_from([(), (), (2,), (3, 1)]))
    a = whole((*batch, k, m) if form & 1 else (*batch, m, k), dtype)
    b = whole((n, k) if form & 2 else (k, n), dtype, seed=1)
    bias = whole((n,), dtype, seed=2)

    def function(a: Any, b: Any, bias: Any) -> Any:
        left = gnp.swapaxes(a, -1, -2) if form & 1 else a
        right = b.T if form & 2 else b
        plain = (left[..., ::-1] if form & 4 else left) @ right
        return plain, gnp.maximum(plain + bias, 0), plain.sum(axis=-1)

    equal(function, a, b, bias)


@given(shapes(least=1, most=3), shapes(least=1, most=3))
@examples(50)
def test_matrix_products_of_any_rank(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    inner = first[-1]
    second = (inner,) if len(second) == 1 else (*second[:-2], inner, second[-1])
    a, b = whole(first), whole(second, seed=1)
    try:
        a @ b
    except ValueError:
        return
    equal(lambda a, b: a @ b, a, b)


@given(st.data())
@examples(50)
def test_convolutions_of_any_geometry(data: Any) -> None:
    draw = data.draw
    d = draw(st.integers(1, 2))
    groups, inside, outside = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    size = [draw(st.integers(3, 9)) for _ in range(d)]
    window = [draw(st.integers(1, 3)) for _ in range(d)]
    params = {
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 2)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
    }
    x = whole((draw(st.integers(1, 3)), groups * inside, *size))
    w = whole((groups * outside, inside, *window), seed=1)
    try:
        nn.conv(x, w, **params)
    except ValueError:  # a window larger than what it goes over
        return
    equal(lambda x, w: nn.conv(x, w, **params), x, w)
    equal(gg.grad(lambda x, w: (nn.conv(x, w, **params) * 2).sum(), argnums=(0, 1)), x, w)


# Folds and views


@given(shapes(), DTYPES, st.data())
@examples(80)
def test_reductions_over_any_axes(shape: tuple[int, ...], dtype: str, data: Any) -> None:
    axes = tuple(k for k in range(len(shape)) if data.draw(st.booleans()))
    keep = data.draw(st.booleans())
    x = whole(shape, dtype)
    names = ["sum", "prod", "any", "all", "count_nonzero"]
    if 0 not in shape and dtype != "complex128":
        names += ["max", "min"]
    equal(lambda x: [getattr(gnp, name)(x, axis=axes, keepdims=keep) for name in names], x)
    if shape and 0 not in shape:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        more: list[Any] = [lambda x: gnp.cumsum(x, axis=axis), lambda x: gnp.cumprod(x, axis=axis)]
        if dtype != "complex128":
            more += [lambda x: gnp.argmax(x, axis=axis), lambda x: gnp.argmin(x, axis=axis)]
            more += [lambda x: gnp.sort(x, axis=axis), lambda x: gnp.argsort(x, axis=axis, stable=True)]
        equal(lambda x: [f(x) for f in more], x)


@given(st.sampled_from([4095, 4096, 4097, 8192, 10_007, 65_536, 100_003]), st.sampled_from([(), (1,), (2,), (3,)]))
@examples(20)
def test_long_reductions(n: int, rest: tuple[int, ...]) -> None:
    """In parts and blocks, with a remainder."""
    x = whole((n, *rest))
    equal(lambda x: [x.sum(), x.sum(0), x.max(), (x * 2).min(0), (x > 3).sum(), (x * x + 1).sum(), x + 1], x)
    equal(lambda x: [x.sum(-1), x.T.sum(0), gnp.argmax(x, axis=0), x.reshape(-1)[::-1].sum()], x)
    equal(gg.grad(lambda x: ((x * 2) ** 2).sum()), x)


@given(shapes(least=1, most=3), DTYPES, st.lists(st.integers(0, 9), min_size=2, max_size=7), st.data())
@examples(80)
def test_views_of_views(shape: tuple[int, ...], dtype: str, chain: list[int], data: Any) -> None:
    draw = data.draw
    steps: list[Callable[[Any], Any]] = []
    shadow = whole(shape, dtype)
    for number in chain:
        axis = draw(st.integers(0, max(shadow.ndim - 1, 0)))
        step = _view(number, shadow, axis, draw)
        changed = np.asarray(value(step(shadow)))
        if changed.size <= 3000 and changed.ndim <= 6:
            steps.append(step)
            shadow = changed

    def function(x: Any) -> Any:
        for step in steps:
            x = step(x)
        return x + x, x

    equal(function, whole(shape, dtype))


def _view(number: int, x: Any, axis: int, draw: Draw) -> Callable[[Any], Any]:
    """A view of an array like x, or a rearrangement of it."""
    order = tuple(draw(st.permutations(range(x.ndim)))) if x.ndim else ()
    key = (*[slice(None)] * axis, draw(slices(x.shape[axis]))) if x.ndim else ()
    divisors = [n for n in range(1, x.size + 1) if x.size % n == 0] or [0]
    first = draw(st.sampled_from(divisors))
    width = [(draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in x.shape]
    options: list[Callable[[Any], Any]] = [
        lambda x: gnp.transpose(x, order),
        lambda x: x[key],
        lambda x: gnp.reshape(x, (first, -1) if first else (0, 2)),
        lambda x: gnp.flip(x),
        lambda x: gnp.pad(x, width) if width else x,
        lambda x: gnp.concatenate([x, x[::-1]], axis=axis) if x.ndim else x,
        lambda x: gnp.broadcast_to(x, (2, *x.shape)),
        lambda x: gnp.expand_dims(x, axis),
        lambda x: gnp.squeeze(x),
        lambda x: gnp.roll(x, 2, axis) if x.ndim else x,
    ]
    return options[number]
