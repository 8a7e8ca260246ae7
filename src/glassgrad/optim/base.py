"""What optimisers share: one formula per parameter, mapped over trees.

The same formula changes arrays in place and, in a function that ``jit`` compiles, makes nodes: ``x *= y`` means both.
"""

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
from ..errors import ShapeError, TreeError
from ..graph.node import Node, constant, is_symbolic, shape_of
from ..ops import control, logic
from ..ops import elementwise as ew

Buffer = NDArray[Any]  # or a node in its place
Averages = tuple[Buffer, ...]


class Slots(NamedTuple):
    """What an optimiser remembers of one parameter: how often it was updated, and running averages of its shape.

    The count is NumPy's int64, so that a step compiled for the first state fits all later ones.
    """

    updates: Any
    averages: Averages


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
    def update(self, p: Buffer, g: Buffer, averages: Averages, count: Any) -> tuple[Buffer, Averages]:
        """``p`` and ``averages`` after one step, changed in place where they are arrays; ``g`` is only read.

        ``count`` is 1 at the first step. Numbers made from it go through ``factor`` before they meet an array.
        """

    def init(self, params: Any) -> State:
        """The state before the first step: for each leaf of ``params`` its slots, or None where nothing is learnt."""

        def begin(p: Any) -> Slots | None:
            if isinstance(p, (str, bytes)) or callable(p) or not is_inexact(dtype_of(p)):
                return None
            return Slots(np.int64(0), tuple(np.zeros(shape_of(p), dtype_of(p)) for _ in range(self.averages)))

        return tuple([begin(p) for p in tree.leaves(params)])

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        """New parameters and state.

        Under ``gg.jit`` the step becomes part of the program. Its ``donate`` is then what counts, not the one here::

            @gg.jit(donate=("params", "state"))
            def train(params, state, x, y):
                loss, slopes = gg.value_and_grad(loss_of)(params, x, y)
                return loss, *optimizer.step(params, slopes, state)

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
        if is_symbolic(old) or is_symbolic(slope) or any(map(is_symbolic, (slots.updates, *slots.averages))):
            return self._traced(old, slope, slots)
        own = donate and isinstance(p, np.ndarray) and p.flags.c_contiguous and p.flags.writeable
        value = p if own else np.array(old, order="C")
        averages = slots.averages if donate else tuple(a.copy() for a in slots.averages)
        count = int(slots.updates) + 1
        self.update(*_as_vectors(value, slope, averages), count)
        return (value if own else _in_kind(p)(value)), Slots(np.int64(count), averages)

    def _traced(self, p: Any, g: Any, slots: Slots) -> tuple[Any, Slots]:
        """The step as nodes, in the dtypes of the parameter and its averages; a complex number as two real ones."""
        count = slots.updates + 1
        given = (p, logic.astype(g, dtype_of(p)), *slots.averages)
        parts = (ew.real, ew.imag) if dtype_of(p).kind == "c" else (lambda x: x,)
        found = []
        for part in parts:
            q, slope, *averages = map(part, given)
            after, changed = self.update(q, slope, tuple(averages), count)
            found.append((after, *changed))
        whole = found[0] if len(found) == 1 else [re + 1j * im for re, im in zip(*found, strict=True)]
        value, *kept = [
            control.stop_gradient(logic.astype(after, dtype_of(before)))
            for after, before in zip(whole, (p, *slots.averages), strict=True)
        ]
        return value, Slots(count, tuple(kept))


def _array(value: Any) -> Any:
    if is_symbolic(value):
        return value
    return np.asarray(value.value if isinstance(value, Node) else value)


def factor(number: Any, p: Buffer) -> Any:
    """A number computed in float64, as a factor of arrays like p, which stay of their dtype."""
    return logic.astype(number, dtype_of(p)) if is_symbolic(number) else float(number)


def into(work: Buffer, function: Any, *args: Any) -> Any:
    """``function(*args)``, in the memory of an array that is not needed any more."""
    return function(*args, out=work) if isinstance(work, np.ndarray) else function(*args)


def _in_kind(p: Any) -> Callable[[Buffer], Any]:
    """What turns an updated array into the kind its parameter was of."""
    if isinstance(p, Node):
        return (lambda a: variable(a, name=p.params.get("name"))) if p.tracked else constant
    return (lambda a: a) if isinstance(p, np.ndarray) else (lambda a: a[()])


def _as_vectors(p: Buffer, g: Buffer, averages: Averages) -> tuple[Buffer, Buffer, Averages]:
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
