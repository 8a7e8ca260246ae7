"""What a program's outputs are made of, as numbers: pieces in another order, some of them again, must give the same.

Every content of a buffer has a number, known by the kernel that wrote it, by the contents that this read, and by what
was in the buffer before (value numbering, Cocke & Schwartz, "Programming Languages and Their Compilers", 1970). Where
a piece reads what another has written over in the meantime, its result has another number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from .ir import Check
from .lower import Outside
from .nest import opened
from .overwrite import writes
from .read import Memory
from .schedule import Piece, Round, Work
from .units import Values, on, scratch, trimmed, whole


class Versions:
    """The pieces of a program, to compare others with.

    Attributes
    ----------
    numbers : of contents, by what they are made of
    expected : the numbers of the outputs, and of what is checked
    """

    def __init__(self, pieces: Sequence[Work], memory: Sequence[Memory]) -> None:
        self.numbers: dict[Any, int] = {}
        self.expected = self.run(pieces, memory)

    def kept(self, pieces: Sequence[Work], memory: Sequence[Memory]) -> bool:
        """Whether these pieces give the same outputs and check the same."""
        return self.run(pieces, memory) == self.expected

    def run(self, pieces: Sequence[Work], memory: Sequence[Memory]) -> tuple[dict[int, int], set[int]]:
        """Numbers of the outputs by output, and of the kernels that check something."""
        values = Values(memory)
        latest: dict[int, int] = {}
        checked = set()
        for piece in pieces:
            made: dict[int, set[int]] = {}
            for b in writes(piece) - scratch(piece):
                made.setdefault(values.root(b), set()).add(b)
            found = {}
            for b, wanted in made.items():
                one = piece
                if isinstance(piece, Piece):
                    one = Piece(trimmed(piece.body, whole(piece, wanted)), piece.local)
                found[b] = self.number(one, memory, latest, b)
            if isinstance(piece, Piece) and any(isinstance(s, Check) for s in opened(piece.body)):
                checked.add(self.number(piece, memory, latest))
            latest.update(found)
        outputs = {m.number: latest[b] for b, m in enumerate(memory) if m.kind == "output" and b in latest}
        return outputs, checked

    def number(self, piece: Work, memory: Sequence[Memory], latest: dict[int, int], target: int | None = None) -> int:
        """Of what a piece leaves in a buffer, by the contents it finds."""
        names, loops = _Order(), _Order()
        key: list[Any] = [_told(piece, names, loops), None if target is None else names.get(target)]
        for b in names.all():
            at = memory[b]
            if at.kind == "slice":
                key.append((at.dtype, at.size, names.get(at.number), at.start, at.stride, loops.get(at.loop)))
            else:
                found = latest.get(b, (at.kind, at.number) if at.kind in ("argument", "constant") else None)
                key.append((at.dtype, at.size, found))
        return self.numbers.setdefault(tuple(key), len(self.numbers))


class _Order(dict[Any, Any]):
    """Numbers things as they are asked for."""

    def get(self, key: Any, default: Any = None) -> Any:
        return self.setdefault(key, len(self))

    def all(self) -> Iterator[Any]:
        """The things, with those that are first asked for meanwhile."""
        done = 0
        while done < len(self):
            things = list(self)[done:]
            done += len(things)
            yield from things


def _told(piece: Work, names: _Order, loops: _Order) -> tuple[Any, ...]:
    """A piece on numbered buffers, to be compared."""
    found: Any = on(replace(piece, parts=[]) if isinstance(piece, Round) else piece, names, loops)
    if isinstance(piece, Piece):
        return found.body, tuple([(names.get(b), size) for b, size in piece.local.items()])
    if isinstance(piece, Outside):
        return piece.name, id(piece.params), found.inputs, found.outputs, piece.shapes, piece.dtypes
    held = found.holding
    told = [(name, getattr(held, name)) for name in ("loop", "count", "rounds", "index", "more") if hasattr(held, name)]
    carried = tuple([pairs for _, pairs in held.parts])
    parts = tuple([tuple([_told(p, names, loops) for p in part]) for part in piece.parts])
    return type(held).__name__, tuple(told), held.inputs, held.outputs, carried, parts
