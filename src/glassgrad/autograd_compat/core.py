"""The walks under their old names, rules given by hand, and vector spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import differential_operators as operators
from .rules import (
    def_linear,
    defjvp,
    defjvp_argnum,
    defjvp_argnums,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    primitive,
    primitive_jvps,
    primitive_vjps,
)
from .spaces import VSpace, vspace

__all__ = [
    "VSpace",
    "def_linear",
    "defjvp",
    "defjvp_argnum",
    "defjvp_argnums",
    "defvjp",
    "defvjp_argnum",
    "defvjp_argnums",
    "make_jvp",
    "make_vjp",
    "primitive",
    "primitive_jvps",
    "primitive_vjps",
    "vspace",
]


def make_vjp(fun: Callable[[Any], Any], x: Any) -> tuple[Callable[[Any], Any], Any]:
    """The map from cotangents of ``fun(x)`` to those of x, and ``fun(x)``."""
    found: tuple[Callable[[Any], Any], Any] = operators.make_vjp(fun)(x)
    return found


def make_jvp(fun: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """The map from a tangent of x to ``fun(x)`` and its tangent."""
    found: Callable[[Any], Any] = operators.make_jvp(fun)(x)
    return found
