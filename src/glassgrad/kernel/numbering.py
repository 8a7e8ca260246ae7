"""Pieces as kernels: names, axes and buffers numbered as they appear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ir import Affine, Let, Load, Loop, MatMul, Store


class Numbering:
    """Names, axes and buffers by order of appearance, so that equal bodies become equal."""

    def __init__(self, real: Callable[[int], int], local: dict[int, int]) -> None:
        self.real = real
        self.names: dict[str, str] = {}
        self.buffers: dict[int, int] = {}
        self.axes: dict[str, str] = {}

    def buffer(self, number: int) -> int:
        return self.buffers.setdefault(self.real(number), len(self.buffers))

    def name(self, name: str) -> str:
        return self.names.setdefault(name, f"x{len(self.names)}")

    def axis(self, name: str) -> str:
        return self.axes.setdefault(name, f"i{len(self.axes):03d}")

    def atom(self, atom: Any) -> Any:
        if isinstance(atom, Affine):
            return Affine(atom.offset, tuple(sorted([(self.axis(a), c) for a, c in atom.terms])))
        return type(atom)(self.name(atom.id)) if hasattr(atom, "id") else atom

    def load(self, load: Load) -> Load:
        return Load(self.buffer(load.buffer), self.atom(load.index), load.mask and self.atom(load.mask))

    def statement(self, s: Any) -> Any:
        kind = type(s)
        if kind is Let:
            value = s.value
            if type(value) is Load:
                value = self.load(value)
            elif hasattr(value, "args"):
                value = value._replace(args=tuple([self.atom(a) for a in value.args]))
            else:
                value = value._replace(index=self.atom(value.index))
            return Let(self.name(s.name), s.dtype, value)
        if kind is Store:
            return Store(
                self.buffer(s.buffer), self.atom(s.index), self.atom(s.value), s.reducer, s.mask and self.atom(s.mask)
            )
        if kind is Loop:
            return Loop(self.axis(s.axis), s.extent, s.kind, tuple([self.statement(x) for x in s.body]))
        if kind is MatMul:
            rows, columns, inner = ((self.axis(a), n) for a, n in (s.rows, s.columns, s.inner))
            a, b, name = self.load(s.a), self.load(s.b), self.name(s.name)
            return MatMul(rows, columns, inner, a, b, name, s.dtype, tuple([self.statement(x) for x in s.body]))
        if hasattr(s, "condition"):
            return s._replace(condition=self.atom(s.condition))
        if hasattr(s, "value"):
            return s._replace(name=self.name(s.name), value=self.atom(s.value))
        return s._replace(name=self.name(s.name))
