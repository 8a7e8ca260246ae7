"""One thing that is wrong: what, where, the numbers that show it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

WORDS = {
    "nan_in_data": "the data have entries that are not finite",
    "nan_in_parameters": "a parameter is not finite",
    "nan_in_loss": "the loss is not finite",
    "nan_in_gradients": "a gradient is not finite",
    "labels_out_of_range": "labels are not what the loss takes",
    "targets_out_of_reach": "targets lie where the last activation cannot get",
    "target_shape": "outputs and targets have different shapes",
    "double_softmax": "the loss applies softmax or sigmoid to what has been through one",
    "unscaled_inputs": "inputs are not of one scale",
    "unscaled_targets": "targets are so large that the optimiser takes too many steps to reach them",
    "no_gradient": "no gradient arrives",
    "dead_relu": "rectifiers are off for every row",
    "saturated": "activations are on their flat parts",
    "symmetric_units": "all units of a layer are the same, and stay so",
    "vanishing_gradients": "gradients vanish on their way to the first layers",
    "exploding_gradients": "gradients explode on their way to the first layers",
    "constant_output": "outputs do not depend on the row",
    "learning_rate_too_large": "the learning rate is too large",
    "learning_rate_too_small": "the learning rate is too small",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes
    ----------
    problem : a short key, one of those in docs/diagnosis.md
    place : the layer, parameter, column or line
    evidence : numbers by name: plain Python, and lists and dicts of it
    remedy : what to do about it

    Examples
    --------
    >>> print(Finding("dead_relu", "hidden1", {"dead": 60, "units": 64}, "lower the learning rate"))
    dead_relu in hidden1: rectifiers are off for every row
      dead 60, units 64
      fix: lower the learning rate
    """

    problem: str
    place: str
    evidence: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""

    @property
    def words(self) -> str:
        """The problem as a sentence."""
        return WORDS.get(self.problem, self.problem)

    @property
    def numbers(self) -> str:
        """The evidence on one line; tables are left to ``evidence``."""
        flat = {k: v for k, v in self.evidence.items() if v != "" and not (isinstance(v, list) and _nested(v))}
        return ", ".join(f"{k.replace('_', ' ')} {_text(v)}" for k, v in flat.items())

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"problem": self.problem, "place": self.place, "evidence": _plain(self.evidence), "remedy": self.remedy}

    def __str__(self) -> str:
        lines = [f"{self.problem} in {self.place}: {self.words}", f"  {self.numbers}", f"  fix: {self.remedy}"]
        return "\n".join(line for line in lines if line.strip())


def _nested(values: list[Any]) -> bool:
    return any(isinstance(v, (dict, list)) for v in values)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def _plain(value: Any) -> Any:
    """Without NumPy, and without numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value
