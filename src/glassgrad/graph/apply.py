"""How an operation becomes a value or a node: plain, eager or traced."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from sys import modules
from typing import Any

import numpy as np

from ..dtypes import PYTHON_SCALARS
from ..errors import MeetingTracesError, TracedValueError
from .bfloat16 import evaluate, infer
from .node import (
    BORROWED,
    NO_PARAMS,
    Constant,
    Node,
    Params,
    Spec,
    Trace,
    constant,
    creation_order,
    make,
    next_index,
    owned,
    spec_of,
)
from .origin import Context, Origin, _getframe, here, internal
from .primitive import Elementwise, Structured

_new_origin = tuple.__new__

Watcher = Callable[[Any, tuple[Any, ...], Params, Any], Any]

watchers: list[tuple[int, Watcher]] = []  # of all threads: asked of at every operation, and nearly always empty


@contextlib.contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tell ``watcher(op, inputs, params, value)`` of what this thread does eagerly, and those around no longer.

    What it returns, unless None, is the result instead.
    """
    entry = (threading.get_ident(), watcher)
    watchers.append(entry)
    try:
        yield
    finally:
        watchers.remove(entry)


def watching() -> Watcher | None:
    """Who is told of what this thread does."""
    if not watchers:
        return None
    own = threading.get_ident()
    return next((watcher for thread, watcher in reversed(watchers) if thread == own), None)


def apply(op: Any, inputs: tuple[Any, ...], params: Params = NO_PARAMS) -> Any:
    """Run one op on whatever it is given.

    - No node among the inputs: NumPy's result, as NumPy gives it.
    - Nodes with values: a node with a value, which remembers op and inputs if a gradient may flow into it.
    - A node without a value: a node of the program being traced, shared with an equal one.
    """
    values = []
    held = tracked = raw = False
    for x in inputs:
        if isinstance(x, Node):
            held = True
            if x.tracked:
                tracked = True
            elif x.params is BORROWED:
                raw = True
            x = x.value
            if x is None:
                return _trace(op, inputs, params)
        else:
            raw = True
        values.append(x)
    try:
        if "ml_dtypes" in modules:  # without it nothing is bfloat16
            value = evaluate(op, values, params)
        else:
            value = op.eval(*values, **params) if params else op.eval(*values)
    except (ValueError, TypeError) as error:
        _complain(op, inputs, params, error)
        raise
    watcher = watching() if watchers else None
    if watcher is not None:
        if held and op.name in _OPERATORS and all([type(v) in PYTHON_SCALARS for v in values]):
            value = np.asarray(value).item()  # as in a program: one Python number of others
        instead = watcher(op, inputs, params, value)
        if instead is not None:
            return instead
    if not held:
        return value
    cls: Any = Node.made_as
    node = cls.__new__(cls)
    node.value = value
    node.spec = node.program = node.origin = None
    if tracked:
        frame: Any = _getframe(1)
        while internal[frame.f_code.co_filename]:
            outer = frame.f_back
            if outer is None:
                break
            frame = outer
        node.origin = _new_origin(Origin, (frame.f_code, frame.f_lasti, *Context.place))
        node.op = op
        node.inputs = tuple([owned(x) for x in inputs]) if raw else inputs
        node.params = params
        node.tracked = op.differentiable
    else:
        # A view of the user's array, or that array itself, may be what came out.
        node.op, node.inputs, node.params, node.tracked = Constant, (), BORROWED, False
    node.index = next_index()
    return node if op.outputs == 1 else unpack(node, len(value))


def unpack(node: Any, count: int) -> tuple[Any, ...]:
    """The outputs of a node with several, as nodes."""
    return tuple(apply(Output, (node,), {"index": i}) for i in range(count))


class Output(Structured):
    """One output of an op with several."""

    private = True
    linear = True

    @staticmethod
    def eval(values: tuple[Any, ...], *, index: int) -> Any:
        return values[index]

    @staticmethod
    def vjp(g: Any, y: Any, *xs: Any, **params: Any) -> Any:
        raise AssertionError("the backward walk hands an output's cotangent to its node")

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        chosen: Spec = specs[0][params["index"]]
        return chosen


def _trace(op: Any, inputs: tuple[Any, ...], params: Params) -> Any:
    """The node of a traced program for this op, made or found."""
    traces = {x.program for x in inputs if isinstance(x, Node) and x.program is not None}
    trace: Trace = max(traces | Context.branch, key=creation_order)
    if len(traces) > 1 and not trace.inner and not any(t.closed and t.inner for t in traces):
        raise MeetingTracesError(
            f"{op.name}: values of two different traces meet at {here(2)}; pass the outer one as an argument"
        )
    if any(t.closed for t in traces):
        raise TracedValueError(
            f"{op.name}: a value of a traced function, of a loop's body, or of an example under vmap, is used "
            f"outside of it at {here(2)}; return it from the function, or from the body, in the carry or as y"
        )
    nodes = tuple([x if isinstance(x, Node) else constant(x) for x in inputs])

    promotes = issubclass(op, Elementwise)  # the others take a scalar for an array

    def build() -> Node:
        origin = here(4)
        specs = [spec_or_scalar(x) if promotes else x.spec or spec_or_scalar(x) for x in nodes]
        try:
            spec = infer(op, specs, params)
        except (ValueError, TypeError) as error:
            _complain(op, inputs, params, error)
            raise
        tracked = op.differentiable and any(x.tracked for x in nodes)
        node: Node = make(op, nodes, params, None, spec=spec, tracked=tracked, origin=origin, program=trace)
        if op.name in _OPERATORS and all(is_weak(x) for x in nodes):
            trace.weak[node] = weak_scalar(spec.dtype)
        return node

    node = trace.share((op, tuple([_identity(x) for x in nodes]), tuple(sorted(params.items()))), build)
    return node if op.outputs == 1 else unpack(node, len(node.spec))


def _identity(node: Node) -> Any:
    """What makes two inputs the same: equal Python scalars, the same array in memory, or the same node."""
    if node.op is Constant:
        value = node.value
        # repr tells 0.0 from -0.0 and 1 from True
        return (type(value), repr(value)) if isinstance(value, PYTHON_SCALARS) else ("array", id(value))
    return id(node)


# What Python's operators do with two of its scalars gives a scalar again.
_OPERATORS = frozenset(("add", "sub", "mul", "div", "floor_div", "mod", "power", "neg", "abs"))


def is_weak(node: Node) -> bool:
    """Whether a node takes part in promotion as a Python scalar: it is one, or stands for an argument that is one."""
    # By type, because a NumPy float64 is a float too
    return type(node.value) in PYTHON_SCALARS or (node.program is not None and node in node.program.weak)


def weak_scalar(dtype: np.dtype[Any]) -> Any:
    """A Python scalar of the kind of a dtype."""
    return {"b": True, "f": 1.0, "c": 1j}.get(dtype.kind, 1)


def spec_or_scalar(node: Node) -> Any:
    if isinstance(node.value, PYTHON_SCALARS):
        return node.value
    if node.value is None:
        return node.spec if node.program is None else node.program.weak.get(node, node.spec)
    return spec_of(node)


def _complain(op: Any, inputs: tuple[Any, ...], params: Params, error: Exception) -> None:
    """Raise the op's own description of what is wrong, if it has one; a library's error stays as the cause."""
    if isinstance(error, np.linalg.LinAlgError):
        return
    specs = [x if isinstance(x, PYTHON_SCALARS) else spec_of(x) for x in inputs]
    better = op.complaint(error, specs, params, f" at {here(2)}")
    if better is not None:
        raise better from None
