"""Models in files: a zip of plain ``.npy`` arrays and one JSON description. Nothing in it is ever executed.

``numpy.load`` opens the arrays too. A file may come from anyone, so everything in it is compared with its description
before a model is built.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import tree
from ..data.record import Record
from ..errors import DtypeError, GlassgradError, ModelFileError
from ..graph.node import Node
from ..nn.module import MODULES, file_name
from .files import write_whole

FORMAT = "glassgrad model"
VERSION = 1
DESCRIPTION = "glassgrad.json"
KINDS = "biufc"  # dtypes that are plain numbers
MOST_DESCRIPTION = 64 << 20  # bytes
EPOCH = (1980, 1, 1, 0, 0, 0)  # every entry's time, so that equal models are equal files


class Saved(NamedTuple):
    """What a model file holds: the model (any tree of arrays), and what was saved with it."""

    model: Any
    metadata: dict[str, Any]


class Leaf(NamedTuple):
    """An array the description promises."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def save(path: str | os.PathLike[str], model: Any, metadata: dict[str, Any] | None = None) -> None:
    """Write a model to one file; the file appears complete or not at all.

    Parameters
    ----------
    path : the file to write or replace
    model : a layer, or dicts (with string keys), lists and tuples of arrays and layers
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
    ...     path = pathlib.Path(folder, "model.glassgrad")
    ...     save(path, nn.MLP((4, 8, 3), rng=0), {"classes": ["a", "b", "c"]})
    ...     load(path)
    Saved(model=MLP(4 -> 8 -> 3, relu), metadata={'classes': ['a', 'b', 'c']})
    """
    arrays: dict[str, Any] = {}
    fields = {"format": FORMAT, "version": VERSION, "model": _describe(model, "model", arrays)}
    try:
        text = json.dumps({**fields, "metadata": metadata or {}}, indent=1, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"save: metadata must be plain JSON values: {error}; use str, int, list and dict") from None

    def write(stream: BinaryIO) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(DESCRIPTION, EPOCH), text)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", EPOCH), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, version=(1, 0), allow_pickle=False)

    write_whole(path, write, ModelFileError)


