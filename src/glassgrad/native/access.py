"""Where an index points, and what is read and written there: one element, or as many as a vector has lanes.

Lane l of a vector loop stands at base + l on the vector axis, so an index has its offset at the base and its
coefficient on that axis: 1 is a plain vector, -1 one turned round, small ones are picked from a longer vector, and the
rest is gathered. Machines without gathers or masks are LLVM's concern: it makes single accesses of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..kernel import ir
from .builder import I32, PTR, SIZES, Builder, Type, Value, integer, number
from .casts import MEMORY
from .scalars import fold
from .target import Target

LINE = 64  # bytes that memory brings at once
LONGEST_STRIDE = 4  # up to here a strided vector is picked from plain ones

VOID = Type("void")

Terms = tuple[tuple[str, int], ...]
_NO_TERMS: Terms = ()


class Accumulator(NamedTuple):
    """A register in the making: LLVM turns the memory into one.

    ``lost`` is one more, of integers that are not 0 where NaN has passed by; without it, NaN is in the value.
    """

    place: Value
    type: Type
    reducer: str
    dtype: str
    lost: Accumulator | None = None


class Line(NamedTuple):
    """Computed positions that go up by the same number from lane to lane: lane 0's, and that number."""

    first: Value
    step: int


@dataclass
class Scope:
    """What statements can see at one point.

    ``axes`` maps an axis to its value, in order of nesting; on the vector axis that of lane 0. ``lanes`` is 0 outside
    vector loops. ``lines`` are those names that go up evenly from lane to lane. ``offsets`` holds the sums of terms
    computed so far.
    """

    axes: dict[str, Value]
    names: dict[str, tuple[Value, str]]
    lines: dict[str, Line]
    accumulators: dict[str, Accumulator]
    offsets: dict[Terms, Value]
    vector: str = ""
    lanes: int = 0

    def inside(self, axis: str, base: Value, lanes: int | None = None) -> Scope:
        """One loop further in: what is named there is not seen outside. ``lanes`` makes it the vector axis."""
        vector, count = (self.vector, self.lanes) if lanes is None else (axis, lanes)
        axes = {**self.axes, axis: base}
        return Scope(
            axes, dict(self.names), dict(self.lines), dict(self.accumulators), dict(self.offsets), vector, count
        )

    def step(self, index: ir.Affine) -> int:
        """How far the index moves from lane to lane."""
        return dict(index.terms).get(self.vector, 0) if self.lanes else 0


class Buffer(NamedTuple):
    """A buffer of the kernel's: where it starts, and what it holds."""

    pointer: Value
    dtype: str
    size: int


class Spot(NamedTuple):
    """Elements of a buffer: their index, computed already if it is gathered, and whether to touch them."""

    buffer: Buffer
    where: ir.Affine | Line | Value
    mask: Value | None

    @property
    def scalar(self) -> str:
        return MEMORY[self.buffer.dtype]

    def step(self, scope: Scope) -> int | None:
        """From lane to lane; None if that is not the same between all lanes."""
        if isinstance(self.where, Value):
            return None if self.where.type.lanes else 0
        return self.where.step if isinstance(self.where, Line) else scope.step(self.where)

    def moved(self, f: Builder, distance: int) -> Spot:
        assert not isinstance(self.where, Value)
        if isinstance(self.where, Line):
            return self._replace(where=self.where._replace(first=add(f, self.where.first, integer(distance))))
        return self._replace(where=self.where._replace(offset=self.where.offset + distance))


# Positions


def add(f: Builder, a: Value, b: Value) -> Value:
    """Sum of two offsets, at once where both are numbers."""
    if a.text == "0" or b.text == "0":
        return a if b.text == "0" else b
    if "%" in a.text or "%" in b.text:
        return f.op("add nsw", a, b)
    return integer(int(a.text) + int(b.text))


def times(f: Builder, a: Value, factor: int) -> Value:
    if factor == 1:
        return a
    return f.op("mul nsw", a, integer(factor)) if "%" in a.text else integer(int(a.text) * factor)


