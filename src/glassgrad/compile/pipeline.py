"""The pipeline, as a list of passes: from a traced graph to a function in memory."""

from __future__ import annotations

import ctypes
import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import dtype_of
from ..graph.node import Node, Spec
from ..graph.program import Program as Graph
from ..graph.verify import verify as verify_graph
from ..kernel import cost as costs
from ..kernel import fuse, interpret, lower, place, schedule, units
from ..kernel.instructions import DTYPES
from ..kernel.ir import Call, Program
from ..kernel.show import show
from ..kernel.verify import verify as verify_program
from ..lazy import lazy, uncollected
from ..native import call, driver, emit, library, routines, signals, threads
from ..native.target import Target, host
from ..rewrite import rescan, simplify
from .budget import meet
from .plan import Plan

Array = np.ndarray[Any, Any]
FAILURES = {"index": IndexError, "overflow": OverflowError, "power": ValueError}  # by the first word of the text
RELEASE = 8_000.0  # nanoseconds of work for which other Python threads are let run meanwhile


@dataclass(frozen=True)
class Pass:
    """A step of the pipeline.

    ``function(state)`` gives the attribute ``gives`` from those that earlier passes gave; ``check(result)`` raises
    where it is not as it must be, and runs where passes are verified.
    """

    name: str
    gives: str
    function: Callable[[Executable], Any]
    check: Callable[[Any], Any] = lambda result: None


def _simplified(executable: Executable) -> list[Node]:
    outputs = simplify(executable.graph.outputs, executable.frugal)
    if executable.places is None:
        return outputs
    return simplify(rescan.keeping(outputs, executable.places), executable.frugal)


def _scheduled(executable: Executable) -> list[schedule.Work]:
    pieces = schedule.schedule(executable.groups, executable.lowered)
    return units.without_copies(pieces, executable.lowered) if executable.frugal else pieces


PASSES = (
    Pass("simplify", "outputs", _simplified, verify_graph),
    Pass("lower", "lowered", lambda s: lower.Lowering(frugal=s.frugal).run(s.graph.inputs, s.outputs)),
    Pass("fuse", "groups", lambda s: fuse.fuse(s.lowered)),
    Pass("schedule", "pieces", _scheduled),
    Pass("place", "program", lambda s: place.place(s.pieces, s.lowered, s.donated), verify_program),
)


