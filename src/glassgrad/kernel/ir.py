"""The grammar of the loop level, on one page; ``verify.py`` checks, ``interpret.py`` runs, ``show.py`` prints it.

A ``Kernel`` is loops over flat buffers. Every arithmetic step has a name of its own (``Let``), so nothing nests but
loops, and equal kernels are equal values: a program with twenty equal layers holds one kernel and twenty launches.

A ``Program`` is what one native call does: launches of kernels, library calls, repetitions and branches, over buffers
that are arguments, outputs, constants or places in one arena.

Dtypes are names: bool, int8 … uint64, float16, bfloat16, float32, float64. There are no complex numbers here: a
complex buffer is a real one of twice the size. Arithmetic on 16-bit floats is done in float32: a ``Load`` of them is
followed by a cast. Offsets and positions are in elements, and of type int64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# What a step works on


class Name(NamedTuple):
    """A value made by ``Let``, or an accumulator."""

    id: str


class Literal(NamedTuple):
    """A number of this dtype. 0.0 and -0.0 are two, and so are 1 and True."""

    value: float | int | bool
    dtype: str

    def __eq__(self, other: object) -> bool:
        return type(other) is Literal and self.dtype == other.dtype and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash((self.value, self.dtype))


Atom = Name | Literal


class Affine(NamedTuple):
    """offset + Σ coefficient · axis, the terms in order of axis name, no coefficient 0."""

    offset: int
    terms: tuple[tuple[str, int], ...]


Index = Affine | Name  # a Name is a gathered position, of type int64

# What a Let may say


class Load(NamedTuple):
    """The element of a buffer at an index. Where the mask is false, 0, and memory is not touched."""

    buffer: int
    index: Index  # type: ignore[assignment]
    mask: Name | None = None


class Scalar(NamedTuple):
    """An instruction of ``instructions.py``; its arguments have one dtype unless the table says otherwise."""

    instruction: str
    args: tuple[Atom, ...]


class Position(NamedTuple):
    """The value of an index, as int64."""

    index: Affine  # type: ignore[assignment]


# Statements


class Let(NamedTuple):
    """Name a value, once; it is visible to the end of the enclosing loop's body."""

    name: str
    dtype: str
    value: Load | Scalar | Position


class Reset(NamedTuple):
    """Begin an accumulator: add, multiply, maximum, minimum (NaN wins in both), and, or."""

    name: str
    reducer: str
    dtype: str


class Accumulate(NamedTuple):
    """Fold a value into an accumulator begun outside the loops this stands in."""

    name: str
    value: Atom


class Store(NamedTuple):
    """Write an element, or fold it into what is there. Nothing is written where the mask is false."""

    buffer: int
    index: Index  # type: ignore[assignment]
    value: Atom
    reducer: str | None = None
    mask: Name | None = None


class Check(NamedTuple):
    """Where the condition is false, the program fails with this code; it goes on, and reports at its end."""

    condition: Name
    code: int


class Loop(NamedTuple):
    """The body for every value 0 … extent - 1 of an axis.

    ``parallel``: values in any order, by several threads; only as the outermost statement of a kernel. ``serial``: in
    order. ``vector``: several at a time, in any order; loops inside are serial, and an accumulator begun outside is
    combined over lanes in a fixed order.
    """

    axis: str
    extent: int
    kind: str
    body: tuple[Statement, ...]


class MatMul(NamedTuple):
    """name = Σ over ``inner`` of a · b for every (row, column), then the body with that value, as in a loop over both.

    ``rows``, ``columns``, ``inner`` are (axis, extent). The index of ``a`` holds rows and inner, that of ``b`` inner
    and columns, both beside enclosing axes. The body, without loops, is the epilogue: it may load anything at rows
    and columns. Standing first in a kernel it is parallel over its rows.
    """

    rows: tuple[str, int]
    columns: tuple[str, int]
    inner: tuple[str, int]
    a: Load
    b: Load
    name: str
    dtype: str
    body: tuple[Statement, ...]


Statement = Let | Reset | Accumulate | Store | Check | Loop | MatMul


