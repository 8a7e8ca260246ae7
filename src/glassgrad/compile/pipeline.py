"""The pipeline, as a list of passes: from a traced graph to a function in memory."""

from __future__ import annotations

import ctypes
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import dtype_of
from ..graph.node import Node, Spec
from ..graph.program import Program as Graph
from ..graph.verify import verify as verify_graph
from ..kernel import cost as costs
from ..kernel import fuse, interpret, lower, place, schedule
from ..kernel.ir import Call, Program
from ..kernel.show import show
from ..kernel.verify import verify as verify_program
from ..native import driver, emit, library, threads
from ..native.target import Target, host
from ..rewrite import simplify

Array = np.ndarray[Any, Any]
ALIGNMENT = 64


@dataclass(frozen=True)
class Pass:
    """A step of the pipeline.

    ``function(state)`` sets ``gives`` from what earlier passes gave; ``check(result)`` raises where it must not be as
    it is, and runs where passes are verified.
    """

    name: str
    gives: str
    function: Callable[[Executable], Any]
    check: Callable[[Any], Any] = lambda result: None


PASSES = (
    Pass("simplify", "outputs", lambda s: simplify(s.graph.outputs), verify_graph),
    Pass("lower", "lowered", lambda s: lower.Lowering().run(s.graph.inputs, s.outputs)),
    Pass("fuse", "groups", lambda s: fuse.fuse(s.lowered)),
    Pass("schedule", "pieces", lambda s: schedule.schedule(s.groups, s.lowered)),
    Pass("place", "program", lambda s: place.place(s.pieces, s.lowered, s.donated), verify_program),
)


@dataclass
class Executable:
    """One program, compiled for one signature.

    Attributes
    ----------
    graph : as traced
    donated : number of an output -> number of the argument it is written over
    verified : whether to check what each pass gives
    program : the loops
    constants : arrays captured by the function
    passes : milliseconds each pass took
    """

    graph: Graph
    donated: dict[int, int] = field(default_factory=dict)
    target: Target = field(default_factory=host)
    verified: bool = False
    outputs: list[Node] = field(init=False)
    lowered: Any = field(init=False)
    groups: Any = field(init=False)
    pieces: Any = field(init=False)
    program: Program = field(init=False)
    passes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for step in PASSES:
            started = time.perf_counter()
            result = step.function(self)
            setattr(self, step.gives, result)
            self.passes[step.name] = 1e3 * (time.perf_counter() - started)
            if self.verified:
                step.check(result)

    @property
    def constants(self) -> list[Array]:
        constants: list[Array] = self.lowered.constants
        return constants

    @cached_property
    def specs(self) -> list[Spec]:
        """Shape and dtype of each output."""
        return [Spec(n.shape, dtype_of(n.value) if n.value is not None else n.dtype) for n in self.graph.outputs]

    # Machine code

    @cached_property
    def loops(self) -> str:
        return show(self.program)

    def text(self, target: Target | None = None) -> str:
        """The LLVM IR, for this machine or another."""
        return emit.module(self.program, target or self.target)

    @cached_property
    def library(self) -> library.Library:
        started = time.perf_counter()
        key = hashlib.sha256(self.loops.encode()).hexdigest()
        loaded = library.load(key, self.text, self.target, threads.symbols() if self.parallel else None)
        self.passes["machine code"] = 1e3 * (time.perf_counter() - started)
        return loaded

    @cached_property
    def layout(self) -> driver.Layout:
        return driver.layout(self.program)

    @cached_property
    def callbacks(self) -> list[Callback]:
        return [Callback(f, self.buffer_shapes(i)) for i, f in enumerate(self.program.functions)]

    def buffer_shapes(self, function: int) -> list[tuple[str, int]]:
        """Dtype and elements of the buffers that a function is called with."""
        calls = (s for s in driver.every(self.program.steps) if isinstance(s, Call))
        found = next(s for s in calls if s.function == function)
        return [(self.program.buffers[b].dtype, self.program.buffers[b].size) for b in found.buffers]

    @cached_property
    def entry(self) -> Callable[[Any], int]:
        entry: Any = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(self.library.address("run"))
        return entry  # type: ignore[no-any-return]

    def table(self, arguments: Sequence[int], outputs: Sequence[int], arena: int) -> Any:
        """The pointers ``run`` is given, as a ctypes array."""
        layout = self.layout
        pointers = [
            *arguments[: layout.arguments],
            *outputs[: layout.outputs],
            *[c.ctypes.data for c in self.constants[: layout.constants]],
            *[c.address for c in self.callbacks],
            arena,
        ]
        return (ctypes.c_void_p * len(pointers))(*pointers)

    def run(self, arguments: Sequence[Array], outputs: Sequence[Array]) -> int:
        """Compute on C-contiguous arrays of the signature; 0, or the code of a failed check."""
        entry, arena = self.entry, aligned(self.program.arena)
        table = self.table([a.ctypes.data for a in arguments], [o.ctypes.data for o in outputs], arena.ctypes.data)
        code = entry(ctypes.addressof(table))
        for callback in self.callbacks:
            callback.reraise()
        return code

    def interpret(self, arguments: Sequence[Array], outputs: Sequence[Array]) -> int:
        """The same by the slow interpreter of loops."""
        return interpret.run(self.program, arguments, outputs, self.constants, self.program.functions)  # type: ignore[arg-type]

    @cached_property
    def cost(self) -> costs.Cost:
        return costs.program_cost(self.program)

    @cached_property
    def parallel(self) -> bool:
        """Whether any part is cut for several threads."""
        return any(getattr(step, "chunks", 1) > 1 for step in driver.every(self.program.steps))


class Callback:
    """A Python function that native code calls on buffers; an exception in it is kept until the call is over."""

    def __init__(self, function: Any, buffers: Sequence[tuple[str, int]]) -> None:
        self.function = function
        self.buffers = [(size * np.dtype(dtype).itemsize, np.dtype(dtype)) for dtype, size in buffers]
        self.error: BaseException | None = None
        self.native = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))(self.call)
        self.address = ctypes.cast(self.native, ctypes.c_void_p).value

    def call(self, pointers: Any) -> int:
        try:
            views = []
            for pointer, (size, dtype) in zip(pointers[: len(self.buffers)], self.buffers, strict=True):
                memory: Any = (ctypes.c_char * size).from_address(pointer) if size else bytearray()
                views.append(np.frombuffer(memory, dtype))
            self.function(*views)
        except BaseException as error:
            self.error = error
            return -1
        return 0

    def reraise(self) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error


def aligned(size: int) -> Array:
    """Bytes that begin at a multiple of 64."""
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]
