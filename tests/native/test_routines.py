"""Library calls as native code: equal to what the ops compute eagerly, in values and in failures."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from glassgrad.graph.node import Spec
from glassgrad.kernel.lower import Outside
from glassgrad.native import lapack, library
from glassgrad.native.frame import NO_MEMORY, Frame
from glassgrad.native.routines import WRITERS, Routine, routine
from glassgrad.native.target import host
from glassgrad.ops.determinant import Adjugate, Det, Slogdet
from glassgrad.ops.factor import Cholesky, CompleteQr, Qr
from glassgrad.ops.fft import Rfft
from glassgrad.ops.linalg import Expm, Pinv
from glassgrad.ops.solve import Inv, Solve, SolveTriangular
from glassgrad.ops.spectrum import Eig, Eigh, FullSvd, Svd

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of values that are not finite

SQUARE = [Cholesky, Adjugate, Det, Slogdet, Inv, Solve, SolveTriangular, Eig, Eigh]
FACTORED = [*SQUARE, Qr, CompleteQr, Svd, FullSvd, Pinv]
DTYPES = ["float32", "float64", "complex64", "complex128"]
NAN = np.full((3, 3), np.nan)
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 5.0]])
ENTRY = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)


@pytest.fixture(autouse=True)
def scipy() -> None:
    pytest.importorskip("scipy")


class Call:
    """A routine with buffers for it: inputs, and outputs filled with what no routine would leave there."""

    def __init__(self, op: Any, *inputs: Any, **params: Any) -> None:
        self.op, self.params = op, params
        self.inputs = [np.asarray(x, order="C") for x in inputs]
        specs = op.infer(*[Spec(x.shape, x.dtype) for x in self.inputs], **params)
        self.outputs = [np.full(s.shape, 77, s.dtype) for s in (specs if op.outputs > 1 else (specs,))]
        buffers = [*self.inputs, *self.outputs]
        count = len(self.inputs)
        self.outside = Outside(
            op,
            params,
            tuple(range(count)),
            tuple(range(count, len(buffers))),
            tuple([b.shape for b in buffers]),
            tuple([b.dtype for b in buffers]),
        )
        found = routine(self.outside)
        assert found is not None, f"{op.name} has no routine"
        self.routine: Routine = found

    def __call__(self) -> int:
        addresses = [b.ctypes.data for b in (*self.inputs, *self.outputs)]
        before = [x.copy() for x in self.inputs]
        buffers = (ctypes.c_void_p * len(addresses))(*addresses)
        code = int(ENTRY(self.routine.address)(ctypes.addressof(buffers)))
        for x, kept in zip(self.inputs, before, strict=True):
            assert x.tobytes() == kept.tobytes(), "an input was written to"
        return code

    def expected(self) -> list[Any]:
        inputs = self.inputs
        if self.op is SolveTriangular:  # SciPy's computes small integers in float32
            inputs = [x.astype(self.outputs[0].dtype) for x in inputs]
        found = self.op.eval(*inputs, **self.params)
        return list(found) if self.op.outputs > 1 else [found]

    def check(self, factor: float = 1e3) -> Call:
        """Run, and compare with the op's eval to ``factor`` roundings of the largest element."""
        code = self()
        assert code == 0, self.routine.failure(code)
        for got, want in zip(self.outputs, self.expected(), strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            scale = max(np.max(np.abs(want), initial=0), 1)
            np.testing.assert_allclose(got, want, rtol=0, atol=factor * scale * np.finfo(got.dtype).eps)
        return self


def matrix(rng: np.random.Generator, dtype: str, *shape: int) -> Any:
    """Well-conditioned, with eigenvalues and singular values far from each other."""
    size = max(shape[-2:])
    noise = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype[0] == "c" else 0)
    a = noise * 0.2 / size
    diagonal = np.arange(1, 1 + min(shape[-2:]))
    a[..., diagonal - 1, diagonal - 1] += 1 + diagonal / size
    return a.astype(dtype)


