"""``jit``: a function as native code, one program for each signature it is called with."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from .. import tree
from ..array import as_array as as_glassgrad
from ..errors import RetraceWarning, ShapeError
from ..graph import program as graphs
from ..graph.node import Node, constant
from .pipeline import Executable
from .report import Cost, Stages
from .signature import Leaf, Signature, as_array, hashable, leaf_of

RETRACES = (8, 32, 128)  # how many programs of one function are worth a warning
Function = Callable[..., Any]


class Compiled:
    """A program for one signature, with what turns a call into it and back."""

    def __init__(self, function: Function, signature: Signature, donated: Sequence[bool]) -> None:
        self.signature = signature
        kept: list[Any] = []  # what the function returned beside arrays

        def of_arrays(*arrays: Any) -> Any:
            supply = iter(arrays)
            leaves = [leaf.value if leaf.kind == "static" else next(supply) for leaf in signature.leaves]
            args, kwargs = tree.unflatten(signature.structure, leaves)
            results, shape = tree.flatten(function(*args, **kwargs))
            kept[:] = [None if _is_number(r) else r for r in results]
            self.result = shape
            return [r if isinstance(r, Node) else constant(np.asarray(r)) for r in results if _is_number(r)]

        examples = [_example(leaf) for leaf in signature.leaves if leaf.kind != "static"]
        graph = graphs.trace(of_arrays, *examples)
        self.kept = list(kept)
        self.varying = [i for i, leaf in enumerate(signature.leaves) if leaf.kind != "static"]
        self.executable = Executable(graph, _pairs(graph, [donated[i] for i in self.varying]))

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """Run on the leaves of the arguments."""
        executable, signature = self.executable, self.signature
        given = [as_array(leaves[i], signature.leaves[i]) for i in self.varying]
        outputs = []
        for number, spec in enumerate(executable.specs):
            source = executable.donated.get(number)
            if source is None:
                outputs.append(np.empty(spec.shape, spec.dtype))
                continue
            held = leaves[self.varying[source]]
            held = held.value if isinstance(held, Node) else held
            if given[source] is not held or not held.flags.writeable:
                given[source] = given[source].copy() if given[source] is held else given[source]
            outputs.append(given[source])
        code = executable.run(given, outputs)
        if code:
            raise self.failure(code)
        return self.results([o if o.ndim else o[()] for o in outputs])

    def results(self, values: Sequence[Any]) -> Any:
        """The function's value from the arrays computed."""
        supply = iter(values)
        wrap = as_glassgrad if self.signature.arrays else (lambda value: value)
        return tree.unflatten(self.result, [wrap(next(supply)) if k is None else k for k in self.kept])

    def failure(self, code: int) -> Exception:
        """The error of a failed check."""
        return IndexError(self.executable.program.failures[code - 1])


def _is_number(value: Any) -> bool:
    return isinstance(value, (Node, np.ndarray, np.generic, bool, int, float, complex))


def _example(leaf: Leaf) -> Any:
    """Something of a leaf's shape and dtype that takes no memory."""
    if leaf.kind == "scalar":
        return leaf.dtype(1)
    return np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)


def _pairs(graph: graphs.Program, donated: Sequence[bool]) -> dict[int, int]:
    """Which output may take the place of which donated argument: the first of its shape and dtype not taken yet."""
    free = [i for i, given in enumerate(donated) if given]
    found: dict[int, int] = {}
    for number, node in enumerate(graph.outputs):
        if node.value is not None:
            continue
        for argument in free:
            if graph.inputs[argument].spec == node.spec and node.shape:
                found[number] = argument
                free.remove(argument)
                break
    return found


