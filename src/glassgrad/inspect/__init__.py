"""Looking at what the engine computes."""

from importlib import import_module as _import_module

from .cost import Cost, ScopeCost, cost
from .explanation import ExplainedNode, Explanation, explain
from .findings.finding import Finding
from .layers import LayerRow, LayerTable, layer_table

__all__ = [
    "explain",
    "Explanation",
    "ExplainedNode",
    "cost",
    "Cost",
    "ScopeCost",
    "Finding",
    "layer_table",
    "LayerTable",
    "LayerRow",
]


def __getattr__(name: str) -> object:
    if name in ("diagnose", "Diagnosis"):  # it takes data as training does, and training shows tables of layers
        return getattr(_import_module(f"{__name__}.diagnosis"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
