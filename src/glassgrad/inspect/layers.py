"""A table of a model's layers on one batch: weights, activations, gradients, and units that do nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import tree
from ..array import as_array, variable
from ..autodiff.vjp import pull
from ..dtypes import is_inexact
from ..graph.node import LEAVES, Node, Spec, Value, creation_order, reachable, value_of
from ..graph.primitive import Elementwise
from ..numpy import stack
from ..ops import view

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
    update : ‖ΔW‖ / ‖W‖ of the weight for one step of the optimiser; nan where none was given
    units : how many there are: the channels of a convolution, else the last axis
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
    update: float
    units: int


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


def layer_table(model: Any, loss: Callable[[Value, Any], Value], x: Any, y: Any) -> LayerTable:
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

    Examples
    --------
    >>> import numpy as np
    >>> from glassgrad import nn
    >>> x = np.eye(4, dtype=np.float32)
    >>> table = layer_table(nn.MLP((4, 8, 2), rng=0), nn.cross_entropy, x, np.array([0, 1, 1, 0]))
    >>> [(row.name, row.shape, row.parameters) for row in table.rows]
    [('hidden1', (4, 8), 40), ('output', (8, 2), 18)]
    """
    facts, numbers, value = statistics(model, loss, x, y)
    return LayerTable(rows_of(facts, np.asarray(numbers)), float(value))


class Facts(NamedTuple):
    """What does not change of a layer; as in ``LayerRow``."""

    name: str
    shape: tuple[int, ...]
    parameters: int
    units: int


def rows_of(facts: Sequence[Facts], numbers: Any) -> tuple[LayerRow, ...]:
    """Rows of a table from what ``statistics`` gives, ``numbers`` as an array."""
    measured = [name for name in LayerRow._fields if name not in Facts._fields]
    return tuple(
        LayerRow(**fact._asdict(), **dict(zip(measured, row, strict=True)))
        for fact, row in zip(facts, numbers.tolist(), strict=True)
    )


def statistics(
    model: Any, loss: Callable[[Value, Any], Value], x: Any, y: Any, step: Callable[[Any], Any] | None = None
) -> tuple[list[Facts], Value, Value]:
    """The layers of a model, their numbers, and the loss; also inside of ``gg.jit``, whose result the numbers may be.

    Parameters
    ----------
    model, loss, x, y : as for ``layer_table``
    step : the model after a step of an optimiser, for a tree of gradients like the model, None for a leaf without one

    Returns
    -------
    facts, numbers, loss
        ``numbers`` [layers, fields]: float64, the fields of ``LayerRow`` that are not ``Facts``, in their order
    """
    leaves, structure = tree.flatten(model)
    opened = [variable(leaf) if _floating(leaf) else leaf for leaf in leaves]
    paths = tree.key_paths(model)
    owned = {
        p: ".".join(map(str, path)) for p, path in zip(opened, paths, strict=True) if isinstance(p, Node) and p.tracked
    }
    with np.errstate(all="ignore"):
        outputs = tree.unflatten(structure, opened)(x)
        value = as_array(loss(outputs, y))
        nodes = reachable([leaf for leaf in tree.leaves(outputs) if isinstance(leaf, Node)])
        found, _ = pull([value], [np.ones(value.shape, value.dtype)], list(owned))
        gradients = {
            p: np.zeros(p.shape, p.dtype) if g is None else _plain(g) for p, g in zip(owned, found, strict=True)
        }
        slopes = tree.unflatten(structure, [gradients.get(p) if isinstance(p, Node) else None for p in opened])
        after = [] if step is None else zip(opened, tree.leaves(step(slopes)), strict=True)
        moved = {p: leaf for p, leaf in after if isinstance(p, Node)}
        layers = [_measured(layer, gradients, moved) for layer in _layers(nodes, owned)]
        return [facts for facts, _ in layers], stack([stack(numbers) for _, numbers in layers]), _plain(value)


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
        name = scope = _scope(node)
        own = [p for p in node.inputs if p in owned]
        if scope in named:
            if node is not scopes[scope][0]:
                continue
            made = scopes[scope]
            free, start = set[Node](), [n for n in made if not _several(n)][-1]
        elif own and not taken.issuperset(own):
            name, made, free, start = owned[own[0]], [node], set(owned), node
        else:
            continue
        handed = _followed(start, computed, scope, named, free)
        made = [*made, *handed]
        parameters = sorted({p for n in made for p in n.inputs if p in owned}, key=creation_order)
        if scope not in named:
            taken |= set(parameters)
        last = handed[-1]
        chain = [n for n in made if not _several(n) and n.shape == last.shape]
        z = next(n for n in chain if last in set(_followed(n, chain, scope, named, free)))
        found.append(_Layer(name, parameters, z, last))
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
            and all(x in inside or x in free or (not x.tracked and x.shape == ()) for x in node.inputs)
        ):
            found.append(node)
            inside.add(node)
    return found


def _several(node: Node) -> bool:
    return isinstance(node.value, tuple) or (node.value is None and not isinstance(node.spec, Spec))


def _scope(node: Node) -> str:
    return node.origin.scope if node.origin is not None else ""


def _measured(layer: _Layer, gradients: dict[Any, Any], moved: dict[Any, Any]) -> tuple[Facts, list[Any]]:
    node = max(layer.parameters, key=lambda p: p.size)
    weight, activation, gradient = _plain(node), _plain(layer.activation), gradients[node]
    # Channels come before the places they are at, in a convolution and in the norms that follow one
    images = weight.ndim > 2 and activation.ndim == weight.ndim
    channels = images or (activation.ndim > 2 and activation.shape[1] == weight.size != activation.shape[-1])
    units = view.moveaxis(activation, 1, -1) if channels else activation
    units = units.reshape(-1, units.shape[-1] if units.ndim else 1)
    zero = units == 0
    slope = pull([layer.activation], [np.ones(activation.shape, activation.dtype)], [layer.z])[0][0]
    a, w, g = _real(units), _real(weight), _real(gradient)
    update = _length(_real(moved[node] - weight)) / _length(w) if node in moved else math.nan
    facts = Facts(layer.name, weight.shape, sum(p.size for p in layer.parameters), units.shape[-1])
    numbers: list[Any] = [w.mean(), w.std(), a.mean(), a.std(), _share(zero), _share(zero.all(axis=0))]
    numbers += [_length(g), g.mean(), g.std(), _share(abs(_plain(slope)) < CLOSED), update]
    return facts, numbers


def _plain(value: Any) -> Any:
    """An array of NumPy's where there is a value, so that only what is traced becomes a graph."""
    return value if isinstance(value, Node) and value.value is None else np.asarray(value_of(value))


def _real(array: Any) -> Any:
    return (abs(array) if array.dtype.kind == "c" else array).astype(np.float64)


def _share(flags: Any) -> Any:
    return flags.astype(np.float64).mean()


def _length(array: Any) -> Any:
    return (array * array).sum() ** 0.5


def _floating(leaf: Any) -> bool:
    if isinstance(leaf, Node) and leaf.value is None:  # traced: it can be differentiated by as it is
        return False
    return not isinstance(leaf, (str, bytes)) and not callable(leaf) and is_inexact(np.asarray(leaf).dtype)
