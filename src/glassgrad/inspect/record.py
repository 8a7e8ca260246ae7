"""A function run once and watched: its nodes, and what each gave to the gradient of each of its inputs."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..autodiff.arguments import run
from ..autodiff.unroll import opened
from ..autodiff.vjp import Parts, plan
from ..autodiff.watch import Term, Watched
from ..dtypes import is_inexact
from ..errors import DtypeError, NonDifferentiableError, NotScalarError, ShapeError, TracedValueError
from ..graph.node import NO_PARAMS, Input, Node, Variable, creation_order, make, reachable
from ..graph.origin import internal
from ..ops import control

Which = int | str | Sequence[int | str] | None


class Call(NamedTuple):
    """What a call or operator in the user's code returned, and by which instruction."""

    code: CodeType
    instruction: int
    value: Any


@dataclass
class Record:
    """One run of a function.

    Attributes
    ----------
    output : what gradients are of; of the sum of its elements if it has several
    nodes : every node it was made from, in order of computation
    leaves : the names of arguments, by node
    gradients : ∂output/∂node, for nodes that depend on what was asked for
    terms : what the gradient of a node is the sum of
    calls : the user's calls and operators that returned something made of nodes
    order : the nodes in the order in which the backward pass left them
    parameters : the leaves asked for
    depending : indices of the nodes made from them, and of themselves
    """

    output: Any
    nodes: list[Any]
    leaves: dict[Node, str]
    parameters: list[Node]
    gradients: dict[Node, Any] = field(default_factory=dict)
    terms: dict[Node, list[Term]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    order: list[Node] = field(default_factory=list)
    depending: set[int] = field(default_factory=set)

    def back(self) -> None:
        """The backward pass."""
        found, _, _ = plan([self.output], self.nodes)
        wanted = {p.index for p in self.parameters}
        self.depending = depending({n.index: n for n in self.nodes}, wanted)
        needed = depending(found, wanted)
        walk = Watched(needed)
        walk.receive(self.output, np.ones(self.output.shape, self.output.dtype)[()], None)
        with np.errstate(all="ignore"):
            kept = walk.run(found, needed)
        self.gradients = {
            found[i]: g.complete(found[i].value) if isinstance(g, Parts) else g  # of an op with several outputs
            for i, g in kept.items()
        }
        self.order = list(self.gradients)
        self.terms = walk.terms


def depending(found: dict[int, Node], wanted: set[int]) -> set[int]:
    """Indices of the nodes made from those wanted, and these themselves."""
    needed = set(wanted)
    for index in sorted(found):
        if any(x.index in needed for x in found[index].inputs):
            needed.add(index)
    return needed


def record(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], wrt: Which = None, loops: bool | None = None
) -> Record:
    """Run a function on arguments whose every floating leaf is a named node, forward and backward.

    In place of a function a value that was made from variables will do. Of a model the parameters are arguments too.
    """
    leaves: dict[Node, str] = {}
    chosen: list[Node] = []
    calls: list[Call] = []
    if isinstance(function, Node):
        value = function
    else:
        given = dict(enumerate([*args, *kwargs.values()]))
        names = argument_names(function, args, kwargs)
        if tree.paths(function) != [""]:  # a model, whose parameters come first
            given = {len(given): function} | given
            names.append("model")
        asked = _asked(wrt, names)
        inputs: dict[int, Any] = {}
        for number, argument in given.items():
            name = names[number]
            values, structure = tree.flatten(argument)
            targets = [_leaf(leaf) for leaf in values]
            paths = tree.paths(argument)
            leaves |= {t: name + path for t, path in zip(targets, paths, strict=True) if t is not None}
            chosen += [t for t in targets if t is not None and t.tracked and number in asked]
            inside = [leaf if t is None else t for t, leaf in zip(targets, values, strict=True)]
            inputs[number] = tree.unflatten(structure, inside)
        called = inputs.pop(len(args) + len(kwargs), function)
        positional = [inputs.pop(k) for k in range(len(args))]
        floating = [n for n in leaves if n.tracked]
        if floating and not chosen:
            raise DtypeError(f"explain: wrt={wrt!r} has no floating value: got arguments {names}; choose another")
        with np.errstate(all="ignore"), _watching(calls), opened(loops):
            value = run(called, floating, *positional, **dict(zip(kwargs, inputs.values(), strict=True)))
    output = _output(value, any(n.tracked for n in leaves))
    if leaves:
        _without_aliases(output, creation_order(next(reversed(leaves))))
    used = set(reachable([output]))
    if not isinstance(function, Node):
        _displace(used, sys._getframe())
    # Arguments first: constants that are kept for many programs would come before them
    nodes = [n for n in leaves if n in used] + sorted(used - set(leaves), key=creation_order)
    chosen += [n for n in nodes if n.op is Variable] if wrt is None else []
    made = Record(
        output, nodes, {n: s for n, s in leaves.items() if n in used}, [n for n in chosen if n in used], calls=calls
    )
    made.back()
    return made


