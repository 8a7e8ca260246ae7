"""The chain rule of a node with the numbers it had, as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..autodiff.watch import Term
from ..graph.primitive import Elementwise
from . import formula

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation


def latex(explanation: Explanation, nodes: Sequence[ExplainedNode]) -> str:
    r"""``\begin{aligned}`` with two lines a node: the terms in symbols, then in numbers.

    >>> import glassgrad as gg
    >>> def f(w, x):
    ...     z = w * x
    ...     return gg.numpy.sin(z)
    >>> print(gg.explain(f, 0.0, 2.0).to_latex("w"))
    \begin{aligned}
    \frac{\partial C}{\partial w} &= \frac{\partial C}{\partial z} \cdot \frac{\partial z}{\partial w} \\
    &= 1 \cdot 2 = 2
    \end{aligned}
    """
    lines = []
    for n in nodes:
        terms = explanation.record.terms.get(n.node, [])
        left = _partial("C", n.name)
        if not terms:
            lines.append(f"{left} &= {_number(n.grad)}")
            continue
        symbols = " + ".join([_symbols(explanation, n, t) for t in terms])
        total = _number(n.grad)
        given = [_product(explanation, t) or (total if t.value is n.grad else _number(t.value)) for t in terms]
        numbers = " + ".join(given)
        lines.append(f"{left} &= {symbols} \\\\\n&= {numbers}" + ("" if numbers == total else f" = {total}"))
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def _partial(of: str, by: str) -> str:
    return rf"\frac{{\partial {formula.symbol(of)}}}{{\partial {formula.symbol(by)}}}"


def _symbols(explanation: Explanation, n: ExplainedNode, term: Term) -> str:
    user = explanation.names[term.user]
    return rf"{_partial('C', user)} \cdot {_partial(user, n.name)}"


def _product(explanation: Explanation, term: Term) -> str:
    """Upstream times local, where both are one number."""
    user = term.user
    g = explanation.record.gradients.get(user)
    if issubclass(user.op, Elementwise) and g is not None and np.size(g) == 1:
        local = explanation.by_node[user].local[term.position]
        return rf"{_number(g)} \cdot {_number(local)}"
    return ""


def _number(value: object) -> str:
    """A number or small array as LaTeX; of a large array its shape."""
    if isinstance(value, tuple) or value is None:
        return formula.escaped(formula.number(value))
    array = np.asarray(value)
    if array.ndim == 0 or array.size == 1:
        text = formula.scalar(array.item())
        base, e, power = text.partition("e")
        shown = rf"{base} \cdot 10^{{{int(power)}}}" if e and power.lstrip("+-").isdigit() else text
        return f"({shown})" if text.startswith("-") else shown
    if array.size <= 16 and array.ndim <= 2:
        rows = [" & ".join([formula.scalar(v) for v in row]) for row in np.atleast_2d(array).tolist()]
        return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"
    return "[" + formula.size(array).replace("×", r" \times ") + "]"
