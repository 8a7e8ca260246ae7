"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable

from ..graph.node import Value
from ..ops import composite, elementwise, logic

Activation = Callable[[Value], Value]


def identity(x: Value) -> Value:
    """x: no activation, so that the layers around it collapse into one linear map."""
    return x


ACTIVATIONS: dict[str, Activation] = {
    "relu": logic.relu,
    "tanh": elementwise.tanh,
    "sigmoid": elementwise.sigmoid,
    "gelu": composite.gelu,
    "gelu_exact": composite.gelu_exact,
    "silu": composite.silu,
    "mish": composite.mish,
    "elu": composite.elu,
    "celu": composite.celu,
    "selu": composite.selu,
    "leaky_relu": composite.leaky_relu,
    "relu6": composite.relu6,
    "softplus": composite.softplus,
    "softsign": composite.softsign,
    "hard_sigmoid": composite.hard_sigmoid,
    "hard_swish": composite.hard_swish,
    "hard_tanh": composite.hard_tanh,
    "log_sigmoid": composite.log_sigmoid,
    "softmax": composite.softmax,
    "log_softmax": composite.log_softmax,
    "identity": identity,
}

RECTIFIERS = frozenset(
    {"relu", "gelu", "gelu_exact", "silu", "mish", "elu", "celu", "leaky_relu", "relu6", "hard_swish"}
)
