"""Gradient checking: derivatives by the engine against numerical ones, element by element."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import finfo, is_inexact, kind_of
from ..errors import DtypeError, GradientCheckError
from ..graph.node import value_of
from ..ops import elementwise as ew
from ..ops import reduction
from .derivatives import vjp
from .jvp import jvp

MODES = ("rev", "fwd")
MOST_ELEMENTS = 50  # per argument and order; of more, as many are sampled, and two random directions added
COARSE = {2: 5e-2, 4: 2e-4}  # least tolerances by bytes of a real number: 16-bit floats and float32
ROUNDING = 1e-11  # of f / x, what a derivative and its numerical counterpart may lose where they cancel
STEPS = (2e-3, 1e-4, 3e-6)  # the smaller ones for points near a kink, where the larger would step across it


class Difference(NamedTuple):
    """One derivative that was compared."""

    mode: str
    order: int
    argument: str
    element: Any
    engine: float
    numerical: float
    tolerance: float
    method: str

    @property
    def error(self) -> float:
        return abs(self.engine - self.numerical)

    @property
    def excess(self) -> float:
        """The error in units of its tolerance."""
        return self.error / max(self.tolerance, 1e-300)

    @property
    def agrees(self) -> bool:
        return self.error <= self.tolerance or self.engine == self.numerical

    def __str__(self) -> str:
        place = f"element {list(self.element)}" if isinstance(self.element, tuple) else "a random direction"
        return (
            f"{self.mode}, order {self.order}, {self.argument}, {place}: engine "
            f"{self.engine:.12g}, {self.method} {self.numerical:.12g}, difference {self.error:.3g} > tolerance "
            f"{self.tolerance:.3g}"
        )


@dataclass(frozen=True)
class Report:
    """What a check compared. ``worst`` is the comparison nearest to or furthest over its tolerance."""

    compared: int
    failures: list[Difference]
    worst: Difference | None

    def __str__(self) -> str:
        head = (
            f"check_grads: {len(self.failures)} of {self.compared} derivatives disagree (at a kink or a jump no "
            f"derivative is right: move the point if it is within {STEPS[-1]:g} of one)"
        )
        shown = [f"  {d}" for d in sorted(self.failures, key=lambda d: -d.excess)[:10]]
        more = [f"  and {len(self.failures) - 10} more"] if len(self.failures) > 10 else []
        return "\n".join([head, *shown, *more])


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = MODES,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    rng: int = 0,
) -> Report:
    """Compare derivatives of ``f`` at ``args`` with numerical ones; raise if any disagrees.

    Each output element is weighted by a fixed random number and summed, so every row of the Jacobian takes part. The
    numerical derivative is a central difference extrapolated by Richardson's method, in float64 whatever the dtype of
    the argument, with smaller steps where the first does not agree, because a kink may be near. Where a complex step
    agrees with it, the complex step is used, which has no rounding error. Every element is varied by itself; of a
    large array, 50 of them and two random directions.

    Parameters
    ----------
    f : function of arrays or trees of them, returning an array or a tree
    args : tuple of its arguments; real and complex floating leaves are varied
    order : 1 for gradients, 2 for gradients of gradients, and so on
    modes : "rev" for reverse mode, "fwd" for forward mode
    rtol, atol : tolerance, relative to the larger of the two values, and to the largest derivative by that argument; at
        least 2e-4 for float32 and 5e-2 for 16-bit floats, whose derivatives carry no more digits
    rng : seed of the weights and of the sampled elements

    Returns
    -------
    Report
        of what was compared, if everything agrees.

    Raises
    ------
    GradientCheckError
        naming mode, order, argument, element, both values and the tolerance of each disagreement.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> report = gg.check_grads(lambda x: (x ** 3).sum(), (np.array([1.0, 2.0]),))
    >>> report.compared, len(report.failures)
    (8, 0)
    """
    if not isinstance(args, (tuple, list)):
        raise DtypeError(f"check_grads: args is the tuple of arguments: got {type(args).__name__}; write (x,) for x")
    if isinstance(modes, str):
        modes = (modes,)
    unknown = [m for m in modes if m not in MODES]
    if unknown or order < 1:
        raise ValueError(
            f"check_grads: got modes {list(modes)} and order {order}, expected modes among {MODES}, order ≥ 1"
        )
    if any(_kind(leaf) in "fc" and np.any(np.isnan(np.asarray(value_of(leaf)))) for leaf in tree.leaves(args)):
        raise ValueError("check_grads: an argument holds NaN, where no derivative can be compared; pass finite numbers")
    compared: list[Difference] = []
    for mode in modes:
        _check_order(f, tuple(args), 1, order, mode, (rtol, atol), np.random.default_rng(rng), compared)
    failures = [d for d in compared if not d.agrees]
    worst = max(compared, key=lambda d: d.excess, default=None)
    report = Report(len(compared), failures, worst)
    if failures:
        raise GradientCheckError(str(report))
    return report


def _check_order(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    level: int,
    order: int,
    mode: str,
    tolerances: tuple[float, float],
    rng: np.random.Generator,
    compared: list[Difference],
    units: list[float] | None = None,
) -> None:
    weigh = _weighted(f, args, rng)
    leaves, structure = tree.flatten(args)
    varied = [k for k, leaf in enumerate(leaves) if _kind(leaf) in "fc"]
    if not varied:
        raise DtypeError("check_grads: no argument has a floating dtype, so there is nothing to vary; write 3.0 for 3")

    def scalar(*values: Any) -> Any:
        filled = list(leaves)
        for k, v in zip(varied, values, strict=True):
            filled[k] = v
        return weigh(*tree.unflatten(structure, filled))

    points = [np.asarray(value_of(leaves[k])) for k in varied]
    labels = tree.paths(args)
    slope = _engine(scalar, points, mode)
    asked = [
        (f"argument {labels[k]}", place, element, v, slope(place, v))
        for place, (k, point) in enumerate(zip(varied, points, strict=True))
        for element, v in _directions(point, rng)
    ]
    largest = [0.0] * len(points)
    for _, place, _, _, engine in asked:
        largest[place] = max(largest[place], abs(engine) if np.isfinite(engine) else 0.0)
    sizes = [float(np.max(np.abs(p), initial=0.0)) or 1.0 for p in points]
    if units is None:
        units = [_height(scalar, points) / size for size in sizes]
    else:
        units = [unit / min(size, 1.0) for unit, size in zip(units, sizes, strict=True)]
    for label, place, element, v, engine in asked:
        rtol, atol = (max(t, COARSE.get(finfo(points[place].dtype).dtype.itemsize, 0.0)) for t in tolerances)
        floor = atol * largest[place] + ROUNDING * units[place]
        found = _nearest(scalar, points, place, v, engine, (rtol, floor))
        compared.append(Difference(mode, level, label, element, engine, *found))
    if level < order:
        derivative = (lambda *xs: _gradient(scalar, xs)) if mode == "rev" else _directional(scalar, points, rng)
        _check_order(derivative, tuple(points), level + 1, order, mode, tolerances, rng, compared, units)


def _height(f: Callable[..., Any], points: list[Any]) -> float:
    """The size of a scalar function's value: what its derivatives may lose to rounding is in proportion."""
    with np.errstate(all="ignore"):
        value = f(*(as_array(p) for p in points))
    height = abs(complex(np.asarray(value_of(value))))
    return height if np.isfinite(height) else 0.0


