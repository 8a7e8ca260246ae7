"""Functions of many arguments as functions of the one that is differentiated by."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

Function = Callable[..., Any]
Argnum = int | Sequence[int]
NAME = "{op}_of_{fun}_wrt_argnum_{argnum}"
DOC = "    {op} of function {fun} with argument number {argnum} varied; it takes the same arguments."


def unary(fun: Function, argnum: Argnum, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Function, Any]:
    """The function of the chosen argument, or tuple of arguments, alone, and its place."""

    def alone(x: Any) -> Any:
        given = list(args)
        pairs = [(argnum, x)] if isinstance(argnum, int) else zip(argnum, x, strict=True)
        for k, part in pairs:
            given[k] = part
        return fun(*given, **kwargs)

    alone.__name__ = get_name(fun)
    return alone, args[argnum] if isinstance(argnum, int) else tuple(args[k] for k in argnum)


def unary_to_nary(of_one: Function) -> Callable[..., Function]:
    """An operator on functions of one argument, as one on functions of many, of which ``argnum`` is chosen.

    >>> from glassgrad.autograd_compat.core import make_vjp
    >>> slope = unary_to_nary(lambda fun, x: make_vjp(fun, x)[0](1.0))
    >>> float(slope(lambda a, b: a * b, 1)(2.0, 3.0))
    2.0
    """

    @functools.wraps(of_one)
    def operator(fun: Function, argnum: Argnum = 0, *further: Any, **options: Any) -> Function:
        @wraps(fun, NAME, DOC, op=get_name(of_one), argnum=argnum)
        def derived(*args: Any, **kwargs: Any) -> Any:
            return of_one(*unary(fun, argnum, args, kwargs), *further, **options)

        return derived

    return operator


def get_name(f: Any) -> str:
    """A function's name."""
    return str(getattr(f, "__name__", "[unknown name]"))


def get_doc(f: Any) -> str:
    """A function's documentation, or nothing."""
    return str(getattr(f, "__doc__", ""))


def wraps(fun: Function, namestr: str = "{fun}", docstr: str = "{doc}", **names: Any) -> Callable[[Function], Function]:
    """Decorator: a function with another one's name and documentation, put into these texts."""

    def named(wrapper: Function) -> Function:
        functools.update_wrapper(wrapper, fun, updated=())
        given = {"fun": get_name(fun), "doc": get_doc(fun), **names}
        wrapper.__name__, wrapper.__doc__ = namestr.format(**given), docstr.format(**given)
        return wrapper

    return named
