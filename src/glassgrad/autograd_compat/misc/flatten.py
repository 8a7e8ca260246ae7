"""Containers of arrays as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import tree
from ...graph.node import Node, shape_of
from ...ops import view


def flatten(value: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The leaves of a container in one vector, and the function that puts a vector into such a container.

    >>> import numpy
    >>> flat, unflatten = flatten({"w": numpy.array([1.0, 2.0]), "b": 3.0})
    >>> flat
    array([3., 1., 2.])
    >>> unflatten(flat * 2)
    {'b': np.float64(6.0), 'w': array([2., 4.])}
    """
    leaves, structure = tree.flatten(_sorted(value))
    shapes = [shape_of(x) for x in leaves]

    def unflatten(flat: Any) -> Any:
        found, start = [], 0
        for shape in shapes:
            stop = start + math.prod(shape)
            found.append(view.reshape(flat[start:stop], shape)[()])
            start = stop
        return tree.unflatten(structure, found)

    parts = [view.reshape(x if isinstance(x, Node) else np.asarray(x), (-1,)) for x in leaves]
    return view.concatenate(parts) if parts else np.zeros(0), unflatten


def _sorted(value: Any) -> Any:
    """Dicts by their keys, as autograd goes through them."""
    if type(value) is dict:
        return {key: _sorted(value[key]) for key in sorted(value)}
    return type(value)(_sorted(x) for x in value) if type(value) in (list, tuple) else value


def flatten_func(func: Callable[..., Any], example: Any) -> tuple[Callable[..., Any], Callable[[Any], Any], Any]:
    """A function of a container as a function of a vector; the way back; the example as a vector."""
    flat, unflatten = flatten(example)
    return lambda x, *args: flatten(func(unflatten(x), *args))[0], unflatten, flat
