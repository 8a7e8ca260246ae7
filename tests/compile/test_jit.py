"""``jit`` as people use it: what goes in, what comes out, what it refuses and how it says so."""

from __future__ import annotations

import collections
import dataclasses
import functools
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import glassgrad as gg
import glassgrad.numpy as gnp
from glassgrad import nn, optim
from glassgrad.array import Array, as_array
from glassgrad.compile import Cost, Stages, report
from glassgrad.errors import CompiledDifferenceError, DtypeError, GlassgradError, RetraceWarning, TracedValueError
from glassgrad.graph.apply import apply
from glassgrad.graph.primitive import Opaque
from glassgrad.native.target import PORTABLE


@pytest.fixture(autouse=True)
def no_division_warnings() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def arange(*shape: int, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)


# What goes in


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass(frozen=True)
class Settings:
    rate: Any
    name: str = dataclasses.field(metadata={"static": True})


CONTAINERS = [
    (arange(3), arange(3) + 1),
    [arange(3), arange(3) + 1],
    {"a": arange(3), "b": arange(3) + 1},
    collections.OrderedDict(a=arange(3), b=arange(3) + 1),
    collections.defaultdict(list, {"a": arange(3), "b": arange(3) + 1}),
    Pair(arange(3), arange(3) + 1),
    {"deep": [Pair({"x": arange(2, 2)}, None), ()], 3: (arange(4),)},
    Settings(arange(3), "plain"),
    [arange(3), 2, 2.5, np.float32(1.5), np.int8(3), True],
]


@pytest.mark.parametrize("tree", CONTAINERS, ids=lambda t: type(t).__name__)
def test_containers_come_back_as_they_went_in(tree: Any) -> None:
    double = gg.jit(lambda t: gg.tree.map(lambda x: x * 2, t))
    for _ in range(3):  # the first call compiles, the second is taken apart by Python at most, the third is not
        got = double(tree)
        want = gg.tree.map(lambda x: x * 2, tree)
        assert gg.tree.structure(got) == gg.tree.structure(want)
        for a, b in zip(gg.tree.leaves(got), gg.tree.leaves(want), strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(double.signatures) == 1


def test_a_model_is_an_argument_and_a_result() -> None:
    model = nn.MLP([4, 8, 8, 3], rng=0)
    x, y = arange(5, 4, dtype=np.float32) / 20, np.array([0, 1, 2, 1, 0])

    def step(model: Any, x: Any, y: Any) -> Any:
        loss, slope = gg.value_and_grad(lambda m: nn.cross_entropy(m(x), y))(model)
        return loss, gg.tree.map(lambda p, g: p - 0.1 * g, model, slope)

    compiled = gg.jit(step)
    for _ in range(3):
        (loss, new), (expected, wanted) = compiled(model, x, y), step(model, x, y)
        assert type(new) is type(model)
        np.testing.assert_allclose(loss, expected, 1e-5)
        for a, b in zip(gg.tree.leaves(new), gg.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert len(compiled.signatures) == 1


def test_another_static_field_is_another_program() -> None:
    function = gg.jit(lambda s: s.rate * (2 if s.name == "double" else 3))
    np.testing.assert_array_equal(function(Settings(arange(3), "double")), arange(3) * 2)
    np.testing.assert_array_equal(function(Settings(arange(3), "triple")), arange(3) * 3)
    assert len(function.signatures) == 2


def test_keywords_defaults_and_variadic_arguments() -> None:
    @gg.jit
    def function(a: Any, b: Any = 2.0, *rest: Any, c: Any = 1.0, **more: Any) -> Any:
        return a * b + c + sum(rest) + sum(more.values())

    x = arange(3)
    for _ in range(2):
        np.testing.assert_array_equal(function(x), x * 2 + 1)
        np.testing.assert_array_equal(function(x, x), x * x + 1)
        np.testing.assert_array_equal(function(a=x, b=x), x * x + 1)
        np.testing.assert_array_equal(function(x, c=x), x * 2 + x)
        np.testing.assert_array_equal(function(x, x, x, 3, c=x, d=x), x * x + 3 * x + 3)


def test_keywords_in_another_order_are_the_same_arguments() -> None:
    function = gg.jit(lambda a, b: a - b)
    np.testing.assert_array_equal(function(a=arange(3), b=1.0), arange(3) - 1)
    np.testing.assert_array_equal(function(b=1.0, a=arange(3)), arange(3) - 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[::2],
        lambda x: x[::-1],
        lambda x: x.T,
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(x.dtype.newbyteorder()),
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape),
        lambda x: x[:0],
        lambda x: [[float(v) for v in row] for row in x],
    ],
    ids=["strided", "reversed", "turned", "fortran", "swapped", "broadcast", "misaligned", "empty", "list"],
)
def test_arrays_however_they_lie_in_memory(change: Callable[[Any], Any]) -> None:
    for plain in (arange(4, 6), arange(4, 6, dtype=np.float32), arange(4, 6, dtype=np.int16)):
        function = gg.jit(lambda x: gg.tree.map(lambda v: v * 2 + 1, x))
        x = change(plain)
        function(plain)
        for _ in range(2):
            got, want = function(x), gg.tree.map(lambda v: v * 2 + 1, x)
            for a, b in zip(gg.tree.leaves(got), gg.tree.leaves(want), strict=True):
                assert np.asarray(a).dtype == np.asarray(b).dtype.newbyteorder("=")
                np.testing.assert_array_equal(a, b)


def test_an_argument_that_cannot_be_written_to_is_only_read() -> None:
    x = arange(5)
    x.flags.writeable = False
    np.testing.assert_array_equal(gg.jit(lambda x: x + 1)(x), arange(5) + 1)
    np.testing.assert_array_equal(gg.jit(lambda x: x + 1, donate=0)(x), arange(5) + 1)
    np.testing.assert_array_equal(x, arange(5))


