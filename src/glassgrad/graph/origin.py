"""Where a node came from: the user's file and line, the scope, and the forward node behind a gradient node."""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import threading
from collections.abc import Iterator
from types import CodeType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .node import Node

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


_NOWHERE = compile("", "", "exec")


class _Internal(dict[str, bool]):
    """Whether a file belongs to the package, remembered by file name: asked for every node made.

    NumPy counts as internal, so that ``numpy.linalg.norm(x)`` on an Array points at the caller.
    """

    def __missing__(self, filename: str) -> bool:
        path = os.path.abspath(filename)
        inside = not filename.startswith("<") and path.startswith(
            (_PACKAGE, os.path.dirname(sys.modules["numpy"].__file__ or "") + os.sep)
        )
        self[filename] = inside
        return inside


internal = _Internal()


class Origin(NamedTuple):
    """A place in the user's program.

    Attributes
    ----------
    code, instruction : the code object and the offset of the instruction in it; the line is looked up when asked for,
        because most nodes are never asked.
    scope : names of the enclosing ``gg.scope`` blocks, joined by ``/``.
    forward : the forward node whose derivative this node is part of, or None.
    """

    code: CodeType
    instruction: int
    scope: str
    forward: Node | None

    @property
    def file(self) -> str:
        return self.code.co_filename

    @property
    def line(self) -> int:
        if not self.file:
            return 0
        for start, stop, line in self.code.co_lines():
            if start <= self.instruction < stop and line is not None:
                return line
        return self.code.co_firstlineno

    @property
    def text(self) -> str:
        """The source line, stripped; empty where the source is not at hand."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}" if self.file else ""

    def displaced(self) -> Origin:
        """The same without a place: what is left of one that is not the program's."""
        return self._replace(code=_NOWHERE, instruction=0)


class _Context(threading.local):
    """What the nodes being made now belong to, in each thread: the scope, and the forward node being derived; and the
    trace of the branch that is being traced, if any."""

    place: tuple[str, Any] = ("", None)
    branch: frozenset[Any] = frozenset()


Context = _Context()

_getframe = sys._getframe


def here(depth: int = 1) -> Origin:
    """The origin of the nearest frame outside the package, at least ``depth`` frames up."""
    frame: Any = _getframe(depth)
    while internal[frame.f_code.co_filename] and frame.f_back is not None:
        frame = frame.f_back
    return Origin(frame.f_code, frame.f_lasti, *Context.place)


@contextlib.contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the part of a program being built, for explanations and errors. Scopes nest.

    >>> import glassgrad as gg
    >>> with gg.scope("encoder"):
    ...     y = gg.variable(2.0) * 3.0
    >>> y.origin.scope
    'encoder'
    """
    before = Context.place
    Context.place = (f"{before[0]}/{name}" if before[0] else name, before[1])
    try:
        yield
    finally:
        Context.place = before
