"""One forward and backward pass over a sample, with what the checks ask of it: layers, outputs, gradients by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ... import tree
from ...graph.node import Node, creation_order, reachable
from ...graph.primitive import View
from ...lazy import lazy
from ...nn.module import learnt
from ...ops.control import Alias, Named
from ...ops.indexing import Gather
from ..explanation import Explanation
from ..passes import Network, amplifier
from ..record import Record
from .subject import Subject, open_leaves

PRODUCTS = ("matmul", "einsum", "conv")


class Layer(NamedTuple):
    """Where a weight enters.

    Attributes
    ----------
    weight : the parameter
    operand : what it is multiplied with
    z : the product with its bias
    exit : the value after the activation; z itself where nothing bends it
    bends : derivative of each element of ``exit`` by its element of z, or None
    """

    weight: Any
    operand: Any
    z: Any
    exit: Any
    bends: Any


class Sliced(Network):
    """In which a layer of a parameter that holds those of several layers, as W[k], is a parameter too."""

    def __init__(self, explanation: Explanation, slices: set[Any]) -> None:
        self.slices = slices
        super().__init__(explanation)

    def parameter(self, x: Node) -> Node | None:
        while x not in self.slices:
            if x in self.parameters or not self.passes(x):
                return super().parameter(x)
            x = x.inputs[0]
        return x


class Trial:
    """What happened.

    Attributes
    ----------
    names : of the parameters' nodes and of W[k] of them, but those of integers;
        ``unused`` are those no value was made from
    explanation : the graph of the loss with its gradients
    outputs : the node of the model's outputs, the first of several, or None
    differentiable : whether the loss has a derivative at all
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        flags = tree.leaves(learnt(subject.params))
        opened, self.names = open_leaves(subject.params, lambda path: ".".join(map(str, path)) or "model")
        inside, xs = open_leaves(subject.x, lambda path: "x" + "".join(f"[{k!r}]" for k in path))
        self.data = set(xs)
        self.learnt = [p for p, flag in zip(tree.leaves(opened), flags, strict=True) if flag]
        with np.errstate(all="ignore"):
            value, outputs = subject.value(opened, inside, subject.targets)
        self.value = value
        self.explanation = self._explained(value, xs)
        self.differentiable = isinstance(value, Node) and value.tracked
        self.unused = {p for p in self.learnt if p not in self.explanation.by_node}
        self.slices: set[Any] = set()
        for node in self.explanation.record.nodes:
            if node.op is Gather and len(node.inputs) == 1 and node.inputs[0] in self.names:
                index = node.params["index"]
                if all(isinstance(k, int) for k in index):
                    self.slices.add(node)
                    self.names[node] = self.names[node.inputs[0]] + "".join(f"[{k}]" for k in index)
        self.outputs: Any = next((leaf for leaf in tree.leaves(outputs) if isinstance(leaf, Node)), None)

    def _explained(self, value: Any, xs: dict[Any, str]) -> Explanation:
        nodes = reachable([value]) if isinstance(value, Node) else []
        used = set(nodes)
        leaves = {n: f"model['{s}']" for n, s in self.names.items() if n in used}
        leaves |= {n: s for n, s in xs.items() if n in used}
        order = [*leaves, *sorted(used - set(leaves), key=creation_order)]
        made = Record(value, order, leaves, [p for p in self.learnt if p in used])
        if isinstance(value, Node) and value.tracked:
            made.back()
        return Explanation(made)

    @property
    def loss(self) -> float:
        return float(np.sum(self.value.value if isinstance(self.value, Node) else self.value))

    @property
    def users(self) -> dict[Node, list[Node]]:
        return self.explanation.users

    def gradient(self, node: Any) -> Any:
        """∂loss/∂node, or None where nothing arrives."""
        return self.explanation.record.gradients.get(node)

    def norm(self, node: Any) -> float:
        """Length of ∂loss/∂node."""
        return length(self.gradient(node))

    @lazy
    def dependent(self) -> set[Any]:
        """The nodes made from parameters."""
        return self.made_from(self.names)

    @lazy
    def fed(self) -> set[Any]:
        """The nodes made from x."""
        return self.made_from(self.data)

    def made_from(self, roots: Iterable[Any]) -> set[Any]:
        """These nodes, and all that are made from any of them."""
        found = set(roots)
        for node in self.explanation.record.nodes:
            if any(x in found for x in node.inputs):
                found.add(node)
        return found

    @lazy
    def network(self) -> Sliced:
        return Sliced(self.explanation, self.slices)

    @lazy
    def layers(self) -> list[Layer]:
        """Where weights enter by a product, from the inputs to the outputs; one for each pre-activation."""
        found: dict[Any, tuple[Any, Any]] = {}
        for weight, user, k, z in self.network.uses:
            if user.op.name in PRODUCTS and len(user.inputs) == 2:
                before = found.get(z)
                if before is None or weight.size > before[0].size:  # type: ignore[attr-defined]
                    found[z] = weight, user.inputs[1 - k]
        rows = []
        for z in sorted(found, key=creation_order):
            exit, _, bends = amplifier(self.network, z)
            rows.append(Layer(*found[z], z, exit, bends))
        return rows

    def axis(self, node: Any) -> int:
        """The axis that units lie along: that of channels behind a convolution, else the last."""
        source = node
        while source.inputs and source.op.name not in PRODUCTS:
            single = [x for x in source.inputs if x in self.dependent and x.inputs and x.op.outputs == 1]
            inner = [x for x in single if len(x.shape) == len(node.shape)]
            if not inner:
                break
            source = inner[0]
        return 1 if source.op.name == "conv" else -1

    def units(self, node: Any, values: Any) -> Any:
        """Values as [rows, units]."""
        values = np.moveaxis(np.asarray(values), self.axis(node), -1) if np.ndim(values) > 1 else np.asarray(values)
        return values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)

    def place(self, node: Any) -> str:
        """A layer or parameter by name, with its line where the line is the user's own."""
        if node in self.names:
            return self.names[node]
        name, line = str(self.explanation.names.get(node, node.op.name)), self.line(node)
        scope = node.origin.scope if node.origin else ""
        return scope or (f"{name} at {line}" if line else name)

    def layer_place(self, layer: Layer) -> str:
        """A layer by the scope it is in, and the parameter's name."""
        scope = layer.z.origin.scope if layer.z.origin else ""
        name = self.names.get(layer.weight, "")
        return f"{scope} ({name})" if scope and name else scope or name or self.place(layer.z)

    def line(self, node: Any) -> str:
        """The user's line that made a node, or nothing."""
        return self.subject.line(node.origin)


def length(g: Any) -> float:
    """Length of an array, or of several as one; 0 of None."""
    if g is None:
        return 0.0
    if isinstance(g, (tuple, list)):
        return float(np.sqrt(sum(length(part) ** 2 for part in g)))
    g = np.abs(np.asarray(g, dtype=np.complex128 if np.asarray(g).dtype.kind == "c" else np.float64))
    top = float(g.max(initial=0.0))  # squares of small numbers would be 0
    return top * float(np.sqrt(np.sum((g / top) ** 2))) if 0 < top < np.inf else top


def same_value(node: Node) -> bool:
    """Whether a node is its first input in another form or under another name."""
    return node.op in (Named, Alias) or issubclass(node.op, View)