@pytest.mark.parametrize("dtype", "?bhilqBHILQefdFD")
def test_every_dtype(dtype: str) -> None:
    x = (arange(7) % 2).astype(dtype)
    function = gg.jit(lambda x: (x, x + x, x == x, x[::-1], x.sum(), gnp.concatenate([x, x])))
    for got, want in zip(function(x), (x, x + x, x == x, x[::-1], x.sum(), np.concatenate([x, x])), strict=True):
        assert np.asarray(got).dtype == np.asarray(want).dtype
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("number", [True, 3, 2.5, 1 - 2j, np.float32(2.5), np.float64(2.5), np.int8(3), np.bool_(True)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int8, np.int64, np.bool_, np.complex64])
def test_numbers_promote_as_they_do_eagerly(number: Any, dtype: Any) -> None:
    """Python's numbers take the dtype of what they meet, NumPy's keep theirs."""
    x = np.array([0, 1, 1], dtype)
    want = gnp.multiply(x, number)
    got = gg.jit(lambda x, n: x * n)(x, number)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    only, expected = gg.jit(lambda n: n * 2)(number), np.asarray(number * 2)
    assert np.asarray(only).dtype == expected.dtype and only == expected


def test_python_numbers_are_arguments_and_not_parts_of_the_program() -> None:
    function = gg.jit(lambda x, n: x * n)
    for n in (2, 3, -1, 10**6):
        np.testing.assert_array_equal(function(arange(3), n), arange(3) * n)
    for n in (2.5, float("inf"), -0.0):
        np.testing.assert_array_equal(function(arange(3) + 1, n), (arange(3) + 1) * n)
    assert len(function.signatures) == 2


def test_a_python_integer_that_is_too_large() -> None:
    function = gg.jit(lambda x, n: x + n)
    for _ in range(2):
        np.testing.assert_array_equal(function(arange(3), 2**62), arange(3) + 2**62)
        with pytest.raises((OverflowError, GlassgradError)):
            function(arange(3), 2**70)


def test_arrays_in_are_arrays_out() -> None:
    function = gg.jit(lambda x: (x + 1, x.sum()))
    x = arange(3)
    for _ in range(2):
        vector, total = function(gg.numpy.asarray(x))
        assert type(vector) is Array and type(total) is Array and not vector.tracked
        np.testing.assert_array_equal(vector.value, x + 1)
        vector, total = function(x)
        assert type(vector) is np.ndarray and type(total) is np.float64
    mixed = gg.jit(lambda t: t["a"] + t["b"])
    assert type(mixed({"a": x, "b": gg.numpy.asarray(x)})) is Array


def test_strings_and_functions_are_parts_of_the_program() -> None:
    function = gg.jit(lambda x, how, f: f(x) if how == "yes" else x)
    np.testing.assert_array_equal(function(arange(3), "yes", gnp.sqrt), np.sqrt(arange(3)))
    np.testing.assert_array_equal(function(arange(3), "no", gnp.sqrt), arange(3))
    np.testing.assert_array_equal(function(arange(3), "yes", gnp.floor), np.floor(arange(3)))
    np.testing.assert_array_equal(function(arange(3), "yes", gnp.sqrt), np.sqrt(arange(3)))


class Tensor:
    """Another library's array: hashable, because equal means the same object."""

    def __init__(self, values: Any) -> None:
        self.values = np.array(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.values.astype(dtype) if dtype else self.values


def test_arrays_of_other_libraries_are_arguments() -> None:
    function = gg.jit(lambda x: gnp.sum(x) * 2)
    tensor = Tensor([1.0, 2.0])
    assert function(tensor) == 6
    tensor.values[0] = 10
    assert function(tensor) == 24 and function(Tensor([1.0, 1.0])) == 4
    assert len(function.signatures) == 1


@pytest.mark.parametrize("bad", [np.array([object()]), np.array(["text"]), np.array(["2020-01-01"], "M8[D]")])
def test_what_is_no_number_is_refused(bad: Any) -> None:
    with pytest.raises(DtypeError, match="expected bool, int, float or complex"):
        gg.jit(lambda x: x)(bad)


def test_long_doubles_are_refused() -> None:
    if np.dtype(np.longdouble).itemsize > 8:
        with pytest.raises(DtypeError):
            gg.jit(lambda x: x + 1)(np.ones(3, np.longdouble))


# What comes out


def test_results_of_every_kind() -> None:
    constant = arange(2, 3)

    def function(x: Any) -> Any:
        return {"x": x, "same": x, "y": x + 1, "c": constant, "n": 3, "f": 2.5, "none": None, "s": "text", "e": ()}

    compiled = gg.jit(function)
    x = arange(4)
    for _ in range(3):
        got = compiled(x)
        assert list(got) == list(function(x))
        assert got["none"] is None and got["s"] == "text" and got["e"] == ()
        assert got["n"] == 3 and got["f"] == 2.5
        for name in ("x", "same", "y", "c"):
            np.testing.assert_array_equal(got[name], function(x)[name])


@pytest.mark.parametrize("nothing", [None, {}, [], "text", {"a": None, "b": ("x", [])}], ids=repr)
def test_results_without_arrays(nothing: Any) -> None:
    function = gg.jit(lambda x: nothing)
    assert function(1.0) == nothing
    assert function(arange(3)) == nothing


def test_no_arguments() -> None:
    function = gg.jit(lambda: gnp.arange(3) * 2)
    for _ in range(2):
        np.testing.assert_array_equal(function(), [0, 2, 4])


def test_results_share_no_memory() -> None:
    """Neither with arguments, nor constants, nor each other, nor earlier results."""
    constant = arange(3)
    function = gg.jit(lambda x: (x, x, x + 1, x + 1, constant, constant, x.reshape(3, 1), x[::-1][::-1], gnp.ones(3)))
    x = arange(3)
    first = function(x)
    for round_number in range(3):
        results = function(x)
        for a, b in zip(results, first, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=str(round_number))
        every = [x, constant, *results, *first]
        for i, a in enumerate(every):
            assert not any(np.shares_memory(a, b) for b in every[:i])
        for result in results:
            assert result.flags.writeable and result.flags.owndata
            result[:] = -1


def test_results_are_kept_when_the_function_is_called_again() -> None:
    function = gg.jit(lambda x: (x * 2, (x * 2).sum(), gnp.linalg.inv(x * np.eye(3))))
    kept = [function(arange(3) + k) for k in range(1, 6)]
    for k, (double, total, inverse) in enumerate(kept, 1):
        np.testing.assert_array_equal(double, (arange(3) + k) * 2)
        assert total == (arange(3) + k).sum() * 2
        np.testing.assert_allclose(inverse, np.diag(1 / (arange(3) + k)))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 3), (3, 0, 2), (1, 1, 1)])
