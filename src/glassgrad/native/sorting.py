"""Stable argsort of keys with their positions: by merging where there are few, by the bytes of keys where many.

Every element becomes an integer that is ordered as NumPy orders elements, NaN last and both zeros alike, so one sort
serves all dtypes. A key of up to 32 bits lies in one word with its position below it, a larger one in a word of its
own before the position's: an item. Sorting by bytes takes one round for each of them, whatever the number of items,
and guesses nothing; a merge takes as many rounds as the number has binary digits.
"""

from __future__ import annotations

import math

from ..kernel.lower import Outside
from .builder import I1, I64, PTR, Type, Value, integer, number
from .casts import MEMORY, REGISTER, WIDTH
from .frame import Frame, Written
from .target import Target

RUN = 8  # elements sorted by insertion, before merging begins
FRACTION = {"bfloat16": 7, "float16": 10, "float32": 23, "float64": 52}  # bits of it
MANY = 32  # elements for each byte of a key from which on counting bytes is faster than merging
INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def write(outside: Outside, target: Target) -> Written | None:
    """The routine of an argsort; None for dtypes without an integer key."""
    (shape, _), dtype = outside.shapes, outside.dtypes[0].name
    axis: int = outside.params["axis"]
    if (dtype not in FRACTION and dtype not in INTEGERS) or shape[axis] >> 32:
        return None
    sort = Sort(dtype, shape[axis], math.prod(shape[axis + 1 :]))
    sort.rows(math.prod(shape[:axis]))
    return Written(sort.close(), f"sort of {dtype}", {}, _unfailing)


def _unfailing(code: int) -> Exception:
    return AssertionError(f"argsort returned {code}, and there is nothing in it that fails")


