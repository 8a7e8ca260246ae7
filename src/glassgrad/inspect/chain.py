"""The chain rule of a node with the numbers it had, as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .derivatives import count, mark, matrix, partial, pulled

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation

MOST = 4  # terms that are written
WIDE = 20  # characters of terms in one line
# With V and G, the macros that a viewer defines: most of a page's mathematics are these.
MACROS = {r"\begin{bmatrix} ": r"\B ", r" \end{bmatrix}": r"\E ", r"\frac{\partial C}{\partial ": r"\D{"}
_COMMANDS = re.compile(r"\\[a-zA-Z]+|\W")


def latex(explanation: Explanation, nodes: Sequence[ExplainedNode], marked: bool = False) -> str:
    r"""``\begin{aligned}`` with a few lines a node: the terms in symbols, then in numbers, then their sum.

    Between numbers the terms are products ∂C/∂user · ∂user/∂x; between arrays the Jacobian, transposed, times
    the gradient of the user: Wᵀ ∂C/∂z for a matrix product, σ'(z) ⊙ ∂C/∂a for an elementwise function. ``marked``
    puts a macro around each factor that says whether it is a value or a gradient, and shortens by others.

    >>> import glassgrad as gg
    >>> def f(w, x):
    ...     z = w * x
    ...     return gg.numpy.sin(z)
    >>> print(gg.explain(f, 0.0, 2.0).to_latex("w"))
    \begin{aligned}
    \frac{\partial C}{\partial w} &= \frac{\partial C}{\partial z} \cdot \frac{\partial z}{\partial w} \\
    &= \frac{\partial C}{\partial z} \cdot x \\
    &= 1 \cdot 2 = 2
    \end{aligned}
    """
    lines = [_chain(explanation, n, marked) for n in nodes]
    text = "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"
    for written, short in MACROS.items() if marked else ():
        text = text.replace(written, short)
    return text


def _chain(explanation: Explanation, n: ExplainedNode, marked: bool) -> str:
    """Every line of one node."""
    left, total = partial("C", n.name), matrix(n.grad)
    every = explanation.record.terms.get(n.node, [])
    if not every:
        return f"{left} &= {mark(total, True, marked)}"
    terms = every[:MOST]
    products = [pulled(explanation, t.user, t.position) for t in terms]
    given = [mark(matrix(t.value, inside=True), True, marked) for t in terms]
    lines = [
        [p.symbols(marked) for p in products],
        [p.numbers(marked) or value for p, value in zip(products, given, strict=True)],
    ]
    if all(count(node) == 1 for node in (n.node, *(t.user for t in terms))):
        generic = [pulled(explanation, t.user, t.position, generic=True) for t in terms]
        lines.insert(0, [p.symbols(marked) for p in generic])
    if len(terms) > 1:
        lines.append(given)
    shown = [_sum(parts, len(every) - MOST) for k, parts in enumerate(lines) if k == 0 or parts != lines[k - 1]]
    end = mark(total, True, marked)
    if shown[-1] != end:
        shown.append(end)
    if len(shown) > 2 and "matrix" not in shown[-2]:  # numbers and their sum stand on one line
        shown[-2:] = [f"{shown[-2]} = {shown[-1]}"]
    return f"{left} &= " + " \\\\\n&= ".join(shown)


def _sum(parts: Sequence[str], more: int) -> str:
    """Terms with plus signs; those that are wide or high below each other."""
    if more > 0:
        parts = [*parts, rf"\cdots \text{{ ({more} more)}}"]
    seen = sum(len(_COMMANDS.sub("", p)) for p in parts)
    return (" \\\\\n&\\quad + " if seen > WIDE or any("matrix" in p for p in parts) else " + ").join(parts)
