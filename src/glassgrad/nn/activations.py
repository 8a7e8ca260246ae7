"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

from ..graph.node import Node, Value
from ..ops import composite, elementwise, logic
from ..ops.given import operand

Activation = Callable[[Value], Value]
Function = TypeVar("Function", bound=Callable[..., Value])


def identity(x: Value) -> Value:
    """x: no activation, so that the layers around it collapse into one linear map."""
    return x


def _of_lists(function: Function) -> Function:
    """The same function, which takes lists of numbers and other libraries' arrays too, as losses and layers do."""

    @wraps(function)
    def taken(x: Any, *args: Any, **options: Any) -> Value:
        return function(x if isinstance(x, (np.ndarray, Node)) else operand(x), *args, **options)

    return cast(Function, taken)


relu = _of_lists(logic.relu)
tanh = _of_lists(elementwise.tanh)
sigmoid = _of_lists(elementwise.sigmoid)
gelu = _of_lists(composite.gelu)
gelu_exact = _of_lists(composite.gelu_exact)
silu = _of_lists(composite.silu)
mish = _of_lists(composite.mish)
elu = _of_lists(composite.elu)
celu = _of_lists(composite.celu)
selu = _of_lists(composite.selu)
leaky_relu = _of_lists(composite.leaky_relu)
relu6 = _of_lists(composite.relu6)
softplus = _of_lists(composite.softplus)
softsign = _of_lists(composite.softsign)
hard_sigmoid = _of_lists(composite.hard_sigmoid)
hard_swish = _of_lists(composite.hard_swish)
hard_tanh = _of_lists(composite.hard_tanh)
log_sigmoid = _of_lists(composite.log_sigmoid)
softmax = _of_lists(composite.softmax)
log_softmax = _of_lists(composite.log_softmax)

ACTIVATIONS: dict[str, Activation] = {
    function.__name__: function
    for function in (
        relu,
        tanh,
        sigmoid,
        gelu,
        gelu_exact,
        silu,
        mish,
        elu,
        celu,
        selu,
        leaky_relu,
        relu6,
        softplus,
        softsign,
        hard_sigmoid,
        hard_swish,
        hard_tanh,
        log_sigmoid,
        softmax,
        log_softmax,
        identity,
    )
}

RECTIFIERS = frozenset(
    {"relu", "gelu", "gelu_exact", "silu", "mish", "elu", "celu", "leaky_relu", "relu6", "hard_swish"}
)
