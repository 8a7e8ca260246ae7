"""Functions with a derivative given by the user."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import types
import warnings
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import dtype_of, is_inexact
from ..errors import RuleError
from ..graph.apply import apply
from ..graph.node import NO_PARAMS, Input, Node, is_symbolic, make, reachable, shape_of, value_of
from ..ops import logic
from ..ops.control import Alias, Override, OverrideMany, stop_gradient
from .vjp import live, pull

LARGE = 1 << 20  # elements of an argument being traced, above which no values are made up to try a rule
P = ParamSpec("P")
R = TypeVar("R")


class _Custom(Generic[P, R]):
    """A function whose derivative is a rule, not what its operations say."""

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)  # first, for it copies the attributes of a function that has some
        self.function = function
        self.signature = inspect.signature(function)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(*self._positional(args, kwargs))

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the rule takes them: by position, defaults filled in."""
        if not kwargs and len(args) == len(self.signature.parameters):
            return args, kwargs
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if _nodes(bound.kwargs):
            raise RuleError(
                f"{self._name}: {sorted(bound.kwargs)} can be given by keyword only, and a custom rule takes what is "
                f"differentiated by position; make them ordinary parameters"
            )
        return bound.args, bound.kwargs

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        if not any(node.tracked or node.value is None for node in _nodes(args)):
            return self.function(*args, **kwargs)
        return self._ruled(args, kwargs)

    def _ruled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """The value of arguments that are differentiated by, carrying the rule."""
        raise NotImplementedError

    def _refuse_closed_over(self, value: Any, inside: list[Node]) -> None:
        """A value may depend on what is differentiated only through the arguments: the rule says nothing of more."""
        ends = set(inside)
        for node in reachable(_nodes(value), follow=lambda n: n.tracked and n not in ends):
            finished = node.op is Input and node.value is not None and node.index not in live
            if not finished and not any(x.tracked for x in node.inputs):
                raise RuleError(
                    f"{self._name}: the function uses a differentiated value that is not an argument ({node.op.name} "
                    f"at {node.origin}), for which the rule has no cotangent; pass it as an argument"
                )

    def _override(self, value: Any, inputs: list[Any], rule: Callable[..., list[Any]]) -> Any:
        """The value's leaves as outputs of a node whose derivative is ``rule``."""
        values, structure = tree.flatten(value)
        count = len(values)

        def whole(g: Any, *given: Any) -> tuple[Any, ...]:
            cotangent = tree.unflatten(structure, list(g) if count > 1 else [g])
            return (*(None for _ in values), *rule(cotangent, given[count:]))

        given = (*(stop_gradient(v) for v in values), *inputs)
        if count == 1:
            return tree.unflatten(structure, [apply(Override, given, {"rule": whole})])
        return tree.unflatten(structure, list(apply(OverrideMany, given, {"rule": whole, "count": count})))

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", "function")


