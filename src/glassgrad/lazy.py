"""What is done when first asked for: attributes, imports."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Generic, TypeVar, overload

from .errors import MissingExtraError

T = TypeVar("T")

# Held while something is done that a child must not inherit half done: a library imported, LLVM entered. A fork waits
# for it, because the locks of a thread that the child does not have are held there for ever.
undivided = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=undivided.acquire, after_in_parent=undivided.release, after_in_child=undivided.release)


def extra_module(name: str, missing: str) -> Any:
    """A module of a library that need not be installed; without it a MissingExtraError that says ``missing``."""
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
