"""What every optimiser is: pure functions from parameters, gradients and state to parameters and state."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..dtypes import dtype_of, is_inexact, result_type
from .schedule import Plateau, Schedule, rate

Buffer = NDArray[Any]  # or a node in its place
Averages = tuple[Buffer, ...]


class Slots(NamedTuple):
    """What an optimiser remembers of one parameter: how often it was updated, and running averages of its shape.

    The count is NumPy's int64, so that a step compiled for the first state fits all later ones.
    """

    updates: Any
    averages: Averages


class State(NamedTuple):
    """What an optimiser remembers from step to step: a tree of arrays whose structure and dtypes never change.

    Attributes
    ----------
    scale : float64, 1.0 at first. Every learning rate is multiplied by it, and nothing is compiled anew when it
        changes: ``state._replace(scale=state.scale * 0.1)``
    seen : what a ``Plateau`` remembers of the losses it was told; None for any other learning rate
    slots : one for each leaf of the parameters, None for a leaf that cannot learn
    kept : what ``Accumulated`` and ``Averaged`` remember, the outermost last
    """

    scale: Any
    seen: Any
    slots: tuple[Slots | None, ...]
    kept: tuple[Any, ...] = ()


class Optimizer(abc.ABC):
    """``state = init(params)``, then ``params, state = step(params, grads, state)`` again and again.

    Nothing is kept here and no gradient flows through a step. ``params`` is any tree of arrays; a leaf whose gradient
    is None (an integer, a string) is passed on as it is.
    """

    @property
    @abc.abstractmethod
    def lr(self) -> float | Schedule:
        """The learning rate, or a function that gives it for the number of a step, which is 1 at the first."""

    @abc.abstractmethod
    def init(self, params: Any) -> State:
        """The state before the first step."""

    @abc.abstractmethod
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

    def rate(self, state: State) -> Any:
        """The learning rate of the next step, a float; of replicas, an array of one for each."""
        done = max((int(np.max(slots.updates)) for slots in state.slots if slots is not None), default=0)
        found = rate(self.lr, done + 1) * np.asarray(state.scale)
        return found if np.ndim(found) else float(found)

    def observe(self, state: State, loss: Any) -> State:
        """The state after a loss was measured: with ``lr=Plateau(...)`` its scale may be lower, else nothing changes.

        ``loss`` is a number, or an array of one for each replica, as ``state.scale`` is then.
        """
        if not isinstance(self.lr, Plateau):
            return state
        seen, scale = self.lr.after(state.seen, state.scale, loss)
        return state._replace(seen=seen, scale=scale)

    def result(self, params: Any, state: State) -> Any:
        """The parameters to predict with: ``params``, or their average where the optimiser keeps one."""
        return params


def learns(p: Any) -> bool:
    """Whether a leaf is a parameter: a floating or complex array or number."""
    return not isinstance(p, (str, bytes)) and not callable(p) and is_inexact(dtype_of(p))


def working_dtype(p: Any) -> np.dtype[Any]:
    """What a step computes in, and what averages are of: a leaf's own dtype, but float32 for floats of 16 bits."""
    return result_type(dtype_of(p), np.float32)
