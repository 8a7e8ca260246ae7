"""The array API standard, 2024.12: names, signatures, promotion and results, against array-api-strict."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import numpy as onp
import pytest

import glassgrad as gg
import glassgrad.numpy as np

strict = pytest.importorskip("array_api_strict")

FUNCTIONS = sorted(
    name
    for name, value in vars(strict).items()
    if inspect.isfunction(value)
    and not name.startswith(("_", "get_", "set_"))
    and name not in ("reset_array_api_strict_flags", "ArrayAPIStrictFlags")
)
DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()  # noqa: SIM905
EXTRA = {"linalg": ["cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul", "matrix_norm",
                    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd",
                    "svdvals", "tensordot", "trace", "vecdot", "vector_norm"],
         "fft": ["fft", "ifft", "fftn", "ifftn", "rfft", "irfft", "rfftn", "irfftn", "hfft", "ihfft", "fftfreq",
                 "rfftfreq", "fftshift", "ifftshift"]}  # fmt: skip


def test_the_namespace_of_an_array_is_this_one() -> None:
    x = np.ones(2)
    assert x.__array_namespace__() is np
    assert x.__array_namespace__(api_version="2024.12") is np
    assert np.__array_api_version__ == "2024.12"
    info = np.__array_namespace_info__()
    assert info.default_device() == x.device == "cpu"
    assert info.dtypes()["float32"] == np.float32
    assert info.capabilities()["boolean indexing"]
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="cpu"):
        x.to_device("gpu")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_takes_the_standards_arguments(name: str) -> None:
    theirs = inspect.signature(getattr(strict, name)).parameters
    ours = inspect.signature(getattr(np, name)).parameters
    for key, parameter in theirs.items():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert key in ours, f"{name} lacks {key}="
    needed = [
        p for p in ours.values() if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    given = [p for p in theirs.values() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    assert len(needed) <= max(len(given), 1)


@pytest.mark.parametrize(
    "name",
    [
        *DTYPES,
        "pi",
        "e",
        "inf",
        "nan",
        "newaxis",
        "finfo",
        "iinfo",
        "isdtype",
        "result_type",
        "can_cast",
        "from_dlpack",
        "__array_api_version__",
    ],
)
def test_constants_and_dtypes_are_there(name: str) -> None:
    assert hasattr(np, name)


@pytest.mark.parametrize(("part", "name"), [(p, n) for p, names in EXTRA.items() for n in names])
def test_extensions_are_there(part: str, name: str) -> None:
    assert callable(getattr(getattr(np, part), name))


ONE = [
    n for n in FUNCTIONS if list(inspect.signature(getattr(strict, n)).parameters) == ["x"] and n not in ("isdtype",)
]
TWO = [n for n in FUNCTIONS if list(inspect.signature(getattr(strict, n)).parameters)[:2] == ["x1", "x2"]]


def data(dtype: str) -> Any:
    numbers = onp.array([[1, 0, 3], [2, 1, 3]])
    return (numbers - 1j * numbers if dtype.startswith("complex") else numbers).astype(dtype)


def check(got: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert got._fields == expected._fields if hasattr(expected, "_fields") else len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            check(g, e)
        return
    value = onp.asarray(expected)
    assert isinstance(got, gg.Array)
    assert (got.shape, got.dtype) == (value.shape, value.dtype)
    onp.testing.assert_allclose(onp.asarray(got), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ONE)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_functions_of_one_array(name: str, dtype: str) -> None:
    try:
        expected = getattr(strict, name)(strict.asarray(data(dtype)))
    except (TypeError, ValueError):
        return  # the strict implementation forbids what NumPy allows
    check(getattr(np, name)(np.asarray(data(dtype))), expected)


@pytest.mark.parametrize(("first", "second"), list(itertools.product(DTYPES, DTYPES)))
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value", "ignore:overflow")
def test_functions_of_two_arrays_promote_as_the_standard_says(first: str, second: str) -> None:
    for name in TWO:
        x, y = data(first), data(second)
        if name in ("matmul", "tensordot", "cross"):
            y = y.T if name == "matmul" else y
        options = {"axes": 2} if name == "tensordot" else {}
        try:
            expected = getattr(strict, name)(strict.asarray(x), strict.asarray(y), **options)
        except (TypeError, ValueError):
            continue
        check(getattr(np, name)(np.asarray(x), np.asarray(y), **options), expected)


CALLS = {
    "sum": [{"axis": 0}, {"keepdims": True}, {"dtype": "float32"}], "prod": [{"axis": -1}], "max": [{"axis": 1}],
    "min": [{}], "mean": [{"axis": (0, 1), "keepdims": True}], "std": [{"axis": 0, "correction": 1.0}],
    "var": [{"axis": 1, "correction": 0.5, "keepdims": True}], "any": [{"axis": 0}], "all": [{"axis": 1}],
    "argmax": [{"axis": 1, "keepdims": True}], "argmin": [{}], "cumulative_sum": [{"axis": 1, "include_initial": True}],
    "cumulative_prod": [{"axis": 0}], "count_nonzero": [{"axis": 1, "keepdims": True}], "diff": [{"axis": 0, "n": 1}],
    "sort": [{"descending": True}, {"axis": 0}], "argsort": [{"descending": True, "stable": True}, {"axis": 0}],
    "roll": [{"shift": (1, 2), "axis": (0, 1)}], "flip": [{"axis": 0}], "tile": [{"repetitions": None}],
    "squeeze": [], "expand_dims": [{"axis": -1}], "moveaxis": [{"source": 0, "destination": 1}],
    "permute_dims": [{"axes": (1, 0)}], "reshape": [{"shape": (3, 2)}], "broadcast_to": [{"shape": (2, 2, 3)}],
    "tril": [{"k": 1}], "triu": [{"k": -1}], "matrix_transpose": [{}], "unique_all": [{}], "unique_counts": [{}],
    "unique_inverse": [{}], "unique_values": [{}], "nonzero": [{}], "zeros_like": [{}],
    "ones_like": [{"dtype": "int8"}],
    "full_like": [{"fill_value": 3}], "unstack": [{"axis": 1}], "clip": [{"min": 1, "max": 2}], "round": [{}],
    "repeat": [],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "float64", "complex64"])
@pytest.mark.parametrize(("name", "options"), [(n, o) for n, calls in CALLS.items() for o in calls if n != "tile"])
def test_calls_of_the_standard(name: str, options: dict[str, Any], dtype: str) -> None:
    x = data(dtype)
    theirs = {k: getattr(strict, v) if k == "dtype" else v for k, v in options.items()}
    ours = {k: getattr(np, v) if k == "dtype" else v for k, v in options.items()}
    try:
        expected = getattr(strict, name)(strict.asarray(x), **theirs)
    except (TypeError, ValueError):
        return
    check(getattr(np, name)(np.asarray(x), **ours), expected)


def test_calls_with_several_arrays() -> None:
    x, y = data("float64"), data("float64") * 2
    for name, args in {
        "concat": ([x, y],),
        "stack": ([x, y],),
        "broadcast_arrays": (x, y[0]),
        "meshgrid": (x[0], y[0]),
    }.items():
        lists = [a if not isinstance(a, list) else list(map(strict.asarray, a)) for a in args]
        expected = getattr(strict, name)(*[strict.asarray(a) if not isinstance(a, list) else a for a in lists])
        got = getattr(np, name)(*[np.asarray(a) if not isinstance(a, list) else list(map(np.asarray, a)) for a in args])
        for g, e in zip(got, expected, strict=True) if isinstance(expected, (list, tuple)) else [(got, expected)]:
            check(g, e)
    check(
        np.searchsorted(np.asarray([1.0, 2.0, 3.0]), np.asarray([2.5]), side="right"),
        strict.searchsorted(strict.asarray([1.0, 2.0, 3.0]), strict.asarray([2.5]), side="right"),
    )
    check(
        np.take(np.asarray(x), np.asarray([2, 0]), axis=1),
        strict.take(strict.asarray(x), strict.asarray([2, 0]), axis=1),
    )


def test_creation() -> None:
    for call in (
        lambda n: n.arange(5), lambda n: n.arange(1.0, 4.0, 0.5), lambda n: n.eye(3, 4, k=1, dtype=n.float32),
        lambda n: n.linspace(0.0, 1.0, 5, endpoint=False), lambda n: n.zeros((2, 3), dtype=n.int8),
        lambda n: n.ones(3), lambda n: n.full((2,), 3), lambda n: n.full((2,), 3.5, dtype=n.float32),
        lambda n: n.asarray([[1, 2], [3, 4]], dtype=n.float32), lambda n: n.tril(n.ones((3, 3))),
        lambda n: n.astype(n.ones(3), n.int16), lambda n: n.zeros_like(n.ones((2, 0))),
    ):  # fmt: skip
        check(call(np), call(strict))
    assert np.empty((2, 3), dtype=np.float32).shape == (2, 3)
    with pytest.raises(ValueError, match="cpu"):
        np.zeros(3, device="gpu")


def test_questions_about_dtypes() -> None:
    x = np.ones(3, dtype=np.float32)
    assert np.result_type(x, np.float64) == np.float64 and np.result_type(x, 1.0) == np.float32
    assert np.can_cast(x, np.float64) and not np.can_cast(np.ones(3), np.int8)
    assert np.finfo(x).dtype == np.float32 and np.iinfo(np.arange(2)).bits == 64
    assert np.isdtype(x.dtype, "real floating") and not np.isdtype(x.dtype, ("integral", np.float64))
