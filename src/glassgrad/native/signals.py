"""Letting the user interrupt a long native loop: Python's signal handlers run between two of its rounds.

The check is native code and not a Python function that ctypes calls: a handler's exception would be raised at that
function's very first instruction, where nothing can catch it, and ctypes would drop it.
"""

from __future__ import annotations

import ctypes
import functools
import threading

from . import library
from .builder import I32, PTR, Module, Value, number
from .code import Code
from .target import host

_PYTHON = (
    *("PyGILState_Ensure", "PyGILState_Release", "PyErr_CheckSignals", "PyErr_Fetch", "PyErr_NormalizeException"),
    *("PyObject_CallOneArg", "PyErr_Clear", "Py_DecRef"),
)
_NULL = Value("null", PTR)


class Watch:
    """A function for the table of a program, which runs the handlers of signals that have come.

    Attributes
    ----------
    address : of ``i32 f(ptr)``, which returns 0, or -1 where a handler raised
    name : for reports
    """

    name = "signals"

    def __init__(self) -> None:
        self.library, self.address = _checked()

    def failure(self, code: int) -> BaseException | None:
        """What a handler raised in this thread, once."""
        error: BaseException | None = getattr(_kept, "error", None)
        _kept.error = None
        return error


_kept = threading.local()


def _keep(error: BaseException) -> None:
    _kept.error = error


@functools.cache
def _checked() -> tuple[library.Library, int]:
    addresses = {name: ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for name in _PYTHON}
    code = library.load("signals", _module, host(), addresses)
    ctypes.c_void_p.from_address(code.address("glassgrad_keep")).value = id(_keep)
    return code, code.address("glassgrad_signals")


def _module() -> str:
    module = Module()
    module.globals["keep"] = "@glassgrad_keep = dso_local global ptr null"
    c = Code(module, "glassgrad_signals", [(PTR, "unused", "")], result="i32")
    state = c.call("i32", "PyGILState_Ensure")
    c.need(c.differ(c.call("i32", "PyErr_CheckSignals"), number(0, I32)), "calm")
    parts = [c.local(PTR, align=8) for _ in range(3)]  # type, value and traceback of the exception
    for part in parts:
        c.store(_NULL, part)
    c.call("void", "PyErr_Fetch", *parts)
    c.call("void", "PyErr_NormalizeException", *parts)
    keep = c.load(Value("@glassgrad_keep", PTR), PTR)
    result = c.call("ptr", "PyObject_CallOneArg", keep, c.load(parts[1], PTR))
    c.call("void", "PyErr_Clear")
    for reference in (result, *(c.load(part, PTR) for part in parts)):
        c.call("void", "Py_DecRef", reference)
    c.call("void", "PyGILState_Release", state)
    c.line("ret i32 -1")
    c.block("calm")
    c.call("void", "PyGILState_Release", state)
    c.line("ret i32 0")
    c.finish()
    return str(module)

