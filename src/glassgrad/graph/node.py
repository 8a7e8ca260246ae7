"""Node: one value of a program, what made it, and from what. Sharing of equal nodes while tracing."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..dtypes import dtype_of
from .origin import Origin

Value = Any  # an ndarray, NumPy scalar or Python scalar, or a Node: whatever an operator or an op accepts
Params = dict[str, Any]

NO_PARAMS: Params = {}


class Spec(NamedTuple):
    """Shape and dtype of a value that is not there yet."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class Trace:
    """The nodes of one program being traced, keyed by (op, inputs, params): the same work is the same node.

    The trace of a loop's body is ``inner``: until it is closed its nodes may be made from those of the programs around.
    While that of a branch is ``Context.branch``, what is made of values around it only is of the branch too, because it
    must not be computed where the branch is not taken.
    """

    def __init__(self, inner: bool = False) -> None:
        self.table: dict[Any, Node] = {}
        self.merged = 0  # how many requests were answered by a node already there
        self.weak: dict[Node, Any] = {}  # nodes that promote as a Python scalar does, with one like theirs
        self.inner = inner
        self.closed = False
        self.index = next_index()

    def share(self, key: Any, make: Callable[[], Node]) -> Node:
        node = self.table.get(key)
        if node is None:
            node = self.table[key] = make()
        else:
            self.merged += 1
        return node


class Node:
    """One value of a program.

    Attributes
    ----------
    op : the primitive (a class) that made it; one of LEAVES for those without inputs
    inputs : nodes it was made from
    params : hashable keyword parameters of the op
    value : what NumPy computed, or None while tracing; a tuple for ops with several outputs
    spec : shape and dtype where there is no value; a tuple of them for several outputs
    tracked : whether a gradient may flow through it
    index : creation order; inputs always have smaller ones, so sorting by it is a topological order
    origin : where in the user's program it was made
    program : the Trace it belongs to, or None when eager
    """

    __slots__ = ("__weakref__", "index", "inputs", "op", "origin", "params", "program", "spec", "tracked", "value")

    made_as: ClassVar[type[Node]]  # the class the user holds; array.py sets it

    op: Any
    inputs: tuple[Node, ...]
    params: Params
    value: Any
    spec: Any
    tracked: bool
    index: int
    origin: Origin | None
    program: Trace | None

    @property
    def shape(self) -> tuple[int, ...]:
        value = self.value
        if value is None:
            shape: tuple[int, ...] = self.spec.shape
            return shape
        return shape_of(value)

    @property
    def dtype(self) -> np.dtype[Any]:
        value = self.value
        dtype: np.dtype[Any]
        if value is None:
            dtype = self.spec.dtype
        else:
            dtype = dtype_of(value)
        return dtype

    def __hash__(self) -> int:
        return id(self)


Node.made_as = Node
next_index: Callable[[], int] = itertools.count().__next__


class Leaf:
    """What a node without inputs says in its ``op`` field."""

    name: ClassVar[str]
    differentiable: ClassVar[bool] = True
    partials: ClassVar[None] = None


class Constant(Leaf):
    """A value that nothing is differentiated by."""

    name = "constant"


class Input(Leaf):
    """A value the program is a function of: an argument under ``grad`` or ``trace``."""

    name = "input"


class Variable(Leaf):
    """A value made by ``gg.variable``, to be differentiated by with ``backward``."""

    name = "variable"


LEAVES = (Constant, Input, Variable)


def make(
    op: Any,
    inputs: tuple[Node, ...],
    params: Params,
    value: Any,
    *,
    spec: Any = None,
    tracked: bool = False,
    origin: Origin | None = None,
    program: Trace | None = None,
) -> Any:
    """A node of the class the user holds. The engine's hot path in ``apply`` does the same inline."""
    cls = Node.made_as
    node = cls.__new__(cls)
    node.op, node.inputs, node.params, node.value = op, inputs, params, value
    node.spec, node.tracked, node.origin, node.program = spec, tracked, origin, program
    node.index = next_index()
    return node


BORROWED: Params = {}  # the params of a Constant whose array the user holds too, and may write to later


def borrowed(value: Any) -> Any:
    """A leaf holding an array of the user's as it is, to be copied if a graph has to remember it."""
    return make(Constant, (), BORROWED, value)


def owned(x: Any) -> Any:
    """An input as a node whose value nobody else can write to.

    A buffer that is filled anew in a loop would otherwise change what earlier nodes were computed from.
    """
    if isinstance(x, Node):
        return constant(x.value.copy()) if x.params is BORROWED and hasattr(x.value, "copy") else x
    return constant(x.copy() if isinstance(x, np.ndarray) else x)


_scalars: dict[tuple[type, Any], Any] = {}


def constant(value: Any) -> Any:
    """A leaf holding ``value`` as it is; a Python scalar stays one, because NumPy promotes it weakly."""
    if value.__class__ is float or value.__class__ is int:
        key = (value.__class__, value)
        if key in _scalars:
            return _scalars[key]
        if value and len(_scalars) < 1000:  # 0.0 equals -0.0, so a zero is never kept
            _scalars[key] = make(Constant, (), NO_PARAMS, value)
            return _scalars[key]
    return make(Constant, (), NO_PARAMS, value)


def spec_of(node: Any) -> Spec:
    """Shape and dtype of a node, an array or a scalar."""
    if isinstance(node, Node):
        return Spec(node.shape, node.dtype)
    return Spec(np.shape(node), dtype_of(node))


def shape_of(value: Value) -> tuple[int, ...]:
    """The shape of a node, an array or a scalar."""
    try:
        shape: tuple[int, ...] = value.shape
        return shape
    except AttributeError:
        return np.shape(value)


def is_symbolic(value: Value) -> bool:
    """Whether this is a node without a value, as in a program being traced."""
    return isinstance(value, Node) and value.value is None


def value_of(value: Value) -> Any:
    """The ndarray or scalar inside a node; anything else as it is. None for a symbolic node."""
    return value.value if isinstance(value, Node) else value


creation_order = attrgetter("index")


def reachable(outputs: Iterable[Node], *, follow: Callable[[Node], bool] = lambda node: True) -> list[Node]:
    """Every node the outputs are made from and they themselves, inputs first.

    Iterative, so that a chain of 100,000 nodes is as good as a short one.
    """
    found: dict[Node, None] = {}
    stack = list(outputs)
    while stack:
        node = stack.pop()
        if node not in found and follow(node):
            found[node] = None
            stack.extend(node.inputs)
    return sorted(found, key=creation_order)
