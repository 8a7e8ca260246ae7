"""One pass over the data as one native call: every batch gathered, and every step taken, inside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import tree
from ..autodiff.loops import scan
from ..compile import jit
from ..graph.node import Node
from ..ops import indexing

Step = Callable[..., tuple[Any, Any]]
Pass = Callable[..., tuple[Any, Any]]


def native_epoch(step: Step) -> Pass:
    """A function that takes ``step`` for batch after batch, in native code.

    Parameters
    ----------
    step : ``carry, outputs = step(carry, batch, *fixed)``, made of Glassgrad's or NumPy's operations. The carry is a
        tree of arrays, such as (model, optimiser's state), and keeps its structure, shapes and dtypes. The batch is a
        tree like the data, with the rows of the batch. What is fixed is the same for every step. The outputs are a tree
        of numbers to keep of each step, such as the loss.

    Returns
    -------
    run : ``carry, outputs = run(carry, data, rows, *fixed)``
        ``data`` is a tree of arrays [n, ...]. ``rows`` are whole numbers [steps, batch], which rows go into which step;
        None for one step on all rows as they are, with no copy of them. The outputs are stacked, [steps, ...].
        The carry's arrays may be overwritten: give arrays nobody else looks at. There is one program for each shape of
        data and rows.

    Examples
    --------
    >>> import numpy as np
    >>> def step(total, batch):
    ...     return total + batch["x"].sum(), batch["x"].mean()
    >>> run = native_epoch(step)
    >>> run(np.float64(0.0), {"x": np.arange(6.0)}, np.array([[5, 0], [1, 2], [4, 3]]))
    (np.float64(15.0), array([2.5, 1.5, 3.5]))
    >>> run(np.float64(0.0), {"x": np.arange(6.0)}, None)
    (np.float64(15.0), array([2.5]))
    """

    def taken(carry: Any, data: Any, rows: Any, *fixed: Any) -> tuple[Any, Any]:
        if rows is None:
            carry, outputs = step(carry, data, *fixed)
            return carry, tree.map(lambda value: value[None], outputs)

        leaves, structure = tree.flatten(carry)
        moving = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Node)]  # the rest is text, functions and such

        def whole(held: list[Any]) -> Any:
            return tree.unflatten(
                structure, [dict(zip(moving, held, strict=True)).get(i, x) for i, x in enumerate(leaves)]
            )

        def one(held: list[Any], chosen: Any) -> tuple[Any, Any]:
            batch = tree.map(lambda column: indexing.take(column, chosen, 0), data)
            after, outputs = step(whole(held), batch, *fixed)
            found = tree.leaves(after)
            return [found[i] for i in moving], outputs

        held, outputs = scan(one, [leaves[i] for i in moving], rows)
        return whole(held), outputs

    return jit(taken, donate="carry")


def eager_epoch(step: Step) -> Pass:
    """The same by NumPy, one operation after another: for steps that cannot be traced, and for looking inside.

    Examples
    --------
    >>> import numpy as np
    >>> run = eager_epoch(lambda total, x: (total + x.sum(), x.max()))
    >>> run(0.0, np.arange(6.0), np.array([[5, 0], [1, 2], [4, 3]]))
    (np.float64(15.0), array([5., 2., 4.]))
    """

    def taken(carry: Any, data: Any, rows: NDArray[np.int64] | None, *fixed: Any) -> tuple[Any, Any]:
        found = []
        for chosen in [None] if rows is None else rows:
            batch = data if chosen is None else tree.map(lambda column, chosen=chosen: column[chosen], data)
            carry, outputs = tree.map(_value, step(carry, batch, *fixed))
            found.append(outputs)
        return carry, tree.map(lambda *values: np.stack(values), *found)

    return taken


def _value(leaf: Any) -> Any:
    return leaf.value if isinstance(leaf, Node) else leaf
