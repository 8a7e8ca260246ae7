"""What training depends on beside the numbers in arrays, as short texts by dotted names, for two of them to compare."""

from __future__ import annotations

import dataclasses
import functools
import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import tree

PLAIN = (str, bytes, int, float, complex, type(None))


def facts(value: Any, name: str) -> dict[str, str]:
    """Every part of a model, an optimiser or a function: kinds, static fields, settings; dtype and shape of arrays.

    Functions are known by their names and what they have closed over, other objects by their class.

    Examples
    --------
    >>> from glassgrad import nn, optim
    >>> facts(nn.Linear(2, 1, rng=0), "model")
    {'model': 'Linear', 'model.W': 'float32 (2, 1)', 'model.b': 'float32 (1,)', 'model.name': "'linear'"}
    >>> facts(optim.SGD(0.1), "optimizer")["optimizer.lr"]
    '0.1'
    """
    if isinstance(value, PLAIN):
        return {name: repr(value)}
    if isinstance(value, (np.ndarray, np.generic)):
        return {name: f"{value.dtype} {value.shape}"}
    label, parts = _parts(value)
    found = {name: label}
    for key, part in parts.items():
        found |= facts(part, f"{name}.{key}")
    return found


def _parts(value: Any) -> tuple[str, Mapping[Any, Any]]:
    kind = type(value).__name__
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return kind, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return kind, value
    if isinstance(value, (tuple, list)):
        return kind, dict(zip(getattr(value, "_fields", range(len(value))), value, strict=True))
    if isinstance(value, functools.partial):
        return kind, {"function": value.func, **dict(enumerate(value.args)), **value.keywords}
    if name := getattr(value, "__qualname__", None):
        code, cells = getattr(value, "__code__", None), getattr(value, "__closure__", None) or ()
        closed = zip(code.co_freevars, cells, strict=True) if code else ()
        return name, {key: kept for key, cell in closed if isinstance(kept := _content(cell), PLAIN)}
    return kind, {}


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def checksums(data: Any, name: str) -> dict[str, str]:
    """Dtype, shape and checksum of every array in a tree.

    >>> checksums({"age": np.arange(3, dtype=np.int8)}, "x")
    {'x.age': 'int8 (3,) checksum 0854897f'}
    """
    return {
        ".".join(map(str, (name, *path))): f"{leaf.dtype} {leaf.shape} checksum {_crc(leaf):08x}"
        for path, leaf in zip(tree.key_paths(data), tree.leaves(data), strict=True)
    }


def checksum(state: Mapping[str, Any]) -> int:
    """Of a random generator's state."""
    return zlib.crc32(json.dumps(state, default=lambda array: array.tolist()).encode())


def _crc(array: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def first_difference(got: Mapping[str, str], expected: Mapping[str, str]) -> tuple[str, str, str] | None:
    """Name, and both texts, of the first fact that is not the same; "nothing" where there is none.

    >>> first_difference({"a": "1", "b": "2"}, {"a": "1", "b": "3"})
    ('b', '2', '3')
    """
    for name in {**expected, **got}:
        one, other = got.get(name, "nothing"), expected.get(name, "nothing")
        if one != other:
            return name, one, other
    return None
