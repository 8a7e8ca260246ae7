"""A program as text, and as a function: computed as it says, in float64 throughout, or with rounding errors added."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassgrad as gg
from glassgrad import nn
from glassgrad.array import as_array
from glassgrad.ops import composite

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """``lines`` are expressions for v0, v1, …; ``outputs`` and ``exact`` are numbers of values."""

    arguments: list[np.ndarray[Any, Any]]
    lines: list[str]
    outputs: list[int]
    exact: frozenset[int]
    dtypes: list[np.dtype[Any]]

    @property
    def source(self) -> str:
        given = [f"v{i} = {spell(a)}" for i, a in enumerate(self.arguments)]
        made = [f"v{i} = {line}" for i, line in enumerate(self.lines, len(given))]
        return "\n".join([*given, *made, f"return {', '.join(f'v{i}' for i in self.outputs)}"])

    __repr__ = __str__ = lambda self: "\n" + self.source

    def function(self, wide: bool = False, noise: np.random.Generator | None = None) -> Callable[..., list[Any]]:
        """The program as a function of its arguments.

        Parameters
        ----------
        wide : compute in float64 whatever the text says
        noise : changes every value by up to one unit in the last place of its dtype
        """

        def note(number: int, value: Any) -> Any:
            if noise is None or value.dtype.kind != "f" or number in self.exact:
                return value
            eps = float(np.finfo(self.dtypes[number]).eps)
            return value * (1 + eps * noise.uniform(-1, 1, value.shape))

        names = {**NAMES, "note": note, "const": wide_const if wide else const, "cast": wide_cast if wide else cast}
        if wide:
            names["zeros"] = lambda shape, dtype: zeros(shape, np.float64)
        count = len(self.arguments)
        body = [f"    v{i} = note({i}, {line})" for i, line in enumerate(self.lines, count)]
        head = f"def program({', '.join(f'v{i}' for i in range(count))}):"
        exec("\n".join([head, *body, f"    return [{', '.join(f'v{i}' for i in self.outputs)}]"]), names)
        program: Callable[..., list[Any]] = names["program"]
        return lambda *xs: program(*map(as_array, xs))

    def widened(self) -> list[np.ndarray[Any, Any]]:
        """The arguments in float64."""
        return [a.astype(np.float64) if a.dtype.kind == "f" else a for a in self.arguments]


def const(shape: Shape, dtype: str, seed: int) -> Any:
    """An array that depends on its arguments only: floats about 1, small integers, booleans."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.random(shape) < 0.5
    if kind in "iu":
        return rng.integers(0 if kind == "u" else -9, 10, shape).astype(dtype)
    return rng.uniform(-2, 2, shape).astype(dtype)


def wide_const(shape: Shape, dtype: str, seed: int) -> Any:
    value = const(shape, dtype, seed)
    return value.astype(np.float64) if value.dtype.kind == "f" else value


def cast(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


def wide_cast(x: Any, dtype: Any) -> Any:
    return x.astype(np.float64 if np.dtype(dtype).kind == "f" else dtype)


def zeros(shape: Shape, dtype: Any) -> Any:
    return as_array(np.zeros(shape, dtype))


NAMES: dict[str, Any] = {
    "np": gg.numpy,
    "gg": gg,
    "F": composite,
    "nn": nn,
    "special": gg.special,
    "cast": cast,
    "const": const,
    "zeros": zeros,
}


def spell(a: np.ndarray[Any, Any]) -> str:
    return f"const({a.shape}, '{a.dtype}', {getattr(a, 'seed', 0)})" if isinstance(a, Seeded) else repr(a)


class Seeded(np.ndarray[Any, Any]):
    """An array made by ``const``, which says with which seed."""

    seed: int
