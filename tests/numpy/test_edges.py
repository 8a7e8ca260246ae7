"""Corners of the namespace: tiny arguments, dtypes asked for, copies refused, what is not a number, ufunc methods."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np
from glassgrad.errors import DtypeError, ShapeError, UnsupportedError

X = onp.array([0.3, -1.2, 2.5, 0.7])


# sinc, angle, i0


def sinc_derivative(x: float, n: int) -> float:
    """The n-th derivative as the mean of πⁿ tⁿ cos(πxt + nπ/2) over t in [0, 1], by Gauss's rule."""
    nodes, weights = onp.polynomial.legendre.leggauss(80)
    t = (nodes + 1) / 2
    turned = onp.pi * x * t
    wave = [onp.cos(turned), -onp.sin(turned), -onp.cos(turned), onp.sin(turned)][n % 4]
    return float((weights / 2 * (onp.pi * t) ** n * wave).sum())


@pytest.mark.parametrize("sign", [1, -1])
def test_sinc_keeps_its_digits_near_zero(sign: int) -> None:
    second = gg.grad(gg.grad(np.sinc))
    for x in (1e-300, 1e-100, 1e-15, 1e-8, 1e-4, 0.003, 0.05, 0.1, 0.2, 0.4, 0.6, 0.64, 0.9, 1.2, 2.0, 5.0, 9.7):
        assert gg.grad(np.sinc)(sign * x) == pytest.approx(sinc_derivative(sign * x, 1), rel=1e-12)
        assert second(sign * x) == pytest.approx(sinc_derivative(x, 2), rel=1e-12)
    assert gg.grad(np.sinc)(1e-8) == pytest.approx(-(onp.pi**2) / 3 * 1e-8, rel=1e-14)
    assert gg.grad(np.sinc)(5e-324) == -3 * 5e-324
    assert gg.grad(np.sinc)(0.0) == 0 and second(0.0) == pytest.approx(-(onp.pi**2) / 3, rel=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_sinc_is_numpys(dtype: str) -> None:
    x = onp.array([-7.3, -1.0, -0.5, 0.0, 1e-9, 0.3, 0.66, 2.1]).astype(dtype)
    got = np.sinc(x)
    assert got.dtype == onp.dtype(dtype)
    onp.testing.assert_allclose(onp.asarray(got), onp.sinc(x), rtol=1e-5 if dtype[-2:] in "3264" else 1e-12, atol=1e-6)


@pytest.mark.parametrize("x", [0.0, -0.0, 1e-300, -1e-300, 2.0, -2.0, onp.inf])
def test_the_angle_of_a_real_number_does_not_turn(x: float) -> None:
    assert gg.grad(np.angle)(x) == 0
    assert float(np.angle(x)) == onp.angle(x)


def test_the_angle_of_a_complex_number_turns_as_in_pytorch() -> None:
    torch = pytest.importorskip("torch")
    for z in (0j, 1 + 2j, -3 + 0.5j, 1e-5j):
        theirs = torch.tensor(z, dtype=torch.complex128, requires_grad=True)
        torch.angle(theirs).backward()
        assert gg.grad(np.angle)(z) == pytest.approx(theirs.grad.item(), rel=1e-12)
    zeros = onp.array([complex(a, b) for a in (0.0, -0.0) for b in (0.0, -0.0)])
    onp.testing.assert_array_equal(onp.asarray(np.angle(zeros)), onp.angle(zeros))
    assert onp.isnan(np.angle(onp.nan).value)


def test_bessel_functions_differentiate_into_each_other() -> None:
    special = pytest.importorskip("scipy.special")
    x = onp.array([-3.0, 0.0, 0.5, 12.0, 300.0])
    first = gg.grad(lambda v: np.i0(v).sum())
    onp.testing.assert_allclose(first(x), special.i1(x), rtol=1e-13)
    onp.testing.assert_allclose(
        gg.grad(lambda v: first(v).sum())(x), (special.i0(x) + special.iv(2, x)) / 2, rtol=1e-13
    )


# dtype=


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "cumprod", "trace"])
@pytest.mark.parametrize("wanted", ["bool", "int8", "uint8", "int32", "uint64", "float16", "float32", "complex64"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int64", "float64"])
def test_the_dtype_asked_for_is_that_of_the_result(name: str, wanted: str, dtype: str) -> None:
    x = onp.array([[1, 0, 3], [100, 7, 2]]).astype(dtype)
    expected = getattr(onp, name)(x, dtype=wanted)
    got = getattr(np, name)(x, dtype=wanted)
    assert got.dtype == expected.dtype == onp.dtype(wanted)
    onp.testing.assert_array_equal(onp.asarray(got), expected)


def test_sum_with_dtype_starts_from_initial() -> None:
    x = onp.array([100, 27], "int8")
    assert np.sum(x, dtype="int8", initial=3).value == onp.sum(x, dtype="int8", initial=onp.int8(3))


def test_fftfreq_in_a_dtype() -> None:
    for name in ("fftfreq", "rfftfreq"):
        got = getattr(np.fft, name)(5, d=0.5, dtype=np.float32, device="cpu")
        assert got.dtype == onp.float32
        onp.testing.assert_allclose(onp.asarray(got), getattr(onp.fft, name)(5, 0.5), rtol=1e-6)
        with pytest.raises(DtypeError, match="fractions"):
            getattr(np.fft, name)(5, dtype=int)
        with pytest.raises(ValueError, match="cpu"):
            getattr(np.fft, name)(5, device="gpu")


# Copies


def test_copy_false_refuses_to_copy_as_numpy_does() -> None:
    assert np.shares_memory(np.asarray(X, copy=False).value, X)
    assert np.asarray(memoryview(X), copy=False).value[0] == X[0]
    x = np.arange(4.0).reshape(2, 2)
    assert np.asarray(x, copy=False) is x
    for call in (
        lambda m: m.asarray([1.0], copy=False),
        lambda m: m.asarray(1.0, copy=False),
        lambda m: m.asarray(X, dtype=m.float32, copy=False),
        lambda m: m.reshape(m.asarray(x.value).T, (4,), copy=False),
    ):
        for module in (np, onp):
            with pytest.raises(ValueError, match="cop"):
                call(module)
    with pytest.raises(ValueError, match="copy=False"):
        np.asarray([gg.variable(1.0)], copy=False)
    with pytest.raises(ValueError, match="copy=False"):
        x.T.reshape(4, copy=False)
    assert x.reshape(4, copy=False).shape == np.reshape(x.T, 4, "F", copy=False).shape == (4,)
    assert np.reshape(np.asarray(2.0), (1, 1), copy=False).shape == (1, 1)


# Not numbers


@pytest.mark.parametrize("value", [
    ["a"], [None], [Decimal(1)], [object()], onp.array([1, 2], object), onp.array(["2020-01-01"], "M8[D]"), b"x",
    onp.zeros(2, [("a", int)]),
])  # fmt: skip
def test_what_is_not_a_number_makes_no_array(value: Any) -> None:
    for call in (np.asarray, np.array, np.sin, np.sum, lambda v: np.add(v, 1.0), lambda v: np.stack([v])):
        with pytest.raises(DtypeError, match="an Array holds numbers"):
            call(value)


def test_a_sparse_matrix_is_told_to_become_dense() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DtypeError, match=r"dia_matrix.*\.toarray\(\)"):
        np.asarray(sparse.eye(2))
    onp.testing.assert_array_equal(onp.asarray(np.asarray(sparse.eye(2).toarray())), onp.eye(2))


@pytest.mark.parametrize("dtype", [object, "U5", "M8[s]"])
def test_no_array_is_cast_to_what_is_not_a_number(dtype: Any) -> None:
    for call in (np.ones(2).astype, lambda d: np.asarray([1.0], d), lambda d: np.astype(np.ones(2), d)):
        with pytest.raises(DtypeError, match="an Array holds numbers"):
            call(dtype)


# einsum


@pytest.mark.parametrize(("subscripts", "shapes", "message"), [
    ("ij,jk", [(2, 3), (2, 3)], r"letter 'j'.* has size 3 in operand 0 \(2, 3\) and 2 in operand 1 \(2, 3\) at test_"),
    ("ii", [(2, 3)], r"letter 'i'.* sizes 2 and 3 in operand 0 \(2, 3\)"),
    ("ii->i", [(1, 3)], "sizes 1 and 3"),
    ("...i,...i", [(2, 3), (4, 3)], r"an axis under '...' .* size 2 in operand 0 .* 4 in operand 1"),
    ("i,i,i->", [(3,), (1,), (2,)], "size 3 in operand 0 .* 2 in operand 2"),
])  # fmt: skip
def test_einsum_names_the_letter_that_has_two_sizes(subscripts: str, shapes: Any, message: str) -> None:
    arrays = [onp.ones(s) for s in shapes]
    with pytest.raises(ValueError, match=r"."):
        onp.einsum(subscripts, *arrays)
    with pytest.raises(ShapeError, match=message):
        np.einsum(subscripts, *arrays)
    with pytest.raises(ShapeError, match=message):
        gg.trace(lambda *xs: np.einsum(subscripts, *xs), *arrays)


def test_einsum_stretches_an_axis_of_size_one() -> None:
    a, b = onp.array([[2.0], [3.0]]), onp.arange(12.0).reshape(3, 4)
    onp.testing.assert_allclose(onp.asarray(np.einsum("ij,jk->ik", a, b)), onp.einsum("ij,jk->ik", a, b))
    slope = gg.grad(lambda v: (np.einsum("ij,jk->ik", v, b) * b[:2]).sum())(a)
    onp.testing.assert_allclose(slope, (b[:2] @ b.sum(0))[:, None])


# Ufunc methods of the namespace


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "logical_and", "subtract", "bitwise_or"])
def test_ufuncs_have_numpys_methods(name: str) -> None:
    ours, theirs = getattr(np, name), getattr(onp, name)
    x = onp.array([[5, 3, 4], [1, 9, 2]]) if name == "bitwise_or" else onp.array([[5.0, 3.0, 4.0], [1.0, 9.0, 2.0]])
    for got, expected in (
        (ours.reduce(x), theirs.reduce(x)),
        (ours.reduce(x, 1, keepdims=True), theirs.reduce(x, 1, keepdims=True)),
        (ours.accumulate(x, 1), theirs.accumulate(x, 1)),
        (ours.outer(x, x[0]), theirs.outer(x, x[0])),
        (ours.reduceat(x, [0, 1], axis=1), theirs.reduceat(x, [0, 1], axis=1)),
    ):
        assert isinstance(got, gg.Array)
        onp.testing.assert_array_equal(onp.asarray(got), expected)
    assert (ours.nin, ours.nout, ours.identity) == (theirs.nin, theirs.nout, theirs.identity)
    with pytest.raises(UnsupportedError, match=r"x\.at\[i\]"):
        ours.at(x, [0], 1)
    with pytest.raises(UnsupportedError, match="immutable"):
        ours.reduce(x, out=x[0])


