"""The optimisers of autograd's examples: ``adam(grad, x0, callback, num_iters, step_size)``, for any container.

``glassgrad.optim`` has those to use in new code.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .flatten import flatten

Gradient = Callable[[Any, int], Any]
Callback = Callable[[Any, int, Any], Any]


def _of_containers(optimise: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(optimise)
    def wrapped(grad: Gradient, x0: Any, callback: Callback | None = None, *args: Any, **kwargs: Any) -> Any:
        flat, unflatten = flatten(x0)
        seen = None if callback is None else lambda x, i, g: callback(unflatten(x), i, unflatten(g))
        return unflatten(optimise(lambda x, i: flatten(grad(unflatten(x), i))[0], flat, seen, *args, **kwargs))

    return wrapped


@_of_containers
def sgd(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 200,
    step_size: float = 0.1,
    mass: float = 0.9,
) -> Any:
    """Gradient descent with momentum: v ← mass v - (1 - mass) g, x ← x + step_size v."""
    velocity = np.zeros(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        velocity = mass * velocity - (1.0 - mass) * g
        x = x + step_size * velocity
    return x


@_of_containers
def rmsprop(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Any:
    """Steps divided by the root of a running mean of squares."""
    mean = np.ones(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        mean = mean * gamma + g**2 * (1 - gamma)
        x = x - step_size * g / (np.sqrt(mean) + eps)
    return x


@_of_containers
def adam(
    grad: Gradient,
    x: Any,
    callback: Callback | None = None,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Any:
    """D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization" (2015).

    >>> x = adam(lambda x, i: 2 * (x - 3.0), np.zeros(1), num_iters=200, step_size=0.1)
    >>> abs(float(x[0]) - 3.0) < 0.01
    True
    """
    m, v = np.zeros(len(x)), np.zeros(len(x))
    for i in range(num_iters):
        g = grad(x, i)
        if callback:
            callback(x, i, g)
        m = (1 - b1) * g + b1 * m
        v = (1 - b2) * g**2 + b2 * v
        x = x - step_size * (m / (1 - b1 ** (i + 1))) / (np.sqrt(v / (1 - b2 ** (i + 1))) + eps)
    return x
