"""What a command writes, and what happens when nobody reads it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ModelFileError
from ..train.files import require_place


class Output:
    """Standard output that never stops the work: once it cannot be written, the rest of it is dropped.

    Attributes
    ----------
    quiet : whether ``say`` says nothing
    failure : why output was lost; None while all of it was written
    """

    def __init__(self) -> None:
        self.quiet = False
        self.failure: OSError | None = None
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that cannot show × gets a ?, not a traceback

    @property
    def closed(self) -> bool:
        """Whether there is no standard output at all, by the shell's ``>&-``."""
        return sys.stdout is None

    def say(self, text: str) -> None:
        """A paragraph for people."""
        if not self.quiet:
            self.write(text + "\n")
            self.flush()

    def json(self, value: Any) -> None:
        """One line for programs."""
        self.data(json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n")

    def data(self, content: bytes) -> None:
        """Bytes as they are: UTF-8 whatever the terminal is."""
        self.flush()
        self._try(lambda: sys.stdout.buffer.write(content))
        self._try(lambda: sys.stdout.buffer.flush())

    def write(self, text: str) -> int:
        """As a text stream, for progress to be written to."""
        self._try(lambda: sys.stdout.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(lambda: sys.stdout.flush())

    def isatty(self) -> bool:
        return not self.closed and sys.stdout.isatty()

    def _try(self, act: Callable[[], Any]) -> None:
        if self.closed or self.failure:
            return
        try:
            act()
        except OSError as error:
            self.failure = error
            with contextlib.suppress(OSError, ValueError):  # Python would complain once more when it closes the stream
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def note(text: str) -> None:
    """A sentence on standard error."""
    if sys.stderr is not None:  # print would take standard output instead
        with contextlib.suppress(BrokenPipeError):
            print(f"glassgrad: {text}", file=sys.stderr)


def require_output(path: str, option: str, is_ours: Callable[[Path], bool], what: str) -> None:
    """Refuse a path where nothing can be written, or where something is that this command did not write."""
    try:
        place = require_place(path, ModelFileError)
    except ModelFileError as error:
        raise ModelFileError(f"{error}, with {option} FILE") from None
    if not place.exists():
        return
    try:
        place.open("rb").close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelFileError(f"save: {path} exists and cannot be read: {reason}; choose another {option}") from None
    if not is_ours(place):
        raise ModelFileError(f"save: {path} exists and is not {what}: choose another {option}, or remove it first")
