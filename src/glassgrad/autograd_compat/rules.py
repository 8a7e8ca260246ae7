"""Functions with a derivative by hand, as autograd's ``primitive`` and ``defvjp`` have them."""

from __future__ import annotations

import functools
import operator
import types
import warnings
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

from .. import tree
from ..autodiff.custom import custom_jvp, custom_vjp
from ..dtypes import is_inexact
from ..errors import MissingRuleError, RuleError
from ..graph.node import is_symbolic
from .boxes import getval, isbox
from .differential_operators import conjugated
from .spaces import vspace
from .util import subval

Maker = Callable[..., Any]


class primitive:
    """Decorator: a function whose derivative ``defvjp`` or ``defjvp`` says. It is called with plain arrays.

    >>> import numpy as np
    >>> from glassgrad.autograd_compat import grad
    >>> @primitive
    ... def logsumexp(x):
    ...     top = np.max(x)
    ...     return top + np.log(np.sum(np.exp(x - top)))
    >>> defvjp(logsumexp, lambda ans, x: lambda g: g * np.exp(x - ans))
    >>> grad(logsumexp)(np.zeros(2))
    array([0.5, 0.5])
    """

    __name__: str

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)  # first, for it copies the attributes of a function that has some
        self.fun = function
        self.vjps: dict[int, Maker | None] = {}
        self.jvps: dict[int, Maker | str | None] = {}

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        varying = tuple(k for k, x in enumerate(args) if any(map(_varies, tree.leaves(x))))
        if not varying:
            return self._plain(*args, **kwargs)
        forwards = self in primitive_jvps and self not in primitive_vjps
        return (self._forwards if forwards else self._backwards)(varying, args, kwargs)

    def _plain(self, *args: Any, **kwargs: Any) -> Any:
        """The function of the values; a traced Array has none, and is handed to NumPy's functions as it is."""
        return self.fun(*tree.map(lambda x: x if is_symbolic(x) else getval(x), args), **kwargs)

    def _backwards(self, varying: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ruled = custom_vjp(lambda *given: self._plain(*given, **kwargs))

        def forward(*given: Any) -> Any:
            value = ruled(*given)
            return value, (value, given)

        def backward(kept: Any, g: Any) -> tuple[Any, ...]:
            vjp = _given(self, primitive_vjps, self, "VJP", varying[0])(varying, *kept, kwargs)
            found = dict(zip(varying, vjp(conjugated(g)), strict=True))
            return tuple(None if found.get(k) is None else conjugated(found[k]) for k in range(len(args)))

        ruled.defvjp(forward, backward)
        return ruled(*args)

    def _forwards(self, varying: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ruled = custom_jvp(lambda *given: self._plain(*given, **kwargs))

        def rule(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
            value = ruled(*primals)
            gs = [tangents[k] for k in varying]
            return value, _given(self, primitive_jvps, self, "JVP", varying[0])(varying, gs, value, primals, kwargs)

        ruled.defjvp(rule)
        return ruled(*args)

    def defgrad(self, maker: Maker, argnum: int = 0) -> None:
        """Deprecated: ``defvjp`` for one argument."""
        _deprecated("defgrad")
        defvjp(self, maker, argnums=[argnum])

    def defvjp(self, maker: Maker, argnum: int = 0) -> None:
        """Deprecated: ``maker(g, ans, vs, gvs, *args)`` with the spaces of the argument and of g, for one argument."""
        _deprecated("defvjp")
        defvjp(
            self,
            lambda ans, *args, **kwargs: lambda g: maker(g, ans, vspace(args[argnum]), vspace(g), *args, **kwargs),
            argnums=[argnum],
        )

    def defvjp_is_zero(self, argnums: Iterable[int] = (0,)) -> None:
        """Deprecated: None for these arguments."""
        _deprecated("defvjp_is_zero")
        argnums = list(argnums)
        defvjp(self, *[None] * len(argnums), argnums=argnums)


primitive_vjps: dict[Any, Maker] = {}
primitive_jvps: dict[Any, Maker] = {}


def _varies(x: Any) -> bool:
    return isbox(x) and is_inexact(x.dtype)


def _given(fun: primitive, rules: dict[Any, Any], key: Any, kind: str, argnum: int) -> Any:
    if key not in rules:
        raise MissingRuleError(
            f"{fun.__name__}: no {kind} is defined by argument {argnum}; give one to def{kind.lower()}"
        )
    return rules[key]


def _deprecated(name: str) -> None:
    warnings.warn(
        f"the method {name} of a primitive is deprecated; call extend.defvjp", DeprecationWarning, stacklevel=3
    )


def _own(fun: Any, what: str) -> primitive:
    if not isinstance(fun, primitive):
        name = getattr(fun, "__name__", fun)
        raise RuleError(
            f"{what}: {name} is no primitive, and Glassgrad's functions have derivatives already; give yours to a "
            f"function of your own, decorated with extend.primitive"
        )
    return fun


def defvjp_argnums(fun: primitive, maker: Maker) -> None:
    """One ``maker(argnums, ans, args, kwargs) -> (g -> a cotangent for each of argnums)`` for all arguments."""
    primitive_vjps[_own(fun, "defvjp")] = maker


def defvjp_argnum(fun: primitive, maker: Maker) -> None:
    """One ``maker(argnum, ans, args, kwargs) -> (g -> cotangent)`` for all arguments."""

    def of(argnums: Sequence[int], *given: Any) -> Any:
        vjps = [maker(k, *given) for k in argnums]
        return lambda g: [vjp(g) for vjp in vjps]

    defvjp_argnums(fun, of)


def defvjp(fun: primitive, *makers: Maker | None, argnums: Iterable[int] | None = None) -> None:
    """One ``maker(ans, *args) -> (g -> cotangent)`` for each argument, or for each of ``argnums``; None for zero."""
    known = _own(fun, "defvjp").vjps
    known |= dict(zip(count() if argnums is None else argnums, makers, strict=False))

    def of(argnum: int, ans: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        maker = _given(fun, known, argnum, "VJP", argnum)
        return (lambda g: None) if maker is None else maker(ans, *args, **kwargs)

    defvjp_argnum(fun, of)


def defjvp_argnums(fun: primitive, maker: Maker) -> None:
    """One ``maker(argnums, gs, ans, args, kwargs) -> tangent`` for all arguments."""
    primitive_jvps[_own(fun, "defjvp")] = maker


def defjvp_argnum(fun: primitive, maker: Maker) -> None:
    """One ``maker(argnum, g, ans, args, kwargs) -> tangent`` for all arguments, whose tangents are added."""

    def of(argnums: Sequence[int], gs: Sequence[Any], ans: Any, *given: Any) -> Any:
        parts = [maker(k, g, ans, *given) for k, g in zip(argnums, gs, strict=True)]
        found = [part for part in parts if part is not None]
        return functools.reduce(lambda a, b: tree.map(operator.add, a, b), found) if found else vspace(ans).zeros()

    defjvp_argnums(fun, of)


def defjvp(fun: primitive, *makers: Maker | str | None, argnums: Iterable[int] | None = None) -> None:
    """One ``maker(g, ans, *args) -> tangent`` for each argument, or "same" where the function is linear in it."""
    known = _own(fun, "defjvp").jvps
    known |= dict(zip(count() if argnums is None else argnums, makers, strict=False))

    def of(argnum: int, g: Any, ans: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        maker = _given(fun, known, argnum, "JVP", argnum)
        if maker == "same":
            return fun.fun(*subval(args, argnum, g), **kwargs)
        return None if maker is None else maker(g, ans, *args, **kwargs)

    defjvp_argnum(fun, of)


def def_linear(fun: primitive) -> None:
    """Say that a function is linear in each argument."""
    defjvp_argnum(fun, lambda argnum, g, ans, args, kwargs: fun.fun(*subval(args, argnum, g), **kwargs))


def notrace_primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: a function of the plain arrays in its arguments, constant to every derivative."""

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return function(*tree.map(getval, args), **kwargs)

    return plain
