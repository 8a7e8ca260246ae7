"""A function's graph at a point: what Jacobians, dense and sparse, are made from."""

from __future__ import annotations

from typing import Any, NamedTuple

from .. import tree
from ..array import as_array
from ..errors import TreeError
from ..graph.node import Node
from ..graph.origin import here
from .arguments import Opened, Owned, open_argument, plain_kind, release, run
from .derivatives import Argnums, positions
from .vjp import plan


class Held(NamedTuple):
    """A function's graph at a point.

    Attributes
    ----------
    opened : the arguments differentiated by
    targets : the nodes of their leaves
    nodes, structure : the results, and the tree they belong to
    outside : whether the arguments hold Arrays
    aux : auxiliary results
    """

    opened: list[Opened]
    targets: list[Any]
    nodes: list[Any]
    structure: tree.Structure
    outside: bool
    aux: Any


def hold(function: Any, argnums: Argnums, args: Any, kwargs: Any, has_aux: bool, what: str) -> Held:
    chosen = positions(argnums, len(args), what)
    opened = {i: open_argument(args[i], what) for i in chosen}
    inner = [opened[i].tree if i in opened else arg for i, arg in enumerate(args)]
    targets = [t for i in chosen for t in opened[i].targets if t is not None]
    result = run(function, targets, *inner, **kwargs)
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{what}: has_aux=True needs a function returning (value, aux): got {type(result).__name__}")
    value, aux = result if has_aux else (result, None)
    leaves, structure = tree.flatten(value)
    if any(isinstance(leaf, (str, bytes)) or callable(leaf) for leaf in leaves) or not leaves:
        raise TreeError(f"{what}: the function returned {type(value).__name__}, expected arrays at {here(3)}")
    nodes = [as_array(leaf) for leaf in leaves]
    outside = any(isinstance(leaf, Node) for leaf in tree.leaves([args, kwargs]))
    if has_aux:
        aux = release(aux, plan(nodes, targets).recording, as_array if outside else plain_kind, Owned())
    return Held([opened[i] for i in chosen], targets, nodes, structure, outside, aux)
