"""Python to native: a builtin function per signature, which checks its arguments and runs the program on them.

``entry`` writes the plan that the native function of ``enter.py`` reads; nothing is compiled for a signature. What the
builtin does not take, it answers with ``NotImplemented`` and no effect, and ``Entry.run`` does it from Python.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..array import Array
from ..lazy import lazy
from ..tree import LEAF as LEAF_STRUCTURE
from ..tree import Structure, unflatten
from . import enter, layout, library, plan
from .target import host

MOST = 2000  # leaves and outputs of a builtin, whose table is on the stack
ALIGNMENT = 64  # of an arena, in bytes
_KINDS: dict[type, str] = {np.ndarray: "array", float: "float", int: "int", bool: "bool"}
_NUMBERS = {"float": (plan.FLOAT, float), "int": (plan.INT, int), "bool": (plan.BOOL, bool)}
_KINDS_NUMBERED = "biufc"  # kinds of dtype that their number describes in full; of a time it lacks the unit
_COMPARED = (str, int, float, bool)  # static fields of these types may be equal without being the same object
_FASTCALL = 0x80  # METH_FASTCALL


class Leaf(NamedTuple):
    """What an argument's leaf has to be.

    ``kind``: "array", a NumPy "scalar", or a Python "float", "int", "bool". ``dtype``: as the program wants it, which
    for arrays and scalars is also what it has to be. ``wrapped``: inside an untracked glassgrad Array. ``donated``:
    the program may write to it.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    wrapped: bool = False
    donated: bool = False


class Output(NamedTuple):
    """What the program writes. ``argument``: the donated leaf whose memory it is and which comes back as it came;
    otherwise an array of its own, or a NumPy scalar if it has no axes. ``wrapped``: given to ``wrap`` first."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    argument: int | None = None
    wrapped: bool = False


def leaf_of(value: Any) -> Leaf | None:
    """What kind of leaf a value is; None if it is none that a builtin takes."""
    wrapped = type(value) is Array
    if wrapped:
        if value.tracked or value.value is None:
            return None
        value = value.value
    kind = _KINDS.get(type(value), "scalar" if isinstance(value, np.generic) else "")
    if not kind:
        return None
    dtype = value.dtype if kind in ("array", "scalar") else np.dtype(type(value))
    return Leaf(kind, np.shape(value), dtype, wrapped) if _plain(dtype) else None


def _plain(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is of numbers as this machine has them: NumPy's own, or one that a library has added."""
    return bool(dtype.isnative) and (dtype.kind in _KINDS_NUMBERED or dtype.isbuiltin == 2)


@functools.cache
def available() -> bool:
    """Whether builtins can be made here; if not, ``Entry.fast`` is None and ``Entry.run`` does everything."""
    return layout.checked()


class Entry:
    """A program ready to be called.

    Attributes
    ----------
    fast : takes the arguments and returns the result, or NotImplemented if they are not as expected; or None
    """

    def __init__(
        self,
        leaves: tuple[Leaf, ...],
        outputs: tuple[Output, ...],
        program: int,
        constants: tuple[np.ndarray[Any, Any], ...],
        functions: tuple[int, ...],
        arena: int,
        keep: tuple[Any, ...],
    ) -> None:
        self._builtin: Callable[[], Callable[..., Any] | None] = lambda: None
        self._leaves, self._outputs = leaves, outputs
        self._rest = (*map(data, constants), *functions)
        self._arena_bytes, self._keep = arena, (*constants, *keep)
        self._spare: list[tuple[Any, int]] = []
        self._program = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(program)

    @lazy
    def fast(self) -> Callable[..., Any] | None:
        """The builtin, made when first asked for."""
        return self._builtin()

    def run(self, leaves: Sequence[np.ndarray[Any, Any]], outputs: Sequence[np.ndarray[Any, Any]]) -> int:
        """Run the program on these arrays, in an arena that no other call has, and return its failure code or 0.

        Every array is contiguous and of its leaf's or output's shape and dtype; an output that is an argument's
        memory is that array. Anything may call this at any time; the interpreter's lock is not held meanwhile.

        Raises
        ------
        ValueError
            An array is not as the program expects it.
        """
        wanted: tuple[Leaf | Output, ...] = (*self._leaves, *self._outputs)
        given = (*leaves, *outputs)
        if len(leaves) != len(self._leaves) or len(given) != len(wanted):
            raise ValueError(
                f"run: got {len(leaves)} arguments and {len(outputs)} outputs, expected {len(self._leaves)} and "
                f"{len(self._outputs)}"
            )
        for place, (array, spec) in enumerate(zip(given, wanted, strict=True)):
            if (
                array.shape != spec.shape
                or array.dtype != spec.dtype
                or not (array.flags.c_contiguous and array.flags.aligned)
            ):
                raise ValueError(
                    f"run: array {place}: got {array.dtype} {array.shape}, expected a contiguous one of {spec.dtype} "
                    f"{spec.shape}"
                )
        try:
            arena = self._spare.pop()
        except IndexError:  # another thread may have taken it just now
            arena = _arena(self._arena_bytes)
        addresses = [*map(data, given), *self._rest, arena[1]]
        table = (ctypes.c_int64 * len(addresses))(*addresses)
        code: int = self._program(ctypes.addressof(table))
        self._spare[:] = [arena]
        return code