def _weighted(f: Callable[..., Any], args: tuple[Any, ...], rng: np.random.Generator) -> Callable[..., Any]:
    """f with its outputs weighted by fixed random numbers and summed to one real number."""
    seed = int(rng.integers(1 << 31))

    def scalar(*xs: Any) -> Any:
        draw = np.random.default_rng(seed)
        total: Any = 0.0
        for leaf in map(_numbers, tree.leaves(f(*xs))):
            weight = draw.uniform(0.5, 1.5, leaf.shape) * draw.choice([-1.0, 1.0], leaf.shape)
            phase = draw.uniform(0.5, 1.5, leaf.shape)
            if leaf.dtype.kind == "c" and not _stepping.get():
                total = total + reduction.sum(weight * ew.real(leaf) + phase * ew.imag(leaf))
            elif is_inexact(leaf.dtype):
                total = total + reduction.sum(weight * leaf)
        return total

    return scalar


# Whether a complex step is being taken, whose imaginary part is the derivative and must not be split off.
_stepping: ContextVar[bool] = ContextVar("stepping", default=False)


def _numbers(leaf: Any) -> Any:
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def _kind(leaf: Any) -> str:
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        return "O"
    return kind_of(_numbers(leaf).dtype)


def _gradient(f: Callable[..., Any], xs: Sequence[Any]) -> tuple[Any, ...]:
    value, pullback = vjp(f, *xs)
    result: tuple[Any, ...] = pullback(np.ones((), value.dtype))
    return result


