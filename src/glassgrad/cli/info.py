"""``glassgrad info``: what is in a model's file."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

import numpy as np

from .. import tree
from ..train.table_model import TableModel
from .options import command
from .output import Output

EXAMPLES = """\
  glassgrad info houses.glassgrad
  glassgrad info houses.glassgrad --json | jq .training
"""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    add = command(commands, "info", info, "describe a trained model: network, columns, training", EXAMPLES)
    add("model", metavar="MODEL", help="a file that glassgrad train saved")
    add("--json", action="store_true", help="one JSON object on standard output, and nothing else")


def info(options: argparse.Namespace, out: Output) -> int:
    """Run the command."""
    model = TableModel.load(options.model)
    if options.json:
        out.json(
            {
                "model": options.model,
                "architecture": repr(model.model),
                "parameters": parameters(model.model),
                "arrays": {name: list(np.shape(array)) for name, array in _arrays(model.model)},
                "columns": list(model.columns),
                "header": model.header,
                "encoder": model.encoder.to_dict(),
                "training": model.training,
            }
        )
        return 0
    arrays = [f"  {name}  {'×'.join(map(str, np.shape(array)))}" for name, array in _arrays(model.model)]
    facts = [f"  {name}: {_text(value)}" for name, value in model.training.items()]
    lines = [f"{model.model}, {parameters(model.model):,} parameters", *arrays, "", model.encoder.describe()]
    out.say("\n".join([*lines, "", "training", *facts]))
    return 0


def parameters(model: Any) -> int:
    """How many numbers a model holds."""
    return sum(math.prod(np.shape(leaf)) for leaf in tree.leaves(model))


def _arrays(model: Any) -> list[tuple[str, Any]]:
    """The arrays by where they are: ``layers.0.W``."""
    every = zip(tree.paths(model), tree.leaves(model), strict=True)
    return [(".".join(re.findall(r"\w+", path)), leaf) for path, leaf in every if isinstance(leaf, np.ndarray)]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    if value is None:
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