def test_shapes_of_one_element_and_of_none(shape: tuple[int, ...]) -> None:
    def function(x: Any) -> Any:
        y = x * 2 + 1
        return y, y.sum(), gnp.exp(y).sum(axis=tuple(range(len(shape)))), gnp.broadcast_to(x, (2, *shape)).copy()

    x = np.full(shape, 0.5)
    for got, want in zip(gg.jit(function)(x), function(x), strict=True):
        assert type(got) is (np.ndarray if np.shape(want) else np.float64) and got.shape == np.shape(want)
        np.testing.assert_allclose(got, np.asarray(as_array(want).value))


def test_matrix_products_of_nothing() -> None:
    for m, k, n in [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0), (1, 1, 1)]:
        got = gg.jit(lambda a, b: a @ b + 1)(np.ones((m, k)), np.ones((k, n)))
        np.testing.assert_array_equal(got, np.ones((m, k)) @ np.ones((k, n)) + 1)


# What the function closes over


def test_a_captured_array_is_the_one_there_was_at_compilation() -> None:
    for captured in (arange(5), np.ones(5), arange(10)[::2], np.array([1.0, 5.0, 2.0, 2.0, 0.0]), np.array(3.0)):
        before = captured.copy()
        closed = gg.jit(lambda x: x + captured)  # noqa: B023
        np.testing.assert_array_equal(closed(np.zeros(5)), np.zeros(5) + before)
        captured[...] = 7
        np.testing.assert_array_equal(closed(np.zeros(5)), np.zeros(5) + before)


def test_a_constant_that_is_a_result_is_new_every_time() -> None:
    table = arange(4)
    function = gg.jit(lambda x: (table, x))
    first, _ = function(1.0)
    first[:] = -1
    np.testing.assert_array_equal(function(1.0)[0], arange(4))
    np.testing.assert_array_equal(table, arange(4))


def test_a_derivative_by_a_constant_made_inside_is_compiled() -> None:
    def inner(x: Any, y: Any) -> Any:
        return gg.grad(lambda z: (z**3 * x).sum())(y)

    function = gg.jit(lambda x: inner(x, np.full(3, 2.0)))
    np.testing.assert_array_equal(function(arange(3)), 12 * arange(3))
    twice = gg.jit(lambda x: gg.grad(lambda z: inner(x * z, np.full(3, 2.0)).sum())(np.ones(3)) + x)
    np.testing.assert_array_equal(twice(arange(3)), 13 * arange(3))
    kept: list[Any] = []  # an argument of a derivative, after its end
    leaking = gg.jit(lambda x: gg.grad(lambda z: (kept.append(z), (z * x).sum())[1])(np.full(3, 2.0)) + kept[-1])
    np.testing.assert_array_equal(leaking(arange(3)), arange(3) + 2)
    assert [len(f.signatures) for f in (function, twice, leaking)] == [1, 1, 1]


def test_a_value_that_is_differentiated_outside_is_not() -> None:
    def outer(w: Any) -> Any:
        function = gg.jit(lambda x: (gg.grad(lambda z: (z**3 * x).sum())(np.ones(3)) * w).sum())
        value = function(arange(3))
        assert not function.signatures
        return value

    np.testing.assert_array_equal(gg.grad(outer)(np.ones(3)), 3 * arange(3))
    variable = gg.variable(np.ones(3))
    np.testing.assert_array_equal(outer(variable).backward()[variable], 3 * arange(3))


# Static arguments


def test_static_by_place_and_by_name_however_it_is_given() -> None:
    def power(x: Any, n: int, flag: bool = False) -> Any:
        return -(x**n) if flag else x**n if n > 1 else x

    x = arange(4)
    for static in (1, "n", (1, 2), ("n", "flag"), [1, "flag"], -2):
        function = gg.jit(power, static=static if static != -2 else (-2, 2))
        np.testing.assert_array_equal(function(x, 3), x**3)
        np.testing.assert_array_equal(function(x, n=2), x**2)
        np.testing.assert_array_equal(function(x=x, n=1), x)
        if static not in (1, "n"):
            np.testing.assert_array_equal(function(x, 2, True), -(x**2))
            np.testing.assert_array_equal(function(x, 2, flag=True), -(x**2))


def test_static_values_that_are_equal_but_not_the_same() -> None:
    times = gg.jit(lambda x, n: x * n, static=1)
    x = np.arange(3)
    for n in (2, 2.0, True, 1, 1.0, np.float32(1), 2 + 0j):
        got, want = times(x, n), x * n
        assert got.dtype == want.dtype, n
        np.testing.assert_array_equal(got, want)
    sign = gg.jit(lambda x, n: gnp.copysign(x, n), static=1)
    np.testing.assert_array_equal(sign(arange(3) + 1, 0.0), arange(3) + 1)
    np.testing.assert_array_equal(sign(arange(3) + 1, -0.0), -arange(3) - 1)
    nested = gg.jit(lambda x, n: x * n[0], static=1)
    assert nested(x, (2,)).dtype == x.dtype and nested(x, (2.0,)).dtype == np.float64


def test_an_unhashable_static_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="static argument must be hashable: got list"):
        gg.jit(lambda x, n: x * n[0], static="n")(arange(3), [2])


@pytest.mark.parametrize("what", ["static", "donate"])
@pytest.mark.parametrize("which", ["missing", 7, -3])
def test_an_argument_that_is_not_there_is_named(what: str, which: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(repr(which))):
        gg.jit(lambda x, y: x + y, **{what: which})(1.0, 2.0)


# Donated arguments


def test_a_result_takes_the_place_of_a_donated_argument() -> None:
    step = gg.jit(lambda p, g: (p - 0.5 * g, (g * g).sum()), donate=0)
    p, g = arange(1000), np.ones(1000)
    for k in range(1, 5):
        new, total = step(p, g)
        assert new is p and total == 1000
        np.testing.assert_array_equal(p, arange(1000) - 0.5 * k)


