"""What the source calls the values of its expressions: ``h`` in ``h = f(x)``, ``self.h = ...``, ``a, h = ...``."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

# A name; or what each part of a tuple is called; or what the part by some key is; or nothing
Target = str | tuple["Target", ...] | dict[Any, "Target"]
Span = tuple[int, int, int, int]  # first and last line, first and last column, as code objects have them


def target(code: CodeType, instruction: int) -> Target:
    """What the value of an instruction is assigned to; empty if it is only a part of something, or nothing."""
    return _targets(code).get(instruction, "")


@lru_cache(1000)
def _targets(code: CodeType) -> dict[int, Target]:
    """By the offset of the instruction that gives the value."""
    spans = _spans(code.co_filename, "".join(linecache.getlines(code.co_filename)))
    if not spans:
        return {}
    found = {}
    for k, (first, last, start, end) in enumerate(code.co_positions()):
        if first is not None and last is not None and start is not None and end is not None:
            name = spans.get((first, last, start, end))
            if name:
                found[2 * k] = name
    return found


@lru_cache(100)
def _spans(file: str, source: str) -> dict[Span, Target]:
    """Every expression of a file that something is assigned to."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    return {span: name for node in ast.walk(tree) for span, name in _named(node)}


def _named(node: ast.AST) -> Iterator[tuple[Span, Target]]:
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        to = node.targets[0] if isinstance(node, ast.Assign) else node.target
        yield from _parts(_name(to), node.value)
    elif isinstance(node, ast.AugAssign):  # the operation stands for the whole statement
        yield _span(node), _name(node.target)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield from _parts(key.value, value)


def _parts(name: Target, value: ast.expr) -> Iterator[tuple[Span, Target]]:
    """An expression by its name, and the parts of a display or choice."""
    if isinstance(value, (ast.Tuple, ast.List)):
        names = name if isinstance(name, tuple) and len(name) == len(value.elts) else None
        for k, part in enumerate(value.elts):
            yield from _parts(names[k] if names else name, part)
    elif isinstance(value, (ast.ListComp, ast.GeneratorExp, ast.SetComp)):
        yield from _parts(name, value.elt)
    elif isinstance(value, ast.IfExp):
        yield from _parts(name, value.body)
        yield from _parts(name, value.orelse)
    elif name:
        yield _span(value), name
        if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
            yield _span(value.value), {value.slice.value: name}
        called = value.func if isinstance(value, ast.Call) else value
        if isinstance(called, ast.Attribute) and called.end_lineno != called.value.end_lineno:
            # Python has a method on a line of its own begin there
            start = (called.end_col_offset or 0) - len(called.attr)
            yield (called.end_lineno or 0, value.end_lineno or 0, start, value.end_col_offset or 0), name


def _span(node: ast.stmt | ast.expr) -> Span:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


def _name(to: ast.expr) -> Target:
    """``h`` of ``h``, ``self.h`` and ``cache["h"]``; ``hs`` of ``hs[i]``."""
    if isinstance(to, ast.Name):
        return to.id
    if isinstance(to, ast.Attribute):
        return to.attr
    if isinstance(to, (ast.Tuple, ast.List)):
        return tuple("" if isinstance(part, ast.Starred) else _name(part) for part in to.elts)
    if isinstance(to, ast.Subscript):
        key = to.slice.value if isinstance(to.slice, ast.Constant) else None
        return key if isinstance(key, str) else _name(to.value)
    return ""