def test_ufunc_methods_carry_gradients_and_options() -> None:
    onp.testing.assert_allclose(gg.grad(lambda v: np.add.reduce(v * v))(X), 2 * X)
    onp.testing.assert_allclose(gg.grad(lambda v: np.multiply.outer(v, X).sum())(X), onp.full(4, X.sum()))
    assert np.add.reduce(X, dtype="float32").dtype == np.maximum.reduce(X, 0, "float32").dtype == onp.float32
    got = np.add.reduce(onp.ones((2, 3)), axis=(0, 1), initial=3.0, where=onp.eye(2, 3) > 0)
    assert float(got) == 5.0
    with pytest.raises(ValueError, match="binary"):
        np.sin.reduce(X)
    with pytest.raises(UnsupportedError, match=r"subtract\.reduce: has no gradient"):
        gg.grad(lambda v: np.subtract.reduce(v))(X)
    assert np.divmod.nout == 2 and np.exp.nin == 1


# Small things


def test_the_version_is_numpys() -> None:
    assert np.__version__ == onp.__version__


def test_unknown_versions_of_the_array_api_are_refused() -> None:
    x = np.ones(2)
    assert x.__array_namespace__(api_version="2021.12") is np
    with pytest.raises(ValueError, match=r"'1999\.1', expected one of 2021\.12, 2022\.12, 2023\.12, 2024\.12"):
        x.__array_namespace__(api_version="1999.1")