def entry(
    arguments: Sequence[Structure],
    leaves: Sequence[Leaf],
    outputs: Sequence[Output],
    result: Structure,
    program: int,
    *,
    constants: Sequence[np.ndarray[Any, Any]] = (),
    functions: Sequence[int] = (),
    arena: int = 0,
    release: bool = False,
    fail: Callable[[int], Any] | None = None,
    wrap: Callable[[Any], Any] | None = None,
    keep: tuple[Any, ...] = (),
) -> Entry:
    """Make a program callable.

    Parameters
    ----------
    arguments : structure of each positional argument
    leaves : of all arguments, in order
    outputs : in the order in which the program has them, which is that of the result's leaves
    result : structure of what is returned
    program : address of ``i32 run(ptr table)``, 0 or a failure code; the table holds addresses of leaves, outputs,
        constants, functions and, last, the arena
    constants : contiguous arrays, which the program does not write to
    functions : addresses of what the program calls
    arena : bytes of memory that the program works in; while one call has it, another call of ``fast`` declines
    release : let other Python threads run meanwhile; worth it from about 20 µs on
    fail : called with a failure code; expected to raise, otherwise what it returns is the result
    wrap : called with each output that is to be wrapped
    keep : what has to live as long as the program, such as its Library
    """
    made = Entry(tuple(leaves), tuple(outputs), program, tuple(constants), tuple(functions), arena, keep)

    def builtin() -> Callable[..., Any] | None:
        if not available() or len(leaves) + len(outputs) + len(made._rest) > MOST:
            return None
        try:
            return _Plan(tuple(arguments), made, result).builtin(program, release, fail or _failed, wrap)
        except _NotTaken:
            return None

    made._builtin = builtin
    return made


def _failed(code: int) -> Any:
    raise RuntimeError(f"the program failed with code {code}")


class _NotTaken(Exception):
    """A structure or leaf that only Python can handle."""


