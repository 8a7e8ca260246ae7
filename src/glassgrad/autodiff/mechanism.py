"""Why an operation or its derivative was not finite, in words, from the numbers it was given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Why(NamedTuple):
    """What happened, and what to do about it."""

    mechanism: str
    remedy: str = ""


def number(x: Any) -> str:
    """A number as it stands in an explanation."""
    x = np.asarray(x)[()]
    if np.ndim(x):
        return f"array of shape {np.shape(x)}"
    return f"{complex(x):.6g}" if np.iscomplexobj(x) else f"{float(x):.6g}"


WRITTEN = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} · {1}",
    "div": "{0} / {1}",
    "power": "{0} ** {1}",
    "neg": "-{0}",
}

# A local derivative as a formula of the operands, for those that have poles.
DERIVATIVES: dict[str, tuple[str, ...]] = {
    "sqrt": ("1/(2·sqrt(x))",),
    "cbrt": ("1/(3·cbrt(x)²)",),
    "log": ("1/x",),
    "log2": ("1/(x·ln 2)",),
    "log10": ("1/(x·ln 10)",),
    "log1p": ("1/(1 + x)",),
    "div": ("1/b", "-a/b²"),
    "power": ("b·a^(b-1)", "a^b·ln a"),
    "arctan2": ("b/(a² + b²)", "-a/(a² + b²)"),
    "hypot": ("a/hypot(a, b)", "b/hypot(a, b)"),
    "arcsin": ("1/sqrt(1 - x²)",),
    "arccos": ("-1/sqrt(1 - x²)",),
    "arccosh": ("1/sqrt(x² - 1)",),
    "arctanh": ("1/(1 - x²)",),
    "erfinv": ("exp(y²)·sqrt(π)/2",),
    "exp": ("exp(x)",),
    "mul": ("b", "a"),
}

_SAFE_INPUT = "choose a safe operand before the op, {0}(where(mask, x, 1)), not only where(mask, ...) after it"
REMEDIES = {
    "power": "choose a safe base before the op, where(mask, x, 1) ** b, not only where(mask, ...) after it",
    "arctan2": "give it a point away from the origin: arctan2(where(mask, y, 0), where(mask, x, 1))",
    "exp": "subtract the largest element first, or use sigmoid, softplus or logsumexp",
}

_Rule = tuple[Callable[..., bool], str, str]
_is = np.isposinf, np.isneginf


def _opposite(a: Any, b: Any) -> bool:
    return bool(np.isinf(a) and np.isinf(b) and a == -b)


def _pole(x: Any) -> bool:
    return bool(x <= 0 and x == np.floor(x))


# Per op: when, what happened, what to do. The first that holds.
FORWARD: dict[str, tuple[_Rule, ...]] = {
    "log": (
        (lambda x: x == 0, "logarithm of 0", "log(x) needs x > 0: log(where(x > 0, x, 1)), or log(x + tiny)"),
        (lambda x: x < 0, "logarithm of a negative number", "log(x) needs x > 0"),
    ),
    "log1p": (
        (lambda x: x == -1, "logarithm of 0", "log1p(x) needs x > -1"),
        (lambda x: x < -1, "logarithm of a negative number", "log1p(x) needs x > -1"),
    ),
    "sqrt": ((lambda x: x < 0, "square root of a negative number", "sqrt(where(x > 0, x, 1)), then where"),),
    "div": (
        (lambda a, b: a == 0 and b == 0, "0/0", "divide by where(b == 0, 1, b)"),
        (lambda a, b: b == 0, "division by 0", "divide by where(b == 0, 1, b)"),
        (lambda a, b: np.isinf(a) and np.isinf(b), "inf/inf", "take the largest element out before exp"),
    ),
    "power": (
        (lambda a, b: a == 0 and b < 0, "division by 0: 0 to a negative power", "where(a == 0, 1, a) ** b"),
        (lambda a, b: a < 0 and b != np.floor(b), "a negative number to a fractional power", "abs(a) ** b"),
    ),
    "mul": ((lambda a, b: 0 in (a, b), "0·inf", ""),),
    "add": ((_opposite, "inf - inf", ""),),
    "sub": ((lambda a, b: _opposite(a, -b), "inf - inf", ""),),
    "exp": ((lambda x: x > 0, "overflow of exp", "subtract the largest element first, as softmax and logsumexp do"),),
    "expm1": ((lambda x: x > 0, "overflow of exp", "subtract the largest element first"),),
    "arctanh": (
        (lambda x: abs(x) == 1, "arctanh of ±1 is infinite", "clip x inside (-1, 1)"),
        (lambda x: abs(x) > 1, "arctanh outside of (-1, 1)", "clip x inside (-1, 1)"),
    ),
    "erfinv": (
        (lambda x: abs(x) == 1, "erfinv of ±1 is infinite", "clip x inside (-1, 1)"),
        (lambda x: abs(x) > 1, "erfinv outside of (-1, 1)", "clip x inside (-1, 1)"),
    ),
    "lgamma": ((_pole, "a pole of the gamma function", "lgamma(x) needs x > 0"),),
    "digamma": ((_pole, "a pole of the gamma function", "digamma(x) needs x > 0"),),
    "sinh": ((lambda x: bool(np.isfinite(x)), "overflow of exp", ""),),
    "cosh": ((lambda x: bool(np.isfinite(x)), "overflow of exp", ""),),
    "mod": ((lambda a, b: b == 0, "remainder of a division by 0", "divide by where(b == 0, 1, b)"),),
    "floor_div": ((lambda a, b: b == 0, "division by 0", "divide by where(b == 0, 1, b)"),),
    "arcsin": ((lambda x: abs(x) > 1, "arcsin outside of [-1, 1]", "clip x to [-1, 1]"),),
    "arccos": ((lambda x: abs(x) > 1, "arccos outside of [-1, 1]", "clip x to [-1, 1]"),),
    "arccosh": ((lambda x: x < 1, "arccosh below 1", "clip x from below at 1"),),
}
FORWARD |= {"log2": FORWARD["log"], "log10": FORWARD["log"], "exp2": FORWARD["exp"]}


def call(op: str, operands: Sequence[Any]) -> str:
    """An op on its operands, as text."""
    texts = [number(x) for x in operands]
    if op == "power" and texts[0].startswith("-"):
        texts[0] = f"({texts[0]})"
    return WRITTEN[op].format(*texts) if op in WRITTEN else f"{op}({', '.join(texts)})"


def forward(op: str, operands: Sequence[Any], value: Any, elementwise: bool) -> Why:
    """Why an op gave a value that is not finite."""
    shown = f"{call(op, operands)} = {number(value)}"
    if elementwise and not any(np.iscomplexobj(x) for x in operands):
        for holds, words, remedy in FORWARD.get(op, ()):
            if bool(holds(*operands)):
                return Why(f"{words}: {shown}", remedy)
    finite = all(bool(np.all(np.isfinite(x))) for x in operands)
    if np.isnan(value):
        return Why(f"undefined: {shown}" if finite else f"operands that are not finite: {shown}")
    return Why(f"overflow of {np.asarray(value).dtype}: {shown}" if finite else f"not finite: {shown}")


def backward(op: str, position: int, operands: Sequence[Any], g: Any, local: Any, mask: str) -> Why:
    """Why a cotangent times the local derivative of an elementwise op was not finite."""
    inside = ", ".join(number(x) for x in operands)
    formula = DERIVATIVES.get(op, ())
    written = f" = {formula[position]}" if position < len(formula) else ""
    name = f"{op}'({inside})" if len(operands) == 1 else f"∂{op}/∂{'ab'[position]} at ({inside})"
    remedy = _remedy(op, bool(mask))
    if np.isnan(local):
        kind = "0/0" if all(np.all(np.asarray(x) == 0) for x in operands) else "undefined"
        return Why(f"{kind}: {name}{written} is {number(local)}", remedy)
    if np.isinf(local):
        if g == 0:
            under = f" under {mask}" if mask else ""
            return Why(f"0·inf: {name}{under}: the cotangent 0 times {name}{written} = {number(local)}", remedy)
        return Why(f"1/0: {name}{written} = {number(local)}", remedy)
    return Why(f"overflow: the cotangent {number(g)} times {name}{written} = {number(local)}")


def _remedy(op: str, masked: bool) -> str:
    if op == "sqrt" and not masked:
        return "for a norm use linalg.norm, whose gradient at 0 is 0; else add a tiny number inside"
    return REMEDIES.get(op, _SAFE_INPUT.format(op) if op in DERIVATIVES else "")


@dataclass(frozen=True)
class NanOrigin:
    """The first op that made a NaN or inf.

    Attributes
    ----------
    op : its name
    direction : "forward", or "backward" where its derivative did
    line, source : "file.py:12" and the text of that line
    scope : names of the enclosing ``gg.scope`` blocks
    element : index of the first such element in the op's value, or backward in what it gave to its input
    operands : the numbers it was computed from there; whole arrays where the op is not elementwise
    cotangent : what its derivative was multiplied by there; None forward
    value : what came out
    mechanism, remedy : what happened in words, and what to do about it
    then : how an infinity became NaN later, if it did
    """

    op: str
    direction: str
    line: str
    source: str
    scope: str
    element: tuple[int, ...]
    operands: tuple[Any, ...]
    cotangent: Any
    value: Any
    mechanism: str
    remedy: str = ""
    then: str = ""

    def __str__(self) -> str:
        what = "the derivative of " if self.direction == "backward" else ""
        made = "was given" if self.mechanism.startswith("given") else "made"
        place = f" in {self.scope}" if self.scope else ""
        lines = [
            f"{self.op}: {what}{self.op} {made} {number(self.value)} at {self.line or 'an unknown line'}{place}"
            + (f", element {self.element}" if self.element else ""),
            f"  {self.source}" if self.source else "",
            f"  {self.mechanism}",
            f"  {self.then}" if self.then else "",
            f"  fix: {self.remedy}" if self.remedy else "",
        ]
        return "\n".join(line for line in lines if line)
