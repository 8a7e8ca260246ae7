"""Run one group in this process, print its table and write results/GROUP.json.

    python bench/group.py GROUP [--quick] [--no-compile]

run.py starts this, with the number of threads set, one group a process.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import warnings
from pathlib import Path
from typing import Any

from machine import describe
from rows import Outcome
from run import GROUPS
from table import text
from targets import Target
from timing import FULL, QUICK

RESULTS = Path(__file__).with_name("results")


def write(path: Path, group: str, title: str, quick: bool, outcomes: list[Outcome]) -> None:
    found = {
        "group": group,
        "title": title,
        "quick": quick,
        "machine": describe(),
        "outcomes": [
            {**dataclasses.asdict(o), "ratio": o.ratio, "best peer": o.best_peer, "met": o.met} for o in outcomes
        ],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> dict[str, Any]:
    """What ``write`` wrote, with its outcomes as outcomes again."""
    found: dict[str, Any] = json.loads(path.read_text())
    names = {field.name for field in dataclasses.fields(Outcome)}
    found["outcomes"] = [
        Outcome(**{k: v for k, v in o.items() if k in names} | {"targets": tuple(Target(**t) for t in o["targets"])})
        for o in found["outcomes"]
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that all runs, not how fast")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, half a minute a row")
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # what libraries say about themselves is not part of a table
    module = importlib.import_module(options.group)
    outcomes = module.measure(QUICK if options.quick else FULL, options.quick, not options.no_compile)
    name = f"{options.group}.quick.json" if options.quick else f"{options.group}.json"
    write(RESULTS / name, options.group, module.TITLE, options.quick, outcomes)
    print(f"\n{module.TITLE}\n\n{text(outcomes)}", flush=True)


if __name__ == "__main__":
    main()
