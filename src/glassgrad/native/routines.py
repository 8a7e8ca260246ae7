"""Steps that are functions of whole arrays, as native code: calls of LAPACK, and sorting.

What has no native way stays a call of Python: Fourier transforms, the matrix exponential, products of complex numbers,
masks; and where SciPy is not installed, all of linear algebra.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..kernel.lower import Outside
from . import decompose, library, sorting
from .frame import NO_MEMORY, Written
from .target import Target, host

WRITERS: dict[str, Callable[[Outside, Target], Written | None]] = {
    **dict.fromkeys(decompose.RECIPES, decompose.write),
    "argsort": sorting.write,
}


@dataclass(frozen=True)
class Routine:
    """A native function that does what an op does.

    Attributes
    ----------
    address : of ``i32 f(ptr buffers)``, where buffers are addresses of inputs and then outputs, in C order; bools are
        bytes, complex numbers pairs. It returns 0, or a positive number less than 2²⁴ that says what failed.
    name : for reports, as "LAPACK dpotrf"
    library : the machine code, which lives as long as this
    """

    address: int
    name: str
    library: library.Library
    failed: Callable[[int], Exception]

    def failure(self, code: int) -> Exception | None:
        """What to raise for what was returned: as NumPy does; None for 0."""
        if code == 0:
            return None
        return MemoryError(f"{self.name}: no memory for its workspace") if code == NO_MEMORY else self.failed(code)


def routine(outside: Outside, target: Target | None = None) -> Routine | None:
    """Native code for an op on buffers of these shapes and dtypes; None if there is none, and Python must do it."""
    write, target = WRITERS.get(outside.op.name), target or host()
    written = write(outside, target) if write else None
    if written is None:
        return None
    described = (outside.op.name, outside.params, outside.shapes, outside.dtypes)
    key = f"{described}\n{written.text}"  # the text holds lengths of workspaces, which differ between LAPACKs
    made = library.load(key, lambda: written.text, target, written.symbols)
    return Routine(made.address("routine"), written.name, made, written.failure)
