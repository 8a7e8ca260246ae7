"""The chain rule of a node with the numbers it had, as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .derivatives import count, matrix, partial, pulled

if TYPE_CHECKING:
    from .explanation import ExplainedNode, Explanation

MOST = 6  # terms that are written


def latex(explanation: Explanation, nodes: Sequence[ExplainedNode]) -> str:
    r"""``\begin{aligned}`` with a few lines a node: the terms in symbols, then in numbers, then their sum.

    Between numbers the terms are products ∂C/∂user · ∂user/∂x; between arrays the Jacobian, transposed, times
    the gradient of the user: Wᵀ ∂C/∂z for a matrix product, σ'(z) ⊙ ∂C/∂a for an elementwise function.

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
    return "\\begin{aligned}\n" + " \\\\\n".join(_chain(explanation, n) for n in nodes) + "\n\\end{aligned}"


def _chain(explanation: Explanation, n: ExplainedNode) -> str:
    """Every line of one node."""
    left, total = partial("C", n.name), matrix(n.grad)
    terms = explanation.record.terms.get(n.node, [])
    more = len(terms) - MOST
    if not terms:
        return f"{left} &= {total}"
    terms = terms[:MOST]
    single = all(count(node) == 1 for node in (n.node, *(t.user for t in terms)))
    lines = [[pulled(explanation, t.user, t.position, generic=True).symbols for t in terms]] if single else []
    products = [pulled(explanation, t.user, t.position) for t in terms]
    given = [matrix(t.value, inside=True) for t in terms]
    lines += [[p.symbols for p in products], [p.numbers or value for p, value in zip(products, given, strict=True)]]
    if len(terms) > 1:
        lines.append(given)
    shown = [_sum(parts, more) for k, parts in enumerate(lines) if k == 0 or parts != lines[k - 1]]
    last = shown[-1]
    if last == total:
        end = ""
    elif "matrix" in last:
        end = rf" \\{chr(10)}&= {total}"
    else:
        end = f" = {total}"
    return f"{left} &= " + " \\\\\n&= ".join(shown) + end


def _sum(parts: Sequence[str], more: int) -> str:
    """Terms with plus signs, matrices below each other."""
    sign = " \\\\\n&\\quad + " if any("matrix" in p for p in parts) else " + "
    return sign.join([*parts, rf"\cdots \text{{ ({more} more)}}"] if more > 0 else parts)
