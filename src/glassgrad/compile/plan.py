"""The plan of a program under a memory budget, to be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..graph.node import Node
from ..rewrite import rescan

SHOWN = 20  # rows of a table


def in_words(count: int) -> str:
    """Bytes for a person, rounded up to three digits, beside the exact number.

    >>> in_words(49152), in_words(640)
    ('49.2 kB (49152 bytes)', '640 bytes')
    """
    if count < 1000:
        return f"{count} bytes"
    return f"{_short(count)} ({count} bytes)"


def _short(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    power = min((len(str(count)) - 1) // 3, 4)
    digits = 2 - (len(str(count)) - 1 - 3 * power)
    step = 1000**power // 10 ** max(digits, 0)
    return f"{-(-count // step) * step / 1000**power:.{max(digits, 0)}f} {' kMGT'[power]}B"


class Part(NamedTuple):
    """A value of the program.

    Attributes
    ----------
    op, shape, where : what made it, its shape, the line of the user's
    bytes : in memory
    times, flops : how often it is computed again, and the operations that takes altogether
    """

    op: str
    shape: tuple[int, ...]
    where: str
    bytes: int
    times: int = 0
    flops: float = 0.0

    @classmethod
    def of(cls, node: Node | None, bytes_: int, times: int = 0, flops: float = 0.0) -> Part:
        if node is None:
            return cls("copy", (), "", bytes_, times, flops)
        shape = node.shape if hasattr(node.spec, "shape") else ()
        return cls(node.op.name, shape, str(node.origin or ""), bytes_, times, flops)


class Loop(NamedTuple):
    """A scan whose gradient keeps few carries.

    Attributes
    ----------
    where : its line
    length, places : its steps, and how many carries are kept at most
    steps : steps done forward in all, but for those done together with the way back
    """

    where: str
    length: int
    places: int
    steps: int

    @classmethod
    def of(cls, pair: rescan.Pair, places: int) -> Loop:
        places = min(places, pair.length)
        steps = rescan.forward_steps(pair.length, places)
        return cls(str(pair.forward.origin or ""), pair.length, places, steps)


@dataclass(frozen=True)
class Plan:
    """How a program meets its budget. ``print`` it.

    Attributes
    ----------
    budget : bytes that were allowed; None without a budget
    peak : bytes of the arena: all temporaries, with what lies between them; not arguments, results and constants
    usual : bytes of the arena without a budget
    flops, extra_flops : operations without a budget, and those added to them
    kept : the values in the arena at the moment of most memory
    recomputed : the values that are computed again
    loops : the scans whose gradient keeps few carries, by binomial checkpoints
    """

    budget: int | None
    peak: int
    usual: int
    flops: float
    extra_flops: float
    kept: Sequence[Part] = ()
    recomputed: Sequence[Part] = ()
    loops: Sequence[Loop] = ()
    smallest: Callable[[], int] | None = field(default=None, repr=False, compare=False)

    @property
    def minimum(self) -> int:
        """The smallest budget there is a program for."""
        return self.peak if self.smallest is None else self.smallest()

    @property
    def repeats(self) -> int:
        """How often anything is computed again, altogether."""
        return sum(part.times for part in self.recomputed)

    @property
    def kept_bytes(self) -> int:
        """Bytes of ``kept``."""
        return sum(part.bytes for part in self.kept)

    def __str__(self) -> str:
        allowed = "none" if self.budget is None else _short(self.budget)
        share = self.extra_flops / self.flops if self.flops else 0.0
        lines = [
            f"budget {allowed}, peak {in_words(self.peak)}; {_short(self.usual)} without a budget",
            f"extra operations {self.extra_flops:.4g}, {share:.1%} of {self.flops:.4g}; {self.repeats} computed again",
        ]
        lines += _table("kept at the peak", self.kept, False)
        lines += _table("computed again", self.recomputed, True)
        for loop in self.loops:
            kept = f"keeps {loop.places} carries, goes {loop.steps} steps forward"
            lines.append(f"scan of {loop.length} steps {kept}  {loop.where}")
        return "\n".join(lines)


def _table(title: str, parts: Sequence[Part], again: bool) -> list[str]:
    """Equal rows as one."""
    if not parts:
        return []
    rows: dict[Any, list[float]] = {}
    for part in parts:
        row = rows.setdefault((part.op, part.shape, part.where), [0, 0, 0, 0.0])
        for k, number in enumerate((1, part.bytes, part.times, part.flops)):
            row[k] += number
    lines = [f"{title}:"]
    order = sorted(rows.items(), key=lambda row: (-row[1][1], row[0][2]))
    for (op, shape, where), (count, size, times, flops) in order[:SHOWN]:
        name = f"{op}{list(shape)}" + (f" x {count:.0f}" if count > 1 else "")
        line = f"  {name:<32} {_short(math.ceil(size)):>9}"
        if again:
            line += f" {times:>6.0f} times {flops:>10.4g} operations"
        lines.append(f"{line}  {where}".rstrip())
    if len(order) > SHOWN:
        lines.append(f"  and {len(order) - SHOWN} more")
    return lines
