"""Layers, activations, initialisers and losses."""

from ..ops.composite import (
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    log_softmax,
    softmax,
    squared_error,
)
from .activations import ACTIVATIONS
from .initialisers import glorot_normal, glorot_uniform, he_normal, he_uniform
from .layers import MLP, Linear

__all__ = [
    "Linear",
    "MLP",
    "ACTIVATIONS",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "absolute_error",
    "binary_cross_entropy",
    "cross_entropy",
    "squared_error",
    "softmax",
    "log_softmax",
]
