"""Looking at what the engine computes."""

from .cost import Cost, ScopeCost, cost
from .explanation import ExplainedNode, Explanation, explain
from .layers import LayerRow, LayerTable, layer_table

__all__ = [
    "explain",
    "Explanation",
    "ExplainedNode",
    "cost",
    "Cost",
    "ScopeCost",
    "layer_table",
    "LayerTable",
    "LayerRow",
]
