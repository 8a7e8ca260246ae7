"""``jit``: a function as native code, one program for each signature it is called with."""

from __future__ import annotations

import functools
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np

from .. import tree
from ..array import as_array as as_glassgrad
from ..autodiff.arguments import plain_kind
from ..autodiff.nonfinite import trace_nan
from ..autodiff.trail import finite
from ..dtypes import PYTHON_SCALARS
from ..errors import MeetingTracesError, NonFiniteError, RetraceWarning, ShapeError
from ..graph import program as graphs
from ..graph.apply import watchers, watching
from ..graph.node import Node, Spec, Variable, constant, next_index, value_of
from ..native import call
from .budget import budget_of
from .pipeline import Executable
from .plan import Plan
from .report import Cost, Stages, compare
from .signature import Places, Signature, as_array, leaf_of, static_key

RETRACES = (8, 32, 128)  # how many programs of one function are worth a warning
MANY = 500  # Python numbers among the arguments are worth a warning: somebody passes lists for arrays
LATEST = 8  # how many builtins a call tries before Python takes its arguments apart
Function = Callable[..., Any]


class Compiled:
    """A program for one signature, with what turns a call into it and back."""

    def __init__(
        self, function: Function, signature: Signature, donated: Sequence[bool], budget: int | None = None
    ) -> None:
        self.signature = signature
        self.varying = [i for i, leaf in enumerate(signature.leaves) if leaf.kind != "static"]
        graph = self.traced(function)
        self.executable = Executable(graph, _pairs(graph, [donated[i] for i in self.varying]), budget=budget)
        self.builtins: dict[Any, Function | None] = {}
        self.called = False

    def builtin(self, leaves: Sequence[Any]) -> Function | None:
        """What takes positional arguments with leaves of just these kinds and returns the result, or NotImplemented.

        An array without axes and a NumPy scalar have one signature, and a builtin each. None where the arguments or
        the result hold what only Python can take apart.
        """
        args, kwargs = self.signature.structure.children
        if len(self.varying) < len(leaves) or kwargs.children or not self.kept or any(k is not None for k in self.kept):
            return None
        donated = set(self.executable.donated.values())
        natives = [call.leaf_of(x) for x in leaves]
        expected = [n._replace(donated=i in donated) for i, n in enumerate(natives) if n is not None]
        if len(expected) < len(leaves):
            return None
        key = tuple(expected)
        if key not in self.builtins:
            wrap = as_glassgrad if self.signature.arrays else None
            self.builtins[key] = self.executable.entry(args.children, expected, self.result, wrap).fast
        return self.builtins[key]

    def traced(self, function: Function) -> graphs.Program:
        """The function's graph; ``kept`` and ``result`` say what it returns, with None for arrays in ``kept``."""
        signature = self.signature

        def of_arrays(*arrays: Any) -> Any:
            supply = iter(arrays)
            leaves = [leaf.value if leaf.kind == "static" else next(supply) for leaf in signature.leaves]
            args, kwargs = tree.unflatten(signature.structure, leaves)
            results, self.result = tree.flatten(function(*args, **kwargs))
            self.kept = [None if _is_number(r) else r for r in results]
            numbers = [r if isinstance(r, Node) else constant(np.asarray(r)) for r in results if _is_number(r)]
            return numbers or [constant(np.zeros(()))]

        since = next_index()
        graph = graphs.trace(of_arrays, *[signature.leaves[i].example for i in self.varying])
        sources = [node for node in graph.nodes if node.tracked and node.value is not None and not node.inputs]
        # The others are arguments of derivatives that began and ended inside of the function: constants by now.
        if any(node.op is Variable or node.index < since for node in sources):
            raise MeetingTracesError(
                "jit: the function uses a value that is being differentiated; pass it as an argument"
            )
        return graph

    def __call__(self, leaves: Sequence[Any]) -> Any:
        """Run on the leaves of the arguments."""
        executable = self.executable
        given = [as_array(leaves[i], self.signature.leaves[i]) for i in self.varying]
        shared = _overlapping(given) if executable.donated else set[int]()
        outputs = []
        for number, spec in enumerate(executable.specs):
            source = executable.donated.get(number)
            if source is not None and (source in shared or not _own(given[source], leaves[self.varying[source]])):
                given[source] = given[source].copy()
            outputs.append(np.empty(spec.shape, spec.dtype) if source is None else given[source])
        code = executable.run(given, outputs)
        if code:
            executable.fail(code)
        return self.results([o if o.ndim else o[()] for o in outputs])

    def results(self, values: Sequence[Any]) -> Any:
        """The function's value from the arrays computed."""
        supply = iter(values)
        wrap: Function = as_glassgrad if self.signature.arrays else (lambda value: value)
        return tree.unflatten(self.result, [wrap(next(supply)) if k is None else k for k in self.kept])


