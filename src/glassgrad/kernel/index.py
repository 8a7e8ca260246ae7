"""Arithmetic on affine indices: sums, scaling, other axes, limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from .ir import Affine

ZERO = Affine(0, ())


class Axis(NamedTuple):
    """A loop axis and how far it goes."""

    name: str
    extent: int


def axis(name: str) -> Affine:
    """The value of an axis itself."""
    return Affine(0, ((name, 1),))


def affine(offset: int, terms: Mapping[str, int]) -> Affine:
    return Affine(offset, tuple(sorted((a, c) for a, c in terms.items() if c)))


def add(parts: Iterable[tuple[Affine, int]], offset: int = 0) -> Affine:
    """offset + Σ factor · part."""
    terms: dict[str, int] = {}
    for part, factor in parts:
        offset += part.offset * factor
        for name, coefficient in part.terms:
            terms[name] = terms.get(name, 0) + coefficient * factor
    return affine(offset, terms)


def substitute(index: Affine, values: Mapping[str, Affine]) -> Affine:
    """The index with axes replaced by indices."""
    if not any(name in values for name, _ in index.terms):
        return index
    return add([(values.get(name, axis(name)), c) for name, c in index.terms], index.offset)


def coefficient(index: Affine, name: str) -> int:
    return next((c for a, c in index.terms if a == name), 0)


def limits(index: Affine, extents: Mapping[str, int]) -> tuple[int, int]:
    """The smallest and the largest value it takes."""
    reach = [c * (extents[a] - 1) for a, c in index.terms]
    return index.offset + sum(r for r in reach if r < 0), index.offset + sum(r for r in reach if r > 0)


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements between neighbours along each axis of an array in C order."""
    steps = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        steps[i] = steps[i + 1] * shape[i + 1]
    return tuple(steps)
