"""Nest: the loops that compute one value, before they are merged with others and given an order.

A nest is a table of what its loops hold, over global buffer numbers and names that no other nest uses, so that two
nests merge by joining their lists. Axes of extent 1 are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from . import index as ix
from .index import Axis
from .ir import (
    Accumulate,
    Affine,
    Atom,
    Check,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    Name,
    Position,
    Scalar,
    Statement,
    Store,
)

Simple = Let | Store | Check


class Fold(NamedTuple):
    """An accumulator over the inner axes: what is folded into it at the end of the body."""

    name: str
    reducer: str
    dtype: str
    value: Atom


class Product(NamedTuple):
    """A matrix product in place of a body. The nest's last two axes are its rows and columns."""

    inner: Axis
    a: Load
    b: Load
    name: str
    dtype: str


@dataclass
class Nest:
    """Loops over ``axes`` that may go in any order.

    Attributes
    ----------
    axes : what the stores depend on
    inner : further axes that ``folds`` fold over; empty for a map
    body : statements for every point of axes and inner
    folds : accumulators, finished after the inner axes
    after : statements for every point of the axes, after the folds or the product
    product : a matrix product in place of inner, body and folds
    fixed : statements that are taken as they are, and never merged
    known : the names of values in ``tail``, for merging; None if not collected, as after a change of axes
    """

    axes: list[Axis]
    inner: list[Axis] = field(default_factory=list)
    body: list[Simple] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    after: list[Simple] = field(default_factory=list)
    product: Product | None = None
    fixed: tuple[Statement, ...] | None = None
    known: dict[Any, Atom] | None = None

    @property
    def is_map(self) -> bool:
        return not self.folds and self.product is None and self.fixed is None

    @property
    def tail(self) -> list[Simple]:
        """Where a statement that needs the nest's results goes."""
        return self.body if self.is_map else self.after

    def statements(self) -> list[Statement]:
        """Every statement, loops of fixed ones opened."""
        if self.fixed is not None:
            return list(opened(self.fixed))
        return [*self.body, *self.after]

    def loads(self) -> list[Load]:
        found = [s.value for s in self.statements() if isinstance(s, Let) and isinstance(s.value, Load)]
        if self.product is not None:
            found += [self.product.a, self.product.b]
        found += [load for s in self.statements() if isinstance(s, MatMul) for load in (s.a, s.b)]
        return found

    def stores(self) -> list[Store]:
        return [s for s in self.statements() if isinstance(s, Store)]


def opened(statements: Sequence[Statement]) -> list[Statement]:
    """All statements, those inside loops and products too."""
    found: list[Statement] = []
    stack = list(reversed(statements))
    while stack:
        statement = stack.pop()
        found.append(statement)
        if isinstance(statement, (Loop, MatMul)):
            stack.extend(reversed(statement.body))
    return found


class Names:
    """Names that are used once in a program."""

    def __init__(self) -> None:
        self.count = itertools.count()

    def __call__(self, stem: str) -> str:
        return f"{stem}{next(self.count)}"


class Block:
    """Statements being written for one place in a nest; the same value is computed once.

    ``read`` remembers elements of nodes, by node and index.
    """

    def __init__(self, names: Names, outer: Block | None = None) -> None:
        self.names = names
        self.statements: list[Any] = []
        self.known: dict[Any, Atom] = {} if outer is None else dict(outer.known)
        self.read: dict[Any, Any] = {} if outer is None else dict(outer.read)

    def let(self, dtype: str, value: Load | Scalar | Position) -> Atom:
        """The atom that has this value."""
        if isinstance(value, Position) and not value.index.terms:
            return Literal(value.index.offset, "int64")
        key = (dtype, type(value), value)  # a Load and a Scalar of equal fields are equal to each other
        atom = self.known.get(key)
        if atom is None:
            name = self.names("v")
            self.statements.append(Let(name, dtype, value))
            atom = self.known[key] = Name(name)
        return atom

    def position(self, index: Affine | Name) -> Atom:
        return index if isinstance(index, Name) else self.let("int64", Position(index))

    def store(self, buffer: int, index: Affine | Name, value: Atom, reducer: str | None = None) -> None:
        self.statements.append(Store(buffer, index, value, reducer))

    def check(self, condition: Atom, code: int) -> None:
        if isinstance(condition, Name):
            self.statements.append(Check(condition, code))


