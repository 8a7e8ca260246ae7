"""scikit-learn's two stochastic solvers as steps of a native epoch, compiled once for each shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..autodiff.derivatives import value_and_grad
from ..autodiff.whiles import while_loop
from ..compile import jit
from ..dtypes import dtype_of
from ..graph.node import Value
from ..ops import elementwise as ew
from ..ops import indexing, logic
from .objective import Parameters, objective
from .rows import counted, with_room

DENSE = 1 << 23  # elements of a sparse x that are made dense at a time


class Settings(NamedTuple):
    """What decides the program: everything else is data of it."""

    activation: str
    output: str
    solver: str
    nesterov: bool
    watched: bool  # whether anybody asks for the length of the gradient


class Knobs(NamedTuple):
    """The numbers among the hyper-parameters, float64: changing one compiles nothing."""

    alpha: Any
    rate: Any
    momentum: Any
    beta_1: Any
    beta_2: Any
    epsilon: Any


@functools.lru_cache(maxsize=64)
def knobs_of(*numbers: float) -> tuple[Any, ...]:
    """The fields of ``Knobs`` as native code takes them; made once, as they seldom change from epoch to epoch."""
    return tuple([np.float64(number) for number in numbers])


# What goes from step to step, as plain tuples, which native code puts together itself: the parameters, a tuple of
# averages for each of them, and the steps taken.
Carry = tuple[Any, Any, Any]
Epoch = Callable[[Carry, tuple[Any, ...]], tuple[Carry, list[float]]]


def _sgd(g: Value, averages: tuple[Value, ...], count: Value, k: Knobs, nesterov: bool) -> Any:
    """v ← momentum · v - rate · g; the change is v, or with Nesterov's correction momentum · v - rate · g."""
    of = _like(g)
    (v,) = averages
    down = of(k.rate) * g
    v = of(k.momentum) * v - down
    return (of(k.momentum) * v - down if nesterov else v), (v,)


def _adam(g: Value, averages: tuple[Value, ...], count: Value, k: Knobs, nesterov: bool) -> Any:
    """Kingma & Ba 2015 in the order of its section 2, where epsilon is added to √v before its bias is corrected.

    m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²; the change is -rate · √(1 - β₂ᵗ)/(1 - β₁ᵗ) · m / (√v + epsilon).
    """
    of = _like(g)
    m, v = averages
    m = of(k.beta_1) * m + of(1.0 - k.beta_1) * g
    v = of(k.beta_2) * v + of(1.0 - k.beta_2) * (g * g)
    rate = k.rate * ew.sqrt(1.0 - k.beta_2**count) / (1.0 - k.beta_1**count)
    return -of(rate) * m / (ew.sqrt(v) + of(k.epsilon)), (m, v)


SOLVERS: dict[str, tuple[int, Callable[..., Any]]] = {"sgd": (1, _sgd), "adam": (2, _adam)}


def _like(g: Value) -> Callable[[Value], Value]:
    """Numbers in the dtype of an array, which keeps it then."""
    return lambda number: logic.astype(number, dtype_of(g))


def begin(solver: str, parameters: Parameters) -> Any:
    """The averages before the first step."""
    count = SOLVERS[solver][0]
    return tuple([tuple([np.zeros(p.shape, p.dtype) for _ in range(count)]) for part in parameters for p in part])


def suited(averages: Any, parameters: Parameters) -> Any:
    """The averages of a descent that goes on, for parameters that may have been put in place of others since."""
    leaves = [p for part in parameters for p in part]
    return tuple(
        [tuple([a.astype(p.dtype, copy=False) for a in held]) for p, held in zip(leaves, averages, strict=True)]
    )


