"""``RandomState.shuffle`` in native code: the same order from the same bits, where no branch depends on them."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import library
from .builder import I64, PTR, Module, Type, integer, number
from .call import data
from .code import Code
from .target import host


def shuffler(random: np.random.RandomState, order: NDArray[np.int64]) -> Callable[[], None]:
    """A function that does what ``random.shuffle(order)`` does, in half of the time.

    NumPy's frozen algorithm (NEP 19): Fisher and Yates from the last place on, which changes places with one of those
    up to it, drawn with so many bits as the place's number has, again where that is too large. Whether a draw was too
    large nobody can guess, and here nobody does: a place changes with itself then.

    Examples
    --------
    >>> order = np.arange(5)
    >>> shuffler(np.random.RandomState(0), order)()
    >>> order
    array([2, 0, 1, 3, 4])
    """
    bits: Any = random._bit_generator
    code, native = _function()
    state = bits.ctypes.state_address, ctypes.cast(bits.ctypes.next_uint32, ctypes.c_void_p).value
    given = (*state, data(order), len(order))
    lock = bits.lock

    def shuffle(kept: Any = (code, bits, order)) -> None:
        with lock:
            native(*given)

    return shuffle


@functools.cache
def _function() -> tuple[library.Library, Callable[..., None]]:
    code = library.load("shuffle", _module, host())
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    return code, kind(code.address("glassgrad_shuffle"))


def _module() -> str:
    made = Module()
    parameters = [(PTR, "state", ""), (PTR, "draw", ""), (PTR, "order", ""), (I64, "count", "")]
    c = Code(made, "glassgrad_shuffle", parameters)
    state, draw, order, count = c.arguments.values()
    place, mask = c.local(I64, align=8), c.local(I64, align=8)
    last = c.op("sub", count, integer(1))
    zeros = c.intrinsic("ctlz", I64, last, number(False, Type("i1")), overload=[I64])
    c.store(last, place)
    c.store(c.op("lshr", integer(-1), zeros), mask)
    head, body, done = c.labels("head", "body", "done")
    c.go(head)
    c.block(head)
    at, most = c.load(place, I64), c.load(mask, I64)
    c.branch(c.compare("icmp sgt", at, integer(0)), body, done)
    c.block(body)
    drawn = c.op("and", c.convert("zext", c.call("i32", draw.text, state), "i64"), most)
    fits = c.compare("icmp ule", drawn, at)
    here, there = (c.address(order, "i64", i) for i in (at, c.select(fits, drawn, at)))
    one, other = c.load(here, I64), c.load(there, I64)
    c.store(other, here)
    c.store(one, there)
    at = c.op("sub", at, c.convert("zext", fits, "i64"))
    half = c.op("lshr", most, integer(1))
    c.store(at, place)
    c.store(c.select(c.compare("icmp ule", at, half), half, most), mask)
    c.go(head)
    c.block(done)
    c.line("ret void")
    c.finish()
    return str(made)
