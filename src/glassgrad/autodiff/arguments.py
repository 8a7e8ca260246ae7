"""The border of a derivative: arguments opened to differentiate by, results handed out as the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import PYTHON_SCALARS, is_inexact
from ..errors import DtypeError, TracedValueError
from ..graph.node import NO_PARAMS, Input, Node, constant, make
from ..ops import control
from .vjp import live


class Opened(NamedTuple):
    """An argument whose leaves were replaced by nodes to differentiate by.

    Attributes
    ----------
    tree : the argument to call the function with
    targets : one node per leaf, None for a leaf that cannot be differentiated by (integer, string ...)
    structure : of the argument
    in_kind : one function per leaf that gives a derivative in the form the leaf came in
    """

    tree: Any
    targets: list[Any]
    structure: tree.Structure
    in_kind: list[Callable[[Any], Any]]


def open_argument(argument: Any, what: str, copy: bool = False) -> Opened:
    """Replace the floating leaves of an argument by fresh nodes, of copies where the graph will outlive the call."""
    leaves, structure = tree.flatten(argument)
    targets = [_open_leaf(np.array(leaf) if copy and isinstance(leaf, np.ndarray) else leaf) for leaf in leaves]
    if not any(t is not None for t in targets):
        raise DtypeError(_nothing_to_differentiate(argument, leaves, what))
    inside = [leaf if t is None else t for leaf, t in zip(leaves, targets, strict=True)]
    kinds: list[Callable[[Any], Any]] = [as_array if isinstance(leaf, Node) else plain_kind for leaf in leaves]
    return Opened(tree.unflatten(structure, inside), targets, structure, kinds)


def _open_leaf(leaf: Any) -> Any:
    if isinstance(leaf, Node):
        if not is_inexact(leaf.dtype):
            return None
        if leaf.tracked or leaf.value is None:
            # Made here and never shared: two arguments, or two nested derivatives, by one value stay two nodes.
            return make(
                control.Alias, (leaf,), NO_PARAMS, leaf.value, spec=leaf.spec, tracked=True, program=leaf.program
            )
        value = np.asarray(leaf.value)[()] if type(leaf.value) in PYTHON_SCALARS else leaf.value
        return make(Input, (), NO_PARAMS, value, tracked=True)
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        return None
    if isinstance(leaf, np.ma.MaskedArray):
        raise DtypeError("grad: got a masked array, whose mask would be lost; use x.filled(0.0), and where(mask, ...)")
    value = np.asarray(leaf)
    return make(Input, (), NO_PARAMS, value[()], tracked=True) if is_inexact(value.dtype) else None


def run(function: Callable[..., Any], targets: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function on opened arguments, which are live meanwhile.

    Writing a tracked element into an ndarray ends in NumPy's "setting an array element with a sequence", which hides
    our message; it is brought back here.
    """
    opened = {t.index for t in targets}
    live.update(opened)
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, TracedValueError):
            raise error.__cause__ from None
        raise
    finally:
        live.difference_update(opened)


def plain_kind(value: Any) -> Any:
    """The ndarray or NumPy scalar of a node no one differentiates any more; a tracked one as it is."""
    if isinstance(value, Node):
        if value.value is None or value.tracked:
            return value
        value = value.value
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


class Owned:
    """Makes every array handed out one of its own: writable, and sharing memory with no other and with none given."""

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self.seen = {id(g) for g in given}

    def __call__(self, g: Any) -> Any:
        if not isinstance(g, np.ndarray):
            return g
        if not g.ndim:
            return g[()]
        if g.base is not None or not g.flags.writeable or id(g) in self.seen:
            g = g.copy()
        self.seen.add(id(g))
        return g


def release(aux: Any, recorded: bool, in_kind: Callable[[Any], Any], own: Owned) -> Any:
    """Auxiliary results for use outside: without their graph, unless something outside differentiates them."""
    if recorded:
        return aux
    return tree.map(lambda leaf: in_kind(constant(own(leaf.value))) if isinstance(leaf, Node) else leaf, aux)


def _nothing_to_differentiate(argument: Any, leaves: list[Any], what: str) -> str:
    if not leaves:
        got = "None" if argument is None else f"an empty {type(argument).__name__}"
        return f"{what}: nothing to differentiate by: got {got}, expected a floating array or a container of some"
    kinds = sorted({str(x.dtype) if hasattr(x, "dtype") else type(x).__name__ for x in leaves})
    numbers = any(isinstance(x, (int, np.generic, np.ndarray, Node)) for x in leaves)
    way_out = (
        "write 3.0 for 3, or use x.astype(float), or choose another argument with argnums"
        if numbers
        else "hold parameters in dicts, lists, tuples or dataclasses, or choose another argument with argnums"
    )
    return (
        f"{what}: cannot differentiate by {', '.join(kinds)}: expected floating or complex numbers, which vary "
        f"continuously; {way_out}"
    )
