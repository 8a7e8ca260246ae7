"""IDX files against bytes written out by hand, NumPy's files against NumPy; damage found before memory is taken."""

from __future__ import annotations

import contextlib
import gzip
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glassgrad.data import read_arrays, read_idx
from glassgrad.errors import DataError

# the first bytes of MNIST's t10k-images-idx3-ubyte, as its page gives them: 10,000 images of 28 × 28
MNIST_HEAD = bytes.fromhex("00000803 00002710 0000001c 0000001c")


def idx(code: int, kind: str, shape: tuple[int, ...], values: Any) -> bytes:
    head = struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)
    return head + struct.pack(f">{len(values)}{kind}", *values)


@pytest.mark.parametrize(
    ("code", "kind", "dtype"),
    [(8, "B", "u1"), (9, "b", "i1"), (0xB, "h", "i2"), (0xC, "i", "i4"), (0xD, "f", "f4"), (0xE, "d", "f8")],
)
@pytest.mark.parametrize("packed", [False, True])
def test_every_kind_of_number(tmp_path: Path, code: int, kind: str, dtype: str, packed: bool) -> None:
    values = [0, 1, 100, 127, 3, 5]
    content = idx(code, kind, (3, 2), values)
    path = tmp_path / "a"
    path.write_bytes(gzip.compress(content) if packed else content)
    array = read_idx(path)
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    np.testing.assert_array_equal(array, np.reshape(values, (3, 2)))
    array[0] = 1  # the reader's own memory


def test_the_published_header(tmp_path: Path) -> None:
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(MNIST_HEAD + bytes(10_000 * 28 * 28)))
    assert read_idx(path).shape == (10_000, 28, 28)


GOOD = idx(8, "B", (3, 2), range(6))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08", "not an IDX file: got bytes 00 00 08"),
        (b"\x89PNG....", "not an IDX file: got bytes 89 50 4e 47"),
        (b"\0\0\x07\x01\0\0\0\1.", "not an IDX file"),
        (b"\0\0\x08\0.", "expected 0 sizes of 4 bytes, at least one"),
        (GOOD[:9], "wrong length: got 9 bytes"),
        (GOOD[:-1], "wrong length"),
        (GOOD + b".", "got more data in .*, expected 6 bytes for the shape 3×2"),
        (b"\0\0\x0e\x04" + b"\xff" * 16, "wrong length: got at most"),
        (gzip.compress(GOOD, mtime=0)[:-4], "damaged gzip"),
        (gzip.compress(GOOD[:-1], mtime=0), "got 5 bytes of data"),
        (gzip.compress(b"\0\0\x08\x02" + b"\x7f" * 8, mtime=0), "wrong length: got at most"),
    ],
)
def test_damaged_idx_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(place=st.integers(0, 40), value=st.integers(0, 255), cut=st.integers(0, 20))
def test_any_change_gives_an_array_or_a_data_error(tmp_path: Path, place: int, value: int, cut: int) -> None:
    content = bytearray(idx(0xC, "i", (2, 2, 2), range(8)))
    content[place % len(content)] = value
    path = tmp_path / "a"
    path.write_bytes(content[: len(content) - cut])
    with contextlib.suppress(DataError):
        assert read_idx(path).size <= 32


# NumPy's own files


def test_what_numpy_writes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(5, 3, 2)).astype(np.float32),
        "fortran": np.asfortranarray(rng.normal(size=(4, 3))),
        "names": np.array(["a", "größe"]),
        "big": np.arange(3, dtype=">i4"),
        "none": np.zeros((0, 4)),
        "one": np.array(3.5),
    }
    np.savez(tmp_path / "plain.npz", **arrays)
    np.savez_compressed(tmp_path / "packed.npz", **arrays)
    np.save(tmp_path / "alone.npy", arrays["fortran"])
    for name in ("plain.npz", "packed.npz"):
        found = read_arrays(tmp_path / name)
        assert list(found) == list(arrays)
        for key, array in arrays.items():
            np.testing.assert_array_equal(found[key], array)
            assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(read_arrays(tmp_path / "alone.npy")["alone"], arrays["fortran"])


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "o.npz", x=np.array([{}, 1], dtype=object))
    np.save(tmp_path / "o.npy", np.array([{}, 1], dtype=object))
    for name in ("o.npz", "o.npy"):
        with pytest.raises(DataError, match="holds Python objects"):
            read_arrays(tmp_path / name)


def test_damaged_numpy_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(100))
    whole = path.read_bytes()
    huge = whole.replace(b"(100,), }", b"(10**15,)}").replace(b"(10**15,)}", b"(9999999,)}")
    assert huge != whole
    np.savez(tmp_path / "a.npz", x=np.arange(100))
    packed = (tmp_path / "a.npz").read_bytes()
    flipped = packed[:300] + b"\xff" + packed[301:]
    np.savez_compressed(tmp_path / "c.npz", x=np.arange(1000))
    deflated = bytearray((tmp_path / "c.npz").read_bytes())
    deflated[150:160] = b"\xff" * 10
    for content in (whole[:-1], whole + b".", whole[:20], huge, b"hello", packed[:-40], flipped, bytes(deflated)):
        path.write_bytes(content)
        with pytest.raises(DataError, match="wrong length|damaged, or not"):
            read_arrays(path)


def test_a_zip_that_is_something_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match="damaged, or not a file of arrays"):
        read_arrays(tmp_path / "z.npz")


def test_an_idx_file_of_more_sizes_than_an_array_can_have(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(bytes([0, 0, 8, 255]) + bytes([0, 0, 0, 1]) * 255 + b"1")
    with pytest.raises(DataError, match="read_idx: too many sizes: got 255"):
        read_idx(file)
