"""What a program means: it is run slowly, statement by statement, by NumPy. Compiled code is tested against this.

Iterations of ``parallel`` and ``vector`` loops may go in any order, so they are done all at once: inside such a loop,
its axis is the array of all its values, and every value that depends on it is an array too. Each such loop adds an axis
in front, so that values from outside it broadcast to the values inside. ``serial`` loops go round one by one.

Memory that nothing has written yet holds NaN patterns, and the parts of a region are run last one first, so that a
program which reads too early, or needs another order, gives a wrong result here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .instructions import DTYPES, INSTRUCTIONS, REDUCERS, cast, identity, nbytes
from .ir import (
    Accumulate,
    Affine,
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
    Load,
    Loop,
    MatMul,
    Name,
    Position,
    Program,
    Region,
    Repeat,
    Reset,
    Scalar,
    Statement,
    Step,
    Store,
    While,
)
from .regions import cuts

Array = np.ndarray[Any, Any]
UNWRITTEN = 0xFF  # as every byte: NaN in all float formats, -1 in integers


def run(
    program: Program,
    arguments: Sequence[Array],
    outputs: Sequence[Array],
    constants: Sequence[Array] = (),
    functions: Sequence[Callable[..., Any]] = (),
) -> int:
    """Run a program once.

    Parameters
    ----------
    arguments, outputs, constants : arrays in C order of at least the size of their buffers, outputs are written
    functions : what Calls call, with flat views of the buffers

    Returns
    -------
    The smallest code of a Check that failed, 0 if none did.

    >>> from glassgrad.kernel.ir import Buffer, Formal, Launch, Let, Load, Place, Region
    >>> i = Affine(0, (("i", 1),))
    >>> body = (Let("x", "float32", Load(0, i)), Let("y", "float32", Scalar("add", (Name("x"), Name("x")))))
    >>> double = Kernel((Formal("float32", 3),) * 2, (Loop("i", 3, "vector", (*body, Store(1, i, Name("y")))),))
    >>> buffers = tuple(Buffer("float32", 3, Place(kind, 0)) for kind in ("argument", "output"))
    >>> out = np.empty(3, np.float32)
    >>> run(Program((double,), buffers, (Region((Launch(0, (0, 1)),), 1),), 0), [np.arange(3, dtype=np.float32)], [out])
    0
    >>> out
    array([0., 2., 4.], dtype=float32)
    """
    memory = {"argument": arguments, "output": outputs, "constant": constants}
    places = {kind: [_bytes(array) for array in arrays] for kind, arrays in memory.items()}
    machine = _Machine(program, places, np.full(program.arena, UNWRITTEN, np.uint8), functions)
    with np.errstate(all="ignore"):
        machine.steps(program.steps)
    return min(machine.failed, default=0)


def run_kernel(kernel: Kernel, buffers: Sequence[Array]) -> int:
    """Run one kernel on flat arrays, one for each formal that is not local; returns as ``run`` does."""
    failed: set[int] = set()
    with np.errstate(all="ignore"):
        _launch(kernel, buffers, 0, kernel.extent, failed)
    return min(failed, default=0)


def _bytes(array: Array) -> Array:
    if not array.flags.c_contiguous:
        raise ValueError(f"interpret: an array of strides {array.strides} is not in C order; copy it first")
    return array.reshape(-1).view(np.uint8)


@dataclass
class _Machine:
    """A program being run: its memory, the iteration of each loop around, the codes that failed."""

    program: Program
    places: dict[str, list[Array]]
    arena: Array
    functions: Sequence[Callable[..., Any]]
    iterations: dict[str, int] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Repeat):
                for i in range(step.count):
                    self.iterations[step.loop] = i
                    self.steps(step.steps)
            elif isinstance(step, While):
                self.steps(step.test)
                while self.view(step.buffer)[0]:
                    self.steps(step.steps)
                    self.steps(step.test)
            elif isinstance(step, Branch):
                chosen = int(self.view(step.buffer)[0])
                self.steps(step.arms[chosen if 0 <= chosen < len(step.arms) else -1])
            elif isinstance(step, Call):
                self.functions[step.function](*map(self.view, step.buffers))
            else:
                self.region(step)

    def region(self, region: Region) -> None:
        where = cuts(region, self.program.kernels)
        for chunk in reversed(range(region.chunks)):
            for i in range(region.count):
                self.iterations[region.loop] = i
                for launch, at in zip(region.launches, where, strict=True):
                    self.launch(launch, at[chunk], at[chunk + 1])

    def launch(self, launch: Launch, begin: int, end: int) -> None:
        if begin < end:
            kernel = self.program.kernels[launch.kernel]
            _launch(kernel, [self.view(b) for b in launch.buffers], begin, end, self.failed)

    def view(self, number: int) -> Array:
        buffer = self.program.buffers[number]
        return self.within(buffer).view(DTYPES[buffer.dtype].memory)

    def within(self, buffer: Buffer) -> Array:
        """The bytes of a buffer."""
        kind, number, start, stride, loop = buffer.place
        if kind == "arena":
            parent, start = self.arena, number
        elif kind == "slice":
            parent = self.within(self.program.buffers[number])
            start += stride * self.iterations.get(loop, 0)
        else:
            parent = self.places[kind][number]
        end = start + nbytes(buffer)
        if not 0 <= start <= end <= parent.size:
            raise IndexError(f"interpret: bytes {start} … {end} of {parent.size} for {buffer}")
        return parent[start:end]


# One launch of a kernel


def _launch(kernel: Kernel, buffers: Sequence[Array], begin: int, end: int, failed: set[int]) -> None:
    """The part [begin, end) of a kernel."""
    first = kernel.body[0]
    if kernel.extent == 1:
        _Frame.of(kernel, buffers, failed).execute(kernel.body)
    elif isinstance(first, MatMul):
        _Frame.of(kernel, buffers, failed).matmul(first, begin, end)
    elif isinstance(first, Loop) and any(f.local for f in kernel.formals):
        for i in range(begin, end):  # one at a time: each has scratch memory of its own
            frame = _Frame.of(kernel, buffers, failed)
            frame.axes[first.axis] = i
            frame.execute(first.body)
    elif isinstance(first, Loop):
        _Frame.of(kernel, buffers, failed).together(first, begin, end)


@dataclass
class _Frame:
    """A kernel being run.

    Attributes
    ----------
    shape : iterations done at once, the innermost loop's first; what values and axes broadcast to
    accumulators : of each, its reducer and how many loops were around it when it began
    """

    formals: Sequence[Formal]
    memory: list[Array]
    failed: set[int]
    shape: tuple[int, ...] = ()
    axes: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    accumulators: dict[str, tuple[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, kernel: Kernel, buffers: Sequence[Array], failed: set[int]) -> _Frame:
        given = iter(buffers)
        return cls(kernel.formals, [_scratch(f) if f.local else next(given) for f in kernel.formals], failed)

    def execute(self, statements: Sequence[Statement]) -> None:
        for statement in statements:
            EXECUTE[type(statement)](self, statement)

    # Loops

    def loop(self, loop: Loop) -> None:
        if loop.kind != "serial":
            self.together(loop, 0, loop.extent)
            return
        for i in range(loop.extent):
            self.axes[loop.axis] = i
            self.execute(loop.body)

    def together(self, loop: Loop, begin: int, end: int) -> None:
        """All iterations from begin to end at once."""
        if begin >= end:
            return
        outside = self.shape
        self.axes[loop.axis] = np.arange(begin, end).reshape(-1, *[1] * len(outside))
        self.shape = (end - begin, *outside)
        self.execute(loop.body)
        self.shape = outside

    def matmul(self, product: MatMul, begin: int = 0, end: int | None = None) -> None:
        """By the definition: a sum over the inner axis for every row and column, and then the body."""
        left, right, both = (f"{product.name}.{part}" for part in ("a", "b", "ab"))
        terms = (
            Let(left, product.dtype, product.a),
            Let(right, product.dtype, product.b),
            Let(both, product.dtype, Scalar("multiply", (Name(left), Name(right)))),
            Accumulate(product.name, Name(both)),
        )
        total = (Reset(product.name, "add", product.dtype), Loop(*product.inner, "serial", terms))
        columns = Loop(*product.columns, "vector", (*total, *product.body))
        rows = Loop(*product.rows, "vector", (columns,))
        self.together(rows, begin, rows.extent if end is None else end)

    # Values

    def atom(self, atom: Atom) -> Any:
        if isinstance(atom, Name):
            return self.values[atom.id]
        # A Literal of int64's or uint64's must not become a float on the way.
        return cast(np.asarray(atom.value), atom.dtype)[()]

    def position(self, index: Affine) -> Any:
        return np.int64(index.offset) + sum(c * self.axes[axis] for axis, c in index.terms)

    def where(self, index: Index) -> Any:
        """An index at all iterations."""
        value = self.values[index.id] if isinstance(index, Name) else self.position(index)
        return np.broadcast_to(value, self.shape)

    def chosen(self, mask: Name | None) -> Any:
        """Which iterations a load or a store touches memory in."""
        return np.broadcast_to(True if mask is None else self.values[mask.id], self.shape)

    def inside(self, number: int, positions: Any) -> Any:
        """The positions, none of which is outside the buffer; NumPy would count negative ones from the end."""
        size = self.formals[number].size
        wrong = positions[(positions < 0) | (positions >= size)]
        if wrong.size:
            raise IndexError(f"interpret: element {wrong.flat[0]} of buffer {number}, which has {size}")
        return positions

    def let(self, let: Let) -> None:
        value = let.value
        if isinstance(value, Load):
            found = self.load(value)
        elif isinstance(value, Position):
            found = self.position(value.index)
        else:
            instruction = INSTRUCTIONS[value.instruction]
            target = (let.dtype,) if instruction.result == "given" else ()
            found = instruction.evaluate(*map(self.atom, value.args), *target)
        if found.dtype != DTYPES[let.dtype].register:
            raise TypeError(f"interpret: {let.name} is {found.dtype}, not {let.dtype}: {value}")
        self.values[let.name] = found

    def load(self, load: Load) -> Any:
        dtype = self.formals[load.buffer].dtype
        chosen = self.chosen(load.mask)
        found = np.zeros(self.shape, DTYPES[dtype].register)
        places = self.inside(load.buffer, self.where(load.index)[chosen])
        found[chosen] = _from_memory(self.memory[load.buffer][places], dtype)
        return found[()]

    # Memory, accumulators, checks

    def store(self, store: Store) -> None:
        dtype = self.formals[store.buffer].dtype
        memory, chosen = self.memory[store.buffer], self.chosen(store.mask)
        places = self.inside(store.buffer, self.where(store.index)[chosen])
        values = np.broadcast_to(self.atom(store.value), self.shape)[chosen]
        if store.reducer is None:
            memory[places] = _to_memory(values, dtype)
        elif dtype != "bfloat16":
            REDUCERS[store.reducer].ufunc.at(memory, places, values)
        else:
            for place, value in zip(places.flat, values.flat, strict=True):
                both = REDUCERS[store.reducer].ufunc(_from_memory(memory[place], dtype), value)
                memory[place] = _to_memory(cast(both, dtype), dtype)

    def reset(self, reset: Reset) -> None:
        self.values[reset.name] = identity(reset.reducer, reset.dtype)
        self.accumulators[reset.name] = reset.reducer, len(self.shape)

    def accumulate(self, statement: Accumulate) -> None:
        reducer, depth = self.accumulators[statement.name]
        ufunc = REDUCERS[reducer].ufunc
        value = np.broadcast_to(self.atom(statement.value), self.shape)
        loops = tuple(range(len(self.shape) - depth))  # those begun since the accumulator, being the first axes
        if loops:
            value = ufunc.reduce(value, axis=loops, dtype=value.dtype)
        self.values[statement.name] = ufunc(self.values[statement.name], value)

    def check(self, check: Check) -> None:
        if not np.all(self.values[check.condition.id]):
            self.failed.add(check.code)


EXECUTE: dict[type, Callable[[_Frame, Any], None]] = {
    Let: _Frame.let,
    Reset: _Frame.reset,
    Accumulate: _Frame.accumulate,
    Store: _Frame.store,
    Check: _Frame.check,
    Loop: _Frame.loop,
    MatMul: _Frame.matmul,
}


def _scratch(formal: Formal) -> Array:
    dtype = DTYPES[formal.dtype].memory
    return np.full(formal.size * dtype.itemsize, UNWRITTEN, np.uint8).view(dtype)


def _from_memory(elements: Any, dtype: str) -> Any:
    return (elements.astype(np.uint32) << 16).view(np.float32) if dtype == "bfloat16" else elements


def _to_memory(values: Any, dtype: str) -> Any:
    """For bfloat16 the upper half of the float32s, which have been rounded; NaN stays NaN whatever its lower half."""
    if dtype != "bfloat16":
        return values
    bits: Any = values.view(np.uint32)
    return np.where(np.isnan(values), bits >> 16 | 0x40, bits >> 16).astype(np.uint16)
