"""Functions of many arguments as functions of the one that is differentiated by."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Any]
Argnum = int | Sequence[int]


def unary(fun: Function, argnum: Argnum, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Function, Any]:
    """The function of the chosen argument, or tuple of arguments, alone, and its place."""

    def alone(x: Any) -> Any:
        given = list(args)
        pairs = [(argnum, x)] if isinstance(argnum, int) else zip(argnum, x, strict=True)
        for k, part in pairs:
            given[k] = part
        return fun(*given, **kwargs)

    return alone, args[argnum] if isinstance(argnum, int) else tuple(args[k] for k in argnum)


def unary_to_nary(of_one: Function) -> Callable[..., Function]:
    """An operator on functions of one argument, as one on functions of many, of which ``argnum`` is chosen.

    >>> from glassgrad.autograd_compat.core import make_vjp
    >>> slope = unary_to_nary(lambda fun, x: make_vjp(fun, x)[0](1.0))
    >>> float(slope(lambda a, b: a * b, 1)(2.0, 3.0))
    2.0
    """

    @functools.wraps(of_one)
    def operator(fun: Function, argnum: Argnum = 0, *further: Any) -> Function:
        @functools.wraps(fun)
        def derived(*args: Any, **kwargs: Any) -> Any:
            return of_one(*unary(fun, argnum, args, kwargs), *further)

        return derived

    return operator
