"""Differential operators on functions: grad, value_and_grad, vjp, and gradients of named intermediates."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import is_inexact, kind_of
from ..errors import (
    DtypeError,
    IndependentOutputWarning,
    NonDifferentiableError,
    NotScalarError,
    ShapeError,
    TreeError,
)
from ..graph.node import Input, Node, constant, reachable, shape_of, value_of
from ..graph.origin import here
from ..ops import control, logic
from .arguments import Opened, Owned, open_argument, plain_kind, run
from .vjp import Walks, plan, pull

Argnums = int | Sequence[int]


def refuse_repeated(names: list[str]) -> None:
    """Names of intermediates must tell them apart."""
    for k, name in enumerate(names):
        if name in names[:k]:
            raise ValueError(f"gg.name: two values are named {name!r}: give each its own name to ask for its gradient")


def _positions(argnums: Argnums, count: int, what: str) -> tuple[int, ...]:
    chosen = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
    for i in chosen:
        if isinstance(i, bool) or not isinstance(i, (int, np.integer)) or not -count <= i < count:
            raise TypeError(
                f"{what}: argnums={argnums!r} does not fit the call: got {count} positional arguments; pass the "
                f"differentiated arguments by position"
            )
    return tuple(int(i) % count for i in chosen)


def value_and_grad(
    function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """A function that returns the value of ``function`` and its gradient, from one forward and one backward pass.

    Parameters
    ----------
    function : returns one real number (an array of size 1), or with ``has_aux`` a pair (number, anything)
    argnums : which positional arguments to differentiate by; a tuple gives a tuple of gradients
    has_aux : whether the function returns auxiliary results beside the number
    holomorphic : allow a complex result of a holomorphic function and return its complex derivative

    Returns
    -------
    callable
        ``(value, gradient)``, or ``((value, aux), gradient)``. The gradient has the structure of the argument and
        each leaf comes back in kind: ndarray for ndarray, Array for Array. Integer, string and None leaves inside a
        container have gradient None.

    Raises
    ------
    NotScalarError
        if the value is not one number.
    DtypeError
        if the argument has nothing that varies continuously, such as an integer.
    NonDifferentiableError
        if the value is an integer or boolean.

    Notes
    -----
    For complex arguments the gradient is ∂L/∂Re + i ∂L/∂Im, the direction of steepest ascent, as in PyTorch and
    TensorFlow; a step against it descends.

    Examples
    --------
    >>> import glassgrad as gg
    >>> value, slope = gg.value_and_grad(lambda w: (w * 2.0 - 10.0) ** 2)(3.0)
    >>> float(value), float(slope)
    (16.0, -16.0)
    """

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        positions = _positions(argnums, len(args), "grad")
        opened = {i: open_argument(args[i], "grad") for i in positions}
        inner = [opened[i].tree if i in opened else arg for i, arg in enumerate(args)]
        targets = [t for i in positions for t in opened[i].targets if t is not None]
        walks = Walks.count
        result = run(function, targets, *inner, **kwargs)
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(f"grad: has_aux=True needs a function returning (value, aux): got {type(result).__name__}")
        value, aux = result if has_aux else (result, None)
        value = _scalar(value, holomorphic)
        differentiates = Walks.count > walks  # then a constant is no surprise: it may be an inner derivative
        cotangents, recorded = pull([value], [_one(value)], targets)
        if all(c is None for c in cotangents) and not differentiates:
            _warn_independent(value)
        supply = iter(cotangents)
        own = Owned()
        gradients = [_close(opened[i], supply, holomorphic, own) for i in positions]
        gradient = gradients[0] if isinstance(argnums, (int, np.integer)) else tuple(gradients)
        given = tree.leaves([args, kwargs])
        in_kind = as_array if any(isinstance(leaf, Node) for leaf in given) else plain_kind
        out = in_kind(value if recorded else constant(value.value))
        if not has_aux:
            return out, gradient
        return (out, _release(aux, recorded, in_kind, Owned(map(value_of, given)))), gradient

    return _present(wrapped, function, "Value and gradient")


def grad(
    function: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The gradient of a scalar function; see ``value_and_grad`` for parameters, result and errors.

    With ``has_aux`` the result is ``(gradient, aux)``.

    Examples
    --------
    >>> import glassgrad as gg
    >>> import glassgrad.numpy as np
    >>> float(gg.grad(np.tanh)(0.0))
    1.0
    >>> float(gg.grad(gg.grad(lambda x: x ** 3))(2.0))
    12.0
    """
    both = value_and_grad(function, argnums, has_aux, holomorphic)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return _present(wrapped, function, "Gradient")


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value of ``function`` and the map from a cotangent of it to cotangents of the primals.

    The map is v ↦ Jᵀ v: the Jacobian transposed times a vector, without forming the Jacobian. It can be called again.

    Returns
    -------
    (value, pullback) or (value, pullback, aux)
        ``pullback(cotangent)`` takes a tree like the value and returns a tuple with one entry per primal.

    Examples
    --------
    >>> import numpy as np, glassgrad as gg
    >>> y, pullback = gg.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    opened = [open_argument(p, "vjp", copy=True) for p in primals]
    targets = [t for o in opened for t in o.targets if t is not None]
    result = run(function, targets, *(o.tree for o in opened))
    value, aux = result if has_aux else (result, None)
    outputs, structure = tree.flatten(value)
    nodes = [as_array(v) for v in outputs]
    outside = any(isinstance(leaf, Node) for leaf in tree.leaves(primals))
    in_kind = as_array if outside else plain_kind

    def pullback(cotangent: Any) -> tuple[Any, ...]:
        try:
            given = tree.leaves(tree.map(lambda *row: row[1], value, cotangent)) if outputs else []
        except TreeError as error:
            raise TreeError(f"vjp: the cotangent must have the structure of the value: {error}") from None
        if len(given) != len(nodes):
            raise TreeError(f"vjp: cotangent must have the value's structure: got {len(given)} leaves of {len(nodes)}")
        seeds = [_seed(node, g) for node, g in zip(nodes, given, strict=True)]
        recording = any(isinstance(s, Node) and (s.tracked or s.value is None) for s in seeds)
        plain = seeds if recording else [value_of(s) for s in seeds]
        found, _ = pull(nodes, plain, targets, recording)
        supply = iter(found)
        own = Owned(given)
        return tuple(_close(o, supply, False, own) for o in opened)

    depends_outside = plan(nodes, targets).recording
    own = Owned([n.value for n in nodes])  # the graph keeps these for the pullback
    out = tree.unflatten(structure, [in_kind(n if depends_outside else constant(own(n.value))) for n in nodes])
    return (out, pullback, _release(aux, depends_outside, in_kind, own)) if has_aux else (out, pullback)


