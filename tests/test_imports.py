"""Imports point downwards only, and importing Glassgrad loads nothing but NumPy."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"

# The house, lowest layer first. A module may import from its own layer or from a lower one.
# "__init__" is the package's public face; only what stands above it may import from it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "lazy"),
    ("dtypes",),
    ("tree",),
    ("graph",),
    ("ops",),
    ("array",),
    ("numpy", "random", "special"),
    ("autodiff",),
    ("implicit",),
    ("rewrite",),
    ("kernel",),
    ("native",),
    ("compile",),
    ("nn", "optim", "optimize", "train", "data", "inspect", "autograd_compat"),
    ("sklearn", "onnx", "distributed"),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
AT_IMPORT_TIME = {"glassgrad", "numpy"} | set(sys.stdlib_module_names)
OPTIONAL = {"sklearn": {"sklearn"}}  # a folder's classes are subclasses of what that library has


class Import(NamedTuple):
    """One imported module: where, its dotted name, and whether it runs when the file is imported."""

    line: int
    module: str
    eager: bool


def imports(tree: ast.AST, package: tuple[str, ...]) -> Iterator[Import]:
    """Every import of a parsed file, inside functions too; ``package`` resolves the relative ones."""
    pending = [(tree, True)]
    while pending:
        node, eager = pending.pop()
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*parents, *((node.module,) if node.module else ())))
            # `from glassgrad import numpy` and `from . import node` name modules after the word import
            yield from (Import(node.lineno, f"{base}.{alias.name}", eager) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending += [(child, False) for child in node.body] + [(child, eager) for child in node.orelse]
        else:
            deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            pending += [(child, eager and not deferred) for child in ast.iter_child_nodes(node)]


def house_name(module: str) -> str:
    """The name in LAYERS that a dotted module belongs to: ``glassgrad.graph.node`` -> ``graph``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVEL else "__init__"


def violations(source: Path) -> list[str]:
    """``file:line: what is wrong`` for each import below ``source``/glassgrad that the house forbids."""
    found = []
    for file in sorted((source / "glassgrad").rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        own = parts[1]
        if own not in LEVEL:
            found.append(f"{file}:1: {own} has no layer; add it to LAYERS in tests/test_imports.py")
            continue
        for line, module, eager in imports(ast.parse(file.read_bytes(), str(file)), parts[:-1]):
            top = module.partition(".")[0]
            if top == "glassgrad" and LEVEL[house_name(module)] > LEVEL[own]:
                found.append(f"{file}:{line}: {own} imports {house_name(module)}, which is above it")
            if eager and top not in AT_IMPORT_TIME | OPTIONAL.get(own, set()):
                found.append(f"{file}:{line}: {top} is imported at module level; import it where it is used")
    return found


def test_imports_point_downwards() -> None:
    assert violations(SOURCE) == []


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("graph/node.py", "from ..errors import X\nfrom ..autodiff import vjp\n", "2: graph imports autodiff"),
        ("graph/node.py", "def f():\n    import glassgrad.ops.view\n", "2: graph imports ops"),
        ("ops/view.py", "from glassgrad import array\n", "1: ops imports array"),
        ("tree.py", "from .graph import node\n", "1: tree imports graph"),
        ("tree.py", "from . import graph\n", "1: tree imports graph"),
        ("ops/view.py", "from .. import grad\n", "1: ops imports __init__"),
        ("nn/dense.py", "import glassgrad as gg\n", "1: nn imports __init__"),
        ("ops/linalg.py", "try:\n    import scipy\nexcept ImportError:\n    pass\n", "2: scipy is imported at module"),
        ("ops/linalg.py", "class A:\n    from scipy.linalg import lu\n", "2: scipy is imported at module"),
        ("sklearn/base.py", "import scipy\n", "1: scipy is imported at module"),
        ("train/fit.py", "import sklearn\n", "1: sklearn is imported at module"),
        ("surprise.py", "", "1: surprise has no layer"),
    ],
)
def test_a_planted_violation_is_found(tmp_path: Path, file: str, text: str, message: str) -> None:
    planted = tmp_path / "glassgrad" / file
    planted.parent.mkdir(parents=True)
    planted.write_text(text)
    (found,) = violations(tmp_path)
    assert found.startswith(f"{planted}:{message}")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("ops/view.py", "import math\nimport numpy as np\nfrom numpy import pi\nfrom ..graph.node import Node\n"),
        ("ops/view.py", "from . import linalg\nfrom .reduction import Sum\nimport glassgrad.graph\n"),
        ("ops/linalg.py", "def f():\n    import scipy\n    return lambda: scipy\n"),
        ("native/emit.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from llvmlite import ir\n"),
        ("cli.py", "import glassgrad as gg\nfrom . import grad, train\n"),
        ("sklearn/base.py", "from sklearn.base import BaseEstimator\nfrom ..train import fit\n"),
    ],
)
def test_what_the_house_allows_passes(tmp_path: Path, file: str, text: str) -> None:
    allowed = tmp_path / "glassgrad" / file
    allowed.parent.mkdir(parents=True)
    allowed.write_text(text)
    assert violations(tmp_path) == []


def test_importing_glassgrad_loads_only_numpy() -> None:
    program = (
        "import sys; before = set(sys.modules); import glassgrad; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(run.stdout.split())
    assert "glassgrad" in loaded
    assert loaded - AT_IMPORT_TIME == set()
