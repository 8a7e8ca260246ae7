"""The fixture that runs a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glassgrad.cli import main
from tests.oracles.commands import Result


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """``glassgrad ...`` in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any) -> Result:
        try:
            code = main([str(a) for a in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Result(code, *capfd.readouterr())

    return call
