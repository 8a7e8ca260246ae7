"""Layers, activations, convolution and pooling, initialisers and losses."""

from ..ops.composite import (
    absolute_error,
    binary_cross_entropy,
    cross_entropy,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    silu,
    softmax,
    softplus,
    squared_error,
)
from ..ops.conv import conv, conv_transpose, convolve_nd
from ..ops.elementwise import sigmoid, tanh
from ..ops.logic import relu
from ..ops.pool import avg_pool, max_pool
from .activations import ACTIVATIONS
from .containers import Function, Residual, Sequential
from .initialisers import glorot_normal, glorot_uniform, he_normal, he_uniform
from .layers import MLP, Linear
from .module import MODULES, STATE, STATIC, Module, learn, learnt, with_state
from .normalisation import BatchNorm, Dropout

__all__ = [
    "Module",
    "MODULES",
    "STATIC",
    "STATE",
    "learn",
    "learnt",
    "with_state",
    "Linear",
    "MLP",
    "Sequential",
    "Residual",
    "Function",
    "BatchNorm",
    "Dropout",
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
    "relu",
    "sigmoid",
    "tanh",
    "gelu",
    "silu",
    "elu",
    "leaky_relu",
    "softplus",
    "conv",
    "conv_transpose",
    "convolve_nd",
    "avg_pool",
    "max_pool",
]