class Sort(Frame):
    """The routine, for rows of ``size`` elements that lie ``stride`` elements apart.

    Attributes
    ----------
    bits : of a key
    wide : whether the position needs a word of its own
    width : bytes of an item
    passes : bytes to sort by; 0 where runs are merged
    source, target : where items are, and where the next round puts them
    """

    def __init__(self, dtype: str, size: int, stride: int) -> None:
        super().__init__()
        self.dtype, self.size, self.stride = dtype, size, stride
        self.bits = WIDTH[REGISTER[dtype]]
        self.wide = self.bits == 64
        self.width = 16 if self.wide else 8
        rounds = -(-self.bits // 8)
        self.passes = rounds if size >= MANY * rounds else 0
        self.spaces = [self.reserve(size * self.width) for _ in range(2)]
        self.source, self.target = self.local(PTR, align=8), self.local(PTR, align=8)

    def rows(self, outer: int) -> None:
        x, y = self.buffer(0), self.buffer(1)
        if not self.size:
            return
        with self.loop(integer(0), integer(outer)) as i, self.loop(integer(0), integer(self.stride)) as j:
            begin = self.op("add nsw", self.op("mul nsw", i, integer(self.size * self.stride)), j)
            source, target = (self.address(b, s, begin) for b, s in ((x, MEMORY[self.dtype]), (y, "i64")))
            ordered = self.read_row(source)
            self.store(self.spaces[0], self.source)
            self.store(self.spaces[1], self.target)
            with self.when(self.op("xor", ordered, number(True, I1))):
                if self.passes:
                    self.distribute()
                else:
                    self.sort_runs()
                    self.merge_runs()
            self.write_row(target)

    # In and out

    def read_row(self, row: Value) -> Value:
        """Keys and positions, in the first space; whether they are in order already."""
        scalar = "i" + str(max(self.bits, 8))
        ordered, last = self.local(I1, align=1), self.local(I64, align=8)
        self.store(number(True, I1), ordered)
        self.store(integer(-(1 << 63)), last)
        with self.loop(integer(0), integer(self.size)) as i:
            place = self.address(row, scalar, self.op("mul nsw", i, integer(self.stride)))
            key, item = self.key(self.load(place, Type(scalar))), self.item(self.spaces[0], i)
            if self.wide:
                self.put(i, item, 8)
            else:
                key = self.op("or", self.op("shl", self.convert("sext", key, "i64"), integer(32)), i)
            self.store(key, item)
            after = self.compare("icmp sle", self.load(last, I64), key)
            self.store(self.op("and", self.load(ordered, I1), after), ordered)
            self.store(key, last)
        return self.load(ordered, I1)

    def write_row(self, row: Value) -> None:
        items = self.load(self.source, PTR)
        with self.loop(integer(0), integer(self.size)) as i:
            item = self.item(items, i)
            place = self.get(item, 8) if self.wide else self.op("and", self.get(item), integer((1 << 32) - 1))
            self.store(place, self.address(row, "i64", self.op("mul nsw", i, integer(self.stride))))

    def key(self, bits: Value) -> Value:
        """A signed integer for an element, given its bits."""
        least = 1 << WIDTH[bits.type.scalar] - 1
        if self.dtype not in FRACTION:
            return self.op("xor", bits, number(least, bits.type)) if self.dtype.startswith("u") else bits
        size = self.op("and", bits, number(least - 1, bits.type))
        below = self.compare("icmp slt", bits, number(0, bits.type))
        signed = self.select(below, self.op("sub", number(0, bits.type), size), size)
        infinity = least - (1 << FRACTION[self.dtype])
        nan = self.compare("icmp sgt", size, number(infinity, bits.type))
        return self.select(nan, number(least - 1, bits.type), signed)

    # Items

    def item(self, items: Value, index: Value) -> Value:
        return self.address(items, f"[{self.width} x i8]", index)

    def held(self, place: Value) -> Value:
        """A whole item."""
        return self.define(self.type, f"load {self.type}, ptr {place.text}, align 8")

    @property
    def type(self) -> Type:
        return Type("i64", 2 if self.wide else 0)

    def hold(self, item: Value, place: Value) -> None:
        self.line(f"store {self.type} {item.text}, ptr {place.text}, align 8")

    def key_of(self, item: Value) -> Value:
        return self.extract(item, 0) if self.wide else item

    def either(self, condition: Value, a: Value, b: Value) -> Value:
        """A select that must not become a branch: half of its guesses would be wrong."""
        self.module.globals["unpredictable"] = "!0 = !{}"
        choice = self.select(condition, a, b)
        self.lines[-1] += ", !unpredictable !0"
        return choice

    # Sorting

    def sort_runs(self) -> None:
        """Insertion: an item moves before those with a greater key."""
        items = self.spaces[0]
        with self.loop(integer(0), integer(self.size), RUN) as begin:
            end = self.least(self.op("add nsw", begin, integer(RUN)), self.size)
            with self.loop(self.op("add nsw", begin, integer(1)), end) as i:
                item, place = self.held(self.item(items, i)), self.local(I64, align=8)
                key = self.key_of(item)
                self.store(i, place)
                head, test, move, done = self.labels("insert", "test", "move", "inserted")
                self.go(head)
                self.block(head)
                at = self.load(place, I64)
                self.branch(self.compare("icmp sgt", at, begin), test, done)
                self.block(test)
                before = self.op("sub nsw", at, integer(1))
                other = self.held(self.item(items, before))
                self.branch(self.compare("icmp sgt", self.key_of(other), key), move, done)
                self.block(move)
                self.hold(other, self.item(items, at))
                self.store(before, place)
                self.go(head)
                self.block(done)
                self.hold(item, self.item(items, at))

    def distribute(self) -> None:
        """For each byte of the keys, the lowest first: to where items with this byte begin, in the order they had."""
        counts = [self.local(I64, 256) for _ in range(self.passes)]
        for count in counts:
            with self.loop(integer(0), integer(256)) as k:
                self.store(integer(0), self.address(count, "i64", k))
        with self.loop(integer(0), integer(self.size)) as i:
            item = self.held(self.item(self.spaces[0], i))
            for byte, count in enumerate(counts):
                place = self.address(count, "i64", self.byte(item, byte))
                self.store(self.op("add", self.load(place, I64), integer(1)), place)
        for byte, count in enumerate(counts):
            first = self.byte(self.held(self.load(self.source, PTR)), byte)
            with self.when(self.differ(self.load(self.address(count, "i64", first), I64), integer(self.size))):
                self.move_by(byte, count)

    def move_by(self, byte: int, count: Value) -> None:
        """One round; ``count`` says how often each byte occurs, and then where the next item with it goes."""
        source, target = self.load(self.source, PTR), self.load(self.target, PTR)
        total = self.local(I64, align=8)
        self.store(integer(0), total)
        with self.loop(integer(0), integer(256)) as k:
            place, begin = self.address(count, "i64", k), self.load(total, I64)
            self.store(self.op("add", begin, self.load(place, I64)), total)
            self.store(begin, place)
        with self.loop(integer(0), integer(self.size)) as i:
            item = self.held(self.item(source, i))
            place = self.address(count, "i64", self.byte(item, byte))
            to = self.load(place, I64)
            self.hold(item, self.item(target, to))
            self.store(self.op("add", to, integer(1)), place)
        self.store(target, self.source)
        self.store(source, self.target)

    def byte(self, item: Value, which: int) -> Value:
        """A byte of an item's key; that of the sign so that negative keys come first."""
        begin = 0 if self.wide else 32
        turned = self.op("xor", self.key_of(item), number(1 << begin + max(self.bits, 8) - 1, I64))
        return self.op("and", self.op("lshr", turned, integer(begin + 8 * which)), integer(255))

    def merge_runs(self) -> None:
        """Neighbouring runs are merged from one space into the other, until one run is left, in ``source``."""
        run = self.local(I64, align=8)
        self.store(integer(RUN), run)
        head, body, done = self.labels("passes", "pass", "sorted")
        self.go(head)
        self.block(head)
        length = self.load(run, I64)
        self.branch(self.compare("icmp slt", length, integer(self.size)), body, done)
        self.block(body)
        source, target = self.load(self.source, PTR), self.load(self.target, PTR)
        twice = self.op("shl", length, integer(1))
        begin = self.local(I64, align=8)
        self.store(integer(0), begin)
        each, some, last = self.labels("pairs", "pair", "last")
        self.go(each)
        self.block(each)
        low = self.load(begin, I64)
        self.branch(self.compare("icmp slt", low, integer(self.size)), some, last)
        self.block(some)
        middle = self.least(self.op("add nsw", low, length), self.size)
        high = self.least(self.op("add nsw", low, twice), self.size)
        self.pair(source, target, low, middle, high)
        self.store(high, begin)
        self.go(each)
        self.block(last)
        self.store(target, self.source)
        self.store(source, self.target)
        self.store(twice, run)
        self.go(head)
        self.block(done)

    def pair(self, source: Value, target: Value, low: Value, middle: Value, high: Value) -> None:
        """Merge [low, middle) and [middle, high); the second may be empty."""
        one = integer(1)
        cells = [self.local(I64, align=8) for _ in range(3)]
        for cell, start in zip(cells, (low, middle, low), strict=True):
            self.store(start, cell)
        head, test, body, rest = self.labels("head", "test", "body", "rest")
        self.go(head)
        self.block(head)
        a, b, out = (self.load(c, I64) for c in cells)
        self.branch(self.compare("icmp slt", a, middle), test, rest)
        self.block(test)
        self.branch(self.compare("icmp slt", b, high), body, rest)
        self.block(body)
        right = self.compare("icmp slt", *[self.get(self.item(source, i)) for i in (b, a)])
        self.hold(self.held(self.item(source, self.either(right, b, a))), self.item(target, out))
        forward = self.convert("zext", right, "i64")
        self.store(self.op("add", b, forward), cells[1])
        self.store(self.op("add", self.op("sub", a, forward), one), cells[0])
        self.store(self.op("add", out, one), cells[2])
        self.go(head)
        self.block(rest)
        left = self.op("sub nsw", middle, a)
        for start, count, place in ((a, left, out), (b, self.op("sub nsw", high, b), self.op("add", out, left))):
            size = self.op("mul nsw", count, integer(self.width))
            self.copy(self.item(target, place), self.item(source, start), size)
