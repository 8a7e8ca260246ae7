"""Checking derivatives against numerical ones, called as autograd's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from .. import tree
from ..autodiff import check
from ..graph.node import value_of
from .wrap_util import Argnum, Function, unary


def check_grads(
    f: Function, argnum: Argnum = 0, modes: Sequence[str] = ("fwd", "rev"), order: int = 2
) -> Callable[..., None]:
    """A function of f's arguments that raises ``GradientCheckError`` where a derivative by those chosen disagrees.

    >>> check_grads(lambda x: x ** 3, modes=["rev"], order=1)(2.0)
    """

    @functools.wraps(f)
    def checked(*args: Any, **kwargs: Any) -> None:
        alone, x = unary(f, argnum, args, kwargs)
        check.check_grads(alone, (x,), order=order, modes=list(modes))

    return checked


def combo_check(fun: Function, *options: Any, **further: Any) -> Callable[..., None]:
    """``check_grads`` for every combination of the arguments listed."""

    def checked(*args: Any, **kwargs: Any) -> None:
        named = [[(k, x) for x in xs] for k, xs in kwargs.items()]
        for given in product(*args):
            for chosen in product(*named):
                check_grads(fun, *options, **further)(*given, **dict(chosen))

    return checked


def check_equivalent(x: Any, y: Any) -> None:
    """Raise unless two containers have equal structures and shapes, and numbers that are close."""
    tree.map(lambda a, b: np.testing.assert_allclose(value_of(a), value_of(b), 1e-6, 1e-6), x, y)


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers differ by less than a millionth, absolutely or relative to their sum."""
    return bool(abs(a - b) < 1e-6 or abs(a - b) / abs(a + b) < 1e-6)
