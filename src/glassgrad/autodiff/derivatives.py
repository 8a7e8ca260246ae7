"""Differential operators on functions: grad, value_and_grad, vjp, and gradients of named intermediates."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array
from ..dtypes import is_inexact
from ..errors import (
    DtypeError,
    IndependentOutputWarning,
    NonDifferentiableError,
    NotScalarError,
    ShapeError,
    TracedValueError,
    TreeError,
)
from ..graph.node import NO_PARAMS, Input, Node, constant, make, reachable, shape_of
from ..graph.origin import here
from ..ops import control, logic
from .vjp import Walks, live, plan, pull

Argnums = int | Sequence[int]


class Opened(NamedTuple):
    """An argument whose leaves were replaced by nodes to differentiate by.

    Attributes
    ----------
    tree : the argument to call the function with
    targets : one node per leaf, None for a leaf that cannot be differentiated by (integer, string ...)
    structure : of the argument
    in_kind : one function per leaf that gives a derivative in the form the leaf came in
    """

    tree: Any
    targets: list[Any]
    structure: tree.Structure
    in_kind: list[Callable[[Any], Any]]


def open_argument(argument: Any, what: str, copy: bool = False) -> Opened:
    """Replace the floating leaves of an argument by fresh nodes, of copies where the graph will outlive the call."""
    leaves, structure = tree.flatten(argument)
    targets = [_open_leaf(np.array(leaf) if copy and isinstance(leaf, np.ndarray) else leaf) for leaf in leaves]
    if not any(t is not None for t in targets):
        raise DtypeError(_nothing_to_differentiate(argument, leaves, what))
    inside = [leaf if t is None else t for leaf, t in zip(leaves, targets, strict=True)]
    kinds: list[Callable[[Any], Any]] = [as_array if isinstance(leaf, Node) else plain_kind for leaf in leaves]
    return Opened(tree.unflatten(structure, inside), targets, structure, kinds)


def _open_leaf(leaf: Any) -> Any:
    if isinstance(leaf, Node):
        if not is_inexact(leaf.dtype):
            return None
        if leaf.tracked or leaf.value is None:
            # Made here and never shared: two arguments, or two nested derivatives, by one value stay two nodes.
            return make(
                control.Alias, (leaf,), NO_PARAMS, leaf.value, spec=leaf.spec, tracked=True, program=leaf.program
            )
        return make(Input, (), NO_PARAMS, leaf.value, tracked=True)
    if isinstance(leaf, (str, bytes)) or callable(leaf):
        return None
    if isinstance(leaf, np.ma.MaskedArray):
        raise DtypeError("grad: got a masked array, whose mask would be lost; use x.filled(0.0), and where(mask, ...)")
    value = np.asarray(leaf)
    return make(Input, (), NO_PARAMS, value[()], tracked=True) if value.dtype.kind in "fc" else None


def run(function: Callable[..., Any], targets: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function on opened arguments, which are live meanwhile.

    Writing a tracked element into an ndarray ends in NumPy's "setting an array element with a sequence", which hides
    our message; it is brought back here.
    """
    opened = {t.index for t in targets}
    live.update(opened)
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        if isinstance(error.__cause__, TracedValueError):
            raise error.__cause__ from None
        raise
    finally:
        live.difference_update(opened)


def plain_kind(value: Any) -> Any:
    """The ndarray or NumPy scalar of a node no one differentiates any more; a tracked one as it is."""
    if isinstance(value, Node):
        if value.value is None or value.tracked:
            return value
        value = value.value
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


class Owned:
    """Makes every array handed out one of its own: writable, and sharing memory with no other and with none given."""

    def __init__(self, given: Sequence[Any] = ()) -> None:
        self.seen = {id(g) for g in given}

    def __call__(self, g: Any) -> Any:
        if not isinstance(g, np.ndarray):
            return g
        if not g.ndim:
            return g[()]
        if g.base is not None or not g.flags.writeable or id(g) in self.seen:
            g = g.copy()
        self.seen.add(id(g))
        return g


def refuse_repeated(names: list[str]) -> None:
    """Names of intermediates must tell them apart."""
    for k, name in enumerate(names):
        if name in names[:k]:
            raise ValueError(f"gg.name: two values are named {name!r}: give each its own name to ask for its gradient")


def _nothing_to_differentiate(argument: Any, leaves: list[Any], what: str) -> str:
    if not leaves:
        got = "None" if argument is None else f"an empty {type(argument).__name__}"
        return f"{what}: nothing to differentiate by: got {got}, expected a floating array or a container of some"
    kinds = sorted({str(x.dtype) if hasattr(x, "dtype") else type(x).__name__ for x in leaves})
    numbers = any(isinstance(x, (int, np.generic, np.ndarray, Node)) for x in leaves)
    way_out = (
        "write 3.0 for 3, or use x.astype(float), or choose another argument with argnums"
        if numbers
        else "hold parameters in dicts, lists, tuples or dataclasses, or choose another argument with argnums"
    )
    return (
        f"{what}: cannot differentiate by {', '.join(kinds)}: expected floating or complex numbers, which vary "
        f"continuously; {way_out}"
    )


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
        in_kind = as_array if any(isinstance(leaf, Node) for leaf in tree.leaves([args, kwargs])) else plain_kind
        out = in_kind(value if recorded else constant(value.value))
        if not has_aux:
            return out, gradient
        given = Owned([getattr(leaf, "value", leaf) for leaf in tree.leaves([args, kwargs])])
        return (out, _release(aux, recorded, in_kind, given)), gradient

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
        plain = seeds if recording else [s.value if isinstance(s, Node) else s for s in seeds]
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
        not isinstance(x, (str, bytes)) and np.asarray(x).dtype.kind in "fc"
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
    kind = value.dtype.kind
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