class Formal(NamedTuple):
    """A buffer as a kernel sees it. A ``local`` one is scratch memory of the kernel's own, new for each outermost
    iteration; the others do not overlap each other."""

    dtype: str
    size: int
    local: bool = False


class Kernel(NamedTuple):
    """One native function. The body is one parallel loop, or one MatMul, or any statements without either outermost."""

    formals: tuple[Formal, ...]
    body: tuple[Statement, ...]

    @property
    def extent(self) -> int:
        """How far the outermost parallel axis goes, by which the work is cut; 1 if there is none."""
        first = self.body[0]
        if len(self.body) == 1 and isinstance(first, Loop) and first.kind == "parallel":
            return first.extent
        return first.rows[1] if len(self.body) == 1 and isinstance(first, MatMul) else 1

    @property
    def is_product(self) -> bool:
        """Whether it is a MatMul, by whose rows the work is cut."""
        return isinstance(self.body[0], MatMul)


# The program


class Place(NamedTuple):
    """Where a buffer is: ``argument``, ``output`` or ``constant`` number ``number``; ``arena`` at byte ``number``; or
    ``slice``: inside buffer ``number``, ``start + stride · iteration`` bytes on, in the loop of a Repeat or Region."""

    kind: str
    number: int
    start: int = 0
    stride: int = 0
    loop: str = ""


class Buffer(NamedTuple):
    """Flat memory, aligned to 64 bytes unless it is the caller's."""

    dtype: str
    size: int
    place: Place


class Launch(NamedTuple):
    """Run a kernel on these buffers of the program, one for each of its formals that is not local."""

    kernel: int
    buffers: tuple[int, ...]


class Region(NamedTuple):
    """Launches that are cut into ``chunks`` parts, each thread taking parts; ``regions.cuts`` says where.

    Part c of a launch needs, of the launches before it in the region, part c only. Launches that are ``separate`` need
    nothing of each other, and are cut as if they were one. A ``short`` region is not worth waking a thread for. With a
    ``loop`` each part does its launches ``count`` times, in order, whatever round the other parts are in.
    """

    launches: tuple[Launch, ...]
    chunks: int
    short: bool = False
    separate: bool = False
    loop: str = ""
    count: int = 1  # type: ignore[assignment]


class Call(NamedTuple):
    """A library function, or Python's own, on these buffers: number ``function`` of the program's table.

    In a Repeat or While, only in every so-many-th round. The first ``inputs`` buffers are read, the others written.
    """

    function: int
    buffers: tuple[int, ...]
    every: int = 1
    inputs: int = 0


class Repeat(NamedTuple):
    """The steps ``count`` times, in order."""

    loop: str
    count: int  # type: ignore[assignment]
    steps: tuple[Step, ...]


class While(NamedTuple):
    """The steps as long as, after those of the ``test``, the one element of the buffer, a bool, is true; ``rounds``
    times on average, or once as far as is known."""

    loop: str
    test: tuple[Step, ...]
    buffer: int
    steps: tuple[Step, ...]
    rounds: float = 1.0


class Branch(NamedTuple):
    """The steps of the arm whose number is the one element of the buffer, an int64; of the last one by default."""

    buffer: int
    arms: tuple[tuple[Step, ...], ...]


Step = Region | Call | Repeat | While | Branch


def inside(step: Step) -> tuple[tuple[Step, ...], ...]:
    """The lists of steps that a step holds, in the order in which they stand."""
    if isinstance(step, Repeat):
        return (step.steps,)
    if isinstance(step, While):
        return step.test, step.steps
    return step.arms if isinstance(step, Branch) else ()


@dataclass(frozen=True)
class Program:
    """One native call.

    ``functions`` names what Calls call; ``arena`` is in bytes; ``failures`` says what each code of a Check means;
    ``given`` is how many arguments, outputs and constants there are, used or not.
    """

    kernels: tuple[Kernel, ...]
    buffers: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    arena: int
    functions: tuple[object, ...] = ()
    failures: tuple[str, ...] = ()
    given: tuple[int, int, int] = (0, 0, 0)
