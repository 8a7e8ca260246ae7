"""L-BFGS: descent along a direction that knows the curvature of the last steps, for functions without noise."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..autodiff.derivatives import value_and_grad
from ..dtypes import dtype_of, real_dtype
from ..errors import DtypeError
from .base import learns
from .formula import as_buffer, in_kind
from .limits import require

Vector = NDArray[np.float64]
ARMIJO, CURVATURE = 1e-4, 0.9  # Nocedal & Wright 2006, section 3.1: c₁ and c₂ for quasi-Newton methods
TRIALS = 20  # of a line search, before and within an interval


class Minimum(NamedTuple):
    """Where a minimisation ended.

    Attributes
    ----------
    x : the parameters, a tree like the first ones
    value : of the function there
    gradient_norm : the largest absolute element of its gradient there
    iterations, evaluations : how many directions were taken, and how often the function was computed
    converged : whether one of the tolerances was met
    message : which; or why it stopped
    """

    x: Any
    value: float
    gradient_norm: float
    iterations: int
    evaluations: int
    converged: bool
    message: str


class Pair(NamedTuple):
    """A step, the change of the gradient along it, and 1 / (step · change)."""

    s: Vector
    y: Vector
    rho: float


class Point(NamedTuple):
    """A place along a line: how far, the value, its slope along the line; the parameters and the gradient there."""

    t: float
    value: float
    slope: float
    x: Vector
    g: Vector


@dataclass(frozen=True)
class LBFGS:
    """Minimises a function of any tree of parameters: Nocedal & Wright 2006, algorithms 7.5 and 7.4.

    Steps satisfy the strong Wolfe conditions, by their algorithms 3.5 and 3.6 with cubic interpolation. The function
    and its gradient are one compiled program; sums over parameters are in float64, whatever the parameters are.

    Parameters
    ----------
    memory : how many steps the curvature is taken from
    steps : at most
    gradient : converged when no element of the gradient is larger
    change : converged when a step lowers the value by no more than this part of max(\\|value\\|, 1), or of it than
        twice the rounding of the parameters' dtype; 0: only when a step does not lower it

    Raises
    ------
    ValueError, TypeError
        A number outside of its range, or no number.

    Examples
    --------
    >>> import numpy as np
    >>> valley = lambda p: (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2
    >>> found = LBFGS().minimise(valley, {"x": np.array(-1.2), "y": np.array(1.0)})
    >>> found.converged, round(float(found.x["x"]), 4), round(float(found.x["y"]), 4)
    (True, 1.0, 1.0)
    """

    memory: int = 10
    steps: int = 15000
    gradient: float = 1e-5
    change: float = 2.2e-9

    def __post_init__(self) -> None:
        for name, low in {"memory": 1, "steps": 0, "gradient": 0, "change": 0}.items():
            require(name, getattr(self, name), low)

    def minimise(self, f: Callable[..., Any], params: Any, *args: Any) -> Minimum:
        """The nearest minimum downhill.

        Parameters
        ----------
        f : of ``params`` and ``args``, returning one real number; it is compiled, so it must be traceable
        params : tree of arrays to begin with, which are not changed; floating and complex leaves are moved
        args : what else f needs, such as data: trees of arrays
        """
        line = Line(f, params, args)
        point = line.begin()
        pairs: deque[Pair] = deque(maxlen=self.memory)
        change = max(self.change, 2 * line.eps) if self.change else 0.0
        iterations, message, converged = 0, f"took {self.steps} steps", False
        if not math.isfinite(point.value):
            return line.minimum(point, 0, False, f"the first value is {point.value}")
        while True:
            if np.abs(point.g).max() <= self.gradient:
                converged, message = True, f"no element of the gradient is above {self.gradient:g}"
                break
            if iterations == self.steps:
                break
            d = -times_inverse_hessian(point.g, pairs)
            start = point._replace(t=0.0, slope=float(point.g @ d))
            after = None
            if start.slope < 0:
                line.aim(start, d)
                after = search(line, start, 1.0 if pairs else min(1.0, 1.0 / math.sqrt(point.g @ point.g)))
            if after is None:
                if pairs:
                    pairs.clear()  # what was learnt of the curvature may mislead; straight down once more
                    continue
                message = "no lower value along the gradient: rounding of the function, or a wrong derivative"
                break
            iterations += 1
            s, y = after.x - point.x, after.g - point.g
            if s @ y > np.finfo(np.float64).eps * (y @ y):
                pairs.append(Pair(s, y, float(1 / (s @ y))))
            lowered = (point.value - after.value) / max(abs(point.value), abs(after.value), 1.0)
            point = after
            if lowered <= change:
                converged, message = True, f"a step lowered the value by no more than {change:.2g} of it"
                break
        return line.minimum(point, iterations, converged, message)


class Line:
    """The function along a line through the parameters as one float64 vector; a complex number is two real ones."""

    def __init__(self, f: Callable[..., Any], params: Any, args: tuple[Any, ...]) -> None:
        from ..compile.jit import jit

        self.derive = jit(value_and_grad(f))
        self.args = args
        self.leaves, self.shape = tree.flatten(params)
        self.moved = [learns(p) for p in self.leaves]
        self.first = [as_buffer(p) for p, moved in zip(self.leaves, self.moved, strict=True) if moved]
        if not sum(p.size for p in self.first):
            raise DtypeError("LBFGS: nothing to move: got no floating number, expected a tree with floating arrays")
        self.eps = max(float(np.finfo(p.dtype).eps) for p in self.first)
        self.ends = np.cumsum([p.size * (2 if p.dtype.kind == "c" else 1) for p in self.first])
        self.evaluations = 0

    def begin(self) -> Point:
        self.aim(Point(0.0, 0.0, 0.0, _vector(self.first), np.zeros(0)), np.zeros(self.ends[-1]))
        return self.at(0.0)

    def aim(self, start: Point, d: Vector) -> None:
        self.start, self.d = start, d

    def at(self, t: float) -> Point:
        """What is found t times the direction away."""
        parts = self.parts(self.start.x + t * self.d)
        value, slopes = self.derive(self.filled(parts), *self.args)
        self.evaluations += 1
        moved = zip(tree.leaves_like(self.shape, slopes), self.moved, strict=True)
        g = _vector([np.asarray(slope) for slope, moves in moved if moves])
        return Point(t, float(value), float(g @ self.d), _vector(parts), g)

    def parts(self, x: Vector) -> list[Any]:
        """The arrays of a vector, rounded to their dtypes."""
        cut = np.split(x, self.ends[:-1])
        return [
            part.astype(real_dtype(p.dtype)).view(p.dtype).reshape(p.shape)
            for part, p in zip(cut, self.first, strict=True)
        ]

    def filled(self, parts: Iterable[Any]) -> Any:
        """Parameters with these in place of those that are moved."""
        supply = iter(parts)
        return tree.unflatten(
            self.shape, [next(supply) if m else p for p, m in zip(self.leaves, self.moved, strict=True)]
        )

    def minimum(self, point: Point, iterations: int, converged: bool, message: str) -> Minimum:
        moved = [p for p, m in zip(self.leaves, self.moved, strict=True) if m]
        x = self.filled(in_kind(p)(part) for p, part in zip(moved, self.parts(point.x), strict=True))
        return Minimum(x, point.value, float(np.abs(point.g).max()), iterations, self.evaluations, converged, message)


def _vector(arrays: list[Any]) -> Vector:
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    return np.concatenate([a.view(real_dtype(dtype_of(a))).astype(np.float64) for a in flat])


def times_inverse_hessian(g: Vector, pairs: Iterable[Pair]) -> Vector:
    """H g, where H is the approximate inverse of the second derivative: the two loops of algorithm 7.4.

    H begins as s·y / y·y of the last pair times the identity (equation 7.20).
    """
    q = g.copy()
    alphas = []
    newest_first = list(pairs)[::-1]
    for s, y, rho in newest_first:
        alphas.append(rho * (s @ q))
        q -= alphas[-1] * y
    if newest_first:
        _, y, rho = newest_first[0]
        q /= rho * (y @ y)
    for (s, y, rho), alpha in zip(newest_first[::-1], alphas[::-1], strict=True):
        q += (alpha - rho * (y @ q)) * s
    return q


def search(line: Line, start: Point, first: float) -> Point | None:
    """A point that satisfies the strong Wolfe conditions, or one that is at least lower: algorithm 3.5."""
    last, t = start, first
    for trial in range(TRIALS):
        point = line.at(t)
        if not low_enough(point, start) or (trial and point.value >= last.value):
            return zoom(line, start, last, point)
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        if point.slope >= 0:
            return zoom(line, start, point, last)
        further = cubic(last, point)
        last, t = point, min(further, 10 * t) if further > t else 4 * t  # steeper and steeper: the cubic has no minimum
    return last


def zoom(line: Line, start: Point, low: Point, high: Point) -> Point | None:
    """The same between two points, of which ``low`` is the lower one and falls towards the other: algorithm 3.6."""
    for _ in range(TRIALS):
        margin = 0.1 * abs(high.t - low.t)
        left, right = min(low.t, high.t) + margin, max(low.t, high.t) - margin
        point = line.at(min(max(cubic(low, high), left), right))
        if not low_enough(point, start) or point.value >= low.value:
            high = point
            continue
        if abs(point.slope) <= -CURVATURE * start.slope:
            return point
        if point.slope * (high.t - low.t) >= 0:
            high = low
        low = point
    return low if low.value < start.value else None


def low_enough(point: Point, start: Point) -> bool:
    """The first Wolfe condition; false for NaN and infinity."""
    return bool(point.value <= start.value + ARMIJO * point.t * start.slope)


def cubic(a: Point, b: Point) -> float:
    """Where the cubic with the values and slopes of two points has its minimum (equation 3.59); else the middle."""
    middle = (a.t + b.t) / 2
    with np.errstate(all="ignore"):
        d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
        inside = d1 * d1 - a.slope * b.slope
        if not (math.isfinite(inside) and inside >= 0):
            return middle
        d2 = math.copysign(math.sqrt(inside), b.t - a.t)
        below = b.slope - a.slope + 2 * d2
        return b.t - (b.t - a.t) * (b.slope + d2 - d1) / below if below else middle
