"""Small functions that autograd's users import: arguments exchanged, the order of a graph, a deprecated check."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any


def subvals(x: Sequence[Any], changes: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """x as a tuple, with other values in some places.

    >>> subvals([1, 2, 3], [(0, "a"), (2, "c")])
    ('a', 2, 'c')
    """
    found = list(x)
    for i, value in changes:
        found[i] = value
    return tuple(found)


def subval(x: Sequence[Any], i: int, value: Any) -> tuple[Any, ...]:
    """x as a tuple, with another value in one place."""
    return subvals(x, [(i, value)])


def func(f: Any) -> Any:
    """f itself: what a method is in Python 3."""
    return f


def toposort(end: Any, parents: Callable[[Any], Iterable[Any]] = attrgetter("parents")) -> Iterator[Any]:
    """What ``end`` is made from and it itself, each before its parents.

    >>> "".join(toposort("d", {"d": "bc", "c": "b", "b": "a", "a": ""}.get))
    'dcba'
    """
    users: dict[Any, int] = {}
    stack = [end]
    while stack:
        node = stack.pop()
        users[node] = users.get(node, 0) + 1
        if users[node] == 1:
            stack.extend(parents(node))
    ready = [end]
    while ready:
        node = ready.pop()
        yield node
        for parent in parents(node):
            users[parent] -= 1
            if users[parent] == 0:
                ready.append(parent)


def quick_grad_check(
    fun: Callable[..., Any], arg0: Any, extra_args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None, **_: Any
) -> None:
    """Deprecated: ``test_util.check_grads`` by the first argument, in reverse mode."""
    from .test_util import check_grads

    warnings.warn("quick_grad_check is deprecated; call test_util.check_grads", DeprecationWarning, stacklevel=2)
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
