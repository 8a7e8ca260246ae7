"""Jacobians, Hessians and their products with a vector, float64, beside JAX and PyTorch.

Then sparse Hessians as they grow, beside dense ones and beside JAX told the colours by hand; and gradients of a loop of
2,000 rounds. JAX has no reverse mode of a while_loop: its loop is told the number of rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from curved import CURVED, Curved, rosenbrock
from libraries import double_precision, glassgrad_library, jax_library, torch_module
from rows import OURS, Build, Outcome, Row, run
from targets import target
from timing import Contender, Effort

TITLE = "Jacobians, Hessians and products with them, float64"
SMALL = 32  # variables up to which a row is called small
SPARSE = (100, 1000, 10_000, 100_000)
DENSE = 1000  # variables up to which a dense Hessian is measured beside a sparse one
ROUNDS = 2000


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


# Sparse Hessians


def sparse_glassgrad(n: int) -> Contender:
    """A scipy.sparse.csr_array at each call."""
    import glassgrad as gg

    lib, problem = glassgrad_library(), rosenbrock(n)
    hessian = gg.hessian(problem.function(lib.np, lib.logsumexp), sparse=True)
    return Contender(lambda: hessian(problem.x), lambda: hessian(problem.x).data)


def sparse_jax(n: int) -> Contender:
    """Three colours written down by hand, and where the nonzeros then are; their numbers alone."""
    import jax
    import jax.numpy as jnp

    lib, problem = jax_library(), rosenbrock(n)
    slope = jax.grad(problem.function(lib.np, lib.logsumexp))
    seeds = jnp.asarray(np.arange(n) % 3 == np.arange(3)[:, None], jnp.float64)
    i, j = tridiagonal(n)
    places = jnp.asarray((j % 3) * n + i)

    def nonzeros(x: Any) -> Any:
        return jax.vmap(lambda v: jax.jvp(slope, (x,), (v,))[1])(seeds).reshape(-1)[places]

    compiled, x = jax.jit(nonzeros), jax.device_put(problem.x)
    return Contender(lambda: jax.block_until_ready(compiled(x)), lambda: compiled(x))


def dense_jax(n: int) -> Contender:
    dense, at = in_jax(rosenbrock(n), "hessian"), tridiagonal(n)
    return Contender(dense.run, lambda: np.asarray(dense.run())[at])


def tridiagonal(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the nonzeros, row by row."""
    i = np.repeat(np.arange(n), 3)
    j = i + np.tile((-1, 0, 1), n)
    inside = (j >= 0) & (j < n)
    return i[inside], j[inside]


def sparse_row(n: int) -> Row:
    builds: dict[str, Build] = {OURS: partial(sparse_glassgrad, n), "JAX, colours by hand": partial(sparse_jax, n)}
    if n <= DENSE:
        builds["JAX"] = partial(dense_jax, n)
    figures = lambda seconds: {"ours, ns/variable": seconds[OURS] / n * 1e9} if OURS in seconds else {}
    return Row(f"sparse hessian, Rosenbrock n={n}", builds, tolerance=1e-9, figures=figures)


# Loops


def rounds(n: int = 10) -> tuple[Callable[[Any, Any, Any], Any], np.ndarray, np.ndarray]:
    """One round of a loop on n variables, where it begins, and a matrix."""
    rng = np.random.default_rng(0)
    return lambda np, x, a: x + 0.01 * np.tanh(a @ x), rng.normal(size=n), rng.normal(size=(n, n)) / n


def loop_glassgrad(known: bool) -> Contender:
    import glassgrad as gg

    step, x, a = rounds()

    def counted(x: Any, a: Any) -> Any:
        return (gg.fori_loop(0, ROUNDS, lambda _, x: step(gg.numpy, x, a), x) ** 2).sum()

    def until(x: Any, a: Any) -> Any:
        more, body = lambda held: held[0] < ROUNDS, lambda held: (held[0] + 1, step(gg.numpy, held[1], a))
        return (gg.while_loop(more, body, (0, x))[1] ** 2).sum()

    compiled = gg.jit(gg.grad(counted if known else until))
    return Contender(lambda: compiled(x, a), lambda: compiled(x, a))


def loop_jax() -> Contender:
    import jax
    import jax.numpy as jnp

    step, x, a = rounds()
    last = lambda x, a: (jax.lax.fori_loop(0, ROUNDS, lambda _, x: step(jnp, x, a), x) ** 2).sum()
    compiled, args = jax.jit(jax.grad(last)), jax.device_put((x, a))
    return Contender(lambda: jax.block_until_ready(compiled(*args)), lambda: compiled(*args))


def loop_torch() -> Contender:
    torch = torch_module()
    step, x, a = rounds()
    first, matrix = torch.tensor(x, requires_grad=True), torch.from_numpy(a)

    def gradient() -> Any:
        now = first
        for _ in range(ROUNDS):
            now = step(torch, now, matrix)
        return torch.autograd.grad((now**2).sum(), first)[0]

    return Contender(gradient, gradient)


def loop_row(known: bool) -> Row:
    name = "fori_loop" if known else "while_loop"
    builds: dict[str, Build] = {OURS: partial(loop_glassgrad, known), "JAX": loop_jax, "PyTorch": loop_torch}
    return Row(f"gradient through {ROUNDS} rounds, {name}", builds, tolerance=1e-9)


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    kinds = ("jacobian", "hessian", "hvp")
    rows = [row(problem, kind) for kind in kinds for problem in CURVED if kind in problem.kinds]
    rows += [*map(sparse_row, SPARSE), loop_row(True), loop_row(False)]
    with double_precision():
        return [run(r, effort) for r in rows]
