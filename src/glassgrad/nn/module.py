"""Modules: frozen dataclasses whose array fields are parameters or state, so a model is a tree like any other.

A gradient with respect to a model is a model of the same structure holding gradients. Nothing changes in place: what
a layer remembers from training, such as a mean over batches, is in the module that ``learn`` returns.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import tree
from ..dtypes import PYTHON_SCALARS, dtype_of, is_inexact
from ..graph.node import Node
from ..graph.origin import scope
from ..random import Rng, fold_in

STATIC = {"static": True}  # a field that is part of the structure: a name, a size, a choice
STATE = {"state": True}  # a field that ``learn`` moves on, and no gradient
RESERVED = "__metadata__"  # in a safetensors file, which no array may be called

MODULES: dict[str, type[Module]] = {}
"""Every class of modules there is, by the name it has in files."""


class Module:
    """Base of all layers: a subclass is a frozen dataclass that says in ``apply`` what it computes.

    A field holds an array to learn, another module, or a tuple, list or dict of such; with metadata ``nn.STATIC`` a
    part of the structure (text, numbers, None or tuples of those, to be kept in files); with ``nn.STATE`` an array
    that is not learnt by gradient. A static field, or an attribute of the class, called ``name`` is the scope that
    explanations and errors show; it is the class's name in small letters by default, and "" opens none.

    Notes
    -----
    ``module(x)`` is inference; x may also be lists of numbers, or an array of another library, which NumPy reads. ``y,
    module = module.learn(x, rng=key)`` is training: dropout drops, and statistics move on in the module that comes
    back. A module of modules need not say how: ``learn`` runs ``apply`` with every
    module in a field called as ``learn`` would, with a key of its own, and collects what they return. Only a layer
    that itself differs in training defines ``learn``.

    Examples
    --------
    >>> from dataclasses import dataclass, field
    >>> from typing import Any
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad import nn
    >>> @dataclass(frozen=True, eq=False)
    ... class Gated(nn.Module):
    ...     gate: nn.Linear
    ...     scale: Any
    ...     power: int = field(default=1, metadata=nn.STATIC)
    ...     def apply(self, x):
    ...         return self.scale * x * nn.sigmoid(self.gate(x)) ** self.power
    >>> model = Gated(nn.Linear(3, 3, rng=0), np.float32(2.0))
    >>> x = np.ones((5, 3), np.float32)
    >>> gg.grad(lambda m: nn.squared_error(m(x), x))(model).gate.W.shape
    (3, 3)
    """

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls) and "name" not in vars(cls).get("__annotations__", ()):
            cls.name = cls.__name__.lower()  # type: ignore[assignment, method-assign]
        MODULES[file_name(cls)] = cls

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        with self._scope():
            return self.apply(given(x), *args, **kwargs)

    def _scope(self) -> AbstractContextManager[None]:
        return scope(self.name) if self.name else nullcontext()

    def apply(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """What the module computes, without its scope."""
        raise NotImplementedError(f"{type(self).__name__} says in apply(self, x) what it computes")

    def learn(self, x: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Outputs in training, and the module with its state moved on.

        Parameters
        ----------
        x, *args, **kwargs : as for a call
        rng : seed or key of what is random, ``gg.random.key(0)``; None, the default, where nothing is
        """
        keys = _Keys(kwargs.pop("rng", None))
        inside = _replaced(self, lambda module: _Pupil(module, keys))
        y = type(self).__call__(inside, x, *args, **kwargs)
        return y, _replaced(inside, lambda pupil: pupil.module)

    def check(self) -> None:
        """Raise ``ShapeError`` or ``ValueError`` unless the fields fit together; asked of a module read from a file.

        Here static fields and modules are compared with their annotations; subclasses add what they know.
        """
        for name, hint in _hints(type(self)).items():
            if not _fits(getattr(self, name), hint):
                raise ValueError(
                    f"{type(self).__name__}: {name} does not fit: got {getattr(self, name)!r:.60}, expected "
                    f"{getattr(hint, '__name__', hint)}"
                )

    def fill(self, **fields: Any) -> None:
        """Set fields of a frozen module, in its ``__init__``."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)


def _hints(kind: type) -> dict[str, Any]:
    """What the fields of a class are to be; nothing where an annotation names what only its author can see."""
    try:
        hints = typing.get_type_hints(kind)
    except NameError:
        return {}
    return {f.name: hints[f.name] for f in dataclasses.fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        kinds = [parts[0]] * len(value) if isinstance(value, tuple) and parts[-1] is ... else parts
        return isinstance(value, tuple) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else origin or hint)


def given(x: Any) -> Any:
    """Numbers in lists, and arrays of other libraries, as NumPy's arrays; anything else as it is, ragged lists too."""
    if isinstance(x, (Node, np.ndarray, np.generic)):
        return x
    if isinstance(x, list) and _all_numbers(x):
        with suppress(ValueError):
            return np.asarray(x)
    return np.asarray(x) if hasattr(x, "__array__") and hasattr(x, "dtype") else x


