"""Arrays in NumPy's own files."""

from __future__ import annotations

import math
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .source import explained, require_file


def read_arrays(path: str | PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of a ``.npz`` file by their names, or the one of a ``.npy`` file under the file's.

    Nothing is unpickled; an array of Python objects is refused.

    Raises
    ------
    DataError
        The file is missing, damaged, or holds what is not an array of numbers or text. An array whose header
        promises more than the file can hold is found before memory is taken.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "data.npz")
    ...     np.savez(path, x=np.zeros((2, 3)), y=np.array([1, 0]))
    ...     {name: array.shape for name, array in read_arrays(path).items()}
    {'x': (2, 3), 'y': (2,)}
    """
    file = require_file(path, "read_arrays", "a .npz or .npy file")
    size = file.stat().st_size
    with explained(file, "read_arrays"):
        try:
            if not zipfile.is_zipfile(file):
                with file.open("rb") as stream:
                    return {file.stem: _array(stream, size, file.stem, file)}
            with zipfile.ZipFile(file) as archive:
                arrays = {}
                for entry in archive.infolist():
                    name = entry.filename.removesuffix(".npy")
                    with archive.open(entry) as member:
                        arrays[name] = _array(member, entry.file_size, name, file)
                return arrays
        except (ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f"read_arrays: damaged, or not a file of arrays: got {str(error)!r:.100} in {file}, expected .npz or "
                f".npy; write it with numpy.savez"
            ) from None


def _array(stream: IO[bytes], most: int, name: str, file: Path) -> NDArray[Any]:
    """One array, if ``most`` bytes are enough for what its header says."""
    major, _ = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise DataError(
            f"read_arrays: {name} in {file} holds Python objects: expected numbers or text; save it with another "
            f"dtype, such as array.astype(float)"
        )
    expected = math.prod(shape) * dtype.itemsize
    content = stream.read(expected + 1) if 0 <= expected <= most else b""  # one more: its checksum is then compared
    if len(content) != expected:
        raise DataError(
            f"read_arrays: {name} in {file} has the wrong length: got {most} bytes, expected {expected} after its "
            f"header, for shape {shape}; write it again"
        )
    array = np.frombuffer(bytearray(content), dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)
