"""Training steps of other models: logistic regression, LSTM, LeNet, a small transformer."""

from __future__ import annotations

from typing import Any

import lenet
import lstm
import numpy as np
import transformer
from libraries import Library, glassgrad_library, jax_library, normal, torch_module
from rows import Outcome, Row, run_all
from targets import target
from timing import Effort
from training import Loss, Model, contenders

TITLE = "Training steps of other models: forward, backward, Adam"


def logistic_loss(lib: Library) -> Loss:
    def loss(params: dict[str, Any], x: Any, y: Any) -> Any:
        z = x @ params["w"] + params["b"]
        return lib.np.mean(lib.np.logaddexp(z, np.float32(0)) - y * z)  # ln(1 + eᶻ) - y z

    return loss


def logistic_torch() -> Loss:
    torch = torch_module()
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    return lambda params, x, y: cross_entropy(x @ params["w"] + params["b"], y)


def logistic(features: int = 50, batch: int = 256) -> Model:
    rng = np.random.default_rng(0)
    params = {"w": normal(rng, features, scale=0.1), "b": np.zeros((), np.float32)}
    data = normal(rng, batch, features), rng.integers(0, 2, batch).astype(np.float32)
    losses = {
        "Glassgrad": lambda: logistic_loss(glassgrad_library()),
        "JAX": lambda: logistic_loss(jax_library()),
        "PyTorch": logistic_torch,
    }
    return Model(params, data, losses)


MODELS = {
    "logistic regression": ("d=50, batch 256", logistic),
    "LSTM": ("64 steps of 64, batch 32", lstm.model),
    "LeNet": ("28×28, batch 32", lenet.model),
    "transformer, batch 1": ("2 blocks of 64, length 64", lambda: transformer.model(1)),
    "transformer, batch 32": ("2 blocks of 64, length 64", lambda: transformer.model(32)),
    "transformer, batch 256": ("2 blocks of 64, length 64", lambda: transformer.model(256)),
}

UNCOMPILED = ("LSTM",)  # its loop is PyTorch's own kernel, which torch.compile calls as it is


def measure(effort: Effort, quick: bool, compile_: bool) -> list[Outcome]:
    rows = [
        Row(
            f"{name}, {size}",
            contenders(build(), "Adam", compile_ and name not in UNCOMPILED),
            target("models", name),
            tolerance=1e-2,
        )
        for name, (size, build) in MODELS.items()
        if not (quick and name == "transformer, batch 256")
    ]
    return run_all(rows, effort)
