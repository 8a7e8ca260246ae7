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
from ..autodiff.vjp import pull
from ..dtypes import is_inexact
from ..graph.node import LEAVES, Constant, Node, Value, creation_order, reachable, value_of
from ..graph.primitive import Elementwise

CLOSED = 0.01  # an activation with a smaller slope lets hardly any gradient through


class LayerRow(NamedTuple):
    """One layer: a scope of the program that uses parameters, and the activation that follows it.

    Attributes
    ----------
    name : the scope; outside of scopes the path of the first parameter
    shape : of the weight, the layer's largest parameter
    parameters : numbers the layer learns, biases included
    weight_mean, weight_std : of the weight's elements
    activation_mean, activation_std : of what the layer hands on, its activation function included
    zero : share of activations that are exactly 0; a rectifier makes about half of them so
    dead : share of units that are 0 for every row of the batch: no gradient reaches their weights
    gradient_norm, gradient_mean, gradient_std : of the loss's gradient by the weight
    saturated : share of activations where the slope φ'(z) of the activation function is smaller than 0.01, so that
        hardly any gradient passes; of a rectifier those that are 0
    units : how many there are: the channels of a convolution, else the last axis
    update : ‖ΔW‖ / ‖W‖ of the weight for one step of the optimiser; nan where none was given
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
    saturated: float
    units: int
    update: float


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


def layer_table(
    model: Any,
    loss: Callable[[Value, Any], Value],
    x: Any,
    y: Any,
    step: Callable[[Any], Any] | None = None,
) -> LayerTable:
    """Statistics of every layer of a model for the gradient of ``loss(model(x), y)``.

    A layer is a scope (``gg.scope``) in which parameters of the model are used, with the elementwise functions that
    follow it outside of any layer. Its activation is the last value made there. Outside of scopes a parameter begins
    a layer, with the parameters that come in elementwise, such as a bias. The numbers are read off the graph of one
    forward and backward pass.

    Parameters
    ----------
    model : a callable tree of arrays, such as ``nn.MLP``
    loss : of predictions and targets
    x, y : a batch
    step : the model after a step of an optimiser, for a tree of gradients like the model, None for a leaf without one

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> x = np.eye(4, dtype=np.float32)
    >>> table = layer_table(nn.MLP((4, 8, 2), rng=0), nn.cross_entropy, x, np.array([0, 1, 1, 0]))
    >>> [(row.name, row.shape, row.parameters) for row in table.rows]
    [('hidden1', (4, 8), 40), ('output', (8, 2), 18)]
    """
    leaves, structure = tree.flatten(model)
    opened = [variable(leaf) if _floating(leaf) else leaf for leaf in leaves]
    paths = tree.key_paths(model)
    owned = {p: ".".join(map(str, path)) for p, path in zip(opened, paths, strict=True) if isinstance(p, Node)}
    with np.errstate(all="ignore"):
        outputs = tree.unflatten(structure, opened)(x)
        value = loss(outputs, y)
        nodes = reachable([leaf for leaf in tree.leaves(outputs) if isinstance(leaf, Node)])
        gradients = backward(value)
        slopes = [gradients[p] if p in owned else None for p in opened]
        after = [None] * len(leaves) if step is None else tree.leaves(step(tree.unflatten(structure, slopes)))
        moved = dict(zip(opened, after, strict=True))
        rows = [_row(layer, gradients, moved) for layer in _layers(nodes, owned)]
    return LayerTable(tuple(rows), float(value.value))


class _Layer(NamedTuple):
    """A layer's parameters; what the layer hands on, and the first value that it is an elementwise function of."""

    name: str
    parameters: list[Any]
    z: Any
    activation: Any


def _layers(nodes: list[Node], owned: dict[Node, str]) -> list[_Layer]:
    """The layers in the order they are entered."""
    computed = [node for node in nodes if node.op not in LEAVES]
    scopes: dict[str, list[Node]] = {}
    for node in computed:
        scopes.setdefault(_scope(node), []).append(node)
    named = {name for name, made in scopes.items() if name and any(p in owned for n in made for p in n.inputs)}
    found: list[_Layer] = []
    taken: set[Node] = set()  # parameters outside of scopes that belong to a layer
    for node in computed:
        scope = _scope(node)
        own = [p for p in node.inputs if p in owned]
        if scope in named:
            if node is not scopes[scope][0]:
                continue
            made = scopes[scope]
            free, start = set[Node](), [n for n in made if not isinstance(n.value, tuple)][-1]
        elif own and not taken.issuperset(own):
            made, free, start = [node], set(owned), node
        else:
            continue
        handed = _followed(start, computed, scope, named, free)
        made = [*made, *handed]
        parameters = sorted({p for n in made for p in n.inputs if p in owned}, key=creation_order)
        if scope not in named:
            taken |= set(parameters)
        last = handed[-1]
        chain = [n for n in made if not isinstance(n.value, tuple) and n.shape == last.shape]
        z = next(n for n in chain if last in set(_followed(n, chain, scope, named, free)))
        found.append(_Layer(scope if scope in named else owned[own[0]], parameters, z, last))
    return found


def _followed(start: Node, computed: list[Node], scope: str, named: set[str], free: set[Node]) -> list[Node]:
    """A value, and what is made of it and ``free`` alone, element by element, in its own scope or outside of layers."""
    found = [start]
    inside = {start}
    for node in computed:
        if (
            node.index > start.index
            and issubclass(node.op, Elementwise)
            and node.shape == start.shape
            and (_scope(node) == scope or _scope(node) not in named)
            and any(x in inside for x in node.inputs)
            and all(x in inside or x in free or (x.op is Constant and x.shape == ()) for x in node.inputs)
        ):
            found.append(node)
            inside.add(node)
    return found


def _scope(node: Node) -> str:
    return node.origin.scope if node.origin is not None else ""


def _row(layer: _Layer, gradients: Any, moved: dict[Any, Any]) -> LayerRow:
    node = max(layer.parameters, key=lambda p: p.size)
    weight, activation = node.value, np.asarray(layer.activation.value)
    # Channels come before the places they are at, in a convolution and in the norms that follow one
    images = weight.ndim > 2 and activation.ndim == weight.ndim
    channels = images or (activation.ndim > 2 and activation.shape[1] == weight.size != activation.shape[-1])
    units = np.moveaxis(activation, 1, -1) if channels else activation
    units = units.reshape(-1, units.shape[-1] if units.ndim else 1)
    zero = units == 0
    slope, _ = pull([layer.activation], [np.ones(activation.shape, activation.dtype)], [layer.z])
    g = np.asarray(gradients[node])
    after = moved[node]
    return LayerRow(
        layer.name,
        weight.shape,
        sum(p.size for p in layer.parameters),
        float(weight.mean()),
        float(weight.std()),
        float(units.mean()),
        float(units.std()),
        float(zero.mean()),
        float(zero.all(axis=0).mean()),
        _length(g),
        float(g.mean()),
        float(g.std()),
        float((abs(np.asarray(value_of(slope[0]))) < CLOSED).mean()),
        units.shape[-1],
        math.nan if after is None else _length(np.asarray(after) - weight) / (_length(weight) or math.nan),
    )


def _length(array: Any) -> float:
    return math.sqrt(float(np.vdot(array, array).real))


def _floating(leaf: Any) -> bool:
    return not isinstance(leaf, (str, bytes)) and not callable(leaf) and is_inexact(np.asarray(leaf).dtype)
