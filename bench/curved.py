"""Functions of one vector whose Jacobian, Hessian or product with it is measured; written as in functions.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
from functions import Words


@dataclass(frozen=True)
class Curved:
    """A function of a vector and data.

    Attributes
    ----------
    kinds : what is asked of it: "jacobian" of one with many results, "hessian" and "hvp" of one with one
    reverse : whether it has fewer results than arguments, so that its Jacobian is found by rows
    """

    name: str
    function: Words
    x: numpy.ndarray
    data: tuple[numpy.ndarray, ...] = ()
    kinds: tuple[str, ...] = ("hessian", "hvp")
    reverse: bool = False


def rosenbrock(n: int) -> Curved:
    """H. H. Rosenbrock (1960), chained."""

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    return Curved(f"Rosenbrock n={n}", words, numpy.random.default_rng(0).normal(size=n))


def wood() -> Curved:
    """Wood's function of four variables: J. J. Moré, B. S. Garbow and K. E. Hillstrom (1981), problem 14."""

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def function(x: Any) -> Any:
            a, b, c, d = x[0], x[1], x[2], x[3]
            steep = 100.0 * (b - a * a) ** 2 + 90.0 * (d - c * c) ** 2
            flat = (1.0 - a) ** 2 + (1.0 - c) ** 2 + 10.0 * (b + d - 2.0) ** 2 + 0.1 * (b - d) ** 2
            return steep + flat

        return function

    return Curved("Wood n=4", words, numpy.array([-3.0, -1.0, -3.0, -1.0]))


def helical_valley() -> Curved:
    """Residuals of three variables: Moré, Garbow and Hillstrom (1981), problem 7, where x₀ is positive."""

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def residuals(x: Any) -> Any:
            a, b, c = x[0], x[1], x[2]
            angle = np.arctan(b / a) / (2.0 * numpy.pi)
            return np.stack((10.0 * (c - 10.0 * angle), 10.0 * (np.sqrt(a * a + b * b) - 1.0), c))

        return residuals

    return Curved("helical valley n=3", words, numpy.array([1.0, 0.5, 0.2]), kinds=("jacobian",))


def log_sum_exp(n: int) -> Curved:
    """log Σ exp(A x + b), with as many rows as variables."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, a, b: logsumexp(a @ x + b, 0)

    data = rng.normal(size=(n, n)) / numpy.sqrt(n), rng.normal(size=n)
    return Curved(f"log-sum-exp of a linear map n={n}", words, rng.normal(size=n), data)


def mixture(d: int, k: int, n: int) -> Curved:
    """Log-likelihood of n points under k Gaussians with diagonal covariances, of weights, means and log scales."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def function(theta: Any, x: Any) -> Any:
            weights = theta[:k]
            means = theta[k : k + k * d].reshape((k, d))
            scales = theta[k + k * d :].reshape((k, d))
            away = (x[:, None, :] - means) * np.exp(scales)
            inner = weights + np.sum(scales, 1) - 0.5 * np.sum(away * away, 2)
            return np.sum(logsumexp(inner, 1)) - n * logsumexp(weights, 0)

        return function

    size = k + 2 * k * d
    return Curved(
        f"Gaussian mixture, {n} points, n={size}", words, 0.3 * rng.normal(size=size), (rng.normal(size=(n, d)),)
    )


def perceptron(inputs: int, hidden: int, batch: int) -> Curved:
    """Mean squared error of a network with one hidden layer, of all its weights in one vector."""
    rng = numpy.random.default_rng(0)
    split = inputs * hidden

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def function(theta: Any, x: Any, y: Any) -> Any:
            first = theta[:split].reshape((inputs, hidden))
            bias, second = theta[split : split + hidden], theta[split + hidden : split + 2 * hidden]
            away = np.tanh(x @ first + bias) @ second + theta[-1] - y
            return np.sum(away * away) / batch

        return function

    size = split + 2 * hidden + 1
    data = rng.normal(size=(batch, inputs)), rng.normal(size=batch)
    return Curved(f"perceptron {inputs}-{hidden}-1, batch {batch}, n={size}", words, 0.3 * rng.normal(size=size), data)


def exponentials(terms: int, m: int) -> Curved:
    """Residuals of a sum of exponentials at m times: amplitudes and rates."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def residuals(x: Any, t: Any, y: Any) -> Any:
            return np.exp(-t[:, None] * x[terms:]) @ x[:terms] - y

        return residuals

    x = rng.uniform(0.5, 1.5, 2 * terms)
    data = numpy.linspace(0.0, 4.0, m), rng.normal(size=m)
    return Curved(f"least squares, {m} residuals, n={2 * terms}", words, x, data, ("jacobian",))


def constraints(n: int, m: int) -> Curved:
    """m smooth functions of n variables: fewer results than arguments."""
    rng = numpy.random.default_rng(0)

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, a: np.tanh(a @ (x * x))

    data = (rng.normal(size=(m, n)) / n,)
    return Curved(f"{m} results, n={n}", words, rng.normal(size=n), data, ("jacobian",), reverse=True)


def brusselator(cells: int) -> Curved:
    """Right-hand side of the Brusselator with diffusion on a ring, G. Nicolis and I. Prigogine (1977)."""

    def words(np: Any, logsumexp: Callable[..., Any]) -> Callable[..., Any]:
        def rate(y: Any) -> Any:
            u, v = y[:cells], y[cells:]

            def spread(w: Any) -> Any:
                return np.concatenate((w[1:], w[:1])) + np.concatenate((w[-1:], w[:-1])) - 2.0 * w

            reaction = u * u * v
            return np.concatenate((1.0 + reaction - 4.4 * u + 0.02 * spread(u), 3.4 * u - reaction + 0.02 * spread(v)))

        return rate

    x = numpy.random.default_rng(0).uniform(0.5, 3.0, 2 * cells)
    return Curved(f"Brusselator n={2 * cells}", words, x, kinds=("jacobian",))


CURVED: tuple[Curved, ...] = (
    helical_valley(),
    wood(),
    *map(rosenbrock, (3, 10, 100, 1000)),
    *map(log_sum_exp, (3, 10, 100, 300, 1000)),
    mixture(2, 2, 50),
    mixture(4, 10, 200),
    mixture(6, 10, 300),
    perceptron(4, 5, 20),
    perceptron(10, 20, 100),
    perceptron(20, 40, 200),
    exponentials(2, 50),
    exponentials(10, 1000),
    constraints(10, 3),
    constraints(1000, 200),
    *map(brusselator, (5, 50, 500)),
)