def _without_aliases(output: Node, since: int) -> None:
    """Let the nodes of this run use values themselves, not the aliases that inner derivatives, now done, went by."""
    for node in reachable([output]):
        if creation_order(node) > since and any(x.op is control.Alias for x in node.inputs):
            node.inputs = tuple(map(_behind, node.inputs))


def _behind(x: Node) -> Node:
    while x.op is control.Alias:
        x = x.inputs[0]
    return x


def _displace(nodes: Iterable[Node], frame: FrameType | None) -> None:
    """Take away the places of nodes that a layer made: the nearest line outside the package is one that wants the
    function explained, such as of a script that trains, and no line of the function's."""
    callers = set()
    while frame is not None:
        callers.add((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    for node in nodes:
        origin = node.origin
        if origin is not None and (origin.code, origin.instruction) in callers:
            node.origin = origin.displaced()


@contextlib.contextmanager
def _watching(calls: list[Call]) -> Iterator[None]:
    """Note what calls return to the user's code; where another profiler is at work, nothing."""
    if sys.getprofile() is not None:
        yield
        return

    def note(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and isinstance(value, (Node, tuple, list, dict)):
            caller = frame.f_back
            if caller is not None and not internal[caller.f_code.co_filename]:
                calls.append(Call(caller.f_code, caller.f_lasti, value))

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


def argument_names(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
    """The names of the function's parameters, as far as it has a signature."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for k in range(len(args)):
        if k < len(parameters) and parameters[k].kind is not inspect.Parameter.VAR_POSITIONAL:
            names.append(parameters[k].name)
            continue
        first = next((i for i, p in enumerate(parameters) if p.kind is inspect.Parameter.VAR_POSITIONAL), 0)
        names.append(f"{parameters[first].name if parameters else 'args'}[{k - first}]")
    return [*names, *kwargs]


def _asked(wrt: Which, names: list[str]) -> set[int]:
    """The numbers of the arguments asked for."""
    if wrt is None:
        return set(range(len(names)))
    given: Sequence[int | str] = (wrt,) if isinstance(wrt, (int, str)) else wrt
    chosen = set()
    for w in given:
        if isinstance(w, str) and w in names:
            chosen.add(names.index(w))
        elif isinstance(w, int) and -len(names) <= w < len(names):
            chosen.add(w % len(names))
        else:
            raise ValueError(f"explain: wrt={w!r} is no argument: got arguments {names}; give a name or a position")
    return chosen


def _leaf(leaf: Any) -> Any:
    """A node of its own for a leaf that is floating or an array, else None: other numbers may be sizes or flags."""
    if isinstance(leaf, Node):
        if leaf.value is None:
            raise TracedValueError("explain: an argument is being traced and has no value; call it outside of jit")
        value = leaf.value
    elif isinstance(leaf, (str, bytes)) or callable(leaf):
        return None
    else:
        value = np.asarray(leaf)[()]
    dtype = np.asarray(value).dtype
    floating = is_inexact(dtype)
    if not floating and (dtype.kind not in "biu" or not isinstance(leaf, (Node, np.ndarray))):
        return None
    held = value.copy() if isinstance(value, np.ndarray) else value
    return make(Input, (), NO_PARAMS, held, tracked=floating)


def _output(value: Any, floating: bool) -> Any:
    """The one leaf of a function's value that depends on floating arguments."""
    candidates = [leaf for leaf in tree.leaves(value) if isinstance(leaf, Node)]
    tracked = dict.fromkeys(leaf for leaf in candidates if leaf.tracked and is_inexact(leaf.dtype))
    several = {leaf: None for leaf in tracked if leaf.op is not Input} or tracked  # arguments may be handed on
    if len(several) > 1:
        leaves = zip(tree.paths(value), tree.leaves(value), strict=True)
        places = [path for path, leaf in leaves if isinstance(leaf, Node) and leaf in several]
        raise NotScalarError(
            f"explain: the function returned {len(several)} values with gradients, at {', '.join(places)}, expected "
            f"one; choose it, such as explain(lambda *args: f(*args){places[0]}, ...), or return their sum"
        )
    found: Any = next(iter(several), None)
    if found is None:
        if not floating and not any(leaf.tracked for leaf in candidates):
            raise DtypeError(
                "explain: nothing to differentiate by: got no floating argument, expected at least one; write 3.0 for 3"
            )
        if candidates:
            raise NonDifferentiableError(
                f"explain: the function's value has no derivative: got the result of {candidates[0].op.name}, expected "
                f"a real number or array made from the arguments"
            )
        raise NotScalarError(
            f"explain: the function returned {type(value).__name__}, which does not depend on its floating arguments; "
            f"compute with glassgrad.numpy, without .value, float() or stop_gradient"
        )
    if found.dtype.kind == "c":
        raise NonDifferentiableError("explain: the function's value is complex: expected a real one; take abs(z)**2")
    if found.value is None:
        raise TracedValueError("explain: the function returned a traced value; call explain outside of jit")
    if found.size == 0:
        raise ShapeError(f"explain: the function's value is empty: got shape {found.shape}, expected numbers")
    if found.op is Input:  # a function that returns its argument still has a node to show
        result = control.name(found, "result")
        result.origin = None
        return result
    return as_array(found)
