"""Compiled training kept between fits: for a loss and a model whose code cannot change between them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .. import tree

Made = TypeVar("Made")
PACKAGE = __package__.partition(".")[0]
KEPT = 64  # of each kind, the latest


def remembered(make: Callable[..., Made]) -> Callable[..., Made]:
    """``make``, which gives what it made before when it is asked again with equal arguments.

    It is called with ``code`` besides, all that the result will run and be given first, and remembers only what is
    ``fixed``. What is made for arrays of other shapes is another thing: what is compiled of it is a program or two.

    Examples
    --------
    >>> from glassgrad import nn
    >>> made = remembered(lambda loss: [loss])
    >>> loss, models = nn.squared_error, [nn.Linear(n, 1, rng=0) for n in (2, 2, 3)]
    >>> [made(loss, code=(loss, models[0])) is made(loss, code=(loss, model)) for model in models]
    [True, True, False]
    """
    kept = functools.lru_cache(maxsize=KEPT)(lambda shapes, *args: make(*args))

    def found(*args: Any, code: Any) -> Made:
        if not fixed(code):
            return make(*args)
        try:
            return kept(_shapes(code), *args)
        except TypeError:  # such as an optimiser with a mask that is a dict
            return make(*args)

    return found


def _shapes(value: Any) -> tuple[Any, ...]:
    return tuple([(leaf.shape, leaf.dtype) for leaf in tree.leaves(value) if hasattr(leaf, "dtype")])


def fixed(value: Any) -> bool:
    """Whether all code in a tree is this package's: a function of the user's may see other globals the next time."""
    leaves, structure = tree.flatten(value)
    return _of_package(structure) and all(_known(leaf) for leaf in leaves)


def _of_package(structure: tree.Structure) -> bool:
    kind = structure.kind
    plain = kind is None or kind.__module__ == "builtins" or _known(kind)
    return plain and all(_known(v) for _, v in structure.static) and all(map(_of_package, structure.children))


def _known(value: Any) -> bool:
    return not callable(value) or getattr(value, "__module__", "").partition(".")[0] == PACKAGE
