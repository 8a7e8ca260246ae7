"""Glassgrad: backpropagation for Python, compiled and see-through."""

from . import errors, tree
from .array import Array, variable
from .autodiff.derivatives import grad, named_grads, value_and_grad, vjp
from .autodiff.variables import backward
from .graph.origin import scope
from .ops.control import name, stop_gradient
