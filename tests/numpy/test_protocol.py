"""NumPy's own functions on Arrays, out=, in-place operators, other libraries, and refusals that name the way out."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad.errors import TracedValueError, UnsupportedError
from glassgrad.numpy import protocol

X = onp.arange(1.0, 7.0).reshape(2, 3)


def array(x: Any = X) -> Any:
    return np.asarray(x)


# Ufunc methods


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "logaddexp"])
@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_reduce(name: str, axis: int | None) -> None:
    ufunc = getattr(onp, name)
    got = ufunc.reduce(gg.variable(X), axis=axis)
    assert isinstance(got, gg.Array)
    assert got.tracked == (not name.startswith("logical"))
    onp.testing.assert_allclose(onp.asarray(got.value), ufunc.reduce(X, axis=axis))


def test_reduce_runs_along_the_first_axis_by_default_and_takes_options() -> None:
    onp.testing.assert_allclose(onp.asarray(onp.add.reduce(array())), X.sum(0))
    got = onp.add.reduce(array(), 1, keepdims=True, initial=10.0, where=X > 2)
    onp.testing.assert_allclose(onp.asarray(got), onp.add.reduce(X, 1, keepdims=True, initial=10.0, where=X > 2))


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
@pytest.mark.parametrize("axis", [0, 1])
def test_accumulate_with_gradient(name: str, axis: int) -> None:
    ufunc, x = getattr(onp, name), onp.array([[1.0, 3.0, 2.0], [4.0, 0.5, 5.0]])
    weights = onp.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
    onp.testing.assert_allclose(onp.asarray(ufunc.accumulate(array(x), axis)), ufunc.accumulate(x, axis))
    gradient = gg.grad(lambda v: (ufunc.accumulate(v, axis=axis) * weights).sum())(x)
    for place in onp.ndindex(x.shape):
        step = onp.zeros_like(x)
        step[place] = 1e-6
        slope = ((ufunc.accumulate(x + step, axis) - ufunc.accumulate(x - step, axis)) * weights).sum() / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", ["add", "multiply", "subtract", "power", "hypot", "less"])
def test_outer(name: str) -> None:
    ufunc = getattr(onp, name)
    got = ufunc.outer(gg.variable(X), gg.variable(X[0]))
    onp.testing.assert_allclose(onp.asarray(got.value), ufunc.outer(X, X[0]))


def test_outer_has_a_gradient() -> None:
    got = gg.grad(lambda v: onp.multiply.outer(v, X[0]).sum())(X)
    onp.testing.assert_allclose(got, onp.full(X.shape, X[0].sum()))


def test_ufunc_methods_without_gradient_run_on_constants_only() -> None:
    onp.testing.assert_allclose(onp.asarray(onp.add.reduceat(array(), [0, 1], axis=1)), onp.add.reduceat(X, [0, 1], 1))
    with pytest.raises(UnsupportedError, match="add.reduceat: has no gradient"):
        onp.add.reduceat(gg.variable(X), [0, 1])
    with pytest.raises(UnsupportedError, match=r"x\.at\[i\]\.add"):
        onp.add.at(X.copy(), [0], gg.variable(X[0]))


def test_scipys_ufuncs() -> None:
    special = pytest.importorskip("scipy.special")
    for name in ("expit", "erf", "erfc", "gammaln", "digamma"):
        function = getattr(special, name)
        v = gg.variable(X)
        value = function(v)
        onp.testing.assert_allclose(value.value, function(X))
        slope = (function(X + 1e-6) - function(X - 1e-6)) / 2e-6
        onp.testing.assert_allclose(value.sum().backward()[v], slope, rtol=1e-6, atol=1e-9)
    onp.testing.assert_allclose(onp.asarray(special.j0(array())), special.j0(X))
    with pytest.raises(UnsupportedError, match="j0: has no gradient"):
        special.j0(gg.variable(X))


# out= and in-place operators


def test_out_is_filled_with_what_needs_no_gradient() -> None:
    out = onp.zeros_like(X)
    assert onp.exp(array(), out=out) is out
    onp.testing.assert_allclose(out, onp.exp(X))
    onp.add(array(), 1.0, out=out, where=X > 3)
    onp.testing.assert_allclose(out, onp.where(X > 3, X + 1, onp.exp(X)))
    total = onp.zeros(3)
    assert onp.sum(array(), axis=0, out=total) is total
    onp.testing.assert_allclose(total, X.sum(0))
    a = X.copy()
    a += array()
    onp.testing.assert_allclose(a, 2 * X)


def test_out_refuses_what_is_being_differentiated() -> None:
    v, out = gg.variable(X), onp.zeros_like(X)
    with pytest.raises(UnsupportedError, match=r"lose its gradient; write a = a \+ x"):
        out += v
    with pytest.raises(UnsupportedError, match="lose its gradient"):
        onp.sum(v, axis=0, out=onp.zeros(3))
    with pytest.raises(UnsupportedError, match="immutable; write y = numpy.exp"):
        onp.exp(v, out=array())
    with pytest.raises(UnsupportedError, match="immutable"):
        np.exp(v, out=out)
    assert not out.any()


@pytest.mark.parametrize("name", [
    "sum", "mean", "var", "cumsum", "argmax", "concatenate", "dot", "clip", "take", "round",
])  # fmt: skip
def test_out_is_refused_in_the_namespace(name: str) -> None:
    args: dict[str, Any] = {"concatenate": ([X, X],), "dot": (X, X.T), "clip": (X, 0, 1), "take": (X, [0])}
    with pytest.raises(UnsupportedError, match="out=.*immutable"):
        getattr(np, name)(*args.get(name, (X,)), out=X.copy())


def test_augmented_assignment_makes_a_new_array() -> None:
    x = before = array()
    x += 1
    assert x is not before
    onp.testing.assert_allclose(onp.asarray(before), X)


@pytest.mark.parametrize(
    "function", [onp.copyto, onp.put, onp.place, onp.putmask, onp.fill_diagonal, onp.put_along_axis]
)
def test_functions_that_write_name_the_way_out(function: Any) -> None:
    args = {"copyto": (X,), "fill_diagonal": (1.0,), "put_along_axis": (onp.array([[0], [1]]), 1.0, 1)}
    with pytest.raises(UnsupportedError, match="immutable; write x = "):
        function(array(), *args.get(function.__name__, ([0], 1.0)))
    with pytest.raises(UnsupportedError):
        onp.copyto(X.copy(), gg.variable(X))


@pytest.mark.parametrize("name", ["sort", "fill", "put", "partition", "resize"])
def test_methods_that_write_name_the_way_out(name: str) -> None:
    with pytest.raises(TypeError, match="immutable; write x = "):
        getattr(array(), name)(0)


# What is not covered


def test_functions_not_covered_run_on_constants() -> None:
    got = onp.roots(array([1.0, -3.0, 2.0]))
    assert isinstance(got, gg.Array)
    onp.testing.assert_allclose(onp.asarray(got), [2.0, 1.0], atol=1e-12)
    onp.testing.assert_allclose(onp.asarray(np.roots([1.0, -3.0, 2.0])), [2.0, 1.0], atol=1e-12)
    assert isinstance(np.intersect1d([1, 2], [2, 3]), gg.Array)


def test_functions_not_covered_refuse_to_lose_a_gradient() -> None:
    v = gg.variable(X[0])
    with pytest.raises(UnsupportedError, match="roots: has no gradient here, at test_protocol.py.*custom_vjp"):
        onp.roots(v)
    with pytest.raises(UnsupportedError):
        np.roots(v)
    with pytest.raises(TracedValueError, match="roots: needs the values"):
        gg.trace(np.roots, X[0])


def test_functions_not_covered_whose_result_carries_no_gradient_run_on_variables() -> None:
    v = gg.variable(X[0])
    assert onp.iscomplexobj(v) is False
    assert bool(onp.isin(v, [2.0])[1])
    assert onp.array2string(v) == "[1. 2. 3.]"
    assert onp.ravel_multi_index((array([0]), array([1])), (2, 3)).item() == 1


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="neither has NumPy"):
        _ = np.no_such_function
    assert not hasattr(np, "__no_such_thing__")
    assert np.testing is onp.testing and np.float32 is onp.float32


def test_numpys_testing_functions_take_arrays() -> None:
    onp.testing.assert_array_equal(array(), X)
    onp.testing.assert_allclose(array(), X + 1e-12)
    with pytest.raises(AssertionError):
        onp.testing.assert_allclose(array(), X + 1)


def test_a_list_of_variables_is_never_converted_without_a_word() -> None:
    v = gg.variable(X[0])
    for convert in (onp.array, onp.asarray, float, complex):
        with pytest.raises((TracedValueError, TypeError)):
            convert([v[0], v[1]] if convert in (onp.array, onp.asarray) else v[0])


def test_linalg_and_fft_are_reached_by_numpys_names() -> None:
    square = X[:, :2]
    for function in (onp.linalg.det, onp.linalg.inv, onp.linalg.norm, onp.fft.rfft):
        got = function(gg.variable(square))
        assert got.tracked
        onp.testing.assert_allclose(got.value, function(square), rtol=1e-12)


# Signatures


def _has_signature(function: Any) -> bool:
    try:
        inspect.signature(function)
    except ValueError:
        return False
    return True


COVERED = sorted(
    name
    for name, own in vars(np).items()
    if inspect.isfunction(own)
    and not name.startswith("__")
    and callable(getattr(onp, name, None))
    and not isinstance(getattr(onp, name), onp.ufunc)
)


@pytest.mark.parametrize("name", [n for n in COVERED if _has_signature(getattr(onp, n))])
def test_arguments_are_named_as_numpys(name: str) -> None:
    theirs = inspect.signature(getattr(onp, name)).parameters
    ours = inspect.signature(getattr(np, name)).parameters
    if any(p.kind is p.VAR_POSITIONAL for p in ours.values()):
        return
    passed_on = any(p.kind is p.VAR_KEYWORD for p in ours.values())
    for key, parameter in theirs.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY) or key in ("start_or_stop", "xp"):
            continue
        assert key in ours or passed_on, f"{name} lacks {key}"
    positional = [k for k, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD and k in ours]
    assert [k for k in ours if k in positional] == positional


@pytest.mark.parametrize("name", [n for n in vars(np) if inspect.isfunction(getattr(np, n)) and not n.startswith("_")])
def test_every_function_says_what_it_does(name: str) -> None:
    assert (getattr(np, name).__doc__ or "").strip()


def test_every_function_of_the_namespace_is_dispatched_to() -> None:
    table = protocol.functions()
    assert table[onp.concatenate] is np.concatenate
    assert table[onp.linalg.norm] is np.linalg.norm
    missed = [n for n in COVERED if getattr(onp, n) not in table]
    assert missed == []


# Other libraries, copies, pickles


def test_dlpack_to_and_from_numpy() -> None:
    x = array()
    copied = onp.from_dlpack(x)
    onp.testing.assert_array_equal(copied, X)
    shared = onp.from_dlpack(x, copy=False)
    assert onp.shares_memory(shared, x.value) and not shared.flags.writeable
    assert not onp.shares_memory(copied, x.value)
    data = X.copy()
    taken = np.from_dlpack(data)
    assert isinstance(taken, gg.Array) and onp.shares_memory(taken.value, data)
    assert x.__dlpack_device__() == (1, 0)
    with pytest.raises(TracedValueError, match="DLPack"):
        onp.from_dlpack(gg.variable(X))


def test_dlpack_to_and_from_torch() -> None:
    torch = pytest.importorskip("torch")
    x = array()
    tensor = torch.from_dlpack(x)
    tensor += 1
    onp.testing.assert_array_equal(onp.asarray(x), X)  # an Array is immutable, so what torch writes into is a copy
    back = np.from_dlpack(tensor)
    onp.testing.assert_array_equal(onp.asarray(back), X + 1)
    assert back.value.ctypes.data == tensor.data_ptr()


def test_copies_and_pickles() -> None:
    x = array()
    assert copy.copy(x) is x and copy.deepcopy(x) is x and x.copy() is x
    onp.testing.assert_array_equal(onp.asarray(pickle.loads(pickle.dumps(x))), X)
    assert x.tobytes() == X.tobytes()


def test_isinstance_holds_for_both_kinds_of_array() -> None:
    assert isinstance(X, np.ndarray) and isinstance(array(), np.ndarray) and not isinstance([1.0], np.ndarray)


def test_random_gives_numpys_plain_arrays() -> None:
    import glassgrad.numpy.random as npr

    assert np.random is npr
    npr.seed(0)
    drawn = npr.randn(2, 3)
    assert type(drawn) is onp.ndarray
    onp.random.seed(0)
    onp.testing.assert_array_equal(drawn, onp.random.randn(2, 3))
    assert npr.RandomState is onp.random.RandomState and npr.default_rng is onp.random.default_rng


# Methods


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("sum", (), {"axis": 0, "where": X > 2}), ("sum", (1,), {"dtype": onp.float32}), ("prod", (0,), {}),
        ("max", (1,), {"keepdims": True}), ("min", (), {"initial": 0.5}), ("mean", (0,), {}), ("var", (), {"ddof": 1}),
        ("std", (1,), {"keepdims": True}), ("any", (0,), {}), ("all", (), {}), ("argmax", (1,), {}), ("argmin", (), {}),
        ("cumsum", (1,), {}), ("cumprod", (), {}), ("reshape", (3, 2), {}), ("reshape", ((3, -1),), {"order": "F"}),
        ("ravel", ("F",), {}), ("flatten", (), {}), ("transpose", (), {}), ("transpose", ((1, 0),), {}),
        ("transpose", (1, 0), {}), ("swapaxes", (0, 1), {}), ("squeeze", (), {}), ("repeat", (2, 1), {}),
        ("take", ([0, 2],), {"axis": 1}), ("diagonal", (1,), {}), ("trace", (), {}), ("dot", (X.T,), {}),
        ("clip", (2, 4), {}), ("clip", (), {"min": 3.0}), ("round", (1,), {}), ("conj", (), {}), ("nonzero", (), {}),
        ("argsort", (0,), {}), ("compress", ([True, False],), {"axis": 0}), ("astype", (onp.int8,), {}),
        ("searchsorted", (3.5,), {}), ("item", (1, 2), {}), ("tolist", (), {}),
    ],
)  # fmt: skip
def test_methods_are_numpys(name: str, args: Any, kwargs: Any) -> None:
    x = X[0] if name == "searchsorted" else X
    expected = getattr(x, name)(*args, **kwargs)
    for own in (array(x), gg.variable(x)):
        got = getattr(own, name)(*args, **kwargs)
        parts = zip(got, expected, strict=True) if isinstance(expected, tuple) else [(got, expected)]
        for g, e in parts:
            if isinstance(e, (float, list)):
                assert g == e
            else:
                assert g.dtype == e.dtype
                onp.testing.assert_array_equal(onp.asarray(g.value), e)


def test_properties() -> None:
    z = np.asarray(X + 2j * X)
    assert (z.ndim, z.size, z.itemsize, z.nbytes, z.shape, len(z), z.device) == (2, 6, 16, 96, (2, 3), 2, "cpu")
    onp.testing.assert_array_equal(onp.asarray(z.real), X)
    onp.testing.assert_array_equal(onp.asarray(z.imag), 2 * X)
    onp.testing.assert_array_equal(onp.asarray(z.T), (X + 2j * X).T)
    onp.testing.assert_array_equal(onp.asarray(array().imag), onp.zeros_like(X))
    assert isinstance(array().imag, gg.Array)
    assert divmod(7, np.asarray(4))[1].item() == 3 and round(np.asarray(2.567), 1).item() == 2.6


def test_operators_take_lists_that_hold_variables() -> None:
    got = gg.grad(lambda a: (np.ones(2) * [a, a * a] + [0, a]).sum())(3.0)
    assert got == pytest.approx(1 + 6 + 1)
