"""What a compiled program is specialised by: the structure of the arguments and the shape and dtype of every leaf."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..dtypes import NUMERIC, PYTHON_SCALARS, not_numbers
from ..errors import DtypeError
from ..graph.node import Node


class Leaf(NamedTuple):
    """One leaf of the arguments.

    ``kind`` is array, scalar (a Python number, which promotes weakly) or static (anything else: the program is
    compiled for its value).
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Any = None

    def __str__(self) -> str:
        if self.kind == "array":
            return f"{self.dtype}{list(self.shape)}"
        return f"Python {self.dtype.__name__}" if self.kind == "scalar" else repr(self.value)


class Signature(NamedTuple):
    """The key of a compiled program."""

    structure: tree.Structure
    leaves: tuple[Leaf, ...]
    static: tuple[Any, ...] = ()
    arrays: bool = False  # whether any leaf is an Array, so that results are too

    def difference(self, other: Signature) -> str:
        """What another signature has that this has not, for a person."""
        if self.structure != other.structure:
            return "the structure of the arguments"
        if self.static != other.static:
            return f"a static argument: {self.static} became {other.static}"
        names = tree.paths(tree.unflatten(self.structure, list(range(len(self.leaves)))))
        changed = [
            f"argument{name}: {a} became {b}"
            for name, a, b in zip(names, self.leaves, other.leaves, strict=True)
            if a != b
        ]
        return "; ".join(changed[:3]) or "Arrays in place of NumPy arrays"


def leaf_of(value: Any) -> Leaf:
    """How a leaf decides the program."""
    kind = type(value)
    if kind is np.ndarray:
        return Leaf("array", value.shape, _number(value, value.dtype))
    if kind in PYTHON_SCALARS:
        return Leaf("scalar", (), kind)
    if isinstance(value, (Node, np.ndarray, np.generic)):
        return Leaf("array", value.shape, _number(value, value.dtype))
    try:
        hash(value)
    except TypeError:
        return Leaf("array", np.shape(value), _number(value, np.asarray(value).dtype))
    return Leaf("static", value=value)


def _number(value: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if dtype.kind not in NUMERIC or dtype.itemsize > 16 or dtype.str[1:] in ("f16", "f12", "c32", "c24"):
        raise DtypeError(not_numbers(value, dtype))
    return dtype.newbyteorder("=") if not dtype.isnative else dtype


def as_array(value: Any, leaf: Leaf) -> np.ndarray[Any, Any]:
    """A leaf's value as compiled code reads it: in C order, aligned, native."""
    if isinstance(value, Node):
        value = value.value
    array = np.asarray(value, dtype=leaf.dtype if leaf.kind == "array" else None)
    return np.require(array, requirements=("C", "A"))


def hashable(values: Sequence[Any]) -> tuple[Hashable, ...]:
    """Static arguments, which must be usable as a key."""
    for value in values:
        try:
            hash(value)
        except TypeError:
            raise TypeError(
                f"jit: a static argument must be hashable: got {type(value).__name__}; pass arrays as ordinary "
                f"arguments, lists as tuples"
            ) from None
    return tuple(values)
