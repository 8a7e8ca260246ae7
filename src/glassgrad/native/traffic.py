"""Between memory and cache: what is fetched before it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..kernel import index as ix
from ..kernel import ir
from .builder import SIZES
from .casts import MEMORY

CACHED = 1 << 18  # bytes of a buffer that is in a cache anyway
ROW = 1 << 14  # bytes of a row beside which the next one fits in the first cache
AHEAD = 1 << 11  # bytes from here to what memory can bring in time

Key = tuple[int, ir.Affine]


def fetched_ahead(rows: ir.Loop, formals: Sequence[ir.Formal]) -> dict[str, int]:
    """The loads beside which a later row is fetched, by name, and how many elements further on it is.

    Where several phases go along a row, memory would have nothing to do after the first, and the first would wait for
    it. So the last to read what has been read fetches the same of a row to come: it has most to compute, as a rule.

    Parameters
    ----------
    rows : a loop over rows
    formals : the kernel's buffers
    """
    before: set[Key] = set()
    again: dict[Key, tuple[str, int]] = {}
    for phase in rows.body:
        if isinstance(phase, ir.Loop) and phase.kind == "vector":
            found = list(_streamed(rows, phase, formals))
            for key, name, distance in found:
                if key in before:
                    again[key] = name, distance
            before.update(key for key, _, _ in found)
    return dict(again.values())


def _streamed(rows: ir.Loop, phase: ir.Loop, formals: Sequence[ir.Formal]) -> Iterator[tuple[Key, str, int]]:
    """The loads that go along whole rows of a large buffer: what is read, by what name, and how far on to fetch."""
    for let in phase.body:
        if not isinstance(let, ir.Let) or not isinstance(load := let.value, ir.Load):
            continue
        if not isinstance(load.index, ir.Affine) or load.mask is not None:
            continue
        index, formal = load.index, formals[load.buffer]
        size = SIZES[MEMORY[formal.dtype]]
        row = ix.coefficient(index, rows.axis)
        whole = ix.coefficient(index, phase.axis) == 1 and phase.extent <= row <= ROW // size
        if whole and not formal.local and formal.size * size > CACHED:
            key = load.buffer, ix.substitute(index, {phase.axis: ix.axis("")})
            yield key, let.name, row * -(-AHEAD // (row * size))
