"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from glassgrad.errors import MissingExtraError

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "glassgrad"


def _modules() -> list[str]:
    """Dotted names of all modules; ``__main__`` would start the program."""
    names = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[-1] != "__main__":
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", _modules())
def test_examples_in_docstrings(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(str(error))
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    for test in finder.find(module, name):
        if test.examples:
            runner.run(test, out=report.append)
    failed, text = runner.summarize(verbose=False).failed, "".join(report)
    if failed and "MissingExtraError" in text:
        pytest.skip(f"an optional library is missing: {text}")
    assert failed == 0, text
