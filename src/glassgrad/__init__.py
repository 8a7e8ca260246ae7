"""Glassgrad: backpropagation for Python, compiled and see-through."""

from importlib import import_module as _import_module

from . import errors, numpy, random, special, tree
from .array import Array, variable
from .autodiff import sparse as _sparse
from .autodiff.batch import vmap
from .autodiff.branches import checkpoint, cond, switch
from .autodiff.check import check_grads
from .autodiff.colouring import colour
from .autodiff.custom import custom_jvp, custom_vjp
from .autodiff.derivatives import grad, named_grads, value_and_grad, vjp
from .autodiff.jacobian import hessian, hessian_diagonal, hvp, jacfwd, jacobian, jacrev, vhp
from .autodiff.jvp import jvp, linearize
from .autodiff.loops import fori_loop, scan
from .autodiff.variables import Gradients, backward
from .autodiff.whiles import while_loop
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
    "checkpoint",
    "colour",
    "cond",
    "cost",
    "custom_jvp",
    "custom_vjp",
    "diagnose",
    "errors",
    "explain",
    "fixed_point",
    "fori_loop",
    "grad",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "implicit_minimum",
    "implicit_root",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jit",
    "jvp",
    "linear_solve",
    "linearize",
    "name",
    "named_grads",
    "numpy",
    "odeint",
    "random",
    "scan",
    "scope",
    "set_threads",
    "solve_ode",
    "special",
    "stop_gradient",
    "switch",
    "threads",
    "trace",
    "trace_nan",
    "tree",
    "value_and_grad",
    "variable",
    "vhp",
    "vjp",
    "vmap",
    "while_loop",
]


# Imported when first used, so that ``import glassgrad`` stays quick: folders, and names with the module they are in.
_FOLDERS = ("autograd_compat", "compile", "data", "inspect", "nn", "optim", "optimize", "sklearn", "train")
_NAMES = {
    "cost": "inspect",
    "diagnose": "inspect.diagnosis",
    "explain": "inspect",
    "fixed_point": "implicit.fixed",
    "implicit_minimum": "implicit.minimum",
    "implicit_root": "implicit.root",
    "jit": "compile",
    "linear_solve": "implicit.linear",
    "odeint": "implicit.ode",
    "set_threads": "native.threads",
    "solve_ode": "implicit.ode",
    "threads": "native.threads",
    "trace_nan": "autodiff.nonfinite",
}


def __getattr__(name: str) -> object:
    if name in _FOLDERS:
        return _import_module(f"{__name__}.{name}")
    if name in _NAMES:
        return getattr(_import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_sparse.above["jit"] = lambda function: _import_module(f"{__name__}.compile").jit(function)
