"""What a compiled program is specialised by: the structure of the arguments and the shape and dtype of every leaf."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..dtypes import NUMERIC, PYTHON_SCALARS, kind_of, not_numbers
from ..errors import DtypeError
from ..graph.node import Node

_WEAK = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
_WIDE = ("f16", "f12", "c32", "c24")  # long doubles, which no machine code of ours computes with


class Leaf(NamedTuple):
    """One leaf of the arguments.

    ``kind`` is array, scalar (a Python number, which promotes weakly; its type is the dtype) or static (anything else:
    the program is compiled for its value).
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    value: Any = None

    def __str__(self) -> str:
        if self.kind == "array":
            return f"{self.dtype}{list(self.shape)}"
        return f"Python {self.dtype.__name__}" if self.kind == "scalar" else repr(self.value)

    @property
    def example(self) -> Any:
        """Something of this shape and dtype that takes no memory."""
        return self.dtype(1) if self.kind == "scalar" else np.broadcast_to(np.zeros((), self.dtype), self.shape)


class Signature(NamedTuple):
    """The key of a compiled program: what the arguments are, the values of static ones, and whether any is an Array."""

    structure: tree.Structure
    leaves: tuple[Leaf, ...]
    static: tuple[Any, ...] = ()
    arrays: bool = False

    def difference(self, other: Signature) -> str:
        """What another signature has that this has not, for a person."""
        if self.structure != other.structure:
            return "the structure of the arguments"
        if self.static != other.static:
            pairs = zip(self.static, other.static, strict=False)
            changed = [f"static argument {a[0]!r}: {a[2]!r} became {b[2]!r}" for a, b in pairs if a != b]
            return "; ".join(changed[:3]) or "the static arguments"
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
    if isinstance(value, np.ma.MaskedArray):
        raise DtypeError("jit: got a masked array, whose mask would be lost; use x.filled(0.0), and where(mask, ...)")
    if isinstance(value, np.matrix):
        raise DtypeError("jit: got a numpy.matrix, whose * is a product of matrices; use np.asarray(x), and @")
    if isinstance(value, (Node, np.ndarray, np.generic)):
        return Leaf("array", value.shape, _number(value, value.dtype))
    if hasattr(value, "__array__") or not _hashable(value):
        return Leaf("array", np.shape(value), _number(value, np.asarray(value).dtype))
    return Leaf("static", (), kind, value)


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _number(value: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    if kind_of(dtype) not in NUMERIC or dtype.str[1:] in _WIDE:
        raise DtypeError(not_numbers(value, dtype))
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def as_array(value: Any, leaf: Leaf) -> np.ndarray[Any, Any]:
    """A leaf's value as compiled code reads it: in C order, aligned, in the machine's byte order."""
    if isinstance(value, Node):
        value = value.value
    if leaf.dtype is int and not -(1 << 63) <= value < 1 << 63:
        raise OverflowError(
            f"jit: Python int too large: got {value}, expected one that fits int64; pass a float, or make it static"
        )
    array = np.asarray(value, dtype=leaf.dtype if leaf.kind == "array" else _WEAK[leaf.dtype])
    return np.require(array, requirements=("C", "A"))


class Places:
    """Which arguments of a function are meant by positions and names.

    Raises
    ------
    TypeError
        A name or position that the function does not have.
    """

    def __init__(self, function: Callable[..., Any], wanted: Iterable[int | str], what: str) -> None:
        given = (wanted,) if isinstance(wanted, (int, str)) else tuple(wanted)
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # a builtin without one
            parameters = ()  # type: ignore[assignment]
        names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        every = {p.name for p in parameters}
        loose = not every or any(p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)
        self.chosen: set[int | str] = set()
        for one in given:
            place = one + len(names) if isinstance(one, int) and one < 0 else one
            known = place < len(names) if isinstance(place, int) else place in every
            if not loose and (not known or (isinstance(place, int) and place < 0)):
                raise TypeError(f"jit: {what}={one!r}: no such argument; the function has ({', '.join(every)})")
            self.chosen.add(place)
            if isinstance(place, int) and 0 <= place < len(names):
                self.chosen.add(names[place])
            elif place in names:
                self.chosen.add(names.index(str(place)))

    def __contains__(self, place: int | str) -> bool:
        return place in self.chosen

    def __bool__(self) -> bool:
        return bool(self.chosen)


def static_key(place: int | str, value: Any) -> tuple[Any, ...]:
    """A static argument as part of a key: 2, 2.0 and True are three, and so are 0.0 and -0.0 two."""
    if not _hashable(value):
        raise TypeError(
            f"jit: a static argument must be hashable: got {type(value).__name__}; pass arrays as ordinary arguments, "
            f"lists as tuples"
        )
    return (place, type(value), value, repr(value) if isinstance(value, (float, complex, tuple)) else "")
