"""The safetensors layout beside the safetensors library, and against files that lie."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_by

from glassgrad.errors import DtypeError, ModelFileError
from glassgrad.train.safetensors import DESCRIPTION, DTYPES, read, write

ARRAYS: dict[str, Any] = {
    **{name: np.arange(6).astype(form).reshape(2, 3) for name, form in DTYPES.items()},
    "turned": np.arange(6.0).reshape(2, 3).T,
    "number": np.float32(3),
    "empty": np.zeros((3, 0), np.int16),
    "big-endian": np.arange(3, dtype=">i4"),
    'näme "with" \n everything': np.ones(1),
    "": np.ones(2, np.uint8),
}


def equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == np.asarray(array).dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], array)


def test_there_and_back(tmp_path: Path) -> None:
    write(tmp_path / "s", ARRAYS, {"a": "b", "ü": "\n"})
    found, metadata = read(tmp_path / "s")
    equal(found, ARRAYS)
    assert metadata == {"a": "b", "ü": "\n"}
    found["turned"][0] = 7  # of its own, and writable


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    write(tmp_path / "s", ARRAYS, {"a": "b"})
    equal(library.load_file(tmp_path / "s"), ARRAYS)
    with pytest.importorskip("safetensors").safe_open(tmp_path / "s", "numpy") as file:
        assert file.metadata()["a"] == "b"


def test_we_read_what_the_library_writes(tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.numpy")
    given = {
        name: np.ascontiguousarray(array, np.asarray(array).dtype.newbyteorder("=")) for name, array in ARRAYS.items()
    }
    library.save_file(given, tmp_path / "s", {"a": "b"})
    found, metadata = read(tmp_path / "s")
    equal(found, given)
    assert metadata == {"a": "b"}


def test_bfloat16_is_read_as_the_float32_of_the_same_value(tmp_path: Path) -> None:
    exact = np.array([1.0, -2.5, 3.0e38, 0.0, np.inf], np.float32)  # the upper halves of these are their bfloat16
    upper = (exact.view(np.uint32) >> 16).astype("<u2")
    header = {"x": {"dtype": "BF16", "shape": [5], "data_offsets": [0, 10]}}
    (tmp_path / "s").write_bytes(joined(header, upper.tobytes()))
    found = read(tmp_path / "s")[0]["x"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, exact, rtol=2**-8)


@pytest.mark.parametrize("array", [np.ones(1, np.complex128), np.array(["a"]), np.array([None]), np.ones(1, "M8[s]")])
def test_what_the_layout_has_not(tmp_path: Path, array: Any) -> None:
    with pytest.raises(DtypeError, match="safetensors cannot hold 'x'"):
        write(tmp_path / "s", {"x": array})
    with pytest.raises(DtypeError, match="cannot hold '__metadata__'"):
        write(tmp_path / "s", {"__metadata__": np.ones(1)})
    assert list(tmp_path.iterdir()) == []


def joined(header: Any, data: bytes, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(dtype: Any = "F32", shape: Any = (1,), start: Any = 0, stop: Any = 4, **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop], **more}


LIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "or other safetensors file"),
    "short": (b"\2\0\0", "or other safetensors file"),
    "header beyond the end": (joined({}, b"", 1000), "or other safetensors file"),
    "header of 2⁶⁴ bytes": (joined({}, b"", 2**64 - 1), "or other safetensors file"),
    "list": (joined([], b""), "has no header"),
    "spaces first": (joined(b" {}", b""), "has no header"),
    "no JSON": (joined(b"{]", b""), "no JSON"),
    "other text": (joined("{}".encode("utf-16-le"), b""), "no JSON"),
    "deep": (joined(b'{"a":' + b"[" * 100_000, b""), "no JSON"),
    "name twice": (joined(b'{"a":1,"a":1}', b""), "no JSON"),
    "long number": (joined(b'{"a":' + b"1" * 5000 + b"}", b""), "no JSON"),
    "metadata": (joined({"__metadata__": {"a": 1}}, b""), "metadata are not text"),
    "metadata list": (joined({"__metadata__": []}, b""), "metadata are not text"),
    "no description": (joined({"a": 1}, b""), "not described"),
    "more than a description": (joined({"a": entry(x=1)}, b"1234"), "not described"),
    "dtype": (joined({"a": entry("F8_E4M3", (4,))}, b"1234"), "of dtype 'F8_E4M3': expected one of"),
    "dtype no text": (joined({"a": entry(["F32"])}, b"1234"), "of dtype"),
    "pickled": (joined({"a": entry("|O")}, b"1234"), "of dtype"),
    "shape no list": (joined({"a": entry(shape=1)}, b"1234"), "no lists of sizes"),
    "negative": (joined({"a": entry(shape=[-1, -1])}, b"1234"), "no lists of sizes"),
    "fraction": (joined({"a": entry(shape=[1.0])}, b"1234"), "no lists of sizes"),
    "truth": (joined({"a": entry(shape=[True])}, b"1234"), "no lists of sizes"),
    "axes": (joined({"a": entry(shape=[1] * 100)}, b"1234"), "no lists of sizes"),
    "offsets": (joined({"a": entry() | {"data_offsets": [0, 4, 4]}}, b"1234"), "no lists of sizes"),
    "backwards": (joined({"a": entry(start=4, stop=0)}, b"1234"), "not as many bytes"),
    "too few bytes": (joined({"a": entry(shape=[2])}, b"1234"), "not as many bytes"),
    "overflow": (joined({"a": entry(shape=[2**32, 2**32])}, b"1234"), "not as many bytes"),
    "overflow hidden by 0": (joined({"a": entry(shape=[2**40, 2**40, 0], stop=0)}, b""), "not as many bytes"),
    "huge": (joined({"a": entry(shape=[2**40], stop=2**42)}, b"1234"), "do not fill the file"),
    "overlap": (joined({"a": entry(), "b": entry()}, b"1234"), "where the array before it ends"),
    "partial overlap": (joined({"a": entry(), "b": entry(start=2, stop=6)}, b"123456"), "where the array before"),
    "gap": (joined({"a": entry(), "b": entry(start=5, stop=9)}, b"123456789"), "where the array before"),
    "gap first": (joined({"a": entry(start=4, stop=8)}, b"12345678"), "where the array before"),
    "rest": (joined({"a": entry()}, b"12345"), "do not fill the file"),
    "cut": (joined({"a": entry()}, b"123"), "do not fill the file"),
    "truth of 2": (joined({"a": entry("BOOL", (1,), 0, 1)}, b"\2"), "neither 0 nor 1"),
}


@pytest.mark.parametrize("name", LIES)
def test_lies(tmp_path: Path, name: str) -> None:
    data, message = LIES[name]
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as caught:
        read(tmp_path / "s")
    assert str(tmp_path / "s") in str(caught.value)


# Those it has a further dtype for or takes later, and what only the layout's description says (a first "{"; its keys).
LENIENT = ("dtype", "truth of 2", "axes", "huge", "spaces first", "more than a description")


@pytest.mark.parametrize("name", [name for name in LIES if name not in LENIENT])
def test_the_library_refuses_them_too(tmp_path: Path, name: str) -> None:
    library = pytest.importorskip("safetensors")
    (tmp_path / "s").write_bytes(LIES[name][0])
    with pytest.raises(library.SafetensorError), library.safe_open(tmp_path / "s", "numpy"):
        pass


QUICK = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
FORMS = st.sampled_from(sorted(DTYPES.values())).map(np.dtype)
VALUES = arrays_by.arrays(FORMS, arrays_by.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@QUICK
@given(
    st.dictionaries(NAMES, VALUES, max_size=5), st.dictionaries(NAMES.filter(lambda n: n != "crc32"), NAMES, max_size=3)
)
def test_anything_comes_back(tmp_path: Path, given: dict[str, Any], metadata: dict[str, str]) -> None:
    write(tmp_path / "s", given, metadata)
    found, text = read(tmp_path / "s")
    equal(found, given)
    assert text == metadata
    library = sys.modules.get("safetensors.numpy")
    if library is not None:
        equal(library.load_file(tmp_path / "s"), given)


@QUICK
@given(st.data())
def test_changed_headers_are_refused_or_true(tmp_path: Path, data: Any) -> None:
    """Without a checksum to help: whatever is read is a part of the file, of the size that was said."""
    header = {
        name: entry(
            data.draw(st.sampled_from(["F32", "F64", "U8", "BOOL", "BF16", "x"])),
            data.draw(st.lists(st.integers(-1, 5) | st.sampled_from([2**31, 2**63, 0]), max_size=3)),
            data.draw(st.integers(-1, 24)),
            data.draw(st.integers(-1, 24)),
        )
        for name in data.draw(st.sets(st.sampled_from("abc")))
    }
    body = data.draw(st.binary(max_size=24))
    (tmp_path / "s").write_bytes(joined(header, body))
    try:
        found, _ = read(tmp_path / "s")
    except ModelFileError:
        return
    assert sum(e["data_offsets"][1] - e["data_offsets"][0] for e in header.values()) == len(body)
    for name, array in found.items():
        start, stop = header[name]["data_offsets"]
        assert list(array.shape) == header[name]["shape"]
        if header[name]["dtype"] != "BF16":
            assert array.tobytes() == body[start:stop]


@QUICK
@given(st.data())
def test_any_flipped_bit_is_noticed(tmp_path: Path, data: Any) -> None:
    write(tmp_path / "s", {"a": np.arange(5.0), "b": np.ones((2, 2), bool)}, {DESCRIPTION: "v"})
    whole = bytearray((tmp_path / "s").read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "s").write_bytes(whole)
    with pytest.raises(ModelFileError):
        read(tmp_path / "s")


@QUICK
@given(st.binary(max_size=200))
def test_noise(tmp_path: Path, noise: bytes) -> None:
    (tmp_path / "s").write_bytes(noise)
    with pytest.raises(ModelFileError):
        read(tmp_path / "s")
