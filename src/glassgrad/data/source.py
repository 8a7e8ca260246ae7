"""Files that data is read from, as they are or compressed by gzip."""

from __future__ import annotations

import contextlib
import difflib
import gzip
import zlib
from collections.abc import Iterator
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import DataError

GZIP = b"\x1f\x8b"


def require_file(path: str | PathLike[str], op: str, what: str) -> Path:
    """The path of a file that is there and holds something; :class:`DataError` with the nearest name otherwise.

    Parameters
    ----------
    path : what was asked for
    op, what : who reads, and what it expects, for messages
    """
    file = Path(path)
    if not file.exists():
        siblings = file.parent.iterdir() if file.parent.is_dir() else iter(())
        near = difflib.get_close_matches(file.name, [p.name for p in islice(siblings, 1000)], n=1)
        fix = f"did you mean {near[0]}?" if near else "check the path"
        raise DataError(f"{op}: no such file: got {file}, expected {what}; {fix}")
    if not file.is_file():
        raise DataError(f"{op}: not a file: got {file}, expected {what}; give the path of a file")
    if file.stat().st_size == 0:
        raise DataError(f"{op}: {file} is empty: got 0 bytes, expected {what}; check the file")
    return file


def is_gzip(file: Path) -> bool:
    """Whether a file is compressed by gzip, whatever it is called."""
    with file.open("rb") as stream:
        return stream.read(2) == GZIP


def open_bytes(file: Path) -> BinaryIO:
    """The file's content, uncompressed."""
    return cast(BinaryIO, gzip.open(file)) if is_gzip(file) else file.open("rb")


@contextlib.contextmanager
def explained(file: Path, op: str) -> Iterator[None]:
    """What the system says about a file it cannot read, as a :class:`DataError`."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(
            f"{op}: damaged gzip file: got {str(error).rstrip('.')} in {file}, expected a whole one; copy it again"
        ) from None
    except OSError as error:
        raise DataError(
            f"{op}: cannot read {file}: {error.strerror or error}; check the path and its permissions"
        ) from None
