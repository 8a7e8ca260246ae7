"""What ``call.py`` tells native code of a signature, as a row of 64-bit words, and the builder of code that reads it.

A plan is a header, then records in the order in which they are read.
"""

from __future__ import annotations

from .builder import I64, PTR, Module, Type, Value, integer
from .code import Code
from .layout import TYPE

# The header, in words; what comes last in the program's table, before the arena, is called constants here
(ARITY, LEAVES, OUTPUTS, CONSTANTS, PROGRAM, ARENA, BUSY, RELEASE, FAIL, WRAP, DONATED) = range(11)
(AT_ARGUMENTS, AT_OUTPUTS, AT_RESULT, AT_CONSTANTS, AT_BYTES, AT_DONATED) = range(11, 17)  # where each part begins
(NOT_IMPLEMENTED, TRUE, FALSE, NONE, NDARRAY, STR) = range(17, 23)  # addresses of objects
HEADER = 23

# The first word of a record
LEAF, TUPLE, LIST, DICT, OBJECT, EMPTY = range(6)

# LEAF of an argument. A holder is a glassgrad Array: its type, and where it keeps its value and whether it is tracked
KIND, EXPECTED, STORED, LEAF_DESCR, LEAF_NUMBER, LEAF_FLAGS, HOLDER, VALUE_AT, TRACKED_AT, AXES, SHAPE = range(1, 12)
ARRAY, SCALAR, FLOAT, INT, BOOL = range(5)
STORES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")

# Of a container: its type and size. DICT goes on with its keys; OBJECT with a number of static fields, the children's
# names, and (name, value, whether equal is enough) of each static field. In the result the word after the code is the
# number of children; a DICT has then a dict to copy and its keys, an OBJECT what is called with a tuple of children.

# An output: what it is, its descr, whether it is wrapped, the argument whose memory it is, its axes and their sizes
FRESH, NUMBER_OUT, GIVEN_BACK = range(3)
MADE_AS, OUT_DESCR, WRAPPED, SOURCE, OUT_AXES, OUT_SHAPE = range(6)

# What the functions share while a call lasts, in words
CURSOR, COUNT, HELD, TABLE, SCRATCH, PLAN, MADE, TAKEN = range(8)
FRAME = 8
CELL = 16  # bytes for one number

NULL, ZERO, ONE = Value("null", PTR), integer(0), integer(1)
_PARAMETERS = {"index": I64, "count": I64, "number": I64}


class Walk(Code):
    """Words of plans and of the frame; words are counted, not bytes."""

    def __init__(self, made: Module, name: str, *parameters: str, result: str = "i64", linkage: str = "internal"):
        listed = [(_PARAMETERS.get(p, PTR), p, "") for p in parameters]
        super().__init__(made, name, listed, result=result, linkage=linkage)
        self.frame = self.arguments.get("frame", NULL)

    def word(self, base: Value, index: int | Value, type: Type = I64) -> Value:
        return self.load(self.past(base, index), type)

    def set(self, value: Value, base: Value, index: int | Value) -> None:
        self.store(value, self.past(base, index))

    def past(self, base: Value, index: int | Value) -> Value:
        """The address of a word."""
        return self.address(base, "i64", integer(index) if isinstance(index, int) else index)

    def part(self, plan: Value, name: int) -> Value:
        """Where a part of the plan begins."""
        return self.past(plan, self.word(plan, name))

    def bump(self, name: int, by: Value = ONE) -> Value:
        """Add to a counter in the frame, and return what was there."""
        old = self.word(self.frame, name)
        self.set(self.plus(old, by), self.frame, name)
        return old

    def read_past(self, record: Value, words: int | Value) -> None:
        """Go on behind a record."""
        self.set(self.past(record, words), self.frame, CURSOR)

    def plus(self, a: Value, b: Value | int) -> Value:
        return self.op("add", a, integer(b) if isinstance(b, int) else b)

    def exact(self, thing: Value, kind: Value, otherwise: str) -> None:
        """Go on only with an instance of this very type."""
        self.need(self.same(self.get(thing, TYPE, PTR), kind), otherwise)

    def switch(self, value: Value, cases: dict[int, str], otherwise: str) -> None:
        listed = " ".join(f"i64 {number}, label %{label}" for number, label in cases.items())
        self.line(f"switch i64 {value.text}, label %{otherwise} [ {listed} ]")

    def ends(self, **values: str) -> None:
        """Blocks that return, by label, and the end of the function."""
        for label, value in values.items():
            self.block(label)
            self.line(f"ret {value}")
        self.finish()
