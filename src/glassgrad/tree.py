"""Nested containers of arrays: flatten to leaves, rebuild, map.

Containers are dict, list, tuple, namedtuple and dataclass instances. ``None`` is an empty container: it has no leaves
and comes back as ``None``. Everything else is a leaf.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .errors import TreeError


class Structure(NamedTuple):
    """The shape of a tree without its leaves: container type, keys or field names, and one structure per child."""

    kind: type | None
    keys: tuple[Any, ...]
    children: tuple[Structure, ...]
    static: tuple[tuple[str, Any], ...] = ()


LEAF = Structure(None, (), ())
EMPTY = Structure(type(None), (), ())


def _children(tree: Any) -> tuple[tuple[Any, ...], list[Any], tuple[tuple[str, Any], ...]] | None:
    """Keys, children and static fields of a container; ``None`` for a leaf."""
    kind: Any = type(tree)
    if issubclass(kind, dict):
        return tuple(tree), list(tree.values()), ()
    if issubclass(kind, (list, tuple)):
        return tuple(getattr(tree, "_fields", range(len(tree)))), list(tree), ()
    fields = _fields(kind)
    if fields is None:
        return None
    names, static = fields
    return names, [getattr(tree, name) for name in names], tuple([(name, getattr(tree, name)) for name in static])


@functools.cache  # asked of every node of a tree at every training step
def _fields(kind: type) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of a dataclass's fields that hold children, and of its static ones; ``None`` for any other class."""
    if not dataclasses.is_dataclass(kind):
        return None
    fields = dataclasses.fields(kind)
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    return tuple(f.name for f in fields if f.name not in static), static