def arguments(op: Any, a: Any, rng: np.random.Generator) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and params for an op on this matrix."""
    if op in (Solve, SolveTriangular):
        b = rng.normal(size=(*a.shape[:-1], 2)).astype(a.dtype)
        return [a, b], {"lower": True, "unit_diagonal": False} if op is SolveTriangular else {}
    if op is Pinv:
        return [a, 1e-10], {}
    if op is Cholesky:
        return [a @ np.conjugate(np.swapaxes(a, -1, -2))], {}
    return [a], {"uplo": "L"} if op is Eigh else {}


# Values


@pytest.mark.parametrize("op", FACTORED, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(op: Any, dtype: str) -> None:
    rng = np.random.default_rng(1)
    inputs, params = arguments(op, matrix(rng, dtype, 4, 4), rng)
    found = Call(op, *inputs, **params).check().routine
    # As in NumPy there is no single precision but in SciPy's substitution.
    wide = dtype if op is SolveTriangular else {"f": "float64", "c": "complex128"}[dtype[0]]
    assert found.name.startswith(f"LAPACK {lapack.PREFIXES[wide]}")


@pytest.mark.parametrize("op", FACTORED, ids=lambda op: op.name)
@pytest.mark.parametrize("lead", [(3,), (2, 1, 2), (0,)])
def test_stacks(op: Any, lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    inputs, params = arguments(op, matrix(rng, "float64", *lead, 3, 3), rng)
    Call(op, *inputs, **params).check()


@pytest.mark.parametrize("op", FACTORED, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("size", [1, 67])
def test_smallest_and_blocked(op: Any, dtype: str, size: int) -> None:
    rng = np.random.default_rng(3)
    inputs, params = arguments(op, matrix(rng, dtype, size, size), rng)
    Call(op, *inputs, **params).check(1e5 if size > 1 else 10)


@pytest.mark.parametrize(
    ("op", "shape"),
    [(op, shape) for op in (Qr, CompleteQr, Svd, FullSvd, Pinv) for shape in ((33, 18), (4, 1))]
    + [(op, shape) for op in (Svd, FullSvd, Pinv) for shape in ((18, 33), (1, 4))],
    ids=lambda x: getattr(x, "name", str(x)),
)
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_rectangles(op: Any, dtype: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    inputs, params = arguments(op, matrix(rng, dtype, *shape), rng)
    Call(op, *inputs, **params).check(1e4)


@pytest.mark.parametrize("op", [op for op in FACTORED if op.samples.cases], ids=lambda op: op.name)
def test_samples(op: Any) -> None:
    for inputs, params in op.samples.cases(np.random.default_rng(5)):
        if 0 not in np.shape(inputs[-1]):
            Call(op, *inputs, **params).check()


@pytest.mark.parametrize("op", FACTORED, ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16"])
def test_integers_are_computed_in_float64(op: Any, dtype: str) -> None:
    rng = np.random.default_rng(6)
    a = (np.eye(3) if op in (Cholesky, SolveTriangular) else np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0]])).astype(dtype)
    inputs, params = arguments(op, a if dtype == "bool" else a * 3 + np.eye(3, dtype=dtype), rng)
    Call(op, *inputs, **params).check()


@pytest.mark.parametrize("op", [Solve, SolveTriangular], ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("left", "right"), [("float32", "float64"), ("float64", "complex64"), ("complex64", "int32"), ("int8", "float32")]
)
def test_two_dtypes_meet_in_the_common_one(op: Any, left: str, right: str) -> None:
    rng = np.random.default_rng(7)
    a = (10 * matrix(rng, "float64", 3, 3)).astype(left)
    b = (10 * rng.normal(size=(3, 2))).astype(right)
    params = {"lower": False, "unit_diagonal": False} if op is SolveTriangular else {}
    Call(op, a, b, **params).check()


@pytest.mark.parametrize("op", [Solve, SolveTriangular], ids=lambda op: op.name)
@pytest.mark.parametrize(
    ("left", "right", "columns"),
    [((2, 1), (3,), 1), ((), (2, 3), 2), ((4,), (1,), 3), ((2, 3), (), 1), ((3,), (2, 1), 4)],
)
def test_stacks_broadcast(op: Any, left: tuple[int, ...], right: tuple[int, ...], columns: int) -> None:
    rng = np.random.default_rng(8)
    a, b = matrix(rng, "float64", *left, 3, 3), rng.normal(size=(*right, 3, columns))
    Call(op, a, b, **({"lower": True, "unit_diagonal": True} if op is SolveTriangular else {})).check()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("unit", [True, False])
def test_one_triangle_is_read(dtype: str, lower: bool, unit: bool) -> None:
    rng = np.random.default_rng(9)
    a, b = matrix(rng, dtype, 5, 5), rng.normal(size=(5, 3)).astype(dtype)
    held = np.tril(np.ones((5, 5), bool), -1 if unit else 0)
    a[~held if lower else ~held.T] = np.nan
    found = Call(SolveTriangular, a, b, lower=lower, unit_diagonal=unit).check()
    assert np.isfinite(found.outputs[0]).all()


@pytest.mark.parametrize("uplo", ["L", "U"])
@pytest.mark.parametrize("op", [Eigh, Cholesky], ids=lambda op: op.name)
def test_the_mean_of_both_triangles_counts(op: Any, uplo: str) -> None:
    rng = np.random.default_rng(10)
    a = matrix(rng, "complex128", 2, 4, 4) + rng.normal(size=(4, 4)) * 0.1
    Call(op, a, **({"uplo": uplo} if op is Eigh else {})).check()


def test_eigenvalues_in_conjugate_pairs() -> None:
    rng = np.random.default_rng(11)
    turns = np.array([[0.0, -2.0, 0.1], [2.0, 0.0, 0.3], [0.0, 0.2, 5.0]])
    w, v = Call(Eig, np.stack([turns, np.diag([1.0, 2.0, 3.0]), rng.normal(size=(3, 3))])).check().outputs
    assert np.iscomplex(w[0]).sum() == 2 and not np.iscomplex(v[1]).any()


def test_determinants_whose_partial_products_overflow() -> None:
    a = np.diag([1e200, -1e200, 1e-200, 1e-200])
    (y,) = Call(Det, a).check().outputs
    assert y == pytest.approx(-1, rel=1e-12)
    sign, size = Call(Slogdet, np.diag([-1e300, 1e300, 1j])).check().outputs
    assert sign == -1j and size == pytest.approx(600 * np.log(10))


@pytest.mark.parametrize("dtype", DTYPES)
def test_determinants_of_singular_matrices(dtype: str) -> None:
    a = np.stack([np.zeros((3, 3)), np.eye(3), np.ones((3, 3))]).astype(dtype)
    (y,) = Call(Det, a).check().outputs
    sign, size = Call(Slogdet, a).check().outputs
    assert list(y) == [0, 1, 0] and list(sign) == [0, 1, 0] and list(size) == [-np.inf, 0, -np.inf]


def test_pinv_drops_small_singular_values() -> None:
    a = np.stack([SINGULAR, np.diag([1.0, 0.3, 1e-3]), np.zeros((3, 3))])
    Call(Pinv, a, np.array([1e-12, 0.5, 0.1])).check()
    Call(Pinv, a.astype(np.float32), np.float64(0.1)).check()
    Call(Pinv, a.astype(np.float32), np.float32(0.1)).check()


# Failures: as eager, with the same words


def outcome(compute: Callable[[], list[Any]]) -> Any:
    """The exception, or where the results are NaN."""
    try:
        return [np.isnan(y).tolist() for y in compute()]
    except Exception as error:
        return type(error), str(error)


def native(call: Call) -> list[Any]:
    error = call.routine.failure(call())
    if error is not None:
        raise error
    return call.outputs


TRIANGLE = {"lower": True, "unit_diagonal": False}
FAILURES = [
    (Cholesky, (-np.eye(3),), {}),
    (Cholesky, (np.stack([np.eye(3), np.ones((3, 3)), np.eye(3)]).astype(np.complex64),), {}),
    (Inv, (SINGULAR,), {}),
    (Inv, (np.zeros((2, 2, 2), np.complex128),), {}),
    (Solve, (np.ones((2, 2), np.float32), np.ones((2, 1), np.float32)), {}),
    (SolveTriangular, (np.diag([1.0, 0.0, 2.0]), np.ones((3, 1))), TRIANGLE),
    (SolveTriangular, (np.diag([0.0, 0.0, 2.0]).astype(np.complex64), np.ones((3, 1))), TRIANGLE),
    (SolveTriangular, (np.diag([1.0, 0.0, 2.0]), np.ones((2, 3, 1))), TRIANGLE),
    (Eig, (NAN,), {}),
    (Eig, (np.diag([1.0, np.inf]),), {}),
    (Eig, (np.array([[1, complex(0, np.inf)], [0, 2]]),), {}),
    (Eigh, (NAN,), {"uplo": "L"}),
    (Svd, (NAN,), {}),
    (FullSvd, (NAN[:2] + 0j,), {}),
    (Pinv, (NAN, 1e-15), {}),
    (Adjugate, (NAN,), {}),
]


@pytest.mark.parametrize(("op", "inputs", "params"), FAILURES, ids=lambda x: getattr(x, "name", ""))
def test_failures_are_those_of_eager_code(op: Any, inputs: Any, params: Any) -> None:
    call = Call(op, *inputs, **params)
    want = outcome(call.expected)
    assert want[0] is np.linalg.LinAlgError
    assert outcome(lambda: native(call)) == want


@pytest.mark.parametrize(
    ("op", "inputs"), [*((op, (NAN,)) for op in (Cholesky, Inv, Det, Qr, Slogdet)), (Solve, (NAN, NAN))]
)
def test_nan_goes_through_where_it_does_eagerly(op: Any, inputs: Any) -> None:
    call = Call(op, *inputs)
    assert outcome(lambda: native(call)) == outcome(call.expected)


def test_success_is_no_failure() -> None:
    assert Call(Inv, SINGULAR + np.eye(3)).routine.failure(0) is None


def test_memory_that_is_not_there_is_an_error() -> None:
    f = Frame()
    f.reserve(1 << 60)
    text = f.close()
    made = library.load(text, lambda: text, host())
    code = ENTRY(made.address("routine"))(None)
    assert code == NO_MEMORY
    assert isinstance(Call(Inv, np.eye(2)).routine.failure(code), MemoryError)


# What has no routine


def without(op: Any, *inputs: Any, **params: Any) -> bool:
    with pytest.raises(AssertionError, match="has no routine"):
        Call(op, *inputs, **params)
    return True


def test_what_stays_with_python() -> None:
    assert without(Inv, np.zeros((3, 0, 0)))
    assert without(Solve, np.eye(2), np.zeros((2, 0)))
    assert without(Inv, np.eye(2, dtype=np.float16))
    assert without(Expm, np.eye(2))
    assert without(Rfft, np.ones(4), axis=0, norm=None)
    assert set(WRITERS) == {"argsort", *(op.name for op in FACTORED)}


@pytest.fixture
def addresses() -> Iterator[None]:
    """Let SciPy be looked for again, before and after."""
    lapack.addresses.cache_clear()
    yield
    lapack.addresses.cache_clear()


def test_without_scipy_python_does_it(monkeypatch: pytest.MonkeyPatch, addresses: None) -> None:
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    assert not lapack.available()
    assert without(Inv, np.eye(2))


@pytest.mark.parametrize(
    "row",
    [lapack.Row(*words.split()) for words in ("potrf potrf ciiax", "potrf potrf ciax", "nosuch nosuch c")],
)
def test_a_scipy_that_declares_otherwise_is_not_called(
    row: lapack.Row, monkeypatch: pytest.MonkeyPatch, addresses: None
) -> None:
    monkeypatch.setitem(lapack.ROUTINES, "potrf", row)
    assert not lapack.available()


# Many calls


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("broken", [False, True])
def test_workspaces_are_given_back(broken: bool) -> None:
    a = np.eye(200, dtype=np.int64)
    call = Call(Eig, np.full((200, 200), np.nan)) if broken else Call(SolveTriangular, a, a[:, :1].copy(), **TRIANGLE)
    for _ in range(20):
        call()
    before = resident()
    for _ in range(200):
        call()
    assert resident() - before < 20e6


def test_threads_share_a_routine() -> None:
    rng = np.random.default_rng(13)
    calls = [Call(op, matrix(rng, "float64", 3, 40, 40)) for op in (Inv, Svd, Eig) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert not any(pool.map(lambda call: call(), calls))
    for call in calls:
        again = Call(call.op, call.inputs[0])
        assert again.routine.address == call.routine.address
        call.check(1e4)
