"""``explain``: one run of a function, with every value, local derivative and gradient by name, line and scope."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..graph.node import LEAVES, Constant, Node
from ..lazy import lazy
from . import formula
from .local import Local
from .names import given, names
from .record import Record, Which, record

if TYPE_CHECKING:
    from .passes import BackwardRow, ForwardRow
    from .paths import Paths


class ExplainedNode:
    """One value of an explained program.

    Attributes
    ----------
    name : what it is called in this explanation; ``explanation[name]`` finds it
    op : the name of the op, or ``input``, ``variable``, ``constant``
    value : what was computed
    grad : ∂output/∂value; zeros where the output does not depend on it, None for what cannot be differentiated
        or does not depend on what is differentiated by
    upstream : the gradient that arrives at the output of the op, the same numbers as ``grad``: what its local
        derivatives are multiplied by
    local : local derivatives by input, formed when asked for (``Local``)
    arrives : what each use of the value gives to its gradient, by the name of the user; the sum is ``grad``
    passes_on : what it gives to the gradient of each input, by name: upstream times local
    inputs, users : the nodes it is made from, and those made from it
    formula : the op on the names of its inputs
    line, source : "file.py:12", and the text of that line; empty for arguments, and for layers of the package
    scope : names of the enclosing ``gg.scope`` blocks and layers
    """

    def __init__(self, owner: Explanation, node: Any) -> None:
        self._owner = owner
        self.node = node
        self.name = owner.names[node]
        self.op: str = node.op.name

    @property
    def value(self) -> Any:
        return self.node.value

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.node.shape
        return shape

    @property
    def grad(self) -> Any:
        g = self._owner.record.gradients.get(self.node)
        depends = self.node.tracked and self.node.index in self._owner.record.depending
        if g is None and depends and not isinstance(self.node.value, tuple):
            return np.zeros(self.node.shape, self.node.dtype)[()]
        return g

    @property
    def upstream(self) -> Any:
        return self.grad

    @lazy
    def local(self) -> Local:
        return Local(self.node, [self._owner.names[x] for x in self.node.inputs])

    @property
    def arrives(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for term in self._owner.record.terms.get(self.node, []):
            user = self._owner.names[term.user]
            found[user] = found[user] + term.value if user in found else term.value
        return found

    @property
    def passes_on(self) -> dict[str, Any]:
        return {x.name: x.arrives[self.name] for x in self.inputs if self.name in x.arrives}

    @property
    def inputs(self) -> list[ExplainedNode]:
        return [self._owner.by_node[x] for x in self.node.inputs]

    @property
    def users(self) -> list[ExplainedNode]:
        return [self._owner.by_node[u] for u in self._owner.users.get(self.node, [])]

    @property
    def formula(self) -> str:
        if not self.node.inputs:
            return self._owner.record.leaves.get(self.node, formula.text(self.node, []))
        return formula.text(self.node, [self._owner.label(x) for x in self.node.inputs])

    @property
    def line(self) -> str:
        return str(self.node.origin) if self.node.origin else ""

    @property
    def source(self) -> str:
        return self.node.origin.text if self.node.origin else ""

    @property
    def scope(self) -> str:
        return self.node.origin.scope if self.node.origin else ""

    @property
    def derivative_of(self) -> ExplainedNode | None:
        """The forward node that this node differentiates, where the program is itself a derivative."""
        forward = self.node.origin.forward if self.node.origin else None
        return self._owner.by_node.get(forward) if forward is not None else None

    def __repr__(self) -> str:
        return f"{self.name} = {self.formula}: {formula.number(self.value)}, gradient {formula.number(self.grad)}"


class Explanation:
    """What ``explain`` returns.

    ``explanation[key]`` finds a node by its name, by the path of an argument's leaf ("p['W1']"), by line ("file.py:12",
    the last value made there), by scope (the last value made in it), or by its number in ``nodes``.

    Attributes
    ----------
    nodes : every node, in order of computation
    value : of the function
    parameters : the leaves it was differentiated by
    gradients : their gradients, by name
    record : the run as it was kept; ``names``, ``users`` and ``by_node`` lead from the engine's nodes to what is shown
    """

    def __init__(self, made: Record) -> None:
        self.record = made
        self.names = names(made.nodes, made.leaves, made.calls)
        self.users: dict[Node, list[Node]] = {}
        for node in made.nodes:
            for x in dict.fromkeys(node.inputs):
                self.users.setdefault(x, []).append(node)
        self.by_node = {node: ExplainedNode(self, node) for node in made.nodes}
        self.nodes = list(self.by_node.values())
        self._by_name = {n.name: n for n in self.nodes}

    @property
    def output(self) -> ExplainedNode:
        """The node that gradients are of."""
        return self.by_node[self.record.output]

    @property
    def value(self) -> Any:
        return self.output.value

    @property
    def parameters(self) -> list[ExplainedNode]:
        return [self.by_node[p] for p in self.record.parameters]

    @property
    def gradients(self) -> dict[str, Any]:
        return {p.name: p.grad for p in self.parameters}

    @lazy
    def _places(self) -> dict[str, ExplainedNode]:
        """Nodes by other names than their own; of several the last made."""
        found: dict[str, ExplainedNode] = {}
        for n in self.nodes:
            label = n.node.params.get("name")
            origin = n.node.origin
            keys = [self.record.leaves.get(n.node), label if isinstance(label, str) else None, n.scope, n.line]
            if origin is not None:
                keys.append(f"{os.path.abspath(origin.file)}:{origin.line}")
            found |= {key: n for key in keys if key}
        return {
            name: self.by_node[node] for _, node, name in given(self.record.nodes, self.record.calls) if name
        } | found

    def __getitem__(self, key: Any) -> ExplainedNode:
        if isinstance(key, (int, np.integer)):
            if not -len(self) <= key < len(self):
                raise IndexError(
                    f"explain: no node has the number {key}: got {len(self)} nodes, from 0 to {len(self) - 1}"
                )
            return self.nodes[key]
        if isinstance(key, Node) and key in self.by_node:
            return self.by_node[key]
        found = self._by_name.get(key) or self._places.get(key)
        if found is None:
            import difflib

            known = [n.name for n in self.nodes if n.op != "constant"]
            near = difflib.get_close_matches(str(key), known, 5, 0.3) or known[:8]
            raise KeyError(f"explain: no node is called {key!r}: names are like {', '.join(near)}")
        return found

    def __contains__(self, key: Any) -> bool:
        return key in self._by_name or key in self._places

    def __iter__(self) -> Any:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def at(self, line: str) -> list[ExplainedNode]:
        """Every node made at a line, "file.py:12"."""
        return [n for n in self.nodes if n.line == line]

    def label(self, node: Node) -> str:
        """A node inside a formula: numbers as themselves."""
        return formula.number(node.value) if node.op is Constant and node.shape == () else self.names[node]

    @property
    def computed(self) -> list[ExplainedNode]:
        """The nodes that are no leaves."""
        return [n for n in self.nodes if n.node.op not in LEAVES]

    @lazy
    def forward(self) -> list[ForwardRow]:
        """The forward pass: what each parameter multiplies, ∂z/∂w."""
        from .passes import forward

        return forward(self)

    @lazy
    def backward(self) -> list[BackwardRow]:
        """The backward pass: ∂C/∂z, through the network in reverse with σ'(z) as its gains."""
        from .passes import backward

        return backward(self)

    def paths(self, parameter: Any, top: int | None = 5, element: Any = None) -> Paths:
        """The strongest paths from the output to a node, whose contributions sum to its gradient: see ``Paths``."""
        from .paths import paths

        return paths(self, self[parameter], top, element)

    def table(self, which: str = "all", limit: int = 60) -> str:
        """As text: ``nodes``, ``forward``, ``backward`` or ``all``; scopes are one row each beyond ``limit`` nodes."""
        from .table import table

        return table(self, which, limit)

    def show(self, which: str = "all", limit: int = 60) -> None:
        """Print the tables; in colour on a terminal, if rich is installed."""
        from .table import show

        show(self, which, limit)

    def to_dot(self, limit: int = 300) -> str:
        """The graph for Graphviz, values in blue and gradients in orange; collapsed beyond ``limit`` nodes."""
        from .drawing import dot

        return dot(self, limit)

    def to_svg(self, limit: int = 300) -> str:
        """The graph as an SVG drawing from the top down; collapsed beyond ``limit`` nodes."""
        from .drawing import svg

        return svg(self, limit)

    def to_latex(self, parameter: Any = None) -> str:
        """The chain rule with its numbers, for one node or for every parameter, as LaTeX's ``aligned``."""
        from .chain import latex

        return latex(self, self.parameters if parameter is None else [self[parameter]])

    def to_dict(self, elements: int = 64) -> dict[str, Any]:
        """All of it as plain data for JSON; arrays of more than ``elements`` elements as summaries."""
        from .plain import plain

        return plain(self, elements)

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str:
        """The viewer: one interactive page, which needs no network. Written to ``path`` if given."""
        from .page import viewer

        text = viewer(self)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8", newline="\n")
        return text

    def _repr_html_(self) -> str:
        from .page import frame

        return frame(self)

    def widget(self) -> Any:
        """The viewer as a widget, for notebooks that show no frames; needs anywidget."""
        from .page import widget

        return widget(self)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"Explanation({len(self.nodes)} nodes, value {formula.number(self.value)})"


