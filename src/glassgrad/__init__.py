"""Glassgrad: backpropagation for Python, compiled and see-through."""

from . import errors, numpy, random, special, tree
from .array import Array, variable
from .autodiff.check import check_grads
from .autodiff.custom import custom_vjp
from .autodiff.derivatives import grad, named_grads, value_and_grad, vjp
from .autodiff.jvp import jvp
from .autodiff.variables import Gradients, backward
from .graph.origin import scope
from .graph.program import Program, trace
from .ops.control import name, stop_gradient

__version__ = "0.1.0"

__all__ = [
    "Array",
    "Gradients",
    "Program",
    "backward",
    "check_grads",
    "custom_vjp",
    "errors",
    "grad",
    "jvp",
    "name",
    "named_grads",
    "numpy",
    "random",
    "scope",
    "special",
    "stop_gradient",
    "trace",
    "tree",
    "value_and_grad",
    "variable",
    "vjp",
]


def __getattr__(name: str) -> object:
    """``gg.nn`` and its like are imported when first used, so that ``import glassgrad`` stays quick."""
    if name in ("data", "inspect", "nn", "optim", "train"):
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
