"""The two passes of backpropagation as a textbook has them.

A pre-activation z is what a parameter enters: z = W a + b, or in numbers w1 a1 + w2 a2 + b. It is the end of the
additions that begin at a parameter's product, or the first of them with a name. The forward pass gives ∂z/∂w, which is
what w multiplies. The backward pass gives ∂C/∂z, by the same network in reverse: transposed weights, and in place of
each activation an amplifier whose gain σ'(z) the forward pass has fixed. The gradient is the product,
∂C/∂w = ∂z/∂w · ∂C/∂z.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autodiff.local import derivative
from ..autodiff.vjp import Walk
from ..graph.node import Constant, Node
from ..graph.primitive import Elementwise, View
from ..ops.control import Alias, Named
from ..ops.indexing import Gather
from . import formula

if TYPE_CHECKING:
    from .explanation import Explanation

PRODUCTS = frozenset(("matmul", "mul", "einsum", "conv"))
SUMS = frozenset(("add", "sub"))


class ForwardRow(NamedTuple):
    """What one use of a parameter multiplies.

    Attributes
    ----------
    z : name of the pre-activation
    formula : how it is made
    parameter : name; of a part as "w[0]"
    multiplies : what stands beside the parameter, as a name or a number
    factor : its value: ∂z/∂w. None where the op is no product
    """

    z: str
    formula: str
    parameter: str
    multiplies: str
    factor: Any


class BackwardRow(NamedTuple):
    """How the gradient arrives at one pre-activation.

    Attributes
    ----------
    z : name of the pre-activation
    gain : "σ'(z)" or the like; empty where nothing bends z
    amplification : its value, of the shape of z; None where there is none
    arrives : where the gradient comes from, such as "W2ᵀ ∂C/∂z2"
    grad : ∂C/∂z
    """

    z: str
    gain: str
    amplification: Any
    arrives: str
    grad: Any


class Network:
    """Where parameters enter, and what each value is used by."""

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation
        self.users = explanation.users
        self.parameters = set(_parameters(explanation))
        self.uses: list[tuple[Node, Node, int, Node]] = []  # parameter, what uses it, as which input, z
        self.z_of: dict[Node, Node] = {}
        self.sign: dict[Node, int] = {}  # ∂z/∂node of the nodes that z is the sum of
        self.sums: set[Node] = set()  # of parameters, their products and numbers
        entered = []
        for node in explanation.record.nodes:
            if node.tracked and not self.passes(node):
                entries = [(p, node, k) for k, x in enumerate(node.inputs) if (p := self.parameter(x)) is not None]
                entered += entries
                product = bool(entries) and node.op.name in PRODUCTS
                if product or (node.op.name in SUMS and all(map(self.sum_of_products, node.inputs))):
                    self.sums.add(node)
        for parameter, node, k in entered:
            self.uses.append((parameter, node, k, self.z(node)))

    def parameter(self, x: Node) -> Node | None:
        """The parameter that a node is, or is a view of."""
        while x not in self.parameters:
            if not self.passes(x):
                return None
            x = x.inputs[0]
        return x

    @staticmethod
    def passes(node: Node) -> bool:
        """Whether a node is its one input under another name or in another form, or a part of it."""
        return len(node.inputs) == 1 and (node.op in (Named, Alias, Gather) or issubclass(node.op, View))

    def sum_of_products(self, x: Node) -> bool:
        """Whether a node is a sum of parameters, their products and numbers."""
        while self.passes(x) and x not in self.parameters:
            x = x.inputs[0]
        return x in self.sums or x in self.parameters or (x.op is Constant and x.shape == ())

    def adds(self, x: Node, user: Node) -> bool:
        """Whether a use of x, made from a parameter, only adds to it."""
        if user.op.name == "sum":  # of w * x, which is w @ x; not of squares and losses
            entries = [w for w in set(x.inputs) if self.parameter(w) is not None and w.shape == x.shape]
            return x.op.name == "mul" and len(set(x.inputs)) == 2 and bool(entries) and user in self.users
        others = [y for y in user.inputs if y is not x]
        if user.op.name not in SUMS or not others:
            return False
        # Added may be the input of a layer; but what is subtracted is a target, and the output's terms are losses
        free = user.op.name == "add" and user in self.users
        return free or all(map(self.sum_of_products, others))

    def goes_on(self, x: Node, user: Node) -> bool:
        """Whether a sum is not yet complete: it has no name, or goes on under the same, as in s = s + w * x."""
        first, second = (self.explanation.names[n].rpartition("/")[2].partition("#")[0] for n in (x, user))
        return (not self.named(x) or first == second) and self.adds(x, user)

    def z(self, node: Node) -> Node:
        """The pre-activation that a product belongs to: others and biases are added, then it is named."""
        chain = [node]
        while chain[-1] not in self.z_of:
            last = chain[-1]
            users = self.users.get(last, [])
            if len(users) != 1 or not (users[0].op is Named or self.goes_on(last, users[0])):
                self.z_of[last], self.sign[last] = last, 1
                break
            chain.append(users[0])
        for member, user in zip(chain[-2::-1], chain[:0:-1], strict=True):
            minus = user.op.name == "sub" and user.inputs[1] is member
            self.z_of[member], self.sign[member] = self.z_of[user], -self.sign[user] if minus else self.sign[user]
        return self.z_of[node]

    def named(self, node: Node) -> bool:
        """Whether the user gave the value a name."""
        return node.op is Named or _named(self.explanation, node)


@np.errstate(all="ignore")
def forward(explanation: Explanation) -> list[ForwardRow]:
    """The rows of the forward pass, in order of computation."""
    network = Network(explanation)
    rows = []
    order = {n: k for k, n in enumerate(explanation.record.nodes)}
    for parameter, user, k, z in sorted(network.uses, key=lambda use: (order[use[3]], order[use[1]])):
        multiplies, factor = _factor(explanation, user, k)
        if network.sign[user] < 0:
            multiplies, factor = _negative(multiplies), None if factor is None else -factor
        name = explanation.names
        rows.append(
            ForwardRow(
                name[z],
                written(explanation, z),
                _part(explanation, user.inputs[k]) or name[parameter],
                multiplies,
                factor,
            )
        )
    return rows


@np.errstate(all="ignore")
def backward(explanation: Explanation) -> list[BackwardRow]:
    """The rows of the backward pass: the network in reverse."""
    network = Network(explanation)
    rows = []
    order = {n: k for k, n in enumerate(explanation.record.nodes)}
    for z in sorted({z for *_, z in network.uses}, key=lambda n: -order[n]):
        node = explanation.by_node[z]
        exit, gain, amplification = amplifier(network, z)
        rows.append(BackwardRow(node.name, gain, amplification, _arrives(network, z, exit), node.grad))
    return rows


def _parameters(explanation: Explanation) -> list[Node]:
    """The leaves that are learnt: those of a first argument that is a container, if there is one, else all."""
    leaves = explanation.record.leaves
    chosen = explanation.record.parameters
    first = next(iter(leaves.values()), "").partition("[")[0]
    contained = [p for p in chosen if leaves.get(p, "").startswith(first + "[")]
    return contained if first and contained else chosen


def _factor(explanation: Explanation, user: Node, k: int) -> tuple[str, Any]:
    """What an input of a node is multiplied by there, as text and value."""
    op = user.op.name
    if op in PRODUCTS and len(user.inputs) == 2:
        other = user.inputs[1 - k]
        return _part(explanation, other) or explanation.label(other), other.value
    if issubclass(user.op, Elementwise):
        value = derivative(user, k)
        constant = np.size(value) and bool(np.all(value == np.reshape(value, -1)[0]))
        return formula.number(np.reshape(value, -1)[0]) if constant else f"∂{explanation.names[user]}", value
    return f"rows of {op}" if op == "gather" else f"Jacobian of {op}", None


def _part(explanation: Explanation, node: Node) -> str:
    """An element or slice without a name, as x[0]; empty for other nodes."""
    part = node.op is Gather and len(node.inputs) == 1 and not _named(explanation, node)
    return explanation.by_node[node].formula if part else ""


def amplifier(network: Network, z: Node) -> tuple[Node, str, Any]:
    """The activation behind z: its last node, and the derivative of each element by its element of z."""
    names = network.explanation.names
    users = network.users.get(z, [])
    if not users or not all(issubclass(u.op, Elementwise) for u in users):
        return z, "", None
    if len(users) == 1 and len(users[0].inputs) == 1 and not isinstance((users[0].op.partials or (1,))[0], int):
        (activation,) = users
        symbol = {"sigmoid": "σ"}.get(activation.op.name, activation.op.name)
        return activation, f"{symbol}'({names[z]})", derivative(activation, 0)
    region = _region(network, z)
    inside = {z, *region}
    left = {n for n in inside for u in network.users.get(n, ()) if u.tracked and u not in inside}
    exits = [n for n in inside if n in left or n not in network.users]
    if not region or len(exits) != 1 or exits[0] is z or exits[0].shape != z.shape:
        return z, "", None
    walk = Walk({n.index for n in inside}, False)
    walk.receive(exits[0], np.ones(z.shape, z.dtype)[()], None)
    with np.errstate(all="ignore"):
        walk.run({n.index: n for n in region}, set())
    return exits[0], f"∂{names[exits[0]]}/∂{names[z]}", walk.cotangents.get(z.index)


def _region(network: Network, z: Node) -> list[Node]:
    """The elementwise nodes made from z alone, up to the first that has a name."""
    region: list[Node] = []
    inside = {z}
    waiting = [(u.index, u) for u in network.users.get(z, ())]
    heapq.heapify(waiting)  # in order of computation, and no node is made from a later one
    while waiting:
        _, node = heapq.heappop(waiting)
        if node in inside or not issubclass(node.op, Elementwise) or not node.tracked:
            continue
        if all(x in inside for x in node.inputs if x.tracked):
            region.append(node)
            inside.add(node)
            if network.named(node):
                break
            for u in network.users.get(node, ()):
                heapq.heappush(waiting, (u.index, u))
    return region


def _arrives(network: Network, z: Node, exit: Node) -> str:
    """What the gradient of a value is the sum of, in words."""
    explanation, terms = network.explanation, []
    uses = explanation.record.terms.get(exit, [])
    if exit is not z and network.named(exit) and not any(t.user in network.z_of or network.named(t.user) for t in uses):
        return f"∂C/∂{explanation.names[exit]}"
    for use in uses:
        user = use.user
        end = f"∂C/∂{explanation.names[network.z_of.get(user, user)]}"
        text, _ = _factor(explanation, user, use.position)
        if user.op.name == "matmul":
            term = f"{text}ᵀ {end}" if use.position else f"{end} {text}ᵀ"
        elif text in ("1", "-1"):
            term = end if text == "1" else f"-{end}"
        elif issubclass(user.op, Elementwise) and not text.startswith("∂"):
            term = f"{text} · {end}"
        else:
            term = f"∂{explanation.names[user]}/∂{explanation.names[exit]} · {end}"
        terms.append(_negative(term) if network.sign.get(user, 1) < 0 else term)
    return " + ".join(terms).replace(" + -", " - ") or "1"


def _negative(text: str) -> str:
    return text[1:] if text.startswith("-") else f"-{text}"


def written(explanation: Explanation, node: Node, depth: int = 12) -> str:
    """A node's formula, with what has no name of its own written out: three ops deep, or more additions."""
    parts = []
    for x in node.inputs:
        alone = node.op is Named or (not _named(explanation, x) and len(explanation.users[x]) == 1)
        if not x.inputs or depth <= 0 or not alone:
            parts.append(explanation.label(x))
            continue
        inner = written(explanation, x, depth - (1 if node.op.name == "add" else 4))
        loose = " " in inner and (node.op.name in ("sub", "mul", "div", "power", "matmul", "neg"))
        parts.append(f"({inner})" if loose else inner)
    return formula.text(node, parts)


def _named(explanation: Explanation, node: Node) -> bool:
    name = explanation.names[node].rpartition("/")[2].partition("#")[0]
    return bool(name != node.op.name)
