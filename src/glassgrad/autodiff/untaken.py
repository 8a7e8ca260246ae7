"""Which branches that are not taken may be traced all the same, to see whether they agree with the one that is."""

from __future__ import annotations

import dataclasses
import dis
import functools
from collections.abc import Callable, Iterator, Sequence
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from .. import tree
from ..graph.node import Node, spec_of

MODULES = ("glassgrad", "numpy", "math", "cmath", "operator", "functools")
STORES = ("STORE_GLOBAL", "STORE_ATTR", "STORE_SUBSCR", "DELETE_GLOBAL", "DELETE_ATTR", "DELETE_SUBSCR", "DELETE_DEREF")
# Names that change a list or dict, read or write what is outside, or draw numbers.
CHANGES = frozenset(
    {"append", "extend", "insert", "pop", "popitem", "remove", "clear", "update", "setdefault", "__setitem__"}
    | {"print", "input", "open", "next", "exec", "eval", "setattr", "delattr", "breakpoint"}
    | {"random", "rand", "randn", "seed"}
)
JUMPS = frozenset((*dis.hasjrel, *dis.hasjabs))
DEEPEST = 6  # calls within calls that are looked at
KINDS = 16  # of operands for which the same branches are compared; a counter in a loop would make ever more of them

# By ids of the branches' codes, for hashes of code are slow: the codes, so that the ids stay theirs, and the operands.
_agreed: dict[tuple[int, ...], tuple[tuple[Any, ...], set[Any]]] = {}


def kind_of_call(branches: Sequence[Callable[..., Any]], operands: Any) -> tuple[set[Any], Any] | None:
    """The kinds of calls of branches of this code that agreed, and this kind, to be added; None if it is one of them.

    None also where there are enough, or the kind has no hash.
    """
    codes = tuple([getattr(branch, "__code__", None) or type(branch) for branch in branches])
    if len(_agreed) > 1000:
        _agreed.clear()
    _, known = _agreed.setdefault(tuple(map(id, codes)), (codes, set()))
    if len(known) >= KINDS:
        return None
    leaves, structure = tree.flatten(operands)
    kind = (structure, *map(_mark, leaves), *map(_mark, branches))
    try:
        return None if kind in known else (known, kind)
    except TypeError:
        return None


def _mark(value: Any, depth: int = 3) -> Any:
    """What shapes and dtypes of results may depend on."""
    if isinstance(value, (Node, np.ndarray, np.generic)):
        return spec_of(value)
    code = getattr(value, "__code__", None)
    if code is not None:
        return (id(code), *[_mark(x, depth - 1) for x in _held(value)]) if depth else id(code)
    if callable(value):
        return id(value)
    return (type(value), value) if isinstance(value, (int, str)) else type(value)


def _held(function: Any) -> list[Any]:
    """What a function uses beside its arguments: defaults, globals, and what it closes over."""
    found = list(getattr(function, "__defaults__", None) or ())
    places = getattr(function, "__globals__", {})
    found += [places[name] for name in function.__code__.co_names if name in places]
    for cell in getattr(function, "__closure__", None) or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not assigned yet
            found.append(None)
    return found


def harmless(function: Any, within: tuple[Any, ...] = ()) -> bool:
    """Whether calling a function once more, as far as its code tells, leaves no trace in the user's program.

    No, where it writes to what is outside of it, calls itself, has a ``while``, or uses an object of which nothing is
    known.
    """
    if isinstance(function, functools.partial):
        return all(_known(x, within) for x in (function.func, *function.args, *function.keywords.values()))
    if (getattr(function, "__module__", None) or "").split(".")[0] in MODULES:
        return True
    code = getattr(function, "__code__", None)
    if code is None or code in within or len(within) > DEEPEST or hasattr(function, "__self__"):
        return False
    names: set[str] = set()
    for part in _codes(code):
        names.update(part.co_names)
        steps = list(dis.get_instructions(part))
        loops = {step.offset for step in steps if step.opname == "FOR_ITER"}
        for step in steps:
            if step.opname in STORES or (step.opname == "STORE_DEREF" and step.argval in part.co_freevars):
                return False
            if step.opcode in JUMPS and step.argval <= step.offset and step.argval not in loops:
                return False  # a while loop, which may not end where the branch is not taken
    used = [function.__globals__[name] for name in names if name in function.__globals__]  # by functions in it too
    return names.isdisjoint(CHANGES) and all(_known(x, (*within, code)) for x in (*_held(function), *used))


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _known(value: Any, within: tuple[Any, ...]) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__.split(".")[0] in MODULES
    if isinstance(value, type):
        return value.__module__.split(".")[0] in (*MODULES, "builtins") or dataclasses.is_dataclass(value)
    if callable(value):
        return harmless(value, within)
    plain = (Node, np.ndarray, np.generic, int, float, complex, str, bytes)
    return all(isinstance(leaf, plain) or (callable(leaf) and harmless(leaf, within)) for leaf in tree.leaves(value))
