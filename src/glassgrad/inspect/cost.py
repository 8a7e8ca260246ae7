"""What a function and its gradient cost: operations, bytes moved, memory, by scope, forward and backward.

Counted on the graph that is compiled, after it is simplified, op by op: what the same operations cost where each is
done on its own. What the compiler makes of them, which fuses most of the traffic away, is ``Cost.compiled``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import tree
from ..autodiff.derivatives import Argnums, value_and_grad
from ..errors import IndependentOutputWarning
from ..graph.node import LEAVES, Node, reachable
from ..graph.primitive import Contraction, Elementwise, Indexing, Opaque, Reduction, Structured, View
from ..graph.program import trace
from ..kernel.cost import OPERATIONS
from ..lazy import lazy
from ..ops.branch import Switch
from ..ops.loop import Body, Scan, While
from ..ops.reduction import sum as total
from ..rewrite import simplify
from .formula import scalar

if TYPE_CHECKING:
    from ..compile.report import Cost as Compiled

# Names of ops whose kernel instruction is called otherwise
INSTRUCTIONS = {"div": "divide", "floor_div": "floor_divide", "mod": "remainder", "to_integer": "cast"}

MULTIPLIED = (-1, 0, 0.5, 1, 2, 3, 4)  # exponents that are arithmetic, or a root

# Operations on an n × n matrix, in n³: G. Golub & C. Van Loan, Matrix Computations, 4th edition.
CUBES = {"cholesky": 1 / 3, "det": 2 / 3, "slogdet": 2 / 3, "solve": 2 / 3, "inv": 2, "qr": 4 / 3, "eigh": 9, "svd": 21}


class Part(NamedTuple):
    """One pass, of the whole program or of one scope.

    Attributes
    ----------
    flops : operations: 2 for a multiplication and addition in a product, 12 for an exponential, as compiled code counts
    bytes : read and written by ops that each read their operands and write their value; views move nothing
    operations : how many ops
    """

    flops: float
    bytes: float
    operations: int


class ScopeCost(NamedTuple):
    """What one scope costs; the scope "" is what lies in none."""

    name: str
    forward: Part
    backward: Part


@dataclass(frozen=True)
class Cost:
    """What one evaluation of a function and of its gradient costs.

    Attributes
    ----------
    forward, backward : both passes
    scopes : the same by scope, in the order in which they are entered
    peak : most bytes of intermediate values and results alive at once, each freed after its last use; without arguments
    forward_peak : the same of the forward pass alone, as in inference
    arguments : bytes of the arguments
    """

    forward: Part
    backward: Part
    scopes: tuple[ScopeCost, ...]
    peak: int
    forward_peak: int
    arguments: int
    compile: Callable[[], Compiled] = field(repr=False, compare=False)

    @property
    def flops(self) -> float:
        return self.forward.flops + self.backward.flops

    @property
    def bytes(self) -> float:
        return self.forward.bytes + self.backward.bytes

    @property
    def ratio(self) -> float:
        """Operations of the backward pass for one of the forward pass. Theory bounds it by about 4."""
        return self.backward.flops / self.forward.flops if self.forward.flops else math.nan

    @lazy
    def compiled(self) -> Compiled:
        """What one native call for value and gradient does: compiles it."""
        return self.compile()

    def __getitem__(self, scope: str) -> ScopeCost:
        for row in self.scopes:
            if row.name == scope:
                return row
        raise KeyError(f"cost: no scope is named {scope!r}: got {[row.name for row in self.scopes]}")

    def __str__(self) -> str:
        from .table import Table

        rows = [_cells(r.name or "(no scope)", r.forward, r.backward) for r in self.scopes]
        rows.append(_cells("total", self.forward, self.backward))
        title = f"peak {_amount(self.peak)}B of intermediates, {_amount(self.forward_peak)}B forward only"
        head = ("scope", "forward flops", "bytes", "backward flops", "bytes", "backward/forward")
        return str(Table(title, head, rows))


def _cells(name: str, forward: Part, backward: Part) -> tuple[str, ...]:
    ratio = f"{backward.flops / forward.flops:.2f}" if forward.flops else "-"
    numbers = (forward.flops, forward.bytes, backward.flops, backward.bytes)
    return (name, *map(_amount, numbers), ratio)


def _amount(value: float) -> str:
    """A count with a prefix: 1.5k, 20M."""
    for prefix in ("", "k", "M", "G"):
        if value < 1000:
            return f"{scalar(np.float64(value), 3)} {prefix}"
        value /= 1000
    return f"{value:.3g} T"


def cost(function: Callable[..., Any], *args: Any, argnums: Argnums = 0) -> Cost:
    """Count what a function and its gradient do, without computing them.

    Parameters
    ----------
    function : its value is one number, or an array, whose elements are summed; of several results the first counts
    *args : arrays or trees of them; only shapes and dtypes matter
    argnums : which arguments the backward pass differentiates by

    A scan counts every step, a branch the dearest of them, and a ``while_loop``, whose rounds nobody knows, one round.

    Returns
    -------
    Cost
        ``forward`` and ``backward`` with ``flops`` and ``bytes``; ``ratio``, ``peak``, ``scopes``; ``compiled``.

    Examples
    --------
    >>> import numpy as np
    >>> import glassgrad as gg
    >>> c = gg.cost(lambda w, x: ((x @ w) ** 2).sum(), np.ones((64, 10)), np.ones((32, 64)))
    >>> product = 2 * 32 * 64 * 10
    >>> c.forward.flops / product, c.backward.flops / product  # with the square and its derivative
    (1.01..., 1.00...)
    """

    def summed(*inner: Any) -> Any:
        first = next((leaf for leaf in tree.leaves(function(*inner)) if isinstance(leaf, Node)), None)
        return 0.0 if first is None else total(first)

    both = value_and_grad(summed, argnums)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", IndependentOutputWarning)  # a constant costs nothing
        program = trace(both, *args)
    outputs = simplify(program.outputs)
    nodes = reachable(outputs)
    value = set(reachable(outputs[:1]))
    forward = [n for n in nodes if n in value]
    backward = [n for n in nodes if n not in value]
    scopes: dict[str, tuple[list[Node], list[Node]]] = {}
    for k, part in enumerate((forward, backward)):
        for n in part:
            if n.op not in LEAVES:
                scopes.setdefault(_scope(n), ([], []))[k].append(n)

    def compiled() -> Compiled:
        from ..compile import jit

        return jit(both).cost(*args)

    return Cost(
        _part(forward),
        _part(backward),
        tuple(ScopeCost(name, _part(a), _part(b)) for name, (a, b) in scopes.items()),
        _peak(nodes, outputs),
        _peak(forward, outputs[:1]),
        sum(_nbytes(n) for n in program.inputs),
        compiled,
    )


def _part(nodes: Sequence[Node]) -> Part:
    ops = [n for n in nodes if n.op not in LEAVES and not _free(n)]
    return Part(math.fsum(map(flops, ops)), math.fsum(map(_moved, ops)), len(ops))


def _scope(node: Node) -> str:
    """The scope of a node, or of the forward node it belongs to the derivative of."""
    origin = node.origin
    while origin is not None and origin.forward is not None and origin.forward.origin is not None:
        origin = origin.forward.origin
    return origin.scope if origin is not None else ""


def _free(node: Node) -> bool:
    """Whether a node moves and computes nothing."""
    return issubclass(node.op, View) or (issubclass(node.op, Structured) and not _bodies(node))


def _bodies(node: Node) -> list[tuple[Body, int]]:
    """The graphs inside a node, and how often each is run: of branches the dearest, of a ``while_loop`` one round."""
    params = node.params
    if node.op is Scan:
        return [(params["body"], params["length"])]
    if node.op is While:
        return [(params["test"], 1), (params["step"], 1)]
    return [(max(params["branches"], key=lambda b: _inside(b, flops)), 1)] if node.op is Switch else []


def _inside(body: Body, measure: Callable[[Node], float]) -> float:
    return math.fsum(measure(n) for n in body.nodes if n.op not in LEAVES and not _free(n))


def flops(node: Node) -> float:
    """Operations of one node."""
    op, params = node.op, node.params
    size = math.prod(node.shape) if op.outputs == 1 else 0
    if op.name == "power" and node.inputs[1].value is not None and np.size(node.inputs[1].value) == 1:
        exponent = float(np.reshape(node.inputs[1].value, ())[()].real)
        return float(size * (1 if exponent in MULTIPLIED else OPERATIONS["power"]))
    if issubclass(op, Elementwise):
        return float(size * OPERATIONS.get(INSTRUCTIONS.get(op.name, op.name), 1))
    if op.name == "matmul":
        return 2.0 * size * node.inputs[0].shape[-1]
    if op.name == "einsum":
        terms = params["subscripts"].partition("->")[0].split(",")
        lengths = {c: n for term, x in zip(terms, node.inputs, strict=True) for c, n in zip(term, x.shape, strict=True)}
        return float(len(terms) * math.prod(lengths.values()))
    if op.name == "conv":
        return 2.0 * size * math.prod(node.inputs[1].shape[1:])
    if _bodies(node):
        return math.fsum(times * _inside(body, flops) for body, times in _bodies(node))
    given = max((math.prod(shape) for x in node.inputs for shape, _ in _specs(x)), default=0)
    if issubclass(op, Contraction):  # the Fourier transforms
        return 5.0 * given * math.log2(max(given, 2))
    if issubclass(op, Opaque):
        shape = node.inputs[0].shape
        return float(CUBES.get(op.name, 1) * math.prod(shape) * (shape[-1] if shape else 1))
    if op.name == "argsort":
        return float(given * math.log2(max(given, 2)))
    return float(given) if issubclass(op, Reduction) else 0.0 if issubclass(op, (View, Indexing, Structured)) else size


def _specs(node: Node) -> list[tuple[tuple[int, ...], Any]]:
    many: Any = node.spec if node.value is None else node.value
    if node.op not in LEAVES and node.op.outputs > 1:
        return [(np.shape(s), s.dtype) for s in many] if node.value is not None else [(s.shape, s.dtype) for s in many]
    return [(node.shape, node.dtype)]


def _nbytes(node: Node) -> int:
    return sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in _specs(node))


def _moved(node: Node) -> float:
    if _bodies(node):
        return math.fsum(times * _inside(body, _moved) for body, times in _bodies(node))
    return _nbytes(node) + sum(_nbytes(x) for x in node.inputs)


def _peak(nodes: Sequence[Node], outputs: Sequence[Node]) -> int:
    """Most bytes alive at once. A view keeps alive what it is a view of."""
    owner: dict[Node, Node] = {}
    last: dict[Node, int] = {}
    for k, n in enumerate(nodes):
        owner[n] = owner[n.inputs[0]] if n.inputs and _free(n) else n
        for x in (n, *n.inputs):
            last[owner[x]] = k
    for n in outputs:
        last[owner[n]] = len(nodes)
    ends: dict[int, list[Node]] = {}
    for n, k in last.items():
        ends.setdefault(k, []).append(n)
    alive = most = 0
    for k, n in enumerate(nodes):
        if n.op not in LEAVES and owner[n] is n:
            alive += _nbytes(n)
            most = max(most, alive)
        alive -= sum(_nbytes(x) for x in ends.get(k, []) if x.op not in LEAVES)
    return most
