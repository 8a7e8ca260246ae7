"""Functions with a derivative by hand, as autograd's ``primitive`` and ``defvjp`` have them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from ..autodiff.custom import custom_jvp, custom_vjp
from ..errors import RuleError
from ..graph.node import Node
from .differential_operators import conjugated

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

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fun = function
        self.vjps: dict[int, Maker | None] = {}
        self.jvps: dict[int, Maker | str | None] = {}
        self.vjp_of: Maker | None = None
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(x, Node) and (x.tracked or x.value is None) for x in args):
            return self._plain(*args, **kwargs)
        return (self._forwards if self.jvps and not self.vjps and self.vjp_of is None else self._backwards)(
            args, kwargs
        )

    def _plain(self, *args: Any, **kwargs: Any) -> Any:
        """The function of the values; a traced Array has none, and is handed to NumPy's functions as it is."""
        return self.fun(*(x.value if isinstance(x, Node) and x.value is not None else x for x in args), **kwargs)

    def _backwards(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ruled = custom_vjp(lambda *given: self._plain(*given, **kwargs))

        def forward(*given: Any) -> Any:
            value = ruled(*given)
            return value, (value, given)

        def backward(kept: Any, g: Any) -> tuple[Any, ...]:
            value, given = kept
            return tuple(
                conjugated(self._maker(k)(value, *given, **kwargs)(conjugated(g))) if self._varies(k, x) else None
                for k, x in enumerate(args)
            )

        ruled.defvjp(forward, backward)
        return ruled(*args)

    def _varies(self, k: int, x: Any) -> bool:
        return isinstance(x, Node) and x.dtype.kind in "fc" and self.vjps.get(k, False) is not None

    def _maker(self, k: int) -> Maker:
        if self.vjp_of is not None:
            maker = self.vjp_of
            return lambda ans, *args, **kwargs: maker(k, ans, args, kwargs)
        found = self.vjps.get(k)
        if found is None:
            raise RuleError(f"{self.__name__}: no VJP is defined by argument {k}; give one to defvjp")  # type: ignore[attr-defined]
        return found

    def _forwards(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ruled = custom_jvp(lambda *given: self._plain(*given, **kwargs))

        def part(k: int) -> Any:
            maker = self.jvps.get(k)
            if maker == "same":
                return lambda t, y, *given: self.fun(*given[:k], t, *given[k + 1 :], **kwargs)
            return None if maker is None else lambda t, y, *given: maker(t, y, *given, **kwargs)  # type: ignore[operator]

        ruled.defjvps(*(part(k) for k in range(len(args))))
        return ruled(*args)


def defvjp(fun: primitive, *makers: Maker | None, argnums: Iterable[int] | None = None) -> None:
    """One ``maker(ans, *args) -> (g -> cotangent)`` for each argument, or for each of ``argnums``; None for zero."""
    fun.vjps |= dict(zip(count() if argnums is None else argnums, makers, strict=False))


def defvjp_argnum(fun: primitive, maker: Maker) -> None:
    """One ``maker(argnum, ans, args, kwargs) -> (g -> cotangent)`` for all arguments."""
    fun.vjp_of = maker


def defjvp(fun: primitive, *makers: Maker | str | None, argnums: Iterable[int] | None = None) -> None:
    """One ``maker(g, ans, *args) -> tangent`` for each argument, or "same" where the function is linear in it."""
    fun.jvps |= dict(zip(count() if argnums is None else argnums, makers, strict=False))
