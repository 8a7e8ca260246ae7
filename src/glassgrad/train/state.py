"""Arrays from a safetensors file put into a model by name: those Glassgrad wrote, and PyTorch's state dicts."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..dtypes import is_inexact
from ..errors import ModelFileError
from ..nn.containers import Sequential
from ..nn.module import Module
from . import safetensors
from .save import free_name, unpacked

Model = TypeVar("Model")
Rename = Mapping[str, str] | Callable[[str], str]


class Recipe(NamedTuple):
    """How one of our arrays is made of PyTorch's."""

    names: tuple[str, ...]
    make: Callable[..., NDArray[Any]] = lambda array: array


_transposed = Recipe(("weight",), np.transpose)
_affine = {"scale": Recipe(("weight",)), "shift": Recipe(("bias",))}
_kernels = {"W": Recipe(("weight",)), "b": Recipe(("bias",))}
_recurrent = {
    "W": Recipe(("weight_ih_l0",), np.transpose),
    "U": Recipe(("weight_hh_l0",), np.transpose),
    "b": Recipe(("bias_ih_l0", "bias_hh_l0"), np.add),
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
PYTORCH: dict[str, dict[str, Recipe]] = {
    "Linear": {"W": _transposed, "b": Recipe(("bias",))},
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), _kernels),
    "Embedding": {"W": Recipe(("weight",))},
    "BatchNorm": {**_affine, "mean": Recipe(("running_mean",)), "variance": Recipe(("running_var",))},
    **dict.fromkeys(("LayerNorm", "GroupNorm", "RMSNorm"), _affine),
    **dict.fromkeys(("RNN", "LSTM"), _recurrent),
    "GRU": _gated,
    "MultiHeadAttention": {
        **_projected,
        "output.W": Recipe(("out_proj.weight",), np.transpose),
        "output.b": Recipe(("out_proj.bias",)),
    },
}
"""Our modules' arrays, by path, as made of those of PyTorch's modules of the same kind."""
IGNORED = ("num_batches_tracked",)


def load_state(
    model: Model,
    path: str | os.PathLike[str],
    rename: Rename | None = None,
    *,
    transpose: Iterable[str] = (),
    strict: bool = True,
) -> Model:
    """A model like ``model`` with the arrays of a safetensors file.

    Each array is looked for under its dotted path in the model, ``layers.0.W``, as ``save`` writes it; and under the
    name PyTorch has for it: ``weight`` for the ``W`` of a ``Linear``, which is transposed, and so for the other
    modules in ``PYTORCH``. The layers of a ``Sequential`` are numbered as PyTorch's. Write such files in PyTorch by
    ``safetensors.torch.save_file(net.state_dict(), path)``.

    Parameters
    ----------
    model : says which arrays are expected, and of which shapes; it is not changed
    path : the file
    rename : from paths in the model to what the file calls them: a dict of beginnings, of which the longest that fits
        counts, ``{"layers.0": "encoder.first"}``; or a function of a whole path
    transpose : paths in the model of arrays that are transposed besides
    strict : whether arrays that are missing in the file, or in the model, are an error; without, they are passed over

    Raises
    ------
    ModelFileError
        The file cannot be read; or arrays are missing, unexpected, or of other shapes: all are listed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from glassgrad import nn
    >>> weight, bias = np.ones((3, 2), np.float32), np.zeros(3, np.float32)  # as of torch.nn.Linear(2, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "state.safetensors")
    ...     safetensors.write(path, {"head.weight": weight, "head.bias": bias})
    ...     load_state({"out": nn.Linear(2, 3, rng=0)}, path, {"out": "head"})["out"].W.shape
    (2, 3)
    """
    arrays, _ = safetensors.read(path)
    renamed = rename if callable(rename) else _by_beginning(rename or {})
    turned = set(transpose)
    used: set[str] = {name for name in arrays if name.rpartition(".")[2] in IGNORED}
    missing, unfit, taken = [], [], dict[str, None]()
    leaves, structure = tree.flatten(model)
    found = []
    for place, leaf in zip(tree.key_paths(model), leaves, strict=True):
        if not isinstance(leaf, (np.ndarray, np.generic)):
            found.append(leaf)
            continue
        label = free_name(place, taken)
        taken[label] = None
        array, names = _sought(model, place, label, renamed, arrays)
        used.update(names)
        if array is None:
            missing.append(f"{label} ({' or '.join(names)})")
            found.append(leaf)
            continue
        array = unpacked(array.T if label in turned else array, leaf.dtype.name)
        if array.shape != leaf.shape or is_inexact(array.dtype) != is_inexact(leaf.dtype):
            unfit.append(f"{label}: got {array.dtype} {array.shape}, expected {leaf.dtype} {leaf.shape}")
        found.append(np.array(array, leaf.dtype, order="C")[()] if array.shape == leaf.shape else leaf)
    unexpected = sorted(set(arrays) - used)
    problems = [f"of another shape: {'; '.join(unfit[:8])}"] if unfit else []
    if strict:
        problems += [f"missing: {', '.join(missing[:8])}"] if missing else []
        problems += [f"unexpected: {', '.join(unexpected[:8])}"] if unexpected else []
    if problems:
        raise ModelFileError(
            f"load_state: {path} is not of this model: {'. '.join(problems)}; pass rename={{...}}, or strict=False to "
            f"pass over what is missing"
        )
    return tree.unflatten(structure, found)  # type: ignore[no-any-return]


def _by_beginning(pairs: Mapping[str, str]) -> Callable[[str], str]:
    def rename(path: str) -> str:
        fitting = [begin for begin in pairs if path == begin or path.startswith(f"{begin}.") or not begin]
        if not fitting:
            return path
        longest = max(fitting, key=len)
        return ".".join(part for part in (pairs[longest], path[len(longest) :].strip(".")) if part)

    return rename


def _sought(
    model: Any, place: tuple[Any, ...], label: str, rename: Callable[[str], str], arrays: Mapping[str, NDArray[Any]]
) -> tuple[NDArray[Any] | None, list[str]]:
    """An array of the model as the file has it, and the names it has there; or the names looked for in vain."""
    sought = [rename(label)]
    if sought[0] in arrays:
        return arrays[sought[0]], sought
    for own, plain, recipe in _recipes(model, place):
        for beginning in dict.fromkeys((rename(own), rename(plain))):
            names = [f"{beginning}.{name}".strip(".") for name in recipe.names]
            if all(name in arrays for name in names):
                return recipe.make(*(arrays[name] for name in names)), names
            sought += names
    return None, list(dict.fromkeys(sought))


def _recipes(model: Any, place: tuple[Any, ...]) -> Iterator[tuple[str, str, Recipe]]:
    """Modules around an array that say how PyTorch has it, inner ones first: their path, as we and as it counts."""
    node, around = model, []
    plain: tuple[Any, ...] = ()
    for depth, key in enumerate(place):
        if isinstance(node, Module):
            around.append((depth, plain, PYTORCH.get(type(node).__name__, {})))
        skipped = isinstance(node, Sequential) and key == "layers"
        node = getattr(node, key) if dataclasses.is_dataclass(node) or hasattr(node, "_fields") else node[key]
        plain = plain if skipped else (*plain, key)
    for depth, beginning, table in reversed(around):
        recipe = table.get(".".join(map(str, place[depth:])))
        if recipe is not None:
            yield ".".join(map(str, place[:depth])), ".".join(map(str, beginning)), recipe