def _walk(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if tree is None:
        return
    parts = _children(tree)
    if parts is None:
        yield path, tree
        return
    for key, child in zip(parts[0], parts[1], strict=True):
        yield from _walk(child, (*path, key))


def paths(tree: Any) -> list[str]:
    """A readable name for each leaf, in leaf order.

    >>> paths({"W": 1.0, "layers": [2.0, 3.0]})
    ["['W']", "['layers'][0]", "['layers'][1]"]
    """
    return ["".join(f"[{key!r}]" for key in path) for path in key_paths(tree)]


def key_paths(tree: Any) -> list[tuple[Any, ...]]:
    """Keys, positions and field names that lead to each leaf, in leaf order.

    >>> key_paths({"W": 1.0, "layers": [2.0, 3.0]})
    [('W',), ('layers', 0), ('layers', 1)]
    """
    return [path for path, _ in _walk(tree, ())]


def structure(tree: Any) -> Structure:
    """The structure of ``tree``; two trees with equal structures can be mapped over together."""
    return flatten(tree)[1]


def leaves(tree: Any) -> list[Any]:
    """The leaves in order.

    >>> leaves({"a": 1, "b": (2, None, [3])})
    [1, 2, 3]
    """
    return flatten(tree)[0]


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """Leaves and structure, so that ``unflatten(structure, leaves)`` gives the tree back.

    >>> values, shape = flatten((1.0, {"w": 2.0}))
    >>> unflatten(shape, [10 * v for v in values])
    (10.0, {'w': 20.0})
    """
    values: list[Any] = []
    return values, _open(tree, values)


def _open(tree: Any, values: list[Any]) -> Structure:
    """The structure of a tree, whose leaves are added to ``values``."""
    if tree is None:
        return EMPTY
    parts = _children(tree)
    if parts is None:
        values.append(tree)
        return LEAF
    keys, children, static = parts
    return Structure(type(tree), keys, tuple([_open(child, values) for child in children]), static)


def difference(first: Structure, second: Structure, path: str = "") -> tuple[str, str, str]:
    """Where two structures first differ, and what each has there.

    >>> difference(structure({"a": (1, 2)}), structure({"a": [1, 2]}))
    ("['a']", 'tuple with keys (0, 1)', 'list with keys (0, 1)')
    """
    if first[:2] == second[:2] and first.static == second.static:
        for key, a, b in zip(first.keys, first.children, second.children, strict=True):
            if a != b:
                return difference(a, b, f"{path}[{key!r}]")
    return path or "the root", _named(first), _named(second)


def _named(shape: Structure) -> str:
    if shape in (LEAF, EMPTY):
        return "a leaf" if shape == LEAF else "None"
    return f"{getattr(shape.kind, '__name__', shape.kind)} with keys {shape.keys}"


def unflatten(shape: Structure, values: list[Any]) -> Any:
    """Rebuild a tree from its structure and leaves; raises ``TreeError`` if their number is wrong."""
    supply = iter(values)
    try:
        tree = _build(shape, supply)
    except StopIteration:
        raise TreeError(f"unflatten: too few leaves for the structure: got {len(values)}") from None
    if next(supply, supply) is not supply:
        raise TreeError(f"unflatten: too many leaves for the structure: got {len(values)}")
    return tree


def _build(shape: Structure, supply: Iterator[Any]) -> Any:
    kind = shape.kind
    if kind is None:
        return next(supply)
    if kind is type(None):
        return None
    children = []
    for child in shape.children:
        children.append(_build(child, supply))
    if issubclass(kind, dict):
        return _rebuild_dict(kind, dict(zip(shape.keys, children, strict=True)))
    if issubclass(kind, tuple):
        return kind(*children) if hasattr(kind, "_fields") else kind(children)
    if issubclass(kind, list):
        return kind(children)
    # Not through __init__: a dataclass may check its fields there, and gradients need not pass its checks.
    built = object.__new__(kind)
    for name, value in (*zip(shape.keys, children, strict=True), *shape.static):
        object.__setattr__(built, name, value)
    return built


def _rebuild_dict(kind: Any, items: dict[Any, Any]) -> Any:
    if kind is dict:
        return items
    built: dict[Any, Any] = kind.__new__(kind)  # a defaultdict's or OrderedDict's constructor takes other arguments
    built.update(items)
    return built


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply ``function`` to corresponding leaves of trees with the structure of the first.

    A tree in ``rest`` may hold ``None`` or a subtree where the first has a leaf; it is passed as it is.

    >>> map(lambda a, b: a + b, {"w": 1, "b": 2}, {"w": 10, "b": 20})
    {'w': 11, 'b': 22}
    """
    values, shape = flatten(tree)
    columns = [leaves_like(shape, other) for other in rest]
    return unflatten(shape, [function(*row) for row in zip(values, *columns, strict=True)])


def leaves_like(shape: Structure, tree: Any, path: tuple[Any, ...] = ()) -> list[Any]:
    """The subtrees of ``tree`` at the leaves of ``shape``; ``TreeError`` where they differ, below ``path``.

    >>> leaves_like(structure({"w": 1, "b": 2}), {"w": (3, 4), "b": None})
    [(3, 4), None]
    """
    if shape.kind is None:
        return [tree]
    if shape.kind is type(None):
        return []
    parts = _children(tree)
    if parts is None or parts[0] != shape.keys:
        where = "".join(f"[{key!r}]" for key in path) or "the root"
        raise TreeError(
            f"tree.map: structures differ at {where}: got {type(tree).__name__} with keys "
            f"{parts[0] if parts else ()}, expected {shape.kind.__name__} with keys {shape.keys}"
        )
    return [
        leaf
        for key, child, sub in zip(shape.keys, parts[1], shape.children, strict=True)
        for leaf in leaves_like(sub, child, (*path, key))
    ]


def spread(prefix: Any, tree: Any, what: str = "tree.spread", path: tuple[Any, ...] = ()) -> list[Any]:
    """For each leaf of ``tree`` the leaf of ``prefix`` at it or above it; here None is a leaf.

    >>> spread({"w": 0, "b": None}, {"w": [1.0, 2.0], "b": 3.0})
    [0, 0, None]
    """
    parts = None if prefix is None else _children(prefix)
    if parts is None:
        return [prefix] * len(leaves(tree))
    own = None if tree is None else _children(tree)
    if own is None or set(own[0]) != set(parts[0]):
        where = "".join(f"[{key!r}]" for key in path) or "the root"
        raise TreeError(
            f"{what}: structures differ at {where}: got {type(prefix).__name__} with keys {parts[0]}, expected one "
            f"entry for all, or those of {type(tree).__name__} with keys {own[0] if own else ()}"
        )
    entries = dict(zip(parts[0], parts[1], strict=True))
    return [
        leaf
        for key, child in zip(own[0], own[1], strict=True)
        for leaf in spread(entries[key], child, what, (*path, key))
    ]