class Jitted:
    """A function that compiles itself; see ``jit``.

    Attributes
    ----------
    signatures : those it has been compiled for, in order
    """

    def __init__(self, function: Function, static: Any, donate: Any, check: bool) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.static = (static,) if isinstance(static, (int, str)) else tuple(static)
        self.donate = (donate,) if isinstance(donate, (int, str)) else tuple(donate)
        self.check = check
        self.compiled: dict[Signature, Compiled] = {}
        self.lock = threading.RLock()

    @property
    def signatures(self) -> list[str]:
        """What it has been compiled for, one line each."""
        return [", ".join(map(str, s.leaves)) for s in self.compiled]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound, static = self.split(args, kwargs)
        leaves, structure = tree.flatten(bound)
        if any(isinstance(leaf, Node) and (leaf.value is None or leaf.tracked) for leaf in leaves):
            return self.function(*args, **kwargs)  # part of a larger derivative or program
        compiled = self.of(leaves, structure, static)
        result = compiled(leaves)
        if self.check:
            self.compare(result, args, kwargs)
        return result

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
        """The arguments without the static ones, and those."""
        if not self.static:
            return (args, kwargs), ()
        places = {s % len(args) if isinstance(s, int) and -len(args) <= s < len(args) else s for s in self.static}
        chosen = [v for k, v in [*enumerate(args), *kwargs.items()] if k in places]
        kept = tuple([_Fixed(v) if k in places else v for k, v in enumerate(args)])
        return (kept, {k: _Fixed(v) if k in places else v for k, v in kwargs.items()}), hashable(chosen)

    def of(self, leaves: Sequence[Any], structure: tree.Structure, static: tuple[Any, ...]) -> Compiled:
        """The program for these arguments, made if there is none."""
        signature = Signature(
            structure, tuple([leaf_of(x) for x in leaves]), static, any(isinstance(x, Node) for x in leaves)
        )
        found = self.compiled.get(signature)
        if found is None:
            with self.lock:
                found = self.compiled.get(signature)
                if found is None:
                    found = self.made(signature)
        return found

    def made(self, signature: Signature) -> Compiled:
        before = next(reversed(self.compiled), None)
        found = Compiled(_opened(self.function), signature, self.donated(signature))
        self.compiled[signature] = found
        if before is not None and len(self.compiled) in RETRACES:
            warnings.warn(
                f"jit: {self.function.__name__} was compiled {len(self.compiled)} times; the last time because of "
                f"{before.difference(signature)}. Keep shapes and dtypes the same from call to call, pass numbers that "
                f"change as arrays, and make one jit outside of loops",
                RetraceWarning,
                stacklevel=5,
            )
        return found

    def donated(self, signature: Signature) -> list[bool]:
        """Which leaves belong to donated arguments."""
        args, kwargs = tree.unflatten(signature.structure, list(range(len(signature.leaves))))
        given: set[int] = set()
        for which in self.donate:
            if isinstance(which, int) and not -len(args) <= which < len(args):
                raise ShapeError(f"jit: donate={which}: the function was called with {len(args)} arguments")
            part = args[which] if isinstance(which, int) else kwargs.get(which)
            given.update(i for i in tree.leaves(part) if isinstance(i, int))
        return [i in given for i in range(len(signature.leaves))]

    def compare(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        from .report import compare

        compare(self.function, result, args, kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Stages:
        """Every stage of the program for these arguments, as text."""
        bound, static = self.split(args, kwargs)
        return Stages(self.of(*tree.flatten(bound), static).executable)

    def cost(self, *args: Any, **kwargs: Any) -> Cost:
        """What the program for these arguments does: operations, bytes, memory, threads, time to compile."""
        if not args and not kwargs:
            if not self.compiled:
                raise ShapeError("cost: nothing has been compiled yet; call the function first, or pass arguments")
            return Cost.of(next(reversed(self.compiled.values())).executable)
        bound, static = self.split(args, kwargs)
        return Cost.of(self.of(*tree.flatten(bound), static).executable)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"jit({getattr(self.function, '__qualname__', self.function)!s}, {len(self.compiled)} compiled)"


class _Fixed:
    """A static argument among the others, opened again before the function sees it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fixed) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)


def _opened(function: Function) -> Function:
    def opened(*args: Any, **kwargs: Any) -> Any:
        plain: Function = lambda v: v.value if isinstance(v, _Fixed) else v
        return function(*map(plain, args), **{k: plain(v) for k, v in kwargs.items()})

    return opened


@overload
def jit(function: Function, *, static: Any = (), donate: Any = (), check: bool = False) -> Jitted: ...
@overload
def jit(*, static: Any = (), donate: Any = (), check: bool = False) -> Callable[[Function], Jitted]: ...
def jit(function: Function | None = None, *, static: Any = (), donate: Any = (), check: bool = False) -> Any:
    """The function as one native call.

    The function is traced at the first call with arguments of a new structure, shape or dtype, and compiled; later
    calls with such arguments run machine code only. Results are equal to the function's own to a few units in the last
    place, and the same bits for any number of threads.

    Parameters
    ----------
    function : made of Glassgrad or NumPy operations on its arguments. Python's own control flow is followed once, while
        tracing; ``if`` on a traced value is an error that says how to do it with ``where``.
    static : positions or names of arguments that are no arrays and decide what is computed; the function is compiled
        anew for each value. They must be hashable.
    donate : positions or names of arguments whose arrays may be overwritten: a result of the same shape and dtype is
        written in their place and is that array. For a training step's parameters and state.
    check : run the function without compilation too, at every call, and compare

    Returns
    -------
    Jitted
        A callable with ``signatures``, ``lower(*args)`` and ``cost(*args)``. Results are ndarrays and NumPy scalars;
        Arrays if an argument is or holds an Array.

    Examples
    --------
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> @gg.jit
    ... def step(w, x, y):
    ...     loss, slope = gg.value_and_grad(lambda w: ((x @ w - y) ** 2).mean())(w)
    ...     return loss, w - 0.1 * slope
    >>> loss, w = step(np.zeros(2), np.eye(2), np.array([1.0, 3.0]))
    >>> float(loss), w
    (5.0, array([0.1, 0.3]))
    """
    if function is None:
        return lambda f: Jitted(f, static, donate, check)
    return Jitted(function, static, donate, check)
