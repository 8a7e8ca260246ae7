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
    "silu": composite.silu,
    "elu": composite.elu,
    "leaky_relu": composite.leaky_relu,
    "softplus": composite.softplus,
    "identity": identity,
}

# Initialised by He's rule, the others by Glorot's.
RECTIFIERS = frozenset({"relu", "gelu", "silu", "elu", "leaky_relu"})
