"""PyTorch's weights by name: a state dict, as arrays, put into a model of the same layers. PyTorch is not needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..dtypes import is_inexact, real_dtype
from ..errors import DataError
from ..graph.node import Node
from . import convolution, embedding, layers, normalisation, recurrent, transformer
from .containers import Sequential
from .module import Module, array_name

Model = TypeVar("Model")
Rename = Mapping[str, str] | Callable[[str], str]


class Recipe(NamedTuple):
    """How one of our arrays is made of PyTorch's."""

    names: tuple[str, ...]
    make: Callable[..., NDArray[Any]] = lambda array: array

    def inside(self, *modules: Any, rename: Callable[[str], str] = str) -> Recipe:
        """The same of arrays of a part of these modules."""
        return self._replace(names=tuple(rename(_dotted(*modules, name)) for name in self.names))


_weight, _bias = Recipe(("weight",)), Recipe(("bias",))
_turned = Recipe(("weight",), np.transpose)
_affine = {"scale": _weight, "shift": _bias}
_recurrent = {
    "W": Recipe(("weight_ih_l0",), np.transpose),
    "U": Recipe(("weight_hh_l0",), np.transpose),
    "b": Recipe(("bias_ih_l0", "bias_hh_l0"), np.add),
}
_unbiased = {  # of layers with bias=False, where ours have some
    "b": Recipe(("weight_hh_l0",), lambda h: np.zeros(len(h), h.dtype)),
    "c": Recipe(("weight_hh_l0",), lambda h: np.zeros(len(h) // 3, h.dtype)),
}
_gated = {  # a bias of the last gate's own, inside of its product with the reset gate
    **_recurrent,
    "b": Recipe(("bias_ih_l0", "bias_hh_l0"), lambda x, h: x + np.where(np.arange(len(h)) < len(h) // 3 * 2, h, 0)),
    "c": Recipe(("bias_hh_l0",), lambda h: h[len(h) // 3 * 2 :]),
}
_projected = {
    f"{name}.{field}": Recipe((f"in_proj_{kind}",), lambda array, i=i: np.split(array, 3)[i].T)
    for i, name in enumerate(("query", "key", "value"))
    for field, kind in (("W", "weight"), ("b", "bias"))
}
ARRAYS: dict[type, dict[str, Recipe]] = {
    layers.Linear: {"W": _turned, "b": _bias},
    convolution.Conv1d: {"W": _weight, "b": _bias},
    convolution.Conv2d: {"W": _weight, "b": _bias},
    convolution.ConvTranspose1d: {"W": _weight, "b": _bias},
    convolution.ConvTranspose2d: {"W": _weight, "b": _bias},
    embedding.Embedding: {"W": _weight},
    normalisation.BatchNorm: {**_affine, "mean": Recipe(("running_mean",)), "variance": Recipe(("running_var",))},
    normalisation.LayerNorm: _affine,
    normalisation.GroupNorm: _affine,
    normalisation.RMSNorm: _affine,
    recurrent.RNN: _recurrent,
    recurrent.LSTM: _recurrent,
    recurrent.GRU: _gated,
    transformer.MultiHeadAttention: _projected,
}
"""Arrays by their path in our modules, as made of those of PyTorch's modules of the same kind."""


RECURRENT = (recurrent.RNN, recurrent.LSTM, recurrent.GRU)


def _among_activations(mlp: layers.MLP) -> dict[str, str]:
    """The layers of a perceptron by the numbers they have among activations and dropout."""
    return {f"layers.{i}": f"{i * (3 if mlp.dropout else 2)}" for i in range(len(mlp.layers))}


PARTS: dict[type, Callable[[Any], dict[str, str]]] = {
    Sequential: lambda _: {"layers": ""},
    layers.MLP: _among_activations,
    transformer.MultiHeadAttention: lambda _: {"output": "out_proj"},
    transformer.TransformerBlock: lambda block: {
        "attention": "self_attn",
        **{f"mlp.{name}": f"linear{i + 1}" for i, name in enumerate(_among_activations(block.mlp).values())},
        **{f"norms.{i}": f"norm{i + 1}" for i in range(2)},
    },
}
"""Modules by their path in our modules, as PyTorch calls them; an ``MLP`` is a ``Sequential`` with its activations."""

IGNORED = ("num_batches_tracked",)  # of a batch norm; ours has none
SHOWN = 8  # how many names of a kind an error lists


def from_torch(model: Model, state: Mapping[str, Any], rename: Rename | None = None, strict: bool = True) -> Model:
    """A model like ``model`` with the parameters and statistics of a PyTorch state dict.

    An array is looked for under its dotted path in the model, ``layers.0.W``; and under the name PyTorch has for it.
    Fields and keys are called alike, as is the layer ``encoder`` of ``encoder.weight``; the layers of a ``Sequential``
    are numbered, and a ``TransformerBlock`` is a ``TransformerEncoderLayer``. Weights are transposed, gates and
    projections put together or apart, as each layer needs. Recurrent layers of a ``Sequential`` may be one of PyTorch's
    with ``num_layers``, and one with ``reverse`` its way back; without biases there, ours, if any, are 0.

    Parameters
    ----------
    model : any tree of layers and arrays; says which arrays are expected, of which shapes and dtypes; is not changed
    state : names and arrays, as ``{name: x.numpy() for name, x in net.state_dict().items()}``
    rename : from paths in the model to what the state calls them: a dict of beginnings, of which the longest that fits
        counts, ``{"layers.0": "encoder.first"}``; or a function of a whole path
    strict : whether arrays that are missing in the state, or in the model, are an error; without, they are passed over

    Raises
    ------
    DataError
        Arrays are missing, unexpected, or of other shapes, in our layout: all are listed.

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> state = {"0.weight": np.ones((3, 2)), "0.bias": np.zeros(3), "2.weight": np.ones((1, 3)), "2.bias": np.ones(1)}
    >>> model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.relu, nn.Linear(3, 1, rng=0))
    >>> nn.from_torch(model, state)(np.ones((1, 2), np.float32))
    array([[7.]], dtype=float32)
    """
    renamed = rename if callable(rename) else by_beginning(rename or {})
    missing, unfit, taken = [], [], dict[str, None]()
    used = {name for name in state if name.rpartition(".")[2] in IGNORED}
    leaves, structure = tree.flatten(model)
    for i, path in enumerate(tree.key_paths(model)):
        if not isinstance(leaves[i], (np.ndarray, np.generic, Node)):
            continue
        label, expected = array_name(path, taken), leaves[i].dtype
        taken[label] = None
        ways = [Recipe(tuple(map(renamed, names)), make) for names, make in _ways(model, path, label)]
        way = next((way for way in ways if all(name in state for name in way.names)), None)
        if way is None:
            missing.append(f"{label} ({' or '.join(dict.fromkeys(name for way in ways for name in way.names))})")
            continue
        used.update(way.names)
        given = [np.asarray(state[name]) for name in way.names]
        try:
            given = [way.make(*given)]
            leaves[i] = _like(leaves[i], *given)
        except (ValueError, IndexError, TypeError):
            got = " and ".join(f"{array.dtype} {array.shape}" for array in given)
            unfit.append(f"{label}: got {got}, expected {expected} {leaves[i].shape}")
    parts = {"of another shape": unfit}
    if strict:
        parts |= {"missing": missing, "unexpected": sorted(set(state) - used)}
    problems = [f"{what}: {', '.join(names[:SHOWN])}" for what, names in parts.items() if names]
    if problems:
        raise DataError(
            f"from_torch: the arrays are not of this model: {'. '.join(problems)}; pass rename={{...}}, or "
            f"strict=False to pass over what is missing or unexpected"
        )
    return tree.unflatten(structure, leaves)  # type: ignore[no-any-return]


def by_beginning(pairs: Mapping[str, str]) -> Callable[[str], str]:
    """A function that replaces the longest beginning of a dotted path that is among the pairs.

    >>> rename = by_beginning({"a": "x", "a.b": ""})
    >>> rename("a.c"), rename("a.b.c"), rename("ab")
    ('x.c', 'c', 'ab')
    """

    def rename(path: str) -> str:
        fitting = [begin for begin in pairs if path == begin or path.startswith(f"{begin}.") or not begin]
        if not fitting:
            return path
        longest = max(fitting, key=len)
        return _dotted(pairs[longest], path[len(longest) :].strip("."))

    return rename


def _dotted(*parts: Any) -> str:
    return ".".join(str(part) for part in parts if part != "")


def _ways(model: Any, path: tuple[Any, ...], label: str) -> Iterator[Recipe]:
    """What an array of the model may be made of: our own names, and PyTorch's for ever more modules around it."""
    yield Recipe((label,))
    nodes = [model]
    for key in path:
        node = nodes[-1]
        by_key = isinstance(node, dict) or (isinstance(node, (list, tuple)) and not hasattr(node, "_fields"))
        nodes.append(node[key] if by_key else getattr(node, key))
    recipes, end = [Recipe(("",))], len(path)
    for depth in reversed(range(len(path))):
        module = nodes[depth]
        if not isinstance(module, Module):
            continue
        kind, part = type(module), _dotted(*path[depth:])
        if part in ARRAYS.get(kind, {}):
            recipes = [ARRAYS[kind][part]]
            if isinstance(module, RECURRENT):
                recipes += [_unbiased[part]] if part in _unbiased else []
                recipes = [*_of_several(recipes, nodes, path, depth), *recipes]
        else:
            stacked = _of_several(recipes, nodes, path, end) if isinstance(module, Sequential) else []
            rename = by_beginning(PARTS[kind](module) if kind in PARTS else {})
            recipes = [*(recipe.inside(*path[depth:end], rename=rename) for recipe in recipes), *stacked]
        end = depth
        yield from (recipe.inside(*path[:depth]) for recipe in recipes)


def _of_several(recipes: list[Recipe], nodes: list[Any], path: tuple[Any, ...], depth: int) -> list[Recipe]:
    """The same for a recurrent layer at a depth, as one of PyTorch's ``num_layers`` or of its two directions."""
    layer = nodes[depth]
    if not isinstance(layer, RECURRENT):
        return []
    before = nodes[depth - 1][: path[depth - 1]] if depth > 1 and isinstance(nodes[depth - 2], Sequential) else ()
    number = sum(isinstance(other, RECURRENT) for other in before)
    suffix = f"_l{number}_reverse" if layer.reverse else f"_l{number}"
    return [recipe._replace(names=tuple(re.sub("_l0$", suffix, name) for name in recipe.names)) for recipe in recipes]


def _like(own: Any, array: NDArray[Any]) -> Any:
    """An array in place of one of ours; ``ValueError`` if it does not fit."""
    if array.shape == (*own.shape, 2) and own.dtype.kind == "c" and array.dtype == real_dtype(own.dtype):
        array = np.ascontiguousarray(array).view(own.dtype)[..., 0]  # pairs of real numbers
    if array.shape != own.shape or is_inexact(array.dtype) != is_inexact(own.dtype):
        raise ValueError
    return np.array(array, own.dtype, order="C")[()]  # a copy: PyTorch changes its arrays in place
