"""What the measurements ran on: a description, the memory's bandwidth, and the fastest matrix product seen."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from libraries import cores, torch_module
from rows import Outcome, reason
from timing import Effort

TITLE = "Machine"
LIBRARIES = ("numpy", "llvmlite", "torch", "jax", "autograd", "scipy")
MEGABYTES = 256  # of each array of a copy or sum: far more than any cache


def describe() -> dict[str, str]:
    """Processor, caches, memory, system, versions and date; what the system does not tell is left out."""
    versions = {name: version for name in LIBRARIES if (version := _version(name))}
    described = {
        "date": datetime.date.today().isoformat(),
        "processor": _processor(),
        "cores": str(cores()),
        "caches": ", ".join(_caches()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "glassgrad": _version("glassgrad") or _source_version(),
        **versions,
    }
    return {key: value for key, value in described.items() if value}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _source_version() -> str:
    import glassgrad

    return glassgrad.__version__


def _processor() -> str:
    """Model and the widest vector instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    flags = fields.get("flags", fields.get("Features", "")).split()
    widest = next((name for name in ("avx512f", "avx2", "avx", "sve", "asimd") if name in flags), "")
    ids = [f"{word} {fields[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in fields]
    return " ".join(part for part in (fields.get("model name", platform.processor()), *ids, widest) if part)


def _caches() -> list[str]:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level}{'' if kind == 'Unified' else kind[0].lower()} {size}")
    return found


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (AttributeError, ValueError, OSError):
        return ""


def bandwidth(rounds: int = 16) -> float:
    """Bytes per second: the best of a copy, a sum and a sum in place of big arrays, each thread on its own part.

    A copy reads and writes 8 bytes an element, a sum reads 16 and writes 8. What the processor reads before it writes
    elsewhere is not counted, here or anywhere; in place there is nothing of that kind, as in Adam's update.
    """
    size = MEGABYTES * 2**20 // 8
    a, b, c = (np.full(size, fill) for fill in (0.0, 1.0, 2.0))
    parts = [slice(size * i // cores(), size * (i + 1) // cores()) for i in range(cores())]
    copy = _best(lambda part: np.copyto(a[part], b[part]), parts, rounds)
    total = _best(lambda part: np.add(b[part], c[part], out=a[part]), parts, rounds)
    in_place = _best(lambda part: np.add(a[part], b[part], out=a[part]), parts, rounds)
    return max(16 * size / copy, 24 * size / total, 24 * size / in_place)


def _best(work: Callable[[slice], Any], parts: list[slice], rounds: int) -> float:
    """Least seconds in which one thread for each part has done its work."""
    best = math.inf
    for _ in range(rounds):
        threads = [threading.Thread(target=work, args=(part,)) for part in parts]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        best = min(best, time.perf_counter() - start)
    return best


def peak(dtype: Any = np.float32, size: int = 1024, rounds: int = 16) -> float:
    """Floating-point operations per second of the fastest matrix product that NumPy and PyTorch show."""
    a = np.ones((size, size), dtype)
    products: list[Callable[[], Any]] = [lambda: a @ a]
    try:
        t = torch_module().from_numpy(a)
        products.append(lambda: t @ t)
    except ImportError:
        pass  # then NumPy's alone
    best = math.inf
    for _ in range(rounds):
        for product in products:
            start = time.perf_counter()
            product()
            best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    """Bandwidth and peaks, as figures without contenders."""
    rounds = 6 if quick else 40
    figures: dict[str, Callable[[], float]] = {
        "memory bandwidth, GB/s": lambda: bandwidth(rounds) / 1e9,
        "matrix product float32, GFLOP/s": lambda: peak(np.float32, rounds=rounds) / 1e9,
        "matrix product float64, GFLOP/s": lambda: peak(np.float64, rounds=rounds) / 1e9,
    }
    outcomes = []
    for name, figure in figures.items():
        try:
            outcomes.append(Outcome(name, {}, figures={"measured": figure()}))
        except Exception as error:  # the other figures are still wanted
            outcomes.append(Outcome(name, {}, {"machine": reason(error)}))
    return outcomes
