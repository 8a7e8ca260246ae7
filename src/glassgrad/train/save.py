"""Models in files: arrays in the safetensors layout, and a description in JSON. Nothing in it is ever executed.

Any reader of safetensors finds the arrays, by their path in the model. A file may come from anyone, so its description
is checked before a model is built.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..data.record import Record
from ..dtypes import NUMERIC, bfloat16, kind_of
from ..errors import DtypeError, GlassgradError, ModelFileError
from ..graph.node import Node
from ..nn.module import MODULES, array_name, file_name
from . import safetensors
from .safetensors import DESCRIPTION

FORMAT = "glassgrad model"
CHECKPOINT = "glassgrad checkpoint"
VERSION = 1
WIDE = "complex128"  # which safetensors has not: stored as pairs of float64
BFLOAT16 = "bfloat16"  # which NumPy has not


class Saved(NamedTuple):
    """What a model file holds: the model (any tree of arrays), and what was saved with it."""

    model: Any
    metadata: dict[str, Any]


def save(path: str | os.PathLike[str], model: Any, metadata: dict[str, Any] | None = None) -> None:
    """Write a model to one file; the file appears complete or not at all.

    Parameters
    ----------
    path : the file to write or replace
    model : a module, or dicts (with string keys), lists and tuples of arrays and modules
    metadata : anything JSON can hold, to come back with the model

    Raises
    ------
    ModelFileError
        The file cannot be written.
    DtypeError
        The model or the metadata holds what such a file cannot.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from glassgrad import nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save(path, nn.MLP((4, 8, 3), rng=0), {"classes": ["a", "b", "c"]})
    ...     load(path)
    Saved(model=MLP(4 -> 8 -> 3, relu), metadata={'classes': ['a', 'b', 'c']})
    """
    arrays: dict[str, Any] = {}
    description = described(model, arrays)
    safetensors.write(path, arrays, {DESCRIPTION: as_text(FORMAT, model=description, metadata=metadata or {})})


def load(path: str | os.PathLike[str]) -> Saved:
    """Read a model that ``save`` wrote, or the model of a checkpoint; of replicas, a list of their models.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a model, or of a later version.
    """

    def loaded(stream: BinaryIO, header: safetensors.Header) -> Saved:
        record = record_of(header, FORMAT, CHECKPOINT)
        if record.text("format") == CHECKPOINT:
            if not record.has("replicas"):
                return Saved(_of_checkpoint(record, "", stream, header), {})
            each = enumerate(record.records("replicas"))
            return Saved([_of_checkpoint(one, f"{i}.", stream, header) for i, one in each], {})
        metadata = record.get("metadata")
        if not isinstance(metadata, dict):
            record.refuse("metadata", "an object")
        return Saved(rebuilt(record.get("model"), stream, header), metadata)

    return safetensors.opened(path, loaded)


def _of_checkpoint(record: Record, prefix: str, stream: BinaryIO, header: safetensors.Header) -> Any:
    if record.get("model") is None:
        raise ModelFileError(
            "load: the checkpoint is of a model that only its own program can build; build it, and pass it to "
            "train.load_state"
        )
    return rebuilt(record.get("model"), stream, header, f"{prefix}{record.text('usable')}")


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model of this or a later version, undamaged or not; what ``save`` may replace unasked."""
    try:
        with open(path, "rb") as stream:
            return FORMAT in safetensors.header_of(stream).metadata.get(DESCRIPTION, "")[:200]
    except (OSError, ModelFileError):
        return False


def as_text(kind: str, **fields: Any) -> str:
    """The text that goes into a file's metadata."""
    try:
        return json.dumps({"format": kind, "version": VERSION, **fields}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"save: metadata must be plain JSON values: {error}; use str, int, list and dict") from None


def record_of(header: safetensors.Header, *kinds: str) -> Record:
    """The text in a file's metadata, if it is of one of these kinds and of a version known."""
    if DESCRIPTION not in header.metadata:
        raise ModelFileError(
            "load: not a Glassgrad model: its metadata do not describe one; read plain arrays by "
            "train.safetensors.read, or into a model by train.load_state"
        )
    try:
        record = Record(json.loads(header.metadata[DESCRIPTION]), "description")
    except (ValueError, RecursionError):
        raise ModelFileError("load: the model is damaged: its description is no JSON; save it again") from None
    kind = record.text("format")
    if kind not in kinds and kind in (FORMAT, CHECKPOINT):
        raise ModelFileError(f"load: the file is a {kind}: expected a {kinds[0]}; choose that file")
    record.text("format", among=kinds)
    if record.number("version") != VERSION:
        record.refuse("version", f"version {VERSION}; a later Glassgrad may read it")
    return record


# From a model to its description


def described(node: Any, arrays: dict[str, Any], path: tuple[Any, ...] = ()) -> Any:
    """The structure of a tree as JSON values; its arrays are put into ``arrays`` by their dotted path."""
    if node is None:
        return None
    kind = type(node)
    if kind is dict:
        if not all(isinstance(key, str) for key in node):
            raise DtypeError(f"save: keys must be strings: got {list(node)} at {_shown(path)}; rename them")
        return {"dict": [[key, described(child, arrays, (*path, key))] for key, child in node.items()]}
    if kind in (list, tuple):
        return {kind.__name__: [described(child, arrays, (*path, i)) for i, child in enumerate(node)]}
    if kind in MODULES.values():
        static, names = _fields(kind)
        return {
            "module": file_name(kind),
            "static": {name: _static(getattr(node, name), (*path, name)) for name in static},
            "fields": {name: described(getattr(node, name), arrays, (*path, name)) for name in names},
        }
    array = np.asarray(node.value if isinstance(node, Node) else node)
    if kind_of(array.dtype) not in NUMERIC:
        raise DtypeError(
            f"save: cannot save {kind.__name__} at {_shown(path)}: expected arrays of numbers in dicts, lists, tuples "
            f"and modules; save it as a dict of its arrays"
        )
    name = array_name(path, arrays)
    arrays[name] = packed(array)
    return {"array": name, "dtype": array.dtype.name} if array.dtype.name in (WIDE, BFLOAT16) else {"array": name}


