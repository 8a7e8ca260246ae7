"""Define-by-run: gradients of a computed value with respect to the variables it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..array import above
from ..errors import NonDifferentiableError, NotScalarError, ShapeError
from ..graph.node import Node, Variable, shape_of, value_of
from ..ops import control, logic
from .arguments import Owned
from .derivatives import refuse_repeated
from .vjp import plan, pull


class Gradients(Mapping[Any, Any]):
    """Gradients by variable, or by the name of a variable or intermediate. Nothing is stored on the variables."""

    def __init__(self, nodes: list[Node], values: list[Any]) -> None:
        self._by_node = dict(zip(nodes, values, strict=True))
        named = [n for n in nodes if "name" in n.params]
        refuse_repeated([n.params["name"] for n in named])
        self._by_name = {n.params["name"]: self._by_node[n] for n in named}

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, Node):
            if key in self._by_node:
                return self._by_node[key]
            if key.op is Variable:
                return np.zeros(key.shape, key.dtype)[()]  # a variable this value does not depend on
            raise KeyError(
                f"no gradient kept for this Array, which is no variable but the result of {key.op.name} at "
                f"{key.origin}: after a step make it one again, w = gg.variable(w.value - 0.1 * g); or ask "
                f"with backward(wrt=[x])"
            )
        if key in self._by_name:
            return self._by_name[key]
        raise KeyError(f"no variable or intermediate is named {key!r}: got {sorted(self._by_name)}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self._by_node)

    def __len__(self) -> int:
        return len(self._by_node)

    def __repr__(self) -> str:
        rows = (f"{n.params.get('name', n.op.name)} {n.shape}: {v!r}" for n, v in self._by_node.items())
        return "Gradients(" + ", ".join(rows) + ")"


def backward(output: Any, cotangent: Any = None, *, wrt: Any = (), create_graph: bool = False) -> Gradients:
    """Gradients of ``output`` with respect to every variable and named intermediate it was made from.

    Parameters
    ----------
    output : Array, one number unless a cotangent of its shape is given
    cotangent : weight of each output element, 1 by default
    wrt : further Arrays to give gradients for, such as intermediates
    create_graph : return gradients that can be differentiated again

    Returns
    -------
    Gradients
        a mapping; a new one at each call, nothing accumulates.

    Examples
    --------
    >>> import glassgrad as gg
    >>> w = gg.variable(1.0, name="w")
    >>> grads = ((2.0 * w - 10.0) ** 2).backward()
    >>> float(grads[w]), float(grads["w"])
    (-32.0, -32.0)
    """
    if not output.tracked:
        raise NonDifferentiableError(
            f"backward: this value was not made from a variable ({output.op.name}): make the parameters with "
            f"gg.variable(...), and compute with them; comparisons and integer results carry no gradient"
        )
    if cotangent is None:
        if output.size != 1:
            raise NotScalarError(
                f"backward: value of shape {output.shape}, expected one number; use .sum() or .mean(), or give a "
                f"cotangent of that shape"
            )
        cotangent = np.ones(output.shape)
    seed = cotangent if isinstance(cotangent, Node) else np.asarray(cotangent)
    if shape_of(seed) != output.shape:
        raise ShapeError(f"backward: cotangent has shape {shape_of(seed)}, expected {output.shape}, the value's")
    seed = logic.astype(seed, output.dtype)
    extra = list(wrt) if isinstance(wrt, (list, tuple)) else [wrt]
    leaves = [n for n in plan([output], []).nodes.values() if n.op in (Variable, control.Named)]
    targets = list(dict.fromkeys([*sorted(leaves, key=lambda n: n.index), *extra]))
    values, _ = pull([output], [seed if create_graph else value_of(seed)], targets, create_graph)
    own = Owned([cotangent])
    return Gradients(
        targets,
        [own(np.zeros(t.shape, t.dtype)[()] if v is None else v) for t, v in zip(targets, values, strict=True)],
    )


above["backward"] = backward
