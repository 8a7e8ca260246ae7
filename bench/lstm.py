"""A long short-term memory over a sequence, and a linear layer on its last state.

S. Hochreiter and J. Schmidhuber, "Long short-term memory" (1997), with a forget gate. PyTorch has it as one function;
the others scan a step over the sequence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from training import Loss, Model

WEIGHTS = ("Wx", "Wh")


def loss_with(lib: Library) -> Loss:
    np = lib.np

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:  # x [T, B, I]
        def step(carry: Any, given: Any) -> Any:
            h, c = carry
            i, f, g, o = np.split(given + h @ p["Wh"], 4, axis=-1)  # [B, 4 H] -> four of [B, H]
            c = lib.sigmoid(f) * c + lib.sigmoid(i) * np.tanh(g)
            h = lib.sigmoid(o) * np.tanh(c)
            return (h, c), None

        start = np.zeros((x.shape[1], p["Wh"].shape[0]), np.float32)
        (h, _), _ = lib.scan(step, (start, start), x @ p["Wx"] + p["b"])  # the inputs' part, all steps at once
        return lib.cross_entropy(h @ p["W"] + p["c"], labels)

    return loss


def torch_loss() -> Loss:
    torch = torch_module()
    cross_entropy = torch.nn.functional.cross_entropy

    def loss(p: dict[str, Any], x: Any, labels: Any) -> Any:
        hidden = p["Wh"].shape[1]
        start = torch.zeros(1, x.shape[1], hidden)
        weights = [p["Wx"], p["Wh"], p["b"], torch.zeros(4 * hidden)]
        h = torch.lstm(x, (start, start), weights, True, 1, 0.0, True, False, False)[1]
        return cross_entropy(torch.addmm(p["c"], h[0], p["W"]), labels)

    return loss


def _turned(p: dict[str, Any]) -> dict[str, Any]:
    """PyTorch keeps the weights of an LSTM as [outputs, inputs]."""
    return {name: leaf.T if name in WEIGHTS else leaf for name, leaf in p.items()}


def model(steps: int = 64, inputs: int = 64, hidden: int = 64, batch: int = 32, classes: int = 10) -> Model:
    rng = np.random.default_rng(0)
    params = {
        "Wx": normal(rng, inputs, 4 * hidden, scale=inputs**-0.5),
        "Wh": normal(rng, hidden, 4 * hidden, scale=hidden**-0.5),
        "b": np.zeros(4 * hidden, np.float32),
        "W": normal(rng, hidden, classes, scale=hidden**-0.5),
        "c": np.zeros(classes, np.float32),
    }
    losses = {
        "Glassgrad": lambda: loss_with(glassgrad_library()),
        "JAX": lambda: loss_with(jax_library()),
        "PyTorch": torch_loss,
    }
    batch_of = normal(rng, steps, batch, inputs), rng.integers(0, classes, batch)
    return Model(params, batch_of, losses, {"PyTorch": _turned}, {"PyTorch": _turned})
