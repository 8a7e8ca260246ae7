"""Names found in two modules: Glassgrad's for what is being differentiated, the plain one for everything else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from .. import tree
from ..graph.node import Node


def either(own: Any, plain: str) -> Callable[[str], Any]:
    """A module's ``__getattr__``: as in autograd, plain arrays give plain arrays.

    >>> zeros = either(import_module("glassgrad.numpy"), "numpy")("zeros")
    >>> zeros(2)
    array([0., 0.])
    """

    @functools.cache
    def find(name: str) -> Any:
        found = [getattr(m, name) for m in (own, import_module(plain)) if hasattr(m, name)]
        if name.startswith("__") or not found:
            raise AttributeError(f"module {plain!r} has no attribute {name!r}")
        ours, theirs = found[0], found[-1]
        if len(found) == 1 or isinstance(theirs, type) or not callable(ours):
            return theirs
        return _chosen(ours, theirs)

    return find


def _chosen(ours: Callable[..., Any], theirs: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(ours)
    def function(*args: Any, **kwargs: Any) -> Any:
        watched = any(isinstance(leaf, Node) for leaf in tree.leaves((args, kwargs)))
        return (ours if watched else theirs)(*args, **kwargs)

    return function
