"""Ops that shape the graph itself: boundaries, names, stopped gradients and rules given by the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.apply import apply
from ..graph.node import Node, Spec, Value
from ..graph.primitive import Samples, Structured

_ANY = Samples(cases=lambda rng: [((rng.normal(size=(2, 3)),), {})])


class Alias(Structured):
    """y = x, a node of its own: what an inner ``grad`` differentiates by, so that it sees nothing beyond."""

    linear = True
    eval = staticmethod(lambda x: x)
    batch = (0,)
    infer = classmethod(lambda cls, x: x)
    vjp = (lambda g, y, x: g,)
    samples = _ANY


class Named(Structured):
    """y = x, under a name the user can ask for."""

    linear = True
    eval = staticmethod(lambda x, *, name: x)
    batch = (0,)
    infer = classmethod(lambda cls, x, *, name: x)
    vjp = (lambda g, y, x, *, name: g,)
    samples = Samples(cases=lambda rng: [((rng.normal(size=(2, 3)),), {"name": "h"})])


class StopGradient(Structured):
    """y = x, through which no gradient flows."""

    eval = staticmethod(lambda x: x)
    batch = (0,)
    infer = classmethod(lambda cls, x: x)
    nondifferentiable = "stop_gradient says so"
    samples = _ANY


class Override(Structured):
    """y = the first input, with the derivative the user gave.

    Inputs are the value, then residuals, then the primals. The value was computed on stopped primals, so the user's
    rule is the only way a gradient takes.
    """

    private = True  # its rule is the user's: there is nothing to sample
    eval = staticmethod(lambda value, *rest, rule: np.asarray(value)[()])

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        first = specs[0]
        return first if isinstance(first, Spec) else Spec(np.shape(first), np.asarray(first).dtype)

    @staticmethod
    def vjp(g: Value, y: Value, *inputs: Value, rule: Callable[..., tuple[Value, ...]]) -> tuple[Value, ...]:
        return rule(g, *inputs)


class OverrideMany(Structured):
    """Override for a function with several results: the first ``count`` inputs are the values."""

    private = True
    outputs = 2
    eval = staticmethod(lambda *inputs, rule, count: tuple(np.asarray(v)[()] for v in inputs[:count]))

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> tuple[Spec, ...]:
        return tuple(Override.infer(s) for s in specs[: params["count"]])

    vjp = staticmethod(lambda g, y, *inputs, rule, count: rule(g, *inputs))


def stop_gradient(x: Value) -> Value:
    """x as a constant: the value passes, the gradient does not.

    >>> import glassgrad as gg
    >>> gg.grad(lambda x: x * gg.stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return apply(StopGradient, (x,)) if isinstance(x, Node) else x


def name(x: Value, label: str) -> Value:
    """x under a name, so that its gradient can be asked for with ``named_grads`` or ``backward()[label]``."""
    return apply(Named, (x,), {"name": label})
