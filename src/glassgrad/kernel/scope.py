"""What must hold of every kernel, between any two passes.

The strong checks are that no affine index leaves its buffer, and that iterations which may go in any order do not write
the same element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, NoReturn

from ..errors import GlassgradError
from .index import coefficient, limits
from .instructions import DTYPES, INSTRUCTIONS, REDUCERS
from .ir import (
    Accumulate,
    Affine,
    Atom,
    Buffer,
    Check,
    Formal,
    Index,
    Kernel,
    Let,
    Literal,
    Load,
    Loop,
    MatMul,
    Name,
    Position,
    Reset,
    Scalar,
    Statement,
    Store,
)

LOOPS = ("parallel", "serial", "vector")


class KernelError(GlassgradError, AssertionError):
    """A kernel or a program breaks an invariant: a mistake in Glassgrad, not in the user's program."""


def verify_kernel(kernel: Kernel, number: int = 0, codes: int | None = None) -> None:
    """Check a kernel; ``number`` is what an error calls it, and ``codes`` how many codes its Checks may use.

    Raises
    ------
    KernelError
        Names the statement, the loops around it and what is wrong.

    >>> i = Affine(0, (("i", 1),))
    >>> body = (Let("x", "float32", Load(0, i)), Store(1, i, Name("x")))
    >>> verify_kernel(Kernel((Formal("float32", 8), Formal("float32", 7)), (Loop("i", 8, "vector", body),)))
    Traceback (most recent call last):
    glassgrad.kernel.scope.KernelError: verify: kernel 0, loop i, store to buffer 1: elements 0 … 7 of 7
    """
    scope = _Scope(kernel, where=(f"kernel {number}",), codes=codes)
    for place, formal in enumerate(kernel.formals):
        scope.dtype(formal.dtype)
        scope.demand(formal.size >= 0, f"buffer {place} has size {formal.size}")
    scope.demand(bool(kernel.body), "the body is empty")
    scope.statements(kernel.body)
    for place, use in enumerate(uses(kernel)):
        if kernel.formals[place].local:
            scope.demand(not use.read_first, f"local buffer {place} is read before it is written")


class Use(NamedTuple):
    """What a kernel does with a buffer; ``read_first``: it reads before it writes, as far as statements show."""

    read: bool
    written: bool
    read_first: bool


def uses(kernel: Kernel) -> list[Use]:
    """The use of each formal."""
    found = [Use(False, False, False)] * len(kernel.formals)
    for buffer, writes in _accesses(kernel.body):
        use = found[buffer]
        found[buffer] = use._replace(written=True) if writes else use._replace(
            read=True, read_first=use.read_first or not use.written
        )
    return found


def _accesses(statements: Sequence[Statement]) -> Iterator[tuple[int, bool]]:
    """(buffer, whether it is written), in the order of the text."""
    for s in statements:
        if isinstance(s, Let) and isinstance(s.value, Load):
            yield s.value.buffer, False
        elif isinstance(s, Store):
            if s.reducer is not None:
                yield s.buffer, False
            yield s.buffer, True
        elif isinstance(s, MatMul):
            yield from ((s.a.buffer, False), (s.b.buffer, False))
        if isinstance(s, (Loop, MatMul)):
            yield from _accesses(s.body)


def folded(statements: Sequence[Statement]) -> set[str]:
    """The accumulators that are folded into, in inner loops too, and begun elsewhere."""
    found: set[str] = set()
    for s in statements:
        if isinstance(s, Accumulate):
            found.add(s.name)
        elif isinstance(s, (Loop, MatMul)):
            found |= folded(s.body)
    return found - {s.name for s in statements if isinstance(s, Reset)}


class _Axis(NamedTuple):
    extent: int
    kind: str  # of its loop; the rows and columns of a product are vector, its rows parallel where it is the kernel


