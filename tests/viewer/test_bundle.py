"""The committed bundle is what the sources in viewer/ build."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUNDLE = "src/glassgrad/inspect/bundle"


def test_the_bundle_is_built_of_the_sources(tmp_path: Path) -> None:
    viewer = ROOT / "viewer"
    npm = shutil.which("npm")
    if npm is None or not (viewer / "node_modules").exists():
        pytest.skip("viewer/node_modules is not there; `make viewer` installs it")
    shutil.copytree(viewer, tmp_path / "viewer", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "viewer/node_modules").symlink_to(viewer / "node_modules")
    done = subprocess.run([npm, "run", "build"], cwd=tmp_path / "viewer", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    built = {p.name: p.read_bytes() for p in (tmp_path / BUNDLE).iterdir()}
    assert set(built) == {p.name for p in (ROOT / BUNDLE).iterdir()}
    changed = [name for name, content in built.items() if (ROOT / BUNDLE / name).read_bytes() != content]
    assert not changed, f"{changed} are not what viewer/ builds: run `make viewer` and commit"