@functools.lru_cache(maxsize=256)
def program(settings: Settings, size: int, room: int, shapes: tuple[Any, ...]) -> Callable[..., Any]:
    """An epoch in native code, for these settings and arrays of these shapes, made once in a process.

    ``carry, means = epoch(carry, data, order, n, knobs)``: ``order`` begins with the ``n`` rows in the order in which
    they are taken, ``size`` at a time; what is left in the end is a batch that has ``room`` for more. It is None for
    all rows in one batch, as they lie, whose ``size`` says nothing.
    """
    update = SOLVERS[settings.solver][1]
    derive = value_and_grad(objective, has_aux=True)

    def step(carry: Carry, batch: dict[str, Value], knobs: tuple[Any, ...]) -> tuple[Carry, list[Value]]:
        parameters, averages, count, k = Parameters(*carry[0]), carry[1], carry[2] + 1.0, Knobs(*knobs)
        alpha = logic.astype(k.alpha, dtype_of(parameters.coefs[0]))
        (_, reported), slopes = derive(parameters, batch, alpha, settings.activation, settings.output)
        leaves, gradients = ([*p.coefs, *p.intercepts] for p in (parameters, slopes))
        found = [update(g, held, count, k, settings.nesterov) for g, held in zip(gradients, averages, strict=True)]
        moved = [p + change for p, (change, _) in zip(leaves, found, strict=True)]
        layers = len(parameters.coefs)
        carry = (tuple(moved[:layers]), tuple(moved[layers:])), tuple([held for _, held in found]), count
        length = [ew.sqrt(sum([(g * g).sum() for g in gradients]))] if settings.watched else []
        return carry, [logic.astype(figure, np.dtype(np.float64)) for figure in (reported, *length)]

    def epoch(carry: Carry, data: dict[str, Value], order: Any, n: Value, knobs: tuple[Any, ...]) -> Any:
        if order is None:
            return step(carry, counted(data, n), knobs)
        whole = order[: order.shape[0] - room].reshape(-1, size)

        def rows_of(rows: Value) -> dict[str, Value]:
            return {name: indexing.take(column, rows, 0) for name, column in data.items()}

        def more(totals: list[Value], figures: list[Value], count: Any) -> list[Value]:
            return [total + figure * count for total, figure in zip(totals, figures, strict=True)]

        def one(state: Any) -> Any:
            i, carry, totals = state
            carry, figures = step(carry, rows_of(indexing.take(whole, i, 0)), knobs)
            return i + 1, carry, more(totals, figures, size)

        totals = [np.float64(0)] * (1 + settings.watched)
        i, carry, totals = while_loop(lambda state: (state[0] + 1) * size <= n, one, (np.int64(0), carry, totals))
        if room:
            count, last = n - i * size, indexing.take(order, i * size + np.arange(room), 0)
            carry, figures = step(carry, counted(rows_of(last), count), knobs)
            totals = more(totals, figures, count)
        return carry, [total / n for total in totals]

    return jit(epoch, donate="carry")


def epoch_of(settings: Settings, data: dict[str, Any], carry: Carry, batch: int) -> tuple[Epoch, NDArray[np.int64]]:
    """A pass over the rows of ``data``, ``carry, means = run(carry, knobs)``, and the order of rows it goes by.

    That order, at first as they lie, may be changed in place between passes. The means are over rows, of the batches'
    losses, and of their gradients' lengths if somebody asks for them. A sparse ``x`` is made dense for as many batches
    at a time as DENSE elements hold.
    """
    n, width = data["x"].shape
    order = np.arange(n)
    if not isinstance(data["x"], np.ndarray):
        stride = batch * max(1, DENSE // (batch * width))
        return functools.partial(_by_parts, settings, data, batch, order, stride), order
    data, count, left = with_room(data, 5 if n == batch else 1), np.int64(n), n % batch
    size, room, places = 0, 0, None
    if n != batch:
        size = batch
        room = left and min(size for size in (-(-batch // 4), -(-batch // 2), batch) if size >= left)  # few programs
        places = np.zeros(len(data["x"]) // batch * batch + room, np.int64)
        places[:n] = order
        order = places[:n]
    shapes = [None if a is None else (a.shape, a.dtype) for a in (*data.values(), *carry[0][0], places)]
    native = program(settings, size, room, tuple(shapes))

    def run(carry: Carry, knobs: tuple[Any, ...]) -> tuple[Carry, list[float]]:
        carry, means = native(carry, data, places, count, knobs)
        return carry, [float(mean) for mean in means]

    return run, order


def _by_parts(
    settings: Settings,
    data: dict[str, Any],
    batch: int,
    order: NDArray[np.int64],
    stride: int,
    carry: Carry,
    knobs: tuple[Any, ...],
) -> tuple[Carry, list[float]]:
    """The same for a sparse ``x``, so many rows at a time."""
    n, means = len(order), [0.0] * (1 + settings.watched)
    for start in range(0, n, stride):
        chosen = order[start : start + stride]
        part = {name: column[chosen] for name, column in data.items()}
        part["x"] = part["x"].toarray()
        run, _ = epoch_of(settings, part, carry, min(batch, len(chosen)))
        carry, found = run(carry, knobs)
        means = [mean + value * len(chosen) / n for mean, value in zip(means, found, strict=True)]
    return carry, means