def test_donation_by_name_of_trees_and_arrays() -> None:
    def step(params: Any, g: Any) -> Any:
        return {"w": params["w"] * g, "b": params["b"] + g}

    for donate in (0, "params"):
        for call in (lambda f, p: f(p, 2.0), lambda f, p: f(params=p, g=2.0)):
            params = {"w": arange(4), "b": arange(4)}
            new = call(gg.jit(step, donate=donate), params)
            assert new["w"] is params["w"] and new["b"] is params["b"]
            np.testing.assert_array_equal(new["w"], arange(4) * 2)
            np.testing.assert_array_equal(new["b"], arange(4) + 2)


def test_a_donated_array_of_glassgrads_is_written_over_too() -> None:
    x = gg.numpy.asarray(arange(4).copy())
    memory = x.value
    new = gg.jit(lambda x: x + 1, donate=0)(x)
    assert new.value is memory
    np.testing.assert_array_equal(new.value, arange(4) + 1)


OVERLAPS: list[tuple[Callable[[Any], tuple[Any, Any]], str]] = [
    (lambda b: (b, b), "the same twice"),
    (lambda b: (b[1:], b[:-1]), "shifted"),
    (lambda b: (b[:-1], b[1:]), "shifted the other way"),
    (lambda b: (b[::-1], b), "reversed"),
    (lambda b: (b, b[::-1]), "with its reverse"),
    (lambda b: (b[:50], b[50:]), "beside each other"),
]


@pytest.mark.parametrize("donate", [0, 1, (0, 1)], ids=repr)
@pytest.mark.parametrize("views", [v for v, _ in OVERLAPS], ids=[n for _, n in OVERLAPS])
def test_donated_arguments_that_share_memory(views: Callable[[Any], tuple[Any, Any]], donate: Any) -> None:
    def function(x: Any, y: Any) -> Any:
        return x + y[::-1], x * 2 - gnp.roll(y, 1)

    compiled = gg.jit(function, donate=donate)
    for _ in range(3):
        x, y = views(arange(100))
        want = function(x.copy(), y.copy())
        got = compiled(x, y)
        np.testing.assert_array_equal(got[0], want[0])
        np.testing.assert_array_equal(got[1], want[1])
        assert not np.shares_memory(*got)


def test_donated_arguments_one_of_which_holds_others() -> None:
    memory = arange(100)
    given = memory, memory[10:20], memory[30:40], memory[90:], arange(10)
    want = [2 * a for a in given]
    got = gg.jit(lambda *arrays: [2 * a for a in arrays], donate=range(5))(*given)
    for ours, theirs in zip(got, want, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert got[4] is given[4]
    assert not any(np.shares_memory(ours, memory) for ours in got)


def test_donated_arguments_are_exchanged_and_turned_around() -> None:
    swap = gg.jit(lambda a, b: (b, a), donate=(0, 1))
    rotate = gg.jit(lambda a, b, c: (b + 0, c[::-1], a * 2), donate=(0, 1, 2))
    for n in (3, 100, 10_000):
        a, b, c = arange(n), arange(n) + 0.5, arange(n) * 3
        first, second = swap(a, b)
        np.testing.assert_array_equal(first, arange(n) + 0.5)
        np.testing.assert_array_equal(second, arange(n))
        a, b = arange(n), arange(n) + 0.5
        for got, want in zip(rotate(a, b, c), (arange(n) + 0.5, (arange(n) * 3)[::-1], arange(n) * 2), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[::-1] + 0,
        lambda x: gnp.cumsum(x),
        lambda x: x - x.mean(),
        lambda x: gnp.roll(x, 1) + x,
        lambda x: nn.softmax(x.reshape(10, 10), axis=0).reshape(-1) + x,
        lambda x: (x.reshape(10, 10) @ x.reshape(10, 10)).reshape(-1),
        lambda x: x.reshape(10, 10).T.reshape(-1) * 2,
        lambda x: gnp.sort(x)[::-1] * x,
        lambda x: as_array(x).at[:50].set(x[50:]),
        lambda x: gg.fori_loop(0, 3, lambda i, c: c[::-1] * 0.5 + x, x),
        lambda x: gnp.where(x > 50, x[::-1], x),
        lambda x: x,
        lambda x: gnp.zeros(100),
    ],
)
def test_what_is_still_needed_is_not_overwritten(function: Callable[[Any], Any]) -> None:
    compiled = gg.jit(function, donate=0)
    for _ in range(2):
        x = arange(100)
        want = as_array(function(arange(100))).value
        got = compiled(x)
        np.testing.assert_allclose(got, want, rtol=1e-13)


def halved(*carry: Any, rounds: int = 3) -> Any:
    """Some rounds of a loop over arrays each of which needs itself only."""
    step = lambda s: (s[0] + 1, [c * 0.5 + k for k, c in enumerate(s[1])])
    return gg.while_loop(lambda s: s[0] < rounds, step, (np.int64(0), list(carry)))[1]


LAST: list[Callable[..., Any]] = [  # what follows the loop
    lambda a, b, x, y: (a * 2 + 1, b - 1),
    lambda a, b, x, y: (b + 1, a * 2),
    lambda a, b, x, y: (a[::-1] + 0, b * 2),
    lambda a, b, x, y: (a + x, b + y[::-1]),
    lambda a, b, x, y: (a - a.sum(), b * a.mean()),
    lambda a, b, x, y: (a + 1, b + (a + 1)),
    lambda a, b, x, y: (gnp.cumsum(a), b - b[::-1]),
    lambda a, b, x, y: (x * 2, a + b),
    lambda a, b, x, y: (a, b * 2),
    lambda a, b, x, y: tuple(c * 3 - a for c, a in zip(halved(a + 1, b), (a, b), strict=True)),
    lambda a, b, x, y: tuple(halved(*halved(a * 2, b * 2), rounds=0)),
]


