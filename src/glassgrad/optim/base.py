"""What optimisers share: one formula per parameter, mapped over trees."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..array import variable
from ..dtypes import dtype_of, is_inexact, real_dtype
from ..errors import ShapeError, TracedValueError, TreeError
from ..graph.node import Node, constant, shape_of

Buffer = NDArray[Any]


class Slots(NamedTuple):
    """What an optimiser remembers of one parameter: how often it was updated, and running averages of its shape."""

    updates: int
    averages: tuple[Buffer, ...]


State = tuple[Slots | None, ...]


class Optimizer(abc.ABC):
    """``state = init(params)``, then ``params, state = step(params, grads, state)`` again and again.

    Nothing is kept here and no gradient flows through a step. ``params`` is any tree of arrays; a leaf whose gradient
    is None (an integer, a string) is passed on as it is.
    """

    @property
    @abc.abstractmethod
    def averages(self) -> int:
        """How many arrays a parameter needs beside itself."""

    @abc.abstractmethod
    def update(self, p: Buffer, g: Buffer, averages: tuple[Buffer, ...], count: int) -> None:
        """Change ``p`` and ``averages`` in place by one step; ``count`` is 1 at the first. ``g`` is only read."""

    def init(self, params: Any) -> State:
        """The state before the first step: for each leaf of ``params`` its slots, or None where nothing is learnt."""

        def begin(p: Any) -> Slots | None:
            if isinstance(p, (str, bytes)) or callable(p) or not is_inexact(dtype_of(p)):
                return None
            return Slots(0, tuple(np.zeros(shape_of(p), dtype_of(p)) for _ in range(self.averages)))

        return tuple([begin(p) for p in tree.leaves(params)])

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        """New parameters and state.

        Parameters
        ----------
        params : tree of arrays; leaves come back in kind (ndarray, NumPy scalar, Array or variable)
        grads : the same structure, as ``grad`` returns it; None for a leaf to leave alone
        state : from ``init``, or from the step before
        donate : update the arrays of ``params`` and ``state`` in place instead of copying them. Only for arrays that
            nobody else looks at.

        Raises
        ------
        ShapeError
            A gradient has not the shape of its parameter.
        TreeError
            Structures differ.
        """
        leaves, shape = tree.flatten(params)
        if len(leaves) != len(state):
            raise TreeError(
                f"{type(self).__name__}: state is of other parameters: got {len(state)} leaves, expected {len(leaves)}"
            )
        slopes = tree.leaves_like(shape, grads)
        with np.errstate(all="ignore"):  # a diverged parameter is reported by its loss, not by a warning in here
            found = [self._leaf(p, g, slots, donate) for p, g, slots in zip(leaves, slopes, state, strict=True)]
        return tree.unflatten(shape, [p for p, _ in found]), tuple([slots for _, slots in found])

    def _leaf(self, p: Any, g: Any, slots: Any, donate: bool) -> tuple[Any, Any]:
        if g is None or slots is None:
            return p, slots
        old, slope = _array(p), _array(g)
        if old.shape != slope.shape:
            raise ShapeError(
                f"{type(self).__name__}: gradient does not fit its parameter: got shape {slope.shape}, expected "
                f"{old.shape}"
            )
        own = donate and isinstance(p, np.ndarray) and p.flags.c_contiguous and p.flags.writeable
        value = p if own else np.array(old, order="C")
        averages = slots.averages if donate else tuple(a.copy() for a in slots.averages)
        self.update(*_as_vectors(value, slope, averages), slots.updates + 1)
        return (value if own else _in_kind(p)(value)), Slots(slots.updates + 1, averages)


def _array(value: Any) -> Any:
    if isinstance(value, Node):
        if value.value is None:
            raise TracedValueError("optim: a step cannot be traced: got a traced Array; take the step outside")
        value = value.value
    return np.asarray(value)


def _in_kind(p: Any) -> Callable[[Buffer], Any]:
    """What turns an updated array into the kind its parameter was of."""
    if isinstance(p, Node):
        return (lambda a: variable(a, name=p.params.get("name"))) if p.tracked else constant
    return (lambda a: a) if isinstance(p, np.ndarray) else (lambda a: a[()])


def _as_vectors(p: Buffer, g: Buffer, averages: tuple[Buffer, ...]) -> tuple[Buffer, Buffer, tuple[Buffer, ...]]:
    """What a formula may change in place: no scalars, and complex numbers as the pairs of real ones they are learnt as.

    Everything but a complex gradient is a view.
    """
    if p.ndim == 0:
        p, g, averages = p.reshape(1), g.reshape(1), tuple(a.reshape(1) for a in averages)
    if p.dtype.kind == "c":
        real = real_dtype(p.dtype)
        p, g = p.view(real), np.array(g, p.dtype, order="C").view(real)
        averages = tuple(a.view(real) for a in averages)
    return p, g, averages


def require(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Raise ``ValueError`` unless low <= value < high; ``TypeError`` when it is no number at all."""
    limits = f"a number of at least {low:g}" + ("" if high == math.inf else f" and below {high:g}")
    try:
        fits = bool(low <= value < high)
    except (TypeError, ValueError):  # text, None, an array of several numbers
        raise TypeError(f"optim: bad {name}: got {value!r}, expected {limits}") from None
    if not fits:
        raise ValueError(f"optim: bad {name}: got {value!r}, expected {limits}")
