"""Ctrl-C while training: the first one ends training in good order, the second one at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(BaseException):
    """Ctrl-C came where work may be dropped. Not an ``Exception``: no handler of the user's is meant to see it."""


class Interrupt:
    """Whether Ctrl-C was pressed, and whether it may break in just now.

    Attributes
    ----------
    asked : whether it was pressed
    open : whether the code that runs can be left at any instruction; set by ``breakable``
    """

    def __init__(self) -> None:
        self.asked = False
        self.open = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of the signal."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self.open:
            self.open = False
            raise Interrupted

    @contextlib.contextmanager
    def breakable(self, wanted: bool = True) -> Iterator[None]:
        """A stretch of code that Ctrl-C may leave at any instruction, by ``Interrupted``."""
        self.open = wanted
        try:
            yield
        finally:
            self.open = False


@contextlib.contextmanager
def noticed() -> Iterator[Interrupt]:
    """Take note of Ctrl-C, in the main thread. Where somebody handles it already, nothing changes."""
    interrupt = Interrupt()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interrupt
        return
    signal.signal(signal.SIGINT, interrupt.handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
