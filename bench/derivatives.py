"""Jacobians, Hessians and their products with a vector, float64, beside JAX and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from curved import CURVED, Curved
from libraries import double_precision, glassgrad_library, jax_library, torch_module
from rows import Build, Outcome, Row, run
from targets import target
from timing import Contender, Effort

TITLE = "Jacobians, Hessians and products with them, float64"
SMALL = 100  # variables up to which the overhead of a call counts


def direction(problem: Curved) -> np.ndarray:
    return np.random.default_rng(1).normal(size=problem.x.shape)


def in_glassgrad(problem: Curved, kind: str) -> Contender:
    import glassgrad as gg

    lib = glassgrad_library()
    f = problem.function(lib.np, lib.logsumexp)
    args: tuple[Any, ...] = (problem.x, *problem.data)
    if kind == "hvp":
        args = (problem.x, direction(problem), *problem.data)
    made = {"jacobian": lambda: gg.jacobian(f), "hessian": lambda: gg.hessian(f), "hvp": lambda: partial(gg.hvp, f)}
    compiled = gg.jit(made[kind]())
    return Contender(lambda: compiled(*args), lambda: compiled(*args))


def products(jvp: Callable[..., Any], grad: Callable[..., Any], f: Callable[..., Any]) -> Callable[..., Any]:
    """Forward over reverse, as both peers' pages have it."""
    return lambda x, v, *data: jvp(lambda x: grad(f)(x, *data), (x,), (v,))[1]


def in_jax(problem: Curved, kind: str) -> Contender:
    import jax

    lib = jax_library()
    f = problem.function(lib.np, lib.logsumexp)
    args: tuple[Any, ...] = (problem.x, *problem.data)
    if kind == "hvp":
        args = (problem.x, direction(problem), *problem.data)
    by_mode = jax.jacrev if problem.reverse else jax.jacfwd
    made = {"jacobian": by_mode, "hessian": jax.hessian, "hvp": partial(products, jax.jvp, jax.grad)}
    compiled, args = jax.jit(made[kind](f)), jax.device_put(args)
    return Contender(lambda: jax.block_until_ready(compiled(*args)), lambda: compiled(*args))


def in_torch(problem: Curved, kind: str) -> Contender:
    torch = torch_module()
    func = torch.func
    f = problem.function(torch, torch.logsumexp)
    args = [torch.from_numpy(a) for a in (problem.x, *problem.data)]
    if kind == "hvp":
        args.insert(1, torch.from_numpy(direction(problem)))
    by_mode = func.jacrev if problem.reverse else func.jacfwd
    made = {"jacobian": by_mode, "hessian": func.hessian, "hvp": partial(products, func.jvp, func.grad)}
    derived = made[kind](f)
    return Contender(lambda: derived(*args), lambda: derived(*args))


CONTENDERS = {"Glassgrad": in_glassgrad, "JAX": in_jax, "PyTorch": in_torch}


def row(problem: Curved, kind: str) -> Row:
    builds: dict[str, Build] = {name: partial(build, problem, kind) for name, build in CONTENDERS.items()}
    size = "small" if problem.x.size <= SMALL else "large"
    return Row(f"{kind}, {problem.name}", builds, target("derivatives", size), tolerance=1e-9)


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    with double_precision():
        return [
            run(row(problem, kind), effort)
            for kind in ("jacobian", "hessian", "hvp")
            for problem in CURVED
            if kind in problem.kinds
        ]
