"""A step of Dormand and Prince's method of order 5(4), its size for the next one, and the solution within it.

J. R. Dormand and P. J. Prince, "A family of embedded Runge-Kutta formulae", J. Comput. Appl. Math. 6 (1980). Step sizes
and the interpolant of order 4: E. Hairer, S. P. Nørsett and G. Wanner, "Solving Ordinary Differential Equations I",
2nd ed. (1993), II.4 and II.6. The choices are those of SciPy's ``RK45``, so that it takes the same steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.loops import scan
from ..dtypes import dtype_of, finfo, real_dtype
from ..graph.node import Value
from ..ops import indexing, logic, view
from ..ops.composite import mean
from ..ops.contraction import matmul
from ..ops.control import stop_gradient

Slope = Callable[[Value, Value], Value]  # of y and t

WEIGHTS = np.array(  # of the slopes before each stage; of the last one, those of the step itself
    [
        [1 / 5, 0, 0, 0, 0, 0, 0],
        [3 / 40, 9 / 40, 0, 0, 0, 0, 0],
        [44 / 45, -56 / 15, 32 / 9, 0, 0, 0, 0],
        [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729, 0, 0, 0],
        [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656, 0, 0],
        [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0],
    ]
)
MOMENTS = np.array([1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1])
ERROR = np.array([71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40])
BEND = np.array(
    [
        *(-12715105075 / 11282082432, 0, 87487479700 / 32700410799, -10690763975 / 1880347072),
        *(701980252875 / 199316789632, -1453857185 / 822651844, 69997945 / 29380423),
    ]
)
SAFETY, LEAST, MOST = 0.9, 0.2, 10.0  # by which a step's size changes
EVALUATIONS = len(MOMENTS)  # of the slope in a step: its first is the last one's of the step before


class Piece(NamedTuple):
    """The solution within a step: y + θ (c₁ + (1-θ) (c₂ + θ (c₃ + (1-θ) c₄))) at the time t + θ h."""

    t: Value
    h: Value
    y: Value
    c: tuple[Value, ...]

    def __call__(self, t: Value) -> Value:
        real = real_dtype(dtype_of(self.y))
        along = logic.astype((t - self.t) / self.h, real)
        left = 1 - along
        c1, c2, c3, c4 = self.c
        return self.y + along * (c1 + left * (c2 + along * (c3 + left * c4)))


class State(NamedTuple):
    """Where the integration is: the next step begins at t, with the value y, slope k and size h.

    ``again`` says that the step before was refused, ``small`` that steps have become too small to go on. ``steps`` and
    ``refused`` count.
    """

    t: Value
    y: Value
    k: Value
    h: Value
    again: Value
    small: Value
    steps: Value
    refused: Value
    piece: Piece


class Tolerance(NamedTuple):
    """What error a step may have: ``absolute`` + ``relative`` |y|, for the root of the mean square."""

    relative: Any
    absolute: Any

    def norm(self, error: Value, *ys: Value) -> Value:
        size = abs(ys[0]) if len(ys) == 1 else logic.maximum(abs(ys[0]), abs(ys[1]))
        ratio = abs(error) / (self.absolute + self.relative * size)
        return mean(ratio * ratio) ** 0.5


def _slopes(f: Slope, t: Value, y: Value, k: Value, h: Value) -> tuple[Value, Value]:
    """The value after a step, and the slopes of all stages [7, n]: a loop, so that f stands in the graph once."""
    own, dtype = _like(h, y), real_dtype(dtype_of(y))

    def stage(held: Any, row: Any) -> Any:
        slopes, _ = held
        weights, moment, number = row
        there = y + own * matmul(weights, slopes)
        return (indexing.setitem(slopes, number, f(there, t + moment * h)), there), None

    first = view.pad(view.expand_dims(k, 0), [(0, EVALUATIONS), (0, 0)])
    rows = (WEIGHTS.astype(dtype), MOMENTS.astype(dtype_of(t)), np.arange(1, EVALUATIONS + 1))
    (slopes, there), _ = scan(stage, (first, y), rows)
    return there, slopes


def begun(f: Slope, y: Value, t: Value, end: Value, tolerance: Tolerance) -> State:
    """The state before the first step, whose size is that of Hairer, Nørsett and Wanner, II.4."""
    k = f(y, t)
    way, sign = abs(end - t), _sign(t, end)
    d0, d1 = tolerance.norm(y, y), tolerance.norm(k, y)
    h0 = logic.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / logic.where(d1 == 0.0, 1.0, d1))
    h0 = logic.minimum(_like(h0, t), way)
    later = f(y + _like(h0 * sign, y) * k, t + h0 * sign)
    d2 = tolerance.norm(later - k, y) / _like(logic.where(h0 == 0.0, 1.0, h0), y)
    most = logic.maximum(d1, d2)
    h1 = logic.where(
        most <= 1e-15, logic.maximum(1e-6, 1e-3 * _like(h0, y)), (0.01 / logic.maximum(most, 1e-15)) ** 0.2
    )
    h = logic.minimum(logic.minimum(100.0 * h0, _like(h1, t)), way)
    zero = logic.zeros_like(y)
    piece = Piece(t, logic.zeros_like(t) + 1.0, y, (k, zero, zero, zero))
    no, none = np.bool_(False), np.int64(0)
    return State(t, y, k, stop_gradient(h), no, no, none, none, piece)


def step(f: Slope, at: State, end: Value, tolerance: Tolerance) -> State:
    """The state after trying one step: taken if its error is small enough, and the next size.

    Sizes are held fast: derivatives are those of the steps taken, whose times move with that of the beginning only.
    """
    t, y, sign = at.t, at.y, _sign(at.t, end)
    limits = finfo(dtype_of(t))
    smallest = 10.0 * float(limits.eps) * abs(stop_gradient(t)) + float(limits.tiny)
    size = logic.where(at.again, at.h, logic.maximum(at.h, smallest))
    beyond = size >= abs(end - t)
    h = stop_gradient(logic.where(beyond, end - t, size * sign))
    after = logic.where(beyond, stop_gradient(end) + (t - stop_gradient(t)), t + h)
    own = _like(h, y)
    there, slopes = _slopes(f, t, y, at.k, h)
    error = stop_gradient(tolerance.norm(own * matmul(ERROR.astype(own.dtype), slopes), y, there))
    taken = error < 1.0
    factor = SAFETY * logic.maximum(error, 1e-30) ** -0.2
    factor = logic.where(taken, logic.minimum(factor, MOST), logic.where(logic.isnan(factor), LEAST, factor))
    factor = logic.clip(factor, LEAST, logic.where(at.again & taken, 1.0, MOST))
    change, first, last = there - y, own * slopes[0], own * slopes[-1]
    rise = first - change
    made = Piece(t, h, y, (change, rise, change - last - rise, own * matmul(BEND.astype(own.dtype), slopes)))
    small = ~(size >= smallest)  # or not a number

    def either(x: Value, z: Value) -> Value:
        return logic.where(taken, x, z)

    piece = Piece(
        either(made.t, at.piece.t),
        either(made.h, at.piece.h),
        either(made.y, at.piece.y),
        tuple(either(x, z) for x, z in zip(made.c, at.piece.c, strict=True)),
    )
    return State(
        either(after, t),
        either(there, y),
        either(slopes[-1], at.k),
        stop_gradient(abs(h) * _like(factor, t)),
        ~taken,
        small,
        at.steps + taken,
        at.refused + ~taken,
        piece,
    )


def _sign(t: Value, end: Value) -> Value:
    return stop_gradient(logic.where(end >= t, 1.0, -1.0))


def _like(x: Value, y: Value) -> Value:
    """x in the real dtype of y."""
    return logic.astype(x, real_dtype(dtype_of(y)))
