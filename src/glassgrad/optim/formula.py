"""Optimisers that are one formula per parameter, mapped over trees.

The same formula changes arrays in place and, in a function that ``jit`` compiles, makes nodes: ``x *= y`` means both.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import tree
from ..array import variable
from ..dtypes import dtype_of, real_dtype
from ..errors import ShapeError, TreeError
from ..graph.node import Node, constant, is_symbolic, shape_of
from ..numpy.arguments import array_of
from ..ops import control, logic
from ..ops import elementwise as ew
from .base import Averages, Buffer, Optimizer, Slots, State, learns, working_dtype
from .limits import require
from .schedule import Plateau, rate, require_rate

Mask = Any  # a tree of bools, or (path, leaf) -> bool
BELOW = {
    **dict.fromkeys(("alpha", "betas"), 1.0),
    **dict.fromkeys(("dampening", "eps", "initial", "momentum", "weight_decay"), math.inf),
}
"""Numbers an optimiser may have, at least 0 and below this."""


class Now(NamedTuple):
    """What one update is made with: its number, 1 at the first, and its learning rate.

    Numbers made from them go through ``factor`` before they meet an array.
    """

    count: Any
    lr: Any


@dataclass(frozen=True)
class Formula(Optimizer):
    """An optimiser that updates each parameter alone. Subclasses are dataclasses with ``lr`` and ``weight_decay``.

    ``decays`` says which parameters weight decay is for: a tree like them with a bool for each leaf, or a function of
    a leaf's path, as ``tree.paths`` writes it, and the leaf; None: all of them.
    """

    decays: Mask = field(default=None, kw_only=True, repr=False, hash=False)
    decoupled: ClassVar[bool] = False  # whether weight decay shrinks the parameter itself, or is part of the gradient

    def __post_init__(self) -> None:
        require_rate(self.lr)
        for name in sorted(BELOW.keys() & vars(self)):
            given = getattr(self, name)
            for number in given if name == "betas" else (given,):
                require(name, number, 0, BELOW[name])

    @property
    @abc.abstractmethod
    def weight_decay(self) -> float: ...

    @property
    @abc.abstractmethod
    def starts(self) -> tuple[float, ...]:
        """What each array that a parameter needs beside itself is filled with at first."""

    @abc.abstractmethod
    def update(self, p: Buffer, g: Buffer, averages: Averages, now: Now) -> tuple[Buffer, Averages]:
        """``p`` and ``averages`` after one step, changed in place where they are arrays; ``g`` is only read.

        ``g`` or ``p`` has the weight decay in it already.
        """

    def _decayed(self, p: Buffer, g: Buffer, decay: float, lr: Any) -> tuple[Buffer, Buffer]:
        """Parameter and gradient with the weight decay in one of them."""
        if not decay:
            return p, g
        if not self.decoupled:
            return p, g + decay * p
        p *= factor(1 - lr * decay, p)
        return p, g

    def init(self, params: Any) -> State:
        def begin(p: Any) -> Slots | None:
            if not learns(p):
                return None
            dtype = working_dtype(p)
            fills = [complex(s, s) if dtype.kind == "c" else s for s in self.starts]
            return Slots(np.int64(0), tuple([np.full(shape_of(p), fill, dtype) for fill in fills]))

        seen = self.lr.begin() if isinstance(self.lr, Plateau) else None
        return State(np.float64(1.0), seen, tuple([begin(p) for p in tree.leaves(params)]))

    def step(self, params: Any, grads: Any, state: State, *, donate: bool = False) -> tuple[Any, State]:
        leaves, slopes, shape = matched(self, params, grads, len(state.slots))
        kept = {len(slots.averages) for slots in state.slots if slots is not None}
        if not kept <= {len(self.starts)}:
            raise TreeError(
                f"{type(self).__name__}: state is of another optimiser: got {kept.pop()} averages of each parameter, "
                f"expected {len(self.starts)}; make it by init(params) of this one"
            )
        decays = self._decays(params, leaves, shape)
        with np.errstate(all="ignore"):  # a diverged parameter is reported by its loss, not by a warning in here
            found = [
                self._leaf(p, g, slots, state.scale, decay, donate)
                for p, g, slots, decay in zip(leaves, slopes, state.slots, decays, strict=True)
            ]
        values, slots = [p for p, _ in found], tuple([s for _, s in found])
        return tree.unflatten(shape, values), state._replace(slots=slots)

    def _decays(self, params: Any, leaves: list[Any], shape: tree.Structure) -> list[float]:
        """The weight decay of each leaf."""
        mask = self.decays
        if mask is None or not self.weight_decay:
            return [self.weight_decay] * len(leaves)
        if callable(mask) and tree.structure(mask) == tree.LEAF:  # a model is callable too, but a tree
            chosen = [mask(path, leaf) for path, leaf in zip(tree.paths(params), leaves, strict=True)]
        else:
            chosen = tree.leaves_like(shape, mask)
        return [self.weight_decay if one else 0.0 for one in chosen]

    def _leaf(self, p: Any, g: Any, slots: Any, scale: Any, decay: float, donate: bool) -> tuple[Any, Any]:
        if g is None or slots is None:
            return p, slots
        old, slope = as_buffer(p), as_buffer(g)
        traced = any(map(is_symbolic, (old, slope, scale, slots.updates, *slots.averages)))
        count = slots.updates + 1 if traced else int(slots.updates) + 1
        now = Now(count, rate(self.lr, count) * scale)
        if traced:
            value, kept = self._traced(old, slope, slots, now, decay)
            return logic.astype(value, dtype_of(p)), kept
        own = donate and isinstance(p, np.ndarray) and p.flags.c_contiguous and p.flags.writeable
        value = p if own and old is p else np.array(old, order="C")
        averages = tuple([own_buffer(a, donate) for a in slots.averages])
        vector, slope, rows = _as_vectors(value, slope, averages)
        self.update(*self._decayed(vector, slope, decay, now.lr), rows, now)
        if own and value is not p:
            p[...] = value
        return (p if own else in_kind(p)(value.astype(dtype_of(p), copy=False))), Slots(np.int64(count), averages)

    def _traced(self, p: Any, g: Any, slots: Slots, now: Now, decay: float) -> tuple[Any, Slots]:
        """The step as nodes, in the dtypes of the parameter and its averages; a complex number as two real ones."""
        # Nodes all: a formula would write into an array that the trace holds by reference.
        given = tuple(map(array_of, (p, logic.astype(g, dtype_of(p)), *slots.averages)))
        parts = (ew.real, ew.imag) if dtype_of(p).kind == "c" else (lambda x: x,)
        found = []
        for part in parts:
            q, slope, *averages = map(part, given)
            after, changed = self.update(*self._decayed(q, slope, decay, now.lr), tuple(averages), now)
            found.append((after, *changed))
        whole = found[0] if len(found) == 1 else [re + 1j * im for re, im in zip(*found, strict=True)]
        value, *kept = [
            control.stop_gradient(logic.astype(after, dtype_of(before)))
            for after, before in zip(whole, (p, *slots.averages), strict=True)
        ]
        return value, Slots(now.count, tuple(kept))


def matched(optimizer: Optimizer, params: Any, grads: Any, known: int) -> tuple[list[Any], list[Any], tree.Structure]:
    """Leaves of the parameters, their gradients, and the structure of both; ``known`` is how many the state is of."""
    leaves, shape = tree.flatten(params)
    name = type(optimizer).__name__
    if len(leaves) != known:
        raise TreeError(f"{name}: state is of other parameters: got {known} leaves, expected {len(leaves)}")
    slopes = tree.leaves_like(shape, grads)
    for p, g in zip(leaves, slopes, strict=True):
        if g is not None and shape_of(g) != shape_of(p):
            raise ShapeError(
                f"{name}: gradient does not fit its parameter: got shape {shape_of(g)}, expected {shape_of(p)}"
            )
    return leaves, slopes, shape


def as_buffer(value: Any) -> Any:
    """A leaf as what formulas compute with: a node that is traced, or an ndarray; of float32 at least."""
    if is_symbolic(value):
        return logic.astype(value, working_dtype(value))
    return np.asarray(value.value if isinstance(value, Node) else value).astype(working_dtype(value), copy=False)


def own_buffer(a: Any, donate: bool) -> Buffer:
    """An array that may be changed: the one given if it is donated, and is one; compiled code returns NumPy scalars."""
    return a if donate and isinstance(a, np.ndarray) else np.array(a)


def factor(number: Any, p: Buffer) -> Any:
    """A number computed in float64, as a factor of arrays like p, which stay of their dtype."""
    return logic.astype(number, dtype_of(p)) if is_symbolic(number) else float(number)


def into(work: Buffer, function: Any, *args: Any) -> Any:
    """``function(*args)``, in the memory of an array that is not needed any more."""
    return function(*args, out=work) if isinstance(work, np.ndarray) else function(*args)


def in_kind(p: Any) -> Callable[[Buffer], Any]:
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