@dataclass
class _Scope:
    """What is known at one place of a kernel.

    Attributes
    ----------
    where : the way there, for messages
    codes : how many there are for Checks, if that is known
    axes : of the loops around
    values : dtype of each name that is visible
    accumulators : reducers of those names that are accumulators
    folding : accumulators that a vector loop around folds into: between its lanes, their value is not known
    names : every name of the kernel so far, visible or not
    """

    kernel: Kernel
    where: tuple[str, ...]
    axes: dict[str, _Axis] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    accumulators: dict[str, str] = field(default_factory=dict)
    folding: frozenset[str] = frozenset()
    names: set[str] = field(default_factory=set)
    codes: int | None = None

    # Failing

    def fail(self, problem: str) -> NoReturn:
        raise KernelError(f"verify: {', '.join(self.where)}: {problem}")

    def demand(self, condition: bool, problem: str) -> None:
        if not condition:
            self.fail(problem)

    # Parts of statements

    def dtype(self, name: str) -> str:
        """The kind of a dtype."""
        self.demand(name in DTYPES, f"no dtype {name!r}")
        return DTYPES[name].kind

    def define(self, name: str, dtype: str) -> None:
        self.demand(name not in self.names, f"{name} is defined twice")
        self.names.add(name)
        self.values[name] = dtype

    def atom(self, atom: Atom) -> str:
        """The dtype of an atom that may be used here."""
        if isinstance(atom, Literal):
            kind = self.dtype(atom.dtype)
            python = {"b": bool, "i": int, "u": int}.get(kind, (int, float))
            fits = isinstance(atom.value, python) and (kind == "b" or not isinstance(atom.value, bool))
            self.demand(fits, f"{atom.value!r} is no {atom.dtype}")
            if kind in "iu":
                least, greatest = (REDUCERS[r].identity(atom.dtype) for r in ("maximum", "minimum"))
                self.demand(least <= atom.value <= greatest, f"{atom.value} does not fit in {atom.dtype}")
            return atom.dtype
        self.demand(atom.id in self.values, f"{atom.id} is not defined here")
        self.demand(atom.id not in self.folding, f"{atom.id} is read in a vector loop that folds into it")
        return self.values[atom.id]

    def formal(self, number: int) -> Formal:
        self.demand(0 <= number < len(self.kernel.formals), f"there is no buffer {number}")
        return self.kernel.formals[number]

    def affine(self, index: Affine) -> tuple[int, int]:
        """The least and the greatest value of an index."""
        names = [axis for axis, _ in index.terms]
        self.demand(names == sorted(set(names)), f"axes {names} are not in order, once each")
        self.demand(all(c for _, c in index.terms), f"coefficient 0 in {index.terms}")
        for axis in names:
            self.demand(axis in self.axes, f"{axis} is no axis of a loop around")
        return limits(index, {name: axis.extent for name, axis in self.axes.items()})

    def place(self, buffer: int, index: Index, mask: Name | None) -> str:
        """The dtype of an element of a buffer, which is there wherever the mask holds."""
        formal = self.formal(buffer)
        if mask is not None:
            self.demand(self.atom(mask) == "bool", f"the mask {mask.id} is not a bool")
        if isinstance(index, Name):
            self.demand(self.atom(index) == "int64", f"the position {index.id} is {self.atom(index)}, not int64")
            return formal.dtype
        low, high = self.affine(index)
        if mask is None:
            self.demand(low >= 0 and high < formal.size, f"elements {low} … {high} of {formal.size}")
        return formal.dtype

    # Statements

    def statements(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            label, check = RULES[type(statement)]
            check(self.at(label(statement)), statement)

    def at(self, label: str) -> _Scope:
        """The same scope, called by the statement looked at."""
        return replace(self, where=(*self.where, label))

    def let(self, let: Let) -> None:
        value = let.value
        self.dtype(let.dtype)
        if isinstance(value, Load):
            found = self.place(value.buffer, value.index, value.mask)
        elif isinstance(value, Position):
            self.affine(value.index)
            found = "int64"
        else:
            found = self.scalar(value, let.dtype)
        self.demand(found == let.dtype, f"the value is {found}, not {let.dtype}")
        self.define(let.name, let.dtype)

    def scalar(self, value: Scalar, given: str) -> str:
        """The dtype of an instruction's result."""
        instruction = INSTRUCTIONS.get(value.instruction)
        if instruction is None:
            self.fail(f"no instruction {value.instruction!r}")
        name, args = value.instruction, [self.atom(a) for a in value.args]
        self.demand(len(args) == instruction.arity, f"{name} takes {instruction.arity} arguments, not {len(args)}")
        if instruction.condition:
            self.demand(args.pop(0) == "bool", f"the condition of {name} is not a bool")
        self.demand(len(set(args)) == 1, f"{name} of different dtypes: {', '.join(args)}")
        self.demand(DTYPES[args[0]].kind in instruction.kinds, f"{name} does not take {args[0]}")
        return {"bool": "bool", "given": given}.get(instruction.result, args[0])

    def reset(self, reset: Reset) -> None:
        # Many roundings to 16 bits would be a poor sum: accumulators of them are not begun.
        self.demand(reset.reducer in REDUCERS, f"no reducer {reset.reducer!r}")
        fits = self.dtype(reset.dtype) in REDUCERS[reset.reducer].kinds.replace("h", "")
        self.demand(fits, f"{reset.reducer} does not accumulate {reset.dtype}")
        self.define(reset.name, reset.dtype)
        self.accumulators[reset.name] = reset.reducer

    def accumulate(self, statement: Accumulate) -> None:
        self.demand(statement.name in self.accumulators, f"no accumulator {statement.name} was begun outside")
        found, dtype = self.atom(statement.value), self.values[statement.name]
        self.demand(found == dtype, f"{found} is folded into {dtype}")

    def store(self, store: Store) -> None:
        dtype = self.place(store.buffer, store.index, store.mask)
        found = self.atom(store.value)
        self.demand(found == dtype, f"{found} is stored as {dtype}")
        if store.reducer is not None:
            self.demand(store.reducer in REDUCERS, f"no reducer {store.reducer!r}")
            self.demand(DTYPES[dtype].kind in REDUCERS[store.reducer].kinds, f"{store.reducer} does not fold {dtype}")
        if isinstance(store.index, Affine) and store.mask is None:
            self.no_conflict(store, store.index)

    def no_conflict(self, store: Store, index: Affine) -> None:
        """Iterations in any order write different elements; lanes may fold into one, threads may not.

        What lies inside the loop moves the element by less than a step of its axis, or by more than all its steps.
        """
        local = self.formal(store.buffer).local
        inside: list[tuple[int, int]] = []
        for name, axis in reversed(self.axes.items()):
            step = abs(coefficient(index, name))
            reach = step * (axis.extent - 1)
            may = axis.kind == "serial" or (local if axis.kind == "parallel" else store.reducer is not None)
            if axis.extent > 1 and not may:
                small = sum(r for s, r in inside if s <= step)
                large = min((s for s, r in inside if s > step and r), default=small + reach + 1)
                apart = step > small and large > small + reach
                self.demand(apart, f"iterations of {name}, a {axis.kind} axis, write the same element")
            inside.append((step, reach))

    def check(self, check: Check) -> None:
        self.demand(self.atom(check.condition) == "bool", f"{check.condition.id} is not a bool")
        known = check.code > 0 and (self.codes is None or check.code <= self.codes)
        self.demand(known, f"the program has no failure of code {check.code}")

    # Loops

    def axis(self, name: str, extent: int, kind: str) -> dict[str, _Axis]:
        self.demand(extent > 0, f"axis {name} has extent {extent}")
        self.demand(name not in self.axes, f"axis {name} inside itself")
        return {**self.axes, name: _Axis(extent, kind)}

    @property
    def outermost(self) -> bool:
        return not self.axes and len(self.kernel.body) == 1

    def loop(self, loop: Loop) -> None:
        self.demand(loop.kind in LOOPS, f"no kind of loop {loop.kind!r}")
        self.demand(loop.kind != "parallel" or self.outermost, "a parallel loop is not the whole kernel")
        vector = any(a.kind == "vector" for a in self.axes.values())
        self.demand(not vector or loop.kind == "serial", f"a {loop.kind} loop inside a vector loop")
        folding = self.folding | folded(loop.body) if loop.kind == "vector" else self.folding
        replace(self, axes=self.axis(loop.axis, loop.extent, loop.kind), folding=folding).body(loop.body)

    def body(self, statements: Sequence[Statement]) -> None:
        """Statements whose names end with them."""
        here = replace(self, values=dict(self.values), accumulators=dict(self.accumulators))
        here.statements(statements)

    def matmul(self, product: MatMul) -> None:
        """As the loops it stands for, rows and columns of it in any order."""
        self.demand(all(a.kind != "vector" for a in self.axes.values()), "a matrix product inside a vector loop")
        rows, columns, inner = product.rows, product.columns, product.inner
        self.demand(len({rows[0], columns[0], inner[0]}) == 3, "rows, columns and inner need axes of their own")
        self.demand(all(isinstance(s, (Let, Store, Check)) for s in product.body), "an epilogue has no loops and folds")
        self.demand(self.dtype(product.dtype) in "iuf", f"a product of {product.dtype}")
        outer = replace(self, axes=self.axis(*rows, "parallel" if self.outermost else "vector"))
        outer = replace(outer, axes=outer.axis(*columns, "vector"))
        summed = replace(outer, axes=outer.axis(*inner, "serial"))
        for load, other, side in ((product.a, columns, "a"), (product.b, rows, "b")):
            part = summed.at(side)
            if not isinstance(load.index, Affine) or load.mask is not None:
                part.fail("a gathered or masked operand")
            part.demand(coefficient(load.index, other[0]) == 0, f"its index holds {other[0]}, an axis of the other")
            found = part.place(load.buffer, load.index, None)
            part.demand(found == product.dtype, f"the operand is {found}, not {product.dtype}")
        epilogue = replace(outer, values=dict(outer.values))
        epilogue.define(product.name, product.dtype)
        epilogue.body(product.body)


_Rule = tuple[Callable[[Any], str], Callable[[_Scope, Any], None]]

RULES: Mapping[type, _Rule] = {
    Let: (lambda s: f"let {s.name}", _Scope.let),
    Reset: (lambda s: f"reset {s.name}", _Scope.reset),
    Accumulate: (lambda s: f"accumulate {s.name}", _Scope.accumulate),
    Store: (lambda s: f"store to buffer {s.buffer}", _Scope.store),
    Check: (lambda s: f"check {s.code}", _Scope.check),
    Loop: (lambda s: f"loop {s.axis}", _Scope.loop),
    MatMul: (lambda s: f"product {s.name}", _Scope.matmul),
}


def text_of(buffer: Buffer | Formal) -> str:
    return f"{buffer.dtype}[{buffer.size}]"
