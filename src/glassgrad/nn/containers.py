"""Modules made of others: one after the other, beside a shortcut, or a plain function as a layer."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, is_dataclass
from itertools import pairwise
from typing import Any

from .. import tree
from .activations import ACTIVATIONS
from .module import STATIC, Module, file_name


@dataclass(frozen=True, eq=False, repr=False)
class Function(Module):
    """A function without parameters as a layer.

    Parameters
    ----------
    function : a name in ``ACTIVATIONS``, or any function of x, which files cannot hold
    """

    function: str | Callable[[Any], Any] = field(metadata=STATIC)
    name = ""

    def apply(self, x: Any) -> Any:
        return ACTIVATIONS[self.function](x) if isinstance(self.function, str) else self.function(x)

    def check(self) -> None:
        super().check()
        if not isinstance(self.function, str) or self.function not in ACTIVATIONS:
            raise ValueError(f"Function: unknown: got {self.function!r}, expected one of {', '.join(ACTIVATIONS)}")

    def __repr__(self) -> str:
        return self.function if isinstance(self.function, str) else getattr(self.function, "__name__", "function")


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Sequential(Module):
    """Layers one after the other: each is given what the one before it returns.

    Parameters
    ----------
    layers : modules, and functions such as ``nn.relu``. Layers with the same name are numbered.

    Raises
    ------
    ValueError
        A layer that learns is given twice: training would make two of it. See docs/layers.md for weights that are
        shared. Or a recurrent layer would give its state to the next one.

    Examples
    --------
    >>> from glassgrad import nn
    >>> model = nn.Sequential(nn.Linear(3, 8, rng=0), nn.relu, nn.Linear(8, 2, rng=1))
    >>> model
    Sequential(Linear(3 -> 8), relu, Linear(8 -> 2))
    >>> [layer.name for layer in model.layers]
    ['linear1', '', 'linear2']
    """

    layers: tuple[Any, ...]
    name: str = field(metadata=STATIC)

    def __init__(self, *layers: Any, name: str = "") -> None:
        given = [as_layer(layer) for layer in layers]
        _refuse_twice(given)
        for layer, later in pairwise(given):
            _refuse_state(layer, later)
        self.fill(layers=_numbered(given), name=name)

    def apply(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def check(self) -> None:
        super().check()
        if not all(map(callable, self.layers)):
            raise ValueError("Sequential: layers do not fit: expected layers alone")

    def __getitem__(self, index: int) -> Any:
        return self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


@dataclass(frozen=True, eq=False, init=False, repr=False)
class Residual(Module):
    """x + f(x): a layer beside a shortcut. (K. He et al., "Deep residual learning for image recognition", 2015.)

    Parameters
    ----------
    inner : f, a layer or function whose outputs have the shape of its inputs

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> nn.Residual(nn.Sequential(nn.Linear(4, 4, rng=0), nn.relu))(np.ones((2, 4), np.float32)).shape
    (2, 4)
    """

    inner: Any
    name: str = field(metadata=STATIC)

    def __init__(self, inner: Any, *, name: str = "residual") -> None:
        self.fill(inner=as_layer(inner), name=name)
        _refuse_state(self.inner, self)

    def apply(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        return x + self.inner(x, *args, **kwargs)

    def check(self) -> None:
        super().check()
        if not callable(self.inner):
            raise ValueError("Residual: the inner layer is missing")

    def __repr__(self) -> str:
        return f"Residual({self.inner!r})"


def as_layer(layer: Any) -> Any:
    """A module or callable tree as it is; a name or a plain function as a ``Function``."""
    if isinstance(layer, Module) or (callable(layer) and is_dataclass(layer) and not isinstance(layer, type)):
        return layer
    if (isinstance(layer, str) and layer in ACTIVATIONS) or (callable(layer) and not isinstance(layer, type)):
        known: dict[Any, str] = {function: name for name, function in ACTIVATIONS.items()}
        return Function(known.get(layer, layer))
    raise TypeError(f"Sequential: not a layer: got {layer!r:.60}, expected modules, functions, or names in ACTIVATIONS")


def _refuse_state(layer: Any, later: Any) -> None:
    """Raise if a layer returns (outputs, state), and what is to take them is a layer of this package."""
    while isinstance(layer, Sequential) and layer.layers:
        layer = layer.layers[-1]
    while isinstance(later, Sequential) and later.layers:
        later = later.layers[0]
    own = ":" not in file_name(type(later))
    free = isinstance(later, Function) and callable(later.function)
    if getattr(layer, "return_state", False) and isinstance(later, Module) and own and not free:
        raise ValueError(
            f"Sequential: {type(layer).__name__} {layer.name} returns (outputs, state), which {later!r:.60} cannot "
            f"take; make it with return_state=False"
        )


def _refuse_twice(layers: list[Any]) -> None:
    places: dict[int, int] = {}
    for i, layer in enumerate(layers):
        first = places.setdefault(id(layer), i)
        if first != i and tree.leaves(layer):
            raise ValueError(
                f"Sequential: a layer is given twice: got {layer!r:.60} as layers {first} and {i}, and training would "
                f"change apart; make two layers, or hold it once in a Module that calls it twice"
            )


def _numbered(layers: list[Any]) -> tuple[Any, ...]:
    """The layers, those with the same name renamed to name1, name2, ..."""
    names = Counter(getattr(layer, "name", "") for layer in layers)
    seen: Counter[str] = Counter()
    out = []
    for layer in layers:
        name = getattr(layer, "name", "")
        if name and names[name] > 1 and isinstance(layer, Module):
            seen[name] += 1
            layer = copy.copy(layer)
            layer.fill(name=f"{name}{seen[name]}")
        out.append(layer)
    return tuple(out)