def packed(array: Any) -> Any:
    """An array as safetensors can hold it."""
    return np.stack([array.real, array.imag], axis=-1) if array.dtype.name == WIDE else array


def unpacked(array: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The array of dtype complex128 or bfloat16 that was written as this one; any other as it is."""
    if dtype == WIDE and array.dtype == np.float64 and array.shape[-1:] == (2,):
        return array.view(np.complex128)[..., 0]
    if dtype == BFLOAT16 and array.dtype == np.float32:
        return array.astype(bfloat16())
    return array


def _shown(path: tuple[Any, ...]) -> str:
    return "model" + "".join(f"[{key!r}]" for key in path)


def _fields(kind: type) -> tuple[list[str], list[str]]:
    """Names of a module's static fields, and of those that hold arrays."""
    fields = dataclasses.fields(kind)
    static = [f.name for f in fields if f.metadata.get("static")]
    return static, [f.name for f in fields if f.name not in static]


def _static(value: Any, path: tuple[Any, ...]) -> Any:
    """A static field as JSON values."""
    if isinstance(value, tuple):
        return [_static(item, path) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise DtypeError(
        f"save: cannot save {type(value).__name__} at {_shown(path)}: expected text, numbers, None or tuples of those"
    )


# From a description to a model


def rebuilt(description: Any, stream: BinaryIO, header: safetensors.Header, only: str = "") -> Any:
    """The model that a description and the file's arrays make; every module is asked whether it fits together.

    The arrays must be those described: all of the file, or all whose path begins with ``only``.
    """
    promised: list[Any] = []
    structure = _structure(description, promised)
    names = [leaf["array"] for leaf in promised]
    if sorted(names) != sorted(name for name in header.entries if not only or f"{name}.".startswith(f"{only}.")):
        raise ModelFileError("load: the model is damaged: its arrays are not those it describes; save it again")
    arrays = safetensors.arrays_of(stream, header, names)
    model = tree.unflatten(structure, [_array(leaf, arrays) for leaf in promised])
    for module in _modules(model):
        try:
            module.check()
        except (GlassgradError, ValueError, TypeError, AttributeError) as error:
            raise ModelFileError(f"load: the model is damaged: {error}; save the model again") from None
    return model


def _array(leaf: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Any:
    array = unpacked(arrays[leaf["array"]], str(leaf.get("dtype")))
    if leaf.get("dtype", array.dtype.name) != array.dtype.name:
        raise _bad(leaf)
    return array[()]


def _structure(node: Any, promised: list[Any]) -> tree.Structure:
    """The structure a description gives; what it says of arrays is added to ``promised`` in leaf order."""
    if node is None:
        return tree.EMPTY
    if not isinstance(node, dict):
        raise _bad(node)
    if "array" in node:
        if not isinstance(node["array"], str):
            raise _bad(node)
        promised.append(node)
        return tree.LEAF
    for name, kind in (("list", list), ("tuple", tuple)):
        if isinstance(children := node.get(name), list):
            found = tuple(_structure(child, promised) for child in children)
            return tree.Structure(kind, tuple(range(len(found))), found)
    if isinstance(pairs := node.get("dict"), list):
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            raise _bad(node)
        keys = tuple(pair[0] for pair in pairs)
        if len(set(keys)) != len(keys):
            raise _bad(node)
        return tree.Structure(dict, keys, tuple(_structure(child, promised) for _, child in pairs))
    return _module(node, promised)


def _module(node: dict[str, Any], promised: list[Any]) -> tree.Structure:
    kind = MODULES.get(str(node.get("module")))
    given, children = node.get("static"), node.get("fields")
    if kind is None or not isinstance(given, dict) or not isinstance(children, dict):
        raise _bad(node)
    static, names = _fields(kind)
    if set(given) != set(static) or set(children) != set(names):
        raise _bad(node)
    found = tuple(_structure(children[name], promised) for name in names)
    return tree.Structure(kind, tuple(names), found, tuple((name, _plain(given[name])) for name in static))


def _plain(value: Any) -> Any:
    """A static field read from a file, whose lists are tuples."""
    if isinstance(value, dict):
        raise _bad(value)
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _modules(node: Any) -> Iterator[Any]:
    """Every module in a tree, the inner ones first."""
    if isinstance(node, dict):
        children = list(node.values())
    elif isinstance(node, (list, tuple)):
        children = list(node)
    elif type(node) in MODULES.values():
        children = [getattr(node, name) for name in _fields(type(node))[1]]
    else:
        return
    for child in children:
        yield from _modules(child)
    if not isinstance(node, (dict, list, tuple)):
        yield node


def _bad(node: Any) -> ModelFileError:
    kinds = ", ".join(map(repr, node)) if isinstance(node, dict) and len(node) < 8 else type(node).__name__
    return ModelFileError(f"load: the model is damaged: unknown part in its description ({kinds:.200}); save it again")
