"""The command line as a whole: which commands there are, and what their ends are called."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .. import __version__
from ..errors import GlassgradError
from . import evaluate, explain, info, predict, train
from .options import UsageError
from .output import Output, note
from .train import INTERRUPTED
from .wording import as_options

WRONG = 2  # argparse's
BROKEN_PIPE = 141  # 128 + the signal's number, as shells count
COMMANDS = (train, predict, evaluate, info, explain)

EXIT_CODES = """\
exit codes:
  0    done
  1    a problem with data, model, training or disk: one line on standard error
  2    a wrong command line
  130  interrupted by Ctrl-C; training saves the best model it has come to, if an epoch is done
  141  whoever read standard output has gone; training goes on, and saves its model
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; ``EXIT_CODES`` says what they mean."""
    out = Output()
    try:
        options = _parser().parse_args(arguments)
        code: int = options.run(options, out)
        out.flush()
    except UsageError as error:
        return _fail(str(error), WRONG)
    except GlassgradError as error:
        return _fail(as_options(str(error)))
    except MemoryError:
        return _fail("not enough memory: use smaller --hidden layers, or fewer rows")
    except KeyboardInterrupt:
        note("interrupted; nothing was saved")
        return INTERRUPTED
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'standard output'}")
    if isinstance(out.failure, BrokenPipeError):
        return code or BROKEN_PIPE
    return _fail(f"{out.failure.strerror}: standard output") if out.failure else code


def _fail(message: str, code: int = 1) -> int:
    note(" ".join(message.split()))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="glassgrad",
        description="Train networks by backpropagation, and look at what they learn.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"glassgrad {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for each in COMMANDS:
        each.add(commands)
    return parser
