"""The local derivatives of one node: exact, and formed only when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.vjp import Walk, local_products
from ..errors import NonDifferentiableError, ShapeError
from ..graph.apply import Output
from ..graph.node import Node
from ..graph.primitive import Elementwise

LARGEST = 10_000_000  # elements of a Jacobian that is formed


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


def derivative(node: Node, position: int) -> Any:
    """The local derivative of a node by one of its inputs, as ``Local`` gives it."""
    x = node.inputs[position]
    if not x.tracked or not node.op.differentiable:
        why = node.op.nondifferentiable if not node.op.differentiable else "the input is a constant"
        raise NonDifferentiableError(f"{node.op.name}: no local derivative by input {position}: {why}")
    if issubclass(node.op, Elementwise):
        found = product(node, np.ones(node.shape, node.dtype)[()], position)
        return np.broadcast_to(found, node.shape)[()] if np.shape(found) != node.shape else found
    if node.op is Output or node.op.outputs > 1:
        raise NonDifferentiableError(f"{node.op.name}: has several outputs; ask for the gradient of what uses them")
    count = int(np.prod(node.shape, dtype=int))
    if count * x.value.size > LARGEST:
        raise ShapeError(
            f"{node.op.name}: its Jacobian has {node.shape} + {x.shape} elements, expected at most {LARGEST}; use "
            f"gg.vjp, which multiplies with it"
        )
    rows = np.empty((count, *x.shape), np.result_type(node.dtype, x.dtype))
    for k in range(count):
        seed = np.zeros(node.shape, node.dtype)
        seed.reshape(-1)[k] = 1
        rows[k] = fitted(node, seed[()], position)
    return rows.reshape(*node.shape, *x.shape)[()]


def product(node: Node, g: Any, position: int) -> Any:
    """The Jacobian transposed times g, by one input, as the op's rule gives it."""
    products = local_products(node, g, node.value, [x.value for x in node.inputs], {node.inputs[position].index})
    found = products[position]
    return np.zeros(node.shape, node.dtype)[()] if found is None else found


def fitted(node: Node, g: Any, position: int) -> Any:
    """The Jacobian transposed times g, of the shape and dtype of the input."""
    x = node.inputs[position]
    walk = Walk({x.index}, False)
    walk.receive(x, np.asarray(product(node, g, position)), None)
    return walk.cotangents[x.index]