def _own(array: np.ndarray[Any, Any], leaf: Any) -> bool:
    """Whether this is the donated array itself, and may be written to."""
    return array is (leaf.value if isinstance(leaf, Node) else leaf) and array.flags.writeable


def _overlapping(arrays: Sequence[np.ndarray[Any, Any]]) -> set[int]:
    """Which of these contiguous arrays share memory with another."""
    spans = sorted((call.data(a), call.data(a) + a.nbytes, k) for k, a in enumerate(arrays) if a.nbytes)
    found = set[int]()
    reached, furthest = 0, -1  # of those that begin before this one, the end that is furthest, and whose it is
    for begin, end, number in spans:
        if begin < reached:
            found |= {number, furthest}
        if end > reached:
            reached, furthest = end, number
    return found


def _seen(leaf: Any) -> Any:
    """A leaf as an Array; a Python number inside of one where operations are watched, which its own are not."""
    if type(leaf) in PYTHON_SCALARS and watching() is not None:
        return constant(leaf)
    return as_glassgrad(leaf) if isinstance(leaf, (np.ndarray, np.generic)) else leaf


def _typed(leaf: Any) -> Any:
    """A result of a replay with a dtype, as a program's has one."""
    weak = isinstance(leaf, Node) and type(leaf.value) in PYTHON_SCALARS and not leaf.tracked
    return as_glassgrad(np.asarray(leaf.value)[()]) if weak else leaf


