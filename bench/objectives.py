"""Value and gradient of classic objectives in float64, beside JAX, PyTorch and HIPS autograd.

A cheap gradient costs a few times its value: the row of the gradient says how many times. Times of C++ by hand, on one
thread, are those of the design table, where it has them; the functions are alike, not the same text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from functions import OBJECTIVES, Objective
from libraries import double_precision, glassgrad_library, jax_library, torch_module
from rows import OURS, Build, Outcome, Row, run
from targets import CHEAP_GRADIENT, GRADIENT
from timing import Contender, Effort

TITLE = "Value, and value and gradient, of classic objectives, float64"
BY_HAND = "C++ by hand (design table)"


def in_glassgrad(objective: Objective, slope: bool) -> Contender:
    import glassgrad as gg

    lib = glassgrad_library()
    function = objective.function(lib.np, lib.logsumexp)
    function = gg.jit(gg.value_and_grad(function) if slope else function)
    return _plain(function, (objective.params, *objective.data))


def in_jax(objective: Objective, slope: bool) -> Contender:
    import jax

    lib = jax_library()
    function = objective.function(lib.np, lib.logsumexp)
    function = jax.jit(jax.value_and_grad(function) if slope else function)
    args = jax.device_put((objective.params, *objective.data))
    return Contender(lambda: jax.block_until_ready(function(*args)), lambda: function(*args))


def in_autograd(objective: Objective, slope: bool) -> Contender:
    import autograd
    import autograd.numpy
    from autograd.scipy.special import logsumexp

    function = objective.function(autograd.numpy, logsumexp)
    function = autograd.value_and_grad(function) if slope else function
    return _plain(function, (objective.params, *objective.data))


def in_torch(objective: Objective, slope: bool) -> Contender:
    torch = torch_module()
    function = objective.function(torch, torch.logsumexp)
    several = isinstance(objective.params, tuple)
    leaves = [torch.tensor(p, requires_grad=slope) for p in (objective.params if several else (objective.params,))]
    params = tuple(leaves) if several else leaves[0]
    data = [torch.from_numpy(d) for d in objective.data]

    def value() -> Any:
        with torch.no_grad():
            return function(params, *data)

    def value_and_gradient() -> Any:
        loss = function(params, *data)
        return loss.detach(), torch.autograd.grad(loss, leaves)

    run_ = value_and_gradient if slope else value
    return Contender(run_, run_)


def _plain(function: Callable[..., Any], args: tuple[Any, ...]) -> Contender:
    return Contender(lambda: function(*args), lambda: function(*args))


CONTENDERS = {"Glassgrad": in_glassgrad, "JAX": in_jax, "PyTorch": in_torch, "HIPS autograd": in_autograd}


def builds(objective: Objective, slope: bool) -> dict[str, Build]:
    return {name: partial(build, objective, slope) for name, build in CONTENDERS.items()}


def both(objective: Objective, effort: Effort) -> list[Outcome]:
    """A row for the value and one for value and gradient, which also tells the second over the first."""
    value = run(Row(f"{objective.name}: value", builds(objective, False), tolerance=1e-9), effort)
    row = Row(f"{objective.name}: with gradient", builds(objective, True), CHEAP_GRADIENT, tolerance=1e-7)
    gradient = run(row, effort)
    if OURS in value.values and OURS in gradient.values:
        gradient.figures[GRADIENT] = gradient.values[OURS] / value.values[OURS]
    for outcome, milliseconds in ((value, objective.by_hand), (gradient, objective.gradient_by_hand)):
        if milliseconds is not None:
            outcome.constants[BY_HAND] = milliseconds * 1e-3
    return [value, gradient]


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    with double_precision(), np.errstate(all="ignore"):
        return [outcome for make in OBJECTIVES for outcome in both(make(), effort)]
