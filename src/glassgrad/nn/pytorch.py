"""PyTorch's weights by name: a state dict, as arrays, put into a model of the same layers. PyTorch is not needed."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import dtype_of
from ..errors import DataError, ShapeError
from ..graph.node import shape_of
from .attention import MultiHeadAttention, TransformerBlock
from .containers import Sequential
from .convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from .embedding import Embedding
from .layers import MLP, Linear
from .module import Module
from .normalisation import BatchNorm, GroupNorm, LayerNorm, RMSNorm
from .recurrent import GRU, LSTM, RNN

COUNTERS = "num_batches_tracked"  # of a batch norm; ours has none


def from_torch(model: Any, state: Mapping[str, Any]) -> Any:
    """``model`` with the parameters and statistics of a PyTorch state dict.

    Fields and keys of the model are matched with PyTorch's names: ``encoder.weight`` is W of the layer in the field
    ``encoder``, ``0.bias`` the b of the first layer of a ``Sequential``. Weights are transposed, and gates and
    projections put together or apart, as each layer needs; a ``TransformerBlock`` is a ``TransformerEncoderLayer``.

    Parameters
    ----------
    model : any tree of layers and arrays
    state : names and arrays, as ``{name: x.numpy() for name, x in net.state_dict().items()}``

    Raises
    ------
    DataError
        A name is missing, or is left over.
    ShapeError
        A parameter has another shape than the model's.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3)), "2.bias": np.ones(1)}
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.relu, nn.Linear(3, 1, rng=0))
    >>> nn.from_torch(model, state)(np.ones((1, 2), np.float32))
    array([[7.]], dtype=float32)
    """
    taken: set[str] = set()
    filled = _filled(model, _Names(state, taken, ""))
    left = sorted(name for name in set(state) - taken if not name.endswith(COUNTERS))
    if left:
        raise DataError(f"from_torch: names are left over: got {', '.join(left[:5])}; the model has no place for them")
    return filled


class _Names(NamedTuple):
    """A state dict below a prefix, and which of its names were used."""

    state: Mapping[str, Any]
    taken: set[str]
    prefix: str

    def __call__(self, name: str) -> np.ndarray[Any, Any]:
        name = self.prefix + name
        if name not in self.state:
            near = [other for other in self.state if other.startswith(self.prefix)] or list(self.state)
            raise DataError(f"from_torch: a name is missing: expected {name!r}, got {', '.join(near[:8])}")
        self.taken.add(name)
        return np.asarray(self.state[name])

    def below(self, name: object) -> _Names:
        return self._replace(prefix=f"{self.prefix}{name}.")


def _filled(node: Any, names: _Names) -> Any:
    if isinstance(node, Module):
        rule, made = RULES.get(type(node), {}), copy.copy(node)
        for name in _children(node):
            child = getattr(node, name)
            if child is not None:
                made.fill(**{name: rule[name](child, names) if name in rule else _filled(child, names.below(name))})
        return made
    if isinstance(node, dict):
        return {key: _filled(child, names.below(key)) for key, child in node.items()}
    if isinstance(node, (tuple, list)):
        return type(node)(_filled(child, names.below(i)) for i, child in enumerate(node))
    if node is None or callable(node):
        return node
    return _like(node, names._replace(prefix="")(names.prefix[:-1]), names)


def _children(module: Any) -> list[str]:
    return [f.name for f in dataclasses.fields(module) if not f.metadata.get("static")]


def _like(own: Any, theirs: Any, names: _Names) -> Any:
    """PyTorch's array in place of one of ours."""
    if shape_of(own) != theirs.shape:
        raise ShapeError(
            f"from_torch: {names.prefix[:-1] or 'the model'} does not fit: got a parameter of shape {theirs.shape}, "
            f"expected {shape_of(own)} (both as this package lays them out)"
        )
    return np.array(theirs, dtype_of(own), order="C")  # a copy: PyTorch changes its arrays in place


Rule = Callable[[Any, _Names], Any]


def _array(name: str, change: Callable[[Any], Any] = lambda x: x) -> Rule:
    return lambda own, names: _like(own, change(names(name)), names)


def _gru_bias(own: Any, names: _Names) -> Any:
    both = names("bias_ih_l0").copy()
    units = len(both) // 3
    both[: 2 * units] += names("bias_hh_l0")[: 2 * units]
    return _like(own, both, names)


def _projection(part: int) -> Rule:
    """One of the three maps that PyTorch keeps as one matrix."""

    def fill(own: Linear, names: _Names) -> Linear:
        n, made = shape_of(own.W)[1], copy.copy(own)
        rows = slice(part * n, (part + 1) * n)
        made.fill(W=_like(own.W, names("in_proj_weight")[rows].T, names))
        if own.b is not None:
            made.fill(b=_like(own.b, names("in_proj_bias")[rows], names))
        return made

    return fill


def _below(*wanted: str) -> Rule:
    """Modules that PyTorch calls otherwise; several for a tuple of them."""

    def fill(own: Any, names: _Names) -> Any:
        if isinstance(own, tuple):
            return tuple(_filled(child, names.below(name)) for child, name in zip(own, wanted, strict=True))
        return _filled(own, names.below(wanted[0]))

    return fill


def _perceptron(own: MLP, names: _Names) -> MLP:
    made = copy.copy(own)
    made.fill(layers=_below("linear1", "linear2")(own.layers, names))
    return made


def _turned(x: Any) -> Any:
    return x.T


_DIRECT: dict[str, Rule] = {"W": _array("weight"), "b": _array("bias")}
_NORM: dict[str, Rule] = {
    "scale": _array("weight"),
    "shift": _array("bias"),
    "mean": _array("running_mean"),
    "variance": _array("running_var"),
}
_RECURRENT: dict[str, Rule] = {
    "W": _array("weight_ih_l0", _turned),
    "U": _array("weight_hh_l0", _turned),
    "b": lambda own, names: _like(own, names("bias_ih_l0") + names("bias_hh_l0"), names),
}
RULES: dict[type, dict[str, Rule]] = {
    Linear: {"W": _array("weight", _turned), "b": _array("bias")},
    **dict.fromkeys((Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Embedding), _DIRECT),
    **dict.fromkeys((BatchNorm, LayerNorm, RMSNorm, GroupNorm), _NORM),
    **dict.fromkeys((RNN, LSTM), _RECURRENT),
    GRU: {**_RECURRENT, "b": _gru_bias, "c": _array("bias_hh_l0", lambda b: b[-(len(b) // 3) :])},
    MultiHeadAttention: {
        **{name: _projection(i) for i, name in enumerate(("query", "key", "value"))},
        "output": _below("out_proj"),
    },
    TransformerBlock: {"attention": _below("self_attn"), "mlp": _perceptron, "norms": _below("norm1", "norm2")},
    Sequential: {"layers": lambda own, names: tuple(_filled(c, names.below(i)) for i, c in enumerate(own))},
}
