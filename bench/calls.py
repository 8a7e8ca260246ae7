"""What surrounds the arithmetic: a call's overhead, import, first calls, compile time, memory.

First calls and memory are measured in processes of their own (cold.py); imports are not part of a first call.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from libraries import torch_module
from mlp import SIZES
from rows import OURS, Outcome, Row, reason, run_all
from targets import target
from timing import Contender, Effort

TITLE = "Calls, compilation and memory"
COLD = Path(__file__).with_name("cold.py")
ARGUMENTS = 10


def one_result(xs: Any) -> Any:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def ten_results(xs: Any) -> Any:
    return [x + x for x in xs]


def in_glassgrad(function: Any, xs: list[np.ndarray]) -> Contender:
    import glassgrad as gg

    jitted = gg.jit(lambda *args: function(args))
    return Contender(lambda: jitted(*xs), lambda: jitted(*xs))


def in_jax(function: Any, xs: list[np.ndarray]) -> Contender:
    import jax

    jitted, given = jax.jit(lambda *args: function(args)), jax.device_put(xs)
    return Contender(lambda: jax.block_until_ready(jitted(*given)), lambda: jitted(*given))


def in_torch(function: Any, xs: list[np.ndarray], compiled: bool = False) -> Contender:
    torch = torch_module()
    given = [torch.from_numpy(x) for x in xs]
    function = torch.compile(function) if compiled else function
    return Contender(lambda: function(given), lambda: function(given))


def call_rows(compile_: bool) -> list[Row]:
    """A call with ten small arrays: next to no arithmetic."""
    xs = [np.full(8, i, np.float32) for i in range(ARGUMENTS)]
    rows = []
    for name, function in (("one result", one_result), ("ten results", ten_results)):
        contenders = {
            "Glassgrad": partial(in_glassgrad, function, xs),
            "JAX": partial(in_jax, function, xs),
            "PyTorch": partial(in_torch, function, xs),
        }
        if compile_:
            contenders["torch.compile"] = partial(in_torch, function, xs, compiled=True)
        rows.append(Row(f"call with ten arrays of 8, {name}", contenders, target("calls", "call")))
    return rows


def cold(name: str, sizes: tuple[int, ...], batch: int, cache: str, cached: bool) -> dict[str, float]:
    """Run cold.py with all disk caches below ``cache``; JAX's is off unless asked for, as it is by default."""
    environment = {
        **os.environ,
        "GLASSGRAD_CACHE_DIR": f"{cache}/glassgrad",
        "TORCHINDUCTOR_CACHE_DIR": f"{cache}/inductor",
    }
    if cached:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": f"{cache}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    command = [sys.executable, str(COLD), name, "-".join(map(str, sizes)), str(batch)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise RuntimeError(last[0])
    return {key: float(value) for key, value in json.loads(done.stdout.splitlines()[-1]).items()}


def processes(
    names: list[str], sizes: tuple[int, ...], batch: int, repeats: int, cached: bool = False
) -> tuple[dict[str, dict[str, float]], dict[str, str]]:
    """Medians over processes taken in turn, and reasons of failure; ``cached`` after one that filled the disk cache."""
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for repeat in range(repeats + cached):
            for name in names:
                if name in failed:
                    continue
                print(f"  {name}, {len(sizes) - 1} layers, in its own process ...", file=sys.stderr, flush=True)
                try:
                    sample = cold(name, sizes, batch, f"{folder}/{name}{'' if cached else repeat}", cached)
                except Exception as error:  # any failure is that contender's own
                    failed[name] = reason(error)
                    continue
                if repeat >= cached:
                    samples[name].append(sample)
    found = {
        name: {key: statistics.median(sample[key] for sample in taken) for key in taken[0]}
        for name, taken in samples.items()
        if taken and name not in failed
    }
    return found, failed


def outcome(name: str, key: str, found: Any, failed: dict[str, str], target_: str = "", unit: str = "s") -> Outcome:
    values = {who: medians[key] for who, medians in found.items()}
    return Outcome(name, values, failed, target("calls", target_), unit=unit)


def first_calls(names: list[str], repeats: int) -> list[Outcome]:
    """Imports, and first steps in a process that finds nothing in its disk cache, or all that it needs."""
    label = "784-128-10"
    sizes, batch = SIZES[label]
    found, failed = processes(names, sizes, batch, repeats)
    again, failed_again = processes(names, sizes, batch, repeats, cached=True)
    cached = "first call, from the disk cache"
    return [
        outcome("import", "import", found, failed),
        outcome(f"first step of {label}, cold process", "first", found, failed, "first call"),
        outcome(f"first step of {label}, from the disk cache", "first", again, failed_again, cached),
    ]


def peak_memory(names: list[str], repeats: int) -> list[Outcome]:
    """Of the widest perceptron: parameters, gradients, Adam's two moments and what lies between layers."""
    label = "784-1024-1024-10"
    sizes, batch = SIZES[label]
    found, failed = processes(names, sizes, batch, repeats)
    return [
        outcome(f"peak memory of a step of {label}", "steady", found, failed, "peak memory", "B"),
        outcome(f"peak memory of {label}, compilation included", "peak", found, failed, unit="B"),
    ]


def compile_times(names: list[str], quick: bool) -> list[Outcome]:
    """First steps of deep perceptrons; time over that of the shallowest tells whether it grows faster than depth."""
    outcomes: list[Outcome] = []
    depths = (50, 100) if quick else (50, 100, 200)
    for depth in depths:
        found, failed = processes(names, (64,) * depth + (10,), 32, 1)
        row = outcome(f"first step of {depth} layers of 64", "first", found, failed)
        for name in names:
            if outcomes and name in row.values and name in outcomes[0].values:
                row.figures[f"{name} ÷ {depths[0]} layers"] = row.values[name] / outcomes[0].values[name]
        outcomes.append(row)
    return outcomes


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    compiled = ["torch.compile"] if compile_ else []
    repeats = 1 if quick else 5
    return [
        *run_all(call_rows(compile_), effort),
        *first_calls([OURS, "JAX", *compiled], repeats),
        *peak_memory([OURS, "JAX", "PyTorch"], repeats),
        *compile_times([OURS, "JAX"], quick),
    ]
