"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ..errors import GlassgradError

Failure = type[GlassgradError]


def numbered(path: Path, index: int) -> Path:
    """The file of one of several that would share a path.

    >>> numbered(Path("runs/log.jsonl"), 3).as_posix()
    'runs/log-3.jsonl'
    """
    return path.with_name(f"{path.stem}-{index}{path.suffix}")


def require_place(path: str | os.PathLike[str], failure: Failure) -> Path:
    """The file a path leads to, if one can be written there; otherwise ``failure`` says what is in the way.

    Asked before long work whose result goes there. Permissions tell too little: a file is made beside it and removed.
    """
    target = _place(path, failure)
    part = _beside(target)
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        reason = error.strerror or str(error)
        raise failure(f"save: cannot write in {target.parent}: {reason}; choose another path") from None
    part.unlink()
    return target


def _place(path: str | os.PathLike[str], failure: Failure) -> Path:
    target = Path(os.path.realpath(path))
    folder = target.parent
    try:
        os.lstat(target)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise failure(f"save: the name is too long: got {target.name!r:.50}...; choose a shorter path") from None
    if not str(path) or str(path).endswith(os.sep) or target.is_dir():
        raise failure(f"save: not a file: got {str(path)!r}, expected the name of a file to write; add one")
    if not folder.is_dir():
        raise failure(f"save: no such folder: got {folder} for {target.name}; make it first, or choose another path")
    if target.exists() and not target.is_file():
        raise failure(f"save: not an ordinary file: got {target}, which is a device or a pipe; choose another path")
    return target


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.part")


def sweep(path: str | os.PathLike[str]) -> None:
    """Remove what writers of ``path`` left beside it that were killed. Only where nobody else is writing it."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for part in target.parent.glob(f".{glob.escape(target.name[:200])}.{'[0-9a-f]' * 16}.part"):
            part.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: bytes | Callable[[BinaryIO], None], failure: Failure) -> None:
    """Fill a temporary file beside ``path``, then put it in its place. ``content`` may be a function that writes.

    Whatever interrupts this, a full disk or Ctrl-C, leaves at ``path`` what was there before, and nothing beside it.
    """
    target = _place(path, failure)
    part = _beside(target)
    try:
        with open(part, "xb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                content(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise failure(f"save: cannot write {target}: {reason}; nothing was left there half-written") from None
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
