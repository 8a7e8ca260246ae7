"""Training steps of multi-layer perceptrons, from a toy to 1.9 million weights: float32, relu, cross-entropy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from rows import OURS, Outcome, Row, run_all
from targets import target
from timing import Effort
from training import Loss, Model, contenders

TITLE = "Training steps of multi-layer perceptrons: forward, backward, update"
SIZES: dict[str, tuple[tuple[int, ...], int]] = {
    "2-3-2": ((2, 3, 2), 1),
    "64-64-10": ((64, 64, 10), 32),
    "20 layers of 64": ((64,) * 20 + (10,), 32),
    "784-128-10": ((784, 128, 10), 64),
    "784-512-256-10": ((784, 512, 256, 10), 128),
    "784-1024-1024-10": ((784, 1024, 1024, 10), 256),
}


def loss_with(lib: Library) -> Loss:
    def loss(params: list[dict[str, Any]], x: Any, labels: Any) -> Any:
        for layer in params[:-1]:
            x = lib.relu(x @ layer["W"] + layer["b"])
        return lib.cross_entropy(x @ params[-1]["W"] + params[-1]["b"], labels)

    return loss


def torch_loss() -> Loss:
    torch = torch_module()
    addmm, relu, cross_entropy = torch.addmm, torch.relu, torch.nn.functional.cross_entropy

    def loss(params: list[dict[str, Any]], x: Any, labels: Any) -> Any:
        for layer in params[:-1]:
            x = relu(addmm(layer["b"], x, layer["W"]))
        return cross_entropy(addmm(params[-1]["b"], x, params[-1]["W"]), labels)

    return loss


def model(sizes: tuple[int, ...], batch: int) -> Model:
    """Weights by He's rule, from a fixed seed."""
    rng = np.random.default_rng(0)
    params = [
        {"W": normal(rng, inputs, outputs, scale=(2 / inputs) ** 0.5), "b": normal(rng, outputs, scale=0.01)}
        for inputs, outputs in pairwise(sizes)
    ]
    x, labels = normal(rng, batch, sizes[0]), rng.integers(0, sizes[-1], batch)
    losses = {
        "Glassgrad": lambda: loss_with(glassgrad_library()),
        "JAX": lambda: loss_with(jax_library()),
        "PyTorch": torch_loss,
    }
    return Model(params, (x, labels), losses)


def flops(sizes: tuple[int, ...], batch: int) -> int:
    """Multiplications and additions of the matrix products of a step; the input needs no gradient."""
    products = [2 * batch * inputs * outputs for inputs, outputs in pairwise(sizes)]
    return 3 * sum(products) - products[0]


def row(name: str, optimiser: str, compile_: bool) -> Row:
    sizes, batch = SIZES[name]
    work = flops(sizes, batch)
    return Row(
        f"{name}, batch {batch}, {optimiser}",
        contenders(model(sizes, batch), optimiser, compile_),
        target("mlp", name),
        tolerance=1e-2,  # of displacements of float32 parameters, themselves a thousandth of the parameters
        figures=lambda seconds: {"ours, GFLOP/s": work / seconds[OURS] / 1e9} if OURS in seconds else {},
    )


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    return run_all([row(name, optimiser, compile_) for name in SIZES for optimiser in ("SGD", "Adam")], effort)
