"""What a vector loop does in lanes: which of its statements differ from lane to lane, and how many lanes it has."""

from __future__ import annotations

from collections.abc import Sequence

from ..kernel import index as ix
from ..kernel import ir
from ..kernel.nest import opened
from . import math
from .builder import SIZES
from .casts import FLOATS, MEMORY
from .target import Target

LINE = 64  # bytes that a light loop handles at once, in however many registers that takes
LONG = 8  # rounds of a loop inside, from which on it is what takes the time


def apart(loop: ir.Loop) -> tuple[list[ir.Let | ir.Check], list[ir.Statement]]:
    """The statements that find the same in every lane and in every round, and the others.

    The first can be done before the loop: nothing that they read is written in it.
    """
    written = {s.buffer for s in opened(loop.body) if isinstance(s, ir.Store)}
    differ = {s.name for s in opened(loop.body) if isinstance(s, ir.Let | ir.Reset | ir.Accumulate)}

    def same(said: ir.Load | ir.Scalar | ir.Position) -> bool:
        if isinstance(said, ir.Scalar):
            return not any(isinstance(arg, ir.Name) and arg.id in differ for arg in said.args)
        index = said.index
        held = index.id not in differ if isinstance(index, ir.Name) else not ix.coefficient(index, loop.axis)
        if isinstance(said, ir.Position) or not held:
            return held
        return said.buffer not in written and (said.mask is None or said.mask.id not in differ)

    before: list[ir.Let | ir.Check] = []
    others: list[ir.Statement] = []
    for statement in loop.body:
        if isinstance(statement, ir.Let) and same(statement.value):
            differ.discard(statement.name)
            before.append(statement)
        elif isinstance(statement, ir.Check) and statement.condition.id not in differ:
            before.append(statement)
        else:
            others.append(statement)
    return before, others


def without_lanes(loop: ir.Loop) -> set[str]:
    """Names that no vector is made for: what is the same in all lanes, and positions that are only in indices."""
    same = {s.name for s in apart(loop)[0] if isinstance(s, ir.Let)}
    inside = {s.name for s in opened(loop.body) if isinstance(s, ir.Let | ir.Reset)} - same
    lines, needed = set[str](), set[str]()
    for statement in loop.body:
        if isinstance(statement, ir.Let) and isinstance(statement.value, ir.Position):
            lines.add(statement.name)
        elif isinstance(statement, ir.Let) and isinstance(statement.value, ir.Scalar):
            differ = {arg.id for arg in statement.value.args if isinstance(arg, ir.Name)} & inside
            if statement.value.instruction == "add" and len(differ) == 1 and differ <= lines:
                lines.add(statement.name)
            else:
                needed |= differ
        elif isinstance(statement, ir.Store | ir.Accumulate) and isinstance(statement.value, ir.Name):
            needed.add(statement.value.id)
    return same | lines - needed


def innermost(body: Sequence[ir.Statement]) -> Sequence[ir.Statement]:
    """The statements that take the time: those of a long loop inside, if there is one."""
    long = [s for s in body if isinstance(s, ir.Loop) and s.extent >= LONG]
    return innermost(long[0].body) if len(long) == 1 else body


def in_lanes(extent: int, register: int, abreast: int) -> list[tuple[int, int, int]]:
    """A vector loop as loops (begin, end, lanes) one after the other, each over what those before have left.

    Lanes are whole registers, and of these a power of two where there are fewer than ``abreast``: LLVM takes other
    vectors apart. What is left of a register is by itself.
    """
    found, begin = [], 0
    lanes = register * abreast
    while begin < extent:
        left = extent - begin
        if left < lanes:
            lanes = register << (left // register).bit_length() - 1 if left >= register else left
        found.append((begin, begin + left // lanes * lanes, lanes))
        begin = found[-1][1]
    return found


def choose_lanes(target: Target, formals: Sequence[ir.Formal], loop: ir.Loop) -> list[tuple[int, int, int]]:
    """The loops of ``in_lanes``: a register is one of the widest dtype in the body, and so many are interleaved.

    Folds wait for each other, so light ones go four abreast. A long instruction such as exp is a chain in which each
    step waits for the one before: two abreast, if there are registers for it. A body with many values has enough to do.
    """
    unseen = without_lanes(loop)
    dtypes, values, heavy, folds, ordered = set[str](), 0, False, False, False
    for statement in opened(innermost(loop.body)):
        if isinstance(statement, ir.Let):
            if statement.name not in unseen:
                dtypes.add(statement.dtype)
            values += statement.name not in unseen or statement.dtype in FLOATS
            if isinstance(statement.value, ir.Scalar) and statement.dtype in FLOATS:
                heavy |= statement.value.instruction in math.INSTRUCTIONS
        elif isinstance(statement, ir.Accumulate):
            folds = True
        elif isinstance(statement, ir.Store):
            dtypes.add(formals[statement.buffer].dtype)
            ordered |= statement.reducer is not None
    register = target.lanes(max((SIZES[MEMORY[dtype]] for dtype in dtypes), default=4))
    if values > 3 * target.registers and not heavy and not ordered:
        abreast = 3  # long chains wait for themselves more than for what is spilled
    elif ordered or values > target.registers:
        abreast = 1
    elif heavy:
        abreast = min(LINE // target.vector, target.registers // 8)
    elif folds:
        abreast = 4 if values <= target.registers // 4 else 2
    else:
        abreast = LINE // target.vector
    return in_lanes(loop.extent, register, abreast)