def _directional(f: Callable[..., Any], points: list[Any], rng: np.random.Generator) -> Callable[..., Any]:
    directions = tuple(rng.normal(size=p.shape).astype(p.dtype) for p in points)
    return lambda *xs: jvp(f, xs, directions)[1]


def _engine(f: Callable[..., Any], points: list[Any], mode: str) -> Callable[[int, Any], float]:
    """The engine's derivative of a scalar function when points[place] moves along v."""
    if mode == "rev":
        slopes = [np.asarray(g) for g in _gradient(f, points)]
        return lambda place, v: float(np.real(np.sum(np.conj(slopes[place]) * v)))

    def forward(place: int, v: Any) -> float:
        tangents = [v.astype(p.dtype) if k == place else np.zeros_like(p) for k, p in enumerate(points)]
        return float(np.asarray(jvp(f, points, tangents)[1]))

    return forward


def _directions(point: Any, rng: np.random.Generator) -> list[tuple[Any, Any]]:
    """Directions to move a point in, with their names: single elements, and all at once if those are only sampled."""
    places = list(np.ndindex(point.shape))
    whole = []
    wide = np.complex128 if point.dtype.kind == "c" else np.float64
    if len(places) > MOST_ELEMENTS:
        places = [places[i] for i in sorted(rng.choice(len(places), MOST_ELEMENTS, replace=False))]
        whole = [("random", rng.choice([-1.0, 1.0], point.shape).astype(wide)) for _ in range(2)]
    single = []
    for place in places:
        for unit in (1.0, 1j)[: 1 + (wide is np.complex128)]:
            v = np.zeros(point.shape, wide)
            v[place] = unit
            single.append((place, v))
    return single + whole


def _nearest(
    f: Callable[..., Any], points: list[Any], place: int, v: Any, engine: float, tolerances: tuple[float, float]
) -> tuple[float, float, str]:
    """A numerical derivative along v that agrees with the engine's, or else the one that comes nearest.

    Returns it with its tolerance, which allows for the rounding of f at that step, and the method's name.
    """
    rtol, atol = tolerances
    tried = []
    for numerical, noise, method in _numerical(f, points, place, v):
        tolerance = rtol * max(abs(engine), abs(numerical)) + atol + noise
        if abs(engine - numerical) <= tolerance or engine == numerical:
            return numerical, tolerance, method
        tried.append((abs(engine - numerical) / max(tolerance, 1e-300), numerical, tolerance, method))
    return min(tried, key=lambda t: np.inf if np.isnan(t[0]) else t[0])[1:]


def _numerical(f: Callable[..., Any], points: list[Any], place: int, v: Any) -> Iterator[tuple[float, float, str]]:
    """d f / d t for points[place] + t v: value, rounding noise and method, by smaller and smaller steps."""
    wide = [p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) for p in points]

    def at(t: complex) -> Any:
        moved = [w.astype(np.complex128) for w in wide] if isinstance(t, complex) else list(wide)
        moved[place] = moved[place] + t * v
        with np.errstate(all="ignore"):
            value = f(*(as_array(m) for m in moved))
        return np.asarray(value_of(value))[()]

    stepped = _imaginary_step(at) if all(kind_of(p.dtype) == "f" for p in points) else None
    size = float(np.max(np.abs(wide[place]) * (v != 0), initial=0.0))
    height = abs(at(0.0))
    for h in [*(step * max(1.0, size) for step in STEPS), *([1e-3 * size] if 0 < size < 1 else [])]:
        wide_step = (at(h) - at(-h)) / (2 * h)
        half_step = (at(h / 2) - at(-h / 2)) / h
        difference = float(np.real((4 * half_step - wide_step) / 3))
        noise = 20 * float(np.finfo(float).eps * height / h)
        if stepped is not None and abs(stepped - difference) <= 1e-6 * abs(difference) + noise + 1e-12:
            yield stepped, 0.0, "complex step"
        yield difference, noise, "finite difference"


def _imaginary_step(at: Callable[[complex], Any]) -> float | None:
    """Im f(x + ih) / h: exact to rounding where f is analytic; None where f does not take complex numbers."""
    token = _stepping.set(True)
    try:
        value = at(complex(0.0, 1e-20))
    except (TypeError, ValueError, np.linalg.LinAlgError):
        return None
    finally:
        _stepping.reset(token)
    slope = float(np.imag(value) / 1e-20)
    return slope if np.isfinite(slope) else None
