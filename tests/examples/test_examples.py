"""Every file in examples/ runs as a script, without a warning, and prints something to read."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 13


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda f: f.stem)
def test_example_runs(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(file), run_name="__main__")
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) >= 4
    assert printed.err == ""
    assert not re.search(r"\b(nan|inf)\b", printed.out.replace("would be -inf", ""))