def without_offset(f: Builder, scope: Scope, index: ir.Affine) -> Value:
    """The terms of an index, in lane 0. Sums are kept term by term, outer axes first, for the next index to use."""
    order = {axis: depth for depth, axis in enumerate(scope.axes)}
    total, key = integer(0), _NO_TERMS
    for axis, factor in sorted(index.terms, key=lambda term: order[term[0]]):
        key = (*key, (axis, factor))
        known = scope.offsets.get(key)
        total = scope.offsets[key] = known or add(f, total, times(f, scope.axes[axis], factor))
    return total


def position(f: Builder, scope: Scope, index: ir.Affine) -> Value:
    """The value of an index, in lane 0."""
    return add(f, without_offset(f, scope, index), integer(index.offset))


def positions(f: Builder, scope: Scope, index: ir.Affine) -> Value:
    """The value of an index in each lane; a scalar where all are equal."""
    first, step = position(f, scope, index), scope.step(index)
    return f.op("add nsw", f.splat(first, scope.lanes), ramp(scope.lanes, step)) if step else first


def ramp(lanes: int, step: int) -> Value:
    """0, step, 2·step, …"""
    return Value("<" + ", ".join(f"i64 {step * lane}" for lane in range(lanes)) + ">", Type("i64", lanes))


def _offset(f: Builder, scope: Scope, spot: Spot) -> Value:
    if isinstance(spot.where, Line):
        return spot.where.first
    return spot.where if isinstance(spot.where, Value) else position(f, scope, spot.where)


def _address(f: Builder, scope: Scope, spot: Spot) -> Value:
    """Where lane 0's element is."""
    return f.address(spot.buffer.pointer, spot.scalar, _offset(f, scope, spot))


def _addresses(f: Builder, scope: Scope, spot: Spot) -> Value:
    """Where each lane's element is: a vector of pointers."""
    if isinstance(spot.where, Value):
        return f.address(spot.buffer.pointer, spot.scalar, f.splat(spot.where, scope.lanes))
    return f.address(_address(f, scope, spot), spot.scalar, ramp(scope.lanes, spot.step(scope) or 0))


# Bits in memory are bytes


def _in_memory(f: Builder, value: Value) -> Value:
    return f.convert("zext", value, "i8") if value.type.scalar == "i1" else value


def _in_registers(f: Builder, value: Value, dtype: str) -> Value:
    return f.compare("icmp ne", value, number(0, value.type)) if dtype == "bool" else value


# Reading


def load(f: Builder, scope: Scope, spot: Spot) -> Value:
    """The elements there; a scalar where all lanes read the same one. 0 where the mask is false."""
    step, mask = spot.step(scope), spot.mask
    if step == 0 and (mask is None or not mask.type.lanes):
        value = _load_one(f, scope, spot)
    elif mask is None and step is not None and 0 < abs(step) <= LONGEST_STRIDE:
        value = _load_picked(f, scope, spot, step)
    else:
        value = _load_masked(f, scope, spot, step)
    return _in_registers(f, value, spot.buffer.dtype)


def fetch(f: Builder, scope: Scope, spot: Spot) -> None:
    """Have the lanes' elements brought to the first cache; they lie side by side, and need not exist."""
    first, size = _address(f, scope, spot), SIZES[spot.scalar]
    to_read, of_first_cache, of_data = (Value(text, I32) for text in "031")
    for place in range(0, max(scope.lanes, 1) * size, LINE):
        line = f.address(first, "i8", integer(place))
        f.intrinsic("prefetch", VOID, line, to_read, of_first_cache, of_data, overload=[PTR])


def _load_one(f: Builder, scope: Scope, spot: Spot) -> Value:
    type, mask = Type(spot.scalar), spot.mask
    if mask is None:
        return f.load(_address(f, scope, spot), type)
    zero = number(0, type)
    if not spot.buffer.size:
        return zero
    safe = f.select(mask, _offset(f, scope, spot), integer(0))  # cheaper than a branch, and element 0 is there
    return f.select(mask, f.load(f.address(spot.buffer.pointer, type.scalar, safe), type), zero)


