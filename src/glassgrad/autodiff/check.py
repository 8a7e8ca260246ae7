"""Gradient checking: derivatives by the engine against numerical ones, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..errors import DtypeError, GradientCheckError
from ..graph.node import Node
from ..ops import elementwise as ew
from ..ops import reduction
from .derivatives import vjp
from .jvp import jvp

MODES = ("rev", "fwd")
MOST_ELEMENTS = 200  # per argument and order; more are sampled, because each costs several evaluations


class Difference(NamedTuple):
    """One derivative that was compared."""

    mode: str
    order: int
    argument: str
    element: tuple[int, ...]
    engine: float
    numerical: float
    tolerance: float
    method: str

    @property
    def error(self) -> float:
        return abs(self.engine - self.numerical)

    @property
    def agrees(self) -> bool:
        return self.error <= self.tolerance or self.engine == self.numerical

    def __str__(self) -> str:
        return (
            f"{self.mode}, order {self.order}, {self.argument}, element {list(self.element)}: engine "
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
        head = f"check_grads: {len(self.failures)} of {self.compared} derivatives disagree"
        shown = [f"  {d}" for d in sorted(self.failures, key=lambda d: -d.error / d.tolerance)[:10]]
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
    the argument; where a complex step agrees with it, the complex step is used, which has no rounding error.

    Parameters
    ----------
    f : function of arrays or trees of them, returning an array or a tree
    args : tuple of its arguments; real and complex floating leaves are varied
    order : 1 for gradients, 2 for gradients of gradients, and so on
    modes : "rev" for reverse mode, "fwd" for forward mode
    rtol, atol : tolerance, relative to the larger of the two values, and absolute in units of the largest derivative
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
    compared: list[Difference] = []
    for mode in modes:
        _check_order(f, tuple(args), 1, order, mode, (rtol, atol), np.random.default_rng(rng), compared)
    failures = [d for d in compared if not d.agrees]
    worst = max(compared, key=lambda d: d.error / d.tolerance, default=None)
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
) -> None:
    weigh = _weighted(f, args, rng)
    leaves, structure = tree.flatten(args)
    labels = [f"argument {p}" for p in tree.paths(args)]
    varied = [k for k, leaf in enumerate(leaves) if _kind(leaf) in "fc"]
    if not varied:
        raise DtypeError("check_grads: no argument has a floating dtype, so there is nothing to vary; write 3.0 for 3")

    def of_leaves(*values: Any) -> Any:
        filled = list(leaves)
        for k, v in zip(varied, values, strict=True):
            filled[k] = v
        return weigh(*tree.unflatten(structure, filled))

    points = [np.asarray(getattr(leaves[k], "value", leaves[k])) for k in varied]
    slopes = _slopes(of_leaves, points, mode)
    scale = max([float(np.max(np.abs(s), initial=0.0)) for s in slopes if np.all(np.isfinite(s))] or [0.0])
    for place, (k, point, slope) in enumerate(zip(varied, points, slopes, strict=True)):
        rtol, atol = (
            max(t, 2e-4) if point.dtype.itemsize <= 4 * (1 + (point.dtype.kind == "c")) else t for t in tolerances
        )
        for element, direction in _elements(point, rng):
            numerical, method = _numerical(of_leaves, points, place, element, direction)
            engine = float((slope[element].conjugate() * direction).real)
            size = max(abs(engine), abs(numerical))
            tolerance = rtol * size + atol * max(1.0, scale)
            compared.append(Difference(mode, level, labels[k], element, engine, numerical, tolerance, method))
    if level < order:
        derivative = (lambda *xs: _gradient(of_leaves, xs)) if mode == "rev" else _directional(of_leaves, points, rng)
        _check_order(derivative, tuple(points), level + 1, order, mode, tolerances, rng, compared)


def _weighted(f: Callable[..., Any], args: tuple[Any, ...], rng: np.random.Generator) -> Callable[..., Any]:
    """f with its outputs weighted by fixed random numbers and summed to one real number."""
    seed = int(rng.integers(1 << 31))

    def scalar(*xs: Any) -> Any:
        draw = np.random.default_rng(seed)
        total: Any = 0.0
        for leaf in tree.leaves(f(*xs)):
            weight = draw.uniform(0.5, 1.5, leaf.shape) * draw.choice([-1.0, 1.0], leaf.shape)
            phase = draw.uniform(0.5, 1.5, leaf.shape)
            if leaf.dtype.kind == "c" and not _stepping():
                total = total + reduction.sum(weight * ew.real(leaf) + phase * ew.imag(leaf))
            elif leaf.dtype.kind in "fc":
                total = total + reduction.sum(weight * leaf)
        return total

    return scalar


_complex_step = [False]


def _stepping() -> bool:
    """Whether a complex step is being taken, whose imaginary part is the derivative and must not be split off."""
    return _complex_step[0]


def _kind(leaf: Any) -> str:
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        return "O"
    return leaf.dtype.kind if isinstance(leaf, Node) else np.asarray(leaf).dtype.kind


def _gradient(f: Callable[..., Any], xs: Sequence[Any]) -> tuple[Any, ...]:
    value, pullback = vjp(f, *xs)
    result: tuple[Any, ...] = pullback(np.ones((), value.dtype))
    return result


def _directional(f: Callable[..., Any], points: list[Any], rng: np.random.Generator) -> Callable[..., Any]:
    directions = tuple(rng.normal(size=p.shape).astype(p.dtype) for p in points)
    return lambda *xs: jvp(f, xs, directions)[1]


def _slopes(f: Callable[..., Any], points: list[Any], mode: str) -> list[Any]:
    """The gradient of a scalar function, by one backward pass or by one forward pass per element."""
    if mode == "rev":
        return [np.asarray(g) for g in _gradient(f, points)]
    slopes = []
    for k, point in enumerate(points):
        slope = np.zeros(point.shape, point.dtype)
        for element in np.ndindex(point.shape):
            parts = []
            for unit in (1.0, 1j)[: 1 + (point.dtype.kind == "c")]:
                tangents = [np.zeros_like(p) for p in points]
                tangents[k][element] = unit
                parts.append(float(np.asarray(jvp(f, points, tangents)[1])))
            slope[element] = parts[0] if len(parts) == 1 else complex(*parts)
        slopes.append(slope)
    return slopes


def _elements(point: Any, rng: np.random.Generator) -> list[tuple[tuple[int, ...], complex]]:
    """Which elements to vary, and in which direction of the complex plane."""
    places = list(np.ndindex(point.shape))
    if len(places) > MOST_ELEMENTS:
        places = [places[i] for i in sorted(rng.choice(len(places), MOST_ELEMENTS, replace=False))]
    units: tuple[complex, ...] = (1.0, 1j) if point.dtype.kind == "c" else (1.0,)
    return [(place, unit) for place in places for unit in units]


def _numerical(
    f: Callable[..., Any], points: list[Any], k: int, element: tuple[int, ...], direction: complex
) -> tuple[float, str]:
    """d f / d t for points[k][element] + t · direction: Richardson's central difference, or a complex step."""
    wide = [p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) for p in points]

    def at(t: complex) -> Any:
        moved = [w.astype(np.complex128) for w in wide] if isinstance(t, complex) else list(wide)
        moved[k] = moved[k].copy()
        moved[k][element] += t * direction
        with np.errstate(all="ignore"):
            value = f(*(as_array(m) for m in moved))
        return np.asarray(getattr(value, "value", value))[()]

    h = 2e-3 * max(1.0, abs(complex(wide[k][element])))
    wide_step = (at(h) - at(-h)) / (2 * h)
    half_step = (at(h / 2) - at(-h / 2)) / h
    difference = float(np.real((4 * half_step - wide_step) / 3))
    if all(p.dtype.kind == "f" for p in points):
        stepped = _imaginary_step(at)
        if stepped is not None and abs(stepped - difference) <= 1e-6 * (1 + abs(difference)):
            return stepped, "complex step"
    return difference, "finite difference"


def _imaginary_step(at: Callable[[complex], Any]) -> float | None:
    """Im f(x + ih) / h: exact to rounding where f is analytic; None where f does not take complex numbers."""
    _complex_step[0] = True
    try:
        value = at(complex(0.0, 1e-20))
    except (TypeError, ValueError, np.linalg.LinAlgError):
        return None
    finally:
        _complex_step[0] = False
    slope = float(np.imag(value) / 1e-20)
    return slope if np.isfinite(slope) else None
