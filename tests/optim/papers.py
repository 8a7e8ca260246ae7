"""The papers' formulas, line by line in plain NumPy, for real parameters: an oracle that is always there.

Each is a generator function's worth of state in a dict ``s``: ``rule(p, g, s, t, lr)`` returns the next p; t = 1, 2 ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassgrad.optim import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSProp

Rule = Callable[[Any, Any, dict[str, Any], int, float], Any]


def sgd(momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False, decay: float = 0.0) -> Rule:
    """PyTorch's documentation of torch.optim.SGD, the algorithm."""

    def rule(p: Any, g: Any, s: dict[str, Any], t: int, lr: float) -> Any:
        g = g + decay * p
        if momentum:
            s["b"] = momentum * s["b"] + (1 - dampening) * g if t > 1 else g
            g = g + momentum * s["b"] if nesterov else s["b"]
        return p - lr * g

    return rule


def rmsprop(alpha: float, eps: float = 1e-8, momentum: float = 0.0, centered: bool = False, decay: float = 0.0) -> Rule:
    """Hinton's lecture 6e; Graves 2013, equations 38 to 40."""

    def rule(p: Any, g: Any, s: dict[str, Any], t: int, lr: float) -> Any:
        g = g + decay * p
        s["v"] = alpha * s.get("v", 0.0) + (1 - alpha) * g**2
        s["m"] = alpha * s.get("m", 0.0) + (1 - alpha) * g
        step = g / (np.sqrt(s["v"] - s["m"] ** 2 if centered else s["v"]) + eps)
        s["b"] = momentum * s.get("b", 0.0) + step
        return p - lr * s["b"]

    return rule


def adagrad(eps: float = 1e-10, initial: float = 0.0, decay: float = 0.0) -> Rule:
    """Duchi, Hazan & Singer 2011."""

    def rule(p: Any, g: Any, s: dict[str, Any], t: int, lr: float) -> Any:
        g = g + decay * p
        s["sum"] = s.get("sum", initial) + g**2
        return p - lr * g / (np.sqrt(s["sum"]) + eps)

    return rule


def adam(
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decay: float = 0.0,
    decoupled: float = 0.0,
    amsgrad: bool = False,
) -> Rule:
    """Kingma & Ba 2015, algorithm 1; Loshchilov & Hutter 2019, algorithm 2; Reddi et al. 2018, algorithm 2."""

    def rule(p: Any, g: Any, s: dict[str, Any], t: int, lr: float) -> Any:
        g = g + decay * p
        s["m"] = beta1 * s.get("m", 0.0) + (1 - beta1) * g
        s["v"] = beta2 * s.get("v", 0.0) + (1 - beta2) * g**2
        s["top"] = np.maximum(s.get("top", 0.0), s["v"])
        m = s["m"] / (1 - beta1**t)
        v = s["top" if amsgrad else "v"] / (1 - beta2**t)
        return p - lr * m / (np.sqrt(v) + eps) - lr * decoupled * p

    return rule


def lion(beta1: float = 0.9, beta2: float = 0.99, decoupled: float = 0.0) -> Rule:
    """Chen et al. 2023, algorithm 2."""

    def rule(p: Any, g: Any, s: dict[str, Any], t: int, lr: float) -> Any:
        m = s.get("m", 0.0)
        s["m"] = beta2 * m + (1 - beta2) * g
        return p - lr * (np.sign(beta1 * m + (1 - beta1) * g) + decoupled * p)

    return rule


# Our optimiser, the paper's rule, and PyTorch's class with its options (None: it has none).
CASES: list[tuple[Optimizer, Rule, tuple[str, dict[str, Any]] | None]] = [
    (SGD(0.05), sgd(), ("SGD", {})),
    (SGD(0.05, momentum=0.9), sgd(0.9), ("SGD", {"momentum": 0.9})),
    (SGD(0.05, 0.8, nesterov=True), sgd(0.8, nesterov=True), ("SGD", {"momentum": 0.8, "nesterov": True})),
    (SGD(0.05, 0.9, weight_decay=0.1), sgd(0.9, decay=0.1), ("SGD", {"momentum": 0.9, "weight_decay": 0.1})),
    (SGD(0.05, weight_decay=0.1), sgd(decay=0.1), ("SGD", {"weight_decay": 0.1})),
    (SGD(0.05, 0.9, dampening=0.4), sgd(0.9, 0.4), ("SGD", {"momentum": 0.9, "dampening": 0.4})),
    (RMSProp(0.05), rmsprop(0.99), ("RMSprop", {})),
    (RMSProp(0.05, alpha=0.9, eps=1e-3), rmsprop(0.9, 1e-3), ("RMSprop", {"alpha": 0.9, "eps": 1e-3})),
    (
        RMSProp(0.05, alpha=0.9, momentum=0.7, weight_decay=0.1),
        rmsprop(0.9, momentum=0.7, decay=0.1),
        ("RMSprop", {"alpha": 0.9, "momentum": 0.7, "weight_decay": 0.1}),
    ),
    (
        RMSProp(0.05, alpha=0.9, eps=0.01, momentum=0.7, centered=True),
        rmsprop(0.9, 0.01, 0.7, centered=True),
        ("RMSprop", {"alpha": 0.9, "eps": 0.01, "momentum": 0.7, "centered": True}),
    ),
    (Adagrad(0.05), adagrad(), ("Adagrad", {})),
    (
        Adagrad(0.05, eps=1e-3, weight_decay=0.1, initial=0.5),
        adagrad(1e-3, 0.5, 0.1),
        ("Adagrad", {"eps": 1e-3, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ),
    (Adam(0.05), adam(), ("Adam", {})),
    (
        Adam(0.05, (0.7, 0.95), 1e-3, 0.1),
        adam(0.7, 0.95, 1e-3, 0.1),
        ("Adam", {"betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ),
    (
        Adam(0.05, (0.9, 0.5), amsgrad=True),
        adam(0.9, 0.5, amsgrad=True),
        ("Adam", {"betas": (0.9, 0.5), "amsgrad": True}),
    ),
    (AdamW(0.05, weight_decay=0.2), adam(decoupled=0.2), ("AdamW", {"weight_decay": 0.2})),
    (
        AdamW(0.05, (0.9, 0.5), amsgrad=True, weight_decay=0.2),
        adam(0.9, 0.5, amsgrad=True, decoupled=0.2),
        ("AdamW", {"betas": (0.9, 0.5), "amsgrad": True, "weight_decay": 0.2}),
    ),
    (Lion(0.05), lion(), None),
    (Lion(0.05, (0.8, 0.95), weight_decay=0.2), lion(0.8, 0.95, 0.2), None),
]