def test_a_vector_has_no_matrix_transpose() -> None:
    for x in (np.ones(3), np.ones(())):
        with pytest.raises(ShapeError, match="at least two axes"):
            _ = x.mT
        with pytest.raises(ShapeError, match="at least two axes"):
            np.matrix_transpose(x)


def test_row_stack_is_vstack() -> None:
    onp.testing.assert_allclose(gg.grad(lambda v: (np.row_stack((v, 2 * v)) ** 2).sum())(X), 10 * X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert onp.row_stack((gg.variable(X), X)).tracked


@pytest.mark.parametrize("x", [1.6, 2.5, -3.5, onp.float32(0.4), 7, True])
def test_round_gives_a_python_int_of_a_constant_number(x: Any) -> None:
    got = round(np.asarray(x))
    assert type(got) is int and got == round(onp.asarray(x).item())
    assert isinstance(round(np.asarray(1.66), 1), gg.Array) and isinstance(round(np.ones(2)), gg.Array)


def test_round_of_what_is_differentiated_stays_an_array() -> None:
    assert round(gg.variable(1.6)).tracked
    assert gg.grad(lambda v: round(v) * v)(1.6) == 2.0
    assert gg.trace(round, 1.6)(2.4) == 2


def test_where_on_demand_multiplies_by_zero_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    x = onp.array([-1.0, 0.0, 4.0])
    theirs = torch.tensor(x, requires_grad=True)
    torch.where(theirs > 0, torch.sqrt(theirs), theirs).sum().backward()

    def slope(ieee: bool) -> Any:
        with onp.errstate(invalid="ignore", divide="ignore"):
            return gg.grad(lambda v: np.where(v > 0, np.sqrt(v), v, ieee=ieee).sum())(x)

    onp.testing.assert_allclose(slope(True), theirs.grad)
    onp.testing.assert_allclose(slope(False), [1.0, 1.0, 0.25])
    assert onp.isnan(slope(True)).tolist() == [True, True, False]


# Polynomials, padding, quantiles


def test_polyfit_is_numpys() -> None:
    x, y = onp.arange(7.0), onp.sin(onp.arange(14.0)).reshape(7, 2)
    for values in (y, y[:, 0], y[:, 0].astype("float32")):
        for options in ({}, {"w": x + 1}, {"full": True}, {"cov": True}, {"cov": "unscaled", "w": x + 1}):
            got, expected = np.polyfit(x, values, 2, **options), onp.polyfit(x, values, 2, **options)
            for g, e in zip(*((r if isinstance(r, tuple) else (r,)) for r in (got, expected)), strict=True):
                onp.testing.assert_allclose(onp.asarray(g), e, rtol=1e-6 if values.dtype == onp.float32 else 1e-9)
    for module in (np, onp):
        with pytest.warns(onp.exceptions.RankWarning):
            module.polyfit([1.0, 1.0], [1.0, 2.0], 1)
        for arguments in (([1.0, 2.0], [1.0], 1), ([[1.0]], [1.0], 1), ([], [], 1)):
            with pytest.raises(TypeError):
                module.polyfit(*arguments)
        with pytest.raises(ValueError, match="deg"):
            module.polyfit([1.0], [1.0], -1)
        with pytest.raises(ValueError, match="covariance"):
            module.polyfit([1.0, 2.0], [1.0, 2.0], 1, cov=True)


@pytest.mark.parametrize("zeros", [[1, 2, 3], [], [1j, -1j], [1j, 2.0], [[0.0, 1.0], [-1.0, 0.0]], [[2, 1], [1, 2]]])
def test_poly_is_numpys(zeros: Any) -> None:
    got, expected = np.poly(zeros), onp.poly(zeros)
    assert got.dtype == onp.asarray(expected).dtype
    onp.testing.assert_allclose(onp.asarray(got), expected, atol=1e-14)


def test_polyint_takes_one_constant_or_one_for_each_integral() -> None:
    for k in (None, 2.0, [2.0], [4.0, 5.0], [1.0, 2.0, 3.0]):
        onp.testing.assert_allclose(onp.asarray(np.polyint([1, 2], 2, k)), onp.polyint([1, 2], 2, k))
    for module in (np, onp):
        with pytest.raises(ValueError, match="polyder"):
            module.polyint([1.0], -1)
        with pytest.raises(ValueError, match="k must"):
            module.polyint([1.0], 3, [1.0, 2.0])


PADS: list[tuple[str, dict[str, Any]]] = [
    ("linear_ramp", {"end_values": ((1.0, 2.0), (3.0, 4.0))}), ("mean", {"stat_length": 2}), ("mean", {}),
    ("median", {"stat_length": ((1, 2), (3, 9))}), ("maximum", {}), ("minimum", {"stat_length": 1}),
    ("reflect", {"reflect_type": "odd"}), ("symmetric", {"reflect_type": "odd"}), ("reflect", {}), ("wrap", {}),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "options"), PADS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_pad_is_numpys_however_wide(mode: str, options: dict[str, Any], dtype: str) -> None:
    for shape in ((3, 4), (1, 2), (5, 1)):
        x = (onp.random.default_rng(3).normal(size=shape) * 9).astype(dtype)
        for widths in (1, ((1, 2), (2, 3)), ((0, 0), (7, 9)), ((13, 4), (0, 5))):
            got, expected = np.pad(x, widths, mode, **options), onp.pad(x, widths, mode, **options)
            assert got.dtype == expected.dtype
            onp.testing.assert_allclose(onp.asarray(got), expected, rtol=1e-4 if dtype == "float32" else 1e-12)


def test_pad_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="reflect_type"):
        np.pad(X, 1, "reflect", reflect_type="strange")
    with pytest.raises(ValueError, match="stat_length"):
        np.pad(X, 1, "mean", stat_length=0)
    with pytest.raises(UnsupportedError, match="empty.*no gradient"):
        np.pad(gg.variable(X), 1, "empty")