class custom_vjp(_Custom[P, R]):
    """Decorator: give a function its reverse-mode derivative by hand.

    ``f.defvjp(forward, backward)`` says how: ``forward(*args)`` returns ``(value, residuals)``; ``backward(residuals,
    cotangent)`` returns a tuple with one cotangent per argument, None for an argument without one. Both are written
    with glassgrad.numpy, so they trace and differentiate again.

    Raises
    ------
    RuleError
        if ``defvjp`` was never called, or ``backward`` returns another number of cotangents.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> @gg.custom_vjp
    ... def log1pexp(x):
    ...     return np.log(1.0 + np.exp(x))
    >>> log1pexp.defvjp(lambda x: (log1pexp(x), x), lambda x, g: (g * (1.0 - 1.0 / (1.0 + np.exp(x))),))
    >>> float(gg.grad(log1pexp)(0.0))
    0.5
    """

    def __init__(self, function: Callable[P, R]) -> None:
        super().__init__(function)
        self.rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None
        self._running = False

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Set the rule: see the class."""
        self.rules = (forward, backward)

    def _ruled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        if self.rules is None:
            raise RuleError(f"{self._name}: custom_vjp without a rule; call {self._name}.defvjp(forward, backward)")
        result: R = self._forward_now(args, kwargs) if not self._running else self._forward_later(args, kwargs)
        return result

    def _forward_now(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the user's forward; what it kept goes to backward.

        The residuals stay connected to the arguments: the first derivative does not look there, the second does.
        """
        inside = tree.map(lambda x: apply(Alias, (x,)) if isinstance(x, Node) and x.tracked else x, args)
        self._running = True
        try:
            value, residuals = self._forward(inside, kwargs)
        finally:
            self._running = False
        self._refuse_closed_over(value, _nodes(inside))
        kept, packing = tree.flatten(residuals)
        nodes = [r for r in kept if isinstance(r, Node)]

        def rule(g: Any, inputs: tuple[Any, ...]) -> list[Any]:
            supply = iter(inputs[: len(nodes)])
            filled = tree.unflatten(packing, [next(supply) if isinstance(r, Node) else r for r in kept])
            return [None] * len(nodes) + self._cotangents(filled, g, args)

        return self._override(value, [*nodes, *_nodes(args)], rule)

    def _forward_later(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The function inside its own forward: forward runs again if the derivative is asked for."""
        value = self.function(*tree.map(stop_gradient, args), **kwargs)
        self._refuse_closed_over(value, [])
        leaves, structure = tree.flatten(args)

        def rule(g: Any, inputs: tuple[Any, ...]) -> list[Any]:
            supply = iter(inputs)
            again = tree.unflatten(structure, [next(supply) if isinstance(x, Node) else x for x in leaves])
            return self._cotangents(self._forward(again, kwargs)[1], g, args)

        return self._override(value, _nodes(args), rule)

    def _forward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
        assert self.rules is not None
        pair = self.rules[0](*args, **kwargs)
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise RuleError(f"{self._name}: forward must return (value, residuals): got {type(pair).__name__}")
        return pair

    def _cotangents(self, residuals: Any, g: Any, args: tuple[Any, ...]) -> list[Any]:
        """What ``backward`` returns, one entry per node among the leaves of the arguments."""
        assert self.rules is not None
        returned = self.rules[1](residuals, g)
        if not isinstance(returned, tuple) or len(returned) != len(args):
            got = len(returned) if isinstance(returned, tuple) else type(returned).__name__
            raise RuleError(
                f"{self._name}: backward must return a tuple with one cotangent per argument: got {got}, expected "
                f"{len(args)}; use None for an argument without a derivative"
            )
        found: list[Any] = []
        for c, argument in zip(returned, args, strict=True):
            pairs: list[tuple[Any, Any]] = []
            if c is None:
                pairs = [(leaf, None) for leaf in tree.leaves(argument)]
            else:
                tree.map(lambda leaf, part, pairs=pairs: pairs.append((leaf, part)), argument, c)
            found.extend(self._fitting(leaf, part) for leaf, part in pairs if isinstance(leaf, Node))
        return found

    def _fitting(self, leaf: Node, cotangent: Any) -> Any:
        if cotangent is None or shape_of(cotangent) == leaf.shape:
            return cotangent
        raise RuleError(
            f"{self._name}: backward returned a cotangent of another shape than its argument: got "
            f"{shape_of(cotangent)}, expected {leaf.shape}"
        )


class custom_jvp(_Custom[P, R]):
    """Decorator: give a function its forward-mode derivative by hand. Reverse mode follows from it.

    ``f.defjvp(rule)`` says how: ``rule(primals, tangents)`` takes two tuples with one entry per argument, and returns
    the value and its tangent, which must be linear in the tangents. An argument that is no floating array, nor a tree
    of some, has the tangent None. ``f.defjvps(part, ...)`` gives one rule per argument instead, ``part(tangent,
    value, *primals)``, None for one without derivative. All are written with glassgrad.numpy, so they differentiate
    again. The cotangents are the transpose of the rule, so they need not be given.

    Raises
    ------
    RuleError
        if no rule was given, or the tangent it returns is not like the value; at the first use, if it is not linear in
        the tangents.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> @gg.custom_jvp
    ... def sinc(x):
    ...     return np.sin(x) / x
    >>> sinc.defjvps(lambda t, y, x: t * (np.cos(x) - y) / x)
    >>> value, tangent = gg.jvp(sinc, (1.0,), (1.0,))
    >>> float(gg.grad(sinc)(1.0)) == float(tangent)
    True
    """

    def __init__(self, function: Callable[P, R]) -> None:
        super().__init__(function)
        self.rule: Callable[..., Any] | None = None
        self._tried = False

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Set the rule: see the class. It returns it, so that it can be a decorator."""
        self.rule, self._tried = rule, False
        return rule

    def defjvps(self, *parts: Callable[..., Any] | None) -> None:
        """Set one rule per argument: see the class."""

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
            value = self(*primals)  # type: ignore[call-arg]
            given = zip(parts, tangents, strict=True)
            terms = [part(t, value, *primals) for part, t in given if part is not None and t is not None]
            return value, functools.reduce(lambda a, b: tree.map(operator.add, a, b), terms)

        self.defjvp(rule)

    def _ruled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        if self.rule is None:
            raise RuleError(f"{self._name}: custom_jvp without a rule; call {self._name}.defjvp(rule)")
        value = self.function(*tree.map(stop_gradient, args), **kwargs)
        self._refuse_closed_over(value, [])
        leaves, structure = tree.flatten(args)

        def rule(g: Any, inputs: tuple[Any, ...]) -> list[Any]:
            supply = iter(inputs)
            primals = tree.unflatten(structure, [next(supply) if isinstance(x, Node) else x for x in leaves])
            return self._transposed(primals, leaves, structure, g)

        result: R = self._override(value, _nodes(args), rule)
        return result

    def _transposed(self, primals: Any, leaves: list[Any], structure: tree.Structure, g: Any) -> list[Any]:
        """Cotangents of the nodes among the leaves: the rule is linear in the tangents, so pulling g through it."""
        assert self.rule is not None
        zeros = [np.zeros(shape_of(x), dtype_of(x))[()] if _varies(x) else None for x in leaves]
        seeds = [
            make(Input, (), NO_PARAMS, zero, tracked=True) if isinstance(x, Node) and zero is not None else zero
            for x, zero in zip(leaves, zeros, strict=True)
        ]
        pair = self.rule(primals, _none_for_empty(tree.unflatten(structure, seeds)))
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise RuleError(f"{self._name}: the rule must return (value, tangent): got {type(pair).__name__}")
        cotangents, packing = tree.flatten(g)
        tangents, made = tree.flatten(pair[1])
        if made != packing or any(shape_of(t) != shape_of(c) for t, c in zip(tangents, cotangents, strict=True)):
            raise RuleError(f"{self._name}: the rule returned a tangent of another structure or shape than the value")
        if not self._tried:
            self._tried = True  # first, for the rule may come here again
            self._try(primals, leaves, structure)
        outputs = [as_array(t) for t in tangents]
        cast = [logic.astype(c, t.dtype) for c, t in zip(cotangents, outputs, strict=True)]
        found = iter(pull(outputs, cast, [s for s in seeds if isinstance(s, Node)])[0])
        return [
            next(found) if isinstance(s, Node) else None
            for s, x in zip(seeds, leaves, strict=True)
            if isinstance(x, Node)
        ]

    def _try(self, primals: Any, leaves: list[Any], structure: tree.Structure) -> None:
        """Refuse a rule whose tangent for -2 t is not -2 times that for t, at the primals or, traced, at any."""
        assert self.rule is not None
        rng, rule = np.random.default_rng(0), self.rule
        if any(is_symbolic(x) and math.prod(x.shape) > LARGE for x in tree.leaves(primals)):
            return
        at = tree.map(lambda x: _sample(x, rng), primals)
        ts = [as_array(rng.uniform(0.5, 1.5, shape_of(x)).astype(dtype_of(x))) if _varies(x) else None for x in leaves]

        def pushed(scale: float) -> list[Any]:
            given = [None if t is None else logic.astype(scale * t, t.dtype) for t in ts]
            return [value_of(t) for t in tree.leaves(rule(at, _none_for_empty(tree.unflatten(structure, given)))[1])]

        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                once, twice = pushed(1.0), pushed(-2.0)
        except Exception:  # what is wrong at such values is told where it is asked for
            return
        for a, b in zip(once, twice, strict=True):
            if a is None or b is None:
                return
            a, b = -2.0 * np.asarray(a), np.asarray(b)
            good = np.isfinite(a) & np.isfinite(b)
            largest = np.max(np.maximum(abs(a), abs(b)), initial=0.0, where=good)
            inexact = 0.1 if a.dtype.itemsize == 2 else 1e-3  # for a rule may iterate
            if np.any(abs(a - b) > inexact * largest, where=good):
                self._tried = False
                raise RuleError(
                    f"{self._name}: the rule of custom_jvp must be linear in the tangents: for -2 times the tangents "
                    f"it returns another tangent than -2 times the one for them; multiply the tangents only by what "
                    f"depends on the primals, and add nothing"
                )


def _sample(x: Any, rng: np.random.Generator) -> Any:
    """The value of a leaf, or one like it where it is being traced."""
    if not is_symbolic(x):
        return as_array(x.value) if isinstance(x, Node) else x
    return as_array(rng.uniform(0.25, 0.75, x.shape).astype(x.dtype))


def _varies(x: Any) -> bool:
    return not isinstance(x, (str, bytes)) and not callable(x) and is_inexact(dtype_of(x))


def _none_for_empty(tangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """None for an argument none of whose leaves has a tangent."""
    return tuple(None if all(leaf is None for leaf in tree.leaves(t)) else t for t in tangents)


def _nodes(args: Any) -> list[Node]:
    return [leaf for leaf in tree.leaves(args) if isinstance(leaf, Node)]
