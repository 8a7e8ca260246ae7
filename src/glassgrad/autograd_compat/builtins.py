"""Python's containers, which need no other form here."""

import builtins
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(builtins, name)
