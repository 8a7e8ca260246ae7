"""A model, a loss and rows of data in whatever form they were given, as one function of parameters."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import tree
from ...array import variable
from ...autodiff.derivatives import value_and_grad
from ...graph.node import value_of
from ...graph.origin import Origin, here
from ...nn.module import learn, learnt
from ...ops import losses
from ...optim.base import learns
from ...random import key
from ...train.measure import loss_of

LOSSES: dict[str, Callable[..., Any]] = {
    loss.__name__: loss
    for loss in (
        losses.squared_error,
        losses.absolute_error,
        losses.huber,
        losses.cross_entropy,
        losses.binary_cross_entropy,
        losses.kl_divergence,
        losses.hinge,
        losses.cosine_distance,
    )
}


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is diagnosed.

    Attributes
    ----------
    params : the tree that holds the parameters: the model itself, or what a function is given first
    forward : outputs from parameters and x, as in training; None where the loss is the whole objective
    loss : of outputs and targets, or of parameters, x and targets
    x, targets : rows of data, and (y,) or (y, weights)
    names : of columns of x, where they have names
    asked : where the user asked for the diagnosis, which is what layers of this package have for a line
    """

    params: Any
    forward: Callable[[Any, Any], Any] | None
    loss: Callable[..., Any]
    x: Any
    targets: tuple[Any, ...]
    names: tuple[str, ...] = ()
    asked: Origin | None = None

    @classmethod
    def of(cls, model: Any, loss: Any, data: tuple[Any, ...], names: tuple[str, ...] = ()) -> Subject:
        """From what a user has."""
        x, *targets = data
        params, forward = _opened(model)
        if forward is not None and params is model and _required(loss) == 1 + len(data):
            forward = None  # the loss is of the model itself
        if forward is None and not _takes(_loss(loss), 1 + len(data)):
            raise TypeError(
                f"diagnose: the model cannot be called: got {type(model).__name__}, and a loss of outputs and targets; "
                "give a callable model, (function, parameters), or a loss(parameters, x, y)"
            )
        return cls(params, forward, _loss(loss), x, tuple(targets), names, here())

    def line(self, origin: Origin | None) -> str:
        """ "file.py:12" for a place in the user's own functions, else nothing."""
        asked = self.asked
        own = origin is not None and (asked is None or origin[:2] != asked[:2])
        return str(origin) if own else ""

    def value(self, params: Any, x: Any, targets: tuple[Any, ...]) -> tuple[Any, Any]:
        """The loss, and the outputs it was computed from."""
        if self.forward is None:
            return self.loss(params, x, *targets), None
        outputs = self.forward(params, x)
        return loss_of(self.loss, outputs, targets), outputs

    def outputs(self, x: Any) -> Any:
        """Plain outputs, as training has them; None where only the loss knows them."""
        if self.forward is None:
            return None
        with np.errstate(all="ignore"):
            return tree.map(lambda leaf: np.asarray(value_of(leaf)), self.forward(self.params, x))

    def slopes(self, params: Any) -> tuple[float, Any]:
        """The loss, and its gradient by what is learnt; None for other leaves."""
        flags = learnt(params)
        with np.errstate(all="ignore"):
            value, slopes = value_and_grad(lambda p: self.value(p, self.x, self.targets)[0])(params)
        return float(value), tree.map(lambda flag, g: g if flag else None, flags, slopes)

    def loss_at(self, params: Any) -> float:
        """The loss alone."""
        with np.errstate(all="ignore"):
            return float(value_of(self.value(params, self.x, self.targets)[0]))

    def shuffled_loss(self) -> float:
        """What the loss is if each row gets the outputs of another: what knowing nothing of x costs."""
        outputs = self.outputs(self.x)
        if outputs is None or not np.ndim(tree.leaves(outputs)[0]):
            return float("nan")
        order = np.random.default_rng(0).permutation(len(tree.leaves(outputs)[0]))
        with np.errstate(all="ignore"):
            return float(value_of(loss_of(self.loss, tree.map(lambda leaf: leaf[order], outputs), self.targets)))

    def nudged(self, slopes: Any, share: float = 0.01) -> Any:
        """Parameters moved a little down the gradient, each by its own measure: what is at 0 leaves it."""

        def moved(p: Any, g: Any) -> Any:
            size = 0.0 if g is None else float(np.sqrt(np.mean(np.square(np.abs(value_of(g)), dtype=float))))
            if not size > 0 or not np.isfinite(size):
                return p
            p = np.asarray(value_of(p))
            scale = share * max(float(np.sqrt(np.mean(np.square(np.abs(p), dtype=float)))), 0.1)
            return (p - (scale / size) * np.asarray(value_of(g))).astype(p.dtype)

        with np.errstate(all="ignore"):
            return tree.map(moved, self.params, slopes)

    def first(self, rows: int) -> Subject:
        """With so many rows."""
        x, targets = tree.map(lambda leaf: leaf[:rows], (self.x, self.targets))
        return self.replaced(x=x, targets=targets)

    def doubled(self) -> Subject:
        """With parameters in float64, in which the smallest step is one."""
        return self.replaced(params=tree.map(_double, self.params))

    def of_learnt(self) -> tuple[list[Any], Callable[[list[Any]], Any]]:
        """The leaves that are learnt, and the loss as a function of them alone."""
        leaves, structure = tree.flatten(self.params)
        flags = tree.leaves(learnt(self.params))

        def objective(chosen: list[Any]) -> Any:
            rest = iter(chosen)
            inside = [next(rest) if flag else leaf for leaf, flag in zip(leaves, flags, strict=True)]
            return self.value(tree.unflatten(structure, inside), self.x, self.targets)[0]

        return [leaf for leaf, flag in zip(leaves, flags, strict=True) if flag], objective

    def replaced(self, **fields: Any) -> Subject:
        """With some fields exchanged."""
        return dataclasses.replace(self, **fields)


