"""The function that a step outside of kernels becomes: ``i32 routine(ptr buffers)``, with memory of its own.

``buffers`` are addresses, inputs first, then outputs. The function returns 0, or says by a positive number what failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .builder import I1, I32, I64, PTR, Module, Value, integer, number
from .code import Code

ON_STACK = 16_384  # bytes of workspace up to which the stack has them: some threads' stacks are small
ALIGNMENT = 64

NO_MEMORY = (1 << 24) - 1
NOT_FINITE = NO_MEMORY - 1  # below these, what failed is the routine's own number


class Written(NamedTuple):
    """A routine before it is compiled.

    Attributes
    ----------
    text : LLVM IR with ``i32 routine(ptr buffers)``
    name : what it is, for reports
    symbols : addresses that the text calls, by name
    failure : what to raise for a code that it returns
    """

    text: str
    name: str
    symbols: dict[str, int]
    failure: Callable[[int], Exception]


class Frame(Code):
    """The routine while it is written. ``reserve`` what it needs, and ``close`` it in the end."""

    def __init__(self) -> None:
        super().__init__(Module(), "routine", [(PTR, "buffers", "")], result="i32")
        self.reserved = 0
        self.workspace = Value("%workspace", PTR)
        self.code = self.local(I32, align=4)
        self.store(number(0, I32), self.code)
        self.need(self.compare("icmp ne", self.workspace, Value("null", PTR)), "starved")

    def reserve(self, size: int) -> Value:
        """The address of so many bytes of workspace."""
        begin = self.reserved
        self.reserved += -(-size // ALIGNMENT) * ALIGNMENT
        return self.at(self.workspace, begin)

    def buffer(self, number: int) -> Value:
        return self.load(self.at(self.arguments["buffers"], 8 * number), PTR)

    def require(self, condition: Value, code: int | Value) -> None:
        """Where the condition does not hold, end with this code."""
        on, off = self.labels("sound", "failed")
        self.branch(condition, on, off)
        self.block(off)
        self.store(code if isinstance(code, Value) else number(code, I32), self.code)
        self.go("finish")
        self.block(on)

    def close(self) -> str:
        """The text of the module."""
        size = max(self.reserved, 1)
        self.go("finish")
        self.block("finish")
        if size <= ON_STACK:
            self.allocas.append(f"  %workspace = alloca i8, i64 {size}, align {ALIGNMENT}")
        else:
            self.module.declarations["malloc"] = "declare noalias ptr @malloc(i64)"
            self.allocas.append(f"  %workspace = call ptr @malloc(i64 {size})")
            self.call("void", "free", self.workspace)
        self.line(f"ret i32 {self.load(self.code, I32).text}")
        self.block("starved")
        self.line(f"ret i32 {NO_MEMORY}")
        self.finish()
        return str(self.module)

    def least(self, a: Value, b: Value | int) -> Value:
        """The smaller of two numbers."""
        return self.intrinsic("smin", I64, a, integer(b) if isinstance(b, int) else b)

    def copy(self, target: Value, source: Value, size: Value) -> None:
        """Copy ``size`` bytes to where they do not overlap."""
        self.call("void", "llvm.memcpy.p0.p0.i64", target, source, size, number(False, I1))