@pytest.mark.parametrize("last", LAST, ids=range(len(LAST)))
@pytest.mark.parametrize("rounds", [0, 3])
def test_a_last_step_behind_a_loop_over_donated_arrays(last: Callable[..., Any], rounds: int) -> None:
    function = lambda x, y: last(*halved(x, y, rounds=rounds), x, y)
    compiled = gg.jit(function, donate=(0, 1))
    for n in (7, 40_000):
        want = [as_array(v).value for v in function(arange(n) / n, np.ones(n))]
        for threads in (1, 3):
            gg.set_threads(threads)
            try:
                got = compiled(arange(n) / n, np.ones(n))
            finally:
                gg.set_threads(None)
            for ours, theirs in zip(got, want, strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_a_loop_and_its_last_step_copy_nothing() -> None:
    function = lambda x, y: tuple(c * 2 + 1 for c in halved(x, y))
    lowered = gg.jit(function, donate=(0, 1)).lower(np.ones(1000), np.ones(1000))
    assert max(int(line.split("[")[1].split("]")[0]) for line in lowered.loops.splitlines() if "arena at" in line) == 1


def test_donation_where_nothing_fits_or_nothing_is_used() -> None:
    x = arange(4)
    assert gg.jit(lambda x: x.sum(), donate=0)(x) == 6
    np.testing.assert_array_equal(gg.jit(lambda x: x.astype(np.float32), donate=0)(x), arange(4))
    np.testing.assert_array_equal(x, arange(4))
    np.testing.assert_array_equal(gg.jit(lambda x, y: y * 2, donate=0)(x, np.ones(4)), [2, 2, 2, 2])
    assert gg.jit(lambda x, n: x * n, donate=1)(arange(4), 3).tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize(
    "change", [lambda x: x[::2], lambda x: x.astype(">f8"), lambda x: x[::-1]], ids=["strided", "swapped", "reversed"]
)
def test_donated_arrays_that_compiled_code_cannot_write_to(change: Callable[[Any], Any]) -> None:
    x = change(arange(20))
    before = np.array(x, dtype=float)
    np.testing.assert_array_equal(gg.jit(lambda x: x * 2 + x[::-1], donate=0)(x), before * 2 + before[::-1])


def test_an_optimiser_step_with_donation_is_the_eager_one() -> None:
    adam = optim.Adam(lr=0.1)
    params = {"w": arange(3, 4) / 10, "b": np.zeros(4)}
    x, y = arange(5, 3) / 10, arange(5, 4) / 10

    def loss(p: Any) -> Any:
        return ((gnp.tanh(x @ p["w"] + p["b"]) - y) ** 2).mean()

    gradient = gg.jit(gg.grad(loss))
    eager, compiled = gg.tree.map(np.copy, params), gg.tree.map(np.copy, params)
    state, own = adam.init(eager), adam.init(compiled)
    for _ in range(5):
        eager, state = adam.step(eager, gg.grad(loss)(eager), state)
        compiled, own = adam.step(compiled, gradient(compiled), own)
    for a, b in zip(gg.tree.leaves(compiled), gg.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


# Derivatives


def objective(w: Any, x: Any) -> Any:
    return (gnp.tanh(x @ w) ** 2).sum()


W, X = arange(3, 2) / 10, arange(4, 3) / 5


def test_gradients_inside_and_around() -> None:
    want = gg.grad(objective)(W, X)
    np.testing.assert_allclose(gg.jit(gg.grad(objective))(W, X), want, rtol=1e-13)
    np.testing.assert_allclose(gg.grad(gg.jit(objective))(W, X), want, rtol=1e-13)
    np.testing.assert_allclose(gg.jit(gg.grad(gg.jit(objective)))(W, X), want, rtol=1e-13)
    np.testing.assert_allclose(gg.grad(lambda w: gg.jit(objective)(w, X))(W), want, rtol=1e-13)
    np.testing.assert_allclose(gg.jit(lambda w: gg.grad(lambda v: objective(v, X))(w))(W), want, rtol=1e-13)


def test_second_derivatives_compiled() -> None:
    def directional(w: Any, v: Any) -> Any:
        return gg.grad(lambda w: (gg.grad(objective)(w, X) * v).sum())(w)

    v = np.cos(W)
    np.testing.assert_allclose(gg.jit(directional)(W, v), directional(W, v), rtol=1e-12)
    pushed = lambda w, v: gg.jvp(lambda w: gg.grad(objective)(w, X), (w,), (v,))[1]
    np.testing.assert_allclose(gg.jit(pushed)(W, v), directional(W, v), rtol=1e-12)


def test_vjp_and_jvp_of_a_compiled_function_and_compiled() -> None:
    function = gg.jit(lambda w: gnp.tanh(X @ w))
    plain = lambda w: gnp.tanh(X @ w)
    y, pull = gg.vjp(function, W)
    expected, wanted = gg.vjp(plain, W)
    np.testing.assert_allclose(y, expected, rtol=1e-13)
    np.testing.assert_allclose(pull(np.ones((4, 2)))[0], wanted(np.ones((4, 2)))[0], rtol=1e-13)
    for f in (function, plain):
        both = gg.jit(lambda w, v, f=f: gg.jvp(f, (w,), (v,)))(W, np.ones_like(W))
        for a, b in zip(both, gg.jvp(plain, (W,), (np.ones_like(W),)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)


def test_a_value_being_differentiated_that_a_compiled_function_closes_over() -> None:
    """A gradient that is silently zero would be the worst of mistakes."""
    c = arange(3)

    def loss(w: Any) -> Any:
        return gg.jit(lambda x: (x * w).sum())(c)

    np.testing.assert_array_equal(gg.grad(loss)(np.ones(3)), c)
    np.testing.assert_array_equal(gg.jit(gg.grad(loss))(np.ones(3)), c)
    np.testing.assert_array_equal(gg.jvp(loss, (np.ones(3),), (np.ones(3),))[1], 3)
    w = gg.variable(np.ones(3))
    np.testing.assert_array_equal(gg.jit(lambda x: (x * w).sum())(c).backward()[w], c)
    through = lambda w: gg.jit(lambda x: gg.scan(lambda s, r: (s + r * w.sum(), r), 0.0, x)[0])(c)
    np.testing.assert_array_equal(gg.grad(through)(np.ones(3)), [3, 3, 3])
    passed = lambda w: gg.jit(lambda x: w)(c).sum()
    np.testing.assert_array_equal(gg.grad(passed)(np.ones(3)), [1, 1, 1])


def test_variables_as_arguments_stay_differentiable() -> None:
    w = gg.variable(np.ones(3))
    total = gg.jit(lambda w, x: (w * x).sum())(w, arange(3))
    np.testing.assert_array_equal(total.backward()[w], arange(3))


def test_compiled_inside_compiled_and_inside_a_trace() -> None:
    inner = gg.jit(lambda x: gnp.exp(x) + 1)
    outer = gg.jit(lambda x: inner(x) * inner(x * 2))
    np.testing.assert_allclose(outer(X), (np.exp(X) + 1) * (np.exp(2 * X) + 1), rtol=1e-14)
    assert len(inner.signatures) == 0
    program = gg.trace(lambda x: inner(x).sum(), X)
    np.testing.assert_allclose(program(X), (np.exp(X) + 1).sum(), rtol=1e-14)


def test_a_compiled_function_calls_itself() -> None:
    @functools.partial(gg.jit, static=1)
    def power(x: Any, n: int) -> Any:
        return x if n == 1 else x * power(x, n - 1)

    np.testing.assert_allclose(power(X, 6), X**6)
    np.testing.assert_allclose(power(X, 3), X**3)


def test_loops_inside() -> None:
    def function(x: Any, w: Any) -> Any:
        last, rows = gg.scan(lambda c, r: (gnp.tanh(c @ w + r), c.sum()), gnp.zeros(3), x)
        return (last * rows[:3]).sum()

    x, w = arange(6, 3) / 9, arange(3, 3) / 7
    np.testing.assert_allclose(gg.jit(function)(x, w), function(x, w), rtol=1e-12)
    for a, b in zip(
        gg.jit(gg.grad(function, argnums=(0, 1)))(x, w), gg.grad(function, argnums=(0, 1))(x, w), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


# Random numbers


def test_random_numbers_are_the_eager_ones() -> None:
    def function(rng: Any, x: Any) -> Any:
        first, second = gg.random.split(rng)
        mask = gg.random.bernoulli(0.5, x.shape, rng=first)
        deep = gg.random.uniform(size=(3, 5), rng=gg.random.fold_in(second, 7))
        return mask * x, deep, gg.random.normal(size=4, rng=second), gg.random.integers(0, 10, 20, rng=first)

    x = arange(4, 5)
    for seed in range(3):
        key = gg.random.key(seed)
        for got, want in zip(gg.jit(function)(key, x), function(key, x), strict=True):
            np.testing.assert_allclose(got.value, want.value, rtol=1e-14)


def test_a_key_is_an_argument_and_decides() -> None:
    draw = gg.jit(lambda key: gg.random.uniform(size=8, rng=key))
    a, b = draw(gg.random.key(1)), draw(gg.random.key(2))
    assert not np.array_equal(a.value, b.value)
    np.testing.assert_array_equal(a.value, gg.random.uniform(size=8, rng=1).value)
    assert len(draw.signatures) == 1


# Ways to write it


class Model:
    def __init__(self, scale: float) -> None:
        self.scale = scale
        self.inside = gg.jit(self.plain)

    def plain(self, x: Any) -> Any:
        return x * self.scale

    @gg.jit
    def call(self, x: Any, n: Any = 1.0) -> Any:
        return x * self.scale * n

    @functools.partial(gg.jit, static="self", donate="x")
    def replaced(self, x: Any) -> Any:
        return x * self.scale


def test_methods() -> None:
    two, three = Model(2.0), Model(3.0)
    for model in (two, three, two):
        np.testing.assert_array_equal(model.call(arange(3)), arange(3) * model.scale)
        np.testing.assert_array_equal(model.call(arange(3), n=2.0), arange(3) * model.scale * 2)
        np.testing.assert_array_equal(model.inside(arange(3)), arange(3) * model.scale)
        x = arange(3)
        assert model.replaced(x) is x
        np.testing.assert_array_equal(x, arange(3) * model.scale)
    assert Model.call.__name__ == "call"


def test_functions_of_every_kind() -> None:
    x = arange(3)
    half = functools.partial(gnp.multiply, 0.5)
    np.testing.assert_array_equal(gg.jit(half)(x), x / 2)
    np.testing.assert_array_equal(gg.jit(functools.partial(lambda a, b: a - b, b=1.0))(x), x - 1)
    np.testing.assert_array_equal(gg.jit(nn.Linear(3, 3, rng=0))(x.astype(np.float32)).shape, (3,))
    np.testing.assert_array_equal(gg.jit(np.negative)(x), -x)
    np.testing.assert_array_equal(gg.jit(lambda x: np.floor(x) + np.sum(x))(x), x + 3)
    assert repr(gg.jit(half)).startswith("jit(")


def test_a_decorated_function_keeps_its_name_and_docstring() -> None:
    @gg.jit(static="n")
    def documented(x: Any, n: int) -> Any:
        """What it does."""
        return x * n

    assert documented.__name__ == "documented" and documented.__doc__ == "What it does."
    assert documented.__wrapped__(2, 3) == 6
    assert "documented" in repr(documented) and "0 compiled" in repr(documented)


class Kind:
    factor = 3.0

    @staticmethod
    @gg.jit
    def free(x: Any) -> Any:
        return x + 1

    @classmethod
    @gg.jit
    def own(cls, x: Any) -> Any:
        return x * cls.factor


def test_static_and_class_methods() -> None:
    assert Kind.free(1.0) == Kind().free(1.0) == 2
    assert Kind.own(2.0) == Kind().own(2.0) == 6


def test_a_library_function_may_call_the_compiled_function_again() -> None:
    """Its working memory is in use by the call around it."""

    class Inner(Opaque):
        private = True
        nondifferentiable = "a test"

        @staticmethod
        def eval(x: Any) -> Any:
            return total(x[:-1]).sum() * np.ones(x.shape) if x.size > 1 else x

    def plain(x: Any) -> Any:
        return Inner.eval(x) * 2 + x

    total: Any = plain
    want = plain(arange(6))
    total = gg.jit(lambda x: apply(Inner, (x,)) * 2 + x)
    for _ in range(3):
        np.testing.assert_array_equal(total(arange(6)), want)


# Programs by signature


def test_signatures_say_what_was_compiled() -> None:
    function = gg.jit(lambda x, n, s: x * n)
    assert function.signatures == []
    function(np.zeros((3, 2), np.float32), 2.0, "a")
    function(np.zeros((3, 2), np.float32), 3.0, "a")
    function(np.zeros(4), np.int8(1), "b")
    assert len(function.signatures) == 2
    first, second = function.signatures
    assert "float32[3, 2]" in first and "Python float" in first and "'a'" in first
    assert "float64[4]" in second and "int8[]" in second and "'b'" in second


def test_shapes_dtypes_and_structures_in_turn() -> None:
    function = gg.jit(lambda x: gg.tree.map(lambda v: v + v, x))
    given = [arange(3), arange(4), arange(3, dtype=np.float32), [arange(3)], {"a": arange(3)}, (arange(3),), 3]
    for _ in range(3):
        for x in given:
            got, want = function(x), gg.tree.map(lambda v: v + v, x)
            assert gg.tree.structure(got) == gg.tree.structure(want)
            for a, b in zip(gg.tree.leaves(got), gg.tree.leaves(want), strict=True):
                assert np.asarray(a).dtype == np.asarray(b).dtype
                np.testing.assert_array_equal(a, b)
    assert len(function.signatures) == len(given)


def test_compiling_again_and_again_is_warned_of_with_the_reason() -> None:
    def lengths(x: Any) -> Any:
        return x.sum()

    function = gg.jit(lengths)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(1, 12):
            function(np.ones(n))
            function(np.ones(n))
    (warning,) = [w for w in caught if issubclass(w.category, RetraceWarning)]
    text = str(warning.message)
    assert "lengths was compiled 8 times" in text
    assert "float64[7] became float64[8]" in text and "Keep shapes" in text
    assert warning.filename == __file__


def test_lists_for_arrays_are_warned_of() -> None:
    function = gg.jit(lambda rows: rows[0][0])
    with pytest.warns(UserWarning, match="<lambda> has 600 arguments that are Python numbers.*np.asarray") as caught:
        function([[1.0] * 20] * 30)
    assert caught[0].filename == __file__
    gg.jit(lambda rows: rows[0][0])([[1.0] * 20] * 5)  # warnings are errors here


def test_the_reason_names_static_arguments_structures_and_dtypes() -> None:
    function = gg.jit(lambda x, n: x * n, static="n")
    with pytest.warns(RetraceWarning, match="'n'|static argument") as caught:
        for n in range(8):
            function(1.0, n)
    assert "6 became 7" in str(caught[0].message)
    function = gg.jit(lambda *xs: xs[0])
    with pytest.warns(RetraceWarning, match="structure of the arguments"):
        for n in range(1, 9):
            function(*[1.0] * n)


def test_few_programs_are_not_warned_of() -> None:
    function = gg.jit(lambda x: x + 1)
    for n in range(1, 8):
        function(np.ones(n))


# What it refuses


def test_a_condition_on_a_traced_value_says_where_and_what_to_do() -> None:
    def branch(x: Any) -> Any:
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(TracedValueError, match=r"bool\(\) .* test_jit.py:\d+.*where\("):
        gg.jit(branch)(arange(3))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: float(x.sum()) * x,
        lambda x: x * int(x[0]),
        lambda x: np.asarray(x) + 1,
        lambda x: range(x[0]),
        lambda x: [v for v in x.tolist()],
    ],
)
def test_taking_a_number_out_is_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(TracedValueError, match="trac"):
        gg.jit(function)(arange(3))


def test_a_mask_that_selects_an_unknown_number_is_refused() -> None:
    with pytest.raises(TracedValueError, match="where"):
        gg.jit(lambda x, m: x[m])(arange(3), np.array([True, False, True]))


def test_shapes_that_do_not_fit_are_the_eager_error() -> None:
    with pytest.raises(ValueError, match=r"\(3,\)|matmul|add"):
        gg.jit(lambda x, y: x + y)(arange(3), arange(4))


def test_nothing_is_left_behind_by_a_function_that_fails() -> None:
    broken = True

    def function(x: Any) -> Any:
        if broken:
            raise KeyError("mine")
        return x + 1

    compiled = gg.jit(function)
    with pytest.raises(KeyError, match="mine"):
        compiled(1.0)
    assert compiled.signatures == []
    broken = False
    assert compiled(1.0) == 2.0


@pytest.mark.parametrize("index", [5, -6, 100, -(2**62), 2**62])
def test_an_index_out_of_range_is_an_error_that_says_so(index: int) -> None:
    functions: list[Callable[[Any, Any], Any]] = [
        lambda x, i: x[i],
        lambda x, i: gnp.take(x, i),
        lambda x, i: as_array(x).at[i].add(1.0),
        lambda x, i: as_array(x).at[i].set(1.0),
        lambda x, i: gnp.take_along_axis(x, i, 0),
        lambda x, i: (x * 2)[i] + 1,
        lambda x, i: gg.grad(lambda x: (x[i] ** 2).sum())(x),
    ]
    for function in functions:
        compiled = gg.jit(function)
        good, bad = np.array([0, -5, 4]), np.array([0, index, 1])
        want = as_array(function(arange(5), good)).value
        np.testing.assert_array_equal(compiled(arange(5), good), want)
        for _ in range(2):
            with pytest.raises(IndexError, match="out of (range|bounds).* size 5"):
                compiled(arange(5), bad)
        np.testing.assert_array_equal(compiled(arange(5), good), want)


def test_an_exception_of_a_library_function_comes_through() -> None:
    function = gg.jit(lambda a: gnp.linalg.cholesky(a) * 2)
    good, bad = np.eye(3), -np.eye(3)
    np.testing.assert_array_equal(function(good), np.eye(3) * 2)
    for _ in range(3):
        with pytest.raises(np.linalg.LinAlgError):
            function(bad)
        np.testing.assert_array_equal(function(good), np.eye(3) * 2)


# Reading the program


def test_stages_are_texts_that_stay_the_same() -> None:
    def function(w: Any, x: Any) -> Any:
        return nn.softmax(gnp.tanh(x @ w)).sum(axis=0)

    stages = gg.jit(function).lower(W, X)
    assert isinstance(stages, Stages)
    assert "matmul" in stages.graph and "tanh" in stages.graph
    assert "kernel" in stages.loops and str(stages) == stages.loops
    assert "define" in stages.llvm() and "@run" in stages.llvm()
    assert "ret" in stages.assembly()
    again = gg.jit(lambda w, x: function(w, x)).lower(W, X)
    assert again.loops == stages.loops and again.llvm() == stages.llvm()
    for target in PORTABLE.values():
        assert stages.llvm(target)


def test_the_cost_counts_what_is_done() -> None:
    function = gg.jit(lambda a, b: a @ b)
    cost = function.cost(np.ones((20, 30)), np.ones((30, 40)))
    assert isinstance(cost, Cost)
    assert cost.flops == 2 * 20 * 30 * 40
    assert cost.kernels == 1 and cost.launches == 1 and cost.callbacks == () and cost.threads >= 1
    assert cost.compile_ms > 0
    assert function.cost() == function.cost(np.ones((20, 30)), np.ones((30, 40)))
    chained = gg.jit(lambda x: gnp.exp(x) * 2 + 1)
    x = np.ones(1000)
    few = chained.cost(x)
    assert few.kernels == 1 and few.arena == 0 and few.bytes == 2 * x.nbytes
    assert len(chained.signatures) == 1
    opaque = gg.jit(lambda a: gnp.linalg.eigh(a)[0])
    opaque(np.eye(3))
    assert opaque.cost().routines or opaque.cost().callbacks  # LAPACK by itself, or through SciPy


def test_the_cost_of_nothing_is_refused() -> None:
    with pytest.raises((TypeError, ValueError)):
        gg.jit(lambda x: x + 1).cost()


# check=True


def test_checking_finds_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    function = gg.jit(lambda x: {"a": [x * 2, x.sum()]}, check=True)
    np.testing.assert_array_equal(function(arange(4))["a"][0], arange(4) * 2)
    compiled = next(iter(function.compiled.values()))
    run = compiled.executable.run

    def wrong(arguments: Any, outputs: Any) -> int:
        code: int = run(arguments, outputs)
        outputs[0][2] += 1e-6
        return code

    monkeypatch.setattr(compiled.executable, "run", wrong)
    with pytest.raises(CompiledDifferenceError, match=r"\['a'\]\[0\]"):
        function(arange(4))


def test_checking_accepts_what_is_right() -> None:
    def function(x: Any, i: Any) -> Any:
        return (
            x * 2,
            "text",
            None,
            x > 1,
            i + 1,
            3,
            gnp.where(x > 1, np.nan, np.inf),
            gnp.exp(x)[:0],
            x.astype(np.float16),
        )

    function = gg.jit(function, check=True)
    for _ in range(2):
        assert function(arange(4), np.arange(3))[1] == "text"
    donated = gg.jit(lambda x: x * 2, donate=0, check=True)
    x = arange(3)
    for _ in range(2):
        donated(x)
    np.testing.assert_array_equal(x, arange(3) * 4)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.zeros(3), np.zeros((1, 3))),
        (np.zeros(3), np.zeros(3, np.float32)),
        (np.array([True, False]), np.array([True, True])),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (np.array([1.0, 1e-3]), np.array([1.0, 1.1e-3])),
        (np.array([np.inf]), np.array([-np.inf])),
    ],
)
def test_what_checking_calls_different(got: Any, want: Any) -> None:
    with pytest.raises(CompiledDifferenceError):
        report.compare(got, want)
    report.compare(want, want)


