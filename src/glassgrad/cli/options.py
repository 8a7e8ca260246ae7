"""What the arguments of commands look like, and the ones that several commands share."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from typing import Any

from ..errors import GlassgradError

Add = Callable[..., Any]


class UsageError(GlassgradError, ValueError):
    """A wrong command line, found out later than while it was parsed."""


def command(commands: Any, name: str, run: Callable[..., int], summary: str, examples: str) -> Add:
    """A new command; what adds arguments to it."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    add: Add = parser.add_argument
    return add


def add_reading(add: Add) -> None:
    """How a file is to be read."""
    add("--no-header", action="store_true", help="the first row of a CSV file is data")
    bars = "what separates fields, \\t for a tab [found among comma, semicolon, tab and vertical bar]"
    add("--delimiter", type=lambda text: "\t" if text == "\\t" else text, metavar="C", help=bars)


def add_labels(add: Add) -> None:
    """The file that goes with IDX images."""
    add("--labels", metavar="FILE", help="the IDX file of labels that belongs to a file of images")


def whole(least: int) -> Callable[[str], int]:
    """A whole number of at least this."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number of at least {least}")
        return int(text)

    return read


def between(low: float, high: float = float("inf"), *, least: bool = False) -> Callable[[str], float]:
    """A number above ``low``, or with ``least`` of at least ``low``, and below ``high``."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not (low < value < high or (least and value == low)):
            above = "of at least" if least else "above"
            limits = f"{above} {low:g}" + ("" if high == float("inf") else f" and below {high:g}")
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a number {limits}")
        return value

    return read


def widths(text: str) -> tuple[int, ...]:
    """Widths of layers."""
    if text.strip() == "0":
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,6}", part) and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected widths such as 64,64 below a million, or 0 for none")
    return tuple(map(int, parts))


def batch(text: str) -> int:
    """Rows per step."""
    return sys.maxsize if text == "all" else whole(1)(text)
