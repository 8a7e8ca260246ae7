"""IDX files, the format of MNIST: images, labels, or any array of numbers."""

from __future__ import annotations

import math
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .source import explained, is_gzip, open_bytes, require_file

# http://yann.lecun.com/exdb/mnist/: two zero bytes, the kind of number, how many sizes; the sizes and all numbers
# with the high byte first
KINDS = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_SIZES = 64  # that an array of NumPy can have
MOST_DEFLATED = 1032  # bytes that one byte of a gzip file can stand for, at most


def read_idx(path: str | PathLike[str]) -> NDArray[Any]:
    """Read an IDX file, which may be compressed by gzip.

    Returns
    -------
    array : of the shape in the file; uint8, int8, int16, int32, float32 or float64

    Raises
    ------
    DataError
        The file is missing, or no IDX file, or not as long as its sizes say. This is found before memory is taken.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "labels-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    file = require_file(path, "read_idx", "an IDX file")
    with explained(file, "read_idx"), open_bytes(file) as stream:
        head = stream.read(4)
        if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in KINDS:
            raise DataError(
                f"read_idx: not an IDX file: got bytes {head.hex(' ')} at the start of {file}, expected 00 00, one of "
                f"{', '.join(f'{code:02x}' for code in KINDS)}, and the number of sizes; choose another file"
            )
        dtype, sizes = np.dtype(KINDS[head[2]]), stream.read(4 * head[3])
        if head[3] > MOST_SIZES:
            raise DataError(
                f"read_idx: too many sizes: got {head[3]} in {file}, expected at most {MOST_SIZES}; copy the file again"
            )
        if not head[3] or len(sizes) < 4 * head[3]:
            raise _wrong_length(f"{4 + len(sizes)} bytes", f"{head[3]} sizes of 4 bytes, at least one,", file)
        shape = tuple(int(size) for size in np.frombuffer(sizes, ">u4"))
        expected, before = math.prod(shape) * dtype.itemsize, 4 + len(sizes)
        there = file.stat().st_size * (MOST_DEFLATED if is_gzip(file) else 1)
        if before + expected > there:
            raise _wrong_length(f"at most {there - before} bytes of data", f"{expected} for {_sized(shape)}", file)
        content = stream.read(expected + 1)
    if len(content) != expected:
        got = f"{len(content)} bytes of data" if len(content) < expected else "more data"
        raise _wrong_length(got, f"{expected} bytes for {_sized(shape)}", file)
    return np.frombuffer(bytearray(content), dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _sized(shape: tuple[int, ...]) -> str:
    return f"the shape {'×'.join(map(str, shape))} it promises"


def _wrong_length(got: str, expected: str, file: object) -> DataError:
    return DataError(f"read_idx: wrong length: got {got} in {file}, expected {expected}; copy the file again")
