"""Names of test cases that are the same in every process, as running tests side by side needs."""

from __future__ import annotations

import re
from typing import Any

ADDRESS = re.compile(r"<function (?:[^ ]*\.)?([^ ]+) at 0x[0-9a-f]+>")


def stable(value: Any) -> str:
    """How a value shows itself, functions by their names alone.

    >>> stable((len, lambda x: x))
    '(<built-in function len>, <lambda>)'
    """
    return ADDRESS.sub(r"\1", str(value))[:60]
