"""The local derivatives of one node, by the names of its inputs: formed only when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.local import derivative
from ..graph.node import Node
from ..graph.primitive import Elementwise


class Local(Mapping[Any, Any]):
    """Local derivatives of a node by its inputs: ``local["x"]`` by name, ``local[0]`` by position.

    For an elementwise op each is an array of the shape of the output: an element's derivative by the element it is made
    from, which is the diagonal of the Jacobian. For every other op it is the Jacobian, of the shape of the output and
    then of the input.
    """

    def __init__(self, node: Node, names: Sequence[str]) -> None:
        self._node = node
        self._names = list(names)
        self._formed: dict[int, Any] = {}

    def __iter__(self) -> Iterator[str]:
        if not self._node.op.differentiable:
            return iter(())
        return iter(dict.fromkeys(n for n, x in zip(self._names, self._node.inputs, strict=True) if x.tracked))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key in self._names:
            # An input used twice, as in x * x, has the sum of both
            return sum(self._at(k) for k, n in enumerate(self._names) if n == key)
        if isinstance(key, (int, np.integer)) and -len(self._names) <= key < len(self._names):
            return self._at(int(key) % len(self._names))
        raise KeyError(f"{self._node.op.name} has no input {key!r}: got inputs {self._names}")

    def _at(self, position: int) -> Any:
        if position not in self._formed:
            with np.errstate(all="ignore"):
                self._formed[position] = derivative(self._node, position)
        return self._formed[position]

    @property
    def diagonal(self) -> bool:
        """Whether each local derivative is an element's by the element it is made from."""
        return issubclass(self._node.op, Elementwise)

    def __repr__(self) -> str:
        return "Local(" + ", ".join(f"{n}: {self[n]!r}" for n in self) + ")"