def named_grads(function: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Gradients of a scalar function with respect to the intermediates that ``gg.name`` marked in it.

    Examples
    --------
    >>> import glassgrad as gg
    >>> def loss(x):
    ...     h = gg.name(x * 3.0, "h")
    ...     return h * h
    >>> {k: float(v) for k, v in gg.named_grads(loss, 2.0).items()}
    {'h': 12.0}
    """
    opened = [open_argument(a, "named_grads") if _has_floats(a) else None for a in args]
    inner = [a if o is None else o.tree for a, o in zip(args, opened, strict=True)]
    own = [t for o in opened if o is not None for t in o.targets if t is not None]
    value = _scalar(run(function, own, *inner, **kwargs), False)
    marked = [n for n in reachable([value]) if n.op is control.Named]
    refuse_repeated([n.params["name"] for n in marked])
    found, _ = pull([value], [_one(value)], marked + own)
    return {
        node.params["name"]: plain_kind(np.zeros(node.shape, node.dtype) if g is None else g)
        for node, g in zip(marked, found, strict=False)
    }


def _has_floats(argument: Any) -> bool:
    return any(
        not isinstance(x, (str, bytes)) and is_inexact(np.asarray(x).dtype)
        if not isinstance(x, Node)
        else is_inexact(x.dtype)
        for x in tree.leaves(argument)
        if not callable(x)
    )


def _scalar(value: Any, holomorphic: bool) -> Any:
    """The function's value as a node, or the error that says why it has no gradient."""
    if not isinstance(value, Node):
        if isinstance(value, (bool, np.bool_)):
            raise NonDifferentiableError(
                f"grad: the function returned {value}, expected a real number to differentiate"
            )
        if value is None or isinstance(value, (list, tuple, dict, str)):
            hint = "; use has_aux=True for a pair (value, aux)" if isinstance(value, tuple) else ""
            raise NotScalarError(f"grad: the function returned {type(value).__name__}, expected one number{hint}")
        value = constant(np.asarray(value)[()])
    if int(np.prod(value.shape, dtype=int)) != 1:
        raise NotScalarError(
            f"grad: the function's value has shape {value.shape}, expected one number, from {_place(value)}"
            f"; reduce it with .sum() or .mean(), or use vjp for a gradient per output"
        )
    kind = kind_of(value.dtype)
    if kind not in "fc" and value.op.differentiable and not value.inputs:
        return constant(np.float64(value.value)) if value.value is not None else value
    if kind not in "fc":
        raise NonDifferentiableError(
            f"grad: the function's value has dtype {value.dtype}, expected a real number: {value.op.name} at "
            f"{value.origin} has no derivative ({getattr(value.op, 'nondifferentiable', '') or 'integers do not vary'})"
        )
    if kind == "c" and not holomorphic:
        raise NonDifferentiableError(
            f"grad: the function's value is complex, from {value.origin}: expected a real number; take abs(z)**2, "
            f"z.real or z.imag, or pass holomorphic=True for the complex derivative of a holomorphic function"
        )
    return value


def _place(value: Any) -> str:
    return str(value.origin) if value.origin else "an argument" if value.op is Input else "a constant"


def _one(value: Any) -> Any:
    return np.ones(value.shape, value.dtype)[()]


def _seed(node: Any, g: Any) -> Any:
    """A cotangent given by the user, checked against the output it belongs to."""
    g = g if isinstance(g, Node) else np.asarray(g)[()]
    if shape_of(g) != node.shape:
        raise ShapeError(f"vjp: cotangent must have the value's shape: got {shape_of(g)}, expected {node.shape}")
    if g.dtype.kind == "c" and node.dtype.kind != "c":
        raise DtypeError(
            f"vjp: got a complex cotangent for a value of {node.dtype}, expected a real one; take its .real"
        )
    return logic.astype(g, node.dtype)


def _close(opened: Opened, supply: Any, holomorphic: bool, own: Owned) -> Any:
    """The gradient of one argument, in its structure and in kind; zeros where nothing depends on a leaf."""
    gradients: list[Any] = []
    for target, in_kind in zip(opened.targets, opened.in_kind, strict=True):
        if target is None:
            gradients.append(None)
            continue
        g = next(supply)
        g = np.zeros(target.shape, target.dtype)[()] if g is None else g
        if holomorphic and target.dtype.kind == "c":
            g = g.conjugate()
        gradients.append(in_kind(own(g)))
    return tree.unflatten(opened.structure, gradients)


def _release(aux: Any, recorded: bool, in_kind: Callable[[Any], Any], own: Owned) -> Any:
    """Auxiliary results for use outside: without their graph, unless something outside differentiates them."""
    if recorded:
        return aux
    return tree.map(lambda leaf: in_kind(constant(own(leaf.value))) if isinstance(leaf, Node) else leaf, aux)


def _warn_independent(value: Any) -> None:
    warnings.warn(
        f"grad: the function's value (from {_place(value)}) does not depend on the arguments it is "
        f"differentiated by, so the gradient is zero; was a value taken out with .value, int() or stop_gradient?",
        IndependentOutputWarning,
        stacklevel=4,
    )


def _present(wrapped: Callable[..., Any], function: Callable[..., Any], what: str) -> Callable[..., Any]:
    """Name, docstring and signature of the function a derivative is made from."""
    if not callable(function):
        raise TypeError(f"grad: got {type(function).__name__}, expected a function to differentiate at {here(3)}")
    wrapped = functools.wraps(function)(wrapped)
    wrapped.__doc__ = f"{what} of {getattr(function, '__name__', 'a function')}.\n\n{function.__doc__ or ''}"
    return wrapped
