"""Ops and numbers as people write them: in text and in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..graph.apply import Output
from ..graph.node import LEAVES, Constant, Node
from ..ops.control import Alias, Named
from ..ops.indexing import Gather

# How an op is written around its inputs: in text, in LaTeX. What is not here is op(x, y).
WRITTEN = {
    "add": ("{0} + {1}", "{0} + {1}"),
    "sub": ("{0} - {1}", "{0} - {1}"),
    "mul": ("{0} · {1}", r"{0} \cdot {1}"),
    "div": ("{0} / {1}", r"\frac{{{0}}}{{{1}}}"),
    "power": ("{0} ** {1}", "{{{0}}}^{{{1}}}"),
    "neg": ("-{0}", "-{0}"),
    "matmul": ("{0} @ {1}", r"{0} \, {1}"),
    "exp": ("exp({0})", "e^{{{0}}}"),
    "log": ("log({0})", r"\ln {0}"),
    "sqrt": ("sqrt({0})", r"\sqrt{{{0}}}"),
    "sigmoid": ("σ({0})", r"\sigma({0})"),
    "tanh": ("tanh({0})", r"\tanh {0}"),
    "sin": ("sin({0})", r"\sin {0}"),
    "cos": ("cos({0})", r"\cos {0}"),
    "relu": ("relu({0})", r"\max(0, {0})"),
    "abs": ("|{0}|", r"\left|{0}\right|"),
    "sum": ("sum({0})", r"\sum {0}"),
    "greater": ("{0} > {1}", "{0} > {1}"),
    "less": ("{0} < {1}", "{0} < {1}"),
    "greater_equal": ("{0} >= {1}", r"{0} \ge {1}"),
    "less_equal": ("{0} <= {1}", r"{0} \le {1}"),
    "equal": ("{0} == {1}", "{0} = {1}"),
}
SHOWN = frozenset(("axis", "shape", "subscripts", "axes", "dtype"))  # parameters worth a place in a formula
LONGEST = 40  # characters of a name in LaTeX
_PLAIN = re.compile(r"[A-Za-z0-9/._#]+").fullmatch  # what mathematics sets as it stands
FEW = 4  # elements of an array that are written out


def text(node: Node, names: Sequence[str]) -> str:
    """An op on the names of its inputs, as text.

    >>> import glassgrad as gg
    >>> x = gg.variable(2.0)
    >>> text(x * 3.0, ["x", "3"])
    'x · 3'
    """
    if node.op is Constant:
        return number(node.value)
    if node.op in LEAVES:
        return str(node.op.name)
    if node.op in (Named, Alias, Output):
        return names[0]
    form = WRITTEN.get(node.op.name)
    if form is not None:
        return form[0].format(*names)
    if node.op is Gather:
        of = f"({names[0]})" if " " in names[0] else names[0]
        return f"{of}[{', '.join(_index(node, names, '…'))}]"
    shown = [f"{k}={v}" for k, v in node.params.items() if k in SHOWN and isinstance(v, (int, str, tuple)) and v != ()]
    return f"{node.op.name}({', '.join([*names, *shown])})"


def latex(node: Node, names: Sequence[str]) -> str:
    """An op on the symbols of its inputs, as LaTeX."""
    if node.op is Constant:
        return number(node.value)
    if node.op in (Named, Alias, Output):
        return names[0]
    form = WRITTEN.get(node.op.name)
    if form is not None:
        return form[1].format(*names)
    if node.op is Gather:
        parts = {"...": r"\ldots", "None": r"\mathrm{None}"}
        return f"{names[0]}[{', '.join(parts.get(p, p) for p in _index(node, names, parts['...']))}]"
    return rf"\operatorname{{{escaped(node.op.name)}}}({', '.join(names)})"


def _index(node: Node, names: Sequence[str], many: str) -> Iterator[str]:
    """The entries of an index; ``many`` for arrays without a name."""
    for entry in node.params["index"]:
        if not isinstance(entry, tuple):
            yield "..." if entry is Ellipsis else str(entry)
        elif entry[0] == "slice":
            start, stop, step = ("" if v is None else str(v) for v in entry[1:])
            yield f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
        else:
            array = node.inputs[entry[1] + 1]
            yield many if array.op is Constant and array.shape else names[entry[1] + 1]


_SPECIAL = {"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}


def escaped(name: str) -> str:
    """A name inside LaTeX's text; marks that turn the direction of writing and the like are left out."""
    return "".join("\\" + c if c in "#$%&_{}" else _SPECIAL.get(c, c) for c in name if c.isprintable())


@lru_cache(10_000)
def symbol(name: str) -> str:
    """A name as a LaTeX symbol: one letter and what follows it below, or upright text.

    >>> symbol("W1"), symbol("hidden/z")
    ('W_{1}', '\\\\mathrm{hidden/z}')
    """
    if len(name) == 1 and name.isalpha():
        return name
    if name[:1].isalpha() and name[1:].isdigit() and len(name) <= LONGEST:
        return f"{name[0]}_{{{name[1:]}}}"
    shown = name if len(name) <= LONGEST else f"{name[: LONGEST // 2]}…{name[-LONGEST // 2 :]}"
    return rf"\{'mathrm' if _PLAIN(shown) else 'text'}{{{escaped(shown)}}}"


def number(value: Any, digits: int = 4) -> str:
    """A number, a small array written out, or what is to be known of a large one.

    >>> number(0.1 + 0.2), number(np.array([1.0, 2.5])), number(np.zeros((10, 3)))
    ('0.3', '[1, 2.5]', '[10×3] mean 0, std 0')
    """
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return "(" + ", ".join(number(v, digits) for v in value) + ")"
    array = np.asarray(value)
    if array.ndim == 0:
        return scalar(array.item(), digits)
    if array.size <= FEW:
        return _written(array.tolist(), digits)
    size = "×".join(map(str, array.shape))
    if array.dtype.kind not in "fiu":
        return f"[{size}] {array.dtype}"
    mean, std = spread(array)
    return f"[{size}] mean {scalar(mean, digits)}, std {scalar(std, digits)}"


def spread(array: Any) -> tuple[Any, Any]:
    """Mean and standard deviation, in float64."""
    flat = np.ravel(array).astype(np.float64)
    with np.errstate(all="ignore"):
        mean = flat.sum() / flat.size
        away = flat - mean
        return mean, np.sqrt(np.dot(away, away) / flat.size)


def _written(rows: Any, digits: int) -> str:
    if not isinstance(rows, list):
        return scalar(rows, digits)
    return "[" + ", ".join([_written(row, digits) for row in rows]) + "]"


def scalar(value: Any, digits: int = 4) -> str:
    """One number, as ``ndarray.item`` gives it."""
    if isinstance(value, (float, complex, np.floating)):
        shown = f"{value:.{digits}g}"
        return "0" if shown == "-0" else shown
    return str(value)


def size(value: Any) -> str:
    """The shape of a value, as 3×4; empty for one number."""
    return "×".join(map(str, np.shape(value))) if not isinstance(value, tuple) else f"{len(value)} values"
