"""The safetensors layout: named arrays after a JSON header. Reading believes nothing and runs nothing.

As https://github.com/huggingface/safetensors (README, "Format") has it: 8 bytes, the header's length N, little-endian;
N bytes of JSON, which spaces may fill up, with the dtype, shape and place of every array, and text by name under
``__metadata__``; then the arrays' bytes, in C order and little-endian, which follow each other without gaps.

What is written here carries a checksum of the whole file in its metadata, which is compared; files from elsewhere have
none, but models have to.
"""

from __future__ import annotations

import json
import math
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, NamedTuple, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DtypeError, ModelFileError
from .files import write_whole

DTYPES = {
    **{"BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4"},
    **{"U64": "<u8", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8"},
}
NAMES = {np.dtype(form): name for name, form in DTYPES.items()}
BFLOAT16 = "BF16"  # read as float32, which holds the same numbers: NumPy has no such dtype
METADATA = "__metadata__"
DESCRIPTION = "glassgrad"  # the name of the text by which a file is a model
CHECKSUM = "crc32"
NO_CHECKSUM = "00000000"  # what stands in its place while it is computed
BLOCK = 1 << 20
MOST_HEADER = 100_000_000  # bytes; the limit of the safetensors library
MOST_AXES = 32
Result = TypeVar("Result")


class Entry(NamedTuple):
    """An array that a header promises. ``start`` and ``stop`` count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Header(NamedTuple):
    """What a file holds: arrays by name, in the order of their bytes; text by name; where the arrays begin."""

    entries: dict[str, Entry]
    metadata: dict[str, str]
    start: int


def write(path: str | os.PathLike[str], arrays: Mapping[str, Any], metadata: Mapping[str, str] | None = None) -> None:
    """Write named arrays to one file, which appears complete or not at all.

    Parameters
    ----------
    path : the file to write or replace
    arrays : NumPy arrays of the dtypes in ``DTYPES``, and of bfloat16
    metadata : text by name

    Raises
    ------
    DtypeError
        A dtype that the format has not, such as complex128.
    ModelFileError
        The file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "a.safetensors")
    ...     write(path, {"layer.weight": np.ones((2, 3), np.float32)}, {"about": "an example"})
    ...     arrays, metadata = read(path)
    >>> arrays["layer.weight"].shape, metadata
    ((2, 3), {'about': 'an example'})
    """
    stored = {name: _stored(name, array) for name, array in arrays.items()}
    ordered = sorted(stored, key=lambda name: (-stored[name][1].itemsize, name))  # each aligned, as mapped memory needs
    header: dict[str, Any] = {METADATA: {CHECKSUM: NO_CHECKSUM, **(metadata or {})}}
    end = 0
    for name in ordered:
        kind, array = stored[name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    parts = [array.reshape(-1).view(np.uint8).data for array in (stored[name][1] for name in ordered) if array.size]
    checksum = zlib.crc32(text)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    text = text.replace(_checksum_as(NO_CHECKSUM), _checksum_as(f"{checksum:08x}"), 1)

    def fill(stream: BinaryIO) -> None:
        stream.write(len(text).to_bytes(8, "little") + text)
        for part in parts:
            stream.write(part)

    write_whole(path, fill, ModelFileError)


def _checksum_as(digits: str) -> bytes:
    """As it stands in the header."""
    return f'"{CHECKSUM}":"{digits}"'.encode()


def _stored(name: str, array: Any) -> tuple[str, NDArray[Any]]:
    """The format's name of an array's dtype, and the array as its bytes are written."""
    given = np.asarray(array)
    if given.dtype.name == "bfloat16":
        return BFLOAT16, np.ascontiguousarray(given).view("<u2").reshape(given.shape)
    plain = np.asarray(given, given.dtype.newbyteorder("<"), order="C")
    if plain.dtype not in NAMES or name == METADATA:
        raise DtypeError(
            f"save: safetensors cannot hold {name!r} of dtype {given.dtype}: expected one of "
            f"{', '.join(np.dtype(form).name for form in DTYPES.values())}; cast it"
        )
    return NAMES[plain.dtype], plain


def read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """All arrays of a file by name, and its metadata. Every claim of the header is checked before memory is taken.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, or of another kind.
    """
    return opened(path, lambda stream, header: (arrays_of(stream, header, header.entries), header.metadata))


def opened(path: str | os.PathLike[str], function: Callable[[BinaryIO, Header], Result]) -> Result:
    """What a function makes of a file and its header; errors name the file."""
    try:
        with open(path, "rb") as stream:
            return function(stream, header_of(stream))
    except OSError as error:
        raise ModelFileError(f"load: cannot read {path}: {error.strerror or error}; check the path") from None
    except ModelFileError as error:
        raise ModelFileError(f"{error} (file {path})") from None


def header_of(stream: BinaryIO) -> Header:
    """The header, if all it says fits together and fits the length of the file."""
    size = os.fstat(stream.fileno()).st_size
    prefix = stream.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= min(MOST_HEADER, size - 8):
        raise ModelFileError(
            "load: not a Glassgrad model or other safetensors file: lengths do not fit; choose another"
        )
    text = stream.read(length)
    if text[:1] != b"{":
        raise ModelFileError("load: not a Glassgrad model or other safetensors file: it has no header; choose another")
    try:
        given = json.loads(text.decode(), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        _damaged("the header is no JSON")
    metadata = given.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _damaged("the metadata are not text by name")
    entries = {name: _entry(name, entry) for name, entry in given.items()}
    ordered = sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop))
    end = 0
    for name, entry in ordered:
        if entry.start != end:
            _damaged(f"{name!r:.80} does not begin where the array before it ends")
        end = entry.stop
    if end != size - 8 - length:
        _damaged("its arrays do not fill the file")
    if CHECKSUM in metadata:
        digits = metadata.pop(CHECKSUM)
        checksum = zlib.crc32(text.replace(_checksum_as(digits), _checksum_as(NO_CHECKSUM), 1))
        while block := stream.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
        if digits != f"{checksum:08x}":
            _damaged("its checksum is of other content")
    elif DESCRIPTION in metadata:
        _damaged("its checksum is missing")
    return Header(dict(ordered), metadata, 8 + length)


def _without_repetition(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key} comes twice")
        found[key] = value
    return found


def _entry(name: str, given: Any) -> Entry:
    """What the header says of one array, if it is well-formed."""
    if not isinstance(given, dict) or set(given) != {"dtype", "shape", "data_offsets"}:
        _damaged(f"{name!r:.80} is not described")
    kind, shape, offsets = given["dtype"], given["shape"], given["data_offsets"]
    if not isinstance(kind, str) or kind not in (*DTYPES, BFLOAT16):
        raise ModelFileError(
            f"load: {name!r:.80} is of dtype {kind!r:.20}: expected one of {', '.join([*DTYPES, BFLOAT16])}; convert it"
        )
    if not _sizes(shape) or len(shape) > MOST_AXES or not _sizes(offsets) or len(offsets) != 2:
        _damaged(f"shape and place of {name!r:.80} are no lists of sizes")
    itemsize = 2 if kind == BFLOAT16 else np.dtype(DTYPES[kind]).itemsize
    most = math.prod(n or 1 for n in shape) * itemsize  # NumPy's limit counts axes of size 0 as 1
    if offsets[1] - offsets[0] != math.prod(shape) * itemsize or most > sys.maxsize:
        _damaged(f"{name!r:.80} has not as many bytes as its shape")
    return Entry(kind, tuple(shape), *offsets)


def _sizes(given: Any) -> bool:
    return isinstance(given, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in given)


def arrays_of(stream: BinaryIO, header: Header, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """These arrays of an open file."""
    return {name: _array(stream, header.entries[name], header.start) for name in names}


def _array(stream: BinaryIO, entry: Entry, start: int) -> NDArray[Any]:
    stream.seek(start + entry.start)
    array = np.empty(entry.shape, "<u2" if entry.dtype == BFLOAT16 else DTYPES[entry.dtype])
    if array.size and stream.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
        _damaged("it became shorter while it was read")
    if entry.dtype == BFLOAT16:
        array = (array.astype(np.uint32) << 16).view(np.float32).reshape(entry.shape)
    if entry.dtype == "BOOL" and (array.view(np.uint8) > 1).any():
        _damaged("a truth value is neither 0 nor 1")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _damaged(what: str) -> NoReturn:
    raise ModelFileError(f"load: the file is damaged: {what}; save it again")
