"""What ``--set NAME=VALUE`` gives a name: numbers as Python writes them, random numbers, or arrays from files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..data import read_arrays, read_csv
from ..errors import DataError, GlassgradError
from ..graph.node import Node
from .expression import value
from .options import UsageError


def binding(text: str) -> tuple[str, str]:
    """Name and value of an option, not yet evaluated.

    >>> binding("x=[1, 2]")
    ('x', '[1, 2]')
    """
    name, equals, written = text.partition("=")
    name = name.strip()
    if not equals or not written.strip() or not name.isidentifier() or name.startswith("__"):
        raise UsageError(f"explain: got --set {text!r:.60}, expected NAME=VALUE, such as --set 'x=[1, 2]'")
    return name, written.strip()


def evaluated(given: Mapping[str, str], seed: int) -> dict[str, Any]:
    """The values of all names. Numbers without a decimal point become floating too, unless inside ``int``.

    >>> evaluated({"x": "[1, 2]", "k": "int(3)"}, 0)
    {'x': array([1., 2.]), 'k': array(3)}
    """
    rng = np.random.default_rng(seed)
    words = {
        "normal": lambda *shape: rng.normal(size=shape),
        "uniform": lambda *shape: rng.uniform(size=shape),
        "int": lambda v: np.asarray(v, np.int64),
    }
    found = {}
    for name, text in given.items():
        try:
            found[name] = from_file(text[1:]) if text.startswith("@") else _arrays(value(text, words))
        except UsageError as error:
            raise UsageError(f"{error}, in --set {name}=...") from None
        except GlassgradError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, np.exceptions.AxisError) as error:
            raise UsageError(
                f"explain: --set {name}={text:.60}: got what makes no array ({error}), expected numbers, lists of "
                f"equal length, normal(3, 2), or @FILE"
            ) from None
    return found


def from_file(path: str) -> Any:
    """An array of a file: ``weights.npy``, ``table.csv``, or ``arrays.npz:NAME``."""
    found = re.fullmatch(r"(.+\.npz):(\w+)", path)
    file, wanted = (found[1], found[2]) if found else (path, None)
    if not re.search(r"\.np[yz]$", file):
        table = read_csv(file, header=_has_header(file))
        return np.column_stack([np.asarray(column, np.float64) for column in table.columns.values()])
    arrays = read_arrays(file)
    if wanted is None and len(arrays) == 1:
        return next(iter(arrays.values()))
    if wanted not in arrays:
        raise DataError(
            f"explain: which array of {file}? got {wanted}, expected one of {list(arrays)}; write {file}:NAME"
        )
    return arrays[wanted]


def _has_header(path: str) -> bool:
    """Whether the first line holds a word."""
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        return bool(re.search(r"(?!\b(?:nan|inf|NaN|e)\b)[^\W\d_]{2,}", stream.readline(10_000)))


def _arrays(written: Any) -> Any:
    """Numbers and lists as arrays, inside dicts and lists of dicts."""
    if isinstance(written, dict):
        return {key: _arrays(v) for key, v in written.items()}
    if isinstance(written, (list, tuple)) and any(isinstance(v, dict) for v in written):
        return [_arrays(v) for v in written]
    if isinstance(written, (Node, np.ndarray, np.generic)):  # of a function, with a dtype of its own
        return written.value if isinstance(written, Node) else written
    array = np.array(written)
    if array.dtype.kind not in "biufc":
        raise ValueError(f"{array.dtype} is no dtype of numbers")
    return array.astype(np.float64)[()] if array.dtype.kind in "iu" else array[()]