def with_axes(statement: Any, values: Mapping[str, Affine]) -> Any:
    """A statement in terms of other axes."""
    change: Callable[[Any], Any] = lambda i: i if isinstance(i, Name) else ix.substitute(i, values)
    if isinstance(statement, Let):
        value = statement.value
        if isinstance(value, (Load, Position)):
            return statement._replace(value=value._replace(index=change(value.index)))
        return statement
    if isinstance(statement, Store):
        return statement._replace(index=change(statement.index))
    return statement


def with_atoms(statement: Any, values: Mapping[Atom, Atom]) -> Any:
    """A statement with names replaced."""
    change: Callable[[Any], Any] = lambda a: values.get(a, a) if isinstance(a, Name) else a
    if isinstance(statement, Let):
        value = statement.value
        if isinstance(value, Scalar):
            return statement._replace(value=value._replace(args=tuple([change(a) for a in value.args])))
        if isinstance(value, Load):
            return statement._replace(value=value._replace(index=change(value.index), mask=change(value.mask)))
        return statement
    if isinstance(statement, Store):
        return statement._replace(
            index=change(statement.index), value=change(statement.value), mask=change(statement.mask)
        )
    if isinstance(statement, (Check, Accumulate)):
        key = "condition" if isinstance(statement, Check) else "value"
        return statement._replace(**{key: change(getattr(statement, key))})
    return statement


def renamed_axes(nest: Nest, axes: Sequence[Axis], values: Mapping[str, Affine]) -> Nest:
    """The nest over other axes, the old ones being these values."""
    product = nest.product
    if product is not None:
        product = product._replace(
            a=moved(product.a, values),
            b=moved(product.b, values),
        )
    return replace(
        nest,
        axes=list(axes),
        body=[with_axes(s, values) for s in nest.body],
        after=[with_axes(s, values) for s in nest.after],
        product=product,
        known=None,
    )


def moved(load: Load, values: Mapping[str, Affine]) -> Load:
    """A load in terms of other axes."""
    return load if isinstance(load.index, Name) else load._replace(index=ix.substitute(load.index, values))


def _indices(nest: Nest) -> list[Affine]:
    found: list[Any] = [load.index for load in nest.loads()] + [store.index for store in nest.stores()]
    found += [s.value.index for s in nest.statements() if isinstance(s, Let) and isinstance(s.value, Position)]
    return [i for i in found if isinstance(i, Affine)]


def collapsed(nest: Nest, names: Names) -> Nest:
    """A map, or the outer axes of a fold, with neighbouring axes joined wherever every index allows it."""
    if nest.product is not None or nest.fixed is not None:
        return nest
    nest = _joined(nest, nest.axes, names, inner=False)
    return _joined(nest, nest.inner, names, inner=True) if nest.inner else nest


def _joined(nest: Nest, axes: list[Axis], names: Names, inner: bool) -> Nest:
    if len(axes) < 2:
        return nest
    indices = _indices(nest)
    groups: list[list[Axis]] = [[axes[0]]]
    for axis in axes[1:]:
        before = groups[-1][-1]
        fits = all(ix.coefficient(i, before.name) == ix.coefficient(i, axis.name) * axis.extent for i in indices)
        if fits:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if len(groups) == len(axes):
        return nest
    # With everything divisible, the joined axis has the coefficient of the last of its parts.
    found, values = [], {}
    for group in groups:
        extent = 1
        for axis in group:
            extent *= axis.extent
        whole = Axis(names("a"), extent)
        found.append(whole)
        values.update({axis.name: ix.ZERO for axis in group[:-1]})
        values[group[-1].name] = ix.axis(whole.name)
    changed = renamed_axes(nest, nest.axes if inner else found, values)
    return replace(changed, inner=found) if inner else changed


def aligned(nest: Nest, extents: Sequence[int], names: Names, prefix: bool = False) -> Nest | None:
    """The nest with its axes split so that they have these extents, or only begin with them; None if they cannot."""
    found: list[Axis] = []
    values: dict[str, Affine] = {}
    wanted = list(extents)
    for axis in nest.axes:
        parts: list[int] = []
        rest = axis.extent
        while rest > 1:
            if not wanted:
                if not prefix:
                    return None
                parts.append(rest)
                break
            part = wanted[0]
            if rest % part:
                return None
            parts.append(part)
            wanted.pop(0)
            rest //= part
        if len(parts) == 1:
            found.append(axis)
            continue
        if nest.product is not None:
            return None
        split = [Axis(names("a"), n) for n in parts]
        found += split
        steps = ix.strides(parts)
        values[axis.name] = ix.add([(ix.axis(a.name), s) for a, s in zip(split, steps, strict=True)])
    if wanted:
        return None
    return renamed_axes(nest, found, values) if values else nest
