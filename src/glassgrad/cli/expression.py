"""The language of ``glassgrad explain``: expressions and assignments over arrays, checked before they are run.

What is not in the tables here is refused with its column: no imports, no attributes but those of arrays, no names but
functions of ``glassgrad.numpy`` and its relatives. What remains is compiled as Python, so that lines, names and errors
are those of any other function.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import linecache
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, NoReturn

from .options import UsageError

FILE = "<expression>"
SYNTAX = (
    *(ast.Constant, ast.Name, ast.Attribute, ast.Subscript, ast.Slice, ast.Tuple, ast.List, ast.Starred),
    *(ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.keyword),
    *(ast.Module, ast.Expression, ast.Expr, ast.Assign, ast.AugAssign),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop, ast.expr_context),
)
STATEMENTS = (ast.Expr, ast.Assign, ast.AugAssign)
CONSTANTS = (
    *("pi", "e", "inf", "nan", "newaxis", "euler_gamma", "float32", "float64", "int32", "int64", "complex64"),
    *("complex128", "bool"),
)
METHODS = (
    *("T", "mT", "real", "imag", "shape", "ndim", "size", "dtype", "at", "set", "add", "multiply", "divide", "power"),
    *("min", "max", "sum", "mean", "prod", "std", "var", "cumsum", "cumprod", "reshape", "ravel", "flatten", "squeeze"),
    *("transpose", "swapaxes", "dot", "trace", "diagonal", "clip", "round", "conj", "astype", "any", "all", "argmax"),
    *("argmin", "sort", "argsort", "take", "repeat", "ptp"),
)
SHOWN = 24  # characters of an expression in an error
LARGEST = 1024  # bits of a whole number that is a power; floating numbers have no more


@cache
def namespaces() -> Mapping[str, types.SimpleNamespace]:
    """The modules that an expression may name, each with the functions it may call."""
    from .. import nn, special
    from .. import numpy as gnp
    from ..numpy import linalg
    from ..ops.control import name, stop_gradient

    own = {k: v for k, v in vars(gnp).items() if not k.startswith("_") and inspect.isroutine(v)}
    array = types.SimpleNamespace(
        **{k: v for k, v in own.items() if v.__module__.startswith("glassgrad.")},
        **{k: getattr(gnp, k) for k in CONSTANTS},
        linalg=types.SimpleNamespace(**{k: getattr(linalg, k) for k in linalg.__all__}),
    )
    layers = {k: getattr(nn, k) for k in nn.__all__}
    activations = {
        k: v for k, v in layers.items() if inspect.isroutine(v) and v.__module__.startswith("glassgrad.ops.")
    }
    return {
        "np": array,
        "gnp": array,
        "linalg": array.linalg,
        "special": types.SimpleNamespace(**{k: getattr(special, k) for k in special.__all__}),
        "nn": types.SimpleNamespace(**activations),
        "gg": types.SimpleNamespace(stop_gradient=stop_gradient, name=name),
    }


@cache
def known() -> Mapping[str, Any]:
    """Every name with a meaning of its own: functions without their module, of the first module that has one."""
    spaces = namespaces()
    found: dict[str, Any] = {**spaces, "len": len}
    for space in ("gg", "nn", "np", "special", "linalg"):
        found |= {k: v for k, v in vars(spaces[space]).items() if k not in found}
    return found


def reads(text: str) -> list[str]:
    """The names that an expression reads before it assigns to them, in order of appearance.

    >>> reads("h = tanh(W @ x); sum(h * h)")
    ['tanh', 'W', 'x', 'sum']
    """
    return _reads(_checked(text, known()))


def function(text: str, given: Iterable[str]) -> Callable[..., Any]:
    """An expression as a function of the names given; several statements are separated by ``;``.

    >>> f = function("h = x * x; h + 1", ["x"])
    >>> f(3.0)
    10.0
    >>> function("x.__class__", ["x"])
    Traceback (most recent call last):
    ...
    glassgrad.cli.options.UsageError: explain: column 1, 'x.__class__': no attribute of arrays ...

    Raises
    ------
    UsageError
        A construct, name or attribute that the language has not; the column is named.
    """
    # A line for each statement, so that each value has its own
    lines = [ast.unparse(s) if s.lineno != s.end_lineno else _segment(text, s) for s in _checked(text, known()).body]
    source = "\n".join(lines)
    body = ast.parse(source).body
    last = body[-1]
    if isinstance(last, ast.Expr):
        body[-1] = ast.copy_location(ast.Return(last.value), last)
    else:
        (target,) = last.targets if isinstance(last, ast.Assign) else [last.target]  # type: ignore[attr-defined]
        body.append(ast.copy_location(ast.Return(ast.parse(ast.unparse(target), mode="eval").body), last))
    definition = ast.parse(f"def expression({', '.join(given)}): pass").body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.body = body
    code = compile(ast.fix_missing_locations(_Powers().visit(ast.Module([definition], []))), FILE, "exec")
    linecache.cache[FILE] = (len(source), None, [line + "\n" for line in lines], FILE)
    space: dict[str, Any] = {**known(), **_POWERS, "__builtins__": {}}
    exec(code, space)  # checked above, node by node
    made: Callable[..., Any] = space["expression"]
    return made


def value(text: str, names: Mapping[str, Any]) -> Any:
    """What an expression without free names is, with some names more than an expression has; dicts are allowed too.

    >>> value("{'W': [[1, two]]}", {"two": 2})
    {'W': [[1, 2]]}
    """
    words = {**known(), **names}
    tree = _checked(text, words, (*SYNTAX, ast.Dict))
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Expr):
        raise UsageError(f"explain: got {text!r:.60}, expected one value")
    for name in _reads(tree):
        if name not in words:
            raise UsageError(f"explain: {name!r} has no value: got {text!r:.60}, expected numbers{_meant(name, words)}")
    powers = ast.fix_missing_locations(_Powers().visit(ast.Expression(tree.body[0].value)))
    return eval(compile(powers, FILE, "eval"), {**words, **_POWERS, "__builtins__": {}})  # checked above, node by node


class _Powers(ast.NodeTransformer):
    """Operators that could take all time and memory there is, by calls of what refuses that."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        name = f"__{type(node.op).__name__}"
        if name not in _POWERS:
            return node
        return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), [node.left, node.right], []), node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if f"__{type(node.op).__name__}" not in _POWERS or not isinstance(node.target, ast.Name):
            return node
        value = ast.copy_location(ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value), node)
        return ast.copy_location(ast.Assign([node.target], self.visit(value)), node)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int):
        _require_bits("power", abs(base).bit_length() * exponent if abs(base) > 1 else 0)
    return base**exponent


