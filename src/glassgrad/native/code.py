"""A builder for the run time's own functions: calls, jumps and memory that threads share."""

from __future__ import annotations

from .builder import I64, PTR, SIZES, Builder, Type, Value, integer


class Code(Builder):
    """Blocks are named by hand here."""

    def finish(self) -> None:
        super().finish()
        name = self.head.partition("@")[2].partition("(")[0]
        self.module.declarations[name] = ""  # calls before and after need none

    # Addresses: a base and a distance in bytes

    def at(self, base: Value, offset: int | Value) -> Value:
        return self.address(base, "i8", integer(offset) if isinstance(offset, int) else offset)

    def get(self, base: Value, offset: int | Value = 0, type: Type = I64) -> Value:
        return self.load(self.at(base, offset), type)

    def put(self, value: Value, base: Value, offset: int | Value = 0) -> None:
        self.store(value, self.at(base, offset))

    # Memory that threads share

    def read(self, base: Value, offset: int, type: Type = I64) -> Value:
        place = self.at(base, offset)
        return self.define(type, f"load atomic {type}, ptr {place.text} seq_cst, align {SIZES[type.scalar]}")

    def write(self, value: Value, base: Value, offset: int, order: str = "seq_cst") -> None:
        place, align = self.at(base, offset), SIZES[value.type.scalar]
        self.line(f"store atomic {value.type} {value.text}, ptr {place.text} {order}, align {align}")

    def add(self, base: Value, offset: int, value: Value) -> None:
        place = self.at(base, offset)
        self.define(I64, f"atomicrmw add ptr {place.text}, i64 {value.text} seq_cst")

    def swap(self, base: Value, offset: int, old: Value, new: Value) -> Value:
        """Write ``new`` if ``old`` is there, and say whether it was."""
        place = self.at(base, offset)
        pair = self.define(I64, f"cmpxchg ptr {place.text}, i64 {old.text}, i64 {new.text} seq_cst seq_cst")
        return self.define(Type("i1"), f"extractvalue {{ i64, i1 }} {pair.text}, 1")

    # Calls and jumps

    def call(self, result: str, name: str, *args: Value) -> Value:
        """Call a function by name, declaring it if it is not of this module, or by its address, ``%…``."""
        types, values = ", ".join(str(a.type) for a in args), ", ".join(f"{a.type} {a.text}" for a in args)
        if name[0] != "%":
            self.module.declarations.setdefault(name, f"declare {result} @{name}({types})")
            name = f"@{name}"
        if result == "void":
            self.line(f"call void {name}({values})")
            return Value("", PTR)
        return self.define(Type(result), f"call {result} {name}({values})")

    def go(self, label: str) -> None:
        self.line(f"br label %{label}")

    def branch(self, condition: Value, yes: str, no: str) -> None:
        self.line(f"br i1 {condition.text}, label %{yes}, label %{no}")

    def need(self, condition: Value, otherwise: str) -> None:
        """Go on in a block of its own where the condition holds, and elsewhere if not."""
        (on,) = self.labels("on")
        self.branch(condition, on, otherwise)
        self.block(on)

    def same(self, a: Value, b: Value) -> Value:
        return self.compare("icmp eq", a, b)

    def differ(self, a: Value, b: Value) -> Value:
        return self.compare("icmp ne", a, b)
