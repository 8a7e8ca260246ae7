"""An equation F(x) = 0 as a graph, and the derivatives of its solution by the implicit function theorem.

With A = ∂F/∂x at the solution, dx = -A⁻¹ dF, where dF is the differential of F by everything else it is made from, and
the cotangents of that are those of F for the cotangent -A⁻ᴴ x̄ (A. Griewank and A. Walther, "Evaluating Derivatives",
2nd ed. (2008), chapter 15). The rules are written with operations that differentiate again, so that derivatives of any
order follow; they never look at how the solution was found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..autodiff.batch import vmap
from ..autodiff.branches import plain, pulled
from ..autodiff.jvp import push
from ..dtypes import is_inexact
from ..graph.apply import apply
from ..graph.node import Node, Spec, Value, shape_of
from ..numpy.arguments import array_of
from ..ops import logic, view
from ..ops.control import Implicit, stop_gradient
from ..ops.loop import Body, closed, opened, opened_by, placeholder, replayed


class Equation(NamedTuple):
    """F(x, *given) = 0 for a vector x.

    Attributes
    ----------
    what : of whom errors speak
    body : the graph of F: its inputs are x and what else F is made from
    given : the values of the latter: what the user's function was given or closes over
    """

    what: str
    body: Body
    given: list[Any]

    def __call__(self, x: Value) -> Value:
        """F at x."""
        (found,) = replayed(self.body, [x, *self.given])
        return found

    @property
    def held(self) -> Equation:
        """The same with what it is given held fast: no derivative leads there."""
        return self._replace(given=[plain(stop_gradient(v)) for v in self.given])

    def pushed(self, x: Value, v: Value) -> Value:
        """A v: the derivative of F at x along v."""
        return along(self.body, [x, *self.given], {0: v})

    def pulled(self, x: Value, w: Value) -> Value:
        """Aᴴ w: the cotangent of x at x for the cotangent w of F."""
        (found,) = pulled(self.body, [x, *self.given], [0], [0], [w])
        return found

    def jacobian(self, x: Value) -> Value:
        """A at x.  [n, n]"""
        derived = self.body.derived
        if "jacobian" not in derived:  # kept, because a solver and the rules ask for it at many points

            def columns(x: Value, *given: Value) -> Value:
                at, unit = self._replace(given=list(given)), np.eye(shape_of(x)[0], dtype=x.dtype)
                return view.matrix_transpose(vmap(lambda v: at.pushed(x, v))(unit))

            derived["jacobian"] = traced(columns, self.body.inputs)
        body, constants = derived["jacobian"]
        (found,) = replayed(body, [x, *self.given, *constants])
        return found


def traced(function: Callable[..., Any], like: Sequence[Any]) -> tuple[Body, list[Node]]:
    """The graph of a function of arrays like these, and what it uses of the programs around it as further inputs."""
    with opened() as trace:
        inputs = [placeholder(x, trace, is_inexact(x.dtype)) for x in like]
        output = array_of(function(*inputs))
    return closed(trace, inputs, [output], 0, [x for x in inputs if x.tracked])


def equation(what: str, function: Callable[[Any], Any], spec: Spec) -> Equation:
    """The equation that says where a function of a vector, returning one of its size, is zero."""
    return Equation(what, *traced(function, [spec]))


def along(body: Body, values: Sequence[Any], tangents: dict[int, Value]) -> Value:
    """The tangent of a body's result at these inputs, from tangents of some of them."""
    inputs, targets = opened_by(body, values, tangents)
    output = array_of(replayed(body, inputs)[0])
    (found,) = push([output], targets, list(tangents.values()))
    return logic.zeros_like(output) if found is None else found


@dataclass(frozen=True, eq=False)
class ByTheorem:
    """The derivatives of the solution of an equation: the rule of ``Implicit``.

    ``solve(equation, x, b, transposed)`` gives A⁻¹ b, or A⁻ᴴ b, at the solution x.
    """

    equation: Equation
    solve: Callable[[Equation, Value, Value, bool], Value]

    def pull(self, g: Value, y: Value, xs: Sequence[Value]) -> tuple[Value | None, ...]:
        """Cotangents of what the equation is given."""
        at = self.equation._replace(given=list(xs[1:]))
        wanted = [k for k, x in enumerate(at.body.inputs) if k and x.tracked]
        weight = self.solve(at, y, g, True)
        found = pulled(at.body, [y, *at.given], wanted, [0], [-weight])
        cotangents = dict(zip(wanted, map(plain, map(array_of, found)), strict=True))
        return tuple([cotangents.get(k) for k in range(len(xs))])

    def push(self, ts: Sequence[Value | None], y: Value, xs: Sequence[Value]) -> Value:
        """The tangent of the solution."""
        at = self.equation._replace(given=list(xs[1:]))
        moved = {k: t for k, t in enumerate(ts) if k and t is not None}
        return self.solve(at, y, -along(at.body, [y, *at.given], moved), False)


def solution(x: Value, of: Equation, solve: Callable[[Equation, Value, Value, bool], Value]) -> Value:
    """The vector x, found by whatever means, as the solution of an equation: with its derivatives."""
    if not any(isinstance(v, Node) and (v.tracked or v.value is None) for v in of.given):
        return x
    return apply(Implicit, (stop_gradient(x), *of.given), {"rule": ByTheorem(of, solve)})