def _shifted(base: Any, by: Any) -> Any:
    if isinstance(base, int) and isinstance(by, int):
        _require_bits("<<", base.bit_length() + by)
    return base << by


def _require_bits(operator: str, bits: int) -> None:
    if bits > LARGEST + 64:
        raise UsageError(
            f"explain: {operator} of whole numbers is too large: got about {float(min(bits, 10**300)):.1g} bits, "
            f"expected at most {LARGEST}, as floating numbers have; write the numbers with a point, 9.0"
        )


_POWERS = {"__Pow": _power, "__LShift": _shifted}  # no name of the user's begins so


def _checked(text: str, words: Mapping[str, Any], allowed: tuple[type[ast.AST], ...] = SYNTAX) -> ast.Module:
    """The expression as a tree, with nothing in it but what the tables have."""
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError) as error:
        column = f"column {error.offset}: " if isinstance(error, SyntaxError) and error.offset else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise UsageError(f"explain: {column}{reason}: got {text!r:.60}, expected an expression") from None
    except RecursionError:
        raise UsageError("explain: the expression is nested too deeply; name parts of it, a = ...; b = ...") from None
    if not tree.body:
        raise UsageError("explain: the expression is empty; write one, such as 'sum((w * x - y)**2)'")
    for node in ast.walk(tree):
        if not isinstance(node, allowed):
            _refuse(text, node, "not part of an expression: expected numbers, names, operators, calls, name = value")
        if isinstance(node, ast.Attribute):
            _check_attribute(text, node)
        if isinstance(node, ast.Name) and node.id.startswith("__"):
            _refuse(text, node, "no such name")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in words:
            _refuse(text, node.func, "no such function", _meant(node.func.id, words))
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [n for t in targets for n in ast.walk(t)]
            if len(targets) > 1 or not all(isinstance(n, (ast.Name, ast.Tuple, ast.expr_context)) for n in parts):
                _refuse(text, node, "one name is assigned to at a time; for an element write x = x.at[0].set(2.0)")
    for statement in tree.body:
        if not isinstance(statement, STATEMENTS):
            _refuse(text, statement, "not an expression or an assignment")
    return tree


def _check_attribute(text: str, node: ast.Attribute) -> None:
    """Refuse what is neither a function of a module nor a method of arrays."""
    space = _space(node.value)
    words = METHODS if space is None else vars(space)
    if node.attr not in words:
        what = "no attribute of arrays that may be used here" if space is None else "no such function"
        _refuse(text, node, what, _meant(node.attr, words))


def _space(node: ast.AST) -> types.SimpleNamespace | None:
    """The module that an expression such as ``np.linalg`` stands for."""
    if isinstance(node, ast.Name):
        return namespaces().get(node.id)
    inner = _space(node.value) if isinstance(node, ast.Attribute) else None
    found = getattr(inner, node.attr, None) if inner is not None and isinstance(node, ast.Attribute) else None
    return found if isinstance(found, types.SimpleNamespace) else None


def _reads(tree: ast.Module) -> list[str]:
    found: dict[str, None] = {}
    bound: set[str] = set()
    for statement in tree.body:
        names = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
        names.sort(key=lambda n: (n.lineno, n.col_offset))
        read = [n.id for n in names if isinstance(n.ctx, ast.Load) or isinstance(statement, ast.AugAssign)]
        found |= dict.fromkeys(n for n in read if n not in bound)
        bound |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return list(found)


def _meant(name: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(words), 3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _segment(text: str, node: ast.AST) -> str:
    return ast.get_source_segment(text.strip(), node) or ast.unparse(node)


def _refuse(text: str, node: ast.AST, why: str, hint: str = "") -> NoReturn:
    line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    lines = text.strip().splitlines()
    column = len(lines[line - 1].encode()[:offset].decode(errors="replace")) + 1
    place = f"column {column}" if len(lines) == 1 else f"line {line}, column {column}"
    part = _segment(text, node) if hasattr(node, "lineno") else type(node).__name__
    shown = part if len(part) <= SHOWN else part[: SHOWN - 1] + "…"
    raise UsageError(f"explain: {place}, {shown!r}: {why}{hint}")