def _opened(model: Any) -> tuple[Any, Callable[[Any, Any], Any] | None]:
    """Parameters, and the function that applies them."""
    rng = key(0)
    if isinstance(model, functools.partial) and model.args and not model.keywords:
        model = (model.func, model.args[0]) if len(model.args) == 1 else model
    if isinstance(model, (tuple, list)) and len(model) == 2 and sum(map(_function, model)) == 1:
        function, params = sorted(model, key=lambda part: not _function(part))
        return params, lambda p, x: function(p, x)
    if callable(model):
        return model, lambda p, x: learn(p, x, rng)[0]
    return model, None


def _double(leaf: Any) -> Any:
    value = value_of(leaf)
    if isinstance(leaf, (str, bytes)) or not learns(leaf) or np.asarray(value).dtype.kind != "f":
        return leaf
    return np.asarray(value, np.float64)[()]


def _takes(loss: Any, count: int) -> bool:
    """Whether a loss can be given so many arguments, as far as it has a signature."""
    try:
        inspect.signature(loss).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _required(loss: Any) -> int:
    """How many arguments a loss must be given."""
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):
        return 0
    return sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters)


def _function(part: Any) -> bool:
    return callable(part) and not any(learns(leaf) for leaf in tree.leaves(part))


def _loss(loss: Any) -> Callable[..., Any]:
    if callable(loss):
        found: Callable[..., Any] = loss
        return found
    if loss in LOSSES:
        return LOSSES[loss]
    raise ValueError(
        f"diagnose: unknown loss: got {loss!r:.60}, expected a function of outputs and targets, or one of "
        f"{', '.join(LOSSES)}"
    )


def open_leaves(values: Any, named: Callable[[tuple[Any, ...]], str]) -> tuple[Any, dict[Any, str]]:
    """A tree with every floating leaf a variable, and their names."""
    leaves, structure = tree.flatten(values)
    names: dict[Any, str] = {}
    opened = []
    for path, leaf in zip(tree.key_paths(values), leaves, strict=True):
        if not isinstance(leaf, (str, bytes)) and learns(leaf):
            leaf = variable(leaf)
            names[leaf] = named(path)
        opened.append(leaf)
    return tree.unflatten(structure, opened), names
