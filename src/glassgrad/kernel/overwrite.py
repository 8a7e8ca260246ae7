"""Results written over what they replace: donated arguments, and the carries of loops; what pieces read and write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .ir import Affine, Let, Load, MatMul, Name, Store
from .lower import Outside
from .nest import opened
from .read import Memory
from .schedule import Piece, Round, Work


def overwritten(
    pieces: Sequence[Work],
    pairs: Sequence[tuple[int, int]],
    same: dict[int, int],
    storage: Callable[[], list[int]],
    memory: Sequence[Memory],
) -> tuple[list[Work], list[tuple[int, int]]]:
    """Each first of a pair in the memory of the second, if no old value is needed after it: then ``same`` says so.

    So is what begins as a copy of the second and ends where the first is written, as the carry of a loop does behind
    which a last step follows. Returns the pieces in an order in which that holds, and the pairs that have to be copied
    at the end. ``storage`` gives the buffer that each buffer's memory is part of, as ``same`` has it.
    """
    late = []
    writers: dict[int, list[int]] = {}
    users: dict[int, list[int]] = {}
    for number, piece in enumerate(pieces):
        written = writes(piece)
        for buffer in written:
            writers.setdefault(buffer, []).append(number)
        for buffer in written | reads(piece):
            users.setdefault(buffer, []).append(number)
    dropped: set[int] = set()
    targets = {target for target, _ in pairs}
    earlier: dict[int, int] = {}  # a piece -> the one that it goes before
    for target, source in pairs:
        begun = copies(pieces, writers.get(target, []), target, source)
        if begun and max(users[source]) <= begun[-1]:
            same[target] = source  # what is written to a part of it afterwards stays in its place
            dropped.update(begun)
            continue
        (last,) = writers.get(target, [-1])[-1:]
        after = [number for number in users.get(source, ()) if number > last]
        alone = len(writers.get(target, ())) == 1 and all(
            _may_go(pieces, number, last, storage()) and not writes(pieces[number]) & targets for number in after
        )
        if alone and _overwrites(pieces[last], target, source):
            same[target] = source
            earlier.update({number: min(last, earlier.get(number, last)) for number in after})
            for between in {b for number in users.get(source, ()) for b in writes(pieces[number])} - targets:
                begun = copies(pieces, writers[between], between, source)
                alone = users[source] == begun and users[between][-1] <= last
                alike = memory[between] == memory[source]._replace(kind="value", number=memory[between].number)
                if alone and alike and _overwrites(pieces[last], target, between):
                    same[between] = source
                    dropped.update(begun)
        else:
            late.append((target, source))
    order = sorted(range(len(pieces)), key=lambda number: (earlier.get(number, number), number not in earlier))
    return [pieces[number] for number in order if number not in dropped], late


def _may_go(pieces: Sequence[Work], number: int, before: int, storage: Sequence[int]) -> bool:
    """Whether a piece may as well run before an earlier one."""
    moved, passed = pieces[number], pieces[before:number]
    roots: Any = lambda buffers: {storage[b] for b in buffers}
    made = roots(b for piece in passed for b in writes(piece))
    used = roots(b for piece in passed for b in reads(piece)) | made
    return isinstance(moved, Piece) and not (roots(reads(moved)) & made or roots(writes(moved)) & used)


def copies(pieces: Sequence[Work], writers: Sequence[int], target: int, source: int) -> list[int]:
    """The pieces by which a buffer begins as a copy of another, where others write to it later."""
    found = []
    for number in writers:
        piece = pieces[number]
        if not isinstance(piece, Piece) or writes(piece) != {target} or reads(piece) != {source}:
            break
        statements = opened(piece.body)
        loaded = {s.name: s.value.index for s in statements if isinstance(s, Let) and isinstance(s.value, Load)}
        stores = [s for s in statements if isinstance(s, Store)]
        if not all(isinstance(s.value, Name) and not s.reducer and loaded.get(s.value.id) == s.index for s in stores):
            break
        found.append(number)
    return found if len(found) < len(writers) else []


def _overwrites(piece: Work, target: int, source: int) -> bool:
    """Whether a piece reads the old value only where, and before, it writes the new one."""
    if not isinstance(piece, Piece) or source in writes(piece):
        return False
    statements = opened(piece.body)
    stores = [s for s in statements if isinstance(s, Store) and s.buffer == target]
    if len(stores) != 1 or stores[0].reducer is not None:
        return False
    written = statements.index(stores[0])
    at = stores[0].index
    if not isinstance(at, Affine):
        return False
    for number, s in enumerate(statements):
        if isinstance(s, MatMul) and source in (s.a.buffer, s.b.buffer):
            return False
        read = s.value if isinstance(s, Let) and isinstance(s.value, Load) and s.value.buffer == source else None
        if read is not None and (read.index != at or number > written):
            return False
    return True


def reads(piece: Work) -> set[int]:
    if isinstance(piece, Outside):
        return set(piece.inputs)
    if isinstance(piece, Round):
        return set(piece.holding.inputs).union(*(reads(p) for part in piece.parts for p in part))
    statements = opened(piece.body)
    found = {s.value.buffer for s in statements if isinstance(s, Let) and isinstance(s.value, Load)}
    return found | {load.buffer for s in statements if isinstance(s, MatMul) for load in (s.a, s.b)}


def writes(piece: Work) -> set[int]:
    if isinstance(piece, Outside):
        return set(piece.outputs)
    if isinstance(piece, Round):
        return set(piece.holding.outputs).union(*(writes(p) for part in piece.parts for p in part))
    return {s.buffer for s in opened(piece.body) if isinstance(s, Store)}
