"""The format of a rewrite: for which op, under which condition on what made its inputs, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

Function = Callable[..., Any]
Table = Mapping[Any, tuple["Rule", ...]]

ANY = None  # in place of an op: whatever made the input


class Rule(NamedTuple):
    """One rewrite of nodes of an op.

    Attributes
    ----------
    function : ``(b, node, *inputs, **params)`` gives a node of equal value, shape and dtype, or None where the rewrite
        does not apply. ``b`` is the ``Rewriter``, which also refuses what has another shape or dtype, so a rule
        may leave that to it.
    operand : the op that must have made the input at one of ``places``; ``Constant`` for an input with a value
    places : numbers of inputs. A rule with two is given the one it matched first, then the other: for ops whose inputs
        can be exchanged.
    """

    function: Function
    operand: Any = ANY
    places: tuple[int, ...] = ()


def always(function: Function) -> Rule:
    """A rewrite for whatever inputs."""
    return Rule(function)


def first(operand: Any, function: Function) -> Rule:
    """A rewrite where the first input was made by this op."""
    return Rule(function, operand, (0,))


def second(operand: Any, function: Function) -> Rule:
    """A rewrite where the second input was made by this op."""
    return Rule(function, operand, (1,))


def either(operand: Any, function: Function) -> Rule:
    """A rewrite where either input was made by this op; it comes first."""
    return Rule(function, operand, (0, 1))


class Index(NamedTuple):
    """Rules by what has to be looked up at a node.

    Attributes
    ----------
    plain : op -> functions
    matched : (op, number of an input, what made it) -> functions
    """

    plain: dict[Any, tuple[Function, ...]]
    matched: dict[tuple[Any, int, Any], tuple[Function, ...]]


def indexed(tables: Iterable[Table]) -> Index:
    """Several tables in one, in order."""
    index = Index({}, {})
    for table in tables:
        for op, rules in table.items():
            for rule in rules:
                if rule.operand is ANY:
                    index.plain[op] = (*index.plain.get(op, ()), rule.function)
                for place in rule.places:
                    key = (op, place, rule.operand)
                    function = rule.function if len(rule.places) == 1 or not place else _exchanged(rule.function)
                    index.matched[key] = (*index.matched.get(key, ()), function)
    return index


def _exchanged(function: Function) -> Function:
    return lambda b, node, x, y, **params: function(b, node, y, x, **params)
