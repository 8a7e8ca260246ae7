"""Ctrl-C while the command ``glassgrad`` is still importing: one line, not a traceback.

``cli.main`` answers for everything after that, but it cannot before it exists. Programs that import Glassgrad are
left alone.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

INTERRUPTED = 130  # 128 + the signal's number, as shells count


def is_command() -> bool:
    """Whether this process is ``glassgrad`` or ``python -m glassgrad``."""
    program: str = (getattr(sys, "argv", None) or [""])[0]  # an embedded interpreter may have none
    if program == "-m":  # what stands there until Python has found the module
        return "glassgrad" in sys.orig_argv
    return os.path.splitext(os.path.basename(program))[0] == "glassgrad"


def end_quietly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An ``excepthook`` that gives Ctrl-C the exit code it has everywhere else."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    if sys.stderr is not None:
        print("glassgrad: interrupted", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)


if is_command():
    sys.excepthook = end_quietly
