"""Looking at what the engine computes."""

from .explanation import ExplainedNode, Explanation, explain
from .layers import LayerRow, LayerTable, layer_table

__all__ = ["explain", "Explanation", "ExplainedNode", "layer_table", "LayerTable", "LayerRow"]
