"""Fields of a saved model's description, checked before they are used: the file may be anyone's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import ModelFileError

MAX_ITEMS = 1_000_000


class Record:
    """A plain dictionary read from JSON; every read checks the type of what is there.

    Examples
    --------
    >>> Record({"mean": 2}, "model.columns[0]").number("mean")
    2.0
    """

    def __init__(self, fields: Any, path: str) -> None:
        if not isinstance(fields, Mapping):
            raise _damaged(path, fields, "an object")
        self._fields = fields
        self._path = path

    def has(self, key: str) -> bool:
        """Whether the field is there."""
        return key in self._fields

    def text(self, key: str, *, among: tuple[str, ...] | None = None) -> str:
        """A string; one of ``among`` when that is given."""
        value = self.get(key)
        if not isinstance(value, str) or (among is not None and value not in among):
            self.refuse(key, f"one of {', '.join(among)}" if among else "a string")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def number(self, key: str, *, least: float = -math.inf) -> float:
        """A finite number, not below ``least``."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(key, "a number")
        try:
            number = float(value)
        except OverflowError:  # JSON's integers have no end
            self.refuse(key, "a finite number")
        if not math.isfinite(number) or number < least:
            self.refuse(key, "a finite number" if least == -math.inf else f"a finite number of at least {least:g}")
        return number

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of distinct strings."""
        values = self._list(key)
        if not all(isinstance(value, str) for value in values) or len(set(values)) != len(values):
            self.refuse(key, "a list of distinct strings")
        return tuple(values)

    def record(self, key: str) -> Record:
        """An object inside this one."""
        return Record(self.get(key), f"{self._path}.{key}")

    def records(self, key: str) -> list[Record]:
        """A list of objects inside this one."""
        return [Record(value, f"{self._path}.{key}[{i}]") for i, value in enumerate(self._list(key))]

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise :class:`ModelFileError` about one field."""
        raise _damaged(f"{self._path}.{key}", self.get(key), expected)

    def _list(self, key: str) -> list[Any]:
        values = self.get(key)
        if not isinstance(values, list) or len(values) > MAX_ITEMS:
            self.refuse(key, "a list")
        return values

    def get(self, key: str) -> Any:
        """A value of any type; it must be there."""
        if key not in self._fields:
            raise ModelFileError(
                f"load: the model is damaged: {self._path} has no {key!r}, expected it there; save the model again"
            )
        return self._fields[key]


def _damaged(path: str, value: Any, expected: str) -> ModelFileError:
    # the type and not the value: the value may be anything, of any length
    got = repr(value) if isinstance(value, (bool, float)) else f"a {type(value).__name__}"
    return ModelFileError(f"load: the model is damaged: got {got} at {path}, expected {expected}; save the model again")