def test_a_quantile_follows_its_share_by_the_slope_to_the_right() -> None:
    x = onp.array([0.0, 1.0, 4.0, 9.0, 16.0])
    for q, slope in ((0.3, 12.0), (0.5, 20.0), (0.0, 4.0), (0.99, 28.0)):
        assert gg.grad(lambda q: np.quantile(x, q))(q) == pytest.approx(slope)
        assert gg.grad(lambda q: np.percentile(x, q))(100 * q) == pytest.approx(slope / 100)
    assert gg.grad(lambda q: np.nanquantile(onp.append(x, onp.nan), q))(0.3) == pytest.approx(12.0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        gg.grad(lambda q: np.quantile(x, q))(1.5)


def test_float_power_of_python_integers() -> None:
    for a, b in ((10, 25), (3, 3), (2, -1), (2.0, 3)):
        assert np.float_power(a, b).item() == onp.float_power(a, b)
        assert np.float_power(a, b).dtype == onp.float64


def test_a_scalar_may_be_folded_along_axis_0() -> None:
    x = onp.array(2.5, onp.float32)
    for name in ("sum", "prod", "max", "min", "all", "any", "argmax", "argmin", "cumsum", "cumprod"):
        expected, got = getattr(onp, name)(x, axis=0), getattr(np, name)(x, axis=0)
        assert got.shape == expected.shape and got.dtype == expected.dtype and got.tolist() == expected.tolist(), name