def load(path: str | os.PathLike[str]) -> Saved:
    """Read a model that ``save`` wrote.

    Raises
    ------
    ModelFileError
        The file is missing, damaged, not a model, or of a later version.
    """
    try:
        with open(path, "rb") as stream:
            return _load(stream, os.fstat(stream.fileno()).st_size)
    except OSError as error:
        if error.errno == errno.EINVAL:  # the zip points to before its beginning
            raise ModelFileError(f"load: the model is damaged: {path}: parts are misplaced; save it again") from None
        raise ModelFileError(f"load: cannot read {path}: {error.strerror or error}; check the path") from None
    except ModelFileError as error:
        raise ModelFileError(f"{error} (file {path})") from None
    except (zipfile.BadZipFile, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: an encrypted entry, or a description nested deeper than Python recurses
        raise ModelFileError(f"load: damaged, or not a Glassgrad model: {path}: {error}; choose another") from None


def is_model(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a model of this or a later version, undamaged or not; what ``save`` may replace unasked."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(DESCRIPTION) as entry:
            return FORMAT.encode() in entry.read(200)
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError):
        return False


def _describe(node: Any, path: str, arrays: dict[str, Any]) -> Any:
    """The structure of a tree as JSON values; its arrays are put into ``arrays`` by their path."""
    if node is None:
        return None
    kind = type(node)
    if kind is dict:
        if not all(isinstance(key, str) for key in node):
            raise DtypeError(f"save: keys must be strings: got {list(node)} at {path}; rename them")
        return {"dict": [[key, _describe(child, f"{path}[{key!r}]", arrays)] for key, child in node.items()]}
    if kind in (list, tuple):
        return {kind.__name__: [_describe(child, f"{path}[{i}]", arrays) for i, child in enumerate(node)]}
    if kind in MODULES.values():
        static, names = _fields(kind)
        return {
            "module": file_name(kind),
            "static": {name: _static(getattr(node, name), f"{path}.{name}") for name in static},
            "fields": {name: _describe(getattr(node, name), f"{path}.{name}", arrays) for name in names},
        }
    array = np.asarray(node.value if isinstance(node, Node) else node)
    if array.dtype.kind not in KINDS:
        raise DtypeError(
            f"save: cannot save {kind.__name__} at {path}: expected arrays of numbers in dicts, lists, tuples and "
            f"modules; save it as a dict of its arrays"
        )
    array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    arrays[path] = array
    return {"array": path, "shape": list(array.shape), "dtype": array.dtype.str}


def _fields(kind: type) -> tuple[list[str], list[str]]:
    """Names of a module's static fields, and of those that hold arrays."""
    fields = dataclasses.fields(kind)
    static = [f.name for f in fields if f.metadata.get("static")]
    return static, [f.name for f in fields if f.name not in static]


def _load(stream: BinaryIO, size: int) -> Saved:
    with zipfile.ZipFile(stream) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        whole = sum(info.file_size for info in archive.infolist())
        if any(info.compress_type != zipfile.ZIP_STORED for info in entries.values()) or whole > size:
            raise ModelFileError("load: not a Glassgrad model: its entries are compressed or overlap; save it again")
        if DESCRIPTION not in entries or entries[DESCRIPTION].file_size > MOST_DESCRIPTION:
            raise ModelFileError(f"load: not a Glassgrad model: got a zip without {DESCRIPTION}; choose another file")
        record = Record(json.loads(archive.read(DESCRIPTION)), "description")
        record.text("format", among=(FORMAT,))
        if record.number("version") != VERSION:
            record.refuse("version", f"version {VERSION}; a later Glassgrad may read it")
        promised: list[Leaf] = []
        structure = _structure(record.get("model"), promised)
        metadata = record.get("metadata")
        if not isinstance(metadata, dict):
            record.refuse("metadata", "an object")
        names = [f"{leaf.name}.npy" for leaf in promised]
        if sorted([*names, DESCRIPTION]) != sorted(info.filename for info in archive.infolist()):
            raise ModelFileError("load: the model is damaged: its arrays are not those it describes; save it again")
        sizes = [entries[name].file_size for name in names]
        arrays = [_read(archive, leaf, n) for leaf, n in zip(promised, sizes, strict=True)]
    model = tree.unflatten(structure, arrays)
    for module in _modules(model):
        try:
            module.check()
        except (GlassgradError, ValueError) as error:
            raise ModelFileError(f"load: the model is damaged: {error}; save the model again") from None
    return Saved(model, metadata)



def _structure(node: Any, promised: list[Leaf]) -> tree.Structure:
    """The structure a description gives; its arrays are added to ``promised`` in leaf order."""
    if node is None:
        return tree.EMPTY
    if not isinstance(node, dict):
        raise _bad(node)
    if "array" in node:
        promised.append(_leaf(node))
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


def _module(node: dict[str, Any], promised: list[Leaf]) -> tree.Structure:
    kind = MODULES.get(str(node.get("module")))
    given, children = node.get("static"), node.get("fields")
    if kind is None or not isinstance(given, dict) or not isinstance(children, dict):
        raise _bad(node)
    static, names = _fields(kind)
    if set(given) != set(static) or set(children) != set(names):
        raise _bad(node)
    found = tuple(_structure(children[name], promised) for name in names)
    return tree.Structure(kind, tuple(names), found, tuple((name, _plain(given[name])) for name in static))


def _static(value: Any, path: str) -> Any:
    """A static field as JSON values."""
    if isinstance(value, tuple):
        return [_static(item, path) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise DtypeError(
        f"save: cannot save {type(value).__name__} at {path}: expected text, numbers, None or tuples of those"
    )


def _plain(value: Any) -> Any:
    """A static field read from a file, whose lists are tuples."""
    if isinstance(value, dict):
        raise _bad(value)
    return tuple(map(_plain, value)) if isinstance(value, list) else value


def _leaf(node: dict[str, Any]) -> Leaf:
    record = Record(node, "description of an array")
    shape, dtype = record.get("shape"), record.text("dtype")
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        record.refuse("shape", "a list of sizes")
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        record.refuse("dtype", "a dtype of numbers")
    if kind.kind not in KINDS or kind.str != dtype:
        record.refuse("dtype", "a dtype of numbers")
    return Leaf(record.text("array"), tuple(shape), kind)


def _read(archive: zipfile.ZipFile, leaf: Leaf, size: int) -> Any:
    """One array, if its header says what the description says and its bytes are as many."""
    with archive.open(f"{leaf.name}.npy") as entry:
        if np.lib.format.read_magic(entry) != (1, 0):
            raise ModelFileError(f"load: the model is damaged: {leaf.name} is of another .npy version; save it again")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(entry)
        count = math.prod(shape)
        if (shape, dtype) != (leaf.shape, leaf.dtype) or fortran or entry.tell() + count * dtype.itemsize != size:
            raise ModelFileError(
                f"load: the model is damaged: {leaf.name} is {dtype} {shape}, expected {leaf.dtype} {leaf.shape} and "
                f"nothing more; save it again"
            )
        data = entry.read()  # to the end, where the checksum is compared
    return np.frombuffer(bytearray(data), dtype).reshape(shape)[()]


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