def test_an_ellipsis_of_no_axes_keeps_index_arrays_apart() -> None:
    x, i = np.arange(24.0).reshape(2, 3, 4), np.array([0, 1, 0, 1, 1])
    want = x[:, i, ..., i]
    assert want.shape == (5, 2)
    for index in (lambda x, i: x[:, i, ..., i], gg.vmap(lambda x, i: x[i, ..., i], (0, None))):
        got = gg.jit(index)(x, i)
        np.testing.assert_array_equal(got, want if got.shape == (5, 2) else want.T)


def test_what_is_no_function_is_refused() -> None:
    for transform in (gg.jit, gg.vmap):
        with pytest.raises(TypeError, match="got int, expected a function"):
            transform(5)  # type: ignore[arg-type, call-overload, operator]


@pytest.mark.parametrize("count", [1.5, "2", True])
def test_a_number_of_threads_is_whole(count: Any) -> None:
    with pytest.raises(TypeError, match="set_threads: got .*, expected a whole number"):
        gg.set_threads(count)


def test_an_argument_named_self() -> None:
    function = gg.jit(lambda self, x: self * x)
    assert function(self=2.0, x=3.0) == 6.0
    assert "mul" in function.lower(self=2.0, x=3.0).graph


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_is_refused() -> None:
    with pytest.raises(gg.errors.DtypeError, match=r"np.asarray\(x\)"):
        gg.jit(lambda x: x * x)(np.asmatrix(np.eye(2)))