def _is_number(value: Any) -> bool:
    return isinstance(value, (Node, np.ndarray, np.generic, bool, int, float, complex))


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
    """A function that compiles itself; see ``jit``."""

    __qualname__: str

    def __init__(
        self, function: Function, static: Any, donate: Any, check: bool, nan: str | None, memory: Any = None
    ) -> None:
        if not callable(function):
            raise TypeError(f"jit: got {type(function).__name__}, expected a function")
        functools.update_wrapper(self, function)
        if nan not in (None, "raise"):
            raise ValueError(f"jit: nan must be None or 'raise': got {nan!r}")
        self.nan = nan
        self.function = function
        self.static = Places(function, static, "static")
        # Arguments that were overwritten could not be run on again
        self.donate = Places(function, () if nan else donate, "donate")
        self.check = check
        self.budget = budget_of(memory)
        self.compiled: dict[Signature, Compiled] = {}
        # What answers a call without Python taking it apart, latest first, by static arguments
        self.fast: dict[tuple[Any, ...], tuple[Function, ...]] = {}
        self.lock = threading.RLock()
        _made.add(self)

    @property
    def signatures(self) -> list[str]:
        """What it has been compiled for, one line each."""
        return [", ".join([*map(str, s.leaves), *(f"{k[0]}={k[2]!r}" for k in s.static)]) for s in self.compiled]

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if watchers and watching() is not None:
            return self.replay(args, kwargs)
        if not kwargs:
            static, given = self.without_static(args) if self.static.chosen else ((), args)
            for fast in self.fast.get(static, ()):
                result = fast(*given)
                if result is not NotImplemented:
                    return result
        return self.slowly(args, kwargs)

    def without_static(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """A key of the static ones among positional arguments, and all with None in place of those."""
        static = tuple([static_key(k, v) for k, v in enumerate(args) if k in self.static])
        return static, tuple([None if k in self.static else v for k, v in enumerate(args)])

    def slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that Python takes apart: the first of its signature, or of a kind that only Python takes."""
        leaves, signature = self.taken_apart(args, kwargs)
        if any(isinstance(leaf, Node) and (leaf.value is None or leaf.tracked) for leaf in leaves):
            return self.function(*args, **kwargs)  # part of a larger derivative or program
        try:
            compiled = self.of(signature, args, kwargs)
        except MeetingTracesError:
            return self.function(*args, **kwargs)  # it closes over one
        expected = self.replay(args, kwargs) if self.check else None
        result = compiled(leaves)
        if self.check:
            nodes = compiled.executable.graph.nodes
            met = [x.dtype for x in nodes if x.value is not None or isinstance(x.spec, Spec)]
            compare(result, expected, leaves, met)
        if self.nan and not all(finite(value_of(leaf)) for leaf in tree.leaves(result) if _is_number(leaf)):
            self.explain_nan(args, kwargs)
        if compiled.called and not (self.check or self.nan or kwargs):  # many programs run once, and need no builtin
            self.prefer(signature.static, compiled.builtin(leaves))
        compiled.called = True
        return result

    def replay(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the operations one by one, on Arrays, so that each is seen."""
        by_place = {k: v for k, v in enumerate(args) if k in self.static}
        opened = [by_place.get(k, tree.map(_seen, v)) for k, v in enumerate(args)]
        named = {k: v if k in self.static else tree.map(_seen, v) for k, v in kwargs.items()}
        result = tree.map(_typed, self.function(*opened, **named))
        if any(isinstance(leaf, Node) for leaf in tree.leaves((args, kwargs))):
            return result
        return tree.map(plain_kind, result)

    def explain_nan(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Run again what gave a NaN or inf, and raise where it was made."""
        with trace_nan():
            self.replay(args, kwargs)
        raise NonFiniteError(
            "jit: the compiled function returned a NaN or inf that no operation made when run again one by one: it was "
            "given, or is within rounding of overflow"
        )

    def prefer(self, static: tuple[Any, ...], builtin: Function | None) -> None:
        """Try this one first from now on, for these static arguments."""
        known = self.fast.get(static, ())
        if builtin is not None and builtin not in known[:1]:
            self.fast[static] = (builtin, *(f for f in known if f is not builtin))[:LATEST]

    def taken_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], Signature]:
        """The leaves of all arguments that are not static, and what they are."""
        static: tuple[Any, ...] = ()
        if self.static:
            static, args = self.without_static(args)
            static += tuple([static_key(k, v) for k, v in kwargs.items() if k in self.static])
            kwargs = {k: v for k, v in kwargs.items() if k not in self.static}
        leaves, structure = tree.flatten((args, kwargs))
        arrays = any(isinstance(x, Node) for x in leaves)
        return leaves, Signature(structure, tuple([leaf_of(x) for x in leaves]), static, arrays)

    def of(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Compiled:
        """The program for these arguments, made if there is none."""
        found = self.compiled.get(signature)
        if found is not None:
            return found
        with self.lock:
            found = self.compiled.get(signature)
            if found is None:
                self.warn(signature)
                function = self.with_static(args, kwargs) if self.static else self.function
                found = Compiled(function, signature, self.donated(signature), self.budget)
                self.compiled[signature] = found
        return found

    def with_static(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Function:
        """The function with its static arguments filled in."""
        by_place = {k: v for k, v in enumerate(args) if k in self.static}
        by_name = {k: v for k, v in kwargs.items() if k in self.static}

        def filled(*rest: Any, **named: Any) -> Any:
            return self.function(*[by_place.get(k, v) for k, v in enumerate(rest)], **named, **by_name)

        return filled

    def donated(self, signature: Signature) -> list[bool]:
        """Which leaves belong to donated arguments."""
        args, kwargs = tree.unflatten(signature.structure, list(range(len(signature.leaves))))
        given = [part for k, part in [*enumerate(args), *kwargs.items()] if k in self.donate]
        numbers = {i for i in tree.leaves(given) if isinstance(i, int)}
        return [i in numbers for i in range(len(signature.leaves))]

    def warn(self, signature: Signature) -> None:
        """Of what is about to take long, and of what is compiled again and again."""
        count, numbers = len(self.compiled) + 1, sum(leaf.kind == "scalar" for leaf in signature.leaves)
        found: list[tuple[str, type[Warning]]] = []
        if numbers >= MANY:
            text = (
                f"has {numbers:,} arguments that are Python numbers, in lists or the like, which takes long to compile"
            )
            found.append((f"{text}. Make arrays of them: np.asarray(...)", UserWarning))
        if count in RETRACES:
            difference = next(reversed(self.compiled)).difference(signature)
            text = f"was compiled {count} times; the last time because of {difference}. Keep shapes and dtypes the same"
            advice = "from call to call, pass numbers that change as arrays, make one jit outside of loops"
            found.append((f"{text} {advice}", RetraceWarning))
        name = getattr(self.function, "__name__", repr(self.function))
        for text, kind in found:
            warnings.warn(f"jit: {name} {text}", kind, stacklevel=5)

    def executable(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Executable:
        """The program for these arguments; without any, the latest."""
        if not args and not kwargs and self.compiled:
            return next(reversed(self.compiled.values())).executable
        _, signature = self.taken_apart(args, kwargs)
        return self.of(signature, args, kwargs).executable

    def lower(self, /, *args: Any, **kwargs: Any) -> Stages:
        """Every stage of the program for these arguments as text: ``graph``, ``loops``, ``llvm()``, ``assembly()``."""
        return Stages(self.executable(args, kwargs))

    def plan(self, /, *args: Any, **kwargs: Any) -> Plan:
        """How the program for these arguments, or the latest, meets its memory budget: ``print`` it."""
        if not args and not kwargs and not self.compiled:
            raise ShapeError("plan: nothing has been compiled yet; call the function first, or pass its arguments")
        return self.executable(args, kwargs).plan

    def cost(self, /, *args: Any, **kwargs: Any) -> Cost:
        """What the program for these arguments, or the latest, does: operations, memory, threads, time to compile."""
        if not args and not kwargs and not self.compiled:
            raise ShapeError("cost: nothing has been compiled yet; call the function first, or pass its arguments")
        return Cost.of(self.executable(args, kwargs))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __reduce__(self) -> str:
        """As functions are pickled: by name. Copies are the function itself."""
        name: str = self.__qualname__
        return name

    def __copy__(self) -> Jitted:
        return self

    def __deepcopy__(self, memo: Any) -> Jitted:
        return self

    def __repr__(self) -> str:
        return f"jit({getattr(self.function, '__qualname__', self.function)!s}, {len(self.compiled)} compiled)"


_made: weakref.WeakSet[Jitted] = weakref.WeakSet()


def _after_fork() -> None:
    """A thread that was compiling is not there in the child, and would hold its function's lock for ever."""
    for jitted in _made:
        jitted.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

Which = int | str | Iterable[int | str]


@overload
def jit(
    function: Function,
    *,
    static: Which = (),
    donate: Which = (),
    check: bool = False,
    nan: str | None = None,
    memory: int | str | None = None,
) -> Jitted: ...
@overload
def jit(
    *,
    static: Which = (),
    donate: Which = (),
    check: bool = False,
    nan: str | None = None,
    memory: int | str | None = None,
) -> Callable[[Function], Jitted]: ...
def jit(
    function: Function | None = None,
    *,
    static: Which = (),
    donate: Which = (),
    check: bool = False,
    nan: str | None = None,
    memory: int | str | None = None,
) -> Any:
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
    nan : "raise" to look at every result, and where one is NaN or infinite to run the operations again one by one and
        raise NonFiniteError, which names the op that made it, its line and why. Nothing is donated then.
    memory : a budget for the arena, the bytes of all temporaries, as ``cost().arena`` counts them: arguments, results
        and constants do not count. An int, or text: "64MB" (kB, MB, GB are powers of 1000; KiB, MiB, GiB of 1024).
        Each program is made to fit by computing again what is cheapest to have again; ``plan(*args)`` says what.

    Returns
    -------
    Jitted
        A callable with ``signatures``, ``lower(*args)``, ``cost(*args)`` and ``plan(*args)``. Results are ndarrays and
        NumPy scalars; Arrays if an argument is or holds an Array.

    Raises
    ------
    MemoryBudgetError
        at the first call with arguments of a kind, if the budget is too small for them; it says the smallest possible.
    ValueError, TypeError
        if ``memory`` is no positive number of bytes.

    Notes
    -----
    Arrays that the function closes over are copied into the program. One that is being differentiated, or traced, is
    not: then the function runs as it is, as part of that derivative or program.

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
    >>> slope = gg.jit(gg.grad(lambda x: np.tanh(np.tanh(x @ x) @ x).sum()), memory="2.5kB")
    >>> slope(np.eye(8)).shape, slope.plan().peak <= 2500
    ((8, 8), True)
    """
    if function is None:
        return lambda f: Jitted(f, static, donate, check, nan, memory)
    return Jitted(function, static, donate, check, nan, memory)
