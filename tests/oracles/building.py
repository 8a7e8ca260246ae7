"""A random program that is being made: its lines so far, what they give, and choices among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from glassgrad.array import as_array
from tests.oracles.programs import NAMES, Program, Seeded, Shape, const

Pick = Callable[[int], int]  # pick(n) is one of 0 … n - 1

SIZES = (1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31)
FLOATS = ("float64", "float32", "float32", "float16")
INTEGERS = ("int64", "int32", "int8", "uint8", "uint32")
LARGEST = 30.0  # values beyond are squashed


class Building:
    """A program that is being made: its lines, and what they give for the example arguments."""

    def __init__(self, pick: Pick, limit: int, floats: Sequence[str]) -> None:
        self.pick, self.limit, self.floats = pick, limit, floats
        self.values: list[Any] = []
        self.lines: list[str] = []
        self.exact: set[int] = set()
        self.used: set[int] = set()

    def run(self, length: int, rules: Sequence[Rule]) -> Program:
        arguments = [self.argument() for _ in range(1 + self.pick(4))]
        if all(a.dtype.kind != "f" for a in arguments):
            arguments.append(self.seeded((3,), self.floats[0]))
        self.values = [as_array(np.array(a)) for a in arguments]
        self.exact = set(range(len(arguments)))
        for _ in range(3 * length):
            if len(self.lines) >= length:
                break
            rules[self.pick(len(rules))](self)
        count = len(arguments)
        results = [i for i in range(count, len(self.values)) if i not in self.used or not self.pick(8)]
        outputs = results[-8:] or [len(self.values) - 1]
        dtypes = [v.dtype for v in self.values]
        return Program(arguments, self.lines, outputs, frozenset(self.exact), dtypes)

    # Arguments and constants

    def one_of(self, options: Sequence[Any]) -> Any:
        return options[self.pick(len(options))]

    def shape(self, dimensions: int = 5) -> Shape:
        shape: list[int] = []
        for _ in range(self.pick(dimensions)):
            size = self.one_of(SIZES)
            if math.prod(shape) * size <= self.limit:
                shape.append(size)
        if shape and not self.pick(24):
            shape[self.pick(len(shape))] = 0
        return tuple(shape)

    def dtype(self) -> str:
        chosen: str = self.one_of((*self.floats, *self.floats, *INTEGERS, "bool"))
        return chosen

    def seeded(self, shape: Shape, dtype: str) -> Any:
        seed = self.pick(1000)
        array = np.array(const(shape, dtype, seed)).view(Seeded)
        array.seed = seed
        return array

    def argument(self) -> Any:
        return self.seeded(self.shape(), self.dtype())

    # Choice among the values there are

    def matching(self, fits: Callable[[int], bool]) -> int | None:
        """A value that fits; later ones are likelier."""
        found = [i for i in range(len(self.values)) if fits(i)]
        if not found:
            return None
        at = max(self.pick(len(found)), self.pick(len(found)))
        return found[at]

    def kind(self, i: int) -> str:
        kind: str = self.values[i].dtype.kind
        return "i" if kind == "u" else kind

    def some(self, kinds: str = "f", exact: bool = False, least: int = 0) -> int | None:
        return self.matching(
            lambda i: self.kind(i) in kinds and (not exact or i in self.exact) and self.values[i].ndim >= least
        )

    def partner(self, i: int, kinds: str, exact: bool = False) -> int | None:
        """Another value that broadcasts with value i."""

        def fits(k: int) -> bool:
            if self.kind(k) not in kinds or (exact and k not in self.exact):
                return False
            try:
                return math.prod(np.broadcast_shapes(self.values[i].shape, self.values[k].shape)) <= self.limit
            except ValueError:
                return False

        return self.matching(fits)

    def like(self, i: int, dtype: str | None = None) -> str:
        """A constant that broadcasts to value i."""
        shape = list(self.values[i].shape)[self.pick(self.values[i].ndim + 1) :]
        shape = [1 if n and not self.pick(3) else n for n in shape]
        return f"const({tuple(shape)}, '{dtype or self.values[i].dtype}', {self.pick(1000)})"

    # Lines

    def add(self, text: str, arguments: Sequence[int], exact: bool = False) -> int | None:
        """A line more, if its value is finite and not too large; exact if no rounding can have changed its value."""
        names = {**NAMES, **{f"v{i}": self.values[i] for i in arguments}}
        with np.errstate(all="ignore"):
            value = as_array(eval(text, names))
            if value.size > self.limit or value.dtype.kind not in "biuf":
                return None
            if value.dtype.kind == "f":
                if not np.isfinite(value.value).all():
                    return None
                largest = np.max(np.abs(value.value), initial=0.0)
                if largest > LARGEST**2:  # which could overflow in half precision
                    return None
                if largest > LARGEST:
                    text, exact = f"np.arcsinh({text})", False
                    value = as_array(eval(text, names))
        self.values.append(value)
        self.lines.append(text)
        number = len(self.values) - 1
        self.used.update(arguments)
        if exact and all(i in self.exact for i in arguments):
            self.exact.add(number)
        return number

    def axes(self, i: int, filled: bool = False) -> Any:
        """Some axes of value i, as one number or a tuple, or None for all."""
        ndim = self.values[i].ndim
        chosen = [k - (ndim if self.pick(4) == 0 else 0) for k in range(ndim) if self.pick(2)]
        if filled and 0 in [self.values[i].shape[k] for k in chosen or range(ndim)]:
            return "empty"
        if not chosen:
            return None
        return chosen[0] if len(chosen) == 1 and self.pick(2) else tuple(chosen)


Rule = Callable[[Building], None]  # adds a line, or none where nothing fits
