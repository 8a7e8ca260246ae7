"""The table in docs/numerics.md: each row's expression gives what the row says."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "numerics.md"
ROW = re.compile(r"^\|(?P<group>[^|]*)\|(?P<convention>[^|]*)\| `(?P<expression>[^`|]+)` \| `(?P<gives>[^`|]+)` \|$")


class Row(NamedTuple):
    """One convention: where it stands, what it says, and the two expressions."""

    line: int
    convention: str
    expression: str
    gives: str


def rows(text: str) -> list[Row]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = ROW.match(line)
        if match:
            found.append(Row(number, match["convention"].strip(), match["expression"], match["gives"]))
    return found


def names(text: str) -> dict[str, Any]:
    """What the page's first block defines."""
    space: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(text.split("```")[1]):
        exec(example.source, space)
    return space


TEXT = PAGE.read_text()
TABLE = rows(TEXT)


def test_every_line_of_the_table_is_a_row() -> None:
    lines = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert len(TABLE) == len(lines) - 2 >= 40


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.line}: {row.expression}")
def test_convention(row: Row) -> None:
    space = names(TEXT)
    expected = eval(row.gives, space)
    if isinstance(expected, type) and issubclass(expected, Warning):
        with pytest.warns(expected):
            assert eval(row.expression, space) == 0
    elif isinstance(expected, type) and issubclass(expected, Exception):
        with pytest.raises(expected):
            eval(row.expression, space)
    elif isinstance(expected, type):
        assert eval(row.expression, space) == numpy.dtype(expected)
    else:
        with numpy.errstate(all="ignore"):  # NumPy's own warnings of log(0) are not what the table is about
            got = eval(row.expression, space)
        numpy.testing.assert_array_equal(numpy.asarray(got), numpy.asarray(expected))


def test_a_row_that_is_wrong_would_be_found() -> None:
    (wrong,) = rows("| | relu'(0) = 0 | `grad(nn.relu)(0.0)` | `1.0` |")
    with pytest.raises(AssertionError):
        test_convention(wrong)
