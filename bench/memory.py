"""Memory against time: gradients of a deep perceptron and of a scan under smaller and smaller budgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from libraries import normal
from rows import OURS, Outcome, Row, run_all
from timing import Contender, Effort

TITLE = "Gradients under a memory budget, float32"
SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)  # of the arena without a budget; the smallest possible for 0
WIDTH, BATCH = 128, 128


def perceptron(layers: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    import glassgrad as gg
    import glassgrad.numpy as xp

    def loss(weights: Any, x: Any) -> Any:
        for w in weights:
            x = xp.tanh(x @ w)
        return (x * x).mean()

    rng = np.random.default_rng(0)
    weights = [normal(rng, WIDTH, WIDTH, scale=WIDTH**-0.5) for _ in range(layers)]
    return gg.grad(loss), (weights, normal(rng, BATCH, WIDTH))


def recurrent(steps: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    import glassgrad as gg
    import glassgrad.numpy as xp

    def loss(w: Any, start: Any, rows: Any) -> Any:
        last, _ = gg.scan(lambda h, x: (xp.tanh(h @ w + x), None), start, rows)
        return (last * last).mean()

    rng = np.random.default_rng(0)
    rows = normal(rng, steps, BATCH, WIDTH)
    return gg.grad(loss), (normal(rng, WIDTH, WIDTH, scale=WIDTH**-0.5), normal(rng, BATCH, WIDTH), rows)


def compiled(function: Callable[..., Any], args: tuple[Any, ...], memory: int | None) -> Contender:
    import glassgrad as gg

    program = gg.jit(function, memory=memory)
    return Contender(lambda: program(*args), lambda: program(*args))


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    import glassgrad as gg
    from glassgrad.errors import MemoryBudgetError

    models = {
        f"perceptron of {(n := 10 if quick else 40)} layers": perceptron(n),
        f"scan of {(n := 50 if quick else 400)} steps": recurrent(n),
    }
    rows = []
    for name, (function, args) in models.items():
        usual = gg.jit(function).cost(*args).arena
        try:
            least = gg.jit(function, memory=1).plan(*args).peak
        except MemoryBudgetError as error:
            least = error.minimum
        for share in SHARES:
            budget = int(share * usual) or least
            if budget < least:
                continue
            plan = gg.jit(function, memory=budget).plan(*args)
            figures = {
                "arena, MB": plan.peak / 1e6,
                "of the usual": plan.peak / usual,
                "extra operations": plan.extra_flops / plan.flops,
            }
            contenders = {
                OURS: partial(compiled, function, args, budget),
                "without a budget": partial(compiled, function, args, None),
            }
            label = f"{share:.3g} of the usual" if share else "the smallest"
            rows.append(Row(f"{name}, {label}", contenders, figures=lambda _, found=figures: found))
    return run_all(rows, effort)