def test_checking_allows_the_roundings_of_what_was_computed_with() -> None:
    a = np.linspace(0.0, 9.0, 50)
    gg.jit(lambda a: np.sin(a.astype("f4")).astype("f8"), check=True)(a)
    report.compare(np.array([4e-19]), np.zeros(1), [np.ones(3)])
    with pytest.raises(CompiledDifferenceError, match="by up to"):
        report.compare(np.array([1e-9]), np.zeros(1), [np.ones(3)])


@pytest.mark.parametrize(
    ("function", "way_out"),
    [
        (lambda x, n: x.sum(axis=n), "static argument"),
        (lambda x, n: np.roll(x, n), "static argument"),
        (lambda x, n: np.arange(3.0)[n], r"gnp\.asarray\(array\)\[index\]"),
        (lambda x, n: x[x > 0], "where"),
        (lambda x, n: x[:n], "static argument"),
    ],
)
def test_what_tracing_cannot_know_names_the_line_and_a_way_out(function: Any, way_out: str) -> None:
    with pytest.raises(TracedValueError, match=rf"at test_jit\.py:\d+.*{way_out}"):
        gg.jit(function)(np.ones(4), 2)


def test_a_traced_value_that_escaped_is_refused() -> None:
    kept: list[Any] = []
    assert gg.jit(lambda x: kept.append(x * 2) or x)(1.0) == 1.0  # type: ignore[func-returns-value]
    with pytest.raises(TracedValueError, match=r"used outside of it at test_jit\.py:\d+; return it from the function"):
        kept[0] + 1
