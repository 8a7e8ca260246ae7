"""A training step (forward pass, backward pass, update) in Glassgrad, JAX and PyTorch, from a model's loss.

Every contender starts from the same parameters and batch. Before timing, three steps are compared: the loss, and the
way each parameter has gone. A slice starts from the initial parameters and is at most 500 steps long: later, units
die, their momentum decays into subnormal numbers, and one would measure those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from libraries import torch_module
from rows import Build, arrays
from timing import Contender

Loss = Callable[..., Any]  # (params, *batch) -> scalar
STEPS = 3  # compared before timing
RATES = {"SGD": 0.01, "Adam": 0.001}
DECAY, DECAY_SQUARES, EPSILON = 0.9, 0.999, 1e-8


def unchanged(tree: Any) -> Any:
    return tree


@dataclass(frozen=True)
class Model:
    """A loss in each library's words.

    Attributes
    ----------
    params : tree of float32 arrays
    batch : the other arguments of the loss
    losses : by contender; each a function that imports the library and returns its loss
    into, back : by contender, from ``params`` to the layout it likes best, and from there back
    """

    params: Any
    batch: tuple[np.ndarray, ...]
    losses: dict[str, Callable[[], Loss]]
    into: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    back: dict[str, Callable[[Any], Any]] = field(default_factory=dict)


def sgd(map_: Callable[..., Any], params: Any, slope: Any, state: Any) -> tuple[Any, Any]:
    return map_(lambda p, g: p - RATES["SGD"] * g, params, slope), state


def adam(map_: Callable[..., Any], params: Any, slope: Any, state: Any) -> tuple[Any, Any]:
    """D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization" (2015), algorithm 1."""
    steps = state["steps"] + 1
    mean = map_(lambda m, g: DECAY * m + (1 - DECAY) * g, state["mean"], slope)
    square = map_(lambda v, g: DECAY_SQUARES * v + (1 - DECAY_SQUARES) * g * g, state["square"], slope)
    step, scale = RATES["Adam"] / (1 - DECAY**steps), 1 / (1 - DECAY_SQUARES**steps)
    params = map_(lambda p, m, v: p - step * m / ((scale * v) ** 0.5 + EPSILON), params, mean, square)
    return params, {"mean": mean, "square": square, "steps": steps}


UPDATES = {"SGD": sgd, "Adam": adam}


def first_state(optimiser: str, params: Any) -> Any:
    if optimiser == "SGD":
        return ()
    import glassgrad as gg

    zeros = partial(gg.tree.map, np.zeros_like, params)
    return {"mean": zeros(), "square": zeros(), "steps": np.zeros((), np.float32)}


@dataclass
class _Loop:
    """Parameters and state between the steps of a pure function ``step(params, state, *batch)``."""

    step: Callable[..., Any]
    start: Callable[[], tuple[Any, Any]]
    batch: tuple[Any, ...]

    def reset(self) -> None:
        self.params, self.state = self.start()

    def run(self) -> Any:
        self.params, self.state, loss = self.step(self.params, self.state, *self.batch)
        return loss


def moved(model: Model, after: Any) -> list[np.ndarray]:
    """How far each parameter has gone from where it started."""
    return [a - b for a, b in zip(arrays(after), arrays(model.params), strict=True)]


def _contender(loop: Any, model: Model, name: str, wait: Callable[[Any], Any]) -> Contender:
    back = model.back.get(name, unchanged)

    def result() -> Any:
        import glassgrad as gg

        loop.reset()
        losses = [np.asarray(loop.run()) for _ in range(STEPS)]
        return losses, moved(model, back(gg.tree.map(np.asarray, loop.params)))

    return Contender(loop.run, result, wait, loop.reset, most=500)


def glassgrad_training(model: Model, optimiser: str, name: str = "Glassgrad") -> Contender:
    import glassgrad as gg

    loss, update = gg.value_and_grad(model.losses[name]()), UPDATES[optimiser]

    def step(params: Any, state: Any, *batch: Any) -> Any:
        value, slope = loss(params, *batch)
        return *update(gg.tree.map, params, slope, state), value

    def start() -> tuple[Any, Any]:
        params = gg.tree.map(np.copy, model.params)  # a donated array is gone after the call
        return params, first_state(optimiser, params)

    return _contender(_Loop(gg.jit(step, donate=(0, 1)), start, model.batch), model, name, lambda last: last)


def jax_training(model: Model, optimiser: str, name: str = "JAX") -> Contender:
    import jax

    loss, update = jax.value_and_grad(model.losses[name]()), UPDATES[optimiser]
    into = model.into.get(name, unchanged)

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Any, state: Any, *batch: Any) -> Any:
        value, slope = loss(params, *batch)
        return *update(jax.tree.map, params, slope, state), value

    def start() -> tuple[Any, Any]:
        params = into(model.params)
        # Copied, because JAX may borrow an array of NumPy's, and these are donated.
        return jax.tree.map(lambda leaf: jax.numpy.array(leaf, copy=True), (params, first_state(optimiser, params)))

    batch = tuple(jax.device_put(part) for part in model.batch)
    return _contender(_Loop(step, start, batch), model, name, jax.block_until_ready)


def torch_training(model: Model, optimiser: str, name: str = "PyTorch", compiled: bool = False) -> Contender:
    """Leaf tensors, the fused optimiser, gradients set to None; with ``compiled`` the loss through torch.compile."""
    torch = torch_module()
    import glassgrad as gg

    initial = gg.tree.map(torch.tensor, model.into.get(name, unchanged)(model.params))
    params = gg.tree.map(lambda leaf: leaf.clone().requires_grad_(), initial)
    leaves, first = gg.tree.leaves(params), gg.tree.leaves(initial)
    kind = {"SGD": torch.optim.SGD, "Adam": torch.optim.Adam}[optimiser]
    optimizer = kind(leaves, lr=RATES[optimiser], fused=True)
    batch = tuple(torch.from_numpy(part) for part in model.batch)
    loss_of = model.losses[name]()
    if compiled:
        loss_of = torch.compile(loss_of)

    def run() -> Any:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(params, *batch)
        loss.backward()
        optimizer.step()
        return loss

    def reset() -> None:
        with torch.no_grad():
            for leaf, start in zip(leaves, first, strict=True):
                leaf.copy_(start)
            for state in optimizer.state.values():
                for part in state.values():
                    part.zero_()

    def result() -> Any:
        reset()
        losses = [run().item() for _ in range(STEPS)]
        after = gg.tree.map(lambda leaf: leaf.detach().numpy(), params)
        return losses, moved(model, model.back.get(name, unchanged)(after))

    return Contender(run, result, reset=reset, most=500)


def contenders(model: Model, optimiser: str, compile_: bool = False) -> dict[str, Build]:
    """Everybody who trains this model."""
    found: dict[str, Build] = {
        "Glassgrad": partial(glassgrad_training, model, optimiser),
        "JAX": partial(jax_training, model, optimiser),
        "PyTorch": partial(torch_training, model, optimiser),
    }
    if compile_:
        found["torch.compile"] = partial(torch_training, model, optimiser, compiled=True)
    return found
