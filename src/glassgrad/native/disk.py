"""Object code kept between processes: a folder of the user's own, every entry checked before it is used.

``GLASSGRAD_CACHE_DIR`` names the folder; ``off`` or the empty string does without. Nothing here raises: a folder that
cannot be used costs compile time, and is warned of once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import warnings
from pathlib import Path

from ..lazy import undivided

VARIABLE = "GLASSGRAD_CACHE_DIR"
MAGIC = b"glassgrad object 1\n"
LIMIT = 512 << 20  # bytes in the folder
KEPT = 384 << 20  # bytes left after the oldest entries were removed
SWEEP = 64  # writes between two looks at the folder's size

_DIGEST = hashlib.sha256().digest_size
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_warned = False
_writes = 0


def folder() -> Path | None:
    """The folder, made if need be; None if there is to be none or it could hold what others wrote."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None and chosen.lower() in ("", "off"):
        return None
    place = Path(chosen).expanduser() if chosen else _usual()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = _private(os.stat(place))
    except (OSError, RuntimeError) as error:  # RuntimeError: no home to put in place of ~
        _warn(place, str(error))
        return None
    if not private:
        _warn(place, "others may write to it, or it belongs to another user")
        return None
    return place


def read(name: str) -> bytes | None:
    """The content of an entry; None if there is none, or it is damaged or somebody else's."""
    place = folder()
    if place is None:
        return None
    try:
        with open(place / name, "rb", opener=_open_itself) as stream:
            status = os.fstat(stream.fileno())
            if not (stat.S_ISREG(status.st_mode) and _private(status)):
                return None
            data = stream.read()
    except OSError:
        return None
    start = len(MAGIC) + _DIGEST
    content = data[start:]
    if data[:start] != MAGIC + hashlib.sha256(content).digest():
        return None
    with contextlib.suppress(OSError):
        os.utime(place / name)  # what is used is not the oldest
    return content


def write(name: str, content: bytes) -> None:
    """Keep an entry. It appears whole or not at all, so processes that write the same one do not disturb each other."""
    global _writes
    with undivided:
        import tempfile

    place = folder()
    if place is None:
        return
    part = None
    try:
        handle, part = tempfile.mkstemp(prefix=".part-", dir=place)
        with open(handle, "wb") as stream:
            stream.write(MAGIC + hashlib.sha256(content).digest() + content)
        os.replace(part, place / name)
    except OSError as error:
        if part is not None:
            with contextlib.suppress(OSError):
                os.unlink(part)
        _warn(place, error.strerror or str(error))
        return
    if _writes % SWEEP == 0:
        sweep(place)
    _writes += 1


def sweep(place: Path, limit: int = LIMIT, kept: int = KEPT) -> None:
    """Where the folder holds more than ``limit`` bytes, remove the oldest entries until ``kept`` are left."""
    found = []
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # another process removes too
                if entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    if total <= limit:
        return
    for _, size, path in sorted(found):
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size
        if total <= kept:
            return


def _usual() -> Path:
    """Where this system's programs keep what can be made again."""
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "")
        parent = parent if os.path.isabs(parent) else "~/.cache"  # the XDG rule: a relative one is ignored
    return Path(parent, "glassgrad").expanduser()


def _private(status: os.stat_result) -> bool:
    """Whether only this user can have written it. Windows keeps the folder above per user."""
    user = getattr(os, "geteuid", None)
    return user is None or (status.st_uid == user() and not status.st_mode & _OTHERS_WRITE)


def _open_itself(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))  # a pipe would wait


def _warn(place: Path, reason: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            f"jit: compiled code is not kept in {place}: {reason}; set {VARIABLE} to a folder of your own, or to 'off'",
            RuntimeWarning,
            stacklevel=2,
        )