def _load_picked(f: Builder, scope: Scope, spot: Spot, step: int) -> Value:
    """The lanes' elements out of the stretch of memory they lie in."""
    length = abs(step) * (scope.lanes - 1) + 1
    lowest = spot if step > 0 else spot.moved(f, 1 - length)
    stretch = f.load(_address(f, scope, lowest), Type(spot.scalar, length))
    return stretch if step == 1 else f.shuffle(stretch, None, range(0, length)[::step])


def _load_masked(f: Builder, scope: Scope, spot: Spot, step: int | None) -> Value:
    type, mask = Type(spot.scalar, scope.lanes), _mask(f, scope, spot)
    name, pointer = _pointer(f, scope, spot, step, "load", "gather")
    return f.intrinsic(name, type, pointer, _align(type), mask, number(0, type), overload=[type, pointer.type])


def _pointer(f: Builder, scope: Scope, spot: Spot, step: int | None, together: str, apart: str) -> tuple[str, Value]:
    """The masked intrinsic for elements side by side, or for any elsewhere, and what it takes as address."""
    if step == 1:
        return f"masked.{together}", _address(f, scope, spot)
    return f"masked.{apart}", _addresses(f, scope, spot)


def _mask(f: Builder, scope: Scope, spot: Spot) -> Value:
    return f.splat(spot.mask or number(True, Type("i1")), scope.lanes)


def _align(type: Type) -> Value:
    return Value(str(SIZES[type.scalar]), I32)


# Writing


def store(f: Builder, scope: Scope, spot: Spot, value: Value) -> None:
    """Write the lanes; where several lanes write one element, the last one wins."""
    value = _in_memory(f, value)
    if not scope.lanes:
        _store_one(f, _address(f, scope, spot), value, spot.mask)
        return
    value, step = f.splat(value, scope.lanes), spot.step(scope)
    if spot.mask is None and step in (1, -1):
        lowest = spot if step == 1 else spot.moved(f, 1 - scope.lanes)
        turned = value if step == 1 else f.shuffle(value, None, range(scope.lanes)[::-1])
        f.store(turned, _address(f, scope, lowest))
        return
    mask = _mask(f, scope, spot)
    name, pointer = _pointer(f, scope, spot, step, "store", "scatter")
    f.intrinsic(name, VOID, value, pointer, _align(value.type), mask, overload=[value.type, pointer.type])


def _store_one(f: Builder, pointer: Value, value: Value, mask: Value | None) -> None:
    if mask is None:
        f.store(value, pointer)
        return
    with f.when(mask):
        f.store(value, pointer)


def store_folded(f: Builder, target: Target, scope: Scope, spot: Spot, value: Value, reducer: str) -> None:
    """Fold the lanes into what is in memory: at once where they lie side by side, else one after another."""
    value = f.splat(value, scope.lanes)
    if not scope.lanes:
        _fold_one(f, target, spot, _address(f, scope, spot), value, reducer)
        return
    if spot.step(scope) == 1:
        there = load(f, scope, spot)
        store(f, scope, spot, fold(f, target, reducer, spot.buffer.dtype, there, value))
        return
    pointers, mask = _addresses(f, scope, spot), spot.mask
    for lane in range(scope.lanes):
        chosen = f.extract(mask, lane) if mask is not None and mask.type.lanes else mask
        one = spot._replace(mask=chosen)
        _fold_one(f, target, one, f.extract(pointers, lane), f.extract(value, lane), reducer)


def _fold_one(f: Builder, target: Target, spot: Spot, pointer: Value, value: Value, reducer: str) -> None:
    dtype, type = spot.buffer.dtype, Type(spot.scalar)

    def update() -> None:
        there = _in_registers(f, f.load(pointer, type), dtype)
        f.store(_in_memory(f, fold(f, target, reducer, dtype, there, value)), pointer)

    if spot.mask is None:
        update()
        return
    with f.when(spot.mask):
        update()
