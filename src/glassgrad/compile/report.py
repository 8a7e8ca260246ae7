"""What can be read of a compiled program: its stages as text, its cost, and how it compares with eager."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import tree
from ..dtypes import dtype_of, finfo, is_inexact
from ..errors import CompiledDifferenceError
from ..graph.node import value_of
from ..native import library, threads
from ..native.routines import Routine
from ..native.target import Target
from .pipeline import Executable
from .plan import Plan


class Stages:
    """A program on its way down. ``print`` shows the loops."""

    def __init__(self, executable: Executable) -> None:
        self.executable = executable

    @property
    def graph(self) -> str:
        """The graph as traced, one line a node."""
        return self.executable.graph.show()

    @property
    def loops(self) -> str:
        """Kernels, buffers and steps."""
        return self.executable.loops

    @property
    def plan(self) -> Plan:
        """How the program meets its memory budget."""
        return self.executable.plan

    def llvm(self, target: Target | None = None) -> str:
        """LLVM IR as written, before LLVM's own passes."""
        return self.executable.text(target)

    def assembly(self, target: Target | None = None) -> str:
        """Machine code, for this machine or another (``glassgrad.native.target.PORTABLE``)."""
        return library.assembly(self.executable.text(target), target or self.executable.target)

    def __str__(self) -> str:
        return self.loops


@dataclass(frozen=True)
class Cost:
    """What one call of a program does.

    Attributes
    ----------
    flops : floating-point and other operations of the loops; an exponential counts as 12
    bytes : loaded and stored by the loops, in cache or not
    arena : bytes of working memory
    kernels, launches : native functions, and how often they are started
    routines : native functions of whole arrays that are called, such as "LAPACK dpotrf"
    callbacks : ops that run through Python, by name
    threads : how many the work is shared by at most
    compile_ms : milliseconds to trace-independent passes and machine code
    cached : whether the machine code came from disk
    """

    flops: float
    bytes: float
    arena: int
    kernels: int
    launches: int
    routines: tuple[str, ...]
    callbacks: tuple[str, ...]
    threads: int
    compile_ms: float
    cached: bool

    @classmethod
    def of(cls, executable: Executable) -> Cost:
        program, loaded = executable.program, executable.library
        counted = executable.cost
        return cls(
            flops=counted.operations,
            bytes=counted.bytes,
            arena=program.arena,
            kernels=len(program.kernels),
            launches=sum(len(getattr(s, "launches", ())) for s in program.steps),
            routines=tuple(f.name for f in executable.functions if isinstance(f, Routine)),
            callbacks=tuple(f.name for f in executable.callbacks),
            threads=threads.threads() if executable.parallel else 1,
            compile_ms=sum(executable.passes.values()),
            cached=loaded.cached,
        )


def compare(result: Any, expected: Any, given: Any = (), dtypes: Iterable[np.dtype[Any]] = ()) -> None:
    """Raise where compiled and eager results differ by more than rounding.

    The roundings are those of the coarsest of the ``dtypes`` computed with, of numbers as large as the largest among
    the results and the arguments ``given``: what cancels to zero keeps a rounding of what it was made from.
    """
    names, got, want = tree.paths(result), tree.leaves(result), tree.leaves(expected)
    coarsest = max((float(finfo(d).eps) for d in dtypes if is_inexact(d)), default=0.0)
    largest = max(map(_largest, map(value_of, [*want, *tree.leaves(given)])), default=0.0)
    for name, a, b in zip(names, map(value_of, got), map(value_of, want), strict=True):
        if not isinstance(a, (np.ndarray, np.generic)):
            continue
        problem = _difference(np.asarray(a), np.asarray(b), coarsest, largest)
        if problem:
            raise CompiledDifferenceError(
                f"jit: compiled and eager results differ at {name or 'the result'}: {problem}; this is a mistake in "
                f"Glassgrad: please report it with the function"
            )


def _largest(x: Any) -> float:
    """The largest finite magnitude in floating numbers."""
    if not isinstance(x, (float, complex, np.ndarray, np.generic)) or not is_inexact(dtype_of(x)):
        return 0.0
    size = np.abs(np.asarray(x))
    return float(np.max(size[np.isfinite(size)], initial=0.0))


def _difference(a: Any, b: Any, coarsest: float, largest: float) -> str:
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"got {a.dtype}{list(a.shape)}, expected {b.dtype}{list(b.shape)}"
    if not is_inexact(a.dtype):
        return "" if np.array_equal(a, b) else f"{np.count_nonzero(a != b)} elements of {a.size}"
    close = 1e3 * max(coarsest, float(finfo(a.dtype).eps))
    if np.allclose(a, b, rtol=close, atol=close * largest, equal_nan=True):
        return ""
    return f"by up to {np.nanmax(np.abs(a - b))}"