class _Plan:
    """The words that ``enter.py`` reads, and the objects whose addresses are among them."""

    def __init__(self, arguments: tuple[Structure, ...], made: Entry, result: Structure) -> None:
        self.made = made
        self.arity = len(arguments)
        self.alive: list[Any] = []
        self.words: list[int] = []
        self.starts: dict[int, int] = {}
        self.supply = iter(made._leaves)
        self._begin(plan.AT_ARGUMENTS)
        for structure in arguments:
            self._argument(structure)
        self._begin(plan.AT_OUTPUTS)
        for output in made._outputs:
            self._output(output)
        self._begin(plan.AT_RESULT)
        self._result(result)
        self._begin(plan.AT_CONSTANTS)
        self.words += made._rest
        self._begin(plan.AT_BYTES)
        # A number's address is its object's, which nothing else lies over
        self.words += [
            leaf.dtype.itemsize * int(np.prod(leaf.shape, dtype=int)) if leaf.kind == "array" else 0
            for leaf in made._leaves
        ]
        self._begin(plan.AT_DONATED)
        self.words += [place for place, leaf in enumerate(made._leaves) if leaf.donated]
        self.words += [0, 0, 0]  # the longest start that is read of any record

    def builtin(
        self, program: int, release: bool, fail: Callable[[int], Any], wrap: Callable[[Any], Any] | None
    ) -> Callable[..., Any]:
        """A new builtin function of this plan."""
        made = self.made
        memory, start = _arena(made._arena_bytes)
        claim = (ctypes.c_int64 * 1)()
        header = {
            plan.ARITY: self.arity,
            plan.LEAVES: len(made._leaves),
            plan.OUTPUTS: len(made._outputs),
            plan.CONSTANTS: len(made._rest),
            plan.PROGRAM: program,
            plan.ARENA: start,
            plan.BUSY: ctypes.addressof(claim) if made._arena_bytes else 0,
            plan.RELEASE: int(release),
            plan.FAIL: self._object(fail),
            plan.WRAP: self._object(wrap),
            plan.DONATED: sum(leaf.donated for leaf in made._leaves),
            plan.NOT_IMPLEMENTED: id(NotImplemented),
            plan.TRUE: id(True),
            plan.FALSE: id(False),
            plan.NONE: id(None),
            plan.NDARRAY: id(np.ndarray),
            plan.STR: id(str),
            **{part: plan.HEADER + begin for part, begin in self.starts.items()},
        }
        words = [header[i] for i in range(plan.HEADER)] + self.words
        packed = struct.pack(f"{len(words)}q", *words)
        return _builtin((packed, memory, claim, self.alive, made._keep))

    def _begin(self, part: int) -> None:
        self.starts[part] = len(self.words)

    def _object(self, thing: Any) -> int:
        """The address of an object that lives as long as the plan."""
        self.alive.append(thing)
        return id(thing)

    def _argument(self, structure: Structure) -> None:
        kind, size = structure.kind, len(structure.children)
        if kind is None:
            self._leaf(next(self.supply))
            return
        if kind is type(None):
            self.words.append(plan.EMPTY)
            return
        start = (self._object(kind), size)
        if issubclass(kind, dict) and kind.__iter__ is dict.__iter__ and kind.values is dict.values:
            self.words += [plan.DICT, *start, *map(self._object, structure.keys)]
        elif issubclass(kind, tuple) and kind.__iter__ is tuple.__iter__:
            self.words += [plan.TUPLE, *start]
        elif issubclass(kind, list) and kind.__iter__ is list.__iter__:
            self.words += [plan.LIST, *start]
        elif issubclass(kind, (dict, tuple, list)):
            raise _NotTaken
        else:
            self.words += [plan.OBJECT, *start, len(structure.static), *map(self._object, structure.keys)]
            for name, value in structure.static:
                self.words += [self._object(name), self._object(value), int(type(value) in _COMPARED)]
        for child in structure.children:
            self._argument(child)

    def _leaf(self, leaf: Leaf) -> None:
        dtype, stored, flags = leaf.dtype, 0, 0
        expected: type
        if not _plain(dtype):
            raise _NotTaken
        if leaf.kind == "array":
            kind, expected = plan.ARRAY, np.ndarray
            flags = layout.C_CONTIGUOUS | layout.ALIGNED | (layout.WRITEABLE if leaf.donated else 0)
        elif leaf.kind == "scalar" and dtype.str[1:] in _scalars():
            kind, expected = plan.SCALAR, dtype.type
        elif leaf.kind in _NUMBERS and dtype.name in plan.STORES and (leaf.kind != "float" or dtype.kind == "f"):
            kind, expected = _NUMBERS[leaf.kind]
            stored = plan.STORES.index(dtype.name)
        else:
            raise _NotTaken
        holder = (id(Array), *_slots()) if leaf.wrapped else (0, 0, 0)
        number = dtype.num if dtype.kind in _KINDS_NUMBERED else -1  # of other dtypes only the same object will do
        self.words += [plan.LEAF, kind, self._object(expected), stored, self._object(dtype), number, flags, *holder]
        self.words += [len(leaf.shape), *leaf.shape]

    def _output(self, output: Output) -> None:
        source = output.argument
        if source is not None:
            kind = plan.GIVEN_BACK
        else:
            kind = plan.FRESH if output.shape else plan.NUMBER_OUT
        if not _plain(output.dtype) or (kind == plan.NUMBER_OUT and output.dtype.itemsize > plan.CELL):
            raise _NotTaken
        self.words += [kind, self._object(output.dtype), int(output.wrapped), source or 0]
        self.words += [len(output.shape), *output.shape]

    def _result(self, structure: Structure) -> None:
        kind, children = structure.kind, structure.children
        if kind is None:
            self.words.append(plan.LEAF)
            return
        if kind is type(None):
            self.words.append(plan.EMPTY)
            return
        if kind is dict:
            keys = map(self._object, structure.keys)
            self.words += [plan.DICT, len(children), self._object(dict.fromkeys(structure.keys)), *keys]
        elif kind in (tuple, list):
            self.words += [plan.TUPLE if kind is tuple else plan.LIST, len(children)]
        else:
            level = structure._replace(children=(LEAF_STRUCTURE,) * len(children))
            self.words += [plan.OBJECT, len(children), self._object(functools.partial(_rebuilt, level))]
        for child in children:
            self._result(child)


def _rebuilt(level: Structure, children: tuple[Any, ...]) -> Any:
    """A container of another kind than native code builds, from its children."""
    return unflatten(level, list(children))


@functools.cache
def _slots() -> tuple[int, int]:
    """Where an Array keeps its value and whether it is tracked."""
    value, tracked = layout.slot_offset(Array, "value"), layout.slot_offset(Array, "tracked")
    if not value or not tracked:
        raise _NotTaken
    return value, tracked


@functools.cache
def _scalars() -> frozenset[str]:
    return frozenset(np.dtype(name).str[1:] for name in layout.SCALARS)


def _arena(size: int) -> tuple[Any, int]:
    """Memory for a program, and where its first aligned byte is; no memory for no bytes."""
    if not size:
        return None, 0
    memory = np.empty(size + ALIGNMENT, np.uint8)
    return memory, -(-data(memory) // ALIGNMENT) * ALIGNMENT


def data(array: np.ndarray[Any, Any]) -> int:
    """The address of its first element."""
    address: int = array.__array_interface__["data"][0]
    return address


class _Definition(ctypes.Structure):
    """PyMethodDef"""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


@functools.cache
def _function() -> tuple[_Definition, library.Library]:
    """What Python needs to know of the native function; one for all builtins, but for threads that ask at once."""
    code = library.load("enter", enter.module, host(), layout.symbols())
    return _Definition(b"program", code.address("glassgrad_enter"), _FASTCALL, None), code


def _builtin(state: tuple[Any, ...]) -> Callable[..., Any]:
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
        ("PyCFunction_NewEx", ctypes.pythonapi)
    )
    function = _function()
    made: Callable[..., Any] = make(ctypes.addressof(function[0]), (*state, function), None)  # lives as long as it
    return made
