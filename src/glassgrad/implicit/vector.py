"""Trees of arrays as one vector, in which equations are solved, and back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..dtypes import dtype_of, is_inexact
from ..errors import DtypeError, ShapeError, TreeError
from ..graph.node import Node, Spec, Value, shape_of, spec_of
from ..graph.origin import here
from ..numpy.arguments import array_of
from ..ops import logic, view


class Layout(NamedTuple):
    """Where the leaves of a tree lie in a vector.

    Attributes
    ----------
    what : of whom errors speak
    names : of the leaves
    specs, structure : their shapes and dtypes, and the tree
    dtype : of the vector, to which all leaves are cast
    """

    what: str
    names: list[str]
    specs: list[Spec]
    structure: tree.Structure
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return sum(math.prod(s.shape) for s in self.specs)

    @property
    def spec(self) -> Spec:
        """Shape and dtype of the vector."""
        return Spec((self.size,), self.dtype)

    def vector(self, value: Any, label: str) -> Value:
        """The vector of a tree like this one; ``label`` says what the tree is, where it is another."""
        value = listed(value)
        if self.structure == tree.LEAF and isinstance(value, (list, tuple)):
            value = array_of(value)
        leaves, structure = tree.flatten(value)
        if structure != self.structure:
            raise TreeError(
                f"{self.what}: {label} has another structure: got leaves {tree.paths(value) or 'none'}, expected "
                f"{self.names or 'none'} at {here(3)}; return the same containers with the same keys"
            )
        for name, leaf, spec in zip(self.names, leaves, self.specs, strict=True):
            if shape_of(leaf) != spec.shape:
                raise ShapeError(
                    f"{self.what}: {label}{name} has another shape: got {shape_of(leaf)}, expected {spec.shape} at "
                    f"{here(3)}; there is one equation for each unknown"
                )
            if dtype_of(leaf).kind == "c" and self.dtype.kind != "c":
                raise DtypeError(f"{self.what}: {label}{name} is complex, expected {self.dtype}; begin with complex x0")
        flat = [view.reshape(logic.astype(array_of(x), self.dtype), (-1,)) for x in leaves]
        return view.concatenate(flat) if len(flat) > 1 else flat[0]

    def tree(self, vector: Value) -> Any:
        """The tree of a vector, along the last axis: axes before it are further axes of every leaf."""
        leaves, start, lead = [], 0, shape_of(vector)[:-1]
        for spec in self.specs:
            stop = start + math.prod(spec.shape)
            part = vector if len(self.specs) == 1 else vector[..., start:stop]
            leaves.append(logic.astype(view.reshape(part, (*lead, *spec.shape)), spec.dtype))
            start = stop
        return tree.unflatten(self.structure, leaves)


def listed(value: Any) -> Any:
    """The array that a list of numbers is; anything else as it is."""
    numbers = isinstance(value, list) and all(isinstance(x, (int, float, complex, np.generic)) for x in value)
    return np.asarray(value) if numbers and value else value


def layout(what: str, label: str, value: Any) -> Layout:
    """How a tree of floating arrays lies in a vector; an error that names the leaf if it is anything else.

    A list of numbers is an array, as it is for NumPy.
    """
    value = listed(value)
    leaves, structure = tree.flatten(value)
    names = tree.paths(value)
    if not leaves:
        raise TreeError(f"{what}: {label} is {value!r}, expected a vector or a tree of arrays at {here(3)}")
    for name, leaf in zip(names, leaves, strict=True):
        if isinstance(leaf, (str, bytes)) or callable(leaf) or not is_inexact(dtype_of(array_of(leaf))):
            got = str(dtype_of(leaf)) if isinstance(leaf, (Node, np.ndarray, np.generic)) else type(leaf).__name__
            raise DtypeError(
                f"{what}: {label}{name} is {got}, expected floating numbers, which vary continuously, at {here(3)}; "
                f"use 1.0 for 1, or .astype(float)"
            )
    specs = [spec_of(array_of(leaf)) for leaf in leaves]
    dtype = np.result_type(*(s.dtype for s in specs))
    made = Layout(what, names, specs, structure, dtype)
    if not made.size:
        raise ShapeError(f"{what}: {label} has no elements: got {[s.shape for s in specs]} at {here(3)}")
    return made
