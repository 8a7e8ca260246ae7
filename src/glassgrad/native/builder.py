"""LLVM IR as text, one instruction a line. Knows types and spelling; knows no loops of ours and no machine.

Text and not ``llvmlite.ir``: a kernel has thousands of instructions, and building objects for them took longer than
compiling them.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

SIZES = {"i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}
FLOATS = ("half", "bfloat", "float", "double")
_MANGLED = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64", "ptr": "p0"}


class Type(NamedTuple):
    """``lanes`` elements of a scalar type; 0 lanes is a scalar."""

    scalar: str
    lanes: int = 0

    def __str__(self) -> str:
        return f"<{self.lanes} x {self.scalar}>" if self.lanes else self.scalar

    @property
    def mangled(self) -> str:
        """As intrinsics spell it: v16f32."""
        scalar = _MANGLED.get(self.scalar, self.scalar)
        return f"v{self.lanes}{scalar}" if self.lanes else scalar


class Value(NamedTuple):
    """An SSA value or a constant."""

    text: str
    type: Type


I1, I8, I32, I64, PTR = Type("i1"), Type("i8"), Type("i32"), Type("i64"), Type("ptr")


def number(value: float | int | bool, type: Type) -> Value:
    """A constant, splatted where the type is a vector."""
    scalar = type.scalar
    if scalar in FLOATS:
        if scalar in ("half", "bfloat"):
            raise ValueError("16-bit floats are stored, never computed with")
        if scalar == "float":
            value = struct.unpack("f", struct.pack("f", value))[0]
        text = "0x" + struct.pack(">d", float(value)).hex().upper()
    elif scalar == "i1":
        text = "true" if value else "false"
    else:
        bits = 8 * SIZES[scalar]
        text = str((int(value) + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1))  # two's complement
    return Value(f"splat ({scalar} {text})" if type.lanes else text, type)


def integer(value: int) -> Value:
    return Value(str(value), I64)


class Module:
    """Functions, the intrinsics they declare, and constant tables."""

    def __init__(self) -> None:
        self.functions: list[str] = []
        self.declarations: dict[str, str] = {}
        self.globals: dict[str, str] = {}
        self.names: set[str] = set()  # of functions that several kernels share

    def __str__(self) -> str:
        return "\n".join([*self.globals.values(), *self.functions, *self.declarations.values()]) + "\n"


class Builder:
    """The body of one function.

    ``attributes`` follow the parameter list; ``parameters`` are (type, name, attributes) and become values by name.
    """

    def __init__(
        self,
        module: Module,
        name: str,
        parameters: Sequence[tuple[Type, str, str]],
        *,
        result: str = "void",
        linkage: str = "",
        attributes: str = "nounwind",
    ) -> None:
        self.module = module
        listed = ", ".join(f"{t} {extra} %{n}".replace("  ", " ") for t, n, extra in parameters)
        self.head = f"define {linkage} {result} @{name}({listed}) {attributes} {{".replace("  ", " ")
        self.allocas: list[str] = []
        self.lines: list[str] = []
        self.count = 0
        self.label = "start"
        self.arguments = {n: Value(f"%{n}", t) for t, n, _ in parameters}

    def finish(self) -> None:
        """Add the function to the module; the caller has emitted the last ``ret``."""
        body = "\n".join([self.head, "entry:", *self.allocas, "  br label %start", "start:", *self.lines, "}"])
        self.module.functions.append(body)

    # Spelling

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def define(self, type: Type, text: str) -> Value:
        """A new value for the right-hand side ``text``."""
        self.count += 1
        name = f"%v{self.count}"
        self.lines.append(f"  {name} = {text}")
        return Value(name, type)

    def op(self, code: str, a: Value, b: Value) -> Value:
        """A binary instruction, such as ``fadd`` or ``add nsw``, on values of one type."""
        return self.define(a.type, f"{code} {a.type} {a.text}, {b.text}")

    def fneg(self, a: Value) -> Value:
        return self.define(a.type, f"fneg {a.type} {a.text}")

    def compare(self, code: str, a: Value, b: Value) -> Value:
        """``fcmp olt``, ``icmp slt`` and the like."""
        return self.define(Type("i1", a.type.lanes), f"{code} {a.type} {a.text}, {b.text}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self.define(a.type, f"select {condition.type} {condition.text}, {a.type} {a.text}, {b.type} {b.text}")

    def convert(self, code: str, a: Value, scalar: str) -> Value:
        """``fpext``, ``sitofp``, ``bitcast`` and the like, to another scalar type with as many lanes."""
        to = Type(scalar, a.type.lanes)
        return self.define(to, f"{code} {a.type} {a.text} to {to}")

    def splat(self, a: Value, lanes: int) -> Value:
        """A scalar in every lane; a vector as it is."""
        if a.type.lanes or not lanes:
            return a
        to = Type(a.type.scalar, lanes)
        if a.text[0] != "%":
            return Value(f"splat ({a.type} {a.text})", to)
        first = self.define(to, f"insertelement {to} poison, {a.type} {a.text}, i64 0")
        return self.define(to, f"shufflevector {to} {first.text}, {to} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a: Value, b: Value | None, places: Sequence[int]) -> Value:
        """Lanes of a and b by number, those of b following those of a."""
        to = Type(a.type.scalar, len(places))
        mask = ", ".join(f"i32 {p}" for p in places)
        other = b.text if b is not None else "poison"
        return self.define(to, f"shufflevector {a.type} {a.text}, {a.type} {other}, <{len(places)} x i32> <{mask}>")

    def extract(self, a: Value, lane: int) -> Value:
        return self.define(Type(a.type.scalar), f"extractelement {a.type} {a.text}, i64 {lane}")

    def insert(self, a: Value, element: Value, lane: int) -> Value:
        return self.define(a.type, f"insertelement {a.type} {a.text}, {element.type} {element.text}, i64 {lane}")

    def intrinsic(self, name: str, result: Type, *args: Value, overload: Sequence[Type] | None = None) -> Value:
        """Call ``llvm.name.<types>``, declaring it; the overloaded types are the result's unless given."""
        full = ".".join([f"llvm.{name}", *(t.mangled for t in ([result] if overload is None else overload))])
        types = ", ".join(str(a.type) for a in args)
        self.module.declarations[full] = f"declare {result} @{full}({types})"
        call = f"call {result} @{full}({', '.join(f'{a.type} {a.text}' for a in args)})"
        if result.scalar == "void":
            self.line(call)
            return Value("", result)
        return self.define(result, call)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """a · b + c, rounded once."""
        return self.intrinsic("fma", a.type, a, b, c)

    # Memory: pointers are i8 addresses plus an offset in elements

    def address(self, base: Value, scalar: str, offset: Value) -> Value:
        """The address of element ``offset`` (i64, or a vector of them for a vector of pointers)."""
        to = Type("ptr", offset.type.lanes)
        return self.define(to, f"getelementptr {scalar}, ptr {base.text}, {offset.type} {offset.text}")

    def load(self, pointer: Value, type: Type, extra: str = "") -> Value:
        return self.define(type, f"load {type}, ptr {pointer.text}, align {SIZES[type.scalar]}{extra}")

    def store(self, value: Value, pointer: Value, extra: str = "") -> None:
        align = SIZES[value.type.scalar]
        self.line(f"store {value.type} {value.text}, ptr {pointer.text}, align {align}{extra}")

    def local(self, type: Type, count: int = 1, align: int = 64) -> Value:
        """Memory of this call's own; one element of it is turned into registers by LLVM."""
        self.count += 1
        name = f"%m{self.count}"
        self.allocas.append(f"  {name} = alloca {type}, i64 {count}, align {align}")
        return Value(name, PTR)

    @contextlib.contextmanager
    def heap(self) -> Iterator[Callable[[int], Value]]:
        """A function that takes so many bytes from the heap, aligned to 64; they are given back at the end."""
        taken: list[Value] = []

        def take(size: int) -> Value:
            self.module.declarations["malloc"] = "declare noalias ptr @malloc(i64)"
            self.module.declarations["free"] = "declare void @free(ptr)"
            taken.append(self.define(PTR, f"call ptr @malloc(i64 {size + 63})"))
            last = self.address(taken[-1], "i8", integer(63))
            return self.intrinsic("ptrmask", PTR, last, integer(-64), overload=[PTR, I64])

        yield take
        for pointer in taken:
            self.line(f"call void @free(ptr {pointer.text})")

    # Control

    def block(self, label: str) -> None:
        """Begin a block; the one before it must have ended."""
        self.lines.append(f"{label}:")
        self.label = label

    def labels(self, *stems: str) -> list[str]:
        self.count += 1
        return [f"{stem}{self.count}" for stem in stems]

    @contextlib.contextmanager
    def loop(self, begin: Value, end: Value, step: int = 1, *, counted: str = "") -> Iterator[Value]:
        """for index in range(begin, end, step), tested before the first iteration; ``end - begin`` need not divide."""
        place = self.local(I64, align=8)
        head, body, done = self.labels("head", "body", "done")
        self.store(begin, place)
        self.line(f"br label %{head}")
        self.block(head)
        index = self.load(place, I64)
        more = self.compare("icmp slt", index, end)
        self.line(f"br i1 {more.text}, label %{body}, label %{done}")
        self.block(body)
        yield index
        self.store(self.op("add nsw", index, integer(step)), place)
        self.line(f"br label %{head}{counted}")
        self.block(done)

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """A block that is entered where the condition, an i1, holds."""
        inside, after = self.labels("then", "after")
        self.line(f"br i1 {condition.text}, label %{inside}, label %{after}")
        self.block(inside)
        yield
        self.line(f"br label %{after}")
        self.block(after)
