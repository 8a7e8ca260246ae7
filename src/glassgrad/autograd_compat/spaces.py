"""The vector space that a container of arrays is in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import tree
from ..array import as_array
from ..graph.node import shape_of, value_of
from ..numpy import conj, real


class VSpace:
    """Containers of one structure and shapes, as vectors of real numbers: a complex one counts twice.

    >>> space = vspace({"a": 1.0, "b": np.zeros((2, 1))})
    >>> space.size, space.add(space.ones(), space.ones())["a"]
    (3, Array(2.))
    """

    def __init__(self, value: Any) -> None:
        leaves, self.structure = tree.flatten(value)
        self.shapes = [shape_of(x) for x in leaves]
        self.dtypes = [np.dtype(complex if np.iscomplexobj(value_of(x)) else float) for x in leaves]

    @property
    def size(self) -> int:
        """How many real numbers a vector has."""
        return sum(math.prod(s) * (1 + (d.kind == "c")) for s, d in zip(self.shapes, self.dtypes, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VSpace) and vars(self) == vars(other)

    def __repr__(self) -> str:
        leaves = [f"{d}{list(s)}" for s, d in zip(self.shapes, self.dtypes, strict=True)]
        return f"VSpace({tree.unflatten(self.structure, leaves)})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, of the space of one array."""
        (shape,) = self.shapes
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """float64 or complex128, of the space of one array."""
        (dtype,) = self.dtypes
        return dtype

    @property
    def iscomplex(self) -> bool:
        """Whether any array is complex."""
        return any(d.kind == "c" for d in self.dtypes)

    def _filled(self, draw: Callable[[tuple[int, ...]], Any]) -> Any:
        leaves = [
            draw(s) + 1j * draw(s) if d.kind == "c" else draw(s) for s, d in zip(self.shapes, self.dtypes, strict=True)
        ]
        return tree.unflatten(self.structure, leaves)

    def zeros(self) -> Any:
        """The zero vector."""
        return self._filled(np.zeros)

    def ones(self) -> Any:
        """The sum of all basis vectors."""
        return self._filled(np.ones)

    def randn(self) -> Any:
        """A vector of normal numbers, drawn by NumPy's global generator."""
        return self._filled(lambda shape: np.asarray(np.random.randn(*shape)))

    def standard_basis(self) -> Iterator[Any]:
        """One vector for each real number."""
        for leaf, (shape, dtype) in enumerate(zip(self.shapes, self.dtypes, strict=True)):
            for unit in (1.0, 1.0j)[: 1 + (dtype.kind == "c")]:
                for place in np.ndindex(*shape):
                    found = tree.leaves(self.zeros())
                    found[leaf][place] = unit
                    yield tree.unflatten(self.structure, found)

    def add(self, x: Any, y: Any) -> Any:
        """x + y"""
        return tree.map(lambda a, b: as_array(a) + b, x, y)

    def mut_add(self, x: Any, y: Any) -> Any:
        """x + y, where x may be None for zero; nothing is written to."""
        return y if x is None else self.add(x, y)

    def scalar_mul(self, x: Any, a: Any) -> Any:
        """A vector times a number."""
        return tree.map(lambda v: as_array(v) * a, x)

    def inner_prod(self, x: Any, y: Any) -> Any:
        """Re Σ conj(x) y"""
        return sum(real(conj(a) * b).sum() for a, b in zip(tree.leaves(x), tree.leaves(y), strict=True))

    def covector(self, x: Any) -> Any:
        """The conjugate."""
        return tree.map(conj, x)


def vspace(value: Any) -> VSpace:
    """The space that a container of arrays is in."""
    return VSpace(value)