def _all_numbers(items: Any) -> bool:
    return all(
        _all_numbers(item) if isinstance(item, (list, tuple)) else isinstance(item, (*PYTHON_SCALARS, np.generic))
        for item in items
    )


class _Keys:
    """A key for each call of a child, in order."""

    def __init__(self, rng: Rng) -> None:
        self.rng, self.count = rng, 0

    def take(self) -> Rng:
        self.count += 1
        return None if self.rng is None else fold_in(self.rng, self.count - 1)


class _Pupil:
    """A module in a field of one that learns: called, it learns, and the next call finds it moved on."""

    def __init__(self, module: Module, keys: _Keys) -> None:
        self.module, self.keys = module, keys

    def __call__(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        y, self.module = self.module.learn(x, *args, rng=self.keys.take(), **kwargs)
        return y

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)


def _replaced(module: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of a module with the modules in its fields exchanged."""
    copy = object.__new__(type(module))
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        object.__setattr__(copy, field.name, value if field.metadata.get("static") else _each(value, change))
    return copy


def _each(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (Module, _Pupil)):
        return change(value)
    if isinstance(value, dict):
        return {key: _each(child, change) for key, child in value.items()}
    if isinstance(value, (tuple, list)):
        children = [_each(child, change) for child in value]
        return type(value)(*children) if hasattr(value, "_fields") else type(value)(children)
    return value


def learn(model: Any, x: Any, rng: Rng = None, **kwargs: Any) -> tuple[Any, Any]:
    """Outputs of any callable tree in training, and the tree with its state moved on.

    >>> from glassgrad import nn
    >>> nn.learn(lambda x: 2 * x, 3.0)[0]
    6.0
    """
    if hasattr(model, "learn"):
        pair: tuple[Any, Any] = model.learn(x, rng=rng, **kwargs)
        return pair
    return model(x, **kwargs), model


def learnt(model: Any) -> Any:
    """A tree like ``model`` with True for each leaf that gradients change; False for state, integers and the like.

    Examples
    --------
    >>> from glassgrad import nn, tree
    >>> tree.leaves(learnt(nn.BatchNorm(3)))  # scale, shift, mean, variance
    [True, True, False, False]
    """
    leaves, structure = tree.flatten(model)
    flags = [
        flag and not callable(leaf) and is_inexact(dtype_of(leaf))
        for leaf, flag in zip(leaves, _flags(structure, True), strict=True)
    ]
    return tree.unflatten(structure, flags)


def _flags(structure: tree.Structure, flag: bool) -> list[bool]:
    kind = structure.kind
    if kind is None:
        return [flag]
    fields = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    state = {f.name for f in fields if f.metadata.get("state")}
    pairs = zip(structure.keys, structure.children, strict=True)
    return [leaf for key, child in pairs for leaf in _flags(child, flag and key not in state)]


def with_state(model: Any, source: Any) -> Any:
    """``model`` with all that is not learnt from ``source``, a tree of the same structure such as ``learn`` returned.

    Examples
    --------
    A training step that moves both on:

    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad import nn, optim
    >>> def loss(model, x, y, key):
    ...     out, moved = model.learn(x, rng=key)
    ...     return nn.squared_error(out, y), moved
    >>> @gg.jit
    ... def step(model, state, x, y, key):
    ...     (value, moved), slope = gg.value_and_grad(loss, has_aux=True)(model, x, y, key)
    ...     model, state = sgd.step(model, slope, state)
    ...     return nn.with_state(model, moved), state, value
    >>> sgd = optim.SGD(0.1)
    >>> model = nn.Sequential(nn.Linear(3, 8, rng=0), nn.BatchNorm(8), nn.relu, nn.Dropout(0.5), nn.Linear(8, 1, rng=1))
    >>> x, y = np.ones((4, 3), np.float32), np.zeros((4, 1), np.float32)
    >>> model, state, value = step(model, sgd.init(model), x, y, gg.random.key(0))
    """
    return tree.map(lambda flag, own, other: own if flag else other, learnt(model), model, source)


def file_name(kind: type) -> str:
    """What files call a class: its name, or "module:Qualname" outside of this package."""
    own = kind.__module__.partition(".")[0] == __name__.partition(".")[0]
    return kind.__name__ if own else f"{kind.__module__}:{kind.__qualname__}"


def array_name(path: tuple[Any, ...], taken: Mapping[str, Any]) -> str:
    """What an array at a path of a tree is called in a file; with a stroke where another path reads the same.

    >>> array_name(("layers", 0, "W"), {})
    'layers.0.W'
    """
    name = ".".join(map(str, path)) or "value"
    while name in taken or name == RESERVED:
        name += "'"
    return name
