"""Eager cost per operation: a chain of 100 tanh on 8 float64 elements, forward and backward, on one thread.

    python bench/eager.py

What is left when the numbers themselves cost almost nothing. NumPy's tanh alone is the floor of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rows import OURS, Build, Outcome, Row, run
from table import text
from timing import FULL, Contender, Effort
from timing import measure as time_all

TITLE = "Eager cost per operation: 100 tanh on 8 float64 elements, forward and backward, one thread"
OPS, SIZE = 100, 8


def chain(tanh: Callable[[Any], Any], x: Any) -> Any:
    for _ in range(OPS):
        x = tanh(x)
    return x


def plain(function: Callable[[], Any]) -> Contender:
    return Contender(function, function)


def start() -> Any:
    return np.linspace(-1.0, 1.0, SIZE)


def glassgrad_grad() -> Contender:
    import glassgrad as gg
    import glassgrad.numpy as gnp

    x, gradient = start(), gg.grad(lambda x: gnp.sum(chain(gnp.tanh, x)))
    return plain(lambda: gradient(x))


def glassgrad_backward() -> Contender:
    import glassgrad as gg
    import glassgrad.numpy as gnp

    x = start()

    def step() -> Any:
        leaf = gg.variable(x)
        return gnp.sum(chain(gnp.tanh, leaf)).backward()[leaf]

    return plain(step)


def torch_backward() -> Contender:
    import torch

    torch.set_num_threads(1)
    x = start()

    def step() -> Any:
        leaf = torch.tensor(x, requires_grad=True)
        chain(torch.tanh, leaf).sum().backward()
        return leaf.grad.numpy()

    return plain(step)


def hips_autograd() -> Contender:
    import autograd
    import autograd.numpy as anp

    x, gradient = start(), autograd.grad(lambda x: anp.sum(chain(anp.tanh, x)))
    return plain(lambda: gradient(x))


PEERS: dict[str, Build] = {"PyTorch": torch_backward, "HIPS autograd": hips_autograd}
ROWS: dict[str, Build] = {"gg.grad": glassgrad_grad, "gg.variable and backward": glassgrad_backward}


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    """Seconds per operation: of the chain, over its length."""
    x = start()
    floor = time_all({"NumPy": plain(lambda: chain(np.tanh, x))}, effort)["NumPy"].seconds
    outcomes = [run(Row(name, {OURS: ours, **PEERS}, tolerance=1e-10), effort) for name, ours in ROWS.items()]
    for outcome in outcomes:
        outcome.values = {name: seconds / OPS for name, seconds in outcome.values.items()}
        outcome.constants["NumPy, forward only"] = floor / OPS
    return outcomes


if __name__ == "__main__":
    print(text(measure(FULL, False, False)))
