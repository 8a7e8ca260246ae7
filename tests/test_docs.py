"""Every Python block of README and docs that starts with >>> runs and prints what it says; links lead somewhere.

Blocks of one page share their names, as a reader typing them would have them. Docstrings: test_docstrings.py.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPTIONAL = ("scipy", "sklearn", "rich", "matplotlib")


def only_blocks(text: str) -> str:
    """The page with every line outside a >>> block made empty, so that line numbers stay."""
    kept, inside, block = [], False, False
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("```"):
            inside = not inside
            block = inside and line == "```python" and number + 1 < len(lines) and lines[number + 1].startswith(">>> ")
            kept.append("")
        else:
            kept.append(line if inside and block else "")
    return "\n".join(kept) + "\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_blocks_print_what_they_say(page: Path) -> None:
    code = only_blocks(page.read_text())
    for library in OPTIONAL:
        if re.search(rf"^(>>>|\.\.\.) .*\b(import|from) {library}\b", code, re.MULTILINE):
            pytest.importorskip(library)
    test = doctest.DocTestParser().get_doctest(code, {}, page.name, str(page), 0)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [p.name for p in PAGES[1:] if p.name != "README.md" and f"({p.name})" not in index] == []


def test_a_wrong_block_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "wrong.md"
    page.write_text("text\n\n```python\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(AssertionError, match="line 4"):
        test_blocks_print_what_they_say(page)
