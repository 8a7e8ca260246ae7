"""What is done when first asked for: attributes, imports."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FrameType
from typing import Any, Generic, TypeVar, overload

from .errors import MissingExtraError

T = TypeVar("T")


class _Undivided:
    """Held while something is done that neither a fork nor Ctrl-C may halve: a library imported, LLVM entered.

    A fork waits, because the child would find the locks of threads that it does not have held for ever. Ctrl-C waits,
    because an exception between a call into LLVM and Python's note of what became of its objects has them freed twice.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0  # in the main thread, to which alone signals come
        self.pressed = False
        self.handler: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            if not self.depth:
                self.handler, self.pressed = signal.getsignal(signal.SIGINT), False
                if callable(self.handler):
                    try:
                        signal.signal(signal.SIGINT, self._note)
                    except ValueError:  # of another interpreter than the first
                        self.handler = None
            self.depth += 1
        self.lock.acquire()

    def __exit__(self, *exception: object) -> None:
        self.lock.release()
        if threading.current_thread() is not threading.main_thread():
            return
        self.depth -= 1
        if not self.depth and callable(self.handler):
            signal.signal(signal.SIGINT, self.handler)
            if self.pressed:
                signal.raise_signal(signal.SIGINT)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.pressed = True


undivided = _Undivided()

if hasattr(os, "register_at_fork"):
    lock = undivided.lock
    os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """What is done here makes much and drops little: Python does not look for cycles among it meanwhile.

    One look through all that is alive takes longer than most programs take to compile. ``undivided`` is held, so that
    no child inherits a collector that nobody will turn on again.
    """
    with undivided:
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()


def extra_module(name: str, missing: str) -> Any:
    """A module of a library that need not be installed; without it a MissingExtraError that says ``missing``."""
    loaded = sys.modules.get(name)
    if loaded is not None and not getattr(getattr(loaded, "__spec__", None), "_initializing", False):
        return loaded  # asked for at every call of a special function
    try:
        with undivided:
            return import_module(name)
    except ImportError:
        raise MissingExtraError(missing) from None


def scipy_function(module: str, name: str) -> Callable[..., Any]:
    """The function ``scipy.module.name``. MissingExtraError without SciPy."""
    missing = f"{name}: SciPy evaluates this function and is not installed; pip install 'glassgrad[scipy]'"
    found: Callable[..., Any] = getattr(extra_module(f"scipy.{module}", missing), name)
    return found


class lazy(Generic[T]):
    """``functools.cached_property`` without a lock: Python 3.11 has one a class, and a forked child inherits it held.

    Where several threads ask at once each computes the value, and all get the one that was there first.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> lazy[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | lazy[T]:
        if instance is None:
            return self
        value: T = vars(instance).setdefault(self.name, self.function(instance))
        return value
