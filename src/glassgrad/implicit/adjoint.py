"""The adjoint equation of a differential equation: what ``odeint(adjoint="continuous")`` pulls cotangents back by.

For dy/dt = f(y, t, θ) and a loss of y(t₁), a = ∂L/∂y satisfies da/dt = -(∂f/∂y)ᵀ a, and ∂L/∂θ is the integral of
(∂f/∂θ)ᵀ a: L. S. Pontryagin et al. (1962). y is integrated backwards beside them, between two times from the value that
was found at the later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..autodiff.branches import plain, pulled
from ..autodiff.jvp import jvp
from ..autodiff.loops import scan
from ..graph.apply import apply
from ..graph.node import Value, spec_of
from ..numpy.arguments import array_of
from ..ops import logic, reduction, view
from ..ops.control import Implicit, stop_gradient
from ..ops.elementwise import conj
from ..ops.loop import Body, replayed
from .dopri5 import State
from .equation import traced
from .vector import layout

if TYPE_CHECKING:
    from .ode import Problem


def continuous(problem: Problem, y: Value, times: Value) -> tuple[Value, State]:
    """y at the times, with derivatives by the adjoint equation, and the last state."""
    body, given = traced(lambda y, t: problem.slope(y, t), [spec_of(y), spec_of(times)._replace(shape=())])
    held = [plain(stop_gradient(v)) for v in given]
    ys, last = _along(problem, body, held).solve(stop_gradient(y), stop_gradient(times))
    return apply(Implicit, (ys, y, times, *given), {"rule": ByAdjoint(problem, body)}), last


def _along(problem: Problem, body: Body, given: Sequence[Any]) -> Problem:
    """The same problem with the graph of its slope, and what that is given."""
    return problem._replace(slope=lambda y, t: replayed(body, [y, t, *given])[0])


@dataclass(frozen=True, eq=False)
class ByAdjoint:
    """The derivatives of a solution at several times: the rule of ``Implicit``."""

    problem: Problem
    body: Body

    def pull(self, g: Value, ys: Value, xs: Sequence[Value]) -> tuple[Value | None, ...]:
        """Cotangents of the first value, the times, and what the slope is given."""
        _, _, times, *given = xs
        wanted = [k for k, x in enumerate(self.body.inputs) if k > 1 and x.tracked]
        like = layout(self.problem.what, "the adjoint", [ys[0], ys[0], [given[k - 2] for k in wanted]])

        def slope(state: Value, t: Value) -> Value:
            y, a, _ = like.tree(array_of(state))
            found = pulled(self.body, [y, t, *given], [0, *wanted], [0], [a])
            return like.vector([self._slope(y, t, given), -found[0], [-c for c in found[1:]]], "its slope")

        backwards = self.problem._replace(slope=slope)

        def between(held: Any, row: Any) -> Any:
            """From one time to the one before: what is gathered so far, and the cotangent of the later time."""
            a, sums = held
            y, seed, pair = row
            by_time = _real_product(seed, self._slope(y, pair[1], given))
            state = like.vector([y, a + seed, sums], "the adjoint")
            found, _ = backwards.solve(state, pair[::-1])
            _, a, sums = like.tree(found[-1])
            return (a, sums), by_time

        pairs = view.stack([times[:-1], times[1:]], 1)
        begun = (logic.zeros_like(ys[0]), [logic.zeros_like(given[k - 2]) for k in wanted])
        (a, sums), by_time = scan(between, begun, (ys[1:], g[1:], pairs), reverse=True)
        first = -_real_product(a, self._slope(ys[0], times[0], given))
        by_time = logic.astype(view.concatenate([view.reshape(first, (1,)), by_time]), spec_of(times).dtype)
        found = {0: a + g[0], 1: by_time, **dict(zip(wanted, sums, strict=True))}
        return (None, *(plain(array_of(found[k])) if k in found else None for k in range(len(self.body.inputs))))

    def push(self, ts: Sequence[Value | None], ys: Value, xs: Sequence[Value]) -> Value:
        """The tangent of the values: that of the steps."""
        moved = [k for k in range(1, len(xs)) if ts[k] is not None]

        def again(*values: Any) -> Value:
            held = {**dict(enumerate(xs)), **dict(zip(moved, values, strict=True))}
            problem = _along(self.problem, self.body, [held[k] for k in range(3, len(xs))])
            return problem.solve(held[1], held[2])[0]

        return jvp(again, [xs[k] for k in moved], [ts[k] for k in moved])[1]

    def _slope(self, y: Value, t: Value, given: Sequence[Any]) -> Value:
        return replayed(self.body, [y, t, *given])[0]


def _real_product(a: Value, b: Value) -> Value:
    return reduction.sum((conj(a) * b).real if spec_of(a).dtype.kind == "c" else a * b)
