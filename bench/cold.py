"""One library's training of one perceptron in a process of its own; prints what it took as JSON.

    python bench/cold.py {Glassgrad,JAX,PyTorch,torch.compile} SIZES BATCH

SIZES as in 784-128-10. Printed are seconds of the import, of the first step (tracing, compiling and running it), of a
later step, and bytes of memory: the highest held while training, and while training once everything is compiled, both
beyond what the process held after the import and one small operation.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # Linux; elsewhere getrusage
STEPS = 5


def import_library(name: str) -> None:
    """Import it and run one small operation, which starts what the library starts late."""
    import numpy as np

    if name == "Glassgrad":
        import glassgrad as gg

        gg.numpy.sum(np.ones(3))
    elif name == "JAX":
        import jax

        jax.block_until_ready(jax.device_put(np.ones(3)))
    else:
        import torch

        torch.ones(3).sum()


def memory(field: str) -> int:
    """Bytes of a field of the process's status; VmRSS now, VmHWM at most so far."""
    try:
        lines = STATUS.read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Let the highest memory start from the present one, where the system allows it."""
    with contextlib.suppress(OSError):  # then the peak includes what came before
        CLEAR.write_text("5")


def contender(name: str, sizes: tuple[int, ...], batch: int) -> Any:
    from mlp import model
    from training import contenders

    return contenders(model(sizes, batch), "Adam", compile_=name == "torch.compile")[name]()


def main(name: str, sizes: str, batch: str) -> None:
    start = time.perf_counter()
    import_library(name)
    imported = time.perf_counter() - start
    forget_peak()
    before = memory("VmRSS")
    runner = contender(name, tuple(map(int, sizes.split("-"))), int(batch))
    runner.reset()
    start = time.perf_counter()
    runner.wait(runner.run())
    first = time.perf_counter() - start
    highest = memory("VmHWM")
    forget_peak()
    start = time.perf_counter()
    for _ in range(STEPS):
        runner.wait(runner.run())
    later = (time.perf_counter() - start) / STEPS
    found = {"import": imported, "first": first, "later": later}
    steady = memory("VmHWM")
    print(json.dumps({**found, "peak": max(highest, steady) - before, "steady": steady - before}))


if __name__ == "__main__":
    main(*sys.argv[1:])
