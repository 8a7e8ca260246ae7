"""A graph as a better graph: the same values in fewer operations.

``simplify`` walks from the inputs to the outputs. A node is made of what its inputs became, shared with an equal one,
and handed to the rules of its op: tables of equations, one file per idea.

algebra.py: arithmetic; choice.py: where, logic, casts; rearrange.py: views and slices; stretch.py: broadcasting;
reduce.py: folds; place.py: sums of scattered slices; product.py: matrix products; narrow.py: those of 16-bit floats;
unjoin.py: stacks; outside.py: scans; fold.py: constants.

Each file says how far its values are the same: to the bit, to the sign of a zero, or to the rounding of a sum. None
turns inf or NaN into a number, but that a matrix product leaves out the zeros of a basis.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.node import Node
from .rewriter import Rewriter

__all__ = ["simplify"]


def simplify(outputs: Sequence[Node], frugal: bool = False) -> list[Node]:
    """The outputs, from a simpler graph; parts that no rule changes are the same nodes as before.

    Where memory is dear (``frugal``), rules that gather values to compute on all of them at once are left out.

    >>> import numpy as np
    >>> import glassgrad as gg
    >>> from glassgrad.graph.show import show
    >>> program = gg.trace(lambda x: -(-x) * 1.0 + gg.stop_gradient(x) ** 1, np.ones(3))
    >>> print(show(simplify(program.outputs)).split("  #")[0])
    %0 = input : float64[3]
    %1 = add(%0, %0) : float64[3]
    """
    return Rewriter(frugal).run(outputs)