@dataclass
class Executable:
    """One program, compiled for one signature.

    Attributes
    ----------
    graph : as traced
    donated : number of an output -> number of the argument it is written over
    target : the machine it is for
    verified : whether to check what each pass gives
    frugal : whether little memory matters more than little time
    places : how many carries the gradients of scans keep; None for all, and what is dear besides
    budget : bytes that the arena may have
    program : the loops
    passes : milliseconds each pass took
    """

    graph: Graph
    donated: dict[int, int] = field(default_factory=dict)
    target: Target = field(default_factory=host)
    verified: bool = False
    frugal: bool = False
    places: int | None = None
    budget: int | None = None
    outputs: list[Node] = field(init=False)
    lowered: lower.Lowered = field(init=False)
    groups: list[fuse.Group] = field(init=False)
    pieces: list[schedule.Work] = field(init=False)
    program: Program = field(init=False)
    passes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with uncollected():
            self._passed()

    def _passed(self) -> None:
        for step in PASSES:
            started = time.perf_counter()
            result = step.function(self)
            setattr(self, step.gives, result)
            self.passes[step.name] = 1e3 * (time.perf_counter() - started)
            if self.verified:
                step.check(result)
        if self.budget is not None:
            started = time.perf_counter()
            self.__dict__["plan"] = meet(self, self.budget)
            self.passes["budget"] = 1e3 * (time.perf_counter() - started)
            if self.verified:
                verify_program(self.program)

    @lazy
    def plan(self) -> Plan:
        """How the budget is met."""
        return Plan(None, self.program.arena, self.program.arena, self.cost.operations, 0.0)

    @lazy
    def specs(self) -> list[Spec]:
        """Shape and dtype of each output."""
        return [Spec(n.shape, dtype_of(n.value) if n.value is not None else n.dtype) for n in self.graph.outputs]

    @lazy
    def loops(self) -> str:
        """The program as text."""
        return show(self.program)

    def text(self, target: Target | None = None) -> str:
        """The LLVM IR, for this machine or another."""
        return emit.module(self.program, target or self.target)

    @lazy
    def library(self) -> library.Library:
        """The machine code, from disk if it was made before."""
        started = time.perf_counter()
        key = hashlib.sha256(f"{self.program.given}\n{self.loops}".encode()).hexdigest()
        loaded = library.load(key, self.text, self.target, threads.symbols() if self.parallel else None)
        self.passes["machine code"] = 1e3 * (time.perf_counter() - started)
        return loaded

    @lazy
    def functions(self) -> list[routines.Routine | signals.Watch | Callback]:
        """The functions of the program: native where there is a way, else run by Python."""
        calls = {s.function: s for s in driver.every(self.program.steps) if isinstance(s, Call)}
        buffers = self.program.buffers
        found: list[routines.Routine | signals.Watch | Callback] = []
        for number, function in enumerate(self.program.functions):
            if isinstance(function, place.Signals):
                found.append(signals.Watch())
                continue
            assert isinstance(function, lower.Outside)
            sizes = [(buffers[b].dtype, buffers[b].size) for b in calls[number].buffers]
            found.append(routines.routine(function, self.target) or Callback(function, sizes))
        return found

    @property
    def callbacks(self) -> list[Callback]:
        """The functions that Python runs."""
        return [f for f in self.functions if isinstance(f, Callback)]

    def entry(
        self,
        arguments: Sequence[tree.Structure],
        leaves: Sequence[call.Leaf],
        result: tree.Structure,
        wrap: Callable[[Any], Any] | None = None,
    ) -> call.Entry:
        """The program behind arguments of these structures."""
        outputs = [call.Output(*s, self.donated.get(i), wrap is not None) for i, s in enumerate(self.specs)]
        return call.entry(
            arguments,
            leaves,
            outputs,
            result,
            self.library.address("run"),
            constants=self.lowered.constants,
            functions=[f.address for f in self.functions],
            arena=self.program.arena,
            release=bool(self.functions) or self.cost.nanoseconds > RELEASE,
            fail=self.fail,
            wrap=wrap,
            keep=(self.library, self.functions),
        )

    @lazy
    def plain(self) -> call.Entry:
        """The program behind one array for each input."""
        leaves = [call.Leaf("array", *x.spec) for x in self.graph.inputs]
        return self.entry([tree.LEAF] * len(leaves), leaves, tree.structure([0] * len(self.specs)))

    def run(self, arguments: Sequence[Array], outputs: Sequence[Array]) -> int:
        """Compute on contiguous arrays of the signature; 0, or the code of a failed check."""
        return self.plain.run(arguments, outputs)

    def interpret(self, arguments: Sequence[Array], outputs: Sequence[Array]) -> int:
        """The same by the slow interpreter of loops."""
        functions: Any = self.program.functions
        return interpret.run(self.program, arguments, outputs, self.lowered.constants, functions)

    def fail(self, code: int) -> Any:
        """Raise what a code stands for."""
        if code > 0:
            text = self.program.failures[code - 1]
            raise FAILURES[text.partition(":")[0]](text)
        number, own = driver.failed(code)
        for function in self.functions[number : None if number == driver.LAST else number + 1]:
            error = function.failure(own)
            if error is not None:
                raise error

    @lazy
    def cost(self) -> costs.Cost:
        """Operations, bytes and time of one call."""
        return costs.program_cost(self.program)

    @lazy
    def parallel(self) -> bool:
        """Whether any part is cut for several threads."""
        return any(getattr(step, "chunks", 1) > 1 for step in driver.every(self.program.steps))


class Callback:
    """A Python function that native code calls on buffers; an exception in it is kept until the call is over."""

    def __init__(self, function: Any, buffers: Sequence[tuple[str, int]]) -> None:
        self.function = function
        self.buffers = [(size, DTYPES[dtype].memory) for dtype, size in buffers]
        self.kept = threading.local()  # the exception of the call that each thread is in
        self.native = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_void_p))(self.call)
        self.address = ctypes.cast(self.native, ctypes.c_void_p).value or 0

    @property
    def name(self) -> str:
        """Of the op."""
        name: str = self.function.name
        return name

    def failure(self, code: int) -> BaseException | None:
        """The exception that ended this thread's call, once."""
        error: BaseException | None = getattr(self.kept, "error", None)
        self.kept.error = None
        return error

    def call(self, pointers: Any) -> int:
        """Run the function; a nonzero code if it fails."""
        try:
            views = []
            for pointer, (size, dtype) in zip(pointers[: len(self.buffers)], self.buffers, strict=True):
                memory: Any = (ctypes.c_char * (size * dtype.itemsize)).from_address(pointer) if size else bytearray()
                views.append(np.frombuffer(memory, dtype))
            self.function(*views)
        except BaseException as error:
            self.kept.error = error
            return -1
        return 0
