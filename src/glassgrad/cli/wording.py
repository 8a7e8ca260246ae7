"""The library's messages name Python's arguments; these are the same ones on the command line."""

from __future__ import annotations

import re

LISTS = re.compile(r"\b(ignore|categorical)=\[(.*?)\](?=$|[,;] )")
AS_OPTIONS = (
    (re.compile(r"\bfit with missing=\"impute\""), "train with --missing impute"),
    (re.compile(r"\b(pass|leave out) header=False"), r"\1 --no-header"),
    (re.compile(r"\btask=\"(regression|classification)\""), r"--task \1"),
    (re.compile(r"\bheld_out="), "--test-fraction "),
    (re.compile(r"\bbatch_size\b"), "--batch-size"),
    (re.compile(r"\bmax_categories\b"), "--max-categories"),
)


def as_options(message: str) -> str:
    """A message in the words of the command line.

    >>> as_options("the first row looks like data: pass header=False")
    'the first row looks like data: pass --no-header'
    """
    message = LISTS.sub(lambda found: f"--{found[1]} " + found[2].replace("', '", f"' --{found[1]} '"), message)
    for pattern, replacement in AS_OPTIONS:
        message = pattern.sub(replacement, message)
    return message
