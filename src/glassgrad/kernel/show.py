"""Kernels and programs as text, for reading and as a key to what they compile to: nothing that matters is left out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .ir import (
    Accumulate,
    Atom,
    Branch,
    Buffer,
    Call,
    Check,
    Formal,
    Index,
    Kernel,
    Launch,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    Name,
    Position,
    Program,
    Region,
    Reset,
    Scalar,
    Statement,
    Step,
    Store,
    While,
)

FOLDS = {"add": "+=", "multiply": "*=", "maximum": "max=", "minimum": "min=", "and": "and=", "or": "or="}
INDENT = "  "
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def show_kernel(kernel: Kernel, name: str = "k0") -> str:
    """A kernel, one statement per line; ``b0``, ``b1`` … are its formals.

    >>> from glassgrad.kernel.ir import Affine
    >>> i = Affine(0, (("i", 8),))
    >>> body = (Let("x", "float32", Load(0, i)), Store(1, i, Name("x"), "add"))
    >>> print(show_kernel(Kernel((Formal("float32", 64),) * 2, (Loop("i", 8, "vector", body),))))
    kernel k0(b0: float32[64], b1: float32[64])
      vector i < 8:
        x: float32 = load b0[8 i]
        b1[8 i] += x
    """
    formals = ", ".join(f"{'local ' * f.local}b{n}: {_type(f)}" for n, f in enumerate(kernel.formals))
    return "\n".join([f"kernel {name}({formals})", *_indented(_statements(kernel.body, {}))])


def show(program: Program) -> str:
    """Buffers with their places, functions, failures, steps, kernels; ``m0``, ``m1`` … are the program's buffers."""
    lines = [f"program, arena of {program.arena} bytes"]
    lines += _indented(f"m{n}: {_type(b)} {_place(b)}" for n, b in enumerate(program.buffers))
    lines += _indented(f"function {n}: {_function(f)}" for n, f in enumerate(program.functions))
    lines += _indented(f"failure {n}: {text}" for n, text in enumerate(program.failures, 1))
    lines += _indented(_steps(program.steps))
    lines += [show_kernel(kernel, f"k{n}") for n, kernel in enumerate(program.kernels)]
    return "\n".join(lines)


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (INDENT + line for line in lines)


def _type(buffer: Buffer | Formal) -> str:
    return f"{buffer.dtype}[{buffer.size}]"


# Programs


def _place(buffer: Buffer) -> str:
    kind, number, start, stride, loop = buffer.place
    if kind == "slice":
        return f"slice of m{number} at byte {start}" + (f" + {stride} {loop}" if loop else "")
    return f"arena at byte {number}" if kind == "arena" else f"{kind} {number}"


def _function(function: Any) -> str:
    """What repr says, without addresses: they are others in each process."""
    return ADDRESS.sub("", repr(function))


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, Region):
            often = f", {step.loop} < {step.count}" if step.loop else ""
            yield f"{'short ' * step.short}region in {step.chunks}{' end to end' * step.separate}{often}:"
            yield from _indented(map(_launch, step.launches))
        elif isinstance(step, Call):
            often = f" every {step.every} rounds" if step.every > 1 else ""
            yield f"call {step.function}({_buffers(step.buffers)}){often}"
        elif isinstance(step, Branch):
            for number, arm in enumerate(step.arms):
                yield f"arm {number} of m{step.buffer}:"
                yield from _indented(_steps(arm))
        elif isinstance(step, While):
            yield f"while {step.loop}, m{step.buffer} after:"
            yield from _indented(_steps(step.test))
            yield "do:"
            yield from _indented(_steps(step.steps))
        else:
            yield f"repeat {step.loop} < {step.count}:"
            yield from _indented(_steps(step.steps))


def _launch(launch: Launch) -> str:
    return f"k{launch.kernel}({_buffers(launch.buffers)})"


def _buffers(numbers: Sequence[int]) -> str:
    return ", ".join(f"m{n}" for n in numbers)


# Statements. ``folds`` is how each accumulator so far is folded into.


def _statements(statements: Sequence[Statement], folds: dict[str, str]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, Reset):
            folds[statement.name] = FOLDS.get(statement.reducer, statement.reducer)
        yield LINES[type(statement)](statement, folds)
        if isinstance(statement, (Loop, MatMul)):
            yield from _indented(_statements(statement.body, folds))


def _let(let: Let, folds: dict[str, str]) -> str:
    return f"{let.name}: {let.dtype} = {VALUES[type(let.value)](let.value)}"


def _reset(reset: Reset, folds: dict[str, str]) -> str:
    return f"reset {reset.name}: {reset.reducer} {reset.dtype}"


def _accumulate(statement: Accumulate, folds: dict[str, str]) -> str:
    return f"{statement.name} {folds.get(statement.name, '?=')} {_atom(statement.value)}"


def _store(store: Store, folds: dict[str, str]) -> str:
    fold = "=" if store.reducer is None else FOLDS.get(store.reducer, store.reducer)
    return f"b{store.buffer}[{_index(store.index)}] {fold} {_atom(store.value)}{_mask(store.mask)}"


def _check(check: Check, folds: dict[str, str]) -> str:
    return f"check {check.condition.id} else {check.code}"


def _loop(loop: Loop, folds: dict[str, str]) -> str:
    return f"{loop.kind} {loop.axis} < {loop.extent}:"


def _matmul(product: MatMul, folds: dict[str, str]) -> str:
    rows, columns, inner = (f"{axis} < {extent}" for axis, extent in (product.rows, product.columns, product.inner))
    factors = f"{_load(product.a)} times {_load(product.b)}"
    return f"matmul {rows}, {columns}: {product.name}: {product.dtype} = sum {inner} of {factors}:"


LINES: Mapping[type, Callable[[Any, dict[str, str]], str]] = {
    Let: _let,
    Reset: _reset,
    Accumulate: _accumulate,
    Store: _store,
    Check: _check,
    Loop: _loop,
    MatMul: _matmul,
}


# Values


def _load(load: Load) -> str:
    return f"load b{load.buffer}[{_index(load.index)}]{_mask(load.mask)}"


def _mask(mask: Name | None) -> str:
    return "" if mask is None else f" where {mask.id}"


def _scalar(scalar: Scalar) -> str:
    return " ".join([scalar.instruction, ", ".join(map(_atom, scalar.args))])


def _position(position: Position) -> str:
    return f"position {_index(position.index)}"


VALUES: Mapping[type, Callable[[Any], str]] = {Load: _load, Scalar: _scalar, Position: _position}


def _atom(atom: Atom) -> str:
    # repr gives back every bit of a float.
    return f"{atom.dtype}({atom.value!r})" if isinstance(atom, Literal) else atom.id


def _index(index: Index) -> str:
    """8 i - j + 3

    >>> from glassgrad.kernel.ir import Affine
    >>> _index(Affine(-1, (("i", 8), ("j", -1)))), _index(Affine(0, ())), _index(Name("p"))
    ('8 i - j - 1', '0', 'p')
    """
    if isinstance(index, Name):
        return index.id
    terms = [(c, f"{abs(c)} {axis}" if abs(c) != 1 else axis) for axis, c in index.terms]
    if index.offset or not terms:
        terms.append((index.offset, str(abs(index.offset))))
    (first, text), *rest = terms
    return ("-" if first < 0 else "") + text + "".join(f" {'-' if c < 0 else '+'} {part}" for c, part in rest)
