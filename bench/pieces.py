"""Pieces that a memory's bandwidth bounds: softmax, layer norm, log-sum-exp over rows, and Adam's update."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from machine import bandwidth
from rows import OURS, Outcome, Row, run_all
from targets import BANDWIDTH, target
from timing import Contender, Effort
from training import RATES, adam

TITLE = "Pieces bound by memory, float32"
SHAPE = (4096, 1024)
PARAMETERS = 10_000_000
EPSILON = 1e-5


def softmax(lib: Library) -> Callable[..., Any]:
    return lib.softmax


def layer_norm(lib: Library) -> Callable[..., Any]:
    xp = lib.np

    def norm(x: Any, scale: Any, shift: Any) -> Any:
        away = x - xp.mean(x, axis=-1, keepdims=True)
        return away / xp.sqrt(xp.mean(away * away, axis=-1, keepdims=True) + EPSILON) * scale + shift

    return norm


def logsumexp(lib: Library) -> Callable[..., Any]:
    return lambda x: lib.logsumexp(x, axis=-1)


def torch_softmax(torch: Any) -> Callable[..., Any]:
    return lambda x: torch.softmax(x, -1)


def torch_layer_norm(torch: Any) -> Callable[..., Any]:
    layer_norm = torch.nn.functional.layer_norm
    return lambda x, scale, shift: layer_norm(x, SHAPE[1:], scale, shift, EPSILON)


def torch_logsumexp(torch: Any) -> Callable[..., Any]:
    return lambda x: torch.logsumexp(x, -1)


# name: (words of libraries that follow NumPy, PyTorch's, vectors beside the matrix, bytes moved per element)
PIECES: dict[str, tuple[Callable[[Library], Any], Callable[[Any], Any], int, int]] = {
    "softmax": (softmax, torch_softmax, 0, 8),
    "layer norm": (layer_norm, torch_layer_norm, 2, 8),
    "log-sum-exp": (logsumexp, torch_logsumexp, 0, 4),
}


def in_glassgrad(words: Callable[[Library], Any], args: tuple[Any, ...]) -> Contender:
    import glassgrad as gg

    function = gg.jit(words(glassgrad_library()))
    return Contender(lambda: function(*args), lambda: function(*args))


def in_jax(words: Callable[[Library], Any], args: tuple[Any, ...]) -> Contender:
    import jax

    function, given = jax.jit(words(jax_library())), jax.device_put(args)
    return Contender(lambda: jax.block_until_ready(function(*given)), lambda: function(*given))


def in_torch(words: Callable[[Any], Any], args: tuple[Any, ...]) -> Contender:
    torch = torch_module()
    function, given = words(torch), [torch.from_numpy(a) for a in args]

    def run() -> Any:
        with torch.no_grad():
            return function(*given)

    return Contender(run, run)


def adam_state() -> tuple[Any, Any, Any]:
    """A parameter, its gradient, and Adam's state."""
    rng = np.random.default_rng(0)
    params, slope = normal(rng, PARAMETERS), normal(rng, PARAMETERS)
    zeros = np.zeros(PARAMETERS, np.float32)
    return params, slope, {"mean": zeros, "square": zeros.copy(), "steps": np.zeros((), np.float32)}


class _Adam:
    """Parameters and state between updates; three updates are compared, and the rest goes on from there."""

    def __init__(self, step: Callable[..., Any], given: tuple[Any, Any, Any]) -> None:
        self.step = step
        self.params, self.slope, self.state = given

    def run(self) -> Any:
        self.params, self.state = self.step(self.params, self.slope, self.state)
        return self.params

    def result(self) -> Any:
        return [np.array(self.run()) for _ in range(3)]


def adam_in_glassgrad() -> Contender:
    import glassgrad as gg

    loop = _Adam(gg.jit(partial(adam, gg.tree.map), donate=(0, 2)), adam_state())
    return Contender(loop.run, loop.result)


def adam_in_jax() -> Contender:
    import jax

    step = jax.jit(partial(adam, jax.tree.map), donate_argnums=(0, 2))
    loop = _Adam(step, jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), adam_state()))
    return Contender(loop.run, loop.result, jax.block_until_ready)


def adam_in_torch() -> Contender:
    torch = torch_module()
    params, slope, _ = adam_state()
    leaf = torch.from_numpy(params).requires_grad_()
    leaf.grad = torch.from_numpy(slope)
    optimizer = torch.optim.Adam([leaf], lr=RATES["Adam"], fused=True)

    def result() -> Any:
        after = []
        for _ in range(3):
            optimizer.step()
            after.append(leaf.detach().numpy().copy())
        return after

    return Contender(optimizer.step, result)


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    limit = bandwidth(8 if quick else 16)
    rng = np.random.default_rng(0)
    x = normal(rng, *SHAPE, scale=3)

    def row(name: str, contenders: Any, elements: int, bytes_: int) -> Row:
        def figures(seconds: dict[str, float]) -> dict[str, float]:
            if OURS not in seconds:
                return {}
            return {
                "ours, ns/element": seconds[OURS] / elements * 1e9,
                BANDWIDTH: bytes_ * elements / seconds[OURS] / limit,
            }

        return Row(f"{name}, {bytes_} B/element", contenders, target("pieces", name.split(",")[0]), 1e-5, figures)

    rows = []
    for name, (words, torch_words, vectors, bytes_) in PIECES.items():
        args = (x, *(normal(rng, SHAPE[1]) for _ in range(vectors)))
        contenders = {
            "Glassgrad": partial(in_glassgrad, words, args),
            "JAX": partial(in_jax, words, args),
            "PyTorch": partial(in_torch, torch_words, args),
        }
        rows.append(row(f"{name}, {SHAPE[0]}×{SHAPE[1]}", contenders, x.size, bytes_))
    updates = {"Glassgrad": adam_in_glassgrad, "JAX": adam_in_jax, "PyTorch": adam_in_torch}
    rows.append(row("Adam, 10 M parameters", updates, PARAMETERS, 28))
    return run_all(rows, effort)
