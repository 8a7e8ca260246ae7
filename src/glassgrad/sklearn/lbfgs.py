"""L-BFGS by SciPy, on a loss and gradient that are one native call."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..autodiff.derivatives import value_and_grad
from ..compile import jit
from ..ops import view
from .objective import Parameters, objective
from .rows import counted, with_room

Vector = NDArray[np.float64]


def packed(parameters: Parameters) -> Vector:
    """All weights, then all biases, as one vector of float64."""
    return np.concatenate([np.ravel(p) for part in parameters for p in part]).astype(np.float64)


def unpacked(vector: Any, sizes: tuple[int, ...]) -> Parameters:
    """The layers again, whose neurons are ``sizes``; of arrays, and of nodes.

    >>> unpacked(np.arange(7.0), (2, 1, 2)).coefs[0].tolist()
    [[0.0], [1.0]]
    """
    shapes = [*pairwise(sizes), *[(size,) for size in sizes[1:]]]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = [vector[end - np.prod(s) : end].reshape(s) for s, end in zip(shapes, ends.tolist(), strict=True)]
    return Parameters(tuple(parts[: len(sizes) - 1]), tuple(parts[len(sizes) - 1 :]))


@functools.lru_cache(maxsize=64)
def _compiled(activation: str, output: str, sizes: tuple[int, ...], shapes: tuple[Any, ...]) -> Callable[..., Any]:
    """The loss and its gradient, of a vector; made once in a process."""
    derive = value_and_grad(objective, has_aux=True)

    def both(vector: Any, data: dict[str, Any], count: Any, alpha: Any) -> tuple[Any, Any]:
        (_, reported), slopes = derive(unpacked(vector, sizes), counted(data, count), alpha, activation, output)
        return reported, view.concatenate([g.reshape(-1) for part in slopes for g in part])

    compiled: Callable[..., Any] = jit(both)
    return compiled


def minimise(
    parameters: Parameters,
    data: dict[str, Any],
    alpha: float,
    activation: str,
    output: str,
    options: dict[str, Any],
    after: Callable[[Parameters, float, float], None],
) -> tuple[Parameters, Any]:
    """The parameters SciPy ends at, and its result. All is computed in float64, as SciPy does.

    ``after`` is called after every iteration with the parameters, the loss and the length of its gradient, and may
    raise StopIteration.
    """
    from scipy.optimize import minimize

    dense = {name: column if isinstance(column, np.ndarray) else column.toarray() for name, column in data.items()}
    data = with_room({name: column.astype(np.float64, copy=False) for name, column in dense.items()}, 5)
    sizes = (parameters.coefs[0].shape[0], *[b.size for b in parameters.intercepts])
    run = _compiled(activation, output, sizes, tuple([a.shape for a in data.values()]))
    count, strength, slope = np.int64(len(dense["x"])), np.float64(alpha), np.zeros(0)

    def derive(vector: Vector) -> tuple[float, Vector]:
        nonlocal slope
        loss, slope = run(vector, data, count, strength)
        return float(loss), slope

    def callback(intermediate_result: Any) -> None:  # SciPy knows this form by the name of its argument
        length = float(np.linalg.norm(slope))
        after(unpacked(intermediate_result.x, sizes), float(intermediate_result.fun), length)

    start = packed(parameters)
    result = minimize(derive, start, method="L-BFGS-B", jac=True, options=options, callback=callback)
    return unpacked(result.x, sizes), result
