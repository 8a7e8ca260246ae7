"""Measure Glassgrad beside its peers; a group of rows each in a process of its own.

    python bench/run.py [GROUP ...] [--quick] [--no-compile] [--threads N]

Groups: machine, calls, mlp, models, fitting, pieces, matmul, objectives, derivatives, eager, memory; all of
them by default.
Figures go to bench/results/GROUP.json, which bench/report.py turns into the tables of README.md and bench/README.md.
--quick takes few rounds, and its figures, which mean little, go to GROUP.quick.json.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

GROUPS = (
    "machine",
    "calls",
    "mlp",
    "models",
    "fitting",
    "pieces",
    "matmul",
    "objectives",
    "derivatives",
    "eager",
    "memory",
)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# OpenBLAS's threads spin for 2^26 cycles after a product of NumPy's, on cores that the next contender's threads then
# have to share: PyTorch was seen to take twice its time. 2^20 cycles are still longer than what lies between two
# products of a slice.
SPINNING = {"OPENBLAS_THREAD_TIMEOUT": "20"}
BUSY = 0.3  # load average per core from which other programs disturb


def environment(threads: int) -> dict[str, str]:
    """The same number of threads for everybody: by variable, and, where the system can, by the cores they may use."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return {**os.environ, **dict.fromkeys(THREADS, str(threads)), **SPINNING, "JAX_PLATFORMS": "cpu"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--quick", action="store_true", help="few rounds: shows that all runs, not how fast")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile, half a minute a row")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="all cores by default")
    options = parser.parse_args()
    if unknown := [name for name in options.groups if name not in GROUPS]:
        parser.error(f"unknown group: got {', '.join(unknown)}, expected some of {', '.join(GROUPS)}")
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
        print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): the figures will say little.", file=sys.stderr)
    flags = [flag for flag, on in (("--quick", options.quick), ("--no-compile", options.no_compile)) if on]
    surroundings, failed = environment(options.threads), []
    for name in options.groups or GROUPS:
        start = time.perf_counter()
        command = [sys.executable, str(Path(__file__).with_name("group.py")), name, *flags]
        if subprocess.run(command, env=surroundings).returncode:
            failed.append(name)
            print(f"{name}: failed; the other groups go on", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