def explain(
    function: Callable[..., Any] | Node, *args: Any, wrt: Which = None, loops: bool | None = None, **kwargs: Any
) -> Explanation:
    """Run a function forward and backward, and keep every value, local derivative and gradient.

    Parameters
    ----------
    function : made of Glassgrad or NumPy operations; eager, jitted (its operations are run one by one) or itself a
        derivative. Of a result with several leaves the one is explained that depends on floating arguments; of an
        array, the sum of its elements. A model's own parameters count as arguments, of the name ``model``. Or a value
        that was made from ``gg.variable``, without arguments.
    *args, **kwargs : its arguments, arrays or trees of them; every floating leaf is differentiated by.
        Arrays of integers and bools have their names and no gradient; single ones stay Python's, as sizes and flags
    wrt : names or positions of the arguments to differentiate by, rather than all
    loops : whether ``scan``, ``fori_loop``, ``while_loop`` and branches are opened into the operations of their steps,
        in scopes such as ``scan/step0``, or stay one node each. By default those of up to 200 operations are opened

    Returns
    -------
    Explanation
        ``nodes`` and ``explanation["name"]`` with ``.value``, ``.grad`` and ``.local``; ``forward`` and ``backward``
        passes; ``paths``; as text (``table``, ``show``), drawing (``to_svg``, ``to_dot``), LaTeX, HTML or plain data.

    Raises
    ------
    DtypeError
        if no argument is floating, or none of those in ``wrt``.
    NotScalarError
        if several values with gradients are returned: choose one, as in ``lambda *args: f(*args)[0]``, or their sum.
    NonDifferentiableError
        if the value has no derivative, or is complex.

    Examples
    --------
    >>> import glassgrad as gg
    >>> def cost(w, x, y):
    ...     z = w * x
    ...     return (z - y) ** 2
    >>> e = gg.explain(cost, 3.0, 2.0, 10.0)
    >>> float(e["w"].value), float(e["w"].grad), float(e["z"].local["w"]), float(e["z"].grad)
    (3.0, -16.0, 2.0, -8.0)
    """
    return Explanation(record(function, args, kwargs, wrt, loops))
