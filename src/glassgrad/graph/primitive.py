"""The format of an op: kinds, rules, and the check when the class is created that nothing is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ..errors import RuleError, ShapeError
from .node import Spec

Rule = Callable[..., Any]
registry: dict[str, type[Primitive]] = {}  # every op by name; tests go through it


@dataclass(frozen=True)
class Samples:
    """Where an op may be tested.

    Attributes
    ----------
    domain : interval of safe arguments, one for all inputs or a tuple of one per input
    special : further scalar arguments at which the value must equal NumPy's (large, tiny, infinite, kinks)
    cases : ``cases(rng) -> [(inputs, params), ...]`` for ops whose arguments are not simply broadcast together
    complex : whether the op is tested on complex arguments too
    order : highest order of derivative tested
    """

    domain: Any = (-3.0, 3.0)
    special: tuple[float, ...] = (0.0, 1.0, -1.0, 1e-30, 1e30, np.inf, -np.inf, np.nan)
    cases: Callable[[np.random.Generator], list[tuple[tuple[Any, ...], dict[str, Any]]]] | None = None
    complex: bool = False
    order: int = 2


class Primitive:
    """Base of every op. The class is the namespace of the op's rules; it is never instantiated.

    A subclass gives

    eval : NumPy's computation, ``eval(*xs, **params)``, also the oracle for compiled code
    vjp : cotangents of the inputs from the cotangent ``g`` of the output: either a tuple with one function
        ``(g, y, *xs, **params)`` per input (None where an input has no derivative), so that only those needed are
        formed; or one function returning a tuple for all inputs, where they share work
    jvp : ``(ts, y, *xs, **params)``, the tangent of the output from the tangents of the inputs (None for zero)

    or ``nondifferentiable``, the reason why it has no derivative, and

    batch : what ``vmap`` makes of it, where the kind does not say: either a tuple with one number per input, the axes
        that one computation takes of it, counted from the end, while those before are stacks that broadcast (as in
        NumPy's linear algebra); or a function ``(size, over, *xs, **params)``, of which the inputs with True in
        ``over`` have a further axis 0 of this size, and the result or each of the results has. An op without one is
        run example by example, as a ``scan``.

    Rules are written with public ops and operators, so
    that they run on ndarrays, trace, and differentiate again. They never un-broadcast: the walks do, in one place.
    Complex cotangents follow PyTorch's convention: for a holomorphic op the VJP is ``g * conj(derivative)``.
    """

    name: ClassVar[str] = ""
    eval: ClassVar[Rule]
    vjp: ClassVar[Any] = None
    jvp: ClassVar[Any] = None
    partials: ClassVar[tuple[Any, ...] | None] = None
    batch: ClassVar[Any] = None
    nondifferentiable: ClassVar[str] = ""
    differentiable: ClassVar[bool] = True
    outputs: ClassVar[int] = 1  # more than one: ``eval`` returns a tuple, read by Output(node, i)
    masks: ClassVar[bool] = False  # cotangents of this op's inputs hold zeros that mean "discarded"
    linear: ClassVar[bool] = False  # in each input separately
    moves: ClassVar[bool] = False  # elements, or converts them, and computes nothing: every dtype is as good
    samples: ClassVar[Samples] = Samples()

    def __init_subclass__(cls, abstract: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if abstract:
            return
        cls.name = cls.__dict__.get("name") or _snake(cls.__name__)
        cls.differentiable = not cls.nondifferentiable
        if not hasattr(cls, "eval"):
            raise RuleError(f"{cls.__name__}: no eval; say how NumPy computes it")
        ruled = cls.vjp is not None or cls.partials is not None
        if cls.differentiable and not ruled:
            raise RuleError(f"{cls.__name__}: no vjp or partials; give a rule or nondifferentiable = 'reason'")
        if not cls.differentiable and ruled:
            raise RuleError(f"{cls.__name__}: has both a rule and nondifferentiable; keep one")
        if cls.name in registry:
            raise RuleError(f"{cls.__name__}: an op named {cls.name!r} exists already; choose another name")
        if not cls.__dict__.get("private", False):
            registry[cls.name] = cls

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        """Spec of the output, or a tuple of Specs, from Specs of the inputs (Python scalars come as themselves).

        By default the op is tried on ones of these shapes. Kinds whose shape rule is simple say it directly.
        """
        with np.errstate(all="ignore"):
            result = cls.eval(*(np.ones(s.shape, s.dtype) if isinstance(s, Spec) else s for s in specs), **params)
        if cls.outputs > 1:
            return tuple(Spec(np.shape(r), np.asarray(r).dtype) for r in result)
        return Spec(np.shape(result), np.asarray(result).dtype)

    @classmethod
    def complaint(cls, error: Exception, specs: list[Any], params: dict[str, Any], where: str) -> Exception | None:
        """A better error than NumPy's for a failed ``eval``, or None to let NumPy's stand."""
        return None


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


class Elementwise(Primitive, abstract=True):
    """Each output element depends on the input elements at its place; shapes broadcast.

    ``partials`` has one entry per input: a function ``(y, *xs)`` giving the local derivative, a number where it is
    constant, or None for an input without derivative. VJP, JVP and explanations all read it. An op that is not
    holomorphic on complex numbers gives ``vjp`` and ``jvp`` of its own.

    ``scalar`` is what compiled code computes: a formula ``(b, *xs, **params)`` for one element, where ``b`` has the
    kernel's instructions as methods, as in ``b.tanh(x)``, and the elements have operators (``kernel/scalars.py``). An
    op whose ``eval`` is a ufunc needs none where there is an instruction of that name. Inputs come cast to the dtype
    of the result, or to their common one where that is bool, but for those whose numbers are in ``unpromoted``. Where
    there is no formula, and ``called`` is True, compiled code calls ``eval``.
    """

    scalar: ClassVar[Rule | None] = None
    unpromoted: ClassVar[tuple[int, ...]] = ()
    called: ClassVar[bool] = False

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Spec:
        shape = np.broadcast_shapes(*(s.shape if isinstance(s, Spec) else () for s in specs))
        op: Any = cls
        return Spec(tuple(shape), _elementwise_dtype(op, tuple(_dtype_key(s) for s in specs), tuple(params.items())))

    @classmethod
    def complaint(cls, error: Exception, specs: list[Any], params: dict[str, Any], where: str) -> Exception | None:
        shapes = [s.shape if isinstance(s, Spec) else () for s in specs]
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            listed = " and ".join(str(s) for s in shapes)
            return ShapeError(
                f"{cls.name}: shapes do not broadcast: got {listed}, expected equal sizes or 1 in each axis counted "
                f"from the right{where}; reshape one, or insert an axis with x[:, None]"
            )
        return None


def _dtype_key(spec: Any) -> Any:
    return spec.dtype if isinstance(spec, Spec) else (type(spec), spec)


@cache
def _elementwise_dtype(op: Any, keys: tuple[Any, ...], params: tuple[Any, ...]) -> np.dtype[Any]:
    arguments = [np.ones(1, key) if isinstance(key, np.dtype) else key[1] for key in keys]
    with np.errstate(all="ignore"):
        return np.asarray(op.eval(*arguments, **dict(params))).dtype


class Reduction(Primitive, abstract=True):
    """Folds axes away. Parameters: ``axis``, a tuple of non-negative ints; ``keepdims``."""

    @classmethod
    def infer(cls, *specs: Any, **params: Any) -> Any:
        (shape, dtype), axis = specs[0], params["axis"]
        kept = tuple(1 if i in axis else n for i, n in enumerate(shape) if params["keepdims"] or i not in axis)
        ones = np.ones((1,) * len(shape), dtype)
        return Spec(kept, np.asarray(cls.eval(ones, **params)).dtype)


class View(Primitive, abstract=True):
    """Rearranges elements without computing: linear, and the VJP is the transpose."""

    linear = True
    moves = True


class Contraction(Primitive, abstract=True):
    """Sums of products: linear in each input separately."""

    linear = True


class Indexing(Primitive, abstract=True):
    """Reads or writes elements at places that are themselves data."""


class Opaque(Primitive, abstract=True):
    """A library call, such as a factorisation or a transform."""


class Structured(Primitive, abstract=True):
    """Holds the graph together: several outputs, boundaries, rules given by the user, control flow."""

    moves = True
