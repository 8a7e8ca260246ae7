"""Eager cost per operation: a chain of small ops, forward and backward, beside PyTorch and HIPS/autograd.

    python bench/eager.py [--ops 100] [--size 8] [--rounds 300]

Each round times every library once, in turn, so that a change in the machine's speed meets all of them alike. Printed
are medians in microseconds per operation and the ratio of Glassgrad's time to each. Missing libraries are left out.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import glassgrad as gg
import glassgrad.numpy as gnp

Run = Callable[[], Any]


def glassgrad_grad(x: Any, ops: int) -> Run:
    def chain(x: Any) -> Any:
        for _ in range(ops):
            x = gnp.tanh(x)
        return gnp.sum(x)

    gradient = gg.grad(chain)
    return lambda: gradient(x)


def glassgrad_backward(x: Any, ops: int) -> Run:
    def step() -> Any:
        leaf = y = gg.variable(x)
        for _ in range(ops):
            y = gnp.tanh(y)
        return gnp.sum(y).backward()[leaf]

    return step


def torch_backward(x: Any, ops: int) -> Run:
    import torch

    torch.set_num_threads(1)

    def step() -> Any:
        leaf = y = torch.tensor(x, requires_grad=True)
        for _ in range(ops):
            y = torch.tanh(y)
        y.sum().backward()
        return leaf.grad.numpy()

    return step


def hips_autograd(x: Any, ops: int) -> Run:
    import autograd
    import autograd.numpy as anp

    def chain(x: Any) -> Any:
        for _ in range(ops):
            x = anp.tanh(x)
        return anp.sum(x)

    gradient = autograd.grad(chain)
    return lambda: gradient(x)


def numpy_forward_only(x: Any, ops: int) -> Run:
    def step() -> Any:
        y = x
        for _ in range(ops):
            y = np.tanh(y)
        return y

    return step


CONTENDERS = {
    "glassgrad grad": glassgrad_grad,
    "glassgrad backward": glassgrad_backward,
    "PyTorch eager": torch_backward,
    "HIPS/autograd": hips_autograd,
    "NumPy, forward only": numpy_forward_only,
}


def measure(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Median seconds of each, timed in turn; the first tenth of the rounds warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + rounds // 10):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if round_ >= rounds // 10:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(t) for name, t in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=int, default=100, help="length of the chain of tanh")
    parser.add_argument("--size", type=int, default=8, help="elements of the array")
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    x = np.linspace(-1.0, 1.0, options.size)
    runs: dict[str, Run] = {}
    for name, build in CONTENDERS.items():
        try:
            runs[name] = build(x, options.ops)
        except ImportError as missing:
            print(f"{name}: left out, {missing}")
    gradients = [np.asarray(run()) for name, run in runs.items() if "NumPy" not in name]
    for other in gradients[1:]:
        np.testing.assert_allclose(other, gradients[0], rtol=1e-10)
    medians = measure(runs, options.rounds)
    ours = medians["glassgrad grad"]
    print(f"{options.ops} x tanh on {options.size} float64 elements, forward and backward; {platform.processor()}")
    print(f"{'':22}{'µs per op':>10}{'ours / it':>11}")
    for name, seconds in medians.items():
        print(f"{name:22}{seconds * 1e6 / options.ops:>10.2f}{ours / seconds:>11.2f}")


if __name__ == "__main__":
    main()
