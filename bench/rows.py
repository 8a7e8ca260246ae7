"""A row of a table: contenders that are built, compared with each other, timed, and held against a target.

What cannot be built, fails or disagrees is reported with its reason; the rest of the row goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from targets import Target
from timing import Contender, Effort, measure

OURS = "Glassgrad"
Build = Callable[[], Contender]


@dataclass(frozen=True)
class Row:
    """What to measure.

    Attributes
    ----------
    name : what the table calls it
    contenders : by name; each is built when its turn comes, so that an absent library costs only its own column
    targets : alternatives, one of which is to be met
    tolerance : largest relative distance between the contenders' results, in the Euclidean norm
    figures : further columns, from the seconds of each contender
    """

    name: str
    contenders: dict[str, Build]
    targets: tuple[Target, ...] = ()
    tolerance: float = 1e-4
    figures: Callable[[dict[str, float]], dict[str, float]] = lambda seconds: {}


@dataclass
class Outcome:
    """What was measured: less is better in every unit. ``unit`` is "s" or "B"."""

    name: str
    values: dict[str, float]
    failed: dict[str, str] = field(default_factory=dict)
    targets: tuple[Target, ...] = ()
    figures: dict[str, float] = field(default_factory=dict)
    constants: dict[str, float] = field(default_factory=dict)  # published elsewhere, in the row's unit, not compared
    spread: dict[str, float] = field(default_factory=dict)
    unit: str = "s"

    @property
    def best_peer(self) -> str | None:
        peers = {name: value for name, value in self.values.items() if name != OURS}
        return min(peers, key=lambda name: peers[name]) if peers else None

    @property
    def ratio(self) -> float | None:
        """Best peer ÷ ours; more than 1 where Glassgrad is ahead."""
        if OURS not in self.values or self.best_peer is None or not self.values[OURS]:
            return None
        return self.values[self.best_peer] / self.values[OURS]

    @property
    def met(self) -> bool | None:
        """Whether one of the targets is met; None where there is none or nothing to hold against it."""
        known = {"ratio": self.ratio, "ours": self.values.get(OURS), **self.figures}
        held = [t.met(value) for t in self.targets if (value := known.get(t.figure)) is not None]
        return any(held) if held else None


def run(row: Row, effort: Effort) -> Outcome:
    """Build, compare, time."""
    print(f"  {row.name} ...", file=sys.stderr, flush=True)
    built: dict[str, Contender] = {}
    failed: dict[str, str] = {}
    results: dict[str, list[np.ndarray]] = {}
    for name, build in row.contenders.items():
        try:
            contender = build()
            results[name] = arrays(contender.result())
            built[name] = contender
        except Exception as error:  # a contender may fail in any way; the row says how
            failed[name] = reason(error)
    for name, why in disagreements(results, row.tolerance).items():
        failed[name] = why
        del built[name]
    try:
        timings = measure(built, effort) if built else {}
    except Exception as error:
        return Outcome(row.name, {}, {**failed, "row": reason(error)}, row.targets)
    seconds = {name: timing.seconds for name, timing in timings.items()}
    spread = {name: timing.spread for name, timing in timings.items()}
    return Outcome(row.name, seconds, failed, row.targets, row.figures(seconds), spread=spread)


def run_all(rows: Sequence[Row], effort: Effort) -> list[Outcome]:
    return [run(row, effort) for row in rows]


def reason(error: BaseException) -> str:
    """The first line of what went wrong."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200] if text else ''}"


def arrays(tree: Any) -> list[np.ndarray]:
    """The leaves of a tree as float64 arrays, dicts in order of their keys: libraries order them differently."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in arrays(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for child in tree for leaf in arrays(child)]
    return [np.array(tree, dtype=np.float64)]


def disagreements(results: dict[str, list[np.ndarray]], tolerance: float) -> dict[str, str]:
    """Contenders whose results differ from the reference, and by how much. A peer is the reference, if there is one."""
    names = sorted(results, key=lambda name: name == OURS)
    found = {}
    for name in names[1:]:
        theirs, reference = results[name], results[names[0]]
        if [a.shape for a in theirs] != [b.shape for b in reference]:
            found[name] = f"disagrees with {names[0]}: shapes {[a.shape for a in theirs]}"
            continue
        away = max((distance(a, b) for a, b in zip(theirs, reference, strict=True)), default=0.0)
        if not away <= tolerance:
            found[name] = f"disagrees with {names[0]} by {away:.1e}, more than {tolerance:.0e}"
    return found


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """‖a - b‖ ÷ ‖b‖; 0 where both are 0."""
    away = float(np.linalg.norm(a - b))
    return away / float(np.linalg.norm(b)) if away else 0.0
