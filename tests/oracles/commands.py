"""What the tests of the command line share: running a command here or in a process of its own, and tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import glassgrad

SOURCE = Path(glassgrad.__file__).resolve().parent.parent


def command(*arguments: Any, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """``glassgrad ...`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "glassgrad", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})},
        capture_output=True,
        text=True,
        **options,
    )


class Result(NamedTuple):
    code: int
    out: str
    err: str


def flowers(rows: int = 90, *, target: bool = True, seed: int = 0) -> str:
    """A table whose class can be read off its numbers and its colour."""
    rng = np.random.default_rng(seed)
    lines = ["length,width,colour" + (",kind" if target else "")]
    for i in range(rows):
        kind = i % 3
        length, width = rng.normal(kind * 4, 0.5), rng.normal(-kind, 0.5)
        colour = ["red", "blue", ""][int(rng.integers(3))]
        lines.append(f"{length:.3f},{width:.3f},{colour}" + (f",{['iris', 'rose', 'tulip'][kind]}" if target else ""))
    return "\n".join(lines) + "\n"


def prices(rows: int = 120) -> str:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 2))
    y = 5000 + 300 * x[:, 0] - 200 * x[:, 1] ** 2 + rng.normal(size=rows) * 10
    return "size;age;price\n" + "".join(f"{a:.4f};{b:.4f};{c:.2f}\n" for (a, b), c in zip(x, y, strict=True))
