"""Ops that shape the graph itself: boundaries, names, stopped gradients and rules given by the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.apply import apply
from ..graph.node import Node, Spec, Value
from ..graph.primitive import Opaque, Samples, Structured
from .view import repeated

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


class Implicit(Structured):
    """y = the first input, with derivatives by a rule that looks at y: those of a solution, by what it solves.

    Inputs are the value, computed of stopped inputs, then what the equation depends on. ``rule.pull(g, y, xs)`` gives
    cotangents of all inputs, ``rule.push(ts, y, xs)`` the tangent of y.
    """

    private = True  # its rule is of an equation: tests/implicit samples it
    eval = staticmethod(lambda value, *rest, rule: np.asarray(value)[()])
    infer = classmethod(lambda cls, *specs, rule: Override.infer(*specs))
    vjp = staticmethod(lambda g, y, *xs, rule: rule.pull(g, y, xs))
    jvp = staticmethod(lambda ts, y, *xs, rule: rule.push(ts, y, xs))


class Host(Opaque):
    """What a Python function makes of arrays, such as a solver of SciPy's: nobody differentiates it."""

    private = True  # its function is another library's: tests/implicit samples it
    nondifferentiable = "it is a function of another library's; what it solves is differentiated instead"
    eval = staticmethod(lambda *xs, function, spec: np.asarray(function(*xs), spec.dtype).reshape(spec.shape)[()])
    infer = classmethod(lambda cls, *specs, function, spec: spec)


class Check(Opaque):
    """The first input, a bool; where it is False an error, which ``complaint`` makes of the other inputs."""

    private = True  # it is there to fail: tests/implicit samples it
    nondifferentiable = "it is a bool"
    infer = classmethod(lambda cls, ok, *facts, complaint: Spec(ok.shape, np.dtype(bool)))

    @staticmethod
    def eval(ok: Any, *facts: Any, complaint: Callable[..., Exception]) -> Any:
        if not np.all(ok):
            first = np.unravel_index(np.argmin(ok), np.shape(ok))
            raise complaint(*(np.broadcast_to(f, np.shape(ok))[first] for f in facts))
        return ok

    @staticmethod
    def batch(size: int, over: tuple[bool, ...], *xs: Value, **params: Any) -> Value:
        return apply(Check, tuple(x if b else repeated(x, size) for x, b in zip(xs, over, strict=True)), params)


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
