"""A table of a model's layers on one batch: weights, activations, gradients, and units that do nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import variable
from ..autodiff.variables import backward
from ..dtypes import is_inexact
from ..graph.node import Input, Node, Value, creation_order, reachable


class LayerRow(NamedTuple):
    """One layer, a scope of the program that uses parameters.

    Attributes
    ----------
    name : the scope
    shape : of the weight, the layer's largest parameter
    parameters : numbers the layer learns, biases included
    weight_mean, weight_std : of the weight's elements
    activation_mean, activation_std : of what the layer hands on
    zero : share of activations that are exactly 0; a rectifier makes about half of them so
    dead : share of units that are 0 for every row of the batch: no gradient reaches their weights
    gradient_norm, gradient_mean, gradient_std : of the loss's gradient by the weight
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    weight_mean: float
    weight_std: float
    activation_mean: float
    activation_std: float
    zero: float
    dead: float
    gradient_norm: float
    gradient_mean: float
    gradient_std: float


@dataclass(frozen=True)
class LayerTable:
    """The rows, from the input to the output, and the loss they were measured at; printing it lays it out."""

    rows: tuple[LayerRow, ...]
    loss: float

    def __getitem__(self, name: str) -> LayerRow:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no layer is named {name!r}: got {[row.name for row in self.rows]}")

    def __str__(self) -> str:
        top = ("", "weight", "", "activation", "", "", "gradient of the loss", "")
        head = ("layer", "shape", "mean ± std", "mean ± std", "zero", "dead", "norm", "mean ± std")
        lines = [top, head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines[1:]) for i in range(len(head))]
        text = ["  ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)).rstrip() for line in lines[1:]]
        return "\n".join([_spanned(top, widths), text[0], "-" * max(map(len, text)), *text[1:]])


def _cells(row: LayerRow) -> tuple[str, ...]:
    return (
        row.name,
        "×".join(map(str, row.shape)),
        _spread(row.weight_mean, row.weight_std),
        _spread(row.activation_mean, row.activation_std),
        f"{row.zero:.0%}",
        f"{row.dead:.0%}",
        f"{row.gradient_norm:.2e}",
        _spread(row.gradient_mean, row.gradient_std),
    )


def _spread(mean: float, std: float) -> str:
    return f"{mean:+.1e} ± {std:.1e}" if 0 < std < 1e-3 else f"{mean:+.4f} ± {std:.4f}"


def _spanned(top: tuple[str, ...], widths: list[int]) -> str:
    """A heading line whose titles stand over the columns they begin at, and may reach over the next."""
    line, start = "", 0
    for title, width in zip(top, widths, strict=True):
        if title:
            line = line.ljust(start) + title
        start += width + 2
    return line


def layer_table(model: Any, loss: Callable[[Value, Value], Value], x: Any, y: Any) -> LayerTable:
    """Statistics of every layer of a model for the gradient of ``loss(model(x), y)``.

    A layer is a scope (``gg.scope``) in which parameters of the model are used; its activation is the last value made
    in the scope. The numbers are read off the graph of one forward and backward pass.

    Parameters
    ----------
    model : a callable tree of arrays, such as ``nn.MLP``
    loss : of predictions and targets
    x, y : a batch

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> x = np.eye(4, dtype=np.float32)
    >>> table = layer_table(nn.MLP((4, 8, 2), rng=0), nn.cross_entropy, x, np.array([0, 1, 1, 0]))
    >>> [(row.name, row.shape, row.parameters) for row in table.rows]
    [('hidden1', (4, 8), 40), ('output', (8, 2), 18)]
    """
    opened = tree.map(lambda leaf: variable(leaf) if _floating(leaf) else leaf, model)
    owned = {leaf for leaf in tree.leaves(opened) if isinstance(leaf, Node)}
    with np.errstate(all="ignore"):
        value = loss(opened(x), y)
        nodes = reachable([value])
        gradients = backward(value)
    rows = []
    for name, made in _layers(nodes, owned).items():
        parameters = sorted({p for n in made for p in n.inputs if p in owned}, key=creation_order)
        weight = max(parameters, key=lambda p: p.size)  # type: ignore[attr-defined]
        rows.append(_row(name, parameters, weight.value, made[-1].value, gradients[weight]))
    return LayerTable(tuple(rows), float(value.value))


def _layers(nodes: list[Node], owned: set[Any]) -> dict[str, list[Node]]:
    """The nodes of each scope that uses parameters, scopes in the order they are entered."""
    scopes: dict[str, list[Node]] = {}
    for node in nodes:
        if node.op is not Input and node.origin is not None:
            scopes.setdefault(node.origin.scope, []).append(node)
    return {name: made for name, made in scopes.items() if any(p in owned for n in made for p in n.inputs)}


def _row(name: str, parameters: list[Any], weight: Any, activation: Any, gradient: Any) -> LayerRow:
    units = np.asarray(activation).reshape(-1, activation.shape[-1] if activation.ndim else 1)
    zero = units == 0
    g = np.asarray(gradient)
    return LayerRow(
        name or "(no scope)",
        weight.shape,
        sum(p.size for p in parameters),
        float(weight.mean()),
        float(weight.std()),
        float(units.mean()),
        float(units.std()),
        float(zero.mean()),
        float(zero.all(axis=0).mean()),
        math.sqrt(float(np.vdot(g, g).real)),
        float(g.mean()),
        float(g.std()),
    )


def _floating(leaf: Any) -> bool:
    return not isinstance(leaf, (str, bytes)) and not callable(leaf) and is_inexact(np.asarray(leaf).dtype)
