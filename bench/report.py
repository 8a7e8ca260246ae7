"""Write the tables of README.md (short) and bench/README.md (all rows) from results/*.json.

    python bench/report.py

Each file is rewritten between <!-- bench --> and <!-- /bench -->; a file without these marks is left alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from group import RESULTS, read
from rows import OURS, Outcome
from run import GROUPS
from table import markdown, notes, quantity, three_digits

HERE = Path(__file__).resolve().parent
MARKED = re.compile(r"(<!-- bench -->\n).*?(<!-- /bench -->)", re.DOTALL)
MLPS = ("2-3-2, batch 1", "64-64-10, batch 32", "784-128-10, batch 64", "784-1024-1024-10, batch 256")
# The rows of the short table, by the beginnings of their names.
SHORT = {
    "mlp": tuple(f"{size}, Adam" for size in MLPS),
    "models": ("LSTM", "LeNet", "transformer, batch 32"),
    "fitting": ("digits to", "MLPClassifier on digits", "32 replicas"),
    "pieces": ("softmax",),
    "objectives": ("Gaussian mixture d=20 k=25 n=1000: with gradient",),
    "derivatives": ("hessian, Rosenbrock n=1000", "hessian, perceptron 10-20-1", "hvp, perceptron 10-20-1"),
    "matmul": ("square 1024",),
    "calls": ("call with ten arrays of 8, one result", "first step of 784-128-10"),
}


def rewrite(path: Path, body: str) -> None:
    page = path.read_text()
    if not MARKED.search(page):
        print(f"{path}: left alone, it has no <!-- bench --> and <!-- /bench -->", file=sys.stderr)
        return
    path.write_text(MARKED.sub(lambda marks: f"{marks[1]}{body.strip()}\n{marks[2]}", page))


def short(results: dict[str, Any]) -> str:
    """Ours, the best peer, and how many times faster."""
    chosen = [
        o
        for group, beginnings in SHORT.items()
        if group in results
        for o in results[group]["outcomes"]
        if o.name.startswith(beginnings)
    ]
    lines = ["| | Glassgrad | best peer | best peer ÷ ours |", "| --- | ---: | ---: | ---: |"]
    lines += [_short_row(o) for o in chosen]
    return "\n".join([*lines, "", _conditions(results)])


def _short_row(outcome: Outcome) -> str:
    ours = quantity(outcome.values[OURS], outcome.unit) if OURS in outcome.values else "failed"
    peer = outcome.best_peer
    theirs = "" if peer is None else f"{peer} {quantity(outcome.values[peer], outcome.unit)}"
    ratio = "" if outcome.ratio is None else three_digits(outcome.ratio)
    return f"| {outcome.name} | {ours} | {theirs} | {ratio} |"


def _conditions(results: dict[str, Any]) -> str:
    """When and on what, from the groups' own descriptions: they may have been measured on different days."""
    said = dict.fromkeys(
        "{date}, {cores} cores, {processor}, Python {Python}".format(**result["machine"])
        + "".join(f", {name} {result['machine'][name]}" for name in ("torch", "jax") if name in result["machine"])
        for result in results.values()
    )
    return f"Medians of interleaved rounds, `python bench/run.py`: {'; '.join(said)}."


def long(results: dict[str, Any]) -> str:
    """Each machine with the groups measured on it, then all rows of all groups."""
    machines: dict[str, list[str]] = {}
    for name, result in results.items():
        described = "; ".join(f"{key} {value}" for key, value in result["machine"].items())
        machines.setdefault(described, []).append(name)
    parts = [f"{', '.join(names)}: {described}." for described, names in machines.items()]
    for result in results.values():
        said = [f"- {line}" for line in notes(result["outcomes"])]
        parts += [f"### {result['title']}", markdown(result["outcomes"]), *(["\n".join(said)] if said else [])]
    return "\n\n".join(parts)


def main() -> None:
    results = {name: read(path) for name in GROUPS if (path := RESULTS / f"{name}.json").exists()}
    if not results:
        sys.exit(f"report: no results in {RESULTS}: run python bench/run.py first")
    rewrite(HERE.parent / "README.md", short(results))
    rewrite(HERE / "README.md", long(results))


if __name__ == "__main__":
    main()
