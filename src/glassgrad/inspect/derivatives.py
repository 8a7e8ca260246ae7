r"""Local derivatives as people write them, and what a gradient is multiplied by on its way to an input; in LaTeX.

Vectors are columns: of z = W a the gradients are ∂C/∂a = Wᵀ ∂C/∂z and ∂C/∂W = ∂C/∂z aᵀ. Between complex numbers the
local derivatives are conjugated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..graph.apply import Output
from ..graph.node import Constant, Node
from ..graph.primitive import Elementwise
from ..ops.control import Alias, Named
from . import formula

if TYPE_CHECKING:
    from .explanation import Explanation

# ∂y/∂input by input: a and b are the inputs, y the output. What follows an equals sign is the same, written out.
BY_INPUT = {
    "add": ("1", "1"),
    "sub": ("1", "-1"),
    "neg": ("-1",),
    "mul": ("{b}", "{a}"),
    "div": (r"\frac{{1}}{{{b}}}", r"-\frac{{{a}}}{{{b}^{{2}}}}"),
    "power": (r"{b} \cdot {a}^{{{less}}}", r"{y} \ln {a}"),
    "named": ("1",),
    "alias": ("1",),
    "cast": ("1",),
    "sum": ("1",),
    "exp": ("e^{{{a}}} = {y}",),
    "log": (r"\frac{{1}}{{{a}}}",),
    "log1p": (r"\frac{{1}}{{1+{a}}}",),
    "sqrt": (r"\frac{{1}}{{2 \sqrt{{{a}}}}} = \frac{{1}}{{2 \, {y}}}",),
    "sin": (r"\cos {a}",),
    "cos": (r"-\sin {a}",),
    "tan": ("1 + {y}^{{2}}",),
    "tanh": (r"\tanh'({a}) = 1 - {y}^{{2}}",),
    "sigmoid": (r"\sigma'({a}) = {y} \, (1 - {y})",),
    "relu": (r"\mathrm{{relu}}'({a}) = [{a} > 0]",),
    "abs": (r"\operatorname{{sign}} {a}",),
    "maximum": ("[{a} > {b}]", "[{b} > {a}]"),
    "minimum": ("[{a} < {b}]", "[{b} < {a}]"),
    "where": ("0", "[{a}]", r"[\lnot {a}]"),
    "logaddexp": (r"\sigma({a} - {b})", r"\sigma({b} - {a})"),
}
# How a gradient g is pulled back through a @ b, by the number of axes of a and b; t is g, to be transposed
PRODUCTS = {
    (2, 2): (r"{g} \, {b}^\top", r"{a}^\top {g}"),
    (2, 1): (r"{g} \, {b}^\top", r"{a}^\top {g}"),
    (1, 2): (r"{b} \, {g}", r"{a} \, {t}^\top"),
    (1, 1): (r"{g} \cdot {b}", r"{g} \cdot {a}"),
}
# The same element by element
ELEMENTS = {
    (2, 2): (("ij", "ik", "kj"), ("ij", "kj", "ik")),
    (2, 1): (("i", "ik", "k"), ("i", "k", "ik")),
    (1, 2): (("j", "k", "kj"), ("j", "kj", "k")),
    (1, 1): (("", "k", "k"), ("", "k", "k")),
}
ROWS, CELLS = 6, 16  # of a matrix that is written out


class Product(NamedTuple):
    """One term of a chain rule.

    Attributes
    ----------
    form : with places for factors
    factors : by place, a symbol and a value
    """

    form: str
    factors: dict[str, tuple[str, Any]]

    def symbols(self, marked: bool = False) -> str:
        return self.form.format(**{k: mark(symbol, k in "gt", marked) for k, (symbol, _) in self.factors.items()})

    def numbers(self, marked: bool = False) -> str:
        """Empty where a factor is not formed."""
        used = {place: value for place, (_, value) in self.factors.items() if "{" + place + "}" in self.form}
        if any(value is None for value in used.values()):
            return ""
        return self.form.format(**{k: mark(matrix(v, inside=True), k in "gt", marked) for k, v in used.items()})


def mark(text: str, gradient: bool, marked: bool) -> str:
    r"""A gradient as ``\G{}``, a value as ``\V{}``: macros that a viewer gives its colours."""
    return rf"\{'G' if gradient else 'V'}{{{text}}}" if marked else text


def local(explanation: Explanation, node: Node, position: int) -> str:
    """∂node/∂input in symbols; empty where nothing is written for the op.

    >>> import glassgrad as gg
    >>> def f(z):
    ...     return gg.numpy.exp(z)
    >>> e = gg.explain(f, 0.0)
    >>> local(e, e.output.node, 0)
    'e^{z} = \\\\mathrm{exp}'
    """
    names = [operand(explanation, x) for x in node.inputs]
    places = {"y": formula.symbol(explanation.names[node])} | dict(zip("abc", names, strict=False))
    if node.op.name == "matmul":
        return _indexed(names[1 - position], ELEMENTS[_axes(node)][position][2])
    if node.op.name == "power":
        b = node.inputs[1]
        known = b.op is Constant and b.shape == ()
        places["less"] = formula.number(b.value - 1) if known else f"{places['b']}-1"
        if position == 0 and places["less"] == "1":
            return r"{b} \, {a}".format(**places)
    if node.op.name == "sum" and node.shape != ():
        return ""
    written = BY_INPUT.get(node.op.name, ())
    return written[position].format(**places) if position < len(written) else ""


def equation(explanation: Explanation, node: Node, position: int) -> str:
    """∂node/∂input = its formula, as a whole; of matrix products for each element."""
    right = local(explanation, node, position)
    of, by = (formula.symbol(explanation.names[n]) for n in (node, node.inputs[position]))
    if right and node.op.name == "matmul":
        i, k, _ = ELEMENTS[_axes(node)][position]
        of, by = _indexed(of, i), _indexed(by, k)
    left = rf"\frac{{\partial {of}}}{{\partial {by}}}"
    return f"{left} = {right}" if right else left


def pulled(explanation: Explanation, user: Node, position: int, generic: bool = False) -> Product:
    """What the gradient of a node is multiplied by to give the gradient of one of its inputs.

    Parameters
    ----------
    generic : whether the local derivative is written as ∂user/∂input even if there is a formula for it
    """
    x, op = user.inputs[position], user.op
    g = partial("C", explanation.names[user])
    upstream = explanation.record.gradients.get(user)
    factors = {"g": (g, upstream), "t": (rf"\left({g}\right)", upstream)}
    conjugated = not isinstance(user.value, tuple) and np.iscomplexobj(user.value)
    bar = r"\overline{%s}" if conjugated else "%s"
    own = bar % partial(explanation.names[user], explanation.names[x])
    if op in (Named, Alias, Output):
        return Product("{g}", factors)
    if op.name == "matmul":
        names = [bar % operand(explanation, i) for i in user.inputs]
        values = [np.conj(i.value) if conjugated else i.value for i in user.inputs]
        factors |= dict(zip("ab", zip(names, values, strict=True), strict=True))
        form = PRODUCTS[_axes(user)][position]
        spread = len(x.shape) > 1 and x.shape[:-2] != user.shape[: len(user.shape) - 2]
        return Product(rf"\sum {form}" if spread else form, factors)
    if issubclass(op, Elementwise):
        symbol = "" if generic else local(explanation, user, position).partition(" = ")[0]
        number = count(user) == 1 == count(x)
        if symbol in ("1", "-1") and not number:
            form = symbol[:-1] + "{g}"
        else:
            if symbol.startswith("-") or " + " in symbol or " - " in symbol:
                symbol = rf"\left({symbol}\right)"
            known = not generic and _small(user)  # symbols alone need no value
            value = explanation.by_node[user].local[position] if known else np.broadcast_to(0, user.shape)
            factors["d"] = (bar % symbol if symbol else own, value)
            form = r"{g} \cdot {d}" if number else r"{d} \odot {g}"
        return Product(form if x.shape == user.shape or number else rf"\sum {form}", factors)
    if op.name == "sum":
        over = r" \times ".join(map(str, x.shape))
        whole = rf"{{g}} \cdot 1_{{{{{over}}}}}" if user.shape == () else r"\operatorname{{spread}} {t}"
        return Product("{g}" if x.shape == () else whole, factors)
    if op.name == "transpose" and len(x.shape) == 2:
        return Product(r"{t}^\top", factors)
    if op.name == "reshape":
        return Product(r"\operatorname{{reshape}} {t}", factors)
    sizes = count(user), count(x)
    known = 0 < sizes[0] * sizes[1] <= CELLS
    jacobian = np.reshape(explanation.by_node[user].local[position], sizes) if known else None
    if sizes == (1, 1):
        return Product(r"{g} \cdot {d}", factors | {"d": (own, jacobian)})
    return Product(r"{j}^\top {g}", factors | {"j": (rf"\left({own}\right)", jacobian)})


def partial(of: str, by: str) -> str:
    return rf"\frac{{\partial {formula.symbol(of)}}}{{\partial {formula.symbol(by)}}}"


def operand(explanation: Explanation, node: Node) -> str:
    """A node inside a formula: numbers as themselves."""
    if node.op is Constant and node.shape == ():
        return matrix(node.value, True)
    return formula.symbol(explanation.names[node])


def matrix(value: Any, inside: bool = False) -> str:
    """A number or small array as LaTeX, vectors as columns; of a large array its shape.

    Parameters
    ----------
    inside : whether other factors or terms stand around it, so that what is negative needs brackets

    >>> matrix(np.array([1.0, -2.5]))
    '\\\\begin{bmatrix} 1 \\\\\\\\ -2.5 \\\\end{bmatrix}'
    >>> matrix(-1e-9, inside=True), matrix(np.zeros((20, 3)))
    ('(-1 \\\\cdot 10^{-9})', '[20 \\\\times 3]')
    """
    if isinstance(value, tuple) or value is None:
        return rf"\text{{{formula.escaped(formula.number(value))}}}"
    array = np.asarray(value)
    if array.size == 1:
        shown = scientific(formula.scalar(array.item()))
        return f"({shown})" if inside and shown.startswith("-") else shown
    if not _small(array):
        return "[" + formula.size(array).replace("×", r" \times ") + "]"
    table = array[:, None] if array.ndim == 1 else array
    rows = [" & ".join([scientific(formula.scalar(v)) for v in row]) for row in table.tolist()]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


def scientific(text: str) -> str:
    """A number as LaTeX: with powers of ten, and infinity as a sign."""
    if text[-1].isdigit() and "e" not in text:
        return text
    base, e, power = text.partition("e")
    if e and power.lstrip("+-").isdigit():
        return rf"{base} \cdot 10^{{{int(power)}}}"
    if text.lstrip("-").isalpha():  # nan, inf, True
        return text.replace("inf", r"\infty") if "inf" in text else rf"\mathrm{{{text}}}"
    return text


def _small(array: Any) -> bool:
    return bool(0 < array.size <= CELLS and array.ndim <= 2 and max(array.shape, default=1) <= ROWS)


def count(node: Node) -> int:
    """How many numbers a node is; none, if it has several outputs."""
    return 0 if isinstance(node.value, tuple) else math.prod(node.shape)


def _axes(node: Node) -> tuple[int, int]:
    a, b = (min(len(x.shape), 2) for x in node.inputs)
    return a, b


def _indexed(symbol: str, index: str) -> str:
    """A symbol with its indices; in brackets, if it has some already."""
    if not index:
        return symbol
    return rf"({symbol})_{{{index}}}" if "_" in symbol else rf"{symbol}_{{{index}}}"
